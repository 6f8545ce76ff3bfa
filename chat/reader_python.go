package chat

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// python reads "[name(key=value, …), …]", also without the brackets and with calls on lines.
func (r *reader) python() bool {
	p := r.p
	s := strings.TrimLeft(p.buf, " \t\r\n")
	if s == "" {
		return r.unfinished()
	}
	r.take(len(p.buf) - len(s))
	if s[0] == '[' && !r.list {
		r.list = true
		r.take(1)
		return true
	}
	n, st := word(s, p.final)
	switch {
	case st == waits:
		return r.unfinished()
	case st == fails || n == len(s) || s[n] != '(':
		return r.fail("want the name of a function and a parenthesis")
	}
	r.call.name = strings.TrimSuffix(s[:n], ".call")
	if r.known && p.tools[r.call.name] == nil {
		return r.fail("there is no tool of that name")
	}
	r.take(n + 1)
	p.state = r.pythonArgs
	return true
}

// pythonArgs reads one argument, or the parenthesis at the end.
func (r *reader) pythonArgs() bool {
	p := r.p
	s := strings.TrimLeft(p.buf, " \t\r\n")
	if r.call.args > 0 {
		s = strings.TrimLeft(strings.TrimPrefix(s, ","), " \t\r\n")
	}
	if s == "" {
		return r.unfinished()
	}
	if s[0] == ')' {
		r.closeArgs()
		p.buf = s[1:]
		p.state = r.afterPython
		return true
	}
	n, st := word(s, p.final)
	if st == waits {
		return r.unfinished()
	}
	rest := strings.TrimLeft(s[n:], " \t\r\n")
	if st == works && rest == "" {
		return r.unfinished()
	}
	if st == fails || rest[0] != '=' {
		return r.fail("want a key and =")
	}
	value := strings.TrimLeft(rest[1:], " \t\r\n")
	lit := literals{str: pythonString, words: pythonWords}
	v, m, st := lit.read(value, p.final, 0)
	switch st {
	case waits:
		return r.unfinished()
	case fails:
		return r.fail("a value is none")
	}
	r.argument(s[:n], v)
	r.take(len(p.buf) - len(value) + m)
	return true
}

// argument emits one argument; v is JSON.
func (r *reader) argument(key, v string) {
	sep := ", "
	if r.call.args == 0 {
		sep = "{"
		r.begin()
	}
	r.call.args++
	r.p.args(sep + quoteJSON(key) + ": " + v)
}

// closeArgs ends a call whose arguments were emitted one by one.
func (r *reader) closeArgs() {
	if r.call.args == 0 {
		r.begin()
		r.p.args("{")
	}
	r.p.args("}")
	r.end()
}

// afterPython decides what comes after a call.
func (r *reader) afterPython() bool {
	p := r.p
	s := strings.TrimLeft(p.buf, " \t\r\n")
	if s == "" && !p.final {
		return false
	}
	if s != "" {
		switch {
		case s[0] == ',' || s[0] == ';':
			p.buf = s[1:]
			p.state = r.python
			return true
		case s[0] == ']' && r.list:
			p.buf = s[1:]
			r.list = false
			p.state = r.closing
			return true
		}
		if !r.list {
			n, st := word(s, p.final)
			if st == waits {
				return false
			}
			if st == works && n < len(s) && s[n] == '(' {
				p.state = r.python
				return true
			}
		}
	}
	p.state = r.closing
	return true
}

// pythonWords are the words of Python and of JSON for the same values.
var pythonWords = map[string]string{"True": "true", "False": "false", "None": "null", "true": "true", "false": "false", "null": "null"}

// literals reads values in a notation like Python's and gives them as JSON.
type literals struct {
	str   func(s string, final bool) (value string, n int, st status)
	words map[string]string
	keys  func(s string) (key string, n int, st status) // of mappings; nil if they are values
}

// read reads one value at the beginning of s.
func (l *literals) read(s string, final bool, depth int) (v string, n int, st status) {
	if s == "" {
		return "", 0, waits
	}
	if depth > maxJSONDepth {
		return "", 0, fails
	}
	switch s[0] {
	case '[', '(', '{':
		return l.items(s, final, depth)
	}
	if text, n, st := l.str(s, final); st != fails {
		return quoteJSON(text), n, st
	}
	end := strings.IndexAny(s, ",)]}: \t\r\n")
	if end < 0 {
		if !final || len(s) > 64 {
			return "", 0, waits
		}
		end = len(s)
	}
	w := s[:end]
	if v, ok := l.words[w]; ok {
		return v, end, works
	}
	if json.Valid([]byte(w)) && w != "" && (w[0] == '-' || isDigit(w[0])) {
		return w, end, works
	}
	return "", 0, fails
}

// items reads a list, a tuple or a mapping.
func (l *literals) items(s string, final bool, depth int) (v string, n int, st status) {
	open, shut := s[0], byte(']')
	switch open {
	case '(':
		shut = ')'
	case '{':
		shut = '}'
	}
	var out strings.Builder
	i, count := 1, 0
	white := func() {
		for i < len(s) && isWhiteByte(s[i]) {
			i++
		}
	}
	for {
		if white(); i < len(s) && count > 0 && s[i] == ',' {
			i++
			white()
		}
		if i >= len(s) {
			return "", 0, waits
		}
		if s[i] == shut {
			if open == '{' {
				return "{" + out.String() + "}", i + 1, works
			}
			return "[" + out.String() + "]", i + 1, works
		}
		if count > 0 {
			out.WriteString(", ")
		}
		count++
		if open == '{' {
			key, n, st := l.key(s[i:], final, depth)
			if st != works {
				return "", 0, st
			}
			i += n
			if white(); i >= len(s) {
				return "", 0, waits
			}
			if s[i] != ':' {
				return "", 0, fails
			}
			i++
			white()
			out.WriteString(key + ": ")
		}
		e, n, st := l.read(s[i:], final, depth+1)
		if st != works {
			return "", 0, st
		}
		i += n
		out.WriteString(e)
	}
}

func (l *literals) key(s string, final bool, depth int) (string, int, status) {
	if l.keys != nil {
		k, n, st := l.keys(s)
		return quoteJSON(k), n, st
	}
	k, n, st := l.read(s, final, depth+1)
	if st == works && !strings.HasPrefix(k, `"`) {
		k = quoteJSON(k)
	}
	return k, n, st
}

// pythonString reads a string in single or double quotes, also tripled ones.
func pythonString(s string, final bool) (value string, n int, st status) {
	if s[0] != '\'' && s[0] != '"' {
		return "", 0, fails
	}
	quote := s[:1]
	if len(s) < 3 && !final && strings.Trim(s, quote) == "" {
		return "", 0, waits
	}
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s, triple) {
		quote = triple
	}
	var b strings.Builder
	for i := len(quote); i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], quote):
			return b.String(), i + len(quote), works
		case s[i] == '\\':
			m := pythonEscape(&b, s[i:])
			if m == 0 {
				return "", 0, waits
			}
			i += m
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	return "", 0, waits
}

// pythonEscape writes what an escape stands for, and returns its length, 0 if it is not complete.
func pythonEscape(b *strings.Builder, s string) int {
	if len(s) < 2 {
		return 0
	}
	if k := strings.IndexByte(`nrt\'"ab0fv`, s[1]); k >= 0 {
		b.WriteByte("\n\r\t\\'\"\a\b\x00\f\v"[k])
		return 2
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]
	if digits == 0 {
		if s[1] != '\n' {
			b.WriteString(s[:2])
		}
		return 2
	}
	if len(s) < 2+digits {
		return 0
	}
	r := rune(0)
	for _, c := range []byte(s[2 : 2+digits]) {
		k := strings.IndexByte("0123456789abcdef", c|0x20)
		if k < 0 {
			b.WriteString(s[:2])
			return 2
		}
		r = r<<4 | rune(k)
	}
	if !utf8.ValidRune(r) {
		r = utf8.RuneError
	}
	b.WriteRune(r)
	return 2 + digits
}

// gemmaQuote is what Gemma 4 writes around strings.
const gemmaQuote = `<|"|>`

// gemmaName reads the name of a call and the brace after it.
func (r *reader) gemmaName() bool {
	p := r.p
	n, st := word(p.buf, p.final)
	switch {
	case st == waits:
		return r.unfinished()
	case st == fails || n == len(p.buf) || p.buf[n] != '{':
		return r.fail("want a name and a brace")
	}
	r.call.name = p.buf[:n]
	r.take(n + 1)
	p.state = r.gemmaArgs
	return true
}

// gemmaArgs reads one argument, or the brace at the end.
func (r *reader) gemmaArgs() bool {
	p := r.p
	s := strings.TrimLeft(p.buf, " \t\r\n")
	if r.call.args > 0 {
		s = strings.TrimLeft(strings.TrimPrefix(s, ","), " \t\r\n")
	}
	if s == "" {
		return r.unfinished()
	}
	if s[0] == '}' {
		r.closeArgs()
		p.buf = s[1:]
		p.state = r.closing
		return true
	}
	key, n, st := gemmaKey(s)
	if st == works && n == len(s) {
		st = waits
	}
	if st == waits {
		return r.unfinished()
	}
	if st == fails || s[n] != ':' {
		return r.fail("want a key and a colon")
	}
	value := strings.TrimLeft(s[n+1:], " \t\r\n")
	lit := literals{str: gemmaString, words: pythonWords, keys: gemmaKey}
	v, m, st := lit.read(value, p.final, 0)
	switch st {
	case waits:
		return r.unfinished()
	case fails:
		return r.fail("a value is none")
	}
	r.argument(key, v)
	r.take(len(p.buf) - len(value) + m)
	return true
}

// gemmaKey reads a key up to its colon.
func gemmaKey(s string) (string, int, status) {
	if key, n, st := gemmaString(s, false); st != fails {
		return key, n, st
	}
	k := strings.IndexAny(s, ":,{}")
	switch {
	case k < 0:
		return "", 0, waits
	case k == 0 || s[k] != ':':
		return "", 0, fails
	}
	return strings.TrimSpace(s[:k]), k, works
}

func gemmaString(s string, final bool) (value string, n int, st status) {
	if !strings.HasPrefix(s, gemmaQuote) {
		if !final && strings.HasPrefix(gemmaQuote, s) {
			return "", 0, waits
		}
		return "", 0, fails
	}
	k := strings.Index(s[len(gemmaQuote):], gemmaQuote)
	if k < 0 {
		return "", 0, waits
	}
	return s[len(gemmaQuote):][:k], k + 2*len(gemmaQuote), works
}
