// Package probe looks at the machine as the engine sees it: what it is, how fast it reads memory,
// and how fast it calculates.
//
// In order of use:
//
//   - [Machine] returns the processor, the level of kernels chosen, cores, threads, memory and the
//     limits that are set.
//   - [Measure] returns [Peaks]: read bandwidth and arithmetic peaks for each number of threads
//     asked for.
//   - [Bandwidth], [FMA] and [Int8Dot] measure one of them as it is at this moment.
//   - [DiskFree] is the room for a file that is to be written.
//
// A sketch:
//
//	m, err := probe.Machine()
//	if err != nil { // GOINFER_CPU names a level that is not to be had; the rest of m is filled in
//		fmt.Fprintln(os.Stderr, err)
//	}
//	p, err := probe.Measure(ctx, []int{1, m.Threads}, nil)
//	for _, r := range p.Results {
//		fmt.Printf("%d threads: %.1f GB/s\n", r.Threads, r.ReadGBs)
//	}
//
// # What the figures mean
//
// They bound the speed of the engine. One token of a sequence reads every weight once, so tokens
// per second cannot exceed the bandwidth divided by the size of the weights; a long prompt needs
// two operations for each weight and token, so it cannot be evaluated faster than the peak divided
// by that. How near the engine comes to the lower bound of the two is what its kernels are judged
// by. See Williams, Waterman and Patterson 2009, "Roofline", doi:10.1145/1498765.1498785.
//
// Bandwidth is measured on a buffer several times larger than the caches, read once from end to
// end, in GB/s of 10⁹ bytes. The arithmetic peaks are those of the best loops known for the level
// in use, on operands in the first-level cache: what kernels of that level can reach, not what the
// silicon could do with other instructions. A multiply-add is two operations. A figure of [Measure]
// is the best of several rounds, as everything that disturbs a round makes it slower; on a machine
// that is busy with other things it is still too low. The functions for one figure return the mean
// of all rounds: work is disturbed too, so what it reached is to be compared with what the machine
// reached on average right before and after.
package probe
