package jsonschema

import (
	"slices"

	"github.com/goinfer/goinfer/grammar/automaton"
)

// Where an object or array is being read, between its parts.
const (
	openObject  = 'o' // after the brace
	wantKey     = 'k' // after a comma
	afterMember = 'm'
	openArray   = 'a'
	wantItem    = 'i'
	afterItem   = 'j'
)

// An ownedThread is a thread of an object, and of which of the sets asked for it is.
type ownedThread struct {
	owner int
	t     *thread
}

type objectState struct {
	place
	kind byte
	ts   []ownedThread
}

func (m *Machine) threadIDs(ts []ownedThread) []int32 {
	out := make([]int32, 0, 2*len(ts)+1)
	for _, t := range ts {
		out = append(out, int32(t.owner), m.id(t.t))
	}
	return out
}

func (m *Machine) objectState(kind byte, ts []ownedThread, ws uint8) *automaton.State {
	key := m.key(kind, append(m.threadIDs(ts), int32(ws))...)
	return m.state(key, func() *automaton.State { return (&automaton.State{}).New(&objectState{place{m, ws}, kind, ts}) })
}

func (s *objectState) Edge(b byte) automaton.Edge {
	m := s.m
	if n, ok := s.space(b); ok && (s.kind != afterMember || m.c.opts.Whitespace == Flexible || s.closing() != nil) {
		return s.afterSpace(n)
	}
	switch {
	case b == '"' && s.kind != afterMember:
		return m.beginKey(s.ts)
	case b == '}' && s.kind != wantKey:
		return pop(s.closing())
	case b == ',' && s.kind == afterMember && !s.began():
		var ts []ownedThread
		for _, t := range s.ts {
			if !m.c.options(t.t).none {
				ts = append(ts, t)
			}
		}
		if ts != nil {
			return goTo(m.objectState(wantKey, ts, wsFresh))
		}
	}
	return automaton.Edge{}
}

// afterSpace keeps to what can follow: after the opening brace, white space that leads to a key or
// to the closing brace.
func (s *objectState) afterSpace(ws uint8) automaton.Edge {
	return goTo(s.m.objectState(s.kind, s.ts, ws))
}

// closing returns the outcome of an object that ends here.
func (s *objectState) closing() *automaton.Outcome {
	n := 0
	for _, t := range s.ts {
		n = max(n, t.owner+1)
	}
	return s.m.outcome(n, func(i int) bool {
		return slices.ContainsFunc(s.ts, func(t ownedThread) bool { return t.owner == i && s.m.c.closes(t.t) })
	})
}

// A member is what waits while the value of a member is read: which thread goes on if the value is
// in which set of the vector.
type member struct {
	m     *Machine
	nexts []memberNext
	cache map[*automaton.Outcome]*automaton.State
}

type memberNext struct {
	owner, value int
	t            *thread
}

func (p *member) Resume(o *automaton.Outcome) *automaton.State {
	st, ok := p.cache[o]
	if !ok {
		var ts []ownedThread
		for _, n := range p.nexts {
			if t := (ownedThread{n.owner, n.t}); o.Has(n.value) && !slices.Contains(ts, t) {
				ts = append(ts, t)
			}
		}
		st = p.m.objectState(afterMember, ts, wsFresh)
		p.cache[o] = st
	}
	return st
}

// colonState is after a key.
type colonState struct {
	place
	then *member
	vec  []*expr
}

func (m *Machine) colon(nexts []memberNext, vec []*expr, ws uint8) *automaton.State {
	parts := exprIDs(vec)
	for _, n := range nexts {
		parts = append(parts, -1, int32(n.owner), int32(n.value), m.id(n.t))
	}
	key := m.key('c', parts...)
	then, ok := m.pending[key]
	if !ok {
		then = &member{m, nexts, map[*automaton.Outcome]*automaton.State{}}
		m.pending[key] = then
	}
	return m.state(key+string(rune(ws)), func() *automaton.State {
		return (&automaton.State{}).New(&colonState{place{m, ws}, then.(*member), vec})
	})
}

func (s *colonState) Edge(b byte) automaton.Edge {
	if n, ok := s.space(b); ok && s.m.c.opts.Whitespace == Flexible {
		return goTo(s.m.colon(s.then.nexts, s.vec, n))
	}
	if b == ':' {
		return automaton.Edge{Kind: automaton.Push, Then: s.then, To: s.m.valueState(s.vec, wsFresh)}
	}
	return automaton.Edge{}
}

// An ownedArray is a thread of an array, and of which of the sets asked for it is.
type ownedArray struct {
	owner int
	t     *arrayThread
}

type arrayState struct {
	place
	kind byte
	ts   []ownedArray
}

func (m *Machine) arrayState(kind byte, ts []ownedArray, ws uint8) *automaton.State {
	parts := make([]int32, 0, 2*len(ts)+1)
	for _, t := range ts {
		parts = append(parts, int32(t.owner), m.id(t.t))
	}
	key := m.key(kind, append(parts, int32(ws))...)
	return m.state(key, func() *automaton.State { return (&automaton.State{}).New(&arrayState{place{m, ws}, kind, ts}) })
}

func (s *arrayState) Edge(b byte) automaton.Edge {
	m := s.m
	if n, ok := s.space(b); ok && (s.kind != afterItem || m.c.opts.Whitespace == Flexible || s.closing() != nil) {
		return goTo(m.arrayState(s.kind, s.ts, n))
	}
	switch {
	case b == ']' && s.kind != wantItem:
		return pop(s.closing())
	case b == ',' && s.kind == afterItem && !s.began():
		var ts []ownedArray
		for _, t := range s.ts {
			if len(m.arrayOptions(t.t)) > 0 {
				ts = append(ts, t)
			}
		}
		if ts != nil {
			return goTo(m.arrayState(wantItem, ts, wsFresh))
		}
		return automaton.Edge{}
	case s.kind == afterItem:
		return automaton.Edge{}
	}
	then, vec := m.items(s.ts)
	e := m.begin(vec, b)
	if e.Kind == automaton.Go {
		e.Kind, e.Then = automaton.Push, then
	}
	return e
}

func (s *arrayState) closing() *automaton.Outcome {
	n := 0
	for _, t := range s.ts {
		n = max(n, t.owner+1)
	}
	return s.m.outcome(n, func(i int) bool {
		return slices.ContainsFunc(s.ts, func(t ownedArray) bool { return t.owner == i && t.t.closes() })
	})
}

// An item is what waits while an item is read.
type item struct {
	m     *Machine
	nexts []itemNext
	cache map[*automaton.Outcome]*automaton.State
}

type itemNext struct {
	owner, value int
	t            *arrayThread
}

func (p *item) Resume(o *automaton.Outcome) *automaton.State {
	st, ok := p.cache[o]
	if !ok {
		var ts []ownedArray
		for _, n := range p.nexts {
			if t := (ownedArray{n.owner, n.t}); o.Has(n.value) && !slices.Contains(ts, t) {
				ts = append(ts, t)
			}
		}
		st = p.m.arrayState(afterItem, ts, wsFresh)
		p.cache[o] = st
	}
	return st
}

// items returns what waits for an item of the arrays, and the sets that it may be of.
func (m *Machine) items(ts []ownedArray) (*item, []*expr) {
	var nexts []itemNext
	var vec []*expr
	for _, t := range ts {
		for _, o := range m.arrayOptions(t.t) {
			nexts = append(nexts, itemNext{t.owner, place1(&vec, o.value), o.next})
		}
	}
	parts := exprIDs(vec)
	for _, n := range nexts {
		parts = append(parts, -1, int32(n.owner), int32(n.value), m.id(n.t))
	}
	key := m.key('I', parts...)
	then, ok := m.pending[key]
	if !ok {
		then = &item{m, nexts, map[*automaton.Outcome]*automaton.State{}}
		m.pending[key] = then
	}
	return then.(*item), vec
}

// place1 returns the place of e in vec, which it is added to if it is not there.
func place1(vec *[]*expr, e *expr) int {
	if i := slices.Index(*vec, e); i >= 0 {
		return i
	}
	*vec = append(*vec, e)
	return len(*vec) - 1
}
