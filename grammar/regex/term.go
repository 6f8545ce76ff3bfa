package regex

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf8"
)

type termOp uint8

const (
	tFail   termOp = iota
	tEps           // the end of the text
	tAll           // any text
	tLength        // any text of min to max code points
	tSet           // a code point of set, then next
	tLoop          // pat min to max times, then next
	tOr
	tAnd
	tNot
	tWords  // one of words[lo:hi], whose first depth bytes were read
	tLazy   // the alternation pat, then next: expanded when it is looked into
	tAssert // the assertion pat here, then next

	noMax = -1

	startOf   = 0 // contexts: what stands before: nothing,
	afterWord = 1 // a character of a word,
	afterLine = 2 // a line break,
	afterRest = 3 // something else
)

// A Language is a set of texts, as a node of a formula over regular expressions. Languages belong
// to a [Space], which makes equal ones identical; all operations are methods of the Space.
type Language struct {
	op       termOp
	id       int32
	set      int32 // index into Space.sets
	pat      *Pattern
	next     *Language
	subs     []*Language
	min, max int
	words    []string // sorted
	lo, hi   int
	depth    int
	least    int  // no text is shorter, in code points; at most mostLeast
	pure     bool // a formula without And, Not and assertions: only Fail is empty
	assert   bool // holds an assertion that looks at what stands before
	dfa      *DFA
}

// A Space makes languages and remembers them, so that equal formulas are one node. It is for one
// goroutine at a time.
type Space struct {
	terms  map[termKey]*Language
	lists  map[string]*Language
	sets   []Set
	setIDs map[string]int32
	words  map[string]*Language
	n      int32       // languages
	states int32       // of all automata
	marked int32       // languages from here on may be forgotten
	active []*Language // loops whose derivative is being taken
	// Derivatives of loops and alternations by their id, a code point and a context.
	derived map[uint64]*Language

	forgotten int32 // states that were

	Fail, Eps, All *Language

	// Steps counts derivatives. Beyond Limit, if that is not 0, each of them calls Exceeded, which
	// ends the work by a panic of its own; so does a search that finds no end.
	Steps    int
	Limit    int
	Exceeded func()
}

type termKey struct {
	op       termOp
	set      int32
	pat      *Pattern
	next     int32
	min, max int
	words    *string
	depth    int
}

// NewSpace returns an empty space.
func NewSpace() *Space {
	s := &Space{terms: map[termKey]*Language{}, lists: map[string]*Language{}, setIDs: map[string]int32{}, words: map[string]*Language{},
		derived: map[uint64]*Language{}}
	s.Fail = s.intern(termKey{op: tFail}, &Language{op: tFail, pure: true})
	s.Eps = s.intern(termKey{op: tEps}, &Language{op: tEps, pure: true})
	s.All = s.intern(termKey{op: tAll}, &Language{op: tAll, pure: true})
	return s
}

// ID numbers the languages of a space.
func (l *Language) ID() int32 { return l.id }

// mostLeast bounds the lengths that are looked at.
const mostLeast = 1 << 12

// shortest returns a length that no text of l is shorter than.
func (l *Language) shortest() int {
	n := 0
	switch l.op {
	case tFail:
		n = mostLeast
	case tLength:
		n = l.min
	case tSet:
		n = 1 + l.next.least
	case tLoop:
		n = l.next.least + min(l.min, mostLeast)*l.pat.least
	case tLazy:
		n = l.next.least + l.pat.least
	case tAssert:
		n = l.next.least
	case tOr, tAnd:
		n = l.subs[0].least
		for _, x := range l.subs[1:] {
			if l.op == tOr {
				n = min(n, x.least)
			} else {
				n = max(n, x.least)
			}
		}
	case tWords:
		n = mostLeast
		for _, w := range l.words[l.lo:l.hi] {
			n = min(n, (len(w)-l.depth+utf8.UTFMax-1)/utf8.UTFMax)
		}
	}
	return min(n, mostLeast)
}

func (s *Space) intern(k termKey, l *Language) *Language {
	if old, ok := s.terms[k]; ok {
		return old
	}
	l.least = l.shortest()
	l.id = s.n
	s.n++
	s.terms[k] = l
	return l
}

func (s *Space) setID(set Set) int32 {
	k := set.key()
	if id, ok := s.setIDs[k]; ok {
		return id
	}
	id := int32(len(s.sets))
	s.sets = append(s.sets, set)
	s.setIDs[k] = id
	return id
}

// Length returns the texts of lo to hi code points; hi is -1 without limit.
func (s *Space) Length(lo, hi int) *Language {
	lo = max(lo, 0)
	switch {
	case lo == 0 && hi == noMax:
		return s.All
	case hi != noMax && lo > hi:
		return s.Fail
	case hi == 0:
		return s.Eps
	}
	return s.intern(termKey{op: tLength, min: lo, max: hi}, &Language{op: tLength, min: lo, max: hi, pure: true})
}

// Words returns the language of these texts.
func (s *Space) Words(words ...string) *Language {
	if len(words) == 0 {
		return s.Fail
	}
	words = slices.Clone(words)
	slices.Sort(words)
	words = slices.Compact(words)
	var b strings.Builder
	for _, w := range words {
		b.Write(binary.AppendUvarint(nil, uint64(len(w))))
		b.WriteString(w)
	}
	if l, ok := s.words[b.String()]; ok {
		return l
	}
	l := s.window(words, 0, len(words), 0)
	s.words[b.String()] = l
	return l
}

func (s *Space) window(words []string, lo, hi, depth int) *Language {
	if lo == hi {
		return s.Fail
	}
	if hi == lo+1 && len(words[lo]) == depth {
		return s.Eps
	}
	return s.intern(termKey{op: tWords, words: &words[0], min: lo, max: hi, depth: depth},
		&Language{op: tWords, words: words, lo: lo, hi: hi, depth: depth, pure: true})
}

// List returns the texts of a language that was made by Words or reduced to such.
func (s *Space) List(l *Language) ([]string, bool) {
	switch {
	case l == s.Fail:
		return nil, true
	case l == s.Eps:
		return []string{""}, true
	case l.op == tWords && l.depth == 0:
		return l.words[l.lo:l.hi], true
	}
	return nil, false
}

// Or returns the union of languages.
func (s *Space) Or(ls ...*Language) *Language {
	var words []string
	out := make([]*Language, 0, len(ls))
	var add func(l *Language) bool
	add = func(l *Language) bool {
		switch {
		case l.op == tAll:
			return false
		case l.op == tFail:
		case l.op == tOr:
			for _, x := range l.subs {
				if !add(x) {
					return false
				}
			}
		case l.op == tWords && l.depth == 0:
			words = append(words, l.words[l.lo:l.hi]...)
		default:
			out = append(out, l)
		}
		return true
	}
	for _, l := range ls {
		if !add(l) {
			return s.All
		}
	}
	if words != nil {
		out = append(out, s.Words(words...))
	}
	return s.list(tOr, out)
}

// And returns the intersection of languages.
func (s *Space) And(ls ...*Language) *Language {
	var finite *Language
	var not []string
	lo, hi := 0, noMax
	out := make([]*Language, 0, len(ls))
	var add func(l *Language) bool
	add = func(l *Language) bool {
		switch {
		case l.op == tFail:
			return false
		case l.op == tAll:
		case l.op == tAnd:
			for _, x := range l.subs {
				if !add(x) {
					return false
				}
			}
		case l.op == tLength:
			lo = max(lo, l.min)
			if l.max != noMax && (hi == noMax || l.max < hi) {
				hi = l.max
			}
		case l.op == tNot && l.subs[0].op == tWords && l.subs[0].depth == 0:
			not = append(not, l.subs[0].words[l.subs[0].lo:l.subs[0].hi]...)
		case finite == nil && l.op == tWords && l.depth == 0:
			finite = l
		default:
			out = append(out, l)
		}
		return true
	}
	for _, l := range ls {
		if !add(l) {
			return s.Fail
		}
	}
	if not != nil {
		out = append(out, s.Not(s.Words(not...)))
	}
	if l := s.Length(lo, hi); l != s.All {
		out = append(out, l)
	}
	if finite == nil {
		return s.list(tAnd, out)
	}
	var words []string
	for _, w := range finite.words[finite.lo:finite.hi] {
		keep := true
		for _, l := range out {
			keep = keep && s.Match(l, w)
		}
		if keep {
			words = append(words, w)
		}
	}
	return s.Words(words...)
}

// list makes the node of a union or intersection whose parts are neither trivial nor nested.
func (s *Space) list(op termOp, ls []*Language) *Language {
	empty, full := s.Fail, s.All
	if op == tAnd {
		empty, full = full, empty
	}
	slices.SortFunc(ls, func(a, b *Language) int { return cmp.Compare(a.id, b.id) })
	ls = slices.Compact(ls)
	switch len(ls) {
	case 0:
		return empty
	case 1:
		return ls[0]
	}
	key := make([]byte, 1, 1+4*len(ls))
	key[0] = byte(op)
	pure, assert := op == tOr, false
	for _, l := range ls {
		if l == full {
			return full
		}
		if l.op == tNot && slices.Contains(ls, l.subs[0]) {
			return full
		}
		key = binary.LittleEndian.AppendUint32(key, uint32(l.id))
		pure = pure && l.pure
		assert = assert || l.assert
	}
	if l, ok := s.lists[string(key)]; ok {
		return l
	}
	l := &Language{op: op, subs: ls, id: s.n, pure: pure, assert: assert}
	l.least = l.shortest()
	s.n++
	s.lists[string(key)] = l
	return l
}

// Not returns the texts that are not in l.
func (s *Space) Not(l *Language) *Language {
	switch l.op {
	case tNot:
		return l.subs[0]
	case tFail:
		return s.All
	case tAll:
		return s.Fail
	case tEps:
		return s.Length(1, noMax)
	case tLength:
		if l.min == 0 {
			return s.Length(l.max+1, noMax)
		}
		if l.max == noMax {
			return s.Length(0, l.min-1)
		}
		return s.Or(s.Length(0, l.min-1), s.Length(l.max+1, noMax))
	}
	return s.intern(termKey{op: tNot, next: l.id}, &Language{op: tNot, subs: []*Language{l}, assert: l.assert})
}

// Pattern returns the language of texts that p matches as a whole.
func (s *Space) Pattern(p *Pattern) *Language { return s.expand(p, s.Eps) }

// expand returns the texts of p followed by those of next.
func (s *Space) expand(p *Pattern, next *Language) *Language {
	if next == s.Fail {
		return next
	}
	switch p.op {
	case opEmpty:
		return next
	case opSet:
		if len(p.set) == 0 {
			return s.Fail
		}
		id := s.setID(p.set)
		return s.intern(termKey{op: tSet, set: id, next: next.id},
			&Language{op: tSet, set: id, next: next, pure: next.pure, assert: next.assert})
	case opCat:
		for _, sub := range slices.Backward(p.subs) {
			next = s.expand(sub, next)
		}
		return next
	case opAlt:
		if len(p.subs) > wide {
			return s.intern(termKey{op: tLazy, pat: p, next: next.id},
				&Language{op: tLazy, pat: p, next: next, pure: next.pure && p.pure, assert: next.assert || p.asserts})
		}
		return s.alternatives(p, next)
	case opRepeat:
		return s.loop(p.subs[0], p.min, p.max, next)
	case opFail:
		return s.Fail
	case opLook:
		all := s.expand(p.subs[0], s.All)
		if p.neg {
			all = s.Not(all)
		}
		return s.And(all, next)
	}
	return s.intern(termKey{op: tAssert, pat: p, next: next.id}, &Language{op: tAssert, pat: p, next: next, assert: true})
}

// wide is from how many alternatives on an alternation is expanded only where a text gets there.
const wide = 12

func (s *Space) alternatives(p *Pattern, next *Language) *Language {
	subs := make([]*Language, len(p.subs))
	for i, sub := range p.subs {
		subs[i] = s.expand(sub, next)
	}
	return s.Or(subs...)
}

func (s *Space) loop(p *Pattern, lo, hi int, next *Language) *Language {
	if hi == 0 || p.op == opFail || p.op == opEmpty {
		if lo > 0 && p.op == opFail {
			return s.Fail
		}
		return next
	}
	if p.op == opSet && len(p.set) == len(anySet) && p.set[0] == anySet[0] && p.set[1] == anySet[1] {
		if next == s.Eps {
			return s.Length(lo, hi)
		}
		if next == s.All {
			return s.Length(lo, noMax)
		}
	}
	return s.intern(termKey{op: tLoop, pat: p, next: next.id, min: lo, max: hi},
		&Language{op: tLoop, pat: p, next: next, min: lo, max: hi, pure: next.pure && p.pure, assert: next.assert || p.asserts})
}

// nullable reports whether the empty text is in l, at the end of a text and after ctx.
func (s *Space) nullable(l *Language, ctx uint8) bool {
	switch l.op {
	case tEps, tAll:
		return true
	case tLength:
		return l.min == 0
	case tLoop:
		if l.min == 0 {
			return s.nullable(l.next, ctx)
		}
		// All iterations are empty, so that one of them shows what the others do.
		return s.nullable(s.expand(l.pat, l.next), ctx)
	case tLazy:
		return s.nullable(s.alternatives(l.pat, l.next), ctx)
	case tOr:
		return slices.ContainsFunc(l.subs, func(x *Language) bool { return s.nullable(x, ctx) })
	case tAnd:
		return !slices.ContainsFunc(l.subs, func(x *Language) bool { return !s.nullable(x, ctx) })
	case tNot:
		return !s.nullable(l.subs[0], ctx)
	case tWords:
		return len(l.words[l.lo]) == l.depth
	case tAssert:
		return l.pat.holds(ctx, -1) && s.nullable(l.next, ctx)
	}
	return false
}

// holds reports whether an assertion holds between ctx and the code point r, -1 at the end.
func (p *Pattern) holds(ctx uint8, r rune) bool {
	switch p.op {
	case opBegin:
		return ctx == startOf
	case opEnd:
		return r < 0
	case opBeginLine:
		return ctx == startOf || ctx == afterLine
	case opEndLine:
		return r < 0 || r == '\n'
	}
	return (ctx == afterWord) != (r >= 0 && wordSet.Has(r)) != p.neg
}

func contextAfter(r rune) uint8 {
	switch {
	case r == '\n':
		return afterLine
	case wordSet.Has(r):
		return afterWord
	}
	return afterRest
}

// Match reports whether text is in l.
func (s *Space) Match(l *Language, text string) bool {
	ctx := uint8(startOf)
	for _, r := range text {
		if l = s.derive(l, r, ctx); l == s.Fail {
			return false
		}
		ctx = contextAfter(r)
	}
	return s.nullable(l, ctx)
}
