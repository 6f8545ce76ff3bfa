package main

import "fmt"

// neonLevel multiplies to 16 bits with SMULL and SMLAL, two products in a lane or more where they
// fit, and adds these to 32 bits. A panel is bytes [k/16][8 rows][16].
var neonLevel = &level{
	suffix: "NEON",
	dot: func(x *program, a *sums, w, act V) {
		first, v := smull, a.v
		switch {
		case !a.started:
			a.started, a.v, a.n = true, x.V(), 2
			v = a.v
		case a.n > 0 && a.fits(a.n+2):
			first, a.n = smlal, a.n+2
		default:
			a.widen(x)
			v = x.V()
		}
		x.w(first(v, w, act))
		x.w(smlal2(v, w, act))
		if v != a.v {
			x.w(sadalp(a.v, v))
			x.free(v)
		}
	},
	store: func(x *program, v [4]V, p R, at int) {
		x.stp(v[0], v[1], p, at)
		x.stp(v[2], v[3], p, at+32)
		x.free(v[:]...)
	},
	quadBytes: 64,
	panel: func(f *format) string {
		// Bytes as unpack leaves them.
		most := f.most
		switch {
		case f.off > 0:
			most = max(f.off, f.most-f.off)
		case f.off < 0:
			most = f.most - 1 - f.off
		}
		for _, c := range neonPanels {
			if c.group == f.group && c.min == f.min && most <= c.most {
				return fmt.Sprintf("UpTo%d", c.most)
			}
		}
		panic("no panel for " + f.name)
	},
}

// neonPanels gives how large the bytes of a panel may be.
var neonPanels = []struct {
	group int
	min   bool
	most  int
}{
	{32, false, 16}, {32, false, 64}, {32, false, 128},
	{32, true, 32},
	{16, false, 32}, {16, false, 64},
	{16, true, 32},
}

func neon(x *program) {
	for _, f := range formats {
		x.rows(neonLevel, &f)
		x.unpack(neonLevel, &f)
	}
	for _, c := range neonPanels {
		for tokens := 1; tokens <= 4; tokens++ {
			x.panelNEON(c.group, c.min, c.most, tokens)
		}
	}
	x.table(neonLevel, neonLevel)
}

func (x *program) panelNEON(group int, min bool, most, tokens int) {
	n := x.beginPanel(neonLevel, fmt.Sprintf("UpTo%d", most), group, min, tokens)
	acc := x.accumulators(tokens)
	x.label("loop")
	for i := range 32 / group {
		pieces := group / 16
		c := make([][quads]V, tokens)
		for g := range quads {
			var w [4][2]V
			for r := range w {
				for h := range pieces {
					w[r][h] = x.V()
				}
			}
			for h := range pieces {
				for r := 0; r < 4; r += 2 {
					x.ldp(w[r][h], w[r+1][h], n.p, 16*(tileRows*(i*pieces+h)+4*g+r))
				}
			}
			for t := range tokens {
				act := [2]V{x.V(), -1}
				last := g == quads-1
				switch {
				case group == 16 && last:
					x.ldrPost(act[0], n.q[t], 16)
				case group == 16:
					x.ldr(act[0], n.q[t], 0)
				case last:
					act[1] = x.V()
					x.ldpPost(act[0], act[1], n.q[t], 32)
				default:
					act[1] = x.V()
					x.ldp(act[0], act[1], n.q[t], 0)
				}
				var s [4]sums
				for r := range s {
					s[r].most = most
					for h := range pieces {
						neonLevel.dot(x, &s[r], w[r][h], act[h])
					}
					if r%2 == 1 {
						s[r-1].add(x, &s[r])
					}
				}
				s[0].add(x, &s[2])
				s[0].widen(x)
				c[t][g] = s[0].v
				x.free(act[:pieces]...)
			}
			for r := range w {
				x.free(w[r][:pieces]...)
			}
		}
		x.foldPanel(n, i, acc, c)
		for t := range c {
			x.free(c[t][:]...)
		}
	}
	x.addi(n.p, n.p, 32*tileRows)
	x.step(n)
	x.endPanel(n, acc)
}
