package jinja

import (
	"math"
	"math/big"
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

type filter = builtin[value]

// onText makes a filter of one that works on the text of any value.
func onText(f func(t *text) *text) *filter {
	return &filter{nil, 0, func(st *state, v value, _ []value) value {
		t := st.str(v)
		st.charge(2 * len(t.s))
		return f(t)
	}}
}

var filters = map[string]*filter{
	"abs":            {nil, 0, filterAbs},
	"attr":           {[]string{"name"}, 1, filterAttr},
	"batch":          {[]string{"linecount", "fill_with"}, 1, filterBatch},
	"capitalize":     onText(capitalize),
	"center":         {[]string{"width"}, 0, filterCenter},
	"count":          {nil, 0, filterLength},
	"d":              {[]string{"default_value", "boolean"}, 0, filterDefault},
	"default":        {[]string{"default_value", "boolean"}, 0, filterDefault},
	"dictsort":       {[]string{"case_sensitive", "by", "reverse"}, 0, filterDictsort},
	"e":              {nil, 0, filterEscape},
	"escape":         {nil, 0, filterEscape},
	"filesizeformat": {[]string{"binary"}, 0, filterFileSize},
	"first":          {nil, 0, filterFirst},
	"float":          {[]string{"default"}, 0, filterFloat},
	"forceescape":    {nil, 0, filterForceEscape},
	"format":         {[]string{"*"}, 0, filterFormat},
	"from_json":      {nil, 0, filterFromJSON},
	"fromjson":       {nil, 0, filterFromJSON},
	"groupby":        {[]string{"attribute", "default", "case_sensitive"}, 1, filterGroupBy},
	"indent":         {[]string{"width", "first", "blank"}, 0, filterIndent},
	"int":            {[]string{"default", "base"}, 0, filterInt},
	"items":          {nil, 0, filterItems},
	"join":           {[]string{"d", "attribute"}, 0, filterJoin},
	"last":           {nil, 0, filterLast},
	"length":         {nil, 0, filterLength},
	"list":           {nil, 0, func(st *state, v value, _ []value) value { return &list{items: st.all(v)} }},
	"lower":          onText(lower),
	"map":            {[]string{"*", "**"}, 0, filterMap},
	"max":            {[]string{"case_sensitive", "attribute"}, 0, func(st *state, v value, a []value) value { return st.extreme(v, a, false) }},
	"min":            {[]string{"case_sensitive", "attribute"}, 0, func(st *state, v value, a []value) value { return st.extreme(v, a, true) }},
	"pprint":         {nil, 0, filterPprint},
	"reject":         {[]string{"*", "**"}, 0, func(st *state, v value, a []value) value { return st.selection(v, a, false, false) }},
	"rejectattr":     {[]string{"*", "**"}, 0, func(st *state, v value, a []value) value { return st.selection(v, a, true, false) }},
	"replace":        {[]string{"old", "new", "count"}, 2, filterReplace},
	"reverse":        {nil, 0, filterReverse},
	"round":          {[]string{"precision", "method"}, 0, filterRound},
	"safe":           {nil, 0, filterSafe},
	"select":         {[]string{"*", "**"}, 0, func(st *state, v value, a []value) value { return st.selection(v, a, false, true) }},
	"selectattr":     {[]string{"*", "**"}, 0, func(st *state, v value, a []value) value { return st.selection(v, a, true, true) }},
	"slice":          {[]string{"slices", "fill_with"}, 1, filterSlice},
	"sort":           {[]string{"reverse", "case_sensitive", "attribute"}, 0, filterSort},
	"string":         {nil, 0, func(st *state, v value, _ []value) value { return st.str(v) }},
	"striptags":      {nil, 0, filterStripTags},
	"sum":            {[]string{"attribute", "start"}, 0, filterSum},
	"title":          onText(titleFilter),
	"tojson":         {[]string{"ensure_ascii", "indent", "separators", "sort_keys"}, 0, filterToJSON},
	"trim":           {[]string{"chars"}, 0, func(st *state, v value, a []value) value { return st.strip(st.str(v), a[0], true, true) }},
	"truncate":       {[]string{"length", "killwords", "end", "leeway"}, 0, filterTruncate},
	"unique":         {[]string{"case_sensitive", "attribute"}, 0, filterUnique},
	"upper":          onText(upper),
	"urlencode":      {nil, 0, filterURLEncode},
	"wordcount":      {nil, 0, filterWordcount},
	"wordwrap":       {[]string{"width", "break_long_words", "wrapstring", "break_on_hyphens"}, 0, filterWordwrap},
}

// titleFilter makes the first letter of each word large: words end at white space, hyphens and
// opening brackets.
func titleFilter(t *text) *text {
	starts := true
	return t.mapRunes(func(_ int, r rune) string {
		was := starts
		starts = isSpace(r) || strings.ContainsRune("-({[<", r)
		if was {
			return string(unicode.ToUpper(r))
		}
		return string(unicode.ToLower(r))
	})
}

func filterAbs(st *state, v value, _ []value) value {
	if f, ok := v.(float64); ok {
		return math.Abs(f)
	}
	n, b, ok := integer(v)
	if !ok {
		return st.unsupported("abs()", v, nil)
	}
	return shrink(new(big.Int).Abs(wide(n, b)))
}

func filterAttr(st *state, v value, a []value) value {
	name := st.textArg(a[0]).s
	if r, ok := st.attrOf(v, name); ok {
		return r
	}
	return noAttribute(v, name)
}

// batchSize is an argument that says how many there are: positive and not large.
func (st *state) batchSize(v value) int {
	n := st.intArg(v)
	if n < 1 || n > 1<<20 {
		st.fail(KindValue, "want a number from 1 to %d, found %d", 1<<20, n)
	}
	return int(n)
}

func filterBatch(st *state, v value, a []value) value {
	n, fill := st.batchSize(a[0]), or(a[1], nil)
	out := &list{}
	for items := st.all(v); len(items) > 0; {
		k := min(n, len(items))
		row := append([]value(nil), items[:k]...)
		for fill != nil && len(row) < n {
			st.charge(elementSize)
			row = append(row, fill)
		}
		out.items = append(out.items, st.list(row, isList))
		items = items[k:]
	}
	return out
}

func filterSlice(st *state, v value, a []value) value {
	n, fill := st.batchSize(a[0]), or(a[1], nil)
	items := st.all(v)
	each, extra := len(items)/n, len(items)%n
	out := &list{}
	at := 0
	for i := range n {
		k := each
		if i < extra {
			k++
		}
		row := append([]value(nil), items[at:at+k]...)
		at += k
		if fill != nil && i >= extra {
			row = append(row, fill)
		}
		out.items = append(out.items, st.list(row, isList))
	}
	return out
}

func filterCenter(st *state, v value, a []value) value {
	return st.justify(st.str(v), []value{or(a[0], int64(80)), absent{}}, 1, 1)
}

// length is len(v), where Python knows it.
func (st *state) length(v value) (int64, bool) {
	switch x := v.(type) {
	case *text:
		st.step(len(x.s) >> 4)
		return int64(x.length()), true
	case *list:
		return int64(len(x.items)), true
	case *dict:
		return int64(len(x.entries)), true
	case *rangeValue:
		return x.len(), true
	case *loop:
		return x.length(), true
	case *undefined:
		return 0, true
	}
	return 0, false
}

func filterLength(st *state, v value, _ []value) value {
	n, ok := st.length(v)
	if !ok {
		st.fail(KindType, "object of type '%s' has no len()", typeName(v))
	}
	return n
}

func filterDefault(st *state, v value, a []value) value {
	_, missing := v.(*undefined)
	if missing || given(a[1]) && st.isTrue(a[1]) && !st.isTrue(v) {
		return or(a[0], lit(""))
	}
	return v
}

func filterDictsort(st *state, v value, a []value) value {
	d, ok := v.(*dict)
	if !ok {
		st.fail(KindType, "dictsort wants a mapping, found %s", typeName(v))
	}
	which := 0
	switch by := st.textArg(or(a[1], lit("key"))).s; by {
	case "key":
	case "value":
		which = 1
	default:
		st.fail(KindValue, "dictsort: by must be key or value, found %s", quote(by))
	}
	exact := st.isTrue(or(a[0], false))
	items := st.sorted(st.items(d).(*list).items, st.isTrue(or(a[2], false)), func(v value) value {
		k := v.(*list).items[which]
		if exact {
			return k
		}
		return st.folded(k)
	})
	return &list{items: items}
}

func filterEscape(st *state, v value, _ []value) value {
	if t := st.str(v); t.markup {
		return t
	}
	return filterForceEscape(st, v, nil)
}

func filterForceEscape(st *state, v value, _ []value) value { return st.escapeHTML(st.str(v)) }

func filterSafe(st *state, v value, _ []value) value {
	t := *st.str(v)
	t.markup = true
	return &t
}

func filterStripTags(st *state, v value, _ []value) value {
	t := st.str(v)
	var b builder
	depth := false
	for i, r := range t.s {
		switch {
		case r == '<':
			depth = true
		case r == '>' && depth:
			depth = false
		case !depth:
			b.rune(r, t.source(i))
		}
	}
	return st.joinTexts(lit(" "), st.split(st.made(b.text()), []value{absent{}, absent{}}, false))
}

func filterFileSize(st *state, v value, a []value) value {
	f, ok := float(v)
	if !ok {
		f, _ = strconv.ParseFloat(st.str(v).s, 64)
	}
	base, units := 1000.0, []string{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"}
	if st.isTrue(or(a[0], false)) {
		base, units = 1024, []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}
	}
	switch {
	case f == 1:
		return lit("1 Byte")
	case f < base:
		return lit(strconv.FormatFloat(math.Trunc(f), 'f', 0, 64) + " Bytes")
	}
	i := 0
	for f /= base; f >= base && i < len(units)-1; i++ {
		f /= base
	}
	return lit(strconv.FormatFloat(f, 'f', 1, 64) + " " + units[i])
}

func filterFirst(st *state, v value, _ []value) value {
	if e, ok := st.iterate(v, "'%s' object is not iterable")(); ok {
		return e
	}
	return &undefined{what: "no first item, sequence was empty"}
}

func filterLast(st *state, v value, _ []value) value {
	switch x := v.(type) {
	case *generator:
		st.fail(KindType, "'generator' object is not reversible")
	case *text:
		if t, ok := st.character(x, -1); ok {
			return t
		}
		return &undefined{what: "no last item, sequence was empty"}
	}
	if items := st.all(v); len(items) > 0 {
		return items[len(items)-1]
	}
	return &undefined{what: "no last item, sequence was empty"}
}

func filterReverse(st *state, v value, _ []value) value {
	if t, ok := v.(*text); ok {
		return st.sliceText(t, nil, nil, int64(-1))
	}
	items := reversed(st, st.all(v))
	return newGenerator(func(i int) (value, bool) {
		if i >= len(items) {
			return nil, false
		}
		return items[i], true
	})
}

// newGenerator makes a generator of a function of the number of the element.
func newGenerator(f func(i int) (value, bool)) *generator {
	i := -1
	return &generator{func() (value, bool) {
		i++
		return f(i)
	}}
}

func filterFloat(st *state, v value, a []value) value {
	if u, ok := v.(*undefined); ok {
		st.failUndefined(u)
	}
	if f, ok := float(v); ok {
		return f
	}
	if t, ok := v.(*text); ok {
		s := strings.ReplaceAll(strings.TrimFunc(t.s, isSpace), "_", "")
		if f, err := strconv.ParseFloat(s, 64); err == nil && !strings.ContainsAny(s, "xX") {
			return f
		}
	}
	return or(a[0], 0.0)
}

// floatToInt is int(f).
func (st *state) floatToInt(f float64) value {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		st.fail(KindValue, "cannot convert float %s to integer", formatFloat(f))
	}
	b, _ := big.NewFloat(math.Trunc(f)).Int(nil)
	return shrink(b)
}

func filterInt(st *state, v value, a []value) value {
	switch x := v.(type) {
	case *undefined:
		st.failUndefined(x)
	case float64:
		if math.IsInf(x, 0) || math.IsNaN(x) {
			return or(a[0], int64(0))
		}
		return st.floatToInt(x)
	case *text:
		s := strings.ReplaceAll(strings.TrimFunc(x.s, isSpace), "_", "")
		base := int(max(0, min(st.intArg(or(a[1], int64(10))), 36)))
		if len(s) < 4000 && base != 1 {
			if base == 16 || base == 8 || base == 2 {
				s = strings.ToLower(s)
				s = strings.TrimPrefix(s, map[int]string{16: "0x", 8: "0o", 2: "0b"}[base])
			}
			if b, ok := new(big.Int).SetString(s, base); ok {
				return shrink(b)
			}
			if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
				return st.floatToInt(f)
			}
		}
	}
	if n, b, ok := integer(v); ok {
		return shrink(wide(n, b))
	}
	return or(a[0], int64(0))
}

func filterFormat(st *state, v value, a []value) value {
	return st.percent(st.str(v), st.list(a, isTuple))
}

func filterItems(st *state, v value, _ []value) value {
	switch x := v.(type) {
	case *dict:
		items := st.items(x).(*list).items
		return newGenerator(func(i int) (value, bool) {
			if i >= len(items) {
				return nil, false
			}
			return items[i], true
		})
	case *undefined:
		return newGenerator(func(int) (value, bool) { return nil, false })
	}
	st.fail(KindType, "Can only get item pairs from a mapping.")
	return nil
}

func filterJoin(st *state, v value, a []value) value {
	sep := st.str(or(a[0], lit("")))
	var b builder
	next := st.iterate(v, "'%s' object is not iterable")
	for i := 0; ; i++ {
		e, ok := next()
		if !ok {
			return b.text()
		}
		if given(a[1]) && a[1] != nil {
			e = st.path(e, a[1])
		}
		t := st.str(e)
		st.charge(len(t.s) + len(sep.s) + runSize*(2+len(t.runs)+len(sep.runs)))
		st.checkLength(b.len() + len(t.s) + len(sep.s))
		if i > 0 {
			b.add(sep)
		}
		b.add(t)
	}
}

// path is v.a.b for the attribute "a.b", or v[i] for a number.
func (st *state) path(v, attribute value) value {
	if _, _, ok := integer(attribute); ok {
		return st.item(v, attribute)
	}
	for part := range strings.SplitSeq(st.textArg(attribute).s, ".") {
		var k value = lit(part)
		if n, err := strconv.ParseUint(part, 10, 31); err == nil {
			k = int64(n)
		}
		v = st.item(v, k)
	}
	return v
}

func filterURLEncode(st *state, v value, _ []value) value {
	var b builder
	quoteAll := func(v value) {
		t := st.str(v)
		st.charge(3*len(t.s) + runSize*(1+len(t.runs)))
		t.each(0, len(t.s), func(s string, src Source) {
			b.write(strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), "%2F", "/"), src)
		})
	}
	d, ok := v.(*dict)
	if !ok {
		quoteAll(v)
		return b.text()
	}
	for i, e := range d.entries {
		if i > 0 {
			b.lit("&")
		}
		quoteAll(e.key)
		b.lit("=")
		quoteAll(e.value)
	}
	return b.text()
}

// filterWordcount counts runs of letters, digits and _.
func filterWordcount(st *state, v value, _ []value) value {
	t := st.str(v)
	st.step(len(t.s) >> 2)
	return int64(len(strings.FieldsFunc(t.s, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsNumber(r) })))
}

func filterPprint(st *state, v value, _ []value) value {
	var b builder
	st.repr(&b, v, 0)
	return st.made(b.text())
}
