package jsonschema

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/grammar/regex"
)

type exprOp uint8

const (
	xTrue exprOp = iota
	xFalse
	xTypes // values of some types
	xStr   // no strings but those of lang
	xNum   // no numbers but those of nums
	xArr   // no arrays but those of arr
	xObj   // no objects but those of obj
	xAnd
	xOr
	xOne // exactly one of subs
	xNot
	xRef // what the schema at target says
)

// An expr is a set of JSON values, as a formula. Equal formulas are one pointer.
type expr struct {
	op     exprOp
	id     int32
	types  typeSet
	lang   *regex.Language
	nums   []*numbers
	arr    *array
	obj    *object
	subs   []*expr
	target *schema
	flat   bool // says nothing about what is in arrays and objects

	node    *node // its normal form
	final   *node // without what is empty
	busy    bool  // the normal form is being found
	empty   int8  // 1: no value, -1: some, 0: not known yet
	looking bool  // whether it is empty is being found
}

type typeSet uint8

const (
	tyNull typeSet = 1 << iota
	tyTrue
	tyFalse
	tyNumber
	tyString
	tyArray
	tyObject
	tyBool = tyTrue | tyFalse
	tyAll  = 1<<7 - 1
)

func (c *compiler) intern(key string, e *expr) *expr {
	if old, ok := c.exprs[key]; ok {
		return old
	}
	e.id = int32(len(c.exprs))
	if c.limits.exprs > 0 && len(c.exprs) > c.limits.exprs {
		c.refuse("", "the schema is too complex: more than %d sets of values", c.limits.exprs)
	}
	c.exprs[key] = e
	return e
}

func exprKey(op exprOp, subs ...*expr) string {
	b := []byte{byte(op)}
	for _, s := range subs {
		b = binary.LittleEndian.AppendUint32(b, uint32(s.id))
	}
	return string(b)
}

func (c *compiler) types(t typeSet) *expr {
	switch t {
	case tyAll:
		return c.yes
	case 0:
		return c.no
	}
	return c.intern(fmt.Sprint("t", t), &expr{op: xTypes, types: t, flat: true})
}

func (c *compiler) strings(l *regex.Language) *expr {
	if l == c.space.All {
		return c.yes
	}
	return c.intern(fmt.Sprint("s", l.ID()), &expr{op: xStr, lang: l, flat: true})
}

func (c *compiler) numbers(ns ...*numbers) *expr {
	var key strings.Builder
	key.WriteString("n")
	var out []*numbers
	for _, n := range ns {
		if p, ok := n.prepared(); ok {
			out = append(out, p)
			key.WriteString(p.key + "|")
		}
	}
	return c.intern(key.String(), &expr{op: xNum, nums: out, flat: true})
}

func (c *compiler) arrays(a *array) *expr {
	a = c.internArray(a)
	if a == c.anyArray {
		return c.yes
	}
	return c.intern("a"+a.key, &expr{op: xArr, arr: a})
}

func (c *compiler) objects(o *object) *expr {
	o = c.internObject(o)
	if o == c.anyObject {
		return c.yes
	}
	return c.intern("o"+o.key, &expr{op: xObj, obj: o})
}

// and returns the intersection. The order of its parts is that of properties.
func (c *compiler) and(subs ...*expr) *expr {
	var out []*expr
	for _, s := range subs {
		switch {
		case s == c.no:
			return c.no
		case s == c.yes || slices.Contains(out, s):
		case s.op == xAnd:
			for _, x := range s.subs {
				if !slices.Contains(out, x) {
					out = append(out, x)
				}
			}
		default:
			out = append(out, s)
		}
	}
	switch len(out) {
	case 0:
		return c.yes
	case 1:
		return out[0]
	}
	e := &expr{op: xAnd, subs: out, flat: true}
	for _, s := range out {
		e.flat = e.flat && s.flat
	}
	e = c.intern(exprKey(xAnd, out...), e)
	if e.flat && c.isEmpty(e) {
		return c.no
	}
	return e
}

func (c *compiler) or(subs ...*expr) *expr {
	var out []*expr
	for _, s := range subs {
		switch {
		case s == c.yes:
			return c.yes
		case s == c.no || slices.Contains(out, s):
		case s.op == xOr:
			for _, x := range s.subs {
				if !slices.Contains(out, x) {
					out = append(out, x)
				}
			}
		default:
			out = append(out, s)
		}
	}
	switch len(out) {
	case 0:
		return c.no
	case 1:
		return out[0]
	}
	e := &expr{op: xOr, subs: out, flat: true}
	for _, s := range out {
		e.flat = e.flat && s.flat
	}
	return c.intern(exprKey(xOr, out...), e)
}

func (c *compiler) one(subs ...*expr) *expr {
	var out []*expr
	for _, s := range subs {
		if s != c.no {
			out = append(out, s)
		}
	}
	switch len(out) {
	case 0:
		return c.no
	case 1:
		return out[0]
	}
	return c.intern(exprKey(xOne, out...), &expr{op: xOne, subs: out})
}

func (c *compiler) not(s *expr) *expr {
	switch {
	case s == c.yes:
		return c.no
	case s == c.no:
		return c.yes
	case s.op == xNot:
		return s.subs[0]
	case s.op == xTypes:
		return c.types(tyAll &^ s.types)
	}
	return c.intern(exprKey(xNot, s), &expr{op: xNot, subs: []*expr{s}, flat: s.flat})
}

// constant returns the set of one value.
func (c *compiler) constant(v *value) *expr {
	switch v.kind {
	case kNull:
		return c.types(tyNull)
	case kBool:
		if v.boolean {
			return c.types(tyTrue)
		}
		return c.types(tyFalse)
	case kNumber:
		d := v.number
		return c.and(c.types(tyNumber), c.numbers(&numbers{lo: &d, hi: &d}))
	case kString:
		return c.and(c.types(tyString), c.strings(c.space.Words(v.text)))
	case kArray:
		a := &array{rest: c.no, min: len(v.items), max: len(v.items)}
		for _, x := range v.items {
			a.prefix = append(a.prefix, c.constant(x))
		}
		return c.and(c.types(tyArray), c.arrays(a))
	}
	o := &object{max: unlimited}
	for _, k := range v.keys {
		o.names = append(o.names, name{text: k, value: c.constant(v.members[k]), required: true})
	}
	return c.and(c.types(tyObject), c.objects(o))
}

// constants returns a set of values; strings and numbers are one part each.
func (c *compiler) constants(vs []*value) *expr {
	var words []string
	var ns []*numbers
	var out []*expr
	for _, v := range vs {
		switch v.kind {
		case kString:
			words = append(words, v.text)
		case kNumber:
			d := v.number
			ns = append(ns, &numbers{lo: &d, hi: &d})
		default:
			out = append(out, c.constant(v))
		}
	}
	if words != nil {
		out = append(out, c.and(c.types(tyString), c.strings(c.space.Words(words...))))
	}
	if ns != nil {
		out = append(out, c.and(c.types(tyNumber), c.numbers(ns...)))
	}
	return c.or(out...)
}
