package tensor

import (
	"fmt"
	"math"
)

const (
	align       = 16      // floats: a tensor begins on a cache line of its block
	firstBlock  = 1 << 14 // floats
	headerChunk = 64      // tensors
)

// Arena is scratch memory for tensors, a stack: what was made last is given up first. The zero
// value is ready to use. It is not for concurrent use, though what its tensors hold may be read and
// written from any goroutine.
//
// An arena grows by adding blocks and never moves one that is in use, so tensors made before it
// grew stay valid. Reset merges the blocks into one of the size that was needed, after which the
// same calls allocate nothing.
type Arena struct {
	// Counting makes New hand out tensors without storage, which makes a run a dry run. It is set
	// before the first New.
	Counting bool

	blocks  [][]float32
	block   int // the block that New takes from
	off     int // floats taken of it
	headers []*[headerChunk]Tensor
	used    int // headers handed out
	live    int // floats handed out, rounded up for alignment
	peak    int // the most that live ever was
	epoch   int // counts Resets
}

// Mark is a point in the life of an arena to go back to. It is void after Reset.
type Mark struct{ block, off, used, live, epoch int }

// New returns a tensor of rows × cols whose contents are undefined. It is valid until the arena is
// rewound to an earlier Mark or Reset; then its header is used again for others. New panics if a
// size is negative or the tensor more than memory can address.
func (a *Arena) New(rows, cols int) *Tensor {
	if rows < 0 || cols < 0 || (cols > 0 && rows > (math.MaxInt/4-align)/cols) || rows*cols > math.MaxInt/4-align-a.live {
		panic(fmt.Sprintf("tensor: no tensor of %d×%d can be made", rows, cols))
	}
	n := rows * cols
	room := (n + align - 1) &^ (align - 1)
	t := a.header()
	*t = Tensor{Rows: rows, Cols: cols}
	if !a.Counting {
		b := a.take(room)
		t.F = b[:n:n]
	}
	a.live += room
	a.peak = max(a.peak, a.live)
	return t
}

// take returns n floats from the current block, or from the next that has room for them.
func (a *Arena) take(n int) []float32 {
	if a.block < len(a.blocks) && n <= len(a.blocks[a.block])-a.off {
		a.off += n
		return a.blocks[a.block][a.off-n : a.off]
	}
	// Nothing in the blocks after the current one is in use.
	next := min(a.block+1, len(a.blocks))
	for next < len(a.blocks) && len(a.blocks[next]) < n {
		next++
	}
	if next == len(a.blocks) {
		// As much again as there is, so that few blocks are added however large the need.
		a.blocks = append(a.blocks, make([]float32, max(n, a.held(), firstBlock)))
	}
	a.block, a.off = next, n
	return a.blocks[next][:n]
}

func (a *Arena) header() *Tensor {
	if a.used == len(a.headers)*headerChunk {
		a.headers = append(a.headers, new([headerChunk]Tensor))
	}
	t := &a.headers[a.used/headerChunk][a.used%headerChunk]
	a.used++
	return t
}

// Mark returns the present point, for Rewind.
func (a *Arena) Mark() Mark { return Mark{a.block, a.off, a.used, a.live, a.epoch} }

// Rewind gives up every tensor made since m was taken. Those made before it stay. It panics if m
// was taken before the last Reset or ahead of where the arena has been rewound to.
func (a *Arena) Rewind(m Mark) {
	if m.epoch != a.epoch || m.used > a.used || m.live > a.live {
		panic("tensor: rewind to a mark that is no longer valid")
	}
	a.block, a.off, a.used, a.live = m.block, m.off, m.used, m.live
}

// Reset gives up every tensor. If the arena had to grow, its blocks become one that holds the most
// that was ever in use.
func (a *Arena) Reset() {
	if len(a.blocks) > 1 {
		a.blocks = nil // so that the collector may have the old before the new is made
		a.blocks = [][]float32{make([]float32, max(a.peak, firstBlock))}
	}
	a.block, a.off, a.used, a.live = 0, 0, 0, 0
	a.epoch++
}

// Peak is the most memory, in bytes, that tensors took at one time since the arena was made, the
// same whether counting or not. Bytes is no more than this, or 64 KiB, after a Reset.
func (a *Arena) Peak() int64 { return int64(a.peak) * 4 }

// Bytes is the memory that the arena holds, in bytes; 0 if it only counts. The few bytes of the
// tensors' headers are left out.
func (a *Arena) Bytes() int64 { return int64(a.held()) * 4 }

// held is the size of all blocks, in floats.
func (a *Arena) held() int {
	n := 0
	for _, b := range a.blocks {
		n += len(b)
	}
	return n
}
