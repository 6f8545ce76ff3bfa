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
