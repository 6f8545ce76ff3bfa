//go:build !linux && !darwin && !windows

package cpu

import "time"

// Time returns the processor time that all threads of the process have received so far. ok is false
// where the system does not report it.
func Time() (d time.Duration, ok bool) { return 0, false }
