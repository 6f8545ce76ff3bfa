package main

import "fmt"

// Formats of few bits without a codebook, and NVFP4.

func init() {
	formats = append(formats,
		format{name: "NVFP4", weights: 64, size: 36, group: 16, most: 12, begin: beginNVFP4, scales: scalesNVFP4, units: twos(0, 64), load: loadNVFP4},
		format{name: "Q1_0", weights: 128, size: 18, group: 32, nScales: 1, most: 1, begin: beginQ1, scales: halfAt(0), units: fours(0, 128), load: loadQ1},
		format{name: "Q2_0", weights: 64, size: 18, group: 32, nScales: 1, off: 1, most: 3, begin: beginQ2, scales: halfAt(0), units: fours(0, 64), load: loadQ2},
		format{name: "TQ1_0", weights: 256, size: 54, group: 32, nScales: 1, most: 1, begin: beginTQ1, scales: halfAt(52), units: twos(0, 256), load: loadTQ1},
		format{name: "TQ2_0", weights: 256, size: 66, group: 32, nScales: 1, off: 1, most: 3, begin: beginQ2K, scales: halfAt(64), units: fours(0, 256), load: loadTwos(0)},
	)
}

// halfAt reads the half float at disp of each row.
func halfAt(disp int) func(*program, *state, func(quad, i int, d, m V)) {
	return func(x *program, s *state, emit func(quad, i int, d, m V)) {
		for i, p := range s.quads {
			d := x.V()
			x.lanes(d, "H", p, disp)
			x.w(fcvtl(d, d))
			emit(i, 0, d, -1)
		}
	}
}

// repeated is a table index that takes each of some bytes n times, beginning with byte from.
func repeated(from, n int) (index []int) {
	for i := range 16 {
		index = append(index, from+i/n)
	}
	return index
}

// NVFP4.

func beginNVFP4(x *program, s *state) {
	nibbles(x, s)
	x.constant(s.hold(x, "steps"), levelsFP4...)
	x.fill(s.hold(x, "7f"), 0x7f)
	x.constant(s.hold(x, "2^119"), 0, 0, 0, 0x7b)
	for b := range 4 {
		x.constant(s.hold(x, "index"+string(rune('0'+b))), byteIndex(b)...)
	}
}

// scalesNVFP4 makes half of what four bits of exponent and three of mantissa mean: moved to where a
// float has them, that is too small by 2^119, denormal numbers included. The sign carries no
// meaning; 0x7f, a NaN, counts as 0, but 0xff does not.
func scalesNVFP4(x *program, s *state, emit func(quad, i int, d, m V)) {
	for i, p := range s.quads {
		e, nan := x.V(), x.V()
		x.lanes(e, "S", p, 0)
		x.cmeq("B16", nan, e, s.c["7f"])
		x.and(e, e, s.c["7f"])
		x.eor(nan, nan, e) // the same where it is not one, else 0x80
		x.and(e, e, nan)
		for g := range 4 {
			d := x.V()
			x.tbl(d, e, s.c["index"+string(rune('0'+g))])
			x.shl("S4", d, d, 20)
			x.w(fmul(d, d, s.c["2^119"]))
			emit(i, g, d, -1)
		}
		x.free(e, nan)
	}
}

// loadNVFP4: eight low nibbles, then eight high ones.
func loadNVFP4(x *program, s *state, p R, u int, use func(piece int, v V)) {
	lo, hi, v := x.V(), x.V(), x.V()
	x.ldr(hi, p, 4+16*u)
	x.and(lo, hi, s.c["0f"])
	x.ushr("B16", hi, hi, 4)
	x.tbl(lo, s.c["steps"], lo)
	x.tbl(hi, s.c["steps"], hi)
	x.zip1("D2", v, lo, hi)
	x.zip2("D2", hi, lo, hi)
	x.free(lo)
	use(2*u, v)
	use(2*u+1, hi)
}

// Q1_0: signs.

func beginQ1(x *program, s *state) {
	x.fill(s.hold(x, "ff"), 0xff)
	x.fill(s.hold(x, "1"), 1)
	x.constant(s.hold(x, "bits"), 1, 2, 4, 8, 16, 32, 64, 128)
	for b := range 4 {
		x.constant(s.hold(x, "index"+string(rune('0'+b))), repeated(2*b, 8)...)
	}
}

func loadQ1(x *program, s *state, p R, u int, use func(piece int, v V)) {
	b := x.V()
	x.ldrD(b, p, 2+8*u)
	x.eor(b, b, s.c["ff"])
	for i := range 4 {
		v := x.V()
		x.tbl(v, b, s.c["index"+string(rune('0'+i))])
		x.cmtst("B16", v, v, s.c["bits"]) // -1 where the bit was clear
		x.orr(v, v, s.c["1"])
		use(4*u+i, v)
	}
	x.free(b)
}

// Q2_0: neighbours share a byte.

func beginQ2(x *program, s *state) {
	x.fill(s.hold(x, "03"), 3)
	x.constant(s.hold(x, "shift"), 0, -2, -4, -6)
	for b := range 4 {
		x.constant(s.hold(x, "index"+string(rune('0'+b))), repeated(4*b, 4)...)
	}
}

func loadQ2(x *program, s *state, p R, u int, use func(piece int, v V)) {
	b := x.V()
	x.ldr(b, p, 2)
	for i := range 4 {
		v := x.V()
		x.tbl(v, b, s.c["index"+string(rune('0'+i))])
		x.w(ushlB(v, v, s.c["shift"]))
		x.and(v, v, s.c["03"])
		use(i, v)
	}
	x.free(b)
}

// TQ1_0: five ternary digits to a byte, as a fraction of 3^5. A digit is 0 up to 85 and 2 above
// 170; times 3, the next one is there.

func beginTQ1(x *program, s *state) {
	for _, p := range powersOf3[1:] {
		x.fill(s.hold(x, fmt.Sprint(p)), p)
	}
	x.fill(s.hold(x, "85"), 85)
	x.fill(s.hold(x, "170"), 170)
	x.constant(s.hold(x, "index"), 0, 1, 2, 3)
	x.constant(s.hold(x, "powers"), 1, 1, 1, 1, 3, 3, 3, 3, 9, 9, 9, 9, 27, 27, 27, 27)
}

var powersOf3 = []int{1, 3, 9, 27, 81}

func loadTQ1(x *program, s *state, p R, u int, use func(piece int, v V)) {
	// digit is the l-th of each byte.
	digit := func(piece int, v V, l int) {
		if l > 0 {
			x.w(mulB(v, v, s.c[fmt.Sprint(powersOf3[l])]))
		}
		use(piece, x.digit(s, v))
	}
	v := x.V()
	switch {
	case u < 5: // 32 bytes, which hold weights 32 apart
		w := x.V()
		x.ldrPair(v, w, p, 0)
		digit(2*u, v, u)
		digit(2*u+1, w, u)
	case u < 7: // 16 bytes, which hold weights 16 apart
		x.ldr(v, p, 32)
		l := 2 * (u - 5)
		w := x.V()
		x.w(mulB(w, v, s.c[fmt.Sprint(powersOf3[l+1])]))
		digit(2*u, v, l)
		use(2*u+1, x.digit(s, w))
	default: // the last of these, and four bytes of four digits
		x.ldr(v, p, 32)
		digit(14, v, 4)
		w := x.V()
		x.ldrS(w, p, 48)
		x.tbl(w, w, s.c["index"])
		x.w(mulB(w, w, s.c["powers"]))
		use(15, x.digit(s, w))
	}
}

// digit makes -1, 0 or 1 of the first digit of the bytes of v.
func (x *program) digit(s *state, v V) V {
	x.with(1, func(t []V) {
		x.w(cmhsB(t[0], s.c["85"], v))
		x.w(cmhiB(v, v, s.c["170"]))
		x.sub("B16", v, t[0], v)
	})
	return v
}
