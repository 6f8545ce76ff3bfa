package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var formats512 = []format512{
	{name: "Q4_0", weight: 32, size: 18, group: 32, off: 3, begin: nibbles(2), scales: halves(0), scale: plain, load: loadNibbles(2), interleaved: interleavedQ4_0},
	{name: "Q4_1", weight: 32, size: 20, group: 32, off: -1, min: true, begin: nibbles(4), scales: halfPairs, scale: plain, load: loadNibbles(4), interleaved: interleavedQ4_1},
	{name: "Q5_0", weight: 32, size: 22, group: 32, off: 4, begin: nibbles5, scales: halves(0), scale: plain, load: loadFives(2, 6)},
	{name: "Q5_1", weight: 32, size: 24, group: 32, off: -1, min: true, begin: nibbles5, scales: halfPairs, scale: plain, load: loadFives(4, 8)},
	{name: "Q8_0", weight: 32, size: 34, group: 32, off: 7, begin: signBits, scales: halves(0), scale: plain, load: loadBytes(2)},
	{name: "IQ4_NL", weight: 32, size: 18, group: 32, off: 7, begin: levels(2, 128, levelsIQ4), scales: halves(0), scale: plain, load: loadLevels(2), interleaved: interleavedIQ4NL},
	{name: "MXFP4", weight: 32, size: 17, group: 32, off: 4, begin: levels(1, 16, levelsFP4), scales: powers, scale: plain, load: loadLevels(1), interleaved: interleavedMXFP4},
	{name: "Q4_K", weight: 256, size: 144, group: 32, off: -1, min: true, begin: beginQ4K, scales: scales6, scale: scale6, load: loadQ4K},
	{name: "Q5_K", weight: 256, size: 176, group: 32, off: -1, min: true, begin: beginQ5K, scales: scales6, scale: scale6, load: loadQ5K},
	{name: "Q6_K", weight: 256, size: 210, group: 16, off: 5, begin: beginQ6K, scales: scalesQ6K, scale: scaleQ6K, load: loadQ6K},
	{name: "Q3_K", weight: 256, size: 110, group: 16, off: 2, begin: beginQ3K, scales: scalesQ3K, scale: scaleQ3K, load: loadQ3K},
	{name: "Q2_K", weight: 256, size: 84, group: 16, off: -1, min: true, begin: beginQ2K, scales: scalesQ2K, scale: scaleQ2K, load: loadTwos(16)},
}

var (
	levelsIQ4 = []int{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	levelsFP4 = []int{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
)

// Scales of blocks of 32.

// halves reads the f16 at disp of 16 rows.
func halves(disp int) func(*program, *state512) {
	return func(x *program, s *state512) { s.v["d"] = x.halves(s.rows, disp) }
}

func (x *program) halves(r *rows16, disp int) reg.VecVirtual {
	var h [2]reg.VecVirtual
	for i := range h {
		h[i] = x.ZMM()
		// the two bytes after the half float belong to its block and are overwritten
		x.load4(r.at(8*i, disp), h[i])
		for j := 1; j < 8; j++ {
			x.VPINSRW(Imm(uint64(j)), r.at(8*i+j, disp), h[i].AsX(), h[i].AsX())
		}
	}
	x.VINSERTI128(Imm(1), h[1].AsX(), h[0].AsY(), h[0].AsY())
	z := x.ZMM()
	x.VCVTPH2PS(h[0].AsY(), z)
	return z
}

// dwords reads the dword at disp of 16 rows.
func (x *program) dwords(r *rows16, disp int) reg.VecVirtual {
	z := x.ZMM()
	for i := range 4 {
		v := z
		if i > 0 {
			v = x.ZMM()
		}
		x.load4(r.at(4*i, disp), v)
		for j := 1; j < 4; j++ {
			x.VPINSRD(Imm(uint64(j)), r.at(4*i+j, disp), v.AsX(), v.AsX())
		}
		if i > 0 {
			x.VINSERTI32X4(Imm(uint64(i)), v.AsX(), z, z)
		}
	}
	return z
}

// lowHalves and highHalves convert the f16 in each dword of z into floats.
func (x *program) lowHalves(z reg.VecVirtual) reg.VecVirtual {
	y, out := x.YMM(), x.ZMM()
	x.VPMOVDW(z, y)
	x.VCVTPH2PS(y, out)
	return out
}

func (x *program) highHalves(z reg.VecVirtual) reg.VecVirtual {
	t := x.ZMM()
	x.VPSRLD(Imm(16), z, t)
	return x.lowHalves(t)
}

func halfPairs(x *program, s *state512) {
	z := x.dwords(s.rows, 0)
	s.v["d"], s.v["m"] = x.lowHalves(z), x.highHalves(z)
}

func plain(x *program, s *state512, g int) (d, m reg.VecVirtual) {
	return s.v["d"], s.v["m"]
}

// powers reads the byte that begins a block.
func powers(x *program, s *state512) {
	s.v["d"] = s.power(x, x.dwords(s.rows, 0)) // what is after the byte is of the same block
}

// power makes half of 2^(e-127) of the lowest byte of each dword: as 2^(e-128), and below that as a
// denormal number.
func (s *state512) power(x *program, e reg.VecVirtual) reg.VecVirtual {
	x.VPANDD(s.c["ff"], e, e)
	small, d := x.ZMM(), x.ZMM()
	x.VPMINUD(s.c["two"], e, small)
	x.VPSLLVD(small, s.c["small"], small)
	x.VPSUBD(s.c["one"], e, d)
	x.VPSLLD(Imm(23), d, d)
	x.VPMAXSD(small, d, d) // from e = 2 on, small is at most as large
	return d
}

func (s *state512) beginPowers(x *program) {
	s.c["one"], s.c["two"], s.c["small"], s.c["ff"] = x.constZ(1), x.constZ(2), x.constZ(0x00200000), x.constZ(0xff)
}

// Weights of blocks of 32.

// nibbles needs [lo 16 | hi 16] of two rows.
func nibbles(int) func(*program, *state512) {
	return func(x *program, s *state512) {
		s.c["shift"] = x.constZ(0, 0, 0, 0, 4, 4, 4, 4)
		s.c["0f"] = x.constZ(0x0f0f0f0f)
		s.k["upper"] = x.upper()
	}
}

// upper masks the upper eight dwords.
func (x *program) upper() reg.OpmaskVirtual { return x.mask(0xff00) }

func (x *program) mask(lanes uint32) reg.OpmaskVirtual {
	r, k := x.GP32(), x.K()
	x.MOVL(U32(lanes), r)
	x.KMOVW(r, k)
	return k
}

func loadNibbles(disp int) func(*program, *state512, int, int) reg.VecVirtual {
	return func(x *program, s *state512, i, _ int) reg.VecVirtual {
		z := x.ZMM()
		x.VBROADCASTI32X4(s.rows.at(i, disp), z)
		x.VBROADCASTI32X4(s.rows.at(i+4, disp), s.k["upper"], z)
		x.VPSRLVD(s.c["shift"], z, z)
		x.VPANDD(s.c["0f"], z, z)
		return z
	}
}

func nibbles5(x *program, s *state512) {
	nibbles(0)(x, s)
	s.c["10"] = x.constZ(0x10101010)
}

// loadFives adds the fifth bits at high to the nibbles at low.
func loadFives(high, low int) func(*program, *state512, int, int) reg.VecVirtual {
	return func(x *program, s *state512, i, _ int) reg.VecVirtual {
		z := loadNibbles(low)(x, s, i, 0)
		a, b := x.K(), x.K()
		x.KMOVD(s.rows.at(i, high), a)
		x.KMOVD(s.rows.at(i+4, high), b)
		x.KUNPCKDQ(a, b, a)
		x.VPADDB(s.c["10"], z, a, z)
		return z
	}
}

func signBits(x *program, s *state512) { s.c["80"] = x.constZ(0x80808080) }

func loadBytes(disp int) func(*program, *state512, int, int) reg.VecVirtual {
	return func(x *program, s *state512, i, _ int) reg.VecVirtual {
		z := x.ZMM()
		x.load32(s.rows.at(i, disp), z)
		x.VINSERTI64X4(Imm(1), s.rows.at(i+4, disp), z, z)
		x.VPXORD(s.c["80"], z, z)
		return z
	}
}

func levels(disp, off int, table []int) func(*program, *state512) {
	return func(x *program, s *state512) {
		nibbles(disp)(x, s)
		b := make([]int, len(table))
		for i, v := range table {
			b[i] = v + off
		}
		s.c["levels"] = x.ZMM()
		x.VMOVDQU32(x.bytes(b...), s.c["levels"])
		if off == 16 {
			s.beginPowers(x)
		}
	}
}

func loadLevels(disp int) func(*program, *state512, int, int) reg.VecVirtual {
	return func(x *program, s *state512, i, u int) reg.VecVirtual {
		z := loadNibbles(disp)(x, s, i, u)
		x.VPSHUFB(z, s.c["levels"], z)
		return z
	}
}

// K-quants.

// headers transposes the 16 bytes at disp of 16 rows: out[t] holds dword t of each.
func (x *program) headers(r *rows16, disp int) [4]reg.VecVirtual {
	return x.headersShuffled(r, disp, nil)
}

// headersShuffled does the same after a shuffle of each row's bytes.
func (x *program) headersShuffled(r *rows16, disp int, shuffle reg.VecVirtual) [4]reg.VecVirtual {
	var v [4]reg.VecVirtual
	for j := range v {
		v[j] = x.ZMM()
		x.load16(r.at(j, disp), v[j])
		for i := 1; i < 4; i++ {
			x.VINSERTI32X4(Imm(uint64(i)), r.at(4*i+j, disp), v[j], v[j])
		}
		if shuffle != nil {
			x.VPSHUFB(shuffle, v[j], v[j])
		}
	}
	return x.dwords4x4(v)
}

// and is v>>shift & mask.
func (x *program) and(v reg.VecVirtual, shift int, mask reg.VecVirtual) reg.VecVirtual {
	t := x.ZMM()
	if shift == 0 {
		x.VPANDD(mask, v, t)
		return t
	}
	x.VPSRLD(Imm(uint64(shift)), v, t)
	x.VPANDD(mask, t, t)
	return t
}

func (x *program) or(a, b reg.VecVirtual) reg.VecVirtual {
	x.VPORD(b, a, a)
	return a
}

func (x *program) shl(v reg.VecVirtual, n int) reg.VecVirtual {
	x.VPSLLD(Imm(uint64(n)), v, v)
	return v
}

// byteOf is byte b of each dword, as an integer.
func (x *program) byteOf(v reg.VecVirtual, b int, ff reg.VecVirtual) reg.VecVirtual {
	t := x.ZMM()
	switch b {
	case 0:
		x.VPANDD(ff, v, t)
	case 3:
		x.VPSRLD(Imm(24), v, t)
	default:
		x.VPSRLD(Imm(uint64(8*b)), v, t)
		x.VPANDD(ff, t, t)
	}
	return t
}

// times is float(n)·d.
func (x *program) times(n, d reg.VecVirtual) reg.VecVirtual {
	x.VCVTDQ2PS(n, n)
	x.VMULPS(d, n, n)
	return n
}

func beginQ4K(x *program, s *state512) {
	s.c["shift"] = x.constZ(0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 4, 4, 4, 4, 4)
	s.c["0f"] = x.constZ(0x0f0f0f0f)
	s.c["ff"] = x.constZ(0xff)
	s.c["3f"] = x.constZ(0x3f3f3f3f)
	s.c["30"] = x.constZ(0x30303030)
	s.c["sign"] = x.constZ(0x80000000)
}

// scales6 takes the block's beginning apart: d, dmin, and twelve bytes that hold eight scales and
// eight minima of six bits.
func scales6(x *program, s *state512) {
	t := x.headers(s.rows, 0)
	s.v["d"] = x.lowHalves(t[0])
	min := x.highHalves(t[0])
	x.VPXORD(s.c["sign"], min, min) // minima are subtracted
	s.v["dmin"] = min
	s.v["s0"] = x.and(t[1], 0, s.c["3f"])
	s.v["m0"] = x.and(t[2], 0, s.c["3f"])
	s.v["s1"] = x.or(x.and(t[3], 0, s.c["0f"]), x.and(t[1], 2, s.c["30"]))
	s.v["m1"] = x.or(x.and(t[3], 4, s.c["0f"]), x.and(t[2], 2, s.c["30"]))
}

func scale6(x *program, s *state512, g int) (d, m reg.VecVirtual) {
	n := string(rune('0' + g/4))
	return x.times(x.byteOf(s.v["s"+n], g%4, s.c["ff"]), s.v["d"]), x.times(x.byteOf(s.v["m"+n], g%4, s.c["ff"]), s.v["dmin"])
}

func loadQ4K(x *program, s *state512, i, u int) reg.VecVirtual {
	return x.loadNibbles32(s, i, 16+32*u)
}

// loadNibbles32 is the low nibbles of 32 bytes, then the high ones.
func (x *program) loadNibbles32(s *state512, i, disp int) reg.VecVirtual {
	z := x.ZMM()
	x.VBROADCASTI64X4(s.rows.at(i, disp), z)
	x.VPSRLVD(s.c["shift"], z, z)
	x.VPANDD(s.c["0f"], z, z)
	return z
}

// halfConst is 32 bytes of one dword, then 32 of another.
func halfConst(x *program, lo, hi uint32) Mem {
	return x.words(lo, lo, lo, lo, lo, lo, lo, lo, hi, hi, hi, hi, hi, hi, hi, hi)
}

const orAnd = 0xf8 // a | b&c

// insert sets in z the bits of mask that v has after a rotation of its lower and its upper half to
// the left.
func (x *program) insert(z, v reg.VecVirtual, lo, hi int, mask reg.VecVirtual) {
	t := x.ZMM()
	x.VPROLVD(halfConst(x, uint32(lo)&31, uint32(hi)&31), v, t)
	x.VPTERNLOGD(Imm(orAnd), mask, t, z)
}

func beginQ5K(x *program, s *state512) {
	beginQ4K(x, s)
	s.c["10"] = x.constZ(0x10101010)
}

func loadQ5K(x *program, s *state512, i, u int) reg.VecVirtual {
	z := x.loadNibbles32(s, i, 48+32*u)
	h := x.ZMM()
	x.VBROADCASTI64X4(s.rows.at(i, 16), h)
	x.insert(z, h, 4-2*u, 3-2*u, s.c["10"])
	return z
}

func beginQ6K(x *program, s *state512) {
	s.c["0f"] = x.constZ(0x0f0f0f0f)
	s.c["30"] = x.constZ(0x30303030)
}

func scalesQ6K(x *program, s *state512) {
	t := x.headers(s.rows, 192)
	for i, n := range []string{"t0", "t1", "t2", "t3"} {
		s.v[n] = t[i]
	}
	s.v["d"] = x.halvesBefore(s.rows, 208)
}

// halvesBefore is halves for f16 that end their block: it reads nothing after them.
func (x *program) halvesBefore(r *rows16, disp int) reg.VecVirtual {
	z := x.dwords(r, disp-2)
	return x.highHalves(z)
}

func scaleQ6K(x *program, s *state512, g int) (d, m reg.VecVirtual) {
	t := x.ZMM()
	v := s.v["t"+string(rune('0'+g/4))]
	if b := g % 4; b < 3 {
		x.VPSLLD(Imm(uint64(24-8*b)), v, t)
		v = t
	}
	x.VPSRAD(Imm(24), v, t)
	return x.times(t, s.v["d"]), nil
}

func loadQ6K(x *program, s *state512, i, u int) reg.VecVirtual {
	n, h := u/2, u%2
	z, high := x.ZMM(), x.ZMM()
	if h == 0 {
		x.VPANDD(s.rows.at(i, 64*n), s.c["0f"], z)
	} else {
		x.VPSRLD(Imm(4), s.rows.at(i, 64*n), z)
		x.VPANDD(s.c["0f"], z, z)
	}
	x.VBROADCASTI64X4(s.rows.at(i, 128+32*n), high)
	x.insert(z, high, 4-4*h, 2-4*h, s.c["30"])
	return z
}

func beginQ3K(x *program, s *state512) {
	s.c["03"] = x.constZ(0x03030303)
	s.c["04"] = x.constZ(0x04040404)
	s.c["0f"] = x.constZ(0x0f0f0f0f)
	s.c["30"] = x.constZ(0x30303030)
	s.c["ff"] = x.constZ(0xff)
	s.c["32"] = x.constZ(32)
	s.c["align"] = x.ZMM()
	x.VMOVDQU32(x.bytes(2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1), s.c["align"])
}

// scalesQ3K reads the last 16 bytes of a block: two of weights, twelve of scales, and d.
func scalesQ3K(x *program, s *state512) {
	t := x.headersShuffled(s.rows, 94, s.c["align"])
	s.v["d"] = x.lowHalves(t[3])
	high := func(shift int) reg.VecVirtual {
		v := x.ZMM()
		if shift >= 0 {
			x.VPSRLD(Imm(uint64(shift)), t[2], v)
		} else {
			x.VPSLLD(Imm(uint64(-shift)), t[2], v)
		}
		x.VPANDD(s.c["30"], v, v)
		return v
	}
	s.v["t0"] = x.or(x.and(t[0], 0, s.c["0f"]), high(-4))
	s.v["t1"] = x.or(x.and(t[1], 0, s.c["0f"]), high(-2))
	hi2 := x.and(t[2], 0, s.c["30"])
	s.v["t2"] = x.or(x.and(t[0], 4, s.c["0f"]), hi2)
	s.v["t3"] = x.or(x.and(t[1], 4, s.c["0f"]), high(2))
}

func scaleQ3K(x *program, s *state512, g int) (d, m reg.VecVirtual) {
	n := x.byteOf(s.v["t"+string(rune('0'+g/4))], g%4, s.c["ff"])
	x.VPSUBD(s.c["32"], n, n)
	return x.times(n, s.v["d"]), nil
}

func loadQ3K(x *program, s *state512, i, u int) reg.VecVirtual {
	z := loadTwos(32)(x, s, i, u)
	h := x.ZMM()
	x.VBROADCASTI64X4(s.rows.at(i, 0), h)
	bit := 4*(u/2) + 2*(u%2)
	x.insert(z, h, 2-bit, 1-bit, s.c["04"])
	return z
}

// loadTwos is two bits per weight: a byte holds weights 32 apart, and two neighbours of these are a
// unit.
func loadTwos(disp int) func(*program, *state512, int, int) reg.VecVirtual {
	return func(x *program, s *state512, i, u int) reg.VecVirtual {
		z := x.ZMM()
		x.VBROADCASTI64X4(s.rows.at(i, disp+32*(u/2)), z)
		l := uint32(4 * (u % 2))
		x.VPSRLVD(halfConst(x, l, l+2), z, z)
		x.VPANDD(s.c["03"], z, z)
		return z
	}
}

func beginQ2K(x *program, s *state512) {
	s.c["03"] = x.constZ(0x03030303)
	s.c["0f"] = x.constZ(0xf)
	s.c["sign"] = x.constZ(0x80000000)
}

func scalesQ2K(x *program, s *state512) {
	t := x.headers(s.rows, 0)
	for i, n := range []string{"t0", "t1", "t2", "t3"} {
		s.v[n] = t[i]
	}
	d := x.dwords(s.rows, 80)
	s.v["d"] = x.lowHalves(d)
	min := x.highHalves(d)
	x.VPXORD(s.c["sign"], min, min)
	s.v["dmin"] = min
}

func scaleQ2K(x *program, s *state512, g int) (d, m reg.VecVirtual) {
	t := s.v["t"+string(rune('0'+g/4))]
	return x.times(x.and(t, 8*(g%4), s.c["0f"]), s.v["d"]), x.times(x.and(t, 8*(g%4)+4, s.c["0f"]), s.v["dmin"])
}
