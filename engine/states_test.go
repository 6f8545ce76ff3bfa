package engine

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/kv"
)

// forgetful are models with layers that do not remember every position, one for each kind of state.
var forgetful = []string{"gemma3", "gpt-oss", "mamba", "mamba2", "falcon-h1", "lfm2", "qwen3next"}

// TestForgetfulPrefix: a prefix that is reused gives what a fresh one gives, and is reused as far
// as marks reach.
func TestForgetfulPrefix(t *testing.T) {
	for _, name := range forgetful {
		t.Run(name, func(t *testing.T) {
			const n = markStep + 90
			path := filepath.Join(shared.Dir(t), "conformance", "models", name, "model.gguf")
			e := startFile(t, path, func(c *Config) { c.NCtx = 2 * n; c.Batch = 100 })
			fresh := startFile(t, path, func(c *Config) { c.NCtx = 2 * n; c.Retain = -1 })
			ids := prompt(n)
			tail := prompt(n + 70)[n:]
			answer := func(ids []int32, cached int) []int32 {
				t.Helper()
				q := Request{Tokens: ids, MaxTokens: 12, IgnoreEOG: true}
				r := generate(t, e, q)
				require.Equal(t, cached, r.last.Usage.Cached)
				require.Equal(t, generate(t, fresh, q).ids, r.ids)
				return r.ids
			}
			first := answer(ids, 0)
			require.Equal(t, first, answer(ids, n-1), "the same prompt, but for the token whose logits are needed")
			answer(append(slices.Clone(ids), first...), n+11)
			// Its beginning alone: the last of the grid.
			answer(append(slices.Clone(ids[:markStep+30]), tail...), markStep)
			// Less than the grid's first length is computed again.
			answer(append(slices.Clone(ids[:markStep-1]), tail...), 0)
			// What was computed is shared with what runs beside it, and what was shared is itself
			// shared.
			most := n - 1
			if e.store.StateBytes() == 0 { // the pages of the windows reach back to there
				most = n
			}
			answer(append(slices.Clone(ids), tail...), most)
			answer(append(slices.Clone(ids), tail...), n+len(tail)-1)
		})
	}
}

// TestWindowHolds: a long generation of a model with windows holds what they reach into, and all of
// the layers that see everything.
func TestWindowHolds(t *testing.T) {
	// one layer of seven sees everything, the others 8 positions
	path := filepath.Join(shared.Dir(t), "conformance", "models", "gemma3", "model.gguf")
	e := startFile(t, path, func(c *Config) { c.NCtx = 2000; c.Batch = 64 })
	generate(t, e, Request{Tokens: prompt(1500), MaxTokens: 300, IgnoreEOG: true})
	all := 1800 * e.store.PageBytes() / kv.PageLen
	full := 1800 * e.store.TokenBytes()
	require.Less(t, e.store.Bytes(), full+(all-full)/3)
	require.LessOrEqual(t, e.store.Bytes(), e.store.Need(2000, 64))
}
