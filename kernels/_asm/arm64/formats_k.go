package main

// K-quants and other blocks of 256 weights, whose scales are small integers times a half float.

func init() {
	formats = append(formats,
		format{name: "Q2_K", weights: 256, size: 84, group: 16, min: true, most: 3, begin: beginQ2K, scales: scalesQ2K, units: fours(0, 256), load: loadTwos(16)},
		format{name: "Q3_K", weights: 256, size: 110, group: 16, most: 4, begin: beginQ3K, scales: scalesQ3K, units: fours(0, 256), load: loadQ3K},
		format{name: "Q4_K", weights: 256, size: 144, group: 32, min: true, most: 15, begin: begin6, scales: scales6, units: fours(0, 256), load: loadNibbles32(16)},
		format{name: "Q5_K", weights: 256, size: 176, group: 32, min: true, off: -16, most: 16, begin: beginQ5K, scales: scales6, units: fours(0, 256), load: loadQ5K},
		format{name: "Q6_K", weights: 256, size: 210, group: 16, off: 32, most: 63, begin: beginQ6K, scales: scalesQ6K, units: unitsQ6K, load: loadQ6K},
		format{name: "IQ4_XS", weights: 256, size: 136, group: 32, most: 127, begin: beginIQ4XS, scales: scalesIQ4XS, units: twos(0, 256), load: loadIQ4XS},
	)
}

// fours are units of 64 weights, twos of 32.
func fours(from, to int) (units [][]int) {
	for p := from / 16; p < to/16; p += 4 {
		units = append(units, []int{p, p + 1, p + 2, p + 3})
	}
	return units
}

func twos(from, to int) (units [][]int) {
	for p := from / 16; p < to/16; p += 2 {
		units = append(units, []int{p, p + 1})
	}
	return units
}

// columns reads 16 bytes of four rows and returns dword t of each in t's lanes.
func (x *program) columns(p [4]R, disp int) [4]V {
	var v [4]V
	for r := range p {
		v[r] = x.V()
		x.ldr(v[r], p[r], disp)
	}
	return x.dwords4x4(v)
}

// lanes reads an element of type t of four rows.
func (x *program) lanes(v V, t string, p [4]R, disp int) {
	a := x.R()
	for r := range p {
		if disp == 0 {
			x.ld1(v, t, r, p[r])
			continue
		}
		x.addi(a, p[r], disp)
		x.ld1(v, t, r, a)
	}
	x.freeR(a)
}

// byteIndex selects with tbl byte b of each dword and clears the rest; topIndex moves it to the
// top.
func byteIndex(b int) []int {
	return []int{b, 0x80, 0x80, 0x80, b + 4, 0x80, 0x80, 0x80, b + 8, 0x80, 0x80, 0x80, b + 12, 0x80, 0x80, 0x80}
}

func topIndex(b int) []int {
	return []int{0x80, 0x80, 0x80, b, 0x80, 0x80, 0x80, b + 4, 0x80, 0x80, 0x80, b + 8, 0x80, 0x80, 0x80, b + 12}
}

// indices takes registers for four of them.
func (x *program) indices(index func(int) []int) (v [4]V) {
	for b := range v {
		v[b] = x.constant(x.V(), index(b)...)
	}
	return v
}

// scaled is d times the signed byte that an index of topIndex finds in t.
func (x *program) scaled(t, index, d V) V {
	v := x.V()
	x.tbl(v, t, index)
	x.w(scvtfShift(v, v, 24))
	x.w(fmul(v, v, d))
	return v
}

// scaledU is d times the unsigned byte that an index of byteIndex finds in t.
func (x *program) scaledU(t, index, d V) V {
	v := x.V()
	x.tbl(v, t, index)
	x.w(ucvtf(v, v))
	x.w(fmul(v, v, d))
	return v
}

// Q4_K, Q5_K.

func begin6(x *program, s *state) {
	nibbles(x, s)
	x.fill(s.hold(x, "3f"), 0x3f)
	for b := range 4 {
		x.constant(s.hold(x, "index"+string(rune('0'+b))), byteIndex(b)...)
	}
}

// scales6 takes the block's beginning apart: d, dmin, and twelve bytes that hold eight scales and
// eight minima of six bits.
func scales6(x *program, s *state, emit func(quad, i int, d, m V)) {
	for i, p := range s.quads {
		t := x.columns(p, 0)
		d, min := x.halfPair(t[0])
		x.w(fneg(min, min)) // minima are subtracted
		// The upper scales and minima: a nibble of t[3] below the two highest bits of t[1] or t[2].
		part := func(v, nibble V) (lo, hi V) {
			lo, hi = v, x.V()
			x.ushr("B16", hi, v, 6)
			x.shl("B16", hi, hi, 4)
			x.orr(hi, hi, nibble)
			x.and(lo, v, s.c["3f"])
			return lo, hi
		}
		low := x.V()
		x.and(low, t[3], s.c["0f"])
		x.ushr("B16", t[3], t[3], 4)
		s0, s1 := part(t[1], low)
		m0, m1 := part(t[2], t[3])
		x.free(low, t[3])
		for g := range 8 {
			sc, mn := s0, m0
			if g >= 4 {
				sc, mn = s1, m1
			}
			index := s.c["index"+string(rune('0'+g%4))]
			emit(i, g, x.scaledU(sc, index, d), x.scaledU(mn, index, min))
		}
		x.free(d, min, s0, s1, m0, m1)
	}
}

// loadNibbles32: the low nibbles of 32 bytes, then the high ones.
func loadNibbles32(disp int) func(*program, *state, R, int, func(int, V)) {
	return func(x *program, s *state, p R, u int, use func(piece int, v V)) {
		a, b := x.V(), x.V()
		x.ldrPair(a, b, p, disp+32*u)
		for i, v := range []V{a, b} {
			lo := x.V()
			x.and(lo, v, s.c["0f"])
			use(4*u+i, lo)
		}
		for i, v := range []V{a, b} {
			x.ushr("B16", v, v, 4)
			use(4*u+2+i, v)
		}
	}
}

// ldrPair reads 32 bytes at any offset.
func (x *program) ldrPair(a, b V, p R, at int) {
	if at%16 == 0 {
		x.ldp(a, b, p, at)
		return
	}
	x.ldr(a, p, at)
	x.ldr(b, p, at+16)
}

func beginQ5K(x *program, s *state) {
	begin6(x, s)
	x.fill(s.hold(x, "ff"), 0xff)
}

// loadQ5K: bit g of byte k is the fifth of weight k of group g; see loadFives.
func loadQ5K(x *program, s *state, p R, u int, use func(piece int, v V)) {
	ha, hb, a, b := x.V(), x.V(), x.V(), x.V()
	x.ldp(ha, hb, p, 16)
	x.ldp(a, b, p, 48+32*u)
	x.eor(ha, ha, s.c["ff"])
	x.eor(hb, hb, s.c["ff"])
	bit, t := x.V(), x.V()
	x.fill(bit, 1<<(2*u))
	for i, v := range []V{a, b} {
		lo := x.V()
		x.and(lo, v, s.c["0f"])
		x.cmtst("B16", t, []V{ha, hb}[i], bit)
		x.sli("B16", lo, t, 4)
		use(4*u+i, lo)
	}
	x.fill(bit, 2<<(2*u))
	for i, v := range []V{a, b} {
		h := []V{ha, hb}[i]
		x.ushr("B16", v, v, 4)
		x.cmtst("B16", h, h, bit)
		x.sli("B16", v, h, 4)
		use(4*u+2+i, v)
	}
	x.free(ha, hb, bit, t)
}

// Q6_K.

func beginQ6K(x *program, s *state) {
	x.fill(s.hold(x, "30"), 0x30)
	x.fill(s.hold(x, "3f"), 0x3f)
}

func scalesQ6K(x *program, s *state, emit func(quad, i int, d, m V)) {
	index := x.indices(topIndex)
	for i, p := range s.quads {
		d := x.V()
		x.lanes(d, "H", p, 208)
		x.w(fcvtl(d, d))
		t := x.columns(p, 192)
		for g := range 16 {
			emit(i, g, x.scaled(t[g/4], index[g%4], d), -1)
		}
		x.free(d)
		x.free(t[:]...)
	}
	x.free(index[:]...)
}

// A unit of Q6_K reads 32 bytes of nibbles, for weights that are 64 apart.
var unitsQ6K = [][]int{{0, 1, 4, 5}, {2, 3, 6, 7}, {8, 9, 12, 13}, {10, 11, 14, 15}}

func loadQ6K(x *program, s *state, p R, u int, use func(piece int, v V)) {
	n, odd := u/2, u%2
	first := 8*n + 2*odd
	for i := range 2 {
		v, h, t := x.V(), x.V(), x.V()
		x.ldr(v, p, 64*n+32*odd+16*i)
		x.ldr(h, p, 128+32*n+16*i)
		if odd == 1 {
			x.ushr("B16", h, h, 2)
		}
		x.and(t, h, s.c["30"]) // bits 4 and 5, above which the low nibble's are
		x.sri("B16", t, v, 4)
		x.sli("B16", v, h, 4)
		x.and(v, v, s.c["3f"])
		x.free(h)
		use(first+i, v)
		use(first+4+i, t)
	}
}

// Q3_K, Q2_K.

func beginQ3K(x *program, s *state) {
	x.fill(s.hold(x, "03"), 0x03)
	x.fill(s.hold(x, "ff"), 0xff)
}

// scalesQ3K reads the last 16 bytes of a block: two of weights, twelve of scales, and d.
func scalesQ3K(x *program, s *state, emit func(quad, i int, d, m V)) {
	index := x.indices(topIndex)
	align := x.constant(x.V(), 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1)
	nibble, high, offset := x.V(), x.V(), x.V()
	x.fill(nibble, 0x0f)
	x.fill(high, 0x30)
	x.fill(offset, 32)
	for i, p := range s.quads {
		var v [4]V
		for r := range p {
			v[r] = x.V()
			x.ldr(v[r], p[r], 94)
			x.tbl(v[r], v[r], align)
		}
		t := x.dwords4x4(v)
		x.w(xtn(t[3], t[3]))
		x.w(fcvtl(t[3], t[3]))
		d := t[3]
		// The four low bits of scales are the nibbles of t[0] and t[1], the two high ones those of
		// t[2].
		n := [4]V{x.V(), x.V(), x.V(), x.V()}
		x.shl("B16", n[0], t[2], 4)
		x.shl("B16", n[1], t[2], 2)
		x.ushr("B16", n[3], t[2], 2)
		x.and(n[2], t[2], high)
		for _, j := range []int{0, 1, 3} {
			x.and(n[j], n[j], high)
		}
		x.sri("B16", n[2], t[0], 4)
		x.sri("B16", n[3], t[1], 4)
		for j := range 2 {
			x.and(t[j], t[j], nibble)
			x.orr(n[j], n[j], t[j])
		}
		x.free(t[:3]...)
		for _, v := range n {
			x.sub("B16", v, v, offset)
		}
		for g := range 16 {
			emit(i, g, x.scaled(n[g/4], index[g%4], d), -1)
		}
		x.free(d)
		x.free(n[:]...)
	}
	x.free(align, nibble, high, offset)
	x.free(index[:]...)
}

// two is the two bits at position 2·l of each byte.
func (x *program) two(s *state, v V, l int) V {
	t := x.V()
	switch l {
	case 0:
		x.and(t, v, s.c["03"])
	case 3:
		x.ushr("B16", t, v, 6)
	default:
		x.ushr("B16", t, v, 2*l)
		x.and(t, t, s.c["03"])
	}
	return t
}

// loadTwos is two bits per weight: a byte holds weights 32 apart, and two neighbours of these are a
// unit.
func loadTwos(disp int) func(*program, *state, R, int, func(int, V)) {
	return func(x *program, s *state, p R, u int, use func(piece int, v V)) {
		a, b := x.V(), x.V()
		x.ldrPair(a, b, p, disp+32*(u/2))
		for i := range 4 {
			use(4*u+i, x.two(s, []V{a, b}[i%2], 2*(u%2)+i/2))
		}
		x.free(a, b)
	}
}

// loadQ3K has a third bit: where it is clear, the weight is four less, and all bits above the two
// are set.
func loadQ3K(x *program, s *state, p R, u int, use func(piece int, v V)) {
	var v, h [2]V
	for i := range v {
		v[i], h[i] = x.V(), x.V()
	}
	x.ldp(h[0], h[1], p, 0)
	x.ldp(v[0], v[1], p, 32+32*(u/2))
	bit, t := x.V(), x.V()
	for i := range h {
		x.eor(h[i], h[i], s.c["ff"])
	}
	for i := range 4 {
		if i%2 == 0 {
			x.fill(bit, 1<<(2*u+i/2))
		}
		w := x.two(s, v[i%2], 2*(u%2)+i/2)
		x.cmtst("B16", t, h[i%2], bit)
		x.sli("B16", w, t, 2)
		use(4*u+i, w)
	}
	x.free(v[:]...)
	x.free(h[:]...)
	x.free(bit, t)
}

func beginQ2K(x *program, s *state) { x.fill(s.hold(x, "03"), 0x03) }

func scalesQ2K(x *program, s *state, emit func(quad, i int, d, m V)) {
	index := x.indices(byteIndex)
	nibble := x.V()
	x.fill(nibble, 0x0f)
	for i, p := range s.quads {
		h := x.V()
		x.lanes(h, "S", p, 80)
		d, min := x.halfPair(h)
		x.w(fneg(min, min))
		t := x.columns(p, 0)
		for j, v := range t {
			sc, mn := x.V(), v
			x.and(sc, v, nibble)
			x.ushr("B16", mn, v, 4)
			for b := range 4 {
				emit(i, 4*j+b, x.scaledU(sc, index[b], d), x.scaledU(mn, index[b], min))
			}
			x.free(sc, mn)
		}
		x.free(d, min)
	}
	x.free(nibble)
	x.free(index[:]...)
}

// IQ4_XS.

func beginIQ4XS(x *program, s *state) { steps(levelsIQ4)(x, s) }

// scalesIQ4XS takes eight bytes apart: d, two high bits of eight scales, and their low nibbles.
func scalesIQ4XS(x *program, s *state, emit func(quad, i int, d, m V)) {
	index := x.indices(topIndex)
	// the upper half of each dword, bytes twice
	spread := x.constant(x.V(), 2, 2, 3, 3, 6, 6, 7, 7, 10, 10, 11, 11, 14, 14, 15, 15)
	even := x.constant(x.V(), 0xff, 0)
	high, offset := x.V(), x.V()
	x.fill(high, 0x30)
	x.fill(offset, 32)
	for i, p := range s.quads {
		var v [4]V
		for r := range p {
			v[r] = x.V()
			x.ldrD(v[r], p[r], 0)
		}
		x.zip1("S4", v[0], v[0], v[1])
		x.zip1("S4", v[2], v[2], v[3])
		d, low := v[1], v[3]
		x.zip1("D2", d, v[0], v[2])
		x.zip2("D2", low, v[0], v[2])
		// h: for even groups two bits of a nibble, moved to bits 4 and 5; those of odd groups are
		// above them.
		h, t := v[0], v[2]
		x.tbl(t, d, spread)
		x.shl("B16", h, t, 4)
		x.bif(h, t, even)
		x.and(t, h, high)
		x.ushr("B16", h, h, 2)
		x.and(h, h, high)
		// t and h get the even and the odd groups' nibbles.
		x.sri("B16", h, low, 4)
		x.shl("B16", low, low, 4)
		x.sri("B16", t, low, 4)
		x.sub("B16", t, t, offset)
		x.sub("B16", h, h, offset)
		x.w(xtn(d, d))
		x.w(fcvtl(d, d))
		for g := range 8 {
			emit(i, g, x.scaled([]V{t, h}[g%2], index[g/2], d), -1)
		}
		x.free(v[:]...)
	}
	x.free(spread, even, high, offset)
	x.free(index[:]...)
}

func loadIQ4XS(x *program, s *state, p R, u int, use func(piece int, v V)) {
	lo, hi := x.V(), x.V()
	x.ldr(hi, p, 8+16*u)
	x.and(lo, hi, s.c["0f"])
	x.ushr("B16", hi, hi, 4)
	x.tbl(lo, s.c["steps"], lo)
	x.tbl(hi, s.c["steps"], hi)
	use(2*u, lo)
	use(2*u+1, hi)
}
