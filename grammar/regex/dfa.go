package regex

import (
	"maps"
	"slices"
	"unicode"
	"unicode/utf8"
)

// A DFA reads texts of a language one code point at a time. Its states are made when they are
// first reached. It is for one goroutine at a time.
type DFA struct {
	Start *State

	space   *Space
	states  map[stateKey]*State
	ascii   [utf8.RuneSelf]uint32
	ranges  []classRange // of the code points from 0x80, in rising order
	reps    []rune       // one code point of each class
	context bool         // what stands before a code point matters
	void    uint32       // the class of surrogates, which no text holds
}

type classRange struct {
	hi    rune
	class uint32
}

// manyClasses is from how many classes on states keep only those that were looked at.
const manyClasses = 256

type stateKey struct {
	id  int32
	ctx uint8
}

// A State is a state of a [DFA].
type State struct {
	DFA    *DFA
	ID     int32 // no other state of the space has it
	Accept bool  // the text may end here

	lang *Language
	ctx  uint8
	next []*State          // by class, or
	far  map[uint32]*State // where there are many
	live int8              // 1: some text leads to Accept, -1: none, 0: not known yet
	size int               // of Count, plus 1
}

// States returns how many states of automata were made since the last [Space.Forget].
func (s *Space) States() int { return int(s.states - s.forgotten) }

// Mark has [Space.Forget] keep the languages that there are.
func (s *Space) Mark() { s.marked = s.n }

// Forget drops all automata, and the languages that came after [Space.Mark]. States that are in
// use go on as they are; numbers of states and languages are not used again.
func (s *Space) Forget() {
	s.forgotten = s.states
	clear(s.derived)
	drop := func(l *Language) bool {
		l.dfa = nil
		return l.id >= s.marked
	}
	maps.DeleteFunc(s.terms, func(_ termKey, l *Language) bool { return drop(l) })
	maps.DeleteFunc(s.lists, func(_ string, l *Language) bool { return drop(l) })
	maps.DeleteFunc(s.words, func(_ string, l *Language) bool { return l.id >= s.marked })
}

// DFA returns the automaton of l.
func (s *Space) DFA(l *Language) *DFA {
	if l.dfa == nil {
		d := &DFA{space: s, states: map[stateKey]*State{}, context: l.assert}
		d.partition(l)
		d.Start = d.state(l, startOf)
		l.dfa = d
	}
	return l.dfa
}

func (d *DFA) state(l *Language, ctx uint8) *State {
	if !l.assert {
		ctx = afterRest
	}
	k := stateKey{l.id, ctx}
	st, ok := d.states[k]
	if !ok {
		st = &State{DFA: d, lang: l, ctx: ctx, Accept: d.space.nullable(l, ctx)}
		if len(d.reps) <= manyClasses {
			st.next = make([]*State, len(d.reps))
		} else {
			st.far = map[uint32]*State{}
		}
		d.space.states++
		st.ID = d.space.states
		switch {
		case l == d.space.Fail:
			st.live = -1
		case st.Accept || l.pure:
			st.live = 1
		}
		d.states[k] = st
	}
	return st
}

// partition splits the code points into classes that no set of l separates.
func (d *DFA) partition(l *Language) {
	var sets []Set
	seenSet, seen, seenPat := map[int32]bool{}, map[*Language]bool{}, map[*Pattern]bool{}
	addSet := func(id int32) {
		if !seenSet[id] {
			seenSet[id] = true
			sets = append(sets, d.space.sets[id])
		}
	}
	var fromPattern func(p *Pattern)
	fromPattern = func(p *Pattern) {
		if seenPat[p] {
			return
		}
		seenPat[p] = true
		if p.op == opSet {
			addSet(d.space.setID(p.set))
		}
		for _, s := range p.subs {
			fromPattern(s)
		}
	}
	chars := map[rune]bool{}
	var walk func(l *Language)
	walk = func(l *Language) {
		for l != nil && !seen[l] {
			seen[l] = true
			switch l.op {
			case tSet:
				addSet(l.set)
			case tLoop, tLazy:
				fromPattern(l.pat)
			case tWords:
				for _, w := range l.words[l.lo:l.hi] {
					for _, r := range w[l.depth:] {
						chars[r] = true
					}
				}
			}
			for _, x := range l.subs {
				walk(x)
			}
			l = l.next
		}
	}
	walk(l)
	for r := range chars {
		sets = append(sets, NewSet(Range{r, r}))
	}
	if d.context {
		sets = append(sets, wordSet, NewSet(Range{'\n', '\n'}))
	}
	d.classes(append(sets, Set{{0xd800, 0xdfff}}))
	d.void = uint32(d.Class(0xd800))
}

// classes numbers the atoms of the Boolean algebra that sets generate.
func (d *DFA) classes(sets []Set) {
	type edge struct {
		at  rune
		set int
	}
	var edges []edge
	for i, s := range sets {
		for _, r := range s {
			edges = append(edges, edge{r.Lo, i}, edge{r.Hi + 1, i})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return int(a.at - b.at) })
	member := make([]byte, (len(sets)+7)/8)
	ids := map[string]uint32{}
	at := rune(0)
	emit := func(hi rune) {
		if at > hi {
			return
		}
		class, ok := ids[string(member)]
		if !ok {
			class = uint32(len(d.reps))
			ids[string(member)] = class
			d.reps = append(d.reps, at)
		}
		for r := at; r <= hi && r < utf8.RuneSelf; r++ {
			d.ascii[r] = class
		}
		if hi >= utf8.RuneSelf {
			if n := len(d.ranges); n > 0 && d.ranges[n-1].class == class {
				d.ranges[n-1].hi = hi
			} else {
				d.ranges = append(d.ranges, classRange{hi, class})
			}
		}
	}
	for i := 0; i < len(edges); {
		emit(edges[i].at - 1)
		at = max(at, edges[i].at)
		for here := edges[i].at; i < len(edges) && edges[i].at == here; i++ {
			member[edges[i].set/8] ^= 1 << (edges[i].set % 8)
		}
	}
	emit(unicode.MaxRune)
}

// Classes returns the number of classes of code points.
func (d *DFA) Classes() int { return len(d.reps) }

// Class returns the class of r.
func (d *DFA) Class(r rune) int {
	if r < utf8.RuneSelf {
		return int(d.ascii[r])
	}
	lo, hi := 0, len(d.ranges)
	for lo < hi {
		m := (lo + hi) / 2
		if d.ranges[m].hi < r {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return int(d.ranges[lo].class)
}

// Between calls f for the classes of the code points from lo to hi until it returns false.
func (d *DFA) Between(lo, hi rune, f func(class int) bool) {
	for r := lo; r <= min(hi, utf8.RuneSelf-1); r++ {
		if !f(int(d.ascii[r])) {
			return
		}
	}
	if hi < utf8.RuneSelf {
		return
	}
	lo = max(lo, utf8.RuneSelf)
	i, _ := slices.BinarySearchFunc(d.ranges, lo, func(c classRange, r rune) int { return int(c.hi - r) })
	for ; i < len(d.ranges); i++ {
		if !f(int(d.ranges[i].class)) || d.ranges[i].hi >= hi {
			return
		}
	}
}

// Step returns the state after a code point of that class.
func (st *State) Step(class int) *State {
	var n *State
	if st.next != nil {
		n = st.next[class]
	} else {
		n = st.far[uint32(class)]
	}
	if n == nil {
		d := st.DFA
		l, r := d.space.Fail, d.reps[class]
		if class != int(d.void) {
			l = d.space.derive(st.lang, r, st.ctx)
		}
		n = d.state(l, contextAfter(r))
		if st.next != nil {
			st.next[class] = n
		} else {
			st.far[uint32(class)] = n
		}
	}
	return n
}

// Language returns the texts that lead from the state to its end, apart from assertions on what
// stands before.
func (st *State) Language() *Language { return st.lang }

// Lengths reports whether l is all texts of some lengths, and which; hi is -1 without limit.
func (l *Language) Lengths() (lo, hi int, ok bool) {
	switch l.op {
	case tAll:
		return 0, noMax, true
	case tLength:
		return l.min, l.max, true
	case tEps:
		return 0, 0, true
	}
	return 0, 0, false
}

// Remaining reports whether the texts that lead to the end are all those of at most n code points
// (of any length: n is -1) and at least some number of them.
func (st *State) Remaining() (n int, ok bool) {
	switch st.lang.op {
	case tAll:
		return noMax, true
	case tLength:
		return st.lang.max, true
	case tEps:
		return 0, true
	case tNot:
		if st.lang.subs[0].op == tWords {
			return noMax, true
		}
	}
	return 0, false
}

// Live reports whether some text leads from the state to the end.
func (st *State) Live() bool {
	if st.live == 0 {
		st.search()
	}
	return st.live > 0
}

// maxSearch bounds the search for an end. Beyond it a state counts as live; a Space that checks its
// languages first has been notified.
const maxSearch = 20_000

// search settles the liveness of st. It looks first where the least number of code points may be
// missing, and marks the path to an accepting or live state; if there is none, all that was visited
// is dead.
func (st *State) search() {
	from := map[*State]*State{st: nil}
	var open frontier
	open.add(visit{st, 0})
	for steps := 0; ; steps++ {
		v, ok := open.next()
		if !ok {
			break
		}
		if steps > maxSearch {
			if f := st.DFA.space.Exceeded; f != nil {
				f()
			}
			st.live = 1
			return
		}
		for at, nearer := v.at, false; v.class < len(at.DFA.reps) && !nearer; v.class++ {
			n := at.Step(v.class)
			if n.live > 0 {
				for ; at != nil; at = from[at] {
					at.live = 1
				}
				return
			}
			if _, seen := from[n]; n.live == 0 && !seen {
				from[n] = at
				open.add(visit{n, 0})
				// The other classes can wait.
				nearer = n.lang.least < at.lang.least
			}
		}
		if v.class < len(v.at.DFA.reps) {
			open.add(v)
		}
	}
	for dead := range from {
		dead.live = -1
	}
}

// A visit is a state that a search has reached, and the class of code points that it looks at next.
type visit struct {
	at    *State
	class int
}

// A frontier is what a search has still to look at, by how many code points may be missing to the
// end.
type frontier struct {
	byLeast [][]visit
	lowest  int
}

func (f *frontier) add(v visit) {
	n := min(v.at.lang.least, 255)
	for len(f.byLeast) <= n {
		f.byLeast = append(f.byLeast, nil)
	}
	f.byLeast[n] = append(f.byLeast[n], v)
	f.lowest = min(f.lowest, n)
}

// next takes a visit out.
func (f *frontier) next() (visit, bool) {
	for ; f.lowest < len(f.byLeast); f.lowest++ {
		if b := f.byLeast[f.lowest]; len(b) > 0 {
			f.byLeast[f.lowest] = b[:len(b)-1]
			return b[len(b)-1], true
		}
	}
	return visit{}, false
}

// Many is what Count returns for a number that is large or infinite.
const Many = 1 << 20

// Count returns the number of texts that lead from the state to the end, at most [Many].
func (st *State) Count() int {
	return st.count(map[*State]bool{})
}

// count looks at states depth first: a live state that is met on the way to itself has texts
// without end.
func (st *State) count(open map[*State]bool) int {
	if st.size > 0 {
		return st.size - 1
	}
	if !st.Live() {
		st.size = 1
		return 0
	}
	if open[st] || len(open) > 10_000 || st.lang.op == tAll {
		return Many
	}
	if st.lang.op == tLoop && st.lang.max == noMax && st.lang.pure {
		st.size = Many + 1
		return Many
	}
	open[st] = true
	n := 0
	if st.Accept {
		n = 1
	}
	widths := st.DFA.widths()
	for c := range st.DFA.reps {
		if n >= Many {
			break
		}
		n = min(n+widths[c]*st.Step(c).count(open), Many)
	}
	delete(open, st)
	st.size = n + 1
	return n
}

// widths counts the code points of each class.
func (d *DFA) widths() []int {
	w := make([]int, len(d.reps))
	for _, c := range d.ascii {
		w[c]++
	}
	lo := rune(utf8.RuneSelf)
	for _, r := range d.ranges {
		w[r.class] += int(r.hi-lo) + 1
		lo = r.hi + 1
	}
	return w
}

// Scarce reports whether some state has texts, but not [Many]. It looks at some states only, and
// says yes where there are more.
func (d *DFA) Scarce() bool {
	if _, hi, ok := d.Start.lang.Lengths(); ok {
		return hi != noMax
	}
	seen := map[*State]bool{d.Start: true}
	todo := []*State{d.Start}
	for i := 0; i < len(todo); i++ {
		if i > 200 {
			return true
		}
		for class := range todo[i].DFA.reps {
			if n := todo[i].Step(class); !seen[n] && n.Live() {
				seen[n] = true
				todo = append(todo, n)
			}
		}
		if todo[i].Count() < Many {
			return true
		}
	}
	return false
}

// Enumerate returns all texts that lead from the state to the end, if they are at most limit.
func (st *State) Enumerate(limit int) ([]string, bool) {
	if n := st.Count(); n > limit {
		return nil, false
	}
	d := st.DFA
	members := make([][]rune, len(d.reps))
	for r := rune(0); r < utf8.RuneSelf; r++ {
		members[d.ascii[r]] = append(members[d.ascii[r]], r)
	}
	lo := rune(utf8.RuneSelf)
	for _, r := range d.ranges {
		// A class of more code points than the limit leads to nothing that is live.
		for c := lo; c <= r.hi && len(members[r.class]) <= limit; c++ {
			members[r.class] = append(members[r.class], c)
		}
		lo = r.hi + 1
	}
	var out []string
	var walk func(st *State, text []byte)
	walk = func(st *State, text []byte) {
		if st.Accept {
			out = append(out, string(text))
		}
		for c := range st.DFA.reps {
			if n := st.Step(c); n.Live() {
				for _, r := range members[c] {
					walk(n, utf8.AppendRune(text[:len(text):len(text)], r))
				}
			}
		}
	}
	walk(st, nil)
	return out, true
}

// Empty reports whether no text is in l.
func (s *Space) Empty(l *Language) bool {
	switch {
	case l == s.Fail:
		return true
	case l.pure:
		return false
	}
	return !s.DFA(l).Start.Live()
}
