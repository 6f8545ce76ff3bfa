package jinja

import "strings"

// iterate returns a function that gives the elements of v; message is for what has none.
func (st *state) iterate(v value, message string) func() (value, bool) {
	i := -1
	switch x := v.(type) {
	case *list:
		return func() (value, bool) {
			st.step(1)
			if i++; i < len(x.items) {
				return x.items[i], true
			}
			return nil, false
		}
	case *dict:
		return func() (value, bool) {
			st.step(1)
			if i++; i < len(x.entries) {
				return x.entries[i].key, true
			}
			return nil, false
		}
	case *text:
		at := 0
		return func() (value, bool) {
			if at >= len(x.s) {
				return nil, false
			}
			st.charge(elementSize)
			from := at
			for at++; at < len(x.s) && x.s[at]&0xC0 == 0x80; at++ {
			}
			return x.slice(from, at).plain(), true
		}
	case *rangeValue:
		n, k := x.len(), int64(0)
		return func() (value, bool) {
			st.step(1)
			if k >= n {
				return nil, false
			}
			k++
			return x.start + (k-1)*x.step, true
		}
	case *generator:
		return func() (value, bool) {
			st.enter() // generators read from each other
			v, ok := x.next()
			st.nested--
			return v, ok
		}
	case *undefined:
		return func() (value, bool) { return nil, false }
	}
	if strings.Contains(message, "%s") {
		st.fail(KindType, message, typeName(v))
	}
	st.fail(KindType, "%s", message)
	return nil
}

// all returns the elements of v in a slice of its own.
func (st *state) all(v value) []value {
	next := st.iterate(v, "'%s' object is not iterable")
	var out []value
	for {
		e, ok := next()
		if !ok {
			return out
		}
		st.charge(elementSize)
		out = append(out, e)
	}
}
