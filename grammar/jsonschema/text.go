package jsonschema

import (
	"encoding/binary"
	"slices"

	"github.com/goinfer/goinfer/grammar/automaton"
	"github.com/goinfer/goinfer/grammar/regex"
)

// textState is within a string that is a value: for each set asked for, how far its strings have
// been read.
type textState struct {
	m    *Machine
	sts  []*regex.State // nil: none of them begins so
	part automaton.Partial
	// The character being read does the same whatever it becomes, and sts are the states after it.
	settled bool
}

func (m *Machine) beginString(vec []*expr) automaton.Edge {
	sts := make([]*regex.State, len(vec))
	any := false
	for i, e := range vec {
		if st := m.c.space.DFA(m.c.finalNode(e).str).Start; st.Live() {
			sts[i] = st
			any = true
		}
	}
	if !any {
		return automaton.Edge{}
	}
	return goTo(m.text(sts, automaton.Partial{}, false))
}

func partialKey(b []byte, p automaton.Partial) []byte {
	b = append(b, byte(p.Kind), p.N)
	b = binary.AppendVarint(b, int64(p.Bits))
	return binary.AppendVarint(b, int64(p.High))
}

func (m *Machine) text(sts []*regex.State, part automaton.Partial, settled bool) *automaton.State {
	m.buf = append(m.buf[:0], 's')
	if settled {
		part = part.Plain()
		m.buf[0] = 'S'
	}
	for _, st := range sts {
		id := int32(-1)
		if st != nil {
			id = st.ID
		}
		m.buf = binary.AppendVarint(m.buf, int64(id))
	}
	m.buf = partialKey(m.buf, part)
	if st, ok := m.states[string(m.buf)]; ok {
		return st
	}
	key := string(m.buf)
	st := (&automaton.State{}).New(&textState{m, sts, part, settled})
	if part.Kind == automaton.Between {
		free := freedom{limit: -2}
		for _, s := range sts {
			free.add(s)
		}
		free.apply(st)
	}
	m.states[key] = st
	return st
}

// freedom finds out how freely a string goes on.
type freedom struct {
	limit int // as of automaton.State; -2: not at all
	same  *regex.Language
	mixed bool // several languages go on
}

func (f *freedom) add(st *regex.State) {
	if st == nil {
		return
	}
	if f.same != nil && f.same != st.Language() {
		f.mixed = true
	}
	f.same = st.Language()
	n, ok := st.Remaining()
	switch {
	case !ok || f.limit == -1:
	case n < 0:
		f.limit = -1
	default:
		f.limit = max(f.limit, n)
	}
}

func (f *freedom) apply(st *automaton.State) {
	if f.limit < -1 {
		return
	}
	st.Free, st.Limit = true, f.limit
	if lo, hi, ok := f.same.Lengths(); ok && !f.mixed && lo <= maxLeast {
		st.Plain, st.Least, st.Limit = true, lo, hi
		if hi < 0 && lo == 0 {
			st.Loop()
		}
	}
}

// maxLeast bounds how many characters a plain state may want: beyond it no token ends a string.
const maxLeast = 32

func (s *textState) Edge(b byte) automaton.Edge {
	m := s.m
	part, r := s.part.Step(b)
	switch {
	case r == automaton.Wrong:
		return automaton.Edge{}
	case r == automaton.Close:
		return pop(m.outcome(len(s.sts), func(i int) bool { return s.sts[i] != nil && s.sts[i].Accept }))
	case s.settled && r == automaton.More:
		return goTo(m.text(s.sts, part, true))
	case s.settled:
		return goTo(m.text(s.sts, automaton.Partial{}, false))
	case r == automaton.More:
		return s.inRune(part)
	}
	sts := make([]*regex.State, len(s.sts))
	any := false
	for i, st := range s.sts {
		if st != nil {
			if st = st.Step(st.DFA.Class(r)); st.Live() {
				sts[i], any = st, true
			}
		}
	}
	if !any {
		return automaton.Edge{}
	}
	return goTo(m.text(sts, automaton.Partial{}, false))
}

// inRune goes on within a character.
func (s *textState) inRune(part automaton.Partial) automaton.Edge {
	spans := part.Spans()
	sts := make([]*regex.State, len(s.sts))
	any, same := false, true
	for i, st := range s.sts {
		if st == nil || !reaches(st, spans) {
			continue
		}
		sts[i], any = st, true
		same = same && onlyClass(st, spans) >= 0
	}
	if !any {
		return automaton.Edge{}
	}
	if same {
		for i, st := range sts {
			if st != nil {
				sts[i] = st.Step(onlyClass(st, spans))
			}
		}
	}
	return goTo(s.m.text(sts, part, same))
}

// onlyClass returns the class of all code points of spans, -1 if there are several.
func onlyClass(st *regex.State, spans []automaton.Range) int {
	only, same := -1, true
	for _, sp := range spans {
		st.DFA.Between(sp.Lo, sp.Hi, func(class int) bool {
			same = same && (only < 0 || only == class)
			only = class
			return same
		})
	}
	if !same {
		return -1
	}
	return only
}

// reaches reports whether some code point of spans leads to a live state.
func reaches(st *regex.State, spans []automaton.Range) bool {
	found := false
	for _, sp := range spans {
		st.DFA.Between(sp.Lo, sp.Hi, func(class int) bool {
			found = st.Step(class).Live()
			return !found
		})
		if found {
			return true
		}
	}
	return false
}

// keyState is within a key.
type keyState struct {
	m    *Machine
	cs   []keyPart
	part automaton.Partial
	// The character being read does the same whatever it becomes, and cs are what is after it.
	settled bool
}

// A keyPart is how far a key has been read for one thread of an object.
type keyPart struct {
	owner   int
	t       *thread
	node    *nameNode      // nil: no name begins so
	classes []*regex.State // of other keys; nil: none of the class begins so
}

func (m *Machine) beginKey(ts []ownedThread) automaton.Edge {
	var cs []keyPart
	for _, t := range ts {
		opts := m.c.options(t.t)
		if opts.none {
			continue
		}
		o := t.t.o
		p := keyPart{owner: t.owner, t: t.t, node: o.trie, classes: make([]*regex.State, len(o.rest))}
		for i, x := range o.rest {
			if opts.classes[i] != nil {
				p.classes[i] = m.c.space.DFA(x.lang).Start
			}
		}
		if p = m.trim(p); m.live(&p) {
			cs = append(cs, p)
		}
	}
	if cs == nil {
		return automaton.Edge{}
	}
	return goTo(m.keyState(cs, automaton.Partial{}, false))
}

// trim drops classes that a key cannot be of any more.
func (m *Machine) trim(p keyPart) keyPart {
	o := p.t.o
	for i, st := range p.classes {
		if st == nil {
			continue
		}
		if !st.Live() {
			p.classes[i] = nil
			continue
		}
		if p.node == nil {
			continue
		}
		// Names are no other keys.
		names := 0
		count := func(j int) {
			if m.c.matches(o.rest[i].lang, o.names[j].text) {
				names++
			}
		}
		if st.Count() >= regex.Many {
			continue
		}
		for _, j := range p.node.below {
			count(j)
		}
		if p.node.index >= 0 {
			count(p.node.index)
		}
		if st.Count() <= names {
			p.classes[i] = nil
		}
	}
	return p
}

// live reports whether some key that may follow begins so.
func (m *Machine) live(p *keyPart) bool {
	for _, st := range p.classes {
		if st != nil {
			return true
		}
	}
	if p.node == nil {
		return false
	}
	opts := m.c.options(p.t)
	if i := p.node.index; i >= 0 && opts.name(i) != nil {
		return true
	}
	for _, i := range p.node.below {
		if opts.name(i) != nil {
			return true
		}
	}
	return false
}

func (m *Machine) keyState(cs []keyPart, part automaton.Partial, settled bool) *automaton.State {
	m.buf = append(m.buf[:0], 'K')
	if settled {
		part = part.Plain()
		m.buf[0] = 'L'
	}
	for _, c := range cs {
		node := int32(0)
		if c.node != nil {
			node = c.node.id
		}
		m.buf = binary.AppendVarint(m.buf, int64(c.owner))
		m.buf = binary.AppendVarint(m.buf, int64(m.id(c.t)))
		m.buf = binary.AppendVarint(m.buf, int64(node))
		for _, st := range c.classes {
			id := int32(-1)
			if st != nil {
				id = st.ID
			}
			m.buf = binary.AppendVarint(m.buf, int64(id))
		}
	}
	m.buf = partialKey(m.buf, part)
	if st, ok := m.states[string(m.buf)]; ok {
		return st
	}
	key := string(m.buf)
	st := (&automaton.State{}).New(&keyState{m, cs, part, settled})
	if part.Kind == automaton.Between {
		free := freedom{limit: -2}
		for _, c := range cs {
			for _, s := range c.classes {
				if s == nil {
					continue
				}
				if n, ok := s.Remaining(); c.node != nil && ok && n >= 0 {
					free.mixed = true // names may be all that is short enough
					continue
				}
				free.add(s)
			}
			free.mixed = free.mixed || c.node != nil
		}
		free.apply(st)
	}
	m.states[key] = st
	return st
}

func (s *keyState) Edge(b byte) automaton.Edge {
	m := s.m
	part, r := s.part.Step(b)
	switch {
	case r == automaton.Wrong:
		return automaton.Edge{}
	case r == automaton.Close:
		return s.closed()
	case s.settled && r == automaton.More:
		return goTo(m.keyState(s.cs, part, true))
	case s.settled:
		return goTo(m.keyState(s.cs, automaton.Partial{}, false))
	case r == automaton.More:
		return s.inRune(part)
	}
	var cs []keyPart
	for _, c := range s.cs {
		next := keyPart{owner: c.owner, t: c.t, node: c.node.step(r), classes: make([]*regex.State, len(c.classes))}
		for i, st := range c.classes {
			if st != nil {
				next.classes[i] = st.Step(st.DFA.Class(r))
			}
		}
		if next = m.trim(next); m.live(&next) {
			cs = append(cs, next)
		}
	}
	if cs == nil {
		return automaton.Edge{}
	}
	return goTo(m.keyState(cs, automaton.Partial{}, false))
}

// inRune goes on within a character.
func (s *keyState) inRune(part automaton.Partial) automaton.Edge {
	var cs []keyPart
	spans := part.Spans()
	same := true
	for _, c := range s.cs {
		if c = s.within(c, spans); !s.m.live(&c) || !s.leads(&c, spans) {
			continue
		}
		cs = append(cs, c)
		same = same && c.node == nil
		for _, st := range c.classes {
			same = same && (st == nil || onlyClass(st, spans) >= 0)
		}
	}
	if cs == nil {
		return automaton.Edge{}
	}
	if same {
		for i, c := range cs {
			classes := make([]*regex.State, len(c.classes))
			for j, st := range c.classes {
				if st != nil {
					classes[j] = st.Step(onlyClass(st, spans))
				}
			}
			c.classes = classes
			cs[i] = c
		}
	}
	return goTo(s.m.keyState(cs, part, same))
}

// within keeps the classes of which some key goes on with a code point of spans.
func (s *keyState) within(c keyPart, spans []automaton.Range) keyPart {
	classes := make([]*regex.State, len(c.classes))
	for i, st := range c.classes {
		if st != nil && reaches(st, spans) {
			classes[i] = st
		}
	}
	c.classes = classes
	if c.node != nil && !slices.ContainsFunc(c.node.runes, func(r rune) bool { return inside(spans, r) }) {
		c.node = nil
	}
	return c
}

func inside(spans []automaton.Range, r rune) bool {
	return slices.ContainsFunc(spans, func(sp automaton.Range) bool { return sp.Lo <= r && r <= sp.Hi })
}

// leads reports whether some key goes on with a code point of spans: exactly, where names are in
// the way of classes.
func (s *keyState) leads(c *keyPart, spans []automaton.Range) bool {
	if c.node == nil {
		return true
	}
	try := func(r rune) bool {
		next := keyPart{owner: c.owner, t: c.t, node: c.node.step(r), classes: make([]*regex.State, len(c.classes))}
		for i, st := range c.classes {
			if st != nil {
				next.classes[i] = st.Step(st.DFA.Class(r))
			}
		}
		next = s.m.trim(next)
		return s.m.live(&next)
	}
	for _, r := range c.node.runes {
		if inside(spans, r) && try(r) {
			return true
		}
	}
	for _, st := range c.classes {
		if st == nil {
			continue
		}
		// A code point with which no name goes on.
		for _, sp := range spans {
			for r := sp.Lo; r <= sp.Hi; r++ {
				if c.node.step(r) == nil && st.Step(st.DFA.Class(r)).Live() {
					return true
				}
				if r-sp.Lo > 4096 {
					return true // more than there are names: reaches has found one
				}
			}
		}
	}
	return false
}

// closed ends the key.
func (s *keyState) closed() automaton.Edge {
	var nexts []memberNext
	var vec []*expr
	for _, c := range s.cs {
		opts := s.m.c.options(c.t)
		var found []option
		if c.node != nil && c.node.index >= 0 {
			found = opts.name(c.node.index)
		} else {
			for i, st := range c.classes {
				if st != nil && st.Accept {
					found = append(found, opts.classes[i]...)
				}
			}
		}
		for _, o := range found {
			nexts = append(nexts, memberNext{c.owner, place1(&vec, o.value), o.next})
		}
	}
	if nexts == nil {
		return automaton.Edge{}
	}
	return goTo(s.m.colon(nexts, vec, s.m.tight()))
}

// Room reports whether some key may still come of what was read if those that end with one of used
// were read before. It asks for them only if there is an end of possible keys. Within a character
// it does not look exactly.
func (s *keyState) Room(used func() []string) bool {
	if s.part.Kind != automaton.Between || s.settled {
		return true
	}
	for _, c := range s.cs {
		if c.node != nil && s.m.live(&keyPart{t: c.t, node: c.node}) {
			return true // names are read once by themselves
		}
		for i, st := range c.classes {
			if st != nil && s.m.roomIn(&c, i, used) {
				return true
			}
		}
	}
	return false
}

func (m *Machine) roomIn(c *keyPart, class int, used func() []string) bool {
	free := c.classes[class].Count()
	if free >= regex.Many {
		return true
	}
	if c.node != nil {
		o := c.t.o
		for _, j := range append(slices.Clone(c.node.below), c.node.index) {
			if j >= 0 && m.c.matches(o.rest[class].lang, o.names[j].text) {
				free--
			}
		}
	}
	for _, u := range used() {
		st, node := c.classes[class], c.node
		for _, r := range u {
			st, node = st.Step(st.DFA.Class(r)), node.step(r)
		}
		if st.Accept && (node == nil || node.index < 0) {
			free--
		}
	}
	return free > 0
}
