package kv

import (
	"fmt"
	"slices"
)

// mark is what it takes to go back to a length: the states there, and of each group with a window the pages that a query there would see. Sequences share marks with their forks.
type mark struct {
	at     int
	refs   int // sequences that have it
	state  *page
	tables []table // of groups with a window; pages before first are nil
}

// forgets reports whether some layer does not remember every position, so that a sequence can go back to some lengths only.
func (s *Store) forgets() bool {
	return s.states > 0 || slices.ContainsFunc(s.groups, func(g group) bool { return g.window > 0 })
}

// Mark asks for the length n of q, which lies within the reserved positions or at their end, to be one that can be gone back to once it is committed. It is for
// stores in which not every length is, and does nothing in others, nor where the limit leaves no room for a state. Of a sequence's marks at most Config.Marks are kept: of those before the
// newest, the one goes whose neighbours are closest.
func (s *Store) Mark(q Seq, n int) {
	e := s.seq(q)
	if n <= e.size || n > e.size+e.reserved {
		panic(fmt.Sprintf("kv: mark length %d of sequence %d, which has %d and %d reserved", n, q, e.size, e.reserved))
	}
	i, found := slices.BinarySearchFunc(e.ends, n, func(x end, n int) int { return x.at - n })
	if !s.forgets() || found {
		return
	}
	m := end{at: n}
	if s.states > 0 && n < e.size+e.reserved { // at the end, it is the sequence's own
		if s.memory.room() < s.StateBytes() {
			return
		}
		m.state = s.memory.get(s.statePool())
	}
	e.ends = slices.Insert(e.ends, i, m)
}

// keepMarks makes marks of the ends that are committed.
func (s *Store) keepMarks(e *sequence) {
	done := 0
	for ; done < len(e.ends) && e.ends[done].at <= e.size; done++ {
		x := &e.ends[done]
		m := &mark{at: x.at, refs: 1, state: x.state, tables: make([]table, len(e.tables))}
		if x.at == e.size && s.states > 0 {
			m.state = e.state
			m.state.refs++
		}
		for i, g := range s.groups {
			if g.window == 0 {
				continue
			}
			t := &m.tables[i]
			t.first = g.since(x.at) / PageLen
			t.pages = append(make([]*page, t.first), e.tables[i].pages[t.first:pagesFor(x.at)]...)
			for _, p := range t.pages[t.first:] {
				p.refs++
			}
		}
		e.marks = append(e.marks, m)
		s.thin(e)
	}
	e.ends = slices.Delete(e.ends, 0, done)
}

// thin drops a mark if there are too many.
func (s *Store) thin(e *sequence) {
	if len(e.marks) <= s.config.Marks {
		return
	}
	least, gap := 0, 0
	for i := range e.marks[:len(e.marks)-1] {
		before := 0
		if i > 0 {
			before = e.marks[i-1].at
		}
		if g := e.marks[i+1].at - before; i == 0 || g < gap {
			least, gap = i, g
		}
	}
	s.putMark(e.marks[least])
	e.marks = slices.Delete(e.marks, least, least+1)
}

func (s *Store) putMark(m *mark) {
	if m.refs--; m.refs > 0 {
		return
	}
	s.putState(&m.state)
	for i := range m.tables {
		t := &m.tables[i]
		for _, p := range t.pages[t.first:] {
			s.memory.put(i, p)
		}
	}
}

// Reach is the greatest length up to n that q can be cut back to or forked at: n itself, where every layer remembers every position or n is Len(q), and otherwise that of the last mark
// before, or whatever a window still holds. It panics unless 0 ≤ n ≤ Len(q).
func (s *Store) Reach(q Seq, n int) int {
	e := s.seq(q)
	if n < 0 || n > e.size {
		panic(fmt.Sprintf("kv: length %d of sequence %d, which has %d", n, q, e.size))
	}
	if s.live(e, n) {
		return n
	}
	for i := len(e.marks) - 1; i >= 0; i-- {
		if e.marks[i].at <= n {
			return e.marks[i].at
		}
	}
	return 0
}

// live reports whether e itself has what it takes to go back to n, without a mark.
func (s *Store) live(e *sequence, n int) bool {
	if n == e.size || n == 0 {
		return true
	}
	for i, g := range s.groups {
		if g.since(n)/PageLen < e.tables[i].first {
			return false
		}
	}
	return s.states == 0
}

// at is the mark of length n.
func (e *sequence) at(n int) *mark {
	for _, m := range e.marks {
		if m.at == n {
			return m
		}
	}
	return nil
}

// Fork opens a sequence whose positions are the first of q, as many as [Store.Reach] tells of n, without copying them: both share the pages. It panics unless 0 ≤ n ≤ Len(q).
func (s *Store) Fork(q Seq, n int) Seq {
	n = s.Reach(q, n)
	f := s.Open()
	from, to := &s.seqs[q], &s.seqs[f]
	to.size = n
	if n == 0 {
		return f
	}
	tables, state := from.tables, from.state
	if !s.live(from, n) {
		m := from.at(n)
		tables, state = m.tables, m.state
	}
	for i, g := range s.groups {
		source := tables[i]
		if g.window == 0 {
			source = from.tables[i]
		}
		t := &to.tables[i]
		t.first = g.since(n) / PageLen
		for k := range pagesFor(n) {
			var p *page
			if k >= t.first {
				p = source.pages[k]
				p.refs++
			}
			t.pages = append(t.pages, p)
		}
	}
	if to.state = state; state != nil {
		state.refs++
	}
	for _, m := range from.marks {
		if m.at <= n {
			m.refs++
			to.marks = append(to.marks, m)
		}
	}
	return f
}

// Truncate forgets the positions of q from n on, or from what [Store.Reach] tells of n, and every reservation. It panics unless 0 ≤ n ≤ Len(q).
func (s *Store) Truncate(q Seq, n int) { s.back(s.seq(q), s.Reach(q, n)) }

// back cuts e to a length that can be reached.
func (s *Store) back(e *sequence, n int) {
	s.unreserve(e)
	if m := e.at(n); m != nil && !s.live(e, n) {
		s.backTo(e, m)
	}
	for i := range e.tables {
		s.cut(e, i, pagesFor(n))
	}
	if n == 0 {
		s.putState(&e.state)
	}
	keep := len(e.marks)
	for ; keep > 0 && e.marks[keep-1].at > n; keep-- {
		s.putMark(e.marks[keep-1])
		e.marks[keep-1] = nil
	}
	e.marks = e.marks[:keep]
	e.size = n
}

// backTo gives e the state of a mark and the pages that its windows had.
func (s *Store) backTo(e *sequence, m *mark) {
	if m.state != nil {
		m.state.refs++
	}
	s.putState(&e.state)
	e.state = m.state
	for i, g := range s.groups {
		if g.window == 0 {
			continue
		}
		t, from := &e.tables[i], m.tables[i]
		for _, p := range from.pages[from.first:] {
			p.refs++
		}
		s.cut(e, i, 0)
		t.pages = append(t.pages, from.pages...)
		t.first = from.first
	}
}

// State is the state of a layer after the committed positions of q, [State] numbers, to be read only; nil before the first position, where all are 0.
func (s *Store) State(q Seq, layer int) []float32 {
	return s.stateOf(s.seq(q).state, layer)
}

// Ends is the number of lengths within the reserved positions, their end included, at which states are to be written.
func (s *Store) Ends(q Seq) int {
	e := s.seq(q)
	if n := len(e.ends); n > 0 && e.ends[n-1].at == e.size+e.reserved {
		return n
	}
	return len(e.ends) + 1
}

// NewState is the length number i of those that Ends counts, in ascending order, and where the state of a layer after it is to be written, [State] numbers of undefined contents. No
// other sequence sees it before Commit.
func (s *Store) NewState(q Seq, layer, i int) (length int, state []float32) {
	e := s.seq(q)
	if i < len(e.ends) && e.ends[i].at < e.size+e.reserved {
		return e.ends[i].at, s.stateOf(e.ends[i].state, layer)
	}
	return e.size + e.reserved, s.stateOf(e.next, layer)
}

// stateOf is a layer's part of a page of states.
func (s *Store) stateOf(g *page, layer int) []float32 {
	if g == nil {
		return nil
	}
	l := &s.layers[layer]
	return g.floats()[l.state : l.state+l.stateLen : l.state+l.stateLen]
}
