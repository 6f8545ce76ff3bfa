package nn

import (
	"fmt"
	"math"

	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/tensor"
)

// A page of the cache is a tile of the attention kernel: both are counted from position 0.
var _ = [1]struct{}{}[kv.PageLen-kernels.Tile]

// AttentionConfig describes causal attention with grouped queries (Ainslie et al. 2023, arXiv:2305.13245).
type AttentionConfig struct {
	Heads, HeadsKV int // Heads is a multiple of HeadsKV
	Dim            int // length of a head
	Scale          float32
}

// Attention is softmax(scale·QKᵀ)·V over the positions of a sequence up to a row's own.
type Attention struct{ c AttentionConfig }

// NewAttention checks the configuration. A Scale of 0 means 1/√Dim.
func NewAttention(c AttentionConfig) (*Attention, error) {
	if c.Heads < 1 || c.HeadsKV < 1 || c.Dim < 1 || c.Heads%c.HeadsKV != 0 {
		return nil, fmt.Errorf("nn: attention: want heads in whole groups per key head, found %d heads of %d over %d key heads", c.Heads, c.Dim, c.HeadsKV)
	}
	if c.Scale == 0 {
		c.Scale = float32(1 / math.Sqrt(float64(c.Dim)))
	}
	return &Attention{c}, nil
}

// Attend stores the keys and values of the batch in the cache of the layer, then returns what every query reads,
// [n_tokens][n_head*head_dim]. Keys are read back from the cache, so a row sees its neighbours in the batch exactly as it will see them later.
func (p *Pass) Attend(a *Attention, q, k, v *tensor.Tensor) *tensor.Tensor {
	out := p.arena.New(q.Rows, q.Cols)
	if !p.Dead() {
		j := &p.att
		j.p, j.a, j.q, j.k, j.v, j.out = p, a, q, k, v, out
		j.storing = true
		p.pool.Run(j, q.Rows)
		j.storing = false
		j.units = j.units[:0]
		rows := max(1, attendHeads/a.group())
		for i := range p.runs {
			r := &p.runs[i]
			for row := 0; row < r.n; row += rows {
				for h := range a.c.HeadsKV {
					j.units = append(j.units, unit{r, r.row + row, min(rows, r.n-row), h})
				}
			}
		}
		p.pool.Run(j, len(j.units))
		p.showProbs(j)
	}
	p.show(p.layer, NameAttnHeads, out)
	return out
}

// attendHeads is the number of query heads for which a tile of keys and values is widened once: a multiple of six, which some kernels take at once.
const attendHeads = 96

// unit is the work of one thread at a time: some rows of a sequence and the query heads that share a key head.
type unit struct {
	run    *run
	row, n int
	head   int // of keys and values
}

type attendJob struct {
	p            *Pass
	a            *Attention
	q, k, v, out *tensor.Tensor
	storing      bool
	units        []unit
	probs        []float32
}

// Run stores a row, or computes a unit.
func (j *attendJob) Run(chunk, w int) {
	switch {
	case j.p.interrupted.Load():
	case j.storing:
		j.store(chunk)
	default:
		j.attend(&j.units[chunk], &j.p.workers[w])
	}
}

func (j *attendJob) store(row int) {
	p, s, d := j.p, j.p.store, j.a.c.Dim
	seq, pos := p.batch.Seq[row], p.batch.Pos[row]
	k, v := j.k.Row(row), j.v.Row(row)
	for h := range j.a.c.HeadsKV {
		p.level.Narrow(s.KType(), s.KRow(seq, p.layer, h, pos), k[h*d:(h+1)*d])
		p.level.Narrow(s.VType(), s.VRow(seq, p.layer, h, pos), v[h*d:(h+1)*d])
	}
}

// group is the number of query heads per key head.
func (a *Attention) group() int { return a.c.Heads / a.c.HeadsKV }

func (j *attendJob) attend(u *unit, w *worker) {
	p, s, d, group := j.p, j.p.store, j.a.c.Dim, j.a.group()
	q := w.att.Begin(u.n*group, d)
	for i := range u.n {
		for g := range group {
			copy(q[(i*group+g)*d:], head(j.q, u.row+i, u.head*group+g, d))
		}
	}
	w.k, w.v = grow(w.k, kv.PageLen*d), grow(w.v, kv.PageLen*d)
	first := p.batch.Pos[u.row]
	last := first + u.n - 1
	for page := 0; page*kv.PageLen <= last; page++ {
		n := min(last+1-page*kv.PageLen, kv.PageLen)
		p.level.Transpose(s.KType(), w.k, s.K(u.run.seq, p.layer, u.head, page), n, d)
		p.level.Widen(s.VType(), w.v[:n*d], s.V(u.run.seq, p.layer, u.head, page))
		if (page+1)*kv.PageLen <= first+1 { // every row sees all of it
			p.level.Fold(&w.att, w.k, w.v, 0, u.n*group, n, j.a.c.Scale)
			continue
		}
		for i := range u.n {
			if seen := min(first+i+1-page*kv.PageLen, n); seen > 0 {
				p.level.Fold(&w.att, w.k, w.v, i*group, (i+1)*group, seen, j.a.c.Scale)
			}
		}
	}
	for i := range u.n {
		for g := range group {
			w.att.End(i*group+g, head(j.out, u.row+i, u.head*group+g, d))
		}
	}
}

// head is one head's part of a row.
func head(t *tensor.Tensor, row, h, d int) []float32 {
	at := row*t.Cols + h*d
	return t.F[at : at+d : at+d]
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// showProbs works the attention probabilities out once more for the rows whose hook asks for them.
func (p *Pass) showProbs(j *attendJob) {
	for i := range p.runs {
		r := &p.runs[i]
		for row := r.row; row < r.row+r.n; row++ {
			if h := p.wants(row, p.layer, NameAttnProbs); h != nil {
				p.observe(h, row, p.layer, NameAttnProbs, j.rowProbs(r, row), nil)
			}
		}
	}
}

// rowProbs returns the probabilities of a row, [n_head][pos+1].
func (j *attendJob) rowProbs(r *run, row int) []float32 {
	p, w := j.p, &j.p.workers[0]
	s, d, group, n := j.p.store, j.a.c.Dim, j.a.group(), j.p.batch.Pos[row]+1
	j.probs = grow(j.probs, j.a.c.Heads*n)
	w.k, w.v = grow(w.k, kv.PageLen*d), grow(w.v, kv.PageLen*d)
	for h := range j.a.c.HeadsKV {
		for at := 0; at < n; at += kv.PageLen {
			m := min(kv.PageLen, n-at)
			p.level.Transpose(s.KType(), w.k, s.K(r.seq, p.layer, h, at/kv.PageLen), m, d)
			for g := range group {
				q := h*group + g
				p.level.Scores(j.probs[q*n+at:q*n+at+m], head(j.q, row, q, d), w.k, j.a.c.Scale, w.v)
			}
		}
	}
	for h := range j.a.c.Heads {
		kernels.Softmax(j.probs[h*n : (h+1)*n])
	}
	return j.probs
}
