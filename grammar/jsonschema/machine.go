package jsonschema

import (
	"encoding/binary"

	"github.com/goinfer/goinfer/grammar/automaton"
)

// A Machine is the automaton of the JSON texts of a schema. Its states are made as texts are read;
// it is for one goroutine at a time.
type Machine struct {
	c    *compiler
	root *expr

	states       map[string]*automaton.State
	numbers1     map[numberKey]*automaton.State
	outcomes     map[string]*automaton.Outcome
	pending      map[string]automaton.Resumer
	arrayThreads map[arrayKey]*arrayThread
	ids          map[any]int32
	buf          []byte

	// Repeats says that a key may be read that no state remembers, so that a text with such a key
	// twice must be forbidden otherwise.
	Repeats bool
	// Scarce says besides that there may be an end of such keys.
	Scarce bool
}

func newMachine(c *compiler, root *expr) *Machine {
	// What is left to do was done before in one way or another.
	c.limits.exprs, c.limits.steps, c.limits.names, c.limits.depth = 0, 0, 0, 1<<30
	c.space.Exceeded = nil
	c.at = nil
	m := &Machine{c: c, root: root}
	c.space.Mark()
	m.forget()
	for _, o := range c.objs {
		for _, x := range o.rest {
			m.Repeats = true
			m.Scarce = m.Scarce || c.space.DFA(x.lang).Scarce()
		}
	}
	return m
}

// Forget drops the states made so far. Those in use go on as they are.
func (m *Machine) Forget() {
	m.forget()
	m.c.threads = map[threadKey]*thread{}
	m.c.space.Forget()
}

func (m *Machine) forget() {
	m.states = map[string]*automaton.State{}
	m.numbers1 = map[numberKey]*automaton.State{}
	m.outcomes = map[string]*automaton.Outcome{}
	m.pending = map[string]automaton.Resumer{}
	m.arrayThreads = map[arrayKey]*arrayThread{}
	m.ids = map[any]int32{}
}

// keepStates bounds the number of states that are remembered.
const keepStates = 200_000

// Start returns the state before the text.
func (m *Machine) Start() automaton.Config {
	if len(m.states)+len(m.numbers1)+m.c.space.States() > keepStates {
		m.Forget()
	}
	space := uint8(wsClosed)
	if m.c.opts.Whitespace == Flexible {
		space = wsFresh
	}
	return automaton.Config{Top: m.valueState([]*expr{m.root}, space), Stack: &automaton.Frame{Then: theEnd{m}}}
}

// theEnd waits below the whole value.
type theEnd struct{ m *Machine }

func (e theEnd) Resume(*automaton.Outcome) *automaton.State {
	return e.m.state("end", func() *automaton.State {
		space := uint8(wsClosed)
		if e.m.c.opts.Whitespace == Flexible {
			space = wsFresh
		}
		return (&automaton.State{Final: true}).New(&endState{place{e.m, space}})
	})
}

type endState struct{ place }

func (s *endState) Edge(b byte) automaton.Edge {
	if n, ok := s.space(b); ok {
		return s.m.spaced("end", n, func(p place) *automaton.State { return (&automaton.State{Final: true}).New(&endState{p}) })
	}
	return automaton.Edge{}
}

// state returns the state of a key, which make makes if it is new.
func (m *Machine) state(key string, make func() *automaton.State) *automaton.State {
	st, ok := m.states[key]
	if !ok {
		st = make()
		m.states[key] = st
	}
	return st
}

// id numbers pointers.
func (m *Machine) id(p any) int32 {
	id, ok := m.ids[p]
	if !ok {
		id = int32(len(m.ids))
		m.ids[p] = id
	}
	return id
}

// outcome returns the set of alternatives for which f holds, nil if there is none.
func (m *Machine) outcome(n int, f func(i int) bool) *automaton.Outcome {
	bits := make([]uint64, (n+63)/64)
	any := false
	for i := range n {
		if f(i) {
			bits[i/64] |= 1 << (i % 64)
			any = true
		}
	}
	if !any {
		return nil
	}
	key := make([]byte, 0, 8*len(bits))
	for _, b := range bits {
		key = binary.LittleEndian.AppendUint64(key, b)
	}
	o, ok := m.outcomes[string(key)]
	if !ok {
		o = &automaton.Outcome{Bits: bits}
		m.outcomes[string(key)] = o
	}
	return o
}

func pop(o *automaton.Outcome) automaton.Edge {
	if o == nil {
		return automaton.Edge{}
	}
	return automaton.Edge{Kind: automaton.Pop, Out: o}
}

func goTo(s *automaton.State) automaton.Edge { return automaton.Edge{Kind: automaton.Go, To: s} }

// place is what all states between the parts of a text have: how much white space was read.
type place struct {
	m  *Machine
	ws uint8
}

// White space that was read at a place.
const (
	wsFresh  = iota // none yet
	wsClosed        // no more may follow
	wsLine          // a line break
	wsLines         // two
	wsIndent        // and after so many more bytes of indentation no more may follow:
	wsMost   = wsIndent + 64
)

// space reads white space; it returns what is read then.
func (p place) space(b byte) (uint8, bool) {
	blank := b == ' ' || b == '\t'
	switch p.m.c.opts.Whitespace {
	case None:
		return 0, false
	case Flexible:
		return wsFresh, blank || b == '\n' || b == '\r'
	}
	switch {
	case p.ws == wsFresh && b == ' ':
		return wsClosed, true
	case p.ws == wsFresh && b == '\n':
		return wsLine, true
	case p.ws == wsLine && b == '\n':
		return wsLines, true
	case (p.ws == wsLine || p.ws == wsLines) && blank:
		return wsIndent, true
	case p.ws >= wsIndent && p.ws < wsMost && blank:
		return p.ws + 1, true
	}
	return 0, false
}

// began reports whether white space was read where only a closing bracket may follow it.
func (p place) began() bool { return p.m.c.opts.Whitespace == Usual && p.ws != wsFresh }

// spaced returns the edge to the state of a key after white space.
func (m *Machine) spaced(key string, ws uint8, make func(place) *automaton.State) automaton.Edge {
	p := place{m, ws}
	return goTo(m.state(key+"\x00"+string(rune(ws)), func() *automaton.State { return make(p) }))
}

// tight is the white space before a colon or comma, and around the whole text.
func (m *Machine) tight() uint8 {
	if m.c.opts.Whitespace == Flexible {
		return wsFresh
	}
	return wsClosed
}

// key makes the key of a state of a kind with parts.
func (m *Machine) key(kind byte, parts ...int32) string {
	m.buf = append(m.buf[:0], kind)
	for _, p := range parts {
		m.buf = binary.AppendVarint(m.buf, int64(p))
	}
	return string(m.buf)
}

func exprIDs(vec []*expr) []int32 {
	out := make([]int32, len(vec))
	for i, e := range vec {
		out[i] = e.id
	}
	return out
}

// valueState is before a value of one of several sets.
type valueState struct {
	place
	vec []*expr
}

func (m *Machine) valueState(vec []*expr, ws uint8) *automaton.State {
	key := m.key('v', append(exprIDs(vec), int32(ws))...)
	return m.state(key, func() *automaton.State { return (&automaton.State{}).New(&valueState{place{m, ws}, vec}) })
}

func (s *valueState) Edge(b byte) automaton.Edge {
	if n, ok := s.space(b); ok {
		return goTo(s.m.valueState(s.vec, n))
	}
	return s.m.begin(s.vec, b)
}

// begin reads the first byte of a value of one of the sets.
func (m *Machine) begin(vec []*expr, b byte) automaton.Edge {
	switch b {
	case '"':
		return m.beginString(vec)
	case '{':
		var ts []ownedThread
		for i, e := range vec {
			for _, o := range m.c.finalNode(e).objs {
				ts = append(ts, ownedThread{i, m.c.start(o)})
			}
		}
		if ts == nil {
			return automaton.Edge{}
		}
		return goTo(m.objectState(openObject, ts, wsFresh))
	case '[':
		var ts []ownedArray
		for i, e := range vec {
			for _, a := range m.c.finalNode(e).arrs {
				ts = append(ts, ownedArray{i, m.startArray(a)})
			}
		}
		if ts == nil {
			return automaton.Edge{}
		}
		return goTo(m.arrayState(openArray, ts, wsFresh))
	case 't', 'f', 'n':
		text, ty := "true", tyTrue
		if b == 'f' {
			text, ty = "false", tyFalse
		} else if b == 'n' {
			text, ty = "null", tyNull
		}
		o := m.outcome(len(vec), func(i int) bool { return m.c.finalNode(vec[i]).types&ty != 0 })
		if o == nil {
			return automaton.Edge{}
		}
		return goTo(m.literal(text[1:], o))
	}
	if b == '-' || b >= '0' && b <= '9' {
		return m.beginNumber(vec, b)
	}
	return automaton.Edge{}
}

// literalState is within true, false or null.
type literalState struct {
	m    *Machine
	rest string
	out  *automaton.Outcome
}

func (m *Machine) literal(rest string, o *automaton.Outcome) *automaton.State {
	return m.state(m.key('l', m.id(o))+rest, func() *automaton.State { return (&automaton.State{}).New(&literalState{m, rest, o}) })
}

func (s *literalState) Edge(b byte) automaton.Edge {
	switch {
	case b != s.rest[0]:
		return automaton.Edge{}
	case len(s.rest) == 1:
		return pop(s.out)
	}
	return goTo(s.m.literal(s.rest[1:], s.out))
}

// endsNumber reports whether b may follow a number.
func endsNumber(b byte) bool {
	switch b {
	case ' ', '\t', '\n', '\r', ',', '}', ']':
		return true
	}
	return false
}

// numberState is within a number.
type numberState struct {
	m   *Machine
	n   int // length of the vector
	pts []ownedPoint
	end *automaton.Outcome // if it may end here
}

type ownedPoint struct {
	owner int
	n     *numbers
	p     point
}

type numberKey struct {
	len int
	pt  ownedPoint
}

func (m *Machine) beginNumber(vec []*expr, b byte) automaton.Edge {
	var pts []ownedPoint
	for i, e := range vec {
		for _, n := range m.c.finalNode(e).nums {
			pts = append(pts, ownedPoint{owner: i, n: n})
		}
	}
	return m.nextNumber(len(vec), pts, b)
}

func (m *Machine) nextNumber(n int, pts []ownedPoint, b byte) automaton.Edge {
	var next []ownedPoint
	for _, x := range pts {
		if p, ok := x.n.next(x.p, b); ok {
			next = append(next, ownedPoint{x.owner, x.n, p})
		}
	}
	if next == nil {
		return automaton.Edge{}
	}
	make := func() *automaton.State {
		ends := map[int]bool{}
		for _, x := range next {
			if x.n.ends(x.p) {
				ends[x.owner] = true
			}
		}
		end := m.outcome(n, func(i int) bool { return ends[i] })
		return (&automaton.State{End: end}).New(&numberState{m, n, next, end})
	}
	if len(next) == 1 {
		k := numberKey{n, next[0]}
		st, ok := m.numbers1[k]
		if !ok {
			st = make()
			m.numbers1[k] = st
		}
		return goTo(st)
	}
	key := []byte{'n'}
	key = binary.AppendVarint(key, int64(n))
	for _, x := range next {
		key = binary.AppendVarint(key, int64(m.id(x)))
	}
	return goTo(m.state(string(key), make))
}

func (s *numberState) Edge(b byte) automaton.Edge {
	switch {
	case !endsNumber(b):
		return s.m.nextNumber(s.n, s.pts, b)
	case s.end == nil:
		return automaton.Edge{}
	}
	return automaton.Edge{Kind: automaton.Reread, Out: s.end}
}
