package kernels

import (
	"fmt"

	"github.com/goinfer/goinfer/quant"
)

// Mat is how matrices of one weight type are multiplied at one level.
type Mat struct {
	Type quant.Type
	Act  Act // the form in which Mul takes its activations

	// mul is Mul without the checks.
	mul    func(m *Mat, dst []float32, ldd int, w []byte, rows, k int, a *Acts, t0, t1 int, s *Scratch)
	tile   *tile      // of mulTiles
	floats *floatTile // of mulTiled
}

// Mul sets dst[t*ldd+r] = Σk w[r][k]·a[t][k] for rows r < rows of w and the tokens t0 ≤ t < t1 of a. The weights are rows of k as
// they lie in the file, w beginning at the first of them, as dst does at its column. s belongs to the calling thread.
func (m *Mat) Mul(dst []float32, ldd int, w []byte, rows, k int, a *Acts, t0, t1 int, s *Scratch) {
	if rows == 0 || t0 == t1 {
		return
	}
	if k != a.K || t0 < 0 || t1 > a.N || len(w) < rows*m.Type.RowBytes(k) || len(dst) < (t1-1)*ldd+rows {
		panic(fmt.Sprintf("kernels: %d rows of %d %s (%d bytes) times tokens %d to %d of %d×%d into %d with stride %d",
			rows, k, m.Type, len(w), t0, t1, a.N, a.K, len(dst), ldd))
	}
	m.mul(m, dst, ldd, w, rows, k, a, t0, t1, s)
}

// Scratch is what a thread needs beside its inputs; it grows to the largest row seen and is then kept.
type Scratch struct {
	f   []float32 // a row of weights
	q   []int8    // [3][k] unpacked rows
	s   []float32 // [3][k/group] scales
	m   []float32 // [3][k/group] minima
	pan []int64   // [k] three rows in lanes

	tile tileScratch
}

// goMats is the table of plain Go.
func goMats(exact bool) (m [quant.NumTypes]Mat) {
	for i := range m {
		t := quant.Type(i)
		switch {
		case !t.IsWeight():
		case exact || t.Group() == 0:
			m[t] = Mat{Type: t, Act: ActF32, mul: mulFloat}
		default:
			m[t] = Mat{Type: t, Act: ActQ8, mul: mulGroups}
		}
	}
	return m
}
