package checkpoint

import "fmt"

// neighbours brings rows of queries or keys from the order of checkpoints, in which RoPE turns row i of a head with row i + n/2, to that in which it turns rows 2i and 2i+1.
func neighbours(m *meta, name string, w weight) ([]named, error) {
	n := m.headDim
	if n < 2 || n%2 != 0 || w.Shape[0]%n != 0 {
		return nil, fmt.Errorf("%v: want rows of whole heads of %d, an even number", w.Shape, n)
	}
	return each(name, w, func(i int) int { return i/n*n + i%n/2 + i%2*(n/2) }), nil
}

// each is the weight of the name whose row, or element of a vector, i is number from(i) of w.
func each(name string, w weight, from func(i int) int) []named {
	if len(w.Shape) == 1 {
		tall := weight{w.Type, []int{w.Shape[0], 1}, column{w}}
		return []named{{name, weight{w.Type, w.Shape, line{pick(tall, from, tall.Shape...)}}}}
	}
	return []named{{name, pick(w, from, w.Shape...)}}
}

// column are the elements of a vector as rows.
type column struct{ w weight }

func (c column) View(first, n int) []byte {
	size := c.w.Type.RowBytes(1)
	return fetch(c.w, 0, 1)[first*size : (first+n)*size]
}

func (c column) Read(dst []byte, first int) {
	copy(dst, fetch(c.w, 0, 1)[first*c.w.Type.RowBytes(1):])
}

// line are rows of one element as a vector.
type line struct{ w weight }

func (l line) View(int, int) []byte { return l.w.View(0, l.w.rows()) }

func (l line) Read(dst []byte, _ int) { l.w.Read(dst, 0) }
