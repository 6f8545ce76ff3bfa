package main

import (
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The kernels of this file convert rows of blocks of 32, as the cache of keys and values keeps
// them, into float32: an integer times the scale, one rounding, as quant.Dequantize.

// dequantizeBlocks is a loop over blocks, of size bytes each. step converts one into 32 floats.
func (x *program) dequantizeBlocks(format, level string, size int, step func(dst, src reg.Register)) {
	name := "dequantize" + format + level
	x.function(name, "(dst *float32, src *byte, blocks int)", name+" turns blocks of "+format+" into float32. blocks is not 0.")
	dst, src, n := x.arg("dst"), x.arg("src"), x.arg("blocks")
	x.Label("loop")
	step(dst, src)
	x.add(128, dst)
	x.add(size, src)
	x.DECQ(n)
	x.JNZ(LabelRef("loop"))
	x.end()
}

// scaled stores the integers of v times d.
func (x *program) scaled(v, d reg.VecVirtual, m Mem) {
	x.VCVTDQ2PS(v, v)
	x.VMULPS(d, v, v)
	x.VMOVUPS(v, m)
}

func (x *program) dequantizeRows512() {
	scale := func(src reg.Register) reg.VecVirtual {
		z := x.ZMM()
		x.VPBROADCASTW(at(src, 0), z.AsY())
		x.VCVTPH2PS(z.AsY(), z)
		return z
	}
	x.dequantizeBlocks("Q8_0", "AVX512", 34, func(dst, src reg.Register) {
		d := scale(src)
		for i := range 2 {
			v := x.ZMM()
			x.VPMOVSXBD(at(src, 2+16*i), v)
			x.scaled(v, d, at(dst, 64*i))
		}
	})
	x.dequantizeBlocks("Q4_0", "AVX512", 18, func(dst, src reg.Register) {
		d, lo, hi := scale(src), x.ZMM(), x.ZMM()
		x.VPMOVZXBD(at(src, 2), lo)
		x.VPSRLD(Imm(4), lo, hi)
		x.VPANDD(x.words(15), lo, lo)
		for i, v := range []reg.VecVirtual{lo, hi} {
			x.VPSUBD(x.words(8), v, v)
			x.scaled(v, d, at(dst, 64*i))
		}
	})
}

func (x *program) dequantizeRows256() {
	scale := func(src reg.Register) reg.VecVirtual {
		y := x.YMM()
		x.VPBROADCASTW(at(src, 0), y.AsX())
		x.VCVTPH2PS(y.AsX(), y)
		return y
	}
	x.dequantizeBlocks("Q8_0", "AVX2", 34, func(dst, src reg.Register) {
		d := scale(src)
		for i := range 4 {
			v := x.YMM()
			x.VPMOVSXBD(at(src, 2+8*i), v)
			x.scaled(v, d, at(dst, 32*i))
		}
	})
	x.dequantizeBlocks("Q4_0", "AVX2", 18, func(dst, src reg.Register) {
		d := scale(src)
		for i := range 2 {
			lo, hi := x.YMM(), x.YMM()
			x.VPMOVZXBD(at(src, 2+8*i), lo)
			x.VPSRLD(Imm(4), lo, hi)
			x.VPAND(x.words(15), lo, lo)
			for h, v := range []reg.VecVirtual{lo, hi} {
				x.VPSUBD(x.words(8), v, v)
				x.scaled(v, d, at(dst, 32*i+64*h))
			}
		}
	})
}

// prefetchLines asks for lines of memory that will be read soon.
func (x *program) prefetchLines() {
	x.function("prefetchAMD64", "(p *byte, lines int)", "prefetchAMD64 asks for some lines of 64 bytes, without waiting for them. lines is not 0.")
	p, n := x.arg("p"), x.arg("lines")
	x.Label("loop")
	x.PREFETCHT0(at(p, 0))
	x.add(64, p)
	x.DECQ(n)
	x.JNZ(LabelRef("loop"))
	x.RET()
}

func (x *program) half256() {
	// There are no masks for half floats: what is left of n is the caller's.
	each := func(name, signature, doc string, step func(dst, src reg.Register), sizeDst, sizeSrc int) {
		x.function(name, signature, doc)
		dst, src, n := x.arg("dst"), x.arg("src"), x.arg("n")
		x.Label("loop")
		step(dst, src)
		x.add(sizeDst, dst)
		x.add(sizeSrc, src)
		x.SUBQ(Imm(8), n)
		x.JNZ(LabelRef("loop"))
		x.end()
	}
	each("dequantizeF16AVX2", "(dst *float32, src *byte, n int)", "dequantizeF16AVX2 turns F16 into float32. n is a multiple of 8, and not 0.", func(dst, src reg.Register) {
		y := x.YMM()
		x.VCVTPH2PS(at(src, 0), y)
		x.VMOVUPS(y, at(dst, 0))
	}, 32, 16)
	each("quantizeF16AVX2", "(dst *byte, src *float32, n int)", "quantizeF16AVX2 turns float32 into F16, ties to even. n is a multiple of 8, and not 0.", func(dst, src reg.Register) {
		y := x.YMM()
		x.VMOVUPS(at(src, 0), y)
		x.VCVTPS2PH(Imm(0), y, at(dst, 0))
	}, 16, 32)
}

// kvRows512 writes what keys and values in the cache are converted by.
func (x *program) kvRows512() {
	x.dequantizeF16Kernel512()
	x.quantizeF16Kernel512()
	x.dequantizeRows512()
}

// kvRows256 does so for the instruction sets avx2 and avxvnni. Its prefetch serves all of amd64.
func (x *program) kvRows256() {
	x.half256()
	x.dequantizeRows256()
	x.prefetchLines()
}

func (x *program) dequantizeF16Kernel512() {
	x.function("dequantizeF16AVX512", "(dst *float32, src *byte, n int)", "dequantizeF16AVX512 turns F16 into float32.")
	dst, a, n := x.arg("dst"), x.arg("src"), x.arg("n")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) { x.put(x.getHalf(at(a, 0), k), at(dst, 0), k) }, pointer{dst, 64}, pointer{a, 32})
	x.end()
}

func (x *program) quantizeF16Kernel512() {
	x.function("quantizeF16AVX512", "(dst *byte, src *float32, n int)", "quantizeF16AVX512 turns float32 into F16, ties to even.")
	dst, a, n := x.arg("dst"), x.arg("src"), x.arg("n")
	x.each16("loop", n, func(k *reg.OpmaskVirtual) {
		y := x.YMM()
		x.VCVTPS2PH(Imm(0), x.get(at(a, 0), k), y)
		if k == nil {
			x.VMOVDQU16(y, at(dst, 0))
		} else {
			x.VMOVDQU16(y, *k, at(dst, 0))
		}
	}, pointer{dst, 32}, pointer{a, 64})
	x.end()
}
