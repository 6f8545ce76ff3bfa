package kernels

import "math"

// UpdateState takes a matrix of associations through one position: each of its rows becomes a·s +
// u·x, and what it is read by, y += r·s, counts after that. s is [len(u)][len(x)], y [len(x)]; a, u
// and r are numbers of each row. It is what state spaces (Dao and Gu 2024, arXiv:2405.21060) and
// delta nets (Yang et al. 2024, arXiv:2412.06464) do with their states. Additions to y run from the
// first row to the last.
func (l *ISA) UpdateState(s, x, y, a, u, r []float32) {
	d, n := len(x), len(u)
	if len(s) != n*d || len(y) != d || len(a) != n || len(r) != n {
		panic("kernels: Advance: the state does not fit its rows")
	}
	l.updateState(s, x, y, a, u, r)
}

func updateState(s, x, y, a, u, r []float32) {
	d := len(x)
	y = y[:d]
	for i, ui := range u {
		row, ai, ri := s[i*d:][:d], a[i], r[i]
		for j, v := range row {
			v = float32(ai*v) + float32(ui*x[j])
			row[j] = v
			y[j] += float32(ri * v)
		}
	}
}

// ReadState reads a matrix of associations: y = Σ r·s over its rows, from the first to the last. s
// is [len(r)][len(y)].
func (l *ISA) ReadState(y, s, r []float32) {
	if len(s) != len(r)*len(y) {
		panic("kernels: Recall: the state does not fit its rows")
	}
	l.gemm(y, r, s, 1, len(y), len(r))
}

// UpdateSelectiveState takes the states of channels through one position (Gu and Dao 2023,
// arXiv:2312.00752, algorithm 2): each becomes exp(d·a)·s + b·x, of which y += c·s. s and a are
// [len(b)][len(x)], d the channels' steps, x their inputs times those, b and c numbers of each row.
// Additions to y run from the first row to the last.
func (l *ISA) UpdateSelectiveState(s, a, d, x, y, b, c []float32) {
	w, n := len(x), len(b)
	if len(s) != n*w || len(a) != n*w || len(d) != w || len(y) != w || len(c) != n {
		panic("kernels: Decay: the states do not fit their channels")
	}
	l.updateSelectiveState(s, a, d, x, y, b, c)
}

func updateSelectiveState(s, a, d, x, y, b, c []float32) {
	w := len(x)
	d, y = d[:w], y[:w]
	for i, bi := range b {
		row, ai, ci := s[i*w:][:w], a[i*w:][:w], c[i]
		for j, v := range row {
			v = float32(Exp(float32(d[j]*ai[j]))*v) + float32(bi*x[j])
			row[j] = v
			y[j] += float32(ci * v)
		}
	}
}

// L2Norm sets dst to a vector of the direction of x and the given length; what is shorter than eps
// counts as that long.
func (l *ISA) L2Norm(dst, x []float32, eps float32, length float64) {
	is := max(math.Sqrt(float64(l.dot(x, x))), float64(eps))
	copy(dst, x)
	l.scale(dst, float32(length/is))
}

// AddProduct sets y += a·b, element by element.
func (l *ISA) AddProduct(y, a, b []float32) {
	a, b = a[:len(y)], b[:len(y)]
	for i, v := range a {
		y[i] += float32(v * b[i])
	}
}

// SiLU sets x = x·σ(x); Elfwing et al. 2017, arXiv:1702.03118.
func (l *ISA) SiLU(x []float32) {
	for len(x) > 0 {
		n := min(len(x), len(ones))
		l.swiGLU(x[:n], x[:n], ones[:n])
		x = x[n:]
	}
}

var ones = func() (x [256]float32) {
	for i := range x {
		x[i] = 1
	}
	return x
}()
