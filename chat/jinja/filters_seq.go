package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// selector returns the function that select and its kin apply to an element.
func (st *state) selector(args []value, attr bool) func(v value) bool {
	get := func(v value) value { return v }
	if attr {
		if len(args) == 0 {
			st.fail(KindType, "missing the name of an attribute")
		}
		name := args[0]
		get = func(v value) value { return st.path(v, name) }
		args = args[1:]
	}
	if len(args) == 0 {
		return func(v value) bool { return st.isTrue(get(v)) }
	}
	name := st.textArg(args[0]).s
	if st.tests[name] == nil {
		st.fail(KindType, "there is no test %q", name)
	}
	rest := callArgs{pos: args[1:]}
	return func(v value) bool { return st.test(name, get(v), rest) }
}

// selection gives the elements for which a test holds, or does not.
func (st *state) selection(v value, args []value, attr, want bool) value {
	if !st.isTrue(v) {
		return newGenerator(func(int) (value, bool) { return nil, false })
	}
	keep := st.selector(st.positional(args), attr)
	next := st.iterate(v, "'%s' object is not iterable")
	return &generator{func() (value, bool) {
		for {
			e, ok := next()
			if !ok {
				return nil, false
			}
			if keep(e) == want {
				return e, true
			}
		}
	}}
}

// positional returns the arguments of a filter that takes any; bind puts the named ones into a
// mapping at the end.
func (st *state) positional(args []value) []value {
	if d, ok := args[len(args)-1].(*dict); ok && len(d.entries) > 0 {
		st.fail(KindType, "the filter has no argument '%s'", st.str(d.entries[0].key).s)
	}
	return args[:len(args)-1]
}

func filterMap(st *state, v value, args []value) value {
	pos, kw := args[:len(args)-1], args[len(args)-1].(*dict)
	if !st.isTrue(v) {
		return newGenerator(func(int) (value, bool) { return nil, false })
	}
	var f func(v value) value
	if attribute, ok := kw.get("attribute"); ok && len(pos) == 0 {
		usual, has := kw.get("default")
		f = func(v value) value {
			e := st.path(v, attribute)
			if _, missing := e.(*undefined); missing && has {
				return usual
			}
			return e
		}
	} else {
		if len(pos) == 0 {
			st.fail(KindType, "map requires a filter argument")
		}
		name := st.textArg(pos[0]).s
		if st.filters[name] == nil {
			st.fail(KindType, "there is no filter %q", name)
		}
		rest := callArgs{pos: pos[1:]}
		for _, e := range kw.entries {
			rest.named = append(rest.named, named{e.key.(*text).s, e.key.(*text), e.value})
		}
		f = func(v value) value { return st.filter(name, v, rest) }
	}
	next := st.iterate(v, "'%s' object is not iterable")
	return &generator{func() (value, bool) {
		e, ok := next()
		if !ok {
			return nil, false
		}
		return f(e), true
	}}
}

// keyOf returns the function by which elements are compared: an attribute, case ignored unless
// exact.
func (st *state) keyOf(exact, attribute value) func(v value) value {
	fold := !st.isTrue(or(exact, false))
	return func(v value) value {
		if given(attribute) && attribute != nil {
			v = st.path(v, attribute)
		}
		if fold {
			v = st.folded(v)
		}
		return v
	}
}

func filterSort(st *state, v value, a []value) value {
	keys := []func(v value) value{st.keyOf(a[1], or(a[2], nil))}
	if t, ok := a[2].(*text); ok && strings.Contains(t.s, ",") {
		keys = nil
		for n := range strings.SplitSeq(t.s, ",") {
			keys = append(keys, st.keyOf(a[1], lit(n)))
		}
	}
	key := func(v value) value { // a tuple: equal keys are never asked which is less
		l := newTuple()
		for _, k := range keys {
			l.items = append(l.items, k(v))
		}
		return l
	}
	return &list{items: st.sorted(st.all(v), st.isTrue(or(a[0], false)), key)}
}

// extreme is the least or the greatest element.
func (st *state) extreme(v value, a []value, least bool) value {
	key := st.keyOf(a[0], a[1])
	var best, bestKey value
	next := st.iterate(v, "'%s' object is not iterable")
	for i := 0; ; i++ {
		e, ok := next()
		if !ok {
			if i == 0 {
				return &undefined{what: "no aggregated item, sequence was empty"}
			}
			return best
		}
		k := key(e)
		if i == 0 || least && st.less(k, bestKey, "<") || !least && st.less(bestKey, k, ">") {
			best, bestKey = e, k
		}
	}
}

func filterUnique(st *state, v value, a []value) value {
	key := st.keyOf(a[0], a[1])
	next := st.iterate(v, "'%s' object is not iterable")
	seen := map[any]bool{}
	return &generator{func() (value, bool) {
		for {
			e, ok := next()
			if !ok {
				return nil, false
			}
			h := st.hash(key(e))
			if !seen[h] {
				st.charge(entrySize)
				seen[h] = true
				return e, true
			}
		}
	}}
}

func filterGroupBy(st *state, v value, a []value) value {
	get := func(v value) value {
		k := st.path(v, a[0])
		if _, missing := k.(*undefined); missing && given(a[1]) {
			return a[1]
		}
		return k
	}
	key := func(v value) value {
		if k := get(v); st.isTrue(or(a[2], false)) {
			return k
		} else {
			return st.folded(k)
		}
	}
	out := &list{}
	var last value
	for i, e := range st.sorted(st.all(v), false, key) {
		k := key(e)
		if i == 0 || !st.equal(k, last, 0) {
			out.items = append(out.items, &list{items: []value{get(e), &list{}}, kind: isGroup})
		}
		last = k
		st.charge(elementSize)
		group := out.items[len(out.items)-1].(*list).items[1].(*list)
		group.items = append(group.items, e)
	}
	return out
}

func filterSum(st *state, v value, a []value) value {
	total := or(a[1], value(int64(0)))
	next := st.iterate(v, "'%s' object is not iterable")
	for {
		e, ok := next()
		if !ok {
			return total
		}
		if given(a[0]) && a[0] != nil {
			e = st.path(e, a[0])
		}
		total = st.add(total, e)
	}
}

func filterRound(st *state, v value, a []value) value {
	f, ok := float(v)
	if !ok {
		st.fail(KindType, "type %s cannot be rounded", typeName(v))
	}
	n := max(-400, min(st.intArg(or(a[0], int64(0))), 400))
	switch method := st.textArg(or(a[1], lit("common"))).s; method {
	case "common":
		if _, isFloat := v.(float64); !isFloat && n >= 0 {
			return st.negate(v, "+")
		}
		if n >= 0 {
			r, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(n), 64), 64)
			return r
		}
		p := math.Pow(10, float64(-n))
		r := math.RoundToEven(f/p) * p
		if _, isFloat := v.(float64); !isFloat {
			return st.floatToInt(r)
		}
		return r
	case "ceil", "floor":
		round := math.Floor
		if method == "ceil" {
			round = math.Ceil
		}
		p := math.Pow(10, float64(n))
		return round(f*p) / p
	default:
		st.fail(KindValue, "round: method must be common, ceil or floor, found %s", quote(method))
	}
	return nil
}

func filterReplace(st *state, v value, a []value) value {
	n := int64(-1)
	if c := or(a[2], nil); c != nil {
		n = st.intArg(c)
	}
	return st.replace(st.str(v), st.str(a[0]), st.str(a[1]), n)
}

func filterIndent(st *state, v value, a []value) value {
	t := st.textArg(v).plain()
	width := or(a[0], value(int64(4)))
	pad, ok := width.(*text)
	if !ok {
		pad = st.repeat(lit(" "), st.intArg(width))
	}
	first, blank := st.isTrue(or(a[1], false)), st.isTrue(or(a[2], false))
	lines := st.splitLines(st.concat(t, lit("\n")), false).(*list).items
	var b builder
	for i, l := range lines {
		line := l.(*text)
		if i > 0 {
			b.lit("\n")
		}
		if i == 0 && first || i > 0 && (blank || line.s != "") {
			st.charge(len(pad.s))
			b.add(pad)
		}
		b.add(line)
	}
	return st.made(b.text())
}

func filterTruncate(st *state, v value, a []value) value {
	n, ok := st.length(v)
	if !ok {
		st.fail(KindType, "object of type '%s' has no len()", typeName(v))
	}
	length := st.intArg(or(a[0], int64(255)))
	kill := st.isTrue(or(a[1], false))
	end := st.str(or(a[2], lit("...")))
	leeway := int64(5)
	if l := or(a[3], nil); l != nil {
		leeway = st.intArg(l)
	}
	if length < int64(end.length()) {
		st.fail(KindValue, "truncate: want a length of at least %d, found %d", end.length(), length)
	}
	if n <= length+leeway {
		return v
	}
	t := st.textArg(v)
	short := st.sliceText(t, nil, length-int64(end.length()), nil).(*text)
	if !kill {
		if k := strings.LastIndexByte(short.s, ' '); k >= 0 {
			short = short.slice(0, k)
		}
	}
	return st.concat(short, end)
}

func filterWordwrap(st *state, v value, a []value) value {
	t := st.str(v)
	width := st.batchSize(or(a[0], int64(79)))
	wrap := st.str(or(a[2], lit("\n")))
	var b builder
	for i, l := range st.splitLines(t, false).(*list).items {
		if i > 0 {
			st.charge(len(wrap.s))
			b.add(wrap)
		}
		column := 0
		for _, w := range st.split(l.(*text), []value{absent{}, absent{}}, false).(*list).items {
			word := w.(*text)
			n := word.length()
			st.charge(len(word.s) + len(wrap.s))
			if column > 0 && column+1+n > width {
				b.add(wrap)
				column = 0
			}
			if column > 0 {
				b.lit(" ")
				column++
			}
			b.add(word)
			column += n
		}
	}
	return st.made(b.text())
}

func filterToJSON(st *state, v value, a []value) value {
	s := &jsonStyle{separator: lit(", "), colon: lit(": ")}
	s.ascii = st.isTrue(or(a[0], false))
	s.sortKeys = st.isTrue(or(a[3], false))
	switch x := or(a[1], nil).(type) {
	case nil:
	case *text:
		s.indent = x
	default:
		s.indent = st.repeat(lit(" "), st.intArg(x))
	}
	if s.indent != nil {
		s.separator = lit(",")
	}
	if sep := or(a[2], nil); sep != nil {
		pair := st.unpack(sep, 2)
		s.separator, s.colon = st.textArg(pair[0]), st.textArg(pair[1])
	}
	var b builder
	st.toJSON(&b, v, s, 0)
	return st.made(b.text())
}

func isNumberValue(v value) bool {
	switch v.(type) {
	case int64, float64, bool, *big.Int:
		return true
	}
	return false
}
