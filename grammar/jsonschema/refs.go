package jsonschema

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// A draft of JSON Schema. The values are in the order of their appearance.
type draft int

const (
	draft4    draft = 4
	draft6    draft = 6
	draft7    draft = 7
	draft2019 draft = 2019
	draft2020 draft = 2020
)

// A schema is a value that stands where a schema does.
type schema struct {
	v     *value
	scope *scope
	expr  *expr
	busy  bool
}

// A scope is what an identifier begins: the rules of a draft and a base address.
type scope struct {
	draft  draft
	legacy bool // no $schema says which: older spellings are read too
	base   string
}

// draftOf reads $schema.
func draftOf(uri string) (draft, bool) {
	uri = strings.TrimSuffix(strings.TrimSuffix(uri, "#"), "/")
	uri = strings.TrimPrefix(strings.TrimPrefix(uri, "https://"), "http://")
	d, ok := map[string]draft{"json-schema.org/draft-04/schema": draft4, "json-schema.org/draft-06/schema": draft6, "json-schema.org/draft-07/schema": draft7,
		"json-schema.org/draft/2019-09/schema": draft2019, "json-schema.org/draft/2020-12/schema": draft2020}[uri]
	return d, ok
}

// Where schemas stand in a schema: as a value, in a list, as the members of an object.
var (
	inValue = []string{"additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then",
		"unevaluatedItems", "unevaluatedProperties"}
	inList    = []string{"allOf", "anyOf", "items", "oneOf", "prefixItems"}
	inMembers = []string{"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"}
)

// index finds the identifiers in v and below.
func (c *compiler) index(v *value, sc *scope) {
	if c.schemas[v] != nil {
		return
	}
	if v.kind == kObject {
		sc = c.enter(v, sc)
	}
	c.schemas[v] = &schema{v: v, scope: sc}
	if v.kind != kObject {
		return
	}
	if sc.draft <= draft7 && !sc.legacy && v.get("$ref") != nil && v.get("$ref").kind == kString {
		// What stands beside $ref does not count; schemas in it can still be referred to.
		inner := *sc
		sc = &inner
	}
	for _, k := range inValue {
		if m := v.get(k); m != nil && (m.kind == kObject || m.kind == kBool) {
			c.index(m, sc)
		}
	}
	for _, k := range inList {
		if m := v.get(k); m != nil && m.kind == kArray {
			for _, x := range m.items {
				c.index(x, sc)
			}
		}
	}
	for _, k := range inMembers {
		if m := v.get(k); m != nil && m.kind == kObject {
			for _, name := range m.keys {
				if x := m.members[name]; x.kind == kObject || x.kind == kBool {
					c.index(x, sc)
				}
			}
		}
	}
}

// enter returns the scope of v, and notes the identifiers that it has.
func (c *compiler) enter(v *value, sc *scope) *scope {
	out := *sc
	if s := v.get("$schema"); s != nil && s.kind == kString {
		if d, ok := draftOf(s.text); ok {
			out.draft, out.legacy = d, false
		}
	}
	idKey := "$id"
	if out.draft == draft4 {
		idKey = "id"
	}
	ref := v.get("$ref")
	ignored := out.draft <= draft7 && !out.legacy && ref != nil && ref.kind == kString
	if id := v.get(idKey); id != nil && id.kind == kString && !ignored {
		address, fragment, _ := strings.Cut(resolve(sc.base, id.text), "#")
		if fragment != "" && !strings.HasPrefix(fragment, "/") && out.draft <= draft7 {
			c.note(address+"#"+fragment, v)
		}
		if plain := !strings.HasPrefix(id.text, "#"); plain {
			out.base = address
			c.note(address, v)
		}
	}
	for _, k := range []string{"$anchor", "$dynamicAnchor"} {
		if a := v.get(k); a != nil && a.kind == kString && out.draft >= draft2019 {
			c.note(out.base+"#"+a.text, v)
		}
	}
	return &out
}

func (c *compiler) note(address string, v *value) {
	if c.addresses[address] == nil {
		c.addresses[address] = v
	}
}

// resolve returns the address that ref means at base.
func resolve(base, ref string) string {
	b, err := url.Parse(base)
	if err != nil {
		return ref
	}
	r, err := url.Parse(ref)
	if err != nil {
		return ref
	}
	if base != "" && b.Opaque != "" && strings.HasPrefix(ref, "#") {
		return base + ref
	}
	out := b.ResolveReference(r)
	fragment := out.Fragment
	out.Fragment, out.RawFragment = "", ""
	if fragment != "" {
		return out.String() + "#" + fragment
	}
	return out.String()
}

// lookup finds the schema that a $ref means.
func (c *compiler) lookup(s *schema, ref string) (*schema, error) {
	full := resolve(s.scope.base, ref)
	if strings.HasPrefix(ref, "#") {
		full = s.scope.base + resolve("", ref)
	}
	address, fragment, _ := strings.Cut(full, "#")
	root := c.addresses[address]
	if root == nil {
		if address != "" && address != s.scope.base {
			return nil, fmt.Errorf("%s is another document: remote references are not read", shorten(ref))
		}
		root = c.root
	}
	if fragment == "" {
		return c.schemas[root], nil
	}
	if !strings.HasPrefix(fragment, "/") {
		if v := c.addresses[address+"#"+fragment]; v != nil {
			return c.schemas[v], nil
		}
		return nil, fmt.Errorf("%s leads nowhere", shorten(ref))
	}
	v, sc := root, c.schemas[root].scope
	for _, part := range strings.Split(fragment[1:], "/") {
		key := strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		switch {
		case v.get(key) != nil:
			v = v.get(key)
		case v.kind == kArray:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(v.items) {
				return nil, fmt.Errorf("%s leads nowhere", shorten(ref))
			}
			v = v.items[i]
		default:
			return nil, fmt.Errorf("%s leads nowhere", shorten(ref))
		}
		if t := c.schemas[v]; t != nil {
			sc = t.scope
		}
	}
	if c.schemas[v] == nil {
		c.index(v, sc)
	}
	return c.schemas[v], nil
}
