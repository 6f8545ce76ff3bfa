package gguf

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"

	"github.com/goinfer/goinfer/internal/fault"
)

// Override gives a key of the metadata another value for as long as the file is open; the file
// itself is not written. value is an int64, a float64, a bool or a string, and must be of the kind
// that the key has: the width of numbers is the file's. known is false for a key that the file did
// not have, which then has it, as a uint32, int32 or int64, float32, bool or string. It must not be
// called while others read the file.
func (f *File) Override(key string, value any) (known bool, err error) {
	old, known := f.head.values[key]
	kind := old.kind
	if !known {
		if len(key) == 0 || len(key) > maxName {
			return false, fault.In(f.path, fmt.Errorf("a key of %d bytes: want 1 to %d", len(key), maxName))
		}
		kind = usualKind(value)
	}
	v, err := valueOf(kind, value)
	if err != nil {
		return known, fault.In(f.path, fmt.Errorf("key %q: %w", key, err))
	}
	if !known {
		f.head.keys = append(slices.Clip(f.head.keys), key)
	}
	f.head.values[key] = v
	return known, nil
}

// usualKind is the kind that programs write a value of Go in.
func usualKind(value any) Kind {
	switch v := value.(type) {
	case int64:
		switch {
		case v >= 0 && v <= math.MaxUint32:
			return Uint32
		case v < 0 && v >= math.MinInt32:
			return Int32
		}
		return Int64
	case float64:
		return Float32
	case bool:
		return Bool
	}
	return String
}

// valueOf is a value of Go as one of a kind.
func valueOf(kind Kind, value any) (Value, error) {
	wrong := func() (Value, error) {
		return Value{}, fmt.Errorf("the file has %s %s here, which %v (%T) cannot replace", article(kind), kind, value, value)
	}
	switch v := value.(type) {
	case int64:
		size := kinds[kind].size
		if kind == Float32 || kind == Float64 || kind == Bool || size == 0 {
			return wrong()
		}
		made := Value{kind: kind, data: le.AppendUint64(nil, uint64(v))[:size]}
		if n, ok := made.Int(); !ok || n != v {
			return Value{}, fmt.Errorf("%d does not fit the %s that the file has here", v, kind)
		}
		return made, nil
	case float64:
		switch kind {
		case Float32:
			return Value{kind: kind, data: le.AppendUint32(nil, math.Float32bits(float32(v)))}, nil
		case Float64:
			return Value{kind: kind, data: le.AppendUint64(nil, math.Float64bits(v))}, nil
		}
	case bool:
		if kind == Bool {
			b := byte(0)
			if v {
				b = 1
			}
			return Value{kind: kind, data: []byte{b}}, nil
		}
	case string:
		if kind == String {
			return Value{kind: kind, n: len(v), data: []byte(v)}, nil
		}
	default:
		return Value{}, fmt.Errorf("want an int64, a float64, a bool or a string, found %T", value)
	}
	return wrong()
}

// article is "a" or "an" before the name of a kind.
func article(k Kind) string {
	switch k {
	case Int8, Int16, Int32, Int64, Array:
		return "an"
	}
	return "a"
}

// AddNote adds a line to Notes.
func (f *File) AddNote(line string) { f.notes = append(slices.Clip(f.notes), line) }

// OpenFS opens the file of a name in a file system, such as one that is embedded in a program, and
// all of them if it is one of a split model. Weights are read into memory.
func OpenFS(fsys fs.FS, name string, o Options) (_ *File, err error) {
	defer fault.Guard(&err)()
	return openAll(name, func(name string) (*File, error) {
		file, err := fsys.Open(name)
		if err != nil {
			return nil, fault.System(err)
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return nil, fault.System(err)
		}
		if !info.Mode().IsRegular() {
			return nil, fault.Bad(name, fmt.Errorf("want a file, found %s", info.Mode()))
		}
		if r, ok := file.(io.ReaderAt); ok && o.HeaderOnly {
			return readFront(name, r, info.Size())
		}
		return readShard(name, file)
	})
}

// readShard reads one file into memory.
func readShard(name string, r io.Reader) (*File, error) {
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		return nil, fault.System(err)
	}
	data := b.Bytes()
	f, err := parse(name, data, int64(len(data)))
	if err != nil {
		return nil, err
	}
	f.shards[0].data = data[min(f.head.dataFrom, int64(len(data))):]
	return f, nil
}
