package tokenizer

import "math"

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
