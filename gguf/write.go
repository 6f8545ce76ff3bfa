package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/goinfer/goinfer/internal/disk"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/quant"
)

// Writer collects metadata and tensors and writes them as a file of version 3. Call Set and Add in
// the order in which the file shall hold them.
type Writer struct {
	keys    []byte
	nKeys   uint64
	seen    map[string]bool // keys
	names   map[string]bool // tensors
	align   int64
	tensors []Tensor
	data    []func(io.Writer) error
	size    int64
}

// NewWriter returns a writer with nothing in it.
func NewWriter() *Writer {
	return &Writer{seen: map[string]bool{}, names: map[string]bool{}, align: 32}
}

// Set adds a metadata entry. value is a bool, a string, a number of a sized type, a slice of these,
// or a [Value] of another file. The key general.alignment takes effect on the file and must come
// before tensors.
func (w *Writer) Set(key string, value any) error {
	if len(key) > maxName {
		return fmt.Errorf("a key of %d bytes: want at most %d", len(key), maxName)
	}
	if w.seen[key] {
		return fmt.Errorf("key %q is set twice", key)
	}
	kind, b, err := encode(value)
	if err != nil {
		return fmt.Errorf("key %q: %w", key, err)
	}
	if key == "general.alignment" {
		n, ok := Value{kind: kind, data: b}.Uint()
		if !ok || n == 0 || n > maxAlign || n&(n-1) != 0 || len(w.tensors) > 0 {
			return fmt.Errorf("key %q: want a power of two up to %d, before tensors, found %v", key, maxAlign, value)
		}
		w.align = int64(n)
	}
	w.seen[key] = true
	w.nKeys++
	w.keys = appendString(w.keys, key)
	w.keys = le.AppendUint32(w.keys, uint32(kind))
	w.keys = append(w.keys, b...)
	return nil
}

func appendString(b []byte, s string) []byte {
	return append(le.AppendUint64(b, uint64(len(s))), s...)
}

// encode returns a value's kind and bytes.
func encode(value any) (Kind, []byte, error) {
	switch v := value.(type) {
	case Value:
		var b []byte
		switch v.kind {
		case Array:
			b = arrayHeader(v.elem, v.n)
		case String:
			b = le.AppendUint64(nil, uint64(v.n))
		}
		return v.kind, append(b, v.data...), nil
	case string:
		return String, appendString(nil, v), nil
	case []string:
		b := arrayHeader(String, len(v))
		for _, s := range v {
			b = appendString(b, s)
		}
		return Array, b, nil
	}
	kind, n := kindOf(value)
	if kind == Array {
		return 0, nil, fmt.Errorf("a %T has no place in a file: want a bool, a string, a number of a sized type, or a slice of these", value)
	}
	var b []byte
	if n >= 0 {
		b, kind = arrayHeader(kind, n), Array
	}
	b, err := binary.Append(b, le, value)
	return kind, b, err
}

var le = binary.LittleEndian

func arrayHeader(elem Kind, n int) []byte {
	return le.AppendUint64(le.AppendUint32(nil, uint32(elem)), uint64(n))
}

// kindOf returns the kind of a number or bool, or that of the elements of a slice and its length.
// Of anything else it returns Array.
func kindOf(value any) (kind Kind, n int) {
	switch v := value.(type) {
	case bool:
		return Bool, -1
	case uint8:
		return Uint8, -1
	case int8:
		return Int8, -1
	case uint16:
		return Uint16, -1
	case int16:
		return Int16, -1
	case uint32:
		return Uint32, -1
	case int32:
		return Int32, -1
	case float32:
		return Float32, -1
	case uint64:
		return Uint64, -1
	case int64:
		return Int64, -1
	case float64:
		return Float64, -1
	case []bool:
		return Bool, len(v)
	case []uint8:
		return Uint8, len(v)
	case []int8:
		return Int8, len(v)
	case []uint16:
		return Uint16, len(v)
	case []int16:
		return Int16, len(v)
	case []uint32:
		return Uint32, len(v)
	case []int32:
		return Int32, len(v)
	case []float32:
		return Float32, len(v)
	case []uint64:
		return Uint64, len(v)
	case []int64:
		return Int64, len(v)
	case []float64:
		return Float64, len(v)
	}
	return Array, -1
}

// Add adds a tensor. shape is in the order of files, the fastest dimension first. data is kept, not
// copied, until the file is written.
func (w *Writer) Add(name string, t quant.Type, shape []int, data []byte) error {
	return w.add(name, t, shape, int64(len(data)), func(out io.Writer) error {
		_, err := out.Write(data)
		return err
	})
}

// AddFrom adds a tensor that need not be in memory: when the file is written, write is called to
// write its bytes.
func (w *Writer) AddFrom(name string, t quant.Type, shape []int, write func(io.Writer) error) error {
	return w.add(name, t, shape, -1, write)
}

// add adds a tensor of so many bytes, -1 meaning as many as its shape takes.
func (w *Writer) add(name string, t quant.Type, shape []int, bytes int64, write func(io.Writer) error) error {
	if len(name) > maxName {
		return fmt.Errorf("a tensor name of %d bytes: want at most %d", len(name), maxName)
	}
	if !t.Valid() {
		return fmt.Errorf("tensor %q: unknown type %d", name, uint32(t))
	}
	if len(shape) < 1 || len(shape) > maxDims || shape[0]%t.BlockSize() != 0 {
		return fmt.Errorf("tensor %q: no %s tensor has shape %v", name, t, shape)
	}
	n := 1
	for _, s := range shape {
		if s < 1 || n > math.MaxInt/s {
			return fmt.Errorf("tensor %q: no tensor has shape %v", name, shape)
		}
		n *= s
	}
	if int64(n/t.BlockSize()) > (math.MaxInt64-w.size-w.align)/int64(t.BlockBytes()) {
		return fmt.Errorf("tensor %q: no file has room for shape %v", name, shape)
	}
	want := int64(n/t.BlockSize()) * int64(t.BlockBytes())
	if bytes >= 0 && bytes != want {
		return fmt.Errorf("tensor %q: %v %s weights take %d bytes, found %d", name, shape, t, want, bytes)
	}
	if w.names[name] {
		return fmt.Errorf("tensor %q is added twice", name)
	}
	w.names[name] = true
	w.tensors = append(w.tensors, Tensor{Name: name, Type: t, Shape: append([]int(nil), shape...), Offset: w.size, Bytes: want})
	w.data = append(w.data, write)
	w.size += w.pad(want)
	return nil
}

// Tensors lists what was added, in order.
func (w *Writer) Tensors() []Tensor { return w.tensors }

// pad rounds n up to the alignment.
func (w *Writer) pad(n int64) int64 { return (n + w.align - 1) / w.align * w.align }

// Size is the number of bytes that the file will have.
func (w *Writer) Size() int64 { return int64(len(w.header())) + w.size }

// header is all that comes before the tensors' data.
func (w *Writer) header() []byte {
	b := append([]byte("GGUF"), 3, 0, 0, 0)
	b = le.AppendUint64(b, uint64(len(w.tensors)))
	b = le.AppendUint64(b, w.nKeys)
	b = append(b, w.keys...)
	for i := range w.tensors {
		t := &w.tensors[i]
		b = appendString(b, t.Name)
		b = le.AppendUint32(b, uint32(len(t.Shape)))
		for _, n := range t.Shape {
			b = le.AppendUint64(b, uint64(n))
		}
		b = le.AppendUint32(b, uint32(t.Type))
		b = le.AppendUint64(b, uint64(t.Offset))
	}
	return append(b, make([]byte, w.pad(int64(len(b)))-int64(len(b)))...)
}

// WriteTo writes the file.
func (w *Writer) WriteTo(out io.Writer) (_ int64, err error) {
	defer fault.Guard(&err)()
	c := &counter{out: out}
	if _, err := c.Write(w.header()); err != nil {
		return c.n, err
	}
	zeros := make([]byte, w.align)
	for i, write := range w.data {
		t := &w.tensors[i]
		before := c.n
		if err := write(c); err != nil {
			return c.n, err
		}
		if n := c.n - before; n != t.Bytes {
			return c.n, fmt.Errorf("tensor %q: want %d bytes written, found %d", t.Name, t.Bytes, n)
		}
		if _, err := c.Write(zeros[:w.pad(t.Bytes)-t.Bytes]); err != nil {
			return c.n, err
		}
	}
	return c.n, nil
}

// counter counts what is written.
type counter struct {
	out io.Writer
	n   int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.out.Write(b)
	c.n += int64(n)
	return n, err
}

// WriteFile writes the file under a temporary name in the folder of path and then renames it, so
// that path never holds half a file.
func (w *Writer) WriteFile(path string) error {
	err := disk.Write(path, func(out io.Writer) error {
		_, err := w.WriteTo(out)
		return err
	})
	if err != nil {
		return err
	}
	return nil
}
