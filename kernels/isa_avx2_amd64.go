//go:build !purego

package kernels

import "github.com/goinfer/goinfer/quant"

// tiles256 are the kernels of a block format for tiles of eight rows.
type tiles256 struct {
	t           quant.Type
	zeroShift   int // see tile
	gemv        func(dst *float32, w *byte, stride, blocks int, q *int8, groups *byte)
	pack        func(p *byte, s, m *float32, w *byte, stride, blocks int)
	microkernel [4]func(args *byte)
}

// The panels of level avx2: by the number of times that two products are added in 16 bits, the more
// the smaller the weights; Signed where these take all of a byte.
var (
	microkernel32By8AVX2    = [4]func(*byte){microkernel32By8x1AVX2, microkernel32By8x2AVX2, microkernel32By8x3AVX2, microkernel32By8x4AVX2}
	microkernel32By4AVX2    = [4]func(*byte){microkernel32By4x1AVX2, microkernel32By4x2AVX2, microkernel32By4x3AVX2, microkernel32By4x4AVX2}
	microkernel32By1AVX2    = [4]func(*byte){microkernel32By1x1AVX2, microkernel32By1x2AVX2, microkernel32By1x3AVX2, microkernel32By1x4AVX2}
	microkernel32SignedAVX2 = [4]func(*byte){microkernel32Signedx1AVX2, microkernel32Signedx2AVX2, microkernel32Signedx3AVX2, microkernel32Signedx4AVX2}
	microkernel32MinBy8AVX2 = [4]func(*byte){microkernel32MinBy8x1AVX2, microkernel32MinBy8x2AVX2, microkernel32MinBy8x3AVX2, microkernel32MinBy8x4AVX2}
	microkernel32MinBy4AVX2 = [4]func(*byte){microkernel32MinBy4x1AVX2, microkernel32MinBy4x2AVX2, microkernel32MinBy4x3AVX2, microkernel32MinBy4x4AVX2}
	microkernel16By4AVX2    = [4]func(*byte){microkernel16By4x1AVX2, microkernel16By4x2AVX2, microkernel16By4x3AVX2, microkernel16By4x4AVX2}
	microkernel16By2AVX2    = [4]func(*byte){microkernel16By2x1AVX2, microkernel16By2x2AVX2, microkernel16By2x3AVX2, microkernel16By2x4AVX2}
	microkernel16By1AVX2    = [4]func(*byte){microkernel16By1x1AVX2, microkernel16By1x2AVX2, microkernel16By1x3AVX2, microkernel16By1x4AVX2}
	microkernel16MinBy4AVX2 = [4]func(*byte){microkernel16MinBy4x1AVX2, microkernel16MinBy4x2AVX2, microkernel16MinBy4x3AVX2, microkernel16MinBy4x4AVX2}
)

var tilesAVX2 = []tiles256{
	{quant.Q4_0, 3, gemvQ4_0AVX2, packQ4_0AVX2, microkernel32By8AVX2},
	{quant.Q4_1, 0, gemvQ4_1AVX2, packQ4_1AVX2, microkernel32MinBy8AVX2},
	{quant.Q5_0, 4, gemvQ5_0AVX2, packQ5_0AVX2, microkernel32By4AVX2},
	{quant.Q5_1, 0, gemvQ5_1AVX2, packQ5_1AVX2, microkernel32MinBy4AVX2},
	{quant.Q8_0, 0, gemvQ8_0AVX2, packQ8_0AVX2, microkernel32SignedAVX2},
	{quant.IQ4_NL, 0, gemvIQ4_NLAVX2, packIQ4_NLAVX2, microkernel32SignedAVX2},
	{quant.MXFP4, 4, gemvMXFP4AVX2, packMXFP4AVX2, microkernel32By4AVX2},
	{quant.Q2_K, 0, gemvQ2_KAVX2, packQ2_KAVX2, microkernel16MinBy4AVX2},
	{quant.Q3_K, 2, gemvQ3_KAVX2, packQ3_KAVX2, microkernel16By4AVX2},
	{quant.Q4_K, 0, gemvQ4_KAVX2, packQ4_KAVX2, microkernel32MinBy8AVX2},
	{quant.Q5_K, 0, gemvQ5_KAVX2, packQ5_KAVX2, microkernel32MinBy4AVX2},
	{quant.Q6_K, 5, gemvQ6_KAVX2, packQ6_KAVX2, microkernel16By2AVX2},
	{quant.IQ4_XS, 0, gemvIQ4_XSAVX2, packIQ4_XSAVX2, microkernel32SignedAVX2},
	{quant.NVFP4, 4, gemvNVFP4AVX2, packNVFP4AVX2, microkernel16By4AVX2},
	{quant.TQ1_0, 0, gemvTQ1_0AVX2, packTQ1_0AVX2, microkernel32By8AVX2},
	{quant.TQ2_0, 0, gemvTQ2_0AVX2, packTQ2_0AVX2, microkernel32By8AVX2},
	{quant.Q1_0, 0, gemvQ1_0AVX2, packQ1_0AVX2, microkernel32By8AVX2},
	{quant.Q2_0, 0, gemvQ2_0AVX2, packQ2_0AVX2, microkernel32By8AVX2},
	{quant.IQ1_S, 4, gemvIQ1_SAVX2, packIQ1_SAVX2, microkernel32By4AVX2},
	{quant.IQ1_M, 4, gemvIQ1_MAVX2, packIQ1_MAVX2, microkernel16By4AVX2},
	{quant.IQ2_XXS, 6, gemvIQ2_XXSAVX2, packIQ2_XXSAVX2, microkernel32By1AVX2},
	{quant.IQ2_XS, 6, gemvIQ2_XSAVX2, packIQ2_XSAVX2, microkernel16By1AVX2},
	{quant.IQ2_S, 6, gemvIQ2_SAVX2, packIQ2_SAVX2, microkernel16By1AVX2},
	{quant.IQ3_XXS, 6, gemvIQ3_XXSAVX2, packIQ3_XXSAVX2, microkernel32By1AVX2},
	{quant.IQ3_S, 4, gemvIQ3_SAVX2, packIQ3_SAVX2, microkernel32By4AVX2},
}

// avx2 is the instruction set avx2.
func avx2(l ISA) *ISA {
	l.name = "avx2"
	l.setFloats256()
	for _, k := range tilesAVX2 {
		l.setBlockFormat(k.t, tile{lanes: 8, panels: 2, zeroShift: k.zeroShift, gemv: k.gemv, pack: k.pack, microkernel: k.microkernel})
	}
	return &l
}

var (
	microkernel32AVXVNNI    = [4]func(*byte){microkernel32x1AVXVNNI, microkernel32x2AVXVNNI, microkernel32x3AVXVNNI, microkernel32x4AVXVNNI}
	microkernel32MinAVXVNNI = [4]func(*byte){microkernel32Minx1AVXVNNI, microkernel32Minx2AVXVNNI, microkernel32Minx3AVXVNNI, microkernel32Minx4AVXVNNI}
	microkernel16AVXVNNI    = [4]func(*byte){microkernel16x1AVXVNNI, microkernel16x2AVXVNNI, microkernel16x3AVXVNNI, microkernel16x4AVXVNNI}
	microkernel16MinAVXVNNI = [4]func(*byte){microkernel16Minx1AVXVNNI, microkernel16Minx2AVXVNNI, microkernel16Minx3AVXVNNI, microkernel16Minx4AVXVNNI}
)

var tilesAVXVNNI = []tiles256{
	{quant.Q4_0, 3, gemvQ4_0AVXVNNI, packQ4_0AVX2, microkernel32AVXVNNI},
	{quant.Q4_1, 0, gemvQ4_1AVXVNNI, packQ4_1AVX2, microkernel32MinAVXVNNI},
	{quant.Q5_0, 4, gemvQ5_0AVXVNNI, packQ5_0AVX2, microkernel32AVXVNNI},
	{quant.Q5_1, 0, gemvQ5_1AVXVNNI, packQ5_1AVX2, microkernel32MinAVXVNNI},
	{quant.Q8_0, 7, gemvQ8_0AVXVNNI, packQ8_0AVXVNNI, microkernel32AVXVNNI},
	{quant.IQ4_NL, 7, gemvIQ4_NLAVXVNNI, packIQ4_NLAVXVNNI, microkernel32AVXVNNI},
	{quant.MXFP4, 4, gemvMXFP4AVXVNNI, packMXFP4AVX2, microkernel32AVXVNNI},
	{quant.Q2_K, 0, gemvQ2_KAVXVNNI, packQ2_KAVX2, microkernel16MinAVXVNNI},
	{quant.Q3_K, 2, gemvQ3_KAVXVNNI, packQ3_KAVX2, microkernel16AVXVNNI},
	{quant.Q4_K, 0, gemvQ4_KAVXVNNI, packQ4_KAVX2, microkernel32MinAVXVNNI},
	{quant.Q5_K, 0, gemvQ5_KAVXVNNI, packQ5_KAVX2, microkernel32MinAVXVNNI},
	{quant.Q6_K, 5, gemvQ6_KAVXVNNI, packQ6_KAVX2, microkernel16AVXVNNI},
	{quant.IQ4_XS, 7, gemvIQ4_XSAVXVNNI, packIQ4_XSAVXVNNI, microkernel32AVXVNNI},
	{quant.NVFP4, 4, gemvNVFP4AVXVNNI, packNVFP4AVX2, microkernel16AVXVNNI},
	{quant.TQ1_0, 0, gemvTQ1_0AVXVNNI, packTQ1_0AVX2, microkernel32AVXVNNI},
	{quant.TQ2_0, 0, gemvTQ2_0AVXVNNI, packTQ2_0AVX2, microkernel32AVXVNNI},
	{quant.Q1_0, 0, gemvQ1_0AVXVNNI, packQ1_0AVX2, microkernel32AVXVNNI},
	{quant.Q2_0, 0, gemvQ2_0AVXVNNI, packQ2_0AVX2, microkernel32AVXVNNI},
	{quant.IQ1_S, 4, gemvIQ1_SAVXVNNI, packIQ1_SAVX2, microkernel32AVXVNNI},
	{quant.IQ1_M, 4, gemvIQ1_MAVXVNNI, packIQ1_MAVX2, microkernel16AVXVNNI},
	{quant.IQ2_XXS, 6, gemvIQ2_XXSAVXVNNI, packIQ2_XXSAVX2, microkernel32AVXVNNI},
	{quant.IQ2_XS, 6, gemvIQ2_XSAVXVNNI, packIQ2_XSAVX2, microkernel16AVXVNNI},
	{quant.IQ2_S, 6, gemvIQ2_SAVXVNNI, packIQ2_SAVX2, microkernel16AVXVNNI},
	{quant.IQ3_XXS, 6, gemvIQ3_XXSAVXVNNI, packIQ3_XXSAVX2, microkernel32AVXVNNI},
	{quant.IQ3_S, 4, gemvIQ3_SAVXVNNI, packIQ3_SAVX2, microkernel32AVXVNNI},
}

// avxvnni is the instruction set avxvnni.
func avxvnni(l ISA) *ISA {
	l.name = "avxvnni"
	for _, k := range tilesAVXVNNI {
		l.setBlockFormat(k.t, tile{lanes: 8, panels: 3, zeroShift: k.zeroShift, gemv: k.gemv, pack: k.pack, microkernel: k.microkernel})
	}
	return &l
}
