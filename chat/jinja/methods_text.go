package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type textMethod = builtin[*text]

// same makes a method of one that has no arguments.
func same(f func(t *text) *text) *textMethod {
	return &textMethod{nil, 0, func(st *state, t *text, _ []value) value {
		st.charge(2 * len(t.s))
		return f(t)
	}}
}

// every makes a method that reports whether all characters are in a class, and at least one.
func every(f func(r rune) bool) *textMethod {
	return &textMethod{nil, 0, func(st *state, t *text, _ []value) value {
		st.step(len(t.s) >> 2)
		return t.s != "" && strings.IndexFunc(t.s, func(r rune) bool { return !f(r) }) < 0
	}}
}

var textMethods = map[string]*textMethod{
	"upper":      same(upper),
	"lower":      same(lower),
	"casefold":   same(lower),
	"title":      same(titleMethod),
	"capitalize": same(capitalize),
	"swapcase":   same(swapcase),
	"strip":      {[]string{"chars"}, 0, func(st *state, t *text, a []value) value { return st.strip(t, a[0], true, true) }},
	"lstrip":     {[]string{"chars"}, 0, func(st *state, t *text, a []value) value { return st.strip(t, a[0], true, false) }},
	"rstrip":     {[]string{"chars"}, 0, func(st *state, t *text, a []value) value { return st.strip(t, a[0], false, true) }},
	"split":      {[]string{"sep", "maxsplit"}, 0, func(st *state, t *text, a []value) value { return st.split(t, a, false) }},
	"rsplit":     {[]string{"sep", "maxsplit"}, 0, func(st *state, t *text, a []value) value { return st.split(t, a, true) }},
	"splitlines": {[]string{"keepends"}, 0, func(st *state, t *text, a []value) value {
		return st.splitLines(t, st.isTrue(or(a[0], false)))
	}},
	"replace":    {[]string{"old", "new", "count"}, 2, textReplace},
	"startswith": {[]string{"prefix", "start", "end"}, 1, func(st *state, t *text, a []value) value { return st.affix(t, a, strings.HasPrefix) }},
	"endswith":   {[]string{"suffix", "start", "end"}, 1, func(st *state, t *text, a []value) value { return st.affix(t, a, strings.HasSuffix) }},
	"find":       {[]string{"sub", "start", "end"}, 1, func(st *state, t *text, a []value) value { return st.find(t, a, false, false) }},
	"rfind":      {[]string{"sub", "start", "end"}, 1, func(st *state, t *text, a []value) value { return st.find(t, a, true, false) }},
	"index":      {[]string{"sub", "start", "end"}, 1, func(st *state, t *text, a []value) value { return st.find(t, a, false, true) }},
	"rindex":     {[]string{"sub", "start", "end"}, 1, func(st *state, t *text, a []value) value { return st.find(t, a, true, true) }},
	"count": {[]string{"sub", "start", "end"}, 1, func(st *state, t *text, a []value) value {
		part, _ := st.part(t, a)
		st.step(len(part.s) >> 2)
		return int64(strings.Count(part.s, st.textArg(a[0]).s))
	}},
	"join":         {[]string{"iterable"}, 1, func(st *state, t *text, a []value) value { return st.joinTexts(t, a[0]) }},
	"format":       nil, // takes any arguments: callMethod knows
	"isdigit":      every(unicode.IsDigit),
	"isdecimal":    every(unicode.IsDigit),
	"isnumeric":    every(unicode.IsNumber),
	"isalpha":      every(unicode.IsLetter),
	"isalnum":      every(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
	"isspace":      every(isSpace),
	"isupper":      cased(unicode.IsUpper, unicode.IsLower),
	"islower":      cased(unicode.IsLower, unicode.IsUpper),
	"isascii":      {nil, 0, func(_ *state, t *text, _ []value) value { return t.ascii() }},
	"ljust":        {[]string{"width", "fillchar"}, 1, func(st *state, t *text, a []value) value { return st.justify(t, a, 0, 1) }},
	"rjust":        {[]string{"width", "fillchar"}, 1, func(st *state, t *text, a []value) value { return st.justify(t, a, 1, 0) }},
	"center":       {[]string{"width", "fillchar"}, 1, func(st *state, t *text, a []value) value { return st.justify(t, a, 1, 1) }},
	"zfill":        {[]string{"width"}, 1, zfill},
	"partition":    {[]string{"sep"}, 1, func(st *state, t *text, a []value) value { return st.partition(t, a[0], false) }},
	"rpartition":   {[]string{"sep"}, 1, func(st *state, t *text, a []value) value { return st.partition(t, a[0], true) }},
	"expandtabs":   {[]string{"tabsize"}, 0, expandTabs},
	"removeprefix": {[]string{"prefix"}, 1, removePrefix},
	"removesuffix": {[]string{"suffix"}, 1, removeSuffix},
}

func upper(t *text) *text {
	return t.mapRunes(func(_ int, r rune) string { return upperRune(r) })
}

func upperRune(r rune) string {
	if r == 'ß' {
		return "SS"
	}
	return string(unicode.ToUpper(r))
}

func lower(t *text) *text {
	return t.mapRunes(func(_ int, r rune) string { return string(unicode.ToLower(r)) })
}

func isCased(r rune) bool { return unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r) }

// titleMethod is str.title: a cased letter after another one is small, else large.
func titleMethod(t *text) *text {
	before := false
	return t.mapRunes(func(_ int, r rune) string {
		was := before
		before = isCased(r)
		if was {
			return string(unicode.ToLower(r))
		}
		return string(unicode.ToTitle(r))
	})
}

func capitalize(t *text) *text {
	return t.mapRunes(func(i int, r rune) string {
		if i == 0 {
			return string(unicode.ToTitle(r))
		}
		return string(unicode.ToLower(r))
	})
}

func swapcase(t *text) *text {
	return t.mapRunes(func(_ int, r rune) string {
		if unicode.IsUpper(r) {
			return string(unicode.ToLower(r))
		}
		return upperRune(r)
	})
}

func cased(want, other func(r rune) bool) *textMethod {
	return &textMethod{nil, 0, func(st *state, t *text, _ []value) value {
		st.step(len(t.s) >> 2)
		return strings.ContainsFunc(t.s, want) && !strings.ContainsFunc(t.s, other)
	}}
}

// strip removes white space, or the characters of a string, from the ends.
func (st *state) strip(t *text, chars value, left, right bool) *text {
	f := isSpace
	if given(chars) && chars != nil {
		set := st.textArg(chars).s
		f = func(r rune) bool { return strings.ContainsRune(set, r) }
		if len(set) > 32 {
			st.charge(8 * len(set))
			in := make(map[rune]bool)
			for _, r := range set {
				in[r] = true
			}
			f = func(r rune) bool { return in[r] }
		}
	}
	s := t.s
	if left {
		s = strings.TrimLeftFunc(s, f)
	}
	from := len(t.s) - len(s)
	if right {
		s = strings.TrimRightFunc(s, f)
	}
	st.step((len(t.s) - len(s)) >> 2)
	return t.slice(from, from+len(s))
}

// split cuts at white space, or at a separator.
func (st *state) split(t *text, a []value, right bool) value {
	most := st.intArg(or(a[1], int64(-1)))
	st.step(len(t.s) >> 4)
	l := &list{}
	add := func(from, to int) {
		st.charge(2 * elementSize)
		l.items = append(l.items, t.slice(from, to))
	}
	full := func() bool { return most >= 0 && int64(len(l.items)) >= most }
	if !given(a[0]) || a[0] == nil {
		st.splitSpace(t, right, full, add)
	} else {
		sep := st.textArg(a[0]).s
		if sep == "" {
			st.fail(KindValue, "empty separator")
		}
		from, to := 0, len(t.s)
		for !full() {
			if right {
				k := strings.LastIndex(t.s[:to], sep)
				if k < 0 {
					break
				}
				add(k+len(sep), to)
				to = k
				continue
			}
			k := strings.Index(t.s[from:], sep)
			if k < 0 {
				break
			}
			add(from, from+k)
			from += k + len(sep)
		}
		add(from, to)
	}
	if right {
		l.items = reversed(st, l.items)
	}
	return l
}

func (st *state) splitSpace(t *text, right bool, full func() bool, add func(from, to int)) {
	from, to := 0, len(t.s)
	not := func(r rune) bool { return !isSpace(r) }
	for {
		if right {
			to = len(strings.TrimRightFunc(t.s[:to], isSpace))
			if to == 0 {
				return
			}
			if full() {
				add(0, to)
				return
			}
			k := len(strings.TrimRightFunc(t.s[:to], not))
			add(k, to)
			to = k
			continue
		}
		from = len(t.s) - len(strings.TrimLeftFunc(t.s[from:], isSpace))
		if from == len(t.s) {
			return
		}
		if full() {
			add(from, len(t.s))
			return
		}
		k := len(t.s) - len(strings.TrimLeftFunc(t.s[from:], not))
		add(from, k)
		from = k
	}
}

func (st *state) splitLines(t *text, keep bool) value {
	st.step(len(t.s) >> 4)
	l := &list{}
	from := 0
	for i, r := range t.s {
		switch r {
		case '\r', '\n', '\v', '\f', 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029:
		default:
			continue
		}
		if i < from { // the \n of \r\n
			continue
		}
		end := i + utf8.RuneLen(r)
		to := i
		if r == '\r' && strings.HasPrefix(t.s[end:], "\n") {
			end++
		}
		if keep {
			to = end
		}
		st.charge(2 * elementSize)
		l.items = append(l.items, t.slice(from, to))
		from = end
	}
	if from < len(t.s) {
		l.items = append(l.items, t.from(from))
	}
	return l
}

func textReplace(st *state, t *text, a []value) value {
	return st.replace(t, st.textArg(a[0]), st.textArg(a[1]), st.intArg(or(a[2], int64(-1))))
}

// replace replaces the first n occurrences, or all if n < 0.
func (st *state) replace(t, old, by *text, n int64) *text {
	st.step(len(t.s) >> 4)
	count := strings.Count(t.s, old.s)
	if n >= 0 {
		count = min(count, int(min(n, 1<<40)))
	}
	if count == 0 {
		return t
	}
	size := len(t.s) + times(count, len(by.s))
	st.checkLength(size)
	st.charge(size + len(t.runs)*runSize)
	st.charge(times(count, runSize*(2+len(by.runs))))
	var b builder
	at := 0
	for i := range count {
		k := strings.Index(t.s[at:], old.s)
		if old.s == "" && i > 0 {
			_, k = utf8.DecodeRuneInString(t.s[at:])
		}
		b.addRange(t, at, at+k)
		b.add(by)
		at += k + len(old.s)
	}
	b.addRange(t, at, len(t.s))
	return b.text()
}

// part is the slice of t that the arguments start and end say, and its offset in characters.
func (st *state) part(t *text, a []value) (*text, int64) {
	from, to := or(a[1], nil), or(a[2], nil)
	if from == nil && to == nil {
		return t, 0
	}
	st.step(len(t.s) >> 4)
	start, _, _ := st.bounds(int64(t.length()), from, to, nil)
	return st.sliceText(t, from, to, nil).(*text), start
}

// affix is startswith and endswith: of one string, or any of a tuple.
func (st *state) affix(t *text, a []value, has func(s, affix string) bool) value {
	part, _ := st.part(t, a)
	if l, ok := a[0].(*list); ok && l.kind == isTuple {
		for _, e := range l.items {
			if has(part.s, st.textArg(e).s) {
				return true
			}
		}
		return false
	}
	return has(part.s, st.textArg(a[0]).s)
}

func (st *state) find(t *text, a []value, last, must bool) value {
	part, start := st.part(t, a)
	sub := st.textArg(a[0]).s
	st.step(len(t.s) >> 4)
	i := strings.Index(part.s, sub)
	if last {
		i = strings.LastIndex(part.s, sub)
	}
	if i < 0 {
		if must {
			st.fail(KindValue, "substring not found")
		}
		return int64(-1)
	}
	return start + int64(utf8.RuneCountInString(part.s[:i]))
}

// joinTexts is sep.join(items), whose items must be strings.
func (st *state) joinTexts(sep *text, items value) *text {
	var b builder
	next := st.iterate(items, "can only join an iterable")
	for i := 0; ; i++ {
		v, ok := next()
		if !ok {
			return b.text()
		}
		t, ok := v.(*text)
		if !ok {
			st.fail(KindType, "sequence item %d: expected str instance, %s found", i, typeName(v))
		}
		st.charge(len(t.s) + len(sep.s) + runSize*(2+len(t.runs)+len(sep.runs)))
		st.checkLength(b.len() + len(t.s) + len(sep.s))
		if i > 0 {
			b.add(sep)
		}
		b.add(t)
	}
}

// justify fills t up to a width, on the left, the right, or both sides.
func (st *state) justify(t *text, a []value, left, right int) value {
	fill := st.textArg(or(a[1], lit(" ")))
	if fill.length() != 1 {
		st.fail(KindType, "the fill character must be exactly one character long")
	}
	width := st.intArg(a[0])
	st.scan(len(t.s))
	n := width - int64(t.length())
	if n <= 0 {
		return t
	}
	before := n * int64(left)
	if left == right { // center: the odd one goes to the left if the width is odd
		before = n/2 + n&width&1
	}
	pad := st.repeat(fill, n)
	var b builder
	b.addRange(pad, 0, int(before)*len(fill.s))
	b.add(t)
	b.addRange(pad, 0, int(n-before)*len(fill.s))
	return st.made(b.text())
}

func zfill(st *state, t *text, a []value) value {
	n := st.intArg(a[0]) - int64(t.length())
	if n <= 0 {
		return t
	}
	sign := 0
	if t.s != "" && (t.s[0] == '-' || t.s[0] == '+') {
		sign = 1
	}
	var b builder
	b.addRange(t, 0, sign)
	b.add(st.repeat(lit("0"), n))
	b.addRange(t, sign, len(t.s))
	return st.made(b.text())
}

func (st *state) partition(t *text, sep value, last bool) value {
	s := st.textArg(sep)
	if s.s == "" {
		st.fail(KindValue, "empty separator")
	}
	st.step(len(t.s) >> 4)
	i := strings.Index(t.s, s.s)
	if last {
		i = strings.LastIndex(t.s, s.s)
	}
	switch {
	case i >= 0:
		return newTuple(t.slice(0, i), t.slice(i, i+len(s.s)), t.from(i+len(s.s)))
	case last:
		return newTuple(lit(""), lit(""), t)
	}
	return newTuple(t, lit(""), lit(""))
}

func expandTabs(st *state, t *text, a []value) value {
	size := int(max(0, min(st.intArg(or(a[0], int64(8))), 1<<20)))
	st.charge(times(strings.Count(t.s, "\t"), size))
	column := 0
	return st.made(t.mapRunes(func(_ int, r rune) string {
		switch {
		case r == '\t' && size > 0:
			n := size - column%size
			column += n
			return strings.Repeat(" ", n)
		case r == '\t':
			return ""
		case r == '\n' || r == '\r':
			column = 0
		default:
			column++
		}
		return string(r)
	}))
}

func removePrefix(st *state, t *text, a []value) value {
	if p := st.textArg(a[0]).s; strings.HasPrefix(t.s, p) {
		return t.from(len(p))
	}
	return t
}

func removeSuffix(st *state, t *text, a []value) value {
	if p := st.textArg(a[0]).s; strings.HasSuffix(t.s, p) {
		return t.slice(0, len(t.s)-len(p))
	}
	return t
}
