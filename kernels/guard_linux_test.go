package kernels

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/quant"
)

// atPageEnd returns n bytes that end where a page begins that must not be touched, as the last
// tensor of a mapped file does.
func atPageEnd(t *testing.T, n int) []byte {
	page := os.Getpagesize()
	size := (n + page - 1) / page * page
	mem, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	require.NoError(t, err)
	require.NoError(t, syscall.Mprotect(mem[size:], syscall.PROT_NONE))
	t.Cleanup(func() { require.NoError(t, syscall.Munmap(mem)) })
	return mem[size-n : size : size]
}

// TestMulStaysInside multiplies weights, activations and outputs with nothing mapped after them,
// and looks at what is stored before the outputs.
func TestMulStaysInside(t *testing.T) { forLevels(t, testMulStaysInside) }

func testMulStaysInside(t *testing.T, l *ISA) {
	for _, typ := range weightTypes() {
		m, err := l.MatMul(typ)
		require.NoError(t, err)
		for _, rows := range []int{1, 7, 16, 49} {
			for _, tokens := range []int{1, 2, 3, 4, 6} {
				mulInside(t, m, rows, tokens, max(64, typ.BlockSize()))
			}
		}
		if slices.Contains(floatTypes, typ) {
			mulInside(t, m, 7, 8, 2*floatDepth+5)
		}
	}
}

func mulInside(t *testing.T, m *MatMul, rows, tokens, k int) {
	w := atPageEnd(t, rows*m.Type.RowBytes(k))
	copy(w, weights(t, m.Type, rows, k))
	a := acts(tokens, k)
	if m.ActFormat == ActQ8 {
		q, g := atPageEnd(t, len(a.q)), atPageEnd(t, len(a.g)*int(unsafe.Sizeof(actGroup{})))
		copy(q, unsafe.Slice((*byte)(unsafe.Pointer(&a.q[0])), len(q)))
		copy(g, unsafe.Slice((*byte)(unsafe.Pointer(&a.g[0])), len(g)))
		a.q, a.g = unsafe.Slice((*int8)(unsafe.Pointer(&q[0])), len(q)), unsafe.Slice((*actGroup)(unsafe.Pointer(&g[0])), len(a.g))
	}
	if m.ActFormat == ActBF16 {
		h := atPageEnd(t, 2*len(a.h))
		copy(h, unsafe.Slice((*byte)(unsafe.Pointer(&a.h[0])), len(h)))
		a.h = unsafe.Slice((*uint16)(unsafe.Pointer(&h[0])), len(a.h))
	}
	f := atPageEnd(t, 4*len(a.F))
	floats := unsafe.Slice((*float32)(unsafe.Pointer(&f[0])), len(a.F))
	copy(floats, a.F)
	a.F = floats
	const before = 64
	out := atPageEnd(t, 4*(tokens*rows+before))
	dst := unsafe.Slice((*float32)(unsafe.Pointer(&out[0])), tokens*rows+before)
	for i := range dst[:before] {
		dst[i] = 123
	}
	var s Scratch
	m.Mul(dst[before:], rows, w, rows, k, a, 0, tokens, &s)
	for _, v := range dst[:before] {
		require.EqualValues(t, 123, v)
	}
	want := make([]float32, tokens*rows)
	m.Mul(want, rows, w, rows, k, acts(tokens, k), 0, tokens, &s)
	require.Equal(t, bits(want), bits(dst[before:]), "%s: %d rows, %d tokens of %d", m.Type, rows, tokens, k)
}

// TestRowsStayInside dequantizes and prefetches rows of the cache with nothing mapped after them.
func TestRowsStayInside(t *testing.T) {
	forLevels(t, func(t *testing.T, l *ISA) {
		for _, typ := range cacheTypes {
			for _, n := range []int{32, 64, 96} {
				b := atPageEnd(t, typ.RowBytes(n))
				l.QuantizeRow(typ, b, floats(1, n))
				out := atPageEnd(t, 4*n)
				dst := unsafe.Slice((*float32)(unsafe.Pointer(&out[0])), n)
				l.DequantizeRow(typ, dst, b)
				want := make([]float32, n)
				quant.Dequantize(typ, want, b)
				require.Equal(t, bits(want), bits(dst), "%s: %d", typ, n)
			}
			// A page of keys and one of values, in the form of Score and Values.
			const d = 64
			k, v := atPageEnd(t, typ.RowBytes(Tile*d)), atPageEnd(t, typ.RowBytes(Tile*d))
			copy(k, cache(typ, floats(2, Tile*d), Tile, d))
			copy(v, cache(typ, floats(3, Tile*d), Tile, d))
			for _, n := range []int{1, 17, Tile} {
				var a Attention
				copy(a.Begin(3, d, d), floats(4, 3*d))
				a.Prefetch(k, v[len(v)-n:])
				l.Score(&a, typ, k, n)
				l.Values(&a, typ, v, n)
				l.UpdateSoftmax(&a, 0, 3, n, 1)
			}
		}
	})
}
