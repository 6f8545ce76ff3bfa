package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/mem"
	"github.com/goinfer/goinfer/study/probe"
)

// Runner measures cases.
type Runner struct {
	Repetitions int // at least 1
	// Warmup has every case begin with a prompt and a token that do not count.
	Warmup bool
	// Probe measures the machine too, right before and after every repetition: its bandwidth for
	// those that generate, its arithmetic for those with a prompt.
	Probe bool
	// Baseline, if not nil, measures the same after each repetition.
	Baseline *Baseline
	// Delay is how long to wait before each case, as llama-bench does for machines that grow hot.
	Delay time.Duration
	// Step, if not nil, is called after each repetition.
	Step func()
}

// sample is one repetition.
type sample struct {
	prompt, gen time.Duration // times of the two phases
	first       time.Duration // from a request to its first token
	machine     probe.Peak    // what the machine reached around it; what was not measured is 0
	rss         int64         // most memory held
	baseline    baselineSample
}

func (s sample) total() time.Duration { return s.prompt + s.gen }

// Run measures a case of a model.
func (r *Runner) Run(ctx context.Context, m *Model, c Case) (*Result, error) {
	if err := c.Check(&m.subject); err != nil {
		return nil, err
	}
	if r.Repetitions < 1 {
		return nil, fault.Argument("Repetitions", "at least 1", r.Repetitions)
	}
	if r.Baseline != nil {
		if err := r.Baseline.check(m, c); err != nil {
			return nil, err
		}
	}
	if err := sleep(ctx, r.Delay); err != nil {
		return nil, err
	}
	s, err := m.Session(ctx, c, r.Warmup)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	res := newResult(m, c, s.load)
	var watch *probe.Watch
	if r.Probe {
		if watch, err = probe.Begin(ctx, c.Threads, false); err != nil {
			return nil, err
		}
	}
	var before *probe.Peak
	for range r.Repetitions {
		one, after, err := r.repeat(ctx, s, m, c, before)
		if err != nil {
			return nil, err
		}
		if r.Baseline == nil {
			before = &after // nothing ran since
		}
		res.samples = append(res.samples, one)
		if r.Step != nil {
			r.Step()
		}
	}
	if watch != nil && r.Baseline == nil { // a baseline takes the processor time that it is given
		if res.Load, err = watch.End(ctx); err != nil {
			return nil, err
		}
	}
	res.Load.Memory = max(res.Load.Memory, bandwidthSpread(res.samples))
	res.finish(m.work, r.Baseline)
	return res, nil
}

// bandwidthSpread is the fraction by which the probes of the memory's bandwidth around repetitions
// differ: beyond what one probe differs from the next, another program reads memory.
func bandwidthSpread(samples []sample) float64 {
	least, most := math.Inf(1), 0.0
	for _, s := range samples {
		if gbs := s.machine.ReadGBs; gbs > 0 {
			least, most = min(least, gbs), max(most, gbs)
		}
	}
	if most == 0 {
		return 0
	}
	return 1 - least/most
}

// repeat measures once, and has the baseline measure once. before is what the last probe of the
// machine found, nil if there was none; after is what one found right after our own measurement.
func (r *Runner) repeat(ctx context.Context, s *Session, m *Model, c Case, before *probe.Peak) (one sample, after probe.Peak, err error) {
	if before == nil {
		found, err := r.probe(ctx, c)
		if err != nil {
			return one, after, err
		}
		before = &found
	}
	mem.ResetPeak()
	if one, err = s.once(ctx); err != nil {
		return one, after, err
	}
	one.rss = mem.PeakRSS()
	if after, err = r.probe(ctx, c); err != nil {
		return one, after, err
	}
	one.machine = probe.Peak{
		Threads: c.Threads, ReadGBs: (before.ReadGBs + after.ReadGBs) / 2,
		FMAGFlops: (before.FMAGFlops + after.FMAGFlops) / 2, Int8GOps: (before.Int8GOps + after.Int8GOps) / 2,
	}
	if r.Baseline != nil {
		one.baseline, err = r.Baseline.once(ctx, m, c)
	}
	return one, after, err
}

// probe measures what the machine reaches at this moment of what bounds the case.
func (r *Runner) probe(ctx context.Context, c Case) (p probe.Peak, err error) {
	if r.Probe && c.Gen > 0 {
		if p.ReadGBs, err = probe.Bandwidth(ctx, c.Threads); err != nil {
			return p, err
		}
		debug.FreeOSMemory() // the buffer that was read is none of the model's memory
	}
	if r.Probe && c.Prompt > 0 {
		if p.Int8GOps, err = probe.Int8Dot(ctx, c.Threads); err != nil {
			return p, err
		}
		p.FMAGFlops, err = probe.FMA(ctx, c.Threads)
	}
	return p, err
}

// sleep waits, or ends early with the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fault.Cancelled(ctx)
	case <-time.After(d):
		return nil
	}
}

// Session is a case of an open model, to be measured again and again, alternately with others.
type Session struct {
	model *goinfer.Model
	test  Test
	vocab int
	depth []int32
	round int // how often once was called
	load  time.Duration
}

// Session opens the model for a case and evaluates the tokens of its depth. warm has it begin with
// a prompt and a token that do not count.
func (m *Model) Session(ctx context.Context, c Case, warm bool) (*Session, error) {
	if err := c.Check(&m.subject); err != nil {
		return nil, err
	}
	debug.FreeOSMemory() // what came before is none of this case's memory
	mem.ResetPeak()
	began := time.Now()
	// While some sequences go on, others may have ended and take a place each: no prompt must be
	// evicted before it is continued.
	retain := 2*c.sequences() - 1
	batch := min(c.Batch, c.Ubatch)
	if m.subject.Encoder {
		batch = max(batch, c.Prompt) // a text is computed as a whole
	}
	open, err := m.subject.open(goinfer.Options{
		Context: c.positions() + 1, Threads: c.Threads, Batch: batch, CacheK: c.K, CacheV: c.V, Retain: retain,
	})
	if err != nil {
		return nil, err
	}
	s := &Session{model: open, test: c.Test, vocab: m.vocab, load: time.Since(began), depth: randomTokens(rand.New(rand.NewPCG(0, 1)), c.Depth, m.vocab)}
	if err := s.prepare(ctx, warm); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes the model.
func (s *Session) Close() error { return s.model.Close() }

// Memory is what the open model was expected to need.
func (s *Session) Memory() goinfer.Memory { return s.model.Info().Memory }

// Measure has new prompts evaluated and then continued, and returns how long each took. rss is the
// most bytes of memory held meanwhile, see mem.PeakRSS.
func (s *Session) Measure(ctx context.Context) (prompt, gen time.Duration, rss int64, err error) {
	mem.ResetPeak()
	one, err := s.once(ctx)
	return one.prompt, one.gen, mem.PeakRSS(), err
}

// prepare evaluates the tokens of the depth, whose cache stays, and warms up as llama-bench does: a
// whole prompt, and one token.
func (s *Session) prepare(ctx context.Context, warm bool) error {
	if len(s.depth) > 0 {
		if _, err := s.phase(ctx, [][]int32{s.depth}, 1, 0); err != nil {
			return err
		}
	}
	if !warm {
		return nil
	}
	t := *s
	t.test.Gen = min(1, s.test.Gen)
	_, err := t.once(ctx)
	s.round = t.round
	return err
}

// once evaluates new prompts, all sequences together, and then has each generate.
func (s *Session) once(ctx context.Context) (one sample, err error) {
	t := s.test
	prompts := make([][]int32, t.sequences())
	for i := range prompts {
		// After the depth no prompt begins like another, so that none is found in the cache.
		n := s.round*len(prompts) + i
		rng := rand.New(rand.NewPCG(uint64(n), 2))
		prompts[i] = append(append([]int32(nil), s.depth...), randomTokens(rng, max(1, t.Prompt), s.vocab)...)
		prompts[i][len(s.depth)] = int32(n % s.vocab)
	}
	s.round++
	if t.Prompt > 0 {
		p, err := s.phase(ctx, prompts, 1, t.Depth)
		if err != nil {
			return one, err
		}
		one.prompt, one.first = p.took, p.first
		for i := range prompts {
			prompts[i] = append(prompts[i], p.last[i])
		}
	}
	if t.Gen > 0 {
		p, err := s.phase(ctx, prompts, t.Gen, t.Depth+t.Prompt)
		if err != nil {
			return one, err
		}
		one.gen = p.took
		if t.Prompt == 0 {
			one.first = p.first
		}
	}
	return one, nil
}

// phase is what a round of requests took.
type phase struct {
	took  time.Duration // time until all had ended
	first time.Duration // time from a request to its first token, on average
	last  []int32       // the last token of each
}

// phase has all prompts continued by n tokens at once, of which the first cached tokens must be in
// the cache.
func (s *Session) phase(ctx context.Context, prompts [][]int32, n, cached int) (phase, error) {
	p := phase{last: make([]int32, len(prompts))}
	firsts, errs := make([]time.Duration, len(prompts)), make([]error, len(prompts))
	began := time.Now()
	var all sync.WaitGroup
	for i, prompt := range prompts {
		if s.model.Info().Encoder {
			all.Go(func() {
				_, errs[i] = s.model.Embed(ctx, goinfer.EmbedRequest{Tokens: prompt, Raw: true})
				firsts[i] = time.Since(began)
			})
			continue
		}
		all.Go(func() { p.last[i], firsts[i], errs[i] = s.generate(ctx, prompt, n, cached, began) })
	}
	all.Wait()
	p.took = time.Since(began)
	for _, d := range firsts {
		p.first += d / time.Duration(len(firsts))
	}
	return p, errors.Join(errs...)
}

// generate has a prompt continued by n random tokens.
func (s *Session) generate(ctx context.Context, prompt []int32, n, cached int, began time.Time) (last int32, first time.Duration, err error) {
	rng := rand.New(rand.NewPCG(uint64(prompt[len(prompt)-1]), 3))
	q := goinfer.Request{Tokens: prompt, MaxTokens: n, IgnoreEOG: true, Pick: func([]float32, int) int32 { return rng.Int32N(int32(s.vocab)) }}
	for piece, err := range s.model.Generate(ctx, q) {
		switch {
		case err != nil:
			return 0, 0, err
		case piece.Stop == "":
			if last = piece.ID; first == 0 {
				first = time.Since(began)
			}
		case piece.Stop == goinfer.StopCancelled:
			return 0, 0, fault.Cancelled(ctx)
		case piece.Usage.Generated != n || piece.Usage.Cached != cached:
			return 0, 0, fmt.Errorf("want %d tokens generated and %d found in the cache, found %d and %d", n, cached, piece.Usage.Generated, piece.Usage.Cached)
		}
	}
	return last, first, nil
}

// randomTokens are n tokens.
func randomTokens(rng *rand.Rand, n, vocab int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = rng.Int32N(int32(vocab))
	}
	return ids
}
