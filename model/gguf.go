package model

import (
	"fmt"

	"github.com/goinfer/goinfer/gguf"
)

// File is a GGUF file as Metadata and TensorSource.
type File struct{ f *gguf.File }

// maxText bounds what is copied of a string.
const maxText = 1 << 20

// GGUF returns f as Metadata and TensorSource.
func GGUF(f *gguf.File) File { return File{f} }

// Uint implements Metadata.
func (g File) Uint(key string) (uint64, bool, error) {
	v, ok := g.f.Value(key)
	if !ok {
		return 0, false, nil
	}
	n, ok := v.Uint()
	if !ok {
		return 0, false, wrong(key, "a whole number that is not negative", v)
	}
	return n, true, nil
}

// Float implements Metadata.
func (g File) Float(key string) (float64, bool, error) {
	v, ok := g.f.Value(key)
	if !ok {
		return 0, false, nil
	}
	x, ok := v.Float()
	if !ok {
		return 0, false, wrong(key, "a number", v)
	}
	return x, true, nil
}

// Floats implements Metadata.
func (g File) Floats(key string) ([]float64, bool, error) {
	v, ok := g.f.Value(key)
	if !ok {
		return nil, false, nil
	}
	if x, ok := v.Float(); ok {
		return []float64{x}, true, nil
	}
	if v.Kind() != gguf.Array || v.Len() > maxLayer {
		return nil, false, wrong(key, fmt.Sprintf("a number, or at most %d", maxLayer), v)
	}
	xs := make([]float64, 0, v.Len())
	v.Each(func(_ int, e gguf.Value) bool {
		x, ok := e.Float()
		if ok {
			xs = append(xs, x)
		}
		return ok
	})
	if len(xs) < v.Len() {
		return nil, false, wrong(key, "numbers", v)
	}
	return xs, true, nil
}

// Text implements Metadata.
func (g File) Text(key string) (string, bool, error) {
	v, ok := g.f.Value(key)
	if !ok {
		return "", false, nil
	}
	if v.Kind() == gguf.String && v.Len() > maxText {
		return "", false, fmt.Errorf("key %s: want at most %d bytes, found %d", quoted(key), maxText, v.Len())
	}
	s, ok := v.Text()
	if !ok {
		return "", false, wrong(key, "a string", v)
	}
	return s, true, nil
}

// Uints implements Metadata.
func (g File) Uints(key string) ([]uint64, bool, error) {
	v, ok := g.f.Value(key)
	if !ok {
		return nil, false, nil
	}
	if n, ok := v.Uint(); ok {
		return []uint64{n}, true, nil
	}
	if v.Kind() == gguf.Bool {
		return []uint64{flag(v)}, true, nil
	}
	if v.Len() > maxLayer {
		return nil, false, wrong(key, fmt.Sprintf("at most %d numbers", maxLayer), v)
	}
	if v.Kind() == gguf.Array && v.ElemKind() == gguf.Bool {
		return flags(v), true, nil
	}
	ns, ok := v.Ints()
	if !ok {
		return nil, false, wrong(key, "whole numbers that are not negative", v)
	}
	us := make([]uint64, len(ns))
	for i, n := range ns {
		if n < 0 {
			return nil, false, wrong(key, "whole numbers that are not negative", v)
		}
		us[i] = uint64(n)
	}
	return us, true, nil
}

func flag(v gguf.Value) uint64 {
	if b, _ := v.Bool(); b {
		return 1
	}
	return 0
}

func flags(v gguf.Value) []uint64 {
	us := make([]uint64, 0, v.Len())
	v.Each(func(_ int, e gguf.Value) bool {
		us = append(us, flag(e))
		return true
	})
	return us
}

// Len implements Metadata.
func (g File) Len(key string) (int, bool, error) {
	v, ok := g.f.Value(key)
	if !ok {
		return 0, false, nil
	}
	if v.Kind() != gguf.Array || v.ElemKind() != gguf.String {
		return 0, false, wrong(key, "an array of strings", v)
	}
	return v.Len(), true, nil
}

// Tensor implements TensorSource.
func (g File) Tensor(name string) (SourceTensor, bool) {
	t, ok := g.f.Tensor(name)
	if !ok {
		return SourceTensor{}, false
	}
	return SourceTensor{Type: t.Type, Shape: t.Shape}, true
}

// Rows implements TensorSource.
func (g File) Rows(name string, first, n int) []byte {
	t, ok := g.f.Tensor(name)
	if !ok {
		return nil
	}
	return g.f.Rows(t, first, n)
}

// Names implements TensorSource.
func (g File) Names() []string {
	ts := g.f.Tensors()
	names := make([]string, len(ts))
	for i := range ts {
		names[i] = ts[i].Name
	}
	return names
}

func wrong(key, want string, v gguf.Value) error {
	return fmt.Errorf("key %s: want %s, found %s", quoted(key), want, v)
}
