package main

import "fmt"

// A tile is eight weight rows: two quads of four, each with an output per lane of a vector.
const (
	tileRows = 8
	quads    = tileRows / 4
)

// level is a set of instructions for products of bytes.
type level struct {
	suffix string
	// dot adds the products of 16 bytes to a.
	dot func(x *program, a *sums, w, act V)
	// store writes 16 weights of four rows to where a panel has them; at is the offset of the first
	// row's first.
	store func(x *program, v [4]V, p R, at int)
	// quadBytes is how far from each other in a panel the quads of a tile are.
	quadBytes int
	// panel is what the names of the panel kernels for a format have after group and minimum.
	panel func(f *format) string
}

// format is a block format as a quad of rows sees it.
type format struct {
	name    string
	weights int  // per block
	size    int  // bytes per block
	group   int  // weights that share a scale
	nScales int  // distinct scales per block; 0: one per group
	min     bool // a minimum is added per group
	off     int  // what the bytes of load are too large by
	most    int  // the largest magnitude of these
	post    bool // scales and load leave the row pointers at the next block
	// units are run through by a loop, to keep long ones short; each is as units has the first of
	// them, at state.unitIndex times what it asks
	loop bool

	// begin sets up constants, before the loop over blocks.
	begin func(x *program, s *state)
	// scales computes the scales of a block, four rows at a time, and hands each to emit with its
	// minimum, if there is one.
	scales func(x *program, s *state, emit func(quad, i int, d, m V))
	// units are the parts in which load takes a block of a row: lists of pieces. A piece is 16
	// weights, and a unit holds whole groups.
	units [][]int
	// load hands the pieces of unit u of the row at p to use, which owns the registers then.
	load func(x *program, s *state, p R, u int, use func(piece int, v V))
}

func (f *format) groups() int { return f.weights / f.group }

func (f *format) scaleCount() int {
	if f.nScales > 0 {
		return f.nScales
	}
	return f.groups()
}

// scaleOf is the number of the scale of group g.
func (f *format) scaleOf(g int) int { return g * f.scaleCount() / f.groups() }

// state is what the parts of a kernel share.
type state struct {
	quads [][4]R // pointers to the rows
	c     map[string]V

	unitIndex   R // number of the unit, in a loop
	grid, signs R // addresses of tables
}

// hold keeps a constant for the whole function.
func (s *state) hold(x *program, name string) V {
	v := x.V()
	s.c[name] = v
	return v
}

func (s *state) release(x *program) {
	for v := range V(32) {
		for _, c := range s.c {
			if c == v {
				x.free(v)
			}
		}
	}
}

// sums are the products of a row with a group in the making. Lanes hold n products of 16 bits each,
// or are of 32 bits where n is 0.
type sums struct {
	v       V
	n, most int
	started bool
}

func (s *sums) fits(n int) bool { return s.most*127*n <= 1<<15-1 }

func (s *sums) widen(x *program) {
	if s.n > 0 {
		x.w(saddlp(s.v, s.v))
		s.n = 0
	}
}

// add adds lanes of two rows, or of two pairs of rows, which frees one register.
func (s *sums) add(x *program, o *sums) {
	if s.n > 0 && s.fits(2*s.n) {
		x.addp("H8", s.v, s.v, o.v)
		s.n *= 2
	} else {
		s.widen(x)
		o.widen(x)
		x.addp("S4", s.v, s.v, o.v)
	}
	x.free(o.v)
}

// An actGroup of package kernels is 32 bytes, as many as the activations it belongs to: the scale,
// then the sum of all 32 integers and of each 16, then the same sums times the scale. As two
// vectors, scale and sums are lanes of the first, the products lanes of the second.
const actGroup = 32

func sumLane(group, g int) int {
	if group == 32 {
		return 1
	}
	return 2 + g%2
}

func dsumLane(group, g int) int { return sumLane(group, g) - 1 }

// rows multiplies eight rows, where they are stored, with one token.
func (x *program) rows(l *level, f *format) {
	name := "gemv" + f.name + l.suffix
	x.function(name, "dst *float32, w *byte, stride int, blocks int, q *int8, groups *byte",
		name+" sets dst[r] to the product of row r of w with a token, for 8 rows.")
	w, stride, blocks, q, meta := x.arg("w"), x.arg("stride"), x.arg("blocks"), x.arg("q"), x.arg("groups")
	next := x.R() // the rows after these, fetched in the order of addresses
	x.lsl(next, stride, 3)
	x.addr(next, next, w)
	s := &state{c: map[string]V{}}
	for i := range quads {
		s.quads = append(s.quads, x.quad(w, stride, i > 0))
		w = s.quads[i][3]
	}
	x.freeR(stride)
	vectors := 1 // per scale
	if f.min {
		vectors = 2
	}
	var scratch R // scales of a block: [quads][scaleCount], minima after each
	one := f.scaleCount() == 1
	at := func(quad, i int) int { return 16 * vectors * (quad*f.scaleCount() + i) }
	if !one {
		scratch = x.local(at(quads, 0))
	}
	if f.begin != nil {
		f.begin(x, s)
	}
	if f.off != 0 {
		x.w(moviS(s.hold(x, "off"), max(f.off, -f.off)))
	}
	var acc [quads]V
	for i := range acc {
		acc[i] = x.V()
		x.zero(acc[i])
	}

	const loop = "loop"
	x.label(loop)
	for at := 0; at < tileRows*f.size; at += 64 {
		x.prefetch(next, at)
	}
	x.addi(next, next, tileRows*f.size)
	var d, m [quads]V
	f.scales(x, s, func(quad, i int, dv, mv V) {
		switch {
		case one:
			d[quad], m[quad] = dv, mv
		case f.min:
			x.stp(dv, mv, scratch, at(quad, i))
			x.free(dv, mv)
		default:
			x.str(dv, scratch, at(quad, i))
			x.free(dv)
		}
	})
	inOrder := f.loop || f.weights == 32 // then activations are read once, in order
	ready := map[int][quads]V{}
	folded := 0
	scaleAt := scratch
	if f.loop {
		s.unitIndex, scaleAt = x.R(), x.R()
		x.movr(scaleAt, scratch)
		x.op("MOVD", "ZR", s.unitIndex.String())
		x.label("unit")
	}
	groups := 0
	for _, pieces := range f.units {
		groups += len(pieces) * 16 / f.group
	}
	for u, pieces := range f.units {
		act := map[int]V{}
		for _, p := range pieces {
			act[p] = x.V()
		}
		for i := 0; i < len(pieces); i++ {
			p := pieces[i]
			switch b, ok := act[p+1]; {
			case ok && inOrder:
				x.ldpPost(act[p], b, q, 32)
				i++
			case ok && i+1 < len(pieces) && pieces[i+1] == p+1:
				x.ldp(act[p], b, q, 16*p)
				i++
			default:
				x.ldr(act[p], q, 16*p)
			}
		}
		var total [quads]map[int]V
		for i, quad := range s.quads {
			total[i] = x.quadSums(l, f, s, quad, u, act)
		}
		for _, p := range pieces {
			x.free(act[p])
		}
		for _, p := range pieces {
			if g := p * 16 / f.group; p*16%f.group == 0 {
				var v [quads]V
				for i := range v {
					v[i] = total[i][g]
				}
				ready[g] = v
			}
		}
		// Groups are added in order.
		loaded := -1
		m0, m1 := x.V(), x.V()
		for ; folded < groups; folded++ {
			g := folded
			n, ok := ready[g]
			if !ok {
				break
			}
			if a := g * f.group / 32; a != loaded {
				switch {
				case f.min && inOrder:
					x.ldpPost(m0, m1, meta, actGroup)
				case f.min:
					x.ldp(m0, m1, meta, actGroup*a)
				case inOrder:
					x.ldrPost(m0, meta, actGroup)
				default:
					x.ldr(m0, meta, actGroup*a)
				}
				loaded = a
			}
			for i := range quads {
				dv, mv := d[i], m[i]
				if !one {
					dv = x.V()
					if f.min {
						mv = x.V()
						x.ldp(dv, mv, scaleAt, at(i, f.scaleOf(g)))
					} else {
						x.ldr(dv, scaleAt, at(i, f.scaleOf(g)))
					}
				}
				switch {
				case f.off > 0:
					x.w(mlsLane(n[i], s.c["off"], m0, sumLane(f.group, g)))
				case f.off < 0:
					x.w(mlaLane(n[i], s.c["off"], m0, sumLane(f.group, g)))
				}
				x.w(scvtf(n[i], n[i]))
				sd := x.V()
				x.w(fmulLane(sd, dv, m0, 0))
				x.fmla(acc[i], n[i], sd)
				x.free(sd, n[i])
				if f.min {
					x.w(fmlaLane(acc[i], mv, m1, dsumLane(f.group, g)))
				}
				if !one {
					x.free(dv)
					if f.min {
						x.free(mv)
					}
				}
			}
		}
		x.free(m0, m1)
	}
	if f.loop {
		x.addi(scaleAt, scaleAt, at(0, groups))
		x.next(s.unitIndex, f.groups()/groups, "unit")
		x.freeR(s.unitIndex, scaleAt)
	}
	if one {
		for i := range quads {
			x.free(d[i])
			if f.min {
				x.free(m[i])
			}
		}
	}
	if !f.post {
		for _, quad := range s.quads {
			for _, p := range quad {
				x.addi(p, p, f.size)
			}
		}
	}
	if !inOrder {
		x.addi(q, q, f.weights)
		x.addi(meta, meta, f.weights/32*actGroup)
	}
	x.loop(blocks, loop)
	x.argTo("dst", q)
	x.stp(acc[0], acc[1], q, 0)
	x.free(acc[:]...)
	s.release(x)
	x.end()
}

// quad makes pointers to four rows, the first of them at w, or after it.
func (x *program) quad(w, stride R, behind bool) (p [4]R) {
	for i := range p {
		if i == 0 && !behind {
			p[i] = w
			continue
		}
		p[i] = x.R()
		if i == 0 {
			x.addr(p[i], w, stride)
		} else {
			x.addr(p[i], p[i-1], stride)
		}
	}
	return p
}

// quadSums returns the products of four rows with the groups of a unit, a lane per row.
func (x *program) quadSums(l *level, f *format, s *state, quad [4]R, u int, act map[int]V) map[int]V {
	var rows [4]map[int]*sums
	per := f.group / 16
	for r, p := range quad {
		rows[r] = map[int]*sums{}
		seen := map[int]int{}
		f.load(x, s, p, u, func(piece int, v V) {
			g := piece / per
			if rows[r][g] == nil {
				rows[r][g] = &sums{most: f.most}
			}
			l.dot(x, rows[r][g], v, act[piece])
			x.free(v)
			if seen[g]++; seen[g] < per {
				return
			}
			// A tree: rows 0 and 1, rows 2 and 3, then both.
			if r%2 == 1 {
				rows[r-1][g].add(x, rows[r][g])
			}
			if r == 3 {
				rows[0][g].add(x, rows[2][g])
				rows[0][g].widen(x)
			}
		})
	}
	total := map[int]V{}
	for g, n := range rows[0] {
		total[g] = n.v
	}
	return total
}

// unpack converts eight rows into a panel, with scales and minima [k/group][8].
func (x *program) unpack(l *level, f *format) {
	name := "pack" + f.name + l.suffix
	x.function(name, "p *byte, s *float32, m *float32, w *byte, stride int, blocks int", name+" makes a panel of 8 rows of w.")
	w, stride := x.arg("w"), x.arg("stride")
	s := &state{c: map[string]V{}}
	// One quad after the other.
	ps, count, left := [3]R{x.R(), x.R(), x.R()}, x.R(), x.R()
	outs := []string{"p", "s", "m"}
	if !f.min {
		outs = outs[:2]
	}
	base := [3]R{}
	for i, n := range outs {
		base[i] = x.arg(n)
	}
	p := [4]R{x.R(), x.R(), x.R(), x.R()}
	s.quads = [][4]R{p}
	if f.begin != nil {
		f.begin(x, s)
	}
	if f.off != 0 {
		x.fill(s.hold(x, "off"), f.off&0xff)
	}
	x.op("MOVD", imm(quads), left.String())
	x.label("quad")
	for i := range outs {
		x.movr(ps[i], base[i])
	}
	x.movr(p[0], w)
	for i := 1; i < 4; i++ {
		x.addr(p[i], p[i-1], stride)
	}
	x.argTo("blocks", count)
	x.label("loop")
	f.scales(x, s, func(_, i int, d, m V) {
		for g := range f.groups() {
			if f.scaleOf(g) == i {
				x.str(d, ps[1], 4*tileRows*g)
				if f.min {
					x.str(m, ps[2], 4*tileRows*g)
				}
			}
		}
		x.free(d)
		if f.min {
			x.free(m)
		}
	})
	stored := 0
	if f.loop {
		s.unitIndex = x.R()
		x.op("MOVD", "ZR", s.unitIndex.String())
		x.label("unit")
	}
	for u, pieces := range f.units {
		got := map[int][4]V{}
		for r := range p {
			f.load(x, s, p[r], u, func(piece int, v V) {
				if f.off != 0 {
					x.sub("B16", v, v, s.c["off"])
				}
				all := got[piece]
				all[r] = v
				got[piece] = all
			})
		}
		for _, piece := range pieces {
			l.store(x, got[piece], ps[0], 16*tileRows*piece)
			stored += 16
		}
	}
	x.addi(ps[0], ps[0], tileRows*stored)
	if f.loop {
		x.next(s.unitIndex, f.weights/stored, "unit")
		x.freeR(s.unitIndex)
	}
	if !f.post {
		for _, p := range p {
			x.addi(p, p, f.size)
		}
	}
	for i := range outs[1:] {
		x.addi(ps[1+i], ps[1+i], 4*tileRows*f.groups())
	}
	x.loop(count, "loop")
	x.addi(base[0], base[0], l.quadBytes)
	for i := range outs[1:] {
		x.addi(base[1+i], base[1+i], 16)
	}
	x.addrShifted(w, stride, 2)
	x.loop(left, "quad")
	s.release(x)
	x.end()
}

// panelArgs are the fields of kernels.panelArgs, in order and of eight bytes each.
var panelArgs = []string{"dst", "ldd", "p", "panel", "s", "m", "scales", "q", "g", "k", "groups", "off", "next"}

func (x *program) field(args R, name string) R {
	for i, f := range panelArgs {
		if f == name {
			r := x.R()
			x.ldrX(r, args, 8*i)
			return r
		}
	}
	panic("panelArgs has no field " + name)
}

// panel is what the panel kernels of a level have in common: pointers into a panel and to some
// tokens.
type panel struct {
	group, tokens int
	min           bool
	args          R
	p, s, m       R
	q, g          []R // of the tokens
	groups, next  R
}

func panelName(l *level, kind string, group int, min bool, tokens int) string {
	if min {
		kind = "Min" + kind
	}
	return fmt.Sprintf("microkernel%d%sx%d%s", group, kind, tokens, l.suffix)
}

// table lists the kernels of a level, for one token those of another.
func (x *program) table(l, rows *level) {
	fmt.Fprintf(&x.stub, "\nvar formats%s = []kernels8{\n", l.suffix)
	for _, f := range formats {
		fmt.Fprintf(&x.stub, "\t{quant.%s, gemv%s%s, pack%s%s, [4]func(*byte){", f.name, f.name, rows.suffix, f.name, l.suffix)
		for tokens := 1; tokens <= 4; tokens++ {
			if tokens > 1 {
				x.stub.WriteString(", ")
			}
			x.stub.WriteString(panelName(l, l.panel(&f), f.group, f.min, tokens))
		}
		x.stub.WriteString("}},\n")
	}
	x.stub.WriteString("}\n")
}

func (x *program) beginPanel(l *level, kind string, group int, min bool, tokens int) *panel {
	name := panelName(l, kind, group, min, tokens)
	x.function(name, "a *byte", fmt.Sprintf("%s multiplies a panel of 8 rows with %d tokens: a is a *panelArgs.", name, tokens))
	n := &panel{group: group, min: min, tokens: tokens, args: x.arg("a")}
	n.p, n.s, n.groups = x.field(n.args, "p"), x.field(n.args, "s"), x.field(n.args, "groups")
	n.next = x.field(n.args, "next")
	if min {
		n.m = x.field(n.args, "m")
	}
	k := x.field(n.args, "k")
	n.q, n.g = []R{x.field(n.args, "q")}, []R{x.field(n.args, "g")}
	for t := 1; t < tokens; t++ {
		n.q, n.g = append(n.q, x.R()), append(n.g, x.R())
		x.addr(n.q[t], n.q[t-1], k)
		x.addr(n.g[t], n.g[t-1], k)
	}
	x.freeR(k)
	return n
}

// step ends the loop over groups of 32.
func (x *program) step(n *panel) {
	x.op("PRFM", mem(n.next, 0), "PLDL2KEEP")
	x.addi(n.next, n.next, 64)
	x.loop(n.groups, "loop")
}

// meta loads the vectors of token t's actGroup, the second only for minima; the last reading of a
// group moves on.
func (x *program) meta(n *panel, t int, last bool, m0, m1 V) {
	switch {
	case n.min && last:
		x.ldpPost(m0, m1, n.g[t], actGroup)
	case n.min:
		x.ldp(m0, m1, n.g[t], 0)
	case last:
		x.ldrPost(m0, n.g[t], actGroup)
	default:
		x.ldr(m0, n.g[t], 0)
	}
}

// foldPanel adds a group's products, n[token][quad], to the outputs.
func (x *program) foldPanel(n *panel, i int, acc, c [][quads]V) {
	s0, s1, sd, m0, m1 := x.V(), x.V(), x.V(), x.V(), x.V()
	x.ldpPost(s0, s1, n.s, 32)
	var lo, hi V
	if n.min {
		lo, hi = x.V(), x.V()
		x.ldpPost(lo, hi, n.m, 32)
	}
	for t := range n.tokens {
		x.meta(n, t, (i+1)*n.group == 32, m0, m1)
		for g, s := range []V{s0, s1} {
			x.w(scvtf(c[t][g], c[t][g]))
			x.w(fmulLane(sd, s, m0, 0))
			x.fmla(acc[t][g], c[t][g], sd)
		}
		if n.min {
			x.w(fmlaLane(acc[t][0], lo, m1, dsumLane(n.group, i)))
			x.w(fmlaLane(acc[t][1], hi, m1, dsumLane(n.group, i)))
		}
	}
	x.free(s0, s1, sd, m0, m1)
	if n.min {
		x.free(lo, hi)
	}
}

// accumulators takes zeroed registers for the outputs of some tokens.
func (x *program) accumulators(tokens int) [][quads]V {
	acc := make([][quads]V, tokens)
	for t := range acc {
		for g := range acc[t] {
			acc[t][g] = x.V()
			x.zero(acc[t][g])
		}
	}
	return acc
}

// endPanel writes the outputs.
func (x *program) endPanel(n *panel, acc [][quads]V) {
	x.freeR(n.q...)
	dst, ldd := x.field(n.args, "dst"), x.field(n.args, "ldd")
	for t := range n.tokens {
		x.stp(acc[t][0], acc[t][1], dst, 0)
		if t < n.tokens-1 {
			x.addrShifted(dst, ldd, 2)
		}
		x.free(acc[t][:]...)
	}
	x.end()
}

// dwords4x4 transposes a 4×4 matrix of dwords, whose registers it takes.
func (x *program) dwords4x4(v [4]V) (t [4]V) {
	a, b, c, d := x.V(), x.V(), x.V(), x.V()
	x.trn1("S4", a, v[0], v[1])
	x.trn2("S4", b, v[0], v[1])
	x.trn1("S4", c, v[2], v[3])
	x.trn2("S4", d, v[2], v[3])
	t = v
	x.trn1("D2", t[0], a, c)
	x.trn1("D2", t[1], b, d)
	x.trn2("D2", t[2], a, c)
	x.trn2("D2", t[3], b, d)
	x.free(a, b, c, d)
	return t
}
