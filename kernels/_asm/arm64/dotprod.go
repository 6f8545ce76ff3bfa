package main

// dotprodLevel multiplies with SDOT. A panel is bytes [k/4][8 rows][4].
var dotprodLevel = &level{
	suffix: "DotProd",
	dot: func(x *program, a *sums, w, act V) {
		if !a.started {
			a.started, a.v = true, x.V()
			x.zero(a.v)
		}
		x.w(sdot(a.v, w, act))
	},
	store: func(x *program, v [4]V, p R, at int) {
		for i, t := range x.dwords4x4(v) {
			x.str(t, p, at+4*tileRows*i)
			x.free(t)
		}
	},
	quadBytes: 16,
	panel:     func(*format) string { return "" },
}

func dotprod(x *program) {
	for _, f := range formats {
		x.rows(dotprodLevel, &f)
		x.unpack(dotprodLevel, &f)
	}
	for _, group := range []int{16, 32} {
		for _, min := range []bool{false, true} {
			for tokens := 1; tokens <= 4; tokens++ {
				x.panelDotProd(group, min, tokens)
			}
		}
	}
	x.table(dotprodLevel, dotprodLevel)
}

// panelDotProd has 4·8 outputs at most, each in a lane of an accumulator of integers and of one of
// floats.
func (x *program) panelDotProd(group int, min bool, tokens int) {
	n := x.beginPanel(dotprodLevel, "", group, min, tokens)
	acc := x.accumulators(tokens)
	// A step is 32 weights.
	x.label("loop")
	for i := range 32 / group {
		c := x.accumulators(tokens)
		act := make([][2]V, tokens)
		for t := range act {
			act[t][0] = x.V()
			if group == 32 {
				act[t][1] = x.V()
				x.ldpPost(act[t][0], act[t][1], n.q[t], 32)
			} else {
				x.ldrPost(act[t][0], n.q[t], 16)
			}
		}
		for j := range group / 4 {
			w0, w1 := x.V(), x.V()
			x.ldpPost(w0, w1, n.p, 32)
			for t := range tokens {
				x.w(sdotLane(c[t][0], w0, act[t][j/4], j%4))
				x.w(sdotLane(c[t][1], w1, act[t][j/4], j%4))
			}
			x.free(w0, w1)
		}
		for t := range act {
			x.free(act[t][:group/16]...)
		}
		x.foldPanel(n, i, acc, c)
		for t := range c {
			x.free(c[t][:]...)
		}
	}
	x.step(n)
	x.endPanel(n, acc)
}
