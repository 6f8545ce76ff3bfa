package size

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/source"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/gguf/names"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/model/arch"
)

// Layout is what a model consists of, without its weights.
type Layout struct {
	Name    string
	About   string // a few words, may be empty
	Config  model.Config
	Tensors []model.Tensor // tensors that the architecture takes
	State   []kv.Spec      // what the cache keeps for each layer
	// Stored says that the types of Tensors are those of weights, and not just F32. FileType is the
	// name of their mix of types, where the file names it.
	Stored   bool
	FileType string
	Notes    []string // what was left out

	shape    Shape
	shapeErr error
}

// Known is the model of a name that [FindShape] knows.
func Known(name string) (*Layout, error) {
	s, err := FindShape(name)
	if err != nil {
		return nil, err
	}
	return s.Layout()
}

// Open reads what a source says of a model without its weights: the header of a GGUF file, here or
// on a web server, the folder of a checkpoint, whose weights may be missing, a config.json, a known
// shape.
func Open(ctx context.Context, s *source.Source) (*Layout, error) {
	switch s.Kind() {
	case source.KindShape:
		return Known(s.Name())
	case source.KindConfig:
		return openConfig(ctx, s)
	}
	f, err := s.Header(ctx)
	if err != nil {
		if s.Kind() == source.KindFolder && errors.Is(err, fs.ErrNotExist) {
			return openConfig(ctx, s)
		}
		return nil, err
	}
	m, err := FromGGUF(f)
	return m, errors.Join(err, f.Close())
}

// FromGGUF reads the header of an open file.
func FromGGUF(f *gguf.File) (_ *Layout, err error) {
	defer fault.Guard(&err)()
	if err := source.CheckModel(f); err != nil {
		return nil, err
	}
	m, err := outline(f, func(c model.Config) *model.Weights {
		return model.BindHeader(c, func(name string) bool { _, ok := f.Tensor(name); return ok })
	})
	if err != nil {
		return nil, fault.Bad(f.Path(), err)
	}
	m.Stored = true
	if t, ok := f.FileType(); ok {
		m.FileType = t.String()
	}
	bound := make(map[string]bool, len(m.Tensors))
	for i := range m.Tensors {
		t := &m.Tensors[i]
		stored, _ := f.Tensor(t.Name)
		found := model.Tensor{Shape: stored.Shape}
		if found.Elements() != t.Elements() {
			return nil, fault.Bad(f.Path(), fmt.Errorf("tensor %.80q: want shape %v, found %v", t.Name, t.Shape, stored.Shape))
		}
		t.Type = stored.Type
		bound[t.Name] = true
	}
	left, first := 0, ""
	for _, t := range f.Tensors() {
		if !bound[t.Name] && !isBuffer(t.Name) {
			left, first = left+1, cmp.Or(first, t.Name)
		}
	}
	if left > 0 {
		m.Notes = append(m.Notes, fmt.Sprintf("%d tensors of the file take no part in this architecture and are not counted, the first is %.80q", left, first))
	}
	return m, nil
}

// openConfig is the model that a configuration alone describes. It has the optional tensors that
// the configuration names, and otherwise those of known models of the architecture.
func openConfig(ctx context.Context, s *source.Source) (*Layout, error) {
	f, traits, err := s.Config(ctx)
	if err != nil {
		return nil, err
	}
	m, err := outline(f, func(c model.Config) *model.Weights {
		has := slices.Clone(usualOptional(c.Arch))
		if traits.Tied != nil {
			has = slices.DeleteFunc(has, func(name string) bool { return name == "output.weight" })
			if !*traits.Tied {
				has = append(has, "output.weight")
			}
		}
		if traits.AttentionBias {
			has = append(has, "blk.*.attn_q.bias", "blk.*.attn_k.bias", "blk.*.attn_v.bias")
		}
		return model.BindShapes(c, func(name string) bool { return slices.Contains(has, names.AnyLayer(name)) })
	})
	if err != nil {
		return nil, fault.Bad(f.Path(), err)
	}
	return m, nil
}

// outline asks the architecture that a file names what it takes, of weights that declare makes.
func outline(f *gguf.File, declare func(model.Config) *model.Weights) (*Layout, error) {
	c, err := model.ReadConfig(model.GGUF(f))
	if err != nil {
		return nil, err
	}
	w := declare(c)
	net, err := arch.Build(w)
	if err != nil {
		return nil, err
	}
	m := &Layout{Name: f.Path(), About: c.Name, Config: c, State: net.State(), Notes: slices.Clone(f.Notes())}
	m.Tensors = slices.DeleteFunc(w.Tensors(), func(t model.Tensor) bool { return isBuffer(t.Name) })
	m.shape, m.shapeErr = shapeOf(f, c, m.Tensors)
	return m, nil
}

// isBuffer reports whether a tensor is computed from the configuration and not learnt: factors of
// RoPE.
func isBuffer(name string) bool { return strings.Contains(name, "rope_f") }

// Shape is the shape of the model, to make models with random weights of. It is an error where the
// metadata is of a kind that a shape cannot have.
func (m *Layout) Shape() (Shape, error) { return m.shape, m.shapeErr }

// As returns the model with the types that a file of that type has: the name is one of
// llama-quantize, such as Q4_K_M, or of a format, such as NVFP4.
func (m *Layout) As(name string) (*Layout, error) {
	ts, fileType, err := chooseTypes(m.Config, m.Tensors, name, false)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	as := *m
	as.Tensors, as.Stored, as.FileType = ts, true, strings.ToUpper(name)
	if fileType.Valid() {
		as.FileType = fileType.String()
	}
	return &as, nil
}

// Counts are the sums over the tensors.
func (m *Layout) Counts() Counts { return model.Count(m.Tensors) }

// Bytes is the size of all tensors in their types.
func (m *Layout) Bytes() int64 { return m.Counts().Bytes }

func (m *Layout) cache(k, v kv.Type) kv.Config {
	return kv.Config{Layers: m.State, KType: k, VType: v}
}

// CacheGrowth is how many bytes the cache grows by with each token of a sequence, as long as it
// fits the windows of all layers.
func (m *Layout) CacheGrowth(k, v kv.Type) (int64, error) {
	store, err := kv.New(m.cache(k, v))
	if err != nil {
		return 0, err
	}
	return store.PageBytes() / kv.PageLen, nil
}

// CacheRead is how many bytes of the cache a token reads that n others precede: no more than a
// window of layers that have one, and all of the states.
func (m *Layout) CacheRead(k, v kv.Type, n int) (int64, error) {
	store, err := kv.New(m.cache(k, v))
	if err != nil {
		return 0, err
	}
	return store.ReadBytes(n), nil
}

// Tied reports whether the output matrix is the embedding. Encoders have no output matrix.
func (m *Layout) Tied() bool {
	return slices.ContainsFunc(m.Tensors, func(t model.Tensor) bool { return t.Name == "token_embd.weight" && t.Use == model.OutputHead })
}
