package fault

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
)

// PanicError is what code panicked with that was called: a hook, a callback, or the program itself,
// by a bug. Its text is one line; the stack is for a log.
type PanicError struct {
	Value any    // what panic was called with
	Stack []byte // stack of the goroutine, as runtime/debug.Stack writes it
}

// Error implements error. It holds no stack, not even where the value's text has one.
func (e *PanicError) Error() string {
	if e.changed() {
		return e.Value.(*FileError).Error()
	}
	text, _, _ := strings.Cut(fmt.Sprint(e.Value), "\n")
	return "panic: " + text
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// As finds the file that changed, which the text of the error then begins with.
func (e *PanicError) As(target any) bool {
	f, ok := target.(**FileError)
	if ok = ok && e.changed(); ok {
		*f = e.Value.(*FileError)
	}
	return ok
}

// changed reports whether the panic was a fault of memory in a file that had been mapped.
func (e *PanicError) changed() bool {
	f, ok := e.Value.(*FileError)
	return ok && errors.Is(f, errChanged)
}

// Caught is the error of a panic, for a deferred function that has recovered value. A value that
// knows the stack of another goroutine, on which the panic began, hands that on. If a mapped file
// lacks what was read, the error is about that file, an [ErrFormat]: see [Map].
func Caught(value any) *PanicError {
	if p, ok := value.(*PanicError); ok {
		return p
	}
	if p, ok := value.(interface {
		Panicked() (value any, stack []byte)
	}); ok {
		v, stack := p.Panicked()
		if err := changed(v); err != nil {
			v = err
		}
		return &PanicError{v, stack}
	}
	if err := changed(value); err != nil {
		value = err
	}
	return &PanicError{value, debug.Stack()}
}
