package grammar_test

import (
	"fmt"

	"github.com/goinfer/goinfer/grammar"
	"github.com/goinfer/goinfer/sample"
)

// letters is a vocabulary of single bytes, and an end.
type letters struct{}

func (letters) Size() int                         { return 257 }
func (letters) Bytes(id int32) []byte             { return []byte{byte(id)} }
func (letters) IsEOG(id int32) bool               { return id == 256 }
func (letters) Lookup(string) (id int32, ok bool) { return 0, false }

func Example() {
	c, err := grammar.Schema([]byte(`{"type": "array", "items": {"enum": ["red", "green"]}, "minItems": 1}`), grammar.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	g, err := c.Grammar(grammar.NewVocabulary(letters{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	m := g.NewMatcher()
	allowed := sample.NewBitset(257)
	for _, b := range `["r` {
		if err := m.Accept(b); err != nil {
			fmt.Println(err)
			return
		}
	}
	m.Mask(allowed)
	fmt.Println(allowed.Has('e'), allowed.Has('g'), m.Done())

	_, err = grammar.Schema([]byte(`{"properties": {"a": {"uniqueItems": true}}}`), grammar.Options{})
	fmt.Println(err)
	// Output:
	// true false false
	// /properties/a/uniqueItems: it is supported for items of a finite set only
}
