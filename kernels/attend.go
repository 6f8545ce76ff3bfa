package kernels

import "math"

// Tile is the number of keys that attention takes at once. Tiles are counted from position 0 of a sequence, so what a tile holds
// does not depend on how a prompt was cut.
const Tile = 64

// Attention is the softmax of one query head over the keys folded in so far: each tile by itself, tiles merged in order (Milakov
// and Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135).
type Attention struct {
	Max float32 // the largest score
	Sum float32 // Σ e^(score-Max)
}

// Begin empties a and the accumulated output.
func (a *Attention) Begin(out []float32) {
	a.Max, a.Sum = float32(math.Inf(-1)), 0
	clear(out)
}

// Fold adds a tile of n ≤ Tile keys and values to a: scores are scale·q·k, out gathers Σ e^(score-Max)·v. k is [n][len(q)], v is
// [n][len(out)], scratch at least [Tile + len(out)].
func (a *Attention) Fold(out, q, k, v []float32, n int, scale float32, scratch []float32) {
	p, acc := scratch[:n], scratch[Tile:Tile+len(out)]
	Scores(p, q, k, scale)
	top := p[0]
	for _, s := range p {
		top = max(top, s)
	}
	if math.IsInf(float64(top), -1) {
		return // such a tile adds nothing
	}
	var sum float32
	for j, s := range p {
		p[j] = Exp(s - top)
		sum += p[j]
	}
	clear(acc)
	d := len(out)
	j := 0
	for ; j+4 <= n; j += 4 {
		p0, p1, p2, p3 := p[j], p[j+1], p[j+2], p[j+3]
		v0, v1, v2, v3 := v[j*d:][:d], v[(j+1)*d:][:d], v[(j+2)*d:][:d], v[(j+3)*d:][:d]
		acc := acc[:d]
		for i := range acc {
			acc[i] = acc[i] + float32(p0*v0[i]) + float32(p1*v1[i]) + float32(p2*v2[i]) + float32(p3*v3[i])
		}
	}
	for ; j < n; j++ {
		AddScaled(acc, v[j*d:(j+1)*d], p[j])
	}
	// Merge: what has the smaller maximum is scaled down.
	both := max(a.Max, top)
	old, now := Exp(a.Max-both), Exp(top-both)
	a.Max, a.Sum = both, float32(a.Sum*old)+float32(sum*now)
	for i, x := range acc {
		out[i] = float32(out[i]*old) + float32(x*now)
	}
}

// End divides the output by the sum.
func (a *Attention) End(out []float32) { Scale(out, 1/a.Sum) }

// Scores sets p[j] = scale·q·k[j] for the rows of k.
func Scores(p, q, k []float32, scale float32) {
	d := len(q)
	for j := range p {
		p[j] = float32(Dot(q, k[j*d:(j+1)*d]) * scale)
	}
}
