package gbnf

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/goinfer/goinfer/grammar/automaton"
)

// A Machine is the automaton of a grammar's texts. Its states are made as texts are read; it is
// for one goroutine at a time.
type Machine struct {
	g      *Grammar
	ids    map[*tokenRef]int32
	states map[string]*automaton.State
	// States within a character.
	partial map[partialKey]*automaton.State
	frames  map[string]*frame
	nFrame  int32
	root    *frame // below the whole text
}

type partialKey struct {
	at   string
	part automaton.Partial
}

// A frame is what waits for the end of a rule: places after its calls, with what waits below them.
// Equal frames are one pointer.
type frame struct {
	id   int32
	rets []place
}

// A place is a node with what waits for the end of its rule.
type place struct {
	n *node
	f *frame
}

// NewMachine makes the automaton of g. lookup finds the ids of tokens by their spelling; size is
// the number of ids.
func NewMachine(g *Grammar, lookup func(spelling string) (int32, bool), size int) (*Machine, error) {
	m := &Machine{g: g, ids: map[*tokenRef]int32{}}
	for _, t := range g.tokens {
		id := t.id
		if t.name != "" {
			var ok bool
			if id, ok = lookup(t.name); !ok {
				return nil, fmt.Errorf("line %d: the vocabulary has no token %s", t.line, t.name)
			}
		} else if int(id) >= size {
			return nil, fmt.Errorf("line %d: want a token below %d, found %d", t.line, size, id)
		}
		m.ids[t] = id
	}
	m.Forget()
	return m, nil
}

// Tokens reports whether the grammar names tokens.
func (g *Grammar) Tokens() bool { return len(g.tokens) > 0 }

// Forget drops the states made so far. Those in use go on as they are.
func (m *Machine) Forget() {
	m.states, m.frames = map[string]*automaton.State{}, map[string]*frame{}
	m.partial = map[partialKey]*automaton.State{}
	if m.root == nil { // states that are still in use keep their frames, and those their numbers
		m.root = &frame{}
	}
}

// keepStates bounds the number of states that are remembered.
const keepStates = 200_000

// Start returns the state before the text.
func (m *Machine) Start() automaton.Config {
	if len(m.states)+len(m.partial)+len(m.frames) > keepStates {
		m.Forget()
	}
	st := m.closure([]place{{m.g.byName["root"].start, m.root}})
	return automaton.Config{Top: st}
}

// closing follows everything that reads nothing.
type closing struct {
	m     *Machine
	seen  map[place]bool
	todo  []place
	calls map[*rule]*frame // of this place in the text; their rets grow
	ends  []place          // what can be read next
	final bool
}

// closure returns the state at some places, nil if there is none.
func (m *Machine) closure(at []place) *automaton.State {
	c := &closing{m: m, seen: map[place]bool{}, todo: at, calls: map[*rule]*frame{}}
	for len(c.todo) > 0 {
		p := c.todo[len(c.todo)-1]
		c.todo = c.todo[:len(c.todo)-1]
		if !c.seen[p] {
			c.seen[p] = true
			c.follow(p)
		}
	}
	done := map[*frame]*frame{}
	ends := make([]place, len(c.ends))
	for i, p := range c.ends {
		ends[i] = place{p.n, c.settled(p.f, done)}
	}
	if len(ends) == 0 && !c.final {
		return nil
	}
	return m.state(ends, c.final)
}

func (c *closing) follow(p place) {
	switch p.n.kind {
	case nChars, nToken:
		if p.n.live {
			c.ends = append(c.ends, p)
		}
	case nAlt:
		for _, a := range p.n.alts {
			c.todo = append(c.todo, place{a, p.f})
		}
	case nCall:
		c.call(p)
	case nEnd:
		if p.f == c.m.root {
			c.final = true
		}
		// The end of a call made here is the end of a rule without characters: call sees to it.
		for _, r := range p.f.rets {
			if !c.isNew(p.f) {
				c.todo = append(c.todo, r)
			}
		}
	}
}

func (c *closing) isNew(f *frame) bool { return f.id < 0 }

func (c *closing) call(p place) {
	r, next := p.n.rule, p.n.next
	if !r.live || !next.live {
		return
	}
	if next.kind == nEnd { // what waits below waits for this rule too
		c.todo = append(c.todo, place{r.start, p.f})
		return
	}
	if r.nullable {
		c.todo = append(c.todo, place{next, p.f})
	}
	f := c.calls[r]
	if f == nil {
		f = &frame{id: -1}
		c.calls[r] = f
	}
	if ret := (place{next, p.f}); !slices.Contains(f.rets, ret) {
		f.rets = append(f.rets, ret)
	}
	c.todo = append(c.todo, place{r.start, f})
}

// settled makes a frame of this place in the text one that is shared. A frame waits below itself in
// no grammar without left recursion.
func (c *closing) settled(f *frame, done map[*frame]*frame) *frame {
	if !c.isNew(f) {
		return f
	}
	if d := done[f]; d != nil {
		return d
	}
	rets := make([]place, len(f.rets))
	for i, r := range f.rets {
		rets[i] = place{r.n, c.settled(r.f, done)}
	}
	sortPlaces(rets)
	key := placesKey(rets)
	out, ok := c.m.frames[key]
	if !ok {
		c.m.nFrame++
		out = &frame{id: c.m.nFrame, rets: rets}
		c.m.frames[key] = out
	}
	done[f] = out
	return out
}

func sortPlaces(ps []place) {
	slices.SortFunc(ps, func(a, b place) int {
		if a.n.id != b.n.id {
			return a.n.id - b.n.id
		}
		return int(a.f.id - b.f.id)
	})
}

func placesKey(ps []place) string {
	b := make([]byte, 0, 8*len(ps))
	for _, p := range ps {
		b = binary.AppendUvarint(b, uint64(p.n.id))
		b = binary.AppendUvarint(b, uint64(p.f.id))
	}
	return string(b)
}

func (m *Machine) state(at []place, final bool) *automaton.State {
	sortPlaces(at)
	at = slices.Compact(at)
	key := placesKey(at)
	if final {
		key += "."
	}
	st, ok := m.states[key]
	if !ok {
		st = (&automaton.State{Final: final}).New(&textState{m: m, at: at, key: key})
		for _, p := range at {
			if p.n.kind == nToken {
				t := p.n.expr.token
				st.Tokens = append(st.Tokens, automaton.Tokens{IDs: []int32{m.ids[t]}, Others: t.not})
			}
		}
		m.states[key] = st
	}
	return st
}

// textState is between characters, or within one.
type textState struct {
	m    *Machine
	at   []place
	key  string
	part automaton.Partial
}

func (s *textState) Edge(b byte) automaton.Edge {
	part, r := s.part.Raw(b)
	switch {
	case r == automaton.Wrong:
		return automaton.Edge{}
	case r == automaton.More:
		return s.within(part)
	}
	return edgeTo(s.m.closure(s.after(r)))
}

func edgeTo(st *automaton.State) automaton.Edge {
	if st == nil {
		return automaton.Edge{}
	}
	return automaton.Edge{Kind: automaton.Go, To: st}
}

// after returns the places after a character.
func (s *textState) after(r rune) []place {
	var next []place
	for _, p := range s.at {
		if p.n.kind == nChars && p.n.expr.set.Has(r) {
			next = append(next, place{p.n.next, p.f})
		}
	}
	return next
}

// within goes on in the middle of a character.
func (s *textState) within(part automaton.Partial) automaton.Edge {
	var at []place
	for _, p := range s.at {
		if p.n.kind != nChars {
			continue
		}
		for _, sp := range part.Spans() {
			if p.n.expr.set.Meets(sp.Lo, sp.Hi) {
				at = append(at, p)
				break
			}
		}
	}
	if at == nil {
		return automaton.Edge{}
	}
	key := partialKey{s.key, part}
	st, ok := s.m.partial[key]
	if !ok {
		st = (&automaton.State{}).New(&textState{m: s.m, at: at, key: s.key, part: part})
		s.m.partial[key] = st
	}
	return automaton.Edge{Kind: automaton.Go, To: st}
}

// Token reads a whole token: as what a rule names, and as its text.
func (s *textState) Token(id int32, text []byte, stack *automaton.Frame) (automaton.Config, bool) {
	st := s.token(id, text)
	return automaton.Config{Top: st, Stack: stack}, st != nil
}

func (s *textState) token(id int32, text []byte) *automaton.State {
	var next []place
	for _, p := range s.at {
		if p.n.kind == nToken && (s.m.ids[p.n.expr.token] == id) != p.n.expr.token.not {
			next = append(next, place{p.n.next, p.f})
		}
	}
	c, ok := automaton.Config{Top: s.m.state(s.chars(), false)}.Text(text)
	if !ok {
		return s.m.closure(next)
	}
	last := c.Top.Source.(*textState)
	st := s.m.closure(next)
	switch {
	case st == nil:
		return c.Top
	case last.part.Kind != automaton.Between:
		// Half a character of the one reading cannot stand beside the other.
		return st
	}
	return s.m.state(append(slices.Clone(last.at), st.Source.(*textState).at...), c.Top.Final || st.Final)
}

// chars are the places before characters.
func (s *textState) chars() []place {
	return slices.DeleteFunc(slices.Clone(s.at), func(p place) bool { return p.n.kind != nChars })
}
