//go:build !purego

package kernels

import "github.com/goinfer/goinfer/quant"

// tiles256 are the kernels of a block format for tiles of eight rows.
type tiles256 struct {
	t      quant.Type
	off    int // see tile
	rows   func(dst *float32, w *byte, stride, blocks int, q *int8, groups *byte)
	unpack func(p *byte, s, m *float32, w *byte, stride, blocks int)
	panel  [4]func(args *byte)
}

// The panels of level avx2: by the number of times that two products are added in 16 bits, the more the smaller the weights; Signed where these take all of a
// byte.
var (
	panel32By8AVX2    = [4]func(*byte){panel32By8x1AVX2, panel32By8x2AVX2, panel32By8x3AVX2, panel32By8x4AVX2}
	panel32By4AVX2    = [4]func(*byte){panel32By4x1AVX2, panel32By4x2AVX2, panel32By4x3AVX2, panel32By4x4AVX2}
	panel32By1AVX2    = [4]func(*byte){panel32By1x1AVX2, panel32By1x2AVX2, panel32By1x3AVX2, panel32By1x4AVX2}
	panel32SignedAVX2 = [4]func(*byte){panel32Signedx1AVX2, panel32Signedx2AVX2, panel32Signedx3AVX2, panel32Signedx4AVX2}
	panel32MinBy8AVX2 = [4]func(*byte){panel32MinBy8x1AVX2, panel32MinBy8x2AVX2, panel32MinBy8x3AVX2, panel32MinBy8x4AVX2}
	panel32MinBy4AVX2 = [4]func(*byte){panel32MinBy4x1AVX2, panel32MinBy4x2AVX2, panel32MinBy4x3AVX2, panel32MinBy4x4AVX2}
	panel16By4AVX2    = [4]func(*byte){panel16By4x1AVX2, panel16By4x2AVX2, panel16By4x3AVX2, panel16By4x4AVX2}
	panel16By2AVX2    = [4]func(*byte){panel16By2x1AVX2, panel16By2x2AVX2, panel16By2x3AVX2, panel16By2x4AVX2}
	panel16By1AVX2    = [4]func(*byte){panel16By1x1AVX2, panel16By1x2AVX2, panel16By1x3AVX2, panel16By1x4AVX2}
	panel16MinBy4AVX2 = [4]func(*byte){panel16MinBy4x1AVX2, panel16MinBy4x2AVX2, panel16MinBy4x3AVX2, panel16MinBy4x4AVX2}
)

var tilesAVX2 = []tiles256{
	{quant.Q4_0, 3, rowsQ4_0AVX2, unpackQ4_0AVX2, panel32By8AVX2},
	{quant.Q4_1, 0, rowsQ4_1AVX2, unpackQ4_1AVX2, panel32MinBy8AVX2},
	{quant.Q5_0, 4, rowsQ5_0AVX2, unpackQ5_0AVX2, panel32By4AVX2},
	{quant.Q5_1, 0, rowsQ5_1AVX2, unpackQ5_1AVX2, panel32MinBy4AVX2},
	{quant.Q8_0, 0, rowsQ8_0AVX2, unpackQ8_0AVX2, panel32SignedAVX2},
	{quant.IQ4_NL, 0, rowsIQ4_NLAVX2, unpackIQ4_NLAVX2, panel32SignedAVX2},
	{quant.MXFP4, 4, rowsMXFP4AVX2, unpackMXFP4AVX2, panel32By4AVX2},
	{quant.Q2_K, 0, rowsQ2_KAVX2, unpackQ2_KAVX2, panel16MinBy4AVX2},
	{quant.Q3_K, 2, rowsQ3_KAVX2, unpackQ3_KAVX2, panel16By4AVX2},
	{quant.Q4_K, 0, rowsQ4_KAVX2, unpackQ4_KAVX2, panel32MinBy8AVX2},
	{quant.Q5_K, 0, rowsQ5_KAVX2, unpackQ5_KAVX2, panel32MinBy4AVX2},
	{quant.Q6_K, 5, rowsQ6_KAVX2, unpackQ6_KAVX2, panel16By2AVX2},
	{quant.IQ4_XS, 0, rowsIQ4_XSAVX2, unpackIQ4_XSAVX2, panel32SignedAVX2},
	{quant.NVFP4, 4, rowsNVFP4AVX2, unpackNVFP4AVX2, panel16By4AVX2},
	{quant.TQ1_0, 0, rowsTQ1_0AVX2, unpackTQ1_0AVX2, panel32By8AVX2},
	{quant.TQ2_0, 0, rowsTQ2_0AVX2, unpackTQ2_0AVX2, panel32By8AVX2},
	{quant.Q1_0, 0, rowsQ1_0AVX2, unpackQ1_0AVX2, panel32By8AVX2},
	{quant.Q2_0, 0, rowsQ2_0AVX2, unpackQ2_0AVX2, panel32By8AVX2},
	{quant.IQ1_S, 4, rowsIQ1_SAVX2, unpackIQ1_SAVX2, panel32By4AVX2},
	{quant.IQ1_M, 4, rowsIQ1_MAVX2, unpackIQ1_MAVX2, panel16By4AVX2},
	{quant.IQ2_XXS, 6, rowsIQ2_XXSAVX2, unpackIQ2_XXSAVX2, panel32By1AVX2},
	{quant.IQ2_XS, 6, rowsIQ2_XSAVX2, unpackIQ2_XSAVX2, panel16By1AVX2},
	{quant.IQ2_S, 6, rowsIQ2_SAVX2, unpackIQ2_SAVX2, panel16By1AVX2},
	{quant.IQ3_XXS, 6, rowsIQ3_XXSAVX2, unpackIQ3_XXSAVX2, panel32By1AVX2},
	{quant.IQ3_S, 4, rowsIQ3_SAVX2, unpackIQ3_SAVX2, panel32By4AVX2},
}

// avx2 is the level avx2.
func avx2(l Level) *Level {
	l.name = "avx2"
	l.setFloats256()
	for _, k := range tilesAVX2 {
		l.setTile(k.t, tile{size: 8, at: 2, off: k.off, rows: k.rows, unpack: k.unpack, panel: k.panel})
	}
	return &l
}

var (
	panel32AVXVNNI    = [4]func(*byte){panel32x1AVXVNNI, panel32x2AVXVNNI, panel32x3AVXVNNI, panel32x4AVXVNNI}
	panel32MinAVXVNNI = [4]func(*byte){panel32Minx1AVXVNNI, panel32Minx2AVXVNNI, panel32Minx3AVXVNNI, panel32Minx4AVXVNNI}
	panel16AVXVNNI    = [4]func(*byte){panel16x1AVXVNNI, panel16x2AVXVNNI, panel16x3AVXVNNI, panel16x4AVXVNNI}
	panel16MinAVXVNNI = [4]func(*byte){panel16Minx1AVXVNNI, panel16Minx2AVXVNNI, panel16Minx3AVXVNNI, panel16Minx4AVXVNNI}
)

var tilesAVXVNNI = []tiles256{
	{quant.Q4_0, 3, rowsQ4_0AVXVNNI, unpackQ4_0AVX2, panel32AVXVNNI},
	{quant.Q4_1, 0, rowsQ4_1AVXVNNI, unpackQ4_1AVX2, panel32MinAVXVNNI},
	{quant.Q5_0, 4, rowsQ5_0AVXVNNI, unpackQ5_0AVX2, panel32AVXVNNI},
	{quant.Q5_1, 0, rowsQ5_1AVXVNNI, unpackQ5_1AVX2, panel32MinAVXVNNI},
	{quant.Q8_0, 7, rowsQ8_0AVXVNNI, unpackQ8_0AVXVNNI, panel32AVXVNNI},
	{quant.IQ4_NL, 7, rowsIQ4_NLAVXVNNI, unpackIQ4_NLAVXVNNI, panel32AVXVNNI},
	{quant.MXFP4, 4, rowsMXFP4AVXVNNI, unpackMXFP4AVX2, panel32AVXVNNI},
	{quant.Q2_K, 0, rowsQ2_KAVXVNNI, unpackQ2_KAVX2, panel16MinAVXVNNI},
	{quant.Q3_K, 2, rowsQ3_KAVXVNNI, unpackQ3_KAVX2, panel16AVXVNNI},
	{quant.Q4_K, 0, rowsQ4_KAVXVNNI, unpackQ4_KAVX2, panel32MinAVXVNNI},
	{quant.Q5_K, 0, rowsQ5_KAVXVNNI, unpackQ5_KAVX2, panel32MinAVXVNNI},
	{quant.Q6_K, 5, rowsQ6_KAVXVNNI, unpackQ6_KAVX2, panel16AVXVNNI},
	{quant.IQ4_XS, 7, rowsIQ4_XSAVXVNNI, unpackIQ4_XSAVXVNNI, panel32AVXVNNI},
	{quant.NVFP4, 4, rowsNVFP4AVXVNNI, unpackNVFP4AVX2, panel16AVXVNNI},
	{quant.TQ1_0, 0, rowsTQ1_0AVXVNNI, unpackTQ1_0AVX2, panel32AVXVNNI},
	{quant.TQ2_0, 0, rowsTQ2_0AVXVNNI, unpackTQ2_0AVX2, panel32AVXVNNI},
	{quant.Q1_0, 0, rowsQ1_0AVXVNNI, unpackQ1_0AVX2, panel32AVXVNNI},
	{quant.Q2_0, 0, rowsQ2_0AVXVNNI, unpackQ2_0AVX2, panel32AVXVNNI},
	{quant.IQ1_S, 4, rowsIQ1_SAVXVNNI, unpackIQ1_SAVX2, panel32AVXVNNI},
	{quant.IQ1_M, 4, rowsIQ1_MAVXVNNI, unpackIQ1_MAVX2, panel16AVXVNNI},
	{quant.IQ2_XXS, 6, rowsIQ2_XXSAVXVNNI, unpackIQ2_XXSAVX2, panel32AVXVNNI},
	{quant.IQ2_XS, 6, rowsIQ2_XSAVXVNNI, unpackIQ2_XSAVX2, panel16AVXVNNI},
	{quant.IQ2_S, 6, rowsIQ2_SAVXVNNI, unpackIQ2_SAVX2, panel16AVXVNNI},
	{quant.IQ3_XXS, 6, rowsIQ3_XXSAVXVNNI, unpackIQ3_XXSAVX2, panel32AVXVNNI},
	{quant.IQ3_S, 4, rowsIQ3_SAVXVNNI, unpackIQ3_SAVX2, panel32AVXVNNI},
}

// avxvnni is the level avxvnni.
func avxvnni(l Level) *Level {
	l.name = "avxvnni"
	for _, k := range tilesAVXVNNI {
		l.setTile(k.t, tile{size: 8, at: 3, off: k.off, rows: k.rows, unpack: k.unpack, panel: k.panel})
	}
	return &l
}
