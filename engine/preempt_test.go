package engine

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/sample"
)

// tight is a cache that has room for about n requests of so many positions, of a model whose layers
// keep what they like.
func tight(t *testing.T, path string, n, positions int) func(*Config) {
	all := func(c *Config) { c.NCtx, c.Batch, c.Running = 300, 32, 3 }
	var need int64
	t.Run("size", func(t *testing.T) { need = startFile(t, path, all).store.Need(positions, 32) })
	return func(c *Config) { all(c); c.CacheBytes = int64(n) * need }
}

// mixed are n requests of all kinds and lengths.
func mixed(n int) []Request {
	var qs []Request
	for i := range n {
		q := Request{
			Tokens: prompt(5 + i*37%120), MaxTokens: 4 + i*5%24, IgnoreEOG: true, Priority: i % 7 / 6,
			LogProb: i%3 == 0, Top: i % 4,
		}
		if i%2 == 1 {
			q.Sampling = sample.Defaults()
			q.Sampling.Seed = uint64(i)
		}
		if i%5 == 2 {
			q.Proposer = constant(7)
		}
		if i%5 == 4 {
			q.Stop = []string{"e", "th"}
		}
		if i%6 == 5 {
			q.Sampling.Grammar = every(3)
		}
		qs = append(qs, q)
	}
	return qs
}

// constant is a Proposer that guesses one token, mostly wrongly.
type constant int32

func (c constant) Propose(dst []int32, tokens []int32, n int) []int32 {
	for range n {
		dst = append(dst, int32(c))
	}
	return dst
}

// every is a Grammar of ids that are multiples of it; after two of them 9 must follow.
type every int32

func (v every) NewMatcher() sample.Matcher { return &everyMatcher{v: v} }

type everyMatcher struct {
	v every
	n int
}

func (m *everyMatcher) Mask(allowed sample.Bitset) {
	allowed.Clear()
	if m.n%3 == 2 {
		allowed.Add(9)
		return
	}
	for id := int32(0); int(id) < 64*len(allowed); id += int32(m.v) {
		allowed.Add(id)
	}
}
func (m *everyMatcher) Accept(int32) error    { m.n++; return nil }
func (m *everyMatcher) Clone() sample.Matcher { c := *m; return &c }
func (m *everyMatcher) Done() bool            { return false }

// TestTightCache: in a cache for two, many requests of all kinds have the results that they have
// alone, of models that forget in every way.
func TestTightCache(t *testing.T) {
	for _, name := range []string{"llama-dense", "gemma3", "gpt-oss", "mamba2", "qwen3next", "falcon-h1", "deepseek2-lite-27l"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(shared.Dir(t), "conformance", "models", name, "model.gguf")
			n := 24
			if name == "llama-dense" {
				n = 50
			}
			alone := startFile(t, path, func(c *Config) { c.NCtx = 300 })
			e := startFile(t, path, tight(t, path, 2, 160))
			got := make([]result, n)
			var wg sync.WaitGroup
			// Late ones come while others run, and are preferred to them.
			late := func(i int) bool { return i%7 == 6 }
			first, begun, held := mixed(n)[0], make(chan struct{}), false
			// It holds the engine until the others wait, so that they compete.
			first.Progress = func(int, int) {
				if held {
					return
				}
				held = true
				close(begun)
				for e.Stats().Waiting < n-n/7 { // nothing is admitted meanwhile
					time.Sleep(50 * time.Microsecond)
				}
			}
			wg.Go(func() { collect(e, context.Background(), first) })
			<-begun
			for i, q := range mixed(n) {
				if late(i) {
					continue
				}
				if i%7 == 5 && i+1 < n {
					q.Progress = func(done, total int) {
						if done < total {
							return
						}
						wg.Go(func() { got[i+1] = collect(e, context.Background(), mixed(n)[i+1]) })
						for e.Stats().Waiting == 0 { // nothing is admitted meanwhile
							time.Sleep(50 * time.Microsecond)
						}
					}
				}
				wg.Go(func() { got[i] = collect(e, context.Background(), q) })
			}
			wg.Wait()
			require.Positive(t, e.Stats().Preempted)
			for i, q := range mixed(n) {
				want := generate(t, alone, q)
				require.NoError(t, got[i].err, i)
				require.Equal(t, want.ids, got[i].ids, i)
				require.Equal(t, want.text, got[i].text, i)
				require.Equal(t, want.last.Stop, got[i].last.Stop, i)
				require.Equal(t, want.last.StopString, got[i].last.StopString, i)
			}
		})
	}
}

// TestReplayIsSilent: a request that is stopped again and again shows callbacks and its Watch each
// position once, and has the embedding and the logits that it has alone.
func TestReplayIsSilent(t *testing.T) {
	path := filepath.Join(shared.Root(t), "testdata", "models", "llama-dense", "model.gguf")
	e := startFile(t, path, func(c *Config) {
		tight(t, path, 1, 190)(c)
		c.Batch, c.Retain = 8, -1
	})
	embed := EmbedRequest{Tokens: prompt(90), Pooling: model.PoolMean}
	score := func(progress func(done, total int)) (rows [][]float32, watched []int) {
		w := NewWatch(WatchConfig{Names: []string{nn.NameLayerOut}, Layers: []int{0}})
		require.NoError(t, e.Score(context.Background(), Request{Tokens: prompt(100), Progress: progress, Watch: w, Logits: func(pos int, row []float32) error {
			require.Equal(t, len(rows), pos)
			rows = append(rows, slices.Clone(row))
			return nil
		}}))
		for ev := range w.Events() {
			watched = append(watched, ev.Pos)
		}
		require.Zero(t, w.Dropped())
		return rows, watched
	}
	wantEmbd, err := e.Embed(t.Context(), embed)
	require.NoError(t, err)
	wantRows, wantWatched := score(nil)
	require.Len(t, wantRows, 100)
	require.Len(t, wantWatched, 100)
	require.True(t, slices.IsSorted(wantWatched))
	// Whenever the first request has got a bit further, a more urgent one comes, which needs its
	// cache.
	var wg sync.WaitGroup
	urgent := func() {
		wg.Go(func() {
			r := collect(e, context.Background(), Request{Tokens: prompt(130), MaxTokens: 2, IgnoreEOG: true, Priority: 1})
			require.NoError(t, r.err)
		})
		for e.Stats().Waiting == 0 {
			time.Sleep(50 * time.Microsecond)
		}
	}
	wg.Go(func() {
		got, err := e.Embed(context.Background(), embed)
		require.NoError(t, err)
		require.Equal(t, wantEmbd, got)
	})
	rows, watched := score(func(done, _ int) {
		if done >= 16 && done < 80 {
			urgent()
		}
	})
	wg.Wait()
	require.Equal(t, wantRows, rows)
	require.Equal(t, wantWatched, watched)
	require.Greater(t, e.Stats().Preempted, uint64(2))
}

// TestNestedReaders: readers whose loops have requests of their own, in a cache that is too small
// for them together.
func TestNestedReaders(t *testing.T) {
	path := filepath.Join(shared.Root(t), "testdata", "models", "llama-dense", "model.gguf")
	e := startFile(t, path, tight(t, path, 1, 160))
	q := Request{Tokens: prompt(100), MaxTokens: 40, IgnoreEOG: true}
	want := generate(t, e, q).ids
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			var got []int32
			for p, err := range e.Generate(context.Background(), q) {
				require.NoError(t, err)
				if p.Kind == KindStop {
					continue
				}
				if got = append(got, p.ID); len(got)%13 == 1 {
					require.Equal(t, want, collect(e, context.Background(), q).ids)
				}
			}
			require.Equal(t, want, got)
		})
	}
	wg.Wait()
}

// TestHooksInATightCache: requests with hooks are never stopped; those beside them wait.
func TestHooksInATightCache(t *testing.T) {
	path := filepath.Join(shared.Root(t), "testdata", "models", "llama-dense", "model.gguf")
	e := startFile(t, path, tight(t, path, 2, 160))
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			q := Request{Tokens: prompt(80 + i%40), MaxTokens: 40, IgnoreEOG: true}
			next := len(q.Tokens)
			if i%4 == 0 {
				at := 0
				q.Hook = &hook{observe: func(ev *nn.Event) {
					if ev.Layer == 0 {
						require.Equal(t, at, ev.Pos)
						at++
					}
				}}
			}
			for p, err := range e.Generate(context.Background(), q) {
				require.NoError(t, err)
				if p.Kind != KindStop {
					next++
				}
			}
			require.Equal(t, len(q.Tokens)+40, next)
		})
	}
	wg.Wait()
}

// TestTooBig: what does not fit alone fails, and those that wait for its cache do not.
func TestTooBig(t *testing.T) {
	path := filepath.Join(shared.Root(t), "testdata", "models", "llama-dense", "model.gguf")
	e := startFile(t, path, tight(t, path, 1, 190))
	for _, h := range []nn.Hook{nil, &hook{}} {
		var wg sync.WaitGroup
		got := make([]error, 6)
		for i := range got {
			wg.Go(func() {
				q := Request{Tokens: prompt(150 + i), MaxTokens: 5, IgnoreEOG: true}
				if i%3 == 0 {
					q = Request{Tokens: prompt(120), IgnoreEOG: true, Hook: h}
				}
				got[i] = collect(e, context.Background(), q).err
			})
		}
		wg.Wait()
		for i, err := range got {
			if i%3 == 0 {
				require.ErrorIs(t, err, ErrCacheFull)
			} else {
				require.NoError(t, err)
			}
		}
	}
}
