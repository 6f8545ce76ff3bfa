package grammar

import (
	"testing"

	"github.com/goinfer/goinfer/sample"
)

// steps walks masks of a constraint: none is empty but at an end, and what a mask allows is
// accepted.
func steps(t *testing.T, c *Constraint, choices []byte) {
	tokens := newFewTokens()
	g, err := c.Grammar(fuzzVocabulary)
	if err != nil {
		return
	}
	m := g.NewMatcher()
	mask := sample.NewBitset(tokens.Size())
	for _, b := range choices[:min(len(choices), 40)] {
		m.Mask(mask)
		n := mask.Count()
		if n == 0 {
			if !m.Done() {
				t.Fatal("nothing may follow, and this is no end")
			}
			return
		}
		k := int(b) % n
		for id := range int32(tokens.Size()) {
			if !mask.Has(id) {
				continue
			}
			if k == 0 {
				if err := m.Accept(id); err != nil {
					t.Fatal(err)
				}
				break
			}
			k--
		}
	}
}

var fuzzVocabulary = NewVocabulary(newFewTokens())

func FuzzSchema(f *testing.F) {
	for seed := range 30 {
		g := &schemas{rng: newRand(seed)}
		f.Add(string(g.document()), []byte("0123456789abcdefghij"))
	}
	f.Fuzz(func(t *testing.T, src string, choices []byte) {
		if len(src) > 2000 {
			return
		}
		if c, err := Schema([]byte(src), Options{}); err == nil {
			steps(t, c, choices)
		}
	})
}

func FuzzGBNF(f *testing.F) {
	f.Add("root ::= \"a\" b* | [^x]{2,3}\nb ::= \"(\" root \")\" # c", []byte("0123"))
	f.Add("root ::= <tool> .+ !<tool>?", []byte("99"))
	f.Fuzz(func(t *testing.T, src string, choices []byte) {
		if len(src) > 500 {
			return
		}
		if c, err := GBNF(src); err == nil {
			steps(t, c, choices)
		}
	})
}

func FuzzPattern(f *testing.F) {
	for _, p := range []string{`^a+(b|c)*$`, `(?=x)\w{2,5}`, `[^a-z\d]\p{L}?`, `\bfoo\b`} {
		f.Add(p, []byte("0123"))
	}
	f.Fuzz(func(t *testing.T, src string, choices []byte) {
		if len(src) > 60 {
			return
		}
		for _, s := range []Syntax{RE2, ECMA} {
			if c, err := Regex(src, s); err == nil {
				steps(t, c, choices)
			}
		}
	})
}
