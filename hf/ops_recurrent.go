package hf

import (
	"fmt"
	"math"
)

// NegExp converts the logarithm of how fast a state is forgotten into that with its sign.
func NegExp(_ *Meta, p place, w weight) ([]placed, error) {
	if !w.Type.IsWeight() || w.Type.Group() != 0 {
		return nil, fmt.Errorf("type %s: want numbers", w.Type)
	}
	return []placed{{p, floats(w, func(x []float32) {
		for i := range x {
			x[i] = -float32(math.Exp(float64(x[i])))
		}
	})}}, nil
}

// PerHead makes a column of a vector, after what f, if not nil, does to it.
func PerHead(f Op) Op {
	return func(m *Meta, p place, w weight) ([]placed, error) {
		if len(w.Shape) != 1 {
			return nil, fmt.Errorf("shape %v: want a number for each head", w.Shape)
		}
		if f != nil {
			made, err := f(m, p, w)
			if err != nil {
				return nil, err
			}
			w = made[0].weight
		}
		return []placed{{p, weight{w.Type, []int{w.Shape[0], 1}, columns{w}}}}, nil
	}
}

// ConvKernel makes a matrix of the weights of a convolution for each channel, [channels][1][taps];
// a bias stays.
func ConvKernel(_ *Meta, p place, w weight) ([]placed, error) {
	if len(w.Shape) == 3 && w.Shape[1] == 1 {
		w.Shape = []int{w.Shape[0], w.Shape[2]}
	}
	return []placed{{p, w}}, nil
}

// PerGroup makes a row of a norm's weights for each group of heads.
func PerGroup(m *Meta, p place, w weight) ([]placed, error) {
	n := m.NGroup
	if len(w.Shape) != 1 || n < 1 || w.Shape[0]%n != 0 {
		return nil, fmt.Errorf("shape %v: want a vector for %d groups", w.Shape, n)
	}
	tall := weight{w.Type, []int{w.Shape[0], 1}, columns{w}}
	return []placed{{p, weight{w.Type, []int{n, w.Shape[0] / n}, lines{tall, w.Shape[0] / n}}}}, nil
}

// splitDelta brings rows that are, for each head of keys of a delta net, its query, its key, its
// values and their gates, into the order of all queries, keys and values, and all gates apart.
func splitDelta(m *Meta, p place, w weight) ([]placed, error) {
	heads, key := m.Must("linear_num_key_heads"), m.Must("linear_key_head_dim")
	values := m.Must("linear_num_value_heads") * m.Must("linear_value_head_dim")
	if len(w.Shape) != 2 || heads < 1 || key < 1 || values%heads != 0 || w.Shape[0] != 2*(heads*key+values) {
		return nil, fmt.Errorf("shape %v: want for each of %d heads a query and a key of %d, and %d values and gates in all", w.Shape, heads, key, values)
	}
	value := values / heads
	per := 2 * (key + value)
	// row i of those of n for each head that begin at first
	at := func(i, n, first int) int { return i/n*per + first + i%n }
	qkv := func(i int) int {
		switch all := heads * key; {
		case i < all:
			return at(i, key, 0)
		case i < 2*all:
			return at(i-all, key, key)
		default:
			return at(i-2*all, value, 2*key)
		}
	}
	return []placed{
		{p.as("attn_qkv"), rearrange(w, qkv, 2*heads*key+values)},
		{p.as("attn_gate"), rearrange(w, func(i int) int { return at(i, value, 2*key+value) }, values)},
	}, nil
}

// valueHeadOrder is where head i/n of values, in the order in which heads of keys alternate, stands
// in the order of heads of keys; of n rows, or elements, each.
func (m *Meta) valueHeadOrder(n int) (from func(i int) int, err error) {
	keys, values := m.Must("linear_num_key_heads"), m.Must("linear_num_value_heads")
	if keys < 1 || values < 1 || values%keys != 0 || n < 1 {
		return nil, fmt.Errorf("%d heads of values: want the same number for each of %d heads of keys", values, keys)
	}
	each := values / keys
	return func(i int) int {
		head := i / n
		return (head%keys*each+head/keys)*n + i%n
	}, nil
}

// InterleaveHeads brings the rows of heads of values into their order: all, or after those of
// queries and keys; of whole heads, or one for each head.
func InterleaveHeads(behind, whole bool) Op {
	return func(m *Meta, p place, w weight) ([]placed, error) {
		first, n := 0, 1
		if behind {
			first = 2 * m.Must("linear_num_key_heads") * m.Must("linear_key_head_dim")
		}
		if whole {
			n = m.Must("linear_value_head_dim")
		}
		from, err := m.valueHeadOrder(n)
		if err != nil {
			return nil, err
		}
		if want := first + n*m.Must("linear_num_value_heads"); len(w.Shape) > 2 || w.Shape[0] != want {
			return nil, fmt.Errorf("shape %v: want %d rows", w.Shape, want)
		}
		return []placed{{p, rearrange(w, func(i int) int {
			if i < first {
				return i
			}
			return first + from(i-first)
		}, w.Shape[0])}}, nil
	}
}

// InterleaveColumns does so with the columns of a matrix.
func InterleaveColumns(m *Meta, p place, w weight) ([]placed, error) {
	n := m.Must("linear_value_head_dim")
	from, err := m.valueHeadOrder(n)
	if err == nil && (len(w.Shape) != 2 || w.Shape[1] != n*m.Must("linear_num_value_heads")) {
		err = fmt.Errorf("shape %v: want %d columns", w.Shape, n*m.Must("linear_num_value_heads"))
	}
	if err != nil {
		return nil, err
	}
	if w.Type.BlockSize() > 1 { // blocks do not stay whole
		w = floats(w, nil)
	}
	return []placed{{p, weight{w.Type, w.Shape, permutedColumns{w, from}}}}, nil
}

// permutedColumns are the rows of w with element from(i) at place i.
type permutedColumns struct {
	w    weight
	from func(i int) int
}

func (d permutedColumns) View(int, int) []byte { return nil }

func (d permutedColumns) Read(dst []byte, first int) {
	n, size := d.w.width(), d.w.Type.BlockBytes()
	for row := first; len(dst) > 0; row++ {
		src := fetch(d.w, row, 1)
		for i := range n {
			at := d.from(i) * size
			copy(dst[i*size:(i+1)*size], src[at:at+size])
		}
		dst = dst[n*size:]
	}
}

// Then does one op after another, of which the first leaves a weight at its place.
func Then(first, second Op) Op {
	return func(m *Meta, p place, w weight) ([]placed, error) {
		made, err := first(m, p, w)
		if err != nil {
			return nil, err
		}
		return second(m, p, made[0].weight)
	}
}

// sharedExpert gives the parts of a shared expert their places, which in a model without others are
// those of the feed-forward block.
func sharedExpert(bases ...string) Op {
	return func(m *Meta, p place, w weight) ([]placed, error) {
		suffix := ""
		if m.IsSet("expert_count") {
			suffix = "_shexp"
		}
		if len(bases) == 1 {
			return []placed{{p.as(bases[0] + suffix), w}}, nil
		}
		return splitRows(bases[0]+suffix, bases[1]+suffix)(m, p, w)
	}
}
