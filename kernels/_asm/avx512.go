package main

import (
	"fmt"
	"slices"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// avx512 is the instruction set avx512vnni: tiles of 16 weight rows, one output per lane of a ZMM
// register.
func avx512(x *program) {
	for _, f := range slices.Concat(formats512, formats512Few, formats512IQ) {
		x.gemv512(f)
		x.pack512(f)
	}
	for _, group := range []int{16, 32} {
		for _, min := range []bool{false, true} {
			for tokens := 1; tokens <= 4; tokens++ {
				x.microkernel512(group, min, tokens)
			}
		}
	}
}

// rows16 addresses 16 rows: row 4i+j is at p[i] + j·stride.
type rows16 struct {
	p       [4]reg.GPVirtual
	st, st3 reg.GPVirtual
	disp    int // added to every address
}

func (x *program) rows16(w, stride reg.Register) *rows16 {
	r := &rows16{st: x.GP64(), st3: x.GP64()}
	x.MOVQ(stride, r.st)
	x.LEAQ(Mem{Base: r.st, Index: r.st, Scale: 2}, r.st3)
	for i := range r.p {
		r.p[i] = x.GP64()
		if i == 0 {
			x.MOVQ(w, r.p[0])
		} else {
			x.LEAQ(Mem{Base: r.p[i-1], Index: r.st, Scale: 4}, r.p[i])
		}
	}
	return r
}

func (r *rows16) at(row, disp int) Mem {
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

func (x *program) advance(r *rows16, n int) {
	for _, p := range r.p {
		x.add(n, p)
	}
}

// format512 is a block format as a tile of 16 rows sees it.
type format512 struct {
	name   string
	weight int  // weights per block
	size   int  // bytes per block
	group  int  // weights that share a scale
	min    bool // a minimum is added per group
	off    int  // log2 of what the bytes of a weight are too large by; -1: nothing
	// crossed is true where load returns weights 16 to 31 of a unit after weights 32 to 47.
	// The groups are of 32.
	crossed bool
	// stage is the number of bytes of the stack that scales fills for a loop over the units; where
	// it is 0, each unit has code of its own.
	stage int
	// interleaved, where not nil, is how four blocks of a row are multiplied at once.
	interleaved *interleaved512

	// begin sets up constants, before the loop over blocks.
	begin func(x *program, s *state512)
	// scales prepares the scales of a block of all 16 rows.
	scales func(x *program, s *state512)
	// scale returns the scale of group g of the block, and its minimum or nil: a lane per row.
	scale func(x *program, s *state512, g int) (d, m reg.VecVirtual)
	// load returns 64 weights as bytes. For blocks of 32 weights these are block r of row i and row
	// i+4; otherwise unit u of row i.
	load func(x *program, s *state512, i, u int) reg.VecVirtual
}

// state512 is what the parts of a kernel share.
type state512 struct {
	f    *format512
	rows *rows16
	// Of formats with a stage: where it begins, the number of the unit times 8, and the codebook.
	stage           Mem
	unitIndex, grid reg.GPVirtual
	c               map[string]reg.VecVirtual // constants
	v               map[string]reg.VecVirtual // of the block
	k               map[string]reg.OpmaskVirtual
}

func (f *format512) paired() bool { return f.weight == 32 }

// units is the number of 64-weight loads per block and row.
func (f *format512) units() int { return max(1, f.weight/64) }

func (x *program) start512(f *format512, w, stride reg.Register) *state512 {
	s := &state512{f: f, rows: x.rows16(w, stride), c: map[string]reg.VecVirtual{}, v: map[string]reg.VecVirtual{}, k: map[string]reg.OpmaskVirtual{}}
	if f.stage > 0 {
		x.Attributes(0) // the stack may have to grow
		s.stage, s.unitIndex = x.AllocLocal(f.stage), x.GP64()
	}
	f.begin(x, s)
	return s
}

// An actGroup of package kernels is 32 bytes, as many as the activations it belongs to: the scale,
// then the sum of all 32 integers and of each 16, then the same times the scale.
const actGroup = 32

func actScale(group, g int) int { return g * group / 32 * actGroup }

func actSum(group, g int) int {
	if group == 32 {
		return g*actGroup + 4
	}
	return g/2*actGroup + 8 + 4*(g%2)
}

func actDSum(group, g int) int { return actSum(group, g) + 12 }

// gemv512 multiplies 16 rows, where they are stored, with one token.
func (x *program) gemv512(f format512) {
	x.function("gemv"+f.name+"AVX512", "(dst *float32, w *byte, stride, blocks int, q *int8, groups *actGroup)",
		fmt.Sprintf("gemv%sAVX512 sets dst[r] to the product of row r of w with a token, for 16 rows.", f.name))
	w, stride := x.arg("w"), x.arg("stride")
	q, meta := x.arg("q"), x.arg("groups")
	// The rows after these, fetched in the order of addresses. Their beginnings are needed first,
	// but those of the last rows would be fetched last: hence a head start.
	next := x.GP64()
	x.MOVQ(stride, next)
	x.SHLQ(Imm(4), next)
	x.ADDQ(w, next)
	x.add(1024, next)
	start := f
	if f.interleaved != nil {
		start.begin = f.interleaved.begin
	}
	s := x.start512(&start, w, stride)
	blocks := x.arg("blocks")
	acc := x.ZMM()
	x.zero(acc)

	// Short blocks go by some at a time.
	if f.paired() {
		const some = 4
		x.Label("some")
		x.CMPQ(blocks, Imm(some))
		x.JLT(LabelRef("rest"))
		if f.interleaved != nil {
			x.gemvInterleaved(f, s, acc, q, meta, next)
		} else {
			x.gemvStep(f, s, acc, some, q, meta, next)
		}
		x.SUBQ(Imm(some), blocks)
		x.JMP(LabelRef("some"))
		x.Label("rest")
		x.TESTQ(blocks, blocks)
		x.JZ(LabelRef("end"))
		if f.interleaved != nil {
			f.begin(x, s)
		}
	}
	x.Label("loop")
	if f.stage > 0 {
		x.gemvStaged(f, s, acc, q, meta, next)
	} else {
		x.gemvStep(f, s, acc, 1, q, meta, next)
	}
	x.DECQ(blocks)
	x.JNZ(LabelRef("loop"))
	if f.paired() {
		x.Label("end")
	}
	dst := x.arg("dst")
	x.VMOVUPS(acc, Mem{Base: dst})
	x.VZEROUPPER()
	x.RET()
}

// spreadPrefetch makes f fetch bytes of next, spread over its loads: too many at once would have to
// wait for each other.
func (f *format512) spreadPrefetch(next reg.Register, bytes, loads int) {
	load := f.load
	done, line := 0, 0
	f.load = func(x *program, s *state512, i, u int) reg.VecVirtual {
		for done++; line*64*loads < bytes*done; line++ {
			x.PREFETCHT1(Mem{Base: next, Disp: 64 * line})
		}
		return load(x, s, i, u)
	}
}

// gemvStaged takes a block of each row in a loop over its units.
func (x *program) gemvStaged(f format512, s *state512, acc reg.VecVirtual, q, meta, next reg.Register) {
	bytes := 16 * f.size / f.units()
	f.spreadPrefetch(next, bytes, 16)
	x.eachUnit(s, func() {
		for g, sum := range x.dotUnit(&f, s, q, 0) {
			x.fold512(&f, s, acc, sum, g, g, meta)
		}
		x.add(bytes, next)
		x.add(64, q)
		x.add(64/32*actGroup, meta)
	})
	x.advance(s.rows, f.size)
}

// eachUnit fills the stage and runs body for each unit.
func (x *program) eachUnit(s *state512, body func()) {
	s.f.scales(x, s)
	x.XORL(s.unitIndex.As32(), s.unitIndex.As32())
	x.Label("unit")
	body()
	x.add(8, s.unitIndex)
	x.CMPQ(s.unitIndex, Imm(uint64(8*s.f.units())))
	x.JNE(LabelRef("unit"))
}

// gemvStep takes n blocks of each row.
func (x *program) gemvStep(f format512, s *state512, acc reg.VecVirtual, n int, q, meta, next reg.Register) {
	loads := 16 * f.units() * n
	if f.paired() {
		loads = 8 * n
	}
	f.spreadPrefetch(next, 16*f.size*n, loads)
	groups := 0
	for b := range n {
		s.rows.disp = b * f.size
		f.scales(x, s)
		in := groups // of the block
		for u := range f.units() {
			var g []reg.VecVirtual
			if f.paired() {
				g = []reg.VecVirtual{x.dotPaired(&f, s, q, 32*b)}
			} else {
				g = x.dotUnit(&f, s, q, u)
			}
			for _, sum := range g {
				x.fold512(&f, s, acc, sum, groups-in, groups, meta)
				groups++
			}
		}
	}
	s.rows.disp = 0
	x.advance(s.rows, n*f.size)
	x.add(n*16*f.size, next)
	x.add(n*f.weight, q)
	x.add(n*f.weight/32*actGroup, meta)
}

// fold512 adds a group's contribution to acc: acc += float(n)·(scale·d), and min·dsum. It is group
// in of its block, and group g of those at meta.
func (x *program) fold512(f *format512, s *state512, acc, n reg.VecVirtual, in, g int, meta reg.Register) {
	if f.off >= 0 {
		z := x.ZMM()
		x.VPBROADCASTD(Mem{Base: meta, Disp: actSum(f.group, g)}, z)
		if f.off > 0 {
			x.VPSLLD(Imm(uint64(f.off)), z, z)
		}
		x.VPSUBD(z, n, n)
	}
	x.VCVTDQ2PS(n, n)
	scale, min := f.scale(x, s, in)
	sd := x.ZMM()
	x.VMULPS_BCST(Mem{Base: meta, Disp: actScale(f.group, g)}, scale, sd)
	x.VFMADD231PS(sd, n, acc)
	if min != nil {
		x.VFMADD231PS_BCST(Mem{Base: meta, Disp: actDSum(f.group, g)}, min, acc)
	}
}

// dotPaired returns the products of 16 rows with a group of 32, a lane per row.
func (x *program) dotPaired(f *format512, s *state512, q reg.Register, disp int) reg.VecVirtual {
	a := x.ZMM()
	x.VBROADCASTI64X4(Mem{Base: q, Disp: disp}, a)
	var half [2]reg.VecVirtual
	for h := range half {
		var quad [4]reg.VecVirtual
		for i := range quad {
			quad[i] = x.dot(f.load(x, s, 8*h+i, 0), a)
		}
		half[h] = x.add4(quad)
	}
	// Lanes of 128 bits: rows 0–3 twice and 4–7 twice, rows 8–11 twice and 12–15 twice.
	return x.addLanes(half[0], half[1], 0x88, 0xdd)
}

// dotUnit returns the products of 16 rows with 64 weights: two groups of 32, or four of 16.
func (x *program) dotUnit(f *format512, s *state512, q reg.Register, u int) []reg.VecVirtual {
	a := x.ZMM()
	x.VMOVDQU32(Mem{Base: q, Disp: 64 * u}, a)
	even, odd := uint64(0x88), uint64(0xdd) // lanes 0 and 2, and 1 and 3
	if f.crossed {
		x.VSHUFI32X4(Imm(0xd8), a, a, a)
		even, odd = 0x44, 0xee
	}
	var quarter [4]reg.VecVirtual // rows 4i to 4i+3; lane j of 128 bits is weights 16j to 16j+15
	for i := range quarter {
		var quad [4]reg.VecVirtual
		for j := range quad {
			quad[j] = x.dot(f.load(x, s, 4*i+j, u), a)
		}
		quarter[i] = x.add4(quad)
	}
	if f.group == 32 {
		// groups 0, 1 of rows 0–3, then of rows 4–7
		lo := x.addLanes(quarter[0], quarter[1], even, odd)
		hi := x.addLanes(quarter[2], quarter[3], even, odd)
		g0, g1 := x.ZMM(), x.ZMM()
		x.VSHUFI32X4(Imm(0x88), hi, lo, g0)
		x.VSHUFI32X4(Imm(0xdd), hi, lo, g1)
		return []reg.VecVirtual{g0, g1}
	}
	g := x.lanes4x4(quarter)
	return g[:]
}

// dot multiplies bytes of weights with bytes of activations and adds each four.
func (x *program) dot(w, a reg.VecVirtual) reg.VecVirtual {
	c := x.ZMM()
	x.zero(c)
	x.VPDPBUSD(a, w, c)
	return c
}

// add4 adds the four dwords in each 128-bit lane of v[j] to dword j of that lane.
func (x *program) add4(v [4]reg.VecVirtual) reg.VecVirtual {
	pair := func(a, b reg.VecVirtual) reg.VecVirtual {
		lo := x.ZMM()
		x.VPUNPCKLDQ(b, a, lo)
		x.VPUNPCKHDQ(b, a, a)
		x.VPADDD(a, lo, lo)
		return lo
	}
	a, b := pair(v[0], v[1]), pair(v[2], v[3])
	lo := x.ZMM()
	x.VPUNPCKLQDQ(b, a, lo)
	x.VPUNPCKHQDQ(b, a, a)
	x.VPADDD(a, lo, lo)
	return lo
}

// addLanes adds what two selections of 128-bit lanes of a and b give.
func (x *program) addLanes(a, b reg.VecVirtual, even, odd uint64) reg.VecVirtual {
	p, q := x.ZMM(), x.ZMM()
	x.VSHUFI32X4(Imm(even), b, a, p)
	x.VSHUFI32X4(Imm(odd), b, a, q)
	x.VPADDD(q, p, p)
	return p
}

// lanes4x4 transposes a 4×4 matrix of 128-bit lanes.
func (x *program) lanes4x4(v [4]reg.VecVirtual) (out [4]reg.VecVirtual) {
	shuf := func(imm uint64, a, b reg.VecVirtual) reg.VecVirtual {
		z := x.ZMM()
		x.VSHUFI32X4(Imm(imm), b, a, z)
		return z
	}
	p, q := shuf(0x44, v[0], v[1]), shuf(0x44, v[2], v[3]) // a0 a1 b0 b1, c0 c1 d0 d1
	out[0], out[1] = shuf(0x88, p, q), shuf(0xdd, p, q)
	p, q = shuf(0xee, v[0], v[1]), shuf(0xee, v[2], v[3])
	out[2], out[3] = shuf(0x88, p, q), shuf(0xdd, p, q)
	return out
}

// dwords4x4 transposes a 4×4 matrix of dwords in each 128-bit lane.
func (x *program) dwords4x4(v [4]reg.VecVirtual) (out [4]reg.VecVirtual) {
	for i := range out {
		out[i] = x.ZMM()
	}
	a, b := x.ZMM(), x.ZMM()
	x.VPUNPCKLDQ(v[1], v[0], a)
	x.VPUNPCKLDQ(v[3], v[2], b)
	x.VPUNPCKLQDQ(b, a, out[0])
	x.VPUNPCKHQDQ(b, a, out[1])
	c, d := x.ZMM(), x.ZMM()
	x.VPUNPCKHDQ(v[1], v[0], c)
	x.VPUNPCKHDQ(v[3], v[2], d)
	x.VPUNPCKLQDQ(d, c, out[2])
	x.VPUNPCKHQDQ(d, c, out[3])
	return out
}

// pack512 converts 16 rows into a panel: bytes [k/4][16 rows][4], scales and minima [k/group][16
// rows].
func (x *program) pack512(f format512) {
	x.function("pack"+f.name+"AVX512", "(p *byte, s, m *float32, w *byte, stride, blocks int)",
		fmt.Sprintf("pack%sAVX512 makes a panel of 16 rows of w.", f.name))
	w, stride := x.arg("w"), x.arg("stride")
	p, sp := x.arg("p"), x.arg("s")
	var mp reg.Register
	if f.min {
		mp = x.arg("m")
	}
	// The rows after these, into the second cache.
	next := x.GP64()
	x.MOVQ(stride, next)
	x.SHLQ(Imm(4), next)
	x.ADDQ(w, next)
	s := x.start512(&f, w, stride)
	blocks := x.arg("blocks")
	loop := "loop"
	x.Label(loop)
	for at := 0; at < 16*f.size; at += 64 {
		x.PREFETCHT1(Mem{Base: next, Disp: at})
	}
	x.add(16*f.size, next)
	scales := func(groups int) {
		for g := range groups {
			d, m := f.scale(x, s, g)
			x.VMOVUPS(d, Mem{Base: sp, Disp: 64 * g})
			if m != nil {
				x.VMOVUPS(m, Mem{Base: mp, Disp: 64 * g})
			}
		}
		x.add(64*groups, sp)
		if mp != nil {
			x.add(64*groups, mp)
		}
	}
	if f.stage > 0 {
		x.eachUnit(s, func() {
			scales(64 / f.group)
			x.packUnit(&f, s, p, 0)
			x.add(16*64, p)
		})
	} else {
		f.scales(x, s)
		scales(f.weight / f.group)
		for u := range f.units() {
			x.packUnit(&f, s, p, u)
		}
		x.add(16*f.weight, p)
	}
	x.advance(s.rows, f.size)
	x.DECQ(blocks)
	x.JNZ(LabelRef(loop))
	x.VZEROUPPER()
	x.RET()
}

// packUnit stores 64 weights of each row, or, of blocks of 32, all.
func (x *program) packUnit(f *format512, s *state512, p reg.Register, u int) {
	var quarter [4][4]reg.VecVirtual
	for i := range 4 {
		var v [4]reg.VecVirtual
		for j := range v {
			if f.paired() && i >= 2 {
				continue
			}
			row := 4*i + j
			if f.paired() {
				row = 8*i + j
			}
			v[j] = f.load(x, s, row, u)
		}
		if !f.paired() || i < 2 {
			quarter[i] = x.dwords4x4(v)
		}
	}
	for j := range 4 {
		if f.paired() {
			// Lanes: quad j and 4+j of rows 0–3, then of rows 4–7.
			a, b := quarter[0][j], quarter[1][j]
			lo, hi := x.ZMM(), x.ZMM()
			x.VSHUFI32X4(Imm(0x88), b, a, lo)
			x.VSHUFI32X4(Imm(0xdd), b, a, hi)
			x.VMOVDQU32(lo, Mem{Base: p, Disp: 64 * j})
			x.VMOVDQU32(hi, Mem{Base: p, Disp: 64 * (4 + j)})
			continue
		}
		out := x.lanes4x4([4]reg.VecVirtual{quarter[0][j], quarter[1][j], quarter[2][j], quarter[3][j]})
		if f.crossed {
			out[1], out[2] = out[2], out[1]
		}
		for l, z := range out {
			x.VMOVDQU32(z, Mem{Base: p, Disp: 64 * (16*u + 4*l + j)})
		}
	}
}

// microkernel512 multiplies three panels of 16 rows with some tokens.
func (x *program) microkernel512(group int, min bool, tokens int) {
	const tiles = 3
	name := fmt.Sprintf("microkernel%d", group)
	if min {
		name += "Min"
	}
	name = fmt.Sprintf("%sx%dAVX512", name, tokens)
	x.function(name, "(a *panelArgs)", fmt.Sprintf("%s multiplies three panels of 16 rows with %d tokens.", name, tokens))
	args := x.arg("a")
	field := func(i int) Mem { return Mem{Base: args, Disp: 8 * i} }
	load := func(i int) reg.GPVirtual {
		r := x.GP64()
		x.MOVQ(field(i), r)
		return r
	}
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
	p, panel := load(fP), load(fPanel)
	sp, scales := load(fS), load(fScales)
	var mp reg.GPVirtual
	if min {
		mp = load(fM)
	}
	// Token t's activations are at q + t·k, and what belongs to them at meta + t·k.
	q, meta, k := load(fQ), load(fMeta), load(fK)
	k3 := x.GP64()
	x.LEAQ(Mem{Base: k, Index: k, Scale: 2}, k3)
	token := func(base reg.GPVirtual, t, disp int) Mem {
		switch t {
		case 0:
			return Mem{Base: base, Disp: disp}
		case 3:
			return Mem{Base: base, Index: k3, Scale: 1, Disp: disp}
		}
		return Mem{Base: base, Index: k, Scale: uint8(t), Disp: disp}
	}
	tile := func(base, st reg.GPVirtual, g, disp int) Mem {
		m := Mem{Base: base, Disp: disp}
		if g > 0 {
			m.Index, m.Scale = st, uint8(g)
		}
		return m
	}
	var off reg.VecVirtual
	if !min {
		off = x.ZMM()
		x.VPBROADCASTD(field(fOff), off)
	}
	var f, c [4][tiles]reg.VecVirtual
	for t := range tokens {
		for g := range tiles {
			f[t][g] = x.ZMM()
			x.zero(f[t][g])
			c[t][g] = x.ZMM()
		}
	}
	quads := func(base int) {
		for j := range group / 4 {
			var w [tiles]reg.VecVirtual
			for g := range tiles {
				w[g] = x.ZMM()
				x.VMOVDQU32(tile(p, panel, g, base+64*j), w[g])
			}
			for t := range tokens {
				a := x.ZMM()
				x.VPBROADCASTD(token(q, t, base/16+4*j), a)
				for g := range tiles {
					x.VPDPBUSD(a, w[g], c[t][g])
				}
			}
		}
	}
	begin := func(i int) {
		for t := range tokens {
			if min {
				for g := range tiles {
					x.zero(c[t][g])
				}
				continue
			}
			z := x.ZMM()
			x.VPBROADCASTD(token(meta, t, actSum(group, i)), z)
			x.VPSLLVD(off, z, z)
			zero := c[t][0]
			x.zero(zero)
			x.VPSUBD(z, zero, zero)
			for g := 1; g < tiles; g++ {
				x.VMOVDQA32(zero, c[t][g])
			}
		}
	}
	end := func(i int) {
		var s [tiles]reg.VecVirtual
		for g := range tiles {
			s[g] = x.ZMM()
			x.VMOVUPS(tile(sp, scales, g, 64*i), s[g])
		}
		for t := range tokens {
			dt := x.ZMM()
			x.VBROADCASTSS(token(meta, t, actScale(group, i)), dt)
			for g := range tiles {
				sd := x.ZMM()
				x.VCVTDQ2PS(c[t][g], c[t][g])
				x.VMULPS(dt, s[g], sd)
				x.VFMADD231PS(sd, c[t][g], f[t][g])
			}
		}
		if !min {
			return
		}
		for g := range tiles {
			x.VMOVUPS(tile(mp, scales, g, 64*i), s[g])
		}
		for t := range tokens {
			dt := x.ZMM()
			x.VBROADCASTSS(token(meta, t, actDSum(group, i)), dt)
			for g := range tiles {
				x.VFMADD231PS(dt, s[g], f[t][g])
			}
		}
	}
	// A step is 32 weights.
	per := 32 / group
	next := load(fNext)
	loop := "loop"
	x.Label(loop)
	if tokens == 4 {
		x.PREFETCHT1(Mem{Base: next})
		x.add(64, next)
	}
	for i := range per {
		begin(i)
		quads(i * group / 4 * 64)
		end(i)
	}
	x.add(32/4*64, p)
	x.add(64*per, sp)
	if min {
		x.add(64*per, mp)
	}
	x.add(32, q)
	x.add(actGroup, meta)
	x.DECQ(field(fGroups))
	x.JNZ(LabelRef(loop))

	dst, ldd := load(fDst), load(fLdd)
	for t := range tokens {
		for g := range tiles {
			x.VMOVUPS(f[t][g], Mem{Base: dst, Disp: 64 * g})
		}
		if t < tokens-1 {
			x.LEAQ(Mem{Base: dst, Index: ldd, Scale: 4}, dst)
		}
	}
	x.VZEROUPPER()
	x.RET()
}
