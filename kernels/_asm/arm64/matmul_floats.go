package main

import (
	"fmt"
	"slices"
)

// floatFormat is how a vector of four weights, or one weight, becomes floats. wide reads eight at
// once into two registers, or is nil.
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

// matMulFloats writes the products with float weights.
func matMulFloats(x *program) {
	for _, f := range floatFormats {
		for _, rows := range []int{4, 1} {
			for tokens := 1; tokens <= 6; tokens++ {
				x.floatTile(f, rows, tokens)
			}
		}
	}
}

// floatTile multiplies four rows, or one, with some tokens. Each output has four partial sums along
// k, see floatTiles of the package.
func (x *program) floatTile(f floatFormat, rows, tokens int) {
	name := fmt.Sprintf("mul%s%dx%dNEON", f.name, rows, tokens)
	x.function(name, "dst *float32, ldd int, w *byte, stride int, a *float32, lda int, k int, from *float32, to *float32",
		fmt.Sprintf("%s multiplies %d rows of %s with %d tokens.", name, rows, f.name, tokens))
	w, a := []R{x.arg("w")}, []R{x.arg("a")}
	stride, lda, k := x.arg("stride"), x.arg("lda"), x.arg("k")
	next := x.R() // the rows after these, fetched in the order of addresses
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
