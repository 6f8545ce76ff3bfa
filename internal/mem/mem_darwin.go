package mem

import "golang.org/x/sys/unix"

// available uses the level that the kernel's memory pressure machinery works with: the share of
// memory, in percent, that can be had without swapping.
func available() (bytes int64, why string, ok bool) {
	level, err := unix.SysctlUint32("kern.memorystatus_level")
	all, known := total()
	if err != nil || !known || level > 100 {
		return 0, "", false
	}
	return all / 100 * int64(level), "free memory of the machine", true
}

func total() (bytes int64, ok bool) {
	n, err := unix.SysctlUint64("hw.memsize")
	return int64(n), err == nil && int64(n) > 0
}

func peakRSS() int64 { return maxRSS() }
