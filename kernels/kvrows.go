package kernels

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/goinfer/goinfer/quant"
)

// rowFormat is how rows of one type are kept in the cache of keys and values: float32 to bytes and
// back. Lengths have been checked by the callers, and are whole numbers of blocks.
type rowFormat struct {
	dequantize func(dst []float32, src []byte)
	quantize   func(dst []byte, src []float32)
	// transpose, of types without blocks, converts n ≤ [Tile] rows of d numbers into columns: dst
	// is [d][Tile].
	transpose func(dst []float32, src []byte, n, d int)
}

// goRows is the table of plain Go.
var goRows = [quant.NumTypes]rowFormat{
	quant.F32:  {dequantize: dequantizeF32, quantize: quantizeF32, transpose: transposeF32Rows},
	quant.F16:  {dequantize: quant.F16ToF32, quantize: quant.F32ToF16, transpose: transposeF16Rows},
	quant.Q8_0: {dequantize: dequantizeBlocks(quant.Q8_0), quantize: quantizeBlocks(quant.Q8_0)},
	quant.Q4_0: {dequantize: dequantizeBlocks(quant.Q4_0), quantize: quantizeBlocks(quant.Q4_0)},
}

// rowFormat finds how t is kept.
func (l *ISA) rowFormat(t quant.Type) *rowFormat {
	if t >= quant.NumTypes || l.rows[t].dequantize == nil {
		panic(fmt.Sprintf("kernels: states are kept as F16, F32, Q8_0 or Q4_0, not %s", t))
	}
	return &l.rows[t]
}

// DequantizeRow converts numbers of type F16, F32, Q8_0 or Q4_0 as stored in memory into float32.
func (l *ISA) DequantizeRow(t quant.Type, dst []float32, src []byte) {
	l.rowFormat(t).dequantize(dst, src[:t.RowBytes(len(dst))])
}

// QuantizeRow stores float32 numbers as type F16, F32, Q8_0 or Q4_0. What is not finite, or too
// large, makes NaNs of its whole block, so that the fault is seen.
func (l *ISA) QuantizeRow(t quant.Type, dst []byte, src []float32) {
	l.rowFormat(t).quantize(dst[:t.RowBytes(len(src))], src)
}

func dequantizeF32(dst []float32, src []byte) { quant.Dequantize(quant.F32, dst, src) }

func quantizeF32(dst []byte, src []float32) {
	for i, v := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
}

func dequantizeBlocks(t quant.Type) func(dst []float32, src []byte) {
	return func(dst []float32, src []byte) { quant.Dequantize(t, dst, src) }
}

// quantizeBlocks writes formats whose blocks begin with their scale.
func quantizeBlocks(t quant.Type) func(dst []byte, src []float32) {
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
