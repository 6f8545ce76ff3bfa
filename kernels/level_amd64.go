//go:build !purego

package kernels

import "github.com/goinfer/goinfer/quant"

//go:generate go run -C _asm . -dir ../..

func assembly(ls []*Level) []*Level {
	two := avx2(*ls[0])
	// AVX-512 VNNI is not the higher of AVX-VNNI: many processors have the one without the other's encodings.
	five := avx512(*two)
	return append(ls, two, avxvnni(*two), five, avx512bf16(*five))
}

// avx512bf16 multiplies pairs of bfloat16, for which activations are rounded to that: twice as fast, but no longer as exact as the weights are. Hence it has to be asked for.
func avx512bf16(l Level) *Level {
	l.name = "avx512bf16"
	l.mats[quant.BF16] = Mat{Type: quant.BF16, Act: ActBF16, mul: mulTiled, floats: &floatTile{
		16,
		floatTiles{mulBF16Dot4x1AVX512, mulBF16Dot4x2AVX512, mulBF16Dot4x3AVX512, mulBF16Dot4x4AVX512, mulBF16Dot4x5AVX512, mulBF16Dot4x6AVX512},
		floatTiles{mulBF16Dot1x1AVX512, mulBF16Dot1x2AVX512, mulBF16Dot1x3AVX512, mulBF16Dot1x4AVX512, mulBF16Dot1x5AVX512, mulBF16Dot1x6AVX512},
	}}
	return &l
}

// avx512 is the level avx512vnni.
func avx512(l Level) *Level {
	l.name = "avx512vnni"
	l.setFloats512()
	type rows = func(dst *float32, w *byte, stride, blocks int, q *int8, groups *byte)
	type unpack = func(p *byte, s, m *float32, w *byte, stride, blocks int)
	set := func(t quant.Type, off int, r rows, u unpack) {
		k := tile{size: 16, at: 3, off: off, rows: r, unpack: u}
		switch {
		case t.Group() == 32 && t.HasMin():
			k.panel = [4]func(*byte){panel32Minx1AVX512, panel32Minx2AVX512, panel32Minx3AVX512, panel32Minx4AVX512}
		case t.Group() == 32:
			k.panel = [4]func(*byte){panel32x1AVX512, panel32x2AVX512, panel32x3AVX512, panel32x4AVX512}
		case t.HasMin():
			k.panel = [4]func(*byte){panel16Minx1AVX512, panel16Minx2AVX512, panel16Minx3AVX512, panel16Minx4AVX512}
		default:
			k.panel = [4]func(*byte){panel16x1AVX512, panel16x2AVX512, panel16x3AVX512, panel16x4AVX512}
		}
		l.setTile(t, k)
	}
	set(quant.Q4_0, 3, rowsQ4_0AVX512, unpackQ4_0AVX512)
	set(quant.Q4_1, 0, rowsQ4_1AVX512, unpackQ4_1AVX512)
	set(quant.Q5_0, 4, rowsQ5_0AVX512, unpackQ5_0AVX512)
	set(quant.Q5_1, 0, rowsQ5_1AVX512, unpackQ5_1AVX512)
	set(quant.Q8_0, 7, rowsQ8_0AVX512, unpackQ8_0AVX512)
	set(quant.IQ4_NL, 7, rowsIQ4_NLAVX512, unpackIQ4_NLAVX512)
	set(quant.MXFP4, 4, rowsMXFP4AVX512, unpackMXFP4AVX512)
	set(quant.Q2_K, 0, rowsQ2_KAVX512, unpackQ2_KAVX512)
	set(quant.Q3_K, 2, rowsQ3_KAVX512, unpackQ3_KAVX512)
	set(quant.Q4_K, 0, rowsQ4_KAVX512, unpackQ4_KAVX512)
	set(quant.Q5_K, 0, rowsQ5_KAVX512, unpackQ5_KAVX512)
	set(quant.Q6_K, 5, rowsQ6_KAVX512, unpackQ6_KAVX512)
	set(quant.IQ4_XS, 7, rowsIQ4_XSAVX512, unpackIQ4_XSAVX512)
	set(quant.NVFP4, 4, rowsNVFP4AVX512, unpackNVFP4AVX512)
	set(quant.Q1_0, 0, rowsQ1_0AVX512, unpackQ1_0AVX512)
	set(quant.Q2_0, 0, rowsQ2_0AVX512, unpackQ2_0AVX512)
	set(quant.TQ1_0, 0, rowsTQ1_0AVX512, unpackTQ1_0AVX512)
	set(quant.TQ2_0, 0, rowsTQ2_0AVX512, unpackTQ2_0AVX512)
	set(quant.IQ1_S, 4, rowsIQ1_SAVX512, unpackIQ1_SAVX512)
	set(quant.IQ1_M, 4, rowsIQ1_MAVX512, unpackIQ1_MAVX512)
	set(quant.IQ2_XXS, 6, rowsIQ2_XXSAVX512, unpackIQ2_XXSAVX512)
	set(quant.IQ2_XS, 6, rowsIQ2_XSAVX512, unpackIQ2_XSAVX512)
	set(quant.IQ2_S, 6, rowsIQ2_SAVX512, unpackIQ2_SAVX512)
	set(quant.IQ3_XXS, 6, rowsIQ3_XXSAVX512, unpackIQ3_XXSAVX512)
	set(quant.IQ3_S, 6, rowsIQ3_SAVX512, unpackIQ3_SAVX512)
	return &l
}
