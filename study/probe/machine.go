package probe

import (
	"os"
	"runtime"

	"github.com/goinfer/goinfer/internal/cgroup"
	"github.com/goinfer/goinfer/internal/cpu"
	"github.com/goinfer/goinfer/internal/disk"
	"github.com/goinfer/goinfer/internal/mem"
)

// Info describes the machine and what the engine makes of it. Sizes are in bytes; 0 and "" mean
// unknown, or for limits none.
type Info struct {
	OS        string `json:"os"`
	Arch      string `json:"arch"`
	GoVersion string `json:"go_version"`

	CPU      string   `json:"cpu"`      // the processor's name
	Features []string `json:"features"` // instruction sets found, of those that matter to kernels
	ISA      string   `json:"level"`    // of the kernels in use
	ISAs     []string `json:"levels"`   // that this build has kernels for, from low to high

	LogicalCores     int `json:"logical_cores"`     // SMT siblings counted singly
	PhysicalCores    int `json:"physical_cores"`    //
	AllowedCores     int `json:"allowed_cores"`     // logical cores that the process may run on
	UsableCores      int `json:"usable_cores"`      // physical cores with at least one of these
	PerformanceCores int `json:"performance_cores"` // usable cores less the efficiency cores

	Threads    int    `json:"threads"`     // that the engine starts by default
	ThreadsWhy string `json:"threads_why"` // such as "2 of 2 cores; cgroup quota 1.5"

	L1Cache   int64 `json:"l1_cache"`   // for data, of one core
	L2Cache   int64 `json:"l2_cache"`   // that one core sees
	L3Cache   int64 `json:"l3_cache"`   // that one core sees
	LastCache int64 `json:"last_cache"` // all caches of the last level together

	MemoryTotal     int64  `json:"memory_total"`
	MemoryAvailable int64  `json:"memory_available"`
	MemoryWhy       string `json:"memory_why"` // the limit that MemoryAvailable comes from

	// quota of processor time, in processors
	CgroupCPUs   float64 `json:"cgroup_cpus,omitempty"`
	CgroupMemory int64   `json:"cgroup_memory,omitempty"` // limit of memory
	// what the group uses, pages of files excepted
	CgroupMemoryUse int64 `json:"cgroup_memory_use,omitempty"`
}

// Machine returns what can be found out at once. If GOINFER_CPU names a level that is not to be
// had, that is an error and ISA is empty; everything else is filled in.
func Machine() (Info, error) {
	isa, err := cpu.ISA()
	m := Info{
		OS: runtime.GOOS, Arch: runtime.GOARCH, GoVersion: runtime.Version(),
		CPU: cpu.Name(), Features: cpu.Features(), ISA: isa, ISAs: cpu.ISAs(),
	}
	c, caches := cpu.Count(), cpu.Cache()
	m.LogicalCores, m.PhysicalCores = c.Logical, c.Physical
	m.AllowedCores, m.UsableCores, m.PerformanceCores = c.Allowed, c.Usable, c.Performance
	m.Threads, m.ThreadsWhy = cpu.Threads()
	m.L1Cache, m.L2Cache, m.L3Cache, m.LastCache = caches.L1, caches.L2, caches.L3, caches.Last
	if n, ok := mem.Total(); ok {
		m.MemoryTotal = n
	}
	if n, why, ok := mem.Available(); ok {
		m.MemoryAvailable, m.MemoryWhy = n, why
	}
	root := os.DirFS("/")
	if q, ok := cgroup.CPU(root); ok {
		m.CgroupCPUs = q.CPUs
	}
	if l, ok := cgroup.Memory(root); ok {
		m.CgroupMemory, m.CgroupMemoryUse = l.Bytes, l.Used
	}
	return m, err
}

// DiskFree returns the bytes that may still be written to the file system of an existing file or
// folder. ok is false where that is not known.
func DiskFree(path string) (bytes int64, ok bool) { return disk.Free(path) }
