package kernels

import (
	"fmt"
	"math"

	"github.com/goinfer/goinfer/quant"
)

// ActFormat is the format in which a product takes its activations. A set of formats is their bits
// together.
type ActFormat uint8

const (
	ActF32  ActFormat = 0 // float32 rows, which are always there
	ActQ8   ActFormat = 1 // int8 in groups of ActGroup with float32 scales
	ActBF16 ActFormat = 2 // bfloat16 rows, rounded to even
)

// ActGroup is the number of activations that share a scale.
const ActGroup = 32

// sumGroup is the number of activations in half a group.
const sumGroup = ActGroup / 2

// Activations are the activations of N tokens of length K: float rows, and, after [ISA.Quantize],
// other forms of the same rows.
type Activations struct {
	N, K int
	F    []float32 // [N][K]

	formats ActFormat
	q       []int8     // [N][K]
	g       []actGroup // [N][K/32], what belongs to the groups of q
	h       []uint16   // [N][K], bfloat16
}

// actGroup is what products ask of a group beside its integers. It is as many bytes long as the
// group, so that a kernel finds both by one offset.
type actGroup struct {
	d     float32    // the scale
	sum   int32      // of the integers
	half  [2]int32   // the sums of the first and of the last 16 of them
	dsum  float32    // d·sum
	dhalf [2]float32 // d·half
	_     float32
}

// Reset makes a hold n rows of length k and keeps the storage of earlier uses, and other forms that
// were there. Room is made for the forms asked for; k must be a multiple of [ActGroup] if ActQ8 is
// among them. F is left to the caller.
func (a *Activations) Reset(n, k int, formats ActFormat) {
	a.N, a.K, a.F, a.formats = n, k, nil, formats
	if formats&ActBF16 != 0 {
		a.h = grow(a.h, n*k)
	}
	if formats&ActQ8 == 0 {
		return
	}
	if k%ActGroup != 0 {
		panic(fmt.Sprintf("kernels: %d activations are no whole number of groups of %d", k, ActGroup))
	}
	a.q = grow(a.q, n*k)
	a.g = grow(a.g, n*k/ActGroup)
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// Quantize fills the forms that Reset was asked for with columns k0 ≤ k < k1 of token t of F. For
// the int8 form k0 and k1 are multiples of [ActGroup].
func (l *ISA) Quantize(a *Activations, t, k0, k1 int) {
	i, j := t*a.K+k0, t*a.K+k1
	if a.formats&ActQ8 != 0 {
		l.quantize(a.q[i:j], a.g[i/ActGroup:j/ActGroup], a.F[i:j])
	}
	if a.formats&ActBF16 != 0 {
		l.roundBF16(a.h[i:j], a.F[i:j])
	}
}

func roundBF16(dst []uint16, src []float32) {
	for i, x := range src {
		dst[i] = quant.ToBHalf(x)
	}
}

func quantize(q []int8, g []actGroup, x []float32) {
	for i := range g {
		q := (*[ActGroup]int8)(q[i*ActGroup:])
		d := quantizeGroup(q, (*[ActGroup]float32)(x[i*ActGroup:]))
		var lo, hi int32
		for j := range sumGroup {
			lo += int32(q[j])
			hi += int32(q[sumGroup+j])
		}
		g[i] = actGroup{
			d: d, sum: lo + hi, half: [2]int32{lo, hi},
			dsum: d * float32(lo+hi), dhalf: [2]float32{d * float32(lo), d * float32(hi)},
		}
	}
}

// Copy makes token t of a the same as token u of b, in the forms of both but F.
func (a *Activations) Copy(t int, b *Activations, u int) {
	formats := a.formats & b.formats
	if formats&ActQ8 != 0 {
		q, g := b.token(u)
		copy(a.q[t*a.K:(t+1)*a.K], q)
		copy(a.g[t*a.K/ActGroup:(t+1)*a.K/ActGroup], g)
	}
	if formats&ActBF16 != 0 {
		copy(a.h[t*a.K:(t+1)*a.K], b.h[u*b.K:(u+1)*b.K])
	}
}

// token is the int8 form of token t.
func (a *Activations) token(t int) ([]int8, []actGroup) {
	n := a.K / ActGroup
	return a.q[t*a.K : (t+1)*a.K], a.g[t*n : (t+1)*n]
}

// The candidates for a group's scale map its largest magnitude to 127, 126.25, … 121.75.
const (
	actCandidates = 8
	actStep       = 0.75
)

// quantizeGroup rounds x to int8 and returns the scale d with x ≈ d*q. With q fixed, the scale that
// leaves the least squared error is Σxq/Σq², and what it leaves is Σx² - (Σxq)²/Σq²; so the
// candidate with the largest (Σxq)²/Σq² wins, the first among equals. A group with a NaN or an
// infinity has no useful scale: it yields q = 0 and a scale of NaN, so that every product with it
// is NaN and the fault is seen.
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
		peak := float32(127 - actStep*float32(c))
		id := peak / amax
		var xq, qq float32
		for _, v := range x {
			u := float32(v * id) // rounded, where a processor could add without
			r := round(u)
			xq += float32(u * r)
			qq += float32(r * r)
		}
		// (Σxq)²/Σq² in units of amax², which keeps it within range.
		if gain := xq / qq * xq / (peak * peak); gain > best {
			best, inv, scale = gain, id, xq/qq/id
		}
	}
	for i, v := range x {
		q[i] = int8(round(float32(v * inv)))
	}
	return scale
}

// round rounds to the nearest integer, ties to even, for |x| < 2^22.
func round(x float32) float32 {
	const magic = 3 << 22
	return float32(x+magic) - magic
}

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }
