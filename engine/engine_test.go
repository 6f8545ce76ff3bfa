package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/model/arch"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/sample"
)

// start runs one of the models in testdata.
func start(t testing.TB, name string, change func(*Config)) *Engine {
	return startFile(t, filepath.Join(shared.Root(t), "testdata", "models", name, "model.gguf"), change)
}

func startFile(t testing.TB, path string, change func(*Config)) *Engine {
	f, err := gguf.Open(path, gguf.Options{})
	require.NoError(t, err)
	cfg, err := model.ReadConfig(model.GGUF(f))
	require.NoError(t, err)
	m, err := arch.Build(model.NewWeights(cfg, model.GGUF(f), model.Options{}))
	require.NoError(t, err)
	vocab, err := model.Vocabulary(f)
	require.NoError(t, err)
	pool := par.New(2)
	c := Config{Model: m, Vocab: vocab, Pool: pool, NVocab: cfg.NVocab, NCtx: 200}
	if change != nil {
		change(&c)
	}
	e, err := New(c)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, e.Close())
		require.Zero(t, e.store.Pages(), "pages still in use after Close")
		pool.Close()
		require.NoError(t, f.Close())
	})
	return e
}

func prompt(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(3 + (i*i*11+i*5+n)%290)
	}
	return ids
}

// result is a generation read to its end.
type result struct {
	ids  []int32
	text string
	last Piece
	err  error
}

func collect(e *Engine, ctx context.Context, q Request) (r result) {
	var b strings.Builder
	for p, err := range e.Generate(ctx, q) {
		if err != nil {
			r.err = err
			break
		}
		b.Write(p.Bytes)
		if p.Stop == "" {
			r.ids = append(r.ids, p.ID)
		} else {
			r.last = p
			r.last.Bytes = bytes.Clone(p.Bytes)
		}
	}
	r.text = b.String()
	return r
}

func generate(t testing.TB, e *Engine, q Request) result {
	r := collect(e, context.Background(), q)
	require.NoError(t, r.err)
	require.NotEmpty(t, r.last.Stop)
	return r
}

func TestStopReasons(t *testing.T) {
	e := start(t, "llama-dense", nil)
	long := generate(t, e, Request{Tokens: prompt(20), MaxTokens: 40, IgnoreEOG: true})
	require.Equal(t, StopLength, long.last.Stop)
	require.Len(t, long.ids, 40)
	require.Equal(t, 20, long.last.Usage.Prompt)
	require.Equal(t, 40, long.last.Usage.Generated)
	require.Positive(t, long.last.Usage.PromptTime)
	// A stream shows U+FFFD for each byte that is no UTF-8.
	require.Equal(t, string([]rune(e.c.Vocab.Decode(long.ids, false))), long.text)

	// A stop string that spans tokens.
	require.Greater(t, len(long.text), 20)
	at := len(long.text) / 2
	for at > 0 && long.text[at]&0xc0 == 0x80 {
		at--
	}
	end := at + 7
	for end < len(long.text) && long.text[end]&0xc0 == 0x80 {
		end++
	}
	stop := long.text[at:end]
	stopped := generate(t, e, Request{Tokens: prompt(20), MaxTokens: 40, IgnoreEOG: true, Stop: []string{"never in it", stop}})
	require.Equal(t, StopString, stopped.last.Stop)
	require.Equal(t, long.text[:strings.Index(long.text, stop)], stopped.text)

	// A stop string that only begins to appear is given out in the end.
	half := generate(t, e, Request{Tokens: prompt(20), MaxTokens: 40, IgnoreEOG: true, Stop: []string{long.text[len(long.text)-3:] + "zzz"}})
	require.Equal(t, long.text, half.text)

	// Where the model itself ends.
	eog := e.c.Vocab.EOS()
	bias := sample.Params{LogitBias: map[int32]float32{eog: 1000}}
	ended := generate(t, e, Request{Tokens: prompt(5), Sampling: bias})
	require.Equal(t, StopEOG, ended.last.Stop)
	require.Equal(t, eog, ended.last.ID)
	require.Empty(t, ended.ids)
	ignored := generate(t, e, Request{Tokens: prompt(5), MaxTokens: 3, IgnoreEOG: true, Sampling: bias})
	require.Equal(t, []int32{eog, eog, eog}, ignored.ids)

	// Without a limit, the context's.
	full := generate(t, e, Request{Tokens: prompt(150), IgnoreEOG: true})
	require.Equal(t, StopContext, full.last.Stop)
	require.Equal(t, 200, full.last.Usage.Prompt+full.last.Usage.Generated)

	err := e.Score(t.Context(), Request{Tokens: prompt(5)})
	require.NoError(t, err)
}

func TestInvalidRequests(t *testing.T) {
	e := start(t, "llama-dense", nil)
	for want, q := range map[string]Request{
		"Tokens: want at least one":        {Tokens: []int32{}},
		"one of Prompt and Tokens":         {Prompt: "a", Tokens: prompt(1)},
		"prompt has 201 tokens":            {Tokens: prompt(201)},
		"has 200 tokens":                   {Tokens: prompt(200), MaxTokens: 1},
		"0 to 319, found -1 at position 1": {Tokens: []int32{1, -1}},
		"0 to 319, found 320":              {Tokens: []int32{320}},
		"Stop: want strings":               {Tokens: prompt(1), Stop: []string{""}},
		"Top: want at most 64":             {Tokens: prompt(1), Top: 65},
		"MaxTokens: want 0":                {Tokens: prompt(1), MaxTokens: -1},
	} {
		r := collect(e, context.Background(), q)
		require.ErrorContains(t, r.err, want)
		if strings.Contains(want, "tokens") && len(q.Tokens) >= 200 {
			require.ErrorIs(t, r.err, ErrContextFull)
		}
	}
	for want, q := range map[string]Request{
		"MaxTokens: want 0":   {Tokens: prompt(1), MaxTokens: 1},
		"Stop: want none":     {Tokens: prompt(1), Stop: []string{"a"}},
		"Pick: want none":     {Tokens: prompt(1), Pick: func([]float32, int) int32 { return 0 }},
		"From: want a":        {Tokens: prompt(1), From: -1},
		"Proposer: want none": {Tokens: prompt(1), Proposer: &oracle{}},
	} {
		err := e.Score(t.Context(), q)
		require.ErrorContains(t, err, want)
	}
	err := e.Score(t.Context(), Request{Tokens: prompt(200)})
	require.NoError(t, err, "a full context can be evaluated")
}

// TestCompanyAndCacheChangeNothing runs requests alone on fresh engines, then together and again on
// one whose cache has seen them.
func TestCompanyAndCacheChangeNothing(t *testing.T) {
	sampled := func(seed uint64) sample.Params {
		p := sample.Defaults()
		p.Seed = seed
		return p
	}
	requests := func() []Request {
		common := prompt(90)
		var qs []Request
		for i := range 6 {
			q := Request{Tokens: append(append([]int32(nil), common[:30+10*i]...), prompt(7+i)...), MaxTokens: 25, IgnoreEOG: true, LogProb: true}
			if i%2 == 1 {
				q.Sampling = sampled(uint64(i))
			}
			qs = append(qs, q)
		}
		return qs
	}
	for _, name := range []string{"llama-dense", "mixtral", "llama-quant-mix"} {
		var alone []result
		for _, q := range requests() {
			alone = append(alone, generate(t, start(t, name, nil), q))
		}
		e := start(t, name, func(c *Config) { c.Batch = 33 })
		for round := range 2 {
			together := make([]result, len(alone))
			var wg sync.WaitGroup
			for i, q := range requests() {
				wg.Go(func() { together[i] = collect(e, context.Background(), q) })
			}
			wg.Wait()
			cached := 0
			for i, r := range together {
				require.NoError(t, r.err)
				require.Equal(t, alone[i].ids, r.ids, "%s: request %d, round %d", name, i, round)
				cached += r.last.Usage.Cached
			}
			if round == 1 {
				require.Positive(t, cached, "the second round finds its prefixes in the cache")
			}
		}
	}
}

func TestPrefixIsReused(t *testing.T) {
	e := start(t, "llama-dense", nil)
	ids := prompt(100)
	first := generate(t, e, Request{Tokens: ids, MaxTokens: 5, IgnoreEOG: true})
	require.Zero(t, first.last.Usage.Cached)
	again := generate(t, e, Request{Tokens: ids, MaxTokens: 5, IgnoreEOG: true})
	require.Equal(t, 99, again.last.Usage.Cached, "all but the token whose logits are needed")
	require.Equal(t, first.ids, again.ids)
	on := generate(t, e, Request{Tokens: append(append([]int32(nil), ids...), first.ids...), MaxTokens: 5, IgnoreEOG: true})
	require.Equal(t, 104, on.last.Usage.Cached)
	// A hook may have changed anything: no sharing either way.
	hooked := generate(t, e, Request{Tokens: ids, MaxTokens: 5, IgnoreEOG: true, Hook: &hook{}})
	require.Zero(t, hooked.last.Usage.Cached)
	require.Equal(t, first.ids, hooked.ids)
	none := start(t, "llama-dense", func(c *Config) { c.Retain = -1 })
	generate(t, none, Request{Tokens: ids, MaxTokens: 5})
	require.Zero(t, generate(t, none, Request{Tokens: ids, MaxTokens: 5}).last.Usage.Cached)
	require.Zero(t, none.store.Pages())
}

type hook struct{ observe func(*nn.Event) }

func (h *hook) Wants(_ int, name string) bool { return name == nn.NameLayerOut }
func (h *hook) Observe(e *nn.Event) {
	if h.observe != nil {
		h.observe(e)
	}
}

// TestPanicLeavesTheLoop: a reader that panics gives back what its request had, as one that leaves
// the loop does.
func TestPanicLeavesTheLoop(t *testing.T) {
	page := start(t, "llama-dense", nil).store.PageBytes()
	e := start(t, "llama-dense", func(c *Config) { c.CacheBytes, c.Retain = 2*page, -1 })
	require.PanicsWithValue(t, "left", func() {
		for range e.Generate(context.Background(), Request{Tokens: prompt(70), IgnoreEOG: true}) {
			panic("left")
		}
	})
	require.NoError(t, collect(e, context.Background(), Request{Tokens: prompt(100), MaxTokens: 2}).err)
}

// TestUnembed: rows go through the head in pieces, beside requests, and end when their caller wants
// it.
func TestUnembed(t *testing.T) {
	e := start(t, "llama-dense", func(c *Config) { c.Batch = 7 })
	ids := prompt(40)
	var x, want []float32
	err := e.Score(t.Context(), Request{Tokens: ids, Hook: &hook{observe: func(ev *nn.Event) {
		if ev.Layer == e.store.Layers()-1 {
			x = append(x, ev.Data...)
		}
	}}, Logits: func(_ int, row []float32) error { want = append(want, row...); return nil }})
	require.NoError(t, err)
	width := len(x) / len(ids)
	beside := make(chan error)
	go func() {
		beside <- collect(e, context.Background(), Request{Tokens: ids, MaxTokens: 20, IgnoreEOG: true}).err
	}()
	var got []float32
	require.NoError(t, e.Unembed(context.Background(), x, width, func(row int, logits []float32) error {
		require.Equal(t, len(got), row*len(logits))
		got = append(got, logits...)
		return nil
	}))
	require.NoError(t, <-beside)
	require.Equal(t, want, got)

	boom := errors.New("boom")
	rows := 0
	require.ErrorIs(t, e.Unembed(context.Background(), x, width, func(int, []float32) error { rows++; return boom }), boom)
	require.Equal(t, 1, rows)
	require.ErrorContains(t, e.Unembed(context.Background(), x, width, func(int, []float32) error { panic("bang") }), "bang")
	ctx, cancel := context.WithCancel(context.Background())
	require.ErrorIs(t, e.Unembed(ctx, x, width, func(int, []float32) error { cancel(); return nil }), context.Canceled)
	require.ErrorContains(t, e.Unembed(context.Background(), x[1:], width, nil), "x: want whole rows")
	e.Close()
	require.ErrorIs(t, e.Unembed(context.Background(), x, width, nil), ErrClosed)
}

func TestLogitsCallback(t *testing.T) {
	e := start(t, "llama-dense", func(c *Config) { c.Batch = 7 })
	var rows int
	err := e.Score(t.Context(), Request{Tokens: prompt(40), Logits: func(pos int, row []float32) error {
		require.Equal(t, rows, pos)
		require.Len(t, row, 320)
		rows++
		return nil
	}})
	require.NoError(t, err)
	require.Equal(t, 40, rows)
	stop := errors.New("enough")
	err = e.Score(t.Context(), Request{Tokens: prompt(40), Logits: func(pos int, _ []float32) error {
		if pos == 9 {
			return stop
		}
		return nil
	}})
	require.ErrorIs(t, err, stop)
}

func TestLogProbs(t *testing.T) {
	e := start(t, "llama-dense", nil)
	var logits []float32
	ids := prompt(12)
	err := e.Score(t.Context(), Request{Tokens: ids, Logits: func(_ int, row []float32) error {
		logits = append(logits[:0], row...)
		return nil
	}})
	require.NoError(t, err)
	for p, err := range e.Generate(context.Background(), Request{Tokens: ids, MaxTokens: 1, IgnoreEOG: true, LogProb: true, Top: 3}) {
		require.NoError(t, err)
		if p.Stop != "" {
			continue
		}
		var sum float64
		for _, v := range logits {
			sum += math.Exp(float64(v))
		}
		require.InDelta(t, float64(logits[p.ID])-math.Log(sum), p.LogProb, 1e-5)
		require.Len(t, p.Top, 3)
		require.Equal(t, p.ID, p.Top[0].ID, "greedy takes the best")
		require.InDelta(t, p.LogProb, p.Top[0].Logit, 1e-6)
		require.GreaterOrEqual(t, p.Top[0].Logit, p.Top[1].Logit)
	}
}

func TestCancel(t *testing.T) {
	e := start(t, "llama-dense", nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var got []int32
	var last Piece
	for p, err := range e.Generate(ctx, Request{Tokens: prompt(10), IgnoreEOG: true}) {
		require.NoError(t, err)
		last = p
		if p.Stop == "" {
			got = append(got, p.ID)
		}
		if len(got) == 5 {
			cancel()
		}
	}
	require.Equal(t, StopCancelled, last.Stop)
	require.Less(t, len(got), 5+maxAhead+1)
	require.Equal(t, 10, last.Usage.Prompt)

	r := collect(e, ctx, Request{Tokens: prompt(10), MaxTokens: 5})
	require.NoError(t, r.err)
	require.Equal(t, StopCancelled, r.last.Stop, "cancelled before it began")

	// Leaving the loop frees everything.
	for range 3 {
		for range e.Generate(context.Background(), Request{Tokens: prompt(10), IgnoreEOG: true}) {
			break
		}
	}
	require.Equal(t, StopLength, generate(t, e, Request{Tokens: prompt(10), MaxTokens: 2, IgnoreEOG: true}).last.Stop)
}

// TestCancelDuringPrompt interrupts the evaluation of a long prompt while another request is
// generating, which must not notice.
func TestCancelDuringPrompt(t *testing.T) {
	e := start(t, "llama-dense", func(c *Config) { c.NCtx = 5000 })
	want := generate(t, e, Request{Tokens: prompt(10), MaxTokens: 60, IgnoreEOG: true}).ids
	var wg sync.WaitGroup
	var other result
	wg.Go(func() {
		other = collect(e, context.Background(), Request{Tokens: prompt(10), MaxTokens: 60, IgnoreEOG: true})
	})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	r := collect(e, ctx, Request{Tokens: prompt(4900), IgnoreEOG: true})
	require.NoError(t, r.err)
	require.Equal(t, StopCancelled, r.last.Stop)
	wg.Wait()
	require.NoError(t, other.err)
	require.Equal(t, want, other.ids)
}

// TestSlowReader lets one reader sleep while another goes on.
func TestSlowReader(t *testing.T) {
	e := start(t, "llama-dense", nil)
	want := generate(t, e, Request{Tokens: prompt(10), MaxTokens: 60, IgnoreEOG: true}).ids
	first := true
	var got []int32
	for p, err := range e.Generate(context.Background(), Request{Tokens: prompt(10), MaxTokens: 60, IgnoreEOG: true}) {
		require.NoError(t, err)
		if first {
			first = false
			require.Len(t, generate(t, e, Request{Tokens: prompt(12), MaxTokens: 100, IgnoreEOG: true}).ids, 100)
		}
		if p.Stop == "" {
			got = append(got, p.ID)
		}
	}
	require.Equal(t, want, got)
}

func TestCacheMemory(t *testing.T) {
	page := start(t, "llama-dense", nil).store.PageBytes()
	e := start(t, "llama-dense", func(c *Config) { c.CacheBytes = 3 * page })
	// Three pages hold 192 positions.
	r := collect(e, context.Background(), Request{Tokens: prompt(199), IgnoreEOG: true})
	require.ErrorIs(t, r.err, ErrCacheFull)
	// What ended requests left in the cache gives way.
	for i := range 5 {
		generate(t, e, Request{Tokens: prompt(60 + i), MaxTokens: 3, IgnoreEOG: true})
	}
	// Of several that do not fit together, those that fit one after another all end.
	var wg sync.WaitGroup
	results := make([]result, 4)
	for i := range results {
		wg.Go(func() {
			results[i] = collect(e, context.Background(), Request{Tokens: prompt(50 + i), MaxTokens: 4, IgnoreEOG: true})
		})
	}
	wg.Wait()
	for _, r := range results {
		require.NoError(t, r.err)
		require.Len(t, r.ids, 4)
	}
}

func TestClose(t *testing.T) {
	e := start(t, "llama-dense", nil)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			errs[i] = collect(e, context.Background(), Request{Tokens: prompt(150 + i), IgnoreEOG: true}).err
		})
	}
	time.Sleep(5 * time.Millisecond)
	e.Close()
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			require.ErrorIs(t, err, ErrClosed)
		}
	}
	e.Close()
	require.ErrorIs(t, collect(e, context.Background(), Request{Tokens: prompt(1)}).err, ErrClosed)
}

func TestProgress(t *testing.T) {
	e := start(t, "llama-dense", func(c *Config) { c.Batch = 40 })
	var seen [][2]int
	err := e.Score(t.Context(), Request{Tokens: prompt(100), Progress: func(done, total int) { seen = append(seen, [2]int{done, total}) }})
	require.NoError(t, err)
	require.Equal(t, [][2]int{{0, 100}, {40, 100}, {80, 100}, {100, 100}}, seen)
}

// BenchmarkDecode generates tokens one by one; a warmed-up engine allocates nothing for them.
func BenchmarkDecode(b *testing.B) {
	for _, name := range append([]string{"llama-dense", "mixtral", "llama-quant-mix", "deepseek2-lite-27l"}, forgetful...) {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(shared.Dir(b), "conformance", "models", name, "model.gguf")
			e := startFile(b, path, func(c *Config) { c.NCtx = 1 << 20 })
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			n := 0
			b.ReportAllocs()
			for p, err := range e.Generate(ctx, Request{Tokens: prompt(10), IgnoreEOG: true, Sampling: sample.Defaults(), Stop: []string{"no such text"}}) {
				require.NoError(b, err)
				if p.Stop != "" {
					break
				}
				// The first tokens grow buffers.
				if n++; n == 100 {
					b.ResetTimer()
				}
				if n == 100+b.N {
					b.StopTimer()
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tok/s")
					cancel()
				}
			}
		})
	}
}

// TestPick: a caller who picks the tokens gets the logits that a prompt of the same tokens has, and
// no token outside of the vocabulary.
func TestPick(t *testing.T) {
	e := start(t, "llama-dense", nil)
	forced := prompt(30)
	var rows [][]float32
	r := generate(t, e, Request{Tokens: forced[:20], MaxTokens: 10, IgnoreEOG: true, Pick: func(logits []float32, pos int) int32 {
		rows = append(rows, slices.Clone(logits))
		require.Equal(t, 20+len(rows)-1, pos)
		return forced[pos]
	}})
	require.Equal(t, forced[20:], r.ids)
	err := e.Score(t.Context(), Request{Tokens: forced, Logits: func(pos int, row []float32) error {
		if i := pos - 19; i >= 0 && i < len(rows) {
			require.Equal(t, rows[i], row, "after %d tokens", pos+1)
		}
		return nil
	}})
	require.NoError(t, err)
	for _, id := range []int32{-1, int32(e.c.NVocab)} {
		bad := collect(e, t.Context(), Request{Tokens: forced, MaxTokens: 1, Pick: func([]float32, int) int32 { return id }})
		require.EqualError(t, bad.err, fmt.Sprintf("token %d, chosen by Pick, is outside the vocabulary of %d", id, e.c.NVocab))
	}
}
