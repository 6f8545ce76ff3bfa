package nn

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/tensor"
)

// BenchmarkAttend is the attention of one layer at the end of a long context, for one token and for many, one layer after another so that their keys and values are read from memory.
// MB/s are bytes of keys and values.
func BenchmarkAttend(b *testing.B) {
	const depth = 8192
	for _, s := range []struct {
		name              string
		heads, keys, dim  int
		layers, prefilled int
	}{
		{"tinyllama-1.1b", 32, 4, 64, 12, 512},
		{"llama-3-8b", 32, 8, 128, 4, 128},
		{"llama-2-7b", 32, 32, 128, 1, 128},
		{"one-head", 8, 1, 128, 24, 512},
	} {
		for _, typ := range []kv.Type{kv.F16, kv.Q8_0, kv.Q4_0} {
			store := fullStore(b, kv.Config{Layers: kv.Repeat(s.layers, kv.Full(s.keys, s.dim)), KType: typ, VType: typ}, depth)
			for _, rows := range []int{1, s.prefilled} {
				for threads := 1; threads <= min(2, runtime.NumCPU()); threads++ {
					b.Run(fmt.Sprintf("%s/%s/%d rows/%d threads", s.name, typ, rows, threads), func(b *testing.B) {
						benchmarkAttend(b, store, AttentionConfig{Heads: s.heads, HeadsKV: s.keys, Dim: s.dim}, depth, rows, threads)
					})
				}
			}
		}
	}
}

// fullStore holds one sequence of n positions, keys and values drawn at random.
func fullStore(b *testing.B, c kv.Config, n int) *kv.Store {
	s, err := kv.New(c)
	require.NoError(b, err)
	q := s.Open()
	require.NoError(b, s.Reserve(q, n))
	spec := c.Layers[0]
	rng := rand.New(rand.NewPCG(1, 1))
	row := make([]float32, spec.KDim)
	for i := range row {
		row[i] = float32(rng.NormFloat64())
	}
	pool := par.New(1)
	defer pool.Close()
	p, err := NewPass(pool, s, false)
	require.NoError(b, err)
	for pos := range n {
		for layer := range c.Layers {
			for h := range spec.Heads {
				p.level.Narrow(s.KType(), s.KRow(q, layer, h, pos), row)
				p.level.Narrow(s.VType(), s.VRow(q, layer, h, pos), row)
			}
		}
	}
	s.Commit(q, n)
	return s
}

func benchmarkAttend(b *testing.B, s *kv.Store, c AttentionConfig, depth, rows, threads int) {
	pool := par.New(threads)
	defer pool.Close()
	p, err := NewPass(pool, s, false)
	require.NoError(b, err)
	a, err := NewAttention(c)
	require.NoError(b, err)
	s.Truncate(0, depth-rows)
	require.NoError(b, s.Reserve(0, rows))
	batch := &Batch{}
	for i := range rows {
		batch.Add(0, depth-rows+i, 0, false, nil)
	}
	p.Begin(batch)
	var arena tensor.Arena
	q, k := arena.New(rows, c.Heads*c.Dim), arena.New(rows, c.HeadsKV*c.Dim)
	for _, x := range [][]float32{q.F, k.F} {
		for i := range x {
			x[i] = float32(i%13) - 6
		}
	}
	spec := s.Layer(0)
	b.SetBytes(int64(depth * spec.Heads * (s.KType().RowBytes(spec.KDim) + s.VType().RowBytes(spec.VDim))))
	layer := 0
	for b.Loop() {
		p.Layer(layer % s.Layers())
		p.Attend(a, q, k, k)
		layer++
	}
	if rows > 1 {
		b.ReportMetric(4*float64(depth-rows/2)*float64(rows*c.Heads*c.Dim)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
	}
	require.NoError(b, p.End())
	s.Commit(0, rows)
}
