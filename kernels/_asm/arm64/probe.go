package main

import "fmt"

// probeLoops are what package probe measures the levels of arm64 by.
func probeLoops(x *program) {
	x.function("sumNEON", "x *uint64, n int, sum *uint64", "sumNEON sets sum to the sum of n words, a multiple of 32, in the order of addresses.")
	p, n, out := x.arg("x"), x.arg("n"), x.arg("sum")
	x.op("LSR", imm(5), n.String(), n.String())
	var s [4]V
	for i := range s {
		s[i] = x.V()
		x.zero(s[i])
	}
	x.label("loop")
	for range 4 {
		v := [4]V{x.V(), x.V(), x.V(), x.V()}
		x.ldpPost(v[0], v[1], p, 32)
		x.ldpPost(v[2], v[3], p, 32)
		for i := range v {
			x.add("D2", s[i], s[i], v[i])
		}
		x.free(v[:]...)
	}
	x.loop(n, "loop")
	x.add("D2", s[0], s[0], s[1])
	x.add("D2", s[2], s[2], s[3])
	x.add("D2", s[0], s[0], s[2])
	x.addp("D2", s[0], s[0], s[0])
	x.op("FMOVD", s[0].f(), mem(out, 0))
	x.free(s[:]...)
	x.end()

	// Peaks are those of chains that are independent of each other, more than latency times
	// throughput, without any load.
	x.spin("fmaNEON", "multiply-adds of 4 float32", 24, func(acc, a, b V) { x.fmla(acc, a, b) })
	x.spin("dotNEON", "dot products of 16 bytes", 24, func(acc, a, b V) {
		v := x.V()
		x.w(smull(v, a, b))
		x.w(smlal2(v, a, b))
		x.w(sadalp(acc, v))
		x.free(v)
	})
	x.spin("dotDotProd", "dot products of 16 bytes", 24, func(acc, a, b V) { x.w(sdot(acc, a, b)) })
	x.spin("dotI8MM", "products of 2×8 with 8×2 bytes", 24, func(acc, a, b V) { x.w(smmla(acc, a, b)) })
}

func (x *program) spin(name, what string, chains int, step func(acc, a, b V)) {
	x.function(name, "n int", fmt.Sprintf("%s does n times %d %s each.", name, chains, what))
	n, a, b := x.arg("n"), x.V(), x.V()
	x.zero(a)
	x.zero(b)
	acc := make([]V, chains)
	for i := range acc {
		acc[i] = x.V()
		x.zero(acc[i])
	}
	x.label("loop")
	for _, v := range acc {
		step(v, a, b)
	}
	x.loop(n, "loop")
	x.free(a, b)
	x.free(acc...)
	x.end()
}
