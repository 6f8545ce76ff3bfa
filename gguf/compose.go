package gguf

import (
	"runtime"
	"slices"
	"sync"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/quant"
)

// KV is a metadata entry; Value is what [Writer.Set] takes.
type KV struct {
	Key   string
	Value any
}

// Rows are the bytes of a tensor of a virtual file. A row has Shape[0] elements; rows are counted
// over all other dimensions. Its methods may be called from many goroutines.
type Rows interface {
	// View is n rows from first on where memory has them one after the other, and nil where it does
	// not. It must not be written.
	View(first, n int) []byte
	// Read makes rows from first on, as many as dst holds.
	Read(dst []byte, first int)
}

// Part is a tensor of a virtual file.
type Part struct {
	Name  string
	Type  quant.Type
	Shape []int // the fastest dimension first
	Rows  Rows
}

// Composition is what a virtual file consists of.
type Composition struct {
	Path  string // what errors call it
	Keys  []KV
	Parts []Part
	Notes []string     // warnings for whoever opens the file, a line each
	Lock  func() error // keeps what the rows are made of in physical memory; may be nil
	Close func() error // gives it back; may be nil
}

// Compose returns a virtual file: metadata and tensors of another format under this one's names. It
// is as good as one that was read; its tensors' bytes are made when they are asked for, and kept
// until Close where they are not views.
func Compose(c Composition) (*File, error) {
	w := NewWriter()
	for _, kv := range c.Keys {
		if err := w.Set(kv.Key, kv.Value); err != nil {
			return nil, fault.Bad(c.Path, err)
		}
	}
	rows := make([]Rows, len(c.Parts))
	for i, p := range c.Parts {
		rows[i] = p.Rows
		if err := w.AddFrom(p.Name, p.Type, p.Shape, nil); err != nil {
			return nil, fault.Bad(c.Path, err)
		}
	}
	f, err := parse(c.Path, w.header(), w.Size())
	if err != nil {
		return nil, err
	}
	f.composed = &composed{rows: rows, notes: c.Notes, lock: c.Lock, close: c.Close, made: map[span][]byte{}}
	return f, nil
}

// composed is what a virtual file has besides.
type composed struct {
	rows        []Rows // by number of the tensor
	notes       []string
	lock, close func() error

	mu   sync.Mutex
	made map[span][]byte
}

// span names some rows of a tensor.
type span struct{ tensor, first, n int }

// keep returns rows: a view of them, or a copy that is made once and kept.
func (c *composed) keep(s span, size int) []byte {
	if b := c.rows[s.tensor].View(s.first, s.n); b != nil {
		return b
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.made[s]
	if !ok {
		b = make([]byte, s.n*size)
		read(c.rows[s.tensor], b, s.first, size)
		c.made[s] = b
	}
	return b
}

// end gives everything back.
func (c *composed) end() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = map[span][]byte{}
	end := c.close
	if c.close = nil; end == nil {
		return nil
	}
	return end()
}

// Rows is n rows of a tensor of this file from first on: a view as that of [File.Data], which makes
// no more of a virtual file than is asked for. A row has Shape[0] elements; rows are counted over
// all other dimensions.
func (f *File) Rows(t *Tensor, first, n int) []byte {
	size := t.Type.RowBytes(t.Shape[0])
	if f.composed != nil {
		return f.composed.keep(span{f.index[t.Name], first, n}, size)
	}
	data := f.Data(t)
	if data == nil {
		return nil
	}
	return data[first*size : (first+n)*size : (first+n)*size]
}

// ReadRows is Rows for those who need them once: what is no view is made in buf, which must be
// large enough, and not kept.
func (f *File) ReadRows(buf []byte, t *Tensor, first, n int) []byte {
	if f.composed == nil {
		return f.Rows(t, first, n)
	}
	rows := f.composed.rows[f.index[t.Name]]
	if b := rows.View(first, n); b != nil {
		return b
	}
	buf = buf[:n*t.Type.RowBytes(t.Shape[0])]
	read(rows, buf, first, t.Type.RowBytes(t.Shape[0]))
	return buf
}

// readPart is about how many bytes are worth a goroutine.
const readPart = 1 << 20

// read has rows made by as many goroutines as run at once.
func read(r Rows, dst []byte, first, size int) {
	rows := len(dst) / size
	parts := min(rows, len(dst)/readPart, runtime.GOMAXPROCS(0))
	if parts < 2 {
		r.Read(dst, first)
		return
	}
	var all sync.WaitGroup
	errs := make([]error, parts)
	for i := range parts {
		from, to := i*rows/parts, (i+1)*rows/parts
		all.Go(func() {
			defer fault.Guard(&errs[i])()
			r.Read(dst[from*size:to*size], first+from)
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			panic(err) // a file that changed, for the guard of the caller
		}
	}
}

// Composed reports whether the file is virtual: made by [Compose].
func (f *File) Composed() bool { return f.composed != nil }

// Notes are warnings for whoever opens the file, a line each.
func (f *File) Notes() []string {
	if f.composed == nil {
		return f.notes
	}
	return slices.Concat(f.composed.notes, f.notes)
}

// rowsOf is the number of rows of a tensor.
func rowsOf(t *Tensor) int { return int(t.Bytes / int64(t.Type.RowBytes(t.Shape[0]))) }
