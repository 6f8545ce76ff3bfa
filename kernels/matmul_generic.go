package kernels

import (
	"github.com/goinfer/goinfer/quant"
)

// floatLanes is the number of partial sums in which products of floats are added with instruction
// set "go".
const floatLanes = 8

// mulFloat converts a row into float32 in scratch, then multiplies it with each token.
func mulFloat(m *MatMul, dst []float32, ldd int, w []byte, rows, k int, a *Activations, t0, t1 int, s *Scratch) {
	s.f = grow(s.f, k)
	size := m.Type.RowBytes(k)
	for r := range rows {
		quant.Dequantize(m.Type, s.f, w[r*size:(r+1)*size])
		for t := t0; t < t1; t++ {
			dst[t*ldd+r] = dot(s.f, a.F[t*k:(t+1)*k])
		}
	}
}

// dot is Σ x[i]·y[i] in the order that float products promise with instruction set "go": lane i mod
// floatLanes, then a tree.
func dot(x, y []float32) float32 {
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	y = y[:len(x)]
	for len(x) >= floatLanes && len(y) >= floatLanes {
		u, v := (*[floatLanes]float32)(x), (*[floatLanes]float32)(y)
		s0 += float32(u[0] * v[0])
		s1 += float32(u[1] * v[1])
		s2 += float32(u[2] * v[2])
		s3 += float32(u[3] * v[3])
		s4 += float32(u[4] * v[4])
		s5 += float32(u[5] * v[5])
		s6 += float32(u[6] * v[6])
		s7 += float32(u[7] * v[7])
		x, y = x[floatLanes:], y[floatLanes:]
	}
	tail := [floatLanes]*float32{&s0, &s1, &s2, &s3, &s4, &s5, &s6}
	for i := range x {
		*tail[i] += float32(x[i] * y[i])
	}
	return ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7))
}

// panelTokens is the number of tokens from which three rows are worth packing into lanes.
const panelTokens = 4

// mulGroups multiplies block formats in their integer form. For few tokens each row is taken by
// itself; for more, three rows are packed into the lanes of 64-bit words, so that one
// multiplication serves three outputs. The group sums are exact either way and are added to the
// outputs in the same order.
func mulGroups(m *MatMul, dst []float32, ldd int, w []byte, rows, k int, a *Activations, t0, t1 int, s *Scratch) {
	g := m.Type.Group()
	n := k / g
	size := m.Type.RowBytes(k)
	s.q = grow(s.q, 3*k)
	s.s = grow(s.s, 3*n)
	if m.Type.HasMin() {
		s.m = grow(s.m, 3*n)
	}
	unpack := func(i, r int) row {
		x := row{q: s.q[i*k : (i+1)*k], s: s.s[i*n : (i+1)*n]}
		if m.Type.HasMin() {
			x.m = s.m[i*n : (i+1)*n]
		}
		quant.Unpack(m.Type, x.q, x.s, x.m, w[r*size:(r+1)*size])
		return x
	}
	r := 0
	if t1-t0 >= panelTokens {
		s.packed = grow(s.packed, k)
		for ; r+3 <= rows; r += 3 {
			x0, x1, x2 := unpack(0, r), unpack(1, r+1), unpack(2, r+2)
			packLanes(s.packed, x0.q, x1.q, x2.q)
			for t := t0; t < t1; t++ {
				d := (*[3]float32)(dst[t*ldd+r:])
				if g == 32 {
					panel32(d, s.packed, &x0, &x1, &x2, a, t)
				} else {
					panel16(d, s.packed, &x0, &x1, &x2, a, t)
				}
			}
		}
	}
	for ; r < rows; r++ {
		x := unpack(0, r)
		for t := t0; t < t1; t++ {
			if g == 32 {
				dst[t*ldd+r] = row32(&x, a, t)
			} else {
				dst[t*ldd+r] = row16(&x, a, t)
			}
		}
	}
}

// row is a weight row in its integer form, see quant.Unpack.
type row struct {
	q    []int8
	s, m []float32
}

// addGroup adds the products of group i to acc: sum times the scales of weights and activations,
// and, where the format has minima, the minimum times the sum of the activations.
func (x *row) addGroup(acc float32, i int, sum int32, d, dsum float32) float32 {
	acc += float32(float32(sum) * float32(x.s[i]*d))
	if x.m != nil {
		acc += float32(x.m[i] * dsum)
	}
	return acc
}

func row32(x *row, a *Activations, t int) float32 {
	q, g := a.token(t)
	var acc float32
	for i := range x.s {
		u, v := (*[32]int8)(x.q[32*i:]), (*[32]int8)(q[32*i:])
		var s0, s1 int32
		for j := 0; j < 32; j += 4 {
			s0 += int32(u[j])*int32(v[j]) + int32(u[j+1])*int32(v[j+1])
			s1 += int32(u[j+2])*int32(v[j+2]) + int32(u[j+3])*int32(v[j+3])
		}
		acc = x.addGroup(acc, i, s0+s1, g[i].d, g[i].dsum)
	}
	return acc
}

func row16(x *row, a *Activations, t int) float32 {
	q, g := a.token(t)
	var acc float32
	for i := range x.s {
		u, v := (*[16]int8)(x.q[16*i:]), (*[16]int8)(q[16*i:])
		var s0, s1 int32
		for j := 0; j < 16; j += 4 {
			s0 += int32(u[j])*int32(v[j]) + int32(u[j+1])*int32(v[j+1])
			s1 += int32(u[j+2])*int32(v[j+2]) + int32(u[j+3])*int32(v[j+3])
		}
		acc = x.addGroup(acc, i, s0+s1, g[i/2].d, g[i/2].dhalf[i%2])
	}
	return acc
}

// A lane is 21 bits wide: a sum of 32 products of at most 128·127 in magnitude needs 20 bits with
// its sign.
const laneBits = 21

// packLanes puts three rows into lanes: p[i] = x[i] + y[i]·2^21 + z[i]·2^42.
func packLanes(p []int64, x, y, z []int8) {
	x, y, z = x[:len(p)], y[:len(p)], z[:len(p)]
	for i := range p {
		p[i] = int64(x[i]) + int64(y[i])<<laneBits + int64(z[i])<<(2*laneBits)
	}
}

// unpackLanes takes a sum of packed words apart again; the carries between lanes are undone by sign
// extension.
func unpackLanes(v int64) (x, y, z int32) {
	lo := v << (64 - laneBits) >> (64 - laneBits)
	v = (v - lo) >> laneBits
	mid := v << (64 - laneBits) >> (64 - laneBits)
	return int32(lo), int32(mid), int32((v - mid) >> laneBits)
}

func panel32(dst *[3]float32, p []int64, x0, x1, x2 *row, a *Activations, t int) {
	q, g := a.token(t)
	var a0, a1, a2 float32
	for i := range g {
		u, v := (*[32]int64)(p[32*i:]), (*[32]int8)(q[32*i:])
		var l0, l1 int64
		for j := 0; j < 32; j += 4 {
			l0 += u[j]*int64(v[j]) + u[j+1]*int64(v[j+1])
			l1 += u[j+2]*int64(v[j+2]) + u[j+3]*int64(v[j+3])
		}
		n0, n1, n2 := unpackLanes(l0 + l1)
		d, ds := g[i].d, g[i].dsum
		a0, a1, a2 = x0.addGroup(a0, i, n0, d, ds), x1.addGroup(a1, i, n1, d, ds), x2.addGroup(a2, i, n2, d, ds)
	}
	dst[0], dst[1], dst[2] = a0, a1, a2
}

func panel16(dst *[3]float32, p []int64, x0, x1, x2 *row, a *Activations, t int) {
	q, g := a.token(t)
	var a0, a1, a2 float32
	for i := range x0.s {
		u, v := (*[16]int64)(p[16*i:]), (*[16]int8)(q[16*i:])
		var l0, l1 int64
		for j := 0; j < 16; j += 4 {
			l0 += u[j]*int64(v[j]) + u[j+1]*int64(v[j+1])
			l1 += u[j+2]*int64(v[j+2]) + u[j+3]*int64(v[j+3])
		}
		n0, n1, n2 := unpackLanes(l0 + l1)
		d, ds := g[i/2].d, g[i/2].dhalf[i%2]
		a0, a1, a2 = x0.addGroup(a0, i, n0, d, ds), x1.addGroup(a1, i, n1, d, ds), x2.addGroup(a2, i, n2, d, ds)
	}
	dst[0], dst[1], dst[2] = a0, a1, a2
}
