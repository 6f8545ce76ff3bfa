package gguf

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/mmap"
	"github.com/goinfer/goinfer/quant"
)

// Tensor is where a tensor is stored and what it is.
type Tensor struct {
	Name   string
	Type   quant.Type
	Shape  []int // the fastest dimension first
	Offset int64 // from the beginning of the shard's data
	Bytes  int64
	Shard  int // number of its file in a split model
}

// Options are how a file is opened. The zero value maps it.
type Options struct {
	NoMmap     bool // read the whole file in place of mapping it
	HeaderOnly bool // read metadata and tensor descriptions only; Data is not available
}

// File is an open model.
type File struct {
	path    string
	head    *header
	shards  []shard
	tensors []Tensor
	index   map[string]int

	composed *composed // rows of a virtual file, nil for others
	notes    []string  // warnings besides those it was composed with
}

// shard is one file of a model.
type shard struct {
	path string
	file *mmap.Map // nil for bytes in memory and for headers
	data []byte    // from the beginning of the tensors' data; nil for headers
	size int64
}

// Open opens the file at path. If it is one of the files of a split model, all of them are opened.
func Open(path string, o Options) (_ *File, err error) {
	defer fault.Guard(&err)()
	return openAll(path, func(path string) (*File, error) { return openShard(path, o) })
}

// OpenHeader is [Open] with HeaderOnly for files that are not on this machine: open gives what the
// name path stands for as bytes from anywhere in it, and their number. It is called again for the
// other files of a split model, with their names; an error that is fs.ErrNotExist says that one is
// missing.
func OpenHeader(path string, open func(path string) (r io.ReaderAt, size int64, err error)) (*File, error) {
	return openAll(path, func(path string) (*File, error) {
		r, size, err := open(path)
		if err != nil {
			return nil, err
		}
		return readFront(path, r, size)
	})
}

// openAll opens a file and, if it is one of several, all of them, each by one.
func openAll(path string, one func(path string) (*File, error)) (*File, error) {
	f, err := one(path)
	if err != nil {
		return nil, err
	}
	n, no, err := f.split()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if n > 1 {
		if err := f.Close(); err != nil {
			return nil, err
		}
		return openSplit(path, no, n, one)
	}
	return f, nil
}

// OpenBytes opens a file in memory; name is what errors call it. data must not change until Close.
func OpenBytes(name string, data []byte) (*File, error) {
	f, err := parse(name, data, int64(len(data)))
	if err != nil {
		return nil, err
	}
	n, _, err := f.split()
	if err == nil && n > 1 {
		err = f.fault("split.count", fmt.Errorf("one of %d files of a model: open it by its path: %w", n, ErrUnsupported))
	}
	if err != nil {
		return nil, err
	}
	f.shards[0].data = data[min(f.head.dataFrom, int64(len(data))):]
	return f, nil
}

// openShard opens one file.
func openShard(path string, o Options) (*File, error) {
	if o.HeaderOnly {
		return openHeader(path)
	}
	open := mmap.Open
	if o.NoMmap {
		open = mmap.Read
	}
	m, err := open(path)
	if err != nil {
		return nil, fault.System(err)
	}
	data := m.Data()
	f, err := parse(path, data, int64(len(data)))
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	f.shards[0].file = m
	f.shards[0].data = data[min(f.head.dataFrom, int64(len(data))):]
	return f, nil
}

// openHeader maps a file and looks at its header only.
func openHeader(path string) (*File, error) {
	m, err := mmap.OpenMapped(path)
	if errors.Is(err, mmap.ErrUnmappable) {
		return readFile(path)
	}
	if err != nil {
		return nil, fault.System(err)
	}
	f, err := parse(path, m.Data(), int64(len(m.Data())))
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	f.shards[0].file = m
	return f, nil
}

// readFile reads the header of a file.
func readFile(path string) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fault.System(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fault.System(err)
	}
	return readFront(path, file, info.Size())
}

// maxHeader bounds what is read of a file that cannot be mapped.
const maxHeader = 1 << 30

// readFront reads as much of a file as its header takes.
func readFront(path string, r io.ReaderAt, size int64) (*File, error) {
	for n := min(size, 1<<20); ; n = min(size, 4*n) {
		data, err := front(r, n)
		if err != nil && !(err == io.EOF && n == size) {
			return nil, fault.System(err)
		}
		f, err := parse(path, data, size)
		if !errors.Is(err, errShort) || n >= min(size, maxHeader) {
			return f, err
		}
	}
}

// front is the first n bytes of a file: those that r has in memory, where it can give them, or a
// copy.
func front(r io.ReaderAt, n int64) ([]byte, error) {
	if r, ok := r.(interface {
		Front(n int64) ([]byte, error)
	}); ok {
		return r.Front(n)
	}
	data := make([]byte, n)
	_, err := r.ReadAt(data, 0)
	return data, err
}

// parse reads the header of a file of size bytes that begins with data, and checks the tensors'
// places.
func parse(path string, data []byte, size int64) (_ *File, err error) {
	defer fault.Guard(&err)() // here, so that whoever mapped the file can give it back
	d := &decoder{data: data, size: size}
	h, key, err := readHeader(d)
	if err != nil {
		return nil, &FormatError{Path: path, Offset: int64(d.off), Key: key, Err: err}
	}
	f := &File{path: path, head: h, shards: []shard{{path: path, size: size}}, index: make(map[string]int, len(h.tensors))}
	if err := f.add(h, 0); err != nil {
		return nil, err
	}
	return f, nil
}

// add enters the tensors of a shard after checking that they are within it and do not overlap.
func (f *File) add(h *header, no int) error {
	s := &f.shards[no]
	room := s.size - h.dataFrom
	fault := func(t *Tensor, format string, args ...any) error {
		return &FormatError{Path: s.path, Offset: h.dataFrom + t.Offset, Key: t.Name, Err: fmt.Errorf(format, args...)}
	}
	for i := range h.tensors {
		t := &h.tensors[i]
		if t.Bytes > room || t.Offset > room-t.Bytes {
			return fault(t, "%d bytes from offset %d run past the end of the data (%d bytes)", t.Bytes, t.Offset, max(0, room))
		}
		if _, ok := f.index[t.Name]; ok {
			return fault(t, "the tensor occurs twice")
		}
		t.Shard = no
		f.index[t.Name] = len(f.tensors) + i
	}
	if f.tensors == nil {
		f.tensors = h.tensors
	} else {
		f.tensors = append(f.tensors, h.tensors...)
	}
	order := make([]*Tensor, len(h.tensors))
	for i := range order {
		order[i] = &h.tensors[i]
	}
	slices.SortFunc(order, func(a, b *Tensor) int { return cmp.Compare(a.Offset, b.Offset) })
	for i := 1; i < len(order); i++ {
		if a, b := order[i-1], order[i]; a.Offset+a.Bytes > b.Offset {
			return fault(b, "begins at offset %d, within the tensor %q (%d bytes from offset %d)", b.Offset, shorten(a.Name), a.Bytes, a.Offset)
		}
	}
	return nil
}

func (f *File) fault(key string, err error) error {
	return &FormatError{Path: f.path, Offset: 0, Key: key, Err: err}
}

// split returns the number of files of the model and the number of this one.
func (f *File) split() (count, no int, err error) {
	for _, p := range [...]struct {
		key string
		to  *int
	}{{"split.count", &count}, {"split.no", &no}} {
		if v, ok := f.Value(p.key); ok {
			n, ok := v.Uint()
			if !ok || n > maxShards {
				return 0, 0, f.fault(p.key, fmt.Errorf("want a number up to %d, found %s", maxShards, v))
			}
			*p.to = int(n)
		}
	}
	if count > 1 && no >= count {
		return 0, 0, f.fault("split.no", fmt.Errorf("want a number below split.count, which is %d, found %d", count, no))
	}
	return count, no, nil
}

// maxShards is the most files that names of the form -00001-of-00002.gguf can count.
const maxShards = 99999

var shardName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`)

// openSplit opens all files of a model of n, one of which, number no, is path.
func openSplit(path string, no, n int, one func(path string) (*File, error)) (_ *File, err error) {
	parts := shardName.FindStringSubmatch(path)
	if parts == nil {
		return nil, fault.Bad(path, fmt.Errorf("file %d of a model of %d, whose names end in -00001-of-%05d.gguf: rename it: %w", no+1, n, n, ErrFormat))
	}
	if i, _ := strconv.Atoi(parts[2]); i != no+1 || parts[3] != fmt.Sprintf("%05d", n) {
		return nil, fault.Bad(path, fmt.Errorf("the name does not say that it is file %d of %d: %w", no+1, n, ErrFormat))
	}
	name := func(i int) string { return shardPath(parts[1], i, n) }
	var all *File
	defer func() {
		if err != nil && all != nil {
			err = errors.Join(err, all.Close())
		}
	}()
	for i := range n {
		f, err := one(name(i))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fault.Bad(path, fmt.Errorf("file %d of %d is missing: %s: %w", i+1, n, filepath.Base(name(i)), fs.ErrNotExist))
		}
		if err != nil {
			return nil, err
		}
		count, number, err := f.split()
		if err == nil && (count != n || number != i) {
			err = f.fault("split.no", fmt.Errorf("want file %d of %d, found %d of %d", i+1, n, number+1, count))
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if all == nil {
			all = f
			continue
		}
		all.shards = append(all.shards, f.shards[0])
		if err := all.sameModel(f); err != nil {
			return nil, err
		}
		if err := all.add(f.head, i); err != nil {
			return nil, err
		}
	}
	if v, ok := all.Value(tensorCount); ok {
		if want, ok := v.Uint(); !ok || want != uint64(len(all.tensors)) {
			return nil, all.fault(tensorCount, fmt.Errorf("want the number of tensors in all files, which is %d, found %s", len(all.tensors), v))
		}
	}
	all.path = path
	return all, nil
}

// tensorCount is the key of the number of tensors in all files of a model.
const tensorCount = "split.tensors.count"

// sameModel checks that what a further file of a model repeats of the first one's metadata is the
// same there. Usually it repeats only the keys split.*.
func (f *File) sameModel(other *File) error {
	for _, key := range []string{tensorCount, "general.architecture", "general.name"} {
		a, inFirst := f.Value(key)
		b, inOther := other.Value(key)
		if inFirst && inOther && (a.kind != b.kind || !bytes.Equal(a.data, b.data)) {
			return other.fault(key, fmt.Errorf("want %s, as the first file of the model has, found %s", a, b))
		}
	}
	return nil
}

// Path is the name that the file was opened by.
func (f *File) Path() string { return f.path }

// Version is the version of the format, 2 or 3.
func (f *File) Version() int { return f.head.version }

// Size is the number of bytes of all files of the model.
func (f *File) Size() int64 {
	var n int64
	for i := range f.shards {
		n += f.shards[i].size
	}
	return n
}

// Keys lists the metadata keys in the order of the file.
func (f *File) Keys() []string { return f.head.keys }

// Value finds metadata.
func (f *File) Value(key string) (Value, bool) {
	v, ok := f.head.values[key]
	return v, ok
}

// Tensors lists the tensors in the order of the files.
func (f *File) Tensors() []Tensor { return f.tensors }

// Tensor finds a tensor by name.
func (f *File) Tensor(name string) (*Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return nil, false
	}
	return &f.tensors[i], true
}

// Data is the bytes of a tensor of this file: a view that must not be written, nor used after
// Close. It is nil for files opened with HeaderOnly. Where someone makes a mapped file shorter, to
// read what it lost ends the process, unless debug.SetPanicOnFault makes it a panic; this module's
// own readers return an error.
func (f *File) Data(t *Tensor) []byte {
	if f.composed != nil {
		return f.Rows(t, 0, rowsOf(t))
	}
	data := f.shards[t.Shard].data
	if data == nil {
		return nil
	}
	return data[t.Offset : t.Offset+t.Bytes : t.Offset+t.Bytes]
}

// Lock keeps mapped files in physical memory.
func (f *File) Lock() error {
	if f.composed != nil && f.composed.lock != nil {
		return f.composed.lock()
	}
	for i := range f.shards {
		if m := f.shards[i].file; m != nil && f.shards[i].data != nil {
			if err := m.Lock(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close gives the files back; views into them end. It may be called more than once.
func (f *File) Close() error {
	var errs []error
	for i := range f.shards {
		if m := f.shards[i].file; m != nil {
			errs = append(errs, m.Close())
		}
		f.shards[i].data = nil
	}
	if f.composed != nil {
		errs = append(errs, f.composed.end())
	}
	return errors.Join(errs...)
}
