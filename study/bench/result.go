package bench

import (
	"strings"
	"time"

	"github.com/goinfer/goinfer/study/probe"
	"github.com/goinfer/goinfer/study/size"
)

// Result is what was measured of a case. Keys that llama-bench has mean what they mean there.
// Figures that are not known are 0 and left out.
type Result struct {
	BuildCommit   string    `json:"build_commit"` // for the caller to set
	CPUInfo       string    `json:"cpu_info"`
	Backends      string    `json:"backends"`
	Kernels       string    `json:"kernels"` // instruction set of the kernels
	ModelFilename string    `json:"model_filename"`
	ModelType     string    `json:"model_type"`
	ModelSize     int64     `json:"model_size"` // bytes of the weights
	ModelNParams  int64     `json:"model_n_params"`
	NBatch        int       `json:"n_batch"`
	NUbatch       int       `json:"n_ubatch"`
	NThreads      int       `json:"n_threads"`
	TypeK         string    `json:"type_k"`
	TypeV         string    `json:"type_v"`
	NPrompt       int       `json:"n_prompt"`
	NGen          int       `json:"n_gen"`
	NDepth        int       `json:"n_depth"`
	NParallel     int       `json:"n_parallel"` // sequences side by side
	TestTime      string    `json:"test_time"`  // when it began, ISO 8601
	AvgNs         int64     `json:"avg_ns"`
	StddevNs      int64     `json:"stddev_ns"`
	AvgTs         float64   `json:"avg_ts"` // tokens per second, of all sequences together
	StddevTs      float64   `json:"stddev_ts"`
	SamplesNs     []int64   `json:"samples_ns"`
	SamplesTs     []float64 `json:"samples_ts"`

	LoadNs  int64 `json:"load_ns"` // time of opening the model
	FirstNs int64 `json:"ttft_ns"` // from a request to its first token, on average
	// PeakRSS is the most bytes of memory held while it ran, the mapped file included; since the
	// process began, where the system reports nothing else.
	PeakRSS int64 `json:"peak_rss"`

	// The phases of a test that has both.
	Prompt *Phase `json:"prompt,omitempty"`
	Gen    *Phase `json:"gen,omitempty"`

	// GBs are the bytes of weights that generation read, in 10⁹ a second, and BandwidthFraction
	// what fraction that is of BandwidthGBs, the memory's bandwidth with as many threads, on
	// average right before and after.
	GBs               float64 `json:"read_gb_s,omitempty"`
	BandwidthGBs      float64 `json:"bandwidth_gb_s,omitempty"`
	BandwidthFraction float64 `json:"bandwidth_fraction,omitempty"`
	// Int8GOps and FMAGFlops are what the machine can calculate, likewise, in 10⁹ operations a
	// second, and PeakFraction what fraction of it evaluating the prompt reached.
	Int8GOps     float64 `json:"int8_gops,omitempty"`
	FMAGFlops    float64 `json:"fma_gflops,omitempty"`
	PeakFraction float64 `json:"peak_fraction,omitempty"`

	// Load is what other programs took while it ran; where it is busy, speeds say little of the
	// machine, and only ratios to a baseline mean something.
	Load probe.Load `json:"load"`

	Baseline *BaselineResult `json:"against,omitempty"`

	test    Test
	samples []sample
}

// Phase is the evaluation of prompts or the generation of tokens.
type Phase struct {
	AvgTs     float64   `json:"avg_ts"`
	StddevTs  float64   `json:"stddev_ts"`
	SamplesNs []int64   `json:"samples_ns"`
	SamplesTs []float64 `json:"samples_ts"`
}

// BaselineResult is what a baseline measured, in pairs of repetitions.
type BaselineResult struct {
	Program     string    `json:"peer"` // path of the program
	BuildCommit string    `json:"build_commit,omitempty"`
	AvgTs       float64   `json:"avg_ts"`
	StddevTs    float64   `json:"stddev_ts"`
	SamplesNs   []int64   `json:"samples_ns"`
	SamplesTs   []float64 `json:"samples_ts"`
	Ratio                 // how many times faster than it goinfer is
	// The phases apart, where the baseline reports them.
	Prompt *BaselinePhase `json:"prompt,omitempty"`
	Gen    *BaselinePhase `json:"gen,omitempty"`
}

// BaselinePhase is one phase of a BaselineResult.
type BaselinePhase struct {
	Phase
	Ratio
}

// Test is what was measured.
func (r *Result) Test() Test { return r.test }

func newResult(m *Model, c Case, load time.Duration) *Result {
	machine, _ := probe.Machine() // an error would have kept the model from being opened
	return &Result{
		CPUInfo: machine.CPU, Backends: "CPU", Kernels: machine.ISA,
		ModelFilename: m.Name, ModelType: m.Type, ModelSize: m.Size, ModelNParams: m.Params,
		NBatch: c.Batch, NUbatch: c.Ubatch, NThreads: c.Threads, TypeK: strings.ToLower(c.K.String()), TypeV: strings.ToLower(c.V.String()),
		NPrompt: c.Prompt, NGen: c.Gen, NDepth: c.Depth, NParallel: c.sequences(), TestTime: time.Now().UTC().Format(time.RFC3339),
		LoadNs: load.Nanoseconds(), test: c.Test,
	}
}

// finish works out what follows from the samples.
func (r *Result) finish(w size.Work, baseline *Baseline) {
	t := r.test
	total := phaseOf(t.tokens(), r.samples, sample.total)
	r.SamplesNs, r.SamplesTs, r.AvgTs, r.StddevTs = total.SamplesNs, total.SamplesTs, total.AvgTs, total.StddevTs
	ns := make([]float64, len(r.samples))
	for i, s := range r.samples {
		ns[i] = float64(r.SamplesNs[i])
		r.FirstNs += s.first.Nanoseconds() / int64(len(r.samples))
		r.PeakRSS = max(r.PeakRSS, s.rss)
	}
	r.AvgNs, r.StddevNs = int64(mean(ns)), int64(deviation(ns))
	if t.Prompt > 0 && t.Gen > 0 || t.Parallel > 0 {
		r.Prompt = phaseIfAny(t.sequences()*t.Prompt, r.samples, func(s sample) time.Duration { return s.prompt })
		r.Gen = phaseIfAny(t.sequences()*t.Gen, r.samples, func(s sample) time.Duration { return s.gen })
	}
	if t.Prompt > 0 {
		r.finishPrompt(w)
	}
	if t.Gen > 0 {
		r.finishGen(w)
	}
	if baseline != nil {
		r.compare(baseline)
	}
}

// phaseOf sums up the phase of so many tokens that took picks.
func phaseOf(tokens int, samples []sample, took func(sample) time.Duration) Phase {
	p := Phase{SamplesNs: make([]int64, len(samples)), SamplesTs: make([]float64, len(samples))}
	for i, s := range samples {
		d := max(1, took(s))
		p.SamplesNs[i], p.SamplesTs[i] = d.Nanoseconds(), float64(tokens)/d.Seconds()
	}
	p.AvgTs, p.StddevTs = mean(p.SamplesTs), deviation(p.SamplesTs)
	return p
}

// phaseIfAny is phaseOf for a phase that may not be there, or not be known.
func phaseIfAny(tokens int, samples []sample, took func(sample) time.Duration) *Phase {
	if tokens == 0 || took(samples[0]) == 0 {
		return nil
	}
	p := phaseOf(tokens, samples, took)
	return &p
}

// finishPrompt works out the fraction of the peaks.
func (r *Result) finishPrompt(w size.Work) {
	int8, fma := w.Ops(r.test.Prompt, r.test.sequences())
	var dots, adds, fractions []float64
	for _, s := range r.samples {
		m := s.machine
		if m.Int8GOps == 0 || m.FMAGFlops == 0 {
			return
		}
		least := int8/(1e9*m.Int8GOps) + fma/(1e9*m.FMAGFlops)
		dots, adds, fractions = append(dots, m.Int8GOps), append(adds, m.FMAGFlops), append(fractions, least/s.prompt.Seconds())
	}
	r.Int8GOps, r.FMAGFlops, r.PeakFraction = mean(dots), mean(adds), mean(fractions)
}

// finishGen works out the fraction of the bandwidth. Experts that several sequences choose together
// are not known.
func (r *Result) finishGen(w size.Work) {
	if w.Experts && r.test.sequences() > 1 {
		return
	}
	rates, fractions, bandwidths := make([]float64, len(r.samples)), make([]float64, len(r.samples)), make([]float64, len(r.samples))
	for i, s := range r.samples {
		rates[i] = float64(w.ReadBytes) * float64(r.test.Gen) / s.gen.Seconds() / 1e9
		if bandwidths[i] = s.machine.ReadGBs; bandwidths[i] > 0 {
			fractions[i] = rates[i] / bandwidths[i]
		}
	}
	r.GBs, r.BandwidthGBs, r.BandwidthFraction = mean(rates), mean(bandwidths), mean(fractions)
}

// compare puts the baseline's samples beside ours.
func (r *Result) compare(baseline *Baseline) {
	t := r.test
	theirs := phaseOf(t.tokens(), r.samples, func(s sample) time.Duration { return s.baseline.total })
	r.Baseline = &BaselineResult{
		Program: baseline.program(t), BuildCommit: r.samples[0].baseline.commit,
		AvgTs: theirs.AvgTs, StddevTs: theirs.StddevTs, SamplesNs: theirs.SamplesNs, SamplesTs: theirs.SamplesTs, Ratio: RatioOf(r.SamplesTs, theirs.SamplesTs),
	}
	phase := func(ours *Phase, tokens int, took func(sample) time.Duration) *BaselinePhase {
		p := phaseIfAny(t.sequences()*tokens, r.samples, took)
		if ours == nil || p == nil {
			return nil
		}
		return &BaselinePhase{*p, RatioOf(ours.SamplesTs, p.SamplesTs)}
	}
	r.Baseline.Prompt = phase(r.Prompt, t.Prompt, func(s sample) time.Duration { return s.baseline.prompt })
	r.Baseline.Gen = phase(r.Gen, t.Gen, func(s sample) time.Duration { return s.baseline.gen })
}
