package main

import "fmt"

// dequantizeRows converts rows of blocks of 32, as the cache of keys and values keeps them, into
// float32: an integer times the scale, one rounding, as quant.Dequantize.
func (x *program) dequantizeRows() {
	x.dequantizeBlocks("Q8_0", 34, func(src R) (v [2]V) {
		for i := range v {
			v[i] = x.V()
			x.ldrPost(v[i], src, 16)
		}
		return v
	})
	x.dequantizeBlocks("Q4_0", 18, func(src R) [2]V {
		lo, hi := x.V(), x.V()
		x.ldrPost(lo, src, 16)
		x.ushr("B16", hi, lo, 4)
		x.with(1, func(c []V) {
			x.fill(c[0], 15)
			x.and(lo, lo, c[0])
			x.fill(c[0], 8)
			x.sub("B16", lo, lo, c[0])
			x.sub("B16", hi, hi, c[0])
		})
		return [2]V{lo, hi}
	})
}

// dequantizeBlocks is a loop over blocks that begin with their scale; load returns their 32
// integers as bytes and moves src after them.
func (x *program) dequantizeBlocks(format string, size int, load func(src R) [2]V) {
	name := "dequantize" + format + "NEON"
	x.function(name, "dst *float32, src *byte, blocks int", fmt.Sprintf("%s turns blocks of %s, %d bytes each, into float32. blocks is not 0.", name, format, size))
	dst, src, n := x.arg("dst"), x.arg("src"), x.arg("blocks")
	x.label("loop")
	d := x.V()
	x.zero(d)
	x.ld1Post(d, "H", 0, src)
	x.w(fcvtl(d, d))
	for _, v := range load(src) {
		x.with(4, func(f []V) {
			x.w(sxtlB(f[0], v))
			x.w(sxtl2B(f[2], v))
			for i := 0; i < 4; i += 2 {
				x.w(sxtl2(f[i+1], f[i]))
				x.w(sxtl(f[i], f[i]))
			}
			for _, f := range f {
				x.w(scvtf(f, f))
				x.w(fmulLane(f, f, d, 0))
				x.strPost(f, dst, 16)
			}
		})
		x.free(v)
	}
	x.free(d)
	x.loop(n, "loop")
	x.end()
}

// prefetchLines asks for lines of memory that will be read soon.
func (x *program) prefetchLines() {
	x.function("prefetchNEON", "p *byte, lines int", "prefetchNEON asks for some lines of 64 bytes, without waiting for them. lines is not 0.")
	p, n := x.arg("p"), x.arg("lines")
	x.label("loop")
	x.prefetch(p, 0)
	x.addi(p, p, 64)
	x.loop(n, "loop")
	x.end()
}

// kvRows writes what keys and values in the cache are converted by.
func (x *program) kvRows() {
	x.dequantizeF16Kernel()
	x.quantizeF16Kernel()
	x.dequantizeRows()
	x.prefetchLines()
}

func (x *program) dequantizeF16Kernel() {
	x.function("dequantizeF16NEON", "dst *float32, src *byte, n int", "dequantizeF16NEON turns F16 into float32.")
	dst, a, n := x.arg("dst"), x.arg("src"), x.arg("n")
	x.each("dequantize", n, func(i, lanes int) {
		x.with(1, func(v []V) {
			x.getHalf(v[0], a, 8*i, lanes)
			x.put(v[0], dst, 16*i, lanes)
		})
	}, stream{dst, 4}, stream{a, 2})
	x.end()
}

func (x *program) quantizeF16Kernel() {
	x.function("quantizeF16NEON", "dst *byte, src *float32, n int", "quantizeF16NEON turns float32 into F16, ties to even.")
	dst, a, n := x.arg("dst"), x.arg("src"), x.arg("n")
	x.each("quantize", n, func(i, lanes int) {
		x.with(1, func(v []V) {
			x.get(v[0], a, 16*i, lanes)
			x.w(fcvtn(v[0], v[0]))
			if lanes == 4 {
				x.op("FMOVD", v[0].f(), mem(dst, 8*i))
			} else {
				x.op("VST1", v[0].as("H")+"[0]", mem(dst, 0))
			}
		})
	}, stream{dst, 2}, stream{a, 4})
	x.end()
}
