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
		j.step = storing
		p.pool.Run(j, q.Rows)
		j.cut()
		if j.split() {
			j.step = spanning
			p.pool.Run(j, len(j.spans))
			j.step = joining
		} else {
			j.step = attending
		}
		p.pool.Run(j, len(j.units))
		p.showProbs(j)
	}
	p.show(p.layer, NameAttnHeads, out)
	return out
}

// attendHeads is the number of query heads for which a tile of keys and values is widened once: a multiple of six, which some kernels take at once.
const attendHeads = 96

// unit is some rows of a sequence and the query heads that share a key head.
type unit struct {
	run    *run
	row, n int
	head   int // of keys and values
	taken  int // where the results of its spans begin, if they are worked out apart
}

// span is a stretch of keys as the rows of a unit see it.
type span struct{ unit, number int }

type attendJob struct {
	p            *Pass
	a            *Attention
	q, k, v, out *tensor.Tensor
	step         attendStep
	units        []unit
	spans        []span
	taken        []float32 // what the units' heads have seen of each span
	probs        []float32
}

// attendStep is what a chunk of the job is.
type attendStep uint8

const (
	storing   attendStep = iota // a row
	attending                   // a unit
	spanning                    // a span of a unit
	joining                     // the spans of a unit
)

// Run does a chunk.
func (j *attendJob) Run(chunk, w int) {
	if j.p.interrupted.Load() {
		return
	}
	att := &j.p.workers[w].att
	switch j.step {
	case storing:
		j.store(chunk)
	case attending:
		j.attend(&j.units[chunk], att)
	case spanning:
		s := j.spans[chunk]
		j.attendSpan(&j.units[s.unit], s.number, att)
	case joining:
		j.join(&j.units[chunk], att)
	}
}

// cut makes the units of the batch.
func (j *attendJob) cut() {
	j.units = j.units[:0]
	rows := max(1, attendHeads/j.a.group())
	for i := range j.p.runs {
		r := &j.p.runs[i]
		for row := 0; row < r.n; row += rows {
			for h := range j.a.c.HeadsKV {
				j.units = append(j.units, unit{run: r, row: r.row + row, n: min(rows, r.n-row), head: h})
			}
		}
	}
}

// unitsPerThread is the number of units per thread that are shared out evenly enough, whatever they are.
const unitsPerThread = 4

// split cuts the units into spans of keys where they alone would leave threads without work, and reports whether it did. The result has the same bits either way.
func (j *attendJob) split() bool {
	threads := j.p.pool.Threads()
	if threads == 1 || len(j.units) >= unitsPerThread*threads || len(j.units)%threads == 0 && len(j.p.runs) == 1 {
		return false
	}
	j.spans = j.spans[:0]
	room := 0
	for i := range j.units {
		u := &j.units[i]
		u.taken = room
		for s := range j.spansOf(u) {
			j.spans = append(j.spans, span{i, s})
			room += kernels.SpanLen(u.n*j.a.group(), j.a.c.Dim)
		}
	}
	if len(j.spans) == len(j.units) {
		return false
	}
	if cap(j.taken) < room {
		j.taken = make([]float32, room, 2*room) // the next tokens will want more
	}
	j.taken = j.taken[:room]
	return true
}

// spansOf is the number of spans that the last row of a unit sees.
func (j *attendJob) spansOf(u *unit) int { return (j.p.batch.Pos[u.row]+u.n-1)/kernels.Span + 1 }

// unseeing is the number of query heads of a unit whose rows end before a span.
func (j *attendJob) unseeing(u *unit, span int) int {
	return max(0, span*kernels.Span-j.p.batch.Pos[u.row]) * j.a.group()
}

// spanAt is where the results of a span of a unit are kept.
func (j *attendJob) spanAt(u *unit, span int) []float32 {
	n := kernels.SpanLen(u.n*j.a.group(), j.a.c.Dim)
	return j.taken[u.taken+span*n:][:n]
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

func (j *attendJob) attend(u *unit, att *kernels.Attention) {
	j.begin(u, att)
	for s := range j.spansOf(u) {
		j.readSpan(u, s, att)
		j.p.level.EndSpan(att, j.unseeing(u, s))
	}
	j.end(u, att)
}

func (j *attendJob) attendSpan(u *unit, span int, att *kernels.Attention) {
	j.begin(u, att)
	j.readSpan(u, span, att)
	att.TakeSpan(j.spanAt(u, span))
}

func (j *attendJob) join(u *unit, att *kernels.Attention) {
	att.Begin(u.n*j.a.group(), j.a.c.Dim)
	for s := range j.spansOf(u) {
		j.p.level.AddSpan(att, j.spanAt(u, s), j.unseeing(u, s))
	}
	j.end(u, att)
}

func (j *attendJob) begin(u *unit, att *kernels.Attention) {
	d, group := j.a.c.Dim, j.a.group()
	q := att.Begin(u.n*group, d)
	for i := range u.n {
		for g := range group {
			copy(q[(i*group+g)*d:], head(j.q, u.row+i, u.head*group+g, d))
		}
	}
}

// readSpan lets the rows of a unit see a span of keys and values.
func (j *attendJob) readSpan(u *unit, span int, att *kernels.Attention) {
	const pages = kernels.Span / kv.PageLen
	p, s, group := j.p, j.p.store, j.a.group()
	first := p.batch.Pos[u.row]
	last := first + u.n - 1
	for page := span * pages; page < (span+1)*pages && page*kv.PageLen <= last; page++ {
		n := min(last+1-page*kv.PageLen, kv.PageLen)
		var nextK, nextV []byte
		if (page+1)*kv.PageLen <= last {
			nextK, nextV = s.K(u.run.seq, p.layer, u.head, page+1), s.V(u.run.seq, p.layer, u.head, page+1)
		}
		att.Ahead(nextK, nextV)
		p.level.Score(att, s.KType(), s.K(u.run.seq, p.layer, u.head, page), n)
		p.level.Values(att, s.VType(), s.V(u.run.seq, p.layer, u.head, page), n)
		if (page+1)*kv.PageLen <= first+1 { // every row sees all of it
			p.level.Fold(att, 0, u.n*group, n, j.a.c.Scale)
			continue
		}
		for i := range u.n {
			if seen := min(first+i+1-page*kv.PageLen, n); seen > 0 {
				p.level.Fold(att, i*group, (i+1)*group, seen, j.a.c.Scale)
			}
		}
	}
}

func (j *attendJob) end(u *unit, att *kernels.Attention) {
	group := j.a.group()
	for i := range u.n {
		for g := range group {
			att.End(i*group+g, head(j.out, u.row+i, u.head*group+g, j.a.c.Dim))
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
	p, att := j.p, &j.p.workers[0].att
	group, n := j.a.group(), p.batch.Pos[row]+1
	j.probs = grow(j.probs, j.a.c.Heads*n)
	for h := range j.a.c.HeadsKV {
		j.begin(&unit{run: r, row: row, n: 1, head: h}, att)
		for at := 0; at < n; at += kv.PageLen {
			m := min(kv.PageLen, n-at)
			p.level.Score(att, p.store.KType(), p.store.K(r.seq, p.layer, h, at/kv.PageLen), m)
			for g := range group {
				probs := j.probs[(h*group+g)*n+at:][:m]
				copy(probs, att.Scores(g))
				p.level.Scale(probs, j.a.c.Scale)
			}
		}
	}
	for h := range j.a.c.Heads {
		kernels.Softmax(j.probs[h*n : (h+1)*n])
	}
	return j.probs
}
