package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var formats256 = []format256{
	{name: "Q4_0", weight: 32, size: 18, group: 32, off: 3, most: 15, begin: nibbles256, scales: halves256(0), scale: plain256, load: loadNibbles256(2, 0), pairs: pairNibbles256(2, 0)},
	{name: "Q4_1", weight: 32, size: 20, group: 32, off: -1, min: true, most: 15, begin: nibbles256, scales: halfPairs256(0), scale: plain256, load: loadNibbles256(4, 0), pairs: pairNibbles256(4, 0)},
	{name: "Q5_0", weight: 32, size: 22, group: 32, off: 4, most: 31, begin: fives256, scales: halves256(0), scale: plain256, load: loadFives256(2, 6), pairs: pairFives256(2, 6)},
	{name: "Q5_1", weight: 32, size: 24, group: 32, off: -1, min: true, most: 31, begin: fives256, scales: halfPairs256(0), scale: plain256, load: loadFives256(4, 8), pairs: pairFives256(4, 8)},
	{name: "Q8_0", weight: 32, size: 34, group: 32, off: 7, most: 255, begin: signBits256, scales: halves256(0), scale: plain256, load: loadBytes256(2)},
	{name: "IQ4_NL", weight: 32, size: 18, group: 32, off: 7, most: 255, begin: levels256(128, levelsIQ4), scales: halves256(0), scale: plain256, load: loadLevels256(2, 0), pairs: pairLevels256(2, 0)},
	{name: "MXFP4", weight: 32, size: 17, group: 32, off: 4, most: 28, begin: levels256(16, levelsFP4), scales: powers256, scale: plain256, load: loadLevels256(1, 0), pairs: pairLevels256(1, 0)},
	{name: "Q2_K", weight: 256, size: 84, group: 16, off: -1, min: true, most: 3, begin: nothing256, scales: scalesQ2K256, scale: scaleQ2K256, load: loadTwos256(16)},
	{name: "Q3_K", weight: 256, size: 110, group: 16, off: 2, most: 7, begin: nothing256, scales: scalesQ3K256, scale: scaleQ3K256, load: loadQ3K256},
	{name: "Q4_K", weight: 256, size: 144, group: 32, off: -1, min: true, most: 15, begin: nothing256, scales: scales6x256, scale: scale6x256, load: loadQ4K256},
	{name: "Q5_K", weight: 256, size: 176, group: 32, off: -1, min: true, most: 31, begin: nothing256, scales: scales6x256, scale: scale6x256, load: loadQ5K256},
	{name: "Q6_K", weight: 256, size: 210, group: 16, off: 5, most: 63, begin: nothing256, scales: scalesQ6K256, scale: scaleQ6K256, load: loadQ6K256},
	{name: "IQ4_XS", weight: 256, size: 136, group: 32, off: 7, most: 255, begin: levels256(128, levelsIQ4), scales: scalesIQ4XS256, scale: scaleIQ4XS256, load: loadLevels256(8, 16), pairs: pairLevels256(8, 16)},
	{name: "NVFP4", weight: 64, size: 36, group: 16, off: 4, most: 28, begin: levels256(16, levelsFP4), scales: scalesNVFP4256, scale: scaleNVFP4256, load: loadNVFP4256},
	{name: "TQ1_0", weight: 256, size: 54, group: 32, off: 0, most: 2, begin: nothing256, scales: halvesBefore256(52), scale: plain256, load: loadTQ1256},
	{name: "TQ2_0", weight: 256, size: 66, group: 32, off: 0, most: 3, begin: nothing256, scales: halvesBefore256(64), scale: plain256, load: loadTwos256(0)},
	{name: "Q1_0", weight: 128, size: 18, group: 32, off: 0, most: 2, begin: fives256, scales: halves256(0), scale: plain256, load: loadOnes256},
	{name: "Q2_0", weight: 64, size: 18, group: 32, off: 0, most: 3, begin: nothing256, scales: halves256(0), scale: plain256, load: loadQuarters256},
}

func nothing256(*program, *state256) {}

// Masks of bytes and of dwords.
func (x *program) bytes256(b uint32) Mem { return x.words(b * 0x01010101) }

// Scales of blocks of 32.

// halves256 reads the f16 at disp of 8 rows. The two bytes after the first belong to its block.
func halves256(disp int) func(*program, *state256) {
	return func(x *program, s *state256) {
		h := x.YMM()
		x.load4(s.rows.at(0, disp), h)
		for j := 1; j < 8; j++ {
			x.VPINSRW(Imm(uint64(j)), s.rows.at(j, disp), h.AsX(), h.AsX())
		}
		x.VCVTPH2PS(h.AsX(), h)
		s.v["d"] = h
	}
}

// dwords256 reads the dword at disp of 8 rows.
func (x *program) dwords256(r *rows8, disp int) reg.VecVirtual {
	var v [2]reg.VecVirtual
	for i := range v {
		v[i] = x.YMM()
		x.load4(r.at(4*i, disp), v[i])
		for j := 1; j < 4; j++ {
			x.VPINSRD(Imm(uint64(j)), r.at(4*i+j, disp), v[i].AsX(), v[i].AsX())
		}
	}
	x.VINSERTI128(Imm(1), v[1].AsX(), v[0], v[0])
	return v[0]
}

// lowHalves256, highHalves256 and bothHalves256 convert the f16 in each dword of y into floats.
func (x *program) lowHalves256(y reg.VecVirtual) reg.VecVirtual {
	lo := x.halvesApart256(y)
	x.VCVTPH2PS(lo.AsX(), lo)
	return lo
}

func (x *program) highHalves256(y reg.VecVirtual) reg.VecVirtual {
	t := x.YMM()
	x.VPSRLD(Imm(16), y, t)
	return x.lowHalves256(t)
}

func (x *program) bothHalves256(y reg.VecVirtual) (lo, hi reg.VecVirtual) {
	lo, hi = x.halvesApart256(y), x.YMM()
	x.VEXTRACTI128(Imm(1), lo, hi.AsX())
	x.VCVTPH2PS(hi.AsX(), hi)
	x.VCVTPH2PS(lo.AsX(), lo)
	return lo, hi
}

// halvesApart256 is the low words of 8 dwords, then the high words.
func (x *program) halvesApart256(y reg.VecVirtual) reg.VecVirtual {
	t := x.YMM()
	x.VPSHUFB(x.bytes(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15), y, t)
	x.VPERMQ(Imm(0xd8), t, t)
	return t
}

func halfPairs256(disp int) func(*program, *state256) {
	return func(x *program, s *state256) {
		s.v["d"], s.v["m"] = x.bothHalves256(x.dwords256(s.rows, disp))
	}
}

func plain256(x *program, s *state256, g int) (d, m reg.VecVirtual) { return s.v["d"], s.v["m"] }

// powers256 makes half of 2^(e-127) of the byte that begins a block: as 2^(e-128), and below that
// as a denormal number.
func powers256(x *program, s *state256) {
	e, small, d := x.YMM(), x.YMM(), x.YMM()
	x.VPXOR(e, e, e)
	for j := range 8 {
		x.VPINSRB(Imm(uint64(j)), s.rows.at(j, 0), e.AsX(), e.AsX())
	}
	x.VPMOVZXBD(e.AsX(), e)
	x.VMOVDQU(x.words(0x00200000), small)
	x.VPSLLVD(e, small, small)
	x.VPSUBD(x.words(1), e, d)
	x.VPSLLD(Imm(23), d, d)
	x.VPCMPGTD(x.words(1), e, e)
	x.VBLENDVPS(e, d, small, small)
	s.v["d"] = small
}

// Weights of blocks of 32.

// nibbles256 prepares what makes bytes of 16 bytes' low nibbles, then of their high ones.
func nibbles256(x *program, s *state256) {
	s.c["shift"] = x.constY(0, 0, 0, 0, 4, 4, 4, 4)
	s.c["0f"] = x.constY(0x0f0f0f0f)
}

// loadNibbles256 reads the 16 bytes at disp, and those of chunk c stride·c after.
func loadNibbles256(disp, stride int) func(*program, *state256, int, int) reg.VecVirtual {
	return func(x *program, s *state256, i, c int) reg.VecVirtual {
		y := x.YMM()
		x.VBROADCASTI128(s.rows.at(i, disp+stride*c), y)
		x.VPSRLVD(s.c["shift"], y, y)
		x.VPAND(s.c["0f"], y, y)
		return y
	}
}

// pairNibbles256 does so for two rows: see format256.pairs.
func pairNibbles256(disp, stride int) func(*program, *state256, int, int) [2]reg.VecVirtual {
	return func(x *program, s *state256, i, c int) [2]reg.VecVirtual {
		lo, hi := x.YMM(), x.YMM()
		x.load16(s.rows.at(i, disp+stride*c), lo)
		x.VINSERTI128(Imm(1), s.rows.at(i+4, disp+stride*c), lo, lo)
		x.VPSRLD(Imm(4), lo, hi)
		x.VPAND(s.c["0f"], lo, lo)
		x.VPAND(s.c["0f"], hi, hi)
		return [2]reg.VecVirtual{lo, hi}
	}
}

func fives256(x *program, s *state256) {
	nibbles256(x, s)
	s.c["bits"] = x.constY(0x08040201, 0x80402010)
	s.c["bytes"] = x.constY(0, 0, 0x01010101, 0x01010101, 0x02020202, 0x02020202, 0x03030303, 0x03030303)
}

// bits256 is -1 in each byte whose bit of the 32 at m is set.
func (x *program) bits256(s *state256, m Mem) reg.VecVirtual {
	y := x.YMM()
	x.VPBROADCASTD(m, y)
	x.VPSHUFB(s.c["bytes"], y, y)
	x.VPAND(s.c["bits"], y, y)
	x.VPCMPEQB(s.c["bits"], y, y)
	return y
}

// loadFives256 adds the fifth bits at high to the nibbles at low.
func loadFives256(high, low int) func(*program, *state256, int, int) reg.VecVirtual {
	return func(x *program, s *state256, i, _ int) reg.VecVirtual {
		y := loadNibbles256(low, 0)(x, s, i, 0)
		h := x.bits256(s, s.rows.at(i, high))
		x.VPAND(x.bytes256(0x10), h, h)
		x.VPOR(h, y, y)
		return y
	}
}

func pairFives256(high, low int) func(*program, *state256, int, int) [2]reg.VecVirtual {
	return func(x *program, s *state256, i, _ int) [2]reg.VecVirtual {
		y := pairNibbles256(low, 0)(x, s, i, 0)
		h, other := x.YMM(), x.YMM()
		x.VPBROADCASTD(s.rows.at(i, high), h)
		x.VPBROADCASTD(s.rows.at(i+4, high), other)
		x.VPBLENDD(Imm(0xf0), other, h, h)
		for j, bytes := range [2]Mem{x.words(0, 0, 0x01010101, 0x01010101), x.words(0x02020202, 0x02020202, 0x03030303, 0x03030303)} {
			b := x.YMM()
			x.VPSHUFB(bytes, h, b)
			x.VPAND(s.c["bits"], b, b)
			x.VPCMPEQB(s.c["bits"], b, b)
			x.VPAND(x.bytes256(0x10), b, b)
			x.VPOR(b, y[j], y[j])
		}
		return y
	}
}

func signBits256(x *program, s *state256) {
	if !s.signed {
		s.c["80"] = x.constY(0x80808080)
	}
}

func loadBytes256(disp int) func(*program, *state256, int, int) reg.VecVirtual {
	return func(x *program, s *state256, i, _ int) reg.VecVirtual {
		y := x.YMM()
		if s.signed {
			x.VMOVDQU(s.rows.at(i, disp), y)
		} else {
			x.VPXOR(s.rows.at(i, disp), s.c["80"], y)
		}
		return y
	}
}

func levels256(off int, table []int) func(*program, *state256) {
	return func(x *program, s *state256) {
		nibbles256(x, s)
		b := make([]int, len(table))
		for i, v := range table {
			b[i] = v
			if !s.signed {
				b[i] += off
			}
		}
		s.c["levels"] = x.YMM()
		x.VMOVDQU(x.bytes(b...), s.c["levels"])
	}
}

func loadLevels256(disp, stride int) func(*program, *state256, int, int) reg.VecVirtual {
	return func(x *program, s *state256, i, c int) reg.VecVirtual {
		y := loadNibbles256(disp, stride)(x, s, i, c)
		x.VPSHUFB(y, s.c["levels"], y)
		return y
	}
}

func pairLevels256(disp, stride int) func(*program, *state256, int, int) [2]reg.VecVirtual {
	return func(x *program, s *state256, i, c int) [2]reg.VecVirtual {
		y := pairNibbles256(disp, stride)(x, s, i, c)
		for _, v := range y {
			x.VPSHUFB(v, s.c["levels"], v)
		}
		return y
	}
}

// K-quants.

// headers256 transposes the 16 bytes at disp of 8 rows: out[t] holds dword t of each.
func (x *program) headers256(r *rows8, disp int) [4]reg.VecVirtual {
	var v [4]reg.VecVirtual
	for j := range v {
		v[j] = x.YMM()
		x.load16(r.at(j, disp), v[j])
		x.VINSERTI128(Imm(1), r.at(4+j, disp), v[j], v[j])
	}
	return x.dwords4x4Y(v)
}

// shifted256 is v>>shift & mask; a negative shift is to the left.
func (x *program) shifted256(v reg.VecVirtual, shift int, mask Mem) reg.VecVirtual {
	t := x.YMM()
	switch {
	case shift > 0:
		x.VPSRLD(Imm(uint64(shift)), v, t)
	case shift < 0:
		x.VPSLLD(Imm(uint64(-shift)), v, t)
	default:
		x.VPAND(mask, v, t)
		return t
	}
	x.VPAND(mask, t, t)
	return t
}

// byteOf256 is byte b of each dword, as an integer.
func (x *program) byteOf256(v reg.VecVirtual, b int) reg.VecVirtual {
	if b == 3 {
		t := x.YMM()
		x.VPSRLD(Imm(24), v, t)
		return t
	}
	return x.shifted256(v, 8*b, x.words(0xff))
}

func (x *program) or256(a, b reg.VecVirtual) reg.VecVirtual {
	x.VPOR(b, a, a)
	return a
}

// times256 is float(n)·d.
func (x *program) times256(n, d reg.VecVirtual) reg.VecVirtual {
	x.VCVTDQ2PS(n, n)
	x.VMULPS(d, n, n)
	return n
}

func digit(n int) string { return string(rune('0' + n)) }

// scales6x256 takes the block's beginning apart: d, dmin, and twelve bytes that hold eight scales
// and eight minima of six bits.
func scales6x256(x *program, s *state256) {
	t := x.headers256(s.rows, 0)
	d, min := x.bothHalves256(t[0])
	x.VXORPS(x.words(1<<31), min, min) // minima are subtracted
	s.v["d"], s.v["dmin"] = d, min
	nibble, low, high := x.bytes256(0x0f), x.bytes256(0x3f), x.bytes256(0x30)
	s.v["s1"] = x.or256(x.shifted256(t[3], 0, nibble), x.shifted256(t[1], 2, high))
	s.v["m1"] = x.or256(x.shifted256(t[3], 4, nibble), x.shifted256(t[2], 2, high))
	s.v["s0"] = x.shifted256(t[1], 0, low)
	s.v["m0"] = x.shifted256(t[2], 0, low)
}

func scale6x256(x *program, s *state256, g int) (d, m reg.VecVirtual) {
	n := digit(g / 4)
	return x.times256(x.byteOf256(s.v["s"+n], g%4), s.v["d"]), x.times256(x.byteOf256(s.v["m"+n], g%4), s.v["dmin"])
}

// field256 is some bits of each of 32 bytes at m, from bit shift on; a negative shift is to the
// left.
func (x *program) field256(m Mem, shift int, mask uint32) reg.VecVirtual {
	y := x.YMM()
	x.VMOVDQU(m, y)
	switch {
	case shift > 0:
		x.VPSRLD(Imm(uint64(shift)), y, y)
	case shift < 0:
		x.VPSLLD(Imm(uint64(-shift)), y, y)
	}
	x.VPAND(x.bytes256(mask), y, y)
	return y
}

func loadQ4K256(x *program, s *state256, i, c int) reg.VecVirtual {
	return x.field256(s.rows.at(i, 16+32*(c/2)), 4*(c%2), 0x0f)
}

func loadQ5K256(x *program, s *state256, i, c int) reg.VecVirtual {
	return x.or256(x.field256(s.rows.at(i, 48+32*(c/2)), 4*(c%2), 0x0f), x.field256(s.rows.at(i, 16), c-4, 0x10))
}

func scalesQ6K256(x *program, s *state256) {
	for i, t := range x.headers256(s.rows, 192) {
		s.v["t"+digit(i)] = t
	}
	halvesBefore256(208)(x, s)
}

// halvesBefore256 is halves256 for f16 that end their block: it reads nothing after them.
func halvesBefore256(disp int) func(*program, *state256) {
	return func(x *program, s *state256) { s.v["d"] = x.highHalves256(x.dwords256(s.rows, disp-2)) }
}

func scaleQ6K256(x *program, s *state256, g int) (d, m reg.VecVirtual) {
	t, v := x.YMM(), s.v["t"+digit(g/4)]
	if b := g % 4; b < 3 {
		x.VPSLLD(Imm(uint64(24-8*b)), v, t)
		v = t
	}
	x.VPSRAD(Imm(24), v, t)
	return x.times256(t, s.v["d"]), nil
}

func loadQ6K256(x *program, s *state256, i, c int) reg.VecVirtual {
	n, l := c/4, c%4
	return x.or256(x.field256(s.rows.at(i, 64*n+32*(l%2)), 4*(l/2), 0x0f), x.field256(s.rows.at(i, 128+32*n), 2*l-4, 0x30))
}

// scalesQ3K256 reads the last 16 bytes of a block: two of weights, twelve of scales, and d.
func scalesQ3K256(x *program, s *state256) {
	var v [4]reg.VecVirtual
	for j := range v {
		v[j] = x.YMM()
		x.load16(s.rows.at(j, 94), v[j])
		x.VINSERTI128(Imm(1), s.rows.at(4+j, 94), v[j], v[j])
		x.VPSHUFB(x.bytes(2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1), v[j], v[j])
	}
	t := x.dwords4x4Y(v)
	s.v["d"] = x.lowHalves256(t[3])
	nibble, high := x.bytes256(0x0f), x.bytes256(0x30)
	s.v["t0"] = x.or256(x.shifted256(t[0], 0, nibble), x.shifted256(t[2], -4, high))
	s.v["t1"] = x.or256(x.shifted256(t[1], 0, nibble), x.shifted256(t[2], -2, high))
	s.v["t2"] = x.or256(x.shifted256(t[0], 4, nibble), x.shifted256(t[2], 0, high))
	s.v["t3"] = x.or256(x.shifted256(t[1], 4, nibble), x.shifted256(t[2], 2, high))
}

func scaleQ3K256(x *program, s *state256, g int) (d, m reg.VecVirtual) {
	n := x.byteOf256(s.v["t"+digit(g/4)], g%4)
	x.VPSUBD(x.words(32), n, n)
	return x.times256(n, s.v["d"]), nil
}

func loadQ3K256(x *program, s *state256, i, c int) reg.VecVirtual {
	return x.or256(loadTwos256(32)(x, s, i, c), x.field256(s.rows.at(i, 0), c-2, 0x04))
}

// loadTwos256 is two bits per weight: a byte holds weights 32 apart.
func loadTwos256(disp int) func(*program, *state256, int, int) reg.VecVirtual {
	return func(x *program, s *state256, i, c int) reg.VecVirtual {
		return x.field256(s.rows.at(i, disp+32*(c/4)), 2*(c%4), 0x03)
	}
}

func scalesQ2K256(x *program, s *state256) {
	for i, t := range x.headers256(s.rows, 0) {
		s.v["t"+digit(i)] = t
	}
	d, min := x.bothHalves256(x.dwords256(s.rows, 80))
	x.VXORPS(x.words(1<<31), min, min)
	s.v["d"], s.v["dmin"] = d, min
}

func scaleQ2K256(x *program, s *state256, g int) (d, m reg.VecVirtual) {
	t := s.v["t"+digit(g/4)]
	return x.times256(x.shifted256(t, 8*(g%4), x.words(0xf)), s.v["d"]), x.times256(x.shifted256(t, 8*(g%4)+4, x.words(0xf)), s.v["dmin"])
}

// scalesIQ4XS256 reads d, two bits of scale per group, and four bits of scale per group.
func scalesIQ4XS256(x *program, s *state256) {
	t := x.headers256(s.rows, 0)
	s.v["d"] = x.lowHalves256(t[0])
	s.v["high"], s.v["low"] = t[0], t[1]
}

func scaleIQ4XS256(x *program, s *state256, g int) (d, m reg.VecVirtual) {
	n := x.or256(x.shifted256(s.v["low"], 4*g, x.words(0x0f)), x.shifted256(s.v["high"], 12+2*g, x.words(0x30)))
	x.VPSUBD(x.words(32), n, n)
	return x.times256(n, s.v["d"]), nil
}

// Small formats.

// scalesNVFP4256 reads four bytes of UE4M3 per row.
func scalesNVFP4256(x *program, s *state256) { s.v["e"] = x.dwords256(s.rows, 0) }

// scaleNVFP4256 is half of a UE4M3: its seven bits, as the upper ones of a float, are too small by
// 2^119; also where they make a denormal number. 0x7f, without the eighth, counts as 0.
func scaleNVFP4256(x *program, s *state256, g int) (d, m reg.VecVirtual) {
	e, nan := x.byteOf256(s.v["e"], g), x.YMM()
	x.VPCMPEQD(x.words(0x7f), e, nan)
	x.VPAND(x.words(0x7f), e, e)
	x.VPSLLD(Imm(20), e, e)
	x.VMULPS(x.words(0x7b000000), e, e)
	x.VANDNPS(e, nan, e)
	return e, nil
}

// loadNVFP4256 makes 16 numbers of the low nibbles of eight bytes and their high ones, twice.
func loadNVFP4256(x *program, s *state256, i, c int) reg.VecVirtual {
	y := x.YMM()
	x.VPMOVZXBW(s.rows.at(i, 4+16*c), y)
	h := x.YMM()
	x.VPSLLW(Imm(4), y, h)
	x.VPOR(h, y, y)
	x.VPSHUFB(x.bytes(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15), y, y)
	x.VPAND(s.c["0f"], y, y)
	x.VPSHUFB(y, s.c["levels"], y)
	return y
}

// loadOnes256 is 2 where a bit is set.
func loadOnes256(x *program, s *state256, i, c int) reg.VecVirtual {
	y := x.bits256(s, s.rows.at(i, 2+4*c))
	x.VPAND(x.bytes256(2), y, y)
	return y
}

// loadQuarters256 is two bits per weight, four to a byte.
func loadQuarters256(x *program, s *state256, i, c int) reg.VecVirtual {
	y, h := x.YMM(), x.YMM()
	x.VPMOVZXBD(s.rows.at(i, 2+8*c), y)
	// Each dword: the byte in its lower word, and 4 bits of it moved down in its upper one; then
	// the same, 2 bits moved down, in the upper byte of each.
	x.VPSLLD(Imm(12), y, h)
	x.VPOR(h, y, y)
	x.VPSLLD(Imm(6), y, h)
	x.VPAND(x.words(0x00030003), y, y)
	x.VPAND(x.words(0x03000300), h, h)
	x.VPOR(h, y, y)
	return y
}

// loadTQ1256 is a ternary digit per weight. A byte is a fraction of 1 = 3^5/256 or so: times a
// power of three, its digit is how many thirds it holds. The digits of 32 bytes are five chunks,
// those of the next 16 five half ones, and those of the last four an eighth each.
func loadTQ1256(x *program, s *state256, i, c int) reg.VecVirtual {
	y := x.YMM()
	switch {
	case c < 5:
		x.VMOVDQU(s.rows.at(i, 0), y)
		x.timesThree256(y, c)
	case c < 7:
		x.VBROADCASTI128(s.rows.at(i, 32), y)
		x.timesThree256(y, 2*(c-5))
		h := x.YMM()
		x.VMOVDQA(y, h)
		x.timesThree256(h, 1)
		x.VPBLENDD(Imm(0xf0), h, y, y)
	default:
		x.VBROADCASTI128(s.rows.at(i, 32), y)
		x.timesThree256(y, 4)
		var h [4]reg.VecVirtual
		for l := range h {
			h[l] = x.YMM()
			if l == 0 {
				x.VPBROADCASTD(s.rows.at(i, 48), h[0])
				continue
			}
			x.VMOVDQA(h[l-1], h[l])
			x.timesThree256(h[l], 1)
		}
		for l, v := range h {
			x.VPBLENDD(Imm(uint64(0x10<<l)), v, y, y)
		}
	}
	// Two of three thirds begin at 171/256, one at 86/256.
	one, two := x.YMM(), x.YMM()
	x.VPMAXUB(x.bytes256(86), y, one)
	x.VPCMPEQB(y, one, one)
	x.VPMAXUB(x.bytes256(171), y, two)
	x.VPCMPEQB(y, two, two)
	x.VPADDB(two, one, one)
	x.VPABSB(one, one)
	return one
}

// timesThree256 multiplies bytes n times by three.
func (x *program) timesThree256(y reg.VecVirtual, n int) {
	for range n {
		t := x.YMM()
		x.VPADDB(y, y, t)
		x.VPADDB(t, y, y)
	}
}
