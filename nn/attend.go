package nn

import (
	"fmt"
	"math"

	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/quant"
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
		for i := range p.runs {
			r := &p.runs[i]
			for row := 0; row < r.n; row += attendRows {
				for h := range a.c.HeadsKV {
					j.units = append(j.units, unit{r, r.row + row, min(attendRows, r.n-row), h})
				}
			}
		}
		p.pool.Run(j, len(j.units))
		p.showProbs(j)
	}
	p.show(p.layer, NameAttnHeads, out)
	return out
}

// attendRows is the number of rows for which a tile of keys and values is widened once.
const attendRows = 32

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
		kernels.Narrow(s.KType(), s.KRow(seq, p.layer, h, pos), k[h*d:(h+1)*d])
		kernels.Narrow(s.VType(), s.VRow(seq, p.layer, h, pos), v[h*d:(h+1)*d])
	}
}

// group is the number of query heads per key head.
func (a *Attention) group() int { return a.c.Heads / a.c.HeadsKV }

func (j *attendJob) attend(u *unit, w *worker) {
	s, d, group := j.p.store, j.a.c.Dim, j.a.group()
	w.tmp = grow(w.tmp, kernels.Tile+d)
	w.att = grow(w.att, u.n*group)
	out := func(i, g int) []float32 { return head(j.out, u.row+i, u.head*group+g, d) }
	for i := range w.att {
		w.att[i].Begin(out(i/group, i%group))
	}
	first := j.p.batch.Pos[u.row]
	last := first + u.n - 1
	for page := 0; page*kv.PageLen <= last; page++ {
		n := min(last+1-page*kv.PageLen, kv.PageLen)
		w.k = widen(w.k, s.KType(), s.K(u.run.seq, j.p.layer, u.head, page), n, d)
		w.v = widen(w.v, s.VType(), s.V(u.run.seq, j.p.layer, u.head, page), n, d)
		for i := range u.n {
			seen := min(first+i+1-page*kv.PageLen, n)
			if seen <= 0 {
				continue // the page lies after this row
			}
			for g := range group {
				w.att[i*group+g].Fold(out(i, g), head(j.q, u.row+i, u.head*group+g, d), w.k, w.v, seen, j.a.c.Scale, w.tmp)
			}
		}
	}
	for i := range w.att {
		w.att[i].End(out(i/group, i%group))
	}
}

// widen turns the first n rows of d numbers of a page into float32. dst becomes large enough for a whole page.
func widen(dst []float32, t quant.Type, page []byte, n, d int) []float32 {
	dst = grow(dst, kv.PageLen*d)[:n*d]
	kernels.Widen(t, dst, page[:t.RowBytes(n*d)])
	return dst
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
	w := &j.p.workers[0]
	s, d, group, n := j.p.store, j.a.c.Dim, j.a.group(), j.p.batch.Pos[row]+1
	j.probs = grow(j.probs, j.a.c.Heads*n)
	for h := range j.a.c.HeadsKV {
		for at := 0; at < n; at += kv.PageLen {
			m := min(kv.PageLen, n-at)
			w.k = widen(w.k, s.KType(), s.K(r.seq, j.p.layer, h, at/kv.PageLen), m, d)
			for g := range group {
				q := h*group + g
				kernels.Scores(j.probs[q*n+at:q*n+at+m], head(j.q, row, q, d), w.k, j.a.c.Scale)
			}
		}
	}
	for h := range j.a.c.Heads {
		kernels.Softmax(j.probs[h*n : (h+1)*n])
	}
	return j.probs
}
