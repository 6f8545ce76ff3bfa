// Package catalog knows the shapes of published models by name, and writes model files of a shape with random weights: measures of speed and memory
// need the sizes of a model, not what it has learnt.
//
// In order of use:
//
//   - [Names] and [Find] list and look up shapes. A [Shape] is the metadata of an architecture, the kind and size of a vocabulary, and which of the tensors that
//     the architecture takes if a file has them are there; [Usual] are those of an architecture's best known model.
//   - [Shape.Tensors] asks the architecture itself what it consists of (model.Declare), so that any registered architecture will do. [Count] sums the
//     weights, of a file and of those that one token needs; [Shape.Types] gives every tensor the type that llama-quantize would give it.
//   - [Shape.Random] makes the file.
//   - [FromFile] is the shape of a file, and [Shape.Set] changes one.
package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/convert"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/model/arch"
	"github.com/goinfer/goinfer/quant"
)

// Shape is what is known of a model without its weights.
type Shape struct {
	Name  string
	About string // what it is, in a few words
	Arch  string // general.architecture
	// Keys are the hyper-parameters, as in a file but without the architecture's name in front: "block_count".
	Keys  []Key
	Vocab Vocab
	// Optional are the full names of the tensors that the model has among those which it might lack, such as output.weight; blk.* stands for every block that asks.
	Optional []string
}

// Key is an entry of the metadata. Value is a uint32, a float32, a bool or a string.
type Key struct {
	Name  string
	Value any
}

// Vocab is the kind and the size of a vocabulary: tokenizer.ggml.model, tokenizer.ggml.pre, and the number of tokens.
type Vocab struct {
	Model, Pre string
	Size       int
}

// Names lists the shapes, in the order of the table.
func Names() []string {
	names := make([]string, len(shapes))
	for i := range shapes {
		names[i] = shapes[i].Name
	}
	return names
}

// Find returns the shape of that name, in any case, or of another name under which the model is spoken of; or an error that names those that are near, or all.
func Find(name string) (Shape, error) {
	i := slices.IndexFunc(shapes, func(s Shape) bool { return strings.EqualFold(s.Name, resolve(name)) })
	if i < 0 {
		if near := Near(name); len(near) > 0 {
			return Shape{}, fmt.Errorf("there is no shape %.60q: did you mean %s?", name, strings.Join(near, ", "))
		}
		return Shape{}, fmt.Errorf("there is no shape %.60q: want one of %s", name, strings.Join(Names(), ", "))
	}
	return shapes[i], nil
}

// Config returns the hyper-parameters, read as they are from a file.
func (s Shape) Config() (model.Config, error) {
	c, err := model.ReadConfig(metadata{s})
	if err != nil {
		return c, fmt.Errorf("shape %s: %w", s.Name, err)
	}
	return c, nil
}

// declare has the architecture say what it consists of.
func (s Shape) declare() (model.Config, []model.Tensor, []kv.Spec, error) {
	c, err := s.Config()
	if err != nil {
		return c, nil, nil, err
	}
	w := model.Declare(c, func(name string) bool { return slices.Contains(s.Optional, AnyBlock(name)) })
	m, err := arch.Build(w)
	if err != nil {
		return c, nil, nil, fmt.Errorf("shape %s: %w", s.Name, err)
	}
	ts := w.Tensors()
	for _, name := range s.Optional {
		if !slices.ContainsFunc(ts, func(t model.Tensor) bool { return AnyBlock(t.Name) == name }) {
			return c, nil, nil, fmt.Errorf("shape %s: architecture %s has no tensor %q", s.Name, s.Arch, name)
		}
	}
	return c, ts, m.State(), nil
}

// AnyBlock is the name of a tensor with the number of its block replaced by a star, as in [Shape.Optional].
func AnyBlock(name string) string {
	if rest, ok := strings.CutPrefix(name, "blk."); ok {
		if _, rest, ok = strings.Cut(rest, "."); ok {
			return "blk.*." + rest
		}
	}
	return name
}

// Tensors lists the tensors, all as F32.
func (s Shape) Tensors() ([]model.Tensor, error) {
	_, ts, _, err := s.declare()
	return ts, err
}

// State says what the cache keeps for each layer.
func (s Shape) State() ([]kv.Spec, error) {
	_, _, state, err := s.declare()
	return state, err
}

// Types lists the tensors with the types that a file of the recipe or format of that name has, and returns the recipe; see [ChooseTypes].
func (s Shape) Types(name string, pure bool) ([]model.Tensor, gguf.FileType, error) {
	c, ts, _, err := s.declare()
	if err != nil {
		return nil, 0, err
	}
	ts, recipe, err := ChooseTypes(c, ts, name, pure)
	if err != nil {
		return nil, 0, fmt.Errorf("shape %s: %w", s.Name, err)
	}
	return ts, recipe, nil
}

// ChooseTypes returns the tensors of a model with the types that a file of the recipe or format of that name has, and the recipe, which is not valid for a format alone;
// see convert.ChooseTypes. Vectors and routers are F32.
func ChooseTypes(c model.Config, ts []model.Tensor, name string, pure bool) ([]model.Tensor, gguf.FileType, error) {
	ask := make([]gguf.Tensor, len(ts))
	for i, t := range ts {
		ask[i] = gguf.Tensor{Name: t.Name, Type: quant.F32, Shape: t.Shape}
	}
	types, recipe, err := convert.ChooseTypes(name, pure, convert.InfoOf(c), ask)
	if err != nil {
		return nil, 0, err
	}
	ts = slices.Clone(ts)
	for i := range ts {
		ts[i].Type = types[i]
	}
	return ts, recipe, nil
}

// Usual lists the optional tensors that known models of an architecture have, as in [Shape.Optional]: what a configuration without weights leaves unsaid.
func Usual(arch string) []string {
	for _, s := range shapes {
		if s.Arch == arch {
			return s.Optional
		}
	}
	return nil
}

// Counts are sums over tensors.
type Counts struct {
	Weights int64 // numbers
	Bytes   int64 // as they lie in the file, without padding
	// Of these, what the computation of one token reads: a row of the embedding unless it is the head too, and of the experts as many as are chosen.
	ActiveWeights, ActiveBytes int64
}

// Count sums tensors up.
func Count(ts []model.Tensor) Counts {
	var c Counts
	for _, t := range ts {
		n := t.Elements()
		bytes := t.Bytes()
		c.Weights += n
		c.Bytes += bytes
		c.ActiveWeights += n * int64(t.Used) / int64(t.Of)
		c.ActiveBytes += bytes * int64(t.Used) / int64(t.Of)
	}
	return c
}

// FormatWeights writes a number of weights as the field does: 260K, 5.77M, 1.10B.
func FormatWeights(n int64) string {
	switch v := float64(n); {
	case n >= 1e9:
		return fmt.Sprintf("%.2fB", v/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.2fM", v/1e6)
	default:
		return fmt.Sprintf("%.0fK", v/1e3)
	}
}

// metadata is a shape as model.Metadata.
type metadata struct{ s Shape }

func (m metadata) find(key string) (any, bool) {
	if key == "general.architecture" {
		return m.s.Arch, true
	}
	key, ok := strings.CutPrefix(key, m.s.Arch+".")
	if !ok {
		return nil, false
	}
	i := slices.IndexFunc(m.s.Keys, func(k Key) bool { return k.Name == key })
	if i < 0 {
		return nil, false
	}
	return m.s.Keys[i].Value, true
}

// as finds a key whose value is a T.
func as[T any](m metadata, key string) (v T, ok bool, err error) {
	found, ok := m.find(key)
	if !ok {
		return v, false, nil
	}
	if v, ok = found.(T); !ok {
		return v, false, fmt.Errorf("key %q: want a %T, found %T", key, v, found)
	}
	return v, true, nil
}

func (m metadata) Uint(key string) (uint64, bool, error) {
	v, ok, err := as[uint32](m, key)
	return uint64(v), ok, err
}

func (m metadata) Float(key string) (float64, bool, error) {
	v, ok, err := as[float32](m, key)
	return float64(v), ok, err
}

func (m metadata) Floats(key string) ([]float64, bool, error) {
	v, ok, err := m.Float(key)
	return []float64{v}, ok, err
}

func (m metadata) Text(key string) (string, bool, error) { return as[string](m, key) }

func (m metadata) Uints(key string) ([]uint64, bool, error) {
	if v, ok := m.find(key); ok {
		if b, ok := v.(bool); ok {
			return []uint64{map[bool]uint64{true: 1}[b]}, true, nil
		}
	}
	v, ok, err := m.Uint(key)
	return []uint64{v}, ok, err
}

// Len knows one array, the vocabulary.
func (m metadata) Len(key string) (int, bool, error) {
	return m.s.Vocab.Size, key == "tokenizer.ggml.tokens", nil
}
