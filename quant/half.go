package quant

import (
	"encoding/binary"
	"math"

	"github.com/x448/float16"
)

// halves is every half-precision number as float32: a load is several times faster than converting.
var halves = func() *[1 << 16]float32 {
	t := new([1 << 16]float32)
	for i := range t {
		t[i] = float16.Frombits(uint16(i)).Float32()
	}
	return t
}()

// Half is the number that the half-precision bits h stand for (IEEE 754 binary16).
func Half(h uint16) float32 { return halves[h] }

// ToHalf rounds f to the nearest half-precision number, ties to even; what is too large becomes an
// infinity.
func ToHalf(f float32) uint16 {
	b := math.Float32bits(f)
	sign, a := uint16(b>>16)&0x8000, b&^(1<<31)
	switch {
	case a >= 0x47800000: // from 2^16 on, and infinities and NaNs
		return float16.Fromfloat32(f).Bits()
	case a < 0x38800000: // below 2^-14: a sum whose last place is 2^-24 rounds as the hardware does
		return sign | uint16(math.Float32bits(math.Float32frombits(a)+0.5)-math.Float32bits(0.5))
	}
	// Rebias the exponent, add half of the last place less one, and the last bit that stays.
	a += 0xc8000000 + 0xfff + a>>13&1
	return sign | uint16(a>>13)
}

// BHalf is the number that the bfloat16 bits h stand for.
func BHalf(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// ToBHalf rounds f to the nearest bfloat16 number, ties to even; a NaN stays one.
func ToBHalf(f float32) uint16 {
	b := math.Float32bits(f)
	if f != f {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// F16ToF32 converts len(dst) half-precision numbers, two little-endian bytes each, into float32.
func F16ToF32(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for len(dst) >= 4 {
		v := binary.LittleEndian.Uint64(src)
		d := dst[:4:4]
		d[0], d[1], d[2], d[3] = halves[uint16(v)], halves[uint16(v>>16)], halves[uint16(v>>32)], halves[uint16(v>>48)]
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = halves[binary.LittleEndian.Uint16(src[2*i:])]
	}
}

// F32ToF16 is the reverse of WidenHalf, rounding as ToHalf does.
func F32ToF16(dst []byte, src []float32) {
	dst = dst[:2*len(src)]
	for i, v := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], ToHalf(v))
	}
}

func half(b []byte) float32 { return halves[binary.LittleEndian.Uint16(b)] }
