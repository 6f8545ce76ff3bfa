package engine

import (
	"slices"
	"sync/atomic"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/nn"
)

// WatchConfig says what a [Watch] wants to see.
type WatchConfig struct {
	// Names are those of [nn.Hook]: base names of weights, whose outputs they stand for, or the
	// Name constants.
	Names []string
	// Layers are the layers to watch, -1 for what is outside of them; nil means all.
	Layers []int
	// Size is the number of events that may wait to be read; 0 means 1024.
	Size int
}

// WatchEvent is one row at one step, copied.
type WatchEvent struct {
	Layer   int // -1 outside the layers
	Name    string
	Token   int32
	Pos     int // position of the token in its sequence
	Data    []float32
	Experts []int32 // numbers of experts, where the event is about some
}

// A Watch copies what a request computes into a queue, for somebody who looks at it live. Other
// than a Hook it changes nothing, runs none of the caller's code, and keeps the request's share of
// the cache: positions that are found in the cache are not computed, and so not shown. An event
// that finds the queue full is dropped and counted. Each position is shown once, when it is certain
// that it stays.
//
// A Watch serves one request.
type Watch struct {
	c       WatchConfig
	events  chan WatchEvent
	dropped atomic.Uint64
	used    atomic.Bool
}

// NewWatch returns a Watch to be put into a [Request].
func NewWatch(c WatchConfig) *Watch {
	if c.Size < 1 {
		c.Size = 1024
	}
	c.Names, c.Layers = slices.Clone(c.Names), slices.Clone(c.Layers)
	return &Watch{c: c, events: make(chan WatchEvent, c.Size)}
}

// Events is where the events come, in the order of the computation. It is closed when the request
// has ended, or was refused.
func (w *Watch) Events() <-chan WatchEvent { return w.events }

// Dropped is the number of events that found the queue full.
func (w *Watch) Dropped() uint64 { return w.dropped.Load() }

// claim makes w serve a request; none need have one.
func (w *Watch) claim() error {
	if w != nil && w.used.Swap(true) {
		return fault.Argument("Watch", "one that serves no other request", "a used one")
	}
	return nil
}

// end is for a request that has ended, or was refused after claim.
func (w *Watch) end() {
	if w != nil {
		close(w.events)
	}
}

// watcher collects the events of a round. They are sent when it is certain which positions count: a
// pass may be given up, and guesses may be wrong.
type watcher struct {
	w      *Watch
	staged []WatchEvent
}

// Wants compares with the configuration.
func (w *watcher) Wants(layer int, name string) bool {
	c := &w.w.c
	return slices.Contains(c.Names, name) && (c.Layers == nil || slices.Contains(c.Layers, layer))
}

// Observe copies an event, unless there will be no room for it.
func (w *watcher) Observe(e *nn.Event) {
	if len(w.staged) >= cap(w.w.events) {
		w.w.dropped.Add(1)
		return
	}
	w.staged = append(w.staged, WatchEvent{
		Layer: e.Layer, Name: e.Name, Token: e.Token, Pos: e.Pos,
		Data: slices.Clone(e.Data), Experts: slices.Clone(e.Experts),
	})
}

// begin forgets what a round that was given up has shown.
func (w *watcher) begin() { w.staged = w.staged[:0] }

// send gives out the events of positions before end.
func (w *watcher) send(end int) {
	for _, e := range w.staged {
		if e.Pos >= end {
			continue
		}
		select {
		case w.w.events <- e:
		default:
			w.w.dropped.Add(1)
		}
	}
	clear(w.staged)
	w.staged = w.staged[:0]
}
