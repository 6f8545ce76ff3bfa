package size

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/gguf/names"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/tokenizer"
)

// shapeOf returns the shape of a model whose configuration has been read, of its metadata f and its
// tensors: so that files of its shape with random weights can be made. Keys that are given for
// every layer must be the same in all.
func shapeOf(f *gguf.File, c model.Config, ts []model.Tensor) (Shape, error) {
	s := Shape{Name: f.Path(), About: c.Name, Arch: c.Arch, Vocab: spm(c.NVocab)}
	for _, key := range f.Keys() {
		v, _ := f.Value(key)
		name, ok := strings.CutPrefix(key, c.Arch+".")
		if !ok {
			continue
		}
		value, err := plain(v)
		if err != nil {
			return s, fmt.Errorf("%s: key %q: %w", f.Path(), key, err)
		}
		if value != nil {
			s.Keys = append(s.Keys, Key{name, value})
		}
	}
	for key, to := range map[string]*string{"tokenizer.ggml.model": &s.Vocab.Model, "tokenizer.ggml.pre": &s.Vocab.Pre} {
		if text, ok, err := model.GGUF(f).Text(key); ok && err == nil {
			*to = text
		}
	}
	if s.Vocab.Model != tokenizer.ModelBPE { // what tokens are called is of no matter
		s.Vocab = spm(c.NVocab)
	}
	for _, t := range ts {
		if name := names.AnyLayer(t.Name); !slices.Contains(s.Optional, name) {
			s.Optional = append(s.Optional, name)
		}
	}
	return s, nil
}

// plain is a value of metadata as a Key holds it, nil for what it cannot hold.
func plain(v gguf.Value) (any, error) {
	switch v.Kind() {
	case gguf.Bool:
		b, _ := v.Bool()
		return b, nil
	case gguf.Float32, gguf.Float64:
		x, _ := v.Float()
		return float32(x), nil
	case gguf.String:
		text, _ := v.Text()
		return text, nil
	case gguf.Array:
		ns, ok := v.Ints()
		if !ok || len(ns) == 0 || slices.Min(ns) < 0 || slices.Max(ns) > math.MaxUint32 {
			return nil, nil
		}
		if slices.Max(ns) != slices.Min(ns) {
			return nil, fmt.Errorf("want the same for every layer, found %s", v)
		}
		return uint32(ns[0]), nil
	}
	n, ok := v.Uint()
	if !ok || n > math.MaxUint32 {
		return nil, nil
	}
	return uint32(n), nil
}

// Get is a whole number of the metadata, 0 where there is none.
func (s Shape) Get(key string) int {
	i := slices.IndexFunc(s.Keys, func(k Key) bool { return k.Name == key })
	if i < 0 {
		return 0
	}
	n, _ := s.Keys[i].Value.(uint32)
	return int(n)
}

// Set returns the shape with other whole numbers in place of those that the metadata has under
// these keys; what it does not have stays so.
func (s Shape) Set(keys map[string]int) Shape {
	s.Keys = slices.Clone(s.Keys)
	for i, k := range s.Keys {
		if n, ok := keys[k.Name]; ok {
			s.Keys[i].Value = uint32(n)
		}
	}
	return s
}
