//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/goinfer/goinfer/quant"
)

// ptr is the address of a slice that may be empty.
func ptr[T any](s []T) *T { return unsafe.SliceData(s) }

// setFloats sets the functions of all instruction sets of arm64 on rows of float32 and their
// products with float weights.
func (l *ISA) setFloats() {
	l.dot = func(x, y []float32) (sum float32) {
		dotNEON(ptr(x), ptr(y), len(x), &sum)
		return sum
	}
	l.normalize = func(dst, x, w []float32, scale float32) { normalizeNEON(ptr(dst), ptr(x), ptr(w), len(x), scale) }
	l.swiGLU = func(dst, gate, up []float32) { swiGLUNEON(ptr(dst), ptr(gate), ptr(up), len(gate)) }
	l.rotateInterleaved = func(x, cos, sin []float32) { rotateInterleavedNEON(ptr(x), ptr(cos), ptr(sin), len(cos)) }
	l.gelu = func(dst, gate, up []float32) { geluNEON(ptr(dst), ptr(gate), ptr(up), len(gate)) }
	l.gate = func(x, g []float32) { gateNEON(ptr(x), ptr(g), len(x)) }
	l.softCap = func(x []float32, most float32) { softCapNEON(ptr(x), len(x), most) }
	l.rotateNeoX = func(lo, hi, cos, sin []float32) {
		rotateNeoXNEON(ptr(lo), ptr(hi), ptr(cos), ptr(sin), len(cos))
	}
	l.add = func(dst, x []float32) { addNEON(ptr(dst), ptr(x), len(dst)) }
	l.addScaled = func(dst, x []float32, c float32) { addScaledNEON(ptr(dst), ptr(x), len(dst), c) }
	l.updateState, l.updateSelectiveState = updateState4, updateSelectiveState4
	l.scale = func(x []float32, c float32) { scaleNEON(ptr(x), len(x), c) }
	l.rows[quant.F32].dequantize, l.rows[quant.F32].transpose = copyF32, transpose4(quant.F32, transposeF32NEON, transposeF32Rows)
	l.rows[quant.F16] = rowFormat{
		dequantize: func(dst []float32, src []byte) { dequantizeF16NEON(ptr(dst), ptr(src), len(dst)) },
		quantize:   func(dst []byte, src []float32) { quantizeF16NEON(ptr(dst), ptr(src), len(src)) },
		transpose:  transpose4(quant.F16, transposeF16NEON, transposeF16Rows),
	}
	l.rows[quant.Q8_0].dequantize = dequantizeBlocksBy(dequantizeQ8_0NEON)
	l.rows[quant.Q4_0].dequantize = dequantizeBlocksBy(dequantizeQ4_0NEON)
	l.prefetch = prefetchBy(prefetchNEON)
	l.quantize, l.gemm = quantize4, gemm4
	l.tileSoftmax = func(p, rowMax, sum []float32, seen int, scale float32, _ []byte) {
		tileSoftmaxNEON(ptr(p), ptr(rowMax), ptr(sum), len(rowMax), seen, scale)
	}
	l.rescaleMerge = func(s *mergeState) {
		rescaleMergeNEON(ptr(s.out), ptr(s.acc), ptr(s.max), ptr(s.sum), ptr(s.rowMax), ptr(s.rowSum), len(s.max), s.d)
	}
	set := func(t quant.Type, tile, one floatTiles) {
		l.matMuls[t] = MatMul{Type: t, ActFormat: ActF32, mul: mulFloatTiles, floats: &floatTile{4, tile, one}}
	}
	set(quant.F32, floatTiles{mulF324x1NEON, mulF324x2NEON, mulF324x3NEON, mulF324x4NEON, mulF324x5NEON, mulF324x6NEON},
		floatTiles{mulF321x1NEON, mulF321x2NEON, mulF321x3NEON, mulF321x4NEON, mulF321x5NEON, mulF321x6NEON})
	set(quant.F16, floatTiles{mulF164x1NEON, mulF164x2NEON, mulF164x3NEON, mulF164x4NEON, mulF164x5NEON, mulF164x6NEON},
		floatTiles{mulF161x1NEON, mulF161x2NEON, mulF161x3NEON, mulF161x4NEON, mulF161x5NEON, mulF161x6NEON})
	set(quant.BF16, floatTiles{mulBF164x1NEON, mulBF164x2NEON, mulBF164x3NEON, mulBF164x4NEON, mulBF164x5NEON, mulBF164x6NEON},
		floatTiles{mulBF161x1NEON, mulBF161x2NEON, mulBF161x3NEON, mulBF161x4NEON, mulBF161x5NEON, mulBF161x6NEON})
}

// quantize4 takes four groups at a time. Where the last are fewer, some of those before are done
// once more.
func quantize4(q []int8, g []actGroup, x []float32) {
	const groups = 4
	if len(g) < groups {
		quantize(q, g, x)
		return
	}
	for i := 0; i < len(g); i += groups {
		i := min(i, len(g)-groups)
		quantizeNEON(&q[i*ActGroup], (*byte)(unsafe.Pointer(&g[i])), &x[i*ActGroup])
	}
}

func updateState4(s, x, y, a, u, r []float32) {
	for i := range u {
		updateStateNEON(&s[i*len(x)], &x[0], &y[0], len(x), &a[i], &u[i], &r[i])
	}
}

func updateSelectiveState4(s, a, d, x, y, b, c []float32) {
	for i := range b {
		updateSelectiveStateNEON(&s[i*len(x)], &a[i*len(x)], &d[0], &x[0], &y[0], len(x), &b[i], &c[i])
	}
}

func gemm4(c, a, b []float32, m, n, k int) {
	type kernel = func(c, a, b *float32, lda, ld, k int)
	const most = 4
	by := [...]struct {
		columns int
		rows    [most]kernel
	}{
		{16, [most]kernel{gemm1x16NEON, gemm2x16NEON, gemm3x16NEON, gemm4x16NEON}},
		{4, [most]kernel{gemm1x4NEON, gemm2x4NEON, gemm3x4NEON, gemm4x4NEON}},
		{1, [most]kernel{gemm1x1NEON, gemm2x1NEON, gemm3x1NEON, gemm4x1NEON}},
	}
	lda := len(a) / m
	for parts := (m + most - 1) / most; parts > 0; parts-- {
		rows := (m + parts - 1) / parts // parts as even as they may be
		j := 0
		for i := range by {
			for ; j+by[i].columns <= n; j += by[i].columns {
				by[i].rows[rows-1](&c[j], &a[0], &b[j], 4*lda, 4*n, k)
			}
		}
		if m -= rows; m > 0 {
			c, a = c[rows*n:], a[rows*lda:]
		}
	}
}

// transpose4 is the transpose of t for whole vectors, and other where d is none.
func transpose4(t quant.Type, f func(dst *float32, src *byte, stride, blocks int), other func(dst []float32, src []byte, n, d int)) func(dst []float32, src []byte, n, d int) {
	return func(dst []float32, src []byte, n, d int) {
		if d%4 != 0 {
			other(dst, src, n, d)
			return
		}
		size := t.RowBytes(d)
		for i := 0; i < n; i += 4 {
			f(&dst[i], &src[i*size], size, d/4)
		}
	}
}
