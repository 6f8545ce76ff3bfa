package cpu

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

func count() Cores {
	c := sysfsCores(os.DirFS("/"), affinity())
	if c.Physical == 0 {
		return perThread(c.Allowed)
	}
	return c
}

// affinity returns the numbers of the processors that the process may run on.
func affinity() []int {
	set := unix.NewCPUSet(maxCPU)
	var list []int
	if err := unix.SchedGetaffinityDynamic(0, set); err == nil {
		for i := range maxCPU {
			if set.IsSet(i) {
				list = append(list, i)
			}
		}
	}
	if len(list) == 0 { // a sandbox may forbid the call
		for i := range runtime.NumCPU() {
			list = append(list, i)
		}
	}
	return list
}

func osName() string   { return sysfsName(os.DirFS("/")) }
func osCaches() Caches { return sysfsCaches(os.DirFS("/")) }
