package automaton

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// A Vocabulary is the tokens of a model as a trie. It does not change after [NewVocabulary] but for
// what it remembers under its own lock.
type Vocabulary struct {
	text    [][]byte
	control []int32   // tokens that are no text
	all     trie      // every token that adds bytes to a text
	special trie      // those that are not whole characters which a JSON string holds without escape
	plain   []Bits    // by length n: tokens of up to n such characters; the last for any length
	long    []counted // plain tokens of more characters than that table has
	quoted  []counted // tokens with quotation marks, and how many
	inside  *inside
}

// Bits is a set of token ids: id is bit id%64 of word id/64.
type Bits []uint64

func (b Bits) set(id int32) { b[id/64] |= 1 << (uint(id) % 64) }

type counted struct {
	id int32
	n  int
}

// inside is what holds for every state inside of a string that may hold any text: the tokens
// without the closing quotation mark, and what follows it in the others.
type inside struct {
	bits Bits
	rest trie
}

// A trie is the texts of tokens: nodes in depth-first order.
type trie struct {
	nodes []node
	more  map[int32][]int32 // the other tokens of a node that has several
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
	lengths := make([]int, n) // characters of plain tokens, 0 for others
	longest := 0
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
		if isPlain(b) {
			lengths[id] = utf8.RuneCount(b)
			longest = max(longest, lengths[id])
		} else {
			special = append(special, tokenText{b, id})
		}
		marks := 0
		for _, c := range b {
			if c == '"' {
				marks++
			}
		}
		if marks > 0 {
			v.quoted = append(v.quoted, counted{id, marks})
		}
	}
	v.all, v.special = newTrie(all), newTrie(special)
	longest = min(longest, maxPlain)
	for id, n := range lengths {
		if n > longest {
			v.long = append(v.long, counted{int32(id), n})
		}
	}
	for l := range longest + 1 {
		bits := v.NewBits()
		for id, n := range lengths {
			if n > 0 && (n <= l || l == longest) {
				bits.set(int32(id))
			}
		}
		v.plain = append(v.plain, bits)
	}
	v.findInside()
	return v
}

// maxPlain bounds the table of plain tokens by length: longer ones are looked at one by one.
const maxPlain = 32

// Size returns the number of ids.
func (v *Vocabulary) Size() int { return len(v.text) }

// Text returns what a token adds to a text.
func (v *Vocabulary) Text(id int32) []byte {
	if id < 0 || int(id) >= len(v.text) {
		return nil
	}
	return v.text[id]
}

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

func newTrie(tokens []tokenText) trie {
	slices.SortStableFunc(tokens, func(a, b tokenText) int {
		return cmp.Or(slices.Compare(a.text, b.text), cmp.Compare(a.id, b.id))
	})
	t := trie{more: map[int32][]int32{}}
	var path []int32 // the node of each depth
	var last []byte
	for _, tok := range tokens {
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
			t.more[n] = append(t.more[n], tok.id)
		}
		last = tok.text
	}
	for _, n := range path {
		t.nodes[n].skip = int32(len(t.nodes))
	}
	return t
}

// findInside walks the whole trie once, in a string that may hold anything.
func (v *Vocabulary) findInside() {
	in := &inside{bits: v.NewBits()}
	copy(in.bits, v.plain[len(v.plain)-1])
	var rest []tokenText
	for i := range v.special.nodes {
		n := &v.special.nodes[i]
		if n.token < 0 {
			continue
		}
		ids := append([]int32{n.token}, v.special.more[int32(i)]...)
		text := v.text[n.token]
		at, ok := scanString(text)
		switch {
		case !ok:
		case at < 0 || at == len(text):
			for _, id := range ids {
				in.bits.set(id)
			}
		default:
			for _, id := range ids {
				rest = append(rest, tokenText{text[at:], id})
			}
		}
	}
	in.rest = newTrie(rest)
	v.inside = in
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
