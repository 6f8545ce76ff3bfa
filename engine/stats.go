package engine

import (
	"math"
	"sync"
	"time"

	"github.com/goinfer/goinfer/engine/prefix"
	"github.com/goinfer/goinfer/engine/scheduler"
)

// Stats are counts of an engine, those without a unit since its start.
type Stats struct {
	scheduler.Stats
	Prefix prefix.Stats

	Completed uint64 // requests that ended without an error
	Failed    uint64
	Rounds    uint64 // batches computed
	Rows      uint64 // rows of these, of prompts and generated tokens
	// RowsPerSecond is the recent speed, over some five seconds.
	RowsPerSecond float64

	CacheBytes int64 // bytes of cache that requests and the prefix cache hold
	CachePages int   // pages, and states, that these are
}

// tally collects what Stats reports, of the engine's goroutine.
type tally struct {
	mu    sync.Mutex
	stats Stats
	last  time.Time
}

// Stats reports what the engine did and does. It may be called at any time, by a callback too.
func (e *Engine) Stats() Stats {
	e.tally.mu.Lock()
	s := e.tally.stats
	e.tally.mu.Unlock()
	s.Stats = e.sched.Stats()
	return s
}

// ended counts a job.
func (t *tally) ended(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.stats.Failed++
	} else {
		t.stats.Completed++
	}
}

// rateTime is how long ago rounds lose their weight in RowsPerSecond.
const rateTime = 5 * time.Second

// observe counts a round.
func (e *Engine) observe() {
	t, now, rows := &e.tally, time.Now(), e.batch.Len()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.stats
	s.Rounds++
	s.Rows += uint64(rows)
	if dt := now.Sub(t.last); !t.last.IsZero() && dt > 0 {
		keep := math.Exp(-float64(dt) / float64(rateTime))
		s.RowsPerSecond = keep*s.RowsPerSecond + (1-keep)*float64(rows)/dt.Seconds()
	}
	t.last = now
	s.Prefix = e.prefix.Stats()
	s.CacheBytes, s.CachePages = e.store.Used(), e.store.Pages()
}
