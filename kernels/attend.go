package kernels

import (
	"encoding/binary"
	"math"

	"github.com/goinfer/goinfer/quant"
)

// Tile is the number of keys that attention takes at once. Tiles are counted from position 0 of a sequence, so what a tile holds
// does not depend on how a prompt was cut.
const Tile = 64

// Attention is the softmax of some query heads over keys and values that they share: each tile by itself, tiles merged in order (Milakov
// and Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135). A query's result does not depend on the others.
type Attention struct {
	d     int
	q     []float32 // [heads][d]
	p     []float32 // [heads][Tile], scores, then weights
	state mergeState
	part  mergeState // of the heads that Fold works on
}

// mergeState is the softmax so far, and that of a tile. merge joins them: what has the smaller maximum is scaled down. A tile whose
// maximum is -Inf adds nothing.
type mergeState struct {
	d        int
	out, acc []float32 // [heads][d], Σ e^(score-max)·v
	max, top []float32 // [heads], the largest score
	sum, add []float32 // [heads], Σ e^(score-max)
}

// Begin makes room for n query heads of length d, none of which has seen a key, and returns the queries, [n][d], for the caller to fill in.
func (a *Attention) Begin(n, d int) (q []float32) {
	a.d = d
	a.q, a.p = grow(a.q, n*d), grow(a.p, n*Tile)
	s := &a.state
	s.d, s.out, s.acc = d, grow(s.out, n*d), grow(s.acc, n*d)
	s.max, s.top, s.sum, s.add = grow(s.max, n), grow(s.top, n), grow(s.sum, n), grow(s.add, n)
	clear(s.out)
	clear(s.sum)
	for i := range s.max {
		s.max[i] = float32(math.Inf(-1))
	}
	return a.q
}

// Fold lets the query heads h0 ≤ h < h1 see the first n ≤ [Tile] keys and values of a tile: scores are scale·q·k. k is [d][Tile], see
// Transpose; v is [n][d].
func (l *Level) Fold(a *Attention, k, v []float32, h0, h1, n int, scale float32) {
	d, rows, s := a.d, h1-h0, &a.state
	p := a.p[h0*Tile : h1*Tile]
	part := &a.part
	*part = mergeState{
		d: d, out: s.out[h0*d : h1*d], acc: s.acc[h0*d : h1*d],
		max: s.max[h0:h1], top: s.top[h0:h1], sum: s.sum[h0:h1], add: s.add[h0:h1],
	}
	l.gemm(p, a.q[h0*d:h1*d], k[:d*Tile], rows, Tile, d)
	l.weigh(p, part.top, part.add, n, scale)
	l.gemm(part.acc, p, v[:n*d], rows, d, n)
	l.merge(part)
}

// End writes the result of query head h to dst.
func (a *Attention) End(h int, dst []float32) {
	inv := 1 / a.state.sum[h]
	for i, x := range a.state.out[h*a.d : (h+1)*a.d] {
		dst[i] = x * inv
	}
}

// Transpose turns n ≤ [Tile] rows of d numbers of type F16 or F32, the keys of a page that has room for [Tile] of them, into columns: dst is
// [d][Tile]. What lies in the columns behind n is of no account.
func (l *Level) Transpose(t quant.Type, dst []float32, src []byte, n, d int) {
	l.transpose(dst[:d*Tile], src[:t.RowBytes(Tile*d)], n, d, t == quant.F16)
}

// Scores sets p[j] = scale·q·k[j] for at most [Tile] keys in the form of Transpose; scratch holds [Tile] numbers.
func (l *Level) Scores(p, q, k []float32, scale float32, scratch []float32) {
	l.gemm(scratch[:Tile], q, k[:len(q)*Tile], 1, Tile, len(q))
	for j := range p {
		p[j] = scratch[j] * scale
	}
}

// gemm is c[m][n] = a[m][≥k]·b[k][n], adding from the first k to the last. The rows of a are len(a)/m long.
func gemm(c, a, b []float32, m, n, k int) {
	lda := len(a) / m
	for i := range m {
		out, x := c[i*n:][:n], a[i*lda:][:k]
		clear(out)
		j := 0
		for ; j+4 <= k; j += 4 {
			x0, x1, x2, x3 := x[j], x[j+1], x[j+2], x[j+3]
			b0, b1, b2, b3 := b[j*n:][:n], b[(j+1)*n:][:n], b[(j+2)*n:][:n], b[(j+3)*n:][:n]
			for i := range out {
				out[i] = out[i] + float32(x0*b0[i]) + float32(x1*b1[i]) + float32(x2*b2[i]) + float32(x3*b3[i])
			}
		}
		for ; j < k; j++ {
			addScaled(out, b[j*n:][:n], x[j])
		}
	}
}

func transpose(dst []float32, src []byte, n, d int, half bool) {
	for j := range n {
		if half {
			for i := range d {
				dst[i*Tile+j] = quant.Half(binary.LittleEndian.Uint16(src[2*(j*d+i):]))
			}
			continue
		}
		for i := range d {
			dst[i*Tile+j] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*(j*d+i):]))
		}
	}
}

// weigh turns rows of [Tile] scores into e^(scale·score-top) for the first seen of each, 0 for the others, and returns each row's top and
// the sum of the weights.
func weigh(p, top, sum []float32, seen int, scale float32) {
	for r := range top {
		row := p[r*Tile : (r+1)*Tile]
		t := float32(math.Inf(-1))
		for j := range seen {
			row[j] *= scale
			t = max(t, row[j])
		}
		clear(row[seen:])
		top[r], sum[r] = t, 0
		if math.IsInf(float64(t), -1) {
			clear(row)
			continue
		}
		for j, s := range row[:seen] {
			row[j] = Exp(s - t)
			sum[r] += row[j]
		}
	}
}

func merge(s *mergeState) {
	for r, top := range s.top {
		if math.IsInf(float64(top), -1) {
			continue
		}
		both := max(s.max[r], top)
		old, now := Exp(s.max[r]-both), Exp(top-both)
		s.max[r], s.sum[r] = both, float32(s.sum[r]*old)+float32(s.add[r]*now)
		out := s.out[r*s.d : (r+1)*s.d]
		for i, x := range s.acc[r*s.d : (r+1)*s.d] {
			out[i] = float32(out[i]*old) + float32(x*now)
		}
	}
}
