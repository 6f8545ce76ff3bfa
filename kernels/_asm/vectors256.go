package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// each8 runs body for 8 of n elements at a time, and once more with a mask of those that are left.
// Pointers advance by their sizes for 8 elements.
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

// below256 is where a mask of the first n ≤ 8 lanes is stored.
func (x *program) below256(n reg.Register) Mem {
	const all = 1<<32 - 1
	p, i := x.GP64(), x.GP64()
	x.LEAQ(x.words(all, all, all, all, all, all, all, all, 0, 0, 0, 0, 0, 0, 0, 0), p)
	x.MOVQ(n, i)
	x.NEGQ(i)
	return Mem{Base: p, Index: i, Scale: 4, Disp: 32}
}

// get256 and put256 move 8 floats, or those of a mask, which is a register or in memory.
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

// exp256 replaces y by e^y: see Exp of the package, here with fused multiply-adds. Results below
// the normal numbers are 0.
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

// argMem is where an argument is stored.
func (x *program) argMem(name string) Mem {
	b, err := x.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
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
