package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/reg"
)

// floats512 is what the level avx512vnni does with rows of float32.
func floats512(x *program) {
	x.elementwise512()
	x.half512()
	x.attention512()
	x.quantize512()
	for _, f := range floatFormats512 {
		for _, rows := range []int{4, 1} {
			for tokens := 1; tokens <= 6; tokens++ {
				x.floatTile512(f, rows, tokens)
			}
		}
	}
	x.dequantizeRows512()
	x.recur("AVX512", 16, 4, 4, "mask", x.wide512)
}

func bits(f float32) uint32 { return math.Float32bits(f) }

// pointer is an argument that advances by size bytes for all elements that are taken at once.
type pointer struct {
	p    reg.Register
	size int
}

// each16 is each for 16 elements.
func (x *program) each16(label string, n reg.Register, body func(k *reg.OpmaskVirtual), ptrs ...pointer) {
	x.each(label, n, 16, body, ptrs...)
}

// each runs body for per of n elements at a time, and once more with a mask of those that are left.
func (x *program) each(label string, n reg.Register, per int, body func(k *reg.OpmaskVirtual), ptrs ...pointer) {
	x.Label(label)
	x.CMPQ(n, Imm(uint64(per)))
	x.JLT(LabelRef(label + "tail"))
	body(nil)
	for _, p := range ptrs {
		x.add(p.size, p.p)
	}
	x.SUBQ(Imm(uint64(per)), n)
	x.JMP(LabelRef(label))
	x.Label(label + "tail")
	x.TESTQ(n, n)
	x.JZ(LabelRef(label + "done"))
	k := x.below(n)
	body(&k)
	x.Label(label + "done")
}

// below masks the first n < 32 lanes.
func (x *program) below(n reg.Register) reg.OpmaskVirtual {
	r, k := x.GP64(), x.K()
	x.MOVQ(I32(-1), r)
	x.BZHIQ(n, r, r)
	x.KMOVD(r.As32(), k)
	return k
}

// get and put move 16 floats, or those of the mask.
func (x *program) get(m Mem, k *reg.OpmaskVirtual) reg.VecVirtual {
	z := x.ZMM()
	if k == nil {
		x.VMOVUPS(m, z)
	} else {
		x.VMOVUPS_Z(m, *k, z)
	}
	return z
}

func (x *program) put(z reg.VecVirtual, m Mem, k *reg.OpmaskVirtual) {
	if k == nil {
		x.VMOVUPS(z, m)
	} else {
		x.VMOVUPS(z, *k, m)
	}
}

// getHalf reads 16 half floats.
func (x *program) getHalf(m Mem, k *reg.OpmaskVirtual) reg.VecVirtual {
	z := x.ZMM()
	if k == nil {
		x.VCVTPH2PS(m, z)
		return z
	}
	y := x.YMM()
	x.VMOVDQU16_Z(m, *k, y)
	x.VCVTPH2PS(y, z)
	return z
}

// getBHalf reads 16 bfloat16.
func (x *program) getBHalf(m Mem, k *reg.OpmaskVirtual) reg.VecVirtual {
	z := x.ZMM()
	if k == nil {
		x.VPMOVZXWD(m, z)
	} else {
		x.VPMOVZXWD_Z(m, *k, z)
	}
	x.VPSLLD(Imm(16), z, z)
	return z
}

// broadcast fills a register with the float argument.
func (x *program) broadcast(name string) reg.VecVirtual {
	z, a := x.ZMM(), x.XMM()
	x.Load(x.Param(name), a)
	x.VBROADCASTSS(a, z)
	return z
}

func at(p reg.Register, disp int) Mem { return Mem{Base: p, Disp: disp} }

// reduce combines the 16 lanes of z by one tree; every lane holds the result.
func (x *program) reduce(z reg.VecVirtual, op func(a, b, to reg.VecVirtual)) reg.VecVirtual {
	t := x.ZMM()
	for _, lanes := range []uint64{0x4e, 0xb1} {
		x.VSHUFF32X4(Imm(lanes), z, z, t)
		op(t, z, z)
	}
	for _, lanes := range []uint64{0x4e, 0xb1} {
		x.VPERMILPS(Imm(lanes), z, t)
		op(t, z, z)
	}
	return z
}

func (x *program) plus(a, b, to reg.VecVirtual) { x.VADDPS(a, b, to) }

// exp replaces z by e^z: see Exp of the package, here with fused multiply-adds and results below the normal numbers.
func (x *program) exp(z reg.VecVirtual) {
	c := func(f float32) Mem { return x.words(bits(f)) }
	n, p := x.ZMM(), x.ZMM()
	// The bounds yield 0 and Inf. Of a NaN and a number the instructions return the second source, here the NaN.
	x.VMOVUPS(c(-110), n)
	x.VMAXPS(z, n, z)
	x.VMOVUPS(c(90), n)
	x.VMINPS(z, n, z)
	x.VMULPS(c(1.44269504), z, n)
	x.VRNDSCALEPS(Imm(8), n, n)
	x.VFNMADD231PS(c(0.693359375), n, z)
	x.VFNMADD231PS(c(-2.12194440e-4), n, z)
	x.VMOVUPS(c(1.9875691500e-4), p)
	for _, f := range []float32{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		x.VFMADD213PS(c(f), z, p)
	}
	x.VMULPS(z, p, p)
	x.VFMADD213PS(z, z, p)
	x.VADDPS(c(1), p, p)
	x.VSCALEFPS(n, p, z)
}

// The slope at 0 and the part of the cube in the argument of GELU's sigmoid, see gelu of the package.
const geluSlope, geluCube = 1.5957691216057308, 0.044715

func (x *program) elementwise512() {
	x.function("addAVX512", "(dst, x *float32, n int)", "addAVX512 is add.")
	dst, a, n := x.arg("dst"), x.arg("x"), x.arg("n")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		z := x.get(at(dst, 0), k)
		x.VADDPS(x.get(at(a, 0), k), z, z)
		x.put(z, at(dst, 0), k)
	}, pointer{dst, 64}, pointer{a, 64})
	x.end()

	x.function("addScaledAVX512", "(dst, x *float32, n int, c float32)", "addScaledAVX512 is addScaled, fused.")
	dst, a, n = x.arg("dst"), x.arg("x"), x.arg("n")
	c := x.broadcast("c")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		z := x.get(at(dst, 0), k)
		x.VFMADD231PS(x.get(at(a, 0), k), c, z)
		x.put(z, at(dst, 0), k)
	}, pointer{dst, 64}, pointer{a, 64})
	x.end()

	x.function("scaleAVX512", "(x *float32, n int, c float32)", "scaleAVX512 is scale.")
	a, n = x.arg("x"), x.arg("n")
	c = x.broadcast("c")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		z := x.get(at(a, 0), k)
		x.VMULPS(c, z, z)
		x.put(z, at(a, 0), k)
	}, pointer{a, 64})
	x.end()

	x.function("normalizeAVX512", "(dst, x, w *float32, n int, scale float32)", "normalizeAVX512 is normalize.")
	dst, a, n = x.arg("dst"), x.arg("x"), x.arg("n")
	w := x.arg("w")
	c = x.broadcast("scale")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		z := x.get(at(a, 0), k)
		x.VMULPS(c, z, z)
		x.VMULPS(x.get(at(w, 0), k), z, z)
		x.put(z, at(dst, 0), k)
	}, pointer{dst, 64}, pointer{a, 64}, pointer{w, 64})
	x.end()

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

	x.function("swiGLUAVX512", "(dst, gate, up *float32, n int)", "swiGLUAVX512 is swiGLU.")
	dst, a, b, n = x.arg("dst"), x.arg("gate"), x.arg("up"), x.arg("n")
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

	x.function("geluAVX512", "(dst, gate, up *float32, n int)", "geluAVX512 is gelu.")
	dst, a, b, n = x.arg("dst"), x.arg("gate"), x.arg("up"), x.arg("n")
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

	x.function("gateAVX512", "(x, gate *float32, n int)", "gateAVX512 is gate.")
	a, b, n = x.arg("x"), x.arg("gate"), x.arg("n")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		v, e := x.get(at(a, 0), k), x.ZMM()
		x.VPXORD(x.words(1<<31), x.get(at(b, 0), k), e)
		x.exp(e)
		x.VADDPS(x.words(bits(1)), e, e)
		x.VDIVPS(e, v, v)
		x.put(v, at(a, 0), k)
	}, pointer{a, 64}, pointer{b, 64})
	x.end()

	x.function("softCapAVX512", "(x *float32, n int, most float32)", "softCapAVX512 is softCap.")
	a, n = x.arg("x"), x.arg("n")
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

	x.function("rotateNeoXAVX512", "(lo, hi, cos, sin *float32, pairs int)", "rotateNeoXAVX512 is rotateNeoX.")
	a, b, n = x.arg("lo"), x.arg("hi"), x.arg("pairs")
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

	x.function("rotateInterleavedAVX512", "(x, cos, sin *float32, pairs int)", "rotateInterleavedAVX512 is rotateInterleaved.")
	a, n = x.arg("x"), x.arg("pairs")
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

func (x *program) end() {
	x.VZEROUPPER()
	x.RET()
}

func (x *program) half512() {
	x.function("dequantizeF16AVX512", "(dst *float32, src *byte, n int)", "dequantizeF16AVX512 turns F16 into float32.")
	dst, a, n := x.arg("dst"), x.arg("src"), x.arg("n")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) { x.put(x.getHalf(at(a, 0), k), at(dst, 0), k) }, pointer{dst, 64}, pointer{a, 32})
	x.end()

	x.function("roundBF16AVX512", "(dst *uint16, src *float32, n int)", "roundBF16AVX512 turns float32 into BF16, ties to even; a NaN is a quiet one.")
	dst, a, n = x.arg("dst"), x.arg("src"), x.arg("n")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		v, t, nan := x.get(at(a, 0), k), x.ZMM(), x.K()
		x.VCMPPS(Imm(3), v, v, nan) // unordered
		x.VPSRLD(Imm(16), v, t)
		x.VPANDD(x.words(1), t, t)
		x.VPADDD(x.words(0x7fff), t, t)
		x.VPADDD(v, t, t)
		x.VPORD(x.words(0x400000), v, nan, t)
		x.VPSRLD(Imm(16), t, t)
		y := x.YMM()
		x.VPMOVDW(t, y)
		if k == nil {
			x.VMOVDQU(y, at(dst, 0))
		} else {
			x.VMOVDQU16(y, *k, at(dst, 0))
		}
	}, pointer{dst, 32}, pointer{a, 64})
	x.end()

	x.function("quantizeF16AVX512", "(dst *byte, src *float32, n int)", "quantizeF16AVX512 turns float32 into F16, ties to even.")
	dst, a, n = x.arg("dst"), x.arg("src"), x.arg("n")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		y := x.YMM()
		x.VCVTPS2PH(Imm(0), x.get(at(a, 0), k), y)
		if k == nil {
			x.VMOVDQU16(y, at(dst, 0))
		} else {
			x.VMOVDQU16(y, *k, at(dst, 0))
		}
	}, pointer{dst, 32}, pointer{a, 64})
	x.end()
}

// attention512: see attend.go.
func (x *program) attention512() {
	for rows := 1; rows <= 6; rows++ {
		x.gemm512(false, rows, 4)
		x.gemm512(false, rows, 1)
	}
	for rows := 1; rows <= 8; rows++ {
		x.gemm512(true, rows, halfVectors512(rows))
		x.gemm512(true, rows, 1)
	}
	x.columns512()
	for _, f := range floatFormats512[:2] {
		x.function("transpose"+f.name+"AVX512", "(dst *float32, src *byte, stride, blocks int)",
			fmt.Sprintf("transpose%sAVX512 turns 16 rows of some times 16 %s into columns 256 bytes apart.", f.name, f.name))
		src, stride := x.arg("src"), x.arg("stride")
		rows := x.rows16(src, stride)
		dst, blocks := x.arg("dst"), x.arg("blocks")
		x.Label("loop")
		var v [16]reg.VecVirtual
		for i := range v {
			v[i] = f.load(x, rows.at(i, 0), nil)
		}
		for i, z := range x.dwords16x16(v) {
			x.VMOVUPS(z, at(dst, 256*i))
		}
		x.advance(rows, 16*f.size)
		x.add(16*256, dst)
		x.DECQ(blocks)
		x.JNZ(LabelRef("loop"))
		x.end()
	}

	x.function("tileSoftmaxAVX512", "(p, rowMax, rowSum *float32, prefetch *byte, rows, seen int, scale float32)", "tileSoftmaxAVX512 is tileSoftmax. It asks for 256 bytes per row at prefetch.")
	p, rowMax, rowSum, rows := x.arg("p"), x.arg("rowMax"), x.arg("rowSum"), x.arg("rows")
	prefetch := x.arg("prefetch")
	seen := x.arg("seen")
	scale := x.broadcast("scale")
	low := x.constZ(bits(float32(math.Inf(-1))))
	mask := x.GP64()
	x.MOVQ(I32(-1), mask)
	x.BZHIQ(seen, mask, mask)
	var k [4]reg.OpmaskVirtual
	for i := range k {
		k[i] = x.K()
		x.KMOVW(mask.As32(), k[i])
		if i < 3 {
			x.SHRQ(Imm(16), mask)
		}
	}
	x.Label("four")
	x.CMPQ(rows, Imm(4))
	x.JLT(LabelRef("rest"))
	x.tileSoftmaxRows512(4, p, rowMax, rowSum, prefetch, scale, low, k)
	x.add(4*256, p)
	x.add(4*256, prefetch)
	x.add(4*4, rowMax)
	x.add(4*4, rowSum)
	x.SUBQ(Imm(4), rows)
	x.JMP(LabelRef("four"))
	x.Label("rest")
	x.TESTQ(rows, rows)
	x.JZ(LabelRef("done"))
	x.tileSoftmaxRows512(1, p, rowMax, rowSum, prefetch, scale, low, k)
	x.add(256, p)
	x.add(256, prefetch)
	x.add(4, rowMax)
	x.add(4, rowSum)
	x.DECQ(rows)
	x.JMP(LabelRef("rest"))
	x.Label("done")
	x.end()

	x.function("rescaleMergeSumsAVX512", "(max, sum, rowMax, rowSum *float32, n int)",
		"rescaleMergeSumsAVX512 is rescaleMerge for maxima and sums. It leaves in rowMax what the output so far is to be multiplied by, and in rowSum the same of the tile.")
	pmax, psum, prowMax, prowSum, n := x.arg("max"), x.arg("sum"), x.arg("rowMax"), x.arg("rowSum"), x.arg("n")
	low = x.constZ(bits(float32(math.Inf(-1))))
	one := x.constZ(bits(1))
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		old, now := x.get(at(pmax, 0), k), x.get(at(prowMax, 0), k)
		some := x.K()
		x.VCMPPS(Imm(4), low, now, some)
		both := x.ZMM()
		x.VMAXPS(now, old, both)
		x.put(both, at(pmax, 0), k)
		x.VSUBPS(both, old, old)
		x.VSUBPS(both, now, now)
		x.exp(old)
		x.exp(now)
		x.VMOVAPS_Z(now, some, now)
		t := x.ZMM()
		x.VMOVAPS(one, t)
		x.VMOVAPS(old, some, t)
		x.put(t, at(prowMax, 0), k)
		s := x.get(at(psum, 0), k)
		x.VMULPS(t, s, s)
		x.VFMADD231PS(x.get(at(prowSum, 0), k), now, s)
		x.put(s, at(psum, 0), k)
		x.put(now, at(prowSum, 0), k)
	}, pointer{pmax, 64}, pointer{psum, 64}, pointer{prowMax, 64}, pointer{prowSum, 64})
	x.end()

	x.function("rescaleMergeRowsAVX512", "(out, acc, old, now *float32, rows, d int)", "rescaleMergeRowsAVX512 is rescaleMerge for the outputs: out = out·old + acc·now, row by row.")
	out, acc, pold, pnow := x.arg("out"), x.arg("acc"), x.arg("old"), x.arg("now")
	r, d := x.arg("rows"), x.arg("d")
	x.Label("rows")
	o, w := x.ZMM(), x.ZMM()
	x.VBROADCASTSS(at(pold, 0), o)
	x.VBROADCASTSS(at(pnow, 0), w)
	left := x.GP64()
	x.MOVQ(d, left)
	x.each16("loop", left, func(k *reg.OpmaskVirtual) {
		z := x.get(at(out, 0), k)
		x.VMULPS(o, z, z)
		x.VFMADD231PS(x.get(at(acc, 0), k), w, z)
		x.put(z, at(out, 0), k)
	}, pointer{out, 64}, pointer{acc, 64})
	// What the tail has not advanced.
	x.LEAQ(Mem{Base: out, Index: left, Scale: 4}, out)
	x.LEAQ(Mem{Base: acc, Index: left, Scale: 4}, acc)
	x.add(4, pold)
	x.add(4, pnow)
	x.DECQ(r)
	x.JNZ(LabelRef("rows"))
	x.end()
}

// tileSoftmaxRows512 is tileSoftmax for four rows or one: a row's chain of operations is long, and those of four overlap.
func (x *program) tileSoftmaxRows512(rows int, p, rowMax, rowSum, prefetch reg.Register, scale, low reg.VecVirtual, k [4]reg.OpmaskVirtual) {
	s := make([][4]reg.VecVirtual, rows)
	m := make([]reg.VecVirtual, rows)
	larger := func(a, b, to reg.VecVirtual) { x.VMAXPS(a, b, to) }
	for r := range s {
		for i := range s[r] {
			s[r][i] = x.ZMM()
			x.VMOVAPS(low, s[r][i])
			x.VMULPS(at(p, 256*r+64*i), scale, k[i], s[r][i])
		}
		m[r] = x.ofFour(s[r], larger)
	}
	tops := x.reduceRows(m, larger)
	x.putRows(tops, rowMax, rows)
	for r := range s {
		some := x.K()
		if rows > 1 {
			x.VSHUFF32X4(Imm(uint64(r*0x55)), tops, tops, m[r])
		} else {
			m[r] = tops
		}
		x.VCMPPS(Imm(4), low, m[r], some) // not equal
		for i, z := range s[r] {
			x.PREFETCHNTA(at(prefetch, 256*r+64*i))
			kk := x.K()
			x.KANDW(some, k[i], kk)
			x.VSUBPS(m[r], z, z)
			x.exp(z)
			x.VMOVAPS_Z(z, kk, z)
			x.VMOVUPS(z, at(p, 256*r+64*i))
		}
		m[r] = x.ofFour(s[r], x.plus)
	}
	x.putRows(x.reduceRows(m, x.plus), rowSum, rows)
}

// ofFour combines four registers by one tree.
func (x *program) ofFour(v [4]reg.VecVirtual, op func(a, b, to reg.VecVirtual)) reg.VecVirtual {
	a, b := x.ZMM(), x.ZMM()
	op(v[0], v[1], a)
	op(v[2], v[3], b)
	op(a, b, a)
	return a
}

// reduceRows is reduce, by the same tree, for one register or for four, whose results are in lane r of 128 bits.
func (x *program) reduceRows(v []reg.VecVirtual, op func(a, b, to reg.VecVirtual)) reg.VecVirtual {
	if len(v) == 1 {
		return x.reduce(v[0], op)
	}
	pair := func(a, b reg.VecVirtual, first, second uint64) reg.VecVirtual {
		lo, hi := x.ZMM(), x.ZMM()
		x.VSHUFF32X4(Imm(first), b, a, lo)
		x.VSHUFF32X4(Imm(second), b, a, hi)
		op(lo, hi, lo)
		return lo
	}
	// Lanes 0 and 1 plus lanes 2 and 3 of two rows each, then the lanes that are left of each row.
	z := pair(pair(v[0], v[1], 0x44, 0xee), pair(v[2], v[3], 0x44, 0xee), 0x88, 0xdd)
	t := x.ZMM()
	for _, lanes := range []uint64{0x4e, 0xb1} {
		x.VPERMILPS(Imm(lanes), z, t)
		op(t, z, z)
	}
	return z
}

// putRows stores what reduceRows has found.
func (x *program) putRows(z reg.VecVirtual, p reg.Register, rows int) {
	if rows == 1 {
		x.VMOVSS(z.AsX(), at(p, 0))
		return
	}
	t := x.ZMM()
	x.VPERMPS(z, x.constZ(0, 4, 8, 12), t)
	x.VMOVUPS(t.AsX(), at(p, 0))
}

// dwords16x16 transposes a 16×16 matrix.
func (x *program) dwords16x16(v [16]reg.VecVirtual) (out [16]reg.VecVirtual) {
	var q [4][4]reg.VecVirtual
	for i := range q {
		q[i] = x.dwords4x4([4]reg.VecVirtual(v[4*i : 4*i+4]))
	}
	for j := range 4 {
		for l, z := range x.lanes4x4([4]reg.VecVirtual{q[0][j], q[1][j], q[2][j], q[3][j]}) {
			out[4*l+j] = z
		}
	}
	return out
}

// columns512 is transposition without widening: half as many shuffles, and half as much to write and to read again.
func (x *program) columns512() {
	x.function("transposeF16x32AVX512", "(dst, src, prefetch *byte, stride, blocks, pace int)",
		"transposeF16x32AVX512 turns 16 rows of some times 32 F16 into columns 128 bytes apart. For each 32 it asks for 512 bytes at prefetch, which then moves on by pace.")
	src, stride := x.arg("src"), x.arg("stride")
	rows := x.rows16(src, stride)
	dst, blocks := x.arg("dst"), x.arg("blocks")
	prefetch, pace := x.arg("prefetch"), x.arg("pace")
	var pairs [2]reg.VecVirtual // lanes 0 and 1, or 2 and 3, of the first eight rows, each followed by that of the others
	for i, q := range [2]uint32{0, 4} {
		pairs[i] = x.constZ(q, 0, q+1, 0, q+8, 0, q+9, 0, q+2, 0, q+3, 0, q+10, 0, q+11, 0)
	}
	x.Label("loop")
	var v [2][8]reg.VecVirtual
	for h := range v {
		for i := range v[h] {
			if i%2 == 0 {
				x.PREFETCHNTA(at(prefetch, 64*(4*h+i/2)))
			}
			v[h][i] = x.get(rows.at(8*h+i, 0), nil)
		}
		v[h] = x.words8x8(v[h])
	}
	for j := range 8 {
		for i, p := range pairs {
			z := x.ZMM()
			x.VMOVDQA64(p, z)
			x.VPERMI2Q(v[1][j], v[0][j], z)
			x.VMOVDQU64(z.AsY(), at(dst, 128*(16*i+j)))
			x.VEXTRACTI64X4(Imm(1), z, at(dst, 128*(16*i+8+j)))
		}
	}
	x.advance(rows, 64)
	x.ADDQ(pace, prefetch)
	x.add(32*128, dst)
	x.DECQ(blocks)
	x.JNZ(LabelRef("loop"))
	x.end()
}

// words8x8 transposes the 8×8 matrix of 16-bit words in each lane of 128 bits.
func (x *program) words8x8(v [8]reg.VecVirtual) (out [8]reg.VecVirtual) {
	for i := range 4 {
		lo, hi := x.ZMM(), x.ZMM()
		x.VPUNPCKLWD(v[2*i+1], v[2*i], lo)
		x.VPUNPCKHWD(v[2*i+1], v[2*i], hi)
		v[2*i], v[2*i+1] = lo, hi
	}
	for h := range 2 { // words 0 to 3 of the rows, then 4 to 7, by pairs
		q := x.dwords4x4([4]reg.VecVirtual{v[h], v[2+h], v[4+h], v[6+h]})
		copy(out[4*h:], q[:])
	}
	return out
}

// halfVectors512 is the number of vectors of columns of halves that gemm512 takes with so many rows.
func halfVectors512(rows int) int {
	if rows > 6 {
		return 2
	}
	return 4
}

// gemm512 multiplies some rows of a with 16 columns of b or some vectors of them, of float32 or halves. For each line of halves that it reads it asks for one at prefetch,
// which then moves on by pace. Strides are in bytes.
func (x *program) gemm512(half bool, rows, vectors int) {
	name, args, of, size, load := "gemm", "(c, a, b *float32, lda, ld, k int", "b", 64, x.get
	if half {
		name, args, of, size, load = "gemmF16", "(c, a *float32, b, prefetch *byte, lda, ldb, ldc, k, pace int", "F16", 32, x.getHalf
	}
	name = fmt.Sprintf("%s%dx%dAVX512", name, rows, 16*vectors)
	mask, doc := "", ""
	if vectors == 1 {
		mask, doc = ", mask int", ", those of mask"
	}
	x.function(name, args+mask+")", fmt.Sprintf("%s multiplies %d rows of a with %d columns of %s%s, adding along k in order.", name, rows, 16*vectors, of, doc))
	a, b := x.arg("a"), x.arg("b")
	var lda, ldb, k, prefetch, pace reg.Register
	if half {
		prefetch, lda, ldb, k, pace = x.arg("prefetch"), x.arg("lda"), x.arg("ldb"), x.arg("k"), x.arg("pace")
	} else {
		lda, ldb, k = x.arg("lda"), x.arg("ld"), x.arg("k")
	}
	var km *reg.OpmaskVirtual
	if vectors == 1 {
		m := x.K()
		x.KMOVW(x.arg("mask").(reg.GPVirtual).As32(), m)
		km = &m
	}
	from := []reg.Register{a} // rows 0, 3, 6
	for len(from) < (rows+2)/3 {
		p := x.GP64()
		x.LEAQ(Mem{Base: lda, Index: lda, Scale: 2}, p)
		x.ADDQ(from[len(from)-1], p)
		from = append(from, p)
	}
	acc := make([][4]reg.VecVirtual, rows)
	for i := range acc {
		for j := range vectors {
			acc[i][j] = x.ZMM()
			x.zero(acc[i][j])
		}
	}
	x.Label("loop")
	var v [4]reg.VecVirtual
	for j := range vectors {
		if half && j%2 == 0 {
			x.PREFETCHNTA(at(prefetch, size*j))
		}
		v[j] = load(at(b, size*j), km)
	}
	for i := range acc {
		s, m := x.ZMM(), at(from[i/3], 0)
		if i%3 > 0 {
			m.Index, m.Scale = lda, uint8(i%3)
		}
		x.VBROADCASTSS(m, s)
		for j := range vectors {
			x.VFMADD231PS(v[j], s, acc[i][j])
		}
	}
	for _, p := range from {
		x.add(4, p)
	}
	x.ADDQ(ldb, b)
	if half {
		x.ADDQ(pace, prefetch)
	}
	x.DECQ(k)
	x.JNZ(LabelRef("loop"))
	c, ldc := x.arg("c"), ldb
	if half {
		ldc = x.arg("ldc")
	}
	for i := range acc {
		for j := range vectors {
			x.put(acc[i][j], at(c, 64*j), km)
		}
		if i+1 < rows {
			x.ADDQ(ldc, c)
		}
	}
	x.end()
}

type floatFormat512 struct {
	name string
	size int
	load func(x *program, m Mem, k *reg.OpmaskVirtual) reg.VecVirtual
	// pairs says that weights and activations are bfloat16, two of them to a lane.
	pairs bool
}

var floatFormats512 = []floatFormat512{
	{"F16", 2, (*program).getHalf, false},
	{"F32", 4, (*program).get, false},
	{"BF16", 2, (*program).getBHalf, false},
	{"BF16Dot", 2, (*program).getPairs, true},
}

const floatTileSignature = "(dst *float32, ldd int, w *byte, stride int, a *float32, lda, k int, from, to *float32)"

// partialSums lets the registers acc, of size bytes each, begin with what lies at from, or with zeros.
func (x *program) partialSums(acc []reg.VecVirtual, size int, zero func(reg.VecVirtual)) {
	from := x.arg("from")
	for _, v := range acc {
		zero(v)
	}
	x.TESTQ(from, from)
	x.JZ(LabelRef("begin"))
	for i, v := range acc {
		x.VMOVUPS(at(from, size*i), v)
	}
	x.Label("begin")
}

// savePartialSums stores the registers and returns, unless to is nil.
func (x *program) savePartialSums(acc []reg.VecVirtual, size int) {
	to := x.arg("to")
	x.TESTQ(to, to)
	x.JZ(LabelRef("finish"))
	for i, v := range acc {
		x.VMOVUPS(v, at(to, size*i))
	}
	x.end()
	x.Label("finish")
}

// getPairs reads 32 bfloat16.
func (x *program) getPairs(m Mem, k *reg.OpmaskVirtual) reg.VecVirtual {
	z := x.ZMM()
	if k == nil {
		x.VMOVDQU16(m, z)
	} else {
		x.VMOVDQU16_Z(m, *k, z)
	}
	return z
}

// vdpbf16ps adds two products of bfloat16 to each lane of c: see bf16Dots.
func (x *program) vdpbf16ps(a, w, c reg.VecVirtual) {
	x.Instruction(&ir.Instruction{
		Opcode: "VDPBF16PS", Operands: []Op{a, w, c}, Inputs: []Op{a, w, c}, Outputs: []Op{c}, ISA: []string{"AVX512_BF16"},
	})
}

// bf16Dots replaces VDPBF16PS, which the assembler does not know, by its bytes. Intel SDM volume 2: EVEX.512.F3.0F38.W0 52 /r.
var bf16Dots = pass.FunctionPass(func(f *ir.Function) error {
	for _, i := range f.Instructions() {
		if i.Opcode == "VDPBF16PS" {
			i.Opcode, i.Operands = "BYTE", []Op{bf16Dot{i.Operands}}
		}
	}
	return nil
})

type bf16Dot struct{ ops []Op }

func (v bf16Dot) Asm() string {
	a, w, c := number(v.ops[0]), number(v.ops[1]), number(v.ops[2])
	not := func(n, bit int) int { return ^n >> bit & 1 } // of the prefix, which has the upper bits of registers the other way round
	return fmt.Sprintf("$0x62; BYTE $%#02x; BYTE $%#02x; BYTE $%#02x; BYTE $0x52; BYTE $%#02x // VDPBF16PS %s, %s, %s",
		not(c, 3)<<7|not(a, 4)<<6|not(a, 3)<<5|not(c, 4)<<4|2, ^w&15<<3|1<<2|2, 2<<5|not(w, 4)<<3, 3<<6|c&7<<3|a&7,
		v.ops[0].Asm(), v.ops[1].Asm(), v.ops[2].Asm())
}

// floatTile512 multiplies four rows, or one, with some tokens. Each output has 16 partial sums along k, see floatTiles of the package.
func (x *program) floatTile512(f floatFormat512, rows, tokens int) {
	per := 16 // weights of a row at once
	if f.pairs {
		per = 32
	}
	name := fmt.Sprintf("mul%s%dx%dAVX512", f.name, rows, tokens)
	x.function(name, floatTileSignature, fmt.Sprintf("%s multiplies %d rows of %s with %d tokens.", name, rows, f.name, tokens))
	w, a, n := x.arg("w"), x.arg("a"), x.arg("k")
	lda := x.arg("lda")
	var rowsAt [4]Mem
	ptrs := []pointer{{w, per * f.size}, {a, 64}}
	var next reg.GPVirtual
	if rows == 4 {
		stride := x.arg("stride")
		s3 := x.GP64()
		x.LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, s3)
		rowsAt = [4]Mem{at(w, 0), {Base: w, Index: stride, Scale: 1}, {Base: w, Index: stride, Scale: 2}, {Base: w, Index: s3, Scale: 1}}
		if tokens == 1 { // the rows behind these, fetched in the order of addresses
			next = x.GP64()
			x.LEAQ(Mem{Base: w, Index: stride, Scale: 4}, next)
			ptrs = append(ptrs, pointer{next, 4 * per * f.size})
		}
	} else {
		rowsAt[0] = at(w, 0)
	}
	a3 := a
	if tokens > 3 {
		a3 = x.GP64()
		x.LEAQ(Mem{Base: lda, Index: lda, Scale: 2}, a3)
		x.ADDQ(a, a3)
		ptrs = append(ptrs, pointer{a3, 64})
	}
	token := func(t int) Mem {
		m := at(a, 0)
		if t >= 3 {
			m.Base, t = a3, t-3
		}
		if t > 0 {
			m.Index, m.Scale = lda, uint8(t)
		}
		return m
	}
	var acc [6][4]reg.VecVirtual
	var all []reg.VecVirtual
	for t := range tokens {
		for r := range rows {
			acc[t][r] = x.ZMM()
			all = append(all, acc[t][r])
		}
	}
	x.partialSums(all, 64, x.zero)
	step := func(i int, k *reg.OpmaskVirtual) {
		if next != nil && k == nil {
			for j := 0; j < 4*per*f.size; j += 64 {
				x.PREFETCHT1(at(next, 4*per*f.size*i+j))
			}
		}
		var v [4]reg.VecVirtual
		for r := range rows {
			m := rowsAt[r]
			m.Disp += per * f.size * i
			v[r] = f.load(x, m, k)
		}
		for t := range tokens {
			m := token(t)
			m.Disp += 64 * i
			if f.pairs {
				z := x.getPairs(m, k)
				for r := range rows {
					x.vdpbf16ps(v[r], z, acc[t][r])
				}
				continue
			}
			z := x.get(m, k)
			for r := range rows {
				x.VFMADD231PS(v[r], z, acc[t][r])
			}
		}
	}
	if tokens == 1 { // by whole lines
		const some = 8
		x.Label("some")
		x.CMPQ(n, U32(uint32(per*some)))
		x.JLT(LabelRef("loop"))
		for i := range some {
			step(i, nil)
		}
		for _, p := range ptrs {
			x.add(some*p.size, p.p)
		}
		x.SUBQ(U32(uint32(per*some)), n)
		x.JMP(LabelRef("some"))
	}
	x.each("loop", n, per, func(k *reg.OpmaskVirtual) { step(0, k) }, ptrs...)
	x.savePartialSums(all, 64)
	dst, ldd := x.arg("dst"), x.arg("ldd")
	for t := range tokens {
		// The tree, the same for four rows as for one: within lanes of 128 bits, then across them.
		v := acc[t]
		for r := rows; r < 4; r++ {
			v[r] = v[0]
		}
		z := x.addFloats4(v)
		s := x.ZMM()
		for _, lanes := range []uint64{0x4e, 0xb1} {
			x.VSHUFF32X4(Imm(lanes), z, z, s)
			x.VADDPS(s, z, z)
		}
		if rows == 4 {
			x.VMOVUPS(z.AsX(), at(dst, 0))
		} else {
			x.VMOVSS(z.AsX(), at(dst, 0))
		}
		if t+1 < tokens {
			x.ADDQ(ldd, dst)
		}
	}
	x.end()
}

// addFloats4 adds the four floats in each 128-bit lane of v[j] to float j of that lane.
func (x *program) addFloats4(v [4]reg.VecVirtual) reg.VecVirtual {
	pair := func(a, b reg.VecVirtual) reg.VecVirtual {
		lo, hi := x.ZMM(), x.ZMM()
		x.VUNPCKLPS(b, a, lo)
		x.VUNPCKHPS(b, a, hi)
		x.VADDPS(hi, lo, lo)
		return lo
	}
	a, b := pair(v[0], v[1]), pair(v[2], v[3])
	lo, hi := x.ZMM(), x.ZMM()
	x.VUNPCKLPD(b, a, lo)
	x.VUNPCKHPD(b, a, hi)
	x.VADDPS(hi, lo, lo)
	return lo
}

// quantize512 is quantizeGroup for 16 groups, one to a lane, operation by operation, so that bits are equal.
func (x *program) quantize512() {
	x.function("quantizeAVX512", "(q *int8, groups *actGroup, x *float32)", "quantizeAVX512 is quantize for 16 groups.")
	x.Attributes(0) // the frame is larger than what may be had without asking
	const groups, candidates = 16, 8
	p := x.arg("x")
	stride := x.GP64()
	x.MOVQ(U32(128), stride)
	rows := x.rows16(p, stride)
	// The groups by columns: [32][16].
	columns := x.AllocLocal(32 * 64)
	for h := range 2 {
		var v [16]reg.VecVirtual
		for i := range v {
			v[i] = x.get(rows.at(i, 64*h), nil)
		}
		for i, z := range x.dwords16x16(v) {
			x.VMOVUPS(z, columns.Offset(64*(16*h+i)))
		}
	}
	// NaN and Inf have the largest magnitudes, as integers too.
	amax, abs := x.ZMM(), x.constZ(0x7fffffff)
	x.zero(amax)
	for i := range 32 {
		t := x.ZMM()
		x.VPANDD(columns.Offset(64*i), abs, t)
		x.VPMAXUD(t, amax, amax)
	}
	finite, good := x.K(), x.K()
	x.VPCMPUD(Imm(2), x.words(0x7f7fffff), amax, finite)
	x.VPCMPUD(Imm(5), x.words(bits(0x1p-118)), amax, finite, good)
	size := x.constZ(bits(1)) // where there is no scale, any that yields one
	x.VMOVAPS(amax, good, size)

	best, inv, scale := x.ZMM(), x.ZMM(), x.ZMM()
	x.zero(best)
	x.zero(inv)
	x.zero(scale)
	const half = candidates / 2
	for h := range 2 {
		var id, xq, qq [half]reg.VecVirtual
		for c := range half {
			id[c], xq[c], qq[c] = x.ZMM(), x.ZMM(), x.ZMM()
			x.VMOVUPS(x.words(bits(candidateMax(half*h+c))), id[c])
			x.VDIVPS(size, id[c], id[c])
			x.zero(xq[c])
			x.zero(qq[c])
		}
		col, n := x.GP64(), x.GP64()
		x.LEAQ(columns, col)
		x.MOVQ(U32(32), n)
		label := fmt.Sprintf("candidates%d", h)
		x.Label(label)
		v := x.get(at(col, 0), nil)
		for c := range half {
			t, r := x.ZMM(), x.ZMM()
			x.VMULPS(id[c], v, t)
			x.VRNDSCALEPS(Imm(8), t, r)
			x.VMULPS(r, t, t)
			x.VADDPS(t, xq[c], xq[c])
			x.VMULPS(r, r, r)
			x.VADDPS(r, qq[c], qq[c])
		}
		x.add(64, col)
		x.DECQ(n)
		x.JNZ(LabelRef(label))
		for c := range half {
			peak := candidateMax(half*h + c)
			s, gain, k := x.ZMM(), x.ZMM(), x.K()
			x.VDIVPS(qq[c], xq[c], s)
			x.VMULPS(xq[c], s, gain)
			x.VDIVPS(x.words(bits(peak*peak)), gain, gain)
			x.VCMPPS(Imm(14), best, gain, k) // greater
			x.VMOVAPS(gain, k, best)
			x.VMOVAPS(id[c], k, inv)
			x.VDIVPS(id[c], s, s)
			x.VMOVAPS(s, k, scale)
		}
	}
	// Zero without a scale, NaN without a finite one.
	x.VMOVAPS_Z(scale, good, scale)
	bad := x.K()
	x.KNOTW(finite, bad)
	x.VMOVUPS(x.words(0x7fc00000), bad, scale)

	var sum [2]reg.VecVirtual
	for h := range sum {
		sum[h] = x.ZMM()
		x.zero(sum[h])
		for i := range 16 {
			t := x.ZMM()
			x.VMULPS(columns.Offset(64*(16*h+i)), inv, t)
			x.VCVTPS2DQ_Z(t, good, t)
			x.VPADDD(t, sum[h], sum[h])
		}
	}
	both := x.ZMM()
	x.VPADDD(sum[0], sum[1], both)
	times := func(n reg.VecVirtual) reg.VecVirtual {
		t := x.ZMM()
		x.VCVTDQ2PS(n, t)
		x.VMULPS(scale, t, t)
		return t
	}
	zero := x.ZMM()
	x.zero(zero)
	g := x.arg("groups")
	for part, v := range [2][4]reg.VecVirtual{
		{scale, both, sum[0], sum[1]},
		{times(both), times(sum[0]), times(sum[1]), zero},
	} {
		for j, z := range x.dwords4x4(v) {
			for l := range 4 {
				m := at(g, 32*(4*l+j)+16*part)
				if l == 0 {
					x.VMOVDQU(z.AsX(), m)
				} else {
					x.VEXTRACTI32X4(Imm(uint64(l)), z, m)
				}
			}
		}
	}
	// The integers, group by group.
	x.VMOVUPS(inv, columns)
	mask := x.GP32()
	x.KMOVW(good, mask)
	col, q, n := x.GP64(), x.arg("q"), x.GP64()
	x.LEAQ(columns, col)
	x.MOVQ(p, rows.p[0])
	x.MOVQ(U32(groups), n)
	x.Label("integers")
	bit, k, s := x.GP32(), x.K(), x.ZMM()
	x.MOVL(mask, bit)
	x.ANDL(Imm(1), bit)
	x.NEGL(bit)
	x.KMOVW(bit, k)
	x.SHRL(Imm(1), mask)
	x.VBROADCASTSS(at(col, 0), s)
	for h := range 2 {
		t := x.ZMM()
		x.VMULPS(at(rows.p[0], 64*h), s, t)
		x.VCVTPS2DQ_Z(t, k, t)
		x.VPMOVDB(t, at(q, 16*h))
	}
	x.add(4, col)
	x.add(128, rows.p[0])
	x.add(32, q)
	x.DECQ(n)
	x.JNZ(LabelRef("integers"))
	x.end()
}

// candidateMax is what candidate c maps the largest magnitude of a group to.
func candidateMax(c int) float32 { return 127 - 0.75*float32(c) }
