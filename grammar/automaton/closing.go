package automaton

import "unicode/utf8"

// Closing calls f for every token that reads the characters of rest in a string, however they are
// spelled, and then the closing quotation mark.
func (v *Vocabulary) Closing(rest string, f func(id int32)) {
	c := closing{&v.all, f}
	c.walk(0, int32(len(v.all.nodes)), rest, Partial{})
}

type closing struct {
	t *trie
	f func(id int32)
}

// walk looks at the siblings from lo to hi.
func (c *closing) walk(lo, hi int32, rest string, p Partial) {
	for i := lo; i < hi; i = c.t.nodes[i].skip {
		n := &c.t.nodes[i]
		if p.Kind == Between && n.b != '\\' && (rest == "" && n.b != '"' || rest != "" && n.b != rest[0]) {
			continue // as most bytes
		}
		next, r := p.Step(n.b)
		switch {
		case r == Wrong:
		case r == More:
			c.walk(i+1, n.skip, rest, next)
		case r == Close:
			if rest == "" {
				c.all(i, n.skip)
			}
		default:
			if first, size := utf8.DecodeRuneInString(rest); rest != "" && first == r {
				c.walk(i+1, n.skip, rest[size:], next)
			}
		}
	}
}

// all calls f for the tokens of the nodes from lo to hi.
func (c *closing) all(lo, hi int32) {
	for i := lo; i < hi; i++ {
		if n := &c.t.nodes[i]; n.token >= 0 {
			c.f(n.token)
			for _, id := range c.t.same[i] {
				c.f(id)
			}
		}
	}
}

// Along calls f for every token that reads a beginning of rest in a string, however it is spelled,
// and no more.
func (v *Vocabulary) Along(rest string, f func(id int32)) {
	c := closing{&v.all, f}
	c.along(0, int32(len(v.all.nodes)), rest, Partial{})
}

func (c *closing) along(lo, hi int32, rest string, p Partial) {
	for i := lo; i < hi; i = c.t.nodes[i].skip {
		n := &c.t.nodes[i]
		next, r := p.Step(n.b)
		left := rest
		switch {
		case r == Wrong || r == Close:
			continue
		case r >= 0:
			first, size := utf8.DecodeRuneInString(rest)
			if rest == "" || first != r {
				continue
			}
			left = rest[size:]
		}
		if n.token >= 0 {
			c.all(i, i+1)
		}
		c.along(i+1, n.skip, left, next)
	}
}
