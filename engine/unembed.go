package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/tensor"
)

// unembedding is a call of Unembed under way.
type unembedding struct {
	ctx  context.Context
	x    *tensor.Tensor // [n_rows][n_embd]
	next int            // the first row that is not done
	f    func(row int, logits []float32) error
	done chan error
}

// Unembed applies the model's final norm and its output matrix to rows of the residual stream, x being [len(x)/width][width], and calls f with the logits of each, in
// order. A row after the last layer gives the logits of its token, bit for bit; one after an earlier layer gives what the model would say if it ended there (the logit lens,
// nostalgebraist 2020). logits is valid during the call, which is on the engine's goroutine.
func (e *Engine) Unembed(ctx context.Context, x []float32, width int, f func(row int, logits []float32) error) error {
	if width < 1 || len(x) == 0 || len(x)%width != 0 {
		return fmt.Errorf("engine: want whole rows of %d numbers, found %d", width, len(x))
	}
	if e.c.Whole {
		return errNoLogits
	}
	u := &unembedding{ctx: ctx, x: &tensor.Tensor{Rows: len(x) / width, Cols: width, F: x}, f: f, done: make(chan error, 1)}
	e.mu.Lock()
	closed := e.closed
	if !closed {
		e.entered = append(e.entered, u)
	}
	e.mu.Unlock()
	if closed {
		return ErrClosed
	}
	e.notify()
	stop := context.AfterFunc(ctx, func() {
		e.pass.Interrupt()
		e.notify()
	})
	defer stop()
	return <-u.done
}

// unembed does some rows of the unembedding that was entered first, and reports whether there was one.
func (e *Engine) unembed() bool {
	if len(e.unembeddings) == 0 {
		return false
	}
	u := e.unembeddings[0]
	err := u.ctx.Err()
	if err != nil {
		err = context.Cause(u.ctx)
	} else if err = e.unembedRows(u); errors.Is(err, nn.ErrInterrupted) {
		return true // they are tried again
	}
	if err != nil || u.next == u.x.Rows {
		u.done <- err
		e.unembeddings = slices.Delete(e.unembeddings, 0, 1)
	}
	return true
}

func (e *Engine) unembedRows(u *unembedding) (err error) {
	defer func() {
		if v := recover(); v != nil { // f is the caller's code
			err = fmt.Errorf("engine: panic: %v\n%s", v, debug.Stack())
		}
	}()
	n := min(u.x.Rows-u.next, e.c.Batch, max(1, scoreBytes/(4*e.c.NVocab)))
	x := &tensor.Tensor{Rows: n, Cols: u.x.Cols, F: u.x.F[u.next*u.x.Cols : (u.next+n)*u.x.Cols]}
	e.pass.Begin(&nn.Batch{})
	logits := e.c.Model.Logits(e.pass, x)
	if err := e.pass.End(); err != nil {
		return err
	}
	for i := range n {
		if err := u.f(u.next+i, logits.Row(i)); err != nil {
			return err
		}
	}
	u.next += n
	return nil
}
