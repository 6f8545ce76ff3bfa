package mem

import "unsafe"

const hugePage = 2 << 20 // size on Linux on amd64, and of arm64 with pages of 4 KiB

// Huge asks the system for large pages under b, which must not have been written yet: walking
// through them misses the TLB less often. It is advice; where it is not taken nothing changes.
func Huge(b []byte) {
	p := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	from := int(-p & (hugePage - 1))
	to := len(b) - int((p+uintptr(len(b)))&(hugePage-1))
	if from < to {
		huge(b[from:to])
	}
}
