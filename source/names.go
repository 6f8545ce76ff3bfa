package source

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
)

// Names are models that are known by name.
type Names struct {
	What  string // what they are, for errors: "built-in model"
	Where string // how to see them all where they are too many for an error, may be empty
	// First puts the names before paths: a file of that name does not come in the way, but for
	// ./NAME.
	First bool
	// Find returns the model of a name, and nil and no error for a name that is none of these. An
	// error ends the search: the name is of this kind, and there is something wrong with it.
	Find func(name string) (*Source, error)
	List func() []string // all names, for completion and errors; may be nil
	// Near lists names that are like one that there is not, the best first; may be nil.
	Near func(name string) []string
}

var (
	registryMu sync.RWMutex
	registry   []Names
)

// Register adds names to those that [Resolve] knows. It is called by packages when they are
// imported, as image.RegisterFormat is.
func Register(n Names) {
	registryMu.Lock()
	defer registryMu.Unlock()
	registry = append(registry, n)
}

func registered() []Names {
	registryMu.RLock()
	defer registryMu.RUnlock()
	return slices.Clone(registry)
}

// List returns all names that are registered, in the order in which that was done.
func List() []string {
	var all []string
	for _, n := range registered() {
		if n.List != nil {
			all = append(all, n.List()...)
		}
	}
	return all
}

// lookup asks the registered names, those that come before paths or those that come after.
func lookup(name string, first bool) (*Source, error) {
	for _, n := range registered() {
		if n.First != first {
			continue
		}
		if s, err := n.Find(name); s != nil || err != nil {
			return s, err
		}
	}
	return nil, nil
}

// UnknownError says that no model has a name. It is fs.ErrNotExist.
type UnknownError struct {
	Name   string
	Looked []string // what was looked for
	Near   []string // names that are like it
}

// Error implements error.
func (e *UnknownError) Error() string {
	msg := fmt.Sprintf("there is no model %.100q: looked for %s", e.Name, strings.Join(e.Looked, ", "))
	if len(e.Near) > 0 {
		msg += "; did you mean " + strings.Join(e.Near, ", ") + "?"
	}
	return msg
}

// Unwrap implements errors.Is.
func (e *UnknownError) Unwrap() error { return fs.ErrNotExist }

// fewNames is how many names an error lists.
const fewNames = 4

// unknown is the error for a name that no model has.
func unknown(name string) error {
	e := &UnknownError{Name: name, Looked: []string{"a file or a folder of that name"}}
	for _, n := range registered() {
		what := "a " + n.What
		if n.List != nil {
			if names := n.List(); len(names) <= fewNames && len(names) > 0 {
				what += " (" + strings.Join(names, ", ") + ")"
			} else if n.Where != "" {
				what += " (" + n.Where + ")"
			}
		}
		e.Looked = append(e.Looked, what)
		if n.Near != nil {
			e.Near = append(e.Near, n.Near(name)...)
		}
	}
	return e
}
