package grammar

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"
)

// A Typed is the constraint of JSON texts that a Go type holds.
type Typed[T any] struct {
	c        *Constraint
	source   []byte
	resolved *jsonschema.Resolved
}

// For returns the constraint of T: a struct, or whatever else [json.Unmarshal] reads. Fields are
// named as for encoding/json; a field is required unless it has omitempty or omitzero, and stands in
// the order of the struct. A tag jsonschema describes it. Types that refer to themselves, channels and
// functions are errors.
func For[T any](opts Options) (*Typed[T], error) {
	name := reflect.TypeFor[T]()
	s, err := jsonschema.For[T](nil)
	if err != nil {
		return nil, fmt.Errorf("grammar: %v: %w", name, err)
	}
	src, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("grammar: %v: %w", name, err)
	}
	opts.GoNumbers = true
	c, err := Schema(src, opts)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", name, err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		return nil, fmt.Errorf("grammar: %v: %w", name, err)
	}
	return &Typed[T]{c, src, r}, nil
}

// Constraint returns what texts of T are like.
func (t *Typed[T]) Constraint() *Constraint { return t.c }

// JSONSchema returns the schema of T, for prompts that show it to the model.
func (t *Typed[T]) JSONSchema() []byte { return t.source }

// Parse checks a text against the schema of T and decodes it. A text that was cut short, by a
// limit of tokens say, is an error.
func (t *Typed[T]) Parse(text string) (T, error) {
	var out T
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return out, fmt.Errorf("grammar: want a whole JSON value, found %s: %w", shorten(text), err)
	}
	if err := t.resolved.Validate(value); err != nil {
		return out, fmt.Errorf("grammar: %s: %w", shorten(text), err)
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return out, fmt.Errorf("grammar: %s: %w", shorten(text), err)
	}
	return out, nil
}

func shorten(s string) string {
	if len(s) > 80 {
		return fmt.Sprintf("%q...", s[:80])
	}
	return fmt.Sprintf("%q", s)
}

// A Generator writes one text under a constraint.
type Generator interface {
	GenerateConstrained(ctx context.Context, c *Constraint) (string, error)
}

// Generate has a model write a T: a valid one, or an error.
func Generate[T any](ctx context.Context, g Generator, opts Options) (T, error) {
	t, err := For[T](opts)
	if err != nil {
		var none T
		return none, err
	}
	text, err := g.GenerateConstrained(ctx, t.c)
	if err != nil {
		var none T
		return none, err
	}
	return t.Parse(text)
}
