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
var ErrInterrupted = errors.New("pass interrupted")

// RowError is a fault that one row of the batch is to blame for, such as what its hook has chosen.
// The others are computed again without it.
type RowError struct {
	Row int
	Err error
}

func (e *RowError) Error() string { return e.Err.Error() }
func (e *RowError) Unwrap() error { return e.Err }

// errDryRun marks a dry run.
var errDryRun = errors.New("dry run")

// Pass is one forward computation at a time, and the scratch memory it keeps between them. It
// belongs to one goroutine; only Interrupt may be called from others.
type Pass struct {
	pool  *par.Pool
	store *kv.Store
	isa   *kernels.ISA
	arena tensor.Arena

	batch       *Batch
	runs        []run
	outputs     []int // rows that want an output
	hooked      bool  // a row has a hook
	adapted     bool  // a row has an adapter
	layer       int
	x           *tensor.Tensor // the residual stream
	layerMark   tensor.Mark
	err         error
	interrupted atomic.Bool

	// What the verbs reuse from call to call.
	event   Event
	workers []worker
	acts    kernels.Activations // of the last product's input
	// the same, gathered by expert, and later the experts' inner activations
	slots    kernels.Activations
	angles   []angles
	quantJob quantizeJob
	matMul   matMulJob
	rows     rowJob
	ops      rowOps
	att      attendJob
	moe      moeState
	recur    recurJob
	scans    scans
}

// worker is what a thread of the pool owns.
type worker struct {
	mul   kernels.Scratch
	att   kernels.Attention
	recur []float32 // what a recurrence has between its steps
	ones  []float32
}

// NewPass returns a pass that works with the pool's threads on the sequences of the store; exact
// asks for plain Go, as [LinearOptions] does. It is an error if GOINFER_CPU names no level.
func NewPass(pool *par.Pool, store *kv.Store, exact bool) (*Pass, error) {
	l, err := kernelsFor(exact)
	if err != nil {
		return nil, err
	}
	return &Pass{pool: pool, store: store, isa: l, workers: make([]worker, pool.Threads())}, nil
}

// Begin starts a pass over the rows of b. b stays untouched until End.
func (p *Pass) Begin(b *Batch) {
	p.batch, p.layer, p.x, p.err = b, -1, nil, nil
	p.arena.Reset()
	p.angles = p.angles[:0]
	p.outputs = p.outputs[:0]
	p.hooked, p.adapted = false, false
	for i := range b.Rows {
		r := &b.Rows[i]
		if r.Out {
			p.outputs = append(p.outputs, i)
		}
		p.hooked = p.hooked || r.Hook != nil
		p.adapted = p.adapted || r.Adapter != nil
	}
	p.runs, p.err = b.runs(p.runs[:0], p.store)
}

// End finishes the pass: it returns the first fault, or [ErrInterrupted]. Results that came before
// a fault are meaningless.
func (p *Pass) End() error {
	p.batch, p.x = nil, nil
	if p.err == nil && p.interrupted.Load() {
		return ErrInterrupted
	}
	return p.err
}

// Interrupt makes the running pass give up within a fraction of a layer; it stays in force until
// Resume. It may be called from any goroutine.
func (p *Pass) Interrupt() { p.interrupted.Store(true) }

// Resume ends the effect of Interrupt.
func (p *Pass) Resume() { p.interrupted.Store(false) }

// Aborted reports whether the pass computes no more: after a fault, an interruption, or in a dry
// run.
func (p *Pass) Aborted() bool { return p.err != nil || p.interrupted.Load() }

// Fail records a fault; the first one is kept.
func (p *Pass) Fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// DryRun runs forward without computing for a batch of n rows with as many outputs, and returns the
// bytes of scratch memory that it takes.
func DryRun(n int, forward func(*Pass)) int64 {
	b := &Batch{}
	for range n {
		b.Add(Row{Out: true})
	}
	p := &Pass{batch: b, layer: -1, err: errDryRun}
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
	if !p.Aborted() {
		for i := range p.batch.Rows {
			id := p.batch.Rows[i].Token
			if id < 0 || int(id) >= e.w.Rows {
				p.Fail(fmt.Errorf("token %d is outside the vocabulary of %d", id, e.w.Rows))
				return p.x
			}
			quant.Dequantize(e.w.Type, p.x.Row(i), e.w.Row(int(id)))
		}
		p.notify(-1, NameEmbd, p.x)
	}
	return p.x
}

// Stream begins the pass with the residual stream that another pass over the same rows has left
// after some of the layers, [n_tokens][n_embd], in place of Embed.
func (p *Pass) Stream(x []float32) *tensor.Tensor {
	n := p.batch.Len()
	if n == 0 || len(x)%n != 0 {
		panic(fmt.Sprintf("nn: a residual stream of %d numbers for %d rows", len(x), n))
	}
	p.x = p.arena.New(n, len(x)/n)
	if !p.Aborted() {
		copy(p.x.F, x)
	}
	return p.x
}

// Layer announces layer i: what the verbs returned in the layer before is given up, the residual
// stream excepted.
func (p *Pass) Layer(i int) {
	if p.layer >= 0 {
		p.notify(p.layer, NameLayerOut, p.x)
		p.arena.Rewind(p.layerMark)
	} else {
		p.layerMark = p.arena.Mark()
	}
	p.layer = i
}

// Outputs ends the layers and returns the rows of x that want an output, [n_outputs][n_embd].
func (p *Pass) Outputs(x *tensor.Tensor) *tensor.Tensor {
	if p.layer >= 0 {
		p.notify(p.layer, NameLayerOut, x)
		p.arena.Rewind(p.layerMark)
	}
	p.layer = -1
	if len(p.outputs) == x.Rows {
		return x
	}
	out := p.arena.New(len(p.outputs), x.Cols)
	if !p.Aborted() {
		for i, row := range p.outputs {
			copy(out.Row(i), x.Row(row))
		}
	}
	return out
}

// EmbedPositions adds the rows of a table of positions, [n_ctx][n_embd], to the residual stream.
func (p *Pass) EmbedPositions(e *Embedding) {
	y := p.arena.New(p.batch.Len(), e.w.Cols)
	if p.Aborted() {
		return
	}
	for i := range p.batch.Rows {
		pos := p.batch.Rows[i].Pos
		if pos >= e.w.Rows {
			p.Fail(fmt.Errorf("position %d is outside the %d that the model has learnt", pos, e.w.Rows))
			return
		}
		quant.Dequantize(e.w.Type, y.Row(i), e.w.Row(pos))
	}
	p.Add(p.x, y)
}

// EmbedRow adds a row of a table, [n_rows][n_embd], to the residual stream of every token: what
// says, for example, that they belong to the first of two sentences.
func (p *Pass) EmbedRow(e *Embedding, row int) {
	y := p.arena.New(p.batch.Len(), e.w.Cols)
	if p.Aborted() {
		return
	}
	for i := range y.Rows {
		quant.Dequantize(e.w.Type, y.Row(i), e.w.Row(row))
	}
	p.Add(p.x, y)
}
