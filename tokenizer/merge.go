package tokenizer

import (
	"iter"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// joins are the pairs of neighbouring characters that some token has, and perhaps a few more: a set
// of bits by hash. A text may be cut between any others: no token is on both sides of the cut.
type joins struct{ bits []uint64 }

// newJoins makes room for the pairs of so many tokens.
func newJoins(tokens int) joins {
	n := 1 << 10
	for n < tokens && n < 1<<17 {
		n *= 2
	}
	return joins{make([]uint64, n)} // 64 bits for a token
}

func (j *joins) bit(left, right rune) (word int, mask uint64) {
	h := uint32(left)*0x9E3779B1 ^ uint32(right)*0x85EBCA77
	h ^= h >> 15
	return int(h>>6) & (len(j.bits) - 1), 1 << (h & 63)
}

// learn enters the pairs of a token.
func (j *joins) learn(token string) {
	left, n := utf8.DecodeRuneInString(token)
	for _, right := range token[n:] {
		word, mask := j.bit(left, right)
		j.bits[word] |= mask
		left = right
	}
}

func (j *joins) has(left, right rune) bool {
	word, mask := j.bit(left, right)
	return j.bits[word]&mask != 0
}

// searchWindow is from how many bytes on a text is looked through for a place to cut. Before U+2581
// there mostly is one.
const searchWindow = 64

// split returns the end of the first part of a text that no token joins with what follows it. space
// is how the text has U+2581: as that, or as a space that will become it.
func (j *joins) split(text, space string) int {
	for i := 1; i < len(text); {
		k := strings.Index(text[i:min(len(text), i+searchWindow)], space)
		if k < 0 {
			return j.cutAnywhere(text, i, space)
		}
		i += k
		if left, _ := utf8.DecodeLastRuneInString(text[:i]); !j.has(marked(left), spaceMark) {
			return i
		}
		i += len(space)
	}
	return len(text)
}

// cutAnywhere is cut between any two characters, the first of them ending at i or after it.
func (j *joins) cutAnywhere(text string, i int, space string) int {
	for i < len(text) && !utf8.RuneStart(text[i]) {
		i++
	}
	left, _ := utf8.DecodeLastRuneInString(text[:i])
	escapes := space == " "
	for i < len(text) {
		right, n := utf8.DecodeRuneInString(text[i:])
		a, b := left, right
		if escapes {
			a, b = marked(left), marked(right)
		}
		if !j.has(a, b) {
			return i
		}
		left = right
		i += n
	}
	return len(text)
}

// marked is the character that a space becomes.
func marked(r rune) rune {
	if r == ' ' {
		return spaceMark
	}
	return r
}

// A sym is a part of a text that may still be merged with its neighbours. Symbols form a list; one
// that has been merged into another has no bytes left.
type sym struct {
	prev, next int32 // indices of the neighbours, or -1
	off, n     int32 // the bytes in the text
	id         int32 // spm: the token, bpe: the symbol of the merge table; -1 if there is none
}

// A candidate is a pair of neighbours that could be merged.
type candidate struct {
	key   uint64 // priority in the high half, low is good; index of the left symbol in the low half
	right int32
	size  int32 // bytes of both: if a symbol has grown since, the candidate is stale
	id    int32 // id of the merged symbol
}

// queue is a binary heap of candidates, the lowest key on top.
type queue []candidate

func (q *queue) push(c candidate) {
	h := append(*q, c)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if h[up].key <= c.key {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = c
	*q = h
}

func (q *queue) pop() candidate {
	h := *q
	first, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	i := 0
	for {
		down := 2*i + 1
		if down >= len(h) {
			break
		}
		if down+1 < len(h) && h[down+1].key < h[down].key {
			down++
		}
		if last.key <= h[down].key {
			break
		}
		h[i] = h[down]
		i = down
	}
	if len(h) > 0 {
		h[i] = last
	}
	*q = h
	return first
}

// mergeAll merges the best pair of neighbours until none can be merged. pair gives the priority of
// a pair and the id of the result.
func (s *scratch) mergeAll(pair func(left, right *sym) (priority uint32, id int32, ok bool)) {
	syms := s.syms
	s.queue = s.queue[:0]
	try := func(l, r int32) {
		if l < 0 || r < 0 {
			return
		}
		if p, id, ok := pair(&syms[l], &syms[r]); ok {
			s.queue.push(candidate{uint64(p)<<32 | uint64(l), r, syms[l].n + syms[r].n, id})
		}
	}
	for i := 1; i < len(syms); i++ {
		try(int32(i-1), int32(i))
	}
	for len(s.queue) > 0 {
		c := s.queue.pop()
		l := int32(uint32(c.key))
		left, right := &syms[l], &syms[c.right]
		if left.n == 0 || right.n == 0 || left.n+right.n != c.size {
			continue
		}
		left.n, left.id, left.next = c.size, c.id, right.next
		right.n = 0
		if right.next >= 0 {
			syms[right.next].prev = l
		}
		try(left.prev, l)
		try(l, left.next)
	}
}

// link makes a list of the symbols.
func (s *scratch) link() {
	for i := range s.syms {
		s.syms[i].prev, s.syms[i].next = int32(i)-1, int32(i)+1
	}
	if n := len(s.syms); n > 0 {
		s.syms[n-1].next = -1
	}
}

// priorityOf maps scores to numbers that are the lower the higher the score.
func priorityOf(score float32) uint32 {
	b := math.Float32bits(score + 0) // -0 and 0 are one score
	if b>>31 != 0 {
		return b
	}
	return 1<<31 - 1 - b
}

// longWord is from how many bytes on a word is merged in the form of longSyms: 14 bytes of memory
// for a byte of text, a third of what syms and candidates take.
const longWord = 1 << 14

// longSyms are the symbols of a text by their offsets. The size of each stands at its first byte
// and at its last, so that both neighbours are found.
type longSyms struct {
	size []uint16
	id   []int32 // noSymbol where none begins (any more)
	keys []uint64
}

const noSymbol = math.MinInt32

// reset makes room for n bytes of text.
func (l *longSyms) reset(n int) {
	l.size = slices.Grow(l.size[:0], n)[:n]
	l.id = slices.Grow(l.id[:0], n)[:n]
	l.keys = l.keys[:0]
}

// add adds the symbol of text[off:off+n].
func (l *longSyms) add(off, n int, id int32) {
	for i := off + 1; i < off+n; i++ {
		l.id[i] = noSymbol
	}
	l.size[off], l.size[off+n-1], l.id[off] = uint16(n), uint16(n), id
}

// all yields the symbols that are left: their offsets and ends, and their ids.
func (l *longSyms) all() iter.Seq2[[2]int, int32] {
	return func(yield func([2]int, int32) bool) {
		for off := 0; off < len(l.id); {
			end := off + int(l.size[off])
			if !yield([2]int{off, end}, l.id[off]) {
				return
			}
			off = end
		}
	}
}

// merge is mergeAll. pair is given the offset of the left symbol, the end of the right one, and
// their ids. A candidate is its key alone; whether it still holds is found by asking again.
func (l *longSyms) merge(pair func(from, to int, left, right int32) (priority uint32, id int32, ok bool)) {
	n := len(l.id)
	ask := func(at int) (key uint64, id int32, ok bool) {
		if l.id[at] == noSymbol {
			return 0, 0, false
		}
		right := at + int(l.size[at])
		if right >= n {
			return 0, 0, false
		}
		p, id, ok := pair(at, right+int(l.size[right]), l.id[at], l.id[right])
		return uint64(p)<<32 | uint64(at), id, ok
	}
	symbols := 0
	for at := 0; at < n; at += int(l.size[at]) {
		symbols++
	}
	l.keys = slices.Grow(l.keys, symbols)
	for at := 0; at < n; at += int(l.size[at]) {
		if key, _, ok := ask(at); ok {
			l.keys = pushKey(l.keys, key)
		}
	}
	try := func(at int) {
		key, _, ok := ask(at)
		if !ok {
			return
		}
		if len(l.keys) == cap(l.keys) { // at most one for a symbol holds
			held := l.keys[:0]
			for _, k := range l.keys {
				if now, _, ok := ask(int(uint32(k))); ok && now == k {
					held = append(held, k)
				}
			}
			slices.Sort(held) // which is a heap
			l.keys = slices.Compact(held)
		}
		l.keys = pushKey(l.keys, key)
	}
	for len(l.keys) > 0 {
		key := l.keys[0]
		l.keys = popKey(l.keys)
		at := int(uint32(key))
		now, id, ok := ask(at)
		if !ok || now != key {
			continue
		}
		right := at + int(l.size[at])
		end := right + int(l.size[right])
		l.id[at], l.id[right] = id, noSymbol
		l.size[at], l.size[end-1] = uint16(end-at), uint16(end-at)
		if at > 0 {
			try(at - int(l.size[at-1]))
		}
		try(at)
	}
}

// pushKey and popKey are a binary heap, the lowest key on top.
func pushKey(h []uint64, key uint64) []uint64 {
	h = append(h, key)
	i := len(h) - 1
	for i > 0 && h[(i-1)/2] > key {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = key
	return h
}

func popKey(h []uint64) []uint64 {
	last := h[len(h)-1]
	h = h[:len(h)-1]
	if len(h) == 0 {
		return h
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= len(h) {
			break
		}
		if down+1 < len(h) && h[down+1] < h[down] {
			down++
		}
		if last <= h[down] {
			break
		}
		h[i] = h[down]
		i = down
	}
	h[i] = last
	return h
}
