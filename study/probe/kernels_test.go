package probe

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/goinfer/goinfer/internal/mem"
	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/quant"
	"github.com/stretchr/testify/require"
)

// BenchmarkPrompt multiplies a matrix of every type with 512 tokens on one thread, and, alternately
// of milliseconds, measures the peak of the instructions that it lives on: of-peak is the median of
// their ratios, which holds on a machine whose speed changes from second to second. best-of-peak
// compares the best of both.
func BenchmarkPrompt(b *testing.B) {
	const rows, k, tokens = 192, 2048, 512
	_, l, err := isaLoops()
	require.NoError(b, err)
	eachWeightType(b, func(b *testing.B, m *kernels.MatMul) {
		w, a := randomMatrix(b, m.Type, rows, k), randomActs(b, m, tokens, k)
		j := l.int8(1)
		if m.ActFormat != kernels.ActQ8 {
			j = l.fma(1)
		}
		const ops = 2 * rows * k * tokens
		n := 1 // chunks of the peak in about as long as the product takes
		for ; float64(n)*j.units() < ops; n *= 2 {
		}
		dst := make([]float32, rows*tokens)
		var s kernels.Scratch
		compare(b, "peak", ops, func() { m.Mul(dst, rows, w, rows, k, a, 0, tokens, &s) }, float64(n)*j.units(), func() {
			for range n {
				j.Run(0, 0)
			}
		})
	})
}

// BenchmarkToken multiplies matrices of every type in memory, not in caches, with one token on one
// thread, and reads as much memory alternately: of-bandwidth is the median of the ratios of bytes
// per second.
func BenchmarkToken(b *testing.B) {
	const k, piece, pieces = 2048, 16 << 20, 16
	_, l, err := isaLoops()
	require.NoError(b, err)
	buf, err := newBuffer(context.Background(), l.sum)
	require.NoError(b, err)
	eachWeightType(b, func(b *testing.B, m *kernels.MatMul) {
		size := m.Type.RowBytes(k)
		rows := piece / size
		one := randomMatrix(b, m.Type, rows, k)
		w := make([]byte, 0, pieces*len(one))
		mem.Huge(w[:cap(w)])
		for range pieces {
			w = append(w, one...)
		}
		a, dst := randomActs(b, m, 1, k), make([]float32, rows)
		var s kernels.Scratch
		at, chunk := 0, 0
		compare(b, "bandwidth", float64(len(one)), func() {
			m.Mul(dst, rows, w[at*len(one):(at+1)*len(one)], rows, k, a, 0, 1, &s)
			at = (at + 1) % pieces
		}, piece, func() {
			for range piece / int(buf.units()) {
				buf.Run(chunk, 0)
				chunk = (chunk + 1) % buf.chunks()
			}
		})
	})
}

// compare times work and what bounds it alternately and reports ratios of their rates, units per
// nanosecond.
func compare(b *testing.B, bound string, workUnits float64, work func(), boundUnits float64, limit func()) {
	rate := func(units float64, f func()) float64 {
		t := time.Now()
		f()
		return units / float64(max(1, time.Since(t).Nanoseconds()))
	}
	work()
	var ratios, works, limits []float64
	before := rate(boundUnits, limit)
	for b.Loop() {
		r := rate(workUnits, work)
		after := rate(boundUnits, limit)
		ratios, works, limits = append(ratios, r/((before+after)/2)), append(works, r), append(limits, after)
		before = after
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "of-"+bound)
	b.ReportMetric(slices.Max(works)/slices.Max(limits), "best-of-"+bound)
	b.ReportMetric(slices.Max(works), "best-G/s")
}

func eachWeightType(b *testing.B, f func(*testing.B, *kernels.MatMul)) {
	l, err := kernels.Use()
	require.NoError(b, err)
	for t := range quant.NumTypes {
		if m, err := l.MatMul(quant.Type(t)); err == nil {
			b.Run(m.Type.String(), func(b *testing.B) { f(b, m) })
		}
	}
}

// randomMatrix is normal numbers, 64 rows of them over and over.
func randomMatrix(b *testing.B, t quant.Type, rows, k int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	size, row := t.RowBytes(k), make([]float32, k)
	w := make([]byte, rows*size)
	for r := range min(rows, 64) {
		for i := range row {
			row[i] = float32(rng.NormFloat64())
		}
		require.NoError(b, quant.Quantize(t, w[r*size:(r+1)*size], row))
	}
	for r := 64; r < rows; r++ {
		copy(w[r*size:(r+1)*size], w[(r-64)*size:])
	}
	return w
}

func randomActs(b *testing.B, m *kernels.MatMul, tokens, k int) *kernels.Activations {
	l, err := kernels.Use()
	require.NoError(b, err)
	rng := rand.New(rand.NewPCG(3, 4))
	var a kernels.Activations
	a.Reset(tokens, k, m.ActFormat)
	a.F = make([]float32, tokens*k)
	for i := range a.F {
		a.F[i] = float32(rng.NormFloat64())
	}
	for t := range tokens {
		l.Quantize(&a, t, 0, k)
	}
	return &a
}
