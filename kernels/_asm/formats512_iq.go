package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The formats with a codebook. Points are looked up one by one, which is most of the work; so the
// code is a loop over units of 64 weights, and what a block packs tightly (indices, signs, scales)
// is spread on the stack before.

var formats512IQ = []format512{
	{name: "IQ1_S", weight: 256, size: 50, group: 32, off: 4, stage: stage512, begin: points8("IQ1S"), scales: stageIQ1S, scale: stagedScale, load: loadIQ1},
	{name: "IQ1_M", weight: 256, size: 56, group: 16, off: 4, stage: stage512, begin: points8("IQ1S"), scales: stageIQ1M, scale: stagedScale, load: loadIQ1},
	{name: "IQ2_XXS", weight: 256, size: 66, group: 32, off: 6, stage: stage512, begin: points8("IQ2XXS"), scales: stageIQ2XXS, scale: stagedScale, load: loadIQ2XXS},
	{name: "IQ2_XS", weight: 256, size: 74, group: 16, off: 6, stage: stage512, begin: points8("IQ2XS"), scales: stageIQ2XS, scale: stagedScale, load: loadIQ2},
	{name: "IQ2_S", weight: 256, size: 82, group: 16, off: 6, stage: stage512, begin: points8("IQ2S"), scales: stageIQ2S, scale: stagedScale, load: loadIQ2},
	{name: "IQ3_XXS", weight: 256, size: 98, group: 32, off: 6, stage: stage512, begin: points4("IQ3XXS"), scales: stageIQ3XXS, scale: stagedScale, load: loadIQ3XXS},
	{name: "IQ3_S", weight: 256, size: 110, group: 32, off: 6, stage: stage512, begin: points4("IQ3S"), scales: stageIQ3S, scale: stagedScale, load: loadIQ3S},
}

// What a block has on the stack, as bytes from its beginning. A unit's part begins with its number
// times 8, times a scale.
const (
	// [16 rows][4 units][8 words], at scale 2; IQ3 [16 rows][4 units][16 words], at scale 4
	stageIndex = 0
	// [16 rows][4 units][8 bytes], at scale 1: a bit per weight, or a byte with a bit per point
	stageSigns = stageIndex + 16*4*32
	// [4 groups of a unit][4 units][16 rows] of floats, at scale 8
	stageScale = stageSigns + 16*4*8
	stage512   = stageScale + 4*4*64
)

// staged addresses the part of the unit.
func (s *state512) staged(disp int, scale uint8) Mem {
	m := s.stage.Offset(disp)
	m.Index, m.Scale = s.unitIndex, scale
	return m
}

// points8 and points4 begin formats whose points are words of 8 or 4 bytes: element j of a register
// takes a point through mask j.
func points8(grid string) func(*program, *state512) {
	return func(x *program, s *state512) {
		s.grid = x.GP64()
		x.MOVQ(Mem{Symbol: Symbol{Name: "·grid" + grid}, Base: reg.StaticBase}, s.grid)
		for j := 2; j < 8; j++ {
			s.k[element(j)] = x.mask(1 << j)
		}
		if grid == "IQ1S" {
			s.c["eighths"], s.c["offset"], s.c["two"] = x.ZMM(), x.constZ(0x09090909), x.constZ(0x02020202)
			x.VMOVDQU32(x.bytes(8, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), s.c["eighths"])
			return
		}
		s.c["zero"], s.c["64"] = x.ZMM(), x.constZ(64*0x01010101)
		x.zero(s.c["zero"])
	}
}

func points4(grid string) func(*program, *state512) { return points8(grid) }

func element(j int) string { return string(rune('0' + j)) }

// gather8 is a register of the eight points whose indices are at index(j).
func (x *program) gather8(s *state512, index func(j int) reg.GPVirtual) reg.VecVirtual {
	z := x.ZMM()
	for j := range 8 {
		m := Mem{Base: s.grid, Index: index(j), Scale: 8}
		switch j {
		case 0:
			x.load8(m, z)
		case 1:
			x.VMOVHPS(m, z.AsX(), z.AsX())
		default:
			x.VPBROADCASTQ(m, s.k[element(j)], z)
		}
	}
	return z
}

// gather4 does the same for 16 points of four.
func (x *program) gather4(s *state512, index func(j int) reg.GPVirtual) reg.VecVirtual {
	var half [2]reg.VecVirtual
	for h := range half {
		z := x.ZMM()
		for j := range 8 {
			m := Mem{Base: s.grid, Index: index(8*h + j), Scale: 4}
			switch j {
			case 0:
				x.load4(m, z)
			case 1:
				x.VPINSRD(Imm(1), m, z.AsX(), z.AsX())
			default:
				x.VPBROADCASTD(m, s.k[element(j)], z.AsY())
			}
		}
		half[h] = z
	}
	x.VINSERTI64X4(Imm(1), half[1].AsY(), half[0], half[0])
	return half[0]
}

// indexWord and indexByte read an index of row i.
func (x *program) indexWord(m Mem) reg.GPVirtual {
	r := x.GP64()
	x.MOVWQZX(m, r)
	return r
}

func (x *program) indexByte(m Mem) reg.GPVirtual {
	r := x.GP64()
	x.MOVBQZX(m, r)
	return r
}

// signed negates the weights of row i whose bits are set and adds 64.
func (x *program) signed(s *state512, i int, z reg.VecVirtual) reg.VecVirtual {
	k := x.K()
	x.KMOVQ(s.staged(stageSigns+32*i, 1), k)
	x.VPSUBB(z, s.c["zero"], k, z)
	x.VPADDB(s.c["64"], z, z)
	return z
}

func loadIQ2(x *program, s *state512, i, _ int) reg.VecVirtual {
	return x.signed(s, i, x.gather8(s, func(j int) reg.GPVirtual { return x.indexWord(s.staged(stageIndex+64*i+2*j, 2)) }))
}

// loadIQ2XXS finds four bytes of index in every eight.
func loadIQ2XXS(x *program, s *state512, i, _ int) reg.VecVirtual {
	return x.signed(s, i, x.gather8(s, func(j int) reg.GPVirtual { return x.indexByte(s.staged(stageIndex+64*i+j+j/4*4, 2)) }))
}

func loadIQ3XXS(x *program, s *state512, i, _ int) reg.VecVirtual {
	return x.signed(s, i, x.gather4(s, func(j int) reg.GPVirtual { return x.indexByte(s.staged(stageIndex+64*i+j, 2)) }))
}

func loadIQ3S(x *program, s *state512, i, _ int) reg.VecVirtual {
	return x.signed(s, i, x.gather4(s, func(j int) reg.GPVirtual { return x.indexWord(s.staged(stageIndex+128*i+2*j, 4)) }))
}

// loadIQ1 converts -1, 0 and 1 into eighths, adds an eighth or subtracts it, and adds 16.
func loadIQ1(x *program, s *state512, i, _ int) reg.VecVirtual {
	z := x.gather8(s, func(j int) reg.GPVirtual { return x.indexWord(s.staged(stageIndex+64*i+2*j, 2)) })
	x.VPSHUFB(z, s.c["eighths"], z) // -1, with its highest bit set, becomes 0
	x.VPADDB(s.c["offset"], z, z)
	k := x.K()
	x.KMOVB(s.staged(stageSigns+32*i, 1), k)
	x.VPSUBQ(s.c["two"], z, k, z) // no byte borrows from the next
	return z
}

// Scales are (n+1/2)·f·d for a few bits n, with f so that they come out whole: every step is exact.

// blockScale reads the f16 that begins a block, times f.
func (x *program) blockScale(r *rows16, f uint32) reg.VecVirtual {
	d := x.halves(r, 0)
	x.VMULPS(x.words(f), d, d)
	return d
}

const (
	quarter = 0x3e800000 // as float32
	half    = 0x3f000000
	two     = 0x40000000
)

// putScale makes the scale of group g of n, integers.
func (x *program) putScale(s *state512, g int, n, d reg.VecVirtual) {
	x.VCVTDQ2PS(n, n)
	x.VADDPS(x.words(half), n, n)
	x.VMULPS(d, n, n)
	in := 64 / s.f.group
	x.VMOVUPS(n, s.stage.Offset(stageScale+g%in*256+g/in*64))
}

func stagedScale(x *program, s *state512, g int) (d, m reg.VecVirtual) {
	z := x.ZMM()
	x.VMOVUPS(s.staged(stageScale+256*g, 8), z)
	return z, nil
}

// bits is n bits of each dword from bit at on.
func (x *program) bits(v reg.VecVirtual, at, n int) reg.VecVirtual {
	t := x.ZMM()
	if at > 0 {
		x.VPSRLD(Imm(uint64(at)), v, t)
		v = t
	}
	if at+n < 32 {
		x.VPANDD(x.words(1<<n-1), v, t)
	}
	return t
}

// putScalesXXS takes the four highest bits of dwords a stride apart, the first at disp, as
// scales.
func (x *program) putScalesXXS(s *state512, disp, stride int, factor uint32) {
	d := x.blockScale(s.rows, factor)
	per := 16 / stride
	for h := range 8 / per {
		t := x.headers(s.rows, disp+4-stride+16*h)
		for j := range per {
			x.putScale(s, per*h+j, x.bits(t[(j+1)*stride/4-1], 28, 4), d)
		}
	}
}

// putScales4 takes the nibbles of dwords as scales, the lowest first.
func (x *program) putScales4(s *state512, factor uint32, words ...reg.VecVirtual) {
	d := x.blockScale(s.rows, factor)
	for g := range 8 * len(words) {
		x.putScale(s, g, x.bits(words[g/8], g%8*4, 4), d)
	}
}

// loadPair is 32 bytes of row i and as many of the next.
func (x *program) loadPair(r *rows16, i, disp int) reg.VecVirtual {
	z := x.ZMM()
	x.load32(r.at(i, disp), z)
	x.VINSERTI64X4(Imm(1), r.at(i+1, disp), z, z)
	return z
}

// putSigns stores the signs of row i and the next.
func (x *program) putSigns(s *state512, i int, z reg.VecVirtual) {
	x.VMOVDQU32(z, s.stage.Offset(stageSigns+32*i))
}

// sevens spreads the low 28 bits of each dword over its bytes.
func (x *program) sevens(z reg.VecVirtual) {
	t := x.ZMM()
	x.VPSLLD(Imm(2), z, t)
	x.VPTERNLOGD(Imm(select512), x.words(0xffff0000), t, z)
	x.VPADDW(z, z, t)
	x.VPTERNLOGD(Imm(select512), x.words(0xff00ff00), t, z)
	x.VPANDD(x.words(0x7f7f7f7f), z, z)
}

// even sets the eighth bit of each byte so that their number is even.
func (x *program) even(z reg.VecVirtual) {
	t := x.ZMM()
	x.VPSRLD(Imm(4), z, t)
	x.VPXORD(z, t, t)
	x.VPANDD(x.words(0x0f0f0f0f), t, t)
	parity := x.ZMM()
	x.VMOVDQU32(x.bytes(0, 128, 128, 0, 128, 0, 0, 128, 128, 0, 0, 128, 0, 128, 128, 0), parity)
	x.VPSHUFB(t, parity, t)
	x.VPORD(t, z, z)
}

func stageIQ2XXS(x *program, s *state512) {
	for i := 0; i < 16; i += 2 {
		a, b, odd := x.ZMM(), x.ZMM(), x.ZMM()
		x.VMOVDQU32(s.rows.at(i, 2), a)
		x.VMOVDQU32(s.rows.at(i+1, 2), b)
		x.VMOVDQU32(a, s.stage.Offset(stageIndex+64*i))
		x.VMOVDQU32(b, s.stage.Offset(stageIndex+64*(i+1)))
		x.VMOVDQU32(x.words(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31), odd)
		x.VPERMT2D(b, odd, a)
		x.sevens(a)
		x.even(a)
		x.putSigns(s, i, a)
	}
	x.putScalesXXS(s, 6, 8, quarter)
}

func stageIQ3XXS(x *program, s *state512) {
	for i := 0; i < 16; i += 2 {
		for j := range 2 {
			z := x.ZMM()
			x.VMOVDQU32(s.rows.at(i+j, 2), z)
			x.VMOVDQU32(z, s.stage.Offset(stageIndex+64*(i+j)))
		}
		z := x.loadPair(s.rows, i, 66)
		x.sevens(z)
		x.even(z)
		x.putSigns(s, i, z)
	}
	x.putScalesXXS(s, 66, 4, half)
}

func stageIQ2XS(x *program, s *state512) {
	for i := 0; i < 16; i += 2 {
		var signs [2]reg.VecVirtual
		for j := range signs {
			z := x.ZMM()
			signs[j] = x.ZMM()
			x.VMOVDQU32(s.rows.at(i+j, 2), z)
			x.VPSRLW(Imm(9), z, signs[j])
			x.VPANDD(x.words(0x01ff01ff), z, z)
			x.VMOVDQU32(z, s.stage.Offset(stageIndex+64*(i+j)))
		}
		z := signs[0]
		x.VPACKUSWB(signs[1], z, z)
		order := x.ZMM()
		x.VMOVDQU32(x.words(0, 0, 2, 0, 4, 0, 6, 0, 1, 0, 3, 0, 5, 0, 7, 0), order)
		x.VPERMQ(z, order, z)
		x.even(z)
		x.putSigns(s, i, z)
	}
	t := x.headers(s.rows, 58)
	x.putScales4(s, quarter, t[2], t[3])
}

// putIndices stores 32 words of the bytes of row i at disp, and the bits 8 to 10 of high that mask
// leaves.
func (x *program) putIndices(s *state512, i, disp int, high reg.VecVirtual, mask uint32) {
	z := x.ZMM()
	x.VPMOVZXBW(s.rows.at(i, disp), z)
	x.VPTERNLOGD(Imm(orAnd), x.words(mask*0x00010001), high, z)
	x.VMOVDQU32(z, s.stage.Offset(stageIndex+64*i))
}

// perLane is 64 bytes: the first 16 are given, and each further 16 are larger by step than the 16
// before, except where a byte is 128 or more.
func (x *program) perLane(step int, b ...int) Mem {
	w := make([]uint32, 16)
	for i := range 64 {
		v := b[i%16]
		if v < 128 {
			v += i / 16 * step
		}
		w[i/4] |= uint32(v) << (8 * (i % 4))
	}
	return x.words(w...)
}

func stageIQ2S(x *program, s *state512) {
	for i := range 16 {
		// Each byte holds the high bits of four points.
		high := x.ZMM()
		x.VPBROADCASTQ(s.rows.at(i, 66), high)
		x.VPSHUFB(x.perLane(2, 128, 0, 128, 0, 128, 0, 128, 0, 128, 1, 128, 1, 128, 1, 128, 1), high, high)
		x.VPSRLVW(x.words(0x00020000, 0x00060004), high, high)
		x.putIndices(s, i, 2, high, 0x0300)
		if i%2 == 0 {
			x.putSigns(s, i, x.loadPair(s.rows, i, 34))
		}
	}
	t := x.headers(s.rows, 66)
	x.putScales4(s, quarter, t[2], t[3])
}

func stageIQ3S(x *program, s *state512) {
	for i := range 16 {
		for h := range 2 {
			z, k := x.ZMM(), x.K()
			x.VPMOVZXBW(s.rows.at(i, 2+32*h), z)
			x.KMOVD(s.rows.at(i, 66+4*h), k)
			x.VPADDW(x.words(0x01000100), z, k, z)
			x.VMOVDQU32(z, s.stage.Offset(stageIndex+128*i+64*h))
		}
		if i%2 == 0 {
			x.putSigns(s, i, x.loadPair(s.rows, i, 74))
		}
	}
	t := x.headers(s.rows, 94)
	x.putScales4(s, two, t[3])
}

// putPointSigns stores a bit per point of row i.
func (x *program) putPointSigns(s *state512, i int, k reg.OpmaskVirtual) {
	r, z := x.GP32(), x.ZMM()
	x.KMOVD(k, r)
	x.VMOVD(r, z.AsX())
	x.VPMOVZXBQ(z.AsX(), z.AsY())
	x.VMOVDQU32(z.AsY(), s.stage.Offset(stageSigns+32*i))
}

func stageIQ1S(x *program, s *state512) {
	for i := range 16 {
		// Each word holds three high bits of four points, three bits of scale, and the sign of the
		// eighth.
		high, k := x.ZMM(), x.K()
		x.VBROADCASTI32X4(s.rows.at(i, 34), high)
		x.VPSHUFB(x.perLane(4, 0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3), high, high)
		x.VPMOVW2M(high, k)
		x.putPointSigns(s, i, k)
		x.VPSRLVW(x.words(0, 0x00010000), high, high)
		x.VPSLLVW(x.words(0x00050008, 0x00000002), high, high)
		x.putIndices(s, i, 2, high, 0x0700)
	}
	d := x.blockScale(s.rows, quarter)
	for g, t := range x.headers(s.rows, 34) {
		x.putScale(s, 2*g, x.bits(t, 12, 3), d)
		x.putScale(s, 2*g+1, x.bits(t, 28, 3), d)
	}
}

func stageIQ1M(x *program, s *state512) {
	for i := range 16 {
		// Each byte holds three high bits and the sign of the eighth of two points.
		high, k := x.ZMM(), x.K()
		x.VBROADCASTI32X4(s.rows.at(i, 32), high)
		x.VPSHUFB(x.perLane(4, 128, 0, 128, 0, 128, 1, 128, 1, 128, 2, 128, 2, 128, 3, 128, 3), high, high)
		x.VPSRLVW(x.words(0x00040000), high, high)
		x.VPTESTMW(x.words(0x08000800), high, k)
		x.putPointSigns(s, i, k)
		x.putIndices(s, i, 0, high, 0x0700)
	}
	// Four words hold four scales each, and in their top nibbles d.
	t := x.headers(s.rows, 40)
	d := x.bits(t[2], 12, 4)
	for _, n := range []struct {
		t           reg.VecVirtual
		shift, mask int
	}{{t[2], 24, 0xf0}, {t[3], 4, 0xf00}, {t[3], 16, 0xf000}} {
		v := x.ZMM()
		x.VPSRLD(Imm(uint64(n.shift)), n.t, v)
		x.VPTERNLOGD(Imm(orAnd), x.words(uint32(n.mask)), v, d)
	}
	d = x.lowHalves(d)
	x.VMULPS(x.words(quarter), d, d)
	for g := range 16 {
		x.putScale(s, g, x.bits(t[2+g/8], g/4%2*16+g%4*3, 3), d)
	}
}
