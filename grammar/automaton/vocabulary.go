package automaton

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf8"
)

// A Vocabulary is the tokens of a model as a trie. It does not change after [NewVocabulary].
type Vocabulary struct {
	text    [][]byte
	control []int32 // tokens that are no text
	all     trie    // every token that adds bytes to a text
	special trie    // those that are not whole characters which a JSON string holds without escape
	quoted  []counted
	inside
}

// inside is what holds for every state inside of a string that may hold any text up to a length:
// which tokens stay inside by themselves, and what follows the closing quotation mark in others.
type inside struct {
	within []Bits    // by length l: tokens of up to l characters; the last for any length
	long   []counted // tokens of more characters than that table has
	after  trie      // what follows the quotation mark
	afterN []trie    // by the number of characters before it
}

// Bits is a set of token ids: id is bit id%64 of word id/64.
type Bits []uint64

func (b Bits) set(id int32) { b[id/64] |= 1 << (uint(id) % 64) }

type counted struct {
	id int32
	n  int
}

// A trie is the texts of tokens: nodes in depth-first order.
type trie struct {
	nodes []node
	same  map[int32][]int32 // the other tokens of a node that has several
	root  []int32           // tokens without text
}

// A node is the end of a text. Its children follow it, up to skip.
type node struct {
	skip  int32
	token int32 // with this text; -1: none
	depth uint16
	b     byte
	many  bool // more tokens have this text
}

type tokenText struct {
	text []byte
	id   int32
}

// maxTokenBytes bounds the length of tokens that are looked at; none of a real vocabulary has more
// than a few hundred.
const maxTokenBytes = 1 << 14

// NewVocabulary makes the trie of n tokens. text returns what a token adds to a text, nothing for
// one that is no text; ends reports which tokens end generation: they are never part of one.
func NewVocabulary(n int, text func(id int32) []byte, ends func(id int32) bool) *Vocabulary {
	v := &Vocabulary{text: make([][]byte, n)}
	var all, special []tokenText
	for id := range int32(n) {
		if ends(id) {
			continue
		}
		b := text(id)
		if len(b) == 0 || len(b) > maxTokenBytes {
			v.control = append(v.control, id)
			continue
		}
		v.text[id] = b
		all = append(all, tokenText{b, id})
		if !isPlain(b) {
			special = append(special, tokenText{b, id})
		}
		if marks := bytes.Count(b, []byte{'"'}); marks > 0 {
			v.quoted = append(v.quoted, counted{id, marks})
		}
	}
	v.all, v.special = newTrie(all), newTrie(special)
	v.lookInside(all)
	return v
}

// maxLength bounds the tables by length: longer tokens are looked at one by one.
const maxLength = 32

// lookInside reads every token as the inside of a string.
func (v *Vocabulary) lookInside(all []tokenText) {
	lengths := make([]int, len(v.text)) // characters of tokens inside, plus 1
	longest := 0
	var after []tokenText
	var afterN [][]tokenText
	for _, t := range all {
		end, n, ok := scanString(t.text)
		if !ok {
			continue
		}
		if end < 0 {
			lengths[t.id] = n + 1
			longest = max(longest, n)
			continue
		}
		for len(afterN) <= n {
			afterN = append(afterN, nil)
		}
		rest := tokenText{t.text[end:], t.id}
		after, afterN[n] = append(after, rest), append(afterN[n], rest)
	}
	longest = min(longest, maxLength)
	for l := range longest + 1 {
		bits := v.NewBits()
		for id, n := range lengths {
			if n > 0 && (n-1 <= l || l == longest) {
				bits.set(int32(id))
			}
		}
		v.within = append(v.within, bits)
	}
	for id, n := range lengths {
		if n-1 > longest {
			v.long = append(v.long, counted{int32(id), n - 1})
		}
	}
	v.after = newTrie(after)
	for _, t := range afterN {
		v.afterN = append(v.afterN, newTrie(t))
	}
}

// upTo adds to out the tokens of up to limit characters (-1: any number) that stay inside.
func (v *inside) upTo(limit int, out Bits) {
	last := len(v.within) - 1
	if limit < 0 || limit >= last {
		or(out, v.within[last])
	} else {
		or(out, v.within[limit])
	}
	for _, l := range v.long {
		if limit >= last && l.n > limit {
			out[l.id/64] &^= 1 << (uint(l.id) % 64)
		}
	}
}

// Size returns the number of ids.
func (v *Vocabulary) Size() int { return len(v.text) }

// Text returns what a token adds to a text.
func (v *Vocabulary) Text(id int32) []byte {
	if id < 0 || int(id) >= len(v.text) {
		return nil
	}
	return v.text[id]
}

// Control returns the tokens that are no text, but for those that end generation.
func (v *Vocabulary) Control() []int32 { return v.control }

// NewBits returns an empty set of tokens.
func (v *Vocabulary) NewBits() Bits { return make(Bits, (len(v.text)+63)/64) }

// isPlain reports whether b is whole characters that stand in a JSON string as they are.
func isPlain(b []byte) bool {
	for _, c := range b {
		if c < 0x20 || c == '"' || c == '\\' {
			return false
		}
	}
	return utf8.Valid(b)
}

// newTrie makes a trie of tokens. Those without text are in root.
func newTrie(tokens []tokenText) trie {
	tokens = slices.Clone(tokens)
	slices.SortStableFunc(tokens, func(a, b tokenText) int {
		return cmp.Or(slices.Compare(a.text, b.text), cmp.Compare(a.id, b.id))
	})
	t := trie{same: map[int32][]int32{}}
	var path []int32 // the node of each depth
	var last []byte
	for _, tok := range tokens {
		if len(tok.text) == 0 {
			t.root = append(t.root, tok.id)
			continue
		}
		same := 0
		for same < len(last) && same < len(tok.text) && last[same] == tok.text[same] {
			same++
		}
		for len(path) > same {
			t.nodes[path[len(path)-1]].skip = int32(len(t.nodes))
			path = path[:len(path)-1]
		}
		for d := same; d < len(tok.text); d++ {
			path = append(path, int32(len(t.nodes)))
			t.nodes = append(t.nodes, node{token: -1, depth: uint16(d), b: tok.text[d]})
		}
		n := path[len(path)-1]
		if t.nodes[n].token < 0 {
			t.nodes[n].token = tok.id
		} else {
			t.nodes[n].many = true
			t.same[n] = append(t.same[n], tok.id)
		}
		last = tok.text
	}
	for _, n := range path {
		t.nodes[n].skip = int32(len(t.nodes))
	}
	return t
}

// Quoted returns the tokens with at least so many quotation marks.
func (v *Vocabulary) Quoted(marks int) []int32 {
	var out []int32
	for _, q := range v.quoted {
		if q.n >= marks {
			out = append(out, q.id)
		}
	}
	return out
}
