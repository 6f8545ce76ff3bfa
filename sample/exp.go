package sample

import "math"

// exp returns e to the x, for x of at most 0, with a relative error of 1e-8: less than a float32
// shows, and several times quicker than math.Exp, which matters where every token of the
// vocabulary has one.
//
// With x = (n + f)·ln 2, n the nearest integer, it is 2^n · e^(f·ln 2). The first factor is an
// exponent's bits, the second eight terms of the series.
func exp(x float64) float64 {
	if !(x > -104) {
		return 0 // less than the least float32
	}
	n := int(x*math.Log2E - 0.5)
	y := x - float64(n)*math.Ln2
	series := 1 + y*(1+y*(1.0/2+y*(1.0/6+y*(1.0/24+y*(1.0/120+y*(1.0/720+y*(1.0/5040)))))))
	return series * math.Float64frombits(uint64(n+1023)<<52)
}
