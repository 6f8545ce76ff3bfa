package kernels

// floatTile is a float format at a level of assembly: a few rows times a few tokens at once. Each output has a vector of partial sums, lane l taking
// the k that leave l, which one tree adds at the end.
type floatTile struct {
	// tile[t-1] multiplies rowsAtOnce rows with t tokens, one[t-1] one row.
	tile, one floatTiles
}

// floatTiles are kernels for one token, for two and so on. Strides are in bytes.
type floatTiles []func(dst *float32, ldd int, w *byte, stride int, a *float32, lda, k int)

const rowsAtOnce = 4

// mulTiled takes some tokens, which the nearest cache holds, with all rows.
func mulTiled(m *Mat, dst []float32, ldd int, w []byte, rows, k int, a *Acts, t0, t1 int, _ *Scratch) {
	size := m.Type.RowBytes(k)
	for t := t0; t < t1; t += len(m.floats.tile) {
		n := min(len(m.floats.tile), t1-t)
		x := &a.F[t*k]
		r := 0
		for ; r+rowsAtOnce <= rows; r += rowsAtOnce {
			m.floats.tile[n-1](&dst[t*ldd+r], 4*ldd, &w[r*size], size, x, 4*k, k)
		}
		for ; r < rows; r++ {
			m.floats.one[n-1](&dst[t*ldd+r], 4*ldd, &w[r*size], size, x, 4*k, k)
		}
	}
}
