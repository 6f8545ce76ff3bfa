package eval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/convert"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/probe"
)

// DefaultTypes are measured where none are named.
var DefaultTypes = []string{"f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0", "q3_k_m", "q2_k"}

// TypesOptions are what [CompareTypes] measures. Of numbers, 0 means the default.
type TypesOptions struct {
	// Types are names of file types, such as "q4_k_m", or of formats; nil means DefaultTypes.
	Types       []string
	Text        string // to predict
	TextName    string // name of the text in the report
	Chunk       int    // tokens of a chunk; default DefaultChunk, or the model's context if less
	Chunks      int    // most chunks; default 32, less than 0 means all
	Prompt      string // to continue; default "Once upon a time"
	Answer      int    // tokens of the continuation; default 48
	Repetitions int    // measurements of each speed; default 3
	Threads     int    // default one for every core that may be used
	NoSpeed     bool   // leave speeds out
	// Step, if not nil, is called as the work goes on: what is done for which type, and how much.
	Step func(typ, what string, done, total int)
}

// TypesReport is one model in several types.
type TypesReport struct {
	Model   string    `json:"model"`
	Arch    string    `json:"arch"`
	Params  int64     `json:"params"`
	Text    string    `json:"text"` // name of the text
	Chunks  int       `json:"chunks"`
	Chunk   int       `json:"chunk_size"`
	Of      int       `json:"chunks_in_text"`
	Prompt  string    `json:"prompt"`
	CPU     string    `json:"cpu"`
	Threads int       `json:"threads"`
	Pp      int       `json:"prompt_tokens"` // tokens of a prompt whose speed is measured
	Tg      int       `json:"gen_tokens"`    // tokens of a generation whose speed is measured
	Rows    []TypeRow `json:"levels"`        // the model as it is, then the types
}

// TypeRow is the model in one type.
type TypeRow struct {
	Type          string      `json:"level"`
	Source        bool        `json:"source"` // the model as it is
	Tensors       []TypeShare `json:"types"`
	Bytes         int64       `json:"bytes"` // bytes of all weights
	BitsPerWeight float64     `json:"bits_per_weight"`
	Prefill       Speed       `json:"prefill"`
	Decode        Speed       `json:"decode"`
	Load          probe.Load  `json:"load"` // what other programs took while speeds were measured
	Perplexity    Result      `json:"perplexity"`
	KL            *Comparison `json:"kl,omitempty"` // from the model as it is; nil for that itself
	Answer        string      `json:"answer"`
	// Same is how many bytes Answer has in common, at its beginning, with that of the model as it
	// is.
	Same int `json:"answer_same"`
}

// TypeShare is how many tensors are of a type.
type TypeShare struct {
	Type    string `json:"type"`
	Tensors int    `json:"tensors"`
	Bytes   int64  `json:"bytes"`
}

// Speed is in tokens per second.
type Speed struct {
	Mean   float64 `json:"mean"`
	StdDev float64 `json:"stddev"`
	// Ratio is the speed over that of the model as it is, in pairs of runs that followed each
	// other.
	Ratio bench.Ratio `json:"ratio"`
}

// typesRun is one run of CompareTypes.
type typesRun struct {
	TypesOptions
	source *bench.Subject
	report *TypesReport
	base   *goinfer.Model
	model  *bench.Model // as it is
	chunks []Chunk
	typ    string // being measured
}

// CompareTypes measures the model of a source as it is, then quantised to each type: its size, its
// speed, how well it predicts chunks of a text, how far its predictions are from those of the model
// as it is, and how it continues a prompt. All names are checked before anything is measured; a
// type that the model has, or that is named twice, is measured once.
func CompareTypes(ctx context.Context, s *bench.Subject, o TypesOptions) (*TypesReport, error) {
	if o.Types == nil {
		o.Types = DefaultTypes
	}
	for _, t := range o.Types {
		if err := convert.CheckType(t, false); err != nil {
			return nil, err
		}
	}
	r := &typesRun{TypesOptions: o, source: s, report: &TypesReport{Model: s.Name, Text: o.TextName}}
	if err := r.defaults(); err != nil {
		return nil, err
	}
	m, err := s.Load(ctx, "", nil)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	r.model = m
	if r.base, err = m.Open(r.opening()); err != nil {
		return nil, err
	}
	defer r.base.Close()
	if err := r.split(); err != nil {
		return nil, err
	}
	c := r.base.Info().Config
	r.report.Arch, r.report.Params = c.Arch, m.Params
	r.typ = cmp.Or(strings.ToLower(r.base.Info().FileType), "source")
	if err := r.measure(ctx, m, true); err != nil {
		return nil, err
	}
	for _, t := range r.Types {
		r.typ = strings.ToLower(t)
		if slices.ContainsFunc(r.report.Rows, func(row TypeRow) bool { return row.Type == r.typ }) {
			continue
		}
		if err := r.quantized(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", r.typ, err)
		}
	}
	return r.report, nil
}

// defaults fills in what the options leave open.
func (r *typesRun) defaults() error {
	machine, err := probe.Machine()
	if err != nil {
		return err
	}
	or := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	or(&r.Threads, machine.Threads)
	or(&r.Chunk, min(DefaultChunk, r.source.NCtx))
	or(&r.Chunks, 32)
	or(&r.Answer, 48)
	or(&r.Repetitions, 3)
	if r.Prompt == "" {
		r.Prompt = "Once upon a time"
	}
	rep := r.report
	rep.CPU, rep.Threads, rep.Prompt = machine.CPU, r.Threads, r.Prompt
	rep.Pp, rep.Tg = max(1, min(256, r.source.NCtx/2)), max(1, min(64, r.source.NCtx/2))
	return nil
}

// opening is how models are opened to predict and to continue.
func (r *typesRun) opening() goinfer.Options {
	return goinfer.Options{Context: max(r.Chunk, min(r.source.NCtx, 512)), Threads: r.Threads}
}

// split takes chunks of the text, spread over it.
func (r *typesRun) split() error {
	all, err := Chunks(r.base.Tokenizer(), r.Text, r.Chunk)
	if err != nil {
		return err
	}
	r.chunks = Spread(all, r.Chunks)
	r.report.Chunk, r.report.Chunks, r.report.Of = r.Chunk, len(r.chunks), len(all)
	return nil
}

// step reports how far something is.
func (r *typesRun) step(what string, done, total int) {
	if r.Step != nil {
		r.Step(r.typ, what, done, total)
	}
}

// quantized makes the model of a type and measures it.
func (r *typesRun) quantized(ctx context.Context) error {
	r.step("quantising", 0, 0)
	m, err := r.source.Load(ctx, r.typ, func(done, total int64) { r.step("quantising", int(done>>20), int(total>>20)) })
	if err != nil {
		return err
	}
	defer debug.FreeOSMemory()
	defer m.Close()
	return r.measure(ctx, m, false)
}

// measure adds a row.
func (r *typesRun) measure(ctx context.Context, m *bench.Model, source bool) error {
	row := TypeRow{Type: r.typ, Source: source, Bytes: m.Size, BitsPerWeight: 8 * float64(m.Size) / float64(max(1, m.Params))}
	if err := r.speeds(ctx, m, &row); err != nil {
		return err
	}
	open := r.base
	if !source {
		var err error
		if open, err = m.Open(r.opening()); err != nil {
			return err
		}
	}
	row.Tensors = shares(open.Info().Tensors)
	err := r.predict(ctx, open, &row)
	if err == nil {
		r.step("continuing the prompt", 0, 0)
		row.Answer, err = r.answer(ctx, open)
	}
	if !source {
		err = errors.Join(err, open.Close())
	}
	if err != nil {
		return err
	}
	row.Same = len(row.Answer)
	if !source {
		row.Same = common(row.Answer, r.report.Rows[0].Answer)
	}
	r.report.Rows = append(r.report.Rows, row)
	return nil
}

// speeds measures prompts and generation, alternating with the model as it is.
func (r *typesRun) speeds(ctx context.Context, m *bench.Model, row *TypeRow) error {
	if r.NoSpeed {
		return nil
	}
	r.step("measuring speed", 0, 2*r.Repetitions)
	w, err := probe.Begin(ctx, r.Threads, true)
	if err != nil {
		return err
	}
	done := 0
	for _, t := range []struct {
		test bench.Test
		to   *Speed
	}{{bench.Test{Prompt: r.report.Pp}, &row.Prefill}, {bench.Test{Gen: r.report.Tg}, &row.Decode}} {
		if *t.to, err = r.alternate(ctx, m, t.test, func() {
			done++
			r.step("measuring speed", done, 2*r.Repetitions)
		}); err != nil {
			return err
		}
	}
	row.Load, err = w.End(ctx)
	return err
}

// alternate measures a test, each time after one of the model as it is.
func (r *typesRun) alternate(ctx context.Context, m *bench.Model, test bench.Test, step func()) (s Speed, err error) {
	models := []*bench.Model{m}
	if m != r.model {
		models = []*bench.Model{r.model, m}
	}
	rates := make([][]float64, len(models))
	sessions := make([]*bench.Session, len(models))
	settings := bench.Settings{Threads: r.Threads, Batch: bench.DefaultBatch, Ubatch: bench.DefaultUbatch}
	for i, m := range models {
		if sessions[i], err = m.Session(ctx, bench.Case{Settings: settings, Test: test}, true); err != nil {
			return s, err
		}
		defer sessions[i].Close()
	}
	for range r.Repetitions {
		for i, one := range sessions {
			prompt, gen, _, err := one.Measure(ctx)
			if err != nil {
				return s, err
			}
			rates[i] = append(rates[i], float64(test.Prompt+test.Gen)/max(prompt+gen, 1).Seconds())
		}
		step()
	}
	own := rates[len(rates)-1]
	s.Mean, s.StdDev = bench.MeanDeviation(own)
	s.Ratio = bench.Ratio{Ratio: 1}
	if len(rates) > 1 {
		s.Ratio = bench.RatioOf(own, rates[0])
	}
	return s, nil
}

// predict measures perplexity and, of a type, divergence.
func (r *typesRun) predict(ctx context.Context, m *goinfer.Model, row *TypeRow) error {
	o := Options{Done: func(done, total int) { r.step("predicting", done, total) }}
	if row.Source {
		var err error
		row.Perplexity, err = Perplexity(ctx, m, r.chunks, o)
		return err
	}
	c, err := Compare(ctx, m, r.base, r.chunks, o)
	row.KL, row.Perplexity = &c, c.Result
	return err
}

// answer continues the prompt, taking the most probable token each time.
func (r *typesRun) answer(ctx context.Context, m *goinfer.Model) (string, error) {
	var b strings.Builder
	for piece, err := range m.Generate(ctx, goinfer.Request{Prompt: r.Prompt, MaxTokens: r.Answer}) {
		switch {
		case err != nil:
			return "", err
		case piece.Stop == goinfer.StopCancelled:
			return "", fault.Cancelled(ctx)
		}
		b.Write(piece.Bytes)
	}
	return b.String(), nil
}

// common is the length in bytes of what two texts begin with alike, in whole characters.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	for n > 0 && n < len(a) && !utf8.RuneStart(a[n]) {
		n--
	}
	return n
}

// shares counts tensors by type, those that take most memory first.
func shares(ts []goinfer.Tensor) []TypeShare {
	var all []TypeShare
	for _, t := range ts {
		name := t.Type.String()
		i := slices.IndexFunc(all, func(s TypeShare) bool { return s.Type == name })
		if i < 0 {
			i = len(all)
			all = append(all, TypeShare{Type: name})
		}
		all[i].Tensors++
		all[i].Bytes += t.Bytes()
	}
	slices.SortStableFunc(all, func(a, b TypeShare) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return all
}
