//go:build !purego && (amd64 || arm64)

package kernels

import "unsafe"

// dequantizeBlocksBy dequantizes a format in blocks of 32.
func dequantizeBlocksBy(f func(dst *float32, src *byte, blocks int)) func(dst []float32, src []byte) {
	return func(dst []float32, src []byte) {
		if len(dst) > 0 {
			f(&dst[0], &src[0], len(dst)/32)
		}
	}
}

// prefetchBy is fetch by lines.
func prefetchBy(f func(p *byte, lines int)) func(b []byte) {
	return func(b []byte) {
		if len(b) > 0 {
			f(&b[0], (len(b)+63)/64)
		}
	}
}

// copyF32 dequantizes F32 where numbers have the same layout in memory as in registers.
func copyF32(dst []float32, src []byte) {
	copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(dst))), 4*len(dst)), src)
}
