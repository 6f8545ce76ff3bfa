// Package convert turns model files into others.
//
// [Quantize] returns the writer of a file with the same model in other types, by the recipes of llama-quantize:
//
//	f, err := gguf.Open("model-f16.gguf", gguf.Options{})
//	w, err := convert.Quantize(ctx, f, convert.Options{Type: "q4_k_m"})
//	err = w.WriteFile("model-q4_k_m.gguf")
//
// Rows are independent of each other, so that all threads work on one tensor and the result does not depend on their number.
package convert

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/cpu"
	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/quant"
)

// Options say what to make of a file.
type Options struct {
	Type    string                  // a recipe, such as "Q4_K_M", or a format, such as "MXFP4"
	Pure    bool                    // Type is the format of every matrix even if there is a recipe of that name
	Threads int                     // 0 means one for every core the process may use
	Done    func(done, total int64) // called as weights are written, if not nil
}

// Quantize returns the writer of the model in f with matrices of other types. Weights are converted as the file is written, a part of a tensor at a time; f must stay open
// until then, and ctx ends the writing. What is quantised already is quantised again, and loses by it.
func Quantize(ctx context.Context, f *gguf.File, o Options) (*gguf.Writer, error) {
	c, err := model.ReadConfig(model.GGUF(f))
	if err != nil {
		return nil, fmt.Errorf("convert: %s: %w", f.Path(), err)
	}
	ask := make([]quant.Tensor, len(f.Tensors()))
	for i, t := range f.Tensors() {
		ask[i] = quant.Tensor{Name: t.Name, Type: t.Type, Shape: t.Shape}
	}
	types, recipe, err := quant.ChooseTypes(o.Type, o.Pure, c.Facts(), ask)
	if err != nil {
		return nil, fmt.Errorf("convert: %s: %w", f.Path(), err)
	}
	w := gguf.NewWriter()
	set := func(key string, value any) {
		if err == nil {
			err = w.Set(key, value)
		}
	}
	for _, key := range f.Keys() {
		if key == "general.file_type" || key == "general.quantization_version" || strings.HasPrefix(key, "split.") {
			continue
		}
		v, _ := f.Value(key)
		set(key, v)
	}
	if recipe.Valid() {
		set("general.file_type", uint32(recipe))
	}
	if slices.ContainsFunc(types, func(t quant.Type) bool { return t.Group() != 0 }) {
		set("general.quantization_version", quant.FormatVersion)
	}
	if err != nil {
		return nil, fmt.Errorf("convert: %s: %w", f.Path(), err)
	}
	q := &quantizer{ctx: ctx, f: f, o: o}
	for i, t := range f.Tensors() {
		q.total += elements(&t)
		if err := w.AddFrom(t.Name, types[i], t.Shape, func(out io.Writer) error {
			if err := q.write(out, &t, types[i]); err != nil {
				return fmt.Errorf("convert: %s: tensor %q: %w", f.Path(), t.Name, err)
			}
			return nil
		}); err != nil {
			return nil, fmt.Errorf("convert: %s: %w", f.Path(), err)
		}
	}
	return w, nil
}

// quantizer writes tensors.
type quantizer struct {
	ctx         context.Context
	f           *gguf.File
	o           Options
	done, total int64
}

// partBytes is about how much of a tensor is in memory at once, as float32.
const partBytes = 16 << 20

// write writes a tensor as type to.
func (q *quantizer) write(out io.Writer, t *gguf.Tensor, to quant.Type) error {
	defer func() {
		q.done += elements(t)
		if q.o.Done != nil {
			q.o.Done(q.done, q.total)
		}
	}()
	data := q.f.Data(t)
	if t.Type == to {
		_, err := out.Write(data)
		return err
	}
	if !t.Type.IsWeight() {
		return fmt.Errorf("type %s holds no weights", t.Type)
	}
	threads := q.o.Threads
	if threads == 0 {
		threads, _ = cpu.Threads()
	}
	team := par.New(threads)
	defer team.Close()
	n := t.Shape[0]
	rows := len(data) / t.Type.RowBytes(n)
	part := max(1, partBytes/(4*n))
	j := &job{from: t.Type, to: to, n: n, bufs: make([][]float32, threads), dst: make([]byte, min(part, rows)*to.RowBytes(n))}
	for row := 0; row < rows; row += part {
		k := min(part, rows-row)
		j.src = data[row*t.Type.RowBytes(n):]
		j.dst = j.dst[:k*to.RowBytes(n)]
		team.Run(j, k)
		if err := j.err.Load(); err != nil {
			return *err
		}
		if err := context.Cause(q.ctx); err != nil {
			return err
		}
		if _, err := out.Write(j.dst); err != nil {
			return err
		}
	}
	return nil
}

func elements(t *gguf.Tensor) int64 {
	return t.Bytes / int64(t.Type.BlockBytes()) * int64(t.Type.BlockSize())
}

// job converts rows.
type job struct {
	from, to quant.Type
	n        int // weights in a row
	src, dst []byte
	bufs     [][]float32 // of the workers
	err      atomic.Pointer[error]
}

// Run converts a row.
func (j *job) Run(row, worker int) {
	if j.bufs[worker] == nil {
		j.bufs[worker] = make([]float32, j.n)
	}
	buf, a, b := j.bufs[worker], j.from.RowBytes(j.n), j.to.RowBytes(j.n)
	quant.Dequantize(j.from, buf, j.src[row*a:(row+1)*a])
	if err := quant.Quantize(j.to, j.dst[row*b:(row+1)*b], buf); err != nil {
		j.err.Store(&err)
	}
}
