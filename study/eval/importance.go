package eval

import (
	"context"
	"errors"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/convert"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/gguf/names"
)

// CollectImportance measures an importance matrix: it evaluates chunks of a text, sums the squares
// of what the columns of each matrix in the layers are multiplied with, and returns the writer of a
// file as llama-imatrix writes it. dataset is what the file calls the text; done, if not nil, is
// called after each chunk.
func CollectImportance(ctx context.Context, m *goinfer.Model, chunks [][]int32, dataset string, done func(done, total int)) (*gguf.Writer, error) {
	if len(chunks) == 0 {
		return nil, errors.New("there is no text to measure importance on")
	}
	c := collector{}
	for _, t := range m.Info().Tensors {
		if len(t.Shape) > 1 && names.Parse(t.Name).Layer != names.None {
			matrices := int(t.Elements()) / t.Shape[0] / t.Shape[1]
			c[t.Name] = &convert.Squares{Sums: make([]float64, matrices*t.Shape[0]), Counts: make([]int, matrices)}
		}
	}
	for i, ids := range chunks {
		if err := m.Score(ctx, goinfer.Request{Tokens: ids, Hook: c}); err != nil {
			return nil, err
		}
		if done != nil {
			done(i+1, len(chunks))
		}
	}
	return convert.ImportanceWriter(c, dataset, len(chunks), len(chunks[0]))
}

// collector holds the sums of each matrix. It is a hook that looks at inputs alone.
type collector map[string]*convert.Squares

// Wants implements goinfer.Hook.
func (collector) Wants(int, string) bool { return false }

// Observe implements goinfer.Hook.
func (collector) Observe(*goinfer.Event) {}

// ObserveInput implements goinfer.InputHook.
func (c collector) ObserveInput(weight string, expert int, x []float32) {
	s := c[weight]
	if s == nil {
		return // the head
	}
	s.Counts[expert]++
	sums := s.Sums[expert*len(x):][:len(x)]
	for i, v := range x {
		sums[i] += float64(v) * float64(v)
	}
}
