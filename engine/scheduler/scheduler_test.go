package scheduler

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/fault"
)

// world is a cache of some bytes, one for each row, and the scheduler of the jobs in it.
type world struct {
	*Scheduler[*fake]
	free   int64
	cached int // bytes that Reclaim frees, one at a time
}

func newWorld(c Config, bytes int64) *world {
	w := &world{free: bytes}
	c.Room = func() int64 { return w.free }
	c.Reclaim = func() bool {
		if w.cached == 0 {
			return false
		}
		w.cached--
		w.free++
		return true
	}
	w.Scheduler = New[*fake](c)
	return w
}

// fake has a prompt and generates a number of rows after it.
type fake struct {
	w        *world
	name     string
	prompt   int
	generate int
	guesses  int
	whole    bool // its prompt is of use only as a whole
	stiff    bool // it cannot be stopped
	idle     bool
	unread   int  // rows that its reader has yet to take
	exits    bool // its next Rows ends the goroutine
	held     int64
	done     int // rows in the cache
	known    int // rows that were computed once
	reserved int
	open     bool
	stopped  int
}

func (w *world) add(t *testing.T, priority int, f fake) *fake {
	t.Helper()
	f.w = w
	f.known = f.prompt
	j := &f
	require.NoError(t, w.Add(j, priority))
	return j
}

func (f *fake) generating() bool { return f.done >= f.known }
func (f *fake) ended() bool      { return f.done == f.prompt+f.generate }

func (f *fake) Rows() Rows {
	switch {
	case f.exits:
		f.exits = false
		runtime.Goexit()
	case f.idle:
		return Rows{}
	case f.generating():
		return Rows{Min: 1, Max: 1 + min(f.guesses, f.prompt+f.generate-f.done-1), Generating: true}
	case f.whole:
		return Rows{Min: f.known, Max: f.known}
	}
	return Rows{Min: 1, Max: f.known - f.done}
}

func (f *fake) Open()       { f.open = true }
func (f *fake) Cost() int64 { return int64(f.known-f.done) - (f.held - int64(f.done)) }

func (f *fake) Reserve(n int) bool {
	need := int64(f.done+n) - f.held
	if need > f.w.free {
		return false
	}
	f.w.free -= need
	f.held += need
	f.reserved = n
	return true
}

func (f *fake) Release() {
	f.w.free += f.held
	if f.reserved > 0 {
		f.stopped++
	}
	f.held, f.done, f.reserved, f.open = 0, 0, 0, false
}

func (f *fake) Holds() bool       { return f.open }
func (f *fake) Preemptible() bool { return !f.stiff }

// run computes what was granted, and takes jobs out that are done.
func (w *world) run(t *testing.T, rows int) map[string]int {
	t.Helper()
	got, sum := map[string]int{}, 0
	for _, g := range w.Plan(rows) {
		require.Positive(t, g.Rows)
		require.Equal(t, g.Rows, g.Job.reserved, "rows are reserved")
		got[g.Job.name] = g.Rows
		sum += g.Rows
		g.Job.done += g.Rows
		if fresh := g.Job.done - g.Job.known; fresh > 0 {
			g.Job.known += fresh
			g.Job.unread += fresh
		}
		if g.Job.ended() {
			w.Remove(g.Job)
			g.Job.reserved = 0
			g.Job.Release()
		}
	}
	require.LessOrEqual(t, sum, rows)
	return got
}

func TestOrder(t *testing.T) {
	w := newWorld(Config{Running: 3, Waiting: 10}, 1000)
	w.add(t, 0, fake{name: "a", prompt: 4, generate: 5})
	w.add(t, 0, fake{name: "b", prompt: 15})
	w.add(t, 1, fake{name: "first", prompt: 2, generate: 1})
	w.add(t, 0, fake{name: "late", prompt: 1, generate: 1})
	require.Equal(t, map[string]int{"first": 2, "a": 4, "b": 4}, w.run(t, 10), "by priority, then by arrival")
	require.Equal(t, map[string]int{"first": 1, "a": 1, "b": 8}, w.run(t, 10), "what generates, then prompts")
	require.Equal(t, map[string]int{"a": 1, "b": 3, "late": 1}, w.run(t, 10), "one that ended makes room")
	require.Equal(t, Stats{Running: 2, Admitted: 4}, w.Stats())
	require.Equal(t, 2, w.Len())
}

// TestPromptsTakeTurns: two long prompts that do not fit into a batch together each go on.
func TestPromptsTakeTurns(t *testing.T) {
	w := newWorld(Config{Running: 2, Waiting: 10}, 1000)
	for _, name := range []string{"a", "b"} {
		w.add(t, 0, fake{name: name, prompt: 9})
	}
	require.Equal(t, map[string]int{"a": 8}, w.run(t, 8))
	seen := map[string]int{}
	for range 3 {
		for name, n := range w.run(t, 8) {
			seen[name] += n
		}
	}
	require.Equal(t, map[string]int{"a": 1, "b": 9}, seen)

	w = newWorld(Config{Running: 2, Waiting: 10}, 1000)
	a, b := w.add(t, 0, fake{name: "a", prompt: 80}), w.add(t, 0, fake{name: "b", prompt: 80})
	w.run(t, 160-1) // both run from here on
	a.done, b.done = 0, 0
	a.held, b.held = 0, 0
	for range 12 {
		w.run(t, 8)
	}
	require.InDelta(t, a.done, b.done, 16)

	// One that comes later need not wait for the end of a long one, unless that has a higher
	// priority.
	w = newWorld(Config{Running: 2, Waiting: 10}, 1000)
	w.add(t, 1, fake{name: "long", prompt: 80})
	w.run(t, 8)
	w.add(t, 0, fake{name: "low", prompt: 6})
	w.add(t, 1, fake{name: "short", prompt: 6})
	got := map[string]int{}
	for range 2 {
		for name, n := range w.run(t, 8) {
			got[name] += n
		}
	}
	require.Equal(t, map[string]int{"long": 10, "short": 6}, got)
}

func TestGuessesAreDroppedFirst(t *testing.T) {
	w := newWorld(Config{Running: 4, Waiting: 10}, 8)
	w.add(t, 0, fake{name: "a", prompt: 2, generate: 9, guesses: 5})
	w.add(t, 0, fake{name: "b", prompt: 2, generate: 2})
	w.run(t, 20)
	w.cached, w.free = 1, w.free-1
	require.Equal(t, map[string]int{"a": 1, "b": 1}, w.run(t, 20), "guesses are dropped before anything else gives way")
	require.Equal(t, 1, w.cached)
	require.Zero(t, w.Stats().Preempted)
}

func TestWhole(t *testing.T) {
	w := newWorld(Config{Running: 4, Waiting: 10}, 100)
	w.add(t, 0, fake{name: "a", prompt: 6, whole: true})
	w.add(t, 0, fake{name: "b", prompt: 6, whole: true})
	w.add(t, 0, fake{name: "c", prompt: 1})
	require.Equal(t, map[string]int{"a": 6}, w.run(t, 10), "none overtakes one that waits")
	require.Equal(t, map[string]int{"b": 6, "c": 1}, w.run(t, 10))
}

func TestPreemption(t *testing.T) {
	w := newWorld(Config{Running: 4, Waiting: 10}, 8)
	a := w.add(t, 0, fake{name: "a", prompt: 3, generate: 4})
	b := w.add(t, 0, fake{name: "b", prompt: 3, generate: 4})
	require.Equal(t, map[string]int{"a": 3, "b": 3}, w.run(t, 20))
	require.Equal(t, map[string]int{"a": 1, "b": 1}, w.run(t, 20))
	require.Equal(t, map[string]int{"a": 1}, w.run(t, 20), "the last gives way")
	require.Equal(t, Stats{Waiting: 1, Running: 1, Admitted: 2, Preempted: 1}, w.Stats())
	for range 2 {
		require.Equal(t, map[string]int{"a": 1}, w.run(t, 20))
	}
	require.True(t, a.ended() || w.Len() == 1)
	require.Equal(t, map[string]int{"b": 4}, w.run(t, 20), "all that it knew is computed again")
	require.Equal(t, 1, b.stopped)
	require.Equal(t, map[string]int{"b": 1}, w.run(t, 20))

	// A higher priority stops a lower one, for cache and for its place.
	w = newWorld(Config{Running: 1, Waiting: 10}, 8)
	w.add(t, 0, fake{name: "low", prompt: 3, generate: 4})
	w.run(t, 20)
	w.add(t, 0, fake{name: "same", prompt: 3})
	require.Equal(t, map[string]int{"low": 1}, w.run(t, 20))
	w.add(t, 1, fake{name: "high", prompt: 6})
	require.Equal(t, map[string]int{"high": 6}, w.run(t, 20))
}

// TestIdle: a job that waits for its reader keeps its cache until others cannot go on without.
func TestIdle(t *testing.T) {
	w := newWorld(Config{Running: 4, Waiting: 10}, 8)
	a := w.add(t, 0, fake{name: "a", prompt: 5, generate: 2})
	w.run(t, 20)
	a.idle = true
	require.Empty(t, w.run(t, 20))
	w.add(t, 0, fake{name: "b", prompt: 3})
	require.Equal(t, map[string]int{"b": 3}, w.run(t, 20))
	require.Zero(t, a.stopped)
	w.add(t, 0, fake{name: "c", prompt: 4})
	require.Equal(t, map[string]int{"c": 4}, w.run(t, 20))
	require.Equal(t, 1, a.stopped)
	a.idle = false
	require.Equal(t, map[string]int{"a": 5}, w.run(t, 20))

	// One that cannot be stopped is waited for.
	a.stiff, a.idle = true, true
	d := w.add(t, 0, fake{name: "d", prompt: 4})
	require.Empty(t, w.run(t, 20))
	_, starved := w.Starved()
	require.False(t, starved, "d fits alone")
	a.idle = false
	for !a.ended() && w.Len() == 2 {
		w.run(t, 20)
	}
	require.Equal(t, map[string]int{"d": 4}, w.run(t, 20))
	require.Zero(t, d.stopped)
}

func TestStarved(t *testing.T) {
	for _, c := range []struct {
		name    string
		jobs    []fake
		starved string
	}{
		{"alone", []fake{{name: "a", prompt: 9}}, "a"},
		{"alone, later", []fake{{name: "a", prompt: 5, generate: 9}}, "a"},
		{"those that wait for it are not to blame", []fake{{name: "a", prompt: 5, generate: 9}, {name: "b", prompt: 5}}, "a"},
		{"nor those that it stopped", []fake{{name: "a", prompt: 3, generate: 9}, {name: "b", prompt: 3, generate: 3}}, "a"},
		{"one that can be stopped is, for one that cannot", []fake{{name: "a", prompt: 3, generate: 4}, {name: "b", prompt: 3, generate: 4, stiff: true}}, ""},
		{"the last of those that cannot be stopped", []fake{{name: "a", prompt: 3, generate: 4, stiff: true}, {name: "b", prompt: 3, generate: 4, stiff: true}}, "b"},
	} {
		w := newWorld(Config{Running: 4, Waiting: 10}, 8)
		for _, f := range c.jobs {
			w.add(t, 0, f)
		}
		for range 100 {
			if len(w.run(t, 20)) == 0 {
				break
			}
		}
		j, ok := w.Starved()
		if !ok {
			j = &fake{}
			require.Zero(t, w.Len(), c.name)
		}
		require.Equal(t, c.starved, j.name, c.name)
	}
}

func TestBusy(t *testing.T) {
	w := newWorld(Config{Running: 1, Waiting: 2}, 8)
	var jobs []*fake
	for range 2 {
		jobs = append(jobs, w.add(t, 0, fake{prompt: 3, generate: 9}))
	}
	require.ErrorIs(t, w.Add(&fake{w: w}, 9), fault.ErrBusy)
	w.run(t, 20)
	jobs = append(jobs, w.add(t, 0, fake{prompt: 3}))
	require.ErrorIs(t, w.Add(&fake{w: w}, 9), fault.ErrBusy)
	require.Equal(t, Stats{Waiting: 2, Running: 1, Admitted: 1, Refused: 2}, w.Stats())
	w.Take()
	var seen []*fake
	w.Each(func(j *fake) {
		seen = append(seen, j)
		w.Remove(j)
		w.Remove(j) // it is not there any more
	})
	require.True(t, slices.Equal(jobs, seen), "in order")
	require.Equal(t, Stats{Admitted: 1, Refused: 2}, w.Stats())
	w.add(t, 0, fake{prompt: 1})
	w.add(t, 0, fake{prompt: 1})
}

// TestExit: a plan that a job has ended the goroutine of leaves nothing of itself in the next one.
func TestExit(t *testing.T) {
	w := newWorld(Config{Running: 4, Waiting: 10}, 100)
	w.add(t, 0, fake{name: "a", prompt: 10, generate: 3})
	b := w.add(t, 0, fake{name: "b", prompt: 10, generate: 3})
	b.exits = true
	done := make(chan bool)
	go func() {
		defer close(done)
		w.Plan(12)
	}()
	<-done
	got := w.run(t, 12)
	require.Equal(t, 12, got["a"]+got["b"])
}

// TestEveryJobEnds: jobs of all kinds, that come at any time and whose readers pause, all end in a
// cache that is too small for them together, and the first in order goes on all the time.
func TestEveryJobEnds(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		size := 20 + r.Int64N(40)
		w := newWorld(Config{Running: 1 + r.IntN(8), Waiting: 100}, size)
		batch := 1 + r.IntN(16)
		var jobs []*fake
		for round := 0; ; round++ {
			require.Less(t, round, 20000, "seed %d: %d of %d jobs never end", seed, w.Len(), len(jobs))
			if len(jobs) < 30 && r.IntN(3) == 0 {
				f := fake{name: fmt.Sprint(len(jobs)), prompt: 1 + r.IntN(int(size)/2), guesses: r.IntN(3)}
				if f.whole = r.IntN(4) == 0; f.whole {
					f.prompt = min(f.prompt, batch)
				} else {
					f.generate = r.IntN(int(size) - f.prompt)
				}
				jobs = append(jobs, w.add(t, r.IntN(3), f))
			}
			w.Each(func(j *fake) {
				if j.unread > 0 && r.IntN(2) == 0 {
					j.unread--
				}
				j.idle = j.unread > 3
			})
			if w.run(t, batch); len(w.grants) == 0 {
				j, ok := w.Starved()
				require.False(t, ok, "seed %d: %+v fits alone", seed, j)
			}
			if len(jobs) == 30 && w.Len() == 0 {
				break
			}
		}
		require.True(t, slices.IndexFunc(jobs, func(j *fake) bool { return j.held != 0 }) < 0)
		require.Equal(t, size, w.free)
		s := w.Stats()
		require.Zero(t, s.Waiting+s.Running)
		require.Equal(t, s.Admitted, 30+s.Preempted)
	}
}
