package kernels

import (
	mathbits "math/bits"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/quant"
)

// TestCodebooks holds the tables of assembly against the points of the formats and the meaning of
// signs.
func TestCodebooks(t *testing.T) {
	for typ, p := range map[quant.Type]*uint64{quant.IQ1_S: gridIQ1S, quant.IQ1_M: gridIQ1S, quant.IQ2_XXS: gridIQ2XXS, quant.IQ2_XS: gridIQ2XS, quant.IQ2_S: gridIQ2S} {
		grid := quant.Grid(typ)
		require.Equal(t, grid, unsafe.Slice(p, len(grid)), typ)
	}
	for typ, p := range map[quant.Type]*uint32{quant.IQ3_XXS: gridIQ3XXS, quant.IQ3_S: gridIQ3S} {
		for i, v := range quant.Grid(typ) {
			require.EqualValues(t, v, unsafe.Slice(p, i+1)[i], typ)
		}
	}
	require.Nil(t, quant.Grid(quant.Q4_K))
	for i, v := range unsafe.Slice(signs7, 128) {
		set := i + mathbits.OnesCount(uint(i))%2*128
		for j := range 8 {
			require.EqualValues(t, 1-2*(set>>j&1), int8(v>>(8*j)))
		}
	}
}
