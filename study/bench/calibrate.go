package bench

import (
	"context"
	"fmt"
	"slices"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/mem"
	"github.com/goinfer/goinfer/study/probe"
	"github.com/goinfer/goinfer/study/size"
)

// CalibrateOptions are how a calibration is done. The zero value works but for Threads.
type CalibrateOptions struct {
	Threads int
	K, V    goinfer.CacheType
	Rounds  int                   // 0, or less, means 8
	Budget  int64                 // bytes of the larger slice; 0 means as many as are useful
	Done    func(step, total int) // called as it goes on, if not nil
}

// How a calibration is done where the options do not say.
const (
	defaultRounds = 8         // the fastest quarter, two of them, count
	defaultBudget = 384 << 20 // several times the last-level cache of processors, made in seconds
	memoryShare   = 6         // the larger slice takes at most a sixth of what is available
)

// The tests of a calibration: long enough that a clock and a first pass do not matter, short enough
// that a round takes about a second.
const (
	calibratePrompt = 96  // above the rows from which matrix products run at their full rate
	calibrateGen    = 6   // tokens, each of which reads all of the slice
	calibrateDepth  = 512 // positions further on, where the cache is read
)

// Calibrate measures the speed of a model whose tensors have their types, see size.Layout.As, on
// slices of it with random weights.
func Calibrate(ctx context.Context, m *size.Layout, o CalibrateOptions) (*size.Speed, error) {
	return calibrate(ctx, m, nil, o)
}

// PredictionCheck is what was predicted of a model beside what was measured. A ratio is predicted
// over measured.
type PredictionCheck struct {
	Memory         int64   `json:"memory"`
	MeasuredMemory int64   `json:"measured_memory"` // 0 where the system does not report it
	MemoryRatio    float64 `json:"memory_ratio,omitempty"`
	Token          float64 `json:"s_per_token"`
	MeasuredToken  float64 `json:"measured_s_per_token"`
	TokenRatio     float64 `json:"token_ratio"`
	Prompt         float64 `json:"s_per_prompt_token"`
	MeasuredPrompt float64 `json:"measured_s_per_prompt_token"`
	PromptRatio    float64 `json:"prompt_ratio"`
}

// CheckPrediction calibrates, runs the model itself alternately with its slices, and compares.
func CheckPrediction(ctx context.Context, m *size.Layout, real *Model, o CalibrateOptions) (*size.Speed, *PredictionCheck, error) {
	// Its memory is measured before there are slices.
	run, err := openCase(ctx, real, calibrateTest(m), o)
	if err != nil {
		return nil, nil, err
	}
	defer run.session.Close()
	if err := run.measure(ctx); err != nil {
		return nil, nil, err
	}
	need, err := m.Footprint(size.Workload{Context: run.test.Prompt + run.test.Gen, Sequences: 1, K: o.K, V: o.V})
	if err != nil {
		return nil, nil, err
	}
	c := &PredictionCheck{Memory: need.Total(), MeasuredMemory: run.rss}
	if run.rss > 0 {
		c.MemoryRatio = float64(c.Memory) / float64(run.rss)
	}
	run.gen, run.prompt = nil, nil
	s, err := calibrate(ctx, m, run, o)
	if err != nil {
		return nil, nil, err
	}
	p, err := s.Predict(m, size.Workload{Context: m.Config.NCtx, Sequences: 1, K: o.K, V: o.V}, run.test.Prompt+run.test.Gen/2)
	if err != nil {
		return nil, nil, err
	}
	c.Token, c.MeasuredToken = p.Token, fastest(run.gen)
	c.Prompt, c.MeasuredPrompt = 1/p.Prompt, fastest(run.prompt)
	c.TokenRatio, c.PromptRatio = c.Token/c.MeasuredToken, c.Prompt/c.MeasuredPrompt
	return s, c, nil
}

// calibrateTest is a short prompt and some tokens after it, within a model's context.
func calibrateTest(m *size.Layout) Test {
	room := m.Config.NCtx
	return Test{Prompt: max(1, min(calibratePrompt, room/4)), Gen: max(1, min(calibrateGen, room/8))}
}

// timedCase is a test of an open model, and the seconds that a token of each phase took, by round.
type timedCase struct {
	test        Test
	session     *Session
	prompt, gen []float64
	rss         int64
}

func openCase(ctx context.Context, m *Model, t Test, o CalibrateOptions) (*timedCase, error) {
	set := Settings{Threads: o.Threads, Batch: size.Ubatch, Ubatch: size.Ubatch, K: o.K, V: o.V}
	s, err := m.Session(ctx, Case{Settings: set, Test: t}, true)
	if err != nil {
		return nil, err
	}
	return &timedCase{test: t, session: s}, nil
}

func (c *timedCase) measure(ctx context.Context) error {
	p, g, rss, err := c.session.Measure(ctx)
	if err != nil {
		return err
	}
	c.prompt = append(c.prompt, p.Seconds()/float64(max(1, c.test.Prompt)))
	c.gen = append(c.gen, g.Seconds()/float64(c.test.Gen))
	c.rss = max(c.rss, rss)
	return nil
}

// calibrate measures slices in rounds, and beside them another case, if not nil.
func calibrate(ctx context.Context, m *size.Layout, beside *timedCase, o CalibrateOptions) (*size.Speed, error) {
	if o.Rounds <= 0 {
		o.Rounds = defaultRounds
	}
	if o.Budget == 0 {
		o.Budget = defaultBudget
		if have, _, ok := mem.Available(); ok {
			o.Budget = min(o.Budget, have/memoryShare)
		}
	}
	step, total := 0, o.Rounds+2
	tick := func() {
		step++
		if o.Done != nil {
			o.Done(step, total)
		}
	}
	a, b, err := buildSlices(ctx, m, o.Budget, tick)
	if err != nil {
		return nil, err
	}
	defer a.model.Close()
	defer b.model.Close()
	t := calibrateTest(a.layout)
	deep := Test{Gen: t.Gen, Depth: min(calibrateDepth, a.layout.Config.NCtx/2)}
	cases := []struct {
		slice *slice
		test  Test
	}{{a, deep}, {a, t}, {b, t}}
	if a == b {
		cases = cases[:2]
	}
	var all []*timedCase
	for _, c := range cases {
		r, err := openCase(ctx, c.slice.model, c.test, o)
		if err != nil {
			return nil, err
		}
		defer r.session.Close()
		all = append(all, r)
	}
	further, first, larger := all[0], all[1], all[len(all)-1]
	if beside != nil {
		all = append(all, beside)
	}
	s := &size.Speed{
		Type: m.FileType, Threads: o.Threads, SliceBytes: b.layout.Bytes(), SliceLayers: b.layout.Config.NLayer,
		Whole: b.layout.Bytes() == m.Bytes(), Narrowed: b.layout.Config.NEmbd != m.Config.NEmbd,
	}
	if err := measureRounds(ctx, s, all, o, tick); err != nil {
		return nil, err
	}
	return s, fit(s, a, b, first, larger, further, o)
}

// measureRounds measures all cases once in each round, and with them the bandwidth of memory, the
// highest of which s gets, with the load of other programs.
func measureRounds(ctx context.Context, s *size.Speed, all []*timedCase, o CalibrateOptions, tick func()) error {
	watch, err := probe.Begin(ctx, o.Threads, true)
	if err != nil {
		return err
	}
	for range o.Rounds {
		gbs, err := probe.Bandwidth(ctx, o.Threads)
		if err != nil {
			return err
		}
		s.Bandwidth = max(s.Bandwidth, gbs)
		for _, r := range all {
			if err := r.measure(ctx); err != nil {
				return err
			}
		}
		tick()
	}
	s.Load, err = watch.End(ctx)
	return err
}

// Bounds of what is fitted, beyond which a difference of two times is noise: a pass is mostly the
// reading of weights, and attention reads its bytes in order, as products do.
const (
	maxCacheCost  = 2    // cost of a byte of the cache over that of a byte of the weights
	maxCacheShare = 0.5  // share of the cache in the time of a token after a short prompt
	maxFixedShare = 0.05 // share in the time of a token of what does not grow with the bytes
)

// fit works out the figures of s from the times of the small slice a, the large one b, and the
// small one further on.
func fit(s *size.Speed, a, b *slice, first, larger, further *timedCase, o CalibrateOptions) error {
	at := first.test.Prompt + first.test.Gen/2
	deep := further.test.Depth + further.test.Gen/2
	cacheA, err := a.layout.CacheRead(o.K, o.V, at)
	if err != nil {
		return err
	}
	deepA, err := a.layout.CacheRead(o.K, o.V, deep)
	if err != nil {
		return err
	}
	cacheB, err := b.layout.CacheRead(o.K, o.V, at)
	if err != nil {
		return err
	}
	bytesA, bytesB := float64(a.layout.Counts().ReadBytes), float64(b.layout.Counts().ReadBytes)
	ta, tb := fastest(first.gen), fastest(larger.gen)
	s.CacheByte = min(max(0, fastest(further.gen)-ta)/max(1, float64(deepA-cacheA)), maxCacheCost*ta/bytesA)
	withoutCache := func(t float64, cache int64) float64 {
		return max((1-maxCacheShare)*t, t-float64(cache)*s.CacheByte)
	}
	ta, tb = withoutCache(ta, cacheA), withoutCache(tb, cacheB)
	if bytesB > bytesA {
		s.Fixed = min(max(0, ta-bytesA*(tb-ta)/(bytesB-bytesA)), maxFixedShare*ta)
	}
	s.Byte = (tb - s.Fixed) / bytesB
	s.Op = fastest(larger.prompt) / b.layout.TokenOps()
	return nil
}

// fastest is the mean of the fastest quarter of times: whatever else runs on the machine only adds
// to them.
func fastest(times []float64) float64 {
	if len(times) == 0 {
		return 0
	}
	return mean(slices.Sorted(slices.Values(times))[:(len(times)+3)/4])
}

// slice is a model with random weights and fewer layers.
type slice struct {
	layout *size.Layout
	model  *Model
}

// buildSlices makes the small and the large slice of a model, which are the same where the model is
// small.
func buildSlices(ctx context.Context, m *size.Layout, budget int64, tick func()) (a, b *slice, err error) {
	small, large, err := sliceShapes(m, budget)
	if err != nil {
		return nil, nil, err
	}
	if a, err = buildSlice(ctx, small, m.FileType); err != nil {
		return nil, nil, err
	}
	tick()
	b = a
	if small.Get("block_count") != large.Get("block_count") {
		if b, err = buildSlice(ctx, large, m.FileType); err != nil {
			a.model.Close()
			return nil, nil, err
		}
	}
	tick()
	return a, b, nil
}

func buildSlice(ctx context.Context, s size.Shape, fileType string) (*slice, error) {
	layout, err := s.Layout()
	if err == nil {
		layout, err = layout.As(fileType)
	}
	if err != nil {
		return nil, err
	}
	src, err := Of(s)
	if err != nil {
		return nil, err
	}
	model, err := src.Load(ctx, fileType, nil)
	if err != nil {
		return nil, fmt.Errorf("a slice of %s: %w", s.Name, err)
	}
	return &slice{layout, model}, nil
}
