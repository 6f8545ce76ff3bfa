package jinja

import (
	"math/big"
	"strings"
)

// attribute is v.name: a method or attribute first, then a key.
func (st *state) attribute(v value, name string) value {
	if r, ok := st.attrOf(v, name); ok {
		return r
	}
	switch x := v.(type) {
	case *undefined:
		st.failUndefined(x)
	case *dict:
		if e, ok := x.get(name); ok {
			return e
		}
	}
	return noAttribute(v, name)
}

func noAttribute(v value, name string) value {
	if v == nil {
		return &undefined{what: "'None' has no attribute '" + name + "'"}
	}
	return &undefined{what: "'" + typeName(v) + " object' has no attribute '" + name + "'"}
}

// attrOf returns what Python's getattr gives. Names that begin with an underscore are hidden.
func (st *state) attrOf(v value, name string) (value, bool) {
	if strings.HasPrefix(name, "_") {
		return nil, false
	}
	switch x := v.(type) {
	case *namespace:
		return x.attrs.get(name)
	case *loop:
		return x.attr(name)
	case *macro:
		switch name {
		case "name":
			return lit(x.name), true
		case "arguments":
			l := &list{kind: isTuple}
			for _, n := range x.sig.names {
				l.items = append(l.items, lit(n))
			}
			return l, true
		case "caller":
			return x.sig.caller, true
		case "catch_varargs":
			return x.sig.varargs, true
		case "catch_kwargs":
			return x.sig.kwargs, true
		}
	case int64, bool, *big.Int:
		switch name {
		case "real", "numerator":
			return st.negate(v, "+"), true
		case "imag":
			return int64(0), true
		case "denominator":
			return int64(1), true
		}
	case float64:
		switch name {
		case "real":
			return x, true
		case "imag":
			return 0.0, true
		}
	case *list:
		if x.kind == isGroup && (name == "grouper" || name == "list") {
			return x.items[map[string]int{"grouper": 0, "list": 1}[name]], true
		}
	case *cycler:
		if name == "current" {
			return x.items[x.at], true
		}
	}
	if hasMethod(v, name) {
		return &method{v, name}, true
	}
	return nil, false
}

// item is v[k]: an element or key first, then an attribute.
func (st *state) item(v, k value) value {
	if u, ok := v.(*undefined); ok {
		st.failUndefined(u)
	}
	n, big, isInt := integer(k)
	isInt = isInt && big == nil
	switch x := v.(type) {
	case *dict:
		if h, ok := hashOf(k); ok {
			if i := x.find(h); i >= 0 {
				return x.entries[i].value
			}
		}
	case *list:
		if i, ok := index(n, int64(len(x.items))); ok && isInt && x.sequence() {
			return x.items[i]
		}
	case *rangeValue:
		if i, ok := index(n, x.len()); ok && isInt {
			return x.start + i*x.step
		}
	case *text:
		if isInt {
			if t, ok := st.character(x, n); ok {
				return t
			}
		}
	}
	if t, ok := k.(*text); ok {
		if r, ok := st.attrOf(v, t.s); ok {
			return r
		}
		return noAttribute(v, t.s)
	}
	var b builder
	st.repr(&b, k, 0)
	if v == nil {
		return &undefined{what: "None has no element " + b.text().s}
	}
	return &undefined{what: typeName(v) + " object has no element " + b.text().s}
}

// index resolves an index that may count from the end.
func index(i, n int64) (int64, bool) {
	if i < 0 {
		i += n
	}
	return i, i >= 0 && i < n
}

// character is the character i of a string.
func (st *state) character(t *text, i int64) (*text, bool) {
	st.scan(len(t.s))
	if t.ascii() {
		if i, ok := index(i, int64(len(t.s))); ok {
			return t.slice(int(i), int(i)+1), true
		}
		return nil, false
	}
	st.charge(times(len(t.s), 8))
	o := t.offsets()
	if i, ok := index(i, int64(len(o)-1)); ok {
		return t.slice(o[i], o[i+1]), true
	}
	return nil, false
}

// slice is v[from:to:by].
func (st *state) slice(v, from, to, by value) value {
	switch x := v.(type) {
	case *text:
		return st.sliceText(x, from, to, by)
	case *list:
		if x.sequence() {
			start, n, step := st.bounds(int64(len(x.items)), from, to, by)
			st.charge(times(int(n), elementSize))
			l := &list{items: make([]value, 0, n), kind: x.kind}
			if x.kind == isGroup {
				l.kind = isTuple
			}
			for i := start; n > 0; i, n = i+step, n-1 {
				l.items = append(l.items, x.items[i])
			}
			return l
		}
	case *rangeValue:
		start, n, step := st.bounds(x.len(), from, to, by)
		first := x.start + start*x.step
		return &rangeValue{first, first + n*step*x.step, step * x.step}
	case *undefined:
		st.failUndefined(x)
	case *dict:
		st.fail(KindType, "unhashable type: 'slice'")
	}
	return &undefined{what: "'" + typeName(v) + "' object cannot be sliced"}
}

func (st *state) sliceText(t *text, from, to, by value) value {
	st.scan(len(t.s))
	if t.ascii() {
		start, n, step := st.bounds(int64(len(t.s)), from, to, by)
		if step == 1 {
			return t.slice(int(start), int(start+n))
		}
		var b builder
		for i := start; n > 0; i, n = i+step, n-1 {
			b.addRange(t, int(i), int(i)+1)
		}
		return st.made(b.text())
	}
	st.charge(times(len(t.s), 8))
	o := t.offsets()
	start, n, step := st.bounds(int64(len(o)-1), from, to, by)
	if step == 1 {
		return t.slice(o[start], o[start+n])
	}
	var b builder
	for i := start; n > 0; i, n = i+step, n-1 {
		b.addRange(t, o[i], o[i+1])
	}
	return st.made(b.text())
}

// bounds resolves a slice of a sequence of length n: the first index, the number of elements, and
// the step.
func (st *state) bounds(n int64, from, to, by value) (start, count, step int64) {
	part := func(v value, usual int64) int64 {
		if v == nil {
			return usual
		}
		i, big, ok := integer(v)
		if u, is := v.(*undefined); is {
			st.failUndefined(u)
		}
		if !ok {
			st.fail(KindType, "slice indices must be integers or None")
		}
		if big != nil {
			i = int64(big.Sign()) << 62
		}
		return max(min(i, 1<<62), -1<<62)
	}
	step = part(by, 1)
	if step == 0 {
		st.fail(KindValue, "slice step cannot be zero")
	}
	low, high, first, last := int64(0), n, int64(0), n
	if step < 0 {
		low, high, first, last = -1, n-1, n-1, -1
	}
	clamp := func(v value, usual int64) int64 {
		if v == nil {
			return usual
		}
		i := part(v, usual)
		if i < 0 {
			i += n
		}
		return max(low, min(i, high))
	}
	start, stop := clamp(from, first), clamp(to, last)
	step = max(min(step, n+1), -n-1)
	r := rangeValue{start, stop, step}
	return start, r.len(), step
}
