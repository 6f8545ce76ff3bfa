package jsonschema

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/grammar/regex"
)

// unlimited is no upper bound of a count.
const unlimited = 1 << 40

// A node is a set of JSON values as a union: by type, and of arrays and objects by shape.
type node struct {
	types typeSet // null, true and false
	str   *regex.Language
	nums  []*numbers
	arrs  []*array
	objs  []*object
}

// An array is a set of arrays.
type array struct {
	prefix   []*expr // what the first items are
	rest     *expr   // and the others
	min, max int
	contains []contain
	unique   bool
	key      string
	values   []*expr // of items if unique: each a single value
	at       string  // where unique stands
}

// contain counts items from an index on that are in a set.
type contain struct {
	from     int
	value    *expr
	min, max int
}

// An object is a set of objects. Names and classes are a partition of all keys.
type object struct {
	names    []name
	rest     []class // other keys; those in no class are forbidden
	min, max int
	exists   []class // some key of the class has a value of its set
	implies  []implication
	key      string

	index   map[string]int
	must    []int // the required names
	ordered int   // so many of names come in this order, before others
	trie    *nameNode
	deps    [][]int // which names each name implies, directly or not
	tracked bool
}

type name struct {
	text     string
	value    *expr // the empty set: the name is forbidden
	required bool
	ordered  bool // comes before other keys, in the order of names
}

type class struct {
	lang  *regex.Language
	value *expr
}

// implication says that an object with one name has another.
type implication struct{ from, to string }

func (c *compiler) internArray(a *array) *array {
	// Items beyond what max allows do not matter.
	if len(a.prefix) > a.max {
		a.prefix = a.prefix[:a.max]
	}
	for len(a.prefix) > 0 && a.prefix[len(a.prefix)-1] == a.rest {
		a.prefix = a.prefix[:len(a.prefix)-1]
	}
	if a.rest == c.no {
		a.max = min(a.max, len(a.prefix))
	}
	a.contains = slices.DeleteFunc(slices.Clone(a.contains), func(x contain) bool { return x.min <= 0 && x.max == unlimited })
	var b strings.Builder
	for _, p := range a.prefix {
		fmt.Fprint(&b, p.id, ",")
	}
	fmt.Fprint(&b, ";", a.rest.id, ";", a.min, ";", a.max, ";", a.unique)
	for _, x := range a.contains {
		fmt.Fprint(&b, ";", x.from, ",", x.value.id, ",", x.min, ",", x.max)
	}
	a.key = b.String()
	if old, ok := c.arrs[a.key]; ok {
		return old
	}
	c.arrs[a.key] = a
	return a
}

func (c *compiler) internObject(o *object) *object {
	c.count(1)
	c.countNames(len(o.names))
	// Names that nothing distinguishes from the other keys are none.
	o.implies = slices.Clone(o.implies)
	need := map[string]bool{}
	for _, i := range o.implies {
		need[i.from], need[i.to] = true, true
	}
	slices.SortStableFunc(o.names, func(a, b name) int {
		switch {
		case a.ordered == b.ordered:
			return 0
		case a.ordered:
			return -1
		}
		return 1
	})
	o.names = slices.DeleteFunc(o.names, func(n name) bool {
		return !n.ordered && !n.required && !need[n.text] && c.inRest(o, n.text) == n.value
	})
	b := make([]byte, 0, 16*len(o.names))
	u := func(xs ...int) {
		for _, x := range xs {
			b = binary.AppendUvarint(b, uint64(x))
		}
	}
	flag := func(f bool) int {
		if f {
			return 1
		}
		return 0
	}
	u(len(o.names), o.min, o.max, len(o.rest), len(o.exists))
	for _, n := range o.names {
		u(len(n.text))
		b = append(b, n.text...)
		u(int(n.value.id), flag(n.required), flag(n.ordered))
	}
	for _, x := range append(slices.Clone(o.rest), o.exists...) {
		u(int(x.lang.ID()), int(x.value.id))
	}
	for _, i := range o.implies {
		u(len(i.from), len(i.to))
		b = append(b, i.from+i.to...)
	}
	o.key = string(b)
	if old, ok := c.objs[o.key]; ok {
		return old
	}
	o.prepare()
	c.objs[o.key] = o
	return o
}

// prepare fills in what is derived.
func (o *object) prepare() {
	o.index = make(map[string]int, len(o.names))
	for i, n := range o.names {
		o.index[n.text] = i
		if n.required {
			o.must = append(o.must, i)
		}
		if n.ordered {
			o.ordered = i + 1
		}
	}
	if len(o.implies) == 0 {
		return
	}
	o.tracked = true
	o.deps = make([][]int, len(o.names))
	direct := make([][]int, len(o.names))
	for _, i := range o.implies {
		direct[o.index[i.from]] = append(direct[o.index[i.from]], o.index[i.to])
	}
	for i := range o.names {
		todo := slices.Clone(direct[i])
		for len(todo) > 0 {
			j := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			if !slices.Contains(o.deps[i], j) {
				o.deps[i] = append(o.deps[i], j)
				todo = append(todo, direct[j]...)
			}
		}
	}
}

// inRest returns the set of values of a key that is no name of o.
func (c *compiler) inRest(o *object, key string) *expr {
	for _, x := range o.rest {
		if c.matches(x.lang, key) {
			return x.value
		}
	}
	return c.no
}

// matches remembers which keys are in which language.
func (c *compiler) matches(l *regex.Language, key string) bool {
	if l == c.space.All {
		return true
	}
	k := matchKey{l.ID(), key}
	m, ok := c.matched[k]
	if !ok {
		m = c.space.Match(l, key)
		c.matched[k] = m
	}
	return m
}

type matchKey struct {
	lang int32
	key  string
}

// valueOf returns the set of values of a key.
func (c *compiler) valueOf(o *object, key string) *expr {
	if i, ok := o.index[key]; ok {
		return o.names[i].value
	}
	return c.inRest(o, key)
}

func (c *compiler) meetArrays(a, b *array) *array {
	out := &array{rest: c.and(a.rest, b.rest), min: max(a.min, b.min), max: min(a.max, b.max), unique: a.unique || b.unique, at: cmp.Or(a.at, b.at)}
	for i := range max(len(a.prefix), len(b.prefix)) {
		out.prefix = append(out.prefix, c.and(a.item(i), b.item(i)))
	}
	for _, x := range append(slices.Clone(a.contains), b.contains...) {
		if !slices.Contains(out.contains, x) {
			out.contains = append(out.contains, x)
		}
	}
	return c.internArray(out)
}

func (a *array) item(i int) *expr {
	if i < len(a.prefix) {
		return a.prefix[i]
	}
	return a.rest
}

func (c *compiler) meetObjects(a, b *object) *object {
	out := &object{min: max(a.min, b.min), max: min(a.max, b.max)}
	add := func(n name) {
		other := b
		if _, ok := b.index[n.text]; ok {
			if i, ok := a.index[n.text]; ok {
				m := b.names[b.index[n.text]]
				n.value = c.and(a.names[i].value, m.value)
				n.required = a.names[i].required || m.required
				n.ordered = a.names[i].ordered || m.ordered
				out.names = append(out.names, n)
				return
			}
			other = a
		}
		n.value = c.and(n.value, c.inRest(other, n.text))
		out.names = append(out.names, n)
	}
	for _, n := range a.names {
		// A name that b alone puts in order comes where b has it.
		if i, ok := b.index[n.text]; ok && !n.ordered && b.names[i].ordered {
			continue
		}
		add(n)
	}
	for _, n := range b.names {
		if i, ok := a.index[n.text]; !ok || !a.names[i].ordered && n.ordered {
			add(n)
		}
	}
	var rest []class
	for _, x := range a.rest {
		for _, y := range b.rest {
			v := c.and(x.value, y.value)
			if l := c.space.And(x.lang, y.lang); v != c.no && !c.space.Empty(l) {
				rest = append(rest, class{l, v})
			}
		}
	}
	out.rest = c.merged(rest)
	for _, x := range append(slices.Clone(a.exists), b.exists...) {
		if !slices.Contains(out.exists, x) {
			out.exists = append(out.exists, x)
		}
	}
	out.implies = append(slices.Clone(a.implies), b.implies...)
	return c.internObject(out)
}

// merged unites classes with the same values.
func (c *compiler) merged(in []class) []class {
	if len(in) > c.limits.classes {
		c.refuse("patternProperties", "more than %d kinds of keys", c.limits.classes)
	}
	var out []class
	for _, x := range in {
		if i := slices.IndexFunc(out, func(y class) bool { return x.value == y.value }); i >= 0 {
			out[i].lang = c.space.Or(out[i].lang, x.lang)
		} else {
			out = append(out, x)
		}
	}
	return out
}

// trivially reports that a shape has no values, as far as can be seen without looking at parts.
func (c *compiler) noObjects(o *object) bool {
	required, possible := 0, 0
	for _, n := range o.names {
		if n.value != c.no {
			possible++
		} else if n.required {
			return true
		}
		if n.required {
			required++
		}
	}
	return o.min > o.max || required > o.max || len(o.rest) == 0 && possible < o.min
}

func (c *compiler) noArrays(a *array) bool {
	if a.min > a.max {
		return true
	}
	for i := range min(a.min, len(a.prefix)+1) {
		if a.item(i) == c.no {
			return true
		}
	}
	return slices.ContainsFunc(a.contains, func(x contain) bool { return x.min > x.max || x.min > 0 && x.value == c.no })
}

// notArrays returns the arrays outside of a, as a union.
func (c *compiler) notArrays(a *array) []*array {
	if a.unique && a.max > 1 {
		c.refuseAt(a.at, "uniqueItems", "its negation is not supported")
	}
	if len(a.prefix) > c.limits.shapes {
		c.refuse("", "the schema is too complex: the complement of arrays with more than %d items", c.limits.shapes)
	}
	var out []*array
	add := func(x *array) {
		if x = c.internArray(x); !c.noArrays(x) {
			out = append(out, x)
		}
	}
	if a.min > 0 {
		add(&array{rest: c.yes, max: a.min - 1})
	}
	if a.max < unlimited {
		add(&array{rest: c.yes, min: a.max + 1, max: unlimited})
	}
	for i, p := range a.prefix {
		x := &array{rest: c.yes, min: i + 1, max: unlimited}
		for range i {
			x.prefix = append(x.prefix, c.yes)
		}
		x.prefix = append(x.prefix, c.not(p))
		add(x)
	}
	if a.rest != c.yes && a.max > len(a.prefix) {
		add(&array{rest: c.yes, max: unlimited, contains: []contain{{len(a.prefix), c.not(a.rest), 1, unlimited}}})
	}
	for _, x := range a.contains {
		if x.min > 0 {
			add(&array{rest: c.yes, max: unlimited, contains: []contain{{x.from, x.value, 0, x.min - 1}}})
		}
		if x.max < unlimited {
			add(&array{rest: c.yes, max: unlimited, contains: []contain{{x.from, x.value, x.max + 1, unlimited}}})
		}
	}
	return out
}

// notObjects returns the objects outside of o, as a union.
func (c *compiler) notObjects(o *object) []*object {
	if len(o.names) > c.limits.shapes {
		c.refuse("", "the schema is too complex: the complement of objects with more than %d keys", c.limits.shapes)
	}
	var out []*object
	add := func(x *object) {
		if x.rest == nil {
			x.rest = c.anyObject.rest
		}
		if x.max == 0 {
			x.max = unlimited
		}
		if x = c.internObject(x); !c.noObjects(x) {
			out = append(out, x)
		}
	}
	for _, n := range o.names {
		if n.value != c.yes {
			add(&object{names: []name{{text: n.text, value: c.not(n.value), required: true}}})
		}
		if n.required {
			add(&object{names: []name{{text: n.text, value: c.no}}})
		}
	}
	covered := []*regex.Language{}
	var texts []string
	for _, n := range o.names {
		texts = append(texts, n.text)
	}
	names := c.space.Words(texts...)
	exist := func(l *regex.Language, v *expr) {
		l = c.space.And(l, c.space.Not(names))
		if v != c.no && !c.space.Empty(l) {
			add(&object{exists: []class{{l, v}}})
		}
	}
	for _, x := range o.rest {
		covered = append(covered, x.lang)
		exist(x.lang, c.not(x.value))
	}
	exist(c.space.Not(c.space.Or(covered...)), c.yes)
	if o.min > 0 {
		// At most o.min-1 keys; none is a shape without keys.
		if o.min == 1 {
			x := c.internObject(&object{max: 0})
			out = append(out, x)
		} else {
			add(&object{max: o.min - 1})
		}
	}
	if o.max < unlimited {
		add(&object{min: o.max + 1})
	}
	for _, x := range o.exists {
		// All keys of the class have values outside of it.
		add(&object{rest: []class{{x.lang, c.not(x.value)}, {c.space.Not(x.lang), c.yes}}})
	}
	for _, i := range o.implies {
		add(&object{names: []name{{text: i.from, value: c.yes, required: true}, {text: i.to, value: c.no}}})
	}
	return out
}
