package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/probe"
	"github.com/goinfer/goinfer/study/size"
)

// planFlags are the flags of plan.
type planFlags struct {
	model            string
	types            []string
	contexts, batch  numbers
	cache            cacheType
	device, memory   byteSize
	rate             float64
	threads          int
	noSpeed, measure bool
	json             bool
}

// planned is what plan writes as JSON.
type planned struct {
	*size.Estimate
	Compared *bench.PredictionCheck `json:"compared,omitempty"`
}

// planTypes are the types beside those asked for.
var planTypes = []string{"F16", "Q8_0", "Q4_K_M"}

// chooseBy is the known model that stands for all where one is to be chosen: slices of it are
// quickly made.
const chooseBy = "tinyllama-1.1b"

// chooseContext is the context that a chosen model has room for where none is asked for: that of
// the oldest known models in use, such as Llama 2.
const chooseContext = 4096

func newPlan() *cobra.Command {
	f := planFlags{contexts: numbers{}, batch: numbers{values: []int{1}}}
	cmd := &cobra.Command{
		Use:   "plan [flags] [MODEL]",
		Short: "Estimate the memory and the speed of a model on this machine",
		Long: `Works out the memory that a model takes, by type, context and number of sequences, whether it fits,
and how fast it will be. MODEL is anything that goinfer params takes. 'goinfer quantize --help' lists
all types.

Speed is measured on slices of the model: a few of its layers, with random weights in its types, run
by this engine on this machine. It takes some seconds; --no-speed does without. --measure then runs
the model itself (one of random weights, for a known one) alternately with its slices, and shows what
was predicted beside what was measured.

With --memory or --rate and no MODEL it lists the known models that fit, the largest first.`,
		Example: `  goinfer plan llama-2-7b
  goinfer plan llama-2-70b -c 4096,32768 -npl 1,16 --type f16 --no-speed
  goinfer plan llama-3.1-405b --device-mem 80GB --no-speed
  goinfer plan model.gguf --measure
  goinfer plan --memory 16GB --rate 10`,
		ValidArgsFunction: completeNamed,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.StringSliceVar(&f.types, "type", nil, "`TYPES` of the weights; speed is estimated for the first one (default a file's own, or Q4_K_M)")
	fs.VarP(&f.contexts, "ctx-size", "c", "contexts (default some up to the model's)")
	fs.VarP(&f.batch, "n-parallel", "b", "sequences side by side (-npl)")
	fs.Var(&f.cache, "cache-type", "format of the cache: "+cacheTypeNames()+" (-ctk)")
	fs.Var(&f.device, "device-mem", "memory of an accelerator, such as 80GB: how many of them does the model need?")
	fs.Var(&f.memory, "memory", "choose a model of at most so much memory, such as 16GB (default what is available)")
	fs.Float64Var(&f.rate, "rate", 0, "choose a model of at least so many tokens a second")
	fs.IntVarP(&f.threads, "threads", "t", 0, "threads (default one for every core that may be used)")
	fs.BoolVar(&f.noSpeed, "no-speed", false, "estimate memory alone, and measure nothing")
	fs.BoolVar(&f.measure, "measure", false, "run the model, and compare")
	fs.BoolVar(&f.json, "json", false, "write everything as JSON")
	addModel(fs, &f.model)
	return cmd
}

func (f *planFlags) run(cmd *cobra.Command, args []string) error {
	switch {
	case f.threads < 0 || f.threads > goinfer.MaxThreads:
		return usagef("-t, --threads: want 0 to %d, found %d", goinfer.MaxThreads, f.threads)
	case slices.Contains(f.contexts.values, 0):
		return usagef("-c, --ctx-size: want at least 1, found 0")
	case slices.Contains(f.batch.values, 0):
		return usagef("-npl, --n-parallel: want at least 1, found 0")
	case f.measure && f.noSpeed:
		return usagef("--measure compares speed, which --no-speed leaves out")
	case math.IsNaN(f.rate) || f.rate < 0:
		return usagef("--rate: want a number of tokens a second, found %g", f.rate)
	}
	for _, t := range f.types {
		if err := bench.CheckType(t); err != nil {
			return usagef("--type: %w", err)
		}
	}
	if f.threads == 0 {
		info, err := probe.Machine()
		if err != nil {
			return err
		}
		f.threads = info.Threads
	}
	if len(args) == 0 && f.model == "" && (f.memory > 0 || f.rate > 0) {
		return f.choose(cmd)
	}
	if f.memory > 0 || f.rate > 0 {
		return usagef("--memory and --rate choose a model: want none")
	}
	name, err := modelOnly(f.model, args)
	if err != nil {
		return err
	}
	m, err := findParams(cmd.Context(), name)
	if err != nil {
		return err
	}
	e, err := size.NewEstimate(m, f.grid(m))
	if err != nil {
		return err
	}
	p := &planned{Estimate: e}
	if f.device > 0 {
		p.DeviceBytes, p.Devices = int64(f.device), size.CountDevices(p.Total, int64(f.device))
	}
	if _, err := m.Shape(); err != nil && !f.measure && !f.noSpeed {
		note(cmd, "speed is not estimated, for want of a slice of the model: %s", oneLine(err))
	} else if !f.noSpeed {
		if err := f.estimateSpeed(cmd, name, m, p); err != nil {
			return fmt.Errorf("%w; --no-speed estimates memory alone", err)
		}
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if f.json {
		err = writeJSON(out, p)
	} else {
		writePlanned(out, p)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// grid is what the estimate is made for: what is asked for, and otherwise the file's own type
// beside the usual ones, and contexts up to the model's.
func (f *planFlags) grid(m *size.Layout) size.Grid {
	g := size.Grid{Types: f.types, Contexts: f.contexts.values, Sequences: f.batch.values, K: goinfer.CacheType(f.cache), V: goinfer.CacheType(f.cache)}
	if len(g.Types) == 0 {
		own := bench.DefaultType
		if m.FileType != "" {
			own = m.FileType
		}
		g.Types = []string{own}
		for _, t := range planTypes {
			if !strings.EqualFold(t, own) {
				g.Types = append(g.Types, t)
			}
		}
	}
	if len(g.Contexts) == 0 {
		for _, n := range []int{512, 4096, 32768} {
			if n < m.Config.NCtx {
				g.Contexts = append(g.Contexts, n)
			}
		}
		g.Contexts = append(g.Contexts, m.Config.NCtx)
	}
	return g
}

func (f *planFlags) options(cmd *cobra.Command, what string) (bench.CalibrateOptions, *progress) {
	bar := startProgress(cmd, what, -1)
	return bench.CalibrateOptions{Threads: f.threads, K: goinfer.CacheType(f.cache), V: goinfer.CacheType(f.cache), Done: bar.set}, bar
}

// estimateSpeed measures slices; name is what m was found by.
func (f *planFlags) estimateSpeed(cmd *cobra.Command, name string, m *size.Layout, p *planned) error {
	o, bar := f.options(cmd, "measuring slices of the model")
	defer bar.end()
	var s *size.Speed
	var err error
	if f.measure {
		s, p.Compared, err = f.compare(cmd, name, m, p.Estimate, o)
	} else {
		s, err = bench.Calibrate(cmd.Context(), p.Layout(), o)
	}
	if err != nil {
		return err
	}
	return p.AddSpeed(s)
}

// compare runs the model alternately with its slices.
func (f *planFlags) compare(cmd *cobra.Command, name string, m *size.Layout, p *size.Estimate, o bench.CalibrateOptions) (*size.Speed, *bench.PredictionCheck, error) {
	src, err := await(cmd.Context(), func() (*bench.Subject, error) { return benchSource(name) })
	if err != nil {
		return nil, nil, err
	}
	fileType := p.Layout().FileType
	if p.Layout() == m {
		fileType = "" // the estimate is for the file as it is
	}
	loaded, err := src.Load(cmd.Context(), fileType, nil)
	if err != nil {
		return nil, nil, err
	}
	defer loaded.Close()
	return bench.CheckPrediction(cmd.Context(), p.Layout(), loaded, o)
}

// checkChoose refuses what a choice among known models cannot heed.
func (f *planFlags) checkChoose(cmd *cobra.Command) error {
	for _, name := range []string{"n-parallel", "device-mem", "no-speed", "measure"} {
		if cmd.Flags().Changed(name) {
			return usagef("--%s is for one model, and none is named: --memory and --rate choose one by its speed", name)
		}
	}
	if len(f.types) > 1 || len(f.contexts.values) > 1 {
		return usagef("--memory and --rate choose a model for one type and one context, found %d and %d", len(f.types), len(f.contexts.values))
	}
	return nil
}

// choose lists known models.
func (f *planFlags) choose(cmd *cobra.Command) error {
	if err := f.checkChoose(cmd); err != nil {
		return err
	}
	memory := int64(f.memory)
	if memory == 0 {
		info, err := probe.Machine()
		if err != nil {
			return err
		}
		if memory = info.MemoryAvailable; memory == 0 {
			return errors.New("this system does not report how much memory is available: want --memory")
		}
	}
	typ := bench.DefaultType
	if len(f.types) > 0 {
		typ = f.types[0]
	}
	m, err := size.Known(chooseBy)
	if err == nil {
		m, err = m.As(typ)
	}
	if err != nil {
		return err
	}
	o, bar := f.options(cmd, "measuring")
	defer bar.end()
	s, err := bench.Calibrate(cmd.Context(), m, o)
	if err != nil {
		return err
	}
	bar.end()
	load := size.Workload{Context: chooseContext, Sequences: 1, K: o.K, V: o.V}
	if len(f.contexts.values) > 0 {
		load.Context = f.contexts.values[0]
	}
	cs, err := size.Choose(s, load, memory, f.rate)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if f.json {
		err = writeJSON(out, cs)
	} else {
		rate := ""
		if f.rate > 0 {
			rate = fmt.Sprintf(", and at least %g tokens/s", f.rate)
		}
		fmt.Fprintf(out, "Known models as %s with at most %s for a context of %d%s on this machine (reads %.1f GB/s, the engine %.1f)\n\n",
			s.Type, goinfer.Bytes(memory), load.Context, rate, s.Bandwidth, 1e-9/s.Byte)
		writeChoices(out, cs)
		writeLoad(out, s.Load)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

func writeChoices(out io.Writer, cs []size.Choice) {
	if len(cs) == 0 {
		fmt.Fprintln(out, "None fits: a smaller type, a shorter context or fewer tokens a second are needed.")
		return
	}
	t := table(out)
	fmt.Fprintln(t, "model\tparameters\tactive\tmemory\ttokens/s\t")
	for _, c := range cs {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%6.1f\t%s\n", c.Name, size.FormatCount(c.Total), size.FormatCount(c.Active), goinfer.Bytes(c.Memory), c.Rate, c.About)
	}
	t.Flush()
}

func writePlanned(out io.Writer, p *planned) {
	active := ""
	if p.Active != p.Total {
		active = fmt.Sprintf(", %s of them active", size.FormatCount(p.Active))
	}
	fmt.Fprintf(out, "%s: %s parameters%s\n", printable(p.Name), size.FormatCount(p.Total), active)
	if p.Available > 0 {
		fmt.Fprintf(out, "Of this machine's memory %s are available (%s).\n", goinfer.Bytes(p.Available), p.Why)
	}
	fmt.Fprintln(out)
	t := table(out)
	head := "type\tcontext\tbatch\tweights\tKV cache\tactivations\trest\ttogether\tfits\t"
	if p.Speed != nil {
		head += "tokens/s\tat the end\tmost\tprompt\t"
	}
	fmt.Fprintln(t, head)
	for _, r := range p.Rows {
		fits := "no"
		switch {
		case p.Available == 0:
			fits = "–" // the system does not report it
		case r.Fits:
			fits = "yes"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t", r.Type, r.Context, r.Sequences, goinfer.Bytes(r.Weights), goinfer.Bytes(r.Cache), goinfer.Bytes(r.Scratch),
			goinfer.Bytes(r.Overhead), goinfer.Bytes(r.Total), fits)
		if r.First != nil {
			fmt.Fprintf(t, "%.3g\t%.3g\t%.3g\t%.3g\t", r.First.Rate, r.Last.Rate, r.First.Bound, r.First.Prompt)
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	if s := p.Speed; s != nil {
		writeSpeed(out, p.Rows[0], s)
	}
	if c := p.Compared; c != nil {
		writeCompared(out, c)
	}
	if p.Speed != nil {
		writeLoad(out, p.Speed.Load)
	}
	if len(p.Devices) > 0 {
		fmt.Fprintf(out, "\nDevices of %s\n", gigabytes(p.DeviceBytes))
		t := table(out)
		fmt.Fprintln(t, "  precision\tweights\tdevices that hold them\twith a fifth left for the rest\t")
		for _, d := range p.Devices {
			fmt.Fprintf(t, "  %s\t%s\t%d\t%d\t\n", d.Precision, gigabytes(d.Weights), d.Devices, d.WithReserve)
		}
		t.Flush()
	}
}

func writeSpeed(out io.Writer, r size.EstimateRow, s *size.Speed) {
	slice := fmt.Sprintf("a slice of %s, %s", plural(s.SliceLayers, "layer"), goinfer.Bytes(s.SliceBytes))
	switch {
	case s.Whole:
		slice = "a model as large, of random weights"
	case s.Narrowed:
		slice += ", narrower than the model"
	}
	fmt.Fprintf(out, "\nA token reads %s of weights. Memory gives %.1f GB/s; the engine used %.1f on %s, with %s.\n",
		goinfer.Bytes(int64(r.First.Bytes)), s.Bandwidth, 1e-9/s.Byte, slice, plural(s.Threads, "thread"))
	fmt.Fprintf(out, "Tokens/s are of all sequences together; most is what the bandwidth allows.\n")
}

func writeCompared(out io.Writer, c *bench.PredictionCheck) {
	fmt.Fprintln(out)
	t := table(out)
	fmt.Fprintln(t, "\tpredicted\tmeasured\tratio\t")
	if c.MeasuredMemory > 0 {
		fmt.Fprintf(t, "memory\t%s\t%s\t%.2f\t\n", goinfer.Bytes(c.Memory), goinfer.Bytes(c.MeasuredMemory), c.MemoryRatio)
	}
	fmt.Fprintf(t, "tokens/s\t%.4g\t%.4g\t%.2f\t\n", 1/c.Token, 1/c.MeasuredToken, 1/c.TokenRatio)
	fmt.Fprintf(t, "prompt tokens/s\t%.4g\t%.4g\t%.2f\t\n", 1/c.Prompt, 1/c.MeasuredPrompt, 1/c.PromptRatio)
	t.Flush()
}

// byteSize is a flag of a number of bytes with its unit: 80GB, 80GiB, 512M.
type byteSize int64

func (b *byteSize) Type() string { return "SIZE" }

func (b *byteSize) String() string {
	if *b == 0 {
		return ""
	}
	return gigabytes(int64(*b))
}

var sizePattern = regexp.MustCompile(`(?i)^(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?$`)

func (b *byteSize) Set(s string) error {
	m := sizePattern.FindStringSubmatch(s)
	if m == nil || m[2] == "" && !strings.HasSuffix(strings.ToLower(s), "b") {
		return fmt.Errorf("want a size with its unit, such as 80GB or 512MiB, found %q", shorten(s, 40))
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return err
	}
	base := 1000.0
	if m[3] != "" {
		base = 1024
	}
	if m[2] != "" {
		v *= math.Pow(base, float64(1+strings.Index("kmgt", strings.ToLower(m[2]))))
	}
	if v < 1 || v > math.MaxInt64/2 {
		return fmt.Errorf("want a size of at least 1 byte, found %q", shorten(s, 40))
	}
	*b = byteSize(v)
	return nil
}
