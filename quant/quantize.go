package quant

import (
	"encoding/binary"
	"fmt"
	"math"
)

// CanQuantize reports whether Quantize writes type t: every type for which [Type.IsWeight] holds.
func CanQuantize(t Type) bool {
	return t == F32 || t == F16 || t == BF16 || t < NumTypes && encoders[t] != nil
}

// Quantize encodes a row of floats as type t; it is [QuantizeRow] without importance.
func Quantize(t Type, dst []byte, src []float32) error { return QuantizeRow(t, dst, src, nil) }

// QuantizeRow encodes a row of floats as type t. importance, where not nil, has an entry per
// column: the errors of important columns count for more, as measured by an importance matrix (the
// mean square of what the column is multiplied by). Types whose scale follows from the largest
// weight alone take no notice of it: floats, Q8_0, Q1_0, Q2_0, TQ1_0, TQ2_0, MXFP4 and NVFP4. An
// importance of zero everywhere counts as none.
//
// The bytes are those of the reference (ggml-quants.c, quantize_*) but where its error is larger:
// for groups of zeros in IQ1 and IQ3_S, which it leaves to chance, for IQ1_M without importance,
// and in MXFP4 at the ends of what float32 can hold.
//
// Rows are independent: callers may divide them among threads. QuantizeRow returns an error for a
// type that it does not write and, naming the place, for a number that is not finite, an importance
// that is negative or not finite, and a block too large for the format's scale. It panics if src is
// no whole number of blocks, dst too short, or importance of another length than src.
func QuantizeRow(t Type, dst []byte, src, importance []float32) error {
	if !CanQuantize(t) {
		return fmt.Errorf("%s is not a type that can be written", t)
	}
	dst = dst[:t.RowBytes(len(src))]
	limit := float32(math.MaxFloat32)
	if t.Group() != 0 && t != MXFP4 {
		limit = beyondHalf
	}
	for i, v := range src {
		if !(abs(v) <= limit) {
			if abs(v) <= math.MaxFloat32 {
				return fmt.Errorf("weight %d is %v: too large for %s", i, v, t)
			}
			return fmt.Errorf("weight %d is %v: want finite numbers", i, v)
		}
	}
	if importance != nil {
		if len(importance) != len(src) {
			panic(fmt.Sprintf("quant: a row of %d weights has importance for %d", len(src), len(importance)))
		}
		some := false
		for i, v := range importance {
			if !(v >= 0 && v <= math.MaxFloat32) {
				return fmt.Errorf("the importance of column %d is %v: want finite numbers from 0 on", i, v)
			}
			some = some || v > 0
		}
		if !some {
			importance = nil
		}
	}
	switch t {
	case F32:
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
		return nil
	case F16:
		F32ToF16(dst, src)
	case BF16:
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], ToBHalf(v))
		}
	default:
		return encodeRow(t, dst, src, importance)
	}
	for i := range src {
		if h := dst[2*i+1] & 0x7f; t == F16 && h == 0x7c || t == BF16 && h == 0x7f && dst[2*i]&0x80 != 0 {
			return fmt.Errorf("weight %d is %v: too large for %s", i, src[i], t)
		}
	}
	return nil
}

// beyondHalf is more than any format with a scale in half precision reaches: 65504 times 127 times
// 32, in IQ4_XS. The searches stay clear of infinities below it.
const beyondHalf = 4e8

// encodeRow encodes the blocks of a row.
func encodeRow(t Type, dst []byte, src, importance []float32) error {
	var mean float32
	if importance != nil {
		mean = sumSquares(src) / float32(len(src))
	}
	encode, block, size := encoders[t], t.BlockSize(), t.BlockBytes()
	var imp []float32
	for i := 0; len(src) >= block; i += block {
		if importance != nil {
			imp = importance[i : i+block : i+block]
		}
		if !encode(dst[:size:size], src[:block:block], imp, mean) {
			return fmt.Errorf("the block at weight %d is too large for %s", i, t)
		}
		dst, src = dst[size:], src[block:]
	}
	return nil
}

// encoders encode one block. imp is nil or as long as the block x; mean is the mean square of the
// whole row, known only where imp is not nil. They report whether the format can hold numbers of
// this size, which are finite.
var encoders = [NumTypes]func(dst []byte, x, imp []float32, mean float32) bool{
	Q4_0: encodeQ4_0, Q4_1: encodeQ4_1, Q5_0: encodeQ5_0, Q5_1: encodeQ5_1, Q8_0: encodeQ8_0,
	Q2_K: encodeQ2_K, Q3_K: encodeQ3_K, Q4_K: encodeQ4_K, Q5_K: encodeQ5_K, Q6_K: encodeQ6_K,
	IQ1_S: encodeIQ1_S, IQ1_M: encodeIQ1_M, IQ2_XXS: encodeIQ2_XXS, IQ2_XS: encodeIQ2_XS, IQ2_S: encodeIQ2_S, IQ3_XXS: encodeIQ3_XXS, IQ3_S: encodeIQ3_S,
	IQ4_NL: encodeIQ4_NL, IQ4_XS: encodeIQ4_XS,
	TQ1_0: encodeTQ1_0, TQ2_0: encodeTQ2_0, MXFP4: encodeMXFP4, NVFP4: encodeNVFP4, Q1_0: encodeQ1_0, Q2_0: encodeQ2_0,
}

// Products are converted to float32 before they are added, here and in all encoders: otherwise the
// compiler may fuse the two on some machines, and the bytes of a file would depend on where it was
// made.

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// sumSquares adds from the first to the last, as the reference does: the sum's rounding decides
// near ties.
func sumSquares(x []float32) (sum float32) {
	for _, v := range x {
		sum += float32(v * v)
	}
	return sum
}

// extreme is the number of the largest magnitude, the first of several, with its sign.
func extreme(x []float32) (peak float32) {
	var size float32
	for _, v := range x {
		if a := abs(v); a > size {
			size, peak = a, v
		}
	}
	return peak
}

// limits are the smallest and the largest number.
func limits(x []float32) (lo, hi float32) {
	lo, hi = x[0], x[0]
	for _, v := range x {
		if v < lo {
			lo = v
		}
		if v > hi {
			hi = v
		}
	}
	return lo, hi
}

// inverse is 1/d, and 0 where that is no number: then d is 0, or so small that it is 0 in half
// precision.
func inverse(d float32) float32 {
	inv := 1 / d
	if abs(inv) <= math.MaxFloat32 {
		return inv
	}
	return 0
}

// away rounds to the nearest whole number, halves away from zero; |v| < 2^30. The fraction is
// exact, and so is twice it.
func away(v float32) int32 {
	i := int32(v)
	f := float32(v) - float32(i)
	return i + int32(f+f)
}

// nearest rounds to the nearest whole number, halves to even; |v| ≤ 2^22. Adding 1.5·2^23 leaves no
// places for a fraction.
func nearest(v float32) float32 { return float32(v) + 3<<22 - 3<<22 }

// nearestInt is nearest as an integer. Where v is larger, or NaN, it is some number of 23 bits.
func nearestInt(v float32) int32 {
	return int32(math.Float32bits(float32(v)+3<<22)&0x7fffff) - 0x400000
}

// putHalf stores v in half precision and reports whether it is finite there.
func putHalf(dst []byte, v float32) bool {
	h := ToHalf(v)
	binary.LittleEndian.PutUint16(dst, h)
	return h&0x7fff < 0x7c00
}
