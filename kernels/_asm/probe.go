package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// probe512 is what package probe measures the instruction set avx512vnni by.
func probe512(x *program) {
	x.Function("sumAVX512")
	x.SignatureExpr("func(x *uint64, n int) uint64")
	x.Pragma("noescape")
	x.Doc("sumAVX512 adds n words, a multiple of 32, in the order of addresses.")
	p, n := x.arg("x"), x.arg("n")
	var s [4]reg.VecVirtual
	for i := range s {
		s[i] = x.ZMM()
		x.zero(s[i])
	}
	x.Label("loop")
	for i, z := range s {
		x.VPADDQ(Mem{Base: p, Disp: 64 * i}, z, z)
	}
	x.add(256, p)
	x.SUBQ(Imm(32), n)
	x.JNZ(LabelRef("loop"))
	x.VPADDQ(s[1], s[0], s[0])
	x.VPADDQ(s[3], s[2], s[2])
	x.VPADDQ(s[2], s[0], s[0])
	t, sum := x.ZMM(), x.GP64()
	for _, lanes := range []uint64{0x4e, 0xb1} {
		x.VSHUFI64X2(Imm(lanes), s[0], s[0], t)
		x.VPADDQ(t, s[0], s[0])
	}
	x.VPSHUFD(Imm(0x4e), s[0], t)
	x.VPADDQ(t, s[0], s[0])
	x.VMOVQ(s[0].AsX(), sum)
	x.Store(sum, x.ReturnIndex(0))
	x.VZEROUPPER()
	x.RET()

	// Peaks are those of chains that are independent of each other, more than latency times
	// throughput, without any load.
	x.spin("fmaAVX512", "fmaAVX512 does n times 24 multiply-adds of 16 float32 each.", 24, func(acc, a, b reg.VecVirtual) { x.VFMADD231PS(a, b, acc) })
	x.spin("dotAVX512", "dotAVX512 does n times 24 dot products of 64 bytes each.", 24, func(acc, a, b reg.VecVirtual) { x.VPDPBUSD(a, b, acc) })
}

func (x *program) spin(name, doc string, chains int, step func(acc, a, b reg.VecVirtual)) {
	x.Function(name)
	x.SignatureExpr("func(n int)")
	x.Doc(doc)
	n, a, b := x.arg("n"), x.ZMM(), x.ZMM()
	x.zero(a)
	x.zero(b)
	acc := make([]reg.VecVirtual, chains)
	for i := range acc {
		acc[i] = x.ZMM()
		x.zero(acc[i])
	}
	x.Label("loop")
	for _, z := range acc {
		step(z, a, b)
	}
	x.DECQ(n)
	x.JNZ(LabelRef("loop"))
	x.VZEROUPPER()
	x.RET()
}

// probe256 is what package probe measures the instruction sets avx2 and avxvnni by.
func probe256(x *program) {
	x.Function("sumAVX2")
	x.SignatureExpr("func(x *uint64, n int) uint64")
	x.Pragma("noescape")
	x.Doc("sumAVX2 adds n words, a multiple of 32, in the order of addresses.")
	p, n := x.arg("x"), x.arg("n")
	var s [4]reg.VecVirtual
	for i := range s {
		y := x.YMM()
		x.VPXOR(y, y, y)
		s[i] = y
	}
	x.Label("loop")
	for i := range 8 {
		x.VPADDQ(Mem{Base: p, Disp: 32 * i}, s[i%4], s[i%4])
	}
	x.add(256, p)
	x.SUBQ(Imm(32), n)
	x.JNZ(LabelRef("loop"))
	x.VPADDQ(s[1], s[0], s[0])
	x.VPADDQ(s[3], s[2], s[2])
	x.VPADDQ(s[2], s[0], s[0])
	t, sum := x.YMM(), x.GP64()
	x.VPERM2I128(Imm(1), s[0], s[0], t)
	x.VPADDQ(t, s[0], s[0])
	x.VPSHUFD(Imm(0x4e), s[0], t)
	x.VPADDQ(t, s[0], s[0])
	x.VMOVQ(s[0].AsX(), sum)
	x.Store(sum, x.ReturnIndex(0))
	x.end()

	x.spin256("fmaAVX2", "fmaAVX2 does n times 12 multiply-adds of 8 float32 each.", func(acc, a, b reg.VecVirtual) { x.VFMADD231PS(a, b, acc) })
	// As the kernels of small weights do: sums of a few products stay in 16 bits.
	x.spin256("dotAVX2", "dotAVX2 does n times 12 dot products of 32 bytes each.", func(acc, a, b reg.VecVirtual) {
		t := x.YMM()
		x.VPMADDUBSW(a, b, t)
		x.VPADDW(t, acc, acc)
	})
	x.spin256("dotAVXVNNI", "dotAVXVNNI does n times 12 dot products of 32 bytes each.", func(acc, a, b reg.VecVirtual) { x.vpdpbusd256(a, b, acc) })
}

func (x *program) spin256(name, doc string, step func(acc, a, b reg.VecVirtual)) {
	x.Function(name)
	x.SignatureExpr("func(n int)")
	x.Doc(doc)
	n := x.arg("n")
	var v [14]reg.VecVirtual
	for i := range v {
		y := x.YMM()
		x.VPXOR(y, y, y)
		v[i] = y
	}
	x.Label("loop")
	for _, y := range v[2:] {
		step(y, v[0], v[1])
	}
	x.DECQ(n)
	x.JNZ(LabelRef("loop"))
	x.end()
}
