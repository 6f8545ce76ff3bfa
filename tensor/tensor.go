// Package tensor holds numbers and their shapes. It does no arithmetic.
//
// There are two kinds of holder, because a model has two kinds of number:
//
//   - [Weight] is a matrix as stored in the model's file, in whichever format, [out][in]. Its
//     bytes are a view into the file and are never copied or expanded.
//   - [Tensor] is a matrix of activations in float32, [n_tokens][n], made again in every forward
//     pass.
//
// Tensors come from an [Arena], a stack of scratch memory that is emptied layer by layer and pass
// by pass, so that a pass allocates nothing once the arena has seen one of its size:
//
//	var a tensor.Arena
//	for {
//		a.Reset()
//		x := a.New(tokens, embd)        // lives until the next Reset
//		m := a.Mark()
//		for range layers {
//			a.Rewind(m)             // gives up what the layer before made; x stays
//			h := a.New(tokens, embd)
//			…
//		}
//	}
//
// An arena whose Counting is set hands out shapes without storage; the same code then reports by
// [Arena.Peak] how much memory a real run takes.
package tensor

import (
	"fmt"
	"math"

	"github.com/goinfer/goinfer/quant"
)

// Tensor is a matrix of activations, row-major [Rows][Cols]: usually a row per token.
type Tensor struct {
	F          []float32 // Rows*Cols numbers; nil if it came from a counting Arena
	Rows, Cols int
}

// Row is row i, [Cols]. It shares the tensor's memory and cannot be appended to in place.
func (t *Tensor) Row(i int) []float32 { return t.F[i*t.Cols : (i+1)*t.Cols : (i+1)*t.Cols] }

// Weight is a matrix in the format of its file, [Rows = out][Cols = in], one row after another
// without gaps.
type Weight struct {
	Name       string
	Type       quant.Type
	Rows, Cols int
	Data       []byte // Rows*RowBytes(), usually a view into the mapped file; never written
}

// RowBytes is the size of a row.
func (w *Weight) RowBytes() int { return w.Type.RowBytes(w.Cols) }

// Row is row i in the weight's format. It shares the weight's memory.
func (w *Weight) Row(i int) []byte {
	n := w.RowBytes()
	return w.Data[i*n : (i+1)*n : (i+1)*n]
}

// Validate reports whether the fields agree: a known type, rows of whole blocks, and exactly the
// bytes that the shape asks for. The methods of a Weight rely on it.
func (w *Weight) Validate() error {
	block, size := w.Type.BlockSize(), w.Type.BlockBytes()
	switch {
	case block == 0:
		return fmt.Errorf("tensor %q: unknown type %d", w.Name, uint32(w.Type))
	case w.Rows < 1 || w.Cols < 1:
		return fmt.Errorf("tensor %q: want at least one row and column, found %d×%d", w.Name, w.Rows, w.Cols)
	case w.Cols%block != 0:
		return fmt.Errorf("tensor %q: want rows of whole %s blocks of %d, found rows of %d", w.Name, w.Type, block, w.Cols)
	case w.Cols/block > math.MaxInt/size || w.Rows > math.MaxInt/(w.Cols/block*size):
		return fmt.Errorf("tensor %q: %d×%d in %s is more than memory can address", w.Name, w.Rows, w.Cols, w.Type)
	case len(w.Data) != w.Rows*w.RowBytes():
		return fmt.Errorf("tensor %q: want %d bytes for %d×%d in %s, found %d", w.Name, w.Rows*w.RowBytes(), w.Rows, w.Cols, w.Type, len(w.Data))
	}
	return nil
}
