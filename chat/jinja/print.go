package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// str is Python's str(): what printing a value writes.
func (st *state) str(v value) *text {
	switch x := v.(type) {
	case *text:
		return x
	case *undefined:
		if x.safe {
			st.failUndefined(x)
		}
		return lit("")
	}
	var b builder
	st.repr(&b, v, 0)
	return st.made(b.text())
}

// repr appends Python's repr().
func (st *state) repr(b *builder, v value, depth int) {
	st.step(1)
	st.checkDepth(depth)
	st.checkLength(b.len())
	switch x := v.(type) {
	case nil:
		b.lit("None")
	case bool:
		b.lit(map[bool]string{true: "True", false: "False"}[x])
	case int64:
		b.lit(strconv.FormatInt(x, 10))
	case *big.Int:
		b.lit(x.String())
	case float64:
		b.lit(formatFloat(x))
	case *text:
		if x.markup {
			b.lit("Markup(")
			defer b.lit(")")
		}
		reprText(b, x)
		st.charge(len(x.s))
	case *list:
		st.reprList(b, x, depth)
	case *dict:
		st.reprDict(b, x, depth)
	case *namespace:
		b.lit("<Namespace ")
		st.reprDict(b, &x.attrs, depth)
		b.lit(">")
	case *rangeValue:
		fmt.Fprintf((*litWriter)(b), "range(%d, %d", x.start, x.stop)
		if x.step != 1 {
			fmt.Fprintf((*litWriter)(b), ", %d", x.step)
		}
		b.lit(")")
	case *undefined:
		b.lit("Undefined")
	case *macro:
		fmt.Fprintf((*litWriter)(b), "<Macro '%s'>", x.name)
	case *loop:
		fmt.Fprintf((*litWriter)(b), "<LoopContext %d/%d>", x.index0+1, x.length())
	case *generator:
		b.lit("<generator object>")
	case *templateReference:
		b.lit("<TemplateReference None>")
	case *function:
		b.lit("<function " + x.name + ">")
	case *method:
		b.lit("<built-in method " + x.name + " of " + typeName(x.self) + " object>")
	default:
		b.lit("<" + typeName(v) + ">")
	}
}

// litWriter writes what the template writes.
type litWriter builder

func (w *litWriter) Write(p []byte) (int, error) {
	(*builder)(w).lit(string(p))
	return len(p), nil
}

func (st *state) reprList(b *builder, x *list, depth int) {
	open, end := "[", "]"
	switch x.kind {
	case isTuple, isGroup:
		open, end = "(", ")"
	case isItems, isKeys, isValues:
		open, end = listNames[x.kind]+"([", "])"
	}
	b.lit(open)
	for i, e := range x.items {
		if i > 0 {
			b.lit(", ")
		}
		st.repr(b, e, depth+1)
	}
	if len(x.items) == 1 && open == "(" {
		b.lit(",")
	}
	b.lit(end)
}

func (st *state) reprDict(b *builder, x *dict, depth int) {
	b.lit("{")
	for i, e := range x.entries {
		if i > 0 {
			b.lit(", ")
		}
		st.repr(b, e.key, depth+1)
		b.lit(": ")
		st.repr(b, e.value, depth+1)
	}
	b.lit("}")
}

// reprText writes a string as Python does: in double quotes if it has single ones only.
func reprText(b *builder, t *text) {
	quote := "'"
	if strings.Contains(t.s, "'") && !strings.Contains(t.s, `"`) {
		quote = `"`
	}
	b.lit(quote)
	done := 0
	for i, r := range t.s {
		esc := ""
		switch {
		case r == '\\' || string(r) == quote:
			esc = `\` + string(r)
		case r == '\n':
			esc = `\n`
		case r == '\r':
			esc = `\r`
		case r == '\t':
			esc = `\t`
		case r == ' ' || unicode.IsPrint(r):
			continue
		case r <= 0xFF:
			esc = fmt.Sprintf(`\x%02x`, r)
		case r <= 0xFFFF:
			esc = fmt.Sprintf(`\u%04x`, r)
		default:
			esc = fmt.Sprintf(`\U%08x`, r)
		}
		b.addRange(t, done, i)
		b.write(esc, t.source(i))
		done = i + len(string(r))
	}
	b.addRange(t, done, len(t.s))
	b.lit(quote)
}

// jsonStyle is how tojson writes.
type jsonStyle struct {
	ascii, sortKeys  bool
	indent           *text // of one level; nil for one line
	separator, colon *text
}

// toJSON appends a value as Python's json.dumps does.
func (st *state) toJSON(b *builder, v value, s *jsonStyle, depth int) {
	st.step(1)
	st.checkDepth(depth)
	st.checkLength(b.len())
	switch x := v.(type) {
	case nil:
		b.lit("null")
	case bool:
		b.lit(strconv.FormatBool(x))
	case int64:
		b.lit(strconv.FormatInt(x, 10))
	case *big.Int:
		b.lit(x.String())
	case float64:
		b.lit(jsonFloat(x))
	case *text:
		jsonText(b, x, s.ascii)
		st.charge(len(x.s))
	case *list:
		st.jsonItems(b, s, depth, "[", "]", len(x.items), func(i int) { st.toJSON(b, x.items[i], s, depth+1) })
	case *generator, *rangeValue:
		items := st.all(x)
		st.jsonItems(b, s, depth, "[", "]", len(items), func(i int) { st.toJSON(b, items[i], s, depth+1) })
	case *dict:
		entries := x.entries
		if s.sortKeys {
			entries = st.sortedEntries(x)
		}
		st.jsonItems(b, s, depth, "{", "}", len(entries), func(i int) {
			st.jsonKey(b, entries[i].key, s)
			b.add(s.colon)
			st.toJSON(b, entries[i].value, s, depth+1)
		})
	case *undefined:
		st.fail(KindType, "Object of type Undefined is not JSON serializable: %s", x.what)
	default:
		st.fail(KindType, "Object of type %s is not JSON serializable", typeName(v))
	}
}

func (st *state) sortedEntries(d *dict) []entry {
	entries := append([]entry(nil), d.entries...)
	st.sort(len(entries), func(i, j int) bool { return st.less(entries[i].key, entries[j].key, "<") }, func(order []int) {
		for i, k := range order {
			entries[i] = d.entries[k]
		}
	})
	return entries
}

func (st *state) jsonItems(b *builder, s *jsonStyle, depth int, open, end string, n int, item func(i int)) {
	b.lit(open)
	newline := func(depth int) {
		if s.indent == nil || n == 0 {
			return
		}
		size := depth * (len(s.indent.s) + runSize*len(s.indent.runs))
		st.charge(size)
		st.checkLength(b.len() + size)
		b.lit("\n")
		for range depth {
			b.add(s.indent)
		}
	}
	for i := range n {
		if i > 0 {
			st.charge(len(s.separator.s) + len(s.colon.s))
			b.add(s.separator)
		}
		newline(depth + 1)
		item(i)
	}
	newline(depth)
	b.lit(end)
}

// jsonKey writes the key of an object, which JSON wants to be a string.
func (st *state) jsonKey(b *builder, k value, s *jsonStyle) {
	switch x := k.(type) {
	case *text:
		jsonText(b, x, s.ascii)
		return
	case nil, bool, int64, *big.Int, float64:
		b.lit(`"`)
		st.toJSON(b, x, s, 0)
		b.lit(`"`)
		return
	}
	st.fail(KindType, "keys must be str, int, float, bool or None, not %s", typeName(k))
}

func jsonFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case math.IsNaN(f):
		return "NaN"
	}
	return formatFloat(f)
}

func jsonText(b *builder, t *text, ascii bool) {
	b.lit(`"`)
	done := 0
	for i, n := 0, 0; i < len(t.s); i += n {
		var r rune
		r, n = utf8.DecodeRuneInString(t.s[i:])
		esc := ""
		switch {
		case r == '"' || r == '\\':
			esc = `\` + string(r)
		case r < 0x20:
			if k := strings.IndexRune("\b\f\n\r\t", r); k >= 0 {
				esc = `\` + "bfnrt"[k:k+1]
			} else {
				esc = fmt.Sprintf(`\u%04x`, r)
			}
		case !ascii || r < 0x7F:
			continue
		case r > 0xFFFF:
			esc = fmt.Sprintf(`\u%04x\u%04x`, 0xD800+(r-0x10000)>>10, 0xDC00+(r-0x10000)&0x3FF)
		default:
			esc = fmt.Sprintf(`\u%04x`, r)
		}
		b.addRange(t, done, i)
		b.write(esc, t.source(i))
		done = i + n
	}
	b.addRange(t, done, len(t.s))
	b.lit(`"`)
}

// escapeHTML replaces the characters that mean something in HTML.
func (st *state) escapeHTML(t *text) *text {
	e := t.mapRunes(func(_ int, r rune) string {
		switch r {
		case '&':
			return "&amp;"
		case '<':
			return "&lt;"
		case '>':
			return "&gt;"
		case '"':
			return "&#34;"
		case '\'':
			return "&#39;"
		}
		return string(r)
	})
	e.markup = true
	return st.made(e)
}

// formatFloat prints a float as Python does.
func formatFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	e := strconv.FormatFloat(f, 'e', -1, 64)
	k := strings.IndexByte(e, 'e')
	exp, _ := strconv.Atoi(e[k+1:])
	if exp < -4 || exp >= 16 {
		sign := "+"
		if exp < 0 {
			sign, exp = "-", -exp
		}
		digits := strconv.Itoa(exp)
		if exp < 10 {
			digits = "0" + digits
		}
		return e[:k] + "e" + sign + digits
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if strings.IndexByte(s, '.') < 0 {
		s += ".0"
	}
	return s
}
