//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/goinfer/goinfer/quant"
)

// setFloats256 sets the functions of avx2 and avxvnni on rows of float32 and their products with
// float weights.
func (l *ISA) setFloats256() {
	l.dot = func(x, y []float32) float32 { return dotAVX2(ptr(x), ptr(y), len(x)) }
	l.normalize = func(dst, x, w []float32, scale float32) {
		normalizeAVX2(ptr(dst), ptr(x), ptr(w), len(x), scale)
	}
	l.swiGLU = func(dst, gate, up []float32) { swiGLUAVX2(ptr(dst), ptr(gate), ptr(up), len(gate)) }
	l.rotateInterleaved = func(x, cos, sin []float32) { rotateInterleavedAVX2(ptr(x), ptr(cos), ptr(sin), len(cos)) }
	l.gelu = func(dst, gate, up []float32) { geluAVX2(ptr(dst), ptr(gate), ptr(up), len(gate)) }
	l.gate = func(x, g []float32) { gateAVX2(ptr(x), ptr(g), len(x)) }
	l.softCap = func(x []float32, most float32) { softCapAVX2(ptr(x), len(x), most) }
	l.rotateNeoX = func(lo, hi, cos, sin []float32) {
		rotateNeoXAVX2(ptr(lo), ptr(hi), ptr(cos), ptr(sin), len(cos))
	}
	l.add = func(dst, x []float32) { addAVX2(ptr(dst), ptr(x), len(dst)) }
	l.addScaled = func(dst, x []float32, c float32) { addScaledAVX2(ptr(dst), ptr(x), len(dst), c) }
	l.scale = func(x []float32, c float32) { scaleAVX2(ptr(x), len(x), c) }
	l.rows[quant.F32].dequantize, l.rows[quant.F32].transpose = copyF32, transpose256(quant.F32, transposeF32AVX2, transposeF32Rows)
	l.rows[quant.F16] = rowFormat{dequantize: dequantizeF16For256, quantize: quantizeF16For256, transpose: transpose256(quant.F16, transposeF16AVX2, transposeF16Rows)}
	l.rows[quant.Q8_0].dequantize = dequantizeBlocksBy(dequantizeQ8_0AVX2)
	l.rows[quant.Q4_0].dequantize = dequantizeBlocksBy(dequantizeQ4_0AVX2)
	l.prefetch = prefetchBy(prefetchAMD64)
	l.quantize, l.gemm = quantize256, gemm256
	l.updateState, l.updateSelectiveState = updateState256, updateSelectiveState256
	l.tileSoftmax = func(p, rowMax, sum []float32, seen int, scale float32, _ []byte) {
		tileSoftmaxAVX2(ptr(p), ptr(rowMax), ptr(sum), len(rowMax), seen, scale)
	}
	l.rescaleMerge = func(s *mergeState) {
		rescaleMergeSumsAVX2(ptr(s.max), ptr(s.sum), ptr(s.rowMax), ptr(s.rowSum), len(s.max))
		rescaleMergeRowsAVX2(ptr(s.out), ptr(s.acc), ptr(s.rowMax), ptr(s.rowSum), len(s.max), s.d)
	}
	set := func(t quant.Type, tile, one floatTiles) {
		l.matMuls[t] = MatMul{Type: t, ActFormat: ActF32, mul: mulFloatTiles, floats: &floatTile{8, tile, one}}
	}
	set(quant.F32, floatTiles{mulF324x1AVX2, mulF324x2AVX2, mulF324x3AVX2}, floatTiles{mulF321x1AVX2, mulF321x2AVX2, mulF321x3AVX2})
	set(quant.F16, floatTiles{mulF164x1AVX2, mulF164x2AVX2, mulF164x3AVX2}, floatTiles{mulF161x1AVX2, mulF161x2AVX2, mulF161x3AVX2})
	set(quant.BF16, floatTiles{mulBF164x1AVX2, mulBF164x2AVX2, mulBF164x3AVX2}, floatTiles{mulBF161x1AVX2, mulBF161x2AVX2, mulBF161x3AVX2})
	// The kernels of halves read eight at a time, also the last.
	for _, t := range []quant.Type{quant.F16, quant.BF16} {
		l.matMuls[t].mul = func(m *MatMul, dst []float32, ldd int, w []byte, rows, k int, a *Activations, t0, t1 int, s *Scratch) {
			if k < 8 {
				mulFloat(m, dst, ldd, w, rows, k, a, t0, t1, s)
				return
			}
			mulFloatTiles(m, dst, ldd, w, rows, k, a, t0, t1, s)
		}
	}
}

func dequantizeF16For256(dst []float32, src []byte) {
	n := len(dst) &^ 7
	if n > 0 {
		dequantizeF16AVX2(&dst[0], &src[0], n)
	}
	quant.F16ToF32(dst[n:], src[2*n:])
}

func quantizeF16For256(dst []byte, src []float32) {
	n := len(src) &^ 7
	if n > 0 {
		quantizeF16AVX2(&dst[0], &src[0], n)
	}
	quant.F32ToF16(dst[2*n:], src[n:])
}

// quantize256 takes eight groups at a time. Where the last are fewer, some of those before are done
// once more.
func quantize256(q []int8, g []actGroup, x []float32) {
	const groups = 8
	if len(g) < groups {
		quantize(q, g, x)
		return
	}
	for i := 0; i < len(g); i += groups {
		i := min(i, len(g)-groups)
		quantizeAVX2(&q[i*ActGroup], (*byte)(unsafe.Pointer(&g[i])), &x[i*ActGroup])
	}
}

func updateState256(s, x, y, a, u, r []float32) {
	d, j := len(x), 0
	for ; j+32 <= d; j += 32 {
		updateState32AVX2(&s[j], &x[j], &y[j], &a[0], &u[0], &r[0], 4*d, len(u))
	}
	for ; j < d; j += 8 {
		updateState8AVX2(&s[j], &x[j], &y[j], &a[0], &u[0], &r[0], 4*d, len(u), min(d-j, 8))
	}
}

func updateSelectiveState256(s, a, d, x, y, b, c []float32) {
	n, j := len(x), 0
	for ; j+16 <= n; j += 16 {
		updateSelectiveState16AVX2(&s[j], &a[j], &d[j], &x[j], &y[j], &b[0], &c[0], 4*n, len(b))
	}
	for ; j < n; j += 8 {
		updateSelectiveState8AVX2(&s[j], &a[j], &d[j], &x[j], &y[j], &b[0], &c[0], 4*n, len(b), min(n-j, 8))
	}
}

func gemm256(c, a, b []float32, m, n, k int) {
	type wide = func(c, a, b *float32, lda, ld, k int)
	type narrow = func(c, a, b *float32, lda, ld, k, columns int)
	const most = 6
	x16 := [most]wide{gemm1x16AVX2, gemm2x16AVX2, gemm3x16AVX2, gemm4x16AVX2, gemm5x16AVX2, gemm6x16AVX2}
	x8 := [most]narrow{gemm1x8AVX2, gemm2x8AVX2, gemm3x8AVX2, gemm4x8AVX2, gemm5x8AVX2, gemm6x8AVX2}
	lda := len(a) / m
	for parts := (m + most - 1) / most; parts > 0; parts-- {
		rows := (m + parts - 1) / parts // parts as even as they may be
		j := 0
		for ; j+16 <= n; j += 16 {
			x16[rows-1](&c[j], &a[0], &b[j], 4*lda, 4*n, k)
		}
		for ; j < n; j += 8 {
			x8[rows-1](&c[j], &a[0], &b[j], 4*lda, 4*n, k, min(n-j, 8))
		}
		if m -= rows; m > 0 {
			c, a = c[rows*n:], a[rows*lda:]
		}
	}
}

// transpose256 is the transpose of t for whole vectors, and other where d is none.
func transpose256(t quant.Type, f func(dst *float32, src *byte, stride, blocks int), other func(dst []float32, src []byte, n, d int)) func(dst []float32, src []byte, n, d int) {
	return func(dst []float32, src []byte, n, d int) {
		if d%8 != 0 {
			other(dst, src, n, d)
			return
		}
		size := t.RowBytes(d)
		for i := 0; i < n; i += 8 {
			f(&dst[i], &src[i*size], size, d/8)
		}
	}
}
