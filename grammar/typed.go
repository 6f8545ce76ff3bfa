package grammar

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/goinfer/goinfer"
)

// A Typed is the constraint of JSON texts that a Go type holds.
type Typed[T any] struct {
	c        *Constraint
	source   []byte
	resolved *jsonschema.Resolved
}

// For returns the constraint of T: a struct, or whatever else [json.Unmarshal] reads. Fields are
// named as for encoding/json; a field is required unless it has omitempty or omitzero, and stands
// in the order of the struct. A tag jsonschema describes it. Types that refer to themselves,
// channels and functions are errors.
func For[T any](opts Options) (*Typed[T], error) {
	name := reflect.TypeFor[T]()
	s, err := jsonschema.For[T](nil)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", name, err)
	}
	src, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", name, err)
	}
	opts.GoNumbers = true
	c, err := Schema(src, opts)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", name, err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", name, err)
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
		return out, fmt.Errorf("want a whole JSON value, found %s: %w", shorten(text), err)
	}
	if err := t.resolved.Validate(value); err != nil {
		return out, fmt.Errorf("%s: %w", shorten(text), err)
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return out, fmt.Errorf("%s: %w", shorten(text), err)
	}
	return out, nil
}

func shorten(s string) string {
	if len(s) > 80 {
		return fmt.Sprintf("%q...", s[:80])
	}
	return fmt.Sprintf("%q", s)
}

// Into has a model write a T, in JSON that the schema of T describes: a valid one, or an error. The
// request says all but the constraint. Where the limit of tokens or the context ends the value
// before it is complete, that is an error too.
func Into[T any](ctx context.Context, m *goinfer.Model, q goinfer.Request, opts Options) (T, error) {
	var none T
	t, err := For[T](opts)
	if err != nil {
		return none, err
	}
	if m.Tokenizer() == nil {
		return none, fmt.Errorf("a value by a model without a vocabulary: %w", goinfer.ErrUnsupported)
	}
	if q.Sampling.Grammar, err = t.c.Grammar(NewVocabulary(m.Tokenizer())); err != nil {
		return none, err
	}
	var text strings.Builder
	for p, err := range m.Generate(ctx, q) {
		if err != nil {
			return none, err
		}
		text.Write(p.Bytes)
		if p.Stop != "" && p.Stop != goinfer.StopEOG {
			return none, fmt.Errorf("the value is not complete, ended by %s after %d tokens: %s", p.Stop, p.Usage.Generated, shorten(text.String()))
		}
	}
	return t.Parse(text.String())
}
