package quant

import (
	"encoding/binary"
	"math"
	"sync"
)

// The formats whose weights are points of a codebook: IQ2 and IQ3. The magnitudes of 8 or 4
// weights, divided by the scale, are rounded to a point, whose levels stand for 1, 3, 5 and so on;
// signs are stored beside. Most combinations of levels are no point, and one of the points near it
// is taken instead: the one with the least weighted error.

// lattice is a codebook with what the search for points needs.
type lattice struct {
	dims   int
	points [][8]uint8 // number i of a point has level points[p][i] - stride·i
	// by code: the point or, less than 0, the complement of where the list of points near it begins
	// in near
	index []int32
	near  []uint16 // lists: a length, then points by distance, then by number
}

// newLattice makes a lattice of a grid of unpack.go, whose numbers are the given levels in
// ascending order. A list holds the points at the first want distances. A code has the level of its
// first number as the lowest digit.
func newLattice(grid []uint64, dims int, levels []int8, want int) *lattice {
	var (
		n      = len(levels)
		stride = latticeStride(dims)
		half   = 1 // combinations of half of the numbers
		digits = make([]int, len(grid))
		b      = &lattice{dims: dims, points: make([][8]uint8, len(grid))}
	)
	for range dims / 2 {
		half *= n
	}
	b.index = make([]int32, half*half)
	for p, v := range grid {
		for i := dims - 1; i >= 0; i-- {
			level := 0
			for levels[level] != int8(v>>(8*i)) {
				level++
			}
			b.points[p][i] = uint8(level + stride*i)
			digits[p] = digits[p]*n + level
		}
	}
	// Squared distances between halves, so that those between codes and points are sums of two.
	apart := make([][]uint8, half)
	for u := range apart {
		apart[u] = make([]uint8, half)
		for v := range half {
			for x, y := u, v; x > 0 || y > 0; x, y = x/n, y/n {
				apart[u][v] += uint8((x%n - y%n) * (x%n - y%n))
			}
		}
	}
	for p, code := range digits {
		b.index[code] = int32(p) + 1
	}
	distance := make([]uint8, len(grid))
	for code := range b.index {
		if b.index[code] > 0 {
			b.index[code]--
			continue
		}
		var count [256]int
		low, high := apart[code%half], apart[code/half]
		for p, c := range digits {
			d := low[c%half] + high[c/half]
			distance[p] = d
			count[d]++
		}
		b.index[code] = ^int32(len(b.near))
		b.near = append(b.near, 0)
		found := 0
		for d := 0; found < want; d++ {
			if count[d] == 0 {
				continue
			}
			found++
			b.near[^b.index[code]] += uint16(count[d])
			for p := range distance {
				if int(distance[p]) == d {
					b.near = append(b.near, uint16(p))
				}
			}
		}
	}
	return b
}

// latticeStride sets the levels of one number of a point apart from those of the next: numbers of
// points index a table of errors.
func latticeStride(dims int) int { return 32 / dims }

var ternaryLevels = []int8{-1, 0, 1}

// The lattices, with the widths of lists that the reference searches (ggml-quants.c,
// iq2xs_init_impl and iq3xs_init_impl).
var (
	latticeIQ1    = sync.OnceValue(func() *lattice { return newLattice(gridIQ1S, 8, ternaryLevels, 3) })
	latticeIQ2XXS = sync.OnceValue(func() *lattice { return newLattice(gridIQ2XXS, 8, levelsIQ2, 2) })
	latticeIQ2XS  = sync.OnceValue(func() *lattice { return newLattice(gridIQ2XS, 8, levelsIQ2, 2) })
	latticeIQ2S   = sync.OnceValue(func() *lattice { return newLattice(gridIQ2S, 8, levelsIQ2, 1) })
	latticeIQ3XXS = sync.OnceValue(func() *lattice { return newLattice(gridIQ3XXS, 4, levelsIQ3XXS, 2) })
	latticeIQ3S   = sync.OnceValue(func() *lattice { return newLattice(gridIQ3S, 4, levelsIQ3S, 3) })
)

// list is the points near a code whose index is i.
func (b *lattice) list(i int32) []uint16 {
	near := b.near[^i:]
	return near[1 : 1+int(near[0])]
}

// best8 is the first point of a list with the least error. errors holds that of number i at level l
// at 4·i+l; they are added from the first number to the last.
func (b *lattice) best8(list []uint16, errors *[32]float32) int32 {
	best, at := float32(math.MaxFloat32), list[0]
	for _, p := range list {
		q := &b.points[p]
		e := errors[q[0]&31] + errors[q[1]&31] + errors[q[2]&31] + errors[q[3]&31]
		if e >= best {
			continue // the rest is not negative
		}
		e = e + errors[q[4]&31] + errors[q[5]&31] + errors[q[6]&31] + errors[q[7]&31]
		if e < best {
			best, at = e, p
		}
	}
	return int32(at)
}

// best4 is best8 for points of four numbers at 8·i+l.
func (b *lattice) best4(list []uint16, errors *[32]float32) int32 {
	best, at := float32(math.MaxFloat32), list[0]
	for _, p := range list {
		q := &b.points[p]
		if e := errors[q[0]&31] + errors[q[1]&31] + errors[q[2]&31] + errors[q[3]&31]; e < best {
			best, at = e, p
		}
	}
	return int32(at)
}

// level rounds v·inv, where level l stands for 2·l+1.
func level(v, inv float32, last int32) int32 {
	return max(0, min(last, nearestInt(0.5*(float32(v*inv)-1))))
}

// round8 rounds eight magnitudes to a point, and reports whether the levels were one. inv is the
// inverse scale, root the square root of their weights.
func (b *lattice) round8(v, root []float32, inv, scale float32) (p int32, hit bool) {
	v, root = v[:8], root[:8]
	code := int32(0)
	for i := 7; i >= 0; i-- {
		code = code*3 + level(v[i], inv, 2)
	}
	at := b.index[code]
	if at >= 0 {
		return at, true
	}
	var errors [32]float32
	s3, s5 := float32(scale*3), float32(scale*5)
	for i, x := range v {
		w := root[i]
		d1, d3, d5 := scale-x, s3-x, s5-x
		errors[4*i], errors[4*i+1], errors[4*i+2] = float32(w*d1)*d1, float32(w*d3)*d3, float32(w*d5)*d5
	}
	return b.best8(b.list(at), &errors), false
}

// round4 is round8 for points of four numbers.
func (b *lattice) round4(v, root []float32, inv, scale float32) (p int32, hit bool) {
	v, root = v[:4], root[:4]
	code := int32(0)
	for i := 3; i >= 0; i-- {
		code = code<<3 | level(v[i], inv, 7)
	}
	at := b.index[code]
	if at >= 0 {
		return at, true
	}
	var errors [32]float32
	for l := range 8 {
		s := float32(scale * float32(2*l+1))
		for i, x := range v {
			d := s - x
			errors[8*i+l] = float32(root[i]*d) * d
		}
	}
	return b.best4(b.list(at), &errors), false
}

// pointFormat is what the formats differ in.
type pointFormat struct {
	lattice func() *lattice
	group   int     // weights per scale
	tries   int     // inverse steps tried on either side of the first
	by      float32 // and how far apart they are
	even    bool    // an even number of signs per eight, so that seven are stored
	tiny    float32 // a group with a magnitude no larger is zero
	power   float32 // how much the mean square of the block adds to a weight's own
	again   against // what is rounded once more when the scale is found
	// what the scale of the block is multiplied by; found by trial in the reference
	fudge float32
	plain plain
}

type against int

const (
	againMisses against = iota // levels that were no point
	againAll                   // all points, if some levels were none
	againAlways
)

// plain is how errors are weighted without importance: by the square of the weight, by the root of
// that and the mean square, or by the sum of the square and a quarter of twice the mean square.
type plain int

const (
	plainSquare plain = iota
	plainRoot
	plainSum
)

func (p plain) importance(w, x []float32, power float32) {
	w = w[:len(x)]
	for i, v := range x {
		s := v * v
		switch p {
		case plainRoot:
			s = sqrt(float32(power) + float32(s))
		case plainSum:
			s = float32(0.25*power) + float32(s)
		}
		w[i] = s
	}
}

var (
	pointsIQ2XXS = pointFormat{lattice: latticeIQ2XXS, group: 32, tries: 6, by: 0.1, even: true, tiny: negligible, power: 1, again: againAlways, fudge: 1, plain: plainRoot}
	pointsIQ2XS  = pointFormat{lattice: latticeIQ2XS, group: 16, tries: 9, by: 0.1, even: true, tiny: negligible, power: 1, again: againMisses, fudge: 1, plain: plainRoot}
	pointsIQ2S   = pointFormat{lattice: latticeIQ2S, group: 16, tries: 9, by: 0.1, even: false, tiny: 1e-8, power: 2, again: againMisses, fudge: 0.9875, plain: plainSum}
	pointsIQ3XXS = pointFormat{lattice: latticeIQ3XXS, group: 32, tries: 15, by: 0.2, even: true, tiny: 1e-8, power: 2, again: againMisses, fudge: 1.0125, plain: plainSquare}
	pointsIQ3S   = pointFormat{lattice: latticeIQ3S, group: 32, tries: 9, by: 0.2, even: false, tiny: math.SmallestNonzeroFloat32, power: 2, again: againAll, fudge: 1.033, plain: plainSquare}
)

// encoding is a block as points: with 8 or 4 numbers each, signs of eight weights each, and levels
// of scales.
type encoding struct {
	points [64]uint16
	signs  [32]uint8
	scales [16]uint8
}

// encode finds the points of a block and returns its scale, which is 0 for a block of zeros.
func (f *pointFormat) encode(e *encoding, x, imp []float32) (d float32) {
	var (
		w      [32]float32
		scales [16]float32
		peak   float32
		b      = f.lattice()
		power  = f.power * sumSquares(x) / 256
		n      = f.group
	)
	for j := range 256 / n {
		g := x[n*j:][:n]
		if imp != nil {
			importanceWeights(w[:], g, imp[n*j:][:n], power)
		} else {
			f.plain.importance(w[:], g, power)
		}
		scales[j] = f.fit(b, e.points[n*j/b.dims:][:n/b.dims], e.signs[n*j/8:][:n/8], g, w[:n])
		peak = max(peak, scales[j])
	}
	if peak == 0 {
		return 0
	}
	d = peak / 31
	inv := 1 / d
	for j := range 256 / n {
		e.scales[j] = uint8(level(scales[j], inv, 15))
	}
	return d * f.fudge
}

// fit finds the scale, points and signs of a group.
func (f *pointFormat) fit(b *lattice, points []uint16, signs []uint8, x, w []float32) (scale float32) {
	var v, root, wv [32]float32 // magnitudes, and by weight
	n := len(x)
	var peak float32
	for k := range signs {
		signs[k] = magnitudes(v[8*k:][:8], x[8*k:][:8], w[8*k:][:8], f.even)
	}
	for i := range x {
		root[i] = sqrt(w[i])
		wv[i] = w[i] * v[i]
		peak = max(peak, v[i])
	}
	if peak < f.tiny {
		clear(points)
		clear(signs)
		return 0
	}
	maxLevel := float32(5)
	if b.dims == 4 {
		maxLevel = 15
	}
	reach := peak
	scale = peak / maxLevel
	if f.again == againAlways {
		var q [32]uint8
		scale = fitPositive(q[:], v[:n], w, 4)
		if reach = scale * 3; !(reach > 0) {
			clear(points)
			clear(signs)
			return 0
		}
	}
	var (
		try  [8]uint16
		best float32
		off  [8]bool // the levels of a point were none
	)
	clear(points)
	for k := range off {
		off[k] = f.again != againMisses
	}
	for k := -f.tries; k <= f.tries; k++ {
		inv := (maxLevel + float32(f.by*float32(k))) / reach
		step := 1 / inv
		var miss [8]bool
		b.round(try[:len(points)], miss[:], v[:], root[:], inv, step)
		sx, s2 := b.sums(try[:len(points)], wv[:], w)
		if s2 > 0 && sx*sx > best*s2 {
			scale = sx / s2
			best = scale * sx
			copy(points, try[:])
			off = miss
		}
	}
	some := false
	for k := range points {
		some = some || off[k]
	}
	if (some || f.again == againAlways) && scale > 0 {
		b.round(try[:len(points)], nil, v[:], root[:], 1/scale, scale)
		for k := range points {
			if off[k] || f.again != againMisses {
				points[k] = try[k]
			}
		}
		if sx, s2 := b.sums(points, wv[:], w); s2 > 0 {
			scale = sx / s2
		}
	}
	if scale < 0 {
		scale = -scale
		for k := range signs {
			signs[k] = ^signs[k] // an even number of eight signs stays even
		}
	}
	return scale
}

// magnitudes fills v with those of x and returns the signs. Where their number must be even but is
// not, the sign of the weight that matters least is changed, and its magnitude becomes negative.
func magnitudes(v, x, w []float32, even bool) (signs uint8) {
	v, w = v[:len(x)], w[:len(x)]
	odd := false
	for i, a := range x {
		if !(a >= 0) {
			a = -a
			signs |= 1 << i
			odd = !odd
		}
		v[i] = a
	}
	if even && odd {
		least, at := float32(w[0]*x[0])*x[0], 0
		for i := 1; i < len(x); i++ {
			if a := float32(w[i]*x[i]) * x[i]; a < least {
				least, at = a, i
			}
		}
		v[at] = -v[at]
		signs ^= 1 << at
	}
	return signs
}

// round rounds magnitudes to points; miss, if not nil, gets whether their levels were none.
func (b *lattice) round(points []uint16, miss []bool, v, root []float32, inv, scale float32) {
	for k := range points {
		var (
			p   int32
			hit bool
		)
		if b.dims == 8 {
			p, hit = b.round8(v[8*k:], root[8*k:], inv, scale)
		} else {
			p, hit = b.round4(v[4*k:], root[4*k:], inv, scale)
		}
		points[k] = uint16(p)
		if miss != nil {
			miss[k] = !hit
		}
	}
}

// odd are the numbers that levels stand for.
var odd = [8]float32{1, 3, 5, 7, 9, 11, 13, 15}

// sums are those of w·v·q and w·q² over the numbers q of points.
func (b *lattice) sums(points []uint16, wv, w []float32) (sx, s2 float32) {
	mask := uint8(latticeStride(b.dims) - 1)
	for k, p := range points {
		at := b.dims * k
		wv, w := wv[at:][:b.dims], w[at:][:b.dims]
		for i, l := range b.points[p][:len(w)] {
			q := odd[l&mask&7]
			sx += float32(wv[i] * q)
			s2 += float32(float32(w[i]*q) * q)
		}
	}
	return sx, s2
}

// four7 puts the lower seven signs of four eights and a scale into a word.
func four7(signs []uint8, scale uint8) uint32 {
	return uint32(signs[0]&127) | uint32(signs[1]&127)<<7 | uint32(signs[2]&127)<<14 | uint32(signs[3]&127)<<21 | uint32(scale)<<28
}

func encodeIQ2_XXS(dst []byte, x, imp []float32, _ float32) bool {
	var e encoding
	d := pointsIQ2XXS.encode(&e, x, imp)
	for j := range 8 {
		out := dst[2+8*j:][:8]
		for l := range 4 {
			out[l] = byte(e.points[4*j+l])
		}
		binary.LittleEndian.PutUint32(out[4:], four7(e.signs[4*j:], e.scales[j]))
	}
	return putHalf(dst, d)
}

func encodeIQ2_XS(dst []byte, x, imp []float32, _ float32) bool {
	var e encoding
	d := pointsIQ2XS.encode(&e, x, imp)
	for j := range 32 {
		binary.LittleEndian.PutUint16(dst[2+2*j:], e.points[j]|uint16(e.signs[j])<<9)
	}
	for j := range 8 {
		dst[66+j] = e.scales[2*j] | e.scales[2*j+1]<<4
	}
	return putHalf(dst, d)
}

func encodeIQ2_S(dst []byte, x, imp []float32, _ float32) bool {
	var e encoding
	d := pointsIQ2S.encode(&e, x, imp)
	for j := range 32 {
		dst[2+j] = byte(e.points[j])
	}
	copy(dst[34:66], e.signs[:])
	for j := range 8 {
		p := e.points[4*j:][:4]
		dst[66+j] = byte(p[0]>>8 | p[1]>>8<<2 | p[2]>>8<<4 | p[3]>>8<<6)
		dst[74+j] = e.scales[2*j] | e.scales[2*j+1]<<4
	}
	return putHalf(dst, d)
}

func encodeIQ3_XXS(dst []byte, x, imp []float32, _ float32) bool {
	var e encoding
	d := pointsIQ3XXS.encode(&e, x, imp)
	for j := range 64 {
		dst[2+j] = byte(e.points[j])
	}
	for j := range 8 {
		binary.LittleEndian.PutUint32(dst[66+4*j:], four7(e.signs[4*j:], e.scales[j]))
	}
	return putHalf(dst, d)
}

func encodeIQ3_S(dst []byte, x, imp []float32, _ float32) bool {
	var e encoding
	d := pointsIQ3S.encode(&e, x, imp)
	for j := range 8 {
		var high byte
		for l, p := range e.points[8*j:][:8] {
			dst[2+8*j+l] = byte(p)
			high |= byte(p>>8) << l
		}
		dst[66+j] = high
	}
	copy(dst[74:106], e.signs[:])
	for j := range 4 {
		dst[106+j] = e.scales[2*j] | e.scales[2*j+1]<<4
	}
	return putHalf(dst, d)
}
