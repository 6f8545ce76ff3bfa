package nn

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/tensor"
)

// ErrInterrupted is what End returns for a pass that was interrupted.
var ErrInterrupted = errors.New("nn: pass interrupted")

// errMeasure marks a dry run.
var errMeasure = errors.New("nn: dry run")

// Pass is one forward computation at a time, and the scratch memory it keeps between them. It belongs to one goroutine;
// only Interrupt may be called from others.
type Pass struct {
	pool  *par.Pool
	store *kv.Store
	level *kernels.Level
	arena tensor.Arena

	batch       *Batch
	runs        []run
	outputs     []int // rows that want an output
	layer       int
	x           *tensor.Tensor // the residual stream
	layerMark   tensor.Mark
	err         error
	interrupted atomic.Bool

	// What the verbs reuse from call to call.
	event   Event
	workers []worker
	acts    kernels.Acts // of the last product's input
	slots   kernels.Acts // the same, gathered by expert, and later the experts' inner activations
	angles  []angles
	quant   quantizeJob
	prod    productJob
	rows    rowJob
	att     attendJob
	moe     moeState
}

// worker is what a thread of the pool owns.
type worker struct {
	mul kernels.Scratch
	att kernels.Attention
}

// NewPass returns a pass that works with the pool's threads on the sequences of the store; exact asks for plain Go, as [LinearOptions] does. It is an
// error if GOINFER_CPU names no level.
func NewPass(pool *par.Pool, store *kv.Store, exact bool) (*Pass, error) {
	l, err := level(exact)
	if err != nil {
		return nil, err
	}
	return &Pass{pool: pool, store: store, level: l, workers: make([]worker, pool.Threads())}, nil
}

// Begin starts a pass over the rows of b. b stays untouched until End.
func (p *Pass) Begin(b *Batch) {
	p.batch, p.layer, p.x, p.err = b, -1, nil, nil
	p.arena.Reset()
	p.angles = p.angles[:0]
	p.outputs = p.outputs[:0]
	for i, out := range b.Out {
		if out {
			p.outputs = append(p.outputs, i)
		}
	}
	p.runs, p.err = b.runs(p.runs[:0], p.store)
}

// End finishes the pass: it returns the first fault, or [ErrInterrupted]. Results that came before a fault are meaningless.
func (p *Pass) End() error {
	p.batch, p.x = nil, nil
	if p.err == nil && p.interrupted.Load() {
		return ErrInterrupted
	}
	return p.err
}

// Interrupt makes the running pass give up within a fraction of a layer; it stays in force until Resume. It may be called from any goroutine.
func (p *Pass) Interrupt() { p.interrupted.Store(true) }

// Resume ends the effect of Interrupt.
func (p *Pass) Resume() { p.interrupted.Store(false) }

// Dead reports whether the pass computes no more: after a fault, an interruption, or in a dry run.
func (p *Pass) Dead() bool { return p.err != nil || p.interrupted.Load() }

// Fail records a fault; the first one is kept.
func (p *Pass) Fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// Measure runs forward without computing for a batch of n rows with as many outputs, and returns the bytes of scratch memory that it takes.
func Measure(n int, forward func(*Pass)) int64 {
	b := &Batch{}
	for range n {
		b.Add(0, 0, 0, true, nil)
	}
	p := &Pass{batch: b, layer: -1, err: errMeasure}
	p.arena.Counting = true
	for i := range n {
		p.outputs = append(p.outputs, i)
	}
	forward(p)
	return p.arena.Peak()
}

// Embed returns the embeddings of the tokens, [n_tokens][n_embd]: the residual stream.
func (p *Pass) Embed(e *Embedding) *tensor.Tensor {
	p.x = p.arena.New(p.batch.Len(), e.w.Cols)
	if !p.Dead() {
		for i, id := range p.batch.Tokens {
			if id < 0 || int(id) >= e.w.Rows {
				p.Fail(fmt.Errorf("nn: token %d is outside the vocabulary of %d", id, e.w.Rows))
				return p.x
			}
			quant.Dequantize(e.w.Type, p.x.Row(i), e.w.Row(int(id)))
		}
		p.show(-1, NameEmbd, p.x)
	}
	return p.x
}

// Layer announces layer i: what the verbs returned in the layer before is given up, the residual stream excepted.
func (p *Pass) Layer(i int) {
	if p.layer >= 0 {
		p.show(p.layer, NameLayerOut, p.x)
		p.arena.Rewind(p.layerMark)
	} else {
		p.layerMark = p.arena.Mark()
	}
	p.layer = i
}

// Outputs ends the layers and returns the rows of x that want an output, [n_outputs][n_embd].
func (p *Pass) Outputs(x *tensor.Tensor) *tensor.Tensor {
	if p.layer >= 0 {
		p.show(p.layer, NameLayerOut, x)
		p.arena.Rewind(p.layerMark)
	}
	p.layer = -1
	if len(p.outputs) == x.Rows {
		return x
	}
	out := p.arena.New(len(p.outputs), x.Cols)
	if !p.Dead() {
		for i, row := range p.outputs {
			copy(out.Row(i), x.Row(row))
		}
	}
	return out
}

// Norm returns the root-mean-square norm of every row.
func (p *Pass) Norm(x *tensor.Tensor, n *Norm) *tensor.Tensor {
	y := p.arena.New(x.Rows, x.Cols)
	p.eachRow(rowJob{kind: rowNorm, dst: y, a: x, norm: n})
	p.show(p.layer, n.name, y)
	return y
}

// Add adds y to x.
func (p *Pass) Add(x, y *tensor.Tensor) { p.eachRow(rowJob{kind: rowAdd, dst: x, a: y}) }

// rowJob applies an elementwise function to the rows of a tensor, some rows per chunk.
type rowJob struct {
	p      *Pass
	kind   rowKind
	dst    *tensor.Tensor
	a, b   *tensor.Tensor
	norm   *Norm
	angles *angles
	dim    int
	chunk  int
}

type rowKind uint8

const (
	rowNorm   rowKind = iota // dst = norm(a)
	rowAdd                   // dst += a
	rowSwiGLU                // dst = silu(a)*b
	rowRope                  // dst rotated head by head
)

// rowWork is the number of elements from which an elementwise function is worth another thread.
const rowWork = 1 << 13

func (p *Pass) eachRow(j rowJob) {
	if p.Dead() {
		return
	}
	p.rows = j
	r := &p.rows
	r.p = p
	r.chunk = max(1, rowWork/max(r.dst.Cols, 1))
	chunks := (r.dst.Rows + r.chunk - 1) / r.chunk
	if chunks == 1 {
		r.Run(0, 0)
		return
	}
	p.pool.Run(r, chunks)
}

// Run does the rows of a chunk.
func (r *rowJob) Run(chunk, _ int) {
	if r.p.interrupted.Load() {
		return
	}
	for i := chunk * r.chunk; i < min((chunk+1)*r.chunk, r.dst.Rows); i++ {
		dst := r.dst.Row(i)
		switch r.kind {
		case rowNorm:
			r.p.level.RMSNorm(dst, r.a.Row(i), r.norm.w, r.norm.eps)
		case rowAdd:
			r.p.level.Add(dst, r.a.Row(i))
		case rowSwiGLU:
			r.p.level.SwiGLU(dst, r.a.Row(i), r.b.Row(i))
		case rowRope:
			cos, sin := r.angles.row(i)
			for h := 0; h < len(dst); h += r.dim {
				r.p.level.Rotate(dst[h:h+r.dim], cos, sin)
			}
		}
	}
}
