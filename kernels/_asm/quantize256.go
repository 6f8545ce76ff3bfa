package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// quantize256 is quantizeGroup for 8 groups, one to a lane, operation by operation, so that bits
// are equal.
func (x *program) quantize256() {
	x.function("quantizeAVX2", "(q *int8, groups *actGroup, x *float32)", "quantizeAVX2 is quantize for 8 groups.")
	x.Attributes(0) // the frame is larger than what may be had without asking
	const groups, candidates, some = 8, 8, 2
	p := x.arg("x")
	stride := x.GP64()
	x.MOVQ(U32(128), stride)
	rows := x.rows8(p, stride)
	// The groups by columns: [32][8]. Then what is kept of each group: its scale, what its numbers
	// are multiplied by, and a mask of those that have a scale.
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
