package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/sample"
	"github.com/goinfer/goinfer/tensor"
	"github.com/goinfer/goinfer/tokenizer"
)

// Config is what an engine runs, and with what.
type Config struct {
	Model model.Model
	Vocab *tokenizer.Tokenizer // nil where only ids are wanted: pieces then have no bytes and end-of-generation is unknown
	Pool  *par.Pool

	NVocab int // rows of logits
	// Whole computes every prompt in one batch and keeps nothing of it: the model sees it both ways, and makes hidden states alone.
	Whole bool
	NCtx  int     // positions a request may use
	KType kv.Type // of cached keys
	VType kv.Type // of cached values
	// Exact computes in plain Go; the weights of Model have been bound likewise.
	Exact bool
	// CacheBytes bounds the cache; 0 means no bound.
	CacheBytes int64
	// Batch is the largest number of rows computed at once; 0 means DefaultBatch.
	Batch int
	// Retain is the number of ended requests whose cache is kept for requests that begin alike; 0 means DefaultRetain, less than 0 none.
	Retain int
}

// Defaults of Config.
const (
	DefaultBatch  = 512
	DefaultRetain = 4
)

// scoreBytes bounds the logits of a batch of a request that wants all of them.
const scoreBytes = 64 << 20

// Engine owns a cache and runs a model for many requests.
type Engine struct {
	c     Config
	store *kv.Store
	pass  *nn.Pass

	mu      sync.Mutex
	waiting []*request     // entered, not yet taken up
	entered []*unembedding // likewise
	closed  bool
	wake    chan struct{}
	done    chan struct{}

	// Owned by the goroutine of run.
	active   []*request
	retained []retained
	batch    nn.Batch
	inBatch  []*request
	turn     int // where the next batch begins among the active

	unembeddings []*unembedding
}

// retained is the cache of an ended request.
type retained struct {
	seq    kv.Seq
	tokens []int32
}

// New starts an engine. Its pool stays the caller's.
func New(c Config) (*Engine, error) {
	if c.Batch == 0 {
		c.Batch = DefaultBatch
	}
	if c.Retain == 0 {
		c.Retain = DefaultRetain
	}
	if c.Batch < 1 || c.NCtx < 1 || c.NVocab < 1 {
		return nil, fmt.Errorf("engine: want a batch, a context and a vocabulary of at least 1, found %d, %d, %d", c.Batch, c.NCtx, c.NVocab)
	}
	c.Batch = min(c.Batch, c.NCtx)
	store, err := kv.New(kv.Config{Layers: c.Model.State(), KType: c.KType, VType: c.VType, MaxBytes: c.CacheBytes})
	if err != nil {
		return nil, err
	}
	pass, err := nn.NewPass(c.Pool, store, c.Exact)
	if err != nil {
		return nil, err
	}
	e := &Engine{c: c, store: store, pass: pass, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go e.run()
	return e, nil
}

// Close ends all requests with [ErrClosed] and waits for the goroutine. It may be called more than once.
func (e *Engine) Close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.pass.Interrupt()
	e.notify()
	<-e.done
}

// Generate enters a request and yields its pieces. The last piece has Stop set; after an error nothing follows. Leaving the loop cancels the request.
func (e *Engine) Generate(ctx context.Context, q Request) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		r, err := e.submit(ctx, q)
		if err != nil {
			yield(Piece{}, err)
			return
		}
		stop := e.cancelOn(ctx, r)
		defer stop()
		ended := false
		defer func() {
			if !ended { // the loop was left, be it by a panic
				e.cancel(r)
				for range r.out {
					e.notify()
				}
			}
		}()
		for p := range r.out {
			e.notify() // there is room again
			if !yield(p, nil) {
				return
			}
			if ctx.Err() != nil { // perhaps by the body of the loop, after which no token shall be computed, however late cancelOn runs
				r.cancelled.Store(true)
			}
		}
		if ended = true; r.err != nil {
			yield(Piece{}, r.err)
		}
	}
}

func (e *Engine) submit(ctx context.Context, q Request) (*request, error) {
	if err := q.validate(e.c); err != nil {
		return nil, err
	}
	r := &request{Request: q, ctx: e.c.NCtx, out: make(chan Piece, pieces), tokens: slices.Clone(q.Prompt), reported: -1, began: time.Now()}
	if r.Sampler == nil {
		s, err := sample.New(sample.Params{}, nil)
		if err != nil {
			return nil, err
		}
		r.Sampler = s
	}
	for _, id := range r.Prompt {
		r.Sampler.Accept(id)
	}
	if e.c.Vocab != nil {
		r.stream = e.c.Vocab.NewStream(tokenizer.StreamConfig{Special: r.Special})
	}
	if ctx.Err() != nil {
		r.cancelled.Store(true)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrClosed
	}
	e.waiting = append(e.waiting, r)
	e.notify()
	return r, nil
}

func (e *Engine) cancel(r *request) {
	r.cancelled.Store(true)
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

// run is the engine's goroutine.
func (e *Engine) run() {
	defer close(e.done)
	for {
		// Resume comes before the look at the flags: an interruption from here on is either seen there or stops the pass.
		e.pass.Resume()
		e.mu.Lock()
		closed := e.closed
		e.active = append(e.active, e.waiting...)
		e.waiting = e.waiting[:0]
		e.unembeddings = append(e.unembeddings, e.entered...)
		e.entered = e.entered[:0]
		e.mu.Unlock()
		if closed {
			for _, r := range slices.Clone(e.active) {
				e.fail(r, ErrClosed)
			}
			for _, u := range e.unembeddings {
				u.done <- ErrClosed
			}
			for len(e.retained) > 0 {
				e.forget()
			}
			return
		}
		e.sweep()
		unembedded := e.unembed()
		if !e.step() && !unembedded {
			<-e.wake
		}
	}
}

// sweep ends the requests that were cancelled or are at fault.
func (e *Engine) sweep() {
	for i := len(e.active) - 1; i >= 0; i-- {
		switch r := e.active[i]; {
		case r.fault != nil:
			e.fail(r, r.fault)
		case r.cancelled.Load() && r.ready():
			e.finish(r, StopCancelled, -1)
		}
	}
}

// step runs one batch and reports whether there was anything to do.
func (e *Engine) step() bool {
	e.fill()
	if e.batch.Len() == 0 {
		return len(e.active) > 0 && e.unblock()
	}
	err := e.forward()
	switch {
	case errors.Is(err, nn.ErrInterrupted):
	case err != nil:
		for _, r := range slices.Clone(e.inBatch) {
			e.fail(r, err)
		}
	}
	return true
}

// fill makes the next batch: generating requests first, prompts as far as there is room. It begins with another request every time, so that none
// starves.
func (e *Engine) fill() {
	e.batch.Reset()
	e.inBatch = e.inBatch[:0]
	e.turn++
	for _, prompts := range [...]bool{false, true} {
		for i := range e.active {
			r := e.active[(i+e.turn)%len(e.active)]
			if r.generating() == prompts || !r.ready() || r.cancelled.Load() {
				continue
			}
			e.enter(r)
		}
	}
}

// enter puts rows of r into the batch, if there is room for some and the cache has the pages.
func (e *Engine) enter(r *request) {
	room := e.c.Batch - e.batch.Len()
	if e.c.Whole && room < len(r.tokens) {
		return
	}
	if r.Logits != nil {
		room = min(room, max(1, scoreBytes/(4*e.c.NVocab)))
	}
	if room <= 0 {
		return
	}
	if !r.opened {
		e.open(r)
	}
	done := e.store.Len(r.seq)
	n := min(room, len(r.tokens)-done)
	for {
		err := e.store.Reserve(r.seq, n)
		if err == nil {
			break
		}
		if !errors.Is(err, kv.ErrFull) {
			r.fault = err // sweep ends it
			e.notify()
			return
		}
		if len(e.retained) == 0 {
			return // another round may find pages; unblock sees to it that there is one
		}
		e.forget()
	}
	r.rows = n
	e.mark(r, done, done+n)
	for i := range n {
		pos := done + i
		last := pos == len(r.tokens)-1
		out := r.eachRow() && !r.generating() && pos >= r.LogitsFrom || last && (r.MaxTokens != 0)
		e.batch.Add(r.tokens[pos], pos, r.seq, out, r.Hook)
	}
	e.inBatch = append(e.inBatch, r)
}

// markStep is the grid of lengths that a prompt can be shared at where the model does not remember every position.
const markStep = 256

// mark has the cache remember lengths of a prompt that later requests may share it at: those of the grid, and the last one, from which the same prompt is answered again.
func (e *Engine) mark(r *request, from, to int) {
	if r.Hook != nil || r.generating() {
		return
	}
	for at := (from/markStep + 1) * markStep; at <= to; at += markStep {
		e.store.Mark(r.seq, at)
	}
	if last := len(r.Prompt) - 1; from < last && last <= to {
		e.store.Mark(r.seq, last)
	}
}

// unblock is called when no active request could enter a batch. Requests whose readers are slow are left to wait; if one waits for cache memory, the
// youngest such request gives way.
func (e *Engine) unblock() bool {
	var victim *request
	for _, r := range e.active {
		if r.ready() && !r.cancelled.Load() {
			victim = r
		}
	}
	if victim == nil {
		return false
	}
	e.fail(victim, fmt.Errorf("engine: %d of %d tokens evaluated: %w (%d bytes)", e.held(victim), len(victim.tokens), ErrCacheFull, e.c.CacheBytes))
	return true
}

func (e *Engine) held(r *request) int {
	if !r.opened {
		return 0
	}
	return e.store.Len(r.seq)
}

// open gives r a sequence: a fork of what reaches furthest into its prompt among the active and the retained, or an empty one. The last prompt token is always computed,
// for its logits.
func (e *Engine) open(r *request) {
	best, from := 0, kv.Seq(0)
	if r.Hook == nil && !r.eachRow() && !e.c.Whole {
		for _, o := range e.active {
			if o.opened && o.Hook == nil {
				if n := e.shared(r, o.seq, o.tokens); n > best {
					best, from = n, o.seq
				}
			}
		}
		for _, o := range e.retained {
			if n := e.shared(r, o.seq, o.tokens); n > best {
				best, from = n, o.seq
			}
		}
	}
	if best > 0 {
		r.seq = e.store.Fork(from, best)
	} else {
		r.seq = e.store.Open()
	}
	r.opened, r.usage.Cached = true, best
}

// shared is how many positions of a sequence r can begin with.
func (e *Engine) shared(r *request, seq kv.Seq, tokens []int32) int {
	return e.store.Reach(seq, min(common(r.Prompt, tokens[:e.store.Len(seq)]), len(r.Prompt)-1))
}

// common is the length of the common prefix.
func common(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// forward computes the batch and hands out what it yields.
func (e *Engine) forward() (err error) {
	defer func() {
		// Hooks and callbacks are the caller's code, and a bug there must not take the process down with all other requests.
		if v := recover(); v != nil {
			err = fmt.Errorf("engine: panic: %v\n%s", v, debug.Stack())
		}
	}()
	for _, r := range e.inBatch {
		r.report(e.store.Len(r.seq))
	}
	e.pass.Begin(&e.batch)
	x := e.c.Model.Forward(e.pass)
	var hidden, logits *tensor.Tensor
	if slices.ContainsFunc(e.inBatch, func(r *request) bool { return r.Hidden != nil }) {
		hidden = e.c.Model.Hidden(e.pass, x)
	}
	if slices.ContainsFunc(e.inBatch, func(r *request) bool { return r.Logits != nil || r.MaxTokens != 0 }) {
		logits = e.c.Model.Logits(e.pass, x)
	}
	if err := e.pass.End(); err != nil {
		return err
	}
	row, out := 0, 0
	for _, r := range e.inBatch {
		e.store.Commit(r.seq, r.rows)
		first := out
		for i := row; i < row+r.rows; i++ {
			if e.batch.Out[i] {
				out++
			}
		}
		row += r.rows
		e.advance(r, hidden, logits, first, out)
	}
	return nil
}

// advance takes the rows [first, out) of r and yields what follows from them.
func (e *Engine) advance(r *request, hidden, logits *tensor.Tensor, first, out int) {
	at := e.store.Len(r.seq)
	if !r.generating() {
		for i := first; i < out && r.eachRow(); i++ {
			if err := r.show(at-(out-i), i, hidden, logits); err != nil {
				e.fail(r, err)
				return
			}
		}
		r.report(at)
		if at < len(r.Prompt) {
			return
		}
		r.prompts = time.Now()
		r.usage.Prompt = len(r.Prompt)
		r.usage.PromptTime = r.prompts.Sub(r.began)
		if r.MaxTokens == 0 {
			e.finish(r, StopLength, -1)
			return
		}
	}
	e.emit(r, logits.Row(out-1))
}

// emit samples the next token of r and yields its piece.
func (e *Engine) emit(r *request, logits []float32) {
	var id int32
	if r.Pick != nil {
		if id = r.Pick(logits, len(r.tokens)); id < 0 || int(id) >= e.c.NVocab {
			e.fail(r, fmt.Errorf("engine: Pick chose token %d, the vocabulary has %d", id, e.c.NVocab))
			return
		}
	} else if id = r.Sampler.Sample(logits, len(r.tokens)); id < 0 {
		e.fail(r, errors.New("engine: no token has a finite logit"))
		return
	}
	if !r.IgnoreEOG && e.c.Vocab != nil && e.c.Vocab.IsEOG(id) {
		e.finish(r, StopEOG, id)
		return
	}
	r.Sampler.Accept(id)
	r.tokens = append(r.tokens, id)
	r.usage.Generated++
	r.nextBuf = (r.nextBuf + 1) % len(r.buffers)
	p := Piece{ID: id}
	if r.LogProb || r.Top > 0 {
		p.LogProb = sample.LogProb(logits, id)
	}
	if r.Top > 0 {
		b := &r.buffers[r.nextBuf]
		b.top = sample.TopLogProbs(b.top[:0], logits, r.Top)
		p.Top = b.top
	}
	if r.stream != nil {
		r.pending = append(r.pending, r.stream.Push(id)...)
	}
	if at := r.stopAt(); at >= 0 {
		p.Bytes = r.text(at)
		r.pending = r.pending[:0]
		r.stream = nil
		r.yield(p)
		e.finish(r, StopString, -1)
		return
	}
	p.Bytes = r.text(len(r.pending) - r.held())
	r.yield(p)
	switch {
	case r.MaxTokens > 0 && r.usage.Generated >= r.MaxTokens:
		e.finish(r, StopLength, -1)
	case len(r.tokens) >= r.ctx:
		e.finish(r, StopContext, -1)
	}
}

// finish yields the last piece of r, with what text was held back, and keeps its cache for others.
func (e *Engine) finish(r *request, why Stop, id int32) {
	if r.stream != nil {
		r.pending = append(r.pending, r.stream.Flush()...)
	}
	r.nextBuf = (r.nextBuf + 1) % len(r.buffers)
	u := r.usage
	if r.prompts.IsZero() {
		u.PromptTime = time.Since(r.began)
		u.Prompt = e.held(r)
	} else {
		u.GenerateTime = time.Since(r.prompts)
	}
	r.yield(Piece{ID: id, Bytes: r.text(len(r.pending)), Stop: why, Usage: u})
	e.end(r, true)
}

func (e *Engine) fail(r *request, err error) {
	if !r.ended {
		r.err = err
		e.end(r, false)
	}
}

// end takes r off the active, once.
func (e *Engine) end(r *request, keep bool) {
	if r.ended {
		return
	}
	r.ended = true
	e.active = slices.DeleteFunc(e.active, func(o *request) bool { return o == r })
	if r.opened {
		if keep && !e.c.Whole && r.Hook == nil && e.c.Retain > 0 && e.store.Len(r.seq) > 0 {
			if len(e.retained) >= e.c.Retain {
				e.forget()
			}
			e.retained = append(e.retained, retained{r.seq, r.tokens[:e.store.Len(r.seq)]})
		} else {
			e.store.Drop(r.seq)
		}
	}
	close(r.out)
}

// forget drops the cache of the request that ended first.
func (e *Engine) forget() {
	e.store.Drop(e.retained[0].seq)
	e.retained = slices.Delete(e.retained, 0, 1)
}
