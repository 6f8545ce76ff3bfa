package engine

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/nn"
)

// callbacks watches over code of the caller's that runs on the engine's goroutine: Hooks, adapters,
// samplers' stages, functions of requests. It may panic or end the goroutine, which shall cost the
// request that it belongs to and no other, and it may call the engine, which would wait for itself.
type callbacks struct {
	goroutine atomic.Uint64 // number of the engine's goroutine
	running   *task         // whose code runs now, or nil
	inside    atomic.Bool   // some code runs now
	returned  bool          // it has returned
}

// enter notes that code of t's begins. It is followed by a deferred leave.
func (c *callbacks) enter(t *task) {
	c.running, c.returned = t, false
	c.inside.Store(true)
}

// leave is deferred around code of the caller's; c.returned says that it came to its end. A panic
// stops here. An end of the goroutine cannot be stopped: Engine.run goes on in another one.
func (c *callbacks) leave() {
	t := c.running
	c.running = nil
	c.inside.Store(false)
	if c.returned {
		return
	}
	if v := recover(); v != nil {
		t.fail(fmt.Errorf("%w: %w", ErrCallback, fault.Caught(v)))
	} else {
		t.fail(errExit)
	}
}

// reentrant reports whether it is called by code that the engine waits for. A callback that has
// another goroutine call the engine, and waits for it, is not found out.
func (c *callbacks) reentrant() bool {
	return c.inside.Load() && goroutineID() == c.goroutine.Load()
}

// goroutineID is the number of the calling goroutine, which Go gives out in stack traces alone. It
// takes a microsecond and is asked for only while a callback runs.
func goroutineID() uint64 {
	var buf [64]byte
	b := bytes.TrimPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	n, _ := strconv.ParseUint(string(b[:max(0, bytes.IndexByte(b, ' '))]), 10, 64)
	return n
}

// guard is a Hook whose faults cost its own request alone: after one it sees and does nothing more.
type guard struct {
	e    *Engine
	t    *task
	hook nn.Hook
}

// guarded wraps a request's hook.
func (e *Engine) guarded(t *task, h nn.Hook) nn.Hook {
	g := &guard{e: e, t: t, hook: h}
	if in, ok := h.(nn.InputHook); ok {
		return &inputGuard{g, in}
	}
	return g
}

// Wants asks the hook, until it has failed.
func (g *guard) Wants(layer int, name string) (wants bool) {
	if g.t.fault != nil {
		return false
	}
	g.e.calls.enter(g.t)
	defer g.e.calls.leave()
	wants = g.hook.Wants(layer, name)
	g.e.calls.returned = true
	return wants
}

// Observe calls the hook.
func (g *guard) Observe(ev *nn.Event) {
	g.e.calls.enter(g.t)
	defer g.e.calls.leave()
	g.hook.Observe(ev)
	g.e.calls.returned = true
}

// ExpertsUsed asks a hook that knows the answer.
func (g *guard) ExpertsUsed(layer, used, total int) (n int) {
	n = used
	h, ok := g.hook.(nn.RoutingHook)
	if !ok || g.t.fault != nil {
		return n
	}
	g.e.calls.enter(g.t)
	defer g.e.calls.leave()
	n = h.ExpertsUsed(layer, used, total)
	g.e.calls.returned = true
	return n
}

// inputGuard is a guard of an InputHook.
type inputGuard struct {
	*guard
	in nn.InputHook
}

// ObserveInput calls the hook, until it has failed.
func (g *inputGuard) ObserveInput(weight string, expert int, x []float32) {
	if g.t.fault != nil {
		return
	}
	g.e.calls.enter(g.t)
	defer g.e.calls.leave()
	g.in.ObserveInput(weight, expert, x)
	g.e.calls.returned = true
}

// guardedAdapter is an Adapter whose faults cost its own request alone, likewise.
type guardedAdapter struct {
	e *Engine
	t *task
	nn.Adapter
}

// Add calls the adapter, until it has failed.
func (g *guardedAdapter) Add(weight string, expert int, x, y []float32) {
	if g.t.fault != nil {
		return
	}
	g.e.calls.enter(g.t)
	defer g.e.calls.leave()
	g.Adapter.Add(weight, expert, x, y)
	g.e.calls.returned = true
}
