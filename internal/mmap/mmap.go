// Package mmap gives the contents of a file as a read-only byte slice: mapped into memory where the
// system can, read where it cannot.
//
//	m, err := mmap.Open(path)
//	defer m.Close()
//	use(m.Data())
//
// A mapped file that someone makes shorter lacks pages: to read them is a fault of memory. Those
// who use Data do it under [fault.Guard].
package mmap

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/mem"
)

// Map is a file's contents.
type Map struct {
	data   []byte
	mapped *fault.Mapping // nil where the file was read
}

// ErrUnmappable marks files that can only be read.
var ErrUnmappable = errors.New("cannot be mapped into memory")

// Open maps the regular file at path, or reads it where that is impossible. An empty file has empty
// data.
func Open(path string) (*Map, error) {
	m, err := OpenMapped(path)
	if errors.Is(err, ErrUnmappable) {
		return Read(path)
	}
	return m, err
}

// OpenMapped maps the file or, where that is impossible, returns [ErrUnmappable]: for those who
// need only some of it.
func OpenMapped(path string) (*Map, error) {
	f, n, err := regular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if n == 0 {
		return &Map{}, nil
	}
	data, err := mapFile(f, n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrUnmappable, err)
	}
	return &Map{data, fault.Map(path, data)}, nil
}

// Read reads the whole file in place of mapping it. What does not fit into memory is a
// [fault.ErrMemory].
func Read(path string) (*Map, error) {
	f, n, err := regular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := fits(n); err != nil {
		return nil, fault.In(path, err)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fault.In(path, err)
	}
	return &Map{data: data}, nil
}

// fits refuses what memory has no room for: to ask for it would end the process.
func fits(n int) error {
	have, why, ok := mem.Available()
	if !ok || int64(n) <= have {
		return nil
	}
	return fmt.Errorf("%w to read all of the file: want %d bytes, found %d available (%s)", fault.ErrMemory, n, have, why)
}

// regular opens a file that has a size.
func regular(path string) (*os.File, int, error) {
	// A pipe would block in Open.
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fault.Bad(path, fmt.Errorf("want a regular file, found %s", kind(info.Mode())))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	if info, err = f.Stat(); err == nil && info.Size() > math.MaxInt {
		err = fault.In(path, fmt.Errorf("%w: %d bytes are more than this system can address", ErrUnmappable, info.Size()))
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, int(info.Size()), nil
}

func kind(m os.FileMode) string {
	switch {
	case m.IsDir():
		return "a directory"
	case m&os.ModeNamedPipe != 0:
		return "a pipe"
	case m&os.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// Data is the contents. It must not be written, nor used after Close.
func (m *Map) Data() []byte { return m.data }

// Lock keeps the contents in physical memory.
func (m *Map) Lock() error {
	if len(m.data) == 0 {
		return nil
	}
	return lock(m.data)
}

// Close gives the contents back. It may be called more than once.
func (m *Map) Close() error {
	data := m.data
	m.data = nil
	if m.mapped == nil || data == nil {
		return nil
	}
	m.mapped.End()
	return unmap(data)
}
