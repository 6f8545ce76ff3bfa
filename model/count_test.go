package model

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/quant"
)

// TestCount: active parameters are those of the chosen experts and all others, what a token reads
// is one row of an embedding that is no head, and a head is read and multiplied whole.
func TestCount(t *testing.T) {
	tied := BindShapes(tiny(t, nil), func(string) bool { return false })
	tied.Embedding("token_embd", 100, 8)
	tied.Head(8, 100)
	require.Equal(t, []Tensor{{Name: "token_embd.weight", Shape: []int{8, 100}, Type: quant.F32, Used: 1, Of: 1, Use: OutputHead}}, tied.Tensors())
	require.Equal(t, Counts{Params: 800, Bytes: 3200, Active: 800, Read: 800, ReadBytes: 3200}, Count(tied.Tensors()))

	untied := BindShapes(tiny(t, nil), func(name string) bool { return name == "output.weight" })
	untied.Embedding("token_embd", 100, 8)
	untied.Head(8, 100)
	ts := untied.Tensors()
	require.Equal(t, []Use{LookedUp, OutputHead}, []Use{ts[0].Use, ts[1].Use})
	require.Equal(t, Counts{Params: 1600, Bytes: 6400, Active: 1600, Read: 808, ReadBytes: 3232}, Count(ts))

	experts := Tensor{Shape: []int{4, 4, 8}, Type: quant.F32, Used: 2, Of: 8}
	require.Equal(t, Counts{Params: 128, Bytes: 512, Active: 32, Read: 32, ReadBytes: 128}, Count([]Tensor{experts}))
}

func TestEstimateMemory(t *testing.T) {
	c := kv.Config{Layers: kv.Repeat(3, kv.Full(2, 16))}
	m, err := EstimateMemory(1000, c, 512, 64, 4)
	require.NoError(t, err)
	// Keys and values of 2 heads of 16 in 3 layers, 2 bytes each.
	require.Equal(t, Memory{Weights: 1000, Cache: 4 * 512 * 3 * 2 * 16 * 2 * 2, Token: 3 * 2 * 16 * 2 * 2}, m)
	require.Equal(t, m.Weights+m.Cache, m.Total())

	_, err = EstimateMemory(1000, c, 1<<40, 64, 1<<20)
	require.ErrorIs(t, err, fault.ErrMemory)
	_, err = EstimateMemory(1000, kv.Config{Layers: c.Layers, KType: 99}, 512, 64, 1)
	require.ErrorIs(t, err, fault.ErrInvalid)
}
