// Package convert writes models as files, in the types that they have or in others.
//
// [Quantize] returns the writer of a file with the model of an open file, such as package source
// opens. A file type such as Q4_K_M is a mix of types: [ChooseTypes] gives each
// tensor the type that llama-quantize gives it, so that files have the same sizes. Weights pass
// through memory a part at a time, so that a model may be larger than memory. [InMemory] makes the
// file in memory instead, to be opened at once.
//
// [ReadImportance] reads an importance matrix, with which errors become small where they cost most;
// [ImportanceWriter] writes one. Package study/eval measures them.
//
// Rows are independent of each other, so that all threads work on one tensor and the result does
// not depend on their number.
package convert

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/cpu"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/mem"
	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/model/arch"
	"github.com/goinfer/goinfer/quant"
)

// Options say what to make of a file.
type Options struct {
	// Type is a file type, such as "Q4_K_M", or a format, such as "MXFP4"; empty leaves every
	// tensor as it is.
	Type string
	// Type is the format of every matrix even if there is a file type of that name
	Pure bool
	// types of single matrices; of several that fit, the first counts
	Overrides  []Override
	Importance *Importance             // what errors of a column cost; nil means all the same
	Threads    int                     // 0 means one for every core the process may use
	Done       func(done, total int64) // called as weights are written, if not nil
	// Alter, if not nil, may change the rows of matrices on their way. It is called from several
	// goroutines.
	Alter func(tensor string, row int, weights []float32)
}

// Override gives the matrices whose name Pattern finds a type of their own.
type Override struct {
	Pattern *regexp.Regexp
	Type    quant.Type
}

// ParseOverride reads PATTERN=TYPE, such as "attn_v=q8_0" or "blk\\.[0-3]\\.ffn_down=q6_k".
func ParseOverride(s string) (Override, error) {
	pattern, name, ok := cutLast(s, "=")
	if !ok || pattern == "" {
		return Override{}, fmt.Errorf("want PATTERN=TYPE, found %q", s)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return Override{}, fmt.Errorf("%q: %w", s, err)
	}
	t, err := quant.ParseType(name)
	if err == nil && !quant.CanQuantize(t) {
		err = fmt.Errorf("%s is not a type that can be written", t)
	}
	if err != nil {
		return Override{}, fmt.Errorf("%q: %w", s, err)
	}
	return Override{re, t}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// Quantize returns the writer of the model in f with matrices of other types. A checkpoint that
// lacks something is an error; a file may be of an architecture that is not known here. Weights are
// converted as the file is written, a part of a tensor at a time; f must stay open until then, and
// ctx ends the writing. What is quantised already is quantised again, and loses by it.
func Quantize(ctx context.Context, f *gguf.File, o Options) (_ *gguf.Writer, err error) {
	defer fault.Guard(&err)()
	if o.Threads < 0 || o.Threads > par.MaxThreads {
		return nil, fault.Argument("Threads", fmt.Sprintf("0 to %d", par.MaxThreads), o.Threads)
	}
	c, err := model.ReadConfig(model.GGUF(f))
	if err != nil {
		return nil, fault.In(f.Path(), err)
	}
	if f.Composed() {
		has := func(name string) bool { _, ok := f.Tensor(name); return ok }
		if _, err := arch.Build(model.BindHeader(c, has)); err != nil {
			return nil, fault.Bad(f.Path(), err)
		}
	}
	types, ftype, err := typesOf(f, c, o, false)
	if err != nil {
		return nil, fault.In(f.Path(), err)
	}
	w := gguf.NewWriter()
	set := func(key string, value any) {
		if err == nil {
			err = w.Set(key, value)
		}
	}
	for _, key := range f.Keys() {
		if key == "general.file_type" && o.Type != "" || key == "general.quantization_version" || strings.HasPrefix(key, "split.") ||
			o.Importance != nil && strings.HasPrefix(key, importancePrefix) {
			continue
		}
		v, _ := f.Value(key)
		set(key, v)
	}
	if o.Type != "" && ftype.Valid() {
		set("general.file_type", uint32(ftype))
	}
	set("general.quantization_version", quant.FormatVersion)
	if o.Importance != nil {
		o.Importance.record(set)
	}
	if err != nil {
		return nil, fault.In(f.Path(), err)
	}
	q := &quantizer{ctx: ctx, f: f, o: o}
	for i, t := range f.Tensors() {
		q.total += elements(&t)
		if err := w.AddFrom(t.Name, types[i], t.Shape, func(out io.Writer) error {
			if err := q.write(out, &t, types[i]); err != nil {
				return fault.In(f.Path(), fmt.Errorf("tensor %.80q: %w", t.Name, err))
			}
			return nil
		}); err != nil {
			return nil, fault.In(f.Path(), err)
		}
	}
	return w, nil
}

// choose gives every tensor its type.
func choose(o Options, info ModelInfo, tensors []gguf.Tensor) ([]quant.Type, gguf.FileType, error) {
	if o.Type != "" {
		return ChooseTypes(o.Type, o.Pure, info, tensors)
	}
	types := make([]quant.Type, len(tensors))
	for i := range tensors {
		types[i] = tensors[i].Type
	}
	return types, 0, nil
}

// InMemory is the file that Quantize would write. It is refused where it is larger than what memory
// has left.
func InMemory(ctx context.Context, f *gguf.File, o Options) ([]byte, error) {
	w, err := Quantize(ctx, f, o)
	if err != nil {
		return nil, err
	}
	return Bytes(f.Path()+" as "+strings.ToUpper(o.Type), w)
}

// Bytes is the file that w would write; what names it in the error where it is larger than what
// memory has left.
func Bytes(what string, w *gguf.Writer) ([]byte, error) {
	if have, why, ok := mem.Available(); ok && w.Size() > have {
		return nil, fmt.Errorf("%s takes %s; available are %s (%s): %w", what, mem.Size(w.Size()), mem.Size(have), why, fault.ErrMemory)
	}
	if w.Size() > math.MaxInt {
		return nil, fmt.Errorf("%s takes %s, more than can be addressed", what, mem.Size(w.Size()))
	}
	b := bytes.NewBuffer(make([]byte, 0, w.Size()))
	_, err := w.WriteTo(b)
	return b.Bytes(), err
}

// largestBlock is a whole number of blocks of any type.
const largestBlock = 256

// typesOf chooses the types of the tensors of f; whole chooses as if all rows were a whole number
// of blocks, and so what the types would be if none had to be replaced for that.
func typesOf(f *gguf.File, c model.Config, o Options, whole bool) ([]quant.Type, gguf.FileType, error) {
	tensors := slices.Clone(f.Tensors())
	for i := range tensors {
		if shape := slices.Clone(tensors[i].Shape); whole && len(shape) > 0 {
			shape[0] = (shape[0] + largestBlock - 1) / largestBlock * largestBlock
			tensors[i].Shape = shape
		}
	}
	info, used := InfoOf(c), make([]bool, len(o.Overrides))
	info.Importance = o.Importance != nil
	info.Override = func(name string) (quant.Type, bool) {
		i := slices.IndexFunc(o.Overrides, func(v Override) bool { return v.Pattern.MatchString(name) })
		if i < 0 {
			return 0, false
		}
		used[i] = true
		return o.Overrides[i].Type, true
	}
	types, ftype, err := choose(o, info, tensors)
	if i := slices.Index(used, false); err == nil && i >= 0 {
		err = fmt.Errorf("no matrix to be converted has a name with %q, or others were asked for before", o.Overrides[i].Pattern)
	}
	return types, ftype, err
}

// fallbacks is a line about the matrices whose rows are no whole number of the blocks that they
// would be quantised to, and which therefore get other types; empty where there are none.
func fallbacks(f *gguf.File, w *gguf.Writer, o Options) string {
	c, err := model.ReadConfig(model.GGUF(f))
	if err != nil {
		return ""
	}
	wanted, _, err := typesOf(f, c, o, true)
	if err != nil {
		return ""
	}
	counts, n := map[string]int{}, 0
	for i, t := range w.Tensors() {
		if t.Type != wanted[i] {
			counts[fmt.Sprintf("%s in place of %s", t.Type, wanted[i])]++
			n++
		}
	}
	if n == 0 {
		return ""
	}
	var parts []string
	for _, change := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[change], change))
	}
	return fmt.Sprintf("%d of %d tensors have rows that are no whole number of blocks and get another type: %s", n, len(wanted), strings.Join(parts, ", "))
}

// Warnings reports, one line each, what makes the file of w, which Quantize made of f, worse than
// it need be.
func Warnings(f *gguf.File, w *gguf.Writer, o Options) []string {
	var again, poor []string
	m, err := gguf.ParseFileType(o.Type)
	for i, t := range w.Tensors() {
		from := f.Tensors()[i].Type
		if t.Type == from {
			continue
		}
		if from.Group() != 0 && t.Type.Group() != 0 {
			again = append(again, t.Name)
		}
		if c, e := o.Importance.columns(&t); e == nil && c == nil && err == nil && needsImportance(m, t.Name, t.Type) {
			poor = append(poor, t.Name)
		}
	}
	var lines []string
	if len(again) > 0 {
		lines = append(lines, fmt.Sprintf("%d matrices are quantised already and lose again, the first is %s", len(again), again[0]))
	}
	if len(poor) > 0 {
		lines = append(lines, fmt.Sprintf("%d matrices get so few bits that they want an importance matrix, the first is %s", len(poor), poor[0]))
	}
	if line := fallbacks(f, w, o); line != "" {
		lines = append(lines, line)
	}
	if m := o.Importance; m != nil {
		unmapped := slices.DeleteFunc(slices.Sorted(maps.Keys(m.Columns)), func(name string) bool {
			_, ok := f.Tensor(name)
			return ok
		})
		if len(unmapped) > 0 {
			lines = append(lines, fmt.Sprintf("%s is of another model: there is no tensor for %d of %d entries, the first is %s", m.Path, len(unmapped), len(m.Columns), unmapped[0]))
		}
	}
	return lines
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
	n := t.Shape[0]
	size, rows := t.Type.RowBytes(n), int(elements(t))/n
	part := max(1, partBytes/(4*n))
	buf := make([]byte, min(part, rows)*size) // for what is no view
	alter := q.o.Alter != nil && len(t.Shape) > 1
	if t.Type == to && !alter {
		return q.copy(out, t, buf, rows)
	}
	if !t.Type.IsWeight() {
		return fmt.Errorf("type %s holds no weights", t.Type)
	}
	threads := q.o.Threads
	if threads == 0 {
		threads, _ = cpu.Threads()
	}
	importance, err := q.o.Importance.columns(t)
	if err != nil {
		return err
	}
	team := par.New(threads)
	defer team.Close()
	j := &job{from: t.Type, to: to, n: n, importance: importance, perMatrix: matrixRows(t), bufs: make([][]float32, threads), dst: make([]byte, min(part, rows)*to.RowBytes(n))}
	if alter {
		j.alter = func(row int, w []float32) { q.o.Alter(t.Name, row, w) }
	}
	for row := 0; row < rows; row += part {
		k := min(part, rows-row)
		j.first, j.src = row, q.f.ReadRows(buf, t, row, k)
		j.dst = j.dst[:k*to.RowBytes(n)]
		team.Run(j, k)
		if err := j.err.Load(); err != nil {
			return *err
		}
		if err := fault.Cancelled(q.ctx); err != nil {
			return err
		}
		if _, err := out.Write(j.dst); err != nil {
			return err
		}
	}
	return nil
}

// copy writes rows as they are, as many at once as buf holds.
func (q *quantizer) copy(out io.Writer, t *gguf.Tensor, buf []byte, rows int) error {
	part := len(buf) / t.Type.RowBytes(t.Shape[0])
	for row := 0; row < rows; row += part {
		if err := fault.Cancelled(q.ctx); err != nil {
			return err
		}
		// Copied, so that no system call meets a file that became shorter: its error would name the
		// output.
		n := copy(buf, q.f.ReadRows(buf, t, row, min(part, rows-row)))
		if _, err := out.Write(buf[:n]); err != nil {
			return err
		}
	}
	return nil
}

// matrixRows is the number of rows of one of the matrices that a tensor holds.
func matrixRows(t *gguf.Tensor) int {
	if len(t.Shape) < 2 {
		return 1
	}
	return t.Shape[1]
}

func elements(t *gguf.Tensor) int64 {
	return t.Bytes / int64(t.Type.BlockBytes()) * int64(t.Type.BlockSize())
}

// job converts rows.
type job struct {
	from, to quant.Type
	n        int // weights in a row
	first    int // number in the tensor of the first row
	src, dst []byte
	bufs     [][]float32 // of the workers
	err      atomic.Pointer[error]

	alter func(row int, w []float32) // nil for none
	// of the columns of each matrix, one after the other; nil where unknown
	importance []float32
	perMatrix  int // rows of a matrix
}

// Run converts a row.
func (j *job) Run(row, worker int) {
	if j.bufs[worker] == nil {
		j.bufs[worker] = make([]float32, j.n)
	}
	buf, a, b := j.bufs[worker], j.from.RowBytes(j.n), j.to.RowBytes(j.n)
	quant.Dequantize(j.from, buf, j.src[row*a:(row+1)*a])
	if j.alter != nil {
		j.alter(j.first+row, buf)
	}
	var importance []float32
	if j.importance != nil {
		m := (j.first + row) / j.perMatrix
		importance = j.importance[m*j.n : (m+1)*j.n]
	}
	if err := quant.QuantizeRow(j.to, j.dst[row*b:(row+1)*b], buf, importance); err != nil {
		j.err.Store(&err)
	}
}

// Sum is what the tensors of one type in a file come to.
type Sum struct {
	Type           quant.Type
	Tensors        int
	Weights, Bytes int64
}

// Tally sums up tensors by type, the types with the most bytes first.
func Tally(tensors []gguf.Tensor) []Sum {
	var sums []Sum
	for _, t := range tensors {
		i := slices.IndexFunc(sums, func(s Sum) bool { return s.Type == t.Type })
		if i < 0 {
			i, sums = len(sums), append(sums, Sum{Type: t.Type})
		}
		sums[i].Tensors++
		sums[i].Weights += elements(&t)
		sums[i].Bytes += t.Bytes
	}
	slices.SortStableFunc(sums, func(a, b Sum) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return sums
}
