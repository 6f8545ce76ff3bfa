package kernels

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/quant"
)

// strange makes rows of blocks of random bytes and of single bytes repeated: integers at their
// largest and smallest, scales that are zero, denormal, infinite or not numbers. The first half of
// the rows get what comes, the other half at least tame scales, where a type has half floats at
// known places.
func strange(typ quant.Type, rows, k int) []byte {
	rng := rand.New(rand.NewPCG(11, uint64(typ)))
	w := make([]byte, rows*typ.RowBytes(k))
	size := typ.BlockBytes()
	for i := 0; i < len(w); i += size {
		b := w[i : i+size]
		same := []int{-1, -1, 0x00, 0xff, 0x80, 0x7f, 0x88, 0x0f, 0xf0}[rng.IntN(9)]
		for j := range b {
			b[j] = byte(same)
			if same < 0 {
				b[j] = byte(rng.UintN(256))
			}
		}
		if i < len(w)/2 {
			continue
		}
		for _, at := range halfFloats[typ] {
			binary.LittleEndian.PutUint16(b[at:], quant.ToHalf(float32(rng.NormFloat64())))
		}
		switch typ {
		case quant.MXFP4:
			b[0] = byte(120 + rng.IntN(10))
		case quant.IQ1_M: // d in the top nibbles of four words
			d := quant.ToHalf(float32(rng.NormFloat64()))
			for j := range 4 {
				b[49+2*j] = b[49+2*j]&15 | byte(d>>(4*j))<<4
			}
		}
	}
	return w
}

// halfFloats lists where the types have their scales.
var halfFloats = map[quant.Type][]int{
	quant.Q4_0: {0}, quant.Q4_1: {0, 2}, quant.Q5_0: {0}, quant.Q5_1: {0, 2}, quant.Q8_0: {0},
	quant.Q2_K: {80, 82}, quant.Q3_K: {108}, quant.Q4_K: {0, 2}, quant.Q5_K: {0, 2}, quant.Q6_K: {208},
	quant.IQ1_S: {0}, quant.IQ2_XXS: {0}, quant.IQ2_XS: {0}, quant.IQ2_S: {0}, quant.IQ3_XXS: {0}, quant.IQ3_S: {0},
	quant.IQ4_NL: {0}, quant.IQ4_XS: {0}, quant.TQ1_0: {52}, quant.TQ2_0: {64}, quant.Q1_0: {0}, quant.Q2_0: {0},
}

// strangeActs are tokens at the limits: all 127, all -127, the two alternately, zero, and random
// ones.
func strangeActs(k int) *Activations {
	const tokens = 5
	var a Activations
	a.Reset(tokens, k, ActQ8)
	rng := rand.New(rand.NewPCG(12, 12))
	for i := range a.q {
		switch i / k {
		case 0:
			a.q[i] = 127
		case 1:
			a.q[i] = -127
		case 2:
			a.q[i] = int8(127 - 254*(i/16%2))
		case 3:
			a.q[i] = 0
		default:
			a.q[i] = int8(rng.IntN(255) - 127)
		}
	}
	for i := range a.g {
		var half [2]int32
		for j, v := range a.q[i*ActGroup : (i+1)*ActGroup] {
			half[j/sumGroup] += int32(v)
		}
		d := float32(rng.Float64() + 0.1)
		sum := half[0] + half[1]
		a.g[i] = actGroup{d: d, sum: sum, half: half, dsum: d * float32(sum), dhalf: [2]float32{d * float32(half[0]), d * float32(half[1])}}
	}
	return &a
}

// TestMulOfStrangeBlocks holds the block formats of every instruction set against sums in float64
// of the same integers and scales.
func TestMulOfStrangeBlocks(t *testing.T) { forLevels(t, testMulOfStrangeBlocks) }

func testMulOfStrangeBlocks(t *testing.T, l *ISA) {
	for _, typ := range weightTypes() {
		if typ.Group() == 0 {
			continue
		}
		m, err := l.MatMul(typ)
		require.NoError(t, err)
		const rows, k = 64, 512
		w, a := strange(typ, rows, k), strangeActs(k)
		alone, together := make([]float32, a.N*rows), make([]float32, a.N*rows)
		var s Scratch
		for tok := range a.N {
			m.Mul(alone, rows, w, rows, k, a, tok, tok+1, &s)
		}
		m.Mul(together, rows, w, rows, k, a, 0, a.N, &s)
		finite := 0
		for r := range rows {
			x := unpackRow(typ, w[r*typ.RowBytes(k):], k)
			for tok := range a.N {
				want, size := x.times64(a, tok)
				for _, got := range [][]float32{alone, together} {
					v := float64(got[tok*rows+r])
					switch {
					case math.IsNaN(want):
						require.True(t, math.IsNaN(v), "%s row %d token %d: %v", typ, r, tok, v)
					case size > math.MaxFloat32/2: // some product may be infinite
					default:
						finite++
						// A rounding per group, of what has been added so far.
						require.InDelta(t, want, v, size*float64(len(x.s)+3)*0x1p-23+1e-37, "%s row %d token %d", typ, r, tok)
					}
				}
				if math.IsNaN(float64(alone[tok*rows+r])) {
					require.True(t, math.IsNaN(float64(together[tok*rows+r])))
				} else {
					require.Equal(t, math.Float32bits(alone[tok*rows+r]), math.Float32bits(together[tok*rows+r]), "%s row %d token %d", typ, r, tok)
				}
			}
		}
		require.Greater(t, finite, rows*a.N/2, typ)
	}
}

func unpackRow(typ quant.Type, w []byte, k int) *row {
	x := &row{q: make([]int8, k), s: make([]float32, k/typ.Group())}
	if typ.HasMin() {
		x.m = make([]float32, k/typ.Group())
	}
	quant.Unpack(typ, x.q, x.s, x.m, w)
	return x
}

// times64 is the product with a token, and the sum of the magnitudes of what it adds.
func (x *row) times64(a *Activations, tok int) (sum, size float64) {
	q, g := a.token(tok)
	group := len(x.q) / len(x.s)
	for i, s := range x.s {
		var n, total int
		for j := i * group; j < (i+1)*group; j++ {
			n += int(x.q[j]) * int(q[j])
			total += int(q[j])
		}
		d := float64(g[i*group/ActGroup].d)
		v := float64(n) * float64(s) * d
		sum += v
		size += math.Abs(v)
		if x.m != nil {
			v := float64(x.m[i]) * d * float64(total)
			sum += v
			size += math.Abs(v)
		}
	}
	return sum, size
}
