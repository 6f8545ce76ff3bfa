package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// floats256 is what the levels avx2 and avxvnni do with rows of float32.
func floats256(x *program) {
	x.elementwise256()
	x.half256()
	x.attention256()
	x.quantize256()
	for _, f := range floatFormats256 {
		for _, rows := range []int{4, 1} {
			for tokens := 1; tokens <= 3; tokens++ {
				x.floatTile256(f, rows, tokens)
			}
		}
	}
	x.dequantizeRows256()
	x.recur("AVX2", 8, 4, 2, "columns", x.wide256)
	x.prefetchLines()
}

// each8 runs body for 8 of n elements at a time, and once more with a mask of those that are left. Pointers advance by their sizes for 8 elements.
func (x *program) each8(label string, n reg.Register, body func(mask Op), ptrs ...pointer) {
	x.Label(label)
	x.CMPQ(n, Imm(8))
	x.JLT(LabelRef(label + "tail"))
	body(nil)
	for _, p := range ptrs {
		x.add(p.size, p.p)
	}
	x.SUBQ(Imm(8), n)
	x.JMP(LabelRef(label))
	x.Label(label + "tail")
	x.TESTQ(n, n)
	x.JZ(LabelRef(label + "done"))
	body(x.below256(n))
	x.Label(label + "done")
}

// below256 is where a mask of the first n ≤ 8 lanes lies.
func (x *program) below256(n reg.Register) Mem {
	const all = 1<<32 - 1
	p, i := x.GP64(), x.GP64()
	x.LEAQ(x.words(all, all, all, all, all, all, all, all, 0, 0, 0, 0, 0, 0, 0, 0), p)
	x.MOVQ(n, i)
	x.NEGQ(i)
	return Mem{Base: p, Index: i, Scale: 4, Disp: 32}
}

// get256 and put256 move 8 floats, or those of a mask, which is a register or lies in memory.
func (x *program) get256(m Mem, mask Op) reg.VecVirtual {
	y := x.YMM()
	switch mask := mask.(type) {
	case nil:
		x.VMOVUPS(m, y)
	case Mem:
		x.VMOVDQU(mask, y)
		x.VMASKMOVPS(m, y, y)
	default:
		x.VMASKMOVPS(m, mask, y)
	}
	return y
}

func (x *program) put256(y reg.VecVirtual, m Mem, mask Op) {
	switch at := mask.(type) {
	case nil:
		x.VMOVUPS(y, m)
		return
	case Mem:
		mask = x.YMM()
		x.VMOVDQU(at, mask)
	}
	x.VMASKMOVPS(y, mask, m)
}

// broadcast256 fills a register with the float argument.
func (x *program) broadcast256(name string) reg.VecVirtual {
	y := x.YMM()
	x.Load(x.Param(name), y.AsX())
	x.VBROADCASTSS(y.AsX(), y)
	return y
}

// reduce256 combines the 8 lanes of y by one tree; every lane holds the result.
func (x *program) reduce256(y reg.VecVirtual, op func(a, b, to reg.VecVirtual)) {
	t := x.YMM()
	x.VPERM2F128(Imm(1), y, y, t)
	op(t, y, y)
	for _, lanes := range []uint64{0x4e, 0xb1} {
		x.VPERMILPS(Imm(lanes), y, t)
		op(t, y, y)
	}
}

// exp256 replaces y by e^y: see Exp of the package, here with fused multiply-adds. Results below the normal numbers are 0.
func (x *program) exp256(y reg.VecVirtual) {
	const low = -87.33654
	c := func(f float32) Mem { return x.words(bits(f)) }
	n, p, some := x.YMM(), x.YMM(), x.YMM()
	x.VMOVUPS(c(low), n)
	x.VCMPPS(Imm(5), n, y, some) // not less, hence also not a number
	// The bounds: of a NaN and a number the instructions return the second source, here the NaN.
	x.VMAXPS(y, n, y)
	x.VMOVUPS(c(90), n)
	x.VMINPS(y, n, y)
	x.VMULPS(c(1.44269504), y, n)
	x.VROUNDPS(Imm(8), n, n)
	x.VFNMADD231PS(c(0.693359375), n, y)
	x.VFNMADD231PS(c(-2.12194440e-4), n, y)
	x.VMOVUPS(c(1.9875691500e-4), p)
	for _, f := range []float32{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		x.VFMADD213PS(c(f), y, p)
	}
	x.VMULPS(y, p, p)
	x.VFMADD213PS(y, y, p)
	x.VADDPS(c(1), p, p)
	// n is at most 130, where 2^n alone is no float32.
	x.VCVTPS2DQ(n, n)
	x.VPSRAD(Imm(1), n, y)
	x.VPSUBD(y, n, n)
	for _, half := range []reg.VecVirtual{y, n} {
		x.VPADDD(x.words(127), half, half)
		x.VPSLLD(Imm(23), half, half)
		x.VMULPS(half, p, p)
	}
	x.VANDPS(some, p, y)
}

func (x *program) elementwise256() {
	x.function("addAVX2", "(dst, x *float32, n int)", "addAVX2 is add.")
	dst, a, n := x.arg("dst"), x.arg("x"), x.arg("n")
	x.each8("loop", n, func(mask Op) {
		y := x.get256(at(dst, 0), mask)
		x.VADDPS(x.get256(at(a, 0), mask), y, y)
		x.put256(y, at(dst, 0), mask)
	}, pointer{dst, 32}, pointer{a, 32})
	x.end()

	x.function("addScaledAVX2", "(dst, x *float32, n int, c float32)", "addScaledAVX2 is addScaled, fused.")
	dst, a, n = x.arg("dst"), x.arg("x"), x.arg("n")
	c := x.broadcast256("c")
	x.each8("loop", n, func(mask Op) {
		y := x.get256(at(dst, 0), mask)
		x.VFMADD231PS(x.get256(at(a, 0), mask), c, y)
		x.put256(y, at(dst, 0), mask)
	}, pointer{dst, 32}, pointer{a, 32})
	x.end()

	x.function("scaleAVX2", "(x *float32, n int, c float32)", "scaleAVX2 is scale.")
	a, n = x.arg("x"), x.arg("n")
	c = x.broadcast256("c")
	x.each8("loop", n, func(mask Op) {
		y := x.get256(at(a, 0), mask)
		x.VMULPS(c, y, y)
		x.put256(y, at(a, 0), mask)
	}, pointer{a, 32})
	x.end()

	x.function("normalizeAVX2", "(dst, x, w *float32, n int, scale float32)", "normalizeAVX2 is normalize.")
	dst, a, n = x.arg("dst"), x.arg("x"), x.arg("n")
	w := x.arg("w")
	c = x.broadcast256("scale")
	x.each8("loop", n, func(mask Op) {
		y := x.get256(at(a, 0), mask)
		x.VMULPS(c, y, y)
		x.VMULPS(x.get256(at(w, 0), mask), y, y)
		x.put256(y, at(dst, 0), mask)
	}, pointer{dst, 32}, pointer{a, 32}, pointer{w, 32})
	x.end()

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

	x.function("swiGLUAVX2", "(dst, gate, up *float32, n int)", "swiGLUAVX2 is swiGLU.")
	dst, a, b, n = x.arg("dst"), x.arg("gate"), x.arg("up"), x.arg("n")
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

	x.function("geluAVX2", "(dst, gate, up *float32, n int)", "geluAVX2 is gelu.")
	dst, a, b, n = x.arg("dst"), x.arg("gate"), x.arg("up"), x.arg("n")
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

	x.function("gateAVX2", "(x, gate *float32, n int)", "gateAVX2 is gate.")
	a, b, n = x.arg("x"), x.arg("gate"), x.arg("n")
	x.each8("loop", n, func(mask Op) {
		v, e := x.get256(at(a, 0), mask), x.YMM()
		x.VXORPS(x.words(1<<31), x.get256(at(b, 0), mask), e)
		x.exp256(e)
		x.VADDPS(x.words(bits(1)), e, e)
		x.VDIVPS(e, v, v)
		x.put256(v, at(a, 0), mask)
	}, pointer{a, 32}, pointer{b, 32})
	x.end()

	x.function("softCapAVX2", "(x *float32, n int, most float32)", "softCapAVX2 is softCap.")
	a, n = x.arg("x"), x.arg("n")
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

	x.function("rotateNeoXAVX2", "(lo, hi, cos, sin *float32, pairs int)", "rotateNeoXAVX2 is rotateNeoX.")
	a, b, n = x.arg("lo"), x.arg("hi"), x.arg("pairs")
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

	x.function("rotateInterleavedAVX2", "(x, cos, sin *float32, pairs int)", "rotateInterleavedAVX2 is rotateInterleaved.")
	a, n = x.arg("x"), x.arg("pairs")
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

func (x *program) half256() {
	// There are no masks for half floats: what is left of n is the caller's.
	each := func(name, signature, doc string, step func(dst, src reg.Register), sizeDst, sizeSrc int) {
		x.function(name, signature, doc)
		dst, src, n := x.arg("dst"), x.arg("src"), x.arg("n")
		x.Label("loop")
		step(dst, src)
		x.add(sizeDst, dst)
		x.add(sizeSrc, src)
		x.SUBQ(Imm(8), n)
		x.JNZ(LabelRef("loop"))
		x.end()
	}
	each("dequantizeF16AVX2", "(dst *float32, src *byte, n int)", "dequantizeF16AVX2 turns F16 into float32. n is a multiple of 8, and not 0.", func(dst, src reg.Register) {
		y := x.YMM()
		x.VCVTPH2PS(at(src, 0), y)
		x.VMOVUPS(y, at(dst, 0))
	}, 32, 16)
	each("quantizeF16AVX2", "(dst *byte, src *float32, n int)", "quantizeF16AVX2 turns float32 into F16, ties to even. n is a multiple of 8, and not 0.", func(dst, src reg.Register) {
		y := x.YMM()
		x.VMOVUPS(at(src, 0), y)
		x.VCVTPS2PH(Imm(0), y, at(dst, 0))
	}, 16, 32)
}

// dwords8x8 transposes an 8×8 matrix.
func (x *program) dwords8x8(v [8]reg.VecVirtual) (out [8]reg.VecVirtual) {
	a, b := x.dwords4x4Y([4]reg.VecVirtual(v[:4])), x.dwords4x4Y([4]reg.VecVirtual(v[4:]))
	for j := range 4 {
		out[j], out[4+j] = x.YMM(), x.YMM()
		x.VPERM2I128(Imm(0x20), b[j], a[j], out[j])
		x.VPERM2I128(Imm(0x31), b[j], a[j], out[4+j])
	}
	return out
}

// attention256: see attend.go.
func (x *program) attention256() {
	for rows := 1; rows <= 6; rows++ {
		x.gemm256(rows, 2)
		x.gemm256(rows, 1)
	}
	for _, f := range floatFormats256[:2] {
		x.function("transpose"+f.name+"AVX2", "(dst *float32, src *byte, stride, blocks int)",
			fmt.Sprintf("transpose%sAVX2 turns 8 rows of some times 8 %s into columns 256 bytes apart.", f.name, f.name))
		src, stride := x.arg("src"), x.arg("stride")
		rows := x.rows8(src, stride)
		dst, blocks := x.arg("dst"), x.arg("blocks")
		x.Label("loop")
		var v [8]reg.VecVirtual
		for i := range v {
			v[i] = f.load(x, rows.at(i, 0))
		}
		for i, y := range x.dwords8x8(v) {
			x.VMOVUPS(y, at(dst, 256*i))
		}
		x.advance8(rows, 8*f.size)
		x.add(8*256, dst)
		x.DECQ(blocks)
		x.JNZ(LabelRef("loop"))
		x.end()
	}

	x.function("tileSoftmaxAVX2", "(p, rowMax, rowSum *float32, rows, seen int, scale float32)", "tileSoftmaxAVX2 is tileSoftmax.")
	p, rowMax, rowSum, rows := x.arg("p"), x.arg("rowMax"), x.arg("rowSum"), x.arg("rows")
	scale := x.broadcast256("scale")
	seen := x.YMM()
	x.VPBROADCASTD(x.argMem("seen"), seen)
	low := x.constY(bits(float32(math.Inf(-1))))
	// mask is of those of vector i that have been seen.
	mask := func(i int) reg.VecVirtual {
		n := uint32(8 * i)
		y := x.YMM()
		x.VPCMPGTD(x.words(n, n+1, n+2, n+3, n+4, n+5, n+6, n+7), seen, y)
		return y
	}
	x.Label("loop")
	m := x.YMM()
	for i := range 8 {
		y := x.YMM()
		x.VMULPS(at(p, 32*i), scale, y)
		x.VBLENDVPS(mask(i), y, low, y)
		x.VMOVUPS(y, at(p, 32*i))
		if i == 0 {
			x.VMOVAPS(y, m)
		} else {
			x.VMAXPS(y, m, m)
		}
	}
	x.reduce256(m, func(a, b, to reg.VecVirtual) { x.VMAXPS(a, b, to) })
	some := x.YMM()
	x.VCMPPS(Imm(4), low, m, some) // not equal
	s := x.YMM()
	x.VXORPS(s, s, s)
	for i := range 8 {
		y := x.YMM()
		x.VMOVUPS(at(p, 32*i), y)
		x.VSUBPS(m, y, y)
		x.exp256(y)
		k := mask(i)
		x.VANDPS(some, k, k)
		x.VANDPS(k, y, y)
		x.VMOVUPS(y, at(p, 32*i))
		x.VADDPS(y, s, s)
	}
	x.reduce256(s, x.plus)
	x.VMOVSS(m.AsX(), at(rowMax, 0))
	x.VMOVSS(s.AsX(), at(rowSum, 0))
	x.add(256, p)
	x.add(4, rowMax)
	x.add(4, rowSum)
	x.DECQ(rows)
	x.JNZ(LabelRef("loop"))
	x.end()

	x.function("rescaleMergeSumsAVX2", "(max, sum, rowMax, rowSum *float32, n int)",
		"rescaleMergeSumsAVX2 is rescaleMerge for maxima and sums. It leaves in rowMax what the output so far is to be multiplied by, and in rowSum the same of the tile.")
	pmax, psum, prowMax, prowSum, n := x.arg("max"), x.arg("sum"), x.arg("rowMax"), x.arg("rowSum"), x.arg("n")
	low = x.constY(bits(float32(math.Inf(-1))))
	x.each8("loop", n, func(mask Op) {
		old, now := x.get256(at(pmax, 0), mask), x.get256(at(prowMax, 0), mask)
		some, both := x.YMM(), x.YMM()
		x.VCMPPS(Imm(4), low, now, some)
		x.VMAXPS(now, old, both)
		x.put256(both, at(pmax, 0), mask)
		x.VSUBPS(both, old, old)
		x.VSUBPS(both, now, now)
		x.exp256(old)
		x.exp256(now)
		x.VANDPS(some, now, now)
		t := x.YMM()
		x.VMOVUPS(x.words(bits(1)), t)
		x.VBLENDVPS(some, old, t, t)
		x.put256(t, at(prowMax, 0), mask)
		s := x.get256(at(psum, 0), mask)
		x.VMULPS(t, s, s)
		x.VFMADD231PS(x.get256(at(prowSum, 0), mask), now, s)
		x.put256(s, at(psum, 0), mask)
		x.put256(now, at(prowSum, 0), mask)
	}, pointer{pmax, 32}, pointer{psum, 32}, pointer{prowMax, 32}, pointer{prowSum, 32})
	x.end()

	x.function("rescaleMergeRowsAVX2", "(out, acc, old, now *float32, rows, d int)", "rescaleMergeRowsAVX2 is rescaleMerge for the outputs: out = out·old + acc·now, row by row.")
	out, acc, pold, pnow := x.arg("out"), x.arg("acc"), x.arg("old"), x.arg("now")
	r, d := x.arg("rows"), x.arg("d")
	x.Label("rows")
	o, w := x.YMM(), x.YMM()
	x.VBROADCASTSS(at(pold, 0), o)
	x.VBROADCASTSS(at(pnow, 0), w)
	left := x.GP64()
	x.MOVQ(d, left)
	x.each8("loop", left, func(mask Op) {
		y := x.get256(at(out, 0), mask)
		x.VMULPS(o, y, y)
		x.VFMADD231PS(x.get256(at(acc, 0), mask), w, y)
		x.put256(y, at(out, 0), mask)
	}, pointer{out, 32}, pointer{acc, 32})
	// What the tail has not advanced.
	x.LEAQ(Mem{Base: out, Index: left, Scale: 4}, out)
	x.LEAQ(Mem{Base: acc, Index: left, Scale: 4}, acc)
	x.add(4, pold)
	x.add(4, pnow)
	x.DECQ(r)
	x.JNZ(LabelRef("rows"))
	x.end()
}

// argMem is where an argument lies.
func (x *program) argMem(name string) Mem {
	b, err := x.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// gemm256 multiplies some rows of a with 8 or 16 columns of b. Strides are in bytes.
func (x *program) gemm256(rows, vectors int) {
	name := fmt.Sprintf("gemm%dx%dAVX2", rows, 8*vectors)
	columns, doc := "", ""
	if vectors == 1 {
		columns, doc = ", columns int", ", or the first of them"
	}
	x.function(name, "(c, a, b *float32, lda, ld, k int"+columns+")", fmt.Sprintf("%s multiplies %d rows of a with %d columns of b%s, adding along k in order.", name, rows, 8*vectors, doc))
	a, b, lda, ld, k := x.arg("a"), x.arg("b"), x.arg("lda"), x.arg("ld"), x.arg("k")
	var mask Op
	if vectors == 1 {
		mask = x.YMM()
		x.VMOVDQU(x.below256(x.arg("columns")), mask)
	}
	a3 := a
	if rows > 3 {
		a3 = x.GP64()
		x.LEAQ(Mem{Base: lda, Index: lda, Scale: 2}, a3)
		x.ADDQ(a, a3)
	}
	row := func(i int) Mem {
		m := at(a, 0)
		if i >= 3 {
			m.Base, i = a3, i-3
		}
		if i > 0 {
			m.Index, m.Scale = lda, uint8(i)
		}
		return m
	}
	var acc [6][2]reg.VecVirtual
	for i := range rows {
		for j := range vectors {
			y := x.YMM()
			x.VXORPS(y, y, y)
			acc[i][j] = y
		}
	}
	x.Label("loop")
	var v [2]reg.VecVirtual
	for j := range vectors {
		v[j] = x.get256(at(b, 32*j), mask)
	}
	for i := range rows {
		s := x.YMM()
		x.VBROADCASTSS(row(i), s)
		for j := range vectors {
			x.VFMADD231PS(v[j], s, acc[i][j])
		}
	}
	x.add(4, a)
	if rows > 3 {
		x.add(4, a3)
	}
	x.ADDQ(ld, b)
	x.DECQ(k)
	x.JNZ(LabelRef("loop"))
	c := x.arg("c")
	for i := range rows {
		for j := range vectors {
			x.put256(acc[i][j], at(c, 32*j), mask)
		}
		if i+1 < rows {
			x.ADDQ(ld, c)
		}
	}
	x.end()
}

// floatFormat256 is how 8 weights become float32.
type floatFormat256 struct {
	name string
	size int
	load func(x *program, m Mem) reg.VecVirtual
	wide func(x *program, y reg.VecVirtual) // where they are halves: those in the lower part of y
}

var floatFormats256 = []floatFormat256{
	{"F16", 2, (*program).getHalf256, func(x *program, y reg.VecVirtual) { x.VCVTPH2PS(y.AsX(), y) }},
	{"F32", 4, func(x *program, m Mem) reg.VecVirtual { return x.get256(m, nil) }, nil},
	{"BF16", 2, (*program).getBHalf256, func(x *program, y reg.VecVirtual) {
		x.VPMOVZXWD(y.AsX(), y)
		x.VPSLLD(Imm(16), y, y)
	}},
}

func (x *program) getHalf256(m Mem) reg.VecVirtual {
	y := x.YMM()
	x.VCVTPH2PS(m, y)
	return y
}

func (x *program) getBHalf256(m Mem) reg.VecVirtual {
	y := x.YMM()
	x.VPMOVZXWD(m, y)
	x.VPSLLD(Imm(16), y, y)
	return y
}

// floatTile256 multiplies four rows, or one, with some tokens. Each output has 8 partial sums along k, see floatTiles of the package. Where weights are
// halves, the bytes of at least 8 end with the last.
func (x *program) floatTile256(f floatFormat256, rows, tokens int) {
	name := fmt.Sprintf("mul%s%dx%dAVX2", f.name, rows, tokens)
	x.function(name, floatTileSignature, fmt.Sprintf("%s multiplies %d rows of %s with %d tokens.", name, rows, f.name, tokens))
	w, a, n := x.arg("w"), x.arg("a"), x.arg("k")
	lda := x.arg("lda")
	var rowsAt [4]Mem
	ptrs := []pointer{{w, 8 * f.size}, {a, 32}}
	var next reg.GPVirtual
	if rows == 4 {
		stride := x.arg("stride")
		s3 := x.GP64()
		x.LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, s3)
		rowsAt = [4]Mem{at(w, 0), {Base: w, Index: stride, Scale: 1}, {Base: w, Index: stride, Scale: 2}, {Base: w, Index: s3, Scale: 1}}
		if tokens == 1 { // the rows behind these, fetched in the order of addresses
			next = x.GP64()
			x.LEAQ(Mem{Base: w, Index: stride, Scale: 4}, next)
			ptrs = append(ptrs, pointer{next, 4 * 8 * f.size})
		}
	} else {
		rowsAt[0] = at(w, 0)
	}
	token := func(t int) Mem {
		m := at(a, 0)
		if t > 0 {
			m.Index, m.Scale = lda, uint8(t)
		}
		return m
	}
	var acc [3][4]reg.VecVirtual
	var all []reg.VecVirtual
	for t := range tokens {
		for r := range rows {
			acc[t][r] = x.YMM()
			all = append(all, acc[t][r])
		}
	}
	x.partialSums(all, 32, func(y reg.VecVirtual) { x.VXORPS(y, y, y) })
	step := func(i int, mask Op) {
		if next != nil && mask == nil {
			for j := 0; j < 4*8*f.size; j += 64 {
				x.PREFETCHT0(at(next, 4*8*f.size*i+j))
			}
		}
		var last Mem // a shuffle that moves the last n of 8 halves to the front
		if mask != nil && f.wide != nil {
			p, i := x.GP64(), x.GP64()
			const none = 0x80808080
			x.LEAQ(x.words(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c, none, none, none, none), p)
			x.MOVQ(n, i)
			x.NEGQ(i)
			last = Mem{Base: p, Index: i, Scale: 2, Disp: 16}
			x.LEAQ(Mem{Base: w, Index: n, Scale: 2, Disp: -16}, w)
		}
		var z [3]reg.VecVirtual
		for t := range tokens {
			m := token(t)
			m.Disp += 32 * i
			z[t] = x.get256(m, mask)
		}
		for r := range rows {
			m := rowsAt[r]
			m.Disp += 8 * f.size * i
			var v reg.VecVirtual
			switch {
			case mask == nil:
				v = f.load(x, m)
			case f.wide == nil:
				v = x.get256(m, mask)
			default:
				v = x.YMM()
				x.load16(m, v)
				x.VPSHUFB(last, v.AsX(), v.AsX())
				f.wide(x, v)
			}
			for t := range tokens {
				x.VFMADD231PS(v, z[t], acc[t][r])
			}
		}
	}
	if tokens == 1 { // by whole lines
		some := 128 / f.size
		x.Label("some")
		x.CMPQ(n, U32(some))
		x.JLT(LabelRef("loop"))
		for i := range some / 8 {
			step(i, nil)
		}
		for _, p := range ptrs {
			x.add(some/8*p.size, p.p)
		}
		x.SUBQ(U32(some), n)
		x.JMP(LabelRef("some"))
	}
	x.each8("loop", n, func(mask Op) { step(0, mask) }, ptrs...)
	x.savePartialSums(all, 32)
	dst, ldd := x.arg("dst"), x.arg("ldd")
	for t := range tokens {
		// The tree, the same for four rows as for one: within lanes of 128 bits, then across them.
		v := acc[t]
		for r := rows; r < 4; r++ {
			v[r] = v[0]
		}
		y, h := x.addFloats4Y(v), x.YMM()
		x.VEXTRACTF128(Imm(1), y, h.AsX())
		x.VADDPS(h.AsX(), y.AsX(), y.AsX())
		if rows == 4 {
			x.VMOVUPS(y.AsX(), at(dst, 0))
		} else {
			x.VMOVSS(y.AsX(), at(dst, 0))
		}
		if t+1 < tokens {
			x.ADDQ(ldd, dst)
		}
	}
	x.end()
}

// addFloats4Y adds the four floats in each 128-bit lane of v[j] to float j of that lane.
func (x *program) addFloats4Y(v [4]reg.VecVirtual) reg.VecVirtual {
	pair := func(a, b reg.VecVirtual) reg.VecVirtual {
		lo, hi := x.YMM(), x.YMM()
		x.VUNPCKLPS(b, a, lo)
		x.VUNPCKHPS(b, a, hi)
		x.VADDPS(hi, lo, lo)
		return lo
	}
	a, b := pair(v[0], v[1]), pair(v[2], v[3])
	lo, hi := x.YMM(), x.YMM()
	x.VUNPCKLPD(b, a, lo)
	x.VUNPCKHPD(b, a, hi)
	x.VADDPS(hi, lo, lo)
	return lo
}

// quantize256 is quantizeGroup for 8 groups, one to a lane, operation by operation, so that bits are equal.
func (x *program) quantize256() {
	x.function("quantizeAVX2", "(q *int8, groups *actGroup, x *float32)", "quantizeAVX2 is quantize for 8 groups.")
	x.Attributes(0) // the frame is larger than what may be had without asking
	const groups, candidates, some = 8, 8, 2
	p := x.arg("x")
	stride := x.GP64()
	x.MOVQ(U32(128), stride)
	rows := x.rows8(p, stride)
	// The groups by columns: [32][8]. Then what is kept of each group: its scale, what its numbers are multiplied by, and a mask of those that have a scale.
	columns := x.AllocLocal((32 + 3) * 32)
	scaleAt, invAt, goodAt := columns.Offset(32*32), columns.Offset(33*32), columns.Offset(34*32)
	for h := range 4 {
		var v [8]reg.VecVirtual
		for i := range v {
			v[i] = x.get256(rows.at(i, 32*h), nil)
		}
		for i, y := range x.dwords8x8(v) {
			x.VMOVUPS(y, columns.Offset(32*(8*h+i)))
		}
	}
	// NaN and Inf have the largest magnitudes, as integers too.
	amax, abs := x.YMM(), x.constY(0x7fffffff)
	x.VPXOR(amax, amax, amax)
	for i := range 32 {
		t := x.YMM()
		x.VPAND(columns.Offset(32*i), abs, t)
		x.VPMAXUD(t, amax, amax)
	}
	bad, good, size := x.YMM(), x.YMM(), x.YMM()
	x.VPCMPGTD(x.words(0x7f7fffff), amax, bad)
	x.VPCMPGTD(x.words(bits(0x1p-118)-1), amax, good)
	x.VPANDN(good, bad, good)
	x.VMOVDQU(good, goodAt)
	x.VMOVUPS(x.words(bits(1)), size) // where there is no scale, any that yields one
	x.VBLENDVPS(good, amax, size, size)

	best, inv, scale := x.YMM(), x.YMM(), x.YMM()
	x.VXORPS(best, best, best)
	x.VXORPS(inv, inv, inv)
	x.VXORPS(scale, scale, scale)
	magic := x.constY(bits(3 << 22))
	for h := 0; h < candidates; h += some {
		var id, xq, qq [some]reg.VecVirtual
		for c := range some {
			y, u, v := x.YMM(), x.YMM(), x.YMM()
			x.VMOVUPS(x.words(bits(candidateMax(h+c))), y)
			x.VDIVPS(size, y, y)
			x.VXORPS(u, u, u)
			x.VXORPS(v, v, v)
			id[c], xq[c], qq[c] = y, u, v
		}
		col, n := x.GP64(), x.GP64()
		x.LEAQ(columns, col)
		x.MOVQ(U32(32), n)
		label := fmt.Sprintf("candidates%d", h)
		x.Label(label)
		v := x.get256(at(col, 0), nil)
		for c := range some {
			t, r := x.YMM(), x.YMM()
			x.VMULPS(id[c], v, t)
			x.VADDPS(magic, t, r)
			x.VSUBPS(magic, r, r)
			x.VMULPS(r, t, t)
			x.VADDPS(t, xq[c], xq[c])
			x.VMULPS(r, r, r)
			x.VADDPS(r, qq[c], qq[c])
		}
		x.add(32, col)
		x.DECQ(n)
		x.JNZ(LabelRef(label))
		for c := range some {
			peak := candidateMax(h + c)
			s, gain, k := x.YMM(), x.YMM(), x.YMM()
			x.VDIVPS(qq[c], xq[c], s)
			x.VMULPS(xq[c], s, gain)
			x.VDIVPS(x.words(bits(peak*peak)), gain, gain)
			x.VCMPPS(Imm(14), best, gain, k) // greater
			x.VBLENDVPS(k, gain, best, best)
			x.VBLENDVPS(k, id[c], inv, inv)
			x.VDIVPS(id[c], s, s)
			x.VBLENDVPS(k, s, scale, scale)
		}
	}
	// Zero without a scale, NaN without a finite one.
	x.VANDPS(goodAt, scale, scale)
	x.VBLENDVPS(bad, x.words(0x7fc00000), scale, scale)
	x.VMOVUPS(inv, invAt)
	x.VMOVUPS(scale, scaleAt)

	var sum [2]reg.VecVirtual
	for h := range sum {
		y := x.YMM()
		x.VPXOR(y, y, y)
		sum[h] = y
		for i := range 16 {
			t := x.YMM()
			x.VMULPS(columns.Offset(32*(16*h+i)), inv, t)
			x.VCVTPS2DQ(t, t)
			x.VPAND(goodAt, t, t)
			x.VPADDD(t, y, y)
		}
	}
	both := x.YMM()
	x.VPADDD(sum[0], sum[1], both)
	times := func(n reg.VecVirtual) reg.VecVirtual {
		t := x.YMM()
		x.VCVTDQ2PS(n, t)
		x.VMULPS(scaleAt, t, t)
		return t
	}
	zero := x.YMM()
	x.VPXOR(zero, zero, zero)
	g := x.arg("groups")
	for i, y := range x.dwords8x8([8]reg.VecVirtual{scale, both, sum[0], sum[1], times(both), times(sum[0]), times(sum[1]), zero}) {
		x.VMOVDQU(y, at(g, actGroup*i))
	}
	// The integers, group by group.
	col, q, n := x.GP64(), x.arg("q"), x.GP64()
	x.LEAQ(invAt, col)
	x.MOVQ(U32(groups), n)
	order := x.constY(0, 4, 1, 5, 2, 6, 3, 7)
	x.Label("integers")
	by, mask := x.YMM(), x.YMM()
	x.VBROADCASTSS(at(col, 0), by)
	x.VPBROADCASTD(at(col, 32), mask)
	var v [4]reg.VecVirtual
	for h := range v {
		y := x.YMM()
		x.VMULPS(at(p, 32*h), by, y)
		x.VCVTPS2DQ(y, y)
		x.VPAND(mask, y, y)
		v[h] = y
	}
	x.VPACKSSDW(v[1], v[0], v[0])
	x.VPACKSSDW(v[3], v[2], v[2])
	x.VPACKSSWB(v[2], v[0], v[0])
	x.VPERMD(v[0], order, v[0])
	x.VMOVDQU(v[0], at(q, 0))
	x.add(4, col)
	x.add(128, p)
	x.add(32, q)
	x.DECQ(n)
	x.JNZ(LabelRef("integers"))
	x.end()
}
