package kv

import (
	"fmt"
	"slices"
)

// checkpoint is what it takes to go back to a length: the states there, and of each group with a
// window the pages that a query there sees. A sequence shares its checkpoints with its forks.
type checkpoint struct {
	at     int
	refs   int // sequences that have it
	state  *page
	tables []table // by group; empty for groups without a window
}

// partial reports whether some layer does not remember every position, so that a sequence can go
// back to some lengths only.
func (s *Store) partial() bool {
	return s.states > 0 || slices.ContainsFunc(s.groups, func(g group) bool { return g.window > 0 })
}

// Checkpoint asks for a checkpoint at the length n of q, which is within the reserved positions or
// at their end: once it is committed, [Store.Fork] can go back to it. It is for stores in which not
// every length is reusable, and does nothing in others, nor where the limit leaves no room for a
// state. A length that is rejected gets no checkpoint. Of a sequence's checkpoints at most
// Config.Checkpoints are kept: of those before the newest, the one goes whose neighbours are
// closest.
func (s *Store) Checkpoint(q Seq, n int) {
	e := s.seq(q)
	if n <= e.size || n > e.size+e.reserved {
		panic(fmt.Sprintf("kv: checkpoint at length %d of sequence %d, which has %d and %d reserved", n, q, e.size, e.reserved))
	}
	if !s.partial() {
		return
	}
	i, found := slices.BinarySearchFunc(e.ends, n, func(x end, n int) int { return x.at - n })
	if found {
		e.ends[i].checkpoint = true
		return
	}
	x := end{at: n, checkpoint: true}
	if s.states > 0 {
		if s.memory.room() < s.StateBytes() {
			return
		}
		x.state = s.memory.get(s.statePool())
	}
	e.ends = slices.Insert(e.ends, i, x)
}

// keepCheckpoints makes checkpoints of the marked ends that are committed.
func (s *Store) keepCheckpoints(e *sequence) {
	for _, x := range e.ends {
		if !x.checkpoint || x.at > e.size {
			continue
		}
		c := &checkpoint{at: x.at, refs: 1, state: x.state, tables: make([]table, len(e.tables))}
		if c.state != nil {
			c.state.refs++
		}
		for i, g := range s.groups {
			if g.window == 0 {
				continue
			}
			t := &c.tables[i]
			t.first = g.since(x.at) / PageLen
			t.pages = append(make([]*page, t.first), e.tables[i].pages[t.first:pagesFor(x.at)]...)
			for _, p := range t.pages[t.first:] {
				p.refs++
			}
		}
		e.checkpoints = append(e.checkpoints, c)
		s.prune(e)
	}
}

// prune drops a checkpoint if there are too many.
func (s *Store) prune(e *sequence) {
	if len(e.checkpoints) <= s.config.Checkpoints {
		return
	}
	least, gap := 0, 0
	for i := range e.checkpoints[:len(e.checkpoints)-1] {
		before := 0
		if i > 0 {
			before = e.checkpoints[i-1].at
		}
		if g := e.checkpoints[i+1].at - before; i == 0 || g < gap {
			least, gap = i, g
		}
	}
	s.putCheckpoint(e.checkpoints[least])
	e.checkpoints = slices.Delete(e.checkpoints, least, least+1)
}

// putCheckpoint gives up one reference to a checkpoint.
func (s *Store) putCheckpoint(c *checkpoint) {
	if c.refs--; c.refs > 0 {
		return
	}
	s.putState(&c.state)
	for i := range c.tables {
		t := &c.tables[i]
		for _, p := range t.pages[t.first:] {
			s.memory.put(i, p)
		}
	}
}

// ReusableLen is the reusable length of q up to n, the greatest at which q can be forked: n itself,
// where every layer remembers every position or n is Len(q), and otherwise that of the last
// checkpoint before, or whatever the pages of a window still hold. It panics unless
// 0 ≤ n ≤ Len(q).
func (s *Store) ReusableLen(q Seq, n int) int {
	e := s.seq(q)
	if n < 0 || n > e.size {
		panic(fmt.Sprintf("kv: length %d of sequence %d, which has %d", n, q, e.size))
	}
	if s.restorable(e, n) {
		return n
	}
	for i := len(e.checkpoints) - 1; i >= 0; i-- {
		if e.checkpoints[i].at <= n {
			return e.checkpoints[i].at
		}
	}
	return 0
}

// restorable reports whether e itself has what it takes to go back to n, without a checkpoint.
func (s *Store) restorable(e *sequence, n int) bool {
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

// checkpoint is the one at length n.
func (e *sequence) checkpoint(n int) *checkpoint {
	for _, c := range e.checkpoints {
		if c.at == n {
			return c
		}
	}
	return nil
}

// Fork opens a sequence whose positions are the first [Store.ReusableLen](q, n) of q, without
// copying them: both share the pages. It has the checkpoints of q up to there, and nothing of what
// q has reserved. It panics unless 0 ≤ n ≤ Len(q).
func (s *Store) Fork(q Seq, n int) Seq {
	n = s.ReusableLen(q, n)
	f := s.Open()
	from, to := &s.seqs[q], &s.seqs[f]
	to.size = n
	if n == 0 {
		return f
	}
	tables, state := from.tables, from.state
	if !s.restorable(from, n) {
		c := from.checkpoint(n)
		tables, state = c.tables, c.state
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
	for _, c := range from.checkpoints {
		if c.at <= n {
			c.refs++
			to.checkpoints = append(to.checkpoints, c)
		}
	}
	return f
}
