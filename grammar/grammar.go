package grammar

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/goinfer/goinfer/grammar/automaton"
	"github.com/goinfer/goinfer/grammar/jsonschema"
	"github.com/goinfer/goinfer/sample"
)

// Tokens is what a grammar must know about a model's vocabulary; [tokenizer.Tokenizer] is one.
//
// [tokenizer.Tokenizer]: https://pkg.go.dev/github.com/goinfer/goinfer/tokenizer#Tokenizer
type Tokens interface {
	Size() int                            // the number of ids
	Bytes(id int32) []byte                // what an id adds to a text; nothing for control tokens
	IsEOG(id int32) bool                  // whether it ends generation
	Lookup(spelling string) (int32, bool) // the id with that spelling, control tokens included
}

// A Vocabulary is the tokens of a model, prepared for grammars. It is made once for a model and
// shared by all of them.
type Vocabulary struct {
	tokens Tokens
	v      *automaton.Vocabulary
	quoted [6][]int32 // tokens with at least so many quotation marks
}

// NewVocabulary prepares the tokens of a model: some 0.2 s and 10 bytes of memory for each byte of
// the tokens.
func NewVocabulary(t Tokens) *Vocabulary {
	v := automaton.NewVocabulary(t.Size(), t.Bytes, t.IsEOG)
	out := &Vocabulary{tokens: t, v: v}
	for n := range out.quoted {
		out.quoted[n] = v.Quoted(n)
	}
	return out
}

// A Constraint is what texts must be like. It may be shared by goroutines.
type Constraint struct {
	locks   []*lock // of the machines, whose states are made as texts are read
	start   func() automaton.Config
	forget  func() // the states made so far, but for those in use
	repeats bool   // keys that appear twice must be looked for
	scarce  bool   // there may be no other key left
	resolve func(*Vocabulary) (*Constraint, error)
	notes   map[string]int
	json    bool // texts are JSON values
	lazy    bool // text outside of JSON values is free
}

// A lock guards a machine. Those of several machines are taken in the order of their numbers.
type lock struct {
	sync.Mutex
	n uint64
}

var lockCount atomic.Uint64

func newLock() *lock { return &lock{n: lockCount.Add(1)} }

func inOrder(locks []*lock) []*lock {
	slices.SortFunc(locks, func(a, b *lock) int { return cmp.Compare(a.n, b.n) })
	return slices.Compact(locks)
}

// lock locks the machines of c, and returns what unlocks them.
func (c *Constraint) lock() (unlock func()) {
	for _, l := range c.locks {
		l.Lock()
	}
	return c.unlock
}

func (c *Constraint) unlock() {
	for _, l := range c.locks {
		l.Unlock()
	}
}

// Notes lists keywords of a schema that constrain nothing, with how often they stand there:
// unknown ones, and formats without a rule.
func (c *Constraint) Notes() map[string]int { return c.notes }

// Options say how a schema is read and what its texts look like.
type Options = jsonschema.Options

// The white space of JSON texts.
const (
	Usual    = jsonschema.Usual
	None     = jsonschema.None
	Flexible = jsonschema.Flexible
)

// Schema compiles a JSON schema. What cannot be kept exactly is an error of type
// [jsonschema.Error], which names the keyword and where it stands.
func Schema(src []byte, opts Options) (*Constraint, error) {
	m, err := jsonschema.Compile(src, opts)
	if err != nil {
		return nil, err
	}
	return &Constraint{locks: []*lock{newLock()}, start: m.Start, forget: m.Forget, repeats: m.Repeats, scarce: m.Scarce, notes: m.Notes(), json: true}, nil
}

// JSON is the constraint of any JSON value.
func JSON(opts Options) *Constraint {
	c, err := Schema([]byte("true"), opts)
	if err != nil {
		panic(err)
	}
	return c
}

// Grammar returns the constraint on tokens of v. It is an error if it names a token that v has not.
func (c *Constraint) Grammar(v *Vocabulary) (sample.Grammar, error) {
	if c.resolve != nil {
		var err error
		if c, err = c.resolve(v); err != nil {
			return nil, err
		}
	}
	return &bound{c: c, v: v, w: automaton.NewWalker(v.v)}, nil
}

// bound is a constraint on the tokens of a vocabulary.
type bound struct {
	c *Constraint
	v *Vocabulary
	w *automaton.Walker // under the lock of c
}

func (g *bound) NewMatcher() sample.Matcher {
	defer g.c.lock()()
	return &matcher{g: g, at: g.c.start()}
}

type matcher struct {
	g    *bound
	at   automaton.Config
	keys keys
	done int8 // 1: complete, -1: not; 0: not looked at yet
}

func (m *matcher) Clone() sample.Matcher {
	c := *m
	c.keys.text = append([]byte(nil), c.keys.text...)
	return &c
}

func (m *matcher) Done() bool {
	if m.done == 0 {
		defer m.g.c.lock()()
		m.done = -1
		if m.at.Done() {
			m.done = 1
		}
	}
	return m.done > 0
}

func (m *matcher) Mask(allowed sample.Bitset) {
	clear(allowed)
	defer m.g.c.lock()()
	out := automaton.Bits(allowed)
	if need := (m.g.v.v.Size() + 63) / 64; len(out) < need {
		out = make(automaton.Bits, need)
		defer func() { copy(allowed, out) }()
	}
	m.g.w.Mask(m.at, out)
	if m.g.c.repeats {
		m.withoutRepeats(sample.Bitset(out))
	}
}

// withoutRepeats takes out the tokens that end a key which its object has.
func (m *matcher) withoutRepeats(out sample.Bitset) {
	k := &m.keys
	// So many quotation marks has a token that ends a key: the last of them ends it, one begins it,
	// one ends the string before.
	marks := 3
	switch {
	case k.open == nil: // and two are those of an equal key
		marks = 2
	case k.mode == inKey:
		if k.part.Kind != automaton.Between {
			marks = 1
			break
		}
		for _, rest := range k.rests() {
			m.g.v.v.Closing(rest, func(id int32) {
				out.Remove(id)
			})
		}
	case k.mode == between:
		marks = 2
	}
	if k.seen == 0 {
		marks += 2
	} else if m.g.c.scarce {
		m.withoutDeadEnds(out)
	}
	for _, id := range m.g.v.quoted[marks] {
		if out.Has(id) && !m.isNew(k, m.g.v.v.Text(id)) {
			out.Remove(id)
		}
	}
}

// withoutDeadEnds takes out the tokens after which every key that is possible has been read.
func (m *matcher) withoutDeadEnds(out sample.Bitset) {
	k := &m.keys
	look := func(id int32) {
		if out.Has(id) && !m.room(id) {
			out.Remove(id)
		}
	}
	switch {
	case k.mode == inKey && k.part.Kind == automaton.Between:
		for _, rest := range k.rests() {
			m.g.v.v.Along(rest, look)
		}
	case k.mode == inKey:
		for id := range int32(m.g.v.v.Size()) {
			look(id)
		}
	case k.mode == inText:
		for _, id := range m.g.v.quoted[2] {
			look(id)
		}
	default:
		for _, id := range m.g.v.quoted[1] {
			look(id)
		}
	}
}

// room reports whether a key that a token begins, or goes on with, can become a new one.
func (m *matcher) room(id int32) bool {
	text := m.g.v.v.Text(id)
	next, ok := m.at.Token(id, text)
	if !ok {
		return false
	}
	s, ok := next.Top.Source.(interface {
		Room(used func() []string) bool
	})
	return !ok || s.Room(func() []string {
		k := m.keys.fork()
		m.g.c.read(&k, m.at, text)
		if k.mode != inKey {
			return nil
		}
		return k.rests()
	})
}

// An Error is a token that the constraint does not allow.
type Error struct {
	ID   int32
	Text string
	At   int // so many bytes of Text are allowed
}

func (e *Error) Error() string {
	if e.At > 0 {
		return fmt.Sprintf("token %d (%q) is not allowed here from its byte %d on", e.ID, e.Text, e.At)
	}
	return fmt.Sprintf("token %d (%q) is not allowed here", e.ID, e.Text)
}

func (m *matcher) Accept(id int32) error {
	defer m.g.c.lock()()
	text := m.g.v.v.Text(id)
	next, ok := m.at.Token(id, text)
	if ok && m.g.c.repeats && (!m.isNew(&m.keys, text) || m.g.c.scarce && m.keys.seen > 0 && !m.room(id)) {
		ok = false
	}
	if !ok {
		return &Error{id, string(text), m.allowed(text)}
	}
	if m.g.c.repeats {
		m.g.c.read(&m.keys, m.at, text)
	}
	m.at, m.done = next, 0
	return nil
}

// allowed returns how many bytes of a text may follow.
func (m *matcher) allowed(text []byte) int {
	at := m.at
	for i, b := range text {
		var ok bool
		if at, ok = at.Step(b); !ok || m.g.c.repeats && !m.isNew(&m.keys, text[:i+1]) {
			return i
		}
	}
	return len(text)
}

// read reads a text, which may follow at, into k. It returns false if a key of it appears twice.
func (c *Constraint) read(k *keys, at automaton.Config, text []byte) bool {
	for _, b := range text {
		if c.lazy {
			if at, _ = at.Step(b); outside(at.Top) {
				*k = keys{}
				continue
			}
		}
		if !k.next(b) {
			return false
		}
	}
	return true
}

// isNew reports whether a text, which may follow, repeats no key. It leaves k as it was.
func (m *matcher) isNew(k *keys, text []byte) bool {
	if !m.g.c.lazy {
		return k.try(text)
	}
	c := k.fork()
	return m.g.c.read(&c, m.at, text)
}

func appendRune(b []byte, r rune) []byte { return utf8.AppendRune(b, r) }
