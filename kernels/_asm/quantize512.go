package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// activations512 writes what activations are converted by.
func (x *program) activations512() {
	x.quantize512()
	x.roundBF16Kernel512()
}

// quantize512 is quantizeGroup for 16 groups, one to a lane, operation by operation, so that bits
// are equal.
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

func (x *program) roundBF16Kernel512() {
	x.function("roundBF16AVX512", "(dst *uint16, src *float32, n int)", "roundBF16AVX512 turns float32 into BF16, ties to even; a NaN is a quiet one.")
	dst, a, n := x.arg("dst"), x.arg("src"), x.arg("n")
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
}
