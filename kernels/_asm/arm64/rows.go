package main

import "fmt"

// dequantizeRows turns rows of blocks of 32, as the cache of keys and values keeps them, into float32: an integer times the scale, one rounding, as quant.Dequantize.
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

// dequantizeBlocks is a loop over blocks that begin with their scale; load returns their 32 integers as bytes and moves src behind them.
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
