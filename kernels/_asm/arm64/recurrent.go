package main

// recur is a row of the states of recurrent layers, taken through one position.
func (x *program) recur() {
	x.function("updateStateNEON", "s *float32, x *float32, y *float32, n int, a *float32, u *float32, r *float32", "updateStateNEON is updateState for one row of the state.")
	st, in, out, n := x.arg("s"), x.arg("x"), x.arg("y"), x.arg("n")
	ca, cu, cr := x.floatAt("a"), x.floatAt("u"), x.floatAt("r")
	x.each("advance", n, func(i, lanes int) {
		x.with(3, func(v []V) {
			x.get(v[0], st, 16*i, lanes)
			x.get(v[1], in, 16*i, lanes)
			x.get(v[2], out, 16*i, lanes)
			x.w(fmul(v[0], v[0], ca))
			x.fmla(v[0], v[1], cu)
			x.put(v[0], st, 16*i, lanes)
			x.fmla(v[2], v[0], cr)
			x.put(v[2], out, 16*i, lanes)
		})
	}, stream{st, 4}, stream{in, 4}, stream{out, 4})
	x.free(ca, cu, cr)
	x.end()

	x.function("updateSelectiveStateNEON", "s *float32, a *float32, d *float32, x *float32, y *float32, n int, b *float32, c *float32", "updateSelectiveStateNEON is updateSelectiveState for one row of the states.")
	rate, step := x.arg("a"), x.arg("d")
	st, in, out, n = x.arg("s"), x.arg("x"), x.arg("y"), x.arg("n")
	cb, cc, e := x.floatAt("b"), x.floatAt("c"), x.expTable()
	x.each("decay", n, func(i, lanes int) {
		x.with(2, func(v []V) {
			x.get(v[0], rate, 16*i, lanes)
			x.get(v[1], step, 16*i, lanes)
			x.w(fmul(v[0], v[0], v[1]))
			x.exp(e, v[0])
			x.get(v[1], st, 16*i, lanes)
			x.w(fmul(v[0], v[0], v[1]))
			x.get(v[1], in, 16*i, lanes)
			x.fmla(v[0], v[1], cb)
			x.put(v[0], st, 16*i, lanes)
			x.get(v[1], out, 16*i, lanes)
			x.fmla(v[1], v[0], cc)
			x.put(v[1], out, 16*i, lanes)
		})
	}, stream{st, 4}, stream{rate, 4}, stream{step, 4}, stream{in, 4}, stream{out, 4})
	x.free(cb, cc)
	x.freeTable(e)
	x.end()
}

// floatAt fills a register with the float that an argument points to.
func (x *program) floatAt(name string) V {
	p, v := x.arg(name), x.V()
	x.ldrS(v, p, 0)
	x.dup("S4", v, v, 0)
	x.freeR(p)
	return v
}
