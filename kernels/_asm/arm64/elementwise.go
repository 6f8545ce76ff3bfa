package main

func (x *program) elementwise() {
	x.addKernel()
	x.addScaledKernel()
	x.scaleKernel()
	x.normalizeKernel()
	x.dotKernel()
	x.swiGLUKernel()
	x.geluKernel()
	x.gateKernel()
	x.softCapKernel()
	x.rotateNeoXKernel()
	x.rotateInterleavedKernel()
}

func (x *program) addKernel() {
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
}

func (x *program) addScaledKernel() {
	x.function("addScaledNEON", "dst *float32, x *float32, n int, c float32", "addScaledNEON is addScaled, fused.")
	dst, a, n := x.arg("dst"), x.arg("x"), x.arg("n")
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
}

func (x *program) scaleKernel() {
	x.function("scaleNEON", "x *float32, n int, c float32", "scaleNEON is scale.")
	a, n := x.arg("x"), x.arg("n")
	c := x.float("c")
	x.each("scale", n, func(i, lanes int) {
		x.with(1, func(v []V) {
			x.get(v[0], a, 16*i, lanes)
			x.w(fmul(v[0], v[0], c))
			x.put(v[0], a, 16*i, lanes)
		})
	}, stream{a, 4})
	x.free(c)
	x.end()
}

func (x *program) normalizeKernel() {
	x.function("normalizeNEON", "dst *float32, x *float32, w *float32, n int, scale float32", "normalizeNEON is normalize.")
	dst, a, w, n := x.arg("dst"), x.arg("x"), x.arg("w"), x.arg("n")
	c := x.float("scale")
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
}

func (x *program) dotKernel() {
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
}

func (x *program) swiGLUKernel() {
	x.function("swiGLUNEON", "dst *float32, gate *float32, up *float32, n int", "swiGLUNEON is swiGLU.")
	dst, a, b, n := x.arg("dst"), x.arg("gate"), x.arg("up"), x.arg("n")
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
}

func (x *program) geluKernel() {
	// The slope at 0 and the part of the cube in the argument of GELU's sigmoid, with the sign that
	// e takes.
	x.function("geluNEON", "dst *float32, gate *float32, up *float32, n int", "geluNEON is gelu.")
	dst, a, b, n := x.arg("dst"), x.arg("gate"), x.arg("up"), x.arg("n")
	t := x.expTable()
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
}

func (x *program) gateKernel() {
	x.function("gateNEON", "x *float32, gate *float32, n int", "gateNEON is gate.")
	a, b, n := x.arg("x"), x.arg("gate"), x.arg("n")
	t := x.expTable()
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
}

func (x *program) softCapKernel() {
	x.function("softCapNEON", "x *float32, n int, most float32", "softCapNEON is softCap.")
	a, n := x.arg("x"), x.arg("n")
	most, in, twice := x.float("most"), x.floats(x.V(), 2, 2, 2, 2), x.V()
	x.w(fdiv(in, in, most))
	x.w(fadd(twice, most, most))
	t := x.expTable()
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
}

func (x *program) rotateNeoXKernel() {
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
}

func (x *program) rotateInterleavedKernel() {
	x.function("rotateInterleavedNEON", "x *float32, cos *float32, sin *float32, pairs int", "rotateInterleavedNEON is rotateInterleaved.")
	a, cos, sin, n := x.arg("x"), x.arg("cos"), x.arg("sin"), x.arg("pairs")
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
