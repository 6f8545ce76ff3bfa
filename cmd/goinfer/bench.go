package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/probe"
)

// benchFlags are the flags of bench.
type benchFlags struct {
	models                      []string
	prompt, gen, depth, threads numbers
	batch, ubatch, parallel     numbers
	pairs                       pairs
	k, v                        cacheTypes
	levels                      []string
	repetitions                 int
	delay                       int
	noWarmup, noProbe, json     bool
	out, outErr                 benchFormat
	against                     string
}

func newBench() *cobra.Command {
	f := benchFlags{
		prompt: numbers{values: []int{512}}, gen: numbers{values: []int{128}}, depth: numbers{values: []int{0}}, batch: numbers{values: []int{bench.DefaultBatch}},
		ubatch: numbers{values: []int{bench.DefaultUbatch}}, k: cacheTypes{values: make([]cacheType, 1)}, v: cacheTypes{values: make([]cacheType, 1)}, out: "md",
	}
	cmd := &cobra.Command{
		Use:        "bench [flags] [MODEL...]",
		Short:      "Measure how fast models run",
		SuggestFor: []string{"benchmark"},
		Long: `Measures how fast prompts are evaluated (pp512 is a prompt of 512 tokens) and text is generated (tg128
is 128 tokens), as llama-bench does, and how near that comes to what the machine can do: how many
bytes of weights are read per second, which part of the memory's bandwidth at that moment that is,
and which part of its peak of arithmetic a prompt reaches.

MODEL may also be a shape that 'goinfer synth --list' lists; it gets random weights, in memory.
With --levels a model is quantised, in memory, to each of these file types; 'goinfer quantize --help'
lists all types.

Flags with N,... take several numbers, separated by commas, ranges as in 1-8, 1-8+2 and 128-1024*2,
and may be repeated; all combinations are measured. With -npl so many sequences are evaluated, and
then continued, side by side, as llama-batched-bench does: -npp and -ntg are -p and -n.

--against has another engine's llama-bench measure the same, alternately, so that both meet the same
conditions, and reports how many times faster this one is, with a 95 % interval.`,
		Example: `  goinfer bench -m model.gguf
  goinfer bench -m a.gguf -m b.gguf -p 0 -n 128 -t 1,2 -d 0,4096 -o json
  goinfer bench -m model.gguf --against llama.cpp/build/bin/llama-bench
  goinfer bench -m model.gguf -npp 128 -ntg 128 -npl 1,8
  goinfer bench --levels f16,q8_0,q4_k_m tinyllama-1.1b`,
		ValidArgsFunction: completeModel,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.StringArrayVarP(&f.models, "model", "m", nil, "the same as `MODEL`; may be repeated")
	fs.VarP(&f.prompt, "n-prompt", "p", "tokens of a prompt, `N,...`; 0 leaves this test out")
	fs.VarP(&f.gen, "n-gen", "n", "tokens to generate, `N,...`; 0 leaves this test out")
	fs.Var(&f.pairs, "prompt-gen", "a prompt and what is generated in one test, `N,N` (-pg); may be repeated")
	fs.VarP(&f.depth, "n-depth", "d", "tokens in the cache before each test, `N,...`")
	fs.Var(&f.parallel, "n-parallel", "sequences side by side, `N,...` (-npl)")
	fs.VarP(&f.threads, "threads", "t", "threads, `N,...` (default one for every core that may be used)")
	fs.VarP(&f.batch, "batch-size", "b", "tokens of a prompt handed over at once, `N,...`")
	fs.Var(&f.ubatch, "ubatch-size", "tokens of a prompt computed at once, `N,...` (-ub)")
	fs.Var(&f.k, "cache-type-k", "formats of cached keys, `TYPE,...` (-ctk)")
	fs.Var(&f.v, "cache-type-v", "formats of cached values, `TYPE,...` (-ctv)")
	fs.StringSliceVar(&f.levels, "levels", nil, "quantise models to these file types, `T,...`, such as f16,q8_0,q4_k_m")
	fs.IntVarP(&f.repetitions, "repetitions", "r", 5, "measurements of each test")
	fs.StringVar(&f.against, "against", "", "`PATH` of another engine's llama-bench, to compare with")
	fs.VarP(&f.out, "out", "o", "`FORMAT` of the output: "+strings.Join(benchFormats, ", "))
	fs.BoolVar(&f.json, "json", false, "the same as -o json")
	fs.Var(&f.outErr, "output-err", "`FORMAT` of a second output, to standard error (-oe)")
	fs.IntVar(&f.delay, "delay", 0, "seconds to wait before each test")
	fs.BoolVar(&f.noWarmup, "no-warmup", false, "measure from the first run on")
	fs.BoolVar(&f.noProbe, "no-probe", false, "leave out what the machine can do")
	return cmd
}

func (f *benchFlags) run(cmd *cobra.Command, args []string) error {
	if f.models = append(f.models, args...); len(f.models) == 0 {
		f.models = []string{embedded.Default}
	}
	cases, err := f.cases()
	if err != nil {
		return err
	}
	switch {
	case f.repetitions < 1:
		return usagef("-r, --repetitions: want at least 1, found %d", f.repetitions)
	case f.delay < 0:
		return usagef("--delay: want at least 0, found %d", f.delay)
	}
	if f.json {
		if cmd.Flags().Changed("out") && f.out != "json" {
			return usagef("--json and -o %s: want one of them", f.out)
		}
		f.out = "json"
	}
	r := bench.Runner{Repetitions: f.repetitions, Warmup: !f.noWarmup, Probe: !f.noProbe, Delay: time.Duration(f.delay) * time.Second}
	if f.against != "" {
		if r.Baseline, err = bench.NewBaseline(f.against); err != nil {
			return err
		}
	}
	sources, err := f.sources(cmd, cases)
	if err != nil {
		return err
	}
	outputs := []benchOutput{newBenchOutput(f.out, cmd.OutOrStdout(), f)}
	if f.outErr != "" {
		outputs = append(outputs, newBenchOutput(f.outErr, cmd.ErrOrStderr(), f))
	}
	err = f.measure(cmd, &r, sources, cases, outputs)
	for _, o := range outputs {
		if e := o.end(); err == nil {
			err = e
		}
	}
	return err
}

// cases are all combinations that the flags ask for, in the order of llama-bench.
func (f *benchFlags) cases() ([]bench.Case, error) {
	for _, l := range f.levels {
		if err := bench.CheckType(l); err != nil {
			return nil, usagef("--levels: %w", err)
		}
	}
	parallel := len(f.parallel.values) > 0
	switch {
	case parallel && slices.ContainsFunc(f.depth.values, func(d int) bool { return d > 0 }):
		return nil, usagef("-npl: sequences side by side have no depth but their prompts: want no -d")
	case parallel && len(f.pairs) > 0:
		return nil, usagef("-npl: every prompt is continued: want -p and -n in place of -pg")
	case slices.Contains(f.parallel.values, 0):
		return nil, usagef("-npl: want at least 1 sequence, found 0")
	}
	if len(f.threads.values) == 0 {
		m, err := probe.Machine()
		if err != nil {
			return nil, err
		}
		f.threads.values = []int{m.Threads}
	}
	tests := f.tests()
	if len(tests) == 0 {
		return nil, usagef("there is nothing to measure: want one of -p, -n and -pg above 0")
	}
	cases := []bench.Case{{}}
	cases = vary(cases, f.threads.values, func(c *bench.Case, n int) { c.Threads = n })
	cases = vary(cases, f.batch.values, func(c *bench.Case, n int) { c.Batch = n })
	cases = vary(cases, f.ubatch.values, func(c *bench.Case, n int) { c.Ubatch = n })
	cases = vary(cases, f.k.values, func(c *bench.Case, k cacheType) { c.K = goinfer.CacheType(k) })
	cases = vary(cases, f.v.values, func(c *bench.Case, v cacheType) { c.V = goinfer.CacheType(v) })
	return vary(cases, tests, func(c *bench.Case, t bench.Test) { c.Test = t }), nil
}

// vary makes a copy of each item for each value, which set enters: the cross product of lists, that
// of the last call varying fastest.
func vary[T, V any](items []T, values []V, set func(*T, V)) []T {
	var all []T
	for _, item := range items {
		for _, v := range values {
			one := item
			set(&one, v)
			all = append(all, one)
		}
	}
	return all
}

// tests are those of one setting.
func (f *benchFlags) tests() []bench.Test {
	one := []bench.Test{{}}
	setPrompt := func(t *bench.Test, n int) { t.Prompt = n }
	setGen := func(t *bench.Test, n int) { t.Gen = n }
	var ts []bench.Test
	if len(f.parallel.values) > 0 {
		ts = vary(one, f.parallel.values, func(t *bench.Test, n int) { t.Parallel = n })
		ts = vary(vary(ts, f.prompt.values, setPrompt), f.gen.values, setGen)
	} else {
		ts = slices.Concat(vary(one, f.prompt.values, setPrompt), vary(one, f.gen.values, setGen),
			vary(one, f.pairs, func(t *bench.Test, p [2]int) { t.Prompt, t.Gen = p[0], p[1] }))
		depths := vary(one, f.depth.values, func(t *bench.Test, n int) { t.Depth = n })
		ts = vary(depths, ts, func(t *bench.Test, of bench.Test) { t.Prompt, t.Gen = of.Prompt, of.Gen })
	}
	return slices.DeleteFunc(ts, func(t bench.Test) bool { return t.Prompt+t.Gen == 0 })
}

// sources finds the models and makes sure that every case can be measured on each, before any is.
func (f *benchFlags) sources(cmd *cobra.Command, cases []bench.Case) ([]*bench.Subject, error) {
	var sources []*bench.Subject
	for _, name := range f.models {
		s, err := await(cmd.Context(), func() (*bench.Subject, error) { return benchSource(name) })
		if err != nil {
			return nil, err
		}
		if f.against != "" && (s.Path == "" || len(f.levels) > 0) {
			return nil, usagef("--against compares on files, and %s is in memory: write it to one first (goinfer synth)", s.Name)
		}
		for _, w := range s.Warnings {
			note(cmd, "%s: %s", s.Name, w)
		}
		if s.Encoder && !f.gen.set {
			note(cmd, "%s reads texts as a whole and generates none: only prompts are measured", s.Name)
		}
		for _, c := range f.casesOf(s, cases) {
			if err := c.Check(s); err != nil {
				return nil, err
			}
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// casesOf are the cases for a model: of one that reads texts as a whole those without generation,
// unless that is asked for.
func (f *benchFlags) casesOf(s *bench.Subject, cases []bench.Case) []bench.Case {
	if !s.Encoder || f.gen.set {
		return cases
	}
	return slices.DeleteFunc(slices.Clone(cases), func(c bench.Case) bool { return c.Gen > 0 && c.Prompt == 0 })
}

// benchSource is what MODEL names: a file or a built-in model, or else a shape.
func benchSource(name string) (*bench.Subject, error) {
	s, err := find(name)
	if err != nil {
		return nil, err
	}
	return bench.Open(s.Source)
}

// measure runs all cases and writes each result when it is there.
func (f *benchFlags) measure(cmd *cobra.Command, r *bench.Runner, sources []*bench.Subject, cases []bench.Case, outputs []benchOutput) error {
	levels := f.levels
	if len(levels) == 0 {
		levels = []string{""}
	}
	commit, _ := revision()
	for _, s := range sources {
		for _, level := range levels {
			m, err := benchModel(cmd, s, level)
			if err != nil {
				return err
			}
			for _, c := range f.casesOf(s, cases) {
				res, err := benchCase(cmd, r, m, c)
				if err != nil {
					return err
				}
				res.BuildCommit = commit
				for _, o := range outputs {
					if err := o.row(res); err != nil {
						return err
					}
				}
			}
			m.Close()
		}
	}
	return nil
}

// benchModel makes a model.
func benchModel(cmd *cobra.Command, s *bench.Subject, level string) (*bench.Model, error) {
	bar := startProgress(cmd, strings.TrimSpace("making "+s.Name+" "+level), -1)
	defer bar.end()
	return s.Load(cmd.Context(), level, func(done, total int64) { bar.set(int(done>>20), int(total>>20)) })
}

// benchCase measures a case. Opening a model cannot be interrupted, all else can.
func benchCase(cmd *cobra.Command, r *bench.Runner, m *bench.Model, c bench.Case) (*bench.Result, error) {
	bar := startProgress(cmd, fmt.Sprintf("%s %s", m.Name, c.Test), r.Repetitions)
	defer bar.end()
	done := 0
	r.Step = func() {
		done++
		bar.set(done, r.Repetitions)
	}
	return r.Run(cmd.Context(), m, c)
}
