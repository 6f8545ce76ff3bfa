package size

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/convert"
	"github.com/goinfer/goinfer/gguf"

	"github.com/goinfer/goinfer/gguf/names"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/model/arch"
	"github.com/goinfer/goinfer/quant"
)

// Shape is the metadata of a model and the names of its optional tensors: enough to make a model of
// the same sizes with random weights.
type Shape struct {
	Name  string
	About string // what it is, in a few words
	Arch  string // general.architecture
	// Keys are the hyper-parameters, as in a file but without the architecture's name before them:
	// "block_count".
	Keys  []Key
	Vocab Vocab
	// Optional are the full names of the tensors that the model has among those which it might
	// lack, such as output.weight; blk.* stands for every block that asks.
	Optional []string
}

// Key is an entry of the metadata.
type Key arch.Key

// Vocab is the kind and the size of a vocabulary.
type Vocab arch.Vocab

func spm(size int) Vocab { return Vocab{"llama", "default", size} }

// shapes are the known models of all architectures, which their sheets declare.
var shapes = func() (all []Shape) {
	for _, sheet := range arch.Sheets() {
		for _, s := range sheet.Sizes {
			var keys []Key
			for _, k := range s.Keys {
				keys = append(keys, Key(k))
			}
			all = append(all, Shape{s.Name, s.About, sheet.Name, keys, Vocab(s.Vocab), s.Optional})
		}
	}
	return all
}()

// ShapeNames lists the known shapes, by architecture.
func ShapeNames() []string {
	names := make([]string, len(shapes))
	for i := range shapes {
		names[i] = shapes[i].Name
	}
	return names
}

// FindShape returns the shape of that name, in any case, or of another name of the same model; or
// an error that lists the names that are like it, or all.
func FindShape(name string) (Shape, error) {
	i := slices.IndexFunc(shapes, func(s Shape) bool { return strings.EqualFold(s.Name, resolve(name)) })
	if i < 0 {
		if near := NearNames(name); len(near) > 0 {
			return Shape{}, fmt.Errorf("there is no shape %.60q: did you mean %s?", name, strings.Join(near, ", "))
		}
		return Shape{}, fmt.Errorf("there is no shape %.60q: want one of %s", name, strings.Join(ShapeNames(), ", "))
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

// Layout asks the architecture what a model of the shape consists of. All tensors are F32.
func (s Shape) Layout() (*Layout, error) {
	c, err := s.Config()
	if err != nil {
		return nil, err
	}
	w := model.BindShapes(c, func(name string) bool { return slices.Contains(s.Optional, names.AnyLayer(name)) })
	net, err := arch.Build(w)
	if err != nil {
		return nil, fmt.Errorf("shape %s: %w", s.Name, err)
	}
	m := &Layout{Name: s.Name, About: s.About, Config: c, Tensors: w.Tensors(), State: net.State(), shape: s}
	for _, name := range s.Optional {
		if !slices.ContainsFunc(m.Tensors, func(t model.Tensor) bool { return names.AnyLayer(t.Name) == name }) {
			return nil, fmt.Errorf("shape %s: architecture %s has no tensor %q", s.Name, s.Arch, name)
		}
	}
	return m, nil
}

// Counts are the sums over the tensors of a model of the shape in a file of that type, see
// [Layout.As]; pure makes every matrix that format, even if there is a mix of that name.
func (s Shape) Counts(fileType string, pure bool) (Counts, error) {
	ts, _, err := s.types(fileType, pure)
	return model.Count(ts), err
}

// types lists the tensors with the types that they have in a file of that type.
func (s Shape) types(name string, pure bool) ([]model.Tensor, gguf.FileType, error) {
	m, err := s.Layout()
	if err != nil {
		return nil, 0, err
	}
	ts, fileType, err := chooseTypes(m.Config, m.Tensors, name, pure)
	if err != nil {
		return nil, 0, fmt.Errorf("shape %s: %w", s.Name, err)
	}
	return ts, fileType, nil
}

// chooseTypes returns the tensors of a model with the types that a file of that type or format has,
// and the file type, which is not valid for a format alone; see convert.ChooseTypes. Vectors and
// routers are F32.
func chooseTypes(c model.Config, ts []model.Tensor, name string, pure bool) ([]model.Tensor, gguf.FileType, error) {
	ask := make([]gguf.Tensor, len(ts))
	for i, t := range ts {
		ask[i] = gguf.Tensor{Name: t.Name, Type: quant.F32, Shape: t.Shape}
	}
	types, fileType, err := convert.ChooseTypes(name, pure, convert.InfoOf(c), ask)
	if err != nil {
		return nil, 0, err
	}
	ts = slices.Clone(ts)
	for i := range ts {
		ts[i].Type = types[i]
	}
	return ts, fileType, nil
}

// usualOptional lists the optional tensors that known models of an architecture have, as in
// [Shape.Optional], for a configuration without weights.
func usualOptional(arch string) []string {
	for _, s := range shapes {
		if s.Arch == arch {
			return s.Optional
		}
	}
	return nil
}

// Counts are sums over the tensors of a model: parameters, bytes, and which of them are active.
type Counts = model.Counts

// FormatCount writes a number of weights as the field does: 260K, 5.77M, 1.10B.
func FormatCount(n int64) string {
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
