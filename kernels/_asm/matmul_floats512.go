package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/reg"
)

type floatFormat512 struct {
	name string
	size int
	load func(x *program, m Mem, k *reg.OpmaskVirtual) reg.VecVirtual
	// pairs is true where weights and activations are bfloat16, two of them to a lane.
	pairs bool
}

var floatFormats512 = []floatFormat512{
	{"F16", 2, (*program).getHalf, false},
	{"F32", 4, (*program).get, false},
	{"BF16", 2, (*program).getBHalf, false},
	{"BF16Dot", 2, (*program).getPairs, true},
}

const floatTileSignature = "(dst *float32, ldd int, w *byte, stride int, a *float32, lda, k int, from, to *float32)"

// partialSums lets the registers acc, of size bytes each, begin with what is stored at from, or
// with zeros.
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

// bf16Dots replaces VDPBF16PS, which the assembler does not know, by its bytes. Intel SDM volume 2:
// EVEX.512.F3.0F38.W0 52 /r.
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
	// of the prefix, which has the upper bits of registers the other way round
	not := func(n, bit int) int { return ^n >> bit & 1 }
	return fmt.Sprintf("$0x62; BYTE $%#02x; BYTE $%#02x; BYTE $%#02x; BYTE $0x52; BYTE $%#02x // VDPBF16PS %s, %s, %s",
		not(c, 3)<<7|not(a, 4)<<6|not(a, 3)<<5|not(c, 4)<<4|2, ^w&15<<3|1<<2|2, 2<<5|not(w, 4)<<3, 3<<6|c&7<<3|a&7,
		v.ops[0].Asm(), v.ops[1].Asm(), v.ops[2].Asm())
}

// matMulFloats512 writes the products with float weights of the instruction set avx512vnni.
func matMulFloats512(x *program) {
	for _, f := range floatFormats512 {
		for _, rows := range []int{4, 1} {
			for tokens := 1; tokens <= 6; tokens++ {
				x.floatTile512(f, rows, tokens)
			}
		}
	}
}

// floatTile512 multiplies four rows, or one, with some tokens. Each output has 16 partial sums
// along k, see floatTiles of the package.
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
		if tokens == 1 { // the rows after these, fetched in the order of addresses
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
