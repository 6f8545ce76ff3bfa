package main

import (
	"math"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

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

// exp replaces z by e^z: see Exp of the package, here with fused multiply-adds and results below
// the normal numbers.
func (x *program) exp(z reg.VecVirtual) {
	c := func(f float32) Mem { return x.words(bits(f)) }
	n, p := x.ZMM(), x.ZMM()
	// The bounds yield 0 and Inf. Of a NaN and a number the instructions return the second source,
	// here the NaN.
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

func (x *program) end() {
	x.VZEROUPPER()
	x.RET()
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
