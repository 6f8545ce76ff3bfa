package nn

import (
	"fmt"

	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/tensor"
)

// Linear returns W·x + bias for every row, [n_tokens][out].
func (p *Pass) Linear(x *tensor.Tensor, l *Linear) *tensor.Tensor {
	y := p.arena.New(x.Rows, l.w.Rows)
	p.runMatMul(x, y, l)
	p.notify(p.layer, l.name, y)
	return y
}

// QKV returns three products of the same input. It is Linear thrice, with the input quantised once
// and the rows of all three shared out among the threads at once.
func (p *Pass) QKV(x *tensor.Tensor, lq, lk, lv *Linear) (q, k, v *tensor.Tensor) {
	q, k, v = p.arena.New(x.Rows, lq.w.Rows), p.arena.New(x.Rows, lk.w.Rows), p.arena.New(x.Rows, lv.w.Rows)
	if !p.Aborted() {
		p.matMul.begin(p)
		p.matMul.add(q, lq, p.input(x, lq))
		p.matMul.add(k, lk, p.input(x, lk, lq))
		p.matMul.add(v, lv, p.input(x, lv, lq, lk))
		p.matMul.run()
	}
	p.notify(p.layer, lq.name, q)
	p.notify(p.layer, lk.name, k)
	p.notify(p.layer, lv.name, v)
	return q, k, v
}

func (p *Pass) runMatMul(x, y *tensor.Tensor, l *Linear) {
	if p.Aborted() {
		return
	}
	p.matMul.begin(p)
	p.matMul.add(y, l, p.input(x, l))
	p.matMul.run()
}

// input makes x ready for the product with l, in what forms the products before it in the same call
// left undone.
func (p *Pass) input(x *tensor.Tensor, l *Linear, before ...*Linear) *kernels.Activations {
	format := l.matMul.ActFormat
	for _, b := range before {
		format &^= b.matMul.ActFormat // done already
	}
	if len(before) == 0 || format != kernels.ActF32 {
		p.acts.Reset(x.Rows, x.Cols, format)
		p.acts.F = x.F
		p.prepare(&p.acts, format)
	}
	return &p.acts
}

// prepare fills the forms of a that it was reset for.
func (p *Pass) prepare(a *kernels.Activations, formats kernels.ActFormat) {
	if formats != kernels.ActF32 {
		p.quantJob.run(p, a)
	}
}

// quantizeJob fills forms of activations: some columns of a row per chunk, or, of many rows, some
// whole ones.
type quantizeJob struct {
	p       *Pass
	a       *kernels.Activations
	columns int // of a piece
	perRow  int // pieces
	pieces  int // of a chunk
}

const (
	quantizeWork = 1024 // activations that are worth another thread
	quantizeMost = 8 * quantizeWork
	quantizeRows = 64 // from which on chunks are that large
)

func (j *quantizeJob) run(p *Pass, a *kernels.Activations) {
	*j = quantizeJob{p: p, a: a, columns: min(quantizeWork, a.K), pieces: 1}
	if a.N >= quantizeRows {
		j.columns = a.K
		j.pieces = max(1, quantizeMost/a.K)
	}
	j.perRow = (a.K + j.columns - 1) / j.columns
	p.pool.Run(j, (a.N*j.perRow+j.pieces-1)/j.pieces)
}

// Run quantises a chunk.
func (j *quantizeJob) Run(chunk, _ int) {
	if j.p.interrupted.Load() {
		return
	}
	for i := chunk * j.pieces; i < min((chunk+1)*j.pieces, j.a.N*j.perRow); i++ {
		k := i % j.perRow * j.columns
		j.p.isa.Quantize(j.a, i/j.perRow, k, min(k+j.columns, j.a.K))
	}
}

// matMulJob multiplies weights with activations: a list of parts, cut into chunks of some weight
// rows with all their tokens.
type matMulJob struct {
	p       *Pass
	matMuls []matMul
	chunks  []rowRange
	work    int // of all parts, in units of part.cost
}

// matMul is one product: dst[t][r] for the tokens t0 ≤ t < t1 of acts.
type matMul struct {
	l      *Linear
	expert int // number of the expert or the head that l belongs to, or 0
	acts   *kernels.Activations
	dst    *tensor.Tensor
	t0, t1 int
	byHead bool // the tokens are in acts once for every head, from t0 on for this one
	cost   int  // of a row
}

// rowRange is the rows r0 ≤ r < r1 of a part.
type rowRange struct{ matMul, r0, r1 int }

// Chunks shrink towards the end of a job (guided self-scheduling: Polychronopoulos and Kuck 1987,
// doi:10.1109/TC.1987.5009495): each is the share of a thread in 1/chunkShare of what is left, so
// that all threads are done at about the same time, however fast each of them is. A chunk is a
// multiple of what kernels take at once. Where many tokens use the rows, some chunkMost of them
// take milliseconds. A few tokens use them as fast as they are read, which wants long ranges of
// addresses.
const (
	chunkShare = 2
	chunkRows  = 48
	chunkMost  = 4 * chunkRows
	fewRows    = 16        // in place of chunkRows for a few tokens,
	fewBytes   = 512 << 10 // and in place of chunkMost
	fewTokens  = 2
	mostTokens = 16 // from which on chunkMost counts
	costTokens = 20 // multiplying so many weights takes as long as reading a byte
)

func (j *matMulJob) begin(p *Pass) {
	j.p, j.matMuls, j.chunks, j.work = p, j.matMuls[:0], j.chunks[:0], 0
}

// add enters a product for all tokens.
func (j *matMulJob) add(dst *tensor.Tensor, l *Linear, a *kernels.Activations) {
	j.p.notifyInputs(l, 0, a, 0, a.N)
	j.addRange(matMul{l: l, acts: a, dst: dst, t1: a.N})
}

// addRange enters a product for the tokens t0 ≤ t < t1.
func (j *matMulJob) addRange(t matMul) {
	l, a, t0, t1 := t.l, t.acts, t.t0, t.t1
	if l.w.Cols != a.K {
		panic(fmt.Sprintf("nn: %s takes rows of %d, not %d", l.w.Name, l.w.Cols, a.K))
	}
	if t0 == t1 {
		return
	}
	t.cost = max(l.w.RowBytes()+l.w.Cols*(t1-t0)/costTokens, 1)
	j.matMuls = append(j.matMuls, t)
	j.work += t.cost * l.w.Rows
}

func (j *matMulJob) run() {
	left := j.work
	for i := range j.matMuls {
		t := &j.matMuls[i]
		for r := 0; r < t.l.w.Rows; {
			n := min(t.chunk(left/(chunkShare*j.p.pool.Threads())), t.l.w.Rows-r)
			j.chunks = append(j.chunks, rowRange{i, r, r + n})
			r += n
			left -= n * t.cost
		}
	}
	j.p.pool.Run(j, len(j.chunks))
	if j.p.adapted {
		j.adapt()
	}
}

// adapt lets the adapters of rows add to what the products made of them.
func (j *matMulJob) adapt() {
	if j.p.Aborted() {
		return
	}
	for i := range j.matMuls {
		t := &j.matMuls[i]
		a := t.acts
		for k := t.t0; k < t.t1; k++ {
			row := k - t.t0
			if !t.byHead {
				row = j.p.rowOf(a, k)
			}
			if ad := j.p.batch.Rows[row].Adapter; ad != nil {
				ad.Add(t.l.w.Name, t.expert, a.F[k*a.K:(k+1)*a.K], t.dst.Row(k))
			}
		}
	}
}

// chunk is the number of rows that come to so much work, within bounds.
func (t *matMul) chunk(work int) int {
	tokens, step, most := t.t1-t.t0, chunkRows, chunkMost
	if tokens <= mostTokens {
		most = fewBytes / max(t.l.w.RowBytes(), 1)
	}
	if tokens <= fewTokens {
		step = fewRows
	}
	return max(min(work/t.cost, most)/step, 1) * step
}

// Run computes a chunk.
func (j *matMulJob) Run(chunk, w int) {
	if j.p.interrupted.Load() {
		return
	}
	c := j.chunks[chunk]
	t, r0, r1 := &j.matMuls[c.matMul], c.r0, c.r1
	l := t.l
	size := l.w.RowBytes()
	l.matMul.Mul(t.dst.F[r0:], t.dst.Cols, l.w.Data[r0*size:r1*size], r1-r0, l.w.Cols, t.acts, t.t0, t.t1, &j.p.workers[w].mul)
	if l.scale == 1 && l.bias == nil {
		return
	}
	for row := t.t0; row < t.t1; row++ {
		y := t.dst.Row(row)[r0:r1]
		if l.scale != 1 {
			j.p.isa.Scale(y, l.scale)
		}
		if l.bias != nil {
			j.p.isa.Add(y, l.bias[r0:r1])
		}
	}
}
