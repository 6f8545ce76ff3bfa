package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/goinfer/goinfer/engine/scheduler"
	"github.com/goinfer/goinfer/internal/fault"
)

// Unembed applies the model's final norm and its output matrix to rows of the residual stream, x
// being [len(x)/width][width], and calls f with the logits of each, in order. A row after the last
// layer gives the logits of its token, bit for bit; one after an earlier layer gives what the model
// would predict if it ended there (the logit lens, nostalgebraist 2020). logits is valid during the
// call, which is on the engine's goroutine.
func (e *Engine) Unembed(ctx context.Context, x []float32, width int, f func(row int, logits []float32) error) error {
	if width < 1 || len(x) == 0 || len(x)%width != 0 {
		return fault.Argument("x", fmt.Sprintf("whole rows of %d numbers", width), len(x))
	}
	if e.c.Encoder {
		return errNoLogits
	}
	u := &unembedding{alone: alone{task{ctx: ctx}}, e: e, x: slices.Clone(x), width: width, f: f, done: make(chan error, 1)}
	if err := e.submit(u, 0); err != nil {
		return err
	}
	return e.await(u, u.done)
}

// unembedding is rows that go through the head alone.
type unembedding struct {
	alone
	e     *Engine
	x     []float32 // [rows][width]
	width int
	next  int // the first row that is not done
	rows  int // in the round
	f     func(row int, logits []float32) error
	done  chan error
}

// Rows are those that are left.
func (u *unembedding) Rows() scheduler.Rows {
	if u.cancelled() || u.fault != nil {
		return scheduler.Rows{}
	}
	return scheduler.Rows{Min: 1, Max: min(len(u.x)/u.width-u.next, u.e.scoredRows())}
}

func (u *unembedding) addRows(r *round, n int) {
	if u.rows = n; len(r.headRows) > 0 && r.width != u.width {
		u.rows = 0 // waits for the next round: these rows are of another width
		return
	}
	r.headRows = append(r.headRows, u.x[u.next*u.width:(u.next+n)*u.width]...)
	r.width = u.width
}

func (u *unembedding) take(r *round) {
	for range u.rows {
		if err := u.f(u.next, r.logits.Row(r.next())); err != nil {
			u.fail(err)
			return
		}
		if u.next++; u.cancelled() {
			return
		}
	}
	if u.next*u.width == len(u.x) {
		u.end(StopLength)
	}
}

func (u *unembedding) finish(why Stop, err error) { u.done <- u.task.result(why, err) }
