package bench

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/convert"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/study/size"
)

// Source is what models are made of: a file or a folder, a model in memory, or a shape.
type Source struct {
	Name     string
	Path     string // path of the file; empty if there is none
	NCtx     int    // positions that the model was made for
	Experts  int    // experts of a layer, 0 for a dense model
	Warnings []string

	data  []byte      // a GGUF file in memory
	shape *size.Shape // a shape, without weights
}

// DefaultType is the type that a shape is made in where none is named.
const DefaultType = "Q4_K_M"

// File is the source of a GGUF file, or of the folder of a checkpoint. It is opened to see whether
// it can be.
func File(path string) (*Source, error) { return check(&Source{Name: path, Path: path}) }

// Bytes is the source of a GGUF file in memory, which must not change.
func Bytes(name string, data []byte) (*Source, error) { return check(&Source{Name: name, data: data}) }

// Shape is the source of models of a known shape (see package size) with random weights.
func Shape(name string) (*Source, error) {
	s, err := size.FindShape(name)
	if err != nil {
		return nil, err
	}
	return Of(s)
}

// Of is the source of models of a shape.
func Of(s size.Shape) (*Source, error) {
	c, err := s.Config()
	return &Source{Name: s.Name, NCtx: c.NCtx, Experts: c.NExpert, shape: &s}, err
}

// check fills in what an open model reports.
func check(s *Source) (*Source, error) {
	m, err := s.open(goinfer.Options{Context: 1, Batch: 1, Threads: 1})
	if err != nil {
		return nil, err
	}
	s.NCtx, s.Experts, s.Warnings = m.Info().Config.NCtx, m.Info().Config.NExpert, m.Info().Warnings
	return s, m.Close()
}

func (s *Source) open(o goinfer.Options) (*goinfer.Model, error) {
	if s.Path != "" {
		return goinfer.Open(s.Path, o)
	}
	o.Overcommit = true // the weights are in memory
	return goinfer.OpenBytes(s.Name, s.data, o)
}

// Load makes a model: fileType "" takes the weights as they are, or DefaultType of a shape; any
// other name of a file type or format has them quantised, in memory. done, if not nil, is called as
// that goes on.
func (s *Source) Load(ctx context.Context, fileType string, done func(done, total int64)) (*Model, error) {
	if s.shape == nil && fileType == "" {
		return newModel(*s, s.Name)
	}
	var w *gguf.Writer
	var err error
	if s.shape != nil {
		if fileType == "" {
			fileType = DefaultType
		}
		w, err = s.shape.Random(ctx, size.RandomOptions{Type: fileType, Done: done})
	} else {
		f, e := convert.Open(cmp.Or(s.Path, s.Name), s.data)
		if e != nil {
			return nil, e
		}
		defer f.Close()
		w, err = convert.Quantize(ctx, f, convert.Options{Type: fileType, Done: done})
	}
	if err != nil {
		return nil, err
	}
	data, err := convert.Bytes(s.Name+" as "+strings.ToUpper(fileType), w)
	if err != nil {
		return nil, err
	}
	return newModel(Source{Name: s.Name, NCtx: s.NCtx, data: data}, s.Name+":"+strings.ToLower(fileType))
}

// Open opens the GGUF file that the source is, without making a model of it. A shape has none.
func (s *Source) Open() (*gguf.File, error) {
	if s.shape != nil {
		return nil, fmt.Errorf("%s is a shape without weights", s.Name)
	}
	return convert.Open(cmp.Or(s.Path, s.Name), s.data)
}

// Data is the GGUF file in memory that Load makes for a file type.
func (s *Source) Data(ctx context.Context, fileType string) ([]byte, error) {
	m, err := s.Load(ctx, fileType, nil)
	if err != nil {
		return nil, err
	}
	if m.source.data == nil {
		return nil, fmt.Errorf("%s is a file: want a type to have it in memory", s.Name)
	}
	return m.source.data, nil
}

// CheckType returns an error that lists the file types if there is none of that name, nor a format.
func CheckType(fileType string) error { return convert.CheckType(fileType, false) }

// Model is a model to be measured.
type Model struct {
	Name   string // name of the file, or of what is in memory
	Path   string // path of the file; empty if there is none
	Type   string // architecture, parameters and file type, such as "llama 1.10B Q4_K_M"
	Size   int64  // bytes of all weights
	Params int64  // number of all weights
	NCtx   int    // positions that the model was made for

	source Source
	work   size.Work
	vocab  int
}

func newModel(s Source, name string) (*Model, error) {
	m, err := s.open(goinfer.Options{Context: 1, Batch: 1, Threads: 1})
	if err != nil {
		return nil, err
	}
	c, w := m.Info().Config, size.WorkOf(m.Info().Tensors)
	kind := m.Info().FileType
	if kind == "" {
		kind = commonType(m.Info().Tensors)
	}
	return &Model{
		Name: name, Path: s.Path, Type: fmt.Sprintf("%s %s %s", c.Arch, size.FormatCount(w.Params), kind), Size: w.Bytes, Params: w.Params, NCtx: c.NCtx,
		source: s, work: w, vocab: c.NVocab,
	}, m.Close()
}

// Open opens the model to be used.
func (m *Model) Open(o goinfer.Options) (*goinfer.Model, error) { return m.source.open(o) }

// Close forgets the weights of a model in memory.
func (m *Model) Close() { m.source.data = nil }

// commonType is the type that most of the weights are in.
func commonType(ts []goinfer.Tensor) string {
	sums := map[quant.Type]int64{}
	var most quant.Type
	for _, t := range ts {
		if sums[t.Type] += t.Elements(); sums[t.Type] > sums[most] {
			most = t.Type
		}
	}
	return most.String()
}
