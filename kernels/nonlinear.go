package kernels

import "math"

// GELU sets dst = gelu(gate)·up, the approximation by tanh of Hendrycks and Gimpel 2016,
// arXiv:1606.08415, which is x·σ(2√(2/π)·(x+0.044715x³)). dst may be gate or up.
func (l *ISA) GELU(dst, gate, up []float32) { l.gelu(dst[:len(gate)], gate, up[:len(gate)]) }

func gelu(dst, gate, up []float32) {
	const slope, cube = 1.5957691216057308, 0.044715
	dst, up = dst[:len(gate)], up[:len(gate)]
	for i, x := range gate {
		t := float32(float32(float32(float32(cube*x)*x)+1)*x) * -slope
		dst[i] = x / (1 + Exp(t)) * up[i]
	}
}

// Gate sets x *= σ(g).
func (l *ISA) Gate(x, g []float32) { l.gate(x, g[:len(x)]) }

func gate(x, g []float32) {
	g = g[:len(x)]
	for i := range x {
		x[i] /= 1 + Exp(-g[i])
	}
}

// SoftCap sets x = most·tanh(x/most); Gemma 2, arXiv:2408.00118. most is above 0. The error is a
// few units in the last place of most.
func (l *ISA) SoftCap(x []float32, most float32) { l.softCap(x, most) }

func softCap(x []float32, most float32) {
	in, twice := 2/most, 2*most
	for i, v := range x {
		x[i] = most - twice/(1+Exp(float32(v*in))) // tanh y = 1 - 2/(1+e^2y)
	}
}

// ClampedSwiGLU sets dst = g·σ(1.702·g)·(u+1) with g = min(gate, limit) and u = up between -limit
// and limit: the activation of gpt-oss (OpenAI 2025, arXiv:2508.10925). It changes gate and up; dst
// may be one of them.
func (l *ISA) ClampedSwiGLU(dst, gate, up []float32, limit float32) {
	const alpha = 1.702
	dst, up = dst[:len(gate)], up[:len(gate)]
	for i, g := range gate {
		gate[i] = alpha * min(g, limit)
		up[i] = (max(-limit, min(up[i], limit)) + 1) / alpha
	}
	l.swiGLU(dst, gate, up)
}

// ReLU sets dst = max(gate, 0)·up. dst may be gate or up.
func ReLU(dst, gate, up []float32) {
	for i, g := range gate {
		dst[i] = max(g, 0) * up[i]
	}
}

// SquaredReLU sets dst = max(gate, 0)²·up; So et al. 2021, arXiv:2109.08668. dst may be gate or up.
func SquaredReLU(dst, gate, up []float32) {
	for i, g := range gate {
		g = max(g, 0)
		dst[i] = g * g * up[i]
	}
}

// Sigmoid is 1/(1+e^-x).
func Sigmoid(x float32) float32 { return 1 / (1 + Exp(-x)) }

// LayerNorm sets dst = w·(x-mean(x))/√(var(x)+eps); Ba et al. 2016, arXiv:1607.06450. dst may be x.
func (l *ISA) LayerNorm(dst, x, w []float32, eps float32) {
	var s0, s1, s2, s3 float64 // sums of every fourth
	n := len(x)
	i := 0
	for ; i+4 <= n; i += 4 {
		s0, s1, s2, s3 = s0+float64(x[i]), s1+float64(x[i+1]), s2+float64(x[i+2]), s3+float64(x[i+3])
	}
	for ; i < n; i++ {
		s0 += float64(x[i])
	}
	mean := float32((s0 + s1 + s2 + s3) / float64(n))
	dst = dst[:n]
	for i, v := range x {
		dst[i] = v - mean
	}
	scale := float32(1 / math.Sqrt(float64(l.dot(dst, dst)/float32(n)+eps)))
	l.normalize(dst, dst, w[:n], scale)
}

// RotateNeoX rotates the pairs (x[0],x[n]), (x[1],x[n+1]) …, n = len(cos), as RotateInterleaved
// does adjacent elements: the layout of GPT-NeoX, Black et al. 2022, arXiv:2204.06745.
func (l *ISA) RotateNeoX(x, cos, sin []float32) {
	n := len(cos)
	l.rotateNeoX(x[:n], x[n:2*n], cos, sin[:n])
}

func rotateNeoX(lo, hi, cos, sin []float32) {
	lo, hi, sin = lo[:len(cos)], hi[:len(cos)], sin[:len(cos)]
	for i, c := range cos {
		a, b, s := lo[i], hi[i], sin[i]
		lo[i] = float32(a*c) - float32(b*s)
		hi[i] = float32(a*s) + float32(b*c)
	}
}
