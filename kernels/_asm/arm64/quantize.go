package main

import (
	"fmt"
)

// quantize is quantizeGroup for four groups, one to a lane, operation by operation, so that bits
// are equal.
func (x *program) quantize() {
	x.function("quantizeNEON", "q *int8, groups *byte, x *float32", "quantizeNEON is quantize for 4 groups.")
	const groups, candidates, size = 4, 8, 32
	src := x.arg("x")
	// The groups by columns: [32][4].
	columns := x.local(4 * groups * size)
	p := [4]R{src, x.R(), x.R(), x.R()}
	for i := 1; i < 4; i++ {
		x.addi(p[i], p[i-1], 4*size)
	}
	// NaN and Inf have the largest magnitudes, as integers too.
	amax, abs := x.V(), x.constant(x.V(), 0xff, 0xff, 0xff, 0x7f)
	x.zero(amax)
	for j := range size / 4 {
		var v [4]V
		for i := range v {
			v[i] = x.V()
			x.ldr(v[i], p[i], 16*j)
		}
		for i, t := range x.dwords4x4(v) {
			x.str(t, columns, 16*(4*j+i))
			x.and(t, t, abs)
			x.three("VUMAX", "S4", amax, amax, t)
			x.free(t)
		}
	}
	x.free(abs)
	// good groups have a scale, the finite others do not need one.
	bad, good, one := x.V(), x.V(), x.V()
	x.with(2, func(v []V) {
		x.w(cmgt(bad, amax, x.constant(v[0], 0xff, 0xff, 0x7f, 0x7f)))
		x.w(cmge(good, amax, x.floats(v[1], 0x1p-118)))
	})
	x.w(bic(good, good, bad))
	x.floats(one, 1) // where there is no scale, any that yields one
	x.bif(amax, one, good)
	x.free(one)

	best, inv, scale, magic := x.V(), x.V(), x.V(), x.floats(x.V(), 3<<22)
	x.zero(best)
	x.zero(inv)
	x.zero(scale)
	const half = candidates / 2
	col, n := x.R(), x.R()
	for h := range 2 {
		var id, xq, qq [half]V
		for c := range half {
			id[c], xq[c], qq[c] = x.V(), x.V(), x.V()
			x.floats(id[c], candidateMax(half*h+c))
			x.w(fdiv(id[c], id[c], amax))
			x.zero(xq[c])
			x.zero(qq[c])
		}
		x.movr(col, columns)
		x.op("MOVD", imm(size), n.String())
		label := fmt.Sprintf("candidates%d", h)
		x.label(label)
		v := x.V()
		x.ldrPost(v, col, 16)
		for c := range half {
			x.with(2, func(u []V) {
				t, r := u[0], u[1]
				x.w(fmul(t, v, id[c]))
				x.w(fadd(r, t, magic))
				x.w(fsub(r, r, magic))
				x.w(fmul(t, t, r))
				x.w(fadd(xq[c], xq[c], t))
				x.w(fmul(r, r, r))
				x.w(fadd(qq[c], qq[c], r))
			})
		}
		x.free(v)
		x.loop(n, label)
		for c := range half {
			x.with(3, func(u []V) {
				s, gain, better := u[0], u[1], u[2]
				x.w(fdiv(s, xq[c], qq[c]))
				x.w(fmul(gain, s, xq[c]))
				x.floats(better, candidateMax(half*h+c)*candidateMax(half*h+c))
				x.w(fdiv(gain, gain, better))
				x.w(fcmgt(better, gain, best))
				x.bit(best, gain, better)
				x.bit(inv, id[c], better)
				x.w(fdiv(s, s, id[c]))
				x.bit(scale, s, better)
			})
			x.free(id[c], xq[c], qq[c])
		}
	}
	x.free(best, magic, amax)
	// Zero without a scale, NaN without a finite one.
	x.and(scale, scale, good)
	x.with(1, func(v []V) {
		x.constant(v[0], 0, 0, 0xc0, 0x7f)
		x.bit(scale, v[0], bad)
	})
	x.free(bad)

	// The integers, group by group: 16 bytes at a time, whose sum is one of the group's two.
	q := x.arg("q")
	var sum [2]V
	for h := range sum {
		sum[h] = x.V()
		x.zero(sum[h])
	}
	for g := range groups {
		for h := range sum {
			var v [4]V
			for i := range v {
				v[i] = x.V()
				x.ldr(v[i], p[g], 64*h+16*i)
				x.w(fmulLane(v[i], v[i], inv, g))
				x.w(fcvtns(v[i], v[i]))
			}
			x.with(2, func(u []V) {
				x.uzp1("H8", v[0], v[0], v[1])
				x.uzp1("H8", v[2], v[2], v[3])
				x.uzp1("B16", v[0], v[0], v[2])
				x.dup("S4", u[0], good, g)
				x.and(v[0], v[0], u[0])
				x.str(v[0], q, size*g+16*h)
				x.w(saddlv(u[1], v[0]))
				x.w(sxtl(u[1], u[1]))
				x.op("VMOV", fmt.Sprintf("V%d.S[0]", int(u[1])), fmt.Sprintf("V%d.S[%d]", int(sum[h]), g))
			})
			x.free(v[:]...)
		}
	}
	both, zero := x.V(), x.V()
	x.add("S4", both, sum[0], sum[1])
	x.zero(zero)
	times := func(n V) V {
		t := x.V()
		x.w(scvtf(t, n))
		x.w(fmul(t, t, scale))
		return t
	}
	out := x.arg("groups")
	rows := [2][4]V{{scale, both, sum[0], sum[1]}, {times(both), times(sum[0]), times(sum[1]), zero}}
	x.free(inv, good)
	for part, v := range rows {
		for g, t := range x.dwords4x4(v) {
			x.str(t, out, actGroup*g+16*part)
			x.free(t)
		}
	}
	x.end()
}

// candidateMax is what candidate c maps the largest magnitude of a group to.
func candidateMax(c int) float32 { return 127 - 0.75*float32(c) }
