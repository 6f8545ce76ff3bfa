package automaton

import "math/bits"

func (b Bits) count() int {
	n := 0
	for _, x := range b {
		n += bits.OnesCount64(x)
	}
	return n
}

func trailing(x uint64) int { return bits.TrailingZeros64(x) }
