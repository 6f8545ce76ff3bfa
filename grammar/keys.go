package grammar

import (
	"slices"

	"github.com/goinfer/goinfer/grammar/automaton"
)

// keys remembers which keys the open objects of a JSON text have, so that none appears twice. It
// reads the text by itself, as states have no room for keys that a schema does not name.
type keys struct {
	open *scope // nil outside of all brackets
	mode keyMode
	part automaton.Partial
	text []byte // of the key being read
	seen int    // keys in all open objects
}

type keyMode uint8

const (
	between keyMode = iota // between strings
	inKey
	inText // in a string that is a value
)

// A scope is an open object or array. It does not change but for what is added to an object's keys,
// which copies made before do not see.
type scope struct {
	up     *scope
	array  bool
	expect bool // a string would be a key
	names  *names
	n      int // so many of names were read
}

// names are keys in the order in which they were read. Copies of a matcher that go on from the same
// keys share them; the one that adds first may append.
type names struct {
	list []string
	at   map[string]int
}

// next reads a byte. It returns false if it ends a key that the object has.
func (k *keys) next(b byte) bool {
	switch k.mode {
	case between:
		k.between(b)
		return true
	case inText:
		p, r := k.part.Step(b)
		if k.part = p; r == automaton.Close {
			k.mode = between
		}
		return true
	}
	p, r := k.part.Step(b)
	k.part = p
	switch {
	case r >= 0:
		k.text = appendRune(k.text, r)
	case r == automaton.Close:
		k.mode = between
		return k.add(string(k.text))
	}
	return true
}

func (k *keys) between(b byte) {
	switch b {
	case '{', '[':
		k.open = &scope{up: k.open, array: b == '[', expect: b == '{'}
	case '}', ']':
		if k.open != nil {
			k.seen -= k.open.n
			k.open = k.open.up
		}
	case ',':
		if k.open != nil && !k.open.array {
			s := *k.open
			s.expect = true
			k.open = &s
		}
	case '"':
		k.part, k.mode = automaton.Partial{}, inText
		if k.open != nil && k.open.expect {
			k.mode, k.text = inKey, nil
		}
	}
}

// add notes a key of the innermost object.
func (k *keys) add(key string) bool {
	s := *k.open
	s.expect = false
	if s.names != nil {
		if i, ok := s.names.at[key]; ok && i < s.n {
			return false
		}
	}
	if s.names == nil || len(s.names.list) != s.n {
		// Another copy has gone on from here, with other keys.
		old := s.names
		s.names = &names{at: map[string]int{}}
		if old != nil {
			s.names.list = slices.Clone(old.list[:s.n])
			for i, name := range s.names.list {
				s.names.at[name] = i
			}
		}
	}
	s.names.list = append(s.names.list, key)
	s.names.at[key] = s.n
	s.n++
	k.seen++
	k.open = &s
	return true
}

// rests returns what is missing of the keys that the object has and the one being read may become.
func (k *keys) rests() []string {
	s := k.open
	if s.names == nil {
		return nil
	}
	var out []string
	for _, key := range s.names.list[:s.n] {
		if len(key) >= len(k.text) && key[:len(k.text)] == string(k.text) {
			out = append(out, key[len(k.text):])
		}
	}
	return out
}

// try reports whether text repeats no key. It leaves k as it was.
func (k *keys) try(text []byte) bool {
	c := *k
	c.text = slices.Clip(c.text)
	for i, b := range text {
		if b == '"' && c.mode == inKey && c.part.Kind == automaton.Between {
			if s := c.open; s.names != nil {
				if at, ok := s.names.at[string(c.text)]; ok && at < s.n {
					return false
				}
			}
			// The key is new. To look at the rest it must be noted, on a copy.
			if i+1 < len(text) && hasQuote(text[i+1:]) {
				c = c.fork()
			} else {
				return true
			}
		}
		if !c.next(b) {
			return false
		}
	}
	return true
}

func hasQuote(b []byte) bool { return slices.Contains(b, '"') }

// fork returns a copy that adds keys without touching shared ones.
func (k *keys) fork() keys {
	c := *k
	c.text = slices.Clip(c.text)
	if c.open != nil && c.open.names != nil {
		s := *c.open
		n := &names{list: slices.Clone(s.names.list[:s.n]), at: map[string]int{}}
		for i, name := range n.list {
			n.at[name] = i
		}
		s.names = n
		c.open = &s
	}
	return c
}
