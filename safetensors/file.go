package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/mmap"
)

// Tensor is a tensor of a file.
type Tensor struct {
	Name   string
	DType  DType
	Shape  []int  // the slowest dimension first; empty for a single number
	Offset int64  // where its bytes begin, from the end of the file's header
	Bytes  int64  // size of all elements
	Data   []byte // a view that must not be written, nor used after Close
	Path   string // the file that has it
}

// Options are how files are opened. The zero value maps them.
type Options struct {
	NoMmap bool // read whole files in place of mapping them
}

// File is an open file, or all files of a set.
type File struct {
	path    string
	maps    []*mmap.Map
	tensors []Tensor
	index   map[string]int
	meta    map[string]string
}

// The names that files have in a checkpoint's folder.
const (
	fileName  = "model.safetensors"
	indexName = "model.safetensors.index.json"
)

// OpenDir opens the weights of a checkpoint's folder: those of its index where it has one, else of
// model.safetensors, else of the only file of this kind.
func OpenDir(dir string, o Options) (*File, error) {
	for _, name := range []string{indexName, fileName} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return Open(path, o)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fault.System(err)
		}
	}
	names, err := filepath.Glob(filepath.Join(escape(dir), "*.safetensors"))
	if err != nil {
		return nil, fault.System(err)
	}
	switch len(names) {
	case 1:
		return Open(names[0], o)
	case 0:
		return nil, fault.Bad(dir, fmt.Errorf("want %s or %s, found neither, nor any other file of the kind: %w", fileName, indexName, fs.ErrNotExist))
	}
	return nil, fault.Bad(dir, fmt.Errorf("%d files but no %s, which says what lies in which: %w", len(names), indexName, fs.ErrNotExist))
}

// escape takes a path for a pattern that finds it alone.
func escape(path string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(path)
}

// Open opens the file at path or, if its name ends in .json, the files that it names.
func Open(path string, o Options) (_ *File, err error) {
	f := &File{path: path, index: map[string]int{}, meta: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	defer fault.Guard(&err)()
	if !strings.HasSuffix(path, ".json") {
		return f, f.add(path, o)
	}
	index, err := readIndex(path)
	if err != nil {
		return nil, err
	}
	for _, name := range index.files {
		if err := f.add(filepath.Join(filepath.Dir(path), name), o); err != nil {
			return nil, err
		}
	}
	return f, f.match(path, index)
}

// OpenBytes opens a file in memory; name is what errors call it. data must not change until Close.
func OpenBytes(name string, data []byte) (*File, error) {
	f := &File{path: name, index: map[string]int{}, meta: map[string]string{}}
	return f, f.enter(name, data)
}

// add opens one file.
func (f *File) add(path string, o Options) error {
	open := mmap.Open
	if o.NoMmap {
		open = mmap.Read
	}
	m, err := open(path)
	if err != nil {
		return fault.System(err)
	}
	f.maps = append(f.maps, m)
	return f.enter(path, m.Data())
}

// enter lists the tensors of a file.
func (f *File) enter(path string, data []byte) error {
	h, name, err := readHeader(data)
	if err != nil {
		return &FormatError{path, name, err}
	}
	for key, value := range h.meta {
		f.meta[key] = value
	}
	for _, t := range h.tensors {
		t.Path = path
		if i, ok := f.index[t.Name]; ok {
			return &FormatError{path, t.Name, fmt.Errorf("%s has it too", filepath.Base(f.tensors[i].Path))}
		}
		f.index[t.Name] = len(f.tensors)
		f.tensors = append(f.tensors, t)
	}
	return nil
}

// index is what an index file says.
type index struct {
	files  []string          // in the order in which they are first named
	places map[string]string // the file of each tensor
}

// readIndex reads an index file.
func readIndex(path string) (index, error) {
	x := index{places: map[string]string{}}
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxHeader {
		return x, &FormatError{path, "", fmt.Errorf("%d bytes: want an index of at most %d", info.Size(), maxHeader)}
	}
	m, err := mmap.Read(path)
	if err != nil {
		return x, fault.System(err)
	}
	defer m.Close()
	found, seen := false, map[string]bool{}
	err = object(m.Data(), func(key string, d *json.Decoder) error {
		var value json.RawMessage
		if err := d.Decode(&value); err != nil || key != "weight_map" {
			return err
		}
		if found {
			return errors.New("weight_map occurs twice")
		}
		found = true
		return object(value, func(name string, d *json.Decoder) error {
			var file *string
			if err := d.Decode(&file); err != nil {
				return fmt.Errorf("tensor %s: %w", quoted(name), plainly(err))
			}
			if _, ok := x.places[name]; ok {
				return fmt.Errorf("weight_map names tensor %s twice", quoted(name))
			}
			// A name with a folder in it could lead anywhere.
			if file == nil || *file == "" || *file != filepath.Base(*file) || !filepath.IsLocal(*file) || strings.ContainsAny(*file, `/\`) {
				return fmt.Errorf("tensor %s: want the name of a file in this folder, found %s", quoted(name), quoted(text(file)))
			}
			x.places[name] = *file
			if !seen[*file] {
				seen[*file] = true
				x.files = append(x.files, *file)
			}
			return nil
		})
	})
	if err == nil && len(x.files) == 0 {
		err = errors.New("want a weight_map with the file of every tensor")
	}
	if err != nil {
		return x, &FormatError{path, "", err}
	}
	return x, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// match checks that every tensor is where the index says, and that the index knows all of them.
func (f *File) match(path string, x index) error {
	for name, file := range x.places {
		if t, ok := f.Tensor(name); !ok || filepath.Base(t.Path) != file {
			return &FormatError{path, name, fmt.Errorf("%s does not have it", file)}
		}
	}
	for i := range f.tensors {
		if t := &f.tensors[i]; x.places[t.Name] == "" {
			return &FormatError{path, t.Name, fmt.Errorf("%s has it, but weight_map does not name it", filepath.Base(t.Path))}
		}
	}
	return nil
}

// Path is the name that the file was opened by.
func (f *File) Path() string { return f.path }

// Tensors lists the tensors in the order of the files, and in each of their bytes.
func (f *File) Tensors() []Tensor { return f.tensors }

// Tensor finds a tensor by name.
func (f *File) Tensor(name string) (*Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return nil, false
	}
	return &f.tensors[i], true
}

// Metadata is what the files say of themselves, such as "format": "pt".
func (f *File) Metadata() map[string]string { return f.meta }

// Lock keeps mapped files in physical memory.
func (f *File) Lock() error {
	for _, m := range f.maps {
		if err := m.Lock(); err != nil {
			return err
		}
	}
	return nil
}

// Close gives the files back; views into them end. It may be called more than once.
func (f *File) Close() error {
	var errs []error
	for _, m := range f.maps {
		errs = append(errs, m.Close())
	}
	f.maps = nil
	for i := range f.tensors {
		f.tensors[i].Data = nil
	}
	return errors.Join(errs...)
}
