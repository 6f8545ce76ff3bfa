package engine

import (
	"errors"
	"fmt"

	"github.com/goinfer/goinfer/engine/scheduler"
	"github.com/goinfer/goinfer/model"
)

// Kinds of errors, for errors.Is.
var (
	// ErrContextFull: the prompt is longer than the context.
	ErrContextFull = errors.New("context is full")
	// ErrCacheFull: the request does not fit into Config.CacheBytes, even alone.
	ErrCacheFull = errors.New("the memory for the cache is used up")
	// ErrBusy: as many requests wait as may.
	ErrBusy = scheduler.ErrBusy
	// ErrClosed: the engine, or the model, was closed.
	ErrClosed = errors.New("closed")
	// ErrReentrant: a callback called the model that it is called by, which would wait for itself.
	ErrReentrant = errors.New("a callback of the model may not call the model: it would wait for itself")
	// ErrCallback: code that the request brought along, such as a Hook, panicked or ended its goroutine.
	ErrCallback = errors.New("a callback of the request failed")
	// ErrState: the bytes are no saved state, or a damaged one, or one of another model or other options.
	ErrState = errors.New("no saved state of this model with these options")
)

// errNoLogits is what models without a head answer.
var errNoLogits = fmt.Errorf("the model makes hidden states of texts, no logits and no text: %w", model.ErrUnsupported)

// PanicError is a panic in code of the caller's, or a bug of the engine. It is an [ErrCallback] in the
// first case.
type PanicError struct {
	Value    any
	Stack    []byte // of the goroutine that panicked
	Callback bool   // it was the caller's code
}

// Error says what was panicked with; the stack is apart.
func (e *PanicError) Error() string {
	if e.Callback {
		return fmt.Sprintf("%v: panic: %v", ErrCallback, e.Value)
	}
	return fmt.Sprintf("engine: panic: %v", e.Value)
}

// Is makes a panic of the caller's code an [ErrCallback].
func (e *PanicError) Is(target error) bool { return e.Callback && target == ErrCallback }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// errExit is for callbacks that ended the goroutine.
var errExit = fmt.Errorf("%w: it ended the engine's goroutine (runtime.Goexit, which t.FailNow and require call too)", ErrCallback)
