package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// formatsIQ256 are the formats that take their weights from codebooks: see codebook256.
var formatsIQ256 = []format256{iq1S256(), iq1M256(), iq2XXS256(), iq2XS256(), iq2S256(), iq3XXS256(), iq3S256()}

// halfMore256 is d·(n+1/2)·by.
func (x *program) halfMore256(n, d reg.VecVirtual, by float32) reg.VecVirtual {
	x.VCVTDQ2PS(n, n)
	x.VADDPS(x.words(bits(0.5)), n, n)
	x.VMULPS(d, n, n)
	x.VMULPS(x.words(bits(by)), n, n)
	return n
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

func iq2XXS256() format256 {
	f := format256{name: "IQ2_XXS", weight: 256, size: 66, group: 32, off: 6, most: 64 + 43, begin: grid256("gridIQ2XXS"), codebook: &codebook256{flips: flipsOfRow256, most: 43}}
	f.scales = auxiliary256(&f, 6, 8)
	f.scale = func(x *program, s *state256, g int) (d, m reg.VecVirtual) {
		n := x.YMM()
		x.VMOVDQA(s.scaleOf(&f, g), n)
		return x.halfMore256(n, s.v["d"], 0.25), nil
	}
	f.load = func(x *program, s *state256, i, _ int) reg.VecVirtual {
		return x.eights256(s, func(l int) reg.GPVirtual { return byteIndex256(x, s, 2+l, 8) })
	}
	return f
}

func iq3XXS256() format256 {
	f := format256{name: "IQ3_XXS", weight: 256, size: 98, group: 32, off: 6, most: 64 + 62, begin: grid256("gridIQ3XXS"), codebook: &codebook256{flips: flipsOfRow256, most: 62}}
	f.scales = auxiliary256(&f, 66, 4)
	f.scale = func(x *program, s *state256, g int) (d, m reg.VecVirtual) {
		n := x.YMM()
		x.VMOVDQA(s.scaleOf(&f, g), n)
		return x.halfMore256(n, s.v["d"], 0.5), nil
	}
	f.load = func(x *program, s *state256, i, _ int) reg.VecVirtual {
		return x.fours256(s, func(l int) reg.GPVirtual { return byteIndex256(x, s, 2+l, 8) })
	}
	return f
}

// scalesIQ2256 reads eight bytes with two scales each at disp.
func scalesIQ2256(x *program, s *state256, disp int) {
	halves256(0)(x, s)
	s.v["t0"], s.v["t1"] = x.dwords256(s.rows, disp), x.dwords256(s.rows, disp+4)
}

func scaleIQ2256(x *program, s *state256, g int) (d, m reg.VecVirtual) {
	return x.halfMore256(x.shifted256(s.v["t"+digit(g/8)], 4*(g%8), x.words(0xf)), s.v["d"], 0.25), nil
}

func iq2XS256() format256 {
	f := format256{name: "IQ2_XS", weight: 256, size: 74, group: 16, off: 6, most: 64 + 43, begin: grid256("gridIQ2XS"), scale: scaleIQ2256,
		codebook: &codebook256{points: 32, flips: flipsOfRow256, most: 43}}
	f.scales = func(x *program, s *state256) {
		// Words of nine bits of index and seven of signs.
		var rows [8]reg.VecVirtual
		for i := range rows {
			var v [2]reg.VecVirtual
			for h := range v {
				v[h] = x.YMM()
				t := x.YMM()
				x.VMOVDQU(s.rows.at(i, 2+32*h), v[h])
				x.VPAND(x.words(511*0x10001), v[h], t)
				x.VMOVDQU(t, Mem{Base: s.index, Disp: 2 * (32*i + 16*h)})
				x.VPSRLW(Imm(9), v[h], v[h])
			}
			x.VPACKUSWB(v[1], v[0], v[0])
			x.VPERMQ(Imm(0xd8), v[0], v[0])
			x.parity256(v[0])
			rows[i] = v[0]
		}
		for c, y := range x.dwords8x8(rows) {
			x.VMOVDQA(y, s.ofChunk(c))
		}
		scalesIQ2256(x, s, 66)
	}
	f.load = func(x *program, s *state256, i, _ int) reg.VecVirtual {
		return x.eights256(s, func(l int) reg.GPVirtual { return x.wordIndex256(f.codebook, s, i, l) })
	}
	return f
}

func iq2S256() format256 {
	f := format256{name: "IQ2_S", weight: 256, size: 82, group: 16, off: 6, most: 64 + 43, begin: grid256("gridIQ2S"), scale: scaleIQ2256,
		codebook: &codebook256{points: 32, flips: flipsAt256(34), most: 43}}
	h := highs256{at: 66, step: 4, mul: [8]uint16{256, 64, 16, 4, 256, 64, 16, 4}, mask: 0x300}
	for i := range h.bytes {
		h.bytes[i] = [2]int{i / 4, -1}
	}
	f.scales = func(x *program, s *state256) {
		x.indices256(f.codebook, s, 2, h)
		scalesIQ2256(x, s, 74)
	}
	f.load = func(x *program, s *state256, i, _ int) reg.VecVirtual {
		return x.eights256(s, func(l int) reg.GPVirtual { return x.wordIndex256(f.codebook, s, i, l) })
	}
	return f
}

func iq3S256() format256 {
	f := format256{name: "IQ3_S", weight: 256, size: 110, group: 32, off: 4, most: 16 + 15, begin: grid256("gridIQ3S"), codebook: &codebook256{points: 64, flips: flipsAt256(74), most: 15}}
	h := highs256{at: 66, step: 2, mul: [8]uint16{256, 128, 64, 32, 16, 8, 4, 2}, mask: 0x100}
	for i := range h.bytes {
		h.bytes[i] = [2]int{i / 8, -1}
	}
	f.scales = func(x *program, s *state256) {
		x.indices256(f.codebook, s, 2, h)
		halves256(0)(x, s)
		// the last four bytes of the block, with two scales each
		s.v["t"] = x.dwords256(s.rows, 106)
	}
	f.scale = func(x *program, s *state256, g int) (d, m reg.VecVirtual) {
		return x.oddly256(x.shifted256(s.v["t"], 4*g, x.words(0xf)), s.v["d"], 1), nil
	}
	f.load = func(x *program, s *state256, i, _ int) reg.VecVirtual {
		return x.fours256(s, func(l int) reg.GPVirtual { return x.wordIndex256(f.codebook, s, i, l) })
	}
	return f
}

// eighths256 converts a point of IQ1 (-1, 0, 1) into whole eighths, too large by 8.
func (x *program) eighths256(y reg.VecVirtual) {
	x.VPADDB(x.bytes256(1), y, y)
	x.VPSLLW(Imm(3), y, y)
}

func iq1S256() format256 {
	f := format256{name: "IQ1_S", weight: 256, size: 50, group: 32, off: 4, most: 25, begin: grid256("gridIQ1S"), codebook: &codebook256{points: 32}}
	h := highs256{at: 34, wide: true, step: 8, mul: [8]uint16{256, 32, 4, 0, 256, 32, 4, 0}, mask: 0x700, last: true}
	for i := range h.bytes {
		h.bytes[i] = [2]int{2 * (i / 4), 2*(i/4) + 1}
	}
	f.scales = func(x *program, s *state256) {
		x.indices256(f.codebook, s, 2, h)
		halves256(0)(x, s)
		// The last 16 bytes are words with three bits of scale each. Their upper bits report
		// whether weights are one eighth more or less.
		for i, t := range x.headers256(s.rows, 34) {
			s.v["t"+digit(i)] = t
			for h := range 2 {
				y := x.YMM()
				if h == 0 {
					x.VPSLLD(Imm(16), t, y)
					x.VPSRAD(Imm(31), y, y)
				} else {
					x.VPSRAD(Imm(31), t, y)
				}
				x.VPOR(x.bytes256(1), y, y)
				x.VPADDB(x.bytes256(8), y, y)
				x.VMOVDQA(y, s.ofChunk(2*i+h))
			}
		}
	}
	f.scale = func(x *program, s *state256, g int) (d, m reg.VecVirtual) {
		return x.oddly256(x.shifted256(s.v["t"+digit(g/2)], 16*(g%2)+12, x.words(7)), s.v["d"], 0.125), nil
	}
	f.load = func(x *program, s *state256, i, _ int) reg.VecVirtual {
		y, eighth := x.eights256(s, func(l int) reg.GPVirtual { return x.wordIndex256(f.codebook, s, i, l) }), x.YMM()
		x.eighths256(y)
		x.VPBROADCASTD(s.ofRow(i), eighth)
		x.VPADDB(eighth, y, y)
		return y
	}
	return f
}

func iq1M256() format256 {
	f := format256{name: "IQ1_M", weight: 256, size: 56, group: 16, off: 4, most: 25, begin: grid256("gridIQ1S"), codebook: &codebook256{points: 32}}
	h := highs256{at: 32, wide: true, step: 8, mul: [8]uint16{256, 16, 256, 16, 256, 16, 256, 16}, mask: 0x700}
	for i := range h.bytes {
		h.bytes[i] = [2]int{i / 2, -1}
	}
	f.scales = func(x *program, s *state256) {
		x.indices256(f.codebook, s, 0, h)
		// The last eight bytes are four words, each with four scales of three bits and four bits of
		// d.
		t0, t1 := x.dwords256(s.rows, 48), x.dwords256(s.rows, 52)
		d := x.or256(x.shifted256(t0, 12, x.words(0xf)), x.shifted256(t0, 24, x.words(0xf0)))
		d = x.or256(d, x.shifted256(t1, 4, x.words(0xf00)))
		d = x.or256(d, x.shifted256(t1, 16, x.words(0xf000)))
		s.v["d"] = x.lowHalves256(d)
		s.v["t0"], s.v["t1"] = t0, t1
	}
	f.scale = func(x *program, s *state256, g int) (d, m reg.VecVirtual) {
		return x.oddly256(x.shifted256(s.v["t"+digit(g/8)], 16*(g/4%2)+3*(g%4), x.words(7)), s.v["d"], 0.125), nil
	}
	f.load = func(x *program, s *state256, i, _ int) reg.VecVirtual {
		y, t := x.eights256(s, func(l int) reg.GPVirtual { return x.wordIndex256(f.codebook, s, i, l) }), x.YMM()
		x.eighths256(y)
		// One eighth more or, where the upper bit of a point's four says so, less.
		x.VPBROADCASTD(s.field(32, 2), t)
		x.VPSHUFB(x.words(0, 0, 0, 0, 0x01010101, 0x01010101, 0x01010101, 0x01010101), t, t)
		x.VPAND(x.words(0x08080808, 0x08080808, 0x80808080, 0x80808080), t, t)
		x.VPCMPEQB(x.words(0x08080808, 0x08080808, 0x80808080, 0x80808080), t, t)
		x.VPADDB(t, t, t)
		x.VPADDB(t, y, y)
		x.VPADDB(x.bytes256(9), y, y)
		return y
	}
	return f
}
