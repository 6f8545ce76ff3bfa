package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

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
	x.tileSoftmaxKernel256()
	x.rescaleMergeSumsKernel256()
	x.rescaleMergeRowsKernel256()
}

func (x *program) tileSoftmaxKernel256() {
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
}

func (x *program) rescaleMergeSumsKernel256() {
	x.function("rescaleMergeSumsAVX2", "(max, sum, rowMax, rowSum *float32, n int)",
		"rescaleMergeSumsAVX2 is rescaleMerge for maxima and sums. It leaves in rowMax what the output so far is to be multiplied by, and in rowSum the same of the tile.")
	pmax, psum, prowMax, prowSum, n := x.arg("max"), x.arg("sum"), x.arg("rowMax"), x.arg("rowSum"), x.arg("n")
	low := x.constY(bits(float32(math.Inf(-1))))
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
}

func (x *program) rescaleMergeRowsKernel256() {
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
