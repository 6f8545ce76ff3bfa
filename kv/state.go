package kv

import "fmt"

// end is a length within the reserved positions at which something is kept: the states after it,
// if it may be committed or a checkpoint is wanted there.
type end struct {
	at         int
	state      *page // nil where no layer has one
	checkpoint bool  // a checkpoint is wanted
}

// State is the state of a layer after the committed positions of q, [State] numbers, to be read
// only; nil before the first position, where all are 0.
func (s *Store) State(q Seq, layer int) []float32 {
	return s.stateOf(s.seq(q).state, layer)
}

// NewStates is the number of lengths within the reserved positions at which states are to be
// written: every length that may be committed, and those of [Store.Checkpoint]. It is 0 where no
// layer has a state. The last one is that after all reserved positions.
func (s *Store) NewStates(q Seq) int {
	e := s.seq(q)
	if s.states == 0 {
		return 0
	}
	return len(e.ends)
}

// NewState is the length number i of those that NewStates counts, in ascending order, and where the
// state of a layer after it is to be written, [State] numbers of undefined contents. No other
// sequence sees it before Commit.
func (s *Store) NewState(q Seq, layer, i int) (length int, state []float32) {
	if n := s.NewStates(q); uint(i) >= uint(n) {
		panic(fmt.Sprintf("kv: new state %d of sequence %d, which has %d", i, q, n))
	}
	x := s.seqs[q].ends[i]
	return x.at, s.stateOf(x.state, layer)
}

// stateOf is a layer's part of a page of states.
func (s *Store) stateOf(g *page, layer int) []float32 {
	if g == nil {
		return nil
	}
	l := &s.layers[layer]
	return g.floats()[l.state : l.state+l.stateLen : l.state+l.stateLen]
}

// tentative is the number of lengths that a reservation of n positions may be committed at, other
// than that of the sequence as it is: each takes a state.
func tentative(n, certain int) int {
	if n == 0 {
		return 0
	}
	return n - max(certain, 1) + 1
}

// addEnds takes states for the lengths that the reservation may be committed at.
func (s *Store) addEnds(e *sequence) {
	if s.states == 0 {
		return
	}
	for i := tentative(e.reserved, e.certain) - 1; i >= 0; i-- {
		e.ends = append(e.ends, end{at: e.size + e.reserved - i, state: s.memory.get(s.statePool())})
	}
}

// takeState makes the state after the committed positions that of e, where it is one of the ends.
func (s *Store) takeState(e *sequence) {
	for _, x := range e.ends {
		if x.at == e.size && x.state != nil {
			x.state.refs++
			s.putState(&e.state)
			e.state = x.state
			return
		}
	}
}

// putState gives up one reference to a page of states.
func (s *Store) putState(g **page) {
	if *g != nil {
		s.memory.put(s.statePool(), *g)
		*g = nil
	}
}
