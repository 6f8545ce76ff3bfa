package safetensors

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
)

// ErrFormat marks files that are damaged or not of this format, for errors.Is.
var ErrFormat = errors.New("damaged file")

// FormatError is a fault in a file.
type FormatError struct {
	Path string
	Name string // of the tensor that it concerns, may be empty
	Err  error
}

// Error implements error.
func (e *FormatError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("safetensors: %s: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("safetensors: %s: tensor %s: %v", e.Path, quoted(e.Name), e.Err)
}

// Unwrap makes every FormatError an ErrFormat.
func (e *FormatError) Unwrap() []error { return []error{ErrFormat, e.Err} }

// quoted is a text from a file for a message: on one line, and not long.
func quoted(s string) string {
	if len(s) > 80 {
		s = s[:77] + "..."
	}
	return strconv.Quote(s)
}

// ioError says in which package and with which file the system refused something.
func ioError(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("safetensors: %s: %w", p.Path, p.Err)
	}
	return fmt.Errorf("safetensors: %w", err)
}
