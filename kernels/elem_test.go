package kernels

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/quant"
)

// TestExp compares with the float64 function over the whole range.
func TestExp(t *testing.T) {
	worst := 0.0
	for x := float32(-87.3); x < 88.7; x += 0.0037 {
		want := math.Exp(float64(x))
		ulp := float64(math.Nextafter32(float32(want), math.MaxFloat32)) - float64(float32(want))
		worst = max(worst, math.Abs(float64(Exp(x))-want)/ulp)
	}
	require.Less(t, worst, 2.0, "units in the last place")
	require.EqualValues(t, 1, Exp(0))
	require.Zero(t, Exp(-88))
	require.Zero(t, Exp(float32(math.Inf(-1))))
	require.True(t, math.IsInf(float64(Exp(89)), 1))
	require.True(t, math.IsInf(float64(Exp(float32(math.Inf(1)))), 1))
	require.True(t, math.IsNaN(float64(Exp(float32(math.NaN())))))
	require.InEpsilon(t, math.Exp(float64(float32(88.72))), float64(Exp(88.72)), 1e-6)
}

func TestRMSNorm(t *testing.T) {
	x, w := floats(1, 301), floats(2, 301)
	got := make([]float32, len(x))
	RMSNorm(got, x, w, 1e-5)
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	for i := range x {
		want := float64(w[i]) * float64(x[i]) / math.Sqrt(sum/float64(len(x))+1e-5)
		require.InDelta(t, want, got[i], 2e-6)
	}
	RMSNorm(x, x, w, 1e-5)
	require.Equal(t, bits(got), bits(x), "in place")
}

func TestSwiGLU(t *testing.T) {
	g, u := floats(1, 100), floats(2, 100)
	g[0], g[1], g[2] = 100, -100, 0
	dst := make([]float32, len(g))
	SwiGLU(dst, g, u)
	for i := range g {
		want := float64(g[i]) / (1 + math.Exp(-float64(g[i]))) * float64(u[i])
		require.InDelta(t, want, dst[i], 1e-6*math.Abs(want)+1e-30)
	}
}

func TestSoftmax(t *testing.T) {
	x := floats(1, 50)
	want := make([]float64, len(x))
	var sum float64
	for i, v := range x {
		want[i] = math.Exp(float64(v))
		sum += want[i]
	}
	Softmax(x)
	for i := range x {
		require.InDelta(t, want[i]/sum, x[i], 1e-7)
	}
	Softmax(nil)
	big := []float32{1e30, 1e30, -1e30}
	Softmax(big)
	require.Equal(t, []float32{0.5, 0.5, 0}, big)
}

func TestRotate(t *testing.T) {
	x := []float32{1, 0, 0, 2, 5, 6}
	c, s := float32(math.Cos(0.3)), float32(math.Sin(0.3))
	Rotate(x, []float32{c, 0}, []float32{s, 1})
	require.InDeltaSlice(t, []float32{c, s, -2, 0, 5, 6}, x, 1e-7)
}

func TestNarrowWiden(t *testing.T) {
	x := floats(1, 64)
	for _, typ := range []quant.Type{quant.F16, quant.F32} {
		b := make([]byte, typ.RowBytes(len(x)))
		y := make([]float32, len(x))
		Narrow(typ, b, x)
		Widen(typ, y, b)
		if typ == quant.F32 {
			require.Equal(t, bits(x), bits(y))
		} else {
			require.InDeltaSlice(t, x, y, 2e-3)
		}
	}
	require.Panics(t, func() { Narrow(quant.Q8_0, make([]byte, 100), x) })
}

// TestAttention compares with a softmax over all keys in float64, for contexts around the edges of tiles.
func TestAttention(t *testing.T) {
	const d = 24
	for _, n := range []int{1, 2, 5, 63, 64, 65, 130, 300} {
		q, k, v := floats(1, d), floats(2, n*d), floats(3, n*d)
		for i := range q {
			q[i] *= 3
		}
		out, scratch := make([]float32, d), make([]float32, Tile+d)
		var a Attention
		a.Begin(out)
		for at := 0; at < n; at += Tile {
			m := min(Tile, n-at)
			a.Fold(out, q, k[at*d:], v[at*d:], m, 0.5, scratch)
		}
		a.End(out)
		want := make([]float64, d)
		var sum float64
		for j := range n {
			var s float64
			for i := range q {
				s += float64(q[i]) * float64(k[j*d+i])
			}
			p := math.Exp(0.5 * s)
			sum += p
			for i := range want {
				want[i] += p * float64(v[j*d+i])
			}
		}
		for i := range want {
			require.InDelta(t, want[i]/sum, out[i], 2e-6, "%d keys", n)
		}
	}
	// A tile whose scores are all -Inf adds nothing.
	out, scratch := make([]float32, 2), make([]float32, Tile+2)
	var a Attention
	a.Begin(out)
	inf := float32(math.Inf(-1))
	a.Fold(out, []float32{1, 0}, []float32{inf, 0}, []float32{7, 7}, 1, 1, scratch)
	a.Fold(out, []float32{1, 0}, []float32{2, 0}, []float32{3, 4}, 1, 1, scratch)
	a.End(out)
	require.Equal(t, []float32{3, 4}, out)
}
