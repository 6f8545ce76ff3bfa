package goinfer_test

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
)

// TestEmbed: embeddings are the hidden states, pooled as asked for.
func TestEmbed(t *testing.T) {
	m := open(t, filepath.Join("testdata", "models", "llama-dense", "model.gguf"), goinfer.Options{})
	ctx := context.Background()
	tokens := []int32{1, 17, 99, 200, 3}
	hidden := hiddenOf(t, m, tokens)
	width := m.Config().NEmbd
	embed := func(p goinfer.Pooling, raw bool) []float32 {
		e, err := m.Embed(ctx, goinfer.EmbedRequest{Tokens: tokens, Pooling: p, Raw: raw})
		require.NoError(t, err)
		return e
	}
	require.Equal(t, hidden[:width], embed(goinfer.PoolFirst, true))
	require.Equal(t, hidden[4*width:], embed(goinfer.PoolLast, true))
	require.Equal(t, embed(goinfer.PoolLast, false), embed(goinfer.PoolDefault, false), "a model of text ends with what it has read")
	for i, v := range embed(goinfer.PoolMean, true) {
		sum := 0.0
		for row := range tokens {
			sum += float64(hidden[row*width+i])
		}
		require.InDelta(t, sum/5, v, 1e-6)
	}
	length := 0.0
	for _, v := range embed(goinfer.PoolMean, false) {
		length += float64(v) * float64(v)
	}
	require.InDelta(t, 1, math.Sqrt(length), 1e-6)

	// Hidden states take nothing from generation beside them.
	want := greedy(t, m, tokens, 8)
	done := make(chan error)
	go func() { done <- m.Hidden(ctx, tokens, func(int, []float32) error { return nil }) }()
	require.Equal(t, want, greedy(t, m, tokens, 8))
	require.NoError(t, <-done)

	_, err := m.Embed(ctx, goinfer.EmbedRequest{Tokens: tokens, Pooling: 9})
	require.ErrorContains(t, err, "Pooling: want mean, first or last, found 9")
	_, err = m.Embed(ctx, goinfer.EmbedRequest{Tokens: []int32{}})
	require.ErrorContains(t, err, "the prompt is empty")
}
