package main

var formats = []format{
	{name: "Q4_0", weights: 32, size: 18, group: 32, off: 8, most: 15, post: true, begin: nibbles, scales: halves, units: whole, load: loadNibbles},
	{name: "Q4_1", weights: 32, size: 20, group: 32, min: true, most: 15, post: true, begin: nibbles, scales: halfPairs, units: whole, load: loadNibbles},
	{name: "Q5_0", weights: 32, size: 22, group: 32, most: 16, post: true, begin: fives, scales: halves, units: whole, load: loadFives},
	{name: "Q5_1", weights: 32, size: 24, group: 32, min: true, off: -16, most: 16, post: true, begin: fives, scales: halfPairs, units: whole, load: loadFives},
	{name: "Q8_0", weights: 32, size: 34, group: 32, most: 128, post: true, scales: halves, units: whole, load: loadBytes},
	{name: "IQ4_NL", weights: 32, size: 18, group: 32, most: 127, post: true, begin: steps(levelsIQ4), scales: halves, units: whole, load: loadSteps},
	{name: "MXFP4", weights: 32, size: 17, group: 32, most: 12, post: true, begin: steps(levelsFP4), scales: powers, units: whole, load: loadSteps},
}

// whole is the units of a block of 32 weights.
var whole = [][]int{{0, 1}}

var (
	levelsIQ4 = []int{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	levelsFP4 = []int{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
)

// Scales of blocks of 32. They move the row pointers past what they read.

// halves reads a half float per row.
func halves(x *program, s *state, emit func(quad, i int, d, m V)) {
	for i, p := range s.quads {
		d := x.V()
		for r := range p {
			x.ld1Post(d, "H", r, p[r])
		}
		x.w(fcvtl(d, d))
		emit(i, 0, d, -1)
	}
}

// halfPairs reads a half float of scale and one of minimum.
func halfPairs(x *program, s *state, emit func(quad, i int, d, m V)) {
	for i, p := range s.quads {
		t := x.V()
		for r := range p {
			x.ld1Post(t, "S", r, p[r])
		}
		d, m := x.halfPair(t)
		emit(i, 0, d, m)
	}
}

// halfPair makes floats of the two half floats in each dword of t.
func (x *program) halfPair(t V) (lo, hi V) {
	lo, hi = x.V(), t
	x.w(xtn(lo, t))
	x.w(shrn16(hi, t))
	x.w(fcvtl(lo, lo))
	x.w(fcvtl(hi, hi))
	return lo, hi
}

// powers reads the byte e and makes half of 2^(e-127) of it: 2^(e-128), and below that a denormal
// number.
func powers(x *program, s *state, emit func(quad, i int, d, m V)) {
	for i, p := range s.quads {
		e, small := x.V(), x.V()
		x.zero(e)
		for r := range p {
			x.ld1Post(e, "B", 4*r, p[r])
		}
		x.w(ushl(small, s.c["small"], e))
		d := x.V()
		x.w(cmhi(d, s.c["two"], e))
		x.sub("S4", e, e, s.c["one"])
		x.shl("S4", e, e, 23)
		x.bsl(d, small, e)
		x.free(e, small)
		emit(i, 0, d, -1)
	}
}

// Weights of blocks of 32.

func nibbles(x *program, s *state) { x.fill(s.hold(x, "0f"), 0x0f) }

// loadNibbles: low nibbles, then high ones.
func loadNibbles(x *program, s *state, p R, u int, use func(piece int, v V)) {
	lo, hi := x.V(), x.V()
	x.ldrPost(hi, p, 16)
	x.and(lo, hi, s.c["0f"])
	x.ushr("B16", hi, hi, 4)
	use(0, lo)
	use(1, hi)
}

func fives(x *program, s *state) {
	nibbles(x, s)
	x.fill(s.hold(x, "ff"), 0xff)
	x.constant(s.hold(x, "bits"), 1, 2, 4, 8, 16, 32, 64, 128)
	x.constant(s.hold(x, "lo"), 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)
	x.constant(s.hold(x, "hi"), 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3)
}

// loadFives: 32 fifth bits, then nibbles. Bytes are too small by 16: where the fifth bit is clear,
// all bits above the nibble are set.
func loadFives(x *program, s *state, p R, u int, use func(piece int, v V)) {
	h, a, b := x.V(), x.V(), x.V()
	x.ldrSPost(h, p, 4)
	lo, hi := x.V(), x.V()
	x.ldrPost(hi, p, 16)
	x.eor(h, h, s.c["ff"])
	x.tbl(a, h, s.c["lo"])
	x.tbl(b, h, s.c["hi"])
	x.cmtst("B16", a, a, s.c["bits"])
	x.cmtst("B16", b, b, s.c["bits"])
	x.and(lo, hi, s.c["0f"])
	x.ushr("B16", hi, hi, 4)
	x.sli("B16", lo, a, 4)
	x.sli("B16", hi, b, 4)
	x.free(h, a, b)
	use(0, lo)
	use(1, hi)
}

func loadBytes(x *program, s *state, p R, u int, use func(piece int, v V)) {
	a, b := x.V(), x.V()
	x.ldpPost(a, b, p, 32)
	use(0, a)
	use(1, b)
}

func steps(table []int) func(*program, *state) {
	return func(x *program, s *state) {
		nibbles(x, s)
		x.constant(s.hold(x, "steps"), table...)
		if table[1] == levelsFP4[1] {
			x.w(moviS(s.hold(x, "one"), 1))
			x.w(moviS(s.hold(x, "two"), 2))
			x.constant(s.hold(x, "small"), 0, 0, 0x20, 0)
		}
	}
}

// loadSteps: nibbles that index a table.
func loadSteps(x *program, s *state, p R, u int, use func(piece int, v V)) {
	loadNibbles(x, s, p, u, func(piece int, v V) {
		x.tbl(v, s.c["steps"], v)
		use(piece, v)
	})
}
