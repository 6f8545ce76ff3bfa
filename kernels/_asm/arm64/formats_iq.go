package main

import "fmt"

// The formats with a codebook: indices are gathered one by one, from tables that package kernels
// keeps for it.

func init() {
	formats = append(formats,
		format{name: "IQ1_S", weights: 256, size: 50, group: 32, most: 9, begin: beginIQ1S, scales: scalesIQ1S, units: whole, loop: true, load: loadIQ1S},
		format{name: "IQ1_M", weights: 256, size: 56, group: 16, most: 9, begin: beginIQ1M, scales: scalesIQ1M, units: whole, loop: true, load: loadIQ1M},
		format{name: "IQ2_XXS", weights: 256, size: 66, group: 32, most: 43, begin: tables("gridIQ2XXS", "signs7"), scales: scalesXXS(2, 8, 0.25), units: whole, loop: true, load: loadIQ2XXS},
		format{name: "IQ2_XS", weights: 256, size: 74, group: 16, most: 43, begin: tables("gridIQ2XS", "signs7"), scales: scalesIQ2(66), units: whole, loop: true, load: loadIQ2XS},
		format{name: "IQ2_S", weights: 256, size: 82, group: 16, most: 43, begin: signBits("gridIQ2S"), scales: scalesIQ2(74), units: whole, loop: true, load: loadIQ2S},
		format{name: "IQ3_XXS", weights: 256, size: 98, group: 32, most: 62, begin: tables("gridIQ3XXS", "signs7"), scales: scalesXXS(66, 4, 0.5), units: whole, loop: true, load: loadIQ3XXS},
		format{name: "IQ3_S", weights: 256, size: 110, group: 32, most: 15, begin: beginIQ3S, scales: scalesIQ3S, units: whole, loop: true, load: loadIQ3S},
	)
}

// tables loads the addresses of tables: points, and signs if there are any.
func tables(grid string, signs ...string) func(*program, *state) {
	return func(x *program, s *state) {
		s.grid = x.R()
		x.op("MOVD", "·"+grid+"(SB)", s.grid.String())
		if len(signs) > 0 {
			s.signs = x.R()
			x.op("MOVD", "·"+signs[0]+"(SB)", s.signs.String())
		}
	}
}

// signBits is for signs that are a bit per weight: those of a group are four bytes.
func signBits(grid string) func(*program, *state) {
	return func(x *program, s *state) {
		tables(grid)(x, s)
		x.fill(s.hold(x, "1"), 1)
		x.constant(s.hold(x, "bits"), 1, 2, 4, 8, 16, 32, 64, 128)
		for h := range 2 {
			x.constant(s.hold(x, fmt.Sprint("half", h)), repeated(2*h, 8)...)
		}
	}
}

func beginIQ3S(x *program, s *state) {
	signBits("gridIQ3S")(x, s)
	x.constant(s.hold(x, "bits16"), 1, 0, 2, 0, 4, 0, 8, 0, 16, 0, 32, 0, 64, 0, 128, 0)
	x.constant(s.hold(x, "256"), 0, 1)
}

// signedBits multiplies v, 16 weights of half h of a group, with the signs of the group.
func (x *program) signedBits(s *state, v, signs V, h int) {
	x.with(1, func(t []V) {
		x.tbl(t[0], signs, s.c[fmt.Sprint("half", h)])
		x.cmtst("B16", t[0], t[0], s.c["bits"])
		x.orr(t[0], t[0], s.c["1"])
		x.w(mulB(v, v, t[0]))
	})
}

// Integers from memory and from bits of others.

func (x *program) ldrb(d, p R, at int) { x.op("MOVBU", mem(p, at), d.String()) }
func (x *program) ldrh(d, p R, at int) { x.op("MOVHU", mem(p, at), d.String()) }
func (x *program) ldrw(d, p R, at int) { x.op("MOVWU", mem(p, at), d.String()) }
func (x *program) ubfx(d, n R, at, bits int) {
	x.op("UBFX", imm(at), n.String(), imm(bits), d.String())
}

// above sets d |= n<<8.
func (x *program) above(d, n R) { x.op("ORR", fmt.Sprintf("%s<<8", n), d.String(), d.String()) }

// withR runs body with n general registers that are free again afterwards.
func (x *program) withR(n int, body func(r []R)) {
	var r []R
	for range n {
		r = append(r, x.R())
	}
	body(r)
	x.freeR(r...)
}

// gather8 is two entries of a table of eight bytes each.
func (x *program) gather8(table, i, j R) V {
	v, u := x.V(), x.V()
	x.op("FMOVD", fmt.Sprintf("(%s)(%s<<3)", table, i), v.f())
	x.op("FMOVD", fmt.Sprintf("(%s)(%s<<3)", table, j), u.f())
	x.zip1("D2", v, v, u)
	x.free(u)
	return v
}

// gather4 is four entries of a table of four bytes each.
func (x *program) gather4(table R, i []R) V {
	var v [4]V
	for j := range v {
		v[j] = x.V()
		x.op("FMOVS", fmt.Sprintf("(%s)(%s<<2)", table, i[j]), v[j].f())
	}
	x.zip1("S4", v[0], v[0], v[1])
	x.zip1("S4", v[2], v[2], v[3])
	x.zip1("D2", v[0], v[0], v[2])
	x.free(v[1:]...)
	return v[0]
}

// signed multiplies v with two entries of the table of signs.
func (x *program) signed(s *state, v V, i, j R) {
	signs := x.gather8(s.signs, i, j)
	x.w(mulB(v, v, signs))
	x.free(signs)
}

// Scales are (n+1/2)·d for a few bits n and a multiple d of the block's half float; such products
// are exact.

// blockScale reads the half float at the block's beginning, times f.
func (x *program) blockScale(p [4]R, f float32) V {
	d := x.V()
	x.lanes(d, "H", p, 0)
	x.w(fcvtl(d, d))
	x.with(1, func(v []V) { x.w(fmul(d, d, x.floats(v[0], f))) })
	return d
}

// plusHalf replaces the integers n by (n+1/2)·d.
func (x *program) plusHalf(n, half, d V) V {
	x.w(ucvtf(n, n))
	x.w(fadd(n, n, half))
	x.w(fmul(n, n, d))
	return n
}

// scalesXXS takes the four highest bits of the words that are a stride apart and come after four
// bytes of index where that is 8.
func scalesXXS(disp, stride int, f float32) func(*program, *state, func(quad, i int, d, m V)) {
	return func(x *program, s *state, emit func(quad, i int, d, m V)) {
		half := x.floats(x.V(), 0.5)
		for i, p := range s.quads {
			d := x.blockScale(p, f)
			next := func(g int, w V) {
				x.ushr("S4", w, w, 28)
				emit(i, g, x.plusHalf(w, half, d), -1)
			}
			for j := range 8 * stride / 16 {
				t := x.columns(p, disp+16*j)
				if stride == 4 {
					for k, w := range t {
						next(4*j+k, w)
					}
					continue
				}
				next(2*j, t[1])
				next(2*j+1, t[3])
				x.free(t[0], t[2])
			}
			x.free(d)
		}
		x.free(half)
	}
}

// doublets reads eight bytes of four rows: the first dword of each, and the second.
func (x *program) doublets(p [4]R, disp int) (lo, hi V) {
	var v [4]V
	for r := range p {
		v[r] = x.V()
		x.ldrD(v[r], p[r], disp)
	}
	x.zip1("S4", v[0], v[0], v[1])
	x.zip1("S4", v[2], v[2], v[3])
	x.zip1("D2", v[1], v[0], v[2])
	x.zip2("D2", v[3], v[0], v[2])
	x.free(v[0], v[2])
	return v[1], v[3]
}

// nibbleScales emits a scale for each nibble of some dwords, low ones first.
func (x *program) nibbleScales(words []V, d V, emit func(g int, d V)) {
	index := x.indices(byteIndex)
	half, mask := x.floats(x.V(), 0.5), x.V()
	x.fill(mask, 0x0f)
	for j, v := range words {
		for b := range 4 {
			for h := range 2 {
				n := x.V()
				x.tbl(n, v, index[b])
				if h == 0 {
					x.and(n, n, mask)
				} else {
					x.ushr("S4", n, n, 4)
				}
				emit(8*j+2*b+h, x.plusHalf(n, half, d))
			}
		}
	}
	x.free(index[:]...)
	x.free(half, mask)
}

func scalesIQ2(disp int) func(*program, *state, func(quad, i int, d, m V)) {
	return func(x *program, s *state, emit func(quad, i int, d, m V)) {
		for i, p := range s.quads {
			d := x.blockScale(p, 0.25)
			lo, hi := x.doublets(p, disp)
			x.nibbleScales([]V{lo, hi}, d, func(g int, d V) { emit(i, g, d, -1) })
			x.free(d, lo, hi)
		}
	}
}

func scalesIQ3S(x *program, s *state, emit func(quad, i int, d, m V)) {
	for i, p := range s.quads {
		d, n := x.blockScale(p, 2), x.V()
		x.lanes(n, "S", p, 106)
		x.nibbleScales([]V{n}, d, func(g int, d V) { emit(i, g, d, -1) })
		x.free(d, n)
	}
}

// part is the address of what unit s.unitIndex has in the row at p, each unit having 1<<log bytes
// of it.
func (x *program) part(d R, s *state, p R, log int) {
	x.op("ADD", fmt.Sprintf("%s<<%d", s.unitIndex, log), p.String(), d.String())
}

// loadIQ2XXS: four indices, then four times seven bits of signs.
func loadIQ2XXS(x *program, s *state, p R, _ int, use func(piece int, v V)) {
	x.withR(6, func(r []R) {
		a := r[5]
		x.part(a, s, p, 3)
		x.ldrw(r[4], a, 2+4)
		for h := range 2 {
			x.ldrb(r[0], a, 2+2*h)
			x.ldrb(r[1], a, 2+2*h+1)
			x.ubfx(r[2], r[4], 14*h, 7)
			x.ubfx(r[3], r[4], 14*h+7, 7)
			v := x.gather8(s.grid, r[0], r[1])
			x.signed(s, v, r[2], r[3])
			use(h, v)
		}
	})
}

// loadIQ2XS: nine bits of index and seven of signs.
func loadIQ2XS(x *program, s *state, p R, _ int, use func(piece int, v V)) {
	x.withR(6, func(r []R) {
		a := r[5]
		x.part(a, s, p, 3)
		for h := range 2 {
			x.ldrw(r[4], a, 2+4*h)
			x.ubfx(r[0], r[4], 0, 9)
			x.ubfx(r[1], r[4], 16, 9)
			x.ubfx(r[2], r[4], 9, 7)
			x.ubfx(r[3], r[4], 25, 7)
			v := x.gather8(s.grid, r[0], r[1])
			x.signed(s, v, r[2], r[3])
			use(h, v)
		}
	})
}

// loadIQ2S: eight bits of index and, apart, two more and eight of signs.
func loadIQ2S(x *program, s *state, p R, _ int, use func(piece int, v V)) {
	x.withR(6, func(r []R) {
		a := r[5]
		x.part(a, s, p, 0)
		x.ldrb(r[4], a, 66)
		x.part(a, s, p, 2)
		signs := x.V()
		x.ldrS(signs, a, 34)
		for h := range 2 {
			for l := range 2 {
				x.ldrb(r[l], a, 2+2*h+l)
				x.ubfx(r[2], r[4], 4*h+2*l, 2)
				x.above(r[l], r[2])
			}
			v := x.gather8(s.grid, r[0], r[1])
			x.signedBits(s, v, signs, h)
			use(h, v)
		}
		x.free(signs)
	})
}

// loadIQ3XXS: eight indices of points of four; signs as in IQ2_XXS.
func loadIQ3XXS(x *program, s *state, p R, _ int, use func(piece int, v V)) {
	x.withR(6, func(r []R) {
		a := r[5]
		x.part(a, s, p, 2)
		x.ldrw(r[4], a, 66)
		x.part(a, s, p, 3)
		for h := range 2 {
			for l := range 4 {
				x.ldrb(r[l], a, 2+4*h+l)
			}
			v := x.gather4(s.grid, r[:4])
			x.ubfx(r[2], r[4], 14*h, 7)
			x.ubfx(r[3], r[4], 14*h+7, 7)
			x.signed(s, v, r[2], r[3])
			use(h, v)
		}
	})
}

// loadIQ3S has a ninth bit of each index and eight signs apart.
func loadIQ3S(x *program, s *state, p R, _ int, use func(piece int, v V)) {
	x.withR(5, func(r []R) {
		a := r[4]
		i, high, signs := x.V(), x.V(), x.V()
		x.part(a, s, p, 0)
		x.ldrb(r[0], a, 66)
		x.op("VDUP", r[0].String(), high.as("H8"))
		x.cmtst("H8", high, high, s.c["bits16"])
		x.part(a, s, p, 3)
		x.ldrD(i, a, 2)
		x.op("VUXTL", i.as("B8"), i.as("H8"))
		x.and(high, high, s.c["256"])
		x.orr(i, i, high)
		x.free(high)
		x.part(a, s, p, 2)
		x.ldrS(signs, a, 74)
		for h := range 2 {
			for l := range 4 {
				x.op("VMOV", fmt.Sprintf("V%d.H[%d]", int(i), 4*h+l), r[l].String())
			}
			v := x.gather4(s.grid, r[:4])
			x.signedBits(s, v, signs, h)
			use(h, v)
		}
		x.free(i, signs)
	})
}

// IQ1: points of -1, 0 and 1, in eighths, and all of them an eighth up or down.

func beginIQ1S(x *program, s *state) {
	tables("gridIQ1S")(x, s)
	x.fill(s.hold(x, "1"), 1)
	x.constant(s.hold(x, "down"), 0, 0x80)
}

// scalesIQ1S takes bits 12 to 14 of eight words of 16.
func scalesIQ1S(x *program, s *state, emit func(quad, i int, d, m V)) {
	half, seven := x.floats(x.V(), 0.5), x.V()
	x.w(moviS(seven, 7))
	for i, p := range s.quads {
		d := x.blockScale(p, 0.25)
		for j, w := range x.columns(p, 34) {
			for h := range 2 {
				n := x.V()
				x.ushr("S4", n, w, 12+16*h)
				x.and(n, n, seven)
				emit(i, 2*j+h, x.plusHalf(n, half, d), -1)
			}
			x.free(w)
		}
		x.free(d)
	}
	x.free(half, seven)
}

// eighths is 8·v plus or minus 1: minus where the bits of down are set in by.
func (x *program) eighths(s *state, t string, v, by V) {
	x.cmtst(t, by, by, s.c["down"])
	x.orr(by, by, s.c["1"])
	x.shl("B16", v, v, 3)
	x.add("B16", v, v, by)
	x.free(by)
}

func loadIQ1S(x *program, s *state, p R, _ int, use func(piece int, v V)) {
	x.withR(5, func(r []R) {
		a := r[4]
		x.part(a, s, p, 1)
		x.ldrh(r[3], a, 34)
		x.part(a, s, p, 2)
		for h := range 2 {
			for l := range 2 {
				x.ldrb(r[l], a, 2+2*h+l)
				x.ubfx(r[2], r[3], 6*h+3*l, 3)
				x.above(r[l], r[2])
			}
			v, by := x.gather8(s.grid, r[0], r[1]), x.V()
			x.op("VDUP", r[3].String(), by.as("H8"))
			x.eighths(s, "H8", v, by)
			use(h, v)
		}
	})
}

func beginIQ1M(x *program, s *state) {
	tables("gridIQ1S")(x, s)
	x.fill(s.hold(x, "1"), 1)
	x.constant(s.hold(x, "down"), 8, 8, 8, 8, 8, 8, 8, 8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80)
}

// scalesIQ1M takes four words of 16 bits apart: four times three bits of scale, and a quarter of
// the block's half float on top.
func scalesIQ1M(x *program, s *state, emit func(quad, i int, d, m V)) {
	half, seven, quarter, mask := x.floats(x.V(), 0.5), x.V(), x.floats(x.V(), 0.25), x.V()
	x.w(moviS(seven, 7))
	x.w(moviS(mask, 15))
	for i, p := range s.quads {
		lo, hi := x.doublets(p, 48)
		d, e, t := x.V(), x.V(), x.V()
		for _, w := range []struct{ to, from V }{{d, lo}, {e, hi}} {
			x.ushr("S4", w.to, w.from, 12)
			x.and(w.to, w.to, mask)
			x.ushr("S4", t, w.from, 28)
			x.sli("S4", w.to, t, 4)
		}
		x.sli("S4", d, e, 8)
		x.w(xtn(d, d))
		x.w(fcvtl(d, d))
		x.w(fmul(d, d, quarter))
		x.free(e, t)
		for g := range 16 {
			n := x.V()
			w := []V{lo, hi}[g/8]
			if at := g/4%2*16 + g%4*3; at > 0 {
				x.ushr("S4", n, w, at)
				x.and(n, n, seven)
			} else {
				x.and(n, w, seven)
			}
			emit(i, g, x.plusHalf(n, half, d), -1)
		}
		x.free(d, lo, hi)
	}
	x.free(half, seven, quarter, mask)
}

func loadIQ1M(x *program, s *state, p R, _ int, use func(piece int, v V)) {
	x.withR(6, func(r []R) {
		a, b := r[4], r[5]
		x.part(a, s, p, 2)
		x.part(b, s, p, 1)
		for h := range 2 {
			x.ldrb(r[3], b, 32+h)
			for l := range 2 {
				x.ldrb(r[l], a, 2*h+l)
				x.ubfx(r[2], r[3], 4*l, 3)
				x.above(r[l], r[2])
			}
			v, by := x.gather8(s.grid, r[0], r[1]), x.V()
			x.op("VDUP", r[3].String(), by.as("B16"))
			x.eighths(s, "B16", v, by)
			use(h, v)
		}
	})
}
