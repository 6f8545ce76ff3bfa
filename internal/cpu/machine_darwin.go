package cpu

import (
	"runtime"

	"golang.org/x/sys/unix"
)

func count() Cores {
	c := Cores{Logical: sysctl("hw.logicalcpu"), Physical: sysctl("hw.physicalcpu"), Allowed: runtime.NumCPU()}
	c.Usable = c.Physical
	// Level 0 holds the fastest cores.
	if sysctl("hw.nperflevels") > 1 {
		c.Performance = sysctl("hw.perflevel0.physicalcpu")
	}
	return c
}

// sysctl returns 0 for a name that this machine does not know.
func sysctl(name string) int {
	v, err := unix.SysctlUint32(name)
	if err != nil {
		return 0
	}
	return int(v)
}

func osName() string   { return "" }
func osCaches() Caches { return Caches{} }
