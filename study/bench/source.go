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
	"github.com/goinfer/goinfer/study/catalog"
)

// Source is what models are made of: a file or a folder, a model in memory, or a shape.
type Source struct {
	Name     string
	Path     string // of the file; empty if there is none
	NCtx     int    // positions that the model was made for
	Experts  int    // of a layer, 0 for a dense model
	Warnings []string

	data  []byte         // of a model in memory
	shape *catalog.Shape // of one without weights
}

// ShapeLevel is the recipe that a shape is made in where none is named.
const ShapeLevel = "Q4_K_M"

// File is the source of a GGUF file, or of the folder of a checkpoint. It is opened to see whether it can be.
func File(path string) (*Source, error) { return check(&Source{Name: path, Path: path}) }

// Bytes is the source of a GGUF file in memory, which must not change.
func Bytes(name string, data []byte) (*Source, error) { return check(&Source{Name: name, data: data}) }

// Shape is the source of models of a known shape (see package catalog) with random weights.
func Shape(name string) (*Source, error) {
	s, err := catalog.Find(name)
	if err != nil {
		return nil, err
	}
	return Of(s)
}

// Of is the source of models of a shape.
func Of(s catalog.Shape) (*Source, error) {
	c, err := s.Config()
	return &Source{Name: s.Name, NCtx: c.NCtx, Experts: c.NExpert, shape: &s}, err
}

// check fills in what an open model tells.
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

// Load makes a model: level "" takes the weights as they are, or ShapeLevel of a shape; any other name of a recipe or format has them quantised, in memory. done, if not
// nil, is called as that goes on.
func (s *Source) Load(ctx context.Context, level string, done func(done, total int64)) (*Model, error) {
	if s.shape == nil && level == "" {
		return newModel(*s, s.Name)
	}
	var w *gguf.Writer
	var err error
	if s.shape != nil {
		if level == "" {
			level = ShapeLevel
		}
		w, err = s.shape.Random(ctx, catalog.Random{Type: level, Done: done})
	} else {
		f, e := convert.Open(cmp.Or(s.Path, s.Name), s.data)
		if e != nil {
			return nil, e
		}
		defer f.Close()
		w, err = convert.Quantize(ctx, f, convert.Options{Type: level, Done: done})
	}
	if err != nil {
		return nil, err
	}
	data, err := convert.Bytes(s.Name+" as "+strings.ToUpper(level), w)
	if err != nil {
		return nil, err
	}
	return newModel(Source{Name: s.Name, NCtx: s.NCtx, data: data}, s.Name+":"+strings.ToLower(level))
}

// Open opens the GGUF file that the source is, without making a model of it. A shape has none.
func (s *Source) Open() (*gguf.File, error) {
	if s.shape != nil {
		return nil, fmt.Errorf("%s is a shape without weights", s.Name)
	}
	return convert.Open(cmp.Or(s.Path, s.Name), s.data)
}

// Data is the GGUF file in memory that Load makes for a level.
func (s *Source) Data(ctx context.Context, level string) ([]byte, error) {
	m, err := s.Load(ctx, level, nil)
	if err != nil {
		return nil, err
	}
	if m.source.data == nil {
		return nil, fmt.Errorf("%s is a file: want a level to have it in memory", s.Name)
	}
	return m.source.data, nil
}

// CheckLevel returns an error that lists the recipes if there is none of that name, nor a format.
func CheckLevel(level string) error { return quant.CheckTypes(level, false) }

// Model is a model to be measured.
type Model struct {
	Name   string // of the file, or of what is in memory
	Path   string // of the file; empty if there is none
	Type   string // such as "llama 1.10B Q4_K_M"
	Size   int64  // bytes of all weights
	Params int64  // number of all weights
	NCtx   int    // positions that the model was made for

	source Source
	work   work
	vocab  int
}

func newModel(s Source, name string) (*Model, error) {
	m, err := s.open(goinfer.Options{Context: 1, Batch: 1, Threads: 1})
	if err != nil {
		return nil, err
	}
	c, n := m.Info().Config, catalog.Count(m.Info().Tensors)
	kind := m.Info().FileType
	if kind == "" {
		kind = commonType(m.Info().Tensors)
	}
	return &Model{
		Name: name, Path: s.Path, Type: fmt.Sprintf("%s %s %s", c.Arch, catalog.FormatWeights(n.Weights), kind), Size: n.Bytes, Params: n.Weights, NCtx: c.NCtx,
		source: s, work: workOf(m.Info().Tensors), vocab: c.NVocab,
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

// work is what the tensors of a model mean to memory and arithmetic.
type work struct {
	passBytes  int64 // read by a pass of one token
	moe        bool  // passBytes holds for one token only: others choose other experts
	int8, fma  int64 // multiply-adds of a prompt token, with quantised matrices and with others
	head       int64 // multiply-adds of one row of logits
	headIsInt8 bool
}

func workOf(ts []goinfer.Tensor) work {
	w := work{passBytes: catalog.Count(ts).ActiveBytes}
	for _, t := range ts {
		part := t.Used != t.Of
		lookup := part && (strings.HasPrefix(t.Name, "token_embd.") || strings.HasPrefix(t.Name, "position_embd.") || strings.HasPrefix(t.Name, "token_types."))
		if len(t.Shape) < 2 || lookup {
			continue
		}
		w.moe = w.moe || part
		n := t.Elements() * int64(t.Used) / int64(t.Of)
		isInt8 := t.Type.Group() != 0
		switch {
		case t.Name == "output.weight" || t.Name == "token_embd.weight":
			w.head, w.headIsInt8 = w.head+n, isInt8
		case isInt8:
			w.int8 += n
		default:
			w.fma += n
		}
	}
	return w
}

// ops are the operations of evaluating prompts of n tokens in so many sequences: of int8 dot products, and of float32 multiply-adds.
func (w work) ops(n, sequences int) (int8, fma float64) {
	int8, fma = 2*float64(w.int8)*float64(n)*float64(sequences), 2*float64(w.fma)*float64(n)*float64(sequences)
	head := 2 * float64(w.head) * float64(sequences)
	if w.headIsInt8 {
		return int8 + head, fma
	}
	return int8, fma + head
}
