package quant

import "encoding/binary"

// The K-quants: groups of 16 or 32 weights with a small integer scale (and minimum), in blocks of
// 256 that hold the step of the scales. A scale is found per group; the scales are rounded to what
// the block can hold; the weights are rounded again with the rounded scales.

// relevel re-rounds a group to levels from -maxLevel to maxLevel-1 of step d, counted from 0. With
// a step of 0 the levels do not matter and stay as they are.
func relevel(q []uint8, x []float32, d float32, maxLevel int32) {
	if d == 0 {
		return
	}
	q = q[:len(x)]
	for i, v := range x {
		q[i] = uint8(maxLevel + max(-maxLevel, min(maxLevel-1, nearestInt(v/d))))
	}
}

// relevelAbove re-rounds a group to levels from 0 to maxLevel of step d above -m.
func relevelAbove(q []uint8, x []float32, d, m float32, maxLevel int32) {
	if d == 0 {
		return
	}
	q = q[:len(x)]
	for i, v := range x {
		q[i] = uint8(max(0, min(maxLevel, nearestInt((v+float32(m))/d))))
	}
}

// Without importance, two-bit groups minimise absolute errors weighted by magnitude.
var search2 = search{-0.5, 0.1, 15, true}

func encodeQ2_K(dst []byte, x, imp []float32, _ float32) bool {
	var (
		q               [256]uint8
		scales, mins    [16]float32
		weights         [16]float32 // of groups
		s4, m4          [16]uint8
		w               [16]float32
		d, dmin         float32
		method          = &search2
		maxScale, maxLo float32
		power           float32
	)
	if imp != nil {
		method = &weighted
		power = sumSquares(x) / 256
	}
	for j := range 16 {
		g := x[16*j:][:16]
		if imp != nil {
			importanceWeights(w[:], g, imp[16*j:][:16], power)
			weights[j] = sum(w[:])
		} else {
			for i, v := range g {
				w[i] = abs(v)
			}
		}
		a, lo := fitAffine(q[16*j:][:16], g, w[:], method, 3)
		scales[j], mins[j] = a, -lo
		maxScale, maxLo = max(maxScale, a), max(maxLo, -lo)
	}
	if imp != nil {
		d = fitPositive(s4[:], scales[:], weights[:], 15)
		dmin = fitPositive(m4[:], mins[:], weights[:], 15)
	} else {
		d = roundScales(s4[:], scales[:], maxScale, 15)
		dmin = roundScales(m4[:], mins[:], maxLo, 15)
	}
	ok := putHalf(dst[80:], d) && putHalf(dst[82:], dmin)
	d, dmin = half(dst[80:]), half(dst[82:])
	for j := range 16 {
		dst[j] = s4[j] | m4[j]<<4
		relevelAbove(q[16*j:][:16], x[16*j:][:16], d*float32(dst[j]&15), dmin*float32(dst[j]>>4), 3)
	}
	packPairs(dst[16:], &q)
	return ok
}

// roundScales rounds numbers from 0 to peak to levels from 0 to maxLevel and returns their step.
func roundScales(q []uint8, x []float32, peak, maxLevel float32) float32 {
	if !(peak > 0) {
		clear(q)
		return 0
	}
	inv := maxLevel / peak
	for i, v := range x {
		q[i] = uint8(max(0, min(int32(maxLevel), nearestInt(inv*v))))
	}
	return peak / maxLevel
}

// sum adds from the first to the last.
func sum(x []float32) (s float32) {
	for _, v := range x {
		s += v
	}
	return s
}

// packPlane stores one bit of each of 256 numbers: byte k holds those of weight k of every 32.
func packPlane(dst []byte, q *[256]uint8, bit int) {
	for k := 0; k < 32; k += 8 {
		var v uint64
		for j := range 8 {
			v |= load(q[32*j+k:]) >> bit & ones << j
		}
		store(dst[k:], v)
	}
}

func encodeQ3_K(dst []byte, x, imp []float32, _ float32) bool {
	var (
		q       [256]uint8
		scales  [16]float32
		weights [16]float32 // of groups
		w       [16]float32
		s6      [16]uint8
		d       float32
	)
	if imp != nil {
		power := 2 * sumSquares(x) / 256
		for j := range 16 {
			g := x[16*j:][:16]
			importanceWeights(w[:], g, imp[16*j:][:16], power)
			weights[j] = sum(w[:])
			var inv float32
			scales[j], inv = fitSymmetric(g, w[:], 4)
			symmetricLevels(q[16*j:], g, inv, 4)
		}
		var inv float32
		d, inv = fitSymmetric(scales[:], weights[:], 32)
		symmetricLevels(s6[:], scales[:], inv, 32)
	} else {
		for j := range 16 {
			scales[j] = fitMoving(q[16*j:], x[16*j:][:16], 4)
		}
		if peak := extreme(scales[:]); peak != 0 {
			inv := -32 / peak
			for j, v := range scales {
				s6[j] = uint8(32 + max(-32, min(31, nearestInt(inv*v))))
			}
			d = 1 / inv
		}
	}
	ok := putHalf(dst[108:], d)
	d = half(dst[108:])
	// Low nibbles of scales 0–7 and 8–15, then the upper two bits of every fourth.
	out := dst[96:108]
	for j := range 8 {
		out[j] = s6[j]&15 | s6[j+8]&15<<4
	}
	for j := range 4 {
		out[8+j] = s6[j]>>4 | s6[j+4]>>4<<2 | s6[j+8]>>4<<4 | s6[j+12]>>4<<6
	}
	for j := range 16 {
		relevel(q[16*j:][:16], x[16*j:][:16], d*float32(int(s6[j])-32), 4)
	}
	packPlane(dst, &q, 2)
	for i := range q {
		q[i] &= 3
	}
	packPairs(dst[32:], &q)
	return ok
}

// Without importance, errors are weighted by magnitude plus the root mean square of the group.
var (
	search4 = search{-1, 0.1, 20, false}
	search5 = search{-0.5, 0.1, 15, false}
)

// encodeAffine encodes the 16 bytes that Q4_K and Q5_K begin with and gives the levels, from 0 to
// maxLevel.
func encodeAffine(dst []byte, q *[256]uint8, x, imp []float32, method *search, maxLevel int32) bool {
	var (
		scales, mins    [8]float32
		weights         [8]float32 // of groups
		s6, m6          [8]uint8
		w               [32]float32
		d, dmin         float32
		maxScale, maxLo float32
		power           float32
	)
	if imp != nil {
		method = &weighted
		power = 2 * sumSquares(x) / 256
	}
	for j := range 8 {
		g := x[32*j:][:32]
		if imp != nil {
			importanceWeights(w[:], g, imp[32*j:][:32], power)
			weights[j] = sum(w[:])
		} else {
			rms := sqrt(sumSquares(g) / 32)
			for i, v := range g {
				w[i] = rms + abs(v)
			}
		}
		a, lo := fitAffine(q[32*j:][:32], g, w[:], method, float32(maxLevel))
		scales[j], mins[j] = a, -lo
		maxScale, maxLo = max(maxScale, a), max(maxLo, -lo)
	}
	if imp != nil {
		d = fitPositive(s6[:], scales[:], weights[:], 63)
		dmin = fitPositive(m6[:], mins[:], weights[:], 63)
	} else {
		d = roundScales(s6[:], scales[:], maxScale, 63)
		dmin = roundScales(m6[:], mins[:], maxLo, 63)
	}
	ok := putHalf(dst, d) && putHalf(dst[2:], dmin)
	d, dmin = half(dst), half(dst[2:])
	out := dst[4:16]
	for j := range 4 {
		out[j] = s6[j] | s6[j+4]>>4<<6
		out[j+4] = m6[j] | m6[j+4]>>4<<6
		out[j+8] = s6[j+4]&15 | m6[j+4]&15<<4
	}
	for j := range 8 {
		relevelAbove(q[32*j:][:32], x[32*j:][:32], d*float32(s6[j]), dmin*float32(m6[j]), maxLevel)
	}
	return ok
}

// packGroups stores the low nibbles of 256 numbers as Q4_K has them: 32 bytes hold one group of 32
// in their low nibbles, the next in the high ones.
func packGroups(dst []byte, q *[256]uint8) {
	for j := 0; j < 128; j += 8 {
		at := j/32*64 + j%32
		store(dst[j:], load(q[at:])&lows4|load(q[at+32:])&lows4<<4)
	}
}

func encodeQ4_K(dst []byte, x, imp []float32, _ float32) bool {
	var q [256]uint8
	ok := encodeAffine(dst, &q, x, imp, &search4, 15)
	packGroups(dst[16:], &q)
	return ok
}

func encodeQ5_K(dst []byte, x, imp []float32, _ float32) bool {
	var q [256]uint8
	ok := encodeAffine(dst, &q, x, imp, &search5, 31)
	packPlane(dst[16:], &q, 4)
	packGroups(dst[48:], &q)
	return ok
}

func encodeQ6_K(dst []byte, x, imp []float32, _ float32) bool {
	var (
		q      [256]uint8
		scales [16]float32
		w      [16]float32
	)
	for j := range 16 {
		g := x[16*j:][:16]
		var inv float32
		if imp != nil {
			scales[j], inv = fitSymmetric(g, imp[16*j:][:16], 32)
		} else {
			for i, v := range g {
				w[i] = v * v
			}
			scales[j], inv = fitSymmetric(g, w[:], 32)
		}
		symmetricLevels(q[16*j:], g, inv, 32)
	}
	peak := extreme(scales[:])
	if abs(peak) < negligible {
		clear(dst)
		return true
	}
	inv := -128 / peak
	ok := putHalf(dst[208:], 1/inv)
	d := half(dst[208:])
	for j, v := range scales {
		s8 := min(127, nearestInt(inv*v))
		dst[192+j] = byte(s8)
		relevel(q[16*j:][:16], x[16*j:][:16], d*float32(s8), 32)
	}
	for n := range 2 {
		lo, hi, in := dst[64*n:][:64], dst[128+32*n:][:32], q[128*n:][:128]
		for j := 0; j < 32; j += 8 {
			a, b, c, e := load(in[j:]), load(in[32+j:]), load(in[64+j:]), load(in[96+j:])
			store(lo[j:], a&lows4|c&lows4<<4)
			store(lo[32+j:], b&lows4|e&lows4<<4)
			store(hi[j:], a>>4&lows2|b>>4&lows2<<2|c>>4&lows2<<4|e>>4&lows2<<6)
		}
	}
	return ok
}

// The levels of IQ4 are unequal: unpack.go lists them. Level i is next to every number from
// iq4Edges[i-1] up to iq4Edges[i].

// iq4Cells divide the line into cells of 8, numbered from 16 below zero on, which hold at most one
// edge between levels each: the level below it, and the edge.
var iq4Cells = func() (t [33]struct {
	level int32
	edge  float32
}) {
	for c := range t {
		lo, hi := float32((c-16)*8-4), float32((c-16)*8+4)
		t[c].edge = 1e30
		for i := range 15 {
			switch edge := (float32(levelsIQ4[i]) + float32(levelsIQ4[i+1])) / 2; {
			case edge <= lo:
				t[c].level = int32(i + 1)
			case edge <= hi:
				t[c].edge = edge
			}
		}
	}
	return t
}()

var floatsIQ4 = func() (t [16]float32) {
	for i, v := range levelsIQ4 {
		t[i] = float32(v)
	}
	return t
}()

// nearIQ4 is the level next to v, the upper one from half way on.
func nearIQ4(v float32) int32 {
	c := &iq4Cells[max(0, min(32, nearestInt(v*0.125)+16))]
	l := c.level
	if v >= c.edge {
		l++
	}
	return l & 15
}

// fitIQ4 finds a scale for a group of 32.
func fitIQ4(x, w []float32) (scale float32) {
	x, w = x[:32], w[:32]
	peak := extreme(x)
	if abs(peak) < negligible {
		return 0
	}
	low := floatsIQ4[0]
	scale = -peak / low
	var best float32
	for k := -8; k <= 7; k++ {
		inv := (float32(k) + low) / peak
		if k == -8 {
			inv = 1 / scale
		}
		var sx, s2 float32
		for i, v := range x {
			l := floatsIQ4[nearIQ4(inv*v)]
			wl := w[i] * l
			sx += float32(wl * v)
			s2 += float32(wl * l)
		}
		switch {
		case k == -8:
			scale = 0
			if s2 > 0 {
				scale = sx / s2
			}
			best = scale * sx
		case s2 > 0 && sx*sx > best*s2:
			scale = sx / s2
			best = scale * sx
		}
	}
	return scale
}

// importanceWeightsIQ4 fills w: without importance, errors are weighted by x².
func importanceWeightsIQ4(w, x, imp []float32, power float32) {
	if imp != nil {
		importanceWeights(w, x, imp, power)
		return
	}
	for i, v := range x {
		w[i] = v * v
	}
}

func encodeIQ4_NL(dst []byte, x, imp []float32, _ float32) bool {
	var (
		w [32]float32
		q [32]uint8
	)
	importanceWeightsIQ4(w[:], x, imp, sumSquares(x)*(2./32))
	d := fitIQ4(x, w[:])
	var inv float32
	if d != 0 {
		inv = 1 / d
	}
	for i, v := range x[:32] {
		q[i] = uint8(nearIQ4(inv * v))
	}
	packNibbles(dst[2:], &q)
	return putHalf(dst, d)
}

func encodeIQ4_XS(dst []byte, x, imp []float32, _ float32) bool {
	var (
		w      [32]float32
		q      [32]uint8
		scales [8]float32
		g      []float32
	)
	power := sumSquares(x) * (2. / 256)
	for j := range scales {
		if imp != nil {
			g = imp[32*j:][:32]
		}
		importanceWeightsIQ4(w[:], x[32*j:][:32], g, power)
		scales[j] = fitIQ4(x[32*j:], w[:])
	}
	d := -extreme(scales[:]) / 32
	var inv float32
	if d != 0 {
		inv = 1 / d
	}
	ok := putHalf(dst, d)
	var high uint16
	clear(dst[4:8])
	for j, s := range scales {
		l := max(-32, min(31, nearestInt(inv*s)))
		// The reference rounds with the step before it was rounded to half precision.
		step := d * float32(l)
		var istep float32
		if step != 0 {
			istep = 1 / step
		}
		for i, v := range x[32*j:][:32] {
			q[i] = uint8(nearIQ4(istep * v))
		}
		packNibbles(dst[8+16*j:], &q)
		dst[4+j/2] |= byte(l+32) & 15 << (4 * (j % 2))
		high |= uint16(l+32) >> 4 << (2 * j)
	}
	binary.LittleEndian.PutUint16(dst[2:], high)
	return ok
}
