package kernels

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/quant"
)

var floatTypes = []quant.Type{quant.F32, quant.F16, quant.BF16}

// TestMulOfBlocks takes more rows, tokens and k than a block of float weights holds, in whole and in parts.
func TestMulOfBlocks(t *testing.T) { forLevels(t, testMulOfBlocks) }

func testMulOfBlocks(t *testing.T, l *Level) {
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
		m, err := l.Mat(typ)
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
