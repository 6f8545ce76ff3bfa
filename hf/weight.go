package hf

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/safetensors"
)

// weight is a tensor of a checkpoint, or what is made of some: a type, a shape (the slowest
// dimension first), and rows of Shape[len(Shape)-1] elements.
type weight struct {
	Type  quant.Type
	Shape []int
	gguf.Rows
}

// named is a weight and its name.
type named struct {
	name string
	weight
}

// types are the types of elements that are weights as stored.
var types = map[safetensors.DType]quant.Type{
	safetensors.F64: quant.F64, safetensors.F32: quant.F32, safetensors.F16: quant.F16, safetensors.BF16: quant.BF16,
	safetensors.I64: quant.I64, safetensors.I32: quant.I32, safetensors.I16: quant.I16, safetensors.I8: quant.I8, safetensors.U8: quant.I8,
}

// plain is a tensor as stored. ok is false for types that are none here.
func plain(t *safetensors.Tensor) (w weight, ok bool) {
	typ, ok := types[t.DType]
	shape := t.Shape
	if len(shape) == 0 {
		shape = []int{1}
	}
	return weight{typ, shape, stored{t.Data, typ.RowBytes(shape[len(shape)-1])}}, ok
}

// width is the length of a row.
func (w weight) width() int { return w.Shape[len(w.Shape)-1] }

// rowBytes is the number of bytes of a row.
func (w weight) rowBytes() int { return w.Type.RowBytes(w.width()) }

// rows is the number of rows.
func (w weight) rows() int { return product(w.Shape[:len(w.Shape)-1]) }

func product(ns []int) int {
	p := 1
	for _, n := range ns {
		p *= n
	}
	return p
}

// fetch is n rows of w, as stored, or made.
func fetch(w weight, first, n int) []byte {
	if b := w.View(first, n); b != nil {
		return b
	}
	b := make([]byte, n*w.rowBytes())
	w.Read(b, first)
	return b
}

// stored are rows in memory, one after the other.
type stored struct {
	data []byte
	size int // of a row
}

func (l stored) View(first, n int) []byte {
	return l.data[first*l.size : (first+n)*l.size : (first+n)*l.size]
}

func (l stored) Read(dst []byte, first int) { copy(dst, l.data[first*l.size:]) }

// picked are rows of w in another order, or some of them: row i is row from(i) of w.
type picked struct {
	w    weight
	from func(i int) int
}

// pick returns rows of w as a weight of the shape.
func pick(w weight, from func(i int) int, shape ...int) weight {
	return weight{w.Type, shape, picked{w, from}}
}

func (p picked) View(first, n int) []byte {
	start := p.from(first)
	for i := 1; i < n; i++ {
		if p.from(first+i) != start+i {
			return nil
		}
	}
	return p.w.View(start, n)
}

func (p picked) Read(dst []byte, first int) {
	size := p.w.rowBytes()
	for at := first; len(dst) > 0; {
		start, n := p.run(at, len(dst)/size)
		p.w.Read(dst[:n*size], start)
		dst, at = dst[n*size:], at+n
	}
}

// run is the row of w that row first is, and how many from there on, of most, follow each other
// there too.
func (p picked) run(first, most int) (start, n int) {
	start, n = p.from(first), 1
	for n < most && p.from(first+n) == start+n {
		n++
	}
	return start, n
}

func (p picked) readPart(dst []byte, row, from int) { readPart(p.w, dst, p.from(row), from) }

// stacked are the rows of several weights of the same shape and type, one weight after the other.
type stacked struct {
	parts []weight
	rows  int // of a part
}

// stack makes one weight of several.
func stack(parts []weight) (weight, error) {
	first := parts[0]
	for i, p := range parts {
		if p.Type != first.Type || !slices.Equal(p.Shape, first.Shape) {
			return weight{}, fmt.Errorf("part %d is %s %v, part 0 %s %v: want them alike", i, p.Type, p.Shape, first.Type, first.Shape)
		}
	}
	return weight{first.Type, append([]int{len(parts)}, first.Shape...), stacked{parts, first.rows()}}, nil
}

func (s stacked) View(first, n int) []byte {
	if i := first / s.rows; (first+n-1)/s.rows == i {
		return s.parts[i].View(first%s.rows, n)
	}
	return nil
}

func (s stacked) Read(dst []byte, first int) {
	size := s.parts[0].rowBytes()
	for len(dst) > 0 {
		n := min(len(dst)/size, s.rows-first%s.rows)
		s.parts[first/s.rows].Read(dst[:n*size], first%s.rows)
		dst, first = dst[n*size:], first+n
	}
}

func (s stacked) readPart(dst []byte, row, from int) {
	readPart(s.parts[row/s.rows], dst, row%s.rows, from)
}

// partial are rows of which a part can be had for what that part costs. Rows that are made one by
// one for each of their elements would cost the square of their length.
type partial interface {
	// readPart makes elements of a row, from number from on, as many as dst holds.
	readPart(dst []byte, row, from int)
}

// readPart is that for any weight of single elements, not blocks.
func readPart(w weight, dst []byte, row, from int) {
	if p, ok := w.Rows.(partial); ok {
		p.readPart(dst, row, from)
		return
	}
	copy(dst, fetch(w, row, 1)[from*w.Type.BlockBytes():])
}

// made are elements computed in float32 from as many of a weight; f is given a row's and changes
// them.
type made struct {
	w weight
	f func(x []float32)
}

// floats is w in float32, with f, if not nil, done to its rows.
func floats(w weight, f func(x []float32)) weight {
	if w.Type == quant.F32 && f == nil {
		return w
	}
	return weight{quant.F32, w.Shape, made{w, f}}
}

func (m made) View(int, int) []byte { return nil }

func (m made) Read(dst []byte, first int) {
	n := m.w.width()
	x := make([]float32, n)
	for row := first; len(dst) > 0; row++ {
		dequantize(m.w.Type, x, fetch(m.w, row, 1))
		if m.f != nil {
			m.f(x)
		}
		putFloats(dst[:4*n], x)
		dst = dst[4*n:]
	}
}

func (m made) readPart(dst []byte, row, from int) {
	if m.f != nil { // it may look at the whole row
		x := make([]byte, 4*m.w.width())
		m.Read(x, row)
		copy(dst, x[4*from:])
		return
	}
	block, n := m.w.Type.BlockSize(), len(dst)/4
	first, end := from/block, (from+n+block-1)/block
	var src []byte
	if size := m.w.Type.BlockBytes(); block == 1 {
		src = make([]byte, (end-first)*size)
		readPart(m.w, src, row, first)
	} else {
		src = fetch(m.w, row, 1)[first*size : end*size]
	}
	x := make([]float32, (end-first)*block)
	dequantize(m.w.Type, x, src)
	putFloats(dst, x[from-first*block:][:n])
}

// dequantize is quant.Dequantize for double precision too.
func dequantize(t quant.Type, dst []float32, src []byte) {
	if t != quant.F64 {
		quant.Dequantize(t, dst, src)
		return
	}
	for i := range dst {
		dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
	}
}

func putFloats(dst []byte, x []float32) {
	for i, v := range x {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
}

// constant is a weight of numbers that no tensor holds.
func constant(x []float32) weight {
	b := make([]byte, 4*len(x))
	putFloats(b, x)
	return weight{quant.F32, []int{len(x)}, stored{b, len(b)}}
}

// transposed are matrices of w, [n][rows][cols], with rows and columns exchanged: [n][cols][rows].
type turned struct {
	w          weight
	rows, cols int
}

// transpose exchanges the last two dimensions of w. Blocks of elements do not stay whole: such a
// weight becomes one of float32.
func transpose(w weight) (weight, error) {
	n := len(w.Shape)
	if n < 2 {
		return w, fmt.Errorf("%v: want a matrix that can be turned over", w.Shape)
	}
	if w.Type.BlockSize() > 1 {
		w = floats(w, nil)
	}
	shape := slices.Clone(w.Shape)
	shape[n-2], shape[n-1] = shape[n-1], shape[n-2]
	return weight{w.Type, shape, turned{w, w.Shape[n-2], w.Shape[n-1]}}, nil
}

func (t turned) View(int, int) []byte { return nil }

func (t turned) Read(dst []byte, first int) {
	size := t.w.Type.BlockBytes()
	var part []byte // of a row of w that has no view
	for len(dst) > 0 {
		matrix, col := first/t.cols, first%t.cols
		n := min(len(dst)/(size*t.rows), t.cols-col)
		for r := range t.rows {
			from := t.w.View(matrix*t.rows+r, 1)
			if from != nil {
				from = from[col*size:]
			} else {
				if len(part) < n*size {
					part = make([]byte, n*size)
				}
				from = part[:n*size]
				readPart(t.w, from, matrix*t.rows+r, col)
			}
			for c := range n {
				copy(dst[(c*t.rows+r)*size:], from[c*size:(c+1)*size])
			}
		}
		dst, first = dst[n*t.rows*size:], first+n
	}
}

func (t turned) readPart(dst []byte, row, from int) {
	size := t.w.Type.BlockBytes()
	for r := from; len(dst) > 0; r++ {
		readPart(t.w, dst[:size], row/t.cols*t.rows+r, row%t.cols)
		dst = dst[size:]
	}
}
