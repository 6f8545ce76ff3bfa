package automaton

import "slices"

// Kind says what an [Edge] does.
type Kind uint8

const (
	Dead   Kind = iota // no text has this byte here
	Go                 // read the byte, go on in To
	Push               // read the byte, push Then, go on in To
	Pop                // read the byte, pop, and resume with Out
	Reread             // pop, resume with Out, and read the byte there
)

// An Edge is what a state does on a byte.
type Edge struct {
	Kind Kind
	To   *State
	Then Resumer
	Out  *Outcome
}

// An Outcome is what a part of the text is found to be when it ends: the set of the alternatives
// asked for that it belongs to. It is never empty. Equal outcomes are one pointer.
type Outcome struct {
	Bits []uint64
}

// Has reports whether alternative i is in the set.
func (o *Outcome) Has(i int) bool { return o.Bits[i/64]>>(i%64)&1 != 0 }

// A Resumer is what waits on the stack. Resume returns the state that goes on; it is never dead.
type Resumer interface{ Resume(*Outcome) *State }

// A Source computes the edges of its states. Edge is called once for each byte of a state.
type Source interface{ Edge(b byte) Edge }

// A State is a state of an automaton: some text that begins here leads to the end, whatever the
// stack is.
type State struct {
	Source Source
	Final  bool     // the text may end here if the stack is empty
	End    *Outcome // if not nil, the part may end before this state, with this outcome

	// Free says that the state is inside of a JSON string in which any text of up to Limit
	// characters (-1: of any length) leads to a live state. Plain says besides that the string may
	// end where it has Least to Limit characters more, and nothing else matters about it.
	Free, Plain  bool
	Least, Limit int

	// Tokens are what may be read as a whole, whatever the bytes are. The source is a TokenSource.
	Tokens []Tokens

	index [256]uint8 // of edges; 0: not computed yet
	edges []Edge
	base  *base
}

// Tokens are the tokens IDs; or, if Others, all but those.
type Tokens struct {
	IDs    []int32
	Others bool
}

// Has reports whether a token is one of them.
func (t Tokens) Has(id int32) bool { return slices.Contains(t.IDs, id) != t.Others }

// A TokenSource computes edges for whole tokens besides.
type TokenSource interface {
	Source
	// Token reads a token with that text from a state of the source, with that stack. It returns
	// false if it may not follow.
	Token(id int32, text []byte, stack *Frame) (Config, bool)
}

const deadIndex = 1

// New makes the state of a source.
func (s *State) New(src Source) *State {
	s.Source = src
	s.edges = append(s.edges, Edge{}, Edge{})
	return s
}

// Loop makes the bytes of a string that need no escape lead back to s: the printable ones of ASCII.
func (s *State) Loop() {
	s.edges = append(s.edges, Edge{Kind: Go, To: s})
	for b := 0x20; b < 0x80; b++ {
		if b != '"' && b != '\\' {
			s.index[b] = uint8(len(s.edges) - 1)
		}
	}
}

func (s *State) edge(b byte) *Edge {
	i := s.index[b]
	if i == 0 {
		i = s.compute(b)
	}
	return &s.edges[i]
}

func (s *State) compute(b byte) uint8 {
	e := s.Source.Edge(b)
	i := uint8(deadIndex)
	if e.Kind != Dead {
		i = 0
		for j := 2; j < len(s.edges); j++ {
			if s.edges[j] == e {
				i = uint8(j)
				break
			}
		}
		if i == 0 {
			s.edges = append(s.edges, e)
			i = uint8(len(s.edges) - 1)
		}
	}
	s.index[b] = i
	return i
}

// A Frame is an element of a stack.
type Frame struct {
	Then Resumer
	Up   *Frame
}

// A Config is a state with its stack.
type Config struct {
	Top   *State
	Stack *Frame
}

// Step reads a byte. It returns false, and what it was given, if no text has it here.
func (c Config) Step(b byte) (Config, bool) {
	at := c
	for {
		e := at.Top.edge(b)
		switch e.Kind {
		case Go:
			return Config{e.To, at.Stack}, true
		case Push:
			return Config{e.To, &Frame{e.Then, at.Stack}}, true
		case Pop:
			return Config{at.Stack.Then.Resume(e.Out), at.Stack.Up}, true
		case Reread:
			at = Config{at.Stack.Then.Resume(e.Out), at.Stack.Up}
		default:
			return c, false
		}
	}
}

// Done reports whether the text may end here.
func (c Config) Done() bool {
	for c.Stack != nil {
		if c.Top.End == nil {
			return false
		}
		c = Config{c.Stack.Then.Resume(c.Top.End), c.Stack.Up}
	}
	return c.Top.Final
}

// Token reads a token with that text. It returns false, and what it was given, if none such may
// follow.
func (c Config) Token(id int32, text []byte) (Config, bool) {
	if src, ok := c.Top.Source.(TokenSource); ok && len(c.Top.Tokens) > 0 {
		if next, ok := src.Token(id, text, c.Stack); ok {
			return next, true
		}
		return c, false
	}
	return c.Text(text)
}

// Text reads a text of at least one byte. It returns false, and what it was given, if no such text
// may follow.
func (c Config) Text(text []byte) (Config, bool) {
	at, ok := c, len(text) > 0
	for i := 0; i < len(text) && ok; i++ {
		at, ok = at.Step(text[i])
	}
	if !ok {
		return c, false
	}
	return at, true
}

// Anything returns a state in which every text may follow.
func Anything() *State {
	var a anything
	a.st = (&State{Final: true}).New(&a)
	return a.st
}

type anything struct{ st *State }

func (a *anything) Edge(byte) Edge { return Edge{Kind: Go, To: a.st} }
