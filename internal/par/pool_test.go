package par

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tally counts how often each chunk ran, and checks that no worker does two things at once.
type tally struct {
	threads int
	ran     []atomic.Int32
	busy    []atomic.Int32
	wrong   atomic.Int32
	plain   []int // written without atomics: the race detector sees a chunk that outlives its Run
	step    func(chunk, worker int)
}

func newTally(threads, chunks int) *tally {
	return &tally{threads: threads, ran: make([]atomic.Int32, chunks), busy: make([]atomic.Int32, threads), plain: make([]int, chunks)}
}

func (y *tally) Run(chunk, worker int) {
	if worker < 0 || worker >= y.threads || y.busy[worker].Add(1) != 1 {
		y.wrong.Add(1)
		return
	}
	y.ran[chunk].Add(1)
	y.plain[chunk]++
	if y.step != nil {
		y.step(chunk, worker)
	}
	y.busy[worker].Add(-1)
}

func (y *tally) check(t *testing.T, times int) {
	t.Helper()
	require.Zero(t, y.wrong.Load(), "a worker out of range, or two chunks on one worker at once")
	for i := range y.ran {
		require.EqualValues(t, times, y.ran[i].Load(), "chunk %d of %d", i, len(y.ran))
		require.Equal(t, times, y.plain[i])
	}
}

func procs(t testing.TB, n int) {
	old := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(old) })
}

func TestEveryChunkOnce(t *testing.T) {
	for _, n := range []int{1, 2, 3, 8} {
		for _, threads := range []int{1, 2, 3, 8, 33} {
			t.Run(fmt.Sprintf("procs=%d/threads=%d", n, threads), func(t *testing.T) {
				procs(t, n)
				p := New(threads)
				defer p.Close()
				require.Equal(t, threads, p.Threads())
				for _, chunks := range []int{0, 1, 2, 3, threads, 100, 1000} {
					y := newTally(threads, chunks)
					for range 20 {
						p.Run(y, chunks)
					}
					y.check(t, 20)
				}
			})
		}
	}
}

// Jobs of different sizes in quick succession, with pauses that let workers fall asleep and come
// late.
func TestLateWorkers(t *testing.T) {
	rounds := 3000
	if testing.Short() {
		rounds = 500
	}
	for _, n := range []int{1, 2, 4} {
		procs(t, n)
		p := New(5)
		rng := rand.New(rand.NewPCG(uint64(n), 7))
		for i := range rounds {
			y := newTally(5, rng.IntN(12))
			pause := rng.IntN(200)
			y.step = func(chunk, worker int) {
				for range pause {
					y.plain[chunk] += 0
				}
				if pause == 7 {
					runtime.Gosched()
				}
			}
			p.Run(y, len(y.ran))
			y.check(t, 1)
			if i%100 == 0 {
				time.Sleep(time.Duration(rng.IntN(300)) * time.Microsecond)
			}
		}
		p.Close()
	}
}

func TestManyCallers(t *testing.T) {
	p := New(3)
	defer p.Close()
	var active atomic.Int32
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			for i := range 200 {
				chunks := 1 + (c+i)%9
				y := newTally(3, chunks)
				y.step = func(int, int) {
					if active.Add(1) > 3 {
						y.wrong.Add(1)
					}
					active.Add(-1)
				}
				p.Run(y, chunks)
				y.check(t, 1)
			}
		})
	}
	wg.Wait()
}

// held makes worker 1 sit on one chunk while the others are done by the rest.
type held struct {
	entered, release chan struct{}
	count            atomic.Int32
}

func (h *held) Run(chunk, worker int) {
	if h.count.Add(1) == 1 {
		close(h.entered)
		<-h.release
	}
}

func TestJoinWaitsForClaimedChunks(t *testing.T) {
	p := New(4)
	defer p.Close()
	h := &held{entered: make(chan struct{}), release: make(chan struct{})}
	var returned atomic.Bool
	end := make(chan struct{})
	go func() {
		p.Run(h, 64)
		returned.Store(true)
		close(end)
	}()
	<-h.entered
	time.Sleep(20 * time.Millisecond) // long enough for the caller to sleep in its join
	require.False(t, returned.Load())
	close(h.release)
	<-end
	require.EqualValues(t, 64, h.count.Load())
}

// A join does not wait for idle workers: with one processor the others have had no chance to run at
// all.
func TestJoinDoesNotWaitForIdle(t *testing.T) {
	procs(t, 1)
	p := New(8)
	defer p.Close()
	y := newTally(8, 8)
	workers := map[int]bool{}
	y.step = func(_, worker int) { workers[worker] = true }
	p.Run(y, 8)
	y.check(t, 1)
	require.Equal(t, map[int]bool{0: true}, workers)
}

var errChunk = errors.New("the chunk is bad")

func explodeHere(err error) { panic(err) }

func TestPanic(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		for _, chunks := range []int{1, 50} {
			p := New(threads)
			for bad := 0; bad < chunks; bad += 7 {
				y := newTally(threads, chunks)
				y.step = func(chunk, worker int) {
					if chunk == bad {
						y.busy[worker].Add(-1)
						explodeHere(errChunk)
					}
				}
				caught := catch(func() { p.Run(y, chunks) })
				require.IsType(t, &Panic{}, caught)
				err := caught.(*Panic)
				require.ErrorIs(t, err, errChunk)
				require.Equal(t, bad, err.Chunk)
				require.Contains(t, err.Error(), "explodeHere", "the stack of the worker")
				require.True(t, strings.HasPrefix(err.Error(), fmt.Sprintf("par: chunk %d on worker %d: the chunk is bad\n", bad, err.Worker)), err.Error())
				require.Zero(t, y.wrong.Load())

				again := newTally(threads, chunks)
				p.Run(again, chunks)
				again.check(t, 1)
			}
			p.Close()
		}
	}
}

func TestAllChunksPanic(t *testing.T) {
	p := New(4)
	defer p.Close()
	for range 200 {
		y := newTally(4, 9)
		y.step = func(chunk, worker int) { y.busy[worker].Add(-1); panic(chunk) }
		caught := catch(func() { p.Run(y, 9) })
		require.IsType(t, &Panic{}, caught)
		require.Equal(t, caught.(*Panic).Chunk, caught.(*Panic).Value)
	}
}

func catch(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// A chunk that ends its goroutine, as t.FailNow does, leaves a pool that works.
func TestGoexit(t *testing.T) {
	p := New(3)
	for range 50 {
		end := make(chan struct{})
		var caught any
		go func() {
			defer close(end)
			caught = catch(func() {
				y := newTally(3, 20)
				y.step = func(chunk, worker int) {
					runtime.Gosched()
					if chunk == 5 {
						runtime.Goexit()
					}
				}
				p.Run(y, 20)
			})
		}()
		<-end
		if caught != nil { // it was a worker; on the caller its own goroutine ends
			require.Contains(t, caught.(*Panic).Error(), "Goexit")
			require.NotZero(t, caught.(*Panic).Worker)
		}
		y := newTally(3, 30)
		p.Run(y, 30)
		y.check(t, 1)
	}
	p.Close()
}

func goroutines(t *testing.T, want int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > want && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), want, "goroutines are left over")
}

func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 50 {
		p := New(6)
		p.Run(newTally(6, 10), 10)
		p.Close()
		p.Close()
		require.PanicsWithValue(t, "par: Run on a closed pool", func() { p.Run(newTally(6, 2), 2) })
	}
	asleep := New(6)
	for end := time.Now().Add(5 * time.Second); asleep.parked.Load() < 5 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	require.EqualValues(t, 5, asleep.parked.Load(), "workers without work go to sleep")
	asleep.Close()
	goroutines(t, before)
}

func TestCloseWaitsForTheJob(t *testing.T) {
	p := New(2)
	h := &held{entered: make(chan struct{}), release: make(chan struct{})}
	var ran atomic.Bool
	go func() {
		p.Run(h, 3)
	}()
	<-h.entered
	closed := make(chan struct{})
	go func() {
		p.Close()
		require.True(t, ran.Load())
		close(closed)
	}()
	time.Sleep(5 * time.Millisecond)
	ran.Store(true)
	close(h.release)
	<-closed
	require.EqualValues(t, 3, h.count.Load())
}

func TestShared(t *testing.T) {
	before := runtime.NumGoroutine()
	a, b, other := Shared(3), Shared(3), Shared(2)
	require.Same(t, a.team, b.team)
	require.NotSame(t, a.team, other.team)
	a.Close()
	a.Close() // the other holder's share stays
	y := newTally(3, 10)
	b.Run(y, 10)
	y.check(t, 1)
	require.Panics(t, func() { a.Run(y, 10) })
	c := Shared(3)
	require.Same(t, b.team, c.team)
	b.Close()
	c.Close()
	require.NotSame(t, b.team, Shared(3).team)
	for _, team := range shared.teams {
		(&Pool{team: team}).Close()
	}
	require.Empty(t, shared.teams)
	goroutines(t, before)
}

func TestSharedFromManyGoroutines(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				p := Shared(2)
				y := newTally(2, 4)
				p.Run(y, 4)
				y.check(t, 1)
				p.Close()
			}
		})
	}
	wg.Wait()
	require.Empty(t, shared.teams)
}

func TestMisuse(t *testing.T) {
	require.PanicsWithValue(t, "par: a pool wants at least 1 thread, not 0", func() { New(0) })
	require.Panics(t, func() { Shared(-1) })
	require.Empty(t, shared.teams)
	p := New(1)
	defer p.Close()
	p.Run(nil, 0)
	p.Run(nil, -3)
}

func TestAllocations(t *testing.T) {
	for _, threads := range []int{1, 2, 4} {
		p := New(threads)
		y := newTally(threads, 64)
		require.Zero(t, testing.AllocsPerRun(200, func() { p.Run(y, 64) }), "threads %d", threads)
		p.Close()
	}
}

type empty struct{}

func (empty) Run(int, int) {}

// BenchmarkRun is the cost of sending a job out and joining it, when workers are awake.
// TestLooksPerRound checks that the time of a pause was measured and makes sense: from some
// nanoseconds, where it does nothing, to a microsecond.
func TestLooksPerRound(t *testing.T) {
	n := looksPerRound()
	require.GreaterOrEqual(t, n, 1)
	require.LessOrEqual(t, n, 1000)
	require.Equal(t, n, looksPerRound())
}

func BenchmarkRun(b *testing.B) {
	for _, threads := range []int{1, 2, 4} {
		for _, chunks := range []int{1, 2, 16} {
			b.Run(fmt.Sprintf("threads=%d/chunks=%d", threads, chunks), func(b *testing.B) {
				p := New(threads)
				defer p.Close()
				var j Job = empty{}
				b.ReportAllocs()
				for b.Loop() {
					p.Run(j, chunks)
				}
			})
		}
	}
}

// BenchmarkSplit is a job of some 100 µs on one thread, in 8 chunks.
func BenchmarkSplit(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			p := New(threads)
			defer p.Close()
			j := &burn{sum: make([]uint64, 64*8)}
			for b.Loop() {
				p.Run(j, 8)
			}
		})
	}
}

type burn struct{ sum []uint64 }

func (u *burn) Run(chunk, _ int) {
	s := uint64(chunk)
	for i := range uint64(10_000) {
		s = s*31 + i
	}
	u.sum[chunk*64] += s
}

// BenchmarkAsleep is a job that finds the workers asleep.
func BenchmarkAsleep(b *testing.B) {
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			p := New(threads)
			defer p.Close()
			j := &burn{sum: make([]uint64, 64*8)}
			var spent time.Duration
			for b.Loop() {
				time.Sleep(time.Millisecond)
				t0 := time.Now()
				p.Run(j, 8)
				spent += time.Since(t0)
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "ns/run")
		})
	}
}
