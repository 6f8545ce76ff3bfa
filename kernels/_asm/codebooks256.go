package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// codebook256 is how a format takes its weights from a codebook: points of eight numbers, in IQ3 of
// four, that bits index. What can be done for many rows or points at once, is, and waits in scratch
// memory for the loop over the chunks.
type codebook256 struct {
	// points is the number of points of a row's block whose indices wait in scratch memory as
	// words, 0 if load reads them.
	points int
	// flips, where the codebook holds magnitudes, returns -1 in each byte of row i that is to be
	// negated, up to most in magnitude. rows negate the activations instead; unpack adds off.
	flips func(x *program, s *state256, i int) reg.VecVirtual
	most  int
}

// codebooks256 is the state of kernels with codebooks.
type codebooks256 struct {
	flip  bool          // load is to return magnitudes
	grid  reg.GPVirtual // the codebook
	chunk reg.GPVirtual // the number of the chunk in a loop
	row   reg.GPVirtual // where the block of the row that is being loaded begins

	local Mem           // scratch memory: what belongs to chunks, one after another, then
	words Mem           // the indices, row by row
	index reg.GPVirtual // those of the chunk, of row 0
	own   reg.GPVirtual // what belongs to the chunk: a dword for each row, then vectors of scales
	size  int           // bytes that belong to a chunk
}

// field is at disp in the block of the row that is being loaded, and stride bytes further in each
// chunk.
func (s *state256) field(disp, stride int) Mem {
	return Mem{Base: s.row, Disp: disp, Index: s.chunk, Scale: uint8(stride)}
}

// ofRow is the dword of row i that belongs to the chunk; ofChunk is where those of chunk c are,
// before the loop.
func (s *state256) ofRow(i int) Mem   { return Mem{Base: s.own, Disp: 4 * i} }
func (s *state256) ofChunk(c int) Mem { return Mem{Base: s.own, Disp: c * s.size} }

// scaleOf is where the scale of a group of the block waits.
func (s *state256) scaleOf(f *format256, g int) Mem {
	per := 32 / f.group
	return Mem{Base: s.own, Disp: g/per*s.size + 32*(1+g%per)}
}

// frame256 makes a function with much scratch memory ask for it.
func (x *program) frame256(f *format256) {
	if f.codebook != nil {
		x.Attributes(0)
	}
}

// scratch256 finds scratch memory for a block.
func (x *program) scratch256(f *format256, s *state256) {
	chunks := f.weight / 32
	if s.size == 0 {
		s.size = 32 * (1 + 32/f.group)
		s.local = x.AllocLocal(chunks*s.size + 32)
		s.own = x.GP64()
		if f.codebook.points > 0 {
			s.words = x.AllocLocal(8 * 2 * f.codebook.points)
			s.index = x.GP64()
		}
	}
	x.aligned32(s.local, s.own)
	if f.codebook.points > 0 {
		x.LEAQ(s.words, s.index)
	}
}

// chunks256 runs body for each chunk of a block.
func (x *program) chunks256(f *format256, s *state256, body func()) {
	s.chunk = x.GP64()
	x.XORQ(s.chunk, s.chunk)
	load := f.load
	f.load = func(x *program, s *state256, i, c int) reg.VecVirtual {
		s.row = x.GP64()
		x.LEAQ(s.rows.at(i, 0), s.row)
		y := load(x, s, i, c)
		if f.codebook.flips != nil && !s.flip {
			flips := f.codebook.flips(x, s, i)
			x.VPXOR(flips, y, y)
			x.VPSUBB(flips, y, y)
			x.VPADDB(x.bytes256(1<<f.off), y, y)
		}
		return y
	}
	x.Label("chunks")
	body()
	x.add(s.size, s.own)
	if f.codebook.points > 0 {
		x.add(2*f.codebook.points*32/f.weight, s.index)
	}
	x.INCQ(s.chunk)
	x.CMPQ(s.chunk, Imm(uint64(f.weight/32)))
	x.JLT(LabelRef("chunks"))
	f.load = load
}

// gemvCodebook256 takes a block of each row, one chunk after another.
func (x *program) gemvCodebook256(l level256, f format256, s *state256, acc reg.VecVirtual, q, meta, next reg.Register) {
	s.flip = f.codebook.flips != nil
	x.scratch256(&f, s)
	f.scales(x, s)
	for g := range f.weight / f.group {
		d, _ := f.scale(x, s, g)
		x.VMOVAPS(d, s.scaleOf(&f, g))
	}
	f.scale = func(x *program, s *state256, g int) (d, m reg.VecVirtual) {
		y := x.YMM()
		x.VMOVAPS(s.scaleOf(&f, g), y)
		return y, nil
	}
	x.chunks256(&f, s, func() {
		for at := 0; at < f.size; at += 64 {
			x.PREFETCHT0(Mem{Base: next, Disp: at})
		}
		for i, sum := range x.sums256(l, &f, s, 0, Mem{Base: q}) {
			x.fold256(&f, s, acc, sum, i, i, meta)
		}
		x.add(f.size, next) // an eighth of 8 rows' blocks
		x.add(32, q)
		x.add(actGroup, meta)
	})
	x.advance8(s.rows, f.size)
}

// pointerTo is what a variable of the package points to.
func (x *program) pointerTo(name string) reg.GPVirtual {
	p := x.GP64()
	x.MOVQ(Mem{Symbol: Symbol{Name: "·" + name}, Base: reg.StaticBase}, p)
	return p
}

func grid256(name string) func(*program, *state256) {
	return func(x *program, s *state256) { s.grid = x.pointerTo(name) }
}

// eights256 gathers points of eight bytes.
func (x *program) eights256(s *state256, index func(l int) reg.GPVirtual) reg.VecVirtual {
	point := func(l int) Mem { return Mem{Base: s.grid, Index: index(l).As64(), Scale: 8} }
	var v [2]reg.VecVirtual
	for h := range v {
		v[h] = x.YMM()
		x.load8(point(2*h), v[h])
		x.VPINSRQ(Imm(1), point(2*h+1), v[h].AsX(), v[h].AsX())
	}
	x.VINSERTI128(Imm(1), v[1].AsX(), v[0], v[0])
	return v[0]
}

// fours256 gathers points of four bytes.
func (x *program) fours256(s *state256, index func(l int) reg.GPVirtual) reg.VecVirtual {
	point := func(l int) Mem { return Mem{Base: s.grid, Index: index(l).As64(), Scale: 4} }
	var v [2]reg.VecVirtual
	for h := range v {
		v[h] = x.YMM()
		x.load4(point(4*h), v[h])
		for l := 1; l < 4; l++ {
			x.VPINSRD(Imm(uint64(l)), point(4*h+l), v[h].AsX(), v[h].AsX())
		}
	}
	x.VINSERTI128(Imm(1), v[1].AsX(), v[0], v[0])
	return v[0]
}

// byteIndex256 is an index of eight bits in the block, wordIndex256 one that waits in scratch
// memory.
func byteIndex256(x *program, s *state256, disp, stride int) reg.GPVirtual {
	r := x.GP32()
	x.MOVBLZX(s.field(disp, stride), r)
	return r
}

func (x *program) wordIndex256(f *codebook256, s *state256, i, l int) reg.GPVirtual {
	r := x.GP32()
	x.MOVWLZX(Mem{Base: s.index, Disp: 2 * (f.points*i + l)}, r)
	return r
}

// highs256 lists the bits that extend the byte of an index: those of mask in the words that mul
// makes of pairs of bytes. bytes lists these for the first 16 points; those of further ones are
// step further on.
type highs256 struct {
	at    int // of the bytes, in the block
	wide  bool
	bytes [16][2]int // the bytes of a word; -1 is 0
	step  int
	mul   [8]uint16 // repeated
	mask  uint16
	last  bool // of four points, the last is half of the word itself, a factor that mul cannot have
}

// indices256 writes the indices of all rows, whose bytes are at disp, to scratch memory.
func (x *program) indices256(f *codebook256, s *state256, disp int, h highs256) {
	var mul [4]uint32
	for i := range mul {
		mul[i] = uint32(h.mul[2*i]) | uint32(h.mul[2*i+1])<<16
	}
	for i := range 8 {
		bits := x.YMM()
		if h.wide {
			x.VBROADCASTI128(s.rows.at(i, h.at), bits)
		} else {
			x.VPBROADCASTQ(s.rows.at(i, h.at), bits)
		}
		for n := range f.points / 16 {
			var b [32]int
			for j, pair := range h.bytes {
				for k, v := range pair {
					if v >= 0 {
						v += n * h.step
					}
					b[2*j+k] = v
				}
			}
			high, y := x.YMM(), x.YMM()
			x.VPSHUFB(x.bytes(b[:]...), bits, high)
			if h.last {
				half := x.YMM()
				x.VPSRLW(Imm(1), high, half)
				x.VPMULLW(x.words(mul[:]...), high, high)
				x.VPBLENDW(Imm(0x88), half, high, high)
			} else {
				x.VPMULLW(x.words(mul[:]...), high, high)
			}
			x.VPAND(x.words(uint32(h.mask)*0x10001), high, high)
			x.VPMOVZXBW(s.rows.at(i, disp+16*n), y)
			x.VPOR(high, y, y)
			x.VMOVDQU(y, Mem{Base: s.index, Disp: 2 * (f.points*i + 16*n)})
		}
	}
}

// parity256 completes bytes of seven bits by an eighth that makes their number even.
func (x *program) parity256(b reg.VecVirtual) {
	odd := func(n int) int { return (n ^ n>>1 ^ n>>2 ^ n>>3) & 1 << 7 }
	var table [16]int
	for i := range table {
		table[i] = odd(i)
	}
	t, lo, hi := x.YMM(), x.YMM(), x.YMM()
	x.VMOVDQU(x.bytes(table[:]...), t)
	x.VPSHUFB(b, t, lo)
	x.VPSRLD(Imm(4), b, hi)
	x.VPAND(x.bytes256(7), hi, hi)
	x.VPSHUFB(hi, t, hi)
	x.VPOR(lo, b, b)
	x.VPXOR(hi, b, b)
}

// flips256 is -1 in each byte whose bit of the dword at m is set.
func (x *program) flips256(m Mem) reg.VecVirtual {
	t := x.YMM()
	x.VPBROADCASTD(m, t)
	x.VPSHUFB(x.words(0, 0, 0x01010101, 0x01010101, 0x02020202, 0x02020202, 0x03030303, 0x03030303), t, t)
	x.VPAND(x.words(0x08040201, 0x80402010), t, t)
	x.VPCMPEQB(x.words(0x08040201, 0x80402010), t, t)
	return t
}

// flipsOfRow256 are those that wait in scratch memory, flipsAt256 those in the block.
func flipsOfRow256(x *program, s *state256, i int) reg.VecVirtual { return x.flips256(s.ofRow(i)) }

func flipsAt256(disp int) func(*program, *state256, int) reg.VecVirtual {
	return func(x *program, s *state256, _ int) reg.VecVirtual { return x.flips256(s.field(disp, 4)) }
}

// auxiliary256 reads, of each chunk, a dword with four times seven signs and four bits of scale. It
// leaves the signs and, as an integer, the scale.
func auxiliary256(f *format256, disp, stride int) func(*program, *state256) {
	return func(x *program, s *state256) {
		halves256(0)(x, s)
		for c := range f.weight / 32 {
			a := x.dwords256(s.rows, disp+stride*c)
			b := x.shifted256(a, 0, x.words(0x7f))
			for l := 1; l < 4; l++ {
				b = x.or256(b, x.shifted256(a, -l, x.words(0x7f<<(8*l))))
			}
			x.parity256(b)
			x.VMOVDQA(b, s.ofChunk(c))
			x.VPSRLD(Imm(28), a, a)
			x.VMOVDQA(a, s.scaleOf(f, c))
		}
	}
}
