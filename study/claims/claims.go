package claims

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/probe"
	"github.com/goinfer/goinfer/study/size"
)

// Options are what a report is made with.
type Options struct {
	Reported   Reported       // nil means Reading()
	Title      string         // title of the file that Reported is from; empty means the article
	Dense, MoE *bench.Subject // trained models, the second of experts
	DenseName  string         // what commands call them
	MoEName    string
	Text       string   // that they were not trained on
	Training   string   // that they were trained on, to look for new sentences; empty where it is not at hand
	Threads    int      //
	Quick      bool     // smaller models, and fewer: within a minute
	Only       []int    // numbers of claims; nil means all
	Flags      []string // further flags of the command that makes the report again
	// Step, if not nil, is called before each step of a claim.
	Step func(claim int, what string)
}

// Report is what came out.
type Report struct {
	Title   string        `json:"title,omitempty"`
	Machine probe.Info    `json:"machine"`
	Date    string        `json:"date"`
	Took    time.Duration `json:"took_ns"`
	Threads int           `json:"threads"`
	Quick   bool          `json:"quick"`
	Load    probe.Load    `json:"load"` // the worst while speeds were measured
	Counts  Counts        `json:"counts"`
	Claims  []*Claim      `json:"claims"`
	// Statements are those of the article, where it is what is reported.
	Statements []Statement `json:"statements,omitempty"`

	command string
}

// Counts are how many rows are of each kind, how many of them could not be judged, and how many statements of the article are of each kind.
type Counts struct {
	Measured      int    `json:"measured"`
	Computed      int    `json:"computed"`
	Busy          int    `json:"busy"`           // of the measured rows
	NotMeasurable int    `json:"not_measurable"` // of the rows
	Reported      int    `json:"reported"`       // rows whose figure the article gives
	Ours          int    `json:"our_threshold"`
	Statements    [3]int `json:"statements"` // measured, computed, not measurable
}

// Claim is one claim with what was found.
type Claim struct {
	Number   int       `json:"number"`
	Title    string    `json:"title"`
	Question string    `json:"question"` // to guess at before looking
	Verdict  Verdict   `json:"verdict"`
	Findings []Finding `json:"findings"`
	Notes    []string  `json:"notes,omitempty"`

	pictures []template.HTML
	reported Reported
	again    string
}

// Finding is one row. Figures are as people read them; "" where there is none.
type Finding struct {
	Key        string  `json:"key"`
	Statements []int   `json:"statements"`
	Text       string  `json:"text,omitempty"` // of the statement, from a file of statements
	What       string  `json:"what"`
	Kind       Kind    `json:"kind"`
	Origin     Origin  `json:"origin"`
	Reason     string  `json:"reason,omitempty"` // of our threshold
	Reported   string  `json:"reported"`
	Found      string  `json:"found"`
	Error      string  `json:"error"`
	Value      float64 `json:"value"`
	Deviation  float64 `json:"deviation"`
	Verdict    Verdict `json:"verdict"`
	Factor     float64 `json:"factor,omitempty"` // found over reported, of single figures
	Rule       string  `json:"rule"`
	How        string  `json:"how"`
	Command    string  `json:"command"`
	Timed      bool    `json:"timed,omitempty"`
}

// found is a figure with what belongs to it.
type found struct {
	value, err float64 // NaN where it could not be had; err 0 for what is exact
	format     func(float64) string
	kind       Kind
	timed      bool       // it is a speed, or follows from one
	load       probe.Load // while it was measured
	why        string     // it could not be had
	how        string
	command    string // that prints it; empty means the claim itself
}

// add judges a figure if something is reported of the row.
func (c *Claim) add(key, what string, f found) {
	row, ok := c.reported[key]
	if !ok {
		return
	}
	x := Finding{
		Key: key, Statements: row.Statements, Text: row.Text, What: what, Kind: f.kind, Origin: row.Origin, Reason: row.Reason, Reported: row.Limit.text(f.format),
		Rule: row.Limit.rule(), How: f.how, Command: cmp.Or(f.command, c.again), Timed: f.timed,
	}
	if row.Limit.kind == linear {
		f.format = plain
	}
	x.Verdict, x.Factor = row.Limit.Judge(f.value, f.err)
	if x.Verdict == NotMeasurable {
		x.Found, x.Error = cmp.Or(f.why, "this system does not report it"), "–"
		c.Findings = append(c.Findings, x)
		return
	}
	x.Value, x.Deviation, x.Found, x.Error = f.value, f.err, f.format(f.value), "exact"
	if f.err > 0 {
		x.Error = "± " + f.format(f.err)
	} else if f.kind == Measured {
		x.Error = "no error: the same on every run"
	}
	if f.timed && f.load.Busy() {
		x.Verdict, x.Factor = Busy, 0
		x.How += " " + strings.ToUpper(f.load.String()[:1]) + f.load.String()[1:] + "."
	}
	if math.IsInf(x.Factor, 0) || math.IsInf(x.Value, 0) {
		x.Factor, x.Value = 0, 0 // JSON has no such numbers
	}
	c.Findings = append(c.Findings, x)
}

// note adds a line of explanation.
func (c *Claim) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

// judge gives the claim the verdict of its worst finding, of those that could be judged.
func (c *Claim) judge() {
	c.Verdict = NotMeasurable
	if slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.Verdict == Busy }) {
		c.Verdict = Busy
	}
	judged := false
	for _, f := range c.Findings {
		if f.Verdict.judged() && (!judged || f.Verdict > c.Verdict) {
			c.Verdict, judged = f.Verdict, true
		}
	}
}

// Summary is the verdict in numbers.
func (c *Claim) Summary() string {
	var n [NotJudged + 1]int
	for _, f := range c.Findings {
		n[f.Verdict]++
	}
	var parts []string
	for _, v := range []struct {
		v    Verdict
		text string
	}{{Refuted, "%d do not hold"}, {Roughly, "%d hold roughly"}, {Holds, "%d hold"}, {Busy, "%d not measurable: the machine was busy"}, {NotMeasurable, "%d not measurable here"}} {
		switch {
		case n[v.v] == 1:
			text := strings.NewReplacer("do not hold", "does not hold", "%d hold", "%d holds").Replace(v.text)
			parts = append(parts, fmt.Sprintf(text, 1))
		case n[v.v] > 1:
			parts = append(parts, fmt.Sprintf(v.text, n[v.v]))
		}
	}
	if len(parts) == 0 {
		return "nothing to judge"
	}
	return strings.Join(parts, ", ")
}

// run is a report in the making.
type run struct {
	Options
	ctx     context.Context
	claim   int
	report  *Report
	reports map[string]*size.Breakdown
}

// step is a claim: what it asks, the rows that it can fill, and how.
type step struct {
	title, question string
	keys            []string // of its rows, or what they begin with
	do              func(*run, *Claim) error
}

// steps are the claims in order.
var steps = []step{
	{"How many parameters there are, and where", "Which part of Llama 2 7B has most of its parameters: the embedding, attention, or the feed-forward blocks?",
		[]string{"parameters/", "blocks-share/", "embedding", "output-formula/", "block/", "layers/", "attention-matrices/", "matrices/", "norms-share/"}, (*run).counts},
	{"Memory is bytes times parameters: 2 in FP16, ½ in INT4", "How many GB does a 70B model take in FP16, and how many in a file of 4 bits?",
		[]string{"fp16", "int4", "q4-resident", "overhead"}, (*run).memory},
	{"The cache of keys and values grows with context and batch", "Does twice the context always mean twice the cache?",
		[]string{"cache-"}, (*run).cache},
	{"Quantisation shrinks a model two to four times at little loss", "By how much does perplexity grow when each weight has 8 bits in place of 16? And with 4?",
		[]string{"shrinks/", "loss/", "latency/"}, (*run).quantisation},
	{"Time per token grows with parameters", "How many times as long as 7B does a 70B model take for a token?",
		[]string{"time-linear", "slower-70b"}, (*run).time},
	{"Mixtures of experts: speed follows active parameters, memory the total", "A model gets four times as many experts, as many at work as before. What becomes of its speed, and of its memory?",
		[]string{"total/", "active/", "dense-active/", "experts-sum/", "name/", "speed-of-experts", "memory-of-experts"}, (*run).mixtures},
	{"The router picks some experts for each token", "Two of eight experts work for a token. How many work for 32 tokens at once?",
		[]string{"experts-active", "router-", "balance", "touched-by-32"}, (*run).router},
	{"The next word is computed, not looked up", "How much more probable than \"west\" is \"east\" after \"The sun rises in the\"?",
		[]string{"paris-rank", "east/", "uncertain", "without-neurons"}, (*run).nextWord},
	{"Which size to choose", "Which of these sizes fits this machine, and how long would a token take?",
		[]string{"latency-below-1b", "fits/", "responsive/", "smallest"}, (*run).choosing},
	{"How many accelerators a model needs", "Does a 405B model fit eight accelerators of 80 GB?",
		[]string{"devices-", "batch/"}, (*run).devices},
	{"Training makes the weights", "How well does a model of the same shape with random weights predict a text?",
		[]string{"trained", "random-loss", "same-size", "steps/"}, (*run).training},
	{"What bounds speed: arithmetic or memory", "What takes longer for one token: reading its weights, or computing with them?",
		[]string{"bound/"}, (*run).bounds},
	{"Is there one neuron that knows?", "Of twelve facts in two models, how many hang on a single neuron?",
		[]string{"one-neuron", "spread/"}, (*run).neurons},
	{"Weights are plain numbers", "What does a trained weight look like, and how large is the largest?",
		[]string{"weights-"}, (*run).weights},
	{"A model is a lossy compressor", "Which needs fewer bits for a text: gzip, xz, or the model's predictions?",
		[]string{"compress/", "lossy", "parameters-per-fact"}, (*run).compression},
	{"Invented countries, and sentences that nobody wrote", "What does a model answer when it is asked for the capital of a country that does not exist?",
		[]string{"invented-", "novel"}, (*run).invention},
	{"What else is reported", "Which statements of such articles can no measurement on one machine judge?", nil, (*run).rest},
}

// Count is the number of claims.
var Count = len(steps)

// mine reports whether a key belongs to a step.
func (s *step) mine(key string) bool {
	return slices.ContainsFunc(s.keys, func(k string) bool { return strings.HasPrefix(key, k) })
}

// Known returns an error unless a key is that of a row that some claim can fill.
func Known(key string) error {
	if _, ok := Reading()[key]; ok {
		return nil
	}
	prefix, name, ok := strings.Cut(key, "/")
	if ok && slices.Contains(byName, prefix) {
		_, err := size.Known(name)
		return err
	}
	return fmt.Errorf("there is no row %.60q: want one that goinfer claims --rows lists, or one of %s with the name of a known model after it", key, strings.Join(byName, "/, ")+"/")
}

// byName are the keys that any known model may follow.
var byName = []string{"parameters", "fp16", "int4", "total", "active", "matrices", "devices-fp16", "devices-int8"}

// Run works through the claims.
func Run(ctx context.Context, o Options) (*Report, error) {
	began := time.Now()
	info, err := probe.Machine()
	if err != nil {
		return nil, err
	}
	article := o.Reported == nil
	if article {
		o.Reported = Reading()
		if o.Training == "" {
			delete(o.Reported, "novel-ngrams")
		}
	}
	r := &Report{Title: o.Title, Machine: info, Date: began.UTC().Format("2006-01-02"), Threads: o.Threads, Quick: o.Quick}
	in := &run{Options: o, ctx: ctx, report: r, reports: map[string]*size.Breakdown{}}
	r.command = in.again(o.Only...)
	if article {
		r.Statements = Statements
	}
	for i, s := range steps {
		number := i + 1
		if len(o.Only) > 0 && !slices.Contains(o.Only, number) {
			continue
		}
		if !(article && s.keys == nil) && !slices.ContainsFunc(slices.Collect(maps.Keys(o.Reported)), s.mine) {
			continue
		}
		c := &Claim{Number: number, Title: s.title, Question: s.question, reported: o.Reported, again: in.again(number)}
		in.claim = number
		if err := s.do(in, c); err != nil {
			return nil, fmt.Errorf("claim %d: %w", number, err)
		}
		if err := ctx.Err(); err != nil {
			return nil, fault.Cancelled(ctx)
		}
		c.judge()
		r.Claims = append(r.Claims, c)
	}
	r.count()
	r.Took = time.Since(began)
	return r, nil
}

// again is the command that works through claims once more, or without any through all.
func (r *run) again(claims ...int) string {
	parts := []string{"goinfer claims"}
	if len(claims) > 0 {
		parts = append(parts, "--only "+strings.Trim(strings.ReplaceAll(fmt.Sprint(claims), " ", ","), "[]"))
	}
	if r.Quick {
		parts = append(parts, "--quick")
	}
	return strings.Join(append(parts, r.Flags...), " ")
}

// count counts.
func (r *Report) count() {
	for _, c := range r.Claims {
		for _, f := range c.Findings {
			switch {
			case f.Verdict == NotMeasurable:
				r.Counts.NotMeasurable++
				continue
			case f.Verdict == Busy:
				r.Counts.Busy++
			}
			if f.Kind == Measured {
				r.Counts.Measured++
			} else {
				r.Counts.Computed++
			}
			if f.Origin == Article {
				r.Counts.Reported++
			} else {
				r.Counts.Ours++
			}
		}
	}
	for _, s := range r.Statements {
		r.Counts.Statements[s.Kind]++
	}
}

func (r *run) step(format string, args ...any) {
	if r.Step != nil {
		r.Step(r.claim, fmt.Sprintf(format, args...))
	}
}

// watched times something and says how busy the machine was meanwhile.
func (r *run) watched(do func() error) (probe.Load, error) {
	w, err := probe.Begin(r.ctx, r.Threads, true)
	if err != nil {
		return probe.Load{}, err
	}
	if err := do(); err != nil {
		return probe.Load{}, err
	}
	l, err := w.End(r.ctx)
	if r.report != nil {
		r.report.Load = r.report.Load.Worse(l)
	}
	return l, err
}

// shape counts a known model.
func (r *run) shape(name string) (*size.Breakdown, error) {
	if rep := r.reports[name]; rep != nil {
		return rep, nil
	}
	m, err := size.Known(name)
	if err != nil {
		return nil, err
	}
	rep, err := m.Breakdown()
	r.reports[name] = rep
	return rep, err
}

// shapes are the known models that a prefix has rows of, the smallest first.
func (r *run) shapes(prefix string, f func(name string, rep *size.Breakdown) error) error {
	names := slices.Collect(maps.Keys(r.Reported.under(prefix)))
	for _, name := range names {
		if _, err := r.shape(name); err != nil {
			return err
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(r.reports[a].Total, r.reports[b].Total), cmp.Compare(a, b))
	})
	for _, name := range names {
		if err := f(name, r.reports[name]); err != nil {
			return err
		}
	}
	return nil
}

// The ways to write figures.
func billions(x float64) string { return fmt.Sprintf("%.4g B", x) }
func gb(x float64) string       { return fmt.Sprintf("%.4g GB", x) }
func mb(x float64) string       { return fmt.Sprintf("%.4g MB", x) }
func ms(x float64) string       { return fmt.Sprintf("%.3g ms", x) }
func plain(x float64) string    { return fmt.Sprintf("%.4g", x) }
func count(x float64) string    { return fmt.Sprintf("%.0f", x) }
func millions(x float64) string { return fmt.Sprintf("%.4g M", x) }

// percent writes a share.
func percent(x float64) string {
	if x != 0 && math.Abs(x) < 0.001 {
		return fmt.Sprintf("%.4f %%", 100*x)
	}
	return fmt.Sprintf("%.1f %%", 100*x)
}

// times writes a factor, without a power of ten up to a billion.
func times(x float64) string {
	switch {
	case math.Abs(x) < 1000:
		return fmt.Sprintf("%.3g×", x)
	case math.Abs(x) < 1e6:
		return fmt.Sprintf("%.0f×", math.Round(x/10)*10)
	case math.Abs(x) < 1e9:
		return fmt.Sprintf("%.1f million×", x/1e6)
	}
	return fmt.Sprintf("%.1f billion×", x/1e9)
}
