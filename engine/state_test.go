package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/kv"
)

// saved is a state of a text, and the engine that it is of.
func saved(t *testing.T, name string, n int) (path string, ids []int32, state []byte) {
	t.Helper()
	path = filepath.Join(shared.Dir(t), "conformance", "models", name, "model.gguf")
	e := startFile(t, path, identified("m"))
	ids = prompt(n)
	ids = append(ids, generate(t, e, Request{Tokens: ids, MaxTokens: 9, IgnoreEOG: true}).ids...)
	var b bytes.Buffer
	got, err := e.SaveState(t.Context(), &b, ids, "")
	require.NoError(t, err)
	require.Equal(t, len(ids)-1, got, "the last token was not evaluated")
	return path, ids, b.Bytes()
}

func identified(name string) func(*Config) {
	return func(c *Config) { c.NCtx, c.Identity = 300, func() string { return name } }
}

// TestResume: a state that another engine loads is gone on from, and what is generated is what
// would have been without.
func TestResume(t *testing.T) {
	for _, name := range []string{"llama-dense", "gemma3", "gpt-oss", "mamba2", "qwen3next", "falcon-h1", "deepseek2-lite-27l"} {
		path, ids, state := saved(t, name, 100)
		e := startFile(t, path, identified("m"))
		loaded, err := e.LoadState(t.Context(), bytes.NewReader(state))
		require.NoError(t, err, name)
		require.Equal(t, ids[:len(ids)-1], loaded, name)
		q := Request{Tokens: ids, MaxTokens: 20, IgnoreEOG: true}
		r := generate(t, e, q)
		require.Equal(t, len(loaded), r.last.Usage.Cached, name)
		require.Equal(t, generate(t, startFile(t, path, identified("m")), q).ids, r.ids, name)
	}
}

// TestDamagedState: a state with any byte changed, or cut short, or with more after it, is refused
// and leaves nothing, as is one of another model.
func TestDamagedState(t *testing.T) {
	for _, name := range []string{"llama-dense", "qwen3next"} {
		path, _, state := saved(t, name, 80)
		e := startFile(t, path, identified("m"))
		refused := func(b []byte, what string, at int) {
			t.Helper()
			_, err := e.LoadState(t.Context(), bytes.NewReader(b))
			if !errors.Is(err, ErrState) {
				require.ErrorIs(t, err, ErrState, "%s: %s at %d of %d", name, what, at, len(state))
			}
		}
		step := 1 + len(state)/500
		for i := 0; i < len(state); i++ {
			if i > 400 && i%step != 0 {
				continue
			}
			state[i] ^= 1 << (i % 8)
			refused(state, "a bit", i)
			state[i] ^= 1 << (i % 8)
			if i%7 == 0 {
				refused(state[:i], "cut", i)
			}
		}
		refused(append(bytes.Clone(state), 0), "a byte more", len(state))
		require.Zero(t, e.store.Pages())

		other := startFile(t, path, identified("another"))
		_, err := other.LoadState(t.Context(), bytes.NewReader(state))
		require.ErrorIs(t, err, ErrState)
		require.ErrorContains(t, err, "another")
		other = startFile(t, path, func(c *Config) { identified("m")(c); c.KType = kv.F32 })
		_, err = other.LoadState(t.Context(), bytes.NewReader(state))
		require.ErrorIs(t, err, ErrState)
		if name != "llama-dense" {
			continue
		}
		small := startFile(t, path, func(c *Config) { identified("m")(c); c.CacheBytes = e.store.Need(1, 1) })
		_, err = small.LoadState(t.Context(), bytes.NewReader(state))
		require.ErrorIs(t, err, ErrCacheFull)
		_, err = e.LoadState(t.Context(), bytes.NewReader(state))
		require.NoError(t, err)
	}
}

// TestStateBesideOthers: states are saved and loaded while requests run, and not after Close.
func TestStateBesideOthers(t *testing.T) {
	path, ids, state := saved(t, "llama-dense", 100)
	e := startFile(t, path, tight(t, path, 2, 160))
	e.c.Identity = func() string { return "m" }
	q := Request{Tokens: prompt(90), MaxTokens: 40, IgnoreEOG: true}
	want := generate(t, e, q).ids
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 5 {
				_, err := e.LoadState(context.Background(), bytes.NewReader(state))
				if !errors.Is(err, ErrCacheFull) {
					require.NoError(t, err)
				}
				_, err = e.SaveState(context.Background(), io.Discard, ids, "")
				require.NoError(t, err)
			}
		})
		wg.Go(func() { require.Equal(t, want, collect(e, context.Background(), q).ids) })
	}
	wg.Wait()
	require.NoError(t, e.Close())
	e.c.Identity = func() string { panic("the file is closed") }
	_, err := e.LoadState(t.Context(), bytes.NewReader(state))
	require.ErrorIs(t, err, ErrClosed)
	_, err = e.SaveState(t.Context(), io.Discard, ids, "")
	require.ErrorIs(t, err, ErrClosed)
}
