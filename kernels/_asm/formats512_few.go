package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The formats of few and of unevenly spaced levels.

var formats512Few = []format512{
	{name: "IQ4_XS", weight: 256, size: 136, group: 32, off: 7, crossed: true, begin: beginIQ4XS, scales: scalesIQ4XS, scale: scaleIQ4XS, load: loadIQ4XS},
	{name: "NVFP4", weight: 64, size: 36, group: 16, off: 4, begin: beginNVFP4, scales: scalesNVFP4, scale: scaleNVFP4, load: loadNVFP4},
	{name: "Q1_0", weight: 128, size: 18, group: 32, off: 0, begin: beginQ10, scales: halves(0), scale: plain, load: loadQ10},
	{name: "Q2_0", weight: 64, size: 18, group: 32, off: 0, begin: threes, scales: halves(0), scale: plain, load: loadQ20},
	{name: "TQ1_0", weight: 256, size: 54, group: 32, off: 0, begin: beginTQ10, scales: lastHalves(52), scale: plain, load: loadTQ10},
	{name: "TQ2_0", weight: 256, size: 66, group: 32, off: 0, begin: threes, scales: lastHalves(64), scale: plain, load: loadTwos(0)},
}

// lastHalves reads the f16 at disp of 16 rows, which end their blocks.
func lastHalves(disp int) func(*program, *state512) {
	return func(x *program, s *state512) { s.v["d"] = x.halvesBefore(s.rows, disp) }
}

func beginIQ4XS(x *program, s *state512) {
	levels(0, 128, levelsIQ4)(x, s)
	s.c["shift"] = x.constZ(0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 4, 4, 4, 4, 4)
	s.c["0000000f"], s.c["30"], s.c["32"] = x.constZ(0xf), x.constZ(0x30), x.constZ(32)
}

// scalesIQ4XS reads d, two high bits of eight scales, and four low ones.
func scalesIQ4XS(x *program, s *state512) {
	t := x.headers(s.rows, 0)
	s.v["d"], s.v["high"], s.v["low"] = x.lowHalves(t[0]), t[0], t[1]
}

func scaleIQ4XS(x *program, s *state512, g int) (d, m reg.VecVirtual) {
	n := x.or(x.and(s.v["low"], 4*g, s.c["0000000f"]), x.and(s.v["high"], 16+2*g-4, s.c["30"]))
	x.VPSUBD(s.c["32"], n, n)
	return x.times(n, s.v["d"]), nil
}

// loadIQ4XS reads two groups of 16 bytes: the low nibbles of both, then the high ones.
func loadIQ4XS(x *program, s *state512, i, u int) reg.VecVirtual {
	z := x.loadNibbles32(s, i, 8+32*u)
	x.VPSHUFB(z, s.c["levels"], z)
	return z
}

func beginNVFP4(x *program, s *state512) {
	levels(0, 16, levelsFP4)(x, s)
	s.c["shift"] = x.constZ(0, 0, 4, 4)
	s.c["twice"] = x.constZ(0, 0, 0, 0, 1, 0, 1, 0, 2, 0, 2, 0, 3, 0, 3, 0)
	s.c["7f"] = x.constZ(0x7f7f7f7f)
	s.c["words"] = x.constZ(0x3f803f80)
	s.c["128"] = x.constZ(0x43000000)
}

// scalesNVFP4 makes half of four numbers of four bits of exponent and three of mantissa: as f16 of
// an exponent that is too small by eight, less one. 0x7f is 0.
func scalesNVFP4(x *program, s *state512) {
	e := x.dwords(s.rows, 0)
	k := x.K()
	x.VPCMPUB(Imm(4), s.c["7f"], e, k) // unequal
	x.VMOVDQU8_Z(e, k, e)
	even, odd := x.ZMM(), x.ZMM()
	x.VPSLLD(Imm(7), e, even)
	x.VPANDD(s.c["words"], even, even)
	x.VPSRLD(Imm(1), e, odd)
	x.VPANDD(s.c["words"], odd, odd)
	for i, d := range []reg.VecVirtual{x.lowHalves(even), x.lowHalves(odd), x.highHalves(even), x.highHalves(odd)} {
		x.VMULPS(s.c["128"], d, d)
		s.v["d"+string(rune('0'+i))] = d
	}
}

func scaleNVFP4(x *program, s *state512, g int) (d, m reg.VecVirtual) {
	return s.v["d"+string(rune('0'+g))], nil
}

// loadNVFP4 reads four groups of eight bytes: low nibbles, then high ones.
func loadNVFP4(x *program, s *state512, i, _ int) reg.VecVirtual {
	z := x.ZMM()
	x.load32(s.rows.at(i, 4), z)
	x.VPERMQ(z, s.c["twice"], z)
	x.VPSRLVD(s.c["shift"], z, z)
	x.VPANDD(s.c["0f"], z, z)
	x.VPSHUFB(z, s.c["levels"], z)
	return z
}

func beginQ10(x *program, s *state512) { s.c["02"] = x.constZ(0x02020202) }

func loadQ10(x *program, s *state512, i, u int) reg.VecVirtual {
	k, z := x.K(), x.ZMM()
	x.KMOVQ(s.rows.at(i, 2+8*u), k)
	x.VMOVDQU8_Z(s.c["02"], k, z)
	return z
}

func threes(x *program, s *state512) { s.c["03"] = x.constZ(0x03030303) }

const orThenAnd = 0xa8 // (a|b)&c

// loadQ20 spreads bytes of four weights.
func loadQ20(x *program, s *state512, i, _ int) reg.VecVirtual {
	z, t := x.ZMM(), x.ZMM()
	x.VPMOVZXBD(s.rows.at(i, 2), z)
	x.VPSLLD(Imm(12), z, t)
	x.VPORD(t, z, z)
	x.VPSLLD(Imm(6), z, t)
	x.VPTERNLOGD(Imm(orThenAnd), s.c["03"], t, z)
	return z
}

func beginTQ10(x *program, s *state512) {
	s.c["ff00"] = x.constZ(0xff00ff00)
	s.c["one"], s.c["86"], s.c["171"] = x.constZ(0x01010101), x.constZ(86*0x01010101), x.constZ(171*0x01010101)
	s.k["upper"] = x.upper()
	s.k["last"] = x.mask(0xf000)
}

// loadTQ10 multiplies bytes, which are fractions of 256, with the power of 3 that moves a weight's
// digit after the point: it is 1 from a third on, 2 from two thirds.
func loadTQ10(x *program, s *state512, i, u int) reg.VecVirtual {
	z := x.ZMM()
	power := make([]uint32, 16) // of each dword of bytes
	set := func(from, to int, v ...uint32) {
		for j := from; j < to; j++ {
			power[j] = v[j%len(v)] * 0x00010001
		}
	}
	switch u {
	case 0, 1: // 32 bytes twice
		x.VBROADCASTI64X4(s.rows.at(i, 0), z)
		set(0, 8, []uint32{1, 9}[u])
		set(8, 16, []uint32{3, 27}[u])
	case 2: // these a last time, then 16 bytes twice
		x.load32(s.rows.at(i, 0), z)
		x.VBROADCASTI32X4(s.rows.at(i, 32), s.k["upper"], z)
		set(0, 8, 81)
		set(8, 12, 1)
		set(12, 16, 3)
	case 3: // these three times, then 4 bytes four times
		x.VBROADCASTI32X4(s.rows.at(i, 32), z)
		x.VPBROADCASTD(s.rows.at(i, 48), s.k["last"], z)
		set(0, 4, 9)
		set(4, 8, 27)
		set(8, 12, 81)
		set(12, 16, 1, 3, 9, 27)
	}
	// The low bytes of words are right after one product, the high ones after that of words whose
	// low bytes are 0.
	high := x.ZMM()
	x.VPANDD(s.c["ff00"], z, high)
	x.VPMULLW(x.words(power...), z, z)
	x.VPMULLW(x.words(power...), high, high)
	x.VPTERNLOGD(Imm(select512), s.c["ff00"], high, z)
	one, two := x.K(), x.K()
	x.VPCMPUB(Imm(5), s.c["86"], z, one) // not less
	x.VPCMPUB(Imm(5), s.c["171"], z, two)
	x.VMOVDQU8_Z(s.c["one"], one, z)
	x.VPADDB(s.c["one"], z, two, z)
	return z
}

const select512 = 0xd8 // c ? b : a
