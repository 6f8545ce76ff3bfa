package probe

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/goinfer/goinfer/internal/cpu"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/par"
)

// Load is what other programs took of the machine while something was measured, as far as it can be
// seen.
type Load struct {
	// Processor is the share of the processor time that this process asked for and did not get: by
	// how much processor time and wall time part. 0 where the system does not report it.
	Processor float64 `json:"processor"`
	// Memory is by which share the bandwidth of reading memory changed from the look before to the
	// look after; 0 where no looks were taken. A load that takes bandwidth alone shows here.
	Memory float64 `json:"memory"`
}

// BusyShare is the share of processor time or bandwidth from which a machine is too busy for its
// speed to be judged.
const BusyShare = 0.10

// Busy reports whether speeds that were measured meanwhile say more about the other programs than
// about the machine.
func (l Load) Busy() bool { return l.Processor > BusyShare || l.Memory > BusyShare }

// String says what is wrong, "" where the machine was not busy.
func (l Load) String() string {
	switch {
	case l.Processor > BusyShare:
		return fmt.Sprintf("the machine was busy: other programs took %.0f %% of the processor time asked for", 100*l.Processor)
	case l.Memory > BusyShare:
		return fmt.Sprintf("the machine was busy: two looks at the memory's bandwidth differ by %.0f %%", 100*l.Memory)
	}
	return ""
}

// Worse is the larger of each figure of two loads.
func (l Load) Worse(m Load) Load {
	return Load{max(l.Processor, m.Processor), max(l.Memory, m.Memory)}
}

// Watch looks at the machine before and after something is measured.
type Watch struct {
	threads int
	memory  bool
	first   look
	waited  time.Duration
	ran     time.Duration // processor time received
	knows   bool
}

// look is what the machine gives at one moment.
type look struct {
	missing float64 // share of the processor time that spinning threads did not get
	gbs     float64 // bandwidth of reading memory
}

// Begin takes a first look, with as many threads as will be at work. memory asks for a look at the
// bandwidth too, which takes a third of a second and 256 MiB.
func Begin(ctx context.Context, threads int, memory bool) (*Watch, error) {
	w := &Watch{threads: threads, memory: memory}
	var err error
	if w.first, err = w.look(ctx); err != nil {
		return nil, err
	}
	w.waited, w.knows = cpu.Waited()
	w.ran, _ = cpu.Time()
	return w, nil
}

// End takes a second look and says what other programs took since Begin.
func (w *Watch) End(ctx context.Context) (Load, error) {
	var between float64
	if now, ok := cpu.Waited(); ok && w.knows {
		ran, _ := cpu.Time()
		waited := max(0, float64(now-w.waited))
		between = waited / max(1, waited+float64(ran-w.ran)) // of the time that threads asked for
	}
	last, err := w.look(ctx)
	if err != nil {
		return Load{}, err
	}
	return loadOf(w.first, last, between), nil
}

// loadOf compares two looks; between is the share of the processor time asked for between them that
// threads waited for.
func loadOf(a, b look, between float64) Load {
	l := Load{Processor: min(1, max(a.missing, b.missing, between))}
	if most := max(a.gbs, b.gbs); most > 0 {
		l.Memory = 1 - min(a.gbs, b.gbs)/most
	}
	return l
}

const (
	spinTime   = 60 * time.Millisecond
	lookBuffer = 256 << 20
)

func (w *Watch) look(ctx context.Context) (l look, err error) {
	if l.missing, err = spinning(ctx, w.threads); err != nil || !w.memory {
		return l, err
	}
	_, loops, err := isaLoops()
	if err != nil {
		return l, err
	}
	b, err := newBufferOf(ctx, loops.sum, lookBuffer)
	if err != nil {
		return l, err
	}
	if _, l.gbs, err = rate(ctx, w.threads, b, meanTime); err != nil {
		return l, err
	}
	b.x = nil
	debug.FreeOSMemory() // the buffer is none of the memory of what is measured
	return l, nil
}

// spinning has so many threads calculate and returns the share of the processor time that they did
// not get.
func spinning(ctx context.Context, threads int) (missing float64, err error) {
	if err := checkThreads(threads); err != nil {
		return 0, err
	}
	before, ok := cpu.Time()
	if !ok {
		return 0, nil
	}
	pool := par.New(threads)
	defer pool.Close()
	began := time.Now()
	pool.Run(&spinner{ctx: ctx, until: began.Add(spinTime)}, threads)
	wall := time.Since(began)
	after, _ := cpu.Time()
	if ctx.Err() != nil {
		return 0, fault.Cancelled(ctx)
	}
	return max(0, 1-float64(after-before)/(float64(wall)*float64(threads))), nil
}

// sink keeps the compiler from leaving the spinning out.
var sink atomic.Uint64

// spinner calculates until a moment. Every chunk is a thread's.
type spinner struct {
	ctx   context.Context
	until time.Time
}

func (s *spinner) Run(_, _ int) {
	x := uint64(1)
	for time.Now().Before(s.until) && s.ctx.Err() == nil {
		for range 1 << 12 {
			x = x*6364136223846793005 + 1442695040888963407
		}
	}
	sink.Store(x)
}
