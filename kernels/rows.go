package kernels

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/goinfer/goinfer/quant"
)

// rowFormat is how rows of one type are kept in the cache of keys and values: float32 to bytes and back. Lengths have been checked by the callers, and are whole numbers of
// blocks.
type rowFormat struct {
	widen  func(dst []float32, src []byte)
	narrow func(dst []byte, src []float32)
	// transpose, of types without blocks, turns n ≤ [Tile] rows of d numbers into columns: dst is [d][Tile].
	transpose func(dst []float32, src []byte, n, d int)
}

// goRows is the table of plain Go.
var goRows = [quant.NumTypes]rowFormat{
	quant.F32:  {widen: widenFloat, narrow: narrowFloat, transpose: transposeFloat},
	quant.F16:  {widen: quant.WidenHalf, narrow: quant.NarrowHalf, transpose: transposeHalf},
	quant.Q8_0: {widen: widenBlocks(quant.Q8_0), narrow: narrowBlocks(quant.Q8_0)},
	quant.Q4_0: {widen: widenBlocks(quant.Q4_0), narrow: narrowBlocks(quant.Q4_0)},
}

// rowFormat finds how t is kept.
func (l *Level) rowFormat(t quant.Type) *rowFormat {
	if t >= quant.NumTypes || l.rows[t].widen == nil {
		panic(fmt.Sprintf("kernels: states are kept as F16, F32, Q8_0 or Q4_0, not %s", t))
	}
	return &l.rows[t]
}

// Widen turns numbers of type F16, F32, Q8_0 or Q4_0 as they lie in memory into float32.
func (l *Level) Widen(t quant.Type, dst []float32, src []byte) {
	l.rowFormat(t).widen(dst, src[:t.RowBytes(len(dst))])
}

// Narrow stores float32 numbers as type F16, F32, Q8_0 or Q4_0. What is not finite, or too large, makes NaNs of its whole block, so that the fault is seen.
func (l *Level) Narrow(t quant.Type, dst []byte, src []float32) {
	l.rowFormat(t).narrow(dst[:t.RowBytes(len(src))], src)
}

func widenFloat(dst []float32, src []byte) { quant.Dequantize(quant.F32, dst, src) }

func narrowFloat(dst []byte, src []float32) {
	for i, v := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
}

func widenBlocks(t quant.Type) func(dst []float32, src []byte) {
	return func(dst []float32, src []byte) { quant.Dequantize(t, dst, src) }
}

// narrowBlocks writes formats whose blocks begin with their scale.
func narrowBlocks(t quant.Type) func(dst []byte, src []float32) {
	const notANumber = 0x7e00
	block, size := t.BlockSize(), t.BlockBytes()
	return func(dst []byte, src []float32) {
		if quant.Quantize(t, dst, src) == nil {
			return
		}
		for ; len(src) > 0; dst, src = dst[size:], src[block:] {
			if quant.Quantize(t, dst[:size], src[:block]) != nil {
				clear(dst[:size])
				binary.LittleEndian.PutUint16(dst, notANumber)
			}
		}
	}
}
