package kernels

import (
	"fmt"
	"math"
)

// Act says in which form a product takes its activations.
type Act uint8

const (
	ActF32 Act = iota // float32 rows
	ActQ8             // int8 in groups of ActGroup with float32 scales
)

// ActGroup is the number of activations that share a scale.
const ActGroup = 32

// sumGroup is the number of activations whose sum is kept for formats with a minimum per group.
const sumGroup = 16

// Acts are the activations of N tokens of length K: float rows, and, after Quantize, the int8 form of the same rows.
type Acts struct {
	N, K int
	F    []float32 // [N][K]
	Q    []int8    // [N][K]
	D    []float32 // [N][K/32], scales of Q
	S    []int32   // [N][K/16], sums of Q
}

// Reset makes a hold n rows of length k and keeps the storage of earlier uses. The int8 form is made ready where quantised asks
// for it; k must then be a multiple of [ActGroup]. F is left to the caller.
func (a *Acts) Reset(n, k int, quantised bool) {
	a.N, a.K, a.F = n, k, nil
	if !quantised {
		return
	}
	if k%ActGroup != 0 {
		panic(fmt.Sprintf("kernels: %d activations are no whole number of groups of %d", k, ActGroup))
	}
	a.Q = grow(a.Q, n*k)
	a.D = grow(a.D, n*k/ActGroup)
	a.S = grow(a.S, n*k/sumGroup)
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// Quantize fills the int8 form of columns k0 ≤ k < k1 of token t from F; k0 and k1 are multiples of [ActGroup].
func (a *Acts) Quantize(t, k0, k1 int) {
	x := a.F[t*a.K : (t+1)*a.K]
	for k := k0; k < k1; k += ActGroup {
		i := t*a.K + k
		q := (*[ActGroup]int8)(a.Q[i:])
		a.D[i/ActGroup] = quantizeGroup(q, (*[ActGroup]float32)(x[k:]))
		s := (*[ActGroup / sumGroup]int32)(a.S[i/sumGroup:])
		for h := range s {
			n := int32(0)
			for _, v := range q[h*sumGroup : (h+1)*sumGroup] {
				n += int32(v)
			}
			s[h] = n
		}
	}
}

// Copy makes token t of a the same as token u of b, in the int8 form.
func (a *Acts) Copy(t int, b *Acts, u int) {
	copy(a.Q[t*a.K:(t+1)*a.K], b.Q[u*b.K:])
	copy(a.D[t*a.K/ActGroup:(t+1)*a.K/ActGroup], b.D[u*b.K/ActGroup:])
	copy(a.S[t*a.K/sumGroup:(t+1)*a.K/sumGroup], b.S[u*b.K/sumGroup:])
}

// The candidates for a group's scale map its largest magnitude to 127, 126.25, … 121.75.
const (
	actCandidates = 8
	actStep       = 0.75
)

// quantizeGroup rounds x to int8 and returns the scale d with x ≈ d*q. With q fixed, the scale that leaves the least
// squared error is Σxq/Σq², and what it leaves is Σx² - (Σxq)²/Σq²; so the candidate with the largest (Σxq)²/Σq² wins,
// the first among equals. A group with a NaN or an infinity has no useful scale: it yields q = 0 and a scale of NaN, so
// that every product with it is NaN and the fault is seen.
func quantizeGroup(q *[ActGroup]int8, x *[ActGroup]float32) float32 {
	var amax float32
	finite := true
	for _, v := range x {
		v = abs(v)
		if v > amax {
			amax = v
		}
		finite = finite && v <= math.MaxFloat32
	}
	if !finite {
		*q = [ActGroup]int8{}
		return float32(math.NaN())
	}
	// Below this the reciprocal overflows; what such a group adds to any sum is lost in rounding.
	if amax < 0x1p-118 {
		*q = [ActGroup]int8{}
		return 0
	}
	var best, scale, inv float32
	for c := range actCandidates {
		top := float32(127 - actStep*float32(c))
		id := top / amax
		var xq, qq float32
		for _, v := range x {
			r := round(v * id)
			xq += float32(v * id * r)
			qq += float32(r * r)
		}
		// (Σxq)²/Σq² in units of amax², which keeps it within range.
		if gain := xq / qq * xq / (top * top); gain > best {
			best, inv, scale = gain, id, xq/qq/id
		}
	}
	for i, v := range x {
		q[i] = int8(round(v * inv))
	}
	return scale
}

// round rounds to the nearest integer, ties to even, for |x| < 2^22.
func round(x float32) float32 {
	const magic = 3 << 22
	return float32(x+magic) - magic
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }
