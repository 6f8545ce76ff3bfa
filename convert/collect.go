package convert

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/gguf/names"
	"github.com/goinfer/goinfer/quant"
)

// Collect measures importance: it evaluates chunks of a text, adds up the squares of what the columns of each matrix in the layers are multiplied with, and returns the writer of
// a file as llama-imatrix writes it. dataset is what the file calls the text; done, if not nil, is called after each chunk.
func Collect(ctx context.Context, m *goinfer.Model, chunks [][]int32, dataset string, done func(done, total int)) (*gguf.Writer, error) {
	if len(chunks) == 0 {
		return nil, errors.New("there is no text to measure importance on")
	}
	c := collector{}
	for _, t := range m.Info().Tensors {
		if len(t.Shape) > 1 && names.Parse(t.Name).Layer != names.None {
			matrices := int(t.Elements()) / t.Shape[0] / t.Shape[1]
			c[t.Name] = &squares{sums: make([]float64, matrices*t.Shape[0]), counts: make([]int, matrices)}
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
	return c.writer(len(chunks), len(chunks[0]), dataset)
}

// collector holds what was added up for each matrix. It is a hook that looks at inputs alone.
type collector map[string]*squares

// squares are sums of squares by column, for each matrix of a tensor, and of how many rows.
type squares struct {
	sums   []float64
	counts []int
}

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
	s.counts[expert]++
	sums := s.sums[expert*len(x):][:len(x)]
	for i, v := range x {
		sums[i] += float64(v) * float64(v)
	}
}

func (c collector) writer(chunks, size int, dataset string) (*gguf.Writer, error) {
	w := gguf.NewWriter()
	errs := []error{
		w.Set("general.type", "imatrix"),
		w.Set("imatrix.datasets", []string{dataset}),
		w.Set("imatrix.chunk_count", uint32(chunks)),
		w.Set("imatrix.chunk_size", uint32(size)),
	}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		s := c[name]
		if slices.Max(s.counts) == 0 {
			continue // looked up or computed with, but never multiplied by a row
		}
		var sums, counts []byte
		for i, v := range s.sums {
			if math.IsNaN(v) || v > math.MaxFloat32 {
				return nil, fmt.Errorf("tensor %q: column %d is multiplied with numbers that are not finite", name, i)
			}
			sums = binary.LittleEndian.AppendUint32(sums, math.Float32bits(float32(v)))
		}
		for _, n := range s.counts {
			counts = binary.LittleEndian.AppendUint32(counts, math.Float32bits(float32(n)))
		}
		errs = append(errs, w.Add(name+sumsSuffix, quant.F32, shape(len(s.sums)/len(s.counts), len(s.counts)), sums),
			w.Add(name+countsSuffix, quant.F32, shape(1, len(s.counts)), counts))
	}
	return w, errors.Join(errs...)
}

// shape is that of so many rows of n, without a last dimension of 1, which ggml does not write.
func shape(n, rows int) []int {
	if rows == 1 {
		return []int{n}
	}
	return []int{n, rows}
}
