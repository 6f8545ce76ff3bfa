// Package lab measures what quantising a model costs and what it brings: one model, in memory, at several levels.
//
//	s, err := bench.File("model-f16.gguf")
//	r, err := lab.Run(ctx, s, lab.Options{Text: text, Levels: []string{"q8_0", "q4_k_m"}})
//	fmt.Println(r.Rows[1].KL.KLMean)
//	err = r.Page().Render(w)
//
// The first row of a [Report] is the model as it is, which all others are compared with. For each level [Run] quantises the model (package convert), has it predict the same
// chunks of a text as the model itself (package eval), measures its speed (package bench), and lets it continue the same prompt.
//
// # What the figures mean
//
//   - Perplexity is counted as llama-perplexity does, over the second half of each chunk. Of a long text some chunks are taken, evenly spread: the figures are those of the whole
//     text up to the standard error that stands beside them. Differences between levels are much surer than that error, since all levels predict the same tokens.
//   - KL divergence is that of a level's prediction of the next token from the model's own, in nats: 0 means that nothing changed. Its mean tells the levels apart sooner
//     than perplexity does; its 99th percentile tells how bad the worst predictions are.
//   - A model that is quantised already loses twice: levels are then measured against it, not against what it was made from.
//   - Speeds are measured in turns, a run of the level after a run of the model as it is: the ratio of such pairs, with its 95 % interval, says more than two speeds at two times
//     do. Where other programs took more than a tenth of the processor time or of the bandwidth, speeds are not shown: see [probe.Load].
package lab

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
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/eval"
	"github.com/goinfer/goinfer/study/probe"
)

// DefaultLevels are the levels that are measured where none are named.
var DefaultLevels = []string{"f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0", "q3_k_m", "q2_k"}

// Options are what is measured. Of numbers, 0 means the default.
type Options struct {
	Levels      []string // recipes of package convert, by name; nil means DefaultLevels
	Text        string   // to predict
	TextName    string   // what the report calls it
	Chunk       int      // tokens of a chunk; default eval.DefaultChunk, or the context of the model if that is less
	Chunks      int      // at most so many; default 32, less than 0 means all
	Prompt      string   // to continue; default "Once upon a time"
	Answer      int      // tokens of the continuation; default 48
	Repetitions int      // of speeds; default 3
	Threads     int      // default one for every core that may be used
	NoSpeed     bool     // leave speeds out
	// Step, if not nil, is called as the work goes on: what is done at which level, and how much of it.
	Step func(level, what string, done, total int)
}

// Report is what came out.
type Report struct {
	Model   string `json:"model"`
	Arch    string `json:"arch"`
	Params  int64  `json:"params"`
	Text    string `json:"text"` // its name
	Chunks  int    `json:"chunks"`
	Chunk   int    `json:"chunk_size"`
	Of      int    `json:"chunks_in_text"`
	Prompt  string `json:"prompt"`
	CPU     string `json:"cpu"`
	Threads int    `json:"threads"`
	Pp      int    `json:"prompt_tokens"` // of the speed of prompts
	Tg      int    `json:"gen_tokens"`    // of the speed of generation
	Rows    []Row  `json:"levels"`        // the model as it is, then the levels
}

// Row is a level.
type Row struct {
	Level         string           `json:"level"`
	Source        bool             `json:"source"` // the model as it is
	Types         []Share          `json:"types"`
	Bytes         int64            `json:"bytes"` // of all weights
	BitsPerWeight float64          `json:"bits_per_weight"`
	Prefill       Speed            `json:"prefill"`
	Decode        Speed            `json:"decode"`
	Load          probe.Load       `json:"load"` // what other programs took while speeds were measured
	Perplexity    eval.Result      `json:"perplexity"`
	KL            *eval.Comparison `json:"kl,omitempty"` // from the model as it is; nil for that itself
	Answer        string           `json:"answer"`
	Same          int              `json:"answer_same"` // bytes at the beginning of Answer that are those of the model as it is
}

// Share is how many tensors are of a type.
type Share struct {
	Type    string `json:"type"`
	Tensors int    `json:"tensors"`
	Bytes   int64  `json:"bytes"`
}

// Speed is in tokens per second.
type Speed struct {
	Mean   float64 `json:"mean"`
	StdDev float64 `json:"stddev"`
	// Ratio is how many times as fast a level is as the model as it is, in pairs of runs that followed one another.
	Ratio bench.Ratio `json:"ratio"`
}

// lab is a run.
type lab struct {
	Options
	source *bench.Source
	report *Report
	base   *goinfer.Model
	model  *bench.Model // as it is
	chunks []eval.Chunk
	level  string // what is at work
}

// Run measures the model of a source, after it has looked at the names of all levels. A level that the model has, or that is named twice, is measured once.
func Run(ctx context.Context, s *bench.Source, o Options) (*Report, error) {
	if o.Levels == nil {
		o.Levels = DefaultLevels
	}
	for _, l := range o.Levels {
		if err := bench.CheckLevel(l); err != nil {
			return nil, err
		}
	}
	l := &lab{Options: o, source: s, report: &Report{Model: s.Name, Text: o.TextName}}
	if err := l.defaults(); err != nil {
		return nil, err
	}
	m, err := s.Load(ctx, "", nil)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	l.model = m
	if l.base, err = m.Open(l.opening()); err != nil {
		return nil, err
	}
	defer l.base.Close()
	if err := l.cut(); err != nil {
		return nil, err
	}
	c := l.base.Info().Config
	l.report.Arch, l.report.Params = c.Arch, m.Params
	l.level = cmp.Or(strings.ToLower(l.base.Info().FileType), "source")
	if err := l.measure(ctx, m, true); err != nil {
		return nil, err
	}
	for _, level := range l.Levels {
		l.level = strings.ToLower(level)
		if slices.ContainsFunc(l.report.Rows, func(r Row) bool { return r.Level == l.level }) {
			continue
		}
		if err := l.quantised(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", l.level, err)
		}
	}
	return l.report, nil
}

// defaults fills in what Options leaves open.
func (l *lab) defaults() error {
	machine, err := probe.Machine()
	if err != nil {
		return err
	}
	or := func(n *int, def int) {
		if *n == 0 {
			*n = def
		}
	}
	or(&l.Threads, machine.Threads)
	or(&l.Chunk, min(eval.DefaultChunk, l.source.NCtx))
	or(&l.Chunks, 32)
	or(&l.Answer, 48)
	or(&l.Repetitions, 3)
	if l.Prompt == "" {
		l.Prompt = "Once upon a time"
	}
	r := l.report
	r.CPU, r.Threads, r.Prompt = machine.CPU, l.Threads, l.Prompt
	r.Pp, r.Tg = max(1, min(256, l.source.NCtx/2)), max(1, min(64, l.source.NCtx/2))
	return nil
}

// opening is how models are opened to predict and to continue.
func (l *lab) opening() goinfer.Options {
	return goinfer.Options{Context: max(l.Chunk, min(l.source.NCtx, 512)), Threads: l.Threads}
}

// cut takes chunks of the text, spread over it.
func (l *lab) cut() error {
	all, err := eval.Chunks(l.base.Tokenizer(), l.Text, l.Chunk)
	if err != nil {
		return err
	}
	l.chunks = eval.Spread(all, l.Chunks)
	l.report.Chunk, l.report.Chunks, l.report.Of = l.Chunk, len(l.chunks), len(all)
	return nil
}

// step tells how far something is.
func (l *lab) step(what string, done, total int) {
	if l.Step != nil {
		l.Step(l.level, what, done, total)
	}
}

// quantised makes a level and measures it.
func (l *lab) quantised(ctx context.Context) error {
	l.step("quantising", 0, 0)
	m, err := l.source.Load(ctx, l.level, func(done, total int64) { l.step("quantising", int(done>>20), int(total>>20)) })
	if err != nil {
		return err
	}
	defer debug.FreeOSMemory()
	defer m.Close()
	return l.measure(ctx, m, false)
}

// measure adds a row.
func (l *lab) measure(ctx context.Context, m *bench.Model, source bool) error {
	row := Row{Level: l.level, Source: source, Bytes: m.Size, BitsPerWeight: 8 * float64(m.Size) / float64(max(1, m.Params))}
	if err := l.speeds(ctx, m, &row); err != nil {
		return err
	}
	open := l.base
	if !source {
		var err error
		if open, err = m.Open(l.opening()); err != nil {
			return err
		}
	}
	row.Types = shares(open.Info().Tensors)
	err := l.predict(ctx, open, &row)
	if err == nil {
		l.step("continuing the prompt", 0, 0)
		row.Answer, err = l.answer(ctx, open)
	}
	if !source {
		err = errors.Join(err, open.Close())
	}
	if err != nil {
		return err
	}
	row.Same = len(row.Answer)
	if !source {
		row.Same = common(row.Answer, l.report.Rows[0].Answer)
	}
	l.report.Rows = append(l.report.Rows, row)
	return nil
}

// speeds measures prompts and generation, in turns with the model as it is.
func (l *lab) speeds(ctx context.Context, m *bench.Model, row *Row) error {
	if l.NoSpeed {
		return nil
	}
	l.step("measuring speed", 0, 2*l.Repetitions)
	w, err := probe.Begin(ctx, l.Threads, true)
	if err != nil {
		return err
	}
	done := 0
	for _, t := range []struct {
		test bench.Test
		to   *Speed
	}{{bench.Test{Prompt: l.report.Pp}, &row.Prefill}, {bench.Test{Gen: l.report.Tg}, &row.Decode}} {
		if *t.to, err = l.inTurns(ctx, m, t.test, func() {
			done++
			l.step("measuring speed", done, 2*l.Repetitions)
		}); err != nil {
			return err
		}
	}
	row.Load, err = w.End(ctx)
	return err
}

// inTurns measures a test, each time after one of the model as it is.
func (l *lab) inTurns(ctx context.Context, m *bench.Model, test bench.Test, step func()) (s Speed, err error) {
	models := []*bench.Model{m}
	if m != l.model {
		models = []*bench.Model{l.model, m}
	}
	rates := make([][]float64, len(models))
	sessions := make([]*bench.Session, len(models))
	settings := bench.Settings{Threads: l.Threads, Batch: bench.DefaultBatch, Ubatch: bench.DefaultUbatch}
	for i, m := range models {
		if sessions[i], err = m.Session(ctx, bench.Case{Settings: settings, Test: test}, true); err != nil {
			return s, err
		}
		defer sessions[i].Close()
	}
	for range l.Repetitions {
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

// predict measures perplexity and, of a level, divergence.
func (l *lab) predict(ctx context.Context, m *goinfer.Model, row *Row) error {
	o := eval.Options{Done: func(done, total int) { l.step("predicting", done, total) }}
	if row.Source {
		var err error
		row.Perplexity, err = eval.Perplexity(ctx, m, l.chunks, o)
		return err
	}
	c, err := eval.Compare(ctx, m, l.base, l.chunks, o)
	row.KL, row.Perplexity = &c, c.Result
	return err
}

// answer continues the prompt, taking the most probable token each time.
func (l *lab) answer(ctx context.Context, m *goinfer.Model) (string, error) {
	var b strings.Builder
	for piece, err := range m.Generate(ctx, goinfer.Request{Prompt: l.Prompt, MaxTokens: l.Answer}) {
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

// common is how many bytes two texts have in common at the beginning, in whole characters.
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
func shares(ts []goinfer.Tensor) []Share {
	var all []Share
	for _, t := range ts {
		name := t.Type.String()
		i := slices.IndexFunc(all, func(s Share) bool { return s.Type == name })
		if i < 0 {
			i = len(all)
			all = append(all, Share{Type: name})
		}
		all[i].Tensors++
		all[i].Bytes += t.Bytes()
	}
	slices.SortStableFunc(all, func(a, b Share) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return all
}
