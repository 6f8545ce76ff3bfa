package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// formatsIQ256 are the formats that take their weights from codebooks: see codebooks.go of the package. Points are of eight numbers, those of IQ3 of four.
var formatsIQ256 = []format256{
	{name: "IQ1_S", weight: 256, size: 50, group: 32, off: 4, loop: true, most: 25, begin: codebook256("gridIQ1S"), scales: scalesIQ1S256, scale: scaleIQ1S256, load: loadIQ1S256},
	{name: "IQ1_M", weight: 256, size: 56, group: 16, off: 4, loop: true, most: 25, begin: codebook256("gridIQ1S"), scales: scalesIQ1M256, scale: scaleIQ1M256, load: loadIQ1M256},
	{name: "IQ2_XXS", weight: 256, size: 66, group: 32, off: 6, loop: true, most: 64 + 43, begin: signedCodebook256("gridIQ2XXS"), scales: halves256(0), scale: scaleIQ2XXS256, load: loadIQ2XXS256},
	{name: "IQ2_XS", weight: 256, size: 74, group: 16, off: 6, loop: true, most: 64 + 43, begin: signedCodebook256("gridIQ2XS"), scales: scalesIQ2S256(66), scale: scaleIQ2S256, load: loadIQ2XS256},
	{name: "IQ2_S", weight: 256, size: 82, group: 16, off: 6, loop: true, most: 64 + 43, begin: codebook256("gridIQ2S"), scales: scalesIQ2S256(74), scale: scaleIQ2S256, load: loadIQ2S256},
	{name: "IQ3_XXS", weight: 256, size: 98, group: 32, off: 6, loop: true, most: 64 + 62, begin: signedCodebook256("gridIQ3XXS"), scales: halves256(0), scale: scaleIQ3XXS256, load: loadIQ3XXS256},
	{name: "IQ3_S", weight: 256, size: 110, group: 32, off: 4, loop: true, most: 16 + 15, begin: codebook256("gridIQ3S"), scales: scalesIQ3S256, scale: scaleIQ3S256, load: loadIQ3S256},
}

// pointerTo is what a variable of the package points to.
func (x *program) pointerTo(name string) reg.GPVirtual {
	p := x.GP64()
	x.MOVQ(Mem{Symbol: Symbol{Name: "·" + name}, Base: reg.StaticBase}, p)
	return p
}

func codebook256(grid string) func(*program, *state256) {
	return func(x *program, s *state256) { s.grid = x.pointerTo(grid) }
}

func signedCodebook256(grid string) func(*program, *state256) {
	return func(x *program, s *state256) {
		s.grid, s.signs = x.pointerTo(grid), x.pointerTo("signs7")
	}
}

func (x *program) byteAt(m Mem) reg.GPVirtual {
	r := x.GP32()
	x.MOVBLZX(m, r)
	return r
}

// eights256 gathers entries of eight bytes of a table.
func (x *program) eights256(table reg.Register, index func(l int) reg.GPVirtual) reg.VecVirtual {
	entry := func(l int) Mem { return Mem{Base: table, Index: index(l).As64(), Scale: 8} }
	var v [2]reg.VecVirtual
	for h := range v {
		v[h] = x.YMM()
		x.load8(entry(2*h), v[h])
		x.VPINSRQ(Imm(1), entry(2*h+1), v[h].AsX(), v[h].AsX())
	}
	x.VINSERTI128(Imm(1), v[1].AsX(), v[0], v[0])
	return v[0]
}

// fours256 gathers entries of four bytes.
func (x *program) fours256(table reg.Register, index func(l int) reg.GPVirtual) reg.VecVirtual {
	entry := func(l int) Mem { return Mem{Base: table, Index: index(l).As64(), Scale: 4} }
	var v [2]reg.VecVirtual
	for h := range v {
		v[h] = x.YMM()
		x.load4(entry(4*h), v[h])
		for l := 1; l < 4; l++ {
			x.VPINSRD(Imm(uint64(l)), entry(4*h+l), v[h].AsX(), v[h].AsX())
		}
	}
	x.VINSERTI128(Imm(1), v[1].AsX(), v[0], v[0])
	return v[0]
}

// high256 is bits of h, from bit shift on, as those of an index above its byte.
func (x *program) high256(h reg.GPVirtual, shift int, mask uint32) reg.GPVirtual {
	r := x.GP32()
	x.MOVL(h, r)
	switch by := 8 - shift; {
	case by > 0:
		x.SHLL(Imm(uint64(by)), r)
	case by < 0:
		x.SHRL(Imm(uint64(-by)), r)
	}
	x.ANDL(U32(mask<<8), r)
	return r
}

// indexed256 is the byte at m with the bits above it.
func (x *program) indexed256(m Mem, high reg.GPVirtual) reg.GPVirtual {
	b := x.byteAt(m)
	x.ORL(high, b)
	return b
}

// sevens256 gathers the signs that four times seven bits of the dword at m stand for.
func (x *program) sevens256(s *state256, m Mem) reg.VecVirtual {
	a := x.GP32()
	x.MOVL(m, a)
	return x.eights256(s.signs, func(l int) reg.GPVirtual {
		r := x.GP32()
		x.MOVL(a, r)
		if l > 0 {
			x.SHRL(Imm(uint64(7*l)), r)
		}
		x.ANDL(Imm(127), r)
		return r
	})
}

// signed256 gives the numbers of y signs and adds off.
func (x *program) signed256(y, signs reg.VecVirtual, off uint32) reg.VecVirtual {
	x.VPSIGNB(signs, y, y)
	x.VPADDB(x.bytes256(off), y, y)
	return y
}

// flipped256 negates the numbers of y whose bits of the dword at m are set, and adds off.
func (x *program) flipped256(y reg.VecVirtual, m Mem, off uint32) reg.VecVirtual {
	t := x.YMM()
	x.VPBROADCASTD(m, t)
	x.VPSHUFB(x.words(0, 0, 0x01010101, 0x01010101, 0x02020202, 0x02020202, 0x03030303, 0x03030303), t, t)
	x.VPAND(x.words(0x08040201, 0x80402010), t, t)
	x.VPCMPEQB(x.words(0x08040201, 0x80402010), t, t)
	x.VPXOR(t, y, y)
	x.VPSUBB(t, y, y)
	x.VPADDB(x.bytes256(off), y, y)
	return y
}

// halfMore256 is d·(n+1/2)·by.
func (x *program) halfMore256(n, d reg.VecVirtual, by float32) reg.VecVirtual {
	x.VCVTDQ2PS(n, n)
	x.VADDPS(x.words(bits(0.5)), n, n)
	x.VMULPS(d, n, n)
	x.VMULPS(x.words(bits(by)), n, n)
	return n
}

func loadIQ2XXS256(x *program, s *state256, _, _ int) reg.VecVirtual {
	y := x.eights256(s.grid, func(l int) reg.GPVirtual { return x.byteAt(s.field(2+l, 8)) })
	return x.signed256(y, x.sevens256(s, s.field(6, 8)), 64)
}

// top256 is the upper four bits of the dword at disp of 8 rows.
func (x *program) top256(s *state256, disp int) reg.VecVirtual {
	n := x.dwords256(s.rows, disp)
	x.VPSRLD(Imm(28), n, n)
	return n
}

func scaleIQ2XXS256(x *program, s *state256, g int) (d, m reg.VecVirtual) {
	return x.halfMore256(x.top256(s, 6+8*g), s.v["d"], 0.25), nil
}

func loadIQ2XS256(x *program, s *state256, _, _ int) reg.VecVirtual {
	word := func(l int) reg.GPVirtual {
		r := x.GP32()
		x.MOVWLZX(s.field(2+2*l, 8), r)
		return r
	}
	y := x.eights256(s.grid, func(l int) reg.GPVirtual {
		r := word(l)
		x.ANDL(U32(511), r)
		return r
	})
	return x.signed256(y, x.eights256(s.signs, func(l int) reg.GPVirtual {
		r := word(l)
		x.SHRL(Imm(9), r)
		return r
	}), 64)
}

// scalesIQ2S256 reads eight bytes with two scales each at disp.
func scalesIQ2S256(disp int) func(*program, *state256) {
	return func(x *program, s *state256) {
		halves256(0)(x, s)
		s.v["t0"], s.v["t1"] = x.dwords256(s.rows, disp), x.dwords256(s.rows, disp+4)
	}
}

func scaleIQ2S256(x *program, s *state256, g int) (d, m reg.VecVirtual) {
	return x.halfMore256(x.shifted256(s.v["t"+digit(g/8)], 4*(g%8), x.words(0xf)), s.v["d"], 0.25), nil
}

func loadIQ2S256(x *program, s *state256, _, _ int) reg.VecVirtual {
	h := x.byteAt(s.field(66, 1))
	y := x.eights256(s.grid, func(l int) reg.GPVirtual { return x.indexed256(s.field(2+l, 4), x.high256(h, 2*l, 3)) })
	return x.flipped256(y, s.field(34, 4), 64)
}

func loadIQ3XXS256(x *program, s *state256, _, _ int) reg.VecVirtual {
	y := x.fours256(s.grid, func(l int) reg.GPVirtual { return x.byteAt(s.field(2+l, 8)) })
	return x.signed256(y, x.sevens256(s, s.field(66, 4)), 64)
}

func scaleIQ3XXS256(x *program, s *state256, g int) (d, m reg.VecVirtual) {
	return x.halfMore256(x.top256(s, 66+4*g), s.v["d"], 0.5), nil
}

func loadIQ3S256(x *program, s *state256, _, _ int) reg.VecVirtual {
	h := x.byteAt(s.field(66, 1))
	y := x.fours256(s.grid, func(l int) reg.GPVirtual { return x.indexed256(s.field(2+l, 8), x.high256(h, l, 1)) })
	return x.flipped256(y, s.field(74, 4), 16)
}

// scalesIQ3S256 reads the last four bytes of the block, with two scales each.
func scalesIQ3S256(x *program, s *state256) {
	halves256(0)(x, s)
	s.v["t"] = x.dwords256(s.rows, 106)
}

// oddly256 is d·(2n+1)·by.
func (x *program) oddly256(n, d reg.VecVirtual, by float32) reg.VecVirtual {
	x.VPADDD(n, n, n)
	x.VPADDD(x.words(1), n, n)
	x.VCVTDQ2PS(n, n)
	x.VMULPS(d, n, n)
	if by != 1 {
		x.VMULPS(x.words(bits(by)), n, n)
	}
	return n
}

func scaleIQ3S256(x *program, s *state256, g int) (d, m reg.VecVirtual) {
	return x.oddly256(x.shifted256(s.v["t"], 4*g, x.words(0xf)), s.v["d"], 1), nil
}

// eighths256 turns a point of IQ1 (-1, 0, 1) into whole eighths, too large by 8+16.
func (x *program) eighths256(y reg.VecVirtual) {
	x.VPADDB(x.bytes256(1), y, y)
	x.VPSLLW(Imm(3), y, y)
}

func loadIQ1S256(x *program, s *state256, _, _ int) reg.VecVirtual {
	h := x.GP32()
	x.MOVWLZX(s.field(34, 2), h)
	y := x.eights256(s.grid, func(l int) reg.GPVirtual { return x.indexed256(s.field(2+l, 4), x.high256(h, 3*l, 7)) })
	x.eighths256(y)
	// One eighth more or, where the upper bit says so, less.
	const more, less = 0x09090909, 0x07070707
	p := x.GP64()
	x.LEAQ(x.words(more, more, more, more, more, more, more, more, less, less, less, less, less, less, less, less), p)
	x.SHRL(Imm(15), h)
	x.SHLL(Imm(5), h)
	x.VPADDB(Mem{Base: p, Index: h.As64(), Scale: 1}, y, y)
	return y
}

// scalesIQ1S256 reads the last 16 bytes of the block, words with three bits of scale each.
func scalesIQ1S256(x *program, s *state256) {
	halves256(0)(x, s)
	for i, t := range x.headers256(s.rows, 34) {
		s.v["t"+digit(i)] = t
	}
}

func scaleIQ1S256(x *program, s *state256, g int) (d, m reg.VecVirtual) {
	return x.oddly256(x.shifted256(s.v["t"+digit(g/2)], 16*(g%2)+12, x.words(7)), s.v["d"], 0.125), nil
}

func loadIQ1M256(x *program, s *state256, _, _ int) reg.VecVirtual {
	h := x.GP32()
	x.MOVWLZX(s.field(32, 2), h)
	y := x.eights256(s.grid, func(l int) reg.GPVirtual { return x.indexed256(s.field(l, 4), x.high256(h, 4*l, 7)) })
	x.eighths256(y)
	// One eighth more or, where the upper bit of a point's four says so, less.
	t := x.YMM()
	x.VPBROADCASTD(s.field(32, 2), t)
	x.VPSHUFB(x.words(0, 0, 0, 0, 0x01010101, 0x01010101, 0x01010101, 0x01010101), t, t)
	x.VPAND(x.words(0x08080808, 0x08080808, 0x80808080, 0x80808080), t, t)
	x.VPCMPEQB(x.words(0x08080808, 0x08080808, 0x80808080, 0x80808080), t, t)
	x.VPADDB(t, t, t)
	x.VPADDB(t, y, y)
	x.VPADDB(x.bytes256(9), y, y)
	return y
}

// scalesIQ1M256 reads the last eight bytes of the block: four words, each with four scales of three bits and four bits of d.
func scalesIQ1M256(x *program, s *state256) {
	t0, t1 := x.dwords256(s.rows, 48), x.dwords256(s.rows, 52)
	d := x.or256(x.shifted256(t0, 12, x.words(0xf)), x.shifted256(t0, 24, x.words(0xf0)))
	d = x.or256(d, x.shifted256(t1, 4, x.words(0xf00)))
	d = x.or256(d, x.shifted256(t1, 16, x.words(0xf000)))
	s.v["d"] = x.lowHalves256(d)
	s.v["t0"], s.v["t1"] = t0, t1
}

func scaleIQ1M256(x *program, s *state256, g int) (d, m reg.VecVirtual) {
	return x.oddly256(x.shifted256(s.v["t"+digit(g/8)], 16*(g/4%2)+3*(g%4), x.words(7)), s.v["d"], 0.125), nil
}
