package tensor

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/quant"
)

func TestWeightRows(t *testing.T) {
	w := Weight{Name: "w", Type: quant.Q4_0, Rows: 3, Cols: 64, Data: make([]byte, 3*36)}
	for i := range w.Data {
		w.Data[i] = byte(i)
	}
	require.NoError(t, w.Validate())
	require.Equal(t, 36, w.RowBytes())
	require.Equal(t, w.Data[72:108], w.Row(2))
	require.Equal(t, 36, cap(w.Row(0)))
	require.Panics(t, func() { w.Row(3) })
}

func TestWeightValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		w    Weight
		want string
	}{
		{"type", Weight{Type: 7777, Rows: 1, Cols: 1}, `tensor "w": unknown type 7777`},
		{"withdrawn type", Weight{Type: 4, Rows: 1, Cols: 1}, `tensor "w": unknown type 4`},
		{"rows", Weight{Rows: 0, Cols: 1}, `tensor "w": want at least one row and column, found 0×1`},
		{"cols", Weight{Rows: 1, Cols: -32}, `tensor "w": want at least one row and column, found 1×-32`},
		{"blocks", Weight{Type: quant.Q4_K, Rows: 1, Cols: 257}, `tensor "w": want rows of whole Q4_K blocks of 256, found rows of 257`},
		{"row overflow", Weight{Rows: 1, Cols: math.MaxInt}, `more than memory can address`},
		{"overflow", Weight{Rows: 1 << 33, Cols: 1 << 33}, `more than memory can address`},
		{"short", Weight{Rows: 2, Cols: 3, Data: make([]byte, 23)}, `tensor "w": want 24 bytes for 2×3 in F32, found 23`},
		{"long", Weight{Rows: 2, Cols: 3, Data: make([]byte, 25)}, `tensor "w": want 24 bytes for 2×3 in F32, found 25`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.w.Name = "w"
			require.ErrorContains(t, c.w.Validate(), c.want)
		})
	}
}
