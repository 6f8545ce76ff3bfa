package cpu

import (
	"runtime"

	"github.com/klauspost/cpuid/v2"
	"github.com/klauspost/cpuid/v2/topology"
)

func count() Cores {
	allowed := runtime.NumCPU() // follows the affinity of the process
	sys, err := cpuid.ScanTopology()
	if err != nil || sys.NumThreads() != allowed {
		return perThread(allowed)
	}
	kinds := sys.CoresByType()
	slow := kinds[topology.Efficiency] + kinds[topology.LPEfficiency]
	return Cores{Logical: allowed, Physical: sys.NumCores(), Allowed: allowed, Usable: sys.NumCores(), Performance: sys.NumCores() - slow}
}

func osName() string   { return "" }
func osCaches() Caches { return Caches{} }
