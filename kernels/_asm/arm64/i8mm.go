package main

// i8mmLevel multiplies a token with the dot products of dotprodLevel, and two with SMMLA: two rows
// by eight weights times eight by two tokens. A panel is bytes [k/8][4 pairs of rows][2][8].
var i8mmLevel = &level{
	suffix: "I8MM",
	store: func(x *program, v [4]V, p R, at int) {
		for i := 0; i < 4; i += 2 {
			t := x.V()
			x.zip1("D2", t, v[i], v[i+1])
			x.zip2("D2", v[i+1], v[i], v[i+1])
			x.free(v[i])
			v[i] = t
		}
		x.stp(v[0], v[2], p, at)
		x.stp(v[1], v[3], p, at+8*tileRows)
		x.free(v[:]...)
	},
	quadBytes: 32,
	panel:     func(*format) string { return "" },
}

func i8mm(x *program) {
	for _, f := range formats {
		x.unpack(i8mmLevel, &f)
	}
	for _, group := range []int{16, 32} {
		for _, min := range []bool{false, true} {
			for tokens := 1; tokens <= 4; tokens++ {
				x.panelI8MM(group, min, tokens)
			}
		}
	}
	x.table(i8mmLevel, dotprodLevel)
}

const rowPairs = tileRows / 2

// panelI8MM has an accumulator per pair of rows and pair of tokens: row 0 token 0, row 0 token 1,
// row 1 token 0, row 1 token 1. An odd token is paired with itself.
func (x *program) panelI8MM(group int, min bool, tokens int) {
	n := x.beginPanel(i8mmLevel, "", group, min, tokens)
	pairs := (tokens + 1) / 2
	odd := func(tp int) bool { return 2*tp+1 == tokens }
	zeroed := func() [][rowPairs]V {
		v := make([][rowPairs]V, pairs)
		for tp := range v {
			for rp := range v[tp] {
				v[tp][rp] = x.V()
				x.zero(v[tp][rp])
			}
		}
		return v
	}
	acc := zeroed()
	x.label("loop")
	for i := range 32 / group {
		c := zeroed()
		// act[tp][j] is weights 8j to 8j+7 of both tokens.
		act := make([][]V, pairs)
		for tp := range act {
			var of [2][2]V
			for t := range of {
				if t == 1 && odd(tp) {
					of[1] = of[0]
					break
				}
				of[t][0] = x.V()
				if group == 32 {
					of[t][1] = x.V()
					x.ldpPost(of[t][0], of[t][1], n.q[2*tp+t], 32)
				} else {
					x.ldrPost(of[t][0], n.q[2*tp+t], 16)
				}
			}
			for h := range group / 16 {
				a, b, lo := of[0][h], of[1][h], x.V()
				x.zip1("D2", lo, a, b)
				x.zip2("D2", b, a, b)
				if a != b {
					x.free(a)
				}
				act[tp] = append(act[tp], lo, b)
			}
		}
		for j := range group / 8 {
			w := [rowPairs]V{x.V(), x.V(), x.V(), x.V()}
			x.ldpPost(w[0], w[1], n.p, 32)
			x.ldpPost(w[2], w[3], n.p, 32)
			for tp := range pairs {
				for rp := range w {
					x.w(smmla(c[tp][rp], w[rp], act[tp][j]))
				}
			}
			x.free(w[:]...)
		}
		for tp := range act {
			x.free(act[tp]...)
		}
		s := x.doubled(n.s)
		var m [rowPairs]V
		if min {
			m = x.doubled(n.m)
		}
		last := (i+1)*group == 32
		for tp := range pairs {
			var meta [2][2]V // of both tokens
			for t := range meta {
				if t == 1 && odd(tp) {
					meta[1] = meta[0]
					break
				}
				meta[t][0] = x.V()
				if min {
					meta[t][1] = x.V()
				}
				x.meta(n, 2*tp+t, last, meta[t][0], meta[t][1])
			}
			d, sd := x.V(), x.V()
			x.zip1("S4", d, meta[0][0], meta[1][0])
			x.dup("D2", d, d, 0)
			for rp := range rowPairs {
				x.w(scvtf(c[tp][rp], c[tp][rp]))
				x.w(fmul(sd, s[rp], d))
				x.fmla(acc[tp][rp], c[tp][rp], sd)
			}
			if min {
				lane := dsumLane(group, i)
				if lane < 2 {
					x.zip1("S4", d, meta[0][1], meta[1][1])
				} else {
					x.zip2("S4", d, meta[0][1], meta[1][1])
				}
				x.dup("D2", d, d, lane%2)
				for rp := range rowPairs {
					x.fmla(acc[tp][rp], m[rp], d)
				}
			}
			x.free(d, sd)
			for t := range meta {
				if t == 1 && odd(tp) {
					break
				}
				x.free(meta[t][0])
				if min {
					x.free(meta[t][1])
				}
			}
		}
		x.free(s[:]...)
		if min {
			x.free(m[:]...)
		}
		for tp := range c {
			x.free(c[tp][:]...)
		}
	}
	x.step(n)
	x.freeR(n.q...)
	dst, ldd := x.field(n.args, "dst"), x.field(n.args, "ldd")
	lo, hi := x.V(), x.V()
	for tp, a := range acc {
		for t, unzip := range []func(string, V, V, V){x.uzp1, x.uzp2} {
			if t == 1 && odd(tp) {
				break
			}
			unzip("S4", lo, a[0], a[1])
			unzip("S4", hi, a[2], a[3])
			x.stp(lo, hi, dst, 0)
			if 2*tp+t < tokens-1 {
				x.addrShifted(dst, ldd, 2)
			}
		}
		x.free(a[:]...)
	}
	x.free(lo, hi)
	x.end()
}

// doubled reads eight floats, each for both tokens: a vector per pair of rows.
func (x *program) doubled(p R) (v [rowPairs]V) {
	for i := range v {
		v[i] = x.V()
	}
	x.ldpPost(v[1], v[3], p, 32)
	for i := 0; i < rowPairs; i += 2 {
		x.zip1("S4", v[i], v[i+1], v[i+1])
		x.zip2("S4", v[i+1], v[i+1], v[i+1])
	}
	return v
}
