package hf

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/safetensors"
)

// numbered is a weight of float32 whose elements are numbered.
func numbered(shape ...int) weight {
	n := product(shape)
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i)
	}
	w := constant(x)
	return weight{w.Type, shape, stored{w.all(), 4 * shape[len(shape)-1]}}
}

// elements reads a weight row by row, in parts, and where there is a view by that: all must agree.
func elements(t *testing.T, w weight) []float32 {
	size := w.rowBytes()
	var whole []byte
	for part := 1; part <= 3; part++ {
		var b []byte
		for first := 0; first < w.rows(); first += part {
			n := min(part, w.rows()-first)
			dst := make([]byte, n*size)
			w.Read(dst, first)
			if v := w.View(first, n); v != nil {
				require.Equal(t, v, dst)
			}
			b = append(b, dst...)
		}
		if whole == nil {
			whole = b
		}
		require.Equal(t, whole, b)
	}
	x := make([]float32, len(whole)/4)
	quant.Dequantize(quant.F32, x, whole)
	return x
}

func TestViews(t *testing.T) {
	w := numbered(4, 2)
	even := pick(w, func(i int) int { return 2 * i }, 2, 2)
	require.Nil(t, even.View(0, 2))
	require.Equal(t, w.all()[16:24], even.View(1, 1), "one row lies where it lies")
	require.Equal(t, []float32{0, 1, 4, 5}, elements(t, even))

	s, err := stack([]weight{w, even})
	require.ErrorContains(t, err, "part 1 is F32 [2 2], part 0 F32 [4 2]: want them alike")
	require.Nil(t, s.Rows)
	s, err = stack([]weight{numbered(2, 2), even})
	require.NoError(t, err)
	require.Equal(t, []int{2, 2, 2}, s.Shape)
	require.NotNil(t, s.View(0, 2))
	require.Nil(t, s.View(1, 2), "rows of two parts")
	require.Equal(t, []float32{0, 1, 2, 3, 0, 1, 4, 5}, elements(t, s))

	turned, err := transpose(numbered(2, 2, 3))
	require.NoError(t, err)
	require.Equal(t, []int{2, 3, 2}, turned.Shape)
	require.Equal(t, []float32{0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11}, elements(t, turned))
	_, err = transpose(numbered(3))
	require.ErrorContains(t, err, "[3]: want a matrix")
}

func TestOps(t *testing.T) {
	m := &Meta{Config: &Config{err: new(error), values: map[string]any{}}, NHead: 2, NHeadKV: 1, HeadDim: 4}
	do := func(f Op, p place, w weight) map[string][]float32 {
		made, err := f(m, p, w)
		require.NoError(t, err)
		out := map[string][]float32{}
		for _, x := range made {
			out[x.name()] = elements(t, x.weight)
		}
		return out
	}
	p := place{layer: "3", base: "x", suffix: ".weight"}
	bias := place{layer: "3", base: "x", suffix: ".bias"}
	require.Equal(t, map[string][]float32{"blk.3.x.weight": {0, 2, 1, 3, 4, 6, 5, 7}}, do(PermuteQK, p, numbered(8, 1)))
	require.Equal(t, map[string][]float32{"blk.3.x.bias": {0, 2, 1, 3, 4, 6, 5, 7}}, do(PermuteQK, bias, numbered(8)))
	require.Equal(t, map[string][]float32{"blk.3.x.weight": {1, 2, 3}}, do(AddOne, p, numbered(3)))
	require.Equal(t, map[string][]float32{"blk.3.x.bias": {0, 1, 2}}, do(AddOne, bias, numbered(3)))
	require.Equal(t, map[string][]float32{"blk.3.a.weight": {0, 1, 4, 5}, "blk.3.b.weight": {2, 3, 6, 7}}, do(splitRows("a", "b"), p, numbered(2, 2, 2)))
	require.Equal(t, map[string][]float32{"blk.3.a.bias": {0, 2, 4, 6}, "blk.3.b.bias": {1, 3, 5, 7}}, do(splitEvenOdd("a", "b"), bias, numbered(2, 4)))
	require.Equal(t, map[string][]float32{
		"blk.3.attn_q.weight": {0, 1, 2, 3, 4, 5, 6, 7}, "blk.3.attn_k.weight": {8, 9, 10, 11}, "blk.3.attn_v.weight": {12, 13, 14, 15},
	}, do(SplitQKV, p, numbered(16, 1)))

	m.NHeadKV, m.HeadDim = 2, 1
	require.Equal(t, map[string][]float32{"blk.3.attn_qkv.weight": {0, 3, 1, 4, 2, 5}}, do(ungroupQKV, p, numbered(6, 1)))
	m.values = map[string]any{"qk_nope_head_dim": json.Number("1"), "v_head_dim": json.Number("2")}
	require.Equal(t, map[string][]float32{
		"blk.3.attn_k_b.weight": {0, 1, 6, 7}, "blk.3.attn_v_b.weight": {2, 3, 4, 5, 8, 9, 10, 11},
	}, do(splitLatent, p, numbered(6, 2)))
}

// TestTurns: three heads of values for each of two heads of keys come to alternate.
func TestTurns(t *testing.T) {
	m := &Meta{Config: &Config{err: new(error), values: map[string]any{
		"linear_num_key_heads": json.Number("2"), "linear_num_value_heads": json.Number("6"), "linear_value_head_dim": json.Number("1"), "linear_key_head_dim": json.Number("1"),
	}}}
	p := place{layer: "3", base: "x", suffix: ".weight"}
	for _, c := range []struct {
		do   Op
		w    weight
		want []float32
	}{
		{InterleaveHeads(false, false), numbered(6), []float32{0, 3, 1, 4, 2, 5}},
		{InterleaveHeads(true, true), numbered(10, 1), []float32{0, 1, 2, 3, 4, 7, 5, 8, 6, 9}},
		{InterleaveColumns, numbered(2, 6), []float32{0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11}},
		{splitDelta, numbered(16, 1), []float32{0, 8, 1, 9, 2, 3, 4, 10, 11, 12}},
	} {
		made, err := c.do(m, p, c.w)
		require.NoError(t, err)
		require.Equal(t, c.want, elements(t, made[0].weight))
		_, err = c.do(m, p, numbered(5, 2))
		require.ErrorContains(t, err, "shape [5 2]: want ")
	}
}

// TestMicroscaled compares with the definition: values of E2M1, two in a byte, times a power of
// two.
func TestMicroscaled(t *testing.T) {
	values := []float64{0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6}
	const rows, blocks = 3, 2
	r := rand.New(rand.NewPCG(1, 2))
	packed, scales := make([]byte, rows*blocks*16), make([]byte, rows*blocks)
	for i := range packed {
		packed[i] = byte(r.Uint32())
	}
	for i := range scales {
		scales[i] = byte(120 + r.Uint32N(14))
	}
	ts := []safetensors.Tensor{
		{Name: "x_blocks", DType: safetensors.U8, Shape: []int{1, rows, blocks, 16}, Data: packed},
		{Name: "x_scales", DType: safetensors.U8, Shape: []int{1, rows, blocks}, Data: scales},
		{Name: "y", DType: safetensors.F32, Shape: []int{1}, Data: make([]byte, 4)},
	}
	ws, err := unpackMXFP4(ts)
	require.NoError(t, err)
	require.Len(t, ws, 2)
	require.Equal(t, "x_blocks", ws[0].name)
	require.Equal(t, []int{1, rows, 32 * blocks}, ws[0].Shape)
	got := make([]float32, rows*blocks*32)
	quant.Dequantize(quant.MXFP4, got, ws[0].all())
	for i := range got {
		code := packed[i/2] >> (4 * (i % 2)) & 15
		want := values[code] * math.Ldexp(1, int(scales[i/32])-127)
		require.EqualValues(t, want, got[i], i)
	}
	require.Equal(t, ws[0].all()[17*blocks:2*17*blocks], fetch(ws[0].weight, 1, 1))

	ts[1].Shape = []int{1, rows, 1, blocks}
	_, err = unpackMXFP4(ts)
	require.ErrorContains(t, err, `tensor "x_blocks": want blocks U8 [...][16] and scales U8 [...], found U8 [1 3 2 16] and U8 [1 3 1 2]`)
	ws, err = unpackMXFP4(ts[1:])
	require.NoError(t, err)
	require.Len(t, ws, 2, "scales alone are a tensor like others")
}

func TestPlain(t *testing.T) {
	w, ok := plain(&safetensors.Tensor{DType: safetensors.F64, Data: binary.LittleEndian.AppendUint64(nil, math.Float64bits(0.1))})
	require.True(t, ok)
	require.Equal(t, []int{1}, w.Shape)
	require.Equal(t, []float32{0.1}, elements(t, floats(w, nil)))
	_, ok = plain(&safetensors.Tensor{DType: safetensors.Bool, Shape: []int{1}, Data: []byte{1}})
	require.False(t, ok)
}

// costly are rows without views that count the elements that were made of them.
type costly struct {
	in   int
	made *int
}

func (costly) View(int, int) []byte { return nil }

func (c costly) Read(dst []byte, first int) {
	for row := first; len(dst) > 0; row++ {
		c.readPart(dst[:4*c.in], row, 0)
		dst = dst[4*c.in:]
	}
}

func (c costly) readPart(dst []byte, row, from int) {
	x := make([]float32, len(dst)/4)
	for i := range x {
		x[i] = float32(row*c.in + from + i)
	}
	*c.made += len(x)
	putFloats(dst, x)
}

// TestCost: however weights that must be made are arranged, each element is made once each time
// that all are read.
func TestCost(t *testing.T) {
	for _, c := range []struct {
		name  string
		shape []int
		do    Op
		p     place
	}{
		{"fused experts", []int{3, 40, 60}, common["gate_up_exps_turned"], place{}},
		{"woven experts", []int{3, 40, 60}, common["gate_up_exps_turned_woven"], place{}},
		{"turned", []int{2, 40, 60}, Transpose, place{}},
		{"bias by group", []int{96}, ungroupQKV, place{suffix: ".bias"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			made := 0
			w := weight{quant.F32, c.shape, costly{c.shape[len(c.shape)-1], &made}}
			m := &Meta{NHead: 4, NHeadKV: 2, HeadDim: 12}
			parts, err := c.do(m, c.p, w)
			require.NoError(t, err)
			for len(parts) == 1 && common[parts[0].base] != nil { // two ops, one after the other
				parts, err = common[parts[0].base](m, parts[0].place, parts[0].weight)
				require.NoError(t, err)
			}
			seen := map[string]bool{}
			for _, part := range parts {
				all := part.all()
				for i := 0; i < len(all); i += 4 {
					seen[string(all[i:i+4])] = true
				}
				for row := range part.rows() { // the same, by rows
					one := make([]byte, part.rowBytes())
					part.Read(one, row)
					require.Equal(t, all[row*len(one):(row+1)*len(one)], one)
				}
			}
			require.Len(t, seen, product(c.shape), "every element is somewhere")
			require.Equal(t, 2*product(c.shape), made)
		})
	}
}

// all is the bytes of all rows.
func (w weight) all() []byte { return fetch(w, 0, w.rows()) }
