package main

import (
	"fmt"
	"math"
)

const attendTile = 64 // keys, see kernels.Tile

// attention: see attend.go of the package.
func (x *program) attention() {
	for rows := 1; rows <= 4; rows++ {
		for _, columns := range []int{16, 4, 1} {
			x.gemm(rows, columns)
		}
	}
	for _, f := range floatFormats[:2] {
		x.transpose(f)
	}
	x.tileSoftmax()
	x.rescaleMerge()
}

// gemm multiplies some rows of a with some columns of b. Strides are in bytes.
func (x *program) gemm(rows, columns int) {
	name := fmt.Sprintf("gemm%dx%dNEON", rows, columns)
	x.function(name, "c *float32, a *float32, b *float32, lda int, ld int, k int",
		fmt.Sprintf("%s multiplies %d rows of a with %d columns of b, adding along k in order.", name, rows, columns))
	a, b, lda, ld, k := []R{x.arg("a")}, x.arg("b"), x.arg("lda"), x.arg("ld"), x.arg("k")
	for i := 1; i < rows; i++ {
		a = append(a, x.R())
		x.addr(a[i], a[i-1], lda)
	}
	vectors, lanes := (columns+3)/4, min(columns, 4)
	acc := make([][]V, rows)
	for i := range acc {
		for range vectors {
			v := x.V()
			x.zero(v)
			acc[i] = append(acc[i], v)
		}
	}
	step := func(s []V, lane int) {
		var v []V
		for range vectors {
			v = append(v, x.V())
		}
		if vectors == 4 {
			x.ldp(v[0], v[1], b, 0)
			x.ldp(v[2], v[3], b, 32)
		} else {
			x.get(v[0], b, 0, lanes)
		}
		x.addr(b, b, ld)
		for i := range rows {
			for j := range v {
				x.w(fmlaLane(acc[i][j], v[j], s[i], lane))
			}
		}
		x.free(v...)
	}
	for _, n := range []int{4, 1} {
		label := fmt.Sprintf("by%d", n)
		x.op("CMP", imm(n), k.String())
		x.op("BLT", label+"done")
		x.label(label)
		var s []V
		for i := range rows {
			s = append(s, x.V())
			x.get(s[i], a[i], 0, n)
			x.addi(a[i], a[i], 4*n)
		}
		for lane := range n {
			step(s, lane)
		}
		x.free(s...)
		x.op("SUB", imm(n), k.String(), k.String())
		x.op("CMP", imm(n), k.String())
		x.op("BGE", label)
		x.label(label + "done")
	}
	c := a[0]
	x.argTo("c", c)
	for i := range acc {
		if vectors == 4 {
			x.stp(acc[i][0], acc[i][1], c, 0)
			x.stp(acc[i][2], acc[i][3], c, 32)
		} else {
			x.put(acc[i][0], c, 0, lanes)
		}
		if i+1 < rows {
			x.addr(c, c, ld)
		}
		x.free(acc[i]...)
	}
	x.end()
}

func (x *program) transpose(f floatFormat) {
	name := "transpose" + f.name + "NEON"
	x.function(name, "dst *float32, src *byte, stride int, blocks int",
		fmt.Sprintf("%s turns 4 rows of some times 4 %s into columns %d bytes apart.", name, f.name, 4*attendTile))
	src, stride, dst, blocks := x.arg("src"), x.arg("stride"), x.arg("dst"), x.arg("blocks")
	p := x.quad(src, stride, false)
	x.label("loop")
	var v [4]V
	for i := range v {
		v[i] = f.get(x, x.V(), p[i], 0, 4)
		x.addi(p[i], p[i], 4*f.size)
	}
	for i, t := range x.dwords4x4(v) {
		x.str(t, dst, 4*attendTile*i)
		x.free(t)
	}
	x.addi(dst, dst, 16*attendTile)
	x.loop(blocks, "loop")
	x.end()
}

func (x *program) tileSoftmax() {
	x.function("tileSoftmaxNEON", "p *float32, rowMax *float32, rowSum *float32, rows int, seen int, scale float32", "tileSoftmaxNEON is tileSoftmax.")
	p, rowMax, rowSum, rows, seen := x.arg("p"), x.arg("rowMax"), x.arg("rowSum"), x.arg("rows"), x.arg("seen")
	scale := x.float("scale")
	low := x.floats(x.V(), float32(math.Inf(-1)))
	lanes := x.constant(x.V(), 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0)
	four, limit := x.V(), x.V()
	x.w(moviS(four, 4))
	x.op("VDUP", seen.String(), limit.as("S4"))
	t := x.expTable()
	x.label("loop")
	// The largest score.
	var m [4]V
	for i := range m {
		m[i] = x.V()
		x.mov(m[i], low)
	}
	k := x.V()
	x.mov(k, lanes)
	for i := range attendTile / 4 {
		s, mask := x.V(), x.V()
		x.ldr(s, p, 16*i)
		x.w(fmul(s, s, scale))
		x.w(cmgt(mask, limit, k))
		x.bif(s, low, mask)
		x.w(fmax(m[i%4], m[i%4], s))
		x.str(s, p, 16*i)
		x.add("S4", k, k, four)
		x.free(s, mask)
	}
	x.free(k)
	x.w(fmax(m[0], m[0], m[2]))
	x.w(fmax(m[1], m[1], m[3]))
	x.w(fmax(m[0], m[0], m[1]))
	x.w(fmaxp(m[0], m[0], m[0]))
	x.w(fmaxp(m[0], m[0], m[0]))
	most, none := m[0], m[1]
	x.cmeq("S4", none, most, low)
	x.free(m[2:]...)
	var add [4]V
	for i := range add {
		add[i] = x.V()
		x.zero(add[i])
	}
	zero := x.V()
	x.zero(zero)
	for i := range attendTile / 4 {
		s := x.V()
		x.ldr(s, p, 16*i)
		x.w(fsub(s, s, most))
		x.exp(t, s)
		x.bit(s, zero, none) // of a row without any score
		x.w(fadd(add[i%4], add[i%4], s))
		x.str(s, p, 16*i)
		x.free(s)
	}
	x.w(fadd(add[0], add[0], add[2]))
	x.w(fadd(add[1], add[1], add[3]))
	x.w(fadd(add[0], add[0], add[1]))
	x.w(faddp(add[0], add[0], add[0]))
	x.w(faddp(add[0], add[0], add[0]))
	x.put(most, rowMax, 0, 1)
	x.put(add[0], rowSum, 0, 1)
	x.addi(p, p, 4*attendTile)
	x.addi(rowMax, rowMax, 4)
	x.addi(rowSum, rowSum, 4)
	x.loop(rows, "loop")
	x.free(most, none, zero, scale, low, lanes, four, limit)
	x.free(add[:]...)
	x.freeTable(t)
	x.end()
}

func (x *program) rescaleMerge() {
	x.function("rescaleMergeNEON", "out *float32, acc *float32, max *float32, sum *float32, rowMax *float32, rowSum *float32, rows int, d int", "rescaleMergeNEON is rescaleMerge.")
	out, acc := x.arg("out"), x.arg("acc")
	pmax, psum, prowMax, prowSum := x.arg("max"), x.arg("sum"), x.arg("rowMax"), x.arg("rowSum")
	rows, d := x.arg("rows"), x.arg("d")
	t := x.expTable()
	word, inf := x.R(), x.R()
	x.op("MOVW", fmt.Sprintf("$0x%x", bits(float32(math.Inf(-1)))), inf.String())
	x.label("loop")
	x.op("MOVWU", mem(prowMax, 0), word.String())
	x.op("CMPW", inf.String(), word.String())
	x.op("BEQ", "skip")
	e, both, s, n := x.V(), x.V(), x.V(), x.V()
	x.get(e, pmax, 0, 1)
	x.get(n, prowMax, 0, 1)
	x.w(fmax(both, e, n))
	x.put(both, pmax, 0, 1)
	x.zip1("S4", e, e, n)
	x.dup("S4", both, both, 0)
	x.w(fsub(e, e, both))
	x.exp(t, e) // lane 0 is for the output so far, lane 1 for the tile
	x.get(s, psum, 0, 1)
	x.get(n, prowSum, 0, 1)
	x.w(fmulLane(s, s, e, 0))
	x.w(fmlaLane(s, n, e, 1))
	x.put(s, psum, 0, 1)
	x.free(both, s, n)
	left, o, a := x.R(), x.R(), x.R()
	x.movr(left, d)
	x.movr(o, out)
	x.movr(a, acc)
	x.each("row", left, func(i, lanes int) {
		x.with(2, func(v []V) {
			x.get(v[0], o, 16*i, lanes)
			x.get(v[1], a, 16*i, lanes)
			x.w(fmulLane(v[0], v[0], e, 0))
			x.w(fmlaLane(v[0], v[1], e, 1))
			x.put(v[0], o, 16*i, lanes)
		})
	}, stream{o, 4}, stream{a, 4})
	x.free(e)
	x.label("skip")
	x.addrShifted(out, d, 2)
	x.addrShifted(acc, d, 2)
	for _, p := range []R{pmax, psum, prowMax, prowSum} {
		x.addi(p, p, 4)
	}
	x.loop(rows, "loop")
	x.freeTable(t)
	x.end()
}

// quantize is quantizeGroup for four groups, one to a lane, operation by operation, so that bits are equal.
func (x *program) quantize() {
	x.function("quantizeNEON", "q *int8, groups *byte, x *float32", "quantizeNEON is quantize for 4 groups.")
	const groups, candidates, size = 4, 8, 32
	src := x.arg("x")
	// The groups by columns: [32][4].
	columns := x.local(4 * groups * size)
	p := [4]R{src, x.R(), x.R(), x.R()}
	for i := 1; i < 4; i++ {
		x.addi(p[i], p[i-1], 4*size)
	}
	// NaN and Inf have the largest magnitudes, as integers too.
	amax, abs := x.V(), x.constant(x.V(), 0xff, 0xff, 0xff, 0x7f)
	x.zero(amax)
	for j := range size / 4 {
		var v [4]V
		for i := range v {
			v[i] = x.V()
			x.ldr(v[i], p[i], 16*j)
		}
		for i, t := range x.dwords4x4(v) {
			x.str(t, columns, 16*(4*j+i))
			x.and(t, t, abs)
			x.three("VUMAX", "S4", amax, amax, t)
			x.free(t)
		}
	}
	x.free(abs)
	// good groups have a scale, the finite others do not need one.
	bad, good, one := x.V(), x.V(), x.V()
	x.with(2, func(v []V) {
		x.w(cmgt(bad, amax, x.constant(v[0], 0xff, 0xff, 0x7f, 0x7f)))
		x.w(cmge(good, amax, x.floats(v[1], 0x1p-118)))
	})
	x.w(bic(good, good, bad))
	x.floats(one, 1) // where there is no scale, any that yields one
	x.bif(amax, one, good)
	x.free(one)

	best, inv, scale, magic := x.V(), x.V(), x.V(), x.floats(x.V(), 3<<22)
	x.zero(best)
	x.zero(inv)
	x.zero(scale)
	const half = candidates / 2
	col, n := x.R(), x.R()
	for h := range 2 {
		var id, xq, qq [half]V
		for c := range half {
			id[c], xq[c], qq[c] = x.V(), x.V(), x.V()
			x.floats(id[c], candidateMax(half*h+c))
			x.w(fdiv(id[c], id[c], amax))
			x.zero(xq[c])
			x.zero(qq[c])
		}
		x.movr(col, columns)
		x.op("MOVD", imm(size), n.String())
		label := fmt.Sprintf("candidates%d", h)
		x.label(label)
		v := x.V()
		x.ldrPost(v, col, 16)
		for c := range half {
			x.with(2, func(u []V) {
				t, r := u[0], u[1]
				x.w(fmul(t, v, id[c]))
				x.w(fadd(r, t, magic))
				x.w(fsub(r, r, magic))
				x.w(fmul(t, t, r))
				x.w(fadd(xq[c], xq[c], t))
				x.w(fmul(r, r, r))
				x.w(fadd(qq[c], qq[c], r))
			})
		}
		x.free(v)
		x.loop(n, label)
		for c := range half {
			x.with(3, func(u []V) {
				s, gain, more := u[0], u[1], u[2]
				x.w(fdiv(s, xq[c], qq[c]))
				x.w(fmul(gain, s, xq[c]))
				x.floats(more, candidateMax(half*h+c)*candidateMax(half*h+c))
				x.w(fdiv(gain, gain, more))
				x.w(fcmgt(more, gain, best))
				x.bit(best, gain, more)
				x.bit(inv, id[c], more)
				x.w(fdiv(s, s, id[c]))
				x.bit(scale, s, more)
			})
			x.free(id[c], xq[c], qq[c])
		}
	}
	x.free(best, magic, amax)
	// Zero without a scale, NaN without a finite one.
	x.and(scale, scale, good)
	x.with(1, func(v []V) {
		x.constant(v[0], 0, 0, 0xc0, 0x7f)
		x.bit(scale, v[0], bad)
	})
	x.free(bad)

	// The integers, group by group: 16 bytes at a time, whose sum is one of the group's two.
	q := x.arg("q")
	var sum [2]V
	for h := range sum {
		sum[h] = x.V()
		x.zero(sum[h])
	}
	for g := range groups {
		for h := range sum {
			var v [4]V
			for i := range v {
				v[i] = x.V()
				x.ldr(v[i], p[g], 64*h+16*i)
				x.w(fmulLane(v[i], v[i], inv, g))
				x.w(fcvtns(v[i], v[i]))
			}
			x.with(2, func(u []V) {
				x.uzp1("H8", v[0], v[0], v[1])
				x.uzp1("H8", v[2], v[2], v[3])
				x.uzp1("B16", v[0], v[0], v[2])
				x.dup("S4", u[0], good, g)
				x.and(v[0], v[0], u[0])
				x.str(v[0], q, size*g+16*h)
				x.w(saddlv(u[1], v[0]))
				x.w(sxtl(u[1], u[1]))
				x.op("VMOV", fmt.Sprintf("V%d.S[0]", int(u[1])), fmt.Sprintf("V%d.S[%d]", int(sum[h]), g))
			})
			x.free(v[:]...)
		}
	}
	both, zero := x.V(), x.V()
	x.add("S4", both, sum[0], sum[1])
	x.zero(zero)
	times := func(n V) V {
		t := x.V()
		x.w(scvtf(t, n))
		x.w(fmul(t, t, scale))
		return t
	}
	out := x.arg("groups")
	rows := [2][4]V{{scale, both, sum[0], sum[1]}, {times(both), times(sum[0]), times(sum[1]), zero}}
	x.free(inv, good)
	for part, v := range rows {
		for g, t := range x.dwords4x4(v) {
			x.str(t, out, actGroup*g+16*part)
			x.free(t)
		}
	}
	x.end()
}

// candidateMax is what candidate c maps the largest magnitude of a group to.
func candidateMax(c int) float32 { return 127 - 0.75*float32(c) }
