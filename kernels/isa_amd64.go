//go:build !purego

package kernels

import "github.com/goinfer/goinfer/quant"

//go:generate go run -C _asm . -dir ../..

func assembly(ls []*ISA) []*ISA {
	two := avx2(*ls[0])
	// AVX-512 VNNI is not the higher of AVX-VNNI: many processors have the one without the other's
	// encodings.
	five := avx512(*two)
	return append(ls, two, avxvnni(*two), five, avx512bf16(*five))
}

// avx512bf16 multiplies pairs of bfloat16, for which activations are rounded to that: twice as
// fast, but no longer as exact as the weights are. Hence it has to be asked for.
func avx512bf16(l ISA) *ISA {
	l.name = "avx512bf16"
	l.matMuls[quant.BF16] = MatMul{Type: quant.BF16, ActFormat: ActBF16, mul: mulFloatTiles, floats: &floatTile{
		16,
		floatTiles{mulBF16Dot4x1AVX512, mulBF16Dot4x2AVX512, mulBF16Dot4x3AVX512, mulBF16Dot4x4AVX512, mulBF16Dot4x5AVX512, mulBF16Dot4x6AVX512},
		floatTiles{mulBF16Dot1x1AVX512, mulBF16Dot1x2AVX512, mulBF16Dot1x3AVX512, mulBF16Dot1x4AVX512, mulBF16Dot1x5AVX512, mulBF16Dot1x6AVX512},
	}}
	return &l
}

// avx512 is the instruction set avx512vnni.
func avx512(l ISA) *ISA {
	l.name = "avx512vnni"
	l.setFloats512()
	type gemv = func(dst *float32, w *byte, stride, blocks int, q *int8, groups *byte)
	type pack = func(p *byte, s, m *float32, w *byte, stride, blocks int)
	set := func(t quant.Type, zeroShift int, gemvKernel gemv, packKernel pack) {
		k := tile{lanes: 16, panels: 3, zeroShift: zeroShift, gemv: gemvKernel, pack: packKernel}
		switch {
		case t.Group() == 32 && t.HasMin():
			k.microkernel = [4]func(*byte){microkernel32Minx1AVX512, microkernel32Minx2AVX512, microkernel32Minx3AVX512, microkernel32Minx4AVX512}
		case t.Group() == 32:
			k.microkernel = [4]func(*byte){microkernel32x1AVX512, microkernel32x2AVX512, microkernel32x3AVX512, microkernel32x4AVX512}
		case t.HasMin():
			k.microkernel = [4]func(*byte){microkernel16Minx1AVX512, microkernel16Minx2AVX512, microkernel16Minx3AVX512, microkernel16Minx4AVX512}
		default:
			k.microkernel = [4]func(*byte){microkernel16x1AVX512, microkernel16x2AVX512, microkernel16x3AVX512, microkernel16x4AVX512}
		}
		l.setBlockFormat(t, k)
	}
	set(quant.Q4_0, 3, gemvQ4_0AVX512, packQ4_0AVX512)
	set(quant.Q4_1, 0, gemvQ4_1AVX512, packQ4_1AVX512)
	set(quant.Q5_0, 4, gemvQ5_0AVX512, packQ5_0AVX512)
	set(quant.Q5_1, 0, gemvQ5_1AVX512, packQ5_1AVX512)
	set(quant.Q8_0, 7, gemvQ8_0AVX512, packQ8_0AVX512)
	set(quant.IQ4_NL, 7, gemvIQ4_NLAVX512, packIQ4_NLAVX512)
	set(quant.MXFP4, 4, gemvMXFP4AVX512, packMXFP4AVX512)
	set(quant.Q2_K, 0, gemvQ2_KAVX512, packQ2_KAVX512)
	set(quant.Q3_K, 2, gemvQ3_KAVX512, packQ3_KAVX512)
	set(quant.Q4_K, 0, gemvQ4_KAVX512, packQ4_KAVX512)
	set(quant.Q5_K, 0, gemvQ5_KAVX512, packQ5_KAVX512)
	set(quant.Q6_K, 5, gemvQ6_KAVX512, packQ6_KAVX512)
	set(quant.IQ4_XS, 7, gemvIQ4_XSAVX512, packIQ4_XSAVX512)
	set(quant.NVFP4, 4, gemvNVFP4AVX512, packNVFP4AVX512)
	set(quant.Q1_0, 0, gemvQ1_0AVX512, packQ1_0AVX512)
	set(quant.Q2_0, 0, gemvQ2_0AVX512, packQ2_0AVX512)
	set(quant.TQ1_0, 0, gemvTQ1_0AVX512, packTQ1_0AVX512)
	set(quant.TQ2_0, 0, gemvTQ2_0AVX512, packTQ2_0AVX512)
	set(quant.IQ1_S, 4, gemvIQ1_SAVX512, packIQ1_SAVX512)
	set(quant.IQ1_M, 4, gemvIQ1_MAVX512, packIQ1_MAVX512)
	set(quant.IQ2_XXS, 6, gemvIQ2_XXSAVX512, packIQ2_XXSAVX512)
	set(quant.IQ2_XS, 6, gemvIQ2_XSAVX512, packIQ2_XSAVX512)
	set(quant.IQ2_S, 6, gemvIQ2_SAVX512, packIQ2_SAVX512)
	set(quant.IQ3_XXS, 6, gemvIQ3_XXSAVX512, packIQ3_XXSAVX512)
	set(quant.IQ3_S, 6, gemvIQ3_SAVX512, packIQ3_SAVX512)
	return &l
}
