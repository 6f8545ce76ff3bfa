package main

import (
	. "github.com/mmcloughlin/avo/operand"
)

func (x *program) elementwise256() {
	x.addKernel256()
	x.addScaledKernel256()
	x.scaleKernel256()
	x.normalizeKernel256()
	x.dotKernel256()
	x.swiGLUKernel256()
	x.geluKernel256()
	x.gateKernel256()
	x.softCapKernel256()
	x.rotateNeoXKernel256()
	x.rotateInterleavedKernel256()
}

func (x *program) addKernel256() {
	x.function("addAVX2", "(dst, x *float32, n int)", "addAVX2 is add.")
	dst, a, n := x.arg("dst"), x.arg("x"), x.arg("n")
	x.each8("loop", n, func(mask Op) {
		y := x.get256(at(dst, 0), mask)
		x.VADDPS(x.get256(at(a, 0), mask), y, y)
		x.put256(y, at(dst, 0), mask)
	}, pointer{dst, 32}, pointer{a, 32})
	x.end()
}

func (x *program) addScaledKernel256() {
	x.function("addScaledAVX2", "(dst, x *float32, n int, c float32)", "addScaledAVX2 is addScaled, fused.")
	dst, a, n := x.arg("dst"), x.arg("x"), x.arg("n")
	c := x.broadcast256("c")
	x.each8("loop", n, func(mask Op) {
		y := x.get256(at(dst, 0), mask)
		x.VFMADD231PS(x.get256(at(a, 0), mask), c, y)
		x.put256(y, at(dst, 0), mask)
	}, pointer{dst, 32}, pointer{a, 32})
	x.end()
}

func (x *program) scaleKernel256() {
	x.function("scaleAVX2", "(x *float32, n int, c float32)", "scaleAVX2 is scale.")
	a, n := x.arg("x"), x.arg("n")
	c := x.broadcast256("c")
	x.each8("loop", n, func(mask Op) {
		y := x.get256(at(a, 0), mask)
		x.VMULPS(c, y, y)
		x.put256(y, at(a, 0), mask)
	}, pointer{a, 32})
	x.end()
}

func (x *program) normalizeKernel256() {
	x.function("normalizeAVX2", "(dst, x, w *float32, n int, scale float32)", "normalizeAVX2 is normalize.")
	dst, a, n := x.arg("dst"), x.arg("x"), x.arg("n")
	w := x.arg("w")
	c := x.broadcast256("scale")
	x.each8("loop", n, func(mask Op) {
		y := x.get256(at(a, 0), mask)
		x.VMULPS(c, y, y)
		x.VMULPS(x.get256(at(w, 0), mask), y, y)
		x.put256(y, at(dst, 0), mask)
	}, pointer{dst, 32}, pointer{a, 32}, pointer{w, 32})
	x.end()
}

func (x *program) dotKernel256() {
	x.function("dotAVX2", "(x, y *float32, n int) float32", "dotAVX2 is Σ x[i]·y[i]: 8 lanes along i, then a tree.")
	a, b, n := x.arg("x"), x.arg("y"), x.arg("n")
	acc := x.YMM()
	x.VXORPS(acc, acc, acc)
	x.each8("loop", n, func(mask Op) {
		x.VFMADD231PS(x.get256(at(a, 0), mask), x.get256(at(b, 0), mask), acc)
	}, pointer{a, 32}, pointer{b, 32})
	x.reduce256(acc, x.plus)
	x.Store(acc.AsX(), x.ReturnIndex(0))
	x.end()
}

func (x *program) swiGLUKernel256() {
	x.function("swiGLUAVX2", "(dst, gate, up *float32, n int)", "swiGLUAVX2 is swiGLU.")
	dst, a, b, n := x.arg("dst"), x.arg("gate"), x.arg("up"), x.arg("n")
	x.each8("loop", n, func(mask Op) {
		g, e := x.get256(at(a, 0), mask), x.YMM()
		x.VXORPS(x.words(1<<31), g, e)
		x.exp256(e)
		x.VADDPS(x.words(bits(1)), e, e)
		x.VDIVPS(e, g, g)
		x.VMULPS(x.get256(at(b, 0), mask), g, g)
		x.put256(g, at(dst, 0), mask)
	}, pointer{dst, 32}, pointer{a, 32}, pointer{b, 32})
	x.end()
}

func (x *program) geluKernel256() {
	x.function("geluAVX2", "(dst, gate, up *float32, n int)", "geluAVX2 is gelu.")
	dst, a, b, n := x.arg("dst"), x.arg("gate"), x.arg("up"), x.arg("n")
	x.each8("loop", n, func(mask Op) {
		g, e := x.get256(at(a, 0), mask), x.YMM()
		x.VMULPS(x.words(bits(geluCube)), g, e)
		x.VFMADD213PS(x.words(bits(1)), g, e)
		x.VMULPS(g, e, e)
		x.VMULPS(x.words(bits(-geluSlope)), e, e)
		x.exp256(e)
		x.VADDPS(x.words(bits(1)), e, e)
		x.VDIVPS(e, g, g)
		x.VMULPS(x.get256(at(b, 0), mask), g, g)
		x.put256(g, at(dst, 0), mask)
	}, pointer{dst, 32}, pointer{a, 32}, pointer{b, 32})
	x.end()
}

func (x *program) gateKernel256() {
	x.function("gateAVX2", "(x, gate *float32, n int)", "gateAVX2 is gate.")
	a, b, n := x.arg("x"), x.arg("gate"), x.arg("n")
	x.each8("loop", n, func(mask Op) {
		v, e := x.get256(at(a, 0), mask), x.YMM()
		x.VXORPS(x.words(1<<31), x.get256(at(b, 0), mask), e)
		x.exp256(e)
		x.VADDPS(x.words(bits(1)), e, e)
		x.VDIVPS(e, v, v)
		x.put256(v, at(a, 0), mask)
	}, pointer{a, 32}, pointer{b, 32})
	x.end()
}

func (x *program) softCapKernel256() {
	x.function("softCapAVX2", "(x *float32, n int, most float32)", "softCapAVX2 is softCap.")
	a, n := x.arg("x"), x.arg("n")
	most, two, in := x.broadcast256("most"), x.YMM(), x.YMM()
	x.VMOVUPS(x.words(bits(2)), in)
	x.VDIVPS(most, in, in)
	x.VADDPS(most, most, two)
	x.each8("loop", n, func(mask Op) {
		y := x.get256(at(a, 0), mask)
		x.VMULPS(in, y, y)
		x.exp256(y)
		x.VADDPS(x.words(bits(1)), y, y)
		x.VDIVPS(y, two, y)
		x.VSUBPS(y, most, y)
		x.put256(y, at(a, 0), mask)
	}, pointer{a, 32})
	x.end()
}

func (x *program) rotateNeoXKernel256() {
	x.function("rotateNeoXAVX2", "(lo, hi, cos, sin *float32, pairs int)", "rotateNeoXAVX2 is rotateNeoX.")
	a, b, n := x.arg("lo"), x.arg("hi"), x.arg("pairs")
	cosines, sines := x.arg("cos"), x.arg("sin")
	x.each8("loop", n, func(mask Op) {
		lo, hi, c, s := x.get256(at(a, 0), mask), x.get256(at(b, 0), mask), x.get256(at(cosines, 0), mask), x.get256(at(sines, 0), mask)
		t, u := x.YMM(), x.YMM()
		x.VMULPS(s, hi, t)
		x.VMULPS(s, lo, u)
		x.VFMSUB213PS(t, c, lo)
		x.VFMADD213PS(u, c, hi)
		x.put256(lo, at(a, 0), mask)
		x.put256(hi, at(b, 0), mask)
	}, pointer{a, 32}, pointer{b, 32}, pointer{cosines, 32}, pointer{sines, 32})
	x.end()
}

func (x *program) rotateInterleavedKernel256() {
	x.function("rotateInterleavedAVX2", "(x, cos, sin *float32, pairs int)", "rotateInterleavedAVX2 is rotateInterleaved.")
	a, n := x.arg("x"), x.arg("pairs")
	cos, sin := x.arg("cos"), x.arg("sin")
	twice := x.constY(0, 0, 1, 1, 2, 2, 3, 3)
	x.SHLQ(Imm(1), n) // elements
	x.each8("loop", n, func(mask Op) {
		v, c, s, t := x.get256(at(a, 0), mask), x.YMM(), x.YMM(), x.YMM()
		if mask == nil {
			x.load16(at(cos, 0), c)
			x.load16(at(sin, 0), s)
		} else {
			half := x.GP64()
			x.MOVQ(n, half)
			x.SHRQ(Imm(1), half)
			m := x.below256(half)
			c, s = x.get256(at(cos, 0), m), x.get256(at(sin, 0), m)
		}
		x.VPERMPS(c, twice, c)
		x.VPERMPS(s, twice, s)
		x.VPERMILPS(Imm(0xb1), v, t)
		x.VMULPS(s, t, t)
		x.VFMADDSUB213PS(t, c, v) // the first of a pair less, the second plus
		x.put256(v, at(a, 0), mask)
	}, pointer{a, 32}, pointer{cos, 16}, pointer{sin, 16})
	x.end()
}
