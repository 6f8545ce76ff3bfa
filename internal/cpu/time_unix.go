//go:build linux || darwin

package cpu

import (
	"time"

	"golang.org/x/sys/unix"
)

// Time returns the processor time that all threads of the process have received so far. ok is false
// where the system does not report it.
func Time() (d time.Duration, ok bool) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}
