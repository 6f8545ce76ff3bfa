package mem

import (
	"math"
	"os"

	"golang.org/x/sys/unix"
)

func available() (bytes int64, why string, ok bool) {
	return linuxAvailable(os.DirFS("/"), addressSpace())
}

// addressSpace is the limit of the process's address space, math.MaxInt64 for none.
func addressSpace() int64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &l); err != nil || l.Cur > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(l.Cur)
}

func total() (bytes int64, ok bool) { return linuxTotal(os.DirFS("/")) }

// peakRSS prefers VmHWM: the kernel's ru_maxrss may be that of the program which this process was
// before exec.
func peakRSS() int64 {
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		if n, ok := field(status, "VmHWM"); ok {
			return n
		}
	}
	return maxRSS() << 10
}

func populate(b []byte) { _ = unix.Madvise(b, unix.MADV_POPULATE_READ) }

func huge(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }

// resetPeak sets VmHWM back (proc_pid_clear_refs(5)).
func resetPeak() bool { return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) == nil }
