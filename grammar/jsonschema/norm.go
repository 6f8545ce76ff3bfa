package jsonschema

import (
	"slices"

	"github.com/goinfer/goinfer/grammar/regex"
)

// norm returns the normal form of e, or nil if it is being found already.
func (c *compiler) norm(e *expr) *node {
	if e.node != nil || e.busy {
		return e.node
	}
	e.busy = true
	c.depth++
	if c.depth > c.limits.depth {
		c.refuse("", "the schema is nested deeper than %d", c.limits.depth)
	}
	c.count(1)
	n := c.normal(e)
	c.depth--
	e.busy = false
	e.node = n
	return n
}

// must is norm where the normal form is needed: a schema whose values are defined by themselves
// alone has none.
func (c *compiler) must(e *expr) *node {
	n := c.norm(e)
	if n == nil {
		c.refuse("$ref", "the schema refers to itself without end")
	}
	return n
}

func (c *compiler) normal(e *expr) *node {
	switch e.op {
	case xTrue, xFalse:
		if e.op == xTrue {
			return c.full
		}
		return &node{str: c.space.Fail}
	case xTypes:
		n := &node{types: e.types & (tyNull | tyBool), str: c.space.Fail}
		if e.types&tyString != 0 {
			n.str = c.full.str
		}
		if e.types&tyNumber != 0 {
			n.nums = c.full.nums
		}
		if e.types&tyArray != 0 {
			n.arrs = c.full.arrs
		}
		if e.types&tyObject != 0 {
			n.objs = c.full.objs
		}
		return n
	case xStr, xNum, xArr, xObj:
		n := *c.full
		switch e.op {
		case xStr:
			n.str = e.lang
		case xNum:
			n.nums = e.nums
		case xArr:
			n.arrs = []*array{e.arr}
		case xObj:
			n.objs = []*object{e.obj}
		}
		return &n
	case xAnd:
		n := c.must(e.subs[0])
		for _, s := range e.subs[1:] {
			n = c.meet(n, c.must(s))
		}
		return n
	case xOr:
		n := c.must(e.subs[0])
		for _, s := range e.subs[1:] {
			n = c.union(n, c.must(s))
		}
		return n
	case xOne:
		return c.normalOne(e)
	case xNot:
		return c.complement(c.must(e.subs[0]))
	}
	defer func(at *schema) { c.at = at }(c.at)
	c.at = e.target
	return c.must(c.schemaExpr(e.target))
}

// normalOne takes each alternative without those of the others that it has values in common with.
func (c *compiler) normalOne(e *expr) *node {
	var alts []*expr
	for i, a := range e.subs {
		parts := []*expr{a}
		for j, b := range e.subs {
			if i != j && !c.disjoint(a, b, 3) {
				parts = append(parts, c.not(b))
			}
		}
		alts = append(alts, c.and(parts...))
	}
	return c.must(c.or(alts...))
}

// disjoint reports whether two sets are seen to have no value in common: required names of objects
// are looked into to some depth.
func (c *compiler) disjoint(a, b *expr, depth int) bool {
	if a == c.no || b == c.no {
		return true
	}
	if depth == 0 {
		return false
	}
	m, n := c.norm(a), c.norm(b)
	if m == nil || n == nil || m.types&n.types != 0 {
		return false
	}
	if !c.space.Empty(c.space.And(m.str, n.str)) {
		return false
	}
	for _, x := range m.nums {
		for _, y := range n.nums {
			z, err := x.meet(y)
			if err != nil {
				return false
			}
			if _, ok := z.prepared(); ok {
				return false
			}
		}
	}
	for _, x := range m.arrs {
		for _, y := range n.arrs {
			if !c.disjointArrays(x, y, depth) {
				return false
			}
		}
	}
	for _, x := range m.objs {
		for _, y := range n.objs {
			if !c.disjointObjects(x, y, depth) {
				return false
			}
		}
	}
	return true
}

func (c *compiler) disjointArrays(x, y *array, depth int) bool {
	lo := max(x.min, y.min)
	if lo > min(x.max, y.max) {
		return true
	}
	for i := range min(lo, max(len(x.prefix), len(y.prefix))+1) {
		if c.disjoint(x.item(i), y.item(i), depth-1) {
			return true
		}
	}
	return false
}

func (c *compiler) disjointObjects(x, y *object, depth int) bool {
	if max(x.min, y.min) > min(x.max, y.max) {
		return true
	}
	for _, pair := range [][2]*object{{x, y}, {y, x}} {
		for _, n := range pair[0].names {
			if n.required && c.disjoint(n.value, c.valueOf(pair[1], n.text), depth-1) {
				return true
			}
		}
	}
	return false
}

func (c *compiler) meet(m, n *node) *node {
	if m == c.full {
		return n
	}
	if n == c.full {
		return m
	}
	out := &node{types: m.types & n.types, str: c.space.And(m.str, n.str)}
	for _, x := range m.nums {
		for _, y := range n.nums {
			z, err := x.meet(y)
			if err != nil {
				c.refuse("multipleOf", "%v are not supported", err)
			}
			if z, ok := z.prepared(); ok {
				out.nums = append(out.nums, z)
			}
		}
	}
	out.nums = c.uniqueNumbers(out.nums)
	out.arrs = c.meetAllArrays(m.arrs, n.arrs)
	out.objs = c.meetAllObjects(m.objs, n.objs)
	return c.tidied(out)
}

func (c *compiler) union(m, n *node) *node {
	out := &node{types: m.types | n.types, str: c.space.Or(m.str, n.str)}
	out.nums = c.uniqueNumbers(append(slices.Clone(m.nums), n.nums...))
	out.arrs = append(slices.Clone(m.arrs), n.arrs...)
	out.objs = append(slices.Clone(m.objs), n.objs...)
	return c.tidied(out)
}

// tidied drops shapes that appear twice or beside one of everything.
func (c *compiler) tidied(n *node) *node {
	if slices.Contains(n.arrs, c.anyArray) {
		n.arrs = c.full.arrs
	}
	if slices.Contains(n.objs, c.anyObject) {
		n.objs = c.full.objs
	}
	n.arrs, n.objs = distinct(n.arrs), distinct(n.objs)
	if k := max(len(n.arrs), len(n.objs), len(n.nums)); k > c.limits.shapes {
		c.refuse("", "the schema is too complex: more than %d alternatives", c.limits.shapes)
	}
	return n
}

func distinct[T comparable](in []T) []T {
	if len(in) < 2 {
		return in
	}
	seen := make(map[T]bool, len(in))
	var out []T
	for _, x := range in {
		if !seen[x] {
			seen[x] = true
			out = append(out, x)
		}
	}
	return out
}

func (c *compiler) uniqueNumbers(in []*numbers) []*numbers {
	seen := map[string]bool{}
	var out []*numbers
	for _, n := range in {
		if n.key == c.full.nums[0].key {
			return c.full.nums
		}
		if !seen[n.key] {
			seen[n.key] = true
			out = append(out, n)
		}
	}
	return out
}

func (c *compiler) complement(n *node) *node {
	out := &node{types: (tyNull | tyBool) &^ n.types, str: c.space.Not(n.str)}
	out.nums = c.full.nums
	for _, x := range n.nums {
		not, err := x.complement()
		if err != nil {
			c.refuse("multipleOf", "%v are not supported", err)
		}
		var next []*numbers
		for _, a := range out.nums {
			for _, b := range not {
				z, err := a.meet(b)
				if err != nil {
					c.refuse("multipleOf", "%v are not supported", err)
				}
				if z, ok := z.prepared(); ok {
					next = append(next, z)
				}
			}
		}
		out.nums = c.uniqueNumbers(next)
		if len(out.nums) > c.limits.shapes {
			c.refuse("not", "more than %d alternatives", c.limits.shapes)
		}
	}
	out.arrs, out.objs = c.full.arrs, c.full.objs
	for _, x := range n.arrs {
		out.arrs = c.meetAllArrays(out.arrs, c.notArrays(x))
	}
	for _, x := range n.objs {
		out.objs = c.meetAllObjects(out.objs, c.notObjects(x))
	}
	return c.tidied(out)
}

func (c *compiler) meetAllArrays(m, n []*array) []*array {
	var out []*array
	for _, x := range m {
		for _, y := range n {
			if z := c.meetArrays(x, y); !c.noArrays(z) {
				out = append(out, z)
			}
		}
	}
	return distinct(out)
}

func (c *compiler) meetAllObjects(m, n []*object) []*object {
	var out []*object
	for _, x := range m {
		for _, y := range n {
			if z := c.meetObjects(x, y); !c.noObjects(z) {
				out = append(out, z)
			}
		}
		if len(out) > c.limits.shapes {
			c.refuse("", "the schema is too complex: more than %d alternatives", c.limits.shapes)
		}
	}
	return distinct(out)
}

// isEmpty reports whether e has no value. Values that would have to contain themselves are none.
func (c *compiler) isEmpty(e *expr) bool {
	empty, _ := c.emptiness(e)
	return empty
}

// emptiness finds whether e is empty; sure is false if that rests on an assumption about a set that
// is being looked at further up.
func (c *compiler) emptiness(e *expr) (empty, sure bool) {
	if e.empty != 0 {
		return e.empty > 0, true
	}
	if e.looking {
		return true, false
	}
	n := c.norm(e)
	if n == nil {
		return false, false
	}
	e.looking = true
	c.looking++
	empty, sure = c.emptyNode(n)
	c.looking--
	e.looking = false
	switch {
	case !empty:
		e.empty = -1
	case sure || c.looking == 0:
		e.empty, sure = 1, true
	}
	return empty, sure || !empty
}

func (c *compiler) emptyNode(n *node) (empty, sure bool) {
	if n.types != 0 || len(n.nums) > 0 || !c.space.Empty(n.str) {
		return false, true
	}
	sure = true
	for _, a := range n.arrs {
		e, s := c.emptyArray(a)
		if !e {
			return false, true
		}
		sure = sure && s
	}
	for _, o := range n.objs {
		e, s := c.emptyObject(o)
		if !e {
			return false, true
		}
		sure = sure && s
	}
	return true, sure
}

func (c *compiler) emptyArray(a *array) (empty, sure bool) {
	if c.noArrays(a) {
		return true, true
	}
	if a.unique && a.min > 1 && len(a.prefix) == 0 && a.rest.flat {
		if values, ok := c.singles(a.rest); ok && len(values) < a.min {
			return true, true
		}
	}
	least := a.min
	for _, x := range a.contains {
		if x.min > 0 {
			least = max(least, x.from+1)
			if e, s := c.emptiness(x.value); e {
				return true, s
			}
		}
	}
	for i := range min(least, len(a.prefix)+1) {
		if e, s := c.emptiness(a.item(i)); e {
			return true, s
		}
	}
	if len(a.contains) > 0 {
		return c.emptyContains(a)
	}
	return false, true
}

func (c *compiler) emptyObject(o *object) (empty, sure bool) {
	if c.noObjects(o) {
		return true, true
	}
	sure = true
	possible := 0
	for _, n := range o.names {
		if n.value == c.no {
			continue
		}
		if n.required {
			if e, s := c.emptiness(n.value); e {
				return true, s
			}
		} else if len(o.rest) == 0 && o.min > 0 {
			e, s := c.emptiness(n.value)
			sure = sure && s
			if e {
				continue
			}
		}
		possible++
	}
	if possible < o.min {
		// Other keys are needed; there is no end of them if there is a class with values.
		found := false
		for _, x := range o.rest {
			e, s := c.emptiness(x.value)
			sure = sure && s
			found = found || !e
		}
		if !found {
			return true, sure
		}
	}
	if len(o.exists) == 0 && len(o.implies) == 0 {
		return false, true
	}
	if !c.feasible(c.start(o)) {
		return true, false
	}
	return false, true
}

// finalNode returns the normal form of e without empty alternatives. Names and items that no value
// can have are forbidden in it.
func (c *compiler) finalNode(e *expr) *node {
	if e.final != nil {
		return e.final
	}
	n := c.must(e)
	out := &node{types: n.types, str: n.str, nums: n.nums}
	if c.space.Empty(n.str) {
		out.str = c.space.Fail
	}
	for _, a := range n.arrs {
		if e, _ := c.emptyArray(a); !e {
			out.arrs = append(out.arrs, c.finalArray(a))
		}
	}
	for _, o := range n.objs {
		if e, _ := c.emptyObject(o); !e {
			out.objs = append(out.objs, c.finalObject(o))
		}
	}
	e.final = out
	return out
}

func (c *compiler) trimmed(e *expr) *expr {
	if c.isEmpty(e) {
		return c.no
	}
	return e
}

func (c *compiler) finalArray(a *array) *array {
	out := *a
	out.prefix = nil
	for i, p := range a.prefix {
		if p = c.trimmed(p); p == c.no {
			out.max, out.rest = min(out.max, i), c.no
			break
		}
		out.prefix = append(out.prefix, p)
	}
	if out.rest = c.trimmed(out.rest); out.rest == c.no {
		out.max = min(out.max, len(out.prefix))
	}
	f := c.internArray(&out)
	if f.unique && f.max > 1 && f.values == nil {
		if len(f.prefix) > 0 || len(f.contains) > 0 {
			c.refuseAt(f.at, "uniqueItems", "beside prefixItems or contains it is not supported")
		}
		values, ok := c.singles(f.rest)
		if !ok {
			c.refuseAt(f.at, "uniqueItems", "it is supported for items of a finite set only")
		}
		f.values = values
	}
	return f
}

func (c *compiler) finalObject(o *object) *object {
	out := &object{min: o.min, max: o.max, exists: o.exists, implies: o.implies}
	for _, n := range o.names {
		n.value = c.trimmed(n.value)
		out.names = append(out.names, n)
	}
	for _, x := range o.rest {
		if x.value = c.trimmed(x.value); x.value != c.no {
			out.rest = append(out.rest, x)
		}
	}
	c.nameFew(out)
	out = c.internObject(out)
	out.named()
	return out
}

// fewKeys is up to how many keys of a class are names.
const fewKeys = 256

// nameFew makes the keys of small classes names, so that states remember which of them were read.
func (c *compiler) nameFew(o *object) {
	var rest []class
	has := map[string]bool{}
	for _, n := range o.names {
		has[n.text] = true
	}
	for _, x := range o.rest {
		if _, _, all := x.lang.Lengths(); all {
			rest = append(rest, x)
			continue
		}
		keys, ok := c.space.DFA(x.lang).Start.Enumerate(fewKeys)
		if !ok {
			rest = append(rest, x)
			continue
		}
		for _, k := range keys {
			if !has[k] {
				has[k] = true
				o.names = append(o.names, name{text: k, value: x.value})
			}
		}
	}
	o.rest = rest
}

// singles returns the values of a finite set, one set each.
func (c *compiler) singles(e *expr) ([]*expr, bool) {
	n := c.finalNode(e)
	words, ok := c.space.List(n.str)
	if !ok || len(n.arrs) > 0 || len(n.objs) > 0 {
		return nil, false
	}
	var out []*expr
	for _, t := range []typeSet{tyNull, tyTrue, tyFalse} {
		if n.types&t != 0 {
			out = append(out, c.types(t))
		}
	}
	for _, w := range words {
		out = append(out, c.constant(&value{kind: kString, text: w}))
	}
	for _, x := range n.nums {
		values, ok := x.list(100)
		if !ok {
			return nil, false
		}
		for _, d := range values {
			out = append(out, c.constant(&value{kind: kNumber, number: d}))
		}
	}
	return distinct(out), true
}

// language returns the strings of e.
func (c *compiler) language(e *expr) *regex.Language { return c.must(e).str }
