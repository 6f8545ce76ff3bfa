package hf

import (
	"fmt"
	"slices"
)

// Op makes of a weight that is to go to a place what a GGUF file has for it. What goes to another
// place may meet another op there.
type Op func(m *Meta, p place, w weight) ([]placed, error)

// placed is a weight and where it goes.
type placed struct {
	place
	weight
}

// as is the place of another name in the same layer.
func (p place) as(base string) place {
	p.base = base
	return p
}

// common are the ops of names that no GGUF file has: they say how a checkpoint holds what GGUF
// holds otherwise.
var common = map[string]Op{
	"qkv":                       SplitQKV,
	"qkv_by_group":              ungroupQKV,
	"gate_up":                   splitRows("ffn_gate", "ffn_up"),
	"gate_up_shexp":             splitRows("ffn_gate_shexp", "ffn_up_shexp"),
	"gate_up_exps":              splitRows("ffn_gate_exps", "ffn_up_exps"),
	"gate_up_exps_woven":        splitEvenOdd("ffn_gate_exps", "ffn_up_exps"),
	"gate_up_exps_turned":       transposeTo("gate_up_exps"),
	"gate_up_exps_turned_woven": transposeTo("gate_up_exps_woven"),
	"down_exps_turned":          transposeTo("ffn_down_exps"),
	"kv_b":                      splitLatent,
	"qkvz":                      splitDelta,
	"gate_up_shared":            sharedExpert("ffn_gate", "ffn_up"),
	"down_shared":               sharedExpert("ffn_down"),
}

// PermuteQK brings rows of queries or keys from the order of checkpoints, in which RoPE rotates row
// i of a head with row i + n/2, to that in which it rotates rows 2i and 2i+1.
func PermuteQK(m *Meta, p place, w weight) ([]placed, error) {
	n := m.HeadDim
	if len(w.Shape) > 2 || n < 2 || n%2 != 0 || w.Shape[0]%n != 0 {
		return nil, fmt.Errorf("shape %v: want rows of whole heads of %d, an even number", w.Shape, n)
	}
	return []placed{{p, rearrange(w, func(i int) int { return i/n*n + i%n/2 + i%2*(n/2) }, w.Shape[0])}}, nil
}

// AddOne adds one to every weight of a norm; its bias stays.
func AddOne(_ *Meta, p place, w weight) ([]placed, error) {
	if p.suffix == ".bias" {
		return []placed{{p, w}}, nil
	}
	if !w.Type.IsWeight() || w.Type.Group() != 0 {
		return nil, fmt.Errorf("type %s: want numbers that can be added to", w.Type)
	}
	return []placed{{p, floats(w, func(x []float32) {
		for i := range x {
			x[i]++
		}
	})}}, nil
}

// Transpose exchanges rows and columns of a matrix; a bias stays.
func Transpose(_ *Meta, p place, w weight) ([]placed, error) {
	if len(w.Shape) < 2 {
		return []placed{{p, w}}, nil
	}
	w, err := transpose(w)
	return []placed{{p, w}}, err
}

// transposeTo exchanges rows and columns of matrices that go to the place called base.
func transposeTo(base string) Op {
	return func(_ *Meta, p place, w weight) ([]placed, error) {
		w, err := transpose(w)
		return []placed{{p.as(base), w}}, err
	}
}

// splitRows cuts matrices, or a bias, into the first and the second half of their rows.
func splitRows(first, second string) Op {
	return splitPairs(first, second, func(i, half int) (int, int) { return i, half + i })
}

// splitEvenOdd takes rows of even and of odd number apart.
func splitEvenOdd(even, odd string) Op {
	return splitPairs(even, odd, func(i, _ int) (int, int) { return 2 * i, 2*i + 1 })
}

// splitPairs makes two weights of one whose rows, or a bias's elements, are those of both; from
// says which rows are number i of the first and of the second, of half as many each.
func splitPairs(first, second string, from func(i, half int) (int, int)) Op {
	return func(_ *Meta, p place, w weight) ([]placed, error) {
		vectors := p.suffix == ".bias" || len(w.Shape) < 2
		n := rowsIn(w, vectors)
		if n < 2 || n%2 != 0 {
			return nil, fmt.Errorf("shape %v: want an even number of rows", w.Shape)
		}
		half := n / 2
		a := rearrangeEach(w, vectors, half, func(i int) int { r, _ := from(i, half); return r })
		b := rearrangeEach(w, vectors, half, func(i int) int { _, r := from(i, half); return r })
		return []placed{{p.as(first), a}, {p.as(second), b}}, nil
	}
}

// SplitQKV cuts queries, keys and values apart.
func SplitQKV(m *Meta, p place, w weight) ([]placed, error) {
	q, kv := m.NHead*m.HeadDim, m.NHeadKV*m.HeadDim
	if len(w.Shape) > 2 || w.Shape[0] != q+2*kv || kv < 1 {
		return nil, fmt.Errorf("shape %v: want %d rows of queries and %d each of keys and values", w.Shape, q, kv)
	}
	from := func(first int) func(int) int { return func(i int) int { return first + i } }
	return []placed{
		{p.as("attn_q"), rearrange(w, from(0), q)},
		{p.as("attn_k"), rearrange(w, from(q), kv)},
		{p.as("attn_v"), rearrange(w, from(q+kv), kv)},
	}, nil
}

// ungroupQKV brings rows that are, for each head of keys, its queries, its key and its value, into
// the order of all queries, all keys, all values.
func ungroupQKV(m *Meta, p place, w weight) ([]placed, error) {
	n, groups := m.HeadDim, m.NHeadKV
	if len(w.Shape) > 2 || n < 1 || groups < 1 || m.NHead%groups != 0 || w.Shape[0] != (m.NHead+2*groups)*n {
		return nil, fmt.Errorf("shape %v: want rows of %d heads of %d, in %d groups with a key and a value each", w.Shape, m.NHead, n, groups)
	}
	queries := m.NHead / groups // of a group
	from := func(i int) int {
		head, row := i/n, i%n
		group, at := head/queries, head%queries
		if head >= m.NHead {
			group, at = (head-m.NHead)%groups, queries+(head-m.NHead)/groups
		}
		return (group*(queries+2)+at)*n + row
	}
	return []placed{{p.as("attn_qkv"), rearrange(w, from, w.Shape[0])}}, nil
}

// splitLatent cuts what makes keys and values of the latent apart, for each head: the keys' part
// transposed, so that queries can be multiplied with it instead.
func splitLatent(m *Meta, p place, w weight) ([]placed, error) {
	nope, value := m.Must("qk_nope_head_dim"), m.Must("v_head_dim")
	per := nope + value
	if len(w.Shape) != 2 || nope < 1 || value < 1 || w.Shape[0] != m.NHead*per {
		return nil, fmt.Errorf("shape %v: want for each of %d heads %d rows of keys and %d of values", w.Shape, m.NHead, nope, value)
	}
	lora := w.Shape[1]
	keys := pick(w, func(i int) int { return i/nope*per + i%nope }, m.NHead, nope, lora)
	keys, err := transpose(keys)
	values := pick(w, func(i int) int { return i/value*per + nope + i%value }, m.NHead, value, lora)
	return []placed{{p.as("attn_k_b"), keys}, {p.as("attn_v_b"), values}}, err
}

// rowsIn is the number of rows in each matrix of w, or of elements in each vector.
func rowsIn(w weight, vectors bool) int {
	if vectors {
		return w.Shape[len(w.Shape)-1]
	}
	return w.Shape[len(w.Shape)-2]
}

// rearrange is w with n rows (elements, if it is a vector), of which number i is from(i) of w.
func rearrange(w weight, from func(i int) int, n int) weight {
	return rearrangeEach(w, len(w.Shape) == 1, n, from)
}

// rearrangeEach does so in every matrix, or vector, of w.
func rearrangeEach(w weight, vectors bool, n int, from func(i int) int) weight {
	shape := slices.Clone(w.Shape)
	if !vectors {
		old := shape[len(shape)-2]
		shape[len(shape)-2] = n
		return pick(w, func(i int) int { return i/n*old + from(i%n) }, shape...)
	}
	last := len(shape) - 1
	old := shape[last]
	shape[last] = n
	tall := weight{w.Type, append(slices.Clone(w.Shape), 1), columns{w}}
	picked := pick(tall, func(i int) int { return i/n*old + from(i%n) }, append(slices.Clone(shape), 1)...)
	return weight{w.Type, shape, lines{picked, n}}
}

// columns are the elements of vectors as rows.
type columns struct{ w weight }

func (c columns) View(first, n int) []byte {
	b := c.w.View(0, c.w.rows())
	if b == nil {
		return nil
	}
	size := c.w.Type.RowBytes(1)
	return b[first*size : (first+n)*size]
}

func (c columns) Read(dst []byte, first int) {
	size, width := c.w.Type.RowBytes(1), c.w.width()
	for len(dst) > 0 {
		row, from := first/width, first%width
		n := min(len(dst)/size, width-from)
		readPart(c.w, dst[:n*size], row, from)
		dst, first = dst[n*size:], first+n
	}
}

// lines are rows of one element, n of them as a row.
type lines struct {
	w weight
	n int
}

func (l lines) View(first, n int) []byte { return l.w.View(first*l.n, n*l.n) }

func (l lines) Read(dst []byte, first int) { l.w.Read(dst, first*l.n) }

func (l lines) readPart(dst []byte, row, from int) { l.w.Read(dst, row*l.n+from) }
