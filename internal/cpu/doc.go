// Package cpu reports what the processor can do: its instruction sets, the level of kernels to use,
// its cores and caches, and how many threads are worth starting.
//
// In order of use:
//
//   - [ISA] is the level of kernels in use: the best of [ISAs] that the processor has, or the lower
//     one that the environment variable GOINFER_CPU names.
//   - [Threads] is the number of threads to start by default, and why.
//   - [Name], [Features], [Count] and [Cache] describe the machine to its user.
//
// A sketch:
//
//	level, err := cpu.ISA() // "go"; err if GOINFER_CPU names what is not there
//	threads, why := cpu.Threads()
//	fmt.Printf("%s: level %s, %d threads (%s)\n", cpu.Name(), level, threads, why)
//
// # Levels
//
// A level is a set of kernels for one set of instructions. From low to high: "go" is plain Go and
// everywhere; on amd64 "avx2" (with FMA and F16C), "avxvnni" and "avx512vnni" (with F, BW, DQ and
// VL); on arm64 "neon", "dotprod" and "i8mm". Each level includes those below. "avx512bf16" is
// chosen by nobody but the user: it is faster where weights are BF16, and rounds more. What the
// processor could do and what this build has kernels for are different things: [ISAs] is the
// latter.
//
// # Threads
//
// The arithmetic of a transformer fills a core, so a second thread on it (SMT) takes from the
// first; and a thread on a core that is much slower than the others holds up every join. Hence one
// thread for each performance core that the process may run on (affinity, cpuset), and no more than
// the quota of its control group, rounded up, as processors beyond the quota only bring forward the
// moment when all are stopped.
package cpu
