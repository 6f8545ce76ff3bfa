package jinja

import (
	"sort"
	"strings"
)

// hasMethod reports whether Python's type of v has a method of that name.
func hasMethod(v value, name string) bool {
	ok := false
	switch x := v.(type) {
	case *text:
		_, ok = textMethods[name]
	case *list:
		if x.kind == isList {
			_, ok = listMethods[name]
		} else if x.sequence() {
			ok = name == "index" || name == "count"
		}
	case *dict:
		_, ok = dictMethods[name]
	case *cycler:
		ok = name == "next" || name == "reset"
	}
	return ok
}

// callMethod calls a method that hasMethod knows.
func (st *state) callMethod(m *method, args callArgs) value {
	switch x := m.self.(type) {
	case *text:
		if m.name == "format" {
			return st.format(x, args)
		}
		return textMethods[m.name].call(st, m.name, x, args)
	case *list:
		return listMethods[m.name].call(st, m.name, x, args)
	case *dict:
		return dictMethods[m.name].call(st, m.name, x, args)
	case *cycler:
		return x.method(m.name)
	case *loop:
		return x.method(st, m.name, args)
	}
	st.fail(KindType, "'%s' object is not callable", typeName(m))
	return nil
}

var dictMethods = map[string]*builtin[*dict]{
	"get":    {[]string{"key", "default"}, 1, dictGet},
	"items":  {nil, 0, func(st *state, d *dict, _ []value) value { return st.items(d) }},
	"keys":   {nil, 0, func(st *state, d *dict, _ []value) value { return st.list(d.keys(), isKeys) }},
	"values": {nil, 0, func(st *state, d *dict, _ []value) value { return st.list(d.values(), isValues) }},
	"copy": {nil, 0, func(st *state, d *dict, _ []value) value {
		st.charge(times(len(d.entries), entrySize))
		return d.clone()
	}},
	"pop":        {[]string{"key", "default"}, 1, dictPop},
	"popitem":    {nil, 0, dictPopItem},
	"setdefault": {[]string{"key", "default"}, 1, dictSetDefault},
	"clear": {nil, 0, func(_ *state, d *dict, _ []value) value {
		*d = dict{}
		return nil
	}},
	"update": {[]string{"other"}, 1, func(st *state, d *dict, a []value) value {
		st.update(d, a[0])
		return nil
	}},
}

func (st *state) items(d *dict) value {
	st.charge(times(len(d.entries), 4*elementSize))
	return &list{items: d.items(), kind: isItems}
}

func dictGet(st *state, d *dict, a []value) value {
	if i := d.find(st.hash(a[0])); i >= 0 {
		return d.entries[i].value
	}
	return or(a[1], nil)
}

// or is an argument, or what stands for one that is not given.
func or(v, usual value) value {
	if !given(v) {
		return usual
	}
	return v
}

func dictPop(st *state, d *dict, a []value) value {
	i := d.find(st.hash(a[0]))
	if i < 0 {
		if !given(a[1]) {
			st.fail(KindValue, "there is no key %s", quote(st.str(a[0]).s))
		}
		return a[1]
	}
	v := d.entries[i].value
	st.step(len(d.entries))
	d.remove(i)
	return v
}

func dictPopItem(st *state, d *dict, _ []value) value {
	n := len(d.entries) - 1
	if n < 0 {
		st.fail(KindValue, "popitem(): dictionary is empty")
	}
	e := d.entries[n]
	st.step(n)
	d.remove(n)
	return newTuple(e.key, e.value)
}

func dictSetDefault(st *state, d *dict, a []value) value {
	if i := d.find(st.hash(a[0])); i >= 0 {
		return d.entries[i].value
	}
	v := or(a[1], nil)
	st.setItem(d, a[0], v)
	return v
}

var listMethods = map[string]*builtin[*list]{
	"append": {[]string{"x"}, 1, func(st *state, l *list, a []value) value {
		st.charge(elementSize)
		l.items = append(l.items, a[0])
		return nil
	}},
	"extend": {[]string{"x"}, 1, func(st *state, l *list, a []value) value {
		l.items = append(l.items, st.all(a[0])...)
		return nil
	}},
	"insert": {[]string{"i", "x"}, 2, func(st *state, l *list, a []value) value {
		n := int64(len(l.items))
		i := st.intArg(a[0])
		if i < 0 {
			i += n
		}
		i = max(0, min(i, n))
		st.charge(elementSize)
		st.step(int(n))
		l.items = append(l.items, nil)
		copy(l.items[i+1:], l.items[i:])
		l.items[i] = a[1]
		return nil
	}},
	"pop":    {[]string{"i"}, 0, listPop},
	"remove": {[]string{"x"}, 1, listRemove},
	"index": {[]string{"x"}, 1, func(st *state, l *list, a []value) value {
		for i, e := range l.items {
			if st.equal(e, a[0], 0) {
				return int64(i)
			}
		}
		st.fail(KindValue, "the value is not in the list")
		return nil
	}},
	"count": {[]string{"x"}, 1, func(st *state, l *list, a []value) value {
		n := int64(0)
		for _, e := range l.items {
			if st.equal(e, a[0], 0) {
				n++
			}
		}
		return n
	}},
	"copy": {nil, 0, func(st *state, l *list, _ []value) value {
		return st.list(append([]value(nil), l.items...), isList)
	}},
	"clear": {nil, 0, func(_ *state, l *list, _ []value) value {
		l.items = nil
		return nil
	}},
	"reverse": {nil, 0, func(st *state, l *list, _ []value) value {
		l.items = reversed(st, l.items)
		return nil
	}},
	"sort": {[]string{"reverse"}, 0, func(st *state, l *list, a []value) value {
		l.items = st.sorted(l.items, st.isTrue(or(a[0], false)), func(v value) value { return v })
		return nil
	}},
}

func listPop(st *state, l *list, a []value) value {
	n := int64(len(l.items))
	i, ok := index(st.intArg(or(a[0], int64(-1))), n)
	if !ok {
		st.fail(KindValue, "pop index out of range")
	}
	v := l.items[i]
	st.step(int(n - i))
	l.items = append(l.items[:i], l.items[i+1:]...)
	return v
}

func listRemove(st *state, l *list, a []value) value {
	for i, e := range l.items {
		if st.equal(e, a[0], 0) {
			st.step(len(l.items))
			l.items = append(l.items[:i], l.items[i+1:]...)
			return nil
		}
	}
	st.fail(KindValue, "list.remove(x): x not in list")
	return nil
}

func reversed(st *state, items []value) []value {
	st.charge(times(len(items), elementSize))
	out := make([]value, len(items))
	for i, e := range items {
		out[len(items)-1-i] = e
	}
	return out
}

// intArg is an argument that must be an integer.
func (st *state) intArg(v value) int64 {
	n, big, ok := integer(v)
	if u, is := v.(*undefined); is {
		st.failUndefined(u)
	}
	if !ok || big != nil {
		st.fail(KindType, "'%s' object cannot be interpreted as an integer", typeName(v))
	}
	return n
}

// textArg is an argument that must be a string.
func (st *state) textArg(v value) *text {
	t, ok := v.(*text)
	if u, is := v.(*undefined); is {
		st.failUndefined(u)
	}
	if !ok {
		st.fail(KindType, "want a string, found %s", typeName(v))
	}
	return t
}

// sort sorts n things: less compares two, and set gets the order.
func (st *state) sort(n int, less func(i, j int) bool, set func(order []int)) {
	st.charge(times(n, elementSize))
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return less(order[a], order[b]) })
	set(order)
}

// sorted returns items in order of their keys. In reverse, equal ones stay in their order too.
func (st *state) sorted(items []value, reverse bool, key func(v value) value) []value {
	keys := make([]value, len(items))
	for i, e := range items {
		keys[i] = key(e)
	}
	out := make([]value, len(items))
	st.sort(len(items), func(i, j int) bool {
		if reverse {
			i, j = j, i
		}
		return st.less(keys[i], keys[j], "<")
	}, func(order []int) {
		for i, k := range order {
			out[i] = items[k]
		}
	})
	return out
}

// folded is a key for comparisons that ignore case.
func (st *state) folded(v value) value {
	if t, ok := v.(*text); ok {
		return st.made(&text{s: strings.ToLower(t.s)})
	}
	return v
}
