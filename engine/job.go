package engine

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/goinfer/goinfer/engine/scheduler"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/tensor"
)

// job is work of one kind: the scheduler's view of it, and what the engine asks of it. Each kind
// has a file: generate, score, embed, unembed, state. A further kind, such as an encoder whose
// states a decoder reads, or a draft model whose cache is one more layer of the same sequence, is
// one more.
type job interface {
	scheduler.Job
	// base is what all kinds have.
	base() *task
	// addRows puts the rows that were granted and reserved into the round.
	addRows(r *round, n int)
	// take uses what the round has made of its rows. It runs code of the caller's. After an error
	// it may not have been called; then nothing of the round counts.
	take(r *round)
	// report gives news of its progress before a round. It runs code of the caller's.
	report()
	// finish ends the job with a reason, and an error where it failed. It is called once, last.
	finish(why Stop, err error)
}

// task is what all kinds of jobs have.
type task struct {
	ctx   context.Context
	left  atomic.Bool // its caller has left
	fault error       // what it is to be ended with
	stop  Stop        // why it is to be ended without a fault
	ended bool
	began time.Time
}

// fail makes the engine end the job with an error. The first one counts.
func (t *task) fail(err error) {
	if t.fault == nil {
		t.fault = err
	}
}

// end makes the engine end the job.
func (t *task) end(why Stop) { t.stop = why }

// cancelled reports whether nobody waits for it any more.
func (t *task) cancelled() bool { return t.left.Load() || t.ctx.Err() != nil }

// result is the error of a job that has ended.
func (t *task) result(why Stop, err error) error {
	if err == nil && why == StopCancelled {
		return fault.Cancelled(t.ctx)
	}
	return err
}

func (t *task) base() *task { return t }
func (t *task) report()     {}

// alone is what jobs without a sequence answer to the scheduler.
type alone struct{ task }

func (*alone) Open()             {}
func (*alone) Cost() int64       { return 0 }
func (*alone) Reserve(int) bool  { return true }
func (*alone) Release()          {}
func (*alone) Holds() bool       { return false }
func (*alone) Preemptible() bool { return true }

// round is one batch: the rows of jobs, and what the model makes of them.
type round struct {
	parts      []part
	outputs    int // rows of the batch that want an output
	wantHidden bool
	wantLogits bool
	// headRows are rows of the residual stream that go through the head alone, [n][width].
	headRows []float32
	width    int

	output int            // the output that next returns
	hidden *tensor.Tensor // [outputs][n_embd], if somebody wants them
	logits *tensor.Tensor // [outputs][n_vocab], likewise
}

// part is the share of a job in a round.
type part struct {
	job     job
	batched bool // its rows are in the batch, and else among the plain ones
	row     int  // the first of them
	rows    int
	output  int // the first of its outputs
}

// in reports whether the part has rows in the batch, or plain ones.
func (p *part) in(batched bool) bool { return p.rows > 0 && p.batched == batched }

func (r *round) reset() {
	clear(r.parts)
	*r = round{parts: r.parts[:0], headRows: r.headRows[:0]}
}

// numHeadRows is the number of rows that go through the head alone.
func (r *round) numHeadRows() int { return len(r.headRows) / max(1, r.width) }

// next is the number of the job's next output.
func (r *round) next() int {
	r.output++
	return r.output - 1
}

// grace is how long a caller whose context is done waits for the engine to notice. A pass gives up
// within a fraction of a layer; only code of another caller's takes longer.
const grace = 100 * time.Millisecond

// await waits for a job without a stream of results.
func (e *Engine) await(j job, done <-chan error) error {
	t := j.base()
	ctx := t.ctx
	stop := context.AfterFunc(ctx, func() { e.cancel(t) })
	defer stop()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(grace):
		return fault.Cancelled(ctx)
	}
}
