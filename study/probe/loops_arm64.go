//go:build !purego

package probe

import "unsafe"

// assembly holds the loops of the levels that have some.
var assembly = map[string]loops{
	"neon":    armLoops(&spin{dotNEON, 5000, 24 * 16 * 2}),
	"dotprod": armLoops(&spin{dotDotProd, 5000, 24 * 16 * 2}),
	"i8mm":    armLoops(&spin{dotI8MM, 5000, 24 * 32 * 2}),
}

func armLoops(int8 *spin) loops {
	return loops{
		sum: func(x []uint64) (sum uint64) {
			if len(x) > 0 {
				sumNEON(unsafe.SliceData(x), len(x), &sum)
			}
			return sum
		},
		fma:  func(int) job { return &spin{fmaNEON, 5000, 24 * 4 * 2} },
		int8: func(int) job { return int8 },
	}
}
