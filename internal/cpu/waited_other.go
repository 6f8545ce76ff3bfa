//go:build !linux

package cpu

import "time"

// Waited returns how long the threads of the process, all together, were ready to run and had no
// core, because other programs (or too many threads) had them. ok is false where the system does
// not report it.
func Waited() (d time.Duration, ok bool) { return 0, false }
