package kernels

import "unsafe"

// floatTile is a float format at a level of assembly: a few rows times a few tokens at once. Each
// output has a vector of partial sums, lane l taking the k that leave l, which one tree adds at the
// end.
type floatTile struct {
	lanes int
	// tile[t-1] multiplies rowsAtOnce rows with t tokens, one[t-1] one row.
	tile, one floatTiles
}

// floatTiles are kernels for one token, for two and so on. Strides are in bytes; activations are
// those of MatMul.ActFormat. A product may be cut along k, at multiples of floatStep: the partial
// sums of its outputs, [tokens][rows][lanes], begin with what is stored at from, or with zeros
// where that is nil, and end at to, or, where that is nil, added up in dst.
type floatTiles []func(dst *float32, ldd int, w *byte, stride int, a *float32, lda, k int, from, to *float32)

const rowsAtOnce = 4

// What more than one tile of tokens uses is multiplied in blocks of rows, tokens and k: the weights
// of a block stay in the second cache while its tokens pass by, the activations of a tile of tokens
// in the nearest while the rows do. Partial sums wait in scratch for the next block along k, which
// changes none of their bits.
const (
	floatBytes   = 384 << 10 // of weights in a block
	floatRows    = 192       // at most; a multiple of rowsAtOnce
	floatOutputs = 96 * 96   // of a block whose partial sums wait
	floatWhole   = 4 << 10   // bytes of a row that is not cut, longer ones are
	floatDepth   = 1024      // at most, along k
	// a multiple of the activations that the kernels of every instruction set take at once
	floatStep = 32
)

// mulFloatTiles multiplies block by block.
func mulFloatTiles(m *MatMul, dst []float32, ldd int, w []byte, rows, k int, a *Activations, t0, t1 int, s *Scratch) {
	x := floatProduct{floatTile: m.floats, m: m, dst: dst, ldd: ldd, w: w, k: k, a: unsafe.Pointer(unsafe.SliceData(a.F)), width: 4}
	if m.ActFormat == ActBF16 {
		x.a, x.width = unsafe.Pointer(unsafe.SliceData(a.h)), 2
	}
	if t1-t0 <= len(x.tile) {
		x.block(0, rows, t0, t1, 0, k)
		return
	}
	depth, wide := k, t1-t0
	if m.Type.RowBytes(k) > floatWhole {
		cuts := (k + floatDepth - 1) / floatDepth // as even as may be
		depth = (k + cuts*floatStep - 1) / (cuts * floatStep) * floatStep
	}
	high := min(floatBytes/m.Type.RowBytes(depth)/rowsAtOnce*rowsAtOnce, floatRows)
	if depth < k {
		wide = min(floatOutputs/high, wide)
		n := min(high, rows) * wide * x.lanes
		x.sums = unsafe.Slice((*float32)(s.tile.aligned(4*n)), n)
	}
	for r := 0; r < rows; r += high {
		for t := t0; t < t1; t += wide {
			for i := 0; i < k; i += depth {
				x.block(r, min(r+high, rows), t, min(t+wide, t1), i, min(i+depth, k))
			}
		}
	}
}

// floatProduct is a call of Mul.
type floatProduct struct {
	*floatTile
	m     *MatMul
	dst   []float32
	ldd   int
	w     []byte
	k     int
	a     unsafe.Pointer
	width int       // bytes of an activation
	sums  []float32 // partial sums of the outputs of a block, tile after tile
}

// block multiplies the rows r0 ≤ r < r1 with the tokens t0 ≤ t < t1 along k0 ≤ k < k1.
func (x *floatProduct) block(r0, r1, t0, t1, k0, k1 int) {
	size, skip := x.m.Type.RowBytes(x.k), x.m.Type.RowBytes(k0)
	done := 0 // of the partial sums
	for tiles := (t1 - t0 + len(x.tile) - 1) / len(x.tile); tiles > 0; tiles-- {
		tokens := (t1 - t0 + tiles - 1) / tiles // tiles as even as may be
		for r := r0; r < r1; {
			rows, mul := rowsAtOnce, x.tile[tokens-1]
			if r+rowsAtOnce > r1 {
				rows, mul = 1, x.one[tokens-1]
			}
			var from, to *float32
			if k0 > 0 {
				from = &x.sums[done]
			}
			if k1 < x.k {
				to = &x.sums[done]
			}
			mul(&x.dst[t0*x.ldd+r], 4*x.ldd, &x.w[r*size+skip], size, (*float32)(unsafe.Add(x.a, (t0*x.k+k0)*x.width)), x.k*x.width, k1-k0, from, to)
			r, done = r+rows, done+rows*tokens*x.lanes
		}
		t0 += tokens
	}
}
