//go:build linux || darwin

package disk

import (
	"math"
	"math/bits"

	"golang.org/x/sys/unix"
)

func free(path string) (bytes int64, ok bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil || s.Bsize <= 0 {
		return 0, false
	}
	hi, lo := bits.Mul64(s.Bavail, uint64(s.Bsize))
	if hi != 0 || lo > math.MaxInt64 {
		return math.MaxInt64, true
	}
	return int64(lo), true
}
