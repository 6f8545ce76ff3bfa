package jsonschema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/grammar/regex"
)

// schemaExpr returns the set of values of a schema.
func (c *compiler) schemaExpr(s *schema) *expr {
	if s.expr != nil {
		return s.expr
	}
	if s.busy { // a definition within itself is reached through $ref alone
		return c.ref(s)
	}
	s.busy = true
	defer func(at *schema) { c.at = at }(c.at)
	c.at = s
	c.count(1)
	var e *expr
	switch s.v.kind {
	case kBool:
		e = c.no
		if s.v.boolean {
			e = c.yes
		}
	case kObject:
		e = c.keywords(s)
	default:
		c.refuse("", "want a schema, found %s", kindNames[s.v.kind])
	}
	s.busy = false
	s.expr = e
	return e
}

func (c *compiler) ref(s *schema) *expr {
	return c.intern(fmt.Sprintf("r%p", s), &expr{op: xRef, target: s})
}

// sub returns the set of a schema that stands at v.
func (c *compiler) sub(s *schema, v *value) *expr {
	if c.schemas[v] == nil {
		c.index(v, s.scope)
	}
	return c.schemaExpr(c.schemas[v])
}

// keywords returns the intersection of what the keywords of a schema say.
func (c *compiler) keywords(s *schema) *expr {
	v, sc := s.v, s.scope
	if r := v.get("$ref"); r != nil && r.kind == kString && sc.draft <= draft7 && !sc.legacy {
		c.ignoredBeside(s)
		return c.reference(s, r)
	}
	// Of several parts with properties the order is that of the keywords.
	type part struct {
		at int
		e  *expr
	}
	var parts []part
	add := func(key string, e *expr) { parts = append(parts, part{slices.Index(v.keys, key), e}) }
	for _, k := range unsupported {
		if m := v.get(k); m != nil && sc.draft >= draft2019 {
			if (k == "unevaluatedProperties" || k == "unevaluatedItems") && m.kind == kBool && m.boolean {
				continue
			}
			c.refuse(k, "it is not supported")
		}
	}
	if t := v.get("type"); t != nil {
		add("type", c.typeKeyword(s, t))
	}
	if m := v.get("const"); m != nil && sc.draft >= draft6 {
		add("const", c.constant(m))
	}
	if m := v.get("enum"); m != nil {
		c.want("enum", m, kArray)
		add("enum", c.constants(m.items))
	}
	add("", c.stringKeywords(s))
	add("", c.numberKeywords(s))
	add("", c.arrayKeywords(s))
	add("properties", c.objectKeywords(s))
	if r := v.get("$ref"); r != nil {
		c.want("$ref", r, kString)
		add("$ref", c.reference(s, r))
	}
	c.combining(s, add)
	add("dependencies", c.dependencies(s))
	c.annotations(s)
	slices.SortStableFunc(parts, func(a, b part) int { return a.at - b.at })
	all := make([]*expr, len(parts))
	for i, p := range parts {
		all[i] = p.e
	}
	return c.and(all...)
}

// unsupported are keywords that are refused.
var unsupported = []string{"unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef"}

// known are the keywords that are read somewhere or are annotations; others are noted.
var known = map[string]bool{}

func init() {
	for _, k := range strings.Fields(`$ref type const enum minLength maxLength pattern format minimum maximum exclusiveMinimum exclusiveMaximum multipleOf items prefixItems
		additionalItems minItems maxItems uniqueItems contains minContains maxContains properties required additionalProperties patternProperties propertyNames
		minProperties maxProperties allOf anyOf oneOf not if then else dependentRequired dependentSchemas dependencies $defs definitions $id id $schema $anchor
		$dynamicAnchor $recursiveAnchor $comment title description default examples readOnly writeOnly deprecated $vocabulary contentEncoding contentMediaType contentSchema
		unevaluatedProperties unevaluatedItems $dynamicRef $recursiveRef`) {
		known[k] = true
	}
}

// annotations notes the keywords that say nothing here.
func (c *compiler) annotations(s *schema) {
	for _, k := range s.v.keys {
		if !known[k] {
			c.notes[k]++
		} else if since[k] > s.scope.draft {
			c.notes[fmt.Sprintf("%s in draft %d", k, s.scope.draft)]++
		}
	}
	if f := s.v.get("format"); f != nil && f.kind != kString {
		c.notes["format that is no string"]++
	}
}

// since is the draft from which on a keyword says something, if it is not the first.
var since = map[string]draft{"const": draft6, "contains": draft6, "propertyNames": draft6, "if": draft7, "then": draft7, "else": draft7,
	"minContains": draft2019, "maxContains": draft2019, "dependentRequired": draft2019, "dependentSchemas": draft2019, "unevaluatedProperties": draft2019,
	"unevaluatedItems": draft2019, "$recursiveRef": draft2019, "$dynamicRef": draft2019, "prefixItems": draft2020}

// ignoredBeside notes what stands beside $ref in drafts where it does not count.
func (c *compiler) ignoredBeside(s *schema) {
	for _, k := range s.v.keys {
		if k != "$ref" && k != "$schema" && k != "description" && k != "title" && k != "definitions" && k != "$comment" {
			c.notes[k+" beside $ref"]++
		}
	}
}

func (c *compiler) want(key string, v *value, kinds ...kind) {
	if !slices.Contains(kinds, v.kind) {
		c.refuse(key, "want %s, found %s", kindNames[kinds[0]], kindNames[v.kind])
	}
}

func (c *compiler) reference(s *schema, r *value) *expr {
	t, err := c.lookup(s, r.text)
	if err != nil {
		c.refuse("$ref", "%v", err)
	}
	if t.expr != nil && t.expr.flat {
		return t.expr
	}
	return c.ref(t)
}

func (c *compiler) typeKeyword(s *schema, t *value) *expr {
	names := []*value{t}
	if t.kind == kArray {
		names = t.items
	}
	var out []*expr
	var set typeSet
	for _, n := range names {
		c.want("type", n, kString)
		switch n.text {
		case "null":
			set |= tyNull
		case "boolean":
			set |= tyBool
		case "number":
			set |= tyNumber
		case "string":
			set |= tyString
		case "array":
			set |= tyArray
		case "object":
			set |= tyObject
		case "integer":
			d := one
			n := &numbers{multiple: &d, whole: s.scope.draft == draft4}
			if c.opts.GoNumbers {
				n.lo, n.hi, n.whole = &leastInt, &greatestInt, true
			}
			out = append(out, c.and(c.types(tyNumber), c.numbers(n)))
		default:
			c.refuse("type", "want the name of a type, found %s", shorten(n.text))
		}
	}
	if set&tyNumber != 0 {
		out = nil
		if c.opts.GoNumbers {
			lo := greatestFloat.negated()
			return c.and(c.types(set), c.numbers(&numbers{lo: &lo, hi: &greatestFloat}))
		}
	}
	return c.or(append([]*expr{c.types(set)}, out...)...)
}

// The bounds of Go's numbers; that of floats is rounded towards zero.
var (
	leastInt      = decimal{true, "9223372036854775808", 19}
	greatestInt   = decimal{false, "9223372036854775807", 19}
	greatestFloat = decimal{false, "17976931348623157", 309}
)

// natural reads a count. Drafts after 4 allow 2.0.
func (c *compiler) natural(s *schema, key string, absent int) int {
	v := s.v.get(key)
	if v == nil {
		return absent
	}
	c.want(key, v, kNumber)
	if v.number.neg || !v.number.integer() {
		c.refuse(key, "want a natural number, found %s", v.number)
	}
	if v.number.exp > 11 {
		return unlimited
	}
	return int(v.number.scaled(0).Int64())
}

func (c *compiler) stringKeywords(s *schema) *expr {
	lo, hi := c.natural(s, "minLength", 0), c.natural(s, "maxLength", unlimited)
	l := c.space.All
	if lo > 0 || hi < unlimited {
		if hi == unlimited {
			hi = -1
		}
		l = c.space.Length(lo, hi)
	}
	if p := s.v.get("pattern"); p != nil {
		c.want("pattern", p, kString)
		l = c.space.And(c.pattern("pattern", p.text), l)
	}
	if f := s.v.get("format"); f != nil && !c.opts.NoFormat && f.kind == kString {
		switch fl, known, err := c.format(f.text, s.scope.draft); {
		case err != nil:
			c.refuse("format", "%v", err)
		case known:
			l = c.space.And(fl, l)
		default:
			c.notes["format "+f.text]++
		}
	}
	return c.strings(l)
}

// pattern returns the strings in which an expression of ECMA-262 matches somewhere.
func (c *compiler) pattern(key, src string) *regex.Language {
	l, ok := c.patterns[src]
	if !ok {
		p, err := regex.ParseECMA(src)
		if err != nil {
			c.refuse(key, "%v", err)
		}
		l = c.space.Pattern(regex.Search(p))
		c.patterns[src] = l
	}
	return l
}

func (c *compiler) numberKeywords(s *schema) *expr {
	n := &numbers{}
	bound := func(key string) *decimal {
		v := s.v.get(key)
		if v == nil {
			return nil
		}
		c.want(key, v, kNumber)
		d := v.number
		return &d
	}
	n.lo, n.hi = bound("minimum"), bound("maximum")
	for _, upper := range []bool{false, true} {
		key := "exclusiveMinimum"
		if upper {
			key = "exclusiveMaximum"
		}
		v := s.v.get(key)
		switch {
		case v == nil:
		case v.kind == kBool && (s.scope.draft == draft4 || s.scope.legacy):
			if upper {
				n.hiOpen = v.boolean && n.hi != nil
			} else {
				n.loOpen = v.boolean && n.lo != nil
			}
		case s.scope.draft == draft4:
			c.refuse(key, "want boolean in draft 4, found %s", kindNames[v.kind])
		default:
			d := bound(key)
			open := &numbers{lo: d, loOpen: true}
			if upper {
				open = &numbers{hi: d, hiOpen: true}
			}
			n, _ = n.meet(open) // without multiples there is no error
		}
	}
	if d := bound("multipleOf"); d != nil {
		if d.sign() <= 0 {
			c.refuse("multipleOf", "want a number above 0, found %s", d)
		}
		n.multiple = d
		if err := n.computable(); err != nil {
			c.refuse("multipleOf", "%v are not supported", err)
		}
	}
	if n.lo == nil && n.hi == nil && n.multiple == nil {
		return c.yes
	}
	return c.numbers(n)
}

func (c *compiler) arrayKeywords(s *schema) *expr {
	a := &array{rest: c.yes, min: c.natural(s, "minItems", 0), max: c.natural(s, "maxItems", unlimited)}
	sc := s.scope
	items := s.v.get("items")
	if items != nil {
		switch {
		case items.kind == kArray && (sc.draft < draft2020 || sc.legacy):
			for _, x := range items.items {
				a.prefix = append(a.prefix, c.sub(s, x))
			}
			if m := s.v.get("additionalItems"); m != nil {
				a.rest = c.sub(s, m)
			}
		default:
			c.want("items", items, kObject, kBool)
			a.rest = c.sub(s, items)
		}
	}
	if p := s.v.get("prefixItems"); p != nil && sc.draft >= draft2020 {
		c.want("prefixItems", p, kArray)
		for _, x := range p.items {
			a.prefix = append(a.prefix, c.sub(s, x))
		}
	}
	if u := s.v.get("uniqueItems"); u != nil {
		c.want("uniqueItems", u, kBool)
		a.unique, a.at = u.boolean, s.v.pointer()
	}
	if m := s.v.get("contains"); m != nil && sc.draft >= draft6 {
		x := contain{0, c.sub(s, m), 1, unlimited}
		if sc.draft >= draft2019 {
			x.min, x.max = c.natural(s, "minContains", 1), c.natural(s, "maxContains", unlimited)
		}
		a.contains = append(a.contains, x)
	}
	return c.arrays(a)
}

func (c *compiler) objectKeywords(s *schema) *expr {
	o := &object{min: c.natural(s, "minProperties", 0), max: c.natural(s, "maxProperties", unlimited)}
	var patterns []class
	if pp := s.v.get("patternProperties"); pp != nil {
		c.want("patternProperties", pp, kObject)
		for _, k := range pp.keys {
			patterns = append(patterns, class{c.pattern("patternProperties", k), c.sub(s, pp.members[k])})
		}
	}
	additional := c.yes
	if m := s.v.get("additionalProperties"); m != nil {
		additional = c.sub(s, m)
	}
	if props := s.v.get("properties"); props != nil {
		c.want("properties", props, kObject)
		for _, k := range props.keys {
			parts := []*expr{c.sub(s, props.members[k])}
			for _, p := range patterns {
				if c.matches(p.lang, k) {
					parts = append(parts, p.value)
				}
			}
			o.names = append(o.names, name{text: k, value: c.and(parts...), ordered: !c.opts.AnyOrder})
		}
	}
	o.rest = c.partition(patterns, additional)
	c.required(s, o)
	e := c.objects(o)
	if pn := s.v.get("propertyNames"); pn != nil && s.scope.draft >= draft6 {
		l := c.language(c.sub(s, pn))
		var rest []class
		if !c.space.Empty(l) {
			rest = []class{{l, c.yes}}
		}
		e = c.and(e, c.objects(&object{rest: rest, max: unlimited}))
	}
	return e
}

// partition splits the keys by which patterns match them.
func (c *compiler) partition(patterns []class, additional *expr) []class {
	type part struct {
		lang   *regex.Language
		values []*expr
	}
	parts := []part{{c.space.All, nil}}
	for _, p := range patterns {
		var next []part
		for _, x := range parts {
			if in := c.space.And(x.lang, p.lang); !c.space.Empty(in) {
				next = append(next, part{in, append(slices.Clone(x.values), p.value)})
			}
			if out := c.space.And(x.lang, c.space.Not(p.lang)); !c.space.Empty(out) {
				next = append(next, part{out, x.values})
			}
		}
		parts = next
		if len(parts) > c.limits.classes {
			c.refuse("patternProperties", "more than %d kinds of keys", c.limits.classes)
		}
	}
	var out []class
	for _, x := range parts {
		v := additional
		if x.values != nil {
			v = c.and(x.values...)
		}
		if v != c.no {
			out = append(out, class{x.lang, v})
		}
	}
	return c.merged(out)
}

func (c *compiler) required(s *schema, o *object) {
	r := s.v.get("required")
	if r == nil {
		return
	}
	c.want("required", r, kArray)
	at := map[string]int{}
	for i, n := range o.names {
		at[n.text] = i
	}
	for _, x := range r.items {
		c.want("required", x, kString)
		if i, ok := at[x.text]; ok {
			o.names[i].required = true
			continue
		}
		at[x.text] = len(o.names)
		o.names = append(o.names, name{text: x.text, value: c.inRest(o, x.text), required: true})
	}
}

// list reads a keyword with a list of schemas.
func (c *compiler) list(s *schema, key string) []*expr {
	v := s.v.get(key)
	if v == nil {
		return nil
	}
	c.want(key, v, kArray)
	if len(v.items) == 0 {
		c.refuse(key, "want at least one schema")
	}
	var out []*expr
	for _, x := range v.items {
		out = append(out, c.sub(s, x))
	}
	return out
}

func (c *compiler) combining(s *schema, add func(key string, e *expr)) {
	add("allOf", c.and(c.list(s, "allOf")...))
	if any := c.list(s, "anyOf"); any != nil {
		add("anyOf", c.or(any...))
	}
	if one := c.list(s, "oneOf"); one != nil {
		add("oneOf", c.one(one...))
	}
	if n := s.v.get("not"); n != nil {
		add("not", c.not(c.sub(s, n)))
	}
	cond := s.v.get("if")
	if cond == nil || s.scope.draft < draft7 {
		return
	}
	e := c.sub(s, cond)
	yes, no := c.yes, c.yes
	if m := s.v.get("then"); m != nil {
		yes = c.sub(s, m)
	}
	if m := s.v.get("else"); m != nil {
		no = c.sub(s, m)
	}
	if yes != c.yes || no != c.yes {
		add("if", c.or(c.and(e, yes), c.and(c.not(e), no)))
	}
}

// dependencies reads dependentRequired, dependentSchemas, and dependencies, which was both.
func (c *compiler) dependencies(s *schema) *expr {
	var parts []*expr
	names := func(from string, list *value) {
		o := &object{rest: c.anyObject.rest, max: unlimited, names: []name{{text: from, value: c.yes}}}
		seen := map[string]bool{from: true}
		for _, x := range list.items {
			c.want("dependencies", x, kString)
			if seen[x.text] {
				continue
			}
			seen[x.text] = true
			o.names = append(o.names, name{text: x.text, value: c.yes})
			o.implies = append(o.implies, implication{from, x.text})
		}
		parts = append(parts, c.objects(o))
	}
	schemas := func(from string, v *value) {
		absent := c.objects(&object{rest: c.anyObject.rest, max: unlimited, names: []name{{text: from, value: c.no}}})
		parts = append(parts, c.or(absent, c.sub(s, v)))
	}
	each := func(key string, f func(from string, v *value)) {
		if v := s.v.get(key); v != nil {
			c.want(key, v, kObject)
			for _, k := range v.keys {
				f(k, v.members[k])
			}
		}
	}
	if s.scope.draft >= draft2019 {
		each("dependentRequired", func(from string, v *value) {
			c.want("dependentRequired", v, kArray)
			names(from, v)
		})
		each("dependentSchemas", schemas)
	}
	// Later drafts keep the word for what it meant.
	each("dependencies", func(from string, v *value) {
		if v.kind == kArray {
			names(from, v)
		} else {
			schemas(from, v)
		}
	})
	return c.and(parts...)
}
