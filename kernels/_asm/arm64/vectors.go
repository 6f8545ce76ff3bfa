package main

import (
	"fmt"
	"math"
)

// stream is an address that moves on with the elements, by size bytes each.
type stream struct {
	p    R
	size int
}

// get and put move n floats, four or one in the lowest lane with the others zero.
func (x *program) get(v V, p R, at, n int) V {
	if n == 4 {
		x.ldr(v, p, at)
	} else {
		x.ldrS(v, p, at)
	}
	return v
}

func (x *program) put(v V, p R, at, n int) {
	if n == 4 {
		x.str(v, p, at)
	} else {
		x.op("FMOVS", v.f(), mem(p, at))
	}
}

// getHalf makes floats of n half floats.
func (x *program) getHalf(v V, p R, at, n int) V {
	x.get16(v, p, at, n)
	x.w(fcvtl(v, v))
	return v
}

// getBHalf makes floats of n bfloat16.
func (x *program) getBHalf(v V, p R, at, n int) V {
	x.get16(v, p, at, n)
	x.w(shll(v, v))
	return v
}

func (x *program) get16(v V, p R, at, n int) {
	if n == 4 {
		x.ldrD(v, p, at)
		return
	}
	if at != 0 {
		panic("a single lane is loaded from an address without offset")
	}
	x.zero(v)
	x.ld1(v, "H", 0, p)
}

// each runs body for n elements: 16 at a time as four vectors, then four, then one. Streams move
// on.
func (x *program) each(label string, n R, body func(i, lanes int), streams ...stream) {
	move := func(count int) {
		for _, s := range streams {
			x.addi(s.p, s.p, count*s.size)
		}
		x.op("SUBS", imm(count), n.String(), n.String())
	}
	for _, step := range []int{16, 4, 1} {
		end := fmt.Sprintf("%s%d", label, step)
		x.op("CMP", imm(step), n.String())
		x.op("BLT", end+"done")
		x.label(end)
		for i := range max(1, step/4) {
			body(i, min(step, 4))
		}
		move(step)
		x.op("CMP", imm(step), n.String())
		x.op("BGE", end)
		x.label(end + "done")
	}
}

// float is the float argument in every lane.
func (x *program) float(name string) V {
	v := x.V()
	x.op("FMOVS", x.param(name), v.f())
	x.dup("S4", v, v, 0)
	return v
}

func bits(f float32) int { return int(math.Float32bits(f)) }

// floats fills v with four floats; fewer are repeated.
func (x *program) floats(v V, f ...float32) V {
	var b []int
	for _, f := range f {
		for i := range 4 {
			b = append(b, bits(f)>>(8*i)&0xff)
		}
	}
	return x.constant(v, b...)
}

// expTable holds what exp needs.
type expTable struct{ a, b, c V }

func (x *program) expTable() (t expTable) {
	t.a = x.floats(x.V(), 1.44269504, 0.693359375, -2.12194440e-4, 1.9875691500e-4)
	t.b = x.floats(x.V(), 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1)
	t.c = x.floats(x.V(), 5.0000001201e-1, 1, -105, 89)
	return t
}

func (x *program) freeTable(t expTable) { x.free(t.a, t.b, t.c) }

// exp replaces v by e^v: see Exp of the package, here with fused multiply-adds and results below
// the normal numbers.
func (x *program) exp(t expTable, v V) {
	n, p, c := x.V(), x.V(), x.V()
	// The bounds yield 0 and Inf; a NaN stays.
	x.dup("S4", n, t.c, 2)
	x.dup("S4", p, t.c, 3)
	x.w(fmax(v, v, n))
	x.w(fmin(v, v, p))
	x.w(fmulLane(n, v, t.a, 0))
	x.w(frintn(n, n))
	x.w(fmlsLane(v, n, t.a, 1))
	x.w(fmlsLane(v, n, t.a, 2))
	x.dup("S4", p, t.a, 3)
	for i := range 5 {
		table, lane := t.b, i
		if i == 4 {
			table, lane = t.c, 0
		}
		x.dup("S4", c, table, lane)
		x.fmla(c, p, v)
		p, c = c, p
	}
	x.w(fmul(p, p, v))
	x.dup("S4", c, t.c, 1)
	x.fmla(v, p, v)
	x.w(fadd(v, v, c))
	// 2^n in two factors, as n is 128 at most, where it is no float32, and -151 at least.
	x.w(fcvtns(n, n))
	x.w(sshr(p, n, 1))
	x.sub("S4", n, n, p)
	x.shl("S4", n, n, 23)
	x.shl("S4", p, p, 23)
	x.add("S4", n, n, c) // the bits of 1
	x.add("S4", p, p, c)
	x.w(fmul(v, v, n))
	x.w(fmul(v, v, p))
	x.free(n, p, c)
}

// with runs body with n registers that are free again afterwards.
func (x *program) with(n int, body func(v []V)) {
	var v []V
	for range n {
		v = append(v, x.V())
	}
	body(v)
	x.free(v...)
}
