package convert

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/quant"
)

// Importance is an importance matrix: for each tensor, the mean square of what each of its columns
// is multiplied by, as measured on a text. Matrices of experts in one tensor have columns of their
// own, one matrix after the other.
type Importance struct {
	Path    string // of the file it was read from
	Dataset string // the text it was measured on, as far as the file has it
	Chunks  int    // of that text
	Columns map[string][]float32
}

// ReadImportance reads an importance matrix of either kind that llama-imatrix writes: GGUF, or the
// older .dat.
func ReadImportance(path string) (*Importance, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		if p, ok := errors.AsType[*fs.PathError](err); ok {
			err = p.Err
		}
		return nil, fault.Bad(path, err)
	}
	m, err := parseImportance(path, data)
	if err != nil {
		return nil, fault.Bad(path, err)
	}
	return m, nil
}

// parseImportance is ReadImportance for a file in memory.
func parseImportance(path string, data []byte) (*Importance, error) {
	read := readDat
	if bytes.HasPrefix(data, []byte("GGUF")) {
		read = readImatrix
	}
	m, err := read(path, data)
	if err != nil {
		return nil, err
	}
	m.Path = path
	for name, columns := range m.Columns {
		for i, v := range columns {
			if !(v >= 0 && v <= math.MaxFloat32) {
				return nil, fmt.Errorf("tensor %.80q: the importance of column %d is %v: want finite numbers from 0 on", name, i, v)
			}
		}
	}
	return m, nil
}

// Names of the tensors of an importance matrix in GGUF begin with that of the weight.
const (
	sumsSuffix   = ".in_sum2" // sums of squares by column, [matrices][columns]
	countsSuffix = ".counts"  // how many were added for each matrix
)

// readImatrix reads the GGUF form.
func readImatrix(path string, data []byte) (*Importance, error) {
	f, err := gguf.OpenBytes(path, data)
	if err != nil {
		return nil, err
	}
	m := &Importance{Columns: map[string][]float32{}}
	sets, ok := f.Value("imatrix.datasets")
	if !ok {
		return nil, errors.New("no key imatrix.datasets: want an importance matrix")
	}
	if names, ok := sets.Strings(); ok && len(names) > 0 {
		m.Dataset = names[0]
	}
	if v, ok := f.Value("imatrix.chunk_count"); ok {
		n, ok := v.Uint()
		if !ok || n > math.MaxInt32 {
			return nil, fmt.Errorf("key imatrix.chunk_count: want a whole number, found %s", v)
		}
		m.Chunks = int(n)
	}
	for _, t := range f.Tensors() {
		name, isSum := strings.CutSuffix(t.Name, sumsSuffix)
		if !isSum {
			if weight, ok := strings.CutSuffix(t.Name, countsSuffix); !ok {
				return nil, fmt.Errorf("tensor %.80q: want names that end in %s or %s", t.Name, sumsSuffix, countsSuffix)
			} else if _, ok := f.Tensor(weight + sumsSuffix); !ok {
				return nil, fmt.Errorf("tensor %.80q: there is no %.80s%s", t.Name, weight, sumsSuffix)
			}
			continue
		}
		c, ok := f.Tensor(name + countsSuffix)
		if !ok || t.Type != quant.F32 || c.Type != quant.F32 || elements(&t) != int64(t.Shape[0])*elements(c) {
			return nil, fmt.Errorf("tensor %.80q: want F32 with a count in F32 for each row of %d in %.80s%s", t.Name, t.Shape[0], name, countsSuffix)
		}
		m.Columns[name] = means(floats32(f.Data(&t)), floats32(f.Data(c)))
	}
	if len(m.Columns) == 0 {
		return nil, errors.New("the importance matrix is empty")
	}
	return m, nil
}

// means divides sums by the counts of their rows. What was never counted gets 1 everywhere: nothing
// is known of it.
func means(sums, counts []float32) []float32 {
	n := len(sums) / len(counts)
	for i, c := range counts {
		for j := i * n; j < (i+1)*n; j++ {
			if c > 0 {
				sums[j] /= c
			} else {
				sums[j] = 1
			}
		}
	}
	return sums
}

func floats32(data []byte) []float32 {
	v := make([]float32, len(data)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return v
}

// readDat reads the older form: a count of entries, each a name, a number of calls, and sums over
// the calls; then, in most files, the number of chunks and the name of the text.
func readDat(_ string, data []byte) (*Importance, error) {
	d := datReader{data: data, size: len(data)}
	n := d.count("entries", 1)
	m := &Importance{Columns: map[string][]float32{}}
	for range n {
		name := string(d.take(d.count("bytes of a name", 1)))
		calls := float32(max(1, int32(d.word("calls"))))
		columns := floats32(d.take(4 * d.count("columns", 4)))
		if d.err != nil {
			return nil, d.err
		}
		if _, twice := m.Columns[name]; twice {
			return nil, fmt.Errorf("offset %d: tensor %.80q occurs twice", d.offset(), name)
		}
		for i := range columns {
			columns[i] /= calls
		}
		m.Columns[name] = columns
	}
	if n == 0 && d.err == nil {
		return nil, errors.New("the importance matrix is empty")
	}
	if d.err == nil && len(d.data) > 0 {
		m.Chunks = int(int32(d.word("chunks")))
		m.Dataset = string(d.take(d.count("bytes of a name", 1)))
	}
	return m, d.err
}

// datReader takes a .dat file apart. After a fault it returns zeros.
type datReader struct {
	data []byte
	size int
	err  error
}

func (d *datReader) offset() int { return d.size - len(d.data) }

func (d *datReader) word(what string) uint32 {
	if d.err == nil && len(d.data) < 4 {
		d.err = fmt.Errorf("offset %d: the file ends before the number of %s: neither GGUF nor an importance matrix", d.offset(), what)
	}
	if d.err != nil {
		return 0
	}
	b := d.data[:4]
	d.data = d.data[4:]
	return binary.LittleEndian.Uint32(b)
}

// count is a number of things of so many bytes each, which the file has room for.
func (d *datReader) count(what string, size int) int {
	at, n := d.offset(), d.word(what)
	if d.err == nil && int64(n)*int64(size) > int64(len(d.data)) {
		d.err = fmt.Errorf("offset %d: %d %s, but %d bytes are left: neither GGUF nor an importance matrix", at, n, what, len(d.data))
	}
	if d.err != nil {
		return 0
	}
	return int(n)
}

func (d *datReader) take(n int) []byte {
	if d.err != nil {
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

// columns returns the importance of the columns of t, a row for each of its matrices, or nil where
// nothing is known.
func (m *Importance) columns(t *gguf.Tensor) ([]float32, error) {
	if m == nil {
		return nil, nil
	}
	columns, ok := m.Columns[t.Name]
	if !ok {
		return nil, nil
	}
	matrices := 1
	if len(t.Shape) > 2 {
		matrices = int(elements(t) / int64(t.Shape[0]) / int64(t.Shape[1]))
	}
	if len(columns) != t.Shape[0]*matrices {
		return nil, fmt.Errorf("%s has importance for %d columns, the tensor has %d", m.Path, len(columns), t.Shape[0]*matrices)
	}
	return columns, nil
}

// importancePrefix begins the keys for the importance a file was quantised with.
const importancePrefix = "quantize.imatrix."

// maxKeyText is the length at which llama-quantize cuts the texts that it writes.
const maxKeyText = 127

// record enters into a file what it was quantised with, as llama-quantize does.
func (m *Importance) record(set func(key string, value any)) {
	set(importancePrefix+"file", shorten(m.Path))
	if m.Dataset != "" {
		set(importancePrefix+"dataset", shorten(m.Dataset))
	}
	set(importancePrefix+"entries_count", uint32(len(m.Columns)))
	if m.Chunks > 0 {
		set(importancePrefix+"chunks_count", uint32(m.Chunks))
	}
}

func shorten(s string) string { return s[:min(len(s), maxKeyText)] }

// Squares are sums of squares of what the columns of a tensor were multiplied with: Sums
// [matrices][columns], and Counts [matrices] of the rows that they are sums over.
type Squares struct {
	Sums   []float64
	Counts []int
}

// ImportanceWriter returns the writer of an importance matrix as llama-imatrix writes it, from what
// was summed for each weight over so many chunks of size tokens of the text dataset.
func ImportanceWriter(squares map[string]*Squares, dataset string, chunks, size int) (*gguf.Writer, error) {
	w := gguf.NewWriter()
	errs := []error{
		w.Set("general.type", "imatrix"),
		w.Set("imatrix.datasets", []string{dataset}),
		w.Set("imatrix.chunk_count", uint32(chunks)),
		w.Set("imatrix.chunk_size", uint32(size)),
	}
	for _, name := range slices.Sorted(maps.Keys(squares)) {
		s := squares[name]
		if slices.Max(s.Counts) == 0 {
			continue // looked up or computed with, but never multiplied by a row
		}
		var sums, counts []byte
		for i, v := range s.Sums {
			if math.IsNaN(v) || v > math.MaxFloat32 {
				return nil, fmt.Errorf("tensor %q: column %d is multiplied with numbers that are not finite", name, i)
			}
			sums = binary.LittleEndian.AppendUint32(sums, math.Float32bits(float32(v)))
		}
		for _, n := range s.Counts {
			counts = binary.LittleEndian.AppendUint32(counts, math.Float32bits(float32(n)))
		}
		errs = append(errs, w.Add(name+sumsSuffix, quant.F32, shape(len(s.Sums)/len(s.Counts), len(s.Counts)), sums),
			w.Add(name+countsSuffix, quant.F32, shape(1, len(s.Counts)), counts))
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
