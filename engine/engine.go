package engine

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goinfer/goinfer/engine/prefix"
	"github.com/goinfer/goinfer/engine/scheduler"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/tensor"
	"github.com/goinfer/goinfer/tokenizer"
)

// Config is what an engine runs, and with what.
type Config struct {
	Model model.Model
	// Vocab is nil where only ids are wanted: pieces then have no bytes, and end-of-generation is
	// unknown.
	Vocab *tokenizer.Tokenizer
	Pool  *par.Pool

	NVocab int // rows of logits
	// Encoder models read a text as a whole: every prompt is computed in one batch and nothing of
	// it is kept. They make hidden states alone.
	Encoder bool
	Pooling model.Pooling // default of embeddings
	NCtx    int           // positions a request may use
	KType   kv.Type       // format of cached keys
	VType   kv.Type       // format of cached values
	// Exact computes in plain Go; the weights of Model have been bound likewise.
	Exact bool
	// CacheBytes bounds the cache; 0 means no bound.
	CacheBytes int64
	// Batch is the largest number of rows computed at once; 0 means DefaultBatch.
	Batch int
	// Retain bounds what the prefix cache keeps of requests that have ended, in contexts:
	// Retain·NCtx positions. 0 means DefaultRetain, less than 0 nothing.
	Retain int
	// Running is how many requests are computed at once; 0 means as many as a batch has rows.
	Running int
	// Waiting is how many further requests may wait; beyond them ErrBusy is returned. 0 means
	// DefaultWaiting.
	Waiting int
	// Identity names the model and the options that its bits depend on; saved states are of it. nil
	// is for engines that save none.
	Identity func() string
}

// Defaults of Config.
const (
	DefaultBatch   = 512
	DefaultRetain  = 4
	DefaultWaiting = 1024
)

// complete fills in the defaults.
func (c *Config) complete() error {
	if c.Batch == 0 {
		c.Batch = DefaultBatch
	}
	if c.Retain == 0 {
		c.Retain = DefaultRetain
	}
	if c.Waiting == 0 {
		c.Waiting = DefaultWaiting
	}
	if c.Batch < 1 || c.NCtx < 1 || c.NVocab < 1 || c.Running < 0 || c.Waiting < 0 {
		return fmt.Errorf("want a batch, a context and a vocabulary of at least 1, and no less than 0 requests, found %d, %d, %d, %d and %d",
			c.Batch, c.NCtx, c.NVocab, c.Running, c.Waiting)
	}
	c.Batch = min(c.Batch, c.NCtx)
	if c.Running == 0 {
		c.Running = c.Batch
	}
	return nil
}

// Engine owns a cache and runs a model for many requests.
type Engine struct {
	c     Config
	store *kv.Store
	pass  *nn.Pass
	sched *scheduler.Scheduler[job]
	calls callbacks
	tally tally

	closed atomic.Bool
	enter  sync.RWMutex // held while a job is entered, and while the engine closes
	wake   chan struct{}
	done   chan struct{}

	// Owned by the goroutine of run.
	prefix *prefix.Cache
	batch  nn.Batch
	round  round
}

// New starts an engine. Its pool stays the caller's.
func New(c Config) (*Engine, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	store, err := kv.New(kv.Config{Layers: c.Model.State(), KType: c.KType, VType: c.VType, MaxBytes: c.CacheBytes})
	if err != nil {
		return nil, err
	}
	pass, err := nn.NewPass(c.Pool, store, c.Exact)
	if err != nil {
		return nil, err
	}
	e := &Engine{c: c, store: store, pass: pass, wake: make(chan struct{}, 1), done: make(chan struct{})}
	e.prefix = prefix.New(store, max(0, c.Retain)*c.NCtx)
	e.sched = scheduler.New[job](scheduler.Config{
		Running: c.Running, Waiting: c.Waiting, Room: store.Room, Reclaim: e.prefix.Evict,
	})
	go e.run()
	return e, nil
}

// Close ends all requests with [ErrClosed] and waits for the engine's goroutine. It may be called
// more than once, but not by a callback ([ErrReentrant]).
func (e *Engine) Close() error {
	if e.calls.reentrant() {
		return ErrReentrant
	}
	e.enter.Lock()
	e.closed.Store(true)
	e.enter.Unlock()
	e.pass.Interrupt()
	e.notify()
	<-e.done
	return nil
}

// submit enters a job.
func (e *Engine) submit(j job, priority int) error {
	if e.calls.reentrant() {
		return ErrReentrant
	}
	j.base().began = time.Now()
	e.enter.RLock()
	defer e.enter.RUnlock()
	if e.closed.Load() {
		return ErrClosed
	}
	if err := e.sched.Add(j, priority); err != nil {
		return err
	}
	e.notify()
	return nil
}

// cancel ends a job as soon as the engine can.
func (e *Engine) cancel(t *task) {
	t.left.Store(true)
	e.pass.Interrupt()
	e.notify()
}

// notify wakes the engine's goroutine if it sleeps.
func (e *Engine) notify() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// run is the engine's goroutine. If code of a caller's ends it, another one goes on.
func (e *Engine) run() {
	closed := false
	defer func() {
		if !closed {
			go e.run()
		}
	}()
	debug.SetPanicOnFault(true) // mapped weights may be gone: see fault.Map
	e.calls.goroutine.Store(goroutineID())
	for {
		// Resume comes before the look at the flags: an interruption from here on is either seen
		// there or stops the pass.
		e.pass.Resume()
		if e.closed.Load() {
			e.shut()
			closed = true
			close(e.done)
			return
		}
		e.reap()
		if !e.step() && !e.reap() {
			<-e.wake
		}
	}
}

// shut ends everything.
func (e *Engine) shut() {
	e.sched.Take()
	e.sched.Each(func(j job) { e.end(j, "", ErrClosed) })
	e.prefix.Clear()
}

// reap ends the jobs that are at fault, done, or cancelled, and reports whether there were any.
func (e *Engine) reap() (some bool) {
	e.sched.Take()
	e.sched.Each(func(j job) {
		switch t := j.base(); {
		case t.fault != nil:
			e.end(j, "", t.fault)
		case t.stop != "":
			e.end(j, t.stop, nil)
		case t.cancelled():
			e.end(j, StopCancelled, nil)
		default:
			return
		}
		some = true
	})
	return some
}

// end takes a job out, once.
func (e *Engine) end(j job, why Stop, err error) {
	t := j.base()
	if t.ended {
		return
	}
	t.ended = true
	e.sched.Remove(j)
	j.finish(why, err)
	e.tally.ended(err)
}

// step computes one batch and reports whether to go on at once.
func (e *Engine) step() bool {
	grants := e.sched.Plan(e.c.Batch)
	if len(grants) == 0 {
		j, ok := e.sched.Starved()
		if ok {
			j.base().fail(fmt.Errorf("%w: %d bytes are not enough for the request", ErrCacheFull, e.c.CacheBytes))
		}
		return ok
	}
	e.buildBatch(grants)
	if len(e.round.headRows) > 0 {
		e.compute(e.unembed, false)
	}
	if e.batch.Len() > 0 {
		e.compute(e.forward, true)
	}
	e.observe()
	return true
}

// buildBatch makes the batch of what was granted.
func (e *Engine) buildBatch(grants []scheduler.Grant[job]) {
	e.round.reset()
	e.batch.Reset()
	for _, g := range grants {
		if e.announce(g.Job); g.Job.base().fault != nil {
			continue
		}
		row, plain := e.batch.Len(), e.round.numHeadRows()
		p := part{job: g.Job, batched: true, row: row, output: e.round.outputs}
		g.Job.addRows(&e.round, g.Rows)
		if p.rows = e.batch.Len() - row; p.rows == 0 {
			p = part{job: g.Job, row: plain, rows: e.round.numHeadRows() - plain, output: plain}
		}
		for _, r := range e.batch.Rows[row:] {
			if r.Out {
				e.round.outputs++
			}
		}
		e.round.parts = append(e.round.parts, p)
	}
}

// compute runs a pass and gives the jobs that have rows in it what it has made of them.
func (e *Engine) compute(pass func() error, batched bool) {
	switch err := pass(); {
	case errors.Is(err, nn.ErrInterrupted): // it is run again, without the job that was cancelled
	case err != nil:
		e.blame(err, batched)
	default:
		for _, p := range e.round.parts {
			if t := p.job.base(); p.in(batched) && t.fault == nil && !t.cancelled() {
				e.round.output = p.output
				e.deliver(p.job)
			}
		}
	}
}

// announce lets a job report its progress.
func (e *Engine) announce(j job) {
	e.calls.enter(j.base())
	defer e.calls.leave()
	j.report()
	e.calls.returned = true
}

// deliver gives a job what the round has made of its rows.
func (e *Engine) deliver(j job) {
	e.calls.enter(j.base())
	defer e.calls.leave()
	j.take(&e.round)
	e.calls.returned = true
}

// forward takes the batch through the model.
func (e *Engine) forward() (err error) {
	defer e.recover(&err)
	r := &e.round
	e.pass.Begin(&e.batch)
	x := model.Forward(e.c.Model, e.pass)
	if r.wantHidden {
		r.hidden = e.c.Model.Hidden(e.pass, x)
	}
	if r.wantLogits {
		r.logits = e.c.Model.Logits(e.pass, x)
	}
	return e.pass.End()
}

// unembed takes plain rows through the head.
func (e *Engine) unembed() (err error) {
	defer e.recover(&err)
	r := &e.round
	e.pass.Begin(&nn.Batch{})
	x := &tensor.Tensor{Rows: len(r.headRows) / r.width, Cols: r.width, F: r.headRows}
	r.logits = e.c.Model.Logits(e.pass, x)
	return e.pass.End()
}

// recover makes an error of a bug in a pass, which must not take the process down.
func (e *Engine) recover(err *error) {
	if v := recover(); v != nil {
		*err = fault.Caught(v)
	}
}

// blame ends the job whose row a failed pass reports to be at fault, or, if it reports none, all
// jobs in it.
func (e *Engine) blame(err error, batched bool) {
	var at *nn.RowError
	found := errors.As(err, &at)
	for _, p := range e.round.parts {
		if p.in(batched) && (!found || at.Row >= p.row && at.Row < p.row+p.rows) {
			p.job.base().fail(err)
		}
	}
}

// longest finds the sequence that can be reused furthest into tokens, and how far.
func (e *Engine) longest(key string, tokens []int32) (kv.Seq, int) {
	seq, n := e.prefix.Lookup(key, tokens)
	e.sched.Each(func(j job) {
		o, ok := j.(interface{ shared() *sequence })
		if !ok {
			return
		}
		if s := o.shared(); s.open && !s.private && !s.encoder && s.key == key {
			common := prefix.Common(tokens, s.tokens[:s.evaluated()])
			if common > n {
				if m := e.store.ReusableLen(s.seq, common); m > n {
					seq, n = s.seq, m
				}
			}
		}
	})
	return seq, n
}
