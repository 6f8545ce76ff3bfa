package quant

import (
	"encoding/binary"
	"math"
)

// The formats with one scale per block, which mostly follows from the largest weight.

// packNibbles stores 32 numbers below 16 as Q4_0 has them.
func packNibbles(dst []byte, q *[32]uint8) {
	store(dst, load(q[0:])|load(q[16:])<<4)
	store(dst[8:], load(q[8:])|load(q[24:])<<4)
}

// packFifths stores 32 numbers below 32 as Q5_0 has them: a word of fifth bits, then nibbles.
func packFifths(dst []byte, q *[32]uint8) {
	var high uint32
	for i, v := range q {
		high |= uint32(v>>4) << i
	}
	binary.LittleEndian.PutUint32(dst, high)
	store(dst[4:], load(q[0:])&lows4|load(q[16:])&lows4<<4)
	store(dst[12:], load(q[8:])&lows4|load(q[24:])&lows4<<4)
}

// importanceWeights fills w with how much the error of each weight counts: large weights more than
// small ones, important columns more than others.
func importanceWeights(w, x, imp []float32, power float32) {
	w, imp = w[:len(x)], imp[:len(x)]
	for i, v := range x {
		w[i] = imp[i] * sqrt(float32(power)+float32(v*v))
	}
}

// steps of a symmetric format with levels from -maxLevel to maxLevel-1, as numbers from 0 on.
// Without importance the largest magnitude falls on -maxLevel, and so the scale is negative where
// it is positive.
func symmetric(q *[32]uint8, x, imp []float32, mean, maxLevel float32) (d float32) {
	x = x[:32]
	if imp != nil {
		var w [32]float32
		importanceWeights(w[:], x, imp, mean)
		d, inv := fitSymmetric(x, w[:], maxLevel)
		symmetricLevels(q[:], x, inv, maxLevel)
		return d
	}
	d = extreme(x) / -maxLevel
	inv, last := inverse(d), int32(2*maxLevel-1)
	for i, v := range x {
		q[i] = uint8(min(last, int32(float32(v*inv)+(maxLevel+0.5))))
	}
	return d
}

// steps of a format with a minimum and levels from 0 to maxLevel.
func affine(q *[32]uint8, x, imp []float32, mean, maxLevel float32) (d, lo float32) {
	x = x[:32]
	if imp != nil {
		var w [32]float32
		importanceWeights(w[:], x, imp, mean)
		return fitAffine(q[:], x, w[:], &weighted, maxLevel)
	}
	lo, hi := limits(x)
	d = (hi - lo) / maxLevel
	inv, last := inverse(d), int32(maxLevel)
	for i, v := range x {
		q[i] = uint8(min(last, int32(float32((v-lo)*inv)+0.5)))
	}
	return d, lo
}

func encodeQ4_0(dst []byte, x, imp []float32, mean float32) bool {
	var q [32]uint8
	d := symmetric(&q, x, imp, mean, 8)
	packNibbles(dst[2:], &q)
	return putHalf(dst, d)
}

func encodeQ4_1(dst []byte, x, imp []float32, mean float32) bool {
	var q [32]uint8
	d, lo := affine(&q, x, imp, mean, 15)
	packNibbles(dst[4:], &q)
	return putHalf(dst, d) && putHalf(dst[2:], lo)
}

func encodeQ5_0(dst []byte, x, imp []float32, mean float32) bool {
	var q [32]uint8
	d := symmetric(&q, x, imp, mean, 16)
	packFifths(dst[2:], &q)
	return putHalf(dst, d)
}

func encodeQ5_1(dst []byte, x, imp []float32, mean float32) bool {
	var q [32]uint8
	d, lo := affine(&q, x, imp, mean, 31)
	packFifths(dst[4:], &q)
	return putHalf(dst, d) && putHalf(dst[2:], lo)
}

func encodeQ8_0(dst []byte, x, _ []float32, _ float32) bool {
	d := abs(extreme(x)) / 127
	inv := inverse(d)
	x, out := x[:32], dst[2:34]
	for i, v := range x {
		out[i] = byte(away(v * inv))
	}
	return putHalf(dst, d)
}

// The scale is the mean magnitude; only signs are kept.
func encodeQ1_0(dst []byte, x, _ []float32, _ float32) bool {
	var sum float32
	for _, v := range x {
		sum += abs(v)
	}
	for j := range 16 {
		var bits byte
		for i, v := range x[8*j:][:8] {
			if v >= 0 {
				bits |= 1 << i
			}
		}
		dst[2+j] = bits
	}
	return putHalf(dst, sum/128)
}

// The scale is the largest magnitude, so the fourth level, 2, stays unused, as in the reference.
func encodeQ2_0(dst []byte, x, _ []float32, _ float32) bool {
	d := abs(extreme(x))
	inv := inverse(d)
	for j := range 16 {
		var b byte
		for i, v := range x[4*j:][:4] {
			b |= byte(away(v*inv)+1) & 3 << (2 * i)
		}
		dst[2+j] = b
	}
	return putHalf(dst, d)
}

// ternary rounds a block to the digits 0, 1, 2 for minus the largest magnitude, nothing, and plus
// it.
func ternary(q *[256]uint8, x []float32) (d float32) {
	d = abs(extreme(x))
	inv := inverse(d)
	for i, v := range x[:256] {
		q[i] = uint8(away(v*inv) + 1)
	}
	return d
}

// Five digits to a byte, the first the most significant, as a fraction of 3^5 rounded up, so that
// multiplying by 3 brings them out (arXiv:2402.17764 for the ternary weights, llama.cpp pull
// request 8151 for the packing).
func encodeTQ1_0(dst []byte, x, _ []float32, _ float32) bool {
	var q [256]uint8
	d := ternary(&q, x)
	digits := func(out, q []byte, n int) {
		for j := range out {
			v := uint32(0)
			for i := range 5 {
				v *= 3
				if i < n {
					v += uint32(q[j+i*len(out)])
				}
			}
			out[j] = byte((v*256 + 242) / 243)
		}
	}
	digits(dst[:32], q[:160], 5)
	digits(dst[32:48], q[160:240], 5)
	digits(dst[48:52], q[240:], 4)
	return putHalf(dst[52:], d)
}

func encodeTQ2_0(dst []byte, x, _ []float32, _ float32) bool {
	var q [256]uint8
	d := ternary(&q, x)
	packPairs(dst, &q)
	return putHalf(dst[64:], d)
}

// packPairs stores 256 numbers below 4 as Q2_K has them: a byte holds weights 32 apart.
func packPairs(dst []byte, q *[256]uint8) {
	for j := 0; j < 64; j += 8 {
		at := j/32*128 + j%32
		store(dst[j:], load(q[at:])|load(q[at+32:])<<2|load(q[at+64:])<<4|load(q[at+96:])<<6)
	}
}

// nibblesFP4 holds, for a doubled magnitude in halves rounded up, the E2M1 number next to it; from
// half way between two the smaller is taken, the largest is 12.
var nibblesFP4 = func() (t [32]uint8) {
	for i := range t {
		for j := range 7 {
			if i > int(levelsFP4[j]+levelsFP4[j+1]) {
				t[i] = uint8(j + 1)
			}
		}
	}
	return t
}()

// fp4 is the E2M1 number next to v, which is in doubled units. There is no negative zero.
func fp4(v float32) uint8 {
	a := abs(v + v)
	if !(a < 31) {
		a = 31
	}
	i := int32(a)
	if float32(i) < a {
		i++
	}
	q := nibblesFP4[i&31]
	if v < 0 && q > 0 {
		q |= 8
	}
	return q
}

// The scale is the power of two that puts the largest magnitude between the levels 4 and 8: OCP
// Microscaling Formats 1.0, section 6.3.
func encodeMXFP4(dst []byte, x, _ []float32, _ float32) bool {
	e := 0
	if peak := abs(extreme(x)); peak > 0 {
		// The reference takes the logarithm in single precision, which a number just below a power
		// of two rounds to the next. Beyond 252, where it does so just below 2^128, the upper
		// levels would be infinite.
		e = max(0, min(252, int(math.Floor(float64(float32(math.Log2(float64(peak))))))+125))
	}
	dst[0] = byte(e)
	// half the inverse of a power of two: exact, and finite where the inverse of the smallest,
	// 2^-128, is not
	inv := 0.5 / halfE8M0(byte(e))
	var q [32]uint8
	for i, v := range x[:32] {
		q[i] = fp4(2 * float32(v*inv))
	}
	packNibbles(dst[1:], &q)
	return true
}

// toUE4M3 rounds to four bits of exponent and three of mantissa, halves up, as the reference does;
// from 448 on it is 448.
func toUE4M3(v float32) byte {
	b := math.Float32bits(v)
	switch exp := int(b>>23) - 127; {
	case exp < -6:
		return byte(min(7, int32(float32(v*512)+0.5)))
	case exp > 7:
		return 0x7e
	}
	return byte(min(0x7e, (b+1<<19)>>20-(127-7)<<3))
}

// Each 16 weights have a scale that puts their largest magnitude on the largest level, 6. Files
// usually bring a further scale for the whole tensor, which is not part of the format.
func encodeNVFP4(dst []byte, x, _ []float32, _ float32) bool {
	for j := range 4 {
		x := x[16*j:][:16]
		peak := abs(extreme(x)) / 6
		if peak > 464 { // would be more than half way from 448 to the next, had it one
			return false
		}
		scale := toUE4M3(peak)
		dst[j] = scale
		d := halvesUE4M3[scale]
		inv := inverse(d)
		var q [16]uint8
		for i, v := range x {
			q[i] = nearFP4(v, d, inv)
		}
		store(dst[4+8*j:], load(q[:])|load(q[8:])<<4)
	}
	return true
}

// nearFP4 is the E2M1 number q for which q·d is next to v. As d is no power of two, v/d is rounded,
// and near half way the two differences decide.
func nearFP4(v, d, inv float32) uint8 {
	q := fp4(float32(v * inv))
	m, a := q&7, abs(v)
	off := abs(float32(float32(levelsFP4[m])*d) - a)
	if m > 0 && abs(float32(float32(levelsFP4[m-1])*d)-a) <= off {
		m--
	} else if m < 7 && abs(float32(float32(levelsFP4[m+1])*d)-a) < off {
		m++
	}
	if m > 0 && v < 0 {
		m |= 8
	}
	return m
}
