package kernels

import (
	"fmt"
	"sync"

	"github.com/goinfer/goinfer/internal/cpu"
	"github.com/goinfer/goinfer/quant"
)

// ISA is the table of what is computed how with one set of instructions.
type ISA struct {
	name    string
	matMuls [quant.NumTypes]MatMul
	rows    [quant.NumTypes]rowFormat
	ops
}

// ops are the functions on rows of float32, each described where its Go form stands. Lengths have
// been checked by the callers; none is negative.
type ops struct {
	dot               func(x, y []float32) float32
	normalize         func(dst, x, w []float32, scale float32)
	swiGLU            func(dst, gate, up []float32)
	rotateInterleaved func(x, cos, sin []float32)
	add               func(dst, x []float32)
	addScaled         func(dst, x []float32, c float32)
	scale             func(x []float32, c float32)
	gelu              func(dst, gate, up []float32)
	gate              func(x, g []float32)
	softCap           func(x []float32, most float32)
	rotateNeoX        func(lo, hi, cos, sin []float32)
	quantize          func(q []int8, g []actGroup, x []float32)
	roundBF16         func(dst []uint16, src []float32)
	gemm              func(c, a, b []float32, m, n, k int)
	transposeF16      func(dst, src, prefetch []byte, n, d int) // nil with gemmHalf
	// gemm for F16 and up to fewHeads rows; nil: they are converted to float32
	gemmF16              func(c, a []float32, b f16Tile, m, n, k int)
	tileSoftmax          func(p, rowMax, rowSum []float32, seen int, scale float32, prefetch []byte)
	rescaleMerge         func(s *mergeState)
	updateState          func(s, x, y, a, u, r []float32)
	updateSelectiveState func(s, a, d, x, y, b, c []float32)
	prefetch             func(b []byte) // nil: there is nothing to gain
}

// isas lists those of this build from low to high. Each begins as a copy of a lower one, so that
// what it has no assembly for is there all the same.
var isas = sync.OnceValue(func() []*ISA {
	return assembly([]*ISA{{name: "go", matMuls: goMatMuls(false), rows: goRows, ops: goOps}})
})

// Use returns the level in use: see internal/cpu. It is an error if GOINFER_CPU names none.
func Use() (*ISA, error) { return current() }

var current = sync.OnceValues(func() (*ISA, error) {
	name, err := cpu.ISA()
	if err != nil {
		return nil, err
	}
	for _, l := range isas() {
		if l.name == name {
			return l, nil
		}
	}
	panic("kernels: internal/cpu chose level " + name + ", which has no kernels")
})

// Reference returns the engine's own reference: plain Go, and float32 activations for every weight
// type.
func Reference() *ISA { return reference }

var reference = &ISA{name: "reference", matMuls: goMatMuls(true), rows: goRows, ops: goOps}

// MatMul returns the product for weights of type t, and an error where t holds no weights.
func (l *ISA) MatMul(t quant.Type) (*MatMul, error) {
	if !t.IsWeight() {
		return nil, fmt.Errorf("type %s holds no weights", t)
	}
	return &l.matMuls[t], nil
}

// setBlockFormat enters a block format's kernels.
func (l *ISA) setBlockFormat(t quant.Type, k tile) {
	l.matMuls[t] = MatMul{Type: t, ActFormat: ActQ8, mul: mulBlockTiles, tile: &k}
}
