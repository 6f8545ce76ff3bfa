package hf

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/safetensors"
)

// matrix is a quantised matrix before it is packed: w[o][i] = scale[g][o]·(code[i][o] -
// zero[g][o]).
type matrix struct {
	in, out, bits, groups int
	group                 []int      // of each input
	codes, zeros          [][]int    // [in][out], [groups][out]
	scales                [][]uint16 // [groups][out], half precision
}

// random makes a matrix. middle puts all zero points in the middle, shuffle gives inputs groups in
// any order.
func random(rng *rand.Rand, in, out, bits, size int, middle, shuffle bool) *matrix {
	m := &matrix{in: in, out: out, bits: bits, groups: (in + size - 1) / size}
	for i := range in {
		m.group = append(m.group, i/size)
		var row []int
		for range out {
			row = append(row, rng.IntN(1<<bits))
		}
		m.codes = append(m.codes, row)
	}
	if shuffle {
		rng.Shuffle(in, func(i, j int) { m.group[i], m.group[j] = m.group[j], m.group[i] })
	}
	for range m.groups {
		var zeros []int
		var scales []uint16
		for range out {
			z := 1 << (bits - 1)
			if !middle {
				z = rng.IntN(1 << bits)
			}
			zeros = append(zeros, z)
			scales = append(scales, quant.ToHalf(float32(0.001+0.02*rng.Float64())))
		}
		m.zeros, m.scales = append(m.zeros, zeros), append(m.scales, scales)
	}
	return m
}

// weight is an element in double precision.
func (m *matrix) weight(o, i int) float64 {
	g := m.group[i]
	return float64(quant.Half(m.scales[g][o])) * float64(m.codes[i][o]-m.zeros[g][o])
}

// words packs numbers of some bits into words of 32, order[k] naming the one that stands at place
// k.
func words(rows [][]int, bits int, order []int) []byte {
	n := 32 / bits
	var b []byte
	for _, row := range rows {
		for c := 0; c < len(row); c += n {
			var word uint32
			for k := range n {
				word |= uint32(row[c+order[k]]) << (k * bits)
			}
			b = binary.LittleEndian.AppendUint32(b, word)
		}
	}
	return b
}

func inOrder(n int) (order []int) {
	for i := range n {
		order = append(order, i)
	}
	return order
}

func transposed(rows [][]int) [][]int {
	t := make([][]int, len(rows[0]))
	for _, row := range rows {
		for c, x := range row {
			t[c] = append(t[c], x)
		}
	}
	return t
}

// gptq lays a matrix out as GPTQ does. v2 keeps zero points as they are.
func (m *matrix) gptq(base string, v2, idx bool) []safetensors.Tensor {
	n := 32 / m.bits
	// qweight is [in/n][out]: the words of a column of inputs, transposed.
	byOut := words(transposed(m.codes), m.bits, inOrder(n)) // [out][in/n]
	qweight := make([]byte, len(byOut))
	for o := range m.out {
		for w := range m.in / n {
			copy(qweight[4*(w*m.out+o):], byOut[4*(o*(m.in/n)+w):][:4])
		}
	}
	zeros := m.zeros
	if !v2 {
		zeros = nil
		for _, row := range m.zeros {
			var less []int
			for _, z := range row {
				less = append(less, (z-1)&(1<<m.bits-1))
			}
			zeros = append(zeros, less)
		}
	}
	ts := []safetensors.Tensor{
		{Name: base + "qweight", DType: safetensors.I32, Shape: []int{m.in / n, m.out}, Data: qweight},
		{Name: base + "qzeros", DType: safetensors.I32, Shape: []int{m.groups, m.out / n}, Data: words(zeros, m.bits, inOrder(n))},
		m.scaleTensor(base),
	}
	if idx {
		var g []byte
		for _, x := range m.group {
			g = binary.LittleEndian.AppendUint32(g, uint32(x))
		}
		ts = append([]safetensors.Tensor{{Name: base + "g_idx", DType: safetensors.I32, Shape: []int{m.in}, Data: g}}, ts...)
	}
	return ts
}

func (m *matrix) scaleTensor(base string) safetensors.Tensor {
	var b []byte
	for _, row := range m.scales {
		for _, s := range row {
			b = binary.LittleEndian.AppendUint16(b, s)
		}
	}
	return safetensors.Tensor{Name: base + "scales", DType: safetensors.F16, Shape: []int{m.groups, m.out}, Data: b}
}

// awq lays a matrix out as AWQ does.
func (m *matrix) awq(base string) []safetensors.Tensor {
	order := []int{0, 2, 4, 6, 1, 3, 5, 7}
	return []safetensors.Tensor{
		{Name: base + "qweight", DType: safetensors.I32, Shape: []int{m.in, m.out / 8}, Data: words(m.codes, 4, order)},
		{Name: base + "qzeros", DType: safetensors.I32, Shape: []int{m.groups, m.out / 8}, Data: words(m.zeros, 4, order)},
		m.scaleTensor(base),
	}
}

func configOf(t testing.TB, quantization string) *Config {
	c, err := parseConfig("config.json", []byte(`{"quantization_config": `+quantization+`}`))
	require.NoError(t, err)
	return c
}

// TestGroups: matrices by GPTQ and AWQ, laid out as published, give the products that double
// precision gives.
func TestGroups(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for name, c := range map[string]struct {
		m      *matrix
		layout func(m *matrix) []safetensors.Tensor
		config string
		want   quant.Type
	}{
		"GPTQ, symmetric": {random(rng, 128, 96, 4, 32, true, false), func(m *matrix) []safetensors.Tensor { return m.gptq("a.", false, true) },
			`{"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": true}`, quant.Q4_0},
		"GPTQ, without g_idx": {random(rng, 128, 200, 4, 64, false, false), func(m *matrix) []safetensors.Tensor { return m.gptq("a.", false, false) },
			`{"quant_method": "gptq", "bits": 4, "group_size": 64, "sym": false}`, quant.Q4_1},
		"GPTQ, one group": {random(rng, 96, 64, 4, 96, false, false), func(m *matrix) []safetensors.Tensor { return m.gptq("a.", false, true) },
			`{"quant_method": "gptq", "bits": 4, "group_size": -1}`, quant.Q4_1},
		"GPTQ, version 2": {random(rng, 64, 64, 4, 32, false, false), func(m *matrix) []safetensors.Tensor { return m.gptq("a.", true, true) },
			`{"quant_method": "gptq", "bits": 4, "group_size": 32, "checkpoint_format": "gptq_v2"}`, quant.Q4_1},
		"GPTQ, by activations": {random(rng, 128, 72, 4, 32, true, true), func(m *matrix) []safetensors.Tensor { return m.gptq("a.", false, true) },
			`{"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": true}`, quant.F16},
		"GPTQ, small groups": {random(rng, 64, 64, 4, 16, true, false), func(m *matrix) []safetensors.Tensor { return m.gptq("a.", false, true) },
			`{"quant_method": "gptq", "bits": 4, "group_size": 16}`, quant.F16},
		"GPTQ, eight bits": {random(rng, 64, 68, 8, 32, true, false), func(m *matrix) []safetensors.Tensor { return m.gptq("a.", false, true) },
			`{"quant_method": "gptq", "bits": 8, "group_size": 32}`, quant.Q8_0},
		"GPTQ, eight bits, asymmetric": {random(rng, 64, 68, 8, 32, false, false), func(m *matrix) []safetensors.Tensor { return m.gptq("a.", false, true) },
			`{"quant_method": "gptq", "bits": 8, "group_size": 32}`, quant.F16},
		"AWQ": {random(rng, 256, 136, 4, 128, false, false), func(m *matrix) []safetensors.Tensor { return m.awq("a.") },
			`{"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": true, "version": "gemm"}`, quant.Q4_1},
		"AWQ, symmetric": {random(rng, 64, 64, 4, 64, true, false), func(m *matrix) []safetensors.Tensor { return m.awq("a.") },
			`{"quant_method": "awq", "w_bit": 4, "q_group_size": 64}`, quant.Q4_0},
	} {
		ws, err := unpack(configOf(t, c.config), c.layout(c.m))
		require.NoError(t, err, name)
		require.Len(t, ws, 1, name)
		require.Equal(t, "a.weight", ws[0].name, name)
		require.Equal(t, []int{c.m.out, c.m.in}, ws[0].Shape, name)
		require.Equal(t, c.want, ws[0].Type, name)
		compareProducts(t, name, ws[0].weight, c.m.weight, rng)
	}
}

// compareProducts multiplies random vectors by w and, in double precision, by what it stands for.
func compareProducts(t *testing.T, name string, w weight, want func(o, i int) float64, rng *rand.Rand) {
	in := w.width()
	row := make([]float32, in)
	x := make([]float64, in)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	all := w.all()
	size := w.rowBytes()
	for o := range w.rows() {
		alone := fetch(w, o, 1)
		require.Equal(t, all[o*size:(o+1)*size], alone, "%s: row %d, alone and among all", name, o)
		quant.Dequantize(w.Type, row, alone)
		var got, ref, scale float64
		for i := range row {
			got += float64(row[i]) * x[i]
			ref += want(o, i) * x[i]
			scale += math.Abs(want(o, i) * x[i])
		}
		require.False(t, math.IsNaN(got), name)
		limit := map[quant.Type]float64{quant.Q4_0: 1e-7, quant.Q8_0: 1e-7, quant.Q4_1: 1e-3, quant.F16: 1e-3, quant.BF16: 5e-3}[w.Type]
		require.LessOrEqual(t, math.Abs(got-ref), limit*scale, "%s: output %d", name, o)
	}
}

// TestGroupsTogether: matrices of one checkpoint are of one type, and what is not quantised is
// among them.
func TestGroupsTogether(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	ts := append(random(rng, 64, 64, 4, 32, true, false).gptq("a.", false, true), random(rng, 64, 64, 4, 32, false, false).gptq("b.", false, true)...)
	ts = append(ts, safetensors.Tensor{Name: "a.bias", DType: safetensors.F32, Shape: []int{2}, Data: make([]byte, 8)})
	ws, err := unpack(configOf(t, `{"quant_method": "gptq", "bits": 4, "group_size": 32}`), ts)
	require.NoError(t, err)
	require.Len(t, ws, 3)
	require.Equal(t, []string{"a.weight", "b.weight", "a.bias"}, []string{ws[0].name, ws[1].name, ws[2].name})
	require.Equal(t, []quant.Type{quant.Q4_1, quant.Q4_1, quant.F32}, []quant.Type{ws[0].Type, ws[1].Type, ws[2].Type})
}

func TestGroupFaults(t *testing.T) {
	const gptq = `{"quant_method": "gptq", "bits": 4, "group_size": 32}`
	fresh := func() []safetensors.Tensor {
		return random(rand.New(rand.NewPCG(1, 1)), 64, 64, 4, 32, false, false).gptq("a.", false, true)
	}
	for name, c := range map[string]struct {
		config string
		change func(ts []safetensors.Tensor) []safetensors.Tensor
		want   string
	}{
		"method":       {`{"quant_method": "magic\n"}`, nil, `unsupported quant_method "magic\n": want gptq, awq, fp8`},
		"bits":         {`{"quant_method": "gptq", "bits": 3}`, nil, "unsupported 3 bits"},
		"format":       {`{"quant_method": "gptq", "checkpoint_format": "marlin"}`, nil, `checkpoint_format "marlin"`},
		"version":      {`{"quant_method": "awq", "version": "gemv"}`, nil, `version "gemv" of AWQ`},
		"packed":       {`{"quant_method": "compressed-tensors", "format": "pack-quantized"}`, nil, `format "pack-quantized"`},
		"bits as text": {`{"quant_method": "gptq", "bits": "4"}`, nil, `key "quantization_config.bits"`},
		"no zeros":     {gptq, func(ts []safetensors.Tensor) []safetensors.Tensor { return append(ts[:2], ts[3]) }, `tensor "a.qweight": no tensor "a.qzeros"`},
		"no scales":    {gptq, func(ts []safetensors.Tensor) []safetensors.Tensor { return ts[:3] }, `no tensor "a.scales"`},
		"flat":         {gptq, func(ts []safetensors.Tensor) []safetensors.Tensor { ts[1].Shape = []int{512}; return ts }, "want words of 32 bits in two dimensions"},
		"empty": {gptq, func(ts []safetensors.Tensor) []safetensors.Tensor {
			ts[1].Shape, ts[1].Data = []int{0, 64}, nil
			return ts
		}, "want at least one"},
		"odd outputs":    {gptq, func(ts []safetensors.Tensor) []safetensors.Tensor { ts[1].Shape = []int{512, 1}; return ts }, "outputs in words of 8"},
		"other groups":   {`{"quant_method": "gptq", "bits": 4, "group_size": 16}`, nil, `"a.qzeros" is I32 [2 8]: want one of [I32 U32] with the shape [4 8]`},
		"other scales":   {gptq, func(ts []safetensors.Tensor) []safetensors.Tensor { ts[3].DType = safetensors.I8; return ts }, `"a.scales" is I8 [2 64]`},
		"group too high": {gptq, func(ts []safetensors.Tensor) []safetensors.Tensor { ts[0].Data[3] = 0x80; return ts }, `"a.g_idx": input 0 is of group -2147483648 of 2`},
		"no group_size":  {`{"quant_method": "gptq", "bits": 4, "group_size": -7}`, nil, `key "quantization_config.group_size"`},
	} {
		ts := fresh()
		if c.change != nil {
			ts = c.change(ts)
		}
		_, err := unpack(configOf(t, c.config), ts)
		require.ErrorContains(t, err, c.want, name)
		require.NotContains(t, err.Error(), "\n", name)
	}
}

// f8 is what eight bits stand for, by the formula of the paper.
func f8(b byte, mantissa, bias int) float64 {
	sign := 1.0
	if b&0x80 != 0 {
		sign = -1
	}
	e := int(b&0x7F) >> mantissa
	m := float64(int(b)&(1<<mantissa-1)) / float64(int(1)<<mantissa)
	if e == 0 {
		return sign * m * math.Pow(2, float64(1-bias))
	}
	return sign * (1 + m) * math.Pow(2, float64(e-bias))
}

func floatTensor(name string, x []float32, shape ...int) safetensors.Tensor {
	b := make([]byte, 4*len(x))
	putFloats(b, x)
	return safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: shape, Data: b}
}

// TestEights: matrices in eight bits of floating point, with the scales that are published.
func TestEights(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	const out, in = 200, 300 // 2 × 3 blocks, the last ones not whole
	data := make([]byte, out*in)
	for i := range data {
		data[i] = byte(rng.IntN(2)<<7 | rng.IntN(0x78))
	}
	scales := func(n int) (x []float32) {
		for range n {
			x = append(x, rng.Float32()+0.5)
		}
		return x
	}
	blocks, perOut := scales(6), scales(out)
	for name, c := range map[string]struct {
		dtype  safetensors.DType
		config string
		scale  []safetensors.Tensor
		of     func(o, i int) float32
	}{
		"no scale":   {safetensors.F8E4M3, `{}`, nil, func(int, int) float32 { return 1 }},
		"DeepSeek":   {safetensors.F8E4M3, `{"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}`, []safetensors.Tensor{floatTensor("a.weight_scale_inv", blocks, 2, 3)}, func(o, i int) float32 { return blocks[o/128*3+i/128] }},
		"per tensor": {safetensors.F8E4M3, `{"quant_method": "compressed-tensors", "format": "float-quantized"}`, []safetensors.Tensor{floatTensor("a.weight_scale", blocks[:1], 1), floatTensor("a.input_scale", blocks[:1])}, func(int, int) float32 { return blocks[0] }},
		"a number":   {safetensors.F8E5M2, `{"quant_method": "fp8"}`, []safetensors.Tensor{floatTensor("a.weight_scale", blocks[:1])}, func(int, int) float32 { return blocks[0] }},
		"per output": {safetensors.F8E5M2, `{"quant_method": "fbgemm_fp8"}`, []safetensors.Tensor{floatTensor("a.weight_scale", perOut, out, 1)}, func(o, _ int) float32 { return perOut[o] }},
		"a vector":   {safetensors.F8E4M3, `{"quant_method": "compressed-tensors"}`, []safetensors.Tensor{floatTensor("a.weight_scale", perOut, out)}, func(o, _ int) float32 { return perOut[o] }},
	} {
		ts := append(c.scale, safetensors.Tensor{Name: "a.weight", DType: c.dtype, Shape: []int{out, in}, Data: data})
		ws, err := unpack(configOf(t, c.config), ts)
		require.NoError(t, err, name)
		require.Len(t, ws, 1, name)
		require.Equal(t, quant.BF16, ws[0].Type)
		mantissa, bias := 3, 7
		if c.dtype == safetensors.F8E5M2 {
			mantissa, bias = 2, 15
		}
		compareProducts(t, name, ws[0].weight, func(o, i int) float64 { return f8(data[o*in+i], mantissa, bias) * float64(c.of(o, i)) }, rng)
	}
	for b := range 256 { // all patterns, exactly
		if b&0x7F != 0x7F {
			require.Equal(t, f8(byte(b), 3, 7), float64(f8Values[safetensors.F8E4M3][b]), b)
		}
		if b&0x7F < 0x7C {
			require.Equal(t, f8(byte(b), 2, 15), float64(f8Values[safetensors.F8E5M2][b]), b)
		}
	}
	require.True(t, math.IsNaN(float64(f8Values[safetensors.F8E4M3][0x7F])))
	require.True(t, math.IsInf(float64(f8Values[safetensors.F8E5M2][0xFC]), -1))
}

func TestEightFaults(t *testing.T) {
	weight := safetensors.Tensor{Name: "a.weight", DType: safetensors.F8E4M3, Shape: []int{4, 4}, Data: make([]byte, 16)}
	for name, c := range map[string]struct {
		config string
		scale  safetensors.Tensor
		want   string
	}{
		"three scales":   {`{"quant_method": "fp8"}`, floatTensor("a.weight_scale_inv", make([]float32, 3), 3), `has the shape [3]: want one scale, one for each of 4 outputs, or one for each block of 128×128`},
		"blocks of text": {`{"quant_method": "fp8", "weight_block_size": "x"}`, floatTensor("x", nil, 0), "weight_block_size"},
		"blocks of none": {`{"quant_method": "fp8", "weight_block_size": [0, 1]}`, floatTensor("x", nil, 0), "two positive whole numbers"},
		"scales of ints": {`{"quant_method": "fp8"}`, safetensors.Tensor{Name: "a.weight_scale", DType: safetensors.I8, Shape: []int{1}, Data: []byte{1}}, "is I8: want F32, BF16 or F16"},
	} {
		_, err := unpack(configOf(t, c.config), []safetensors.Tensor{weight, c.scale})
		require.ErrorContains(t, err, c.want, name)
		require.NotContains(t, fmt.Sprint(err), "\n", name)
	}
}
