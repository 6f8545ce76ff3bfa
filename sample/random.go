package sample

// A purpose keeps the random numbers of one token apart.
type purpose uint64

const (
	forToken purpose = iota
	forXTC
)

// golden is 2^64 divided by the golden ratio: multiples of it are spread evenly.
const golden = 0x9e3779b97f4a7c15

// uniform returns a number in [0, 1) that depends on its arguments alone.
func uniform(seed uint64, pos int, p purpose) float64 {
	x := mix(seed + golden)
	x = mix(x + (uint64(pos)+1)*golden)
	x = mix(x + (uint64(p)+1)*golden)
	return float64(x>>11) / (1 << 53)
}

// mix is the output function of SplitMix64 (Steele, Lea and Flood 2014, "Fast Splittable
// Pseudorandom Number Generators"): a bijection in which every bit of x moves half the bits of the
// result.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
