package mem

import (
	"os"
	"unsafe"
)

// Populate has the system read the pages of b and map them, so that they need not be faulted in one
// small group after the other: a fault costs microseconds, on virtual machines tens of them. Linux
// can from 5.14 on. It is advice; where it is not taken nothing changes.
func Populate(b []byte) {
	if len(b) == 0 {
		return
	}
	// The pages of which b has a part are mapped for all that is in them.
	p := unsafe.Pointer(unsafe.SliceData(b))
	before := int(uintptr(p) & uintptr(os.Getpagesize()-1))
	populate(unsafe.Slice((*byte)(unsafe.Add(p, -before)), before+len(b)))
}
