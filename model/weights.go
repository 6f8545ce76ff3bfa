package model

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/tensor"
)

// Model is an architecture bound to its weights. It is immutable; what a computation changes lives in the Pass and the cache.
type Model interface {
	// State says what the cache keeps for each layer.
	State() []kv.Spec
	// Forward runs the batch of f through the layers and returns the residual rows that want an output.
	Forward(f *nn.Pass) *tensor.Tensor
	// Logits applies the final norm and the head to residual rows, [n_rows][n_vocab].
	Logits(f *nn.Pass, x *tensor.Tensor) *tensor.Tensor
}

// SourceTensor is a tensor as a file holds it. Shape is in GGUF's order, the fastest dimension first.
type SourceTensor struct {
	Type  quant.Type
	Shape []int
	Data  []byte
}

// Source is where weights come from: a file, or a generator.
type Source interface {
	Tensor(name string) (SourceTensor, bool)
	// Names lists all tensors.
	Names() []string
}

// Options are how weights are bound.
type Options struct {
	// Exact computes every product with float32 activations in plain Go: the engine's own reference.
	Exact bool
}

// Weights makes parts of nn from named tensors. Names are given without ".weight".
type Weights struct {
	*binding
	prefix string // "blk.3."
}

// binding is what all blocks of a model share.
type binding struct {
	cfg  Config
	src  Source
	opt  Options
	used map[string]bool
	err  error
}

// NewWeights returns a builder over the tensors of src.
func NewWeights(c Config, src Source, o Options) *Weights {
	return &Weights{binding: &binding{cfg: c, src: src, opt: o, used: map[string]bool{}}}
}

// Config returns the model's hyper-parameters.
func (w *Weights) Config() Config { return w.cfg }

// Block returns the builder of layer i, whose names begin with "blk.i.".
func (w *Weights) Block(i int) *Weights {
	return &Weights{binding: w.binding, prefix: fmt.Sprintf("blk.%d.", i)}
}

// Err returns the first fault.
func (w *Weights) Err() error { return w.err }

// Has reports whether the tensor NAME.weight exists.
func (w *Weights) Has(name string) bool {
	_, ok := w.src.Tensor(w.prefix + name + ".weight")
	return ok
}

// Ignore declares tensors whose full names begin with prefix as known and left alone.
func (w *Weights) Ignore(prefix string) {
	for _, name := range w.src.Names() {
		if strings.HasPrefix(name, prefix) {
			w.used[name] = true
		}
	}
}

// Unused lists the tensors that were neither bound nor ignored, in the order of the file.
func (w *Weights) Unused() []string {
	return slices.DeleteFunc(slices.Clone(w.src.Names()), func(name string) bool { return w.used[name] })
}

func (w *Weights) fail(err error) {
	if w.err == nil && err != nil {
		w.err = err
	}
}

// tensor finds a tensor of the given shape (slowest dimension first, as the architectures write it), and says whether it is there.
func (w *Weights) tensor(name string, required bool, shape ...int) (SourceTensor, bool) {
	name = w.prefix + name
	t, ok := w.src.Tensor(name)
	if !ok {
		if required {
			w.fail(fmt.Errorf("model: no tensor %q", name))
		}
		return t, false
	}
	w.used[name] = true
	want := slices.Clone(shape)
	slices.Reverse(want)
	// Dimensions of 1 at the end may be written or not.
	if !slices.Equal(trimOnes(t.Shape), trimOnes(want)) {
		w.fail(fmt.Errorf("model: tensor %q: want shape %v, found %v", name, want, t.Shape))
		return t, false
	}
	if !t.Type.IsWeight() {
		w.fail(fmt.Errorf("model: tensor %q: type %s holds no weights", name, t.Type))
		return t, false
	}
	return t, true
}

func trimOnes(shape []int) []int {
	for len(shape) > 1 && shape[len(shape)-1] == 1 {
		shape = shape[:len(shape)-1]
	}
	return shape
}

// matrix finds NAME, [rows][cols].
func (w *Weights) matrix(name string, rows, cols int) (tensor.Weight, bool) {
	t, ok := w.tensor(name, true, rows, cols)
	return tensor.Weight{Name: w.prefix + name, Type: t.Type, Rows: rows, Cols: cols, Data: t.Data}, ok
}

// vector finds NAME, [n].
func (w *Weights) vector(name string, required bool, n int) (tensor.Weight, bool) {
	t, ok := w.tensor(name, required, n)
	return tensor.Weight{Name: w.prefix + name, Type: t.Type, Rows: 1, Cols: n, Data: t.Data}, ok
}

// Embedding makes a table of n_vocab rows.
func (w *Weights) Embedding(name string, vocab, embd int) *nn.Embedding {
	t, ok := w.matrix(name+".weight", vocab, embd)
	if !ok {
		return nil
	}
	e, err := nn.NewEmbedding(t)
	w.fail(err)
	return e
}

// Norm makes a root-mean-square norm.
func (w *Weights) Norm(name string, n int) *nn.Norm {
	t, ok := w.vector(name+".weight", true, n)
	if !ok {
		return nil
	}
	norm, err := nn.NewNorm(name, t, w.cfg.NormEps)
	w.fail(err)
	return norm
}

// Linear makes a matrix from rows of in to rows of out, with the bias NAME.bias and the factor NAME.scale where the file has them.
func (w *Weights) Linear(name string, in, out int) *nn.Linear {
	t, ok := w.matrix(name+".weight", out, in)
	if !ok {
		return nil
	}
	return w.linear(name, t, w.bias(name, out), w.factors(name, 1))
}

func (w *Weights) linear(name string, t tensor.Weight, bias *tensor.Weight, factor []float32) *nn.Linear {
	o := nn.LinearOptions{Bias: bias, Exact: w.opt.Exact}
	if factor != nil {
		o.Scale = factor[0]
	}
	l, err := nn.NewLinear(name, t, o)
	w.fail(err)
	return l
}

// bias finds NAME.bias, [n], or nil.
func (w *Weights) bias(name string, n int) *tensor.Weight {
	if t, ok := w.vector(name+".bias", false, n); ok {
		return &t
	}
	return nil
}

// factors finds NAME.scale, [n], or nil: what formats with a factor per matrix (NVFP4) are multiplied with.
func (w *Weights) factors(name string, n int) []float32 {
	t, ok := w.vector(name+".scale", false, n)
	if !ok {
		return nil
	}
	f := make([]float32, n)
	quant.Dequantize(t.Type, f, t.Data)
	for _, v := range f {
		if v == 0 || math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			w.fail(fmt.Errorf("model: tensor %q: want factors that are finite and not 0, found %v", t.Name, v))
		}
	}
	return f
}

// Head makes the output matrix; where the file has none, the embedding serves.
func (w *Weights) Head(embd, vocab int) *nn.Linear {
	if w.Has("output") {
		return w.Linear("output", embd, vocab)
	}
	t, ok := w.matrix("token_embd.weight", vocab, embd)
	if !ok {
		return nil
	}
	return w.linear("output", t, nil, nil)
}

// Rope makes the position embedding of the configuration, with the frequency factors of the tensor rope_freqs where there is one.
func (w *Weights) Rope() *nn.Rope {
	c := w.cfg.Rope
	// Some files repeat the factors in every block; they are the same.
	for _, name := range []string{"rope_freqs.weight", "blk.0.rope_freqs.weight"} {
		if t, ok := w.vector(name, false, c.Dim/2); ok && c.Factors == nil {
			c.Factors = make([]float32, c.Dim/2)
			quant.Dequantize(t.Type, c.Factors, t.Data)
		}
	}
	for i := range w.cfg.NLayer {
		w.used[fmt.Sprintf("blk.%d.rope_freqs.weight", i)] = true
	}
	r, err := nn.NewRope(c)
	w.fail(err)
	return r
}

// Attention makes the attention of the configuration.
func (w *Weights) Attention() *nn.Attention {
	a, err := nn.NewAttention(nn.AttentionConfig{Heads: w.cfg.NHead, HeadsKV: w.cfg.NHeadKV, Dim: w.cfg.HeadDim})
	w.fail(err)
	return a
}

// MoE makes a layer of experts, from one tensor for all of them (ffn_up_exps, [n_expert][out][in]) or one for each (ffn_up.7), as files
// of early 2024 have it. Weights of chosen experts are normalised to a sum of one where renormalise is set.
func (w *Weights) MoE(renormalise bool) *nn.MoE {
	c := w.cfg
	o := nn.MoEConfig{
		Used:        c.NExpertUsed,
		Router:      w.Linear("ffn_gate_inp", c.NEmbd, c.NExpert),
		Gate:        w.experts("ffn_gate", c.NEmbd, c.NFF),
		Up:          w.experts("ffn_up", c.NEmbd, c.NFF),
		Down:        w.experts("ffn_down", c.NFF, c.NEmbd),
		Renormalise: renormalise,
	}
	if w.err != nil {
		return nil
	}
	m, err := nn.NewMoE(o)
	w.fail(err)
	return m
}

func (w *Weights) experts(name string, in, out int) []*nn.Linear {
	n := w.cfg.NExpert
	all := name + "_exps"
	var ls []*nn.Linear
	if !w.Has(all) && w.Has(name+".0") {
		for e := 0; e < n && w.err == nil; e++ {
			ls = append(ls, w.Linear(fmt.Sprintf("%s.%d", name, e), in, out))
		}
		return ls
	}
	t, ok := w.tensor(all+".weight", true, n, out, in)
	if !ok {
		return nil
	}
	factor := w.factors(all, n)
	size := out * t.Type.RowBytes(in)
	for e := range n {
		m := tensor.Weight{Name: w.prefix + all, Type: t.Type, Rows: out, Cols: in, Data: t.Data[e*size : (e+1)*size]}
		var f []float32
		if factor != nil {
			f = factor[e : e+1]
		}
		ls = append(ls, w.linear(all, m, nil, f))
	}
	return ls
}
