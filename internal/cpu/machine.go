package cpu

import (
	"runtime"

	"github.com/klauspost/cpuid/v2"
)

// Caches holds sizes in bytes, 0 where unknown.
type Caches struct {
	L1, L2, L3 int64 // data caches as one core sees them; L3 may be shared by some or all
	// sum of the last-level caches of the machine: what a buffer must exceed so that it is read
	// from memory
	Last int64
}

// Name returns the processor's name, such as "AMD Ryzen 9 7950X 16-Core Processor", or at least its
// architecture.
func Name() string {
	if s := cpuid.CPU.BrandName; s != "" {
		return s
	}
	if s := osName(); s != "" {
		return s
	}
	return runtime.GOARCH
}

// Cache returns the sizes of the caches.
func Cache() Caches {
	c := osCaches()
	fill := func(size *int64, found int) {
		if *size == 0 {
			*size = int64(max(0, found))
		}
	}
	fill(&c.L1, cpuid.CPU.Cache.L1D)
	fill(&c.L2, cpuid.CPU.Cache.L2)
	fill(&c.L3, cpuid.CPU.Cache.L3)
	c.Last = max(c.Last, c.L1, c.L2, c.L3)
	return c
}

// perThread counts cores where only the number of threads to a core is known.
func perThread(allowed int) Cores {
	smt := max(1, cpuid.CPU.ThreadsPerCore)
	return Cores{Logical: max(allowed, cpuid.CPU.LogicalCores), Physical: cpuid.CPU.PhysicalCores,
		Allowed: allowed, Usable: (allowed + smt - 1) / smt}
}
