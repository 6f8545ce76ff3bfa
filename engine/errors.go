package engine

import (
	"errors"
	"fmt"

	"github.com/goinfer/goinfer/internal/fault"
)

// Kinds of errors, for errors.Is. Fields of a request that cannot be used are a
// *fault.ArgumentError each.
var (
	// ErrContextFull: the prompt is longer than the context.
	ErrContextFull = errors.New("context is full")
	// ErrCacheFull: the request does not fit into Config.CacheBytes, even alone.
	ErrCacheFull = errors.New("the memory for the cache is used up")
	// ErrBusy: as many requests wait as may.
	ErrBusy = fault.ErrBusy
	// ErrClosed: the engine, or the model, was closed.
	ErrClosed = errors.New("the model is closed")
	// ErrReentrant: a callback called the model that it is called by, which would wait for itself.
	ErrReentrant = errors.New("a callback of the model may not call the model: it would wait for itself")
	// ErrCallback: code that the request brought along, such as a Hook, panicked or ended its
	// goroutine.
	ErrCallback = errors.New("a callback of the request failed")
	// ErrState: the bytes are no saved state, or a damaged one, or one of another model or other
	// options.
	ErrState = errors.New("no saved state of this model with these options")
)

// errNoLogits is what models without a head answer.
var errNoLogits = fmt.Errorf("the model makes hidden states of texts, no logits and no text: %w", fault.ErrUnsupported)

// errExit is for callbacks that ended the goroutine.
var errExit = fmt.Errorf("%w: it ended the engine's goroutine (runtime.Goexit, which t.FailNow and require call too)", ErrCallback)

// PanicError is a panic of a callback, an [ErrCallback], or of the engine by a bug.
type PanicError = fault.PanicError
