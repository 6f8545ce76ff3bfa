package kernels

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// states are the shapes of matrices at which vectors and blocks of them end in every way: rows and
// columns.
func stateShapes() (shapes [][2]int) {
	for _, d := range append(lengths, 48, 63, 65, 80, 128, 144) {
		for _, n := range []int{1, 2, 5, 16} {
			shapes = append(shapes, [2]int{n, d})
		}
	}
	return shapes
}

// TestAdvance compares with float64, over some steps.
func TestAdvance(t *testing.T) {
	forLevels(t, func(t *testing.T, l *ISA) {
		for _, shape := range stateShapes() {
			n, d := shape[0], shape[1]
			s, y, back := guarded(n*d), guarded(d), guarded(d)
			copy(s.f, floats(1, n*d))
			clear(y.f)
			want, read := make([]float64, n*d), make([]float64, d)
			for i, v := range s.f {
				want[i] = float64(v)
			}
			for step := range uint64(4) {
				x, a, u, r := floats(10+step, d), floats(20+step, n), floats(30+step, n), floats(40+step, n)
				l.UpdateState(s.f, x, y.f, a, u, r)
				for i := range n {
					for j := range d {
						v := float64(a[i])*want[i*d+j] + float64(u[i])*float64(x[j])
						want[i*d+j] = v
						read[j] += float64(r[i]) * v
					}
				}
			}
			for i, v := range want {
				require.InDelta(t, v, s.f[i], 1e-4*max(1, math.Abs(v)), "%d of %d×%d", i, n, d)
			}
			r := floats(5, n)
			l.ReadState(back.f, s.f, r)
			for j, v := range read {
				require.InDelta(t, v, y.f[j], 2e-4*max(1, math.Abs(v)), "%d of %d×%d", j, n, d)
				sum := 0.0
				for i := range n {
					sum += float64(r[i]) * float64(s.f[i*d+j])
				}
				require.InDelta(t, sum, back.f[j], 1e-4*max(1, math.Abs(sum)), "%d of %d×%d", j, n, d)
			}
			s.check(t)
			y.check(t)
			back.check(t)
		}
		require.Panics(t, func() {
			l.UpdateState(make([]float32, 5), make([]float32, 3), make([]float32, 3), make([]float32, 2), make([]float32, 2), make([]float32, 2))
		})
		require.Panics(t, func() { l.ReadState(make([]float32, 2), make([]float32, 5), make([]float32, 2)) })
	})
}

// TestDecay compares with float64, over some steps.
func TestDecay(t *testing.T) {
	forLevels(t, func(t *testing.T, l *ISA) {
		for _, shape := range stateShapes() {
			n, w := shape[0], shape[1]
			s, y := guarded(n*w), guarded(w)
			copy(s.f, floats(1, n*w))
			clear(y.f)
			a := floats(2, n*w)
			want, read := make([]float64, n*w), make([]float64, w)
			for i, v := range s.f {
				want[i] = float64(v)
				a[i] = -float32(math.Exp(float64(a[i])))
			}
			for step := range uint64(4) {
				x, d, b, c := floats(10+step, w), floats(20+step, w), floats(30+step, n), floats(40+step, n)
				for i, v := range d {
					d[i] = float32(math.Abs(float64(v))) * float32(i%5)
				}
				l.UpdateSelectiveState(s.f, a, d, x, y.f, b, c)
				for i := range n {
					for j := range w {
						v := math.Exp(float64(d[j])*float64(a[i*w+j]))*want[i*w+j] + float64(b[i])*float64(x[j])
						want[i*w+j] = v
						read[j] += float64(c[i]) * v
					}
				}
			}
			for i, v := range want {
				require.InDelta(t, v, s.f[i], 1e-4*max(1, math.Abs(v)), "%d of %d×%d", i, n, w)
			}
			for j, v := range read {
				require.InDelta(t, v, y.f[j], 2e-4*max(1, math.Abs(v)), "%d of %d×%d", j, n, w)
			}
			s.check(t)
			y.check(t)
		}
		require.Panics(t, func() {
			l.UpdateSelectiveState(make([]float32, 5), make([]float32, 5), make([]float32, 2), make([]float32, 2), make([]float32, 2), make([]float32, 2), make([]float32, 2))
		})
	})
}

// TestSoftplus compares with the float64 function over the whole range.
func TestSoftplus(t *testing.T) {
	worst, at := 0.0, float32(0)
	for x := float32(-87.3); x < 100; x += 0.0031 {
		want := math.Log1p(math.Exp(float64(x)))
		ulp := float64(math.Nextafter32(float32(want), math.MaxFloat32)) - float64(float32(want))
		if d := math.Abs(float64(Softplus(x))-want) / ulp; d > worst {
			worst, at = d, x
		}
	}
	require.Less(t, worst, 3.0, "units in the last place, at %v", at)
	require.Zero(t, Softplus(float32(math.Inf(-1))))
	require.True(t, math.IsInf(float64(Softplus(float32(math.Inf(1)))), 1))
	require.True(t, math.IsNaN(float64(Softplus(float32(math.NaN())))))
}

// TestDirect compares with float64.
func TestDirect(t *testing.T) {
	forLevels(t, func(t *testing.T, l *ISA) {
		for _, n := range lengths {
			x, got := floats(1, n), guarded(n)
			l.L2Norm(got.f, x, 1e-6, 3)
			square := 0.0
			for _, v := range x {
				square += float64(v) * float64(v)
			}
			for i, v := range x {
				require.InDelta(t, 3*float64(v)/math.Sqrt(square), got.f[i], 2e-6)
			}
			got.check(t)
		}
		short := []float32{1e-9, 0}
		l.L2Norm(short, short, 1e-3, 1)
		require.InDelta(t, 1e-6, short[0], 1e-12)
	})
}

func TestSiLU(t *testing.T) {
	forLevels(t, func(t *testing.T, l *ISA) {
		for _, n := range append(lengths, 0, 256, 257, 700) {
			x, got := floats(1, n), guarded(n)
			copy(got.f, x)
			l.SiLU(got.f)
			for i, v := range x {
				require.InDelta(t, float64(v)/(1+math.Exp(-float64(v))), got.f[i], 2e-6)
			}
			got.check(t)
			y := guarded(n)
			clear(y.f)
			l.AddProduct(y.f, x, got.f)
			for i, v := range x {
				require.Equal(t, float32(v*got.f[i]), y.f[i])
			}
			y.check(t)
		}
	})
}

// BenchmarkStates is a head of a state space or of a delta net, and a part of Mamba's channels;
// MB/s are bytes of the state.
func BenchmarkStates(b *testing.B) {
	for _, l := range isas() {
		for _, shape := range [][2]int{{128, 64}, {128, 128}, {16, 64}} {
			n, d := shape[0], shape[1]
			s, x, y, a, u, r := floats(1, n*d), floats(2, d), floats(3, d), make([]float32, n), floats(5, n), floats(6, n)
			rate := make([]float32, n*d)
			name := fmt.Sprintf("%s/%dx%d", l.name, n, d)
			b.Run("advance/"+name, func(b *testing.B) {
				b.SetBytes(int64(4 * n * d))
				for b.Loop() {
					l.UpdateState(s, x, y, a, u, r)
				}
			})
			b.Run("recall/"+name, func(b *testing.B) {
				b.SetBytes(int64(4 * n * d))
				for b.Loop() {
					l.ReadState(y, s, r)
				}
			})
			b.Run("decay/"+name, func(b *testing.B) {
				b.SetBytes(int64(4 * n * d))
				for b.Loop() {
					l.UpdateSelectiveState(s, rate, x, x, y, a, r)
				}
			})
		}
	}
}
