package safetensors

import (
	"fmt"
	"strconv"

	"github.com/goinfer/goinfer/internal/fault"
)

// ErrFormat marks files that are damaged or not of this format, for errors.Is.
var ErrFormat = fault.ErrFormat

// FormatError is a fault in a file.
type FormatError struct {
	Path string
	Name string // the tensor that it concerns, may be empty
	Err  error
}

// Error implements error.
func (e *FormatError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("%s: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("%s: tensor %s: %v", e.Path, quoted(e.Name), e.Err)
}

// Unwrap makes every FormatError an ErrFormat.
func (e *FormatError) Unwrap() []error { return []error{ErrFormat, e.Err} }

// As finds the path as a [fault.FileError] has it.
func (e *FormatError) As(target any) bool {
	f, ok := target.(**fault.FileError)
	if ok {
		*f = &fault.FileError{Path: e.Path, Err: e.Err}
	}
	return ok
}

// quoted is a text from a file for a message: on one line, and not long.
func quoted(s string) string {
	if len(s) > 80 {
		s = s[:77] + "..."
	}
	return strconv.Quote(s)
}
