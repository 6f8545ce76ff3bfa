package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The slope at 0 and the part of the cube in the argument of GELU's sigmoid, see gelu of the
// package.
const geluSlope, geluCube = 1.5957691216057308, 0.044715

func (x *program) elementwise512() {
	x.addKernel512()
	x.addScaledKernel512()
	x.scaleKernel512()
	x.normalizeKernel512()
	x.dotKernel512()
	x.swiGLUKernel512()
	x.geluKernel512()
	x.gateKernel512()
	x.softCapKernel512()
	x.rotateNeoXKernel512()
	x.rotateInterleavedKernel512()
}

func (x *program) addKernel512() {
	x.function("addAVX512", "(dst, x *float32, n int)", "addAVX512 is add.")
	dst, a, n := x.arg("dst"), x.arg("x"), x.arg("n")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		z := x.get(at(dst, 0), k)
		x.VADDPS(x.get(at(a, 0), k), z, z)
		x.put(z, at(dst, 0), k)
	}, pointer{dst, 64}, pointer{a, 64})
	x.end()
}

func (x *program) addScaledKernel512() {
	x.function("addScaledAVX512", "(dst, x *float32, n int, c float32)", "addScaledAVX512 is addScaled, fused.")
	dst, a, n := x.arg("dst"), x.arg("x"), x.arg("n")
	c := x.broadcast("c")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		z := x.get(at(dst, 0), k)
		x.VFMADD231PS(x.get(at(a, 0), k), c, z)
		x.put(z, at(dst, 0), k)
	}, pointer{dst, 64}, pointer{a, 64})
	x.end()
}

func (x *program) scaleKernel512() {
	x.function("scaleAVX512", "(x *float32, n int, c float32)", "scaleAVX512 is scale.")
	a, n := x.arg("x"), x.arg("n")
	c := x.broadcast("c")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		z := x.get(at(a, 0), k)
		x.VMULPS(c, z, z)
		x.put(z, at(a, 0), k)
	}, pointer{a, 64})
	x.end()
}

func (x *program) normalizeKernel512() {
	x.function("normalizeAVX512", "(dst, x, w *float32, n int, scale float32)", "normalizeAVX512 is normalize.")
	dst, a, n := x.arg("dst"), x.arg("x"), x.arg("n")
	w := x.arg("w")
	c := x.broadcast("scale")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		z := x.get(at(a, 0), k)
		x.VMULPS(c, z, z)
		x.VMULPS(x.get(at(w, 0), k), z, z)
		x.put(z, at(dst, 0), k)
	}, pointer{dst, 64}, pointer{a, 64}, pointer{w, 64})
	x.end()
}

func (x *program) dotKernel512() {
	x.function("dotAVX512", "(x, y *float32, n int) float32", "dotAVX512 is Σ x[i]·y[i]: 16 lanes along i, then a tree.")
	a, b, n := x.arg("x"), x.arg("y"), x.arg("n")
	acc := x.ZMM()
	x.zero(acc)
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		x.VFMADD231PS(x.get(at(a, 0), k), x.get(at(b, 0), k), acc)
	}, pointer{a, 64}, pointer{b, 64})
	x.reduce(acc, x.plus)
	x.Store(acc.AsX(), x.ReturnIndex(0))
	x.end()
}

func (x *program) swiGLUKernel512() {
	x.function("swiGLUAVX512", "(dst, gate, up *float32, n int)", "swiGLUAVX512 is swiGLU.")
	dst, a, b, n := x.arg("dst"), x.arg("gate"), x.arg("up"), x.arg("n")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		g := x.get(at(a, 0), k)
		e := x.ZMM()
		x.VPXORD(x.words(1<<31), g, e)
		x.exp(e)
		x.VADDPS(x.words(bits(1)), e, e)
		x.VDIVPS(e, g, g)
		x.VMULPS(x.get(at(b, 0), k), g, g)
		x.put(g, at(dst, 0), k)
	}, pointer{dst, 64}, pointer{a, 64}, pointer{b, 64})
	x.end()
}

func (x *program) geluKernel512() {
	x.function("geluAVX512", "(dst, gate, up *float32, n int)", "geluAVX512 is gelu.")
	dst, a, b, n := x.arg("dst"), x.arg("gate"), x.arg("up"), x.arg("n")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		g, e := x.get(at(a, 0), k), x.ZMM()
		x.VMULPS(x.words(bits(geluCube)), g, e)
		x.VFMADD213PS(x.words(bits(1)), g, e)
		x.VMULPS(g, e, e)
		x.VMULPS(x.words(bits(-geluSlope)), e, e)
		x.exp(e)
		x.VADDPS(x.words(bits(1)), e, e)
		x.VDIVPS(e, g, g)
		x.VMULPS(x.get(at(b, 0), k), g, g)
		x.put(g, at(dst, 0), k)
	}, pointer{dst, 64}, pointer{a, 64}, pointer{b, 64})
	x.end()
}

func (x *program) gateKernel512() {
	x.function("gateAVX512", "(x, gate *float32, n int)", "gateAVX512 is gate.")
	a, b, n := x.arg("x"), x.arg("gate"), x.arg("n")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		v, e := x.get(at(a, 0), k), x.ZMM()
		x.VPXORD(x.words(1<<31), x.get(at(b, 0), k), e)
		x.exp(e)
		x.VADDPS(x.words(bits(1)), e, e)
		x.VDIVPS(e, v, v)
		x.put(v, at(a, 0), k)
	}, pointer{a, 64}, pointer{b, 64})
	x.end()
}

func (x *program) softCapKernel512() {
	x.function("softCapAVX512", "(x *float32, n int, most float32)", "softCapAVX512 is softCap.")
	a, n := x.arg("x"), x.arg("n")
	most, two, in := x.broadcast("most"), x.ZMM(), x.ZMM()
	x.VMOVUPS(x.words(bits(2)), in)
	x.VDIVPS(most, in, in)
	x.VADDPS(most, most, two)
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		z := x.get(at(a, 0), k)
		x.VMULPS(in, z, z)
		x.exp(z)
		x.VADDPS(x.words(bits(1)), z, z)
		x.VDIVPS(z, two, z)
		x.VSUBPS(z, most, z)
		x.put(z, at(a, 0), k)
	}, pointer{a, 64})
	x.end()
}

func (x *program) rotateNeoXKernel512() {
	x.function("rotateNeoXAVX512", "(lo, hi, cos, sin *float32, pairs int)", "rotateNeoXAVX512 is rotateNeoX.")
	a, b, n := x.arg("lo"), x.arg("hi"), x.arg("pairs")
	cosines, sines := x.arg("cos"), x.arg("sin")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		lo, hi, c, s := x.get(at(a, 0), k), x.get(at(b, 0), k), x.get(at(cosines, 0), k), x.get(at(sines, 0), k)
		t, u := x.ZMM(), x.ZMM()
		x.VMULPS(s, hi, t)
		x.VMULPS(s, lo, u)
		x.VFMSUB213PS(t, c, lo)
		x.VFMADD213PS(u, c, hi)
		x.put(lo, at(a, 0), k)
		x.put(hi, at(b, 0), k)
	}, pointer{a, 64}, pointer{b, 64}, pointer{cosines, 64}, pointer{sines, 64})
	x.end()
}

func (x *program) rotateInterleavedKernel512() {
	x.function("rotateInterleavedAVX512", "(x, cos, sin *float32, pairs int)", "rotateInterleavedAVX512 is rotateInterleaved.")
	a, n := x.arg("x"), x.arg("pairs")
	cos, sin := x.arg("cos"), x.arg("sin")
	twice := x.constZ(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7)
	x.SHLQ(Imm(1), n) // elements
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		v, c, s, t := x.get(at(a, 0), k), x.ZMM(), x.ZMM(), x.ZMM()
		if k == nil {
			x.load32(at(cos, 0), c)
			x.load32(at(sin, 0), s)
		} else {
			half := x.GP64()
			x.MOVQ(n, half)
			x.SHRQ(Imm(1), half)
			k := x.below(half)
			c, s = x.get(at(cos, 0), &k), x.get(at(sin, 0), &k)
		}
		x.VPERMPS(c, twice, c)
		x.VPERMPS(s, twice, s)
		x.VPERMILPS(Imm(0xb1), v, t)
		x.VMULPS(s, t, t)
		x.VFMADDSUB213PS(t, c, v) // the first of a pair less, the second plus
		x.put(v, at(a, 0), k)
	}, pointer{a, 64}, pointer{cos, 32}, pointer{sin, 32})
	x.end()
}
