// Package par is the worker pool: it runs the chunks of one job on a fixed number of threads.
//
// In order of use:
//
//   - [New] starts a [Pool] of so many threads, [Shared] takes the process's pool of that size;
//     [Pool.Close] ends it or gives it back.
//   - A [Job] is a struct that knows how to do one chunk of its work. It is made once and used
//     again, so that a token of a model, some two hundred jobs, allocates nothing.
//   - [Pool.Run] does all chunks of a job and returns when the last is done.
//
// A sketch:
//
//	type scale struct {
//		x    []float32
//		by   float32
//		step int
//	}
//
//	func (s *scale) Run(chunk, worker int) {
//		x := s.x[chunk*s.step:]
//		for i := range x[:min(s.step, len(x))] {
//			x[i] *= s.by
//		}
//	}
//
//	pool := par.New(4)
//	defer pool.Close()
//	job := &scale{x: x, by: 2, step: 4096}
//	pool.Run(job, (len(x)+4095)/4096)
//
// # How work is shared
//
// The caller of Run is worker 0 and takes part. Who is free takes the next chunk, so a thread that
// the operating system holds up delays the chunk in its hands and nothing else: a join waits for
// the chunks that were taken, never for workers that took none. Which worker does which chunk is
// left to chance; a job whose result must not depend on it writes by chunk and uses the worker's
// number for scratch memory alone.
//
// A worker without work looks for some for about a tenth of a millisecond, longer than the usual
// pause between two jobs of a token, and then sleeps until the next Run wakes it. A container with
// a quota of processor time is not billed for idle workers.
//
// # What goes wrong
//
// A chunk that panics ends the job: chunks not yet begun are left out, and Run panics with a
// [*Panic], which holds the value and the stack of the goroutine where it happened. The pool stays
// usable.
//
// Calling Run or Close on a pool from inside a chunk that runs on it is a bug and never returns: a
// pool does one job at a time. Another pool may be used there.
package par
