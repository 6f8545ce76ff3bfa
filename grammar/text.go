package grammar

import (
	"encoding/binary"
	"fmt"

	"github.com/goinfer/goinfer/grammar/automaton"
	"github.com/goinfer/goinfer/grammar/gbnf"
	"github.com/goinfer/goinfer/grammar/regex"
)

// GBNF compiles a grammar in the notation of llama.cpp.
func GBNF(src string) (*Constraint, error) {
	g, err := gbnf.Parse(src)
	if err != nil {
		return nil, err
	}
	if g.Tokens() {
		return &Constraint{locks: []*lock{newLock()}, resolve: func(v *Vocabulary) (*Constraint, error) {
			m, err := gbnf.NewMachine(g, v.tokens.Lookup, v.tokens.Size())
			if err != nil {
				return nil, err
			}
			return &Constraint{locks: []*lock{newLock()}, start: m.Start, forget: m.Forget}, nil
		}}, nil
	}
	m, err := gbnf.NewMachine(g, nil, 0)
	if err != nil {
		return nil, err
	}
	return &Constraint{locks: []*lock{newLock()}, start: m.Start, forget: m.Forget}, nil
}

// Syntax is a notation of regular expressions.
type Syntax uint8

const (
	RE2  Syntax = iota // as in Go's package regexp
	ECMA               // as in JavaScript and JSON Schema
)

// Regex compiles a regular expression. The whole text must match it.
func Regex(pattern string, syntax Syntax) (*Constraint, error) {
	parse := regex.ParseRE2
	if syntax == ECMA {
		parse = regex.ParseECMA
	}
	p, err := parse(pattern)
	if err != nil {
		return nil, err
	}
	m := &textMachine{space: regex.NewSpace(), states: map[string]*automaton.State{}}
	tooComplex := false
	m.space.Exceeded = func() { tooComplex = true }
	m.first = m.space.DFA(m.space.Pattern(p)).Start
	live := m.first.Live()
	m.space.Exceeded = nil
	m.space.Mark()
	switch {
	case tooComplex:
		return nil, fmt.Errorf("regular expression %s is too complex", shorten(pattern))
	case !live:
		return nil, fmt.Errorf("regular expression %s matches nothing", shorten(pattern))
	}
	return &Constraint{locks: []*lock{newLock()}, start: m.start, forget: m.forget}, nil
}

// A textMachine is the automaton of the texts of a language.
type textMachine struct {
	space  *regex.Space
	first  *regex.State
	states map[string]*automaton.State
}

// keepStates bounds the number of states that are remembered.
const keepStates = 200_000

func (m *textMachine) start() automaton.Config {
	if len(m.states)+m.space.States() > keepStates {
		m.forget()
	}
	return automaton.Config{Top: m.state(m.first, automaton.Partial{})}
}

func (m *textMachine) forget() {
	m.states = map[string]*automaton.State{}
	m.space.Forget()
	m.first = m.space.DFA(m.first.Language()).Start
}

type textState struct {
	m    *textMachine
	st   *regex.State
	part automaton.Partial
}

func (m *textMachine) state(st *regex.State, part automaton.Partial) *automaton.State {
	key := binary.AppendVarint(nil, int64(st.ID))
	key = append(key, byte(part.Kind), part.N)
	key = binary.AppendVarint(key, int64(part.Bits))
	out, ok := m.states[string(key)]
	if !ok {
		out = (&automaton.State{Final: st.Accept && part.Kind == automaton.Between}).New(&textState{m, st, part})
		m.states[string(key)] = out
	}
	return out
}

func (s *textState) Edge(b byte) automaton.Edge {
	part, r := s.part.Raw(b)
	next := s.st
	switch {
	case r == automaton.Wrong:
		return automaton.Edge{}
	case r != automaton.More:
		if next = next.Step(next.DFA.Class(r)); !next.Live() {
			return automaton.Edge{}
		}
	default:
		found := false
		for _, sp := range part.Spans() {
			next.DFA.Between(sp.Lo, sp.Hi, func(class int) bool {
				found = found || next.Step(class).Live()
				return !found
			})
		}
		if !found {
			return automaton.Edge{}
		}
	}
	return automaton.Edge{Kind: automaton.Go, To: s.m.state(next, part)}
}
