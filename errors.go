package goinfer

import "github.com/goinfer/goinfer/internal/fault"

// Further faults for errors.Is; the others stand with the types that they are about. All texts are
// whole sentences for people in one line: programs need not read them.
var (
	ErrInvalid = fault.ErrInvalid // a wrong argument: every *ArgumentError is one
	ErrBusy    = fault.ErrBusy    // as many requests wait as may
	// the caller's context ended the work; its cause is in the chain
	ErrCancelled = fault.ErrCancelled
)

// The types of errors that say more than a text, for errors.As.
type (
	// ArgumentError is a field of Options, Request, Sampling and the like with a value that it
	// cannot have. Where several are wrong each has its own, joined: see [WrongArguments].
	ArgumentError = fault.ArgumentError
	// FileError says which file an error is about, such as one with [ErrFormat] or
	// [ErrUnsupported].
	FileError = fault.FileError
	// PanicError is what a hook, a callback or the engine itself panicked with. Its text is one
	// line, the stack is for a log.
	PanicError = fault.PanicError
)

// WrongArguments lists the fields that an error says are wrong; none if it is about anything else
// besides.
func WrongArguments(err error) []*ArgumentError { return fault.WrongArguments(err) }
