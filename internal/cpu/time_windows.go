package cpu

import (
	"time"

	"golang.org/x/sys/windows"
)

// Time returns the processor time that all threads of the process have received so far. ok is false
// where the system does not report it.
func Time() (d time.Duration, ok bool) {
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(windows.CurrentProcess(), &created, &exited, &kernel, &user); err != nil {
		return 0, false
	}
	ticks := func(f windows.Filetime) int64 { return int64(f.HighDateTime)<<32 | int64(f.LowDateTime) }
	return time.Duration(100 * (ticks(kernel) + ticks(user))), true // ticks of 100 ns
}
