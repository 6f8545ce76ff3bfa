package model

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/quant"
)

// tensors is a TensorSource in memory.
type tensors map[string]SourceTensor

func (s tensors) Tensor(name string) (SourceTensor, bool) { t, ok := s[name]; return t, ok }
func (s tensors) Rows(name string, first, n int) []byte {
	size := s[name].Type.RowBytes(s[name].Shape[0])
	return s[name].Data[first*size : (first+n)*size]
}
func (s tensors) Names() []string { return slices.Sorted(maps.Keys(s)) }

// floats makes an F32 tensor, the fastest dimension first, filled with v.
func floats(v float32, shape ...int) SourceTensor {
	n := 1
	for _, s := range shape {
		n *= s
	}
	var b []byte
	for range n {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return SourceTensor{Type: quant.F32, Shape: shape, Data: b}
}

func tiny(t testing.TB, set map[string]any) Config {
	c, err := ReadConfig(GGUF(file(t, small, set)))
	require.NoError(t, err)
	return c
}

func TestLinear(t *testing.T) {
	bytes := SourceTensor{Type: quant.I8, Shape: []int{3, 2}, Data: make([]byte, 6)}
	for name, c := range map[string]struct {
		src  tensors
		want string
	}{
		"plain":           {tensors{"q.weight": floats(1, 3, 2)}, ""},
		"ones behind":     {tensors{"q.weight": floats(1, 3, 2, 1, 1)}, ""},
		"bias":            {tensors{"q.weight": floats(1, 3, 2), "q.bias": floats(1, 2)}, ""},
		"factor":          {tensors{"q.weight": floats(1, 3, 2), "q.scale": floats(2, 1)}, ""},
		"missing":         {tensors{"q": floats(1, 3, 2)}, `no tensor "q.weight"`},
		"transposed":      {tensors{"q.weight": floats(1, 2, 3)}, `tensor "q.weight": want shape [3 2], found [2 3]`},
		"flat":            {tensors{"q.weight": floats(1, 6)}, "found [6]"},
		"one more":        {tensors{"q.weight": floats(1, 3, 2, 2)}, "found [3 2 2]"},
		"ones before":     {tensors{"q.weight": floats(1, 1, 3, 2)}, "found [1 3 2]"},
		"type":            {tensors{"q.weight": bytes}, `tensor "q.weight": type I8 holds no weights`},
		"bias too long":   {tensors{"q.weight": floats(1, 3, 2), "q.bias": floats(1, 3)}, `tensor "q.bias": want shape [2], found [3]`},
		"bias of type":    {tensors{"q.weight": floats(1, 3, 2), "q.bias": SourceTensor{quant.F64, []int{2}, make([]byte, 16)}}, `tensor "q.bias": type F64 holds no weights`},
		"factors":         {tensors{"q.weight": floats(1, 3, 2), "q.scale": floats(1, 2)}, `tensor "q.scale": want shape [1], found [2]`},
		"factor 0":        {tensors{"q.weight": floats(1, 3, 2), "q.scale": floats(0, 1)}, `tensor "q.scale": want factors that are finite and not 0, found 0`},
		"factor NaN":      {tensors{"q.weight": floats(1, 3, 2), "q.scale": floats(float32(math.NaN()), 1)}, "found NaN"},
		"factor infinite": {tensors{"q.weight": floats(1, 3, 2), "q.scale": floats(float32(math.Inf(-1)), 1)}, "found -Inf"},
	} {
		w := NewWeights(tiny(t, nil), c.src, Options{})
		l := w.Linear("q", 3, 2)
		if c.want != "" {
			require.ErrorContains(t, w.Err(), c.want, name)
			continue
		}
		require.NoError(t, w.Err(), name)
		require.Equal(t, 3, l.In())
		require.Equal(t, 2, l.Out())
		require.Empty(t, w.Unused(), name)
	}
	// A single row may be written without its dimension of 1.
	w := NewWeights(tiny(t, nil), tensors{"q.weight": floats(1, 3)}, Options{})
	require.NotNil(t, w.Linear("q", 3, 1))
	require.NoError(t, w.Err())
}

func TestBlocksAndErr(t *testing.T) {
	w := NewWeights(tiny(t, nil), tensors{"blk.1.n.weight": floats(1, 4), "n.weight": floats(1, 3)}, Options{Exact: true})
	require.Equal(t, 64, w.Config().NEmbd)
	b := w.Block(1)
	require.True(t, b.Has("n"))
	require.False(t, w.Block(0).Has("n"))
	require.NotNil(t, b.Norm("n", 4))
	require.NotNil(t, w.Norm("n", 3))
	require.NoError(t, w.Err())
	// The first fault sticks, wherever it was met.
	require.Nil(t, w.Block(0).Norm("n", 4))
	require.Nil(t, w.Norm("n", 4))
	require.Nil(t, w.Embedding("token_embd", 5, 4))
	require.EqualError(t, w.Err(), `no tensor "blk.0.n.weight"`)
	require.EqualError(t, b.Err(), `no tensor "blk.0.n.weight"`)
}

func TestHead(t *testing.T) {
	embd := floats(1, 4, 5)
	w := NewWeights(tiny(t, nil), tensors{"token_embd.weight": embd}, Options{})
	require.NotNil(t, w.Head(4, 5), "tied")
	require.NoError(t, w.Err())
	require.Empty(t, w.Unused())

	w = NewWeights(tiny(t, nil), tensors{"token_embd.weight": embd, "output.weight": floats(1, 4, 5), "output.bias": floats(1, 5)}, Options{})
	require.NotNil(t, w.Embedding("token_embd", 5, 4))
	require.NotNil(t, w.Head(4, 5))
	require.NoError(t, w.Err())
	require.Empty(t, w.Unused())

	w = NewWeights(tiny(t, nil), tensors{"token_embd.weight": embd, "output.weight": floats(1, 4, 6)}, Options{})
	require.Nil(t, w.Head(4, 5))
	require.EqualError(t, w.Err(), `tensor "output.weight": want shape [4 5], found [4 6]`)

	w = NewWeights(tiny(t, nil), tensors{}, Options{})
	require.Nil(t, w.Head(4, 5))
	require.EqualError(t, w.Err(), `no tensor "token_embd.weight"`)
}

func TestRopeFactors(t *testing.T) {
	for name, c := range map[string]struct {
		src  tensors
		want string
	}{
		"none":            {tensors{}, ""},
		"one":             {tensors{"rope_freqs.weight": floats(2, 8)}, ""},
		"in each block":   {tensors{"blk.0.rope_freqs.weight": floats(2, 8), "blk.1.rope_freqs.weight": floats(2, 8)}, ""},
		"only in block 1": {tensors{"blk.1.rope_freqs.weight": floats(2, 8)}, ""},
		"too many":        {tensors{"rope_freqs.weight": floats(2, 16)}, `tensor "rope_freqs.weight": want shape [8], found [16]`},
		"zeros":           {tensors{"rope_freqs.weight": floats(0, 8)}, "the frequency of pair 0 is not finite"},
		"NaN":             {tensors{"rope_freqs.weight": floats(float32(math.NaN()), 8)}, "the frequency of pair 0 is not finite"},
	} {
		w := NewWeights(tiny(t, nil), c.src, Options{})
		r := w.Rope(RopeInterleaved)
		if c.want != "" {
			require.ErrorContains(t, w.Err(), c.want, name)
			continue
		}
		require.NoError(t, w.Err(), name)
		require.NotNil(t, r, name)
		require.Empty(t, w.Unused(), name)
	}
	w := NewWeights(tiny(t, nil), tensors{}, Options{})
	require.NotNil(t, w.Attention())
	require.NoError(t, w.Err())
}

// expertsOf makes the tensors of a layer of experts of width 64→80, all in one or apart.
func expertsOf(n int, apart bool) tensors {
	s := tensors{"ffn_gate_inp.weight": floats(1, 64, n)}
	for name, shape := range map[string][]int{"ffn_gate": {64, 80}, "ffn_up": {64, 80}, "ffn_down": {80, 64}} {
		if !apart {
			s[name+"_exps.weight"] = floats(1, append(slices.Clone(shape), n)...)
			continue
		}
		for e := range n {
			s[fmt.Sprintf("%s.%d.weight", name, e)] = floats(1, shape...)
		}
	}
	return s
}

func TestExperts(t *testing.T) {
	with := func(s tensors, name string, x SourceTensor) tensors {
		if x.Shape == nil {
			delete(s, name)
		} else {
			s[name] = x
		}
		return s
	}
	cfg := tiny(t, map[string]any{"llama.expert_count": uint32(4), "llama.expert_used_count": uint32(2)})
	for name, c := range map[string]struct {
		src  tensors
		want string
	}{
		"together":         {expertsOf(4, false), ""},
		"apart":            {expertsOf(4, true), ""},
		"factors":          {with(expertsOf(4, false), "ffn_up_exps.scale", floats(3, 4)), ""},
		"factors too few":  {with(expertsOf(4, false), "ffn_up_exps.scale", floats(3, 3)), `tensor "ffn_up_exps.scale": want shape [4], found [3]`},
		"factor 0":         {with(expertsOf(4, false), "ffn_up_exps.scale", floats(0, 4)), "want factors that are finite and not 0"},
		"too few":          {with(expertsOf(4, false), "ffn_down_exps.weight", floats(1, 80, 64, 3)), `tensor "ffn_down_exps.weight": want shape [80 64 4], found [80 64 3]`},
		"one missing":      {with(expertsOf(4, true), "ffn_up.3.weight", SourceTensor{}), `no tensor "ffn_up.3.weight"`},
		"none":             {tensors{"ffn_gate_inp.weight": floats(1, 64, 4)}, `no tensor "ffn_gate_exps.weight"`},
		"no router":        {with(expertsOf(4, false), "ffn_gate_inp.weight", SourceTensor{}), `no tensor "ffn_gate_inp.weight"`},
		"router too short": {with(expertsOf(4, false), "ffn_gate_inp.weight", floats(1, 64, 3)), `want shape [64 4], found [64 3]`},
		"type": {with(expertsOf(4, false), "ffn_up_exps.weight", SourceTensor{quant.I8, []int{64, 80, 4}, make([]byte, 64*80*4)}),
			`tensor "ffn_up_exps.weight": type I8 holds no weights`},
	} {
		w := NewWeights(cfg, c.src, Options{})
		m := w.MoE(nn.MoEConfig{Renormalise: true})
		if c.want != "" {
			require.ErrorContains(t, w.Err(), c.want, name)
			require.Nil(t, m, name)
			continue
		}
		require.NoError(t, w.Err(), name)
		require.NotNil(t, m, name)
		require.Empty(t, w.Unused(), name)
	}

	// A claim of millions of experts is not followed further than the first that is missing.
	cfg.NExpert = maxDim
	start := time.Now()
	w := NewWeights(cfg, expertsOf(4, true), Options{})
	require.Nil(t, w.MoE(nn.MoEConfig{Renormalise: true}))
	require.ErrorContains(t, w.Err(), "ffn_gate_inp.weight")
	require.Less(t, time.Since(start), time.Second)
}

func TestUnused(t *testing.T) {
	src := tensors{"a.weight": floats(1, 3), "b.weight": floats(1, 3), "mtp.0.x": floats(1, 3), "mtp.1.x": floats(1, 3), "zz": floats(1, 3)}
	w := NewWeights(tiny(t, nil), src, Options{})
	require.NotNil(t, w.Norm("b", 3))
	w.Ignore("mtp.")
	require.Equal(t, []string{"a.weight", "zz"}, w.Unused())
	require.Equal(t, src.Names(), src.Names(), "the source's list is left as it was")
	// A tensor of the wrong shape counts as known: its error is reported already.
	require.Nil(t, w.Norm("a", 4))
	require.Equal(t, []string{"zz"}, w.Unused())
}

// TestManyBlocks: the time that binding takes does not grow with blocks times tensors.
func TestManyBlocks(t *testing.T) {
	src := tensors{}
	x := floats(1, 1)
	for i := range 100000 {
		src[fmt.Sprintf("%d", i)] = x
	}
	cfg := tiny(t, nil)
	cfg.NLayer = maxLayer
	start := time.Now()
	w := NewWeights(cfg, src, Options{})
	w.Rope(RopeInterleaved)
	require.NoError(t, w.Err())
	require.Len(t, w.Unused(), len(src))
	require.Less(t, time.Since(start), 2*time.Second)
}

// TestFile checks the ways from a file to Metadata and Source.
func TestFile(t *testing.T) {
	f := file(t, map[string]any{"n": uint8(7), "neg": int8(-1), "x": 1.5, "s": "text", "list": []int16{1, 2}, "bad": []int16{1, -2}, "none": []uint8{}, "words": []string{"a", "b"}})
	g := GGUF(f)
	_, ok, err := g.Uint("absent")
	require.True(t, !ok && err == nil)
	_, ok, err = g.Float("absent")
	require.True(t, !ok && err == nil)
	_, ok, err = g.Text("absent")
	require.True(t, !ok && err == nil)
	_, ok, err = g.Uints("absent")
	require.True(t, !ok && err == nil)
	_, ok, err = g.Len("absent")
	require.True(t, !ok && err == nil)
	x, ok, err := g.Float("n")
	require.True(t, ok && err == nil && x == 7)
	x, ok, err = g.Float("x")
	require.True(t, ok && err == nil && x == 1.5)
	us, ok, err := g.Uints("n")
	require.True(t, ok && err == nil)
	require.Equal(t, []uint64{7}, us)
	us, ok, err = g.Uints("list")
	require.True(t, ok && err == nil)
	require.Equal(t, []uint64{1, 2}, us)
	us, ok, err = g.Uints("none")
	require.True(t, ok && err == nil)
	require.Empty(t, us)
	n, ok, err := g.Len("words")
	require.True(t, ok && err == nil && n == 2)
	for _, key := range []string{"bad", "neg", "s", "x"} {
		_, ok, err := g.Uints(key)
		require.False(t, ok)
		require.ErrorContains(t, err, "key \""+key+"\": want whole numbers")
	}
	_, _, err = g.Len("list")
	require.ErrorContains(t, err, "want an array of strings, found an array of 2 int16s")
	_, _, err = g.Text("list")
	require.ErrorContains(t, err, "want a string, found an array of 2 int16s")
	_, ok = g.Tensor("absent")
	require.False(t, ok)
	require.Empty(t, g.Names())
	require.Less(t, len(quoted(strings.Repeat("\n", 1<<20))), 200)
}
