package fault

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// PanicError is what code panicked with that was called: a hook, a callback, or the program itself, by a bug. Its text is one line; the stack is for a log.
type PanicError struct {
	Value any    // what panic was called with
	Stack []byte // of the goroutine, as runtime/debug.Stack writes it
}

// Error implements error. It holds no stack, not even where the value's text has one.
func (e *PanicError) Error() string {
	text, _, _ := strings.Cut(fmt.Sprint(e.Value), "\n")
	return "panic: " + text
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Caught is the error of a panic, for a deferred function that has recovered value. A value that knows the stack of another goroutine, on which the panic began, hands that on.
func Caught(value any) *PanicError {
	if p, ok := value.(interface {
		Panicked() (value any, stack []byte)
	}); ok {
		v, stack := p.Panicked()
		return &PanicError{v, stack}
	}
	return &PanicError{value, debug.Stack()}
}
