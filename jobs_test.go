package goinfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/shared"
)

// jobModels are of every way to remember: all positions, windows, states, latents, and mixtures.
func jobModels(t *testing.T) []string {
	paths := []string{"testdata/models/llama-dense/model.gguf", "testdata/models/llama-quant-mix/model.gguf"}
	for _, name := range []string{"gemma3", "mamba2", "qwen3next", "falcon-h1", "deepseek2-lite-mla", "gpt-oss"} {
		paths = append(paths, filepath.Join(shared.Dir(t), "conformance", "models", name, "model.gguf"))
	}
	return paths
}

// mixed are requests of mixed lengths, samplings and kinds, some of which begin alike.
func mixed(n int) []goinfer.Request {
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func(n int) []int32 {
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = int32(3 + rng.IntN(280))
		}
		return ids
	}
	common := draw(40)
	qs := make([]goinfer.Request, n)
	for i := range qs {
		q := goinfer.Request{Tokens: draw(1 + rng.IntN(90)), MaxTokens: 1 + rng.IntN(30), IgnoreEOG: true, LogProb: true}
		if i%3 == 0 {
			q.Tokens = append(slices.Clone(common), q.Tokens...)
		}
		if i%2 == 1 {
			q.Sampling = goinfer.DefaultSampling()
			q.Sampling.Seed = uint64(i)
		}
		if i%5 == 0 {
			q.Proposer = &lookup{wrong: 4}
		}
		if i%7 == 0 {
			q.Priority = 1
		}
		qs[i] = q
	}
	return qs
}

// TestPreempted: fifty requests at once over a cache for two end with what they yield alone.
func TestPreempted(t *testing.T) {
	models, n := jobModels(t), 50
	if testing.Short() {
		models = []string{models[0], models[2], models[3]}
	}
	for _, path := range models {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			alone := open(t, path, goinfer.Options{Context: 200, Retain: -1})
			need := open(t, path, goinfer.Options{Context: 160, Batch: 32}).Info().Memory.Cache
			m := open(t, path, goinfer.Options{Context: 200, Batch: 32, CacheBytes: 2 * need, Threads: 2})
			var wg sync.WaitGroup
			got := make([][]string, n)
			last := make([]goinfer.Piece, n)
			for i, q := range mixed(n) {
				wg.Go(func() { got[i], last[i] = answer(t, m, q) })
			}
			wg.Wait()
			preempted := 0
			for i, q := range mixed(n) {
				q.Proposer = nil
				want, _ := answer(t, alone, q)
				require.Equal(t, want, got[i], "request %d", i)
				preempted += last[i].Usage.Preempted
			}
			t.Logf("%d times a request gave its cache to another", preempted)
			require.Zero(t, m.Stats().Running+m.Stats().Waiting)
			require.EqualValues(t, n, m.Stats().Completed)
		})
	}
}

// faulty is a hook that does something at the first layer.
type faulty struct{ do func() }

func (faulty) Wants(layer int, name string) bool { return name == goinfer.NameLayerOut && layer == 0 }
func (f faulty) Observe(*goinfer.Event)          { f.do() }

// TestGuilty: code of the caller's that goes wrong costs its own request, with an error of its
// kind, and no other.
func TestGuilty(t *testing.T) {
	m := open(t, "testdata/models/llama-dense/model.gguf", goinfer.Options{Context: 256})
	q := goinfer.Request{Tokens: []int32{20, 30, 41}, MaxTokens: 30, IgnoreEOG: true}
	want, _ := answer(t, m, q)
	var inner error
	call := func() { _, inner = onlyError(m, t, goinfer.Request{Tokens: []int32{1}, MaxTokens: 1}) }
	for name, c := range map[string]struct {
		do   func()
		kind error
	}{
		"panic":  {func() { panic("boom") }, goinfer.ErrCallback},
		"exit":   {runtime.Goexit, goinfer.ErrCallback},
		"nested": {call, nil},
	} {
		stop := atomic.Bool{}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for !stop.Load() {
					got, _ := answer(t, m, q)
					require.Equal(t, want, got)
				}
			})
		}
		for i, bad := range []goinfer.Request{
			{Hook: faulty{c.do}},
			{Progress: func(int, int) { c.do() }},
			{Pick: func([]float32, int) int32 { c.do(); return 1 }},
			{Logits: func(int, []float32) error { c.do(); return nil }},
		} {
			bad.Tokens, bad.MaxTokens, inner = q.Tokens, 3, nil
			_, err := onlyError(m, t, bad)
			if c.kind != nil {
				require.ErrorIs(t, err, c.kind, "%s, %d", name, i)
				require.NotContains(t, err.Error(), "[running]")
				continue
			}
			require.NoError(t, err)
			require.ErrorIs(t, inner, goinfer.ErrReentrant)
		}
		stop.Store(true)
		wg.Wait()
	}
	var closed error
	_, err := onlyError(m, t, goinfer.Request{Tokens: q.Tokens, MaxTokens: 1, Hook: faulty{func() { closed = m.Close() }}})
	require.NoError(t, err)
	require.ErrorIs(t, closed, goinfer.ErrReentrant)
}

// TestBusy: a full queue refuses, and a wait that is cancelled ends, though the engine is held up.
func TestBusy(t *testing.T) {
	m := open(t, "testdata/models/llama-dense/model.gguf", goinfer.Options{Context: 64, Running: 1, Waiting: 2})
	hold, held := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := onlyError(m, t, goinfer.Request{Tokens: []int32{1}, MaxTokens: 1, Hook: faulty{sync.OnceFunc(func() { close(held); <-hold })}})
		require.NoError(t, err)
	})
	<-held
	ctx, cancel := context.WithCancelCause(t.Context())
	left := errors.New("left")
	for range 2 {
		wg.Go(func() {
			require.ErrorIs(t, m.Score(ctx, goinfer.Request{Tokens: []int32{1, 2}}), left)
		})
	}
	require.Eventually(t, func() bool { return m.Stats().Waiting == 2 }, 30*time.Second, time.Millisecond)
	require.ErrorIs(t, m.Score(t.Context(), goinfer.Request{Tokens: []int32{1}}), goinfer.ErrBusy)
	require.EqualValues(t, 1, m.Stats().Refused)
	cancel(left)
	short, stop := context.WithTimeout(t.Context(), time.Millisecond)
	defer stop()
	for p, err := range m.Generate(short, goinfer.Request{Tokens: []int32{1}}) {
		require.True(t, errors.Is(err, goinfer.ErrBusy) || p.Stop == goinfer.StopCancelled, "%v", err)
	}
	close(hold)
	wg.Wait()
	require.NoError(t, m.Score(t.Context(), goinfer.Request{Tokens: []int32{1}}))
}

// TestState: a conversation that is saved and loaded by another process goes on with the same bits,
// from where it was; anything else is refused.
func TestState(t *testing.T) {
	for _, path := range jobModels(t) {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			o := goinfer.Options{Context: 300}
			m := open(t, path, o)
			q := goinfer.Request{Tokens: mixed(1)[0].Tokens, MaxTokens: 20, IgnoreEOG: true, LogProb: true}
			tokens := slices.Clone(q.Tokens)
			for p, err := range m.Generate(t.Context(), q) {
				require.NoError(t, err)
				if p.Kind != goinfer.KindStop {
					tokens = append(tokens, p.ID)
				}
			}
			var saved bytes.Buffer
			n, err := m.SaveState(t.Context(), &saved, tokens)
			require.NoError(t, err)
			require.Equal(t, len(tokens)-1, n)
			q.Tokens = append(slices.Clone(tokens), 9, 10, 11)
			want, _ := answer(t, open(t, path, o), q)

			fresh := open(t, path, o)
			loaded, err := fresh.LoadState(t.Context(), bytes.NewReader(saved.Bytes()))
			require.NoError(t, err)
			require.Equal(t, tokens[:n], loaded)
			got, last := answer(t, fresh, q)
			require.Equal(t, want, got)
			require.Equal(t, n, last.Usage.Cached)

			for _, other := range []goinfer.Options{{Context: 299}, {Context: 300, CacheK: goinfer.CacheF32}} {
				_, err = open(t, path, other).LoadState(t.Context(), bytes.NewReader(saved.Bytes()))
				require.ErrorIs(t, err, goinfer.ErrState)
			}
			for i := 0; i < saved.Len(); i += 1 + saved.Len()/60 {
				bad := slices.Clone(saved.Bytes())
				bad[i] ^= 1
				_, err := fresh.LoadState(t.Context(), bytes.NewReader(bad))
				require.ErrorIs(t, err, goinfer.ErrState, "byte %d", i)
				_, err = fresh.LoadState(t.Context(), bytes.NewReader(bad[:i]))
				require.ErrorIs(t, err, goinfer.ErrState, "cut at %d", i)
			}
		})
	}
	m := open(t, "testdata/models/llama-dense/model.gguf", goinfer.Options{Context: 300})
	n, err := m.SaveState(t.Context(), nil, []int32{200, 201})
	require.NoError(t, err)
	require.Zero(t, n, "nothing is cached of it")
}

// TestInfoAfterClose: facts outlive the model.
func TestInfoAfterClose(t *testing.T) {
	m, err := goinfer.Open("testdata/models/llama-quant-mix/model.gguf", goinfer.Options{})
	require.NoError(t, err)
	before := m.Info()
	require.NoError(t, m.Close())
	after := m.Info()
	require.Equal(t, before, after)
	require.NotEmpty(t, after.Metadata)
	require.NotEmpty(t, after.Tensors)
	require.ErrorIs(t, m.Score(t.Context(), goinfer.Request{Tokens: []int32{1}}), goinfer.ErrClosed)
}

// shift is an adapter that adds a constant to what one matrix makes, and shifter a hook that does
// the same.
type shift struct {
	weight string
	by     float32
}

func (s shift) Key() string { return fmt.Sprintf("shift %s %g", s.weight, s.by) }
func (s shift) Add(weight string, _ int, _, y []float32) {
	if weight == "blk.1."+s.weight+".weight" {
		for i := range y {
			y[i] += s.by
		}
	}
}

type shifter struct{ shift }

func (s shifter) Wants(layer int, name string) bool { return layer == 1 && name == s.weight }
func (s shifter) Observe(e *goinfer.Event) {
	for i := range e.Data {
		e.Data[i] += s.by
	}
}

// TestAdapter: rows with an adapter give what a hook that writes the same gives, whatever rows are
// beside them; prefixes are shared by the same adapter alone.
func TestAdapter(t *testing.T) {
	for _, weight := range []string{"attn_q", "attn_output", "ffn_up_exps", "ffn_down_exps"} {
		m := open(t, "testdata/models/mixtral/model.gguf", goinfer.Options{Context: 256, Batch: 9, Threads: 2})
		plain := goinfer.Request{Tokens: mixed(1)[0].Tokens, MaxTokens: 12, IgnoreEOG: true, LogProb: true}
		hooked, adapted := plain, plain
		adapted.Adapter, hooked.Hook = shift{weight, 0.25}, shifter{shift{weight, 0.25}}
		want, _ := answer(t, m, hooked)
		base, _ := answer(t, m, plain)
		require.NotEqual(t, base, want, weight)
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				if i%2 == 0 {
					got, _ := answer(t, m, plain)
					require.Equal(t, base, got)
					return
				}
				got, _ := answer(t, m, adapted)
				require.Equal(t, want, got, weight)
			})
		}
		wg.Wait()
		_, last := answer(t, m, adapted)
		require.Equal(t, len(plain.Tokens)-1, last.Usage.Cached)
		adapted.Adapter = shift{weight, 0.5}
		_, last = answer(t, m, adapted)
		require.Zero(t, last.Usage.Cached, "another scale is another computation")
	}
}
