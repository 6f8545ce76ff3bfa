package main

import (
	"fmt"
	"math"
	"slices"
)

// floatsNEON is what all levels of arm64 do with rows of float32.
func floatsNEON(x *program) {
	x.elementwise()
	x.halves()
	x.attention()
	x.quantize()
	x.recur()
	for _, f := range floatFormats {
		for _, rows := range []int{4, 1} {
			for tokens := 1; tokens <= 6; tokens++ {
				x.floatTile(f, rows, tokens)
			}
		}
	}
	x.dequantizeRows()
	x.prefetchLines()
}

// stream is an address that moves on with the elements, by size bytes each.
type stream struct {
	p    R
	size int
}

// get and put move n floats, four or one in the lowest lane with the others zero.
func (x *program) get(v V, p R, at, n int) V {
	if n == 4 {
		x.ldr(v, p, at)
	} else {
		x.ldrS(v, p, at)
	}
	return v
}

func (x *program) put(v V, p R, at, n int) {
	if n == 4 {
		x.str(v, p, at)
	} else {
		x.op("FMOVS", v.f(), mem(p, at))
	}
}

// getHalf makes floats of n half floats.
func (x *program) getHalf(v V, p R, at, n int) V {
	x.get16(v, p, at, n)
	x.w(fcvtl(v, v))
	return v
}

// getBHalf makes floats of n bfloat16.
func (x *program) getBHalf(v V, p R, at, n int) V {
	x.get16(v, p, at, n)
	x.w(shll(v, v))
	return v
}

func (x *program) get16(v V, p R, at, n int) {
	if n == 4 {
		x.ldrD(v, p, at)
		return
	}
	if at != 0 {
		panic("a single lane is loaded from an address without offset")
	}
	x.zero(v)
	x.ld1(v, "H", 0, p)
}

// each runs body for n elements: 16 at a time as four vectors, then four, then one. Streams move on.
func (x *program) each(label string, n R, body func(i, lanes int), streams ...stream) {
	move := func(count int) {
		for _, s := range streams {
			x.addi(s.p, s.p, count*s.size)
		}
		x.op("SUBS", imm(count), n.String(), n.String())
	}
	for _, step := range []int{16, 4, 1} {
		end := fmt.Sprintf("%s%d", label, step)
		x.op("CMP", imm(step), n.String())
		x.op("BLT", end+"done")
		x.label(end)
		for i := range max(1, step/4) {
			body(i, min(step, 4))
		}
		move(step)
		x.op("CMP", imm(step), n.String())
		x.op("BGE", end)
		x.label(end + "done")
	}
}

// float is the float argument in every lane.
func (x *program) float(name string) V {
	v := x.V()
	x.op("FMOVS", x.param(name), v.f())
	x.dup("S4", v, v, 0)
	return v
}

func bits(f float32) int { return int(math.Float32bits(f)) }

// floats fills v with four floats; fewer are repeated.
func (x *program) floats(v V, f ...float32) V {
	var b []int
	for _, f := range f {
		for i := range 4 {
			b = append(b, bits(f)>>(8*i)&0xff)
		}
	}
	return x.constant(v, b...)
}

// expTable holds what exp needs.
type expTable struct{ a, b, c V }

func (x *program) expTable() (t expTable) {
	t.a = x.floats(x.V(), 1.44269504, 0.693359375, -2.12194440e-4, 1.9875691500e-4)
	t.b = x.floats(x.V(), 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1)
	t.c = x.floats(x.V(), 5.0000001201e-1, 1, -105, 89)
	return t
}

func (x *program) freeTable(t expTable) { x.free(t.a, t.b, t.c) }

// exp replaces v by e^v: see Exp of the package, here with fused multiply-adds and results below the normal numbers.
func (x *program) exp(t expTable, v V) {
	n, p, c := x.V(), x.V(), x.V()
	// The bounds yield 0 and Inf; a NaN stays.
	x.dup("S4", n, t.c, 2)
	x.dup("S4", p, t.c, 3)
	x.w(fmax(v, v, n))
	x.w(fmin(v, v, p))
	x.w(fmulLane(n, v, t.a, 0))
	x.w(frintn(n, n))
	x.w(fmlsLane(v, n, t.a, 1))
	x.w(fmlsLane(v, n, t.a, 2))
	x.dup("S4", p, t.a, 3)
	for i := range 5 {
		table, lane := t.b, i
		if i == 4 {
			table, lane = t.c, 0
		}
		x.dup("S4", c, table, lane)
		x.fmla(c, p, v)
		p, c = c, p
	}
	x.w(fmul(p, p, v))
	x.dup("S4", c, t.c, 1)
	x.fmla(v, p, v)
	x.w(fadd(v, v, c))
	// 2^n in two factors, as n is 128 at most, where it is no float32, and -151 at least.
	x.w(fcvtns(n, n))
	x.w(sshr(p, n, 1))
	x.sub("S4", n, n, p)
	x.shl("S4", n, n, 23)
	x.shl("S4", p, p, 23)
	x.add("S4", n, n, c) // the bits of 1
	x.add("S4", p, p, c)
	x.w(fmul(v, v, n))
	x.w(fmul(v, v, p))
	x.free(n, p, c)
}

// with runs body with n registers that are free again afterwards.
func (x *program) with(n int, body func(v []V)) {
	var v []V
	for range n {
		v = append(v, x.V())
	}
	body(v)
	x.free(v...)
}

func (x *program) elementwise() {
	x.function("addNEON", "dst *float32, x *float32, n int", "addNEON is add.")
	dst, a, n := x.arg("dst"), x.arg("x"), x.arg("n")
	x.each("add", n, func(i, lanes int) {
		x.with(2, func(v []V) {
			x.get(v[0], dst, 16*i, lanes)
			x.get(v[1], a, 16*i, lanes)
			x.w(fadd(v[0], v[0], v[1]))
			x.put(v[0], dst, 16*i, lanes)
		})
	}, stream{dst, 4}, stream{a, 4})
	x.end()

	x.function("addScaledNEON", "dst *float32, x *float32, n int, c float32", "addScaledNEON is addScaled, fused.")
	dst, a, n = x.arg("dst"), x.arg("x"), x.arg("n")
	c := x.float("c")
	x.each("add", n, func(i, lanes int) {
		x.with(2, func(v []V) {
			x.get(v[0], dst, 16*i, lanes)
			x.get(v[1], a, 16*i, lanes)
			x.fmla(v[0], v[1], c)
			x.put(v[0], dst, 16*i, lanes)
		})
	}, stream{dst, 4}, stream{a, 4})
	x.free(c)
	x.end()

	x.function("scaleNEON", "x *float32, n int, c float32", "scaleNEON is scale.")
	a, n = x.arg("x"), x.arg("n")
	c = x.float("c")
	x.each("scale", n, func(i, lanes int) {
		x.with(1, func(v []V) {
			x.get(v[0], a, 16*i, lanes)
			x.w(fmul(v[0], v[0], c))
			x.put(v[0], a, 16*i, lanes)
		})
	}, stream{a, 4})
	x.free(c)
	x.end()

	x.function("normalizeNEON", "dst *float32, x *float32, w *float32, n int, scale float32", "normalizeNEON is normalize.")
	dst, a, w, n := x.arg("dst"), x.arg("x"), x.arg("w"), x.arg("n")
	c = x.float("scale")
	x.each("normalize", n, func(i, lanes int) {
		x.with(2, func(v []V) {
			x.get(v[0], a, 16*i, lanes)
			x.get(v[1], w, 16*i, lanes)
			x.w(fmul(v[0], v[0], c))
			x.w(fmul(v[0], v[0], v[1]))
			x.put(v[0], dst, 16*i, lanes)
		})
	}, stream{dst, 4}, stream{a, 4}, stream{w, 4})
	x.free(c)
	x.end()

	x.function("dotNEON", "x *float32, y *float32, n int, sum *float32", "dotNEON sets sum to Σ x[i]·y[i]: 16 lanes along i, then a tree.")
	a, b, n := x.arg("x"), x.arg("y"), x.arg("n")
	var acc [4]V
	for i := range acc {
		acc[i] = x.V()
		x.zero(acc[i])
	}
	x.each("dot", n, func(i, lanes int) {
		x.with(2, func(v []V) {
			x.get(v[0], a, 16*i, lanes)
			x.get(v[1], b, 16*i, lanes)
			x.fmla(acc[i], v[0], v[1])
		})
	}, stream{a, 4}, stream{b, 4})
	x.w(fadd(acc[0], acc[0], acc[2]))
	x.w(fadd(acc[1], acc[1], acc[3]))
	x.w(fadd(acc[0], acc[0], acc[1]))
	x.w(faddp(acc[0], acc[0], acc[0]))
	x.w(faddp(acc[0], acc[0], acc[0]))
	x.argTo("sum", a)
	x.put(acc[0], a, 0, 1)
	x.free(acc[:]...)
	x.end()

	x.function("swiGLUNEON", "dst *float32, gate *float32, up *float32, n int", "swiGLUNEON is swiGLU.")
	dst, a, b, n = x.arg("dst"), x.arg("gate"), x.arg("up"), x.arg("n")
	t := x.expTable()
	x.each("swiglu", n, func(i, lanes int) {
		x.with(3, func(v []V) {
			g, e, u := v[0], v[1], v[2]
			x.get(g, a, 16*i, lanes)
			x.get(u, b, 16*i, lanes)
			x.w(fneg(e, g))
			x.exp(t, e)
			x.with(1, func(one []V) {
				x.dup("S4", one[0], t.c, 1)
				x.w(fadd(e, e, one[0]))
			})
			x.w(fdiv(g, g, e))
			x.w(fmul(g, g, u))
			x.put(g, dst, 16*i, lanes)
		})
	}, stream{dst, 4}, stream{a, 4}, stream{b, 4})
	x.freeTable(t)
	x.end()

	// The slope at 0 and the part of the cube in the argument of GELU's sigmoid, with the sign that e takes.
	x.function("geluNEON", "dst *float32, gate *float32, up *float32, n int", "geluNEON is gelu.")
	dst, a, b, n = x.arg("dst"), x.arg("gate"), x.arg("up"), x.arg("n")
	t = x.expTable()
	gelu := x.floats(x.V(), -1.5957691216057308, 0.044715, 0, 0)
	x.each("gelu", n, func(i, lanes int) {
		x.with(4, func(v []V) {
			g, e, u, one := v[0], v[1], v[2], v[3]
			x.get(g, a, 16*i, lanes)
			x.get(u, b, 16*i, lanes)
			x.dup("S4", one, t.c, 1)
			x.w(fmulLane(e, g, gelu, 1))
			x.w(fmul(e, e, g))
			x.w(fadd(e, e, one))
			x.w(fmul(e, e, g))
			x.w(fmulLane(e, e, gelu, 0))
			x.exp(t, e)
			x.w(fadd(e, e, one))
			x.w(fdiv(g, g, e))
			x.w(fmul(g, g, u))
			x.put(g, dst, 16*i, lanes)
		})
	}, stream{dst, 4}, stream{a, 4}, stream{b, 4})
	x.free(gelu)
	x.freeTable(t)
	x.end()

	x.function("gateNEON", "x *float32, gate *float32, n int", "gateNEON is gate.")
	a, b, n = x.arg("x"), x.arg("gate"), x.arg("n")
	t = x.expTable()
	x.each("gate", n, func(i, lanes int) {
		x.with(3, func(v []V) {
			g, e, one := v[0], v[1], v[2]
			x.get(g, a, 16*i, lanes)
			x.get(e, b, 16*i, lanes)
			x.w(fneg(e, e))
			x.exp(t, e)
			x.dup("S4", one, t.c, 1)
			x.w(fadd(e, e, one))
			x.w(fdiv(g, g, e))
			x.put(g, a, 16*i, lanes)
		})
	}, stream{a, 4}, stream{b, 4})
	x.freeTable(t)
	x.end()

	x.function("softCapNEON", "x *float32, n int, most float32", "softCapNEON is softCap.")
	a, n = x.arg("x"), x.arg("n")
	most, in, twice := x.float("most"), x.floats(x.V(), 2, 2, 2, 2), x.V()
	x.w(fdiv(in, in, most))
	x.w(fadd(twice, most, most))
	t = x.expTable()
	x.each("softcap", n, func(i, lanes int) {
		x.with(2, func(v []V) {
			e, one := v[0], v[1]
			x.get(e, a, 16*i, lanes)
			x.w(fmul(e, e, in))
			x.exp(t, e)
			x.dup("S4", one, t.c, 1)
			x.w(fadd(e, e, one))
			x.w(fdiv(e, twice, e))
			x.w(fneg(e, e))
			x.w(fadd(e, e, most))
			x.put(e, a, 16*i, lanes)
		})
	}, stream{a, 4})
	x.freeTable(t)
	x.free(in, most, twice)
	x.end()

	x.function("rotateNeoXNEON", "lo *float32, hi *float32, cos *float32, sin *float32, pairs int", "rotateNeoXNEON is rotateNeoX.")
	a, b, cos, sin, n := x.arg("lo"), x.arg("hi"), x.arg("cos"), x.arg("sin"), x.arg("pairs")
	x.each("halves", n, func(i, lanes int) {
		x.with(6, func(r []V) {
			lo, hi, c, s, u, v := r[0], r[1], r[2], r[3], r[4], r[5]
			x.get(lo, a, 16*i, lanes)
			x.get(hi, b, 16*i, lanes)
			x.get(c, cos, 16*i, lanes)
			x.get(s, sin, 16*i, lanes)
			x.w(fmul(u, lo, c))
			x.fmls(u, hi, s)
			x.w(fmul(v, lo, s))
			x.fmla(v, hi, c)
			x.put(u, a, 16*i, lanes)
			x.put(v, b, 16*i, lanes)
		})
	}, stream{a, 4}, stream{b, 4}, stream{cos, 4}, stream{sin, 4})
	x.end()

	x.function("rotateInterleavedNEON", "x *float32, cos *float32, sin *float32, pairs int", "rotateInterleavedNEON is rotateInterleaved.")
	a, cos, sin, n = x.arg("x"), x.arg("cos"), x.arg("sin"), x.arg("pairs")
	x.each("rotate", n, func(i, lanes int) {
		x.with(6, func(r []V) {
			first, second, c, s, u, v := r[0], r[1], r[2], r[3], r[4], r[5]
			if lanes == 4 {
				x.ldp(u, v, a, 32*i)
				x.uzp1("S4", first, u, v)
				x.uzp2("S4", second, u, v)
			} else {
				x.get(first, a, 0, 1)
				x.get(second, a, 4, 1)
			}
			x.get(c, cos, 16*i, lanes)
			x.get(s, sin, 16*i, lanes)
			x.w(fmul(u, first, c))
			x.fmls(u, second, s)
			x.w(fmul(v, first, s))
			x.fmla(v, second, c)
			if lanes == 4 {
				x.zip1("S4", first, u, v)
				x.zip2("S4", second, u, v)
				x.stp(first, second, a, 32*i)
			} else {
				x.put(u, a, 0, 1)
				x.put(v, a, 4, 1)
			}
		})
	}, stream{a, 8}, stream{cos, 4}, stream{sin, 4})
	x.end()
}

func (x *program) halves() {
	x.function("dequantizeF16NEON", "dst *float32, src *byte, n int", "dequantizeF16NEON turns F16 into float32.")
	dst, a, n := x.arg("dst"), x.arg("src"), x.arg("n")
	x.each("dequantize", n, func(i, lanes int) {
		x.with(1, func(v []V) {
			x.getHalf(v[0], a, 8*i, lanes)
			x.put(v[0], dst, 16*i, lanes)
		})
	}, stream{dst, 4}, stream{a, 2})
	x.end()

	x.function("quantizeF16NEON", "dst *byte, src *float32, n int", "quantizeF16NEON turns float32 into F16, ties to even.")
	dst, a, n = x.arg("dst"), x.arg("src"), x.arg("n")
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

// floatFormat is how a vector of four weights, or one weight, becomes floats. wide reads eight at once into two registers, or is nil.
type floatFormat struct {
	name string
	size int
	get  func(x *program, v V, p R, at, n int) V
	wide func(x *program, lo, hi V, p R)
}

var floatFormats = []floatFormat{
	{"F32", 4, (*program).get, func(x *program, lo, hi V, p R) { x.ldpPost(lo, hi, p, 32) }},
	{"F16", 2, (*program).getHalf, func(x *program, lo, hi V, p R) {
		x.ldrPost(hi, p, 16)
		x.w(fcvtl(lo, hi))
		x.w(fcvtl2(hi, hi))
	}},
	{"BF16", 2, (*program).getBHalf, func(x *program, lo, hi V, p R) {
		x.ldrPost(hi, p, 16)
		x.w(shll(lo, hi))
		x.w(shll2(hi, hi))
	}},
}

// floatTile multiplies four rows, or one, with some tokens. Each output has four partial sums along k, see floatTiles of the package.
func (x *program) floatTile(f floatFormat, rows, tokens int) {
	name := fmt.Sprintf("mul%s%dx%dNEON", f.name, rows, tokens)
	x.function(name, "dst *float32, ldd int, w *byte, stride int, a *float32, lda int, k int, from *float32, to *float32",
		fmt.Sprintf("%s multiplies %d rows of %s with %d tokens.", name, rows, f.name, tokens))
	w, a := []R{x.arg("w")}, []R{x.arg("a")}
	stride, lda, k := x.arg("stride"), x.arg("lda"), x.arg("k")
	next := x.R() // the rows behind these, fetched in the order of addresses
	for r := 1; r < rows; r++ {
		w = append(w, x.R())
		x.addr(w[r], w[r-1], stride)
	}
	if tokens == 1 {
		x.addr(next, w[rows-1], stride)
	}
	for t := 1; t < tokens; t++ {
		a = append(a, x.R())
		x.addr(a[t], a[t-1], lda)
	}
	acc := make([][]V, tokens)
	for t := range acc {
		for range rows {
			v := x.V()
			x.zero(v)
			acc[t] = append(acc[t], v)
		}
	}
	sums := x.arg("from")
	x.op("CBZ", sums.String(), "begin")
	for i, v := range slices.Concat(acc...) {
		x.get(v, sums, 16*i, 4)
	}
	x.label("begin")
	prefetch := func(elements int) {
		if tokens == 1 {
			n := rows * elements * f.size
			for at := 0; at < n; at += 64 {
				x.prefetch(next, at)
			}
			x.addi(next, next, n)
		}
	}
	narrow := func(lanes int) {
		var v []V
		for r := range rows {
			v = append(v, f.get(x, x.V(), w[r], 0, lanes))
			x.addi(w[r], w[r], lanes*f.size)
		}
		for t := range tokens {
			y := x.V()
			x.get(y, a[t], 0, lanes)
			x.addi(a[t], a[t], 4*lanes)
			for r := range rows {
				x.fmla(acc[t][r], v[r], y)
			}
			x.free(y)
		}
		x.free(v...)
	}
	step := 8
	if rows*(tokens+2)+2 > 32 { // registers
		step = 4
	}
	loop := func(label string, step int, body func()) {
		x.op("CMP", imm(step), k.String())
		x.op("BLT", label+"done")
		x.label(label)
		body()
		x.op("SUB", imm(step), k.String(), k.String())
		x.op("CMP", imm(step), k.String())
		x.op("BGE", label)
		x.label(label + "done")
	}
	if step == 8 {
		loop("eight", 8, func() {
			prefetch(8)
			v := make([][2]V, rows)
			for r := range v {
				v[r] = [2]V{x.V(), x.V()}
				f.wide(x, v[r][0], v[r][1], w[r])
			}
			for t := range tokens {
				y := [2]V{x.V(), x.V()}
				x.ldpPost(y[0], y[1], a[t], 32)
				for h := range y {
					for r := range rows {
						x.fmla(acc[t][r], v[r][h], y[h])
					}
				}
				x.free(y[:]...)
			}
			for r := range v {
				x.free(v[r][:]...)
			}
		})
	}
	loop("four", 4, func() { narrow(4) })
	loop("one", 1, func() { narrow(1) })
	x.argTo("to", sums)
	x.op("CBZ", sums.String(), "finish")
	for i, v := range slices.Concat(acc...) {
		x.put(v, sums, 16*i, 4)
	}
	x.op("RET")
	x.label("finish")
	x.freeR(w...)
	dst, ldd := x.arg("dst"), x.arg("ldd")
	for t := range tokens {
		// The tree, the same for four rows as for one.
		v := acc[t]
		last := len(v) - 1
		x.w(faddp(v[0], v[0], v[min(1, last)]))
		if rows == 4 {
			x.w(faddp(v[2], v[2], v[3]))
		}
		x.w(faddp(v[0], v[0], v[min(2, last)]))
		x.put(v[0], dst, 0, rows)
		if t+1 < tokens {
			x.addr(dst, dst, ldd)
		}
		x.free(v...)
	}
	x.end()
}
