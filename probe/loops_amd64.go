//go:build !purego

package probe

import "unsafe"

// assembly holds the loops of the levels that have some.
var assembly = map[string]loops{
	"avx512vnni": {
		sum:  func(x []uint64) uint64 { return sumAVX512(unsafe.SliceData(x), len(x)) },
		fma:  func(int) job { return &spin{fmaAVX512, 5000, 24 * 16 * 2} },
		int8: func(int) job { return &spin{dotAVX512, 5000, 24 * 64 * 2} },
	},
}
