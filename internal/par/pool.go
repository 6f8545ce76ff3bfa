package par

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Job is work that can be done in chunks, in any order and at the same time.
type Job interface {
	// Run does one chunk, from 0 up to the number given to [Pool.Run]. worker, from 0 up to
	// [Pool.Threads], distinguishes those who work at the same moment: no two chunks of a job run
	// with the same worker at once.
	Run(chunk, worker int)
}

// Pool runs jobs on a fixed number of threads, one job at a time. It may be used from many
// goroutines, which wait for each other.
type Pool struct {
	*team
	closed atomic.Bool
}

// team is what the holders of a pool share.
type team struct {
	threads int
	looks   int        // for work, in each round of a spin
	refs    int        // holders, guarded by shared.Mutex; 0 for a pool of New
	turn    sync.Mutex // held by the one whose job runs

	// job is written before its chunks are published in work and read only by those who claimed
	// one, so a worker that comes late finds either no chunk or the job that the chunk belongs to.
	job     Job
	panic   *Panic
	panics  sync.Mutex
	workers sync.WaitGroup
	wake    chan struct{} // a token for each worker that is to wake up
	done    chan struct{} // a token for a caller that sleeps in its join

	_ [64]byte
	// work is chunks<<32 | next. Adding one claims chunk next if it is below chunks. One word holds
	// both, so that whoever claims learns the number of chunks of the very job from which it
	// claimed.
	work atomic.Uint64
	_    [56]byte
	left atomic.Int64 // chunks not yet done
	_    [56]byte
	// parked counts the workers that sleep, less the tokens that are on their way to them.
	parked  atomic.Int32
	waiting atomic.Bool // the caller sleeps, or is about to
	failed  atomic.Bool // a chunk of this job panicked
	closing atomic.Bool
}

// spinRounds bounds the search for work before a worker sleeps. Each round lasts about spinRound;
// between two of them other goroutines may have the processor. The sum is what waking a sleeping
// thread costs on a virtual machine.
const (
	spinRounds = 100
	spinRound  = time.Microsecond
)

// looksPerRound is how often a worker looks for work in a round. A pause takes 10 cycles on some
// processors and 140 on others, so it is timed once. The shortest of several times counts: those
// in which the thread was interrupted say nothing.
var looksPerRound = sync.OnceValue(func() int {
	const looks, most = 32, 1000
	shortest := time.Hour
	for range 8 {
		start := time.Now()
		for range looks {
			pause()
		}
		shortest = min(shortest, time.Since(start))
	}
	return int(max(1, min(looks*spinRound/max(shortest, 1), most)))
})

// MaxThreads bounds the threads that a user may ask for: more than the largest machines have, and
// no more than can be started at once.
const MaxThreads = 1024

// New starts a pool of so many threads, at least 1. The caller of Run is one of them, so threads-1
// goroutines are started.
func New(threads int) *Pool {
	return &Pool{team: newTeam(threads)}
}

func newTeam(threads int) *team {
	if threads < 1 {
		panic(fmt.Sprintf("par: a pool wants at least 1 thread, not %d", threads))
	}
	t := &team{threads: threads, looks: looksPerRound(), wake: make(chan struct{}, threads), done: make(chan struct{}, 1)}
	t.workers.Add(threads - 1)
	for id := 1; id < threads; id++ {
		go t.attend(id)
	}
	return t
}

// Threads returns the number of threads, the caller's among them.
func (p *Pool) Threads() int { return p.threads }

// Run does every chunk of j, from 0 to chunks-1, and returns when all are done; with no chunks it
// returns at once. It allocates nothing. It panics with a [*Panic] if a chunk does, and on a pool
// that was closed.
func (p *Pool) Run(j Job, chunks int) {
	if chunks <= 0 {
		return
	}
	if chunks > math.MaxInt32 {
		panic(fmt.Sprintf("par: a job of %d chunks: want at most %d", chunks, math.MaxInt32))
	}
	t := p.team
	t.turn.Lock()
	if p.closed.Load() {
		t.turn.Unlock()
		panic("par: Run on a closed pool")
	}
	defer t.join()
	t.job = j
	t.left.Store(int64(chunks))
	t.work.Store(uint64(chunks) << 32)
	if t.threads > 1 && chunks > 1 {
		t.rouse(min(chunks, t.threads) - 1)
	}
	t.drain(0)
}

// rouse sees to it that so many workers look for work.
func (t *team) rouse(want int) {
	want -= t.threads - 1 - int(t.parked.Load()) // these are awake
	for ; want > 0 && t.unpark(); want-- {
		t.wake <- struct{}{}
	}
}

// unpark takes one from the number of sleepers and reports whether there was one.
func (t *team) unpark() bool {
	for {
		n := t.parked.Load()
		if n == 0 {
			return false
		}
		if t.parked.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// claim takes the next chunk of the job that is under way.
func (t *team) claim() (chunk int, ok bool) {
	if !t.idle() {
		w := t.work.Add(1) - 1
		return int(uint32(w)), uint32(w) < uint32(w>>32)
	}
	return 0, false
}

// idle reports that no chunk is to be had. Asking first keeps the claims beyond the last chunk
// fewer than the threads.
func (t *team) idle() bool {
	w := t.work.Load()
	return uint32(w) >= uint32(w>>32)
}

// drain does chunks until none is to be had.
func (t *team) drain(worker int) {
	for {
		chunk, ok := t.claim()
		if !ok {
			return
		}
		t.do(chunk, worker)
	}
}

// do does a chunk and counts it, however it ends.
func (t *team) do(chunk, worker int) {
	returned := false
	defer func() {
		if !returned {
			t.fail(recover(), chunk, worker)
		}
		if t.left.Add(-1) == 0 && t.waiting.CompareAndSwap(true, false) {
			t.done <- struct{}{}
		}
	}()
	if !t.failed.Load() {
		t.job.Run(chunk, worker)
	}
	returned = true
}

// join waits until every chunk is done, ends the caller's job and passes on what a chunk panicked
// with.
func (t *team) join() {
	// there are chunks left only if the caller's goroutine is ending, by runtime.Goexit in a chunk
	t.drain(0)
	for spin := 0; t.left.Load() != 0; {
		if spin < spinRounds {
			spin++
			for i := 0; i < t.looks && t.left.Load() != 0; i++ {
				pause()
			}
			runtime.Gosched()
			continue
		}
		t.waiting.Store(true)
		if t.left.Load() == 0 && t.waiting.CompareAndSwap(true, false) {
			break
		}
		// The token may come from the last chunk of the job before, whose worker was late to look:
		// hence the loop.
		<-t.done
	}
	p := t.panic
	t.job, t.panic = nil, nil
	t.failed.Store(false)
	t.turn.Unlock()
	if p != nil && !(p.goexit && p.Worker == 0) {
		panic(p)
	}
}

// attend is the life of a worker.
func (t *team) attend(worker int) {
	returned := false
	defer func() {
		if returned {
			t.workers.Done()
			return
		}
		go t.attend(worker) // a chunk called runtime.Goexit
	}()
	debug.SetPanicOnFault(true) // mapped weights may be gone; Run passes it on
	for !t.closing.Load() {
		t.drain(worker)
		if !t.spin() {
			t.park()
		}
	}
	returned = true
}

// spin looks for work a while and reports whether there is any.
func (t *team) spin() bool {
	for range spinRounds {
		for range t.looks {
			if !t.idle() || t.closing.Load() {
				return true
			}
			pause()
		}
		runtime.Gosched()
	}
	return false
}

// park sleeps until rouse sends a token.
func (t *team) park() {
	t.parked.Add(1)
	// Work published before the addition was seen by rouse without this worker.
	if (!t.idle() || t.closing.Load()) && t.unpark() {
		return
	}
	<-t.wake
}

// end stops the workers and waits for them.
func (t *team) end() {
	t.closing.Store(true)
	for t.unpark() {
		t.wake <- struct{}{}
	}
	t.workers.Wait()
}

// Close waits for the job that runs, then ends the pool's goroutines. A pool of [Shared] is given
// back instead, and ended by its last holder. Closing again does nothing.
func (p *Pool) Close() {
	p.turn.Lock()
	again := p.closed.Swap(true)
	p.turn.Unlock()
	if again || !shared.leave(p.team) {
		return
	}
	p.end()
}

// Panic is what [Pool.Run] panics with when a chunk panicked. If several did, it is the one noticed
// first.
type Panic struct {
	Value         any    // what the chunk panicked with
	Chunk, Worker int    // where
	Stack         []byte // of the goroutine, as runtime/debug.Stack writes it
	goexit        bool
}

// Error returns the value and the stack.
func (p *Panic) Error() string {
	return fmt.Sprintf("par: chunk %d on worker %d: %v\n\n%s", p.Chunk, p.Worker, p.Value, p.Stack)
}

// Unwrap returns the value if it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Panicked returns the value and the stack of where the panic began.
func (p *Panic) Panicked() (value any, stack []byte) { return p.Value, p.Stack }

// fail keeps the first panic of a job. value is nil if the goroutine is ending without one.
func (t *team) fail(value any, chunk, worker int) {
	p := &Panic{Value: value, Chunk: chunk, Worker: worker, Stack: debug.Stack()}
	if value == nil {
		p.goexit = true
		p.Value = "the chunk ended its goroutine (runtime.Goexit)"
	}
	t.failed.Store(true)
	t.panics.Lock()
	defer t.panics.Unlock()
	if t.panic == nil {
		t.panic = p
	}
}
