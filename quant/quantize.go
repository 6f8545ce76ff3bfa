package quant

import (
	"encoding/binary"
	"fmt"
	"math"
)

// CanQuantize reports whether Quantize writes type t.
func CanQuantize(t Type) bool {
	switch t {
	case F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0:
		return true
	}
	return false
}

// Quantize encodes a row of floats as type t, rounding to nearest as the reference does (ggml-quants.c, quantize_row_*_ref). It returns an error for a type that
// it does not write and, naming the place, for a number that is not finite or whose block overflows the format's scale. It panics if src is no whole number of blocks or
// dst too short.
func Quantize(t Type, dst []byte, src []float32) error {
	if !CanQuantize(t) {
		return fmt.Errorf("quant: %s is not a type that can be written", t)
	}
	dst = dst[:t.RowBytes(len(src))]
	for i, v := range src {
		if !(math.Abs(float64(v)) <= math.MaxFloat32) {
			return fmt.Errorf("quant: weight %d is %v: want finite numbers", i, v)
		}
	}
	switch t {
	case F32:
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
		return nil
	case F16:
		NarrowHalf(dst, src)
	case BF16:
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], ToBHalf(v))
		}
	default:
		block, size := t.BlockSize(), t.BlockBytes()
		for i := 0; i < len(src)/block; i++ {
			if !quantizeBlock(t, dst[i*size:(i+1)*size], src[i*block:(i+1)*block]) {
				return fmt.Errorf("quant: the block at weight %d is too large for %s", i*block, t)
			}
		}
		return nil
	}
	for i := range src {
		if h := dst[2*i+1] & 0x7f; t == F16 && h == 0x7c || t == BF16 && h == 0x7f && dst[2*i]&0x80 != 0 {
			return fmt.Errorf("quant: weight %d is %v: too large for %s", i, src[i], t)
		}
	}
	return nil
}

// quantizeBlock encodes 32 weights and reports whether the scale is finite in half precision.
func quantizeBlock(t Type, dst []byte, x []float32) bool {
	lo, hi, peak := x[0], x[0], x[0] // peak: the largest in magnitude, with its sign
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
		if abs(v) > abs(peak) {
			peak = v
		}
	}
	var d, offset float32
	switch t {
	case Q8_0:
		d = abs(peak) / 127
	case Q4_0:
		d = peak / -8
	case Q5_0:
		d = peak / -16
	case Q4_1:
		d, offset = (hi-lo)/15, lo
	case Q5_1:
		d, offset = (hi-lo)/31, lo
	}
	var inv float32
	if d != 0 {
		inv = 1 / d
	}
	put := func(at int, v float32) bool {
		h := ToHalf(v)
		binary.LittleEndian.PutUint16(dst[at:], h)
		return h&0x7fff < 0x7c00
	}
	if !put(0, d) || t.HasMin() && !put(2, lo) {
		return false
	}
	if math.IsInf(float64(inv), 0) {
		inv = 0 // d is subnormal: 0 in half precision
	}
	// Where the scale is negative, as in Q4_0, the largest magnitude falls on the lowest step.
	step := func(i int) byte {
		v := float32((x[i] - offset) * inv)
		switch t {
		case Q4_0:
			return byte(min(15, int(v+8.5)))
		case Q5_0:
			return byte(min(31, int(v+16.5)))
		case Q4_1:
			return byte(min(15, int(v+0.5)))
		case Q5_1:
			return byte(min(31, int(v+0.5)))
		}
		return byte(int8(math.Round(float64(v))))
	}
	switch t {
	case Q8_0:
		for i := range x {
			dst[2+i] = step(i)
		}
	case Q4_0, Q4_1:
		out := dst[len(dst)-16:]
		for i := range out {
			out[i] = step(i) | step(i+16)<<4
		}
	case Q5_0, Q5_1:
		out := dst[len(dst)-16:]
		var fifth uint32
		for i := range out {
			a, b := step(i), step(i+16)
			out[i] = a&15 | b<<4
			fifth |= uint32(a>>4)<<i | uint32(b>>4)<<(i+16)
		}
		binary.LittleEndian.PutUint32(dst[len(dst)-20:], fifth)
	}
	return true
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }
