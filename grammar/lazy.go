package grammar

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goinfer/goinfer/grammar/automaton"
)

// A Trigger is a part of an output that a constraint holds for, such as the call of a tool.
type Trigger struct {
	// Open is what begins the part: any of these texts. A control token is written by its spelling
	// in the vocabulary. White space at the end does not count.
	Open []string
	// Body is what the part is like: JSON of a schema or a type. White space may stand before
	// and after it, and must after a number.
	Body *Constraint
	// Close ends the part; if it is empty the body does. White space at its beginning does not
	// count.
	Close string
}

// LazyOptions say how often the parts of a [Lazy] constraint come.
type LazyOptions struct {
	Required bool // the output may not end before one of them
	Once     bool // the output ends after one of them
}

// Lazy returns the constraint of outputs that are free text but for their triggered parts: from the
// opening of a trigger on its body must follow, then its closing, and then the text is free again.
// It is what strict calls of tools want, where the model may also answer in text (the lazy grammars
// of llama.cpp).
func Lazy(opts LazyOptions, triggers ...Trigger) (*Constraint, error) {
	if len(triggers) == 0 {
		return nil, fmt.Errorf("want at least one trigger")
	}
	m := &lazyMachine{free: !opts.Required, once: opts.Once, lazy: true}
	for i, t := range triggers {
		if t.Body == nil || !t.Body.json {
			return nil, fmt.Errorf("trigger %d: want a body of JSON", i)
		}
		if err := m.add(t); err != nil {
			return nil, fmt.Errorf("trigger %d: %w", i, err)
		}
	}
	return m.constraint()
}

// After returns the constraint of outputs that begin with free text, such as a thought, and from
// the first of the tags on are texts of c. Tags are written as [Trigger.Open] has them; white space
// may follow them. An output may not end before a tag.
func (c *Constraint) After(tags ...string) (*Constraint, error) { return c.after("", tags) }

// MaybeAfter is [Constraint.After] for models that may begin with a thought or not: if the output
// does not begin with open it is a text of c from its beginning.
func (c *Constraint) MaybeAfter(open string, tags ...string) (*Constraint, error) {
	if open = strings.TrimSpace(open); open == "" {
		return nil, fmt.Errorf("want the tag that begins a thought, found none")
	}
	return c.after(open, tags)
}

func (c *Constraint) after(open string, tags []string) (*Constraint, error) {
	m := &lazyMachine{begin: open}
	if err := m.add(Trigger{Open: tags, Body: c}); err != nil {
		return nil, err
	}
	return m.constraint()
}

// Bounds of tags.
const (
	maxTags = 1000
	maxTag  = 1000
	maxGap  = 16 // white space around a body
)

// A lazyMachine is the automaton of outputs that are free text in places.
type lazyMachine struct {
	parts []part
	tags  []tagNode // a trie of all openings; 0 is its root
	begin string    // of MaybeAfter
	free  bool      // the text may end without a part
	once  bool
	lazy  bool // made by Lazy

	spelled  map[int32]string // the control tokens that tags contain
	controls []int32          // all control tokens

	starts []automaton.Config // of the bodies
	states map[lazyKey]*automaton.State
}

type part struct {
	Trigger
	last bool // the closing ends generation
}

// A tagNode is how far an opening has been read (Aho and Corasick 1975, doi:10.1145/360825.360855).
type tagNode struct {
	text string
	next map[byte]int
	part int // whose opening ends here; -1: none
}

func (m *lazyMachine) add(t Trigger) error {
	if len(t.Open) == 0 {
		return fmt.Errorf("want a tag, found none")
	}
	if m.tags == nil {
		m.tags = []tagNode{{next: map[byte]int{}, part: -1}}
	}
	t.Close = strings.TrimLeft(t.Close, " \t\r\n")
	if len(t.Close) > maxTag {
		return fmt.Errorf("want tags up to %d bytes, found %d", maxTag, len(t.Close))
	}
	i := len(m.parts)
	for _, tag := range t.Open {
		tag = strings.TrimRight(tag, " \t\r\n")
		switch {
		case !utf8.ValidString(tag + t.Close):
			return fmt.Errorf("want tags in UTF-8, found %s", shorten(tag))
		case tag == "":
			return fmt.Errorf("want a tag, found white space")
		case len(tag) > maxTag || len(m.tags) > maxTags*maxTag:
			return fmt.Errorf("want tags up to %d bytes, found %d", maxTag, len(tag))
		}
		at := 0
		for j := range len(tag) {
			next, ok := m.tags[at].next[tag[j]]
			if !ok {
				next = len(m.tags)
				m.tags[at].next[tag[j]] = next
				m.tags = append(m.tags, tagNode{text: tag[:j+1], next: map[byte]int{}, part: -1})
			}
			at = next
		}
		if p := m.tags[at].part; p >= 0 && p != i {
			return fmt.Errorf("tag %s opens another part too", shorten(tag))
		}
		m.tags[at].part = i
	}
	m.parts = append(m.parts, part{Trigger: t})
	return nil
}

// distinct reports an opening that another one ends before it is complete.
func (m *lazyMachine) distinct() error {
	var tags []tagNode
	for _, n := range m.tags {
		if n.part >= 0 {
			tags = append(tags, n)
		}
	}
	if len(tags) > maxTags {
		return fmt.Errorf("want at most %d tags, found %d", maxTags, len(tags))
	}
	for _, a := range tags {
		for _, b := range tags {
			if a.part != b.part && strings.Contains(a.text, b.text) {
				return fmt.Errorf("tag %s contains %s, which opens another part", shorten(a.text), shorten(b.text))
			}
		}
	}
	return nil
}

func (m *lazyMachine) constraint() (*Constraint, error) {
	if err := m.distinct(); err != nil {
		return nil, err
	}
	out := m.over(nil)
	out.resolve = m.resolve
	return out, nil
}

// over makes the constraint of m; without a vocabulary control tokens are their spellings.
func (m *lazyMachine) over(v *Vocabulary) *Constraint {
	out := &Constraint{start: m.start, lazy: true, notes: map[string]int{}}
	for _, p := range m.parts {
		b := p.Body
		out.locks = append(out.locks, b.locks...)
		out.repeats, out.scarce = out.repeats || b.repeats, out.scarce || b.scarce
		for k, n := range b.notes {
			out.notes[k] += n
		}
		if b.start == nil {
			out.start = nil
		}
	}
	out.locks = inOrder(append(out.locks, newLock()))
	return out
}

// resolve finds the control tokens of a vocabulary that the tags contain.
func (m *lazyMachine) resolve(v *Vocabulary) (*Constraint, error) {
	r := *m
	r.states, r.starts, r.parts = nil, nil, slices.Clone(m.parts)
	r.spelled, r.controls = map[int32]string{}, v.v.Control()
	for i, p := range r.parts {
		if p.Body.resolve != nil {
			body, err := p.Body.resolve(v)
			if err != nil {
				return nil, err
			}
			r.parts[i].Body = body
		}
		for from := range len(p.Close) {
			if id, ok := v.tokens.Lookup(p.Close[from:]); ok && v.tokens.IsEOG(id) {
				r.parts[i].Close, r.parts[i].last = strings.TrimRight(p.Close[:from], " \t\r\n"), true
				break
			}
		}
		for _, tag := range append(slices.Clone(p.Open), r.parts[i].Close) {
			r.spell(v, tag)
		}
	}
	if r.begin != "" {
		r.spell(v, r.begin)
		id, ok := v.tokens.Lookup(r.begin)
		if _, control := r.spelled[id]; !ok || !control {
			b := r.parts[0].Body
			defer b.lock()()
			if _, clash := b.start().Step(r.begin[0]); clash {
				return nil, fmt.Errorf("tag %s: what the constraint allows may begin with %q too, and the vocabulary has no control token of that name",
					shorten(r.begin), r.begin[0])
			}
		}
	}
	return r.over(v), nil
}

// spell looks for the control tokens whose spelling is a part of tag.
func (m *lazyMachine) spell(v *Vocabulary, tag string) {
	for from := range len(tag) {
		for to := from + 1; to <= len(tag); to++ {
			id, ok := v.tokens.Lookup(tag[from:to])
			if ok && v.v.Text(id) == nil && !v.tokens.IsEOG(id) {
				m.spelled[id] = tag[from:to]
			}
		}
	}
}

// start returns the state before the text.
func (m *lazyMachine) start() automaton.Config {
	fresh := m.states == nil
	if fresh {
		m.starts = make([]automaton.Config, len(m.parts))
	}
	for i, p := range m.parts {
		// A machine that has forgotten its states has a new one to begin with.
		at := p.Body.start()
		fresh = fresh || at.Top != m.starts[i].Top
		m.starts[i] = at
	}
	if fresh {
		m.states = map[lazyKey]*automaton.State{}
	}
	if m.begin != "" {
		return automaton.Config{Top: m.state(lazyKey{kind: beginning})}
	}
	return automaton.Config{Top: m.state(lazyKey{kind: freely})}
}

// lazyKey is a state outside of bodies.
type lazyKey struct {
	kind lazyKind
	at   int // node of an opening; bytes of a closing or beginning
	gap  int // white space read
	part int
	seen bool // a part has come
}

type lazyKind uint8

const (
	beginning lazyKind = iota // before a thought or a body
	freely
	before // a body
	closing
	ended
)

func (m *lazyMachine) state(k lazyKey) *automaton.State {
	st, ok := m.states[k]
	if ok {
		return st
	}
	st = &automaton.State{}
	switch k.kind {
	case freely:
		st.Final = m.lazy && (m.free || k.seen)
		st.Tokens = m.tokens(m.controls)
	case before, beginning:
		body := m.starts[k.part]
		st.Final = !m.lazy && body.Done()
		st.Tokens = slices.Clone(body.Top.Tokens)
		if k.kind == beginning {
			st.Tokens = append(st.Tokens, m.tokens(m.spelling(m.begin[k.at:]))...)
			st.Final = st.Final && k.at == 0
		}
	case closing:
		st.Tokens = m.tokens(m.spelling(m.parts[k.part].Close[k.at:]))
	case ended:
		st.Final = true
	}
	m.states[k] = st.New(&lazyState{m, k})
	return st
}

func (m *lazyMachine) tokens(ids []int32) []automaton.Tokens {
	if len(ids) == 0 {
		return nil
	}
	return []automaton.Tokens{{IDs: ids}}
}

// spelling lists the control tokens that text begins with.
func (m *lazyMachine) spelling(text string) []int32 {
	var out []int32
	for id, s := range m.spelled {
		if strings.HasPrefix(text, s) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// after returns the state when a body and its closing have been read.
func (m *lazyMachine) after(i int) *automaton.State {
	if m.once || m.parts[i].last {
		return m.state(lazyKey{kind: ended})
	}
	return m.state(lazyKey{kind: freely, seen: true})
}

// lazyState is outside of bodies.
type lazyState struct {
	m *lazyMachine
	lazyKey
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

func (s *lazyState) Edge(b byte) automaton.Edge {
	m, k := s.m, s.lazyKey
	switch k.kind {
	case beginning:
		if e := m.enter(k.part, b); k.at == 0 && e.Kind != automaton.Dead {
			return e
		}
		if b == m.begin[k.at] {
			return goTo(m.begun(k.at + 1))
		}
		if k.at > 0 {
			return automaton.Edge{}
		}
	case freely:
		return goTo(m.freely(k.at, string([]byte{b}), k.seen))
	case before:
		if e := m.enter(k.part, b); e.Kind != automaton.Dead {
			return e
		}
	case closing:
		if text := m.parts[k.part].Close; b == text[k.at] {
			return goTo(m.closed(k.part, k.at+1))
		} else if k.at > 0 {
			return automaton.Edge{}
		}
	case ended:
		return automaton.Edge{}
	}
	if !isBlank(b) || k.gap == maxGap {
		return automaton.Edge{}
	}
	k.gap++
	return goTo(m.state(k))
}

func goTo(st *automaton.State) automaton.Edge { return automaton.Edge{Kind: automaton.Go, To: st} }

// enter reads the first byte of a body.
func (m *lazyMachine) enter(i int, b byte) automaton.Edge {
	start := m.starts[i]
	next, ok := start.Step(b)
	switch {
	case !ok:
		return automaton.Edge{}
	case start.Stack == nil:
		return goTo(next.Top)
	}
	then := start.Stack.Then
	if m.lazy {
		then = bodyEnd{m, i}
	}
	return automaton.Edge{Kind: automaton.Push, To: next.Top, Then: then}
}

// begun returns the state after so many bytes of the tag of a thought.
func (m *lazyMachine) begun(at int) *automaton.State {
	if at == len(m.begin) {
		return m.state(lazyKey{kind: freely})
	}
	return m.state(lazyKey{kind: beginning, at: at})
}

// freely returns the state after text in free text, of which a part of an opening was read.
func (m *lazyMachine) freely(at int, text string, seen bool) *automaton.State {
	for i := range len(text) {
		if at = m.next(at, text[i]); m.tags[at].part >= 0 && i+1 == len(text) {
			return m.state(lazyKey{kind: before, part: m.tags[at].part})
		} else if m.tags[at].part >= 0 {
			at = 0 // within a control token no tag ends
		}
	}
	return m.state(lazyKey{kind: freely, at: at, seen: seen})
}

// next returns the longest beginning of an opening that the text ends with.
func (m *lazyMachine) next(at int, b byte) int {
	text := m.tags[at].text + string([]byte{b})
	for from := range text {
		node := 0
		for j := from; j < len(text); j++ {
			var ok bool
			if node, ok = m.tags[node].next[text[j]]; !ok {
				node = -1
				break
			}
		}
		if node > 0 {
			return node
		}
	}
	return 0
}

// closed returns the state after so many bytes of a closing.
func (m *lazyMachine) closed(i, at int) *automaton.State {
	if at == len(m.parts[i].Close) {
		return m.after(i)
	}
	return m.state(lazyKey{kind: closing, part: i, at: at})
}

// bodyEnd waits below a body.
type bodyEnd struct {
	m    *lazyMachine
	part int
}

func (e bodyEnd) Resume(*automaton.Outcome) *automaton.State { return e.m.closed(e.part, 0) }

// Token reads a whole token: a control token as its spelling, any other byte by byte.
func (s *lazyState) Token(id int32, text []byte, stack *automaton.Frame) (automaton.Config, bool) {
	m, k := s.m, s.lazyKey
	at := automaton.Config{Top: m.state(k), Stack: stack}
	if len(text) > 0 {
		if k.kind == before || k.kind == beginning && k.at == 0 {
			if next, ok := s.bodyToken(id, text, stack); ok {
				return next, true
			}
		}
		return at.Text(text)
	}
	spelled, ok := m.spelled[id]
	to := func(st *automaton.State) (automaton.Config, bool) {
		return automaton.Config{Top: st, Stack: stack}, true
	}
	switch {
	case k.kind == freely && ok:
		return to(m.freely(k.at, spelled, k.seen))
	case k.kind == freely:
		return to(m.state(lazyKey{kind: freely, seen: k.seen}))
	case k.kind == closing && ok && strings.HasPrefix(m.parts[k.part].Close[k.at:], spelled):
		return to(m.closed(k.part, k.at+len(spelled)))
	case k.kind == beginning && ok && strings.HasPrefix(m.begin[k.at:], spelled):
		return to(m.begun(k.at + len(spelled)))
	case k.kind == before || k.kind == beginning && k.at == 0:
		return s.bodyToken(id, text, stack)
	}
	return at, false
}

// bodyToken reads a token that the body names.
func (s *lazyState) bodyToken(id int32, text []byte, stack *automaton.Frame) (automaton.Config, bool) {
	top := s.m.starts[s.part].Top
	if src, ok := top.Source.(automaton.TokenSource); ok && len(top.Tokens) > 0 {
		return src.Token(id, text, stack)
	}
	return automaton.Config{}, false
}

// outside reports whether a state is none of a body.
func outside(st *automaton.State) bool {
	_, ok := st.Source.(*lazyState)
	return ok
}
