//go:build !linux && !darwin && !windows

package cpu

import "runtime"

func count() Cores     { return perThread(runtime.NumCPU()) }
func osName() string   { return "" }
func osCaches() Caches { return Caches{} }
