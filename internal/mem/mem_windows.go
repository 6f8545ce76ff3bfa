package mem

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	kernel32             = windows.NewLazySystemDLL("kernel32.dll")
	globalMemoryStatusEx = kernel32.NewProc("GlobalMemoryStatusEx")
	getProcessMemoryInfo = kernel32.NewProc("K32GetProcessMemoryInfo")
)

// memoryStatus is MEMORYSTATUSEX of the Windows API.
type memoryStatus struct {
	length, load               uint32
	totalPhys, availPhys       uint64
	totalPageFile, availCommit uint64
	totalVirtual, availVirtual uint64
	availExtendedVirtual       uint64
}

func status() (s memoryStatus, ok bool) {
	s.length = uint32(unsafe.Sizeof(s))
	if globalMemoryStatusEx.Find() != nil {
		return s, false
	}
	r, _, _ := globalMemoryStatusEx.Call(uintptr(unsafe.Pointer(&s)))
	return s, r != 0
}

func available() (bytes int64, why string, ok bool) {
	s, ok := status()
	return int64(s.availPhys), "free memory of the machine", ok
}

func total() (bytes int64, ok bool) {
	s, ok := status()
	return int64(s.totalPhys), ok
}

// processMemory is PROCESS_MEMORY_COUNTERS of the Windows API.
type processMemory struct {
	size, pageFaults                uint32
	peakWorkingSet, workingSet      uintptr
	peakPagedPool, pagedPool        uintptr
	peakNonPagedPool, nonPagedPool  uintptr
	pagefileUsage, peakPagefileUsed uintptr
}

func peakRSS() int64 {
	var p processMemory
	p.size = uint32(unsafe.Sizeof(p))
	if getProcessMemoryInfo.Find() != nil {
		return 0
	}
	r, _, _ := getProcessMemoryInfo.Call(uintptr(windows.CurrentProcess()), uintptr(unsafe.Pointer(&p)), uintptr(p.size))
	if r == 0 {
		return 0
	}
	return int64(p.peakWorkingSet)
}
