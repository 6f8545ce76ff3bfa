package gguf

import (
	"errors"
	"fmt"

	"github.com/goinfer/goinfer/internal/fault"
)

// Sentinels for errors.Is.
var (
	// ErrFormat marks files that are damaged or not GGUF at all.
	ErrFormat = fault.ErrFormat
	// ErrUnsupported marks files that are sound but of a kind that this package does not read.
	ErrUnsupported = fault.ErrUnsupported
)

// FormatError is a fault in a file.
type FormatError struct {
	Path   string
	Offset int64  // where it was met, in bytes from the start of the file
	Key    string // the metadata key or tensor name it concerns, may be empty
	Err    error
}

// Error implements error.
func (e *FormatError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s: %v (at byte %d)", e.Path, e.Err, e.Offset)
	}
	return fmt.Sprintf("%s: %q: %v (at byte %d)", e.Path, shorten(e.Key), e.Err, e.Offset)
}

// Unwrap makes every FormatError an ErrFormat, unless it is an ErrUnsupported.
func (e *FormatError) Unwrap() []error {
	if errors.Is(e.Err, ErrUnsupported) {
		return []error{e.Err}
	}
	return []error{ErrFormat, e.Err}
}

// As finds the path as a [fault.FileError] has it.
func (e *FormatError) As(target any) bool {
	f, ok := target.(**fault.FileError)
	if ok {
		*f = &fault.FileError{Path: e.Path, Err: e.Err}
	}
	return ok
}

// shorten keeps a name from a file that may be megabytes long within a line.
func shorten(s string) string {
	if len(s) > 80 {
		return s[:77] + "..."
	}
	return s
}
