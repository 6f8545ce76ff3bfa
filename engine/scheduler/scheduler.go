// Package scheduler decides which jobs take part in the next batch, and with how many rows each.
//
// It knows nothing of models, tokens or requests. A [Job] says how many rows it could use and
// reserves cache for those that it is granted; the scheduler admits jobs, shares out the rows, and
// takes the cache back from one job where another needs it more.
//
// In order of use:
//
//   - [New] makes a [Scheduler] of a [Config]: how many jobs run at once, how many wait, and how
//     cache is found.
//   - [Scheduler.Add] enters a job, from any goroutine; fault.ErrBusy refuses it where too many
//     wait.
//   - [Scheduler.Plan] returns the [Grant] values of the next batch.
//   - [Scheduler.Remove] takes a job out, whether it is done or failed.
//   - [Scheduler.Stats] counts.
//
// # Order
//
// Jobs are ordered by priority, then by arrival. A batch has first the rows of jobs that generate,
// so that streams keep their pace, then rows of prompts, in chunks, beginning with another prompt
// every time. Waiting jobs are admitted in order, and none overtakes one that waits for cache: into
// the rows that are left, and in every second batch before the prompts that run, so that a short
// prompt need not wait for the end of a long one.
//
// # Preemption
//
// Where the cache is full, tentative rows are dropped first, then what the prefix cache keeps of
// ended jobs, then chunks of prompts shrink. If that is not enough, the job that comes last in
// order gives its cache back and waits to be computed again, as in vLLM (Kwon et al. 2023,
// arXiv:2309.06180). The first in order is thus never stopped by others, which bounds how often any
// job is. A job that does not fit even alone is returned by [Scheduler.Starved].
package scheduler

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/goinfer/goinfer/internal/fault"
)

// Rows is what a job could use of the next batch.
type Rows struct {
	Min, Max int // fewer than Min are of no use; a Max of 0 means that it waits
	// Generating jobs come before prompts. Their rows beyond Min are tentative, and dropped first.
	Generating bool
}

// Job is work that takes rows of batches. Its methods are called by Plan alone.
type Job interface {
	// Rows says what it could use now.
	Rows() Rows
	// Open takes hold of what the cache already has for the job, before it is admitted.
	Open()
	// Cost is how many bytes of cache it needs to have all that it knows in the cache, beside those
	// that it holds.
	Cost() int64
	// Reserve makes room for n rows in the cache, in place of an earlier reservation, and reports
	// whether there was room.
	Reserve(n int) bool
	// Release undoes Open and gives back all the cache that the job holds; what was computed is
	// computed again.
	Release()
	// Holds reports whether it holds any cache.
	Holds() bool
	// Preemptible reports whether Release may be called while it runs.
	Preemptible() bool
}

// comparableJob is a Job that can be found again.
type comparableJob interface {
	comparable
	Job
}

// Grant is a job's share of a batch. The rows are reserved.
type Grant[J comparableJob] struct {
	Job  J
	Rows int
}

// Config is how a scheduler works.
type Config struct {
	Running int          // jobs that run at once, at least 1
	Waiting int          // jobs that may wait to run; preempted ones do not count
	Room    func() int64 // bytes of cache that are free
	Reclaim func() bool  // frees some cache that no job holds; false if there is none
}

// Stats are counts, those without a unit since the start.
type Stats struct {
	Waiting   int // jobs that wait now, preempted ones included
	Running   int // jobs that run now
	Admitted  uint64
	Preempted uint64
	Refused   uint64 // by fault.ErrBusy
}

// Scheduler holds the jobs. Add and Stats may be called from any goroutine, everything else from
// one.
type Scheduler[J comparableJob] struct {
	c Config

	mu      sync.Mutex
	entered []*entry[J]
	stats   Stats

	fresh   atomic.Int64 // entered, and never run
	arrived uint64
	jobs    []*entry[J] // in order
	running int
	round   int
	grants  []Grant[J]
	starved *entry[J]

	planning bool // a plan has not come to its end
	early    bool // it admits before prompts that run have their rows
}

// entry is a job with its place.
type entry[J comparableJob] struct {
	job      J
	priority int
	arrival  uint64
	running  bool
	ran      bool // was admitted once
	granted  int  // rows in the batch that is planned
	starved  bool // nothing was found for it in this plan
}

// New returns an empty scheduler.
func New[J comparableJob](c Config) *Scheduler[J] { return &Scheduler[J]{c: c} }

// Add enters a job. Of two jobs that wait, the one with the higher priority is first.
func (s *Scheduler[J]) Add(job J, priority int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fresh.Load() >= int64(s.c.Waiting) {
		s.stats.Refused++
		return fault.ErrBusy
	}
	s.fresh.Add(1)
	s.stats.Waiting++
	s.arrived++
	s.entered = append(s.entered, &entry[J]{job: job, priority: priority, arrival: s.arrived})
	return nil
}

// Take takes up what was added. Plan does so too.
func (s *Scheduler[J]) Take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entered {
		at, _ := slices.BinarySearchFunc(s.jobs, e, func(a, b *entry[J]) int {
			if a.priority != b.priority {
				return b.priority - a.priority
			}
			return int(int64(a.arrival) - int64(b.arrival))
		})
		s.jobs = slices.Insert(s.jobs, at, e)
	}
	clear(s.entered)
	s.entered = s.entered[:0]
}

// Stats counts the jobs.
func (s *Scheduler[J]) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Len is the number of jobs that were taken up and not removed.
func (s *Scheduler[J]) Len() int { return len(s.jobs) }

// Each calls f for every job that was taken up, in order. f may remove it.
func (s *Scheduler[J]) Each(f func(job J)) {
	for i := 0; i < len(s.jobs); {
		e := s.jobs[i]
		f(e.job)
		if i < len(s.jobs) && s.jobs[i] == e {
			i++
		}
	}
}

// Remove takes a job out. Its cache is its own affair.
func (s *Scheduler[J]) Remove(job J) {
	i := slices.IndexFunc(s.jobs, func(e *entry[J]) bool { return e.job == job })
	if i < 0 {
		return
	}
	e := s.jobs[i]
	s.jobs = slices.Delete(s.jobs, i, i+1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.running {
		s.running--
		s.stats.Running--
	} else {
		s.stats.Waiting--
	}
	if !e.ran {
		s.fresh.Add(-1)
	}
}

// Plan shares out the rows of the next batch. The grants are valid until the next call.
func (s *Scheduler[J]) Plan(rows int) []Grant[J] {
	s.Take()
	if s.planning {
		s.recover()
	}
	s.planning = true
	s.round++
	s.plan(rows)
	for len(s.grants) == 0 && s.untangle() {
		s.plan(rows)
	}
	s.planning = false
	return s.grants
}

// plan is one attempt of Plan.
func (s *Scheduler[J]) plan(rows int) {
	s.grants, s.starved = s.grants[:0], nil
	for _, e := range s.jobs {
		e.starved = false
	}
	rows = s.share(rows, true)
	if s.round%2 == 0 {
		s.early = true
		rows = s.admit(rows)
		s.early = false
	}
	rows = s.share(rows, false)
	s.admit(rows)
	for _, e := range s.jobs {
		if e.granted > 0 {
			s.grants = append(s.grants, Grant[J]{e.job, e.granted})
			e.granted = 0
		}
	}
}

// recover takes back what a plan has left that did not come to its end, since a job ended the
// goroutine.
func (s *Scheduler[J]) recover() {
	for _, e := range s.jobs {
		if e.granted = 0; !e.running && e.job.Holds() {
			e.job.Release()
		}
	}
}

// untangle has a look at a plan without grants for want of cache, and reports whether another
// attempt may do better, since a job gave its cache back. Otherwise s.starved is the job that is to
// fail: the only one that holds any cache, or the last of those that wait for each other and cannot
// be stopped. There is none as long as one of them waits for its reader, and will go on.
func (s *Scheduler[J]) untangle() bool {
	if s.starved == nil || s.running == 0 {
		return false
	}
	s.starved = nil
	var last, stoppable *entry[J]
	holders := 0
	for _, e := range s.jobs {
		if !e.running || !e.job.Holds() {
			continue
		}
		if !e.starved {
			return false
		}
		holders, last = holders+1, e
		if e.job.Preemptible() {
			stoppable = e
		}
	}
	if holders > 1 && stoppable != nil {
		s.stop(stoppable)
		return true
	}
	s.starved = last
	return false
}

// Starved is the job that nothing can be found for, if the last plan is empty for want of cache.
func (s *Scheduler[J]) Starved() (job J, ok bool) {
	if len(s.grants) > 0 || s.starved == nil {
		return job, false
	}
	return s.starved.job, true
}

// share gives rows to the running jobs that generate, or to those that do not, and returns how many
// are left.
func (s *Scheduler[J]) share(rows int, generating bool) int {
	turn := s.round
	if !generating {
		turn /= 2 // as waiting jobs have every second one first
	}
	for from := 0; from < len(s.jobs); {
		end := from // where the jobs of one priority end
		for end < len(s.jobs) && s.jobs[end].priority == s.jobs[from].priority {
			end++
		}
		for i := range end - from {
			e := s.jobs[from+(i+turn)%(end-from)]
			if !e.running || e.granted > 0 || rows == 0 {
				continue
			}
			want := e.job.Rows()
			if want.Generating != generating || want.Max == 0 || want.Min > rows {
				continue
			}
			freed := 0
			n := s.reserve(e, want, min(want.Max, rows), &freed)
			e.granted = n
			if rows += freed - n; n == 0 {
				s.starve(e)
			}
		}
		from = end
	}
	return rows
}

// starve remembers that nothing was found for e.
func (s *Scheduler[J]) starve(e *entry[J]) { e.starved, s.starved = true, e }

// reserve makes room for n rows of e, or fewer, and returns how many. freed grows by the rows of
// jobs that had to leave the batch.
func (s *Scheduler[J]) reserve(e *entry[J], want Rows, n int, freed *int) int {
	for {
		switch {
		case e.job.Reserve(n):
			return n
		case want.Generating && n > want.Min:
			n = want.Min
		case s.c.Reclaim():
		case n > want.Min:
			n = max(want.Min, n/2)
		case s.preempt(e, freed):
		default:
			return 0
		}
	}
}

// preempt takes the cache of the job that comes last, or of one that waits for somebody else, so
// that e finds room, and reports whether there is such a job.
func (s *Scheduler[J]) preempt(e *entry[J], freed *int) bool {
	victim := func(ok func(o *entry[J]) bool) bool {
		for _, o := range slices.Backward(s.jobs) {
			if o != e && o.running && o.job.Holds() && o.job.Preemptible() && ok(o) {
				*freed += o.granted
				s.stop(o)
				return true
			}
			if o == e && e.running {
				break
			}
		}
		return false
	}
	if e.running {
		return victim(func(*entry[J]) bool { return true }) || s.preemptIdle(e)
	}
	if victim(func(o *entry[J]) bool { return o.priority < e.priority }) {
		return true
	}
	if s.early {
		return false
	}
	// Where nothing goes on, the one that is waited for may itself wait for e.
	idle := !slices.ContainsFunc(s.jobs, func(o *entry[J]) bool { return o.granted > 0 })
	return idle && s.preemptIdle(e)
}

// preemptIdle takes the cache of a job before e that could not use rows now.
func (s *Scheduler[J]) preemptIdle(e *entry[J]) bool {
	for _, o := range s.jobs {
		if o != e && o.running && o.granted == 0 && o.job.Holds() && o.job.Preemptible() && o.job.Rows().Max == 0 {
			s.stop(o)
			return true
		}
	}
	return false
}

// stop makes a running job wait again.
func (s *Scheduler[J]) stop(o *entry[J]) {
	o.job.Release()
	o.running, o.granted = false, 0
	s.running--
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Running--
	s.stats.Waiting++
	s.stats.Preempted++
}

// admit starts waiting jobs, in order, as far as rows and cache go, and returns how many rows are
// left. Early in a plan they come before prompts that run already, but not before those of a higher
// priority.
func (s *Scheduler[J]) admit(rows int) int {
	least := math.MinInt
	for i := 0; i < len(s.jobs); i++ {
		e := s.jobs[i]
		if e.running {
			if s.early && e.granted == 0 {
				least = max(least, e.priority)
			}
			continue
		}
		if e.priority < least {
			return rows
		}
		want := e.job.Rows()
		if want.Max == 0 {
			continue // its reader is not ready
		}
		if rows < max(1, want.Min) {
			return rows
		}
		freed := 0
		n := s.start(e, rows, &freed)
		if rows += freed - n; n == 0 {
			return rows
		}
	}
	return rows
}

// start admits e with as many of the rows as it can use, and returns how many; 0 if it has to wait.
func (s *Scheduler[J]) start(e *entry[J], rows int, freed *int) int {
	if s.running >= s.c.Running && !s.preempt(e, freed) {
		return 0
	}
	e.job.Open()
	want, n := e.job.Rows(), 0
	if s.fits(e, freed) {
		n = s.reserve(e, want, min(want.Max, rows), freed)
	}
	if n == 0 {
		e.job.Release()
		s.starve(e)
		return 0
	}
	e.granted, e.running = n, true
	s.running++
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Admitted++
	s.stats.Waiting--
	s.stats.Running++
	if !e.ran {
		e.ran = true
		s.fresh.Add(-1)
	}
	return n
}

// fits reports whether the cache has room for all that e knows, so that it is not preempted at
// once. Alone, it may try.
func (s *Scheduler[J]) fits(e *entry[J], freed *int) bool {
	for s.running > 0 {
		if e.job.Cost() <= s.c.Room() {
			return true
		}
		if !s.c.Reclaim() && !s.preempt(e, freed) {
			return false
		}
	}
	return true
}
