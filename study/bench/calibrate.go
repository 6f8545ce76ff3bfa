package plan

import (
	"context"
	"fmt"

	"github.com/goinfer/goinfer/internal/mem"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/catalog"
	"github.com/goinfer/goinfer/study/params"
	"github.com/goinfer/goinfer/study/probe"
)

// Options are how a calibration is done. The zero value works but for Threads.
type Options struct {
	Threads int
	K, V    kv.Type
	Rounds  int                   // 0, or less, means 8
	Budget  int64                 // bytes of the larger slice; 0 means 384 MiB, or a sixth of the available memory
	Done    func(step, total int) // called as it goes on, if not nil
}

const (
	usualRounds = 8
	usualBudget = 384 << 20
	promptLen   = 96
	genLen      = 6
	depthLen    = 512
)

// Calibrate measures the speed of a model whose tensors have their types, see params.Model.As, on slices of it with random weights.
func Calibrate(ctx context.Context, m *params.Model, o Options) (*Speed, error) {
	return calibrate(ctx, m, nil, o)
}

// Comparison is what was foretold beside what was measured. A ratio is foretold over measured.
type Comparison struct {
	Memory         int64   `json:"memory"`
	MeasuredMemory int64   `json:"measured_memory"` // 0 where the system does not tell
	MemoryRatio    float64 `json:"memory_ratio,omitempty"`
	Token          float64 `json:"s_per_token"`
	MeasuredToken  float64 `json:"measured_s_per_token"`
	TokenRatio     float64 `json:"token_ratio"`
	Prompt         float64 `json:"s_per_prompt_token"`
	MeasuredPrompt float64 `json:"measured_s_per_prompt_token"`
	PromptRatio    float64 `json:"prompt_ratio"`
}

// Compare calibrates, and has the model itself run in turns with its slices.
func Compare(ctx context.Context, m *params.Model, real *bench.Model, o Options) (*Speed, *Comparison, error) {
	// Its memory is measured before there are slices.
	c := &Comparison{}
	run, err := openCase(ctx, real, testOf(m), o)
	if err != nil {
		return nil, nil, err
	}
	defer run.session.Close()
	if err := run.measure(ctx); err != nil {
		return nil, nil, err
	}
	need, err := Need(m, Load{Context: run.test.Prompt + run.test.Gen, Sequences: 1, K: o.K, V: o.V})
	if err != nil {
		return nil, nil, err
	}
	c.Memory, c.MeasuredMemory = need.Total(), run.rss
	if run.rss > 0 {
		c.MemoryRatio = float64(c.Memory) / float64(run.rss)
	}
	run.gen, run.prompt = nil, nil
	s, err := calibrate(ctx, m, run, o)
	if err != nil {
		return nil, nil, err
	}
	p, err := s.Predict(m, Load{Context: m.Config.NCtx, Sequences: 1, K: o.K, V: o.V}, run.test.Prompt+run.test.Gen/2)
	if err != nil {
		return nil, nil, err
	}
	c.Token, c.MeasuredToken = p.Token, fast(run.gen)
	c.Prompt, c.MeasuredPrompt = 1/p.Prompt, fast(run.prompt)
	c.TokenRatio, c.PromptRatio = c.Token/c.MeasuredToken, c.Prompt/c.MeasuredPrompt
	return s, c, nil
}

// testOf is a short prompt and what follows it, within a model's context.
func testOf(m *params.Model) bench.Test {
	room := m.Config.NCtx
	return bench.Test{Prompt: max(1, min(promptLen, room/4)), Gen: max(1, min(genLen, room/8))}
}

// running is a test of an open model, and what it took: seconds for a token of each, by round.
type running struct {
	test        bench.Test
	session     *bench.Session
	prompt, gen []float64
	rss         int64
}

func openCase(ctx context.Context, m *bench.Model, t bench.Test, o Options) (*running, error) {
	set := bench.Settings{Threads: o.Threads, Batch: ubatch, Ubatch: ubatch, K: o.K, V: o.V}
	s, err := m.Session(ctx, bench.Case{Settings: set, Test: t}, true)
	if err != nil {
		return nil, err
	}
	return &running{test: t, session: s}, nil
}

func (r *running) measure(ctx context.Context) error {
	p, g, rss, err := r.session.Measure(ctx)
	if err != nil {
		return err
	}
	r.prompt = append(r.prompt, p.Seconds()/float64(max(1, r.test.Prompt)))
	r.gen = append(r.gen, g.Seconds()/float64(r.test.Gen))
	r.rss = max(r.rss, rss)
	return nil
}

// calibrate measures slices in rounds, and beside them another model, if not nil.
func calibrate(ctx context.Context, m *params.Model, beside *running, o Options) (*Speed, error) {
	if o.Rounds <= 0 {
		o.Rounds = usualRounds
	}
	if o.Budget == 0 {
		o.Budget = usualBudget
		if have, _, ok := mem.Available(); ok {
			o.Budget = min(o.Budget, have/6)
		}
	}
	step, total := 0, o.Rounds+2
	tick := func() {
		step++
		if o.Done != nil {
			o.Done(step, total)
		}
	}
	small, large, err := slice(m, o.Budget)
	if err != nil {
		return nil, err
	}
	a, err := build(ctx, small, m.Recipe)
	if err != nil {
		return nil, err
	}
	defer a.model.Close()
	tick()
	b := a
	if small.Get("block_count") != large.Get("block_count") {
		if b, err = build(ctx, large, m.Recipe); err != nil {
			return nil, err
		}
		defer b.model.Close()
	}
	tick()
	t := testOf(a.twin)
	deep := bench.Test{Gen: t.Gen, Depth: min(depthLen, a.twin.Config.NCtx/2)}
	var all []*running
	for _, c := range []struct {
		piece *piece
		test  bench.Test
	}{{a, deep}, {a, t}, {b, t}} {
		if n := len(all); n == 2 && a == b {
			break
		}
		r, err := openCase(ctx, c.piece.model, c.test, o)
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
	watch, err := probe.Begin(ctx, o.Threads, true)
	if err != nil {
		return nil, err
	}
	gbs, err := inTurns(ctx, all, o, tick)
	if err != nil {
		return nil, err
	}
	load, err := watch.End(ctx)
	if err != nil {
		return nil, err
	}
	s := &Speed{
		Load: load,
		Type: m.Recipe, Threads: o.Threads, Bandwidth: gbs, SliceBytes: b.counts.Bytes, SliceLayers: b.twin.Config.NLayer,
		Whole: b.counts.Bytes == m.Size(), Narrowed: b.twin.Config.NEmbd != m.Config.NEmbd,
	}
	return s, s.fit(a, b, first, larger, further, o)
}

// inTurns measures all tests once in each round, and with them the bandwidth of memory, the highest of which it returns in GB/s.
func inTurns(ctx context.Context, all []*running, o Options, tick func()) (float64, error) {
	most := 0.0
	for range o.Rounds {
		gbs, err := probe.Bandwidth(ctx, o.Threads)
		if err != nil {
			return 0, err
		}
		most = max(most, gbs)
		for _, r := range all {
			if err := r.measure(ctx); err != nil {
				return 0, err
			}
		}
		tick()
	}
	return most, nil
}

// fit works the figures out of what the small slice, the large one, and the small one further on took.
func (s *Speed) fit(a, b *piece, first, larger, further *running, o Options) error {
	at := first.test.Prompt + first.test.Gen/2
	deep := further.test.Depth + further.test.Gen/2
	cacheA, err := a.twin.CacheAt(o.K, o.V, at)
	if err != nil {
		return err
	}
	deepA, err := a.twin.CacheAt(o.K, o.V, deep)
	if err != nil {
		return err
	}
	cacheB, err := b.twin.CacheAt(o.K, o.V, at)
	if err != nil {
		return err
	}
	bytesA, bytesB := float64(a.counts.ActiveBytes), float64(b.counts.ActiveBytes)
	ta, tb := fast(first.gen), fast(larger.gen)
	// A byte of the cache costs no more than a few of the weights do: what is beyond is noise.
	s.CacheByte = min(max(0, fast(further.gen)-ta)/max(1, float64(deepA-cacheA)), 2*ta/bytesA)
	ta, tb = max(ta/2, ta-float64(cacheA)*s.CacheByte), max(tb/2, tb-float64(cacheB)*s.CacheByte)
	if bytesB > bytesA {
		// What does not grow with the bytes is little; more than this is noise.
		s.Fixed = min(max(0, ta-bytesA*(tb-ta)/(bytesB-bytesA)), 0.05*ta)
	}
	s.Byte = (tb - s.Fixed) / bytesB
	s.Op = fast(larger.prompt) / ops(b.twin)
	return nil
}

// piece is a model with random weights.
type piece struct {
	twin   *params.Model
	model  *bench.Model
	counts catalog.Counts
}

func build(ctx context.Context, s catalog.Shape, recipe string) (*piece, error) {
	twin, err := params.Of(s)
	if err == nil {
		twin, err = twin.As(recipe)
	}
	if err != nil {
		return nil, err
	}
	src, err := bench.Of(s)
	if err != nil {
		return nil, err
	}
	model, err := src.Load(ctx, recipe, nil)
	if err != nil {
		return nil, fmt.Errorf("a slice of %s: %w", s.Name, err)
	}
	return &piece{twin, model, catalog.Count(twin.Tensors)}, nil
}
