package kernels

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/quant"
)

var floatTypes = []quant.Type{quant.F32, quant.F16, quant.BF16}

// TestMulOfBlocks takes more rows, tokens and k than a block of float weights holds, in whole and
// in parts.
func TestMulOfBlocks(t *testing.T) { forLevels(t, testMulOfBlocks) }

func testMulOfBlocks(t *testing.T, l *ISA) {
	type shape struct{ k, rows, tokens int }
	shapes := []shape{
		{4 * floatDepth, 9, 13},               // whole blocks
		{2*floatDepth + 21, floatRows + 7, 8}, // a smaller block at each end, the last vector cut
		{2*floatDepth + 1, 5, floatOutputs/floatRows*2 + 9},
	}
	if !testing.Short() {
		for tail := range floatStep {
			shapes = append(shapes, shape{2*floatDepth + floatStep + tail, 6, 8})
		}
	}
	for _, typ := range floatTypes {
		m, err := l.MatMul(typ)
		require.NoError(t, err)
		if m.floats == nil { // plain Go takes whole rows, see TestMulOrder
			continue
		}
		for _, x := range shapes {
			w, a := weights(t, typ, x.rows, x.k), acts(x.tokens, x.k)
			size := typ.RowBytes(x.k)
			var s Scratch
			alone := make([]float32, x.tokens*x.rows)
			for tok := range x.tokens {
				m.Mul(alone, x.rows, w, x.rows, x.k, a, tok, tok+1, &s)
			}
			row := make([]float32, x.k)
			for r := range x.rows {
				quant.Dequantize(typ, row, w[r*size:])
				for tok := range x.tokens {
					var sum, all float64
					for i, v := range row {
						p := float64(v) * float64(a.F[tok*x.k+i])
						if m.ActFormat == ActBF16 {
							p = float64(v) * float64(quant.BHalf(a.h[tok*x.k+i]))
						}
						sum, all = sum+p, all+math.Abs(p)
					}
					require.InDelta(t, sum, alone[tok*x.rows+r], 1e-5*all, "%s %v row %d token %d", typ, x, r, tok)
				}
			}
			for _, rows := range []int{1, 6, x.rows} {
				for tokens := 1; tokens <= x.tokens; tokens++ {
					if few := x.rows < 16 && rows > 1 && tokens <= 13; !few && tokens != 5 && tokens != x.tokens {
						continue
					}
					for i := range s.tile.mem { // what an earlier product left
						s.tile.mem[i] = 0xff
					}
					got := make([]float32, x.tokens*x.rows)
					for r := 0; r < x.rows; r += rows {
						for t0 := 0; t0 < x.tokens; t0 += tokens {
							n := min(rows, x.rows-r)
							m.Mul(got[r:], x.rows, w[r*size:(r+n)*size], n, x.k, a, t0, min(t0+tokens, x.tokens), &s)
						}
					}
					require.Equal(t, bits(alone), bits(got), "%s %v: %d rows by %d tokens", typ, x, rows, tokens)
				}
			}
		}
	}
}

// TestRoundBF16 holds every instruction set to the package quant: ties, numbers that round to
// infinity, denormals, NaN of each kind, and tails of each length.
func TestRoundBF16(t *testing.T) { forLevels(t, testRoundBF16) }

func testRoundBF16(t *testing.T, l *ISA) {
	x := floats(11, 96)
	for i, b := range []uint32{
		0, 1 << 31, 1, 0x8000, 0x18000, 0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7f800001, 0x7fffffff, 0xffc12345,
	} {
		x[3*i] = math.Float32frombits(b)
	}
	want := make([]uint16, len(x))
	for i, v := range x {
		want[i] = quant.ToBHalf(v)
	}
	for n := range len(x) + 1 {
		got := make([]uint16, len(x))
		l.roundBF16(got[:n], x[:n])
		require.Equal(t, want[:n], got[:n])
		require.Equal(t, make([]uint16, len(x)-n), got[n:], "after the last of %d", n)
	}
	// As a form of activations, with and without another one, and copied.
	for _, formats := range []ActFormat{ActBF16, ActBF16 | ActQ8} {
		var a, b Activations
		a.Reset(1, len(x), formats)
		a.F = x
		l.Quantize(&a, 0, 0, 32)
		l.Quantize(&a, 0, 32, len(x))
		require.Equal(t, want, a.h)
		b.Reset(2, len(x), formats)
		b.Copy(1, &a, 0)
		require.Equal(t, want, b.h[len(x):])
	}
}
