package disk

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"github.com/goinfer/goinfer/internal/fault"
)

// Write has the file at path written under a temporary name beside it and then renamed, so that
// path never holds half of it and nothing is left of what fails. A link stays a link, to what is
// written, and a file that is replaced hands its permissions on. What exists and is no file, such
// as a device or a pipe, is written directly. Errors name path; those that write returns are passed
// on.
func Write(path string, write func(io.Writer) error) (err error) {
	d := destinationOf(path)
	f, err := d.open()
	if err != nil {
		return err
	}
	whole := false
	defer func() {
		if !whole { // an error, or a panic of write
			f.Close()
			err = errors.Join(err, d.remove())
		}
	}()
	b := bufio.NewWriterSize(f, 1<<20)
	if err := write(b); err != nil {
		return d.named(err)
	}
	if err := b.Flush(); err != nil {
		return d.named(err)
	}
	if err := f.Close(); err != nil {
		return d.named(err)
	}
	if d.name != d.path {
		if err := os.Rename(d.name, d.path); err != nil {
			return d.named(err)
		}
	}
	whole = true
	return nil
}

// Check returns the error that Write would end with if it could not begin, and leaves no file: for
// work that takes long.
func Check(path string) error {
	d := destinationOf(path)
	if info, err := os.Stat(d.path); d.name == d.path && err == nil && !info.IsDir() {
		return nil // to open a pipe and close it again would end it
	}
	f, err := d.open()
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), d.remove())
}

// destination is a path at which a file is to appear, and the name that it has until then: another
// one, unless path is no file.
type destination struct {
	path, name string
	flags      int
	old        fs.FileInfo // the file that is replaced, nil if there is none
}

func destinationOf(path string) destination {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	// At random, so that the file of a killed process is not in the way of the next one with its
	// number.
	d := destination{path: path, name: path + "." + strconv.FormatUint(rand.Uint64(), 36) + ".tmp", flags: os.O_WRONLY | os.O_CREATE | os.O_EXCL}
	switch info, err := os.Stat(path); {
	case err != nil:
	case info.Mode().IsRegular():
		d.old = info
	default:
		d.name, d.flags = path, os.O_WRONLY
	}
	return d
}

func (d destination) open() (*os.File, error) {
	if d.old == nil {
		f, err := os.OpenFile(d.name, d.flags, 0o666)
		return f, d.named(err)
	}
	// What takes the place of a private file is private from the beginning.
	f, err := os.OpenFile(d.name, d.flags, 0o600)
	if err != nil {
		return nil, d.named(err)
	}
	info, err := f.Stat()
	if mode := d.old.Mode().Perm(); err == nil && info.Mode().Perm() != mode {
		err = f.Chmod(mode)
	}
	if err != nil {
		return nil, errors.Join(d.named(err), f.Close(), d.remove())
	}
	return f, nil
}

// remove takes the temporary file away.
func (d destination) remove() error {
	if d.name == d.path {
		return nil
	}
	return os.Remove(d.name)
}

// named is an error about the temporary name as one about the path.
func (d destination) named(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok && p.Path == d.name {
		return fault.In(d.path, p.Err)
	}
	if l, ok := errors.AsType[*os.LinkError](err); ok && l.Old == d.name {
		return fault.In(d.path, l.Err)
	}
	return err
}
