package kernels

import "math"

var goOps = ops{
	dot: dot, normalize: normalize, swiGLU: swiGLU, rotateInterleaved: rotateInterleaved, add: add, addScaled: addScaled, scale: scale,
	gelu: gelu, gate: gate, softCap: softCap, rotateNeoX: rotateNeoX,
	quantize: quantize, roundBF16: roundBF16, gemm: gemm, tileSoftmax: tileSoftmax, rescaleMerge: rescaleMerge,
	updateState: updateState, updateSelectiveState: updateSelectiveState,
}

// RMSNorm sets dst = w·x/√(mean(x²)+eps); Zhang and Sennrich 2019, arXiv:1910.07467. dst may be x.
func (l *ISA) RMSNorm(dst, x, w []float32, eps float32) {
	scale := float32(1 / math.Sqrt(float64(l.dot(x, x)/float32(len(x))+eps)))
	l.normalize(dst[:len(x)], x, w[:len(x)], scale)
}

func normalize(dst, x, w []float32, scale float32) {
	dst, w = dst[:len(x)], w[:len(x)]
	for i, v := range x {
		dst[i] = float32(v*scale) * w[i]
	}
}

// SwiGLU sets dst = gate·σ(gate)·up; Shazeer 2020, arXiv:2002.05202. dst may be gate or up.
func (l *ISA) SwiGLU(dst, gate, up []float32) { l.swiGLU(dst[:len(gate)], gate, up[:len(gate)]) }

func swiGLU(dst, gate, up []float32) {
	dst, up = dst[:len(gate)], up[:len(gate)]
	for i, g := range gate {
		dst[i] = g / (1 + Exp(-g)) * up[i]
	}
}

// Softmax converts logits into probabilities in place. Additions run from first to last.
func Softmax(x []float32) {
	if len(x) == 0 {
		return
	}
	rowMax := x[0]
	for _, v := range x {
		rowMax = max(rowMax, v)
	}
	var sum float32
	for i, v := range x {
		x[i] = Exp(v - rowMax)
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
}

// RotateInterleaved rotates the pairs (x[0],x[1]), (x[2],x[3]) … by the angles whose cosines and
// sines are given, one per pair; the rest of x stays. Su et al. 2021, arXiv:2104.09864.
func (l *ISA) RotateInterleaved(x, cos, sin []float32) {
	l.rotateInterleaved(x[:2*len(cos)], cos, sin[:len(cos)])
}

func rotateInterleaved(x, cos, sin []float32) {
	sin = sin[:len(cos)]
	for i, c := range cos {
		p := x[2*i : 2*i+2 : 2*i+2]
		a, b, s := p[0], p[1], sin[i]
		p[0] = float32(a*c) - float32(b*s)
		p[1] = float32(a*s) + float32(b*c)
	}
}

// Add sets dst += x.
func (l *ISA) Add(dst, x []float32) { l.add(dst, x[:len(dst)]) }

func add(dst, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += x[i]
	}
}

// AddScaled sets dst += c·x.
func (l *ISA) AddScaled(dst, x []float32, c float32) { l.addScaled(dst, x[:len(dst)], c) }

func addScaled(dst, x []float32, c float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += float32(c * x[i])
	}
}

// Scale sets x *= c.
func (l *ISA) Scale(x []float32, c float32) { l.scale(x, c) }

func scale(x []float32, c float32) {
	for i := range x {
		x[i] *= c
	}
}

// Exp is e^x within 2 units in the last place, built from additions and multiplications alone so
// that every instruction set can give the same bits. Results below the smallest normal number are
// 0.
func Exp(x float32) float32 {
	const (
		log2e = 1.44269504
		// ln 2 in two parts: n*hi is exact for |n| < 2^9.
		hi = 0.693359375
		lo = -2.12194440e-4
	)
	switch {
	case x != x:
		return x
	case x > 88.72283:
		return float32(math.Inf(1))
	case x < -87.33654:
		return 0
	}
	n := round(float32(x * log2e))
	r := x - float32(n*hi)
	r -= float32(n * lo)
	// The minimax polynomial of Cephes' expf (Moshier) for (e^r - 1 - r)/r² on |r| ≤ ln(2)/2.
	p := float32(1.9875691500e-4)
	p = float32(p*r) + 1.3981999507e-3
	p = float32(p*r) + 8.3334519073e-3
	p = float32(p*r) + 4.1665795894e-2
	p = float32(p*r) + 1.6666665459e-1
	p = float32(p*r) + 5.0000001201e-1
	p = float32(float32(p*r)*r) + r + 1
	// n is at most 128, where 2^n alone is no float32.
	i := int32(n)
	h := i >> 1
	return p * pow2(h) * pow2(i-h)
}

// pow2 is 2^n for -126 ≤ n ≤ 127.
func pow2(n int32) float32 { return math.Float32frombits(uint32(n+127) << 23) }

// Softplus is ln(1+e^x) within 3 units in the last place, built as Exp is.
func Softplus(x float32) float32 {
	if x > 20 {
		return x
	}
	e := Exp(x)
	u := 1 + e
	// 2^n·m = u with m between √½ and √2; what the sum has lost comes back as lost/u.
	bits := math.Float32bits(u)
	n := int32(bits-0x3f3504f3) >> 23
	r := math.Float32frombits(bits-uint32(n)<<23) - 1
	// The polynomial of Cephes' logf (Moshier) for (ln(1+r) - r + r²/2)/r³.
	p := float32(7.0376836292e-2)
	p = float32(p*r) - 1.1514610310e-1
	p = float32(p*r) + 1.1676998740e-1
	p = float32(p*r) - 1.2420140846e-1
	p = float32(p*r) + 1.4249322787e-1
	p = float32(p*r) - 1.6668057665e-1
	p = float32(p*r) + 2.0000714765e-1
	p = float32(p*r) - 2.4999993993e-1
	p = float32(p*r) + 3.3333331174e-1
	square := float32(r * r)
	low := float32(float32(p*r)*square) - float32(2.12194440e-4*float32(n)) - float32(0.5*square) + (e-(u-1))/u
	return low + r + float32(0.693359375*float32(n))
}
