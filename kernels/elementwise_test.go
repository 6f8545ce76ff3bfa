package kernels

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/quant"
)

// lengths are those at which vectors end in every way.
var lengths = []int{1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 64, 100, 301}

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
	forLevels(t, func(t *testing.T, l *ISA) {
		for _, n := range lengths {
			x, w := floats(1, n), floats(2, n)
			got := guarded(n)
			l.RMSNorm(got.f, x, w, 1e-5)
			var sum float64
			for _, v := range x {
				sum += float64(v) * float64(v)
			}
			for i := range x {
				want := float64(w[i]) * float64(x[i]) / math.Sqrt(sum/float64(len(x))+1e-5)
				require.InDelta(t, want, got.f[i], 2e-6)
			}
			got.check(t)
			l.RMSNorm(x, x, w, 1e-5)
			require.Equal(t, bits(got.f), bits(x), "in place")
		}
	})
}

// guarded is a slice between elements that must not be written.
type guard struct{ all, f []float32 }

func guarded(n int) guard {
	all := slices.Repeat([]float32{12345}, n+64)
	return guard{all, all[32 : 32+n : 32+n]}
}

func (g guard) check(t *testing.T) {
	t.Helper()
	for i, v := range g.all {
		if i < 32 || i >= 32+len(g.f) {
			require.EqualValues(t, 12345, v, "written outside, at %d of %d", i-32, len(g.f))
		}
	}
}

func TestSwiGLU(t *testing.T) {
	inf := float32(math.Inf(1))
	forLevels(t, func(t *testing.T, l *ISA) {
		for _, n := range lengths {
			g, u := floats(1, n), floats(2, n)
			copy(g, []float32{100, -100, 0, -87, 60, -1e30, 1e30})
			dst := guarded(n)
			l.SwiGLU(dst.f, g, u)
			for i := range g {
				want := float64(g[i]) / (1 + math.Exp(-float64(g[i]))) * float64(u[i])
				require.InDelta(t, want, dst.f[i], 1e-6*math.Abs(want)+1e-30, g[i])
			}
			dst.check(t)
		}
		odd := []float32{float32(math.NaN()), inf}
		l.SwiGLU(odd, odd, []float32{1, 1})
		require.True(t, odd[0] != odd[0])
		require.Equal(t, inf, odd[1])
	})
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
	forLevels(t, func(t *testing.T, l *ISA) {
		x := []float32{1, 0, 0, 2, 5, 6}
		c, s := float32(math.Cos(0.3)), float32(math.Sin(0.3))
		l.RotateInterleaved(x, []float32{c, 0}, []float32{s, 1})
		require.InDeltaSlice(t, []float32{c, s, -2, 0, 5, 6}, x, 1e-7)
		for _, n := range lengths {
			x, cos, sin := guarded(2*n), floats(4, n), floats(5, n)
			from := floats(6, 2*n)
			copy(x.f, from)
			l.RotateInterleaved(x.f, cos, sin)
			for i := range cos {
				require.InDelta(t, from[2*i]*cos[i]-from[2*i+1]*sin[i], x.f[2*i], 2e-6)
				require.InDelta(t, from[2*i]*sin[i]+from[2*i+1]*cos[i], x.f[2*i+1], 2e-6)
			}
			x.check(t)
		}
	})
}

// TestAdd checks the functions of one rounding for equal bits.
func TestAdd(t *testing.T) {
	forLevels(t, func(t *testing.T, l *ISA) {
		for _, n := range lengths {
			x, y := floats(1, n), floats(2, n)
			sum, scaled, both := guarded(n), guarded(n), guarded(n)
			copy(sum.f, y)
			copy(scaled.f, y)
			copy(both.f, y)
			l.Add(sum.f, x)
			l.Scale(scaled.f, 1.7)
			l.AddScaled(both.f, x, 1.7)
			for i := range x {
				require.Equal(t, y[i]+x[i], sum.f[i])
				require.Equal(t, y[i]*1.7, scaled.f[i])
				require.InDelta(t, float64(y[i])+1.7*float64(x[i]), both.f[i], 1e-6)
			}
			sum.check(t)
			scaled.check(t)
			both.check(t)
		}
	})
}

// TestNarrowWiden checks every half-precision number, and the rounding to them.
func TestNarrowWiden(t *testing.T) {
	forLevels(t, func(t *testing.T, l *ISA) {
		all := make([]byte, 2<<16)
		for i := range 1 << 16 {
			all[2*i], all[2*i+1] = byte(i), byte(i>>8)
		}
		wide := make([]float32, 1<<16)
		l.DequantizeRow(quant.F16, wide, all)
		for i, v := range wide {
			if want := quant.Half(uint16(i)); want == want {
				require.Equal(t, math.Float32bits(want), math.Float32bits(v), i)
			} else {
				require.True(t, v != v)
			}
		}
		x := append(floats(1, 1000), 65503, 65504, 65519.9, 65520, 1e9, -1e9, 6e-8, 2.9e-8, 3e-8, 5.96e-8, 6.1e-5, 1e-40, float32(math.Inf(1)))
		for i := range wide { // halfway between neighbours, where ties go to the even one
			if v := wide[i] + wide[min(i+1, len(wide)-1)]; v == v {
				x = append(x, v/2)
			}
		}
		got := make([]byte, 2*len(x))
		l.QuantizeRow(quant.F16, got, x)
		for i, v := range x {
			require.Equal(t, quant.ToHalf(v), uint16(got[2*i])|uint16(got[2*i+1])<<8, v)
		}
		for _, n := range lengths {
			f := guarded(n)
			l.DequantizeRow(quant.F16, f.f, all[2*1000:])
			require.Equal(t, bits(wide[1000:1000+n]), bits(f.f))
			f.check(t)
			b := slices.Repeat([]byte{77}, 2*n+64)
			l.QuantizeRow(quant.F16, b[:2*n], x[:n])
			require.Equal(t, got[:2*n], b[:2*n])
			require.Equal(t, slices.Repeat([]byte{77}, 64), b[2*n:])
			l.QuantizeRow(quant.F32, make([]byte, 4*n), x[:n])
		}
		x = x[:64]
		b, y := make([]byte, 4*len(x)), make([]float32, len(x))
		l.QuantizeRow(quant.F32, b, x)
		l.DequantizeRow(quant.F32, y, b)
		require.Equal(t, bits(x), bits(y))
		require.Panics(t, func() { l.QuantizeRow(quant.Q4_1, make([]byte, 100), x) })
	})
}

// cache makes a page of n rows, the rest of which holds whatever it may.
func cache(typ quant.Type, f []float32, n, d int) []byte {
	all := slices.Repeat([]float32{float32(math.NaN())}, Tile*d)
	copy(all, f[:n*d])
	b := make([]byte, typ.RowBytes(Tile*d))
	isas()[0].QuantizeRow(typ, b, all)
	return b
}

// cacheTypes are those that keys and values are kept in.
var cacheTypes = []quant.Type{quant.F16, quant.F32, quant.Q8_0, quant.Q4_0}

// TestAttention compares with a softmax over all keys in float64, for contexts around the edges of
// tiles and spans.
func TestAttention(t *testing.T) {
	dims, counts, spans := []int{32, 64, 96, 128, 24, 80, 7}, []int{1, 2, 5, 63, 64, 65, 130, 300}, []int{PartitionLen - 1, PartitionLen, PartitionLen + 1, 2*PartitionLen + 70}
	if testing.Short() { // emulated machines take their time
		dims, counts, spans = []int{64, 24, 7}, []int{1, 5, 65}, []int{PartitionLen + 1}
	}
	forLevels(t, func(t *testing.T, l *ISA) {
		for _, typ := range cacheTypes {
			for _, d := range dims {
				if d%typ.BlockSize() != 0 {
					continue
				}
				for _, n := range counts {
					testAttention(t, l, typ, d, n)
				}
			}
			for _, n := range spans {
				testAttention(t, l, typ, 32, n)
			}
		}
		testAttention(t, Reference(), quant.Q8_0, 64, 130)
		// A tile whose scores are all -Inf adds nothing.
		inf := float32(math.Inf(-1))
		var a Attention
		copy(a.Begin(1, 2, 2), []float32{1, 0})
		out := make([]float32, 2)
		for i, key := range []float32{inf, 2, inf} {
			l.Score(&a, quant.F32, cache(quant.F32, []float32{key, 0}, 1, 2), 1)
			l.Values(&a, quant.F32, cache(quant.F32, [][]float32{{7, 7}, {3, 4}, {9, 9}}[i], 1, 2), 1)
			l.UpdateSoftmax(&a, 0, 1, 1, 1)
		}
		l.EndPartition(&a, 0)
		a.End(0, out)
		require.Equal(t, []float32{3, 4}, out)
	})
}

func testAttention(t *testing.T, l *ISA, typ quant.Type, d, n int) {
	const heads, scale = 9, 0.5
	q, k, v := floats(1, heads*d), floats(2, n*d), floats(3, n*d)
	for i := range q {
		q[i] *= 3 / float32(math.Sqrt(float64(d)))
	}
	// fold takes the first heads together or one by one, and spans in turn or apart.
	fold := func(heads int, alone, apart bool) [][]float32 {
		var a, rest Attention
		copy(a.Begin(heads, d, d), q)
		rest.Begin(heads, d, d)
		for at := 0; at < n; at += Tile {
			m := min(Tile, n-at)
			l.Score(&a, typ, cache(typ, k[at*d:], m, d), m)
			l.Values(&a, typ, cache(typ, v[at*d:], m, d), m)
			if !alone {
				l.UpdateSoftmax(&a, 0, heads, m, scale)
			} else {
				for h := range heads {
					l.UpdateSoftmax(&a, h, h+1, m, scale)
				}
			}
			switch {
			case (at+Tile)%PartitionLen != 0 && at+Tile < n:
			case apart:
				seen := make([]float32, PartialLen(heads, d))
				a.StorePartial(seen)
				l.MergePartial(&rest, seen, 0)
				copy(a.Begin(heads, d, d), q)
			default:
				l.EndPartition(&a, 0)
			}
		}
		if apart {
			a = rest
		}
		out := make([][]float32, heads)
		for h := range out {
			out[h] = make([]float32, d)
			a.End(h, out[h])
		}
		return out
	}
	got, name := fold(heads, false, false), fmt.Sprintf("%s, %d keys of %d", typ, n, d)
	require.Equal(t, got, fold(heads, true, false), name)
	require.Equal(t, got, fold(heads, false, true), name)
	for m := 1; m < heads; m++ {
		require.Equal(t, got[:m], fold(m, false, false), name)
	}

	// What the cache returns, and the queries as products with keys in blocks take them.
	cached := func(x []float32) []float32 {
		b, y := make([]byte, typ.RowBytes(len(x))), make([]float32, len(x))
		isas()[0].QuantizeRow(typ, b, x)
		quant.Dequantize(typ, y, b)
		return y
	}
	k, v = cached(k), cached(v)
	if l.matMuls[typ].ActFormat == ActQ8 {
		var a Activations
		a.Reset(heads, d, ActQ8)
		quantize(a.q, a.g, q)
		q = make([]float32, len(q))
		for i, x := range a.q {
			q[i] = a.g[i/ActGroup].d * float32(x)
		}
	}
	var a Attention
	m := min(n, Tile)
	copy(a.Begin(heads, d, d), floats(1, heads*d))
	for i := range a.q.F {
		a.q.F[i] *= 3 / float32(math.Sqrt(float64(d)))
	}
	l.Score(&a, typ, cache(typ, k, m, d), m)
	for h := range heads {
		want := make([]float64, d)
		var sum float64
		for j := range n {
			var s float64
			for i, x := range q[h*d : (h+1)*d] {
				s += float64(x) * float64(k[j*d+i])
			}
			if j < m {
				require.InDelta(t, s, a.Scores(h)[j], 2e-5, name)
			}
			w := math.Exp(scale * s)
			sum += w
			for i := range want {
				want[i] += w * float64(v[j*d+i])
			}
		}
		for i := range want {
			require.InDelta(t, want[i]/sum, got[h][i], 4e-6, name)
		}
	}
}

// TestNarrowWidenBlocks holds rows of blocks against package quant: random bytes, scales that are
// zero, denormal, infinite or not numbers, and what cannot be kept.
func TestNarrowWidenBlocks(t *testing.T) {
	forLevels(t, func(t *testing.T, l *ISA) {
		for _, typ := range []quant.Type{quant.Q8_0, quant.Q4_0} {
			b := strange(typ, 40, 96)
			want := make([]float32, 40*96)
			quant.Dequantize(typ, want, b)
			for _, n := range []int{32, 64, 96, 128, len(want)} {
				got := guarded(n)
				l.DequantizeRow(typ, got.f, b)
				for i, v := range got.f {
					if want[i] == want[i] {
						require.Equal(t, math.Float32bits(want[i]), math.Float32bits(v), "%s: %d of %d", typ, i, n)
					} else {
						require.True(t, v != v)
					}
				}
				got.check(t)
			}
			l.DequantizeRow(typ, nil, nil)

			x := floats(4, 5*32)
			good, bad := make([]byte, typ.RowBytes(len(x))), make([]byte, typ.RowBytes(len(x)))
			require.NoError(t, quant.Quantize(typ, good, x))
			l.QuantizeRow(typ, bad, x)
			require.Equal(t, good, bad)
			x[3], x[70], x[159] = float32(math.NaN()), float32(math.Inf(-1)), 1e30
			l.QuantizeRow(typ, bad, x)
			y := make([]float32, len(x))
			l.DequantizeRow(typ, y, bad)
			for block := range 5 {
				size := typ.BlockBytes()
				if block%2 == 1 {
					require.Equal(t, good[block*size:(block+1)*size], bad[block*size:(block+1)*size])
					continue
				}
				for _, v := range y[32*block:][:32] {
					require.True(t, v != v, "%s: block %d", typ, block)
				}
			}
		}
	})
}

// TestDot compares with float64.
func TestDot(t *testing.T) {
	forLevels(t, func(t *testing.T, l *ISA) {
		for _, n := range append(lengths, 0, 2048) {
			x, y := floats(1, n), floats(2, n)
			var want float64
			for i := range x {
				want += float64(x[i]) * float64(y[i])
			}
			require.InDelta(t, want, l.dot(x, y), 3e-5)
		}
	})
}

// TestQuantizeLevels: the int8 form is the same at every instruction set.
func TestQuantizeLevels(t *testing.T) {
	const k = 64 * ActGroup
	x := floats(8, k)
	for i := range x { // scales of all sizes, and groups that have none
		x[i] *= float32(math.Pow(2, float64(i/ActGroup%50*5-125)))
	}
	for i, v := range []float32{float32(math.Inf(1)), float32(math.NaN()), 1e-42, 0, math.MaxFloat32, float32(math.Inf(-1))} {
		x[(7*i+2)*ActGroup+5] = v
	}
	clear(x[20*ActGroup : 21*ActGroup])
	forLevels(t, func(t *testing.T, l *ISA) {
		for groups := 1; groups <= 35; groups++ {
			for at := range 12 {
				n := groups * ActGroup
				var got, want Activations
				for _, a := range []*Activations{&got, &want} {
					a.Reset(1, n, ActQ8)
					a.F = x[at*ActGroup:][:n]
				}
				l.Quantize(&got, 0, 0, n)
				isas()[0].Quantize(&want, 0, 0, n)
				require.Equal(t, want.q, got.q)
				for i := range want.g {
					// NaNs are alike.
					require.Equal(t, fmt.Sprint(want.g[i]), fmt.Sprint(got.g[i]), "group %d of %d", i, groups)
				}
			}
		}
	})
}

// BenchmarkAttention is one key head of a long context: 8 queries to a key for one token, and many
// tokens. MB/s are bytes of keys and values.
func BenchmarkAttention(b *testing.B) {
	const keys = 8192
	for _, l := range isas() {
		for _, typ := range cacheTypes {
			for _, d := range []int{64, 128} {
				for _, heads := range []int{1, 4, 8, 96} {
					b.Run(fmt.Sprintf("%s/%s/%d/%d", l.name, typ, d, heads), func(b *testing.B) {
						pages := make([][]byte, keys/Tile)
						for i := range pages {
							pages[i] = cache(typ, floats(uint64(i), Tile*d), Tile, d)
						}
						var a Attention
						copy(a.Begin(heads, d, d), floats(3, heads*d))
						b.SetBytes(int64(2 * typ.RowBytes(keys*d)))
						for b.Loop() {
							for _, p := range pages {
								l.Score(&a, typ, p, Tile)
								l.Values(&a, typ, p, Tile)
								l.UpdateSoftmax(&a, 0, heads, Tile, 0.1)
							}
						}
						b.ReportMetric(4*keys*float64(d*heads)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
					})
				}
			}
		}
	}
}

func TestGELU(t *testing.T) {
	forLevels(t, func(t *testing.T, l *ISA) {
		for _, n := range lengths {
			g, u := floats(1, n), floats(2, n)
			copy(g, []float32{100, -100, 0, -6, 3, -1e10, 1e10})
			dst := guarded(n)
			l.GELU(dst.f, g, u)
			for i := range g {
				x := float64(g[i])
				want := 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) * float64(u[i])
				require.InDelta(t, want, dst.f[i], 2e-6*math.Abs(want)+1e-7, g[i])
			}
			dst.check(t)
			l.GELU(g, g, u)
			require.Equal(t, bits(dst.f), bits(g), "in place")
		}
		odd := []float32{float32(math.NaN())}
		l.GELU(odd, odd, []float32{1})
		require.True(t, odd[0] != odd[0])
	})
}

func TestGate(t *testing.T) {
	forLevels(t, func(t *testing.T, l *ISA) {
		for _, n := range lengths {
			x, g := guarded(n), floats(2, n)
			from := floats(1, n)
			copy(x.f, from)
			copy(g, []float32{200, -200, 0, -87, 60})
			l.Gate(x.f, g)
			for i := range from {
				want := float64(from[i]) / (1 + math.Exp(-float64(g[i])))
				require.InDelta(t, want, x.f[i], 1e-6*math.Abs(want)+1e-30, g[i])
			}
			x.check(t)
		}
	})
}

func TestSoftCap(t *testing.T) {
	inf := float32(math.Inf(1))
	forLevels(t, func(t *testing.T, l *ISA) {
		for _, n := range lengths {
			for _, most := range []float32{1, 30, 50} {
				x, from := guarded(n), floats(3, n)
				for i := range from {
					from[i] *= most
				}
				copy(from, []float32{0, 1e-5, 1e9, -1e9, inf, -inf})
				copy(x.f, from)
				l.SoftCap(x.f, most)
				for i, v := range from {
					require.InDelta(t, float64(most)*math.Tanh(float64(v)/float64(most)), x.f[i], 4e-7*float64(most), v)
				}
				x.check(t)
			}
		}
		odd := []float32{float32(math.NaN())}
		l.SoftCap(odd, 30)
		require.True(t, odd[0] != odd[0])
	})
}

// TestRotateNeoX rotates pairs that are half of the rotated part apart, and leaves the rest of a
// head alone.
func TestRotateNeoX(t *testing.T) {
	forLevels(t, func(t *testing.T, l *ISA) {
		four := []float32{9, 1, 2, 3, 4, 9}
		l.RotateNeoX(four[1:], []float32{0, 1}, []float32{1, 0}) // by a quarter, and not
		require.Equal(t, []float32{9, -3, 2, 1, 4, 9}, four)
		for _, n := range lengths {
			x, cos, sin := guarded(2*n+3), floats(4, n), floats(5, n)
			from := floats(6, 2*n+3)
			copy(x.f, from)
			l.RotateNeoX(x.f, cos, sin)
			for i := range cos {
				require.InDelta(t, from[i]*cos[i]-from[n+i]*sin[i], x.f[i], 2e-6)
				require.InDelta(t, from[i]*sin[i]+from[n+i]*cos[i], x.f[n+i], 2e-6)
			}
			require.Equal(t, from[2*n:], x.f[2*n:], "the rest stays")
			x.check(t)
		}
	})
}

// TestBend compares with its formula: what is capped, hidden, and lowered or raised by distance, to
// both sides of the query.
func TestBend(t *testing.T) {
	forLevels(t, func(t *testing.T, l *ISA) {
		const heads, n = 3, 37
		for name, b := range map[string]ScoreMod{
			"scaled":      {Scale: 0.3},
			"capped":      {Scale: 0.3, Cap: 2},
			"hidden":      {Scale: 0.3, From: 5},
			"slopes":      {Scale: 0.3, Cap: 2, Slopes: []float32{0.5, 0.25}, Pos: 20},
			"by distance": {Scale: 0.3, Relative: [][]float32{floats(7, 9), floats(8, 1)}, Pos: 11, From: 2},
		} {
			var a Attention
			a.Begin(heads, 1, 1)
			x := floats(9, heads*Tile)
			copy(a.p, x)
			l.ApplyScoreMod(&a, 1, 3, n, &b)
			for i, got := range a.p {
				h, j := i/Tile, i%Tile
				want := float64(x[i])
				switch {
				case h == 0 || j >= n:
				case j < b.From:
					want = math.Inf(-1)
				default:
					want *= float64(b.Scale)
					if b.Cap != 0 {
						want = float64(b.Cap) * math.Tanh(want/float64(b.Cap))
					}
					if b.Slopes != nil {
						want -= float64(b.Slopes[h-1]) * math.Abs(float64(b.Pos-j))
					}
					if b.Relative != nil {
						r := b.Relative[h-1]
						want += float64(r[max(0, min(len(r)-1, j-b.Pos+len(r)/2))])
					}
				}
				if math.IsInf(want, -1) {
					require.EqualValues(t, want, got)
				} else {
					require.InDelta(t, want, got, 2e-6, "%s: head %d, key %d", name, h, j)
				}
			}
		}
	})
}
