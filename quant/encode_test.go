package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func writableTypes() (ts []Type) {
	for t := range Type(NumTypes) {
		if CanQuantize(t) {
			ts = append(ts, t)
		}
	}
	return ts
}

// ignoresImportance are the types whose scale follows from the largest weight alone.
var ignoresImportance = []Type{F32, F16, BF16, Q8_0, Q1_0, Q2_0, TQ1_0, TQ2_0, MXFP4, NVFP4}

// sampleRows are gaussian and heavy-tailed rows of n weights, and an importance for the columns
// that spans some decades.
func sampleRows(n int) (gauss, heavy, importance []float32) {
	rng := rand.New(rand.NewPCG(7, 7))
	gauss, heavy, importance = make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range n {
		gauss[i] = float32(0.02 * rng.NormFloat64())
		heavy[i] = float32(0.02 * rng.NormFloat64() / max(0.02, math.Abs(rng.NormFloat64())))
		importance[i] = float32(math.Exp(1.5 * rng.NormFloat64()))
	}
	return gauss, heavy, importance
}

// squares is the sum of squared errors after encoding, weighted by importance where it is not nil.
func squares(t testing.TB, typ Type, x, encodeWith, importance []float32) (sum float64) {
	b, y := make([]byte, typ.RowBytes(len(x))), make([]float32, len(x))
	require.NoError(t, QuantizeRow(typ, b, x, encodeWith))
	Dequantize(typ, y, b)
	for i := range x {
		d := float64(x[i]) - float64(y[i])
		if importance != nil {
			d *= math.Sqrt(float64(importance[i]))
		}
		sum += d * d
	}
	return sum
}

// TestQuantizeImportance checks that importance lowers the error that it weighs, where a type takes
// notice of it.
func TestQuantizeImportance(t *testing.T) {
	gauss, heavy, importance := sampleRows(2048)
	ones := slices.Repeat([]float32{1}, len(gauss))
	zeros := make([]float32, len(gauss))
	for _, typ := range writableTypes() {
		var plain, with, even float64
		for _, x := range [][]float32{gauss, heavy} {
			plain += squares(t, typ, x, nil, importance)
			with += squares(t, typ, x, importance, importance)
			even += squares(t, typ, x, ones, importance)
			require.Equal(t, squares(t, typ, x, nil, nil), squares(t, typ, x, zeros, nil), "%s: nothing important is everything important", typ)
		}
		if slices.Contains(ignoresImportance, typ) {
			require.Equal(t, plain, with, typ)
			continue
		}
		require.Less(t, with, 0.99*plain, "%s without importance", typ)
		require.Less(t, with, 0.99*even, "%s with even importance", typ)
	}
	row := make([]byte, Q4_K.RowBytes(256))
	for _, bad := range []float32{-1, float32(math.NaN()), float32(math.Inf(1))} {
		w := slices.Repeat([]float32{1}, 256)
		w[9] = bad
		require.ErrorContains(t, QuantizeRow(Q4_K, row, gauss[:256], w), "importance of column 9")
	}
	require.Panics(t, func() { _ = QuantizeRow(Q4_K, row, gauss[:256], ones[:255]) })
}

// TestQuantizeOdd encodes rows that are not like weights: every type gives a defined result or a
// clear error.
func TestQuantizeOdd(t *testing.T) {
	const n = 512
	fill := func(f func(i int) float32) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = f(i)
		}
		return x
	}
	_, heavy, importance := sampleRows(n)
	sparse := fill(func(i int) float32 { return importance[i] * float32(i%3/2) })
	for _, typ := range writableTypes() {
		b, y := make([]byte, typ.RowBytes(n)), make([]float32, n)
		flat := 0.65
		switch typ {
		case IQ2_XXS:
			// of its points only that of the lowest level has equal numbers; the search, like the
			// reference's, tries scales with the largest weight on the highest
			flat = 0.85
		case IQ1_M:
			// The format can say it exactly, but with importance, as in the reference, rounding
			// picks among scales of 8/9, 8/7 and 8 for a group of equal weights. In a block where
			// one group took 8, the steps of its scales turn the others into 0.6 and 1.4.
			flat = 0.85
		}
		for name, c := range map[string]struct {
			x   []float32
			tol float64 // of the largest magnitude
			abs float64
		}{
			"zeros":       {make([]float32, n), 0, 0},
			"one":         {fill(func(i int) float32 { return float32(i / 255 % 2) }), 1.25, 0},
			"ones":        {fill(func(int) float32 { return 1 }), flat, 0},
			"minus ones":  {fill(func(int) float32 { return -1 }), flat, 0},
			"signs":       {fill(func(i int) float32 { return float32(1 - i%2*2) }), flat, 0},
			"denormals":   {fill(func(i int) float32 { return float32(i) * 1e-43 }), 1, 1e-6},
			"tiny":        {fill(func(i int) float32 { return float32(i-200) * 1e-12 }), 1.25, 1e-6},
			"large":       {fill(func(i int) float32 { return float32(i - 200) }), 1.25, 0},
			"one outlier": {fill(func(i int) float32 { return heavy[i] + float32(i/300%2*(300-i)) }), 1.25, 0},
		} {
			size := abs(extreme(c.x))
			for _, w := range [][]float32{nil, importance, sparse} {
				require.NoError(t, QuantizeRow(typ, b, c.x, w), "%s %s", typ, name)
				Dequantize(typ, y, b)
				if w != nil && w[0] == 0 {
					continue // columns that do not matter may become anything
				}
				for i := range y {
					require.LessOrEqual(t, math.Abs(float64(c.x[i])-float64(y[i])), c.tol*float64(size)*1.001+c.abs, "%s %s weight %d: %v became %v", typ, name, i, c.x[i], y[i])
				}
			}
		}
		for _, size := range []float32{1e9, 1e18, 1e25, 3e38} {
			x := slices.Clone(heavy)
			x[300] = size
			err := Quantize(typ, b, x)
			switch typ {
			case F32, BF16, MXFP4:
				require.NoError(t, err, "%s %v", typ, size)
			default:
				require.ErrorContains(t, err, "too large for "+typ.String(), "%v", size)
			}
			x[301], x[302], x[303] = -size, size/2, size
			if err := QuantizeRow(typ, b, x, importance); typ != F32 && typ != BF16 && typ != MXFP4 {
				require.ErrorContains(t, err, "too large for "+typ.String(), "%v", size)
			}
		}
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
			x := slices.Clone(heavy)
			x[300] = bad
			require.ErrorContains(t, Quantize(typ, b, x), "weight 300 is")
		}
	}
}

// TestQuantizeEnds: the smallest scale of MXFP4, 2^-128, has an inverse beyond float32, and the
// largest has levels beyond it.
func TestQuantizeEnds(t *testing.T) {
	for exp := -132; exp <= -120; exp++ {
		x, y, b := make([]float32, 32), make([]float32, 32), make([]byte, MXFP4.BlockBytes())
		for i := range x {
			x[i] = float32(math.Ldexp(float64(i-16)/8, exp))
		}
		require.NoError(t, Quantize(MXFP4, b, x))
		Dequantize(MXFP4, y, b)
		// half the distance of the largest two levels, 4 and 6, times the scale
		step := float32(math.Ldexp(1, max(exp, -126)-1))
		for i := range x {
			require.LessOrEqual(t, abs(x[i]-y[i]), step, "2^%d, weight %d: %v became %v", exp, i, x[i], y[i])
		}
	}
	x, y, b := slices.Repeat([]float32{math.MaxFloat32, -math.MaxFloat32}, 16), make([]float32, 32), make([]byte, MXFP4.BlockBytes())
	require.NoError(t, Quantize(MXFP4, b, x))
	Dequantize(MXFP4, y, b)
	require.Equal(t, slices.Repeat([]float32{0x1.8p127, -0x1.8p127}, 16), y)
}

// TestQuantizeAgain encodes what an encoding stands for: little is lost the second time.
func TestQuantizeAgain(t *testing.T) {
	gauss, _, _ := sampleRows(4096)
	for _, typ := range writableTypes() {
		b, y := make([]byte, typ.RowBytes(len(gauss))), make([]float32, len(gauss))
		require.NoError(t, Quantize(typ, b, gauss))
		Dequantize(typ, y, b)
		once, again := squares(t, typ, gauss, nil, nil), squares(t, typ, y, nil, nil)
		limit := 0.05
		if typ.BlockBytes()*8 < 4*typ.BlockSize() {
			limit = 0.5 // few levels, and scales in few bits
		}
		require.LessOrEqual(t, again, limit*once, "%s: %v", typ, again/once)
	}
}

// TestQuantizeWritesAll checks that a row's bytes depend on nothing but the row, that nothing is
// written after it, and that nothing is allocated.
func TestQuantizeWritesAll(t *testing.T) {
	_, heavy, importance := sampleRows(1024)
	clear(heavy[512:768])
	for _, typ := range writableTypes() {
		size := typ.RowBytes(len(heavy))
		a, b := make([]byte, size+8), bytes.Repeat([]byte{0xff}, size+8)
		for _, w := range [][]float32{nil, importance} {
			require.NoError(t, QuantizeRow(typ, a, heavy, w))
			require.NoError(t, QuantizeRow(typ, b, heavy, w))
			require.Equal(t, a[:size], b[:size], typ)
			require.Equal(t, bytes.Repeat([]byte{0xff}, 8), b[size:], typ)
			require.Zero(t, testing.AllocsPerRun(1, func() { _ = QuantizeRow(typ, a, heavy, w) }), typ)
		}
		// Blocks, and so rows, are independent, but for formats that weigh errors by the mean
		// square of the row.
		half := typ.RowBytes(512)
		require.NoError(t, Quantize(typ, b[:half], heavy[:512]))
		require.NoError(t, Quantize(typ, b[half:], heavy[512:]))
		require.NoError(t, Quantize(typ, a, heavy))
		require.Equal(t, a[:size], b[:size], typ)
	}
}

// BenchmarkQuantize reports bytes of floats per second.
func BenchmarkQuantize(b *testing.B) {
	gauss, _, importance := sampleRows(4096)
	for _, typ := range writableTypes() {
		out := make([]byte, typ.RowBytes(len(gauss)))
		for _, with := range []string{"plain", "importance"} {
			var w []float32
			if with == "importance" {
				if slices.Contains(ignoresImportance, typ) {
					continue
				}
				w = importance
			}
			b.Run(typ.String()+"/"+with, func(b *testing.B) {
				b.SetBytes(int64(4 * len(gauss)))
				for b.Loop() {
					if err := QuantizeRow(typ, out, gauss, w); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
