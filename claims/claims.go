package claims

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/goinfer/goinfer/bench"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/params"
	"github.com/goinfer/goinfer/probe"
)

// Options are what a report is made with.
type Options struct {
	Said       Said
	Dense, MoE *bench.Source // trained models, the second of experts
	DenseName  string        // what commands call them
	MoEName    string
	Text       string // that they were not trained on
	Threads    int
	Quick      bool // smaller models, and fewer: within a minute
	// Step, if not nil, is called before each step of a claim.
	Step func(claim int, what string)
}

// Report is what came out.
type Report struct {
	Machine probe.Info    `json:"machine"`
	Date    string        `json:"date"`
	Took    time.Duration `json:"took_ns"`
	Threads int           `json:"threads"`
	Quick   bool          `json:"quick"`
	Claims  []*Claim      `json:"claims"`
}

// Claim is one claim with what was found.
type Claim struct {
	Number   int       `json:"number"`
	Title    string    `json:"title"`
	Verdict  Verdict   `json:"verdict"`
	Findings []Finding `json:"findings"`
	Notes    []string  `json:"notes,omitempty"`

	pictures []template.HTML
}

// Finding is one statement. Figures are as people read them; "" where there is none.
type Finding struct {
	What     string  `json:"what"`
	Said     string  `json:"said"`
	Theory   string  `json:"theory"`
	Measured string  `json:"measured"`
	Verdict  Verdict `json:"verdict"`
	Factor   float64 `json:"factor"` // found over said, 1 within a range
	Command  string  `json:"command"`
}

// none is a figure that there is not.
var none = math.NaN()

// find judges a figure: what was measured, or where nothing was, what theory gives.
func (c *Claim) find(what string, said Range, theory, measured float64, format func(float64) string, command string) {
	found := measured
	if math.IsNaN(found) {
		found = theory
	}
	f := Finding{What: what, Said: said.text(format), Command: command}
	f.Verdict, f.Factor = said.judge(found)
	if !math.IsNaN(theory) {
		f.Theory = format(theory)
	}
	if !math.IsNaN(measured) {
		f.Measured = format(measured)
	}
	if math.IsNaN(f.Factor) || math.IsInf(f.Factor, 0) {
		f.Factor = 0 // JSON has no such numbers
	}
	c.Findings = append(c.Findings, f)
}

// note adds a line of explanation.
func (c *Claim) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

// judge gives the claim the verdict of its worst finding.
func (c *Claim) judge() {
	c.Verdict = Holds
	for _, f := range c.Findings {
		if f.Verdict != NotMeasurable {
			c.Verdict = max(c.Verdict, f.Verdict)
		}
	}
	if !slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.Verdict != NotMeasurable }) {
		c.Verdict = NotMeasurable
	}
}

// Summary is the verdict with what it is that does not hold.
func (c *Claim) Summary() string {
	n, bad, rough := 0, 0, 0
	for _, f := range c.Findings {
		switch f.Verdict {
		case NotMeasurable:
			continue
		case Refuted:
			bad++
		case Roughly:
			rough++
		}
		n++
	}
	switch {
	case bad > 0:
		return fmt.Sprintf("%d of %d statements do not hold", bad, n)
	case rough > 0:
		return fmt.Sprintf("%d of %d statements hold roughly, the others hold", rough, n)
	}
	return c.Verdict.String()
}

// run is a report in the making.
type run struct {
	Options
	ctx     context.Context
	claim   int
	reports map[string]*params.Report
}

// steps are the claims in order.
var steps = [Count]struct {
	title string
	do    func(*run, *Claim) error
}{
	{"How many parameters there are, and where", (*run).counts},
	{"Memory is bytes times parameters: 2 in FP16, ½ in INT4", (*run).memory},
	{"The cache of keys and values grows with context and batch", (*run).cache},
	{"Quantisation shrinks a model two to four times at minimal loss", (*run).quantisation},
	{"Time per token grows with parameters", (*run).time},
	{"Mixtures of experts: speed follows active parameters, memory the total", (*run).mixtures},
	{"The router picks some experts for each token", (*run).router},
	{"\"The sun rises in the\" → east, computed and not looked up", (*run).east},
	{"Grouped-query attention shrinks the cache; which size to choose", (*run).grouped},
	{"How many 80 GB accelerators a model needs", (*run).devices},
	{"Training makes the weights", (*run).training},
	{"What bounds speed: operations or bytes", (*run).bounds},
	{"What else is said", (*run).rest},
}

// Count is the number of claims.
const Count = 13

// Run works through all claims.
func Run(ctx context.Context, o Options) (*Report, error) {
	began := time.Now()
	info, err := probe.Machine()
	if err != nil {
		return nil, err
	}
	r := &Report{Machine: info, Date: began.UTC().Format("2006-01-02"), Threads: o.Threads, Quick: o.Quick}
	in := &run{Options: o, ctx: ctx, reports: map[string]*params.Report{}}
	for i, s := range steps {
		c := &Claim{Number: i + 1, Title: s.title}
		in.claim = c.Number
		if err := s.do(in, c); err != nil {
			return nil, fmt.Errorf("claim %d: %w", c.Number, err)
		}
		if err := ctx.Err(); err != nil {
			return nil, fault.Cancelled(ctx)
		}
		c.judge()
		r.Claims = append(r.Claims, c)
	}
	r.Took = time.Since(began)
	return r, nil
}

func (r *run) step(format string, args ...any) {
	if r.Step != nil {
		r.Step(r.claim, fmt.Sprintf(format, args...))
	}
}

// report counts a known model.
func (r *run) report(name string) (*params.Report, error) {
	if rep := r.reports[name]; rep != nil {
		return rep, nil
	}
	m, err := params.Shape(name)
	if err != nil {
		return nil, err
	}
	rep, err := m.Report()
	r.reports[name] = rep
	return rep, err
}

// models are the known models of a map, the smallest first.
func models[T any](r *run, m map[string]T, f func(name string, said T, rep *params.Report) error) error {
	names := slices.Collect(maps.Keys(m))
	for _, name := range names {
		if _, err := r.report(name); err != nil {
			return err
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(r.reports[a].Total, r.reports[b].Total), cmp.Compare(a, b))
	})
	for _, name := range names {
		if err := f(name, m[name], r.reports[name]); err != nil {
			return err
		}
	}
	return nil
}

// The ways to write figures.
func billions(x float64) string { return fmt.Sprintf("%.4g B", x) }
func gb(x float64) string       { return fmt.Sprintf("%.4g GB", x) }
func mb(x float64) string       { return fmt.Sprintf("%.4g MB", x) }
func plain(x float64) string    { return fmt.Sprintf("%.4g", x) }
func times(x float64) string    { return fmt.Sprintf("%.3g×", x) }
func percent(x float64) string  { return fmt.Sprintf("%.1f %%", 100*x) }
func count(x float64) string    { return fmt.Sprintf("%.0f", x) }
func millions(x float64) string { return fmt.Sprintf("%.4g M", x/1e6) }
