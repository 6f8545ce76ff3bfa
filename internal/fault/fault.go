// Package fault has the kinds of errors that programs distinguish, and the types that carry more
// than a text: the path of a bad file, the field of a wrong argument, what code panicked with. The
// root package exports them all; those below make them.
//
// Texts are for people, and say all that there is to say by themselves:
//
//	m.gguf: "llama.block_count": want a number, found text (at byte 812)
//	Sampling.TopP: want 0 to 1, found 1.5
//
// No text begins with the name of a package. Programs ask by [errors.Is] for a kind and by
// [errors.As] for a type; neither changes the text:
//
//	return fault.Bad(path, fmt.Errorf("no key %q", key)) // is an ErrFormat and a *FileError
//
//	var a fault.Arguments
//	a.Float("TopP", p.TopP, 0, 1)
//	a.AtLeast("MinKeep", p.MinKeep, 0)
//	return a.Err() // every wrong one by itself
package fault

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
)

// The kinds.
var (
	ErrFormat      = errors.New("damaged file")
	ErrUnsupported = errors.New("unsupported")
	ErrMemory      = errors.New("not enough memory")
	ErrInvalid     = errors.New("invalid argument")
	ErrBusy        = errors.New("the queue is full")
	ErrCancelled   = errors.New("cancelled")
)

// Of is err as one of a kind, too. Its text is err's.
func Of(kind, err error) error {
	if err == nil {
		return nil
	}
	return &ofKind{kind, err}
}

type ofKind struct{ kind, err error }

func (e *ofKind) Error() string   { return e.err.Error() }
func (e *ofKind) Unwrap() []error { return []error{e.kind, e.err} }

// Cancelled is the error of work that ended because ctx is done: an [ErrCancelled], and whatever
// ctx gives as the cause.
func Cancelled(ctx context.Context) error { return Of(ErrCancelled, context.Cause(ctx)) }

// FileError says which file an error is about.
type FileError struct {
	// Path is that of a file or of a checkpoint's folder, the name of bytes in memory, or the
	// address on a server.
	Path string
	Err  error
}

// Error implements error.
func (e *FileError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap implements errors.Is and errors.As.
func (e *FileError) Unwrap() error { return e.Err }

// In is err as one about the file at path. Where err is one already, or one of the system about
// that file, the path is not repeated.
func In(path string, err error) error {
	if err == nil {
		return nil
	}
	if about(path, err) {
		return err
	}
	if p, ok := err.(*fs.PathError); ok && p.Path == path {
		err = p.Err
	}
	return &FileError{path, err}
}

// Bad is In for what is wrong with the contents of a file: an [ErrFormat], unless err is of another
// kind or what the system refused.
func Bad(path string, err error) error {
	switch {
	case err == nil || kindOf(err):
		return In(path, err)
	case about(path, err):
		return Of(ErrFormat, err)
	}
	return In(path, Of(ErrFormat, err))
}

// about reports whether the text of err begins with path.
func about(path string, err error) bool {
	f, ok := err.(*FileError)
	if e, as := err.(interface{ As(any) bool }); as {
		ok = e.As(&f)
	}
	return ok && f.Path == path
}

// kindOf reports whether err has a kind.
func kindOf(err error) bool {
	for _, kind := range []error{ErrFormat, ErrUnsupported, ErrMemory, ErrInvalid, ErrBusy, ErrCancelled, context.Canceled, context.DeadlineExceeded, fs.ErrNotExist, fs.ErrPermission} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return errors.As(err, new(syscall.Errno)) || errors.As(err, new(*fs.PathError))
}

// System is an error of the system with the path first, and without the name of the call; other
// errors are returned as they are.
func System(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return In(p.Path, p.Err)
	}
	return err
}
