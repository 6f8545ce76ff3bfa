package main

import (
	"fmt"
	"slices"

	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/reg"
	"github.com/mmcloughlin/avo/x86"
)

// level256 is a level with tiles of 8 weight rows, one output per lane of a YMM register. The
// levels avx2 and avxvnni differ in how they multiply bytes.
type level256 struct {
	suffix string
	vnni   bool
}

// avx2 multiplies bytes by VPMADDUBSW, which adds two products in 16 bits, then VPMADDWD. Sums stay
// in 16 bits for as many products as fit: see format256.depth.
func avx2(x *program) {
	l := level256{suffix: "AVX2"}
	formats := slices.Concat(formats256, formatsIQ256)
	for _, f := range formats {
		x.gemv256(l, f)
		x.pack256(l, f)
	}
	done := map[panel256]bool{}
	for _, f := range formats {
		p := panel256{group: f.group, min: f.min, depth: f.depth(), tiles: 2}
		if done[p] {
			continue
		}
		done[p] = true
		for tokens := 1; tokens <= 4; tokens++ {
			x.panel256(l, p, tokens)
		}
	}
}

// avxvnni multiplies bytes by VPDPBUSD, which adds four products in 32 bits.
func avxvnni(x *program) {
	l := level256{suffix: "AVXVNNI", vnni: true}
	for _, f := range slices.Concat(formats256, formatsIQ256) {
		x.gemv256(l, f)
		if f.full() { // where the level below unpacks otherwise
			x.pack256(l, f)
		}
	}
	for _, group := range []int{16, 32} {
		for _, min := range []bool{false, true} {
			for tokens := 1; tokens <= 4; tokens++ {
				x.panel256(l, panel256{group: group, min: min, tiles: 3}, tokens)
			}
		}
	}
}

// rows8 addresses 8 rows: row 4i+j is at p[i] + j·stride.
type rows8 struct {
	p       [2]reg.GPVirtual
	st, st3 reg.GPVirtual
	disp    int // added to every address
}

func (x *program) rows8(w, stride reg.Register) *rows8 {
	r := &rows8{p: [2]reg.GPVirtual{x.GP64(), x.GP64()}, st: x.GP64(), st3: x.GP64()}
	x.MOVQ(stride, r.st)
	x.LEAQ(Mem{Base: r.st, Index: r.st, Scale: 2}, r.st3)
	x.MOVQ(w, r.p[0])
	x.LEAQ(Mem{Base: r.p[0], Index: r.st, Scale: 4}, r.p[1])
	return r
}

func (r *rows8) at(row, disp int) Mem {
	m := Mem{Base: r.p[row/4], Disp: r.disp + disp}
	switch row % 4 {
	case 1:
		m.Index, m.Scale = r.st, 1
	case 2:
		m.Index, m.Scale = r.st, 2
	case 3:
		m.Index, m.Scale = r.st3, 1
	}
	return m
}

// format256 is a block format as a tile of 8 rows sees it.
type format256 struct {
	name   string
	weight int  // weights per block
	size   int  // bytes per block
	group  int  // weights that share a scale
	min    bool // a minimum is added per group
	off    int  // log2 of what the bytes of a weight are too large by; -1: nothing
	most   int  // the largest byte that load returns

	// codebook, where weights are points of a codebook, makes the kernels loop over the chunks of a
	// block. load's c is then 0.
	codebook *codebook256

	// begin sets up constants, before the loop over blocks.
	begin func(x *program, s *state256)
	// scales prepares the scales of a block of all 8 rows.
	scales func(x *program, s *state256)
	// scale returns the scale of group g of the block, and its minimum or nil: a lane per row.
	scale func(x *program, s *state256, g int) (d, m reg.VecVirtual)
	// load returns weights 32c to 32c+31 of row i as bytes.
	load func(x *program, s *state256, i, c int) reg.VecVirtual
	// pairs, where weights are stored so, returns weights 32c to 32c+15 of row i and of row i+4,
	// then the next 16 of both.
	pairs func(x *program, s *state256, i, c int) [2]reg.VecVirtual
}

// state256 is what the parts of a kernel share.
type state256 struct {
	rows   *rows8
	signed bool                      // load is to return signed bytes
	c      map[string]reg.VecVirtual // constants
	v      map[string]reg.VecVirtual // of the block

	codebooks256
}

// full reports whether the weights take all of a byte. VPMADDUBSW would saturate: the instruction
// set avx2 takes such weights as signed bytes, and multiplies their magnitudes with activations
// that bear their signs.
func (f *format256) full() bool { return f.most > 127 }

// depth is the number of VPMADDUBSW whose sums fit in 16 bits, as a power of two; 0 stands for
// signed bytes.
func (f *format256) depth() int {
	if f.full() {
		return 0
	}
	return min(depthOf(f.most), f.group/4)
}

func depthOf(most int) int { return 1 << log2((1<<15-1)/(2*127*most)) }

// log2 is rounded down.
func log2(n int) int {
	i := 0
	for ; n > 1; n /= 2 {
		i++
	}
	return i
}

func (x *program) start256(l level256, f *format256, w, stride reg.Register) *state256 {
	s := &state256{rows: x.rows8(w, stride), signed: f.full() && !l.vnni, c: map[string]reg.VecVirtual{}, v: map[string]reg.VecVirtual{}}
	f.begin(x, s)
	return s
}

func (x *program) advance8(r *rows8, n int) {
	for _, p := range r.p {
		x.add(n, p)
	}
}

// constY is a register that holds 32 bytes of constant data.
func (x *program) constY(w ...uint32) reg.VecVirtual {
	y := x.YMM()
	x.VMOVDQU(x.words(w...), y)
	return y
}

// gemv256 multiplies 8 rows, where they are stored, with one token.
func (x *program) gemv256(l level256, f format256) {
	x.function("gemv"+f.name+l.suffix, "(dst *float32, w *byte, stride, blocks int, q *int8, groups *actGroup)",
		fmt.Sprintf("gemv%s%s sets dst[r] to the product of row r of w with a token, for 8 rows.", f.name, l.suffix))
	x.frame256(&f)
	w, stride := x.arg("w"), x.arg("stride")
	q, meta := x.arg("q"), x.arg("groups")
	next := x.GP64() // the rows after these, fetched in the order of addresses
	x.MOVQ(stride, next)
	x.SHLQ(Imm(3), next)
	x.ADDQ(w, next)
	s := x.start256(l, &f, w, stride)
	blocks := x.argMem("blocks")
	acc := x.YMM()
	x.VPXOR(acc, acc, acc)

	// Short blocks go by some at a time, so that what is fetched of a row is used at once.
	if some := 128 / f.weight; some > 1 {
		x.Label("some")
		x.CMPQ(blocks, U8(some))
		x.JLT(LabelRef("rest"))
		x.gemvStep256(l, f, s, acc, some, q, meta, next)
		x.SUBQ(U8(some), blocks)
		x.JMP(LabelRef("some"))
		x.Label("rest")
		x.CMPQ(blocks, U8(0))
		x.JEQ(LabelRef("end"))
	}
	x.Label("loop")
	x.gemvStep256(l, f, s, acc, 1, q, meta, next)
	x.DECQ(blocks)
	x.JNZ(LabelRef("loop"))
	x.Label("end")
	dst := x.arg("dst")
	x.VMOVUPS(acc, Mem{Base: dst})
	x.VZEROUPPER()
	x.RET()
}

// gemvStep256 takes n blocks of each row.
func (x *program) gemvStep256(l level256, f format256, s *state256, acc reg.VecVirtual, n int, q, meta, next reg.Register) {
	if f.codebook != nil {
		x.gemvCodebook256(l, f, s, acc, q, meta, next)
		return
	}
	// Fetches are spread over the loads: too many at once would have to wait for each other.
	loads, bytes := n*f.weight/32*8, n*f.size*8
	done, line := 0, 0
	fetch := func(n int) {
		for done += n; line*64*loads < bytes*done; line++ {
			x.PREFETCHT0(Mem{Base: next, Disp: 64 * line})
		}
	}
	load, pairs := f.load, f.pairs
	f.load = func(x *program, s *state256, i, c int) reg.VecVirtual {
		fetch(1)
		return load(x, s, i, c)
	}
	if pairs != nil {
		f.pairs = func(x *program, s *state256, i, c int) [2]reg.VecVirtual {
			fetch(2)
			return pairs(x, s, i, c)
		}
	}
	for b := range n {
		s.rows.disp = b * f.size
		f.scales(x, s)
		for c := range f.weight / 32 {
			at := b*f.weight/32 + c // of the chunks of 32 weights
			for i, sum := range x.sums256(l, &f, s, c, Mem{Base: q, Disp: 32 * at}) {
				per := 32 / f.group
				x.fold256(&f, s, acc, sum, per*c+i, per*at+i, meta)
			}
		}
	}
	s.rows.disp = 0
	x.advance8(s.rows, n*f.size)
	x.add(bytes, next)
	x.add(n*f.weight, q)
	x.add(n*f.weight/32*actGroup, meta)
}

// aligned32 is the first address in m that is a multiple of 32.
func (x *program) aligned32(m Mem, p reg.GPVirtual) {
	x.LEAQ(m.Offset(31), p)
	x.ANDQ(I8(-32), p)
}

// fold256 adds a group's contribution to acc: acc += float(n)·(scale·d), and min·dsum. It is group
// in of its block, and group g of those at meta.
func (x *program) fold256(f *format256, s *state256, acc, n reg.VecVirtual, in, g int, meta reg.Register) {
	if f.off >= 0 && !s.signed && !s.flip {
		z := x.YMM()
		x.VPBROADCASTD(Mem{Base: meta, Disp: actSum(f.group, g)}, z)
		if f.off > 0 {
			x.VPSLLD(Imm(uint64(f.off)), z, z)
		}
		x.VPSUBD(z, n, n)
	}
	x.VCVTDQ2PS(n, n)
	scale, min := f.scale(x, s, in)
	d := x.YMM()
	x.VBROADCASTSS(Mem{Base: meta, Disp: actScale(f.group, g)}, d)
	x.VMULPS(scale, d, d)
	x.VFMADD231PS(d, n, acc)
	if min != nil {
		d = x.YMM()
		x.VBROADCASTSS(Mem{Base: meta, Disp: actDSum(f.group, g)}, d)
		x.VFMADD231PS(d, min, acc)
	}
}

// tree256 adds up dot products. Dwords hold sums in 32 bits or, with instruction set avx2, two in
// 16: it begins with words and widens them when they might not fit.
type tree256 struct {
	*program
	words int // levels of the tree that add words
}

func (x *program) tree256(l level256, f *format256) tree256 {
	switch {
	case l.vnni:
		return tree256{x, -1}
	case f.codebook != nil && f.codebook.flips != nil:
		return tree256{x, log2(min(depthOf(f.codebook.most), f.group/4))}
	}
	return tree256{x, log2(max(1, f.depth()))}
}

// widen is for what the given number of levels has added up.
func (t tree256) widen(levels int, v reg.VecVirtual) reg.VecVirtual {
	if levels == t.words {
		t.VPMADDWD(t.program.words(0x00010001), v, v)
	}
	return v
}

func (t tree256) add(level int, a, b, to reg.VecVirtual) reg.VecVirtual {
	if level < t.words {
		t.VPADDW(a, b, to)
	} else {
		t.VPADDD(a, b, to)
	}
	return t.widen(level+1, to)
}

// two adds up, in each 128 bits, elements two apart: a0+a2 a1+a3 b2+b0 b3+b1.
func (t tree256) two(level int, a, b reg.VecVirtual) reg.VecVirtual {
	u, v := t.YMM(), t.YMM()
	t.VPBLENDD(Imm(0xcc), b, a, u)
	t.VPALIGNR(Imm(8), a, b, v)
	return t.add(level, u, v, v)
}

// four adds up, in each 128 bits, neighbours: a0+a1 a2+a3 b0+b1 b2+b3.
func (t tree256) four(level int, a, b reg.VecVirtual) reg.VecVirtual {
	u, v := t.YMM(), t.YMM()
	t.VSHUFPS(Imm(0x88), b, a, u)
	t.VSHUFPS(Imm(0xdd), b, a, v)
	return t.add(level, u, v, v)
}

// sums256 returns the products of 32 weights of 8 rows with the activations at q, a lane per row:
// of a group of 32, or of two of 16.
func (x *program) sums256(l level256, f *format256, s *state256, c int, q Mem) []reg.VecVirtual {
	t := x.tree256(l, f)
	if f.pairs != nil {
		return []reg.VecVirtual{x.sumPairs256(t, l, f, s, c, q)}
	}
	a := x.YMM()
	x.VMOVDQU(q, a)
	var quarter [2]reg.VecVirtual // rows 4i to 4i+3, twice: weights 0 to 15, then 16 to 31
	for i := range quarter {
		var pair [2]reg.VecVirtual
		for j := range pair {
			var v [2]reg.VecVirtual
			for k := range v {
				row := 4*i + 2*j + k
				w, by := f.load(x, s, row, c), a
				if s.flip {
					by = x.YMM()
					flips := f.codebook.flips(x, s, row)
					x.VPXOR(flips, a, by)
					x.VPSUBB(flips, by, by)
				}
				v[k] = x.YMM()
				x.dot256(l, s, w, by, v[k], true)
				t.widen(0, v[k])
			}
			pair[j] = t.two(0, v[0], v[1])
		}
		quarter[i] = t.four(1, pair[0], pair[1])
	}
	u, v := x.YMM(), x.YMM()
	if f.group == 16 {
		x.VPERM2I128(Imm(0x20), quarter[1], quarter[0], u)
		x.VPERM2I128(Imm(0x31), quarter[1], quarter[0], v)
		return []reg.VecVirtual{u, v}
	}
	x.VPBLENDD(Imm(0xf0), quarter[1], quarter[0], u)
	x.VPERM2I128(Imm(0x21), quarter[1], quarter[0], v)
	return []reg.VecVirtual{t.add(2, u, v, v)}
}

// sumPairs256 does the same with rows i and i+4 in the two halves of a register, where the tree
// need not cross them.
func (x *program) sumPairs256(t tree256, l level256, f *format256, s *state256, c int, q Mem) reg.VecVirtual {
	var a [2]reg.VecVirtual
	for h := range a {
		a[h] = x.YMM()
		x.VBROADCASTI128(q.Offset(16*h), a[h])
	}
	var pair [2]reg.VecVirtual
	for j := range pair {
		var v [2]reg.VecVirtual
		for k := range v {
			w, sum := f.pairs(x, s, 2*j+k, c), x.YMM()
			x.dot256(l, s, w[0], a[0], sum, true)
			v[k] = sum
			if l.vnni {
				x.dot256(l, s, w[1], a[1], sum, false)
				continue
			}
			second := x.YMM()
			x.dot256(l, s, w[1], a[1], second, true)
			v[k] = t.add(0, t.widen(0, second), t.widen(0, sum), sum)
		}
		pair[j] = t.two(1, v[0], v[1])
	}
	return t.four(2, pair[0], pair[1])
}

// dot256 multiplies bytes of weights with bytes of activations and adds each four to c, or sets c
// to them; with instruction set avx2 each two, and sets c to them.
func (x *program) dot256(l level256, s *state256, w, a, c reg.VecVirtual, set bool) {
	switch {
	case l.vnni:
		if set {
			x.VPXOR(c, c, c)
		}
		x.vpdpbusd256(a, w, c)
	case s.signed:
		x.VPSIGNB(w, a, c)
		x.VPABSB(w, w)
		x.VPMADDUBSW(c, w, c)
	default:
		x.VPMADDUBSW(a, w, c)
	}
}

// vpdpbusd256 is VPDPBUSD of AVX-VNNI: see vex.
func (x *program) vpdpbusd256(a, w, c reg.VecVirtual) {
	i, err := x86.VPDPBUSD(a, w, c)
	if err != nil {
		panic(err)
	}
	i.ISA = []string{"AVXVNNI"}
	x.Instruction(i)
}

// dwords4x4Y transposes a 4×4 matrix of dwords in each 128-bit lane.
func (x *program) dwords4x4Y(v [4]reg.VecVirtual) (out [4]reg.VecVirtual) {
	for i := range out {
		out[i] = x.YMM()
	}
	a, b := x.YMM(), x.YMM()
	x.VPUNPCKLDQ(v[1], v[0], a)
	x.VPUNPCKLDQ(v[3], v[2], b)
	x.VPUNPCKLQDQ(b, a, out[0])
	x.VPUNPCKHQDQ(b, a, out[1])
	c, d := x.YMM(), x.YMM()
	x.VPUNPCKHDQ(v[1], v[0], c)
	x.VPUNPCKHDQ(v[3], v[2], d)
	x.VPUNPCKLQDQ(d, c, out[2])
	x.VPUNPCKHQDQ(d, c, out[3])
	return out
}

// pack256 converts 8 rows into a panel: bytes [k/4][8 rows][4], scales and minima [k/group][8
// rows].
func (x *program) pack256(l level256, f format256) {
	x.function("pack"+f.name+l.suffix, "(p *byte, s, m *float32, w *byte, stride, blocks int)",
		fmt.Sprintf("pack%s%s makes a panel of 8 rows of w.", f.name, l.suffix))
	x.frame256(&f)
	w, stride := x.arg("w"), x.arg("stride")
	p, sp := x.arg("p"), x.arg("s")
	var mp reg.Register
	if f.min {
		mp = x.arg("m")
	}
	s := x.start256(l, &f, w, stride)
	blocks := x.argMem("blocks")
	x.Label("loop")
	if f.codebook != nil {
		x.scratch256(&f, s)
	}
	f.scales(x, s)
	groups := f.weight / f.group
	for g := range groups {
		d, m := f.scale(x, s, g)
		x.VMOVUPS(d, Mem{Base: sp, Disp: 32 * g})
		if m != nil {
			x.VMOVUPS(m, Mem{Base: mp, Disp: 32 * g})
		}
	}
	chunk := func(c int) {
		var half [2][4]reg.VecVirtual
		for i := range half {
			var v [4]reg.VecVirtual
			for j := range v {
				v[j] = f.load(x, s, 4*i+j, c)
			}
			half[i] = x.dwords4x4Y(v)
		}
		for j := range 4 {
			lo, hi := x.YMM(), x.YMM()
			x.VPERM2I128(Imm(0x20), half[1][j], half[0][j], lo)
			x.VPERM2I128(Imm(0x31), half[1][j], half[0][j], hi)
			x.VMOVDQU(lo, Mem{Base: p, Disp: 32 * (8*c + j)})
			x.VMOVDQU(hi, Mem{Base: p, Disp: 32 * (8*c + 4 + j)})
		}
	}
	if f.codebook != nil {
		x.chunks256(&f, s, func() {
			chunk(0)
			x.add(8*32, p)
		})
	} else {
		for c := range f.weight / 32 {
			chunk(c)
		}
		x.add(8*f.weight, p)
	}
	x.advance8(s.rows, f.size)
	x.add(32*groups, sp)
	if mp != nil {
		x.add(32*groups, mp)
	}
	x.DECQ(blocks)
	x.JNZ(LabelRef("loop"))
	x.VZEROUPPER()
	x.RET()
}

// panel256 is what the kernels that multiply panels are made for.
type panel256 struct {
	group int
	min   bool
	depth int // of format256; not used with instruction set avxvnni
	tiles int // panels of 8 rows at once
}

func (p panel256) title(l level256) string {
	name := fmt.Sprintf("microkernel%d", p.group)
	if p.min {
		name += "Min"
	}
	switch {
	case l.vnni:
	case p.depth == 0:
		name += "Signed"
	default:
		name += fmt.Sprintf("By%d", p.depth)
	}
	return name
}

// panel256 multiplies some panels of 8 rows with some tokens. The outputs wait in memory while
// registers hold the sums of a group.
func (x *program) panel256(l level256, p panel256, tokens int) {
	name := fmt.Sprintf("%sx%d%s", p.title(l), tokens, l.suffix)
	x.function(name, "(a *panelArgs)", fmt.Sprintf("%s multiplies %d panels of 8 rows with %d tokens.", name, p.tiles, tokens))
	k := &kernel256{program: x, level256: l, panel256: p, tokens: tokens, args: x.arg("a").(reg.GPVirtual)}
	k.run()
}

// kernel256 is a kernel that multiplies panels.
type kernel256 struct {
	*program
	level256
	panel256
	tokens int

	args                  reg.GPVirtual
	w, panel              reg.GPVirtual // tile g's bytes at w + g·panel,
	scale, minima, scales reg.GPVirtual // its scales at scale + g·scales
	// token t's activations at q + t·st, what belongs to them at meta + t·st
	q, meta, st, st3    reg.GPVirtual
	out                 reg.GPVirtual // [tokens][tiles] vectors of outputs
	nextQ, nextMeta, nx reg.GPVirtual
	c                   [4][3]reg.VecVirtual // sums of a group
}

func (k *kernel256) field(i int) Mem { return Mem{Base: k.args, Disp: 8 * i} }

func (k *kernel256) get(i int) reg.GPVirtual {
	r := k.GP64()
	k.MOVQ(k.field(i), r)
	return r
}

func (k *kernel256) token(base reg.GPVirtual, t, disp int) Mem {
	switch t {
	case 0:
		return Mem{Base: base, Disp: disp}
	case 3:
		return Mem{Base: base, Index: k.st3, Scale: 1, Disp: disp}
	}
	return Mem{Base: base, Index: k.st, Scale: uint8(t), Disp: disp}
}

func (k *kernel256) tile(base, st reg.GPVirtual, g, disp int) Mem {
	m := Mem{Base: base, Disp: disp}
	if g > 0 {
		m.Index, m.Scale = st, uint8(g)
	}
	return m
}

func (k *kernel256) output(t, g int) Mem { return Mem{Base: k.out, Disp: 32 * (t*k.tiles + g)} }

// spill is where the sums of the first half of a group wait for the second.
func (k *kernel256) spill(t, g int) Mem {
	return Mem{Base: k.out, Disp: 32 * ((k.tokens+t)*k.tiles + g)}
}

func (k *kernel256) run() {
	// The fields of panelArgs in order.
	const (
		fDst = iota
		fLdd
		fP
		fPanel
		fS
		fM
		fScales
		fQ
		fMeta
		fK
		fGroups
		fOff
		fNext
	)
	vectors := k.tiles * k.tokens
	if k.halves() {
		vectors *= 2
	}
	local := k.AllocLocal(32*vectors + 32)
	k.out = k.GP64()
	k.aligned32(local, k.out)
	k.w, k.panel = k.get(fP), k.get(fPanel)
	k.scale, k.scales = k.get(fS), k.get(fScales)
	if k.min {
		k.minima = k.get(fM)
	}
	k.q, k.meta, k.st = k.get(fQ), k.get(fMeta), k.get(fK)
	k.st3 = k.GP64()
	k.LEAQ(Mem{Base: k.st, Index: k.st, Scale: 2}, k.st3)
	zero := k.YMM()
	k.VPXOR(zero, zero, zero)
	for t := range k.tokens {
		for g := range k.tiles {
			k.VMOVDQA(zero, k.output(t, g))
			k.c[t][g] = k.YMM()
		}
	}
	// The activations of the next tokens are stored after these; what is on its way early enough
	// need not be waited for.
	if k.tokens == 4 {
		k.nextQ, k.nextMeta, k.nx = k.GP64(), k.GP64(), k.get(fNext)
		k.LEAQ(Mem{Base: k.q, Index: k.st, Scale: 4}, k.nextQ)
		k.LEAQ(Mem{Base: k.meta, Index: k.st, Scale: 4}, k.nextMeta)
	}
	// A step is 32 weights.
	per := 32 / k.group
	k.Label("loop")
	if k.tokens == 4 {
		for _, p := range []reg.GPVirtual{k.nextQ, k.nextMeta} {
			k.PREFETCHT0(Mem{Base: p})
			k.PREFETCHT0(Mem{Base: p, Disp: 64})
			k.add(4*32, p)
		}
		k.PREFETCHT1(Mem{Base: k.nx})
		k.add(64, k.nx)
	}
	for i := range per {
		quad := i * k.group / 4
		if k.vnni {
			k.beginVNNI(i, k.field(fOff))
			k.quadsVNNI(quad)
		} else {
			k.quadsAVX2(quad)
			k.offset(i, k.field(fOff))
		}
		k.fold(i)
	}
	k.add(32*8, k.w)
	k.add(32*per, k.scale)
	if k.min {
		k.add(32*per, k.minima)
	}
	k.add(32, k.q)
	k.add(actGroup, k.meta)
	k.DECQ(k.field(fGroups))
	k.JNZ(LabelRef("loop"))

	dst, ldd := k.get(fDst), k.get(fLdd)
	for t := range k.tokens {
		for g := range k.tiles {
			y := k.YMM()
			k.VMOVDQA(k.output(t, g), y)
			k.VMOVUPS(y, Mem{Base: dst, Disp: 32 * g})
		}
		if t < k.tokens-1 {
			k.LEAQ(Mem{Base: dst, Index: ldd, Scale: 4}, dst)
		}
	}
	k.VZEROUPPER()
	k.RET()
}

// beginVNNI starts the sums of group i with what the bytes are too large by.
func (k *kernel256) beginVNNI(i int, off Mem) {
	for t := range k.tokens {
		for g := range k.tiles {
			if k.min || g == 0 {
				k.VPXOR(k.c[t][g], k.c[t][g], k.c[t][g])
			}
		}
		if k.min {
			continue
		}
		z := k.excess(t, i, off)
		k.VPSUBD(z, k.c[t][0], k.c[t][0])
		for g := 1; g < k.tiles; g++ {
			k.VMOVDQA(k.c[t][0], k.c[t][g])
		}
	}
}

// excess is what the sums of group i with token t are too large by.
func (k *kernel256) excess(t, i int, off Mem) reg.VecVirtual {
	z := k.YMM()
	k.VPBROADCASTD(k.token(k.meta, t, actSum(k.group, i)), z)
	k.VPSLLD(off, z, z)
	return z
}

// weights loads four weights of each row.
func (k *kernel256) weights(g, quad int) reg.VecVirtual {
	y := k.YMM()
	k.VMOVDQA(k.tile(k.w, k.panel, g, 32*quad), y)
	return y
}

// acts loads the four activations of token t that belong to them.
func (k *kernel256) acts(t, quad int) reg.VecVirtual {
	y := k.YMM()
	k.VPBROADCASTD(k.token(k.q, t, 4*quad), y)
	return y
}

func (k *kernel256) quadsVNNI(first int) {
	for j := range k.group / 4 {
		var w [3]reg.VecVirtual
		for g := range k.tiles {
			w[g] = k.weights(g, first+j)
		}
		for t := range k.tokens {
			a := k.acts(t, first+j)
			for g := range k.tiles {
				k.vpdpbusd256(a, w[g], k.c[t][g])
			}
		}
	}
}

// halves reports whether a group is two runs of sums in 16 bits.
func (k *kernel256) halves() bool { return !k.vnni && k.depth >= 4 && k.group/4 > k.depth }

func (k *kernel256) quadsAVX2(first int) {
	ones := k.words(0x00010001)
	quads := k.group / 4
	if k.depth >= 4 {
		for j := range quads {
			var w [3]reg.VecVirtual
			for g := range k.tiles {
				w[g] = k.weights(g, first+j)
			}
			for t := range k.tokens {
				a := k.acts(t, first+j)
				for g := range k.tiles {
					c := k.c[t][g]
					if j%k.depth == 0 {
						k.VPMADDUBSW(a, w[g], c)
					} else {
						v := k.YMM()
						k.VPMADDUBSW(a, w[g], v)
						k.VPADDW(v, c, c)
					}
					if j%k.depth != k.depth-1 {
						continue
					}
					k.VPMADDWD(ones, c, c)
					switch {
					case j >= k.depth:
						k.VPADDD(k.spill(t, g), c, c)
					case k.halves():
						k.VMOVDQA(c, k.spill(t, g))
					}
				}
			}
		}
		return
	}
	step := max(1, k.depth)
	for j := 0; j < quads; j += step {
		var w, abs [2][3]reg.VecVirtual
		for i := range step {
			for g := range k.tiles {
				w[i][g] = k.weights(g, first+j+i)
				if k.depth == 0 {
					abs[i][g] = k.YMM()
					k.VPABSB(w[i][g], abs[i][g])
				}
			}
		}
		for t := range k.tokens {
			var a [2]reg.VecVirtual
			for i := range step {
				a[i] = k.acts(t, first+j+i)
			}
			for g := range k.tiles {
				var v [2]reg.VecVirtual
				for i := range step {
					v[i] = k.YMM()
					if j == 0 && i == 0 {
						v[i] = k.c[t][g]
					}
					if k.depth == 0 {
						k.VPSIGNB(w[i][g], a[i], v[i])
						k.VPMADDUBSW(v[i], abs[i][g], v[i])
					} else {
						k.VPMADDUBSW(a[i], w[i][g], v[i])
					}
				}
				if step == 2 {
					k.VPADDW(v[1], v[0], v[0])
				}
				k.VPMADDWD(ones, v[0], v[0])
				if j > 0 {
					k.VPADDD(v[0], k.c[t][g], k.c[t][g])
				}
			}
		}
	}
}

// offset takes off the sums of group i what the bytes are too large by.
func (k *kernel256) offset(i int, off Mem) {
	if k.min || k.depth == 0 {
		return
	}
	for t := range k.tokens {
		z := k.excess(t, i, off)
		for g := range k.tiles {
			k.VPSUBD(z, k.c[t][g], k.c[t][g])
		}
	}
}

// fold adds the contributions of group i to the outputs.
func (k *kernel256) fold(i int) {
	for t := range k.tokens {
		d := k.YMM()
		k.VBROADCASTSS(k.token(k.meta, t, actScale(k.group, i)), d)
		var sum reg.VecVirtual
		if k.min {
			sum = k.YMM()
			k.VBROADCASTSS(k.token(k.meta, t, actDSum(k.group, i)), sum)
		}
		for g := range k.tiles {
			c, sd := k.c[t][g], k.YMM()
			k.VCVTDQ2PS(c, c)
			k.VMULPS(k.tile(k.scale, k.scales, g, 32*i), d, sd)
			k.VFMADD213PS(k.output(t, g), sd, c)
			if k.min {
				k.VFMADD231PS(k.tile(k.minima, k.scales, g, 32*i), sum, c)
			}
			k.VMOVAPS(c, k.output(t, g))
		}
	}
}

// vex replaces VPDPBUSD on YMM registers by the bytes of its VEX form: the assembler knows the EVEX
// form alone, which processors with AVX-VNNI but without AVX-512 do not have. It fails where there
// are more or wider registers than VEX reaches.
var vex = pass.FunctionPass(func(f *ir.Function) error {
	for _, i := range f.Instructions() {
		for _, r := range i.Registers() {
			if r.Kind() == reg.KindOpmask || r.Kind() == reg.KindVector && (number(r) > 15 || r.Size() > 32) {
				return fmt.Errorf("%s: %s is beyond AVX2", f.Name, r.Asm())
			}
		}
		if i.Opcode == "VPDPBUSD" {
			i.Opcode, i.Operands = "BYTE", []Op{vexDot{i.Operands}}
		}
	}
	return nil
})

func number(r Op) int { return int(reg.ToPhysical(r.(reg.Register)).ID().Index()) }

// vexDot is VPDPBUSD as bytes. Intel SDM volume 2: VEX.256.66.0F38.W0 50 /r.
type vexDot struct{ ops []Op }

func (v vexDot) Asm() string {
	a, w, c := number(v.ops[0]), number(v.ops[1]), number(v.ops[2])
	return fmt.Sprintf("$0xc4; BYTE $%#02x; BYTE $%#02x; BYTE $0x50; BYTE $%#02x // VPDPBUSD %s, %s, %s",
		^c>>3&1<<7|1<<6|^a>>3&1<<5|2, ^w&15<<3|1<<2|1, 3<<6|c&7<<3|a&7, v.ops[0].Asm(), v.ops[1].Asm(), v.ops[2].Asm())
}
