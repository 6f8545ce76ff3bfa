package kernels

import (
	"fmt"

	"github.com/goinfer/goinfer/quant"
)

// MatMul is how matrices of one weight type are multiplied at one level.
type MatMul struct {
	Type      quant.Type
	ActFormat ActFormat // the form in which Mul takes its activations

	// mul is Mul without the checks.
	mul    func(m *MatMul, dst []float32, ldd int, w []byte, rows, k int, a *Activations, t0, t1 int, s *Scratch)
	tile   *tile      // of mulTiles
	floats *floatTile // of mulTiled
}

// Mul sets dst[t*ldd+r] = Σk w[r][k]·a[t][k] for rows r < rows of w and the tokens t0 ≤ t < t1 of
// a. The weights are rows of k as stored in the file, w beginning at the first of them, as dst
// does at its column. s belongs to the calling thread.
func (m *MatMul) Mul(dst []float32, ldd int, w []byte, rows, k int, a *Activations, t0, t1 int, s *Scratch) {
	if rows == 0 || t0 == t1 {
		return
	}
	if k != a.K || t0 < 0 || t1 > a.N || len(w) < rows*m.Type.RowBytes(k) || len(dst) < (t1-1)*ldd+rows {
		panic(fmt.Sprintf("kernels: %d rows of %d %s (%d bytes) times tokens %d to %d of %d×%d into %d with stride %d",
			rows, k, m.Type, len(w), t0, t1, a.N, a.K, len(dst), ldd))
	}
	m.mul(m, dst, ldd, w, rows, k, a, t0, t1, s)
}

// Scratch is what a thread needs beside its inputs; it grows to the largest row seen and is then
// kept.
type Scratch struct {
	f      []float32 // a row of weights
	q      []int8    // [3][k] unpacked rows
	s      []float32 // [3][k/group] scales
	m      []float32 // [3][k/group] minima
	packed []int64   // [k] three rows in lanes

	tile tileScratch
}

// goMatMuls is the table of plain Go.
func goMatMuls(exact bool) (m [quant.NumTypes]MatMul) {
	for i := range m {
		t := quant.Type(i)
		switch {
		case !t.IsWeight():
		case exact || t.Group() == 0:
			m[t] = MatMul{Type: t, ActFormat: ActF32, mul: mulFloat}
		default:
			m[t] = MatMul{Type: t, ActFormat: ActQ8, mul: mulGroups}
		}
	}
	return m
}
