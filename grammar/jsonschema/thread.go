package jsonschema

import (
	"slices"
	"unicode/utf8"
)

// A thread is how far an object of a shape has been read, between its members. Equal threads are
// one pointer.
type thread struct {
	threadKey
	opts *options
}

type threadKey struct {
	o     *object
	pos   int // the next of the ordered names
	count int // members so far, as far as that matters
	// Bits: unordered names that were read (all names if tracked); existing keys that were found.
	seen string
}

// options are the members that may follow: for each name and each class of other keys, the sets of
// values with where they lead. Those of a name are found when it is asked for.
type options struct {
	c       *compiler
	t       *thread
	first   int // no name after this one and no other key may come before it
	found   map[int][]option
	classes [][]option
	none    bool // no member may follow
}

type option struct {
	value *expr
	next  *thread
}

func (c *compiler) start(o *object) *thread {
	bits := len(o.names) - o.ordered
	if o.tracked {
		bits = len(o.names)
	}
	bits += len(o.exists)
	return c.thread(threadKey{o: o, seen: string(make([]byte, (bits+7)/8))})
}

func (c *compiler) thread(k threadKey) *thread {
	if k.o.max >= unlimited {
		k.count = min(k.count, k.o.min)
	}
	t, ok := c.threads[k]
	if !ok {
		t = &thread{threadKey: k}
		c.threads[k] = t
	}
	return t
}

// bit is where a name stands in seen, or -1.
func (o *object) bit(name int) int {
	if o.tracked {
		return name
	}
	return max(name-o.ordered, -1)
}

func (o *object) existBit(i int) int {
	if o.tracked {
		return len(o.names) + i
	}
	return len(o.names) - o.ordered + i
}

func (t *threadKey) has(bit int) bool { return bit >= 0 && t.seen[bit/8]>>(bit%8)&1 != 0 }

func (t threadKey) with(bit int) threadKey {
	if bit >= 0 {
		b := []byte(t.seen)
		b[bit/8] |= 1 << (bit % 8)
		t.seen = string(b)
	}
	return t
}

// open reports whether name i may still be read, as far as order and repetition go.
func (t *threadKey) open(i int) bool {
	return (i >= t.o.ordered || i >= t.pos) && !t.has(t.o.bit(i))
}

// needed returns the names that must still be read; ok is false if one of them cannot be.
func (t *threadKey) needed() (need []int, ok bool) {
	o := t.o
	if !o.tracked {
		for _, i := range o.must {
			// Without a record an ordered name that was passed was read, as it had to be.
			if t.open(i) {
				need = append(need, i)
			}
		}
		return need, true
	}
	mark := make([]bool, len(o.names))
	var visit func(i int) bool
	visit = func(i int) bool {
		if mark[i] || t.has(i) {
			return true
		}
		if mark[i] = true; !t.open(i) {
			return false
		}
		need = append(need, i)
		return !slices.ContainsFunc(o.deps[i], func(j int) bool { return !visit(j) })
	}
	for i, n := range o.names {
		if n.required && !visit(i) {
			return nil, false
		}
		if t.has(i) && slices.ContainsFunc(o.deps[i], func(j int) bool { return !visit(j) }) {
			return nil, false
		}
	}
	return need, true
}

// feasible reports whether some members lead from t to the end.
func (c *compiler) feasible(t *thread) bool {
	o := t.o
	need, ok := t.needed()
	if !ok || t.count+len(need) > o.max {
		return false
	}
	for _, i := range need {
		if c.isEmpty(o.names[i].value) {
			return false
		}
	}
	if t.count+len(need) < o.min && !c.enough(t, need) {
		return false
	}
	if len(o.exists) == 0 {
		return true
	}
	if o.tracked {
		c.refuse("not", "beside dependentRequired a key that must exist is not supported")
	}
	return c.existing(t, need, o.max-t.count-len(need))
}

// enough reports whether as many members as there must be can still be read.
func (c *compiler) enough(t *thread, need []int) bool {
	o := t.o
	for _, x := range o.rest {
		if !c.isEmpty(x.value) {
			return true
		}
	}
	n := len(need)
	for i, x := range o.names {
		if t.open(i) && !slices.Contains(need, i) && !c.isEmpty(x.value) && c.drawsIn(t, i) {
			n++
		}
	}
	return t.count+n >= o.min
}

// drawsIn reports whether name i can be read with all that it implies.
func (c *compiler) drawsIn(t *thread, i int) bool {
	if !t.o.tracked {
		return true
	}
	for _, j := range t.o.deps[i] {
		if !t.has(j) && (!t.open(j) || c.isEmpty(t.o.names[j].value)) {
			return false
		}
	}
	return true
}

// existing looks for keys that satisfy the conditions on keys that exist: names that must come
// anyway, or at most spare others.
func (c *compiler) existing(t *thread, need []int, spare int) bool {
	o := t.o
	var open []int
	for i := range o.exists {
		if !t.has(o.existBit(i)) {
			open = append(open, i)
		}
	}
	values := map[int]*expr{} // of names that were chosen
	for _, i := range need {
		values[i] = o.names[i].value
	}
	var choose func(k, spare int) bool
	choose = func(k, spare int) bool {
		if k == len(open) {
			return true
		}
		x := o.exists[open[k]]
		for i, n := range o.names {
			old, chosen := values[i]
			cost := 1
			if chosen {
				cost = 0
			} else {
				old = n.value
			}
			v := c.and(old, x.value)
			if cost > spare || !t.open(i) || !c.matches(x.lang, n.text) || c.isEmpty(v) {
				continue
			}
			values[i] = v
			done := choose(k+1, spare-cost)
			if chosen {
				values[i] = old
			} else {
				delete(values, i)
			}
			if done {
				return true
			}
		}
		for _, r := range o.rest {
			if spare > 0 && !c.space.Empty(c.space.And(r.lang, x.lang)) && !c.isEmpty(c.and(r.value, x.value)) && choose(k+1, spare-1) {
				return true
			}
		}
		return false
	}
	return choose(0, spare)
}

// closes reports whether the object may end here.
func (c *compiler) closes(t *thread) bool {
	need, ok := t.needed()
	if !ok || len(need) > 0 || t.count < t.o.min || t.count > t.o.max {
		return false
	}
	for i := range t.o.exists {
		if !t.has(t.o.existBit(i)) {
			return false
		}
	}
	return true
}

// options returns what may follow t.
func (c *compiler) options(t *thread) *options {
	if t.opts != nil {
		return t.opts
	}
	o := t.o
	out := &options{c: c, t: t, first: len(o.names), found: map[int][]option{}, classes: make([][]option, len(o.rest))}
	need, _ := t.needed()
	for _, i := range need {
		if i < o.ordered {
			out.first = min(out.first, i)
		}
	}
	for i, x := range o.rest {
		if out.first < o.ordered {
			break
		}
		next := t.threadKey
		next.pos, next.count = o.ordered, t.count+1
		out.classes[i] = c.branches(next, x.value, func(y class) bool { return !c.space.Empty(c.space.And(x.lang, y.lang)) })
	}
	t.opts = out
	out.none = !slices.ContainsFunc(out.classes, func(x []option) bool { return x != nil })
	for i := 0; out.none && i < len(o.names); i++ {
		out.none = out.name(i) == nil
	}
	return out
}

// name returns the options of a name.
func (p *options) name(i int) []option {
	t, o := p.t, p.t.o
	n := &o.names[i]
	// An ordered name may not pass one that must come before it.
	if !t.open(i) || n.value == p.c.no || i < o.ordered && i > p.first || i >= o.ordered && p.first < o.ordered {
		return nil
	}
	out, ok := p.found[i]
	if !ok {
		next := t.threadKey.with(o.bit(i))
		next.pos = o.ordered
		if i < o.ordered {
			next.pos = i + 1
		}
		next.count++
		out = p.c.branches(next, n.value, func(x class) bool { return p.c.matches(x.lang, n.text) })
		p.found[i] = out
	}
	return out
}

// branches returns the options of one key: it may be one of those that must exist, or not.
func (c *compiler) branches(k threadKey, value *expr, may func(class) bool) []option {
	type branch struct {
		k threadKey
		v *expr
	}
	all := []branch{{k, value}}
	for i, x := range k.o.exists {
		if k.has(k.o.existBit(i)) || !may(x) {
			continue
		}
		for _, b := range slices.Clone(all) {
			all = append(all, branch{b.k.with(k.o.existBit(i)), c.and(b.v, x.value)})
		}
	}
	var out []option
	for _, b := range all {
		if c.isEmpty(b.v) {
			continue
		}
		if t := c.thread(b.k); c.feasible(t) {
			out = append(out, option{b.v, t})
		}
	}
	return out
}

// A nameNode is a node of the trie of an object's names, by code points.
type nameNode struct {
	below []int // names that begin with this, but for itself
	index int   // the name that ends here, or -1
	runes []rune
	next  []*nameNode
	id    int32
}

// named makes the trie of names.
func (o *object) named() {
	if o.trie != nil {
		return
	}
	ids := int32(0)
	make := func() *nameNode {
		ids++
		return &nameNode{index: -1, id: ids}
	}
	o.trie = make()
	for i, n := range o.names {
		at := o.trie
		for _, r := range n.text {
			at.below = append(at.below, i)
			j := slices.Index(at.runes, r)
			if j < 0 {
				j = len(at.runes)
				at.runes = append(at.runes, r)
				at.next = append(at.next, make())
			}
			at = at.next[j]
		}
		at.index = i
	}
}

func (n *nameNode) step(r rune) *nameNode {
	if n == nil {
		return nil
	}
	if i := slices.Index(n.runes, r); i >= 0 {
		return n.next[i]
	}
	return nil
}

// An arrayThread is how far an array of a shape has been read, between its items.
type arrayThread struct {
	arrayKey
	opts []arrayOption
	done bool
}

type arrayKey struct {
	a      *array
	pos    int
	counts string // of items in each of contains, as code points
	used   string // bits: which of values were read
}

type arrayOption struct {
	value *expr
	next  *arrayThread
}

func (m *Machine) startArray(a *array) *arrayThread {
	return m.arrayThread(arrayKey{a: a, counts: string(make([]byte, len(a.contains))), used: string(make([]byte, (len(a.values)+7)/8))})
}

func (m *Machine) arrayThread(k arrayKey) *arrayThread {
	k = k.settled()
	t, ok := m.arrayThreads[k]
	if !ok {
		t = &arrayThread{arrayKey: k}
		m.arrayThreads[k] = t
	}
	return t
}

// settled forgets what cannot matter.
func (k arrayKey) settled() arrayKey {
	if k.a.max >= unlimited {
		enough := max(len(k.a.prefix), k.a.min)
		for _, x := range k.a.contains {
			enough = max(enough, x.from)
		}
		k.pos = min(k.pos, enough)
	}
	return k
}

func counts(s string) []int {
	var out []int
	for _, r := range s {
		out = append(out, int(r))
	}
	return out
}

func countString(cs []int) string {
	var b []byte
	for _, n := range cs {
		b = utf8.AppendRune(b, rune(n))
	}
	return string(b)
}

// maxCount bounds minContains and maxContains, whose counters are kept as code points.
const maxCount = 10_000

// moves returns the items that may follow, without looking whether they lead to the end.
func (c *compiler) moves(k arrayKey) []struct {
	value *expr
	next  arrayKey
} {
	type move = struct {
		value *expr
		next  arrayKey
	}
	if k.pos >= k.a.max {
		return nil
	}
	next := k
	next.pos++
	if k.a.unique && k.a.max > 1 {
		var out []move
		for i, v := range k.a.values {
			if k.used[i/8]>>(i%8)&1 == 0 {
				b := []byte(k.used)
				b[i/8] |= 1 << (i % 8)
				next.used = string(b)
				out = append(out, move{v, next})
			}
		}
		return out
	}
	out := []move{{k.a.item(k.pos), next}}
	for i, x := range k.a.contains {
		if k.pos < x.from {
			continue
		}
		for j := len(out) - 1; j >= 0; j-- {
			cs := counts(out[j].next.counts)
			if x.max >= unlimited && cs[i] >= x.min {
				continue // enough of them
			}
			in := move{c.and(out[j].value, x.value), out[j].next}
			cs[i]++
			in.next.counts = countString(cs)
			if x.max < unlimited {
				out[j].value = c.and(out[j].value, c.not(x.value))
			}
			if cs[i] <= x.max {
				out = append(out, in)
			}
		}
	}
	return slices.DeleteFunc(out, func(m move) bool { return c.isEmpty(m.value) })
}

func (k *arrayKey) closes() bool {
	if k.pos < k.a.min {
		return false
	}
	for i, n := range counts(k.counts) {
		if n < k.a.contains[i].min {
			return false
		}
	}
	return true
}

// leads reports whether some items lead from k to the end.
func (c *compiler) leads(k arrayKey) bool {
	if k.a.unique && k.a.max > 1 {
		used := 0
		for i := range k.a.values {
			used += int(k.used[i/8] >> (i % 8) & 1)
		}
		return k.pos <= k.a.max && k.pos+len(k.a.values)-used >= k.a.min
	}
	if len(k.a.contains) == 0 {
		return k.pos <= k.a.max
	}
	seen := map[arrayKey]bool{}
	todo := []arrayKey{k.settled()}
	for len(todo) > 0 {
		k := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[k] {
			continue
		}
		seen[k] = true
		c.count(1)
		if k.closes() {
			return true
		}
		for _, m := range c.moves(k) {
			todo = append(todo, m.next.settled())
		}
	}
	return false
}

// emptyContains reports whether an array with conditions on its items has no values.
func (c *compiler) emptyContains(a *array) (empty, sure bool) {
	for _, x := range a.contains {
		if x.min > maxCount || x.max < unlimited && x.max > maxCount {
			c.refuse("contains", "want counts up to %d", maxCount)
		}
	}
	return !c.leads(arrayKey{a: a, counts: string(make([]byte, len(a.contains)))}), false
}

func (m *Machine) arrayOptions(t *arrayThread) []arrayOption {
	if !t.done {
		t.done = true
		for _, x := range m.c.moves(t.arrayKey) {
			if m.c.leads(x.next) {
				t.opts = append(t.opts, arrayOption{x.value, m.arrayThread(x.next)})
			}
		}
	}
	return t.opts
}
