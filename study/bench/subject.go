package bench

import (
	"context"
	"fmt"
	"strings"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/convert"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/source"
	"github.com/goinfer/goinfer/study/size"
)

// Subject is what models to be measured are made of: a file, a folder, a model in memory, or a
// shape.
type Subject struct {
	Name     string
	Path     string // path of the file; empty if there is none
	NCtx     int    // positions that the model was made for
	Experts  int    // experts of a layer, 0 for a dense model
	Encoder  bool   // reads texts as a whole, and generates none
	Warnings []string

	source *source.Source // a model with weights
	data   []byte         // these weights, where Load made them in memory
	shape  *size.Shape    // a shape, without weights
}

// DefaultType is the type that a shape is made in where none is named.
const DefaultType = "Q4_K_M"

// Open makes a subject of a source. A model is opened to see whether it can be; a known shape
// stands for models of that shape with random weights (see package size).
func Open(s *source.Source) (*Subject, error) {
	if s.Kind() == source.KindShape {
		shape, err := size.FindShape(s.Name())
		if err != nil {
			return nil, err
		}
		return Of(shape)
	}
	return check(&Subject{Name: s.Name(), Path: s.Path(), source: s})
}

// Of is the source of models of a shape.
func Of(s size.Shape) (*Subject, error) {
	c, err := s.Config()
	return &Subject{Name: s.Name, NCtx: c.NCtx, Experts: c.NExpert, shape: &s}, err
}

// check fills in what an open model reports.
func check(s *Subject) (*Subject, error) {
	m, err := s.open(goinfer.Options{Context: 1, Batch: 1, Threads: 1})
	if err != nil {
		return nil, err
	}
	s.NCtx, s.Experts, s.Warnings = m.Info().Config.NCtx, m.Info().Config.NExpert, m.Info().Warnings
	s.Encoder = m.Info().Encoder
	return s, m.Close()
}

func (s *Subject) open(o goinfer.Options) (*goinfer.Model, error) {
	o.Overcommit = s.source.Kind() == source.KindMemory // it is there already
	return goinfer.OpenSource(s.source, o)
}

// Load makes a model: fileType "" takes the weights as they are, or DefaultType of a shape; any
// other name of a file type or format has them quantised, in memory. done, if not nil, is called as
// that goes on.
func (s *Subject) Load(ctx context.Context, fileType string, done func(done, total int64)) (*Model, error) {
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
		f, e := s.source.Open(ctx, gguf.Options{})
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
	return newModel(Subject{Name: s.Name, NCtx: s.NCtx, Encoder: s.Encoder, source: source.Bytes(s.Name, data), data: data}, s.Name+":"+strings.ToLower(fileType))
}

// File opens the GGUF file that the subject is, without making a model of it. A shape has none.
func (s *Subject) File(ctx context.Context) (*gguf.File, error) {
	if s.shape != nil {
		return nil, fmt.Errorf("%s is a shape without weights", s.Name)
	}
	return s.source.Open(ctx, gguf.Options{})
}

// Data is the GGUF file in memory that Load makes for a file type.
func (s *Subject) Data(ctx context.Context, fileType string) ([]byte, error) {
	m, err := s.Load(ctx, fileType, nil)
	if err != nil {
		return nil, err
	}
	if m.subject.data == nil {
		return nil, fmt.Errorf("%s has its own types: want a type to have it in memory", s.Name)
	}
	return m.subject.data, nil
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

	subject Subject
	work    size.Work
	vocab   int
}

func newModel(s Subject, name string) (*Model, error) {
	m, err := s.open(goinfer.Options{Context: 1, Batch: 1, Threads: 1})
	if err != nil {
		return nil, err
	}
	c, w := m.Info().Config, size.WorkOf(m.Info().Tensors)
	kind := typeName(m.Info())
	return &Model{
		Name: name, Path: s.Path, Type: fmt.Sprintf("%s %s %s", c.Arch, size.FormatCount(w.Params), kind), Size: w.Bytes, Params: w.Params, NCtx: c.NCtx,
		subject: s, work: w, vocab: c.NVocab,
	}, m.Close()
}

// Open opens the model to be used.
func (m *Model) Open(o goinfer.Options) (*goinfer.Model, error) { return m.subject.open(o) }

// Close forgets the weights of a model in memory.
func (m *Model) Close() {
	if m.subject.data != nil {
		m.subject.source, m.subject.data = source.Bytes(m.Name, nil), nil
	}
}

// typeName is the file type that a model names, or the type of most of its weights. Where rows are
// too short for the blocks of a file type, most weights are in another: then it names both.
func typeName(info goinfer.Info) string {
	common, named := commonTensor(info.Tensors).Type, info.FileType
	wide := strings.Contains(named, "_K") || strings.HasPrefix(named, "IQ") && named != "IQ4_NL" || strings.HasPrefix(named, "TQ")
	switch {
	case named == "":
		return common.String()
	case wide && common.BlockSize() < 256:
		return fmt.Sprintf("%s (%s)", common, named)
	}
	return named
}

// commonTensor is a tensor in the type that most of the weights are in.
func commonTensor(ts []goinfer.Tensor) (most goinfer.Tensor) {
	sums := map[string]int64{}
	for _, t := range ts {
		name := t.Type.String()
		if sums[name] += t.Elements(); sums[name] > sums[most.Type.String()] {
			most = t
		}
	}
	return most
}
