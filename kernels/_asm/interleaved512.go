package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// interleaved512 is how four blocks of a row are taken at once where 16 bytes of nibbles make a
// block: a block in each lane of 128 bits. Each dword of the products sums eight weights, so that
// half as much is left to add up as with one block of many rows. One load of 64 bytes has the
// scales of all four blocks, and, where these are at even addresses, the nibbles of three.
type interleaved512 struct {
	size    int   // bytes of a block: four of them are 64 or more
	nibbles int   // where its nibbles begin
	pairs   bool  // a minimum follows the scale
	powers  bool  // the scale is a byte, as of MXFP4
	levels  []int // the codebook, or nil
	off     int   // what is added to its entries
}

const interleaved = 4 // blocks

var (
	interleavedQ4_0  = &interleaved512{size: 18, nibbles: 2}
	interleavedQ4_1  = &interleaved512{size: 20, nibbles: 4, pairs: true}
	interleavedIQ4NL = &interleaved512{size: 18, nibbles: 2, levels: levelsIQ4, off: 128}
	interleavedMXFP4 = &interleaved512{size: 17, nibbles: 1, powers: true, levels: levelsFP4, off: 16}
)

// halfWords is 64 bytes of constant data, given as 16-bit words.
func (x *program) halfWords(w []int) Mem {
	var d [16]uint32
	for i, v := range w {
		d[i/2] |= uint32(v) << (16 * (i % 2))
	}
	return x.words(d[:]...)
}

// begin sets up the constants of the loop.
func (a *interleaved512) begin(x *program, s *state512) {
	s.c["0f"] = x.constZ(0x0f0f0f0f)
	if a.levels != nil {
		b := make([]int, len(a.levels))
		for i, v := range a.levels {
			b[i] = v + a.off
		}
		s.c["levels"] = x.ZMM()
		x.VMOVDQU32(x.bytes(b...), s.c["levels"])
	}
	if a.powers {
		s.beginPowers(x)
	}
	if a.size%2 == 0 {
		// The nibbles of blocks 0 to 2; those of block 3 are loaded by themselves.
		pick := make([]int, 32)
		for i := range 24 {
			pick[i] = (i/8*a.size+a.nibbles)/2 + i%8
		}
		s.c["pick"] = x.ZMM()
		x.VMOVDQU32(x.halfWords(pick), s.c["pick"])
	}
	// The scales of the four blocks, over and over; where a minimum follows, with it.
	each := a.scaleWords()
	scales := make([]int, 32)
	for i := range scales {
		// a byte at an odd address is the upper one of its word
		scales[i] = i%(4*each)/each*a.size/2 + i%each
	}
	s.c["scales"] = x.ZMM()
	x.VMOVDQU32(x.halfWords(scales), s.c["scales"])
	for i := 1; i < 8/each; i++ {
		r, k := x.GP32(), x.K()
		x.MOVL(U32(uint32(uint64(1)<<(4*each)-1)<<(4*each*i)), r)
		x.KMOVD(r, k)
		s.k[maskName(i)] = k
	}
}

// scaleWords is the number of 16-bit words that hold the scale of a block, and its minimum.
func (a *interleaved512) scaleWords() int {
	if a.pairs {
		return 2
	}
	return 1
}

func maskName(i int) string { return string(rune('0' + i)) }

// place lists where the scales of a row's four blocks go: words in two registers, ready for a
// shuffle of both, or pairs of words in four, ready for dwords4x4.
func (a *interleaved512) place(row int) (register string, at int) {
	if a.pairs {
		return "s" + maskName(row%4), row / 4
	}
	return "s" + maskName(row/8), row % 8
}

// step multiplies four blocks of 16 rows with a token and returns the sums of each block, a lane
// per row. It leaves the scales to scale.
func (a *interleaved512) step(x *program, s *state512, q reg.Register) [interleaved]reg.VecVirtual {
	q0, lo, hi := x.ZMM(), x.ZMM(), x.ZMM()
	x.VMOVDQU32(Mem{Base: q}, q0)
	x.VSHUFI64X2(Imm(0x88), Mem{Base: q, Disp: 64}, q0, lo)
	x.VSHUFI64X2(Imm(0xdd), Mem{Base: q, Disp: 64}, q0, hi)
	var quarter [4]reg.VecVirtual
	for i := range quarter {
		var quad [4]reg.VecVirtual
		for j := range quad {
			row := 4*i + j
			w, c, low, high := x.ZMM(), x.ZMM(), x.ZMM(), x.ZMM()
			x.VMOVDQU32(s.rows.at(row, 0), w)
			name, at := a.place(row)
			if at == 0 {
				s.v[name] = x.ZMM()
				x.VPERMW(w, s.c["scales"], s.v[name])
			} else {
				x.VPERMW(w, s.c["scales"], s.k[maskName(at)], s.v[name])
			}
			if a.size%2 == 0 {
				x.VPERMW(w, s.c["pick"], w)
				x.VINSERTI32X4(Imm(3), s.rows.at(row, 3*a.size+a.nibbles), w, w)
			} else {
				x.VMOVDQU32(s.rows.at(row, a.nibbles), w.AsX())
				for b := 1; b < interleaved; b++ {
					x.VINSERTI32X4(Imm(uint64(b)), s.rows.at(row, b*a.size+a.nibbles), w, w)
				}
			}
			x.VPANDD(s.c["0f"], w, low)
			x.VPSRLW(Imm(4), w, high)
			x.VPANDD(s.c["0f"], high, high)
			if a.levels != nil {
				x.VPSHUFB(low, s.c["levels"], low)
				x.VPSHUFB(high, s.c["levels"], high)
			}
			x.zero(c)
			x.VPDPBUSD(lo, low, c)
			x.VPDPBUSD(hi, high, c)
			quad[j] = c
		}
		quarter[i] = x.add4(quad)
	}
	return x.lanes4x4(quarter)
}

// scale sets the scale of block b, and its minimum, as formats of one block have them.
func (a *interleaved512) scale(x *program, s *state512, b int) {
	if a.pairs {
		if b == 0 {
			pairs := x.dwords4x4([4]reg.VecVirtual{s.v["s0"], s.v["s1"], s.v["s2"], s.v["s3"]})
			for i, p := range pairs {
				s.v["p"+maskName(i)] = p
			}
		}
		p := s.v["p"+maskName(b)]
		s.v["d"], s.v["m"] = x.lowHalves(p), x.highHalves(p)
		return
	}
	index := make([]int, 32)
	for row := range 16 {
		index[row] = row/8*32 + row%8*4 + b
	}
	h, d := x.ZMM(), x.ZMM()
	x.VMOVDQU32(x.halfWords(index), h)
	x.VPERMI2W(s.v["s1"], s.v["s0"], h)
	if a.powers {
		if b*a.size%2 == 1 {
			x.VPSRLW(Imm(8), h.AsY(), h.AsY())
		}
		x.VPMOVZXWD(h.AsY(), d)
		s.v["d"] = s.power(x, d)
		return
	}
	x.VCVTPH2PS(h.AsY(), d)
	s.v["d"] = d
}

// gemvInterleaved takes four blocks of each row.
func (x *program) gemvInterleaved(f format512, s *state512, acc reg.VecVirtual, q, meta, next reg.Register) {
	a := f.interleaved
	// All at once, in the order of addresses: these loops are faster than memory, and lines that
	// are asked for one by one among their loads were seen to come a tenth slower.
	for at := 0; at < interleaved*16*a.size; at += 64 {
		x.PREFETCHT1(Mem{Base: next, Disp: at})
	}
	sums := a.step(x, s, q)
	for b, sum := range sums {
		a.scale(x, s, b)
		x.fold512(&f, s, acc, sum, 0, b, meta)
	}
	x.advance(s.rows, interleaved*a.size)
	x.add(interleaved*16*a.size, next)
	x.add(interleaved*32, q)
	x.add(interleaved*actGroup, meta)
}
