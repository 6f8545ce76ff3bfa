package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/model/arch"
)

// Kind is what a source is.
type Kind int

// The kinds.
const (
	KindFile       Kind = iota + 1 // a GGUF file, or the files of a split model
	KindFolder                     // the folder of a Hugging Face checkpoint
	KindVocabulary                 // a folder with a vocabulary and without a config.json
	KindConfig                     // a config.json by itself, here or on a web server
	KindMemory                     // a GGUF file in memory
	KindFS                         // a GGUF file in an fs.FS, such as one that is embedded
	KindRemote                     // a GGUF file on a web server, of which the header can be read
	KindShape                      // the shape of a known model, without weights
)

var kindNames = map[Kind]string{
	KindFile: "file", KindFolder: "folder", KindVocabulary: "vocabulary", KindConfig: "config.json", KindMemory: "memory",
	KindFS: "embedded file", KindRemote: "address", KindShape: "shape",
}

// String is the kind in a word.
func (k Kind) String() string { return kindNames[k] }

// Source is what a name stands for. It holds nothing open and may be used from many goroutines.
type Source struct {
	kind   Kind
	name   string // as the user wrote it, or what errors call bytes in memory
	origin string // where it is from, where that is neither a path nor an address: "built in"
	path   string // of the file or folder
	data   []byte // of KindMemory
	fsys   fs.FS  // of KindFS, where path is the name in it

	// What fetches the header of KindRemote, and KindConfig where that is on a server.
	header    func(ctx context.Context) (*gguf.File, error)
	config    func(ctx context.Context) ([]byte, error)
	overrides []Override
	notes     []string // for whoever opens it
}

// Bytes is the source of a GGUF file in memory, such as an embedded one; name is what errors call
// it. data must not change.
func Bytes(name string, data []byte) *Source {
	return &Source{kind: KindMemory, name: name, data: data}
}

// FS is the source of a GGUF file in a file system of Go; of a split model any of its files. path
// has slashes on every system.
func FS(fsys fs.FS, path string) *Source {
	return &Source{kind: KindFS, name: path, fsys: fsys, path: path}
}

// Remote is the source of a model on a server, whose header is fetched by a function of the
// caller's.
func Remote(name string, header func(ctx context.Context) (*gguf.File, error)) *Source {
	return &Source{kind: KindRemote, name: name, header: header}
}

// RemoteConfig is the source of a config.json on a server, which is fetched by a function of the
// caller's.
func RemoteConfig(name string, fetch func(ctx context.Context) ([]byte, error)) *Source {
	return &Source{kind: KindConfig, name: name, config: fetch}
}

// Shape is the source that a known shape without weights has, for those who register its name.
func Shape(name string) *Source {
	return &Source{kind: KindShape, name: name, origin: "a known shape"}
}

// Named returns the source under the name that a user knows it by. origin says in a few words where
// it is from: "built in".
func (s *Source) Named(name, origin string) *Source {
	c := *s
	c.name, c.origin = name, origin
	return &c
}

// Noted returns the source with lines that are among the notes of the file it is opened as.
func (s *Source) Noted(lines ...string) *Source {
	c := *s
	c.notes = slices.Concat(s.notes, lines)
	return &c
}

// Kind is what the source is.
func (s *Source) Kind() Kind { return s.kind }

// Name is what the source was found by. Secrets of an address are left out.
func (s *Source) Name() string { return s.name }

// Path is the path of the file or folder, empty where there is none: in memory, in a file system of
// Go, on a web server.
func (s *Source) Path() string {
	switch s.kind {
	case KindFile, KindFolder, KindVocabulary, KindConfig:
		return s.path
	}
	return ""
}

// Local reports whether weights can be read: not of a shape, of a configuration or a vocabulary by
// itself, nor from a web server.
func (s *Source) Local() bool {
	switch s.kind {
	case KindFile, KindFolder, KindMemory, KindFS:
		return true
	}
	return false
}

// String is the name, with where it is from where that does not show.
func (s *Source) String() string {
	if s.origin != "" {
		return s.name + " (" + s.origin + ")"
	}
	return s.name
}

// Files lists the files of the source by their paths: all of a split model, whether they are there
// or not, and what a folder holds that a checkpoint is made of. It is empty for what has no path.
func (s *Source) Files() []string {
	switch s.kind {
	case KindFile:
		return gguf.Shards(s.path)
	case KindFolder, KindVocabulary:
		return hf.Files(s.path)
	case KindConfig:
		if s.path != "" {
			return []string{s.path}
		}
	}
	return nil
}

// Holds reports whether the file at path is one of those that the source is made of, or would be
// if it existed, such as a further file of weights in the folder of a checkpoint. A program that
// writes files refuses to write these. Links are followed on both sides.
func (s *Source) Holds(path string) bool { return s.Path() != "" && hf.IsPart(path, s.Path()) }

// With returns the source with other values for keys of its metadata. Those that come later win.
func (s *Source) With(overrides ...Override) *Source {
	if len(overrides) == 0 {
		return s
	}
	c := *s
	c.overrides = slices.Concat(s.overrides, overrides)
	return &c
}

// Header opens the source without its weights: metadata and the descriptions of tensors. Of a
// file on a web server no more is fetched than that takes; ctx ends the waiting. A config.json by
// itself has no tensors.
func (s *Source) Header(ctx context.Context) (*gguf.File, error) {
	if s.kind == KindConfig {
		f, _, err := s.Config(ctx)
		return f, err
	}
	return s.open(ctx, gguf.Options{HeaderOnly: true})
}

// Open opens the source whole. It is an error that wraps [gguf.ErrUnsupported] where there are no
// weights that can be read, and where the file is no model but a part or a product of one: an
// adapter, a projector of images, an importance matrix, a control vector.
func (s *Source) Open(ctx context.Context, o gguf.Options) (*gguf.File, error) {
	f, err := s.open(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := CheckModel(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (s *Source) open(ctx context.Context, o gguf.Options) (f *gguf.File, err error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Cancelled(ctx)
	}
	switch s.kind {
	case KindFile:
		f, err = gguf.Open(s.path, o)
	case KindFolder:
		if err := checkFolder(s.path); err != nil {
			return nil, err
		}
		f, err = hf.Open(s.path, arch.Families(), o)
	case KindMemory:
		f, err = gguf.OpenBytes(s.name, s.data)
	case KindFS:
		f, err = gguf.OpenFS(s.fsys, s.path, o)
	case KindRemote:
		if !o.HeaderOnly {
			return nil, s.withoutWeights()
		}
		f, err = s.header(ctx)
	default:
		return nil, s.withoutWeights()
	}
	if err != nil {
		return nil, err
	}
	return s.finish(f)
}

// finish gives an open file the notes and the overrides of the source.
func (s *Source) finish(f *gguf.File) (*gguf.File, error) {
	for _, line := range s.notes {
		f.AddNote(line)
	}
	if err := s.override(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// withoutWeights is why a source cannot be opened whole.
func (s *Source) withoutWeights() error {
	why := ""
	switch s.kind {
	case KindRemote:
		why = "want a file or a folder here, found an address on a web server: fetch the file first; commands that need the header alone read it there"
	case KindConfig:
		why = "a configuration alone is no model: want the folder that it is in, with its weights"
	case KindVocabulary:
		return fault.In(s.path, fmt.Errorf("%s, found a folder with a vocabulary alone: %w", wantModel, gguf.ErrUnsupported))
	case KindShape:
		why = "a known shape, without weights: it can be counted, planned and benchmarked, and a file of it made with random weights"
	}
	return fault.In(s.name, fault.Of(gguf.ErrUnsupported, errors.New(why)))
}

// Vocabulary opens what the vocabulary is read from: of a folder, which then needs neither a
// config.json nor weights, its tokenizer files as metadata, otherwise the header.
func (s *Source) Vocabulary(ctx context.Context) (*gguf.File, error) {
	if s.kind != KindFolder && s.kind != KindVocabulary {
		if s.kind == KindConfig || s.kind == KindShape {
			return nil, s.withoutWeights()
		}
		return s.Header(ctx)
	}
	f, err := hf.OpenVocabulary(s.path)
	if f == nil && err == nil {
		err = fault.Bad(s.path, errors.New("want a vocabulary (tokenizer.json, tokenizer.model or another), found none"))
	}
	if err != nil {
		return nil, err
	}
	return s.finish(f)
}

// Config reads the configuration by itself, without tensors, of a config.json or of a folder, whose
// weights may be missing; traits say which optional tensors it has. Of other kinds it is an error.
func (s *Source) Config(ctx context.Context) (f *gguf.File, t hf.Traits, err error) {
	switch {
	case s.kind == KindConfig && s.config != nil:
		data, fetchErr := s.config(ctx)
		if fetchErr != nil {
			return nil, t, fetchErr
		}
		f, t, err = hf.ParseConfig(s.name, data, arch.Families())
	case s.kind == KindConfig:
		f, t, err = hf.ReadConfig(s.path, arch.Families())
	case s.kind == KindFolder:
		f, t, err = hf.ReadConfig(filepath.Join(s.path, "config.json"), arch.Families())
	default:
		err = fault.In(s.name, fmt.Errorf("want a config.json, found a source of kind %s: %w", s.kind, gguf.ErrUnsupported))
	}
	if err == nil {
		f, err = s.finish(f)
	}
	return f, t, err
}

// exists reports whether there is something at a path.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
