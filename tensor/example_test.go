package tensor_test

import (
	"fmt"

	"github.com/goinfer/goinfer/tensor"
)

// Scratch memory is given back in order: what a layer needs is used again by the next. Sizes are
// rounded up to 64 bytes.
func ExampleArena() {
	var a tensor.Arena
	x := a.New(2, 3) // the residual stream of two tokens
	mark := a.Mark()
	for range 4 {
		h := a.New(2, 3)
		h.Row(0)[0] = 1
		a.Rewind(mark)
	}
	fmt.Println(len(x.F), x.Row(1), a.Peak(), "bytes at most")
	// Output: 6 [0 0 0] 128 bytes at most
}
