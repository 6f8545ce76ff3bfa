package model

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/gguf/names"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/tensor"
)

// Model is an architecture bound to its weights. It is immutable; what a computation changes lives
// in the Pass and the cache.
type Model interface {
	// NLayer is the number of layers.
	NLayer() int
	// State says what the cache keeps for each layer.
	State() []kv.Spec
	// Embed returns the residual stream before the first layer, [n_tokens][n_embd].
	Embed(f *nn.Pass) *tensor.Tensor
	// Layer takes the residual stream x through layer i, in place.
	Layer(f *nn.Pass, i int, x *tensor.Tensor)
	// Hidden applies the final norm to residual rows, [n_rows][n_embd].
	Hidden(f *nn.Pass, x *tensor.Tensor) *tensor.Tensor
	// Logits applies the final norm and the head to residual rows, [n_rows][n_vocab]; of a model
	// without a head it is Hidden.
	Logits(f *nn.Pass, x *tensor.Tensor) *tensor.Tensor
}

// Forward runs the batch of f through the whole model m, and returns the residual rows that want an
// output, [n_outputs][n_embd].
func Forward(m Model, f *nn.Pass) *tensor.Tensor {
	x := m.Embed(f)
	Layers(m, f, x, 0, m.NLayer())
	return f.Outputs(x)
}

// Layers takes the residual stream x through the layers first to end-1, in place. It is the one
// loop over layers, for every architecture. A range that does not begin with the first layer takes
// its stream from [nn.Pass.Stream] in place of Embed.
func Layers(m Model, f *nn.Pass, x *tensor.Tensor, first, end int) {
	for i := first; i < end; i++ {
		f.Layer(i)
		m.Layer(f, i, x)
	}
}

// SourceTensor is a tensor as a file holds it. Shape is in GGUF's order, the fastest dimension
// first. Data is filled in when the tensor is bound.
type SourceTensor struct {
	Type  quant.Type
	Shape []int
	Data  []byte
}

// rows is the number of rows, of Shape[0] elements each.
func (t SourceTensor) rows() int {
	n := 1
	for _, s := range t.Shape[1:] {
		n *= s
	}
	return n
}

// TensorSource is where weights come from: a file, or a generator.
type TensorSource interface {
	Tensor(name string) (SourceTensor, bool)
	// Rows is n rows from first on of the tensor NAME, which exists: each of Shape[0]
	// elements, counted over all other dimensions.
	Rows(name string, first, n int) []byte
	// Names lists all tensors.
	Names() []string
}

// Options are how weights are bound.
type Options struct {
	// Exact computes every product with float32 activations in plain Go: the engine's own
	// reference.
	Exact bool
	// Context is the longest context that will be used, by which LongRoPE chooses its factors; 0
	// means the model's own.
	Context int
}

// Tensor is a tensor that an architecture takes.
type Tensor struct {
	Name  string
	Shape []int      // in GGUF's order, the fastest dimension first
	Type  quant.Type // of the source; F32 in a declaration
	// A token needs Used of the Of equal parts of the tensor: one row of an embedding that is no
	// head, the chosen ones of all experts, and 1 of 1 of everything else.
	Used, Of int
	Use      Use
}

// Elements is the number of weights.
func (t Tensor) Elements() int64 {
	n := int64(1)
	for _, s := range t.Shape {
		n *= int64(s)
	}
	return n
}

// Bytes is what they take in their type, whose blocks the rows are whole numbers of.
func (t Tensor) Bytes() int64 {
	return t.Elements() / int64(t.Type.BlockSize()) * int64(t.Type.BlockBytes())
}

// Weights makes parts of nn from named tensors. Names are given without ".weight".
type Weights struct {
	*binding
	cfg    Config // as a layer has it
	prefix string // "blk.3."
}

// binding is what all blocks of a model share.
type binding struct {
	src  TensorSource
	opt  Options
	used map[string]bool
	err  error

	views    [][]byte       // what of the source was taken, in the order in which it was asked for
	copied   int64          // bytes of weights that are kept beside the file's
	tensors  []Tensor       // taken so far
	numbers  map[string]int // of tensors, by name
	optional func(name string) bool
	strict   bool // optional knows required tensors too
}

// NewWeights returns a builder over the tensors of src.
func NewWeights(c Config, src TensorSource, o Options) *Weights {
	return &Weights{cfg: c, binding: &binding{src: src, opt: o, used: map[string]bool{}, numbers: map[string]int{}}}
}

// BindShapes returns a builder without weights, which an architecture is given to learn what it
// takes: every part is nil, and [Weights.Tensors] lists what was asked for. Of the tensors that a
// model may have or not (output.weight, biases), it has those for whose full names has returns
// true. Of the model that the architecture makes of it, State alone may be used.
func BindShapes(c Config, has func(name string) bool) *Weights {
	w := NewWeights(c, emptySource{}, Options{})
	w.optional = has
	return w
}

// BindHeader is Declare for a file whose tensors has knows: that one is missing which the model
// must have is an error at once, before a false number of layers takes memory.
func BindHeader(c Config, has func(name string) bool) *Weights {
	w := BindShapes(c, has)
	w.strict = true
	return w
}

// emptySource is the source of a declaration.
type emptySource struct{}

func (emptySource) Tensor(string) (SourceTensor, bool) { return SourceTensor{}, false }
func (emptySource) Rows(string, int, int) []byte       { return nil }
func (emptySource) Names() []string                    { return nil }

// shapesOnly reports whether there are no weights.
func (b *binding) shapesOnly() bool { return b.optional != nil }

// Tensors lists the tensors taken so far, in the order in which they were first asked for.
func (w *Weights) Tensors() []Tensor { return slices.Clone(w.tensors) }

// Views are the bytes of the source that were taken so far, in the order in which they were first
// asked for. They may overlap.
func (w *Weights) Views() [][]byte { return slices.Clone(w.views) }

// Copied is the size of the weights that are kept in memory beside those of the source, since it
// has them the other way round.
func (w *Weights) Copied() int64 { return w.copied }

// record enters a tensor that is taken, all of which a token needs unless share says otherwise.
func (w *Weights) record(name string, t SourceTensor) {
	if _, ok := w.numbers[name]; !ok {
		w.numbers[name] = len(w.tensors)
		w.tensors = append(w.tensors, Tensor{Name: name, Shape: slices.Clone(t.Shape), Type: t.Type, Used: 1, Of: 1})
	}
}

// usePart says that a token needs only used of so many parts of a tensor that was taken.
func (w *Weights) usePart(name string, used, of int) {
	if i, ok := w.numbers[w.prefix+name]; ok {
		w.tensors[i].Used, w.tensors[i].Of = used, of
	}
}

// use records what computing a token does with a tensor that was taken, unless it is Multiplied.
func (w *Weights) use(name string, u Use) {
	if i, ok := w.numbers[w.prefix+name]; ok {
		w.tensors[i].Use = u
	}
}

// Config returns the model's hyper-parameters, of a builder from Block those of that layer.
func (w *Weights) Config() Config { return w.cfg }

// Block returns the builder of layer i, whose names begin with "blk.i.".
func (w *Weights) Block(i int) *Weights {
	b := w.WithPrefix(names.Layer(i))
	if w.cfg.LayerKV != nil {
		b.cfg.NHeadKV = w.cfg.LayerKV[i]
	}
	if w.cfg.LayerFF != nil {
		b.cfg.NFF = w.cfg.LayerFF[i]
	}
	return b
}

// WithPrefix returns the builder of the tensors whose names begin with prefix.
func (w *Weights) WithPrefix(prefix string) *Weights {
	return &Weights{binding: w.binding, cfg: w.cfg, prefix: w.prefix + prefix}
}

// Err returns the first fault.
func (w *Weights) Err() error { return w.err }

// Has reports whether the tensor NAME.weight exists.
func (w *Weights) Has(name string) bool { return w.hasFull(name + ".weight") }

func (w *Weights) hasFull(name string) bool {
	name = w.prefix + name
	if w.shapesOnly() {
		return w.optional(name)
	}
	_, ok := w.src.Tensor(name)
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

// IgnoreNext leaves the layers alone that predict further tokens.
func (w *Weights) IgnoreNext() {
	for i := range w.cfg.NNextN {
		w.Ignore(names.Layer(w.cfg.NLayer + i))
	}
}

// Unused lists the tensors that were neither bound nor ignored, in the order of the file.
func (w *Weights) Unused() []string {
	return slices.DeleteFunc(slices.Clone(w.src.Names()), func(name string) bool { return w.used[name] })
}

// Fail keeps err as the fault of the model, unless there was one before.
func (w *Weights) Fail(err error) {
	if w.err == nil && err != nil {
		w.err = err
	}
}

// tensor finds a tensor of the given shape (slowest dimension first, as the architectures write
// it), and says whether it is there.
func (w *Weights) tensor(name string, required bool, shape ...int) (SourceTensor, bool) {
	t, ok := w.find(name, required, shape...)
	if ok {
		t.Data = w.view(w.prefix+name, 0, t.rows())
	}
	return t, ok
}

// view asks the source for rows.
func (w *Weights) view(name string, first, n int) []byte {
	b := w.src.Rows(name, first, n)
	w.views = append(w.views, b)
	return b
}

// find is tensor without the bytes.
func (w *Weights) find(name string, required bool, shape ...int) (SourceTensor, bool) {
	name = w.prefix + name
	want := slices.Clone(shape)
	slices.Reverse(want)
	if w.shapesOnly() {
		switch has := w.optional(name); {
		case has || required && !w.strict:
			w.record(name, SourceTensor{Type: quant.F32, Shape: want})
		case required:
			w.Fail(fmt.Errorf("no tensor %q", name))
		}
		return SourceTensor{}, false
	}
	t, ok := w.src.Tensor(name)
	if !ok {
		if required {
			w.Fail(fmt.Errorf("no tensor %q", name))
		}
		return t, false
	}
	w.used[name] = true
	// Dimensions of 1 at the end may be written or not.
	if !slices.Equal(trimOnes(t.Shape), trimOnes(want)) {
		w.Fail(fmt.Errorf("tensor %q: want shape %v, found %v", name, want, t.Shape))
		return t, false
	}
	if !t.Type.IsWeight() {
		w.Fail(fmt.Errorf("tensor %q: type %s holds no weights", name, t.Type))
		return t, false
	}
	w.record(name, t)
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
	_, head := w.numbers[w.prefix+name+".weight"] // taken before, as a matrix
	t, ok := w.matrix(name+".weight", vocab, embd)
	if !head {
		w.usePart(name+".weight", 1, vocab)
		w.use(name+".weight", LookedUp)
	}
	if !ok {
		return nil
	}
	e, err := nn.NewEmbedding(t)
	w.Fail(err)
	return e
}

// Norm makes a root-mean-square norm of rows of n, with the weights NAME.weight, [n], and the
// bias NAME.bias where the file has it.
func (w *Weights) Norm(name string, n int) *nn.Norm {
	return w.norm(name, n, nn.NormConfig{N: n})
}

// LayerNorm makes a LayerNorm of rows of n, with the weights NAME.weight, [n], and the bias
// NAME.bias where the file has it.
func (w *Weights) LayerNorm(name string, n int) *nn.Norm {
	return w.norm(name, n, nn.NormConfig{N: n, Layer: true})
}

// HeadNorm makes a LayerNorm of heads of n, each of which has weights of its own: NAME.weight,
// [heads][n].
func (w *Weights) HeadNorm(name string, heads, n int) *nn.Norm {
	return w.norm(name, heads*n, nn.NormConfig{N: n, Layer: true})
}

// GroupNorm makes a root-mean-square norm of groups of n, each of which has weights of its own:
// NAME.weight, [groups][n].
func (w *Weights) GroupNorm(name string, groups, n int) *nn.Norm {
	return w.norm(name, groups*n, nn.NormConfig{N: n})
}

// PlainNorm makes a norm of rows of n without weights.
func (w *Weights) PlainNorm(name string, n int, layer bool) *nn.Norm {
	norm, err := nn.NewNorm(name, nn.NormConfig{N: n, Layer: layer, Eps: w.cfg.NormEps})
	w.Fail(err)
	return norm
}

func (w *Weights) norm(name string, weights int, c nn.NormConfig) *nn.Norm {
	shape := []int{weights}
	if weights > c.N {
		shape = []int{weights / c.N, c.N}
	}
	full := name + ".weight"
	if w.hasFull(name) { // as Falcon-H1's files have ffn_norm
		full = name
	}
	t, ok := w.tensor(full, true, shape...)
	bias := w.bias(name, weights)
	if !ok {
		return nil
	}
	c.Weight, c.Bias, c.Eps = &tensor.Weight{Name: w.prefix + full, Type: t.Type, Rows: 1, Cols: weights, Data: t.Data}, bias, w.cfg.NormEps
	norm, err := nn.NewNorm(name, c)
	w.Fail(err)
	return norm
}

// Linear makes a matrix from rows of in to rows of out, with the bias NAME.bias and the factor
// NAME.scale where the file has them.
func (w *Weights) Linear(name string, in, out int) *nn.Linear {
	t, ok := w.matrix(name+".weight", out, in)
	bias, factor := w.bias(name, out), w.factors(name, 1)
	if !ok {
		return nil
	}
	return w.linear(name, t, bias, factor)
}

// Part names some of the rows of a matrix that a file has in one piece.
type Part struct {
	Name string
	Rows int
}

// Split makes several matrices of the rows of one, in order, and of its bias NAME.bias where the
// file has it.
func (w *Weights) Split(name string, in int, parts ...Part) []*nn.Linear {
	rows := 0
	for _, p := range parts {
		rows += p.Rows
	}
	t, ok := w.matrix(name+".weight", rows, in)
	bias, factor := w.bias(name, rows), w.factors(name, 1)
	ls := make([]*nn.Linear, len(parts))
	if !ok {
		return ls
	}
	size := t.Type.RowBytes(in)
	at := 0
	for i, p := range parts {
		piece := t
		piece.Rows, piece.Data = p.Rows, t.Data[at*size:(at+p.Rows)*size]
		ls[i] = w.linear(p.Name, piece, w.slice(bias, at, p.Rows), factor)
		at += p.Rows
	}
	return ls
}

// slice is n numbers of a vector, nil of none.
func (w *Weights) slice(v *tensor.Weight, at, n int) *tensor.Weight {
	if v == nil {
		return nil
	}
	if block := v.Type.BlockSize(); at%block != 0 || n%block != 0 {
		w.Fail(fmt.Errorf("tensor %q: want a type that can be cut at %d, found %s: %w", v.Name, at+n, v.Type, ErrUnsupported))
		return nil
	}
	return &tensor.Weight{Name: v.Name, Type: v.Type, Rows: 1, Cols: n, Data: v.Data[v.Type.RowBytes(at):v.Type.RowBytes(at+n)]}
}

func (w *Weights) linear(name string, t tensor.Weight, bias *tensor.Weight, factor []float32) *nn.Linear {
	o := nn.LinearOptions{Bias: bias, Exact: w.opt.Exact}
	if factor != nil {
		o.Scale = factor[0]
	}
	l, err := nn.NewLinear(name, t, o)
	w.Fail(err)
	return l
}

// bias finds NAME.bias, [n], or nil.
func (w *Weights) bias(name string, n int) *tensor.Weight {
	if t, ok := w.vector(name+".bias", false, n); ok {
		return &t
	}
	return nil
}

// factors finds NAME.scale, [n], or nil: what formats with a factor per matrix (NVFP4) are
// multiplied with.
func (w *Weights) factors(name string, n int) []float32 {
	t, ok := w.vector(name+".scale", false, n)
	if !ok {
		return nil
	}
	f := make([]float32, n)
	quant.Dequantize(t.Type, f, t.Data)
	for _, v := range f {
		if v == 0 || math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			w.Fail(fmt.Errorf("tensor %q: want factors that are finite and not 0, found %v", t.Name, v))
		}
	}
	return f
}

// Head makes the output matrix; where the file has none, the embedding serves.
func (w *Weights) Head(embd, vocab int) *nn.Linear {
	if w.Has("output") {
		defer w.use("output.weight", OutputHead)
		return w.Linear("output", embd, vocab)
	}
	t, ok := w.matrix("token_embd.weight", vocab, embd)
	w.usePart("token_embd.weight", 1, 1)
	w.use("token_embd.weight", OutputHead)
	if !ok {
		return nil
	}
	return w.linear("output", t, nil, nil)
}
