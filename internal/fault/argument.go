package fault

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// ArgumentError is a value that cannot be meant: an [ErrInvalid].
type ArgumentError struct {
	// Field is the field's path in Go: "TopP" in Sampling, "Sampling.TopP" in a Request, "Stop[2]".
	Field string
	Want  string // what it may be
	Found string // what it is
}

// Error implements error.
func (e *ArgumentError) Error() string {
	return fmt.Sprintf("%s: want %s, found %s", e.Field, e.Want, e.Found)
}

// Is makes every ArgumentError an [ErrInvalid].
func (e *ArgumentError) Is(target error) bool { return target == ErrInvalid }

// Argument is one wrong field.
func Argument(field, want string, found any) error {
	return &ArgumentError{field, want, fmt.Sprint(found)}
}

// Arguments collects what is wrong with the fields of an argument, each by itself. The zero value
// is ready to use.
type Arguments struct{ errs []error }

// Err returns all of them, joined; nil if there are none.
func (a *Arguments) Err() error { return errors.Join(a.errs...) }

// Add adds one.
func (a *Arguments) Add(field, want string, found any) {
	a.errs = append(a.errs, Argument(field, want, found))
}

// Join adds what is wrong with the fields of a field.
func (a *Arguments) Join(field string, err error) {
	if err != nil {
		a.errs = append(a.errs, Under(field, err))
	}
}

// AtLeast refuses what is below least.
func (a *Arguments) AtLeast(field string, x, least int) {
	if x < least {
		a.Add(field, fmt.Sprintf("at least %d", least), x)
	}
}

// Between refuses what is outside [least, most].
func (a *Arguments) Between(field string, x, least, most int) {
	if x < least || x > most {
		a.Add(field, fmt.Sprintf("%d to %d", least, most), x)
	}
}

// Float refuses what is outside [least, most], and what is not finite.
func (a *Arguments) Float(field string, x, least, most float32) {
	if finite(x) && x >= least && x <= most {
		return
	}
	want := fmt.Sprintf("%v to %v", least, most)
	switch {
	case finite(least) && !finite(most):
		want = fmt.Sprintf("a finite number, at least %v", least)
	case !finite(most):
		want = "a finite number"
	}
	a.Add(field, want, x)
}

func finite(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }

// Under is err with the wrong fields in it named as those of a field: "TopP" under "Sampling" is
// "Sampling.TopP".
func Under(field string, err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *ArgumentError:
		return &ArgumentError{field + "." + e.Field, e.Want, e.Found}
	case interface{ Unwrap() []error }:
		var all []error
		for _, err := range e.Unwrap() {
			all = append(all, Under(field, err))
		}
		return errors.Join(all...)
	}
	return err
}

// WrongArguments lists the wrong fields that an error is about, in order. It is empty where the
// error is about anything else besides.
func WrongArguments(err error) []*ArgumentError {
	switch e := err.(type) {
	case *ArgumentError:
		return []*ArgumentError{e}
	case interface{ Unwrap() error }:
		return WrongArguments(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []*ArgumentError
		for _, err := range e.Unwrap() {
			if err == ErrInvalid {
				continue
			}
			list := WrongArguments(err)
			if list == nil {
				return nil
			}
			all = append(all, list...)
		}
		return all
	}
	return nil
}

// Base is the field that a path names, without the elements in it: "Sampling.Chain" of
// "Sampling.Chain[2]".
func (e *ArgumentError) Base() string {
	base, _, _ := strings.Cut(e.Field, "[")
	return base
}
