package probe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/tensor"
	"github.com/stretchr/testify/require"
)

// attention is a shape of heads that models have.
type attention struct {
	name             string
	heads, keys, dim int
}

var attentions = []attention{
	{"tinyllama-1.1b", 32, 4, 64},
	{"llama-3.2-1b", 32, 8, 64},
	{"llama-3-8b", 32, 8, 128},
	{"llama-2-7b", 32, 32, 128},
}

// BenchmarkAttend is the attention of one layer on one thread. For a token at the end of a long
// context, one layer after another so that keys and values are read from memory, of-bandwidth
// compares their bytes with plain reading alternately. For the last tokens of a prompt of half that
// length, of-peak compares the two multiply-adds of each pair of query and key with the peak of
// float32.
func BenchmarkAttend(b *testing.B) {
	const depth, prompt, rows = 8192, 4096, 256
	_, l, err := isaLoops()
	require.NoError(b, err)
	buf, err := newBuffer(context.Background(), l.sum)
	require.NoError(b, err)
	for _, s := range attentions {
		for _, typ := range []kv.Type{kv.F16, kv.Q8_0, kv.Q4_0} {
			b.Run(fmt.Sprintf("%s/%s", s.name, typ), func(b *testing.B) {
				store := fullStore(b, s, typ, depth)
				b.Run("token", func(b *testing.B) { attendToken(b, store, s, depth, buf) })
				b.Run("prompt", func(b *testing.B) { attendPrompt(b, store, s, prompt, rows, l.fma(1)) })
			})
		}
	}
}

func attendToken(b *testing.B, store *kv.Store, s attention, depth int, buf *buffer) {
	bytes := float64(store.ReadBytes(depth)) / float64(store.Layers())
	chunks, chunk := int(bytes/buf.units())+1, 0
	compare(b, "bandwidth", bytes, attend(b, store, s, depth, 1), float64(chunks)*buf.units(), func() {
		for range chunks {
			buf.Run(chunk, 0)
			chunk = (chunk + 1) % buf.chunks()
		}
	})
}

func attendPrompt(b *testing.B, store *kv.Store, s attention, depth, rows int, peak job) {
	ops := 4 * (float64(depth) - float64(rows-1)/2) * float64(rows*s.heads*s.dim)
	n := int(ops/peak.units()) + 1
	compare(b, "peak", ops, attend(b, store, s, depth, rows), float64(n)*peak.units(), func() {
		for range n {
			peak.Run(0, 0)
		}
	})
}

// attend returns what works out the attention of the last rows of a sequence of so many positions,
// in one layer after another.
func attend(b *testing.B, store *kv.Store, s attention, depth, rows int) func() {
	pool := par.New(1)
	b.Cleanup(pool.Close)
	p, err := nn.NewPass(pool, store, false)
	require.NoError(b, err)
	a, err := nn.NewAttention(nn.AttentionConfig{NHead: s.heads, NHeadKV: s.keys, HeadDim: s.dim})
	require.NoError(b, err)
	seq := store.Fork(0, depth-rows)
	b.Cleanup(func() { store.Drop(seq) })
	require.NoError(b, store.Reserve(seq, rows))
	batch := &nn.Batch{}
	for i := range rows {
		batch.Add(nn.Row{Pos: depth - rows + i, Seq: seq})
	}
	var arena tensor.Arena
	q, k := arena.New(rows, s.heads*s.dim), arena.New(rows, s.keys*s.dim)
	rng := rand.New(rand.NewPCG(1, 1))
	for _, x := range [][]float32{q.F, k.F} {
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
	}
	layer := 0
	return func() {
		p.Begin(batch)
		p.Layer(layer % store.Layers())
		p.Attend(a, q, k, k)
		require.NoError(b, p.End())
		layer++
	}
}

// fullStore holds one sequence of n positions, the keys and values of a page drawn at random, in as
// many layers as caches do not hold.
func fullStore(b *testing.B, s attention, typ kv.Type, n int) *kv.Store {
	const size = 192 << 20
	t := typ.Quant()
	layers := size/(n*2*s.keys*t.RowBytes(s.dim)) + 1
	store, err := kv.New(kv.Config{Layers: kv.Repeat(layers, kv.Full(s.keys, s.dim)), KType: typ, VType: typ})
	require.NoError(b, err)
	seq := store.Open()
	require.NoError(b, store.Reserve(seq, n))
	level, err := kernels.Use()
	require.NoError(b, err)
	rng := rand.New(rand.NewPCG(1, 1))
	row, rows := make([]float32, s.dim), make([][]byte, kv.PageLen)
	for i := range rows {
		for j := range row {
			row[j] = float32(rng.NormFloat64())
		}
		rows[i] = make([]byte, t.RowBytes(s.dim))
		level.QuantizeRow(t, rows[i], row)
	}
	for pos := range n {
		for layer := range layers {
			for h := range s.keys {
				copy(store.KRow(seq, layer, h, pos), rows[pos%len(rows)])
				copy(store.VRow(seq, layer, h, pos), rows[(pos+1)%len(rows)])
			}
		}
	}
	store.Commit(seq, n)
	return store
}
