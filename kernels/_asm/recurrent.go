package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// wide is what the recurrences ask of a level: vectors of so many lanes, or the first of them.
type wide struct {
	lanes  int
	vector func() reg.VecVirtual
	exp    func(v reg.VecVirtual)
	get    func(m Mem) reg.VecVirtual
	put    func(v reg.VecVirtual, m Mem)
}

// wide256 and wide512 load the argument columns, where a block may be a part of a vector.
func (x *program) wide256(several bool) wide {
	var mask Op
	if !several {
		m := x.YMM()
		x.VMOVDQU(x.below256(x.arg("columns")), m)
		mask = m
	}
	return wide{lanes: 8, vector: func() reg.VecVirtual { return x.YMM() }, exp: x.exp256,
		get: func(m Mem) reg.VecVirtual { return x.get256(m, mask) }, put: func(v reg.VecVirtual, m Mem) { x.put256(v, m, mask) }}
}

func (x *program) wide512(several bool) wide {
	var km *reg.OpmaskVirtual
	if !several {
		m := x.K()
		x.KMOVW(x.arg("mask").(reg.GPVirtual).As32(), m)
		km = &m
	}
	return wide{lanes: 16, vector: func() reg.VecVirtual { return x.ZMM() }, exp: x.exp,
		get: func(m Mem) reg.VecVirtual { return x.get(m, km) }, put: func(v reg.VecVirtual, m Mem) { x.put(v, m, km) }}
}

func (x *program) recurrent256() { x.recur("AVX2", 8, 4, 2, "columns", x.wide256) }
func (x *program) recurrent512() { x.recur("AVX512", 16, 4, 4, "mask", x.wide512) }

// recur writes the recurrences of a level: of blocks of several vectors, and of one or a part of
// it.
func (x *program) recur(suffix string, lanes, advance, decay int, last string, of func(several bool) wide) {
	for _, vectors := range []int{advance, 1} {
		x.updateStateBlock(fmt.Sprintf("updateState%d%s", lanes*vectors, suffix), vectors, last, of)
	}
	for _, vectors := range []int{decay, 1} {
		x.updateSelectiveStateBlock(fmt.Sprintf("updateSelectiveState%d%s", lanes*vectors, suffix), vectors, last, of)
	}
}

// block is the vectors of a row at p.
func block(w wide, p reg.Register, n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = w.get(at(p, 4*w.lanes*i))
	}
	return v
}

// updateStateBlock takes a block of columns through all rows of a state, with x and y in registers.
// ld is in bytes.
func (x *program) updateStateBlock(name string, vectors int, last string, of func(several bool) wide) {
	extra := ""
	if vectors == 1 {
		extra = ", " + last + " int"
	}
	x.function(name, "(s, x, y, a, u, r *float32, ld, rows int"+extra+")", name+" is updateState for a block of columns.")
	w := of(vectors > 1)
	in, sum := block(w, x.arg("x"), vectors), block(w, x.arg("y"), vectors)
	s, a, u, r, ld, n := x.arg("s"), x.arg("a"), x.arg("u"), x.arg("r"), x.arg("ld"), x.arg("rows")
	x.Label("loop")
	va, vu, vr := w.vector(), w.vector(), w.vector()
	x.VBROADCASTSS(at(a, 0), va)
	x.VBROADCASTSS(at(u, 0), vu)
	x.VBROADCASTSS(at(r, 0), vr)
	for i := range vectors {
		v := w.get(at(s, 4*w.lanes*i))
		x.VMULPS(va, v, v)
		x.VFMADD231PS(in[i], vu, v)
		w.put(v, at(s, 4*w.lanes*i))
		x.VFMADD231PS(v, vr, sum[i])
	}
	x.ADDQ(ld, s)
	for _, p := range []reg.Register{a, u, r} {
		x.add(4, p)
	}
	x.DECQ(n)
	x.JNZ(LabelRef("loop"))
	y := x.arg("y")
	for i := range vectors {
		w.put(sum[i], at(y, 4*w.lanes*i))
	}
	x.end()
}

// updateSelectiveStateBlock takes a block of channels through all their states, with d, x and y in
// registers. ld is in bytes.
func (x *program) updateSelectiveStateBlock(name string, vectors int, last string, of func(several bool) wide) {
	extra := ""
	if vectors == 1 {
		extra = ", " + last + " int"
	}
	x.function(name, "(s, a, d, x, y, b, c *float32, ld, rows int"+extra+")", name+" is updateSelectiveState for a block of channels.")
	w := of(vectors > 1)
	step, in, sum := block(w, x.arg("d"), vectors), block(w, x.arg("x"), vectors), block(w, x.arg("y"), vectors)
	s, a, b, c, ld, n := x.arg("s"), x.arg("a"), x.arg("b"), x.arg("c"), x.arg("ld"), x.arg("rows")
	x.Label("loop")
	for i := range vectors {
		e := w.get(at(a, 4*w.lanes*i))
		x.VMULPS(step[i], e, e)
		w.exp(e)
		x.VMULPS(w.get(at(s, 4*w.lanes*i)), e, e)
		f := w.vector()
		x.VBROADCASTSS(at(b, 0), f)
		x.VFMADD231PS(in[i], f, e)
		w.put(e, at(s, 4*w.lanes*i))
		x.VBROADCASTSS(at(c, 0), f)
		x.VFMADD231PS(e, f, sum[i])
	}
	x.ADDQ(ld, s)
	x.ADDQ(ld, a)
	x.add(4, b)
	x.add(4, c)
	x.DECQ(n)
	x.JNZ(LabelRef("loop"))
	y := x.arg("y")
	for i := range vectors {
		w.put(sum[i], at(y, 4*w.lanes*i))
	}
	x.end()
}
