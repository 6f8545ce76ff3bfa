package quant

import (
	"encoding/binary"
	"math"
)

// IQ1: weights are -1, 0 or 1, all shifted up or all down by an eighth, times a scale; eight of
// them are a point of a codebook. Once the weights of a group are sorted, the best levels are one
// of the ways to cut them into three runs, and all ways are tried. What is no point then becomes a
// point near it.

// shiftedIQ1 holds the three levels, shifted up and down.
var shiftedIQ1 = [2][3]float32{{-0.875, 0.125, 1.125}, {-1.125, -0.125, 0.875}}

// zeroIQ1 is the point of zeros.
const zeroIQ1 = 1029

// sorted is a group in ascending order: numbers of the weights, and the weights.
type sorted struct {
	at [32]uint8
	x  [32]float32
}

// sort keeps the order of equal weights.
func (s *sorted) sort(x []float32) {
	for i, v := range x {
		j := i
		for ; j > 0 && s.x[j-1] > v; j-- {
			s.x[j], s.at[j] = s.x[j-1], s.at[j-1]
		}
		s.x[j], s.at[j] = v, uint8(i)
	}
}

// levels gives weights before i1 in sorted order level 0, those before i2 level 1, the others level
// 2; where the scale is negative the other way round, with the scale made positive and the shifts
// negated.
func (s *sorted) levels(l []uint8, i1, i2 int, negative bool) {
	for j := range l {
		level := uint8(0)
		if j >= i1 {
			level++
		}
		if j >= i2 {
			level++
		}
		if negative {
			level = 2 - level
		}
		l[s.at[j]] = level
	}
}

// roundIQ1 finds the point for eight levels: it, or the one near it with the least error.
func roundIQ1(b *lattice, l []uint8, x, w []float32, scale float32, level *[3]float32) (p uint16, hit bool) {
	l, x, w = l[:8], x[:8], w[:8]
	code := int32(0)
	for i := 7; i >= 0; i-- {
		code = code*3 + int32(l[i])
	}
	at := b.index[code]
	if at >= 0 {
		return uint16(at), true
	}
	var errors [32]float32
	a, c, e := float32(scale*level[0]), float32(scale*level[1]), float32(scale*level[2])
	for i, v := range x {
		da, dc, de := a-v, c-v, e-v
		errors[4*i], errors[4*i+1], errors[4*i+2] = float32(w[i]*da)*da, float32(w[i]*dc)*dc, float32(w[i]*de)*de
	}
	return uint16(b.best8(b.list(at), &errors)), false
}

// sumsIQ1 adds w·x·q and w·q² over the numbers q of a point, times a factor.
func sumsIQ1(b *lattice, p uint16, x, w []float32, level *[3]float32, factor, sx, s2 float32) (float32, float32) {
	x, w = x[:8], w[:8]
	for i, l := range b.points[p] {
		q := level[l&3%3] * factor
		t := w[i] * q
		sx += float32(t * x[i])
		s2 += float32(t * q)
	}
	return sx, s2
}

// importanceWeightsIQ1 fills w: no importance counts as an importance of one.
func importanceWeightsIQ1(w, x, imp []float32, power float32) {
	if imp != nil {
		importanceWeights(w, x, imp, power)
	} else {
		plainRoot.importance(w, x, power)
	}
}

func encodeIQ1_S(dst []byte, x, imp []float32, _ float32) bool {
	var (
		w      [32]float32
		scales [8]float32
		high   [8]uint16
		peak   float32
		part   []float32
		power  = 2 * sumSquares(x) / 256
	)
	for j := range 8 {
		g := x[32*j:][:32]
		if imp != nil {
			part = imp[32*j:][:32]
		}
		importanceWeightsIQ1(w[:], g, part, power)
		var points [4]uint16
		var down uint16
		scales[j], down = fitIQ1S(&points, g, w[:])
		high[j] = down << 15
		for k, p := range points {
			dst[2+4*j+k] = byte(p)
			high[j] |= p >> 8 << (3 * k)
		}
		peak = max(peak, scales[j])
	}
	if peak == 0 {
		clear(dst)
		return true
	}
	d := peak / 15
	inv := 1 / d
	for j, s := range scales {
		binary.LittleEndian.PutUint16(dst[34+2*j:], high[j]|uint16(level(s, inv, 7))<<12)
	}
	return putHalf(dst, d*1.125) // found by trial in the reference
}

// fitIQ1S finds the scale of a group of 32, its points, and whether its levels are shifted down
// (1).
func fitIQ1S(points *[4]uint16, x, w []float32) (scale float32, down uint16) {
	if abs(extreme(x)) < 1e-12 {
		*points = [4]uint16{zeroIQ1, zeroIQ1, zeroIQ1, zeroIQ1}
		return 0, 0
	}
	var (
		s      sorted
		sx, sw [33]float32 // sums of w·x and of w over the first of the sorted weights
	)
	s.sort(x)
	for j, i := range s.at {
		sx[j+1] = sx[j] + float32(w[i&31]*s.x[j])
		sw[j+1] = sw[j] + w[i&31]
	}
	best := float32(-math.MaxFloat32)
	at1, at2 := -1, -1
	up, dn := &shiftedIQ1[0], &shiftedIQ1[1]
	tx, tw := sx[32], sw[32]
	for i1 := range 33 {
		ux0, dx0 := sx[i1]*up[0], sx[i1]*dn[0]
		u20, d20 := float32(sw[i1]*up[0])*up[0], float32(sw[i1]*dn[0])*dn[0]
		for i2 := i1; i2 < 33; i2++ {
			mx := float32((sx[i2] - sx[i1]) * 0.125)
			m2 := float32(float32((sw[i2]-sw[i1])*0.125) * 0.125)
			rx, rw := tx-sx[i2], tw-sw[i2]
			qx := float32(ux0) + mx + float32(rx*up[2])
			q2 := float32(u20) + m2 + float32(float32(rw*up[2])*up[2])
			if q2 > 0 && qx*qx > best*q2 {
				scale = qx / q2
				best = scale * qx
				at1, at2, down = i1, i2, 0
			}
			qx = float32(dx0) - mx + float32(rx*dn[2])
			q2 = float32(d20) + m2 + float32(float32(rw*dn[2])*dn[2])
			if q2 > 0 && qx*qx > best*q2 {
				scale = qx / q2
				best = scale * qx
				at1, at2, down = i1, i2, 1
			}
		}
	}
	if at1 < 0 {
		*points = [4]uint16{zeroIQ1, zeroIQ1, zeroIQ1, zeroIQ1}
		return 0, 0
	}
	var l [32]uint8
	s.levels(l[:], at1, at2, scale < 0)
	if scale < 0 {
		scale, down = -scale, 1-down
	}
	b, levels := latticeIQ1(), &shiftedIQ1[down&1]
	all := true
	for k := range points {
		var hit bool
		points[k], hit = roundIQ1(b, l[8*k:], x[8*k:], w[8*k:], scale, levels)
		all = all && hit
	}
	if !all {
		var qx, q2 float32
		for k, p := range points {
			qx, q2 = sumsIQ1(b, p, x[8*k:], w[8*k:], levels, 1, qx, q2)
		}
		if qx > 0 && q2 > 0 {
			scale = qx / q2
		}
	}
	return scale, down
}

// With importance the bytes are those of the reference. Without, it weighs errors by x², which
// leaves weights near zero free to become anything: up to twelve times the largest of their block
// was seen. Here they are weighted as with an importance of one, and the squared error of gaussian
// rows is two fifths less. Equal weights, moreover, can be cut in several ways that are as good
// (one is 8/9 times level 9/8, and 8/7 times 7/8, and 8 times 1/8), and the reference takes what
// rounding favours. Here it is the first: then groups agree, and can share the scale of the block.
func encodeIQ1_M(dst []byte, x, imp []float32, _ float32) bool {
	var (
		w      [16]float32
		scales [16]float32
		points [16][2]uint16
		downs  [16][2]uint8
		peak   float32
		power  = 2 * sumSquares(x) / 256
		part   []float32
		margin = float32(1 + 1e-6)
	)
	if imp != nil {
		margin = 1
	}
	for j := range 16 {
		if imp != nil {
			part = imp[16*j:][:16]
		}
		importanceWeightsIQ1(w[:], x[16*j:][:16], part, power)
		scales[j], downs[j] = fitIQ1M(&points[j], x[16*j:][:16], w[:], margin)
		peak = max(peak, scales[j])
	}
	if peak == 0 {
		clear(dst)
		return true
	}
	// With the scales rounded, the best scale for the block follows from all weights.
	d := peak / 15
	inv := 1 / d
	var (
		words  [4]uint16
		sx, s2 float32
		b      = latticeIQ1()
	)
	for j := range 16 {
		l := level(scales[j], inv, 7)
		words[j/4] |= uint16(l) << (3 * (j % 4))
		p := points[j]
		dst[2*j], dst[2*j+1] = byte(p[0]), byte(p[1])
		dst[32+j] = byte(p[0]>>8) | downs[j][0]<<3 | byte(p[1]>>8)<<4 | downs[j][1]<<7
		if imp != nil {
			part = imp[16*j:][:16]
		}
		importanceWeightsIQ1(w[:], x[16*j:][:16], part, power)
		for k := range 2 {
			sx, s2 = sumsIQ1(b, p[k], x[16*j+8*k:], w[8*k:], &shiftedIQ1[downs[j][k]&1], float32(2*l+1), sx, s2)
		}
	}
	if s2 > 0 {
		d = sx / s2
	}
	h := ToHalf(d * 1.1125) // found by trial in the reference
	for j, v := range words {
		binary.LittleEndian.PutUint16(dst[48+2*j:], v|h>>(4*j)<<12)
	}
	return h&0x7fff < 0x7c00
}

// sumsIQ1M are sums of w·x·q and then of w·q², each for the four ways to shift a weight's half and
// the other.
type sumsIQ1M [8]float32

// termsIQ1M sets what each weight, in order, adds to the sums at each level.
func (s *sorted) termsIQ1M(terms *[3][16]sumsIQ1M, w []float32) {
	for j, i := range s.at[:16] {
		wi, v := w[i&15], s.x[j]
		for l := range 3 {
			t := &terms[l][j]
			for k := range 4 {
				shift := k >> 1
				if i >= 8 {
					shift = k & 1
				}
				q := shiftedIQ1[shift][l]
				t[k], t[4+k] = float32(wi*q)*v, float32(wi*q)*q
			}
		}
	}
}

// fitIQ1M finds the scale of a group of 16, its points, and whether the levels of either are
// shifted down (1). A way to cut must be better by a factor of margin than those tried before it.
func fitIQ1M(points *[2]uint16, x, w []float32, margin float32) (scale float32, down [2]uint8) {
	if abs(extreme(x)) < 1e-7 {
		*points = [2]uint16{zeroIQ1, zeroIQ1}
		return 0, down
	}
	var (
		s     sorted
		terms [3][16]sumsIQ1M
	)
	s.sort(x)
	s.termsIQ1M(&terms, w)
	best := float32(-math.MaxFloat32)
	at1, at2, way := -1, -1, 0
	var low sumsIQ1M // of the weights before i1
	for i1 := range 17 {
		mid := low // and of those before i2
		for i2 := i1; i2 < 17; i2++ {
			a0, a1, a2, a3, b0, b1, b2, b3 := mid[0], mid[1], mid[2], mid[3], mid[4], mid[5], mid[6], mid[7]
			for j := i2; j < 16; j++ {
				t := &terms[2][j]
				a0, a1, a2, a3 = a0+t[0], a1+t[1], a2+t[2], a3+t[3]
				b0, b1, b2, b3 = b0+t[4], b1+t[5], b2+t[6], b3+t[7]
			}
			for k, sum := range [4][2]float32{{a0, b0}, {a1, b1}, {a2, b2}, {a3, b3}} {
				if sum[1] > 0 && sum[0]*sum[0] > best*margin*sum[1] {
					scale = sum[0] / sum[1]
					best = scale * sum[0]
					at1, at2, way = i1, i2, k
				}
			}
			if i2 < 16 {
				for k, t := range terms[1][i2] {
					mid[k] += t
				}
			}
		}
		if i1 < 16 {
			for k, t := range terms[0][i1] {
				low[k] += t
			}
		}
	}
	if at1 < 0 {
		*points = [2]uint16{zeroIQ1, zeroIQ1}
		return 0, down
	}
	var l [16]uint8
	s.levels(l[:], at1, at2, scale < 0)
	if scale < 0 {
		scale, way = -scale, 3-way
	}
	down = [2]uint8{uint8(way >> 1), uint8(way & 1)}
	b := latticeIQ1()
	all := true
	for k := range points {
		var hit bool
		points[k], hit = roundIQ1(b, l[8*k:], x[8*k:], w[8*k:], scale, &shiftedIQ1[down[k]])
		all = all && hit
	}
	if !all {
		var qx, q2 float32
		for k, p := range points {
			qx, q2 = sumsIQ1(b, p, x[8*k:], w[8*k:], &shiftedIQ1[down[k]], 1, qx, q2)
		}
		if qx > 0 && q2 > 0 {
			scale = qx / q2
		}
	}
	return scale, down
}
