package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

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

// matMulFloats256 writes the products with float weights of the instruction sets avx2 and avxvnni.
func matMulFloats256(x *program) {
	for _, f := range floatFormats256 {
		for _, rows := range []int{4, 1} {
			for tokens := 1; tokens <= 3; tokens++ {
				x.floatTile256(f, rows, tokens)
			}
		}
	}
}

// floatTile256 multiplies four rows, or one, with some tokens. Each output has 8 partial sums along
// k, see floatTiles of the package. Where weights are halves, the bytes of at least 8 end with the
// last.
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
		if tokens == 1 { // the rows after these, fetched in the order of addresses
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
