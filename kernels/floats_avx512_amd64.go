//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/goinfer/goinfer/quant"
)

// ptr is the address of a slice that may be empty.
func ptr[T any](s []T) *T { return unsafe.SliceData(s) }

// setFloats512 sets the functions of avx512vnni on rows of float32 and its products with float
// weights.
func (l *ISA) setFloats512() {
	l.dot = func(x, y []float32) float32 { return dotAVX512(ptr(x), ptr(y), len(x)) }
	l.normalize = func(dst, x, w []float32, scale float32) {
		normalizeAVX512(ptr(dst), ptr(x), ptr(w), len(x), scale)
	}
	l.swiGLU = func(dst, gate, up []float32) { swiGLUAVX512(ptr(dst), ptr(gate), ptr(up), len(gate)) }
	l.rotateInterleaved = func(x, cos, sin []float32) { rotateInterleavedAVX512(ptr(x), ptr(cos), ptr(sin), len(cos)) }
	l.gelu = func(dst, gate, up []float32) { geluAVX512(ptr(dst), ptr(gate), ptr(up), len(gate)) }
	l.gate = func(x, g []float32) { gateAVX512(ptr(x), ptr(g), len(x)) }
	l.softCap = func(x []float32, most float32) { softCapAVX512(ptr(x), len(x), most) }
	l.rotateNeoX = func(lo, hi, cos, sin []float32) {
		rotateNeoXAVX512(ptr(lo), ptr(hi), ptr(cos), ptr(sin), len(cos))
	}
	l.add = func(dst, x []float32) { addAVX512(ptr(dst), ptr(x), len(dst)) }
	l.addScaled = func(dst, x []float32, c float32) { addScaledAVX512(ptr(dst), ptr(x), len(dst), c) }
	l.scale = func(x []float32, c float32) { scaleAVX512(ptr(x), len(x), c) }
	l.rows[quant.F32].dequantize, l.rows[quant.F32].transpose = copyF32, transpose512(quant.F32, transposeF32AVX512, transposeF32Rows)
	l.rows[quant.F16] = rowFormat{
		dequantize: func(dst []float32, src []byte) { dequantizeF16AVX512(ptr(dst), ptr(src), len(dst)) },
		quantize:   func(dst []byte, src []float32) { quantizeF16AVX512(ptr(dst), ptr(src), len(src)) },
		transpose:  transpose512(quant.F16, transposeF16AVX512, transposeF16Rows),
	}
	l.rows[quant.Q8_0].dequantize = dequantizeBlocksBy(dequantizeQ8_0AVX512)
	l.rows[quant.Q4_0].dequantize = dequantizeBlocksBy(dequantizeQ4_0AVX512)
	l.prefetch = prefetchBy(prefetchAMD64)
	l.quantize, l.gemm = quantize512, gemm512
	l.transposeF16, l.gemmF16 = transposeF16For512, gemmF16For512
	l.updateState, l.updateSelectiveState = updateState512, updateSelectiveState512
	l.tileSoftmax = func(p, rowMax, sum []float32, seen int, scale float32, prefetch []byte) {
		if len(prefetch) == 0 {
			// which it reads anyway
			prefetch = unsafe.Slice((*byte)(unsafe.Pointer(ptr(p))), 4*len(p))
		}
		tileSoftmaxAVX512(ptr(p), ptr(rowMax), ptr(sum), ptr(prefetch), len(rowMax), seen, scale)
	}
	l.rescaleMerge = func(s *mergeState) {
		rescaleMergeSumsAVX512(ptr(s.max), ptr(s.sum), ptr(s.rowMax), ptr(s.rowSum), len(s.max))
		rescaleMergeRowsAVX512(ptr(s.out), ptr(s.acc), ptr(s.rowMax), ptr(s.rowSum), len(s.max), s.d)
	}
	l.roundBF16 = func(dst []uint16, src []float32) { roundBF16AVX512(ptr(dst), ptr(src), len(src)) }
	set := func(t quant.Type, tile, one floatTiles) {
		l.matMuls[t] = MatMul{Type: t, ActFormat: ActF32, mul: mulFloatTiles, floats: &floatTile{16, tile, one}}
	}
	set(quant.F32, floatTiles{mulF324x1AVX512, mulF324x2AVX512, mulF324x3AVX512, mulF324x4AVX512, mulF324x5AVX512, mulF324x6AVX512},
		floatTiles{mulF321x1AVX512, mulF321x2AVX512, mulF321x3AVX512, mulF321x4AVX512, mulF321x5AVX512, mulF321x6AVX512})
	set(quant.F16, floatTiles{mulF164x1AVX512, mulF164x2AVX512, mulF164x3AVX512, mulF164x4AVX512, mulF164x5AVX512, mulF164x6AVX512},
		floatTiles{mulF161x1AVX512, mulF161x2AVX512, mulF161x3AVX512, mulF161x4AVX512, mulF161x5AVX512, mulF161x6AVX512})
	set(quant.BF16, floatTiles{mulBF164x1AVX512, mulBF164x2AVX512, mulBF164x3AVX512, mulBF164x4AVX512, mulBF164x5AVX512, mulBF164x6AVX512},
		floatTiles{mulBF161x1AVX512, mulBF161x2AVX512, mulBF161x3AVX512, mulBF161x4AVX512, mulBF161x5AVX512, mulBF161x6AVX512})
}

// groups512 is the number of groups that quantizeAVX512 takes.
const groups512 = 16

func quantize512(q []int8, g []actGroup, x []float32) {
	i := 0
	for ; i+groups512 <= len(g); i += groups512 {
		quantizeAVX512(&q[i*ActGroup], (*byte)(unsafe.Pointer(&g[i])), &x[i*ActGroup])
	}
	switch {
	case i == len(g):
	case i > 0: // the last groups, some of them once more
		i = len(g) - groups512
		quantizeAVX512(&q[i*ActGroup], (*byte)(unsafe.Pointer(&g[i])), &x[i*ActGroup])
	default:
		var (
			x16 [groups512 * ActGroup]float32
			q16 [groups512 * ActGroup]int8
			g16 [groups512]actGroup
		)
		copy(x16[:], x)
		quantizeAVX512(&q16[0], (*byte)(unsafe.Pointer(&g16[0])), &x16[0])
		copy(q, q16[:])
		copy(g, g16[:])
	}
}

func updateState512(s, x, y, a, u, r []float32) {
	d, j := len(x), 0
	for ; j+64 <= d; j += 64 {
		updateState64AVX512(&s[j], &x[j], &y[j], &a[0], &u[0], &r[0], 4*d, len(u))
	}
	for ; j < d; j += 16 {
		updateState16AVX512(&s[j], &x[j], &y[j], &a[0], &u[0], &r[0], 4*d, len(u), 1<<min(d-j, 16)-1)
	}
}

func updateSelectiveState512(s, a, d, x, y, b, c []float32) {
	n, j := len(x), 0
	for ; j+64 <= n; j += 64 {
		updateSelectiveState64AVX512(&s[j], &a[j], &d[j], &x[j], &y[j], &b[0], &c[0], 4*n, len(b))
	}
	for ; j < n; j += 16 {
		updateSelectiveState16AVX512(&s[j], &a[j], &d[j], &x[j], &y[j], &b[0], &c[0], 4*n, len(b), 1<<min(n-j, 16)-1)
	}
}

func gemm512(c, a, b []float32, m, n, k int) {
	type wide = func(c, a, b *float32, lda, ld, k int)
	type narrow = func(c, a, b *float32, lda, ld, k, mask int)
	const most = 6
	x64 := [most]wide{gemm1x64AVX512, gemm2x64AVX512, gemm3x64AVX512, gemm4x64AVX512, gemm5x64AVX512, gemm6x64AVX512}
	x16 := [most]narrow{gemm1x16AVX512, gemm2x16AVX512, gemm3x16AVX512, gemm4x16AVX512, gemm5x16AVX512, gemm6x16AVX512}
	lda := len(a) / m
	for parts := (m + most - 1) / most; parts > 0; parts-- {
		rows := (m + parts - 1) / parts // parts as even as they may be
		j := 0
		for ; j+64 <= n; j += 64 {
			x64[rows-1](&c[j], &a[0], &b[j], 4*lda, 4*n, k)
		}
		for ; j < n; j += 16 {
			x16[rows-1](&c[j], &a[0], &b[j], 4*lda, 4*n, k, 1<<min(n-j, 16)-1)
		}
		if m -= rows; m > 0 {
			c, a = c[rows*n:], a[rows*lda:]
		}
	}
}

// gemmF16For512 is gemm for F16 and up to fewHeads rows.
func gemmF16For512(c, a []float32, b f16Tile, m, n, k int) {
	type wide = func(c, a *float32, b, prefetch *byte, lda, ldb, ldc, k, pace int)
	type narrow = func(c, a *float32, b, prefetch *byte, lda, ldb, ldc, k, pace, mask int)
	xn := [fewHeads]wide{gemmF161x64AVX512, gemmF162x64AVX512, gemmF163x64AVX512, gemmF164x64AVX512, gemmF165x64AVX512, gemmF166x64AVX512, gemmF167x32AVX512, gemmF168x32AVX512}
	x16 := [fewHeads]narrow{gemmF161x16AVX512, gemmF162x16AVX512, gemmF163x16AVX512, gemmF164x16AVX512, gemmF165x16AVX512, gemmF166x16AVX512, gemmF167x16AVX512, gemmF168x16AVX512}
	lda, cols := len(a)/m, 64
	if m > 6 {
		cols = 32
	}
	prefetch := prefetcher{b.prefetch, (n + cols - 1) / cols}
	j := 0
	for ; j+cols <= n; j += cols {
		p, pace := prefetch.next(b.b, k)
		xn[m-1](&c[j], &a[0], &b.b[2*j], p, 4*lda, b.stride, 4*n, k, pace)
	}
	for ; j < n; j += 16 {
		x16[m-1](&c[j], &a[0], &b.b[2*j], &b.b[2*j], 4*lda, b.stride, 4*n, k, 0, 1<<min(n-j, 16)-1)
	}
}

// prefetcher is memory that some loops ask for, a part of it each.
type prefetcher struct {
	b     []byte
	loops int
}

// next is where the next loop begins to ask and how far it moves on with each of its steps. Where
// there is nothing to ask for it stays at other.
func (f *prefetcher) next(other []byte, steps int) (p *byte, pace int) {
	if len(f.b) == 0 {
		return &other[0], 0
	}
	n := len(f.b) / f.loops
	p = &f.b[0]
	f.b, f.loops = f.b[n:], f.loops-1
	return p, n / steps
}

// transposeF16For512 converts n rows of d F16 into columns, [d][Tile], 16 rows at a time.
func transposeF16For512(dst, src, prefetch []byte, n, d int) {
	f := prefetcher{prefetch, (n + 15) / 16}
	for i := 0; i < n; i += 16 {
		p, pace := f.next(src, d/32)
		transposeF16x32AVX512(&dst[2*i], &src[2*i*d], p, 2*d, d/32, pace)
	}
}

// transpose512 is the transpose of t for whole vectors, and other where d is none.
func transpose512(t quant.Type, f func(dst *float32, src *byte, stride, blocks int), other func(dst []float32, src []byte, n, d int)) func(dst []float32, src []byte, n, d int) {
	return func(dst []float32, src []byte, n, d int) {
		if d%16 != 0 {
			other(dst, src, n, d)
			return
		}
		size := t.RowBytes(d)
		for i := 0; i < n; i += 16 {
			f(&dst[i], &src[i*size], size, d/16)
		}
	}
}
