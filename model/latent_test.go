package model

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/tensor"
)

// TestTurn: a matrix that is transposed keeps its values, in no more bytes than they need.
func TestTurn(t *testing.T) {
	const rows, cols = 3, 32
	values := make([]float32, rows*cols)
	for i := range values {
		values[i] = float32(i%17-8) / 8
	}
	for typ, want := range map[quant.Type]quant.Type{quant.F32: quant.F32, quant.F16: quant.F16, quant.BF16: quant.BF16, quant.Q8_0: quant.F16} {
		data := make([]byte, rows*typ.RowBytes(cols))
		require.NoError(t, quant.Quantize(typ, data, values))
		stored := make([]float32, rows*cols)
		quant.Dequantize(typ, stored, data)
		got := transpose(tensor.Weight{Type: typ, Rows: rows, Cols: cols, Data: data})
		require.Equal(t, want, got.Type)
		require.Equal(t, []int{cols, rows, cols * want.RowBytes(rows)}, []int{got.Rows, got.Cols, len(got.Data)})
		turned := make([]float32, rows*cols)
		quant.Dequantize(got.Type, turned, got.Data)
		for i := range rows {
			for j := range cols {
				require.InDelta(t, stored[i*cols+j], turned[j*rows+i], math.Abs(float64(stored[i*cols+j]))/2048)
			}
		}
	}
	big := make([]float32, 32)
	big[5] = 65504
	data := make([]byte, quant.Q4_1.RowBytes(32))
	require.NoError(t, quant.Quantize(quant.Q4_1, data, big))
	// at the edge of F16
	_ = transpose(tensor.Weight{Type: quant.Q4_1, Rows: 1, Cols: 32, Data: data})
}
