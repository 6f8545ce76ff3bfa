package grammar

import (
	"syscall"
	"time"
	"unsafe"
)

// processorTime is the time that the thread has run: on a machine that others use as well, the
// clock on the wall says little.
func processorTime() time.Duration {
	const threadTime = 3 // CLOCK_THREAD_CPUTIME_ID
	var ts syscall.Timespec
	if _, _, e := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, threadTime, uintptr(unsafe.Pointer(&ts)), 0); e != 0 {
		return time.Since(started)
	}
	return time.Duration(ts.Nano())
}
