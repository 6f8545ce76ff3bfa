package quant

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"
)

// Unpack decodes a row of n = len(q) weights into its integer form: weight i is
// float32(q[i])*s[i/g] + m[i/g], where g = t.Group(). s has n/g elements, and m has as many where
// t.HasMin() and is not used elsewhere. n is a whole number of blocks. Magnitudes of q stay within
// 128.
//
// This is the one decoder of the block formats; [Dequantize] and every kernel begin here. It panics
// for types without an integer form and for slices that do not fit; it accepts any bytes.
func Unpack(t Type, q []int8, s, m []float32, src []byte) {
	if t.Group() == 0 {
		panic(fmt.Sprintf("quant: type %s has no integer form", t))
	}
	n, size := len(q)/t.BlockSize(), t.RowBytes(len(q))
	groups := len(q) / t.Group()
	if len(src) < size || len(s) < groups || t.HasMin() && len(m) < groups {
		panic(fmt.Sprintf("quant: %d %s weights want %d bytes and %d scales, found %d, %d (%d minima)", len(q), t, size, groups, len(src), len(s), len(m)))
	}
	if n == 0 {
		return
	}
	// The decoders store eight numbers at once.
	b := unsafe.Slice((*byte)(unsafe.Pointer(&q[0])), len(q))
	unpackers[t](b, s, m, src[:size])
}

// unpackers decode whole rows: b is q as bytes.
var unpackers = [NumTypes]func(b []byte, s, m []float32, src []byte){
	Q4_0: unpackQ4_0, Q4_1: unpackQ4_1, Q5_0: unpackQ5_0, Q5_1: unpackQ5_1, Q8_0: unpackQ8_0,
	Q2_K: unpackQ2_K, Q3_K: unpackQ3_K, Q4_K: unpackQ4_K, Q5_K: unpackQ5_K, Q6_K: unpackQ6_K,
	IQ1_S: unpackIQ1_S, IQ1_M: unpackIQ1_M, IQ2_XXS: unpackIQ2_XXS, IQ2_XS: unpackIQ2_XS, IQ2_S: unpackIQ2_S,
	IQ3_XXS: unpackIQ3_XXS, IQ3_S: unpackIQ3_S, IQ4_NL: unpackIQ4_NL, IQ4_XS: unpackIQ4_XS,
	TQ1_0: unpackTQ1_0, TQ2_0: unpackTQ2_0, MXFP4: unpackMXFP4, NVFP4: unpackNVFP4, Q1_0: unpackQ1_0, Q2_0: unpackQ2_0,
}

// Eight bytes in a word.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
	lows4 = 0x0f0f0f0f0f0f0f0f
	lows2 = 0x0303030303030303
)

func load(b []byte) uint64     { return binary.LittleEndian.Uint64(b) }
func store(b []byte, v uint64) { binary.LittleEndian.PutUint64(b, v) }

// minus subtracts c < 128 from each byte of v, all below 128, as signed bytes.
func minus(v uint64, c uint64) uint64 { return (v | highs) - c*ones ^ highs }

// spread makes of the bits of x the lowest bits of eight bytes.
func spread(x byte) uint64 { return bitBytes[x] }

var bitBytes = func() (t [256]uint64) {
	for x := range t {
		for i := range 8 {
			t[x] |= uint64(x>>i&1) << (8 * i)
		}
	}
	return t
}()

// 32 weights: a scale, then the low nibbles are weights 0–15, the high ones 16–31.
func unpackQ4_0(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 32 && len(src) >= 18; i++ {
		s[i] = half(src)
		x, y := load(src[2:]), load(src[10:])
		store(b, minus(x&lows4, 8))
		store(b[8:], minus(y&lows4, 8))
		store(b[16:], minus(x>>4&lows4, 8))
		store(b[24:], minus(y>>4&lows4, 8))
		b, src = b[32:], src[18:]
	}
}

// As Q4_0, with a minimum in place of the offset.
func unpackQ4_1(b []byte, s, m []float32, src []byte) {
	for i := 0; len(b) >= 32 && len(src) >= 20; i++ {
		s[i], m[i] = half(src), half(src[2:])
		x, y := load(src[4:]), load(src[12:])
		store(b, x&lows4)
		store(b[8:], y&lows4)
		store(b[16:], x>>4&lows4)
		store(b[24:], y>>4&lows4)
		b, src = b[32:], src[20:]
	}
}

// As Q4_0, with four bytes of fifth bits.
func unpackQ5_0(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 32 && len(src) >= 22; i++ {
		s[i] = half(src)
		x, y := load(src[6:]), load(src[14:])
		store(b, minus(x&lows4|spread(src[2])<<4, 16))
		store(b[8:], minus(y&lows4|spread(src[3])<<4, 16))
		store(b[16:], minus(x>>4&lows4|spread(src[4])<<4, 16))
		store(b[24:], minus(y>>4&lows4|spread(src[5])<<4, 16))
		b, src = b[32:], src[22:]
	}
}

// As Q5_0, with a minimum in place of the offset.
func unpackQ5_1(b []byte, s, m []float32, src []byte) {
	for i := 0; len(b) >= 32 && len(src) >= 24; i++ {
		s[i], m[i] = half(src), half(src[2:])
		x, y := load(src[8:]), load(src[16:])
		store(b, x&lows4|spread(src[4])<<4)
		store(b[8:], y&lows4|spread(src[5])<<4)
		store(b[16:], x>>4&lows4|spread(src[6])<<4)
		store(b[24:], y>>4&lows4|spread(src[7])<<4)
		b, src = b[32:], src[24:]
	}
}

// 32 weights: a scale and 32 signed bytes.
func unpackQ8_0(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 32 && len(src) >= 34; i++ {
		s[i] = half(src)
		copy(b[:32], src[2:34])
		b, src = b[32:], src[34:]
	}
}

// 128 weights: a scale and their signs.
func unpackQ1_0(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 128 && len(src) >= 18; i += 4 {
		d := half(src)
		s[i], s[i+1], s[i+2], s[i+3] = d, d, d, d
		for j := range 16 {
			store(b[8*j:], minus(spread(src[2+j])<<1, 1))
		}
		b, src = b[128:], src[18:]
	}
}

// 64 weights: a scale and two bits each, -1 to 2, four to a byte.
func unpackQ2_0(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 64 && len(src) >= 18; i += 2 {
		d := half(src)
		s[i], s[i+1] = d, d
		for j := range 16 {
			x := uint32(src[2+j])
			x = x&3 | x>>2&3<<8 | x>>4&3<<16 | x>>6<<24
			binary.LittleEndian.PutUint32(b[4*j:], (x|0x80808080)-0x01010101^0x80808080)
		}
		b, src = b[64:], src[18:]
	}
}

// lookup replaces the nibbles of eight bytes by what they index.
func lookup(dst []byte, t *[16]int8, src []byte, high int) {
	dst, src = dst[:8], src[:8]
	for j, x := range src {
		dst[j] = byte(t[x>>high&15])
	}
}

// The values of E2M1, doubled to make them whole: OCP Microscaling Formats 1.0, section 5.3.3.
var levelsFP4 = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

// 32 weights: a power of two (E8M0), then E2M1 numbers laid out as in Q4_0.
func unpackMXFP4(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 32 && len(src) >= 17; i++ {
		s[i] = halfE8M0(src[0])
		lookup(b, &levelsFP4, src[1:], 0)
		lookup(b[8:], &levelsFP4, src[9:], 0)
		lookup(b[16:], &levelsFP4, src[1:], 4)
		lookup(b[24:], &levelsFP4, src[9:], 4)
		b, src = b[32:], src[17:]
	}
}

// halfE8M0 is half of 2^(e-127): the values of E2M1 are doubled.
func halfE8M0(e byte) float32 {
	if e < 2 {
		return math.Float32frombits(0x00200000 << e)
	}
	return math.Float32frombits(uint32(e-1) << 23)
}

// 64 weights: four scales (UE4M3) for 16 weights each, then E2M1 numbers, low nibbles first within
// each 16.
func unpackNVFP4(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 64 && len(src) >= 36; i += 4 {
		for j := range 4 {
			s[i+j] = halvesUE4M3[src[j]]
			lookup(b[16*j:], &levelsFP4, src[4+8*j:], 0)
			lookup(b[16*j+8:], &levelsFP4, src[4+8*j:], 4)
		}
		b, src = b[64:], src[36:]
	}
}

// halvesUE4M3 holds half of each number with four bits of exponent and three of mantissa. The sign
// bit carries no meaning; 0x7f, a NaN, counts as 0.
var halvesUE4M3 = func() (t [256]float32) {
	for x := range t {
		exp, man := x>>3&15, float64(x&7)
		switch {
		case x == 0x7f:
		case exp == 0:
			t[x] = float32(math.Ldexp(man, -10))
		default:
			t[x] = float32(math.Ldexp(1+man/8, exp-8))
		}
	}
	return t
}()

// The levels of IQ4_NL and IQ4_XS.
var levelsIQ4 = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// As Q4_0, the nibbles indexing unequal steps.
func unpackIQ4_NL(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 32 && len(src) >= 18; i++ {
		s[i] = half(src)
		unpackIQ4(b, src[2:])
		b, src = b[32:], src[18:]
	}
}

func unpackIQ4(b, src []byte) {
	lookup(b, &levelsIQ4, src, 0)
	lookup(b[8:], &levelsIQ4, src[8:], 0)
	lookup(b[16:], &levelsIQ4, src, 4)
	lookup(b[24:], &levelsIQ4, src[8:], 4)
}

// 256 weights in eight groups: a scale, six bits of scale per group, and nibbles as in IQ4_NL.
func unpackIQ4_XS(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 256 && len(src) >= 136; i += 8 {
		d, high := half(src), binary.LittleEndian.Uint16(src[2:])
		for j := range 8 {
			ls := int(src[4+j/2]>>(4*(j%2))&15) | int(high>>(2*j)&3)<<4
			s[i+j] = d * float32(ls-32)
			unpackIQ4(b[32*j:], src[8+16*j:])
		}
		b, src = b[256:], src[136:]
	}
}

// 256 weights: five ternary digits to a byte, as a fraction of 3^5; the last 16 weights four to a
// byte.
func unpackTQ1_0(b []byte, s, _ []float32, src []byte) {
	digits := func(b, x []byte, n int) {
		for range n {
			for j, v := range x {
				b[j] = byte(uint16(v)*3>>8) - 1
			}
			b = b[len(x):]
			for j := range x {
				x[j] *= 3
			}
		}
	}
	var x [32]byte
	for i := 0; len(b) >= 256 && len(src) >= 54; i += 8 {
		d := half(src[52:])
		for j := range 8 {
			s[i+j] = d
		}
		copy(x[:], src[:32])
		digits(b, x[:], 5)
		copy(x[:16], src[32:])
		digits(b[160:], x[:16], 5)
		copy(x[:4], src[48:])
		digits(b[240:], x[:4], 4)
		b, src = b[256:], src[54:]
	}
}

// 256 weights: two bits each, -1 to 2; a byte holds weights 32 apart.
func unpackTQ2_0(b []byte, s, _ []float32, src []byte) {
	for i := 0; len(b) >= 256 && len(src) >= 66; i += 8 {
		d := half(src[64:])
		for j := range 8 {
			s[i+j] = d
		}
		for j := 0; j < 64; j += 8 {
			x := load(src[j:])
			at := j/32*128 + j%32
			for l := range 4 {
				store(b[at+32*l:], minus(x>>(2*l)&lows2, 1))
			}
		}
		b, src = b[256:], src[66:]
	}
}
