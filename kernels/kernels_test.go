package kernels

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/cpu"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/quant"
)

// weightTypes are all types that a matrix may have.
func weightTypes() []quant.Type {
	var ts []quant.Type
	for t := range quant.Type(quant.NumTypes) {
		if t.IsWeight() {
			ts = append(ts, t)
		}
	}
	return ts
}

// forLevels runs a test at every instruction set that the processor has.
func forLevels(t *testing.T, test func(t *testing.T, l *ISA)) {
	usable := cpu.Usable()
	for _, l := range isas() {
		t.Run(l.name, func(t *testing.T) {
			if !slices.Contains(usable, l.name) {
				t.Skip("the processor lacks it")
			}
			test(t, l)
		})
	}
}

// weights makes rows of k from blocks of the reference data, in random order.
func weights(t testing.TB, typ quant.Type, rows, k int) []byte {
	rng := rand.New(rand.NewPCG(1, uint64(typ)))
	n := typ.RowBytes(k) * rows
	w := make([]byte, 0, n)
	if typ == quant.F32 {
		f := floats(2, rows*k)
		w = w[:n]
		require.NoError(t, quant.Quantize(typ, w, f))
		return w
	}
	data, err := os.ReadFile(filepath.Join(shared.Root(t), "quant", "testdata", "quant", typ.String()+".bin"))
	require.NoError(t, err)
	size := typ.BlockBytes()
	for len(w) < n {
		b := rng.IntN(len(data) / size)
		w = append(w, data[b*size:(b+1)*size]...)
	}
	return w
}

func floats(seed uint64, n int) []float32 {
	rng := rand.New(rand.NewPCG(seed, 7))
	f := make([]float32, n)
	for i := range f {
		f[i] = float32(rng.NormFloat64())
	}
	return f
}

// acts makes n tokens of k activations.
func acts(n, k int) *Activations { return isas()[0].acts(n, k) }

func (l *ISA) acts(n, k int) *Activations {
	var a Activations
	formats := ActBF16
	if k%ActGroup == 0 {
		formats |= ActQ8
	}
	a.Reset(n, k, formats)
	a.F = floats(3, n*k)
	for t := range n {
		l.Quantize(&a, t, 0, k)
	}
	return &a
}

// TestMulAgainstFloat64 compares with sums in float64 over the same weights, and the same
// activations in the form that the product takes.
func TestMulAgainstFloat64(t *testing.T) { forLevels(t, testMulAgainstFloat64) }

func testMulAgainstFloat64(t *testing.T, l *ISA) {
	for _, typ := range weightTypes() {
		for _, exact := range []bool{false, true} {
			if exact && l.name != "go" {
				continue
			}
			find := l.MatMul
			if exact {
				find = Reference().MatMul
			}
			m, err := find(typ)
			require.NoError(t, err)
			require.True(t, !exact || m.ActFormat == ActF32)
			for _, k := range []int{typ.BlockSize(), 512, 512 + 256} {
				if typ.Group() == 0 && k == 1 {
					k = 37
				}
				const rows, tokens = 16 + 5, 9
				w, a := weights(t, typ, rows, k), acts(tokens, k)
				got := make([]float32, tokens*rows)
				m.Mul(got, rows, w, rows, k, a, 0, tokens, &Scratch{})
				row := make([]float32, k)
				for r := range rows {
					quant.Dequantize(typ, row, w[r*typ.RowBytes(k):])
					for tok := range tokens {
						var sum, size float64
						for i, x := range row {
							v := float64(a.F[tok*k+i])
							switch m.ActFormat {
							case ActQ8:
								v = float64(a.g[(tok*k+i)/ActGroup].d) * float64(a.q[tok*k+i])
							case ActBF16:
								v = float64(quant.BHalf(a.h[tok*k+i]))
							}
							sum += float64(x) * v
							size += math.Abs(float64(x) * v)
						}
						// Groups that have a minimum cancel: its part may be larger than the sum of
						// products.
						require.InDelta(t, sum, got[tok*rows+r], 2e-6*size+1e-6*size*float64(k)/64, "%s exact %v k %d row %d token %d", typ, exact, k, r, tok)
					}
				}
			}
		}
	}
}

// TestMulOrder is the promise of the package: an output has the same bits whatever is computed
// beside it.
func TestMulOrder(t *testing.T) { forLevels(t, testMulOrder) }

func testMulOrder(t *testing.T, l *ISA) {
	tokens, counts := []int{1, 2, 3, 4, 5, 7, 8, 16, 17, 40}, []int{1, 2, 3, 4, 16, 37}
	if testing.Short() {
		tokens, counts = []int{3, 5, 40}, []int{7, 37}
	}
	tables := []*ISA{l}
	if l.name == "go" {
		tables = append(tables, Reference())
	}
	for _, typ := range weightTypes() {
		for _, table := range tables {
			m, err := table.MatMul(typ)
			require.NoError(t, err)
			for _, k := range []int{max(32, typ.BlockSize()), 768} {
				const rows, most = 16*2 + 5, 40
				w, a := weights(t, typ, rows, k), acts(most, k)
				size := typ.RowBytes(k)
				var s Scratch
				alone := make([]float32, most*rows)
				for tok := range most {
					for r := range rows {
						one := make([]float32, tok+1)
						m.Mul(one, 1, w[r*size:(r+1)*size], 1, k, a, tok, tok+1, &s)
						alone[tok*rows+r] = one[tok]
					}
				}
				for _, tokens := range tokens {
					for _, n := range counts {
						got := make([]float32, most*rows)
						for r := 0; r < rows; r += n {
							n := min(n, rows-r)
							for t0 := 0; t0 < most; t0 += tokens {
								m.Mul(got[r:], rows, w[r*size:(r+n)*size], n, k, a, t0, min(t0+tokens, most), &s)
							}
						}
						require.Equal(t, bits(alone), bits(got), "%s act %d k %d: %d rows by %d tokens", typ, m.ActFormat, k, n, tokens)
					}
				}
			}
		}
	}
}

func bits(f []float32) []uint32 {
	b := make([]uint32, len(f))
	for i, v := range f {
		b[i] = math.Float32bits(v)
	}
	return b
}

func TestMulChecks(t *testing.T) {
	m, err := isas()[0].MatMul(quant.Q8_0)
	require.NoError(t, err)
	w, a := weights(t, quant.Q8_0, 4, 64), acts(2, 64)
	var s Scratch
	dst := make([]float32, 8)
	require.Panics(t, func() { m.Mul(dst, 4, w, 4, 32, a, 0, 2, &s) }, "wrong k")
	require.Panics(t, func() { m.Mul(dst, 4, w[:100], 4, 64, a, 0, 2, &s) }, "weights cut")
	require.Panics(t, func() { m.Mul(dst[:7], 4, w, 4, 64, a, 0, 2, &s) }, "destination cut")
	require.Panics(t, func() { m.Mul(dst, 4, w, 4, 64, a, 0, 3, &s) }, "no such token")
	_, err = isas()[0].MatMul(quant.I32)
	require.ErrorContains(t, err, "I32 holds no weights")
	_, err = Reference().MatMul(quant.F64)
	require.ErrorContains(t, err, "F64 holds no weights")
}

// TestQuantizeGroup holds the noise of eight-bit activations to what the package comment says of
// it.
func TestQuantizeGroup(t *testing.T) {
	const groups = 4000
	x := floats(5, groups*ActGroup)
	var a Activations
	a.Reset(1, len(x), ActQ8)
	a.F = x
	isas()[0].Quantize(&a, 0, 0, len(x))
	var err2, plain2 float64
	for g := range groups {
		var amax float32
		for _, v := range x[g*ActGroup : (g+1)*ActGroup] {
			amax = max(amax, abs(v))
		}
		plain := amax / 127
		var sums [2]int32
		for i := g * ActGroup; i < (g+1)*ActGroup; i++ {
			e := float64(x[i]) - float64(a.g[g].d)*float64(a.q[i])
			err2 += e * e
			p := float64(x[i]) - float64(plain)*math.RoundToEven(float64(x[i]/plain))
			plain2 += p * p
			sums[i%ActGroup/sumGroup] += int32(a.q[i])
		}
		d := a.g[g].d
		require.Equal(t, actGroup{d: d, sum: sums[0] + sums[1], half: sums, dsum: d * float32(sums[0]+sums[1]),
			dhalf: [2]float32{d * float32(sums[0]), d * float32(sums[1])}}, a.g[g])
	}
	require.Less(t, math.Sqrt(err2/plain2), 0.92)

	// The form does not depend on how the columns were cut.
	var b Activations
	b.Reset(1, len(x), ActQ8)
	b.F = x
	for k := 0; k < len(x); k += 32 * 7 {
		isas()[0].Quantize(&b, 0, k, min(k+32*7, len(x)))
	}
	require.Equal(t, a.q, b.q)
	require.Equal(t, a.g, b.g)
	var c Activations
	c.Reset(2, len(x), ActQ8)
	c.Copy(1, &a, 0)
	require.Equal(t, a.q, c.q[len(x):])
	require.Equal(t, a.g, c.g[len(x)/ActGroup:])
}

func TestQuantizeGroupExtremes(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		name  string
		x     [ActGroup]float32
		scale func(float32) bool
	}{
		{"zero", [ActGroup]float32{}, func(d float32) bool { return d == 0 }},
		{"denormal", [ActGroup]float32{3: 1e-42}, func(d float32) bool { return d == 0 }},
		{"small", [ActGroup]float32{3: 1e-35}, func(d float32) bool { return d > 0 && d < 1e-36 }},
		{"large", [ActGroup]float32{3: math.MaxFloat32, 4: -math.MaxFloat32}, func(d float32) bool { return d > 2.6e36 && d < 2.9e36 }},
		{"infinite", [ActGroup]float32{3: inf}, func(d float32) bool { return d != d }},
		{"not a number", [ActGroup]float32{3: nan, 4: 1}, func(d float32) bool { return d != d }},
	} {
		var q [ActGroup]int8
		d := quantizeGroup(&q, &c.x)
		require.True(t, c.scale(d), "%s: scale %v", c.name, d)
		for i, v := range q {
			if d == d && d != 0 {
				require.InEpsilon(t, 1+float64(c.x[i]), 1+float64(d)*float64(v), 1e-2, "%s: element %d", c.name, i)
			} else {
				require.Zero(t, v)
			}
		}
	}
}

func TestDotOrder(t *testing.T) {
	for n := range 40 {
		x, y := floats(1, n), floats(2, n)
		var lane [floatLanes]float32
		for i := range x {
			lane[i%floatLanes] += float32(x[i] * y[i])
		}
		want := ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]))
		require.Equal(t, math.Float32bits(want), math.Float32bits(dot(x, y)), n)
	}
}

func TestLanes(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range 2000 {
		var x, y, z [32]int8
		var v [32]int8
		fill := func(a *[32]int8) {
			for i := range a {
				a[i] = int8(rng.IntN(256) - 128)
				if rng.IntN(8) == 0 {
					a[i] = -128
				}
			}
		}
		fill(&x)
		fill(&y)
		fill(&z)
		var p [32]int64
		packLanes(p[:], x[:], y[:], z[:])
		var sum int64
		var want [3]int32
		for i := range v {
			v[i] = int8(rng.IntN(255) - 127)
			sum += p[i] * int64(v[i])
			want[0] += int32(x[i]) * int32(v[i])
			want[1] += int32(y[i]) * int32(v[i])
			want[2] += int32(z[i]) * int32(v[i])
		}
		a, b, c := unpackLanes(sum)
		require.Equal(t, want, [3]int32{a, b, c})
	}
	// All products at their largest.
	for _, w := range []int8{-128, 127} {
		for _, q := range []int8{-127, 127} {
			var p [32]int64
			row := slices.Repeat([]int8{w}, 32)
			packLanes(p[:], row, row, row)
			var sum int64
			for i := range p {
				sum += p[i] * int64(q)
			}
			a, b, c := unpackLanes(sum)
			want := 32 * int32(w) * int32(q)
			require.Equal(t, [3]int32{want, want, want}, [3]int32{a, b, c})
		}
	}
}

func BenchmarkQuantize(b *testing.B) {
	l, err := Use()
	require.NoError(b, err)
	a := acts(1, 2048)
	b.SetBytes(4 * 2048)
	for b.Loop() {
		l.Quantize(a, 0, 0, 2048)
	}
}
