// Package params tells where the parameters of a model are and what they take: by component and by layer, how many of them a token needs, their bytes in any type of file,
// and what the cache of keys and values grows by with each token.
//
// In order of use:
//
//   - [Open], [Shape], [Header] and [ParseConfig] make a [Model]: hyper-parameters, tensors, and what the cache keeps, from a known shape, from the header of a
//     file, or from a config.json. No weight is read.
//   - [Model.Report] counts. A [Report] is what goinfer params prints.
//   - [Model.As] gives every tensor the type that a file of a recipe has; [Model.CacheToken] is the cache's growth, [Model.CacheAt] its size.
//
// The tensors are those that the architecture which runs the model asks for: what is counted is what is computed with. Tensors that take no part, such as layers that predict
// further tokens, and factors of RoPE, which are not learnt, are not counted.
//
//	m, err := params.Shape("mixtral-8x7b")
//	r, err := m.Report()
//	fmt.Println(r.Total, r.Active) // 46702792704 12879925248
package params

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/model/arch"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/source"
	"github.com/goinfer/goinfer/study/catalog"
)

// Model is what is known of a model without its weights.
type Model struct {
	Name    string
	About   string // in a few words, may be empty
	Config  model.Config
	Tensors []model.Tensor // that the architecture takes
	State   []kv.Spec      // what the cache keeps for each layer
	// Stored says that there are weights: the types of Tensors are theirs, and not just F32. Recipe is the name of the mixture that they are in, where the file tells it.
	Stored bool
	Recipe string
	Notes  []string // on what was left out

	shape    catalog.Shape
	shapeErr error
}

// Twin is the shape of the model, of which models with random weights can be made. It is an error where the metadata is of a kind that a shape cannot have.
func (m *Model) Twin() (catalog.Shape, error) { return m.shape, m.shapeErr }

// Shape is the model of a name in package catalog.
func Shape(name string) (*Model, error) {
	s, err := catalog.Find(name)
	if err != nil {
		return nil, err
	}
	return Of(s)
}

// Of is the model of a shape.
func Of(s catalog.Shape) (_ *Model, err error) {
	m := &Model{Name: s.Name, About: s.About, shape: s}
	if m.Config, err = s.Config(); err != nil {
		return nil, err
	}
	if m.Tensors, err = s.Tensors(); err != nil {
		return nil, err
	}
	m.State, err = s.State()
	return m, err
}

// Open reads what a source says of a model without its weights: the header of a GGUF file, here or on
// a web server, the folder of a checkpoint, whose weights may be missing, a config.json, a known shape.
func Open(ctx context.Context, s *source.Source) (*Model, error) {
	switch s.Kind() {
	case source.KindShape:
		return Shape(s.Name())
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
	m, err := Header(f)
	return m, errors.Join(err, f.Close())
}

// Header reads the header of an open file.
func Header(f *gguf.File) (_ *Model, err error) {
	defer fault.Guard(&err)()
	if err := source.CheckModel(f); err != nil {
		return nil, err
	}
	m, err := outline(f, func(c model.Config) *model.Weights {
		return model.Outline(c, func(name string) bool { _, ok := f.Tensor(name); return ok })
	})
	if err != nil {
		return nil, fault.Bad(f.Path(), err)
	}
	m.Stored = true
	if n, ok, err := model.GGUF(f).Uint("general.file_type"); ok && err == nil {
		if r := quant.FileType(n); uint64(r) == n && r.Valid() {
			m.Recipe = r.String()
		}
	}
	taken := make(map[string]bool, len(m.Tensors))
	for i := range m.Tensors {
		t := &m.Tensors[i]
		stored, _ := f.Tensor(t.Name)
		found := model.Tensor{Shape: stored.Shape}
		if found.Elements() != t.Elements() {
			return nil, fault.Bad(f.Path(), fmt.Errorf("tensor %.80q: want shape %v, found %v", t.Name, t.Shape, stored.Shape))
		}
		t.Type = stored.Type
		taken[t.Name] = true
	}
	left, first := 0, ""
	for _, t := range f.Tensors() {
		if !taken[t.Name] && !buffer(t.Name) {
			left, first = left+1, cmp.Or(first, t.Name)
		}
	}
	if left > 0 {
		m.Notes = append(m.Notes, fmt.Sprintf("%d tensors of the file take no part in this architecture and are not counted, the first is %.80q", left, first))
	}
	return m, nil
}

func openConfig(ctx context.Context, s *source.Source) (*Model, error) {
	f, t, err := s.Config(ctx)
	if err != nil {
		return nil, err
	}
	return configured(f, t)
}

// ParseConfig reads a config.json in memory; name is what errors call it.
func ParseConfig(name string, data []byte) (*Model, error) {
	f, t, err := hf.ParseConfig(name, data)
	if err != nil {
		return nil, err
	}
	return configured(f, t)
}

// configured is the model that a configuration alone describes. Which optional tensors it has is what it says, and otherwise what known models of the architecture have.
func configured(f *gguf.File, traits hf.Traits) (*Model, error) {
	m, err := outline(f, func(c model.Config) *model.Weights {
		has := slices.Clone(catalog.Usual(c.Arch))
		if traits.Tied != nil {
			has = slices.DeleteFunc(has, func(name string) bool { return name == "output.weight" })
			if !*traits.Tied {
				has = append(has, "output.weight")
			}
		}
		if traits.AttentionBias {
			has = append(has, "blk.*.attn_q.bias", "blk.*.attn_k.bias", "blk.*.attn_v.bias")
		}
		return model.Declare(c, func(name string) bool { return slices.Contains(has, catalog.AnyBlock(name)) })
	})
	if err != nil {
		return nil, fault.Bad(f.Path(), err)
	}
	return m, nil
}

// outline asks the architecture that a file names what it takes, of weights that declare makes.
func outline(f *gguf.File, declare func(model.Config) *model.Weights) (*Model, error) {
	c, err := model.ReadConfig(model.GGUF(f))
	if err != nil {
		return nil, err
	}
	w := declare(c)
	net, err := arch.Build(w)
	if err != nil {
		return nil, err
	}
	m := &Model{Name: f.Path(), About: c.Name, Config: c, State: net.State(), Notes: slices.Clone(f.Notes())}
	m.Tensors = slices.DeleteFunc(w.Tensors(), func(t model.Tensor) bool { return buffer(t.Name) })
	m.shape, m.shapeErr = catalog.FromFile(f, c, m.Tensors)
	return m, nil
}

// buffer reports whether a tensor is computed from the configuration, and none of the parameters: factors of RoPE.
func buffer(name string) bool { return strings.Contains(name, "rope_f") }

// As returns the model with the types that a file of the recipe or format of that name has.
func (m *Model) As(name string) (*Model, error) {
	ts, recipe, err := catalog.ChooseTypes(m.Config, m.Tensors, name, false)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	as := *m
	as.Tensors, as.Stored, as.Recipe = ts, true, strings.ToUpper(name)
	if recipe.Valid() {
		as.Recipe = recipe.String()
	}
	return &as, nil
}

// Size is the number of bytes of all tensors in their types.
func (m *Model) Size() int64 { return catalog.Count(m.Tensors).Bytes }

// CacheToken is the number of bytes that the cache grows by with each token of a sequence, as long as it fits the windows of all layers.
func (m *Model) CacheToken(k, v kv.Type) (int64, error) {
	store, err := kv.New(kv.Config{Layers: m.State, KType: k, VType: v})
	if err != nil {
		return 0, err
	}
	return store.PageBytes() / kv.PageLen, nil
}

// CacheAt is the number of bytes that a token reads of the cache where n others precede it: layers with a window have no more than that, and states always have their size.
func (m *Model) CacheAt(k, v kv.Type, n int) (int64, error) {
	store, err := kv.New(kv.Config{Layers: m.State, KType: k, VType: v})
	if err != nil {
		return 0, err
	}
	return store.ReadBytes(n), nil
}

// Tied reports whether the output matrix is the embedding, all of which a token then needs. Encoders have no output matrix.
func (m *Model) Tied() bool {
	return slices.ContainsFunc(m.Tensors, func(t model.Tensor) bool { return t.Name == "token_embd.weight" && t.Used == t.Of })
}
