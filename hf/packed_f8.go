package hf

import (
	"fmt"
	"math"

	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/safetensors"
)

// eights are the weights of a checkpoint in eight bits of floating point. With the tensor
// NAME.weight goes NAME.weight_scale_inv or NAME.weight_scale, which multiplies it: one number, one
// for each output ([out] or [out][1]), or one for each block of, usually, 128×128 weights
// ([⌈out/128⌉][⌈in/128⌉], DeepSeek-V3, arXiv:2412.19437). They are made bfloat16, which holds a
// number of eight bits exactly and loses some of its product with a scale, as DeepSeek's own
// conversion does.
type eights struct {
	by    map[string]*safetensors.Tensor
	block [2]int // outputs and inputs of a block
}

// f8Block reads weight_block_size.
func f8Block(q *Config) [2]int {
	block := [2]int{128, 128}
	if size, ok := q.Floats("weight_block_size"); ok {
		if len(size) != 2 || size[0] != math.Trunc(size[0]) || size[1] != math.Trunc(size[1]) || min(size[0], size[1]) < 1 || max(size[0], size[1]) > math.MaxInt32 {
			q.wrong("weight_block_size", "two positive whole numbers", q.values["weight_block_size"])
			return block
		}
		block = [2]int{int(size[0]), int(size[1])}
	}
	return block
}

// f8Values are the numbers that eight bits stand for.
var f8Values = map[safetensors.DType]*[256]float32{safetensors.F8E4M3: e4m3(), safetensors.F8E5M2: e5m2()}

// e4m3 has a bias of 7 and no infinities: only the largest pattern is not a number (Micikevicius et
// al. 2022, arXiv:2209.05433, table 1).
func e4m3() *[256]float32 {
	var v [256]float32
	for i := range 128 {
		e, m := i>>3, float64(i&7)
		x := math.Ldexp(1+m/8, e-7)
		if e == 0 {
			x = math.Ldexp(m/8, -6)
		}
		v[i], v[128+i] = float32(x), float32(-x)
	}
	v[0x7F], v[0xFF] = float32(math.NaN()), float32(math.NaN())
	v[0x80] = float32(math.Copysign(0, -1))
	return &v
}

// e5m2 is the upper half of half precision.
func e5m2() *[256]float32 {
	var v [256]float32
	for i := range v {
		v[i] = quant.Half(uint16(i) << 8)
	}
	return &v
}

// unpack makes a weight of a tensor in eight bits and its scale.
func (e eights) unpack(name string) (weight, []string, error) {
	t := e.by[name]
	values := f8Values[t.DType]
	if values == nil {
		return weight{}, nil, nil
	}
	if len(t.Shape) == 0 {
		return weight{}, nil, fmt.Errorf("a single %s: want a matrix or a vector", t.DType)
	}
	in := t.Shape[len(t.Shape)-1]
	r := eightRows{data: t.Data, in: in, values: values, rowsOf: 1, inputsOf: max(in, 1)}
	w := weight{quant.BF16, t.Shape, nil}
	parts := []string{name}
	for _, suffix := range []string{"_scale_inv", "_scale"} {
		s, ok := e.by[name+suffix]
		if !ok {
			continue
		}
		if err := e.scale(&r, t, s, w.rows()); err != nil {
			return weight{}, nil, err
		}
		parts = append(parts, s.Name)
		break
	}
	w.Rows = r
	return w, parts, nil
}

// scale takes over the scales of t.
func (e eights) scale(r *eightRows, t, s *safetensors.Tensor, rows int) error {
	if s.DType != safetensors.F32 && s.DType != safetensors.BF16 && s.DType != safetensors.F16 {
		return fmt.Errorf("%s is %s: want F32, BF16 or F16", quoted(s.Name), s.DType)
	}
	n := product(s.Shape)
	switch out, in := t.Shape[0], r.in; {
	case n == 1:
		r.rowsOf, r.across = max(rows, 1), 1
	case len(t.Shape) == 2 && n == out && s.Shape[0] == out && len(s.Shape) <= 2:
		r.across = 1
	case len(t.Shape) == 2 && len(s.Shape) == 2 && s.Shape[0] == ceil(out, e.block[0]) && s.Shape[1] == ceil(in, e.block[1]):
		r.rowsOf, r.inputsOf, r.across = e.block[0], e.block[1], s.Shape[1]
	default:
		return fmt.Errorf("%s has the shape %v: want one scale, one for each of %d outputs, or one for each block of %d×%d", quoted(s.Name), s.Shape, out, e.block[0], e.block[1])
	}
	w, _ := plain(s)
	r.scales = make([]float32, n)
	quant.Dequantize(w.Type, r.scales, s.Data)
	return nil
}

func ceil(n, d int) int { return (n + d - 1) / d }

// eightRows are rows of bfloat16 made of eight bits and scales.
type eightRows struct {
	data             []byte
	in               int
	values           *[256]float32
	scales           []float32 // [rows of blocks][across]; nil for none
	rowsOf, inputsOf int       // of a block
	across           int       // blocks in a row
}

func (r eightRows) View(int, int) []byte { return nil }

func (r eightRows) Read(dst []byte, first int) {
	for row := first; len(dst) > 0; row++ {
		r.readPart(dst[:2*r.in], row, 0)
		dst = dst[2*r.in:]
	}
}

func (r eightRows) readPart(dst []byte, row, from int) {
	for i, b := range r.data[row*r.in+from:][:len(dst)/2] {
		x := r.values[b]
		if r.scales != nil {
			x *= r.scales[row/r.rowsOf*r.across+(from+i)/r.inputsOf]
		}
		h := quant.ToBHalf(x)
		dst[2*i], dst[2*i+1] = byte(h), byte(h>>8)
	}
}
