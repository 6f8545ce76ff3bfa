//go:build linux || darwin

package mem

import "golang.org/x/sys/unix"

// maxRSS is in kilobytes on Linux and in bytes on macOS, 0 if unknown.
func maxRSS() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return int64(u.Maxrss)
}
