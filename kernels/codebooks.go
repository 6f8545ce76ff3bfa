package kernels

import "github.com/goinfer/goinfer/quant"

// What assembly reads of the codebooks: the address of the first entry of each.
var (
	gridIQ1S   = &quant.Grid(quant.IQ1_S)[0]
	gridIQ2XXS = &quant.Grid(quant.IQ2_XXS)[0]
	gridIQ2XS  = &quant.Grid(quant.IQ2_XS)[0]
	gridIQ2S   = &quant.Grid(quant.IQ2_S)[0]
	gridIQ3XXS = &pointsOf4(quant.Grid(quant.IQ3_XXS))[0]
	gridIQ3S   = &pointsOf4(quant.Grid(quant.IQ3_S))[0]

	// Bytes of 1, or -1 where a bit is set, for seven bits and an eighth that makes the number of
	// set bits even.
	signs7 = &signs()[0]
)

// pointsOf4 are points of four numbers, which leave half of a word empty.
func pointsOf4(grid []uint64) []uint32 {
	g := make([]uint32, len(grid))
	for i, v := range grid {
		g[i] = uint32(v)
	}
	return g
}

func signs() []uint64 {
	s := make([]uint64, 128)
	for i := range s {
		set := i
		for j := range 7 {
			set ^= i >> j & 1 << 7
		}
		for j := range 8 {
			v := uint64(1)
			if set>>j&1 != 0 {
				v = 0xff
			}
			s[i] |= v << (8 * j)
		}
	}
	return s
}
