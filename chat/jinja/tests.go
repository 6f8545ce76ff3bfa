package jinja

import (
	"strings"
	"unicode"
)

// is makes a test of a function of the value alone.
func is(f func(v value) bool) *filter {
	return &filter{nil, 0, func(_ *state, v value, _ []value) value { return f(v) }}
}

// comparing makes a test of an operator.
func comparing(op string) *filter {
	return &filter{[]string{"other"}, 1, func(st *state, v value, a []value) value { return st.compare(op, v, a[0]) }}
}

// remainder makes a test of the remainder of a division.
func remainder(by, want int64) *filter {
	return &filter{nil, 0, func(st *state, v value, _ []value) value { return st.equal(st.modulo(v, by), want, 0) }}
}

func isA[T any](v value) bool {
	_, ok := v.(T)
	return ok
}

var tests = map[string]*filter{
	"defined":     is(func(v value) bool { return !isA[*undefined](v) }),
	"undefined":   is(isA[*undefined]),
	"none":        is(func(v value) bool { return v == nil }),
	"string":      is(isA[*text]),
	"number":      is(isNumberValue),
	"integer":     is(func(v value) bool { _, _, ok := integer(v); return ok && !isA[bool](v) }),
	"float":       is(isA[float64]),
	"boolean":     is(isA[bool]),
	"true":        is(func(v value) bool { return v == true }),
	"false":       is(func(v value) bool { return v == false }),
	"mapping":     is(isA[*dict]),
	"iterable":    is(isIterable),
	"sequence":    is(isSequence),
	"callable":    is(isCallable),
	"escaped":     is(func(v value) bool { t, ok := v.(*text); return ok && t.markup }),
	"odd":         remainder(2, 1),
	"even":        remainder(2, 0),
	"divisibleby": {[]string{"num"}, 1, func(st *state, v value, a []value) value { return st.equal(st.modulo(v, a[0]), int64(0), 0) }},
	"lower": {nil, 0, func(st *state, v value, _ []value) value {
		return isCase(st.str(v).s, unicode.IsLower, unicode.IsUpper)
	}},
	"upper": {nil, 0, func(st *state, v value, _ []value) value {
		return isCase(st.str(v).s, unicode.IsUpper, unicode.IsLower)
	}},
	"sameas":      {[]string{"other"}, 1, sameAs},
	"in":          {[]string{"seq"}, 1, func(st *state, v value, a []value) value { return st.contains(a[0], v) }},
	"filter":      {nil, 0, func(st *state, v value, _ []value) value { return st.filters[st.str(v).s] != nil }},
	"test":        {nil, 0, func(st *state, v value, _ []value) value { return st.tests[st.str(v).s] != nil }},
	"eq":          comparing("=="),
	"equalto":     comparing("=="),
	"==":          comparing("=="),
	"ne":          comparing("!="),
	"!=":          comparing("!="),
	"lt":          comparing("<"),
	"lessthan":    comparing("<"),
	"<":           comparing("<"),
	"le":          comparing("<="),
	"<=":          comparing("<="),
	"gt":          comparing(">"),
	"greaterthan": comparing(">"),
	">":           comparing(">"),
	"ge":          comparing(">="),
	">=":          comparing(">="),
}

func isCase(s string, want, other func(r rune) bool) bool {
	return strings.ContainsFunc(s, want) && !strings.ContainsFunc(s, other)
}

func isIterable(v value) bool {
	switch v.(type) {
	case *text, *list, *dict, *rangeValue, *generator, *undefined, *loop:
		return true
	}
	return false
}

func isSequence(v value) bool {
	switch x := v.(type) {
	case *text, *dict, *rangeValue:
		return true
	case *list:
		return x.sequence()
	}
	return false
}

func isCallable(v value) bool {
	switch v.(type) {
	case *macro, *function, *method, *loop, *cycler, *undefined:
		return true
	}
	return false
}

// sameAs is Python's "is": objects are the same, small values are if they are equal.
func sameAs(st *state, v value, a []value) value {
	if isNumberValue(v) || isA[*text](v) {
		return typeName(v) == typeName(a[0]) && st.equal(v, a[0], 0)
	}
	return v == a[0]
}
