package probe

import (
	"context"
	"fmt"
	"math"
	"time"
	"unsafe"

	"github.com/goinfer/goinfer/internal/cpu"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/mem"
	"github.com/goinfer/goinfer/internal/par"
)

// Peak is what so many threads reach.
type Peak struct {
	Threads int     `json:"threads"`
	ReadGBs float64 `json:"read_gb_s"` // bandwidth of reading memory, in 10⁹ bytes per second
	// multiply-adds of float32, in 10⁹ operations per second, two to each
	FMAGFlops float64 `json:"fma_gflops"`
	Int8GOps  float64 `json:"int8_gops"` // multiply-adds of int8 dot products, likewise
}

// Peaks are the figures of one level for several numbers of threads.
type Peaks struct {
	ISA         string `json:"level"`
	BufferBytes int64  `json:"buffer_bytes"` // read to measure the bandwidth
	// InCache is true where memory was too short for a buffer well beyond the caches, so that the
	// bandwidth is in part theirs.
	InCache bool   `json:"in_cache,omitempty"`
	Results []Peak `json:"results"`
}

// maxThreads bounds the goroutines that a number can ask for.
const maxThreads = 4096

// Measure takes all figures for each number of threads, under a second for each figure. done, if
// not nil, is called after each of the total steps. It ends early with the context's error.
func Measure(ctx context.Context, threads []int, done func(step, total int)) (Peaks, error) {
	var p Peaks
	isa, l, err := isaLoops()
	if err != nil {
		return p, err
	}
	p.ISA = isa
	step, total := 0, 3*len(threads)+1
	tick := func() {
		step++
		if done != nil {
			done(step, total)
		}
	}
	for _, n := range threads {
		if err := checkThreads(n); err != nil {
			return p, err
		}
	}
	buf, err := newBuffer(ctx, l.sum)
	if err != nil {
		return p, err
	}
	p.BufferBytes, p.InCache = buf.bytes(), buf.inCache
	tick()
	for _, n := range threads {
		r := Peak{Threads: n}
		for _, m := range []struct {
			to  *float64
			job job
		}{{&r.ReadGBs, buf}, {&r.FMAGFlops, l.fma(n)}, {&r.Int8GOps, l.int8(n)}} {
			if *m.to, _, err = rate(ctx, n, m.job, bestTime); err != nil {
				return p, err
			}
			tick()
		}
		p.Results = append(p.Results, r)
	}
	return p, nil
}

// Bandwidth returns how fast so many threads read memory, in GB/s (10⁹ bytes), on average over a
// fraction of a second: what work that is measured right before or after is to be compared with.
// [Measure] gives the best moment, which on a machine shared with others may be far better than any
// second.
func Bandwidth(ctx context.Context, threads int) (gbs float64, err error) {
	return average(ctx, threads, func(l loops) (job, error) { return newBuffer(ctx, l.sum) })
}

// FMA returns the rate of float32 multiply-adds that kernels of the level in use can reach on so
// many threads, in GFLOPS (10⁹ operations, two to a multiply-add), on average as [Bandwidth] is.
func FMA(ctx context.Context, threads int) (gflops float64, err error) {
	return average(ctx, threads, func(l loops) (job, error) { return l.fma(threads), nil })
}

// Int8Dot returns the rate of int8 dot products that kernels of the level in use can reach on so
// many threads, in GOPS (10⁹ operations, two to a multiply-add), on average as [Bandwidth] is.
func Int8Dot(ctx context.Context, threads int) (gops float64, err error) {
	return average(ctx, threads, func(l loops) (job, error) { return l.int8(threads), nil })
}

func average(ctx context.Context, threads int, pick func(loops) (job, error)) (float64, error) {
	if err := checkThreads(threads); err != nil {
		return 0, err
	}
	_, l, err := isaLoops()
	if err != nil {
		return 0, err
	}
	j, err := pick(l)
	if err != nil {
		return 0, err
	}
	_, mean, err := rate(ctx, threads, j, meanTime)
	return mean, err
}

func checkThreads(n int) error {
	if n < 1 || n > maxThreads {
		return fmt.Errorf("%d threads: want 1 to %d", n, maxThreads)
	}
	return nil
}

// loops are what a level is measured by. A level that brings kernels brings loops.
type loops struct {
	sum       func(x []uint64) uint64
	fma, int8 func(threads int) job
}

// isaLoops returns the level in use and its loops.
func isaLoops() (string, loops, error) {
	isa, err := cpu.ISA()
	if err != nil {
		return "", loops{}, err
	}
	l, ok := assembly[isa]
	if !ok {
		l = loops{sum64, func(n int) job { return newFMA(n) }, func(n int) job { return newInt8Dot(n) }}
	}
	return isa, l, nil
}

// job is work whose rate is measured.
type job interface {
	par.Job
	// units is the work in a chunk: bytes or operations. chunks is the number of chunks in one
	// pass, or 0 if they may be as many as one likes.
	units() float64
	chunks() int
}

const (
	roundTime = 40 * time.Millisecond  // of one round
	bestTime  = 400 * time.Millisecond // of all rounds, where the best counts
	meanTime  = 200 * time.Millisecond // where all count
	minRounds = 3
)

// rate returns the best and the mean rate of several rounds, in 10⁹ units per second. The first
// round, which finds out how many chunks a round may have and meets cold caches, does not count in
// the mean.
func rate(ctx context.Context, threads int, j job, atLeast time.Duration) (best, mean float64, err error) {
	pool := par.New(threads)
	defer pool.Close()
	c := &cancellable{ctx: ctx, job: j}
	chunks := j.chunks()
	if chunks == 0 {
		chunks = 8 * threads
	}
	var units, spent float64
	start := time.Now()
	for round := 0; round < minRounds || time.Since(start) < atLeast; round++ {
		t0 := time.Now()
		pool.Run(c, chunks)
		took := max(time.Since(t0), time.Microsecond)
		if ctx.Err() != nil {
			return 0, 0, fault.Cancelled(ctx)
		}
		done := float64(chunks) * j.units()
		best = max(best, done/float64(took.Nanoseconds()))
		if round <= 1 {
			units, spent = 0, 0
		}
		units, spent = units+done, spent+float64(took.Nanoseconds())
		if round == 0 && j.chunks() == 0 {
			chunks = int(max(1, min(1<<20, float64(chunks)*float64(roundTime)/float64(took))))
		}
		if time.Since(start) > 2*atLeast { // a slow machine: one round has to do
			break
		}
	}
	return best, units / spent, nil
}

// cancellable leaves chunks out once the context is done. A chunk takes less than a millisecond.
type cancellable struct {
	ctx context.Context
	job job
}

func (c *cancellable) Run(chunk, worker int) {
	if c.ctx.Err() == nil {
		c.job.Run(chunk, worker)
	}
}

// line keeps the results of workers in cache lines of their own.
const line = 16

// buffer is read to measure the bandwidth.
type buffer struct {
	sum     func([]uint64) uint64
	x       []uint64
	sums    []uint64
	inCache bool
	filling bool
}

const (
	minBuffer = 16 << 20
	// plainBuffer is many times the caches, more if they are large: a virtual machine hides the
	// size of its last cache, which keeps a part of what is read over and over. Of 256 MiB a cache
	// of 32 MiB answered enough to make reading look a tenth faster.
	plainBuffer = 1 << 30
	bufferChunk = 1 << 17 // words
	pageWords   = 512     // of the smallest pages
)

// bufferSize returns a size well beyond the caches that leaves at least three quarters of the
// available memory alone; available is negative if unknown.
func bufferSize(caches, available int64) (size int64, inCache bool, err error) {
	size = max(plainBuffer, 4*caches)
	if available >= 0 && size > available/4 {
		size = available / 4
	}
	size -= size % (8 * bufferChunk)
	if size < minBuffer {
		return 0, false, fmt.Errorf("a quarter of the available %d bytes of memory is too little to measure bandwidth: want %d", available, minBuffer)
	}
	return size, size < 2*caches, nil
}

// newBuffer makes a buffer and writes to each of its pages: those that were never written are all
// the same page of zeros, in cache.
func newBuffer(ctx context.Context, sum func([]uint64) uint64) (*buffer, error) {
	return newBufferOf(ctx, sum, math.MaxInt64)
}

// newBufferOf is newBuffer with at most so many bytes: enough to compare two moments, though the
// caches answer a part.
func newBufferOf(ctx context.Context, sum func([]uint64) uint64, most int64) (*buffer, error) {
	available, _, ok := mem.Available()
	if !ok {
		available = -1
	}
	size, inCache, err := bufferSize(cpu.Cache().Last, available)
	if err != nil {
		return nil, err
	}
	size = min(size, most-most%(8*bufferChunk))
	b := &buffer{sum: sum, x: make([]uint64, size/8), sums: make([]uint64, maxThreads*line), inCache: inCache, filling: true}
	// the bandwidth is meant, not the cost of small pages
	mem.Huge(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(b.x))), size))
	threads, _ := cpu.Threads()
	pool := par.New(threads)
	defer pool.Close()
	pool.Run(&cancellable{ctx: ctx, job: b}, b.chunks())
	b.filling = false
	if ctx.Err() != nil {
		return nil, fault.Cancelled(ctx)
	}
	return b, nil
}

func (b *buffer) bytes() int64   { return int64(8 * len(b.x)) }
func (b *buffer) units() float64 { return 8 * bufferChunk }
func (b *buffer) chunks() int    { return len(b.x) / bufferChunk }

func (b *buffer) Run(chunk, worker int) {
	x := b.x[chunk*bufferChunk : (chunk+1)*bufferChunk]
	if b.filling {
		for i := 0; i < len(x); i += pageWords {
			x[i] = uint64(chunk*bufferChunk + i)
		}
		return
	}
	b.sums[worker*line] += b.sum(x)
}

// The operands of the arithmetic loops, together below the 32 KiB of small first-level caches.
const (
	fmaK   = 1024
	int8K  = 1024
	repeat = 64 // of the loops in a chunk
)

// spin is a loop of assembly that works in registers alone.
type spin struct {
	run   func(n int)
	steps int
	ops   float64 // of one step
}

func (s *spin) units() float64 { return float64(s.steps) * s.ops }
func (s *spin) chunks() int    { return 0 }
func (s *spin) Run(_, _ int)   { s.run(s.steps) }

type fma struct {
	a, b []float32
	sums []float32
}

func newFMA(threads int) *fma {
	f := &fma{a: make([]float32, tileRows*fmaK), b: make([]float32, tileCols*fmaK), sums: make([]float32, threads*line)}
	for i := range f.a {
		f.a[i] = float32(i%7) - 3
	}
	for i := range f.b {
		f.b[i] = float32(i%5) - 2
	}
	return f
}

func (f *fma) units() float64 { return 2 * tileRows * tileCols * fmaK * repeat }
func (f *fma) chunks() int    { return 0 }

func (f *fma) Run(_, worker int) {
	for range repeat {
		f.sums[worker*line] += tile(f.a, f.b)
	}
}

type int8Dot struct {
	p    []int64
	q    []int8
	sums []int32
}

func newInt8Dot(threads int) *int8Dot {
	d := &int8Dot{p: make([]int64, int8K), q: make([]int8, int8K), sums: make([]int32, threads*line)}
	x, y, z := make([]int8, int8K), make([]int8, int8K), make([]int8, int8K)
	for i := range int8K {
		x[i], y[i], z[i], d.q[i] = int8(i%255-127), int8(i%91-45), int8(i%17-8), int8(i%253-126)
	}
	pack(d.p, x, y, z)
	return d
}

func (d *int8Dot) units() float64 { return 2 * 3 * int8K * repeat }
func (d *int8Dot) chunks() int    { return 0 }

func (d *int8Dot) Run(_, worker int) {
	for range repeat {
		x, y, z := dot3(d.p, d.q)
		d.sums[worker*line] += x + y + z
	}
}
