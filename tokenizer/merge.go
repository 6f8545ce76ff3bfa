package tokenizer

import (
	"iter"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// joins are the characters that some token has before U+2581. A text may be cut before U+2581 if
// another character is before it: no token is both sides of the cut.
type joins map[rune]bool

// learn enters those of a token.
func (j joins) learn(token string) {
	for i := 1; i < len(token); {
		k := strings.Index(token[i:], escaped)
		if k < 0 {
			return
		}
		i += k
		if r, _ := utf8.DecodeLastRuneInString(token[:i]); !j[r] {
			j[r] = true
		}
		i += len(escaped)
	}
}

// cut returns the end of the first stretch of text that no token joins with what follows it.
func (j joins) cut(text string) int {
	for i := 1; i < len(text); {
		k := strings.Index(text[i:], escaped)
		if k < 0 {
			break
		}
		i += k
		if r, _ := utf8.DecodeLastRuneInString(text[:i]); !j[r] {
			return i
		}
		i += len(escaped)
	}
	return len(text)
}

// A sym is a stretch of text that may still be merged with its neighbours. Symbols form a list; one that has been merged into
// another has no bytes left.
type sym struct {
	prev, next int32 // indices of the neighbours, or -1
	off, n     int32 // the bytes in the text
	id         int32 // spm: the token, bpe: the symbol of the merge table; -1 if there is none
}

// A candidate is a pair of neighbours that could be merged.
type candidate struct {
	key   uint64 // priority in the high half (low is good), index of the left symbol in the low half: of equals the leftmost goes first
	right int32
	size  int32 // bytes of both: if a symbol has grown since, the candidate is stale
	id    int32 // of the merged symbol
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
	top, last := h[0], h[len(h)-1]
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
	return top
}

// mergeAll merges the best pair of neighbours until none can be merged. pair gives the priority of a pair and the id of the result.
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

// longWord is from how many bytes on a word is merged in place of symbols by links: 20 bytes of memory
// for a byte of text, which is less than half.
const longWord = 1 << 14

// linkLong makes room for the symbols of n bytes of text: three numbers for each offset, which are the
// offsets of the next and the previous symbol, and the id. A symbol that has been merged into another
// has 0 as next.
func (s *scratch) linkLong(n int) {
	s.links = slices.Grow(s.links[:0], 3*n)[:3*n]
	s.keys = slices.Grow(s.keys[:0], n)[:0]
	s.lastLong = -1
}

// addLong adds the symbol of text[off:off+n].
func (s *scratch) addLong(off, n int, id int32) {
	l := s.links[3*off:]
	l[0], l[1], l[2] = int32(off+n), int32(s.lastLong), id
	s.lastLong = off
}

// long yields the symbols that are left: their offsets, their ends and ids.
func (s *scratch) long() iter.Seq2[[2]int, int32] {
	return func(yield func([2]int, int32) bool) {
		for off := 0; 3*off < len(s.links); {
			end := int(s.links[3*off])
			if !yield([2]int{off, end}, s.links[3*off+2]) {
				return
			}
			off = end
		}
	}
}

// mergeLong is mergeAll on such symbols. pair is given the offset of the left one, the end of the right
// one and their ids. A candidate is its key alone; whether it still holds is found by asking again.
func (s *scratch) mergeLong(pair func(from, to int, left, right int32) (priority uint32, id int32, ok bool)) {
	l, n := s.links, int32(len(s.links)/3)
	ask := func(at int32) (key uint64, id int32, ok bool) {
		if at < 0 || l[3*at] == 0 || l[3*at] == n {
			return 0, 0, false
		}
		right := l[3*at]
		p, id, ok := pair(int(at), int(l[3*right]), l[3*at+2], l[3*right+2])
		return uint64(p)<<32 | uint64(at), id, ok
	}
	try := func(at int32) {
		key, _, ok := ask(at)
		if !ok {
			return
		}
		if len(s.keys) == cap(s.keys) { // at most one for a symbol holds
			held := s.keys[:0]
			for _, k := range s.keys {
				if now, _, ok := ask(int32(uint32(k))); ok && now == k {
					held = append(held, k)
				}
			}
			slices.Sort(held) // which is a heap
			s.keys = slices.Compact(held)
		}
		s.keys = pushKey(s.keys, key)
	}
	for at := int32(0); at < n; at = l[3*at] {
		try(at)
	}
	for len(s.keys) > 0 {
		key := s.keys[0]
		s.keys = popKey(s.keys)
		at := int32(uint32(key))
		now, id, ok := ask(at)
		if !ok || now != key {
			continue
		}
		right := l[3*at]
		next := l[3*right]
		l[3*at], l[3*at+2], l[3*right] = next, id, 0
		if next < n {
			l[3*next+1] = at
		}
		try(l[3*at+1])
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
