//go:build !purego

package probe

import "unsafe"

// assembly holds the loops of the levels that have some.
var assembly = map[string]loops{
	"avx2":       loops256(&spin{dotAVX2, 5000, 12 * 32 * 2}),
	"avxvnni":    loops256(&spin{dotAVXVNNI, 5000, 12 * 32 * 2}),
	"avx512vnni": loops512,
	"avx512bf16": loops512,
}

var loops512 = loops{
	sum:  func(x []uint64) uint64 { return sumAVX512(unsafe.SliceData(x), len(x)) },
	fma:  func(int) job { return &spin{fmaAVX512, 5000, 24 * 16 * 2} },
	int8: func(int) job { return &spin{dotAVX512, 5000, 24 * 64 * 2} },
}

func loops256(int8 *spin) loops {
	return loops{
		sum:  func(x []uint64) uint64 { return sumAVX2(unsafe.SliceData(x), len(x)) },
		fma:  func(int) job { return &spin{fmaAVX2, 5000, 12 * 8 * 2} },
		int8: func(int) job { return int8 },
	}
}
