package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEOF tokenKind = iota
	tokText
	tokBlockBegin
	tokBlockEnd
	tokPrintBegin
	tokPrintEnd
	tokName
	tokString
	tokInt
	tokFloat
	tokOp
)

// token is one word of a template: source[off:end]. text is the text outside of tags, the value of
// a string, the name, the digits, or the operator.
type token struct {
	kind     tokenKind
	text     string
	off, end int
}

// lexer cuts a template into tokens.
type lexer struct {
	src    string
	at     int
	starts bool // at is at the beginning of a line
	tokens []token
	fail   func(at int, format string, args ...any)
}

// normalise makes line ends "\n" and drops the last one, as jinja2 does.
func normalise(src string) string {
	src = strings.ReplaceAll(src, "\r\n", "\n")
	src = strings.ReplaceAll(src, "\r", "\n")
	return strings.TrimSuffix(src, "\n")
}

// run reads text and tags in alternation.
func (l *lexer) run() []token {
	l.starts = true
	for l.at < len(l.src) {
		begin := l.nextTag()
		if begin < 0 {
			l.emit(tokText, l.src[l.at:], l.at, len(l.src))
			break
		}
		body, tag := l.src[l.at:begin], l.src[begin:begin+2]
		textAt := l.at
		l.at = begin + 2
		sign := l.sign()
		body = l.strip(body, sign, tag == "{{")
		l.emit(tokText, body, textAt, textAt+len(body))
		switch tag {
		case "{#":
			l.comment(begin)
		case "{{":
			l.emit(tokPrintBegin, "", begin, l.at)
			l.code(tokPrintEnd, begin)
		default:
			if !l.raw(begin) {
				l.emit(tokBlockBegin, "", begin, l.at)
				l.code(tokBlockEnd, begin)
			}
		}
	}
	return append(l.tokens, token{kind: tokEOF, off: len(l.src), end: len(l.src)})
}

func (l *lexer) emit(k tokenKind, text string, off, end int) {
	if k != tokText || text != "" {
		l.tokens = append(l.tokens, token{k, text, off, end})
	}
}

// nextTag finds the next "{%", "{{" or "{#".
func (l *lexer) nextTag() int {
	for i := l.at; ; i++ {
		k := strings.IndexByte(l.src[i:], '{')
		if k < 0 || i+k+1 >= len(l.src) {
			return -1
		}
		i += k
		if c := l.src[i+1]; c == '%' || c == '{' || c == '#' {
			return i
		}
	}
}

// sign reads the - or + after the beginning of a tag.
func (l *lexer) sign() byte {
	if l.at < len(l.src) && (l.src[l.at] == '-' || l.src[l.at] == '+') {
		l.at++
		return l.src[l.at-1]
	}
	return 0
}

// strip removes white space before a tag.
func (l *lexer) strip(body string, sign byte, prints bool) string {
	switch {
	case sign == '-':
		return strings.TrimRightFunc(body, isSpace)
	case sign == '+' || prints:
		return body
	}
	line := strings.LastIndexByte(body, '\n') + 1
	if (line > 0 || l.starts) && strings.TrimFunc(body[line:], isSpace) == "" {
		return body[:line]
	}
	return body
}

// closes reads the end of a tag at l.at, such as "%}" with its signs and the white space that it
// swallows, and reports whether there is one.
func (l *lexer) closes(end string, trims bool) bool {
	rest := l.src[l.at:]
	if strings.HasPrefix(rest, "-"+end) {
		tail := strings.TrimLeftFunc(rest[1+len(end):], isSpace)
		l.at = len(l.src) - len(tail)
	} else if trims && strings.HasPrefix(rest, "+"+end) {
		l.at += 1 + len(end)
	} else if strings.HasPrefix(rest, end) {
		l.at += len(end)
		if trims && strings.HasPrefix(l.src[l.at:], "\n") {
			l.at++
		}
	} else {
		return false
	}
	l.starts = l.src[l.at-1] == '\n'
	return true
}

func (l *lexer) comment(begin int) {
	for ; l.at < len(l.src); l.at++ {
		if c := l.src[l.at]; (c == '#' || c == '-' || c == '+') && l.closes("#}", true) {
			return
		}
	}
	l.fail(begin, "missing end of comment tag")
}

// raw reads {% raw %}…{% endraw %}, of which the beginning has been read.
func (l *lexer) raw(begin int) bool {
	rest := strings.TrimLeftFunc(l.src[l.at:], isSpace)
	rest, ok := strings.CutPrefix(rest, "raw")
	if !ok {
		return false
	}
	rest = strings.TrimLeftFunc(rest, isSpace)
	if !strings.HasPrefix(rest, "%}") && !strings.HasPrefix(rest, "-%}") {
		return false
	}
	l.at = len(l.src) - len(rest)
	l.closes("%}", false)
	from := l.at
	for {
		k := strings.Index(l.src[l.at:], "{%")
		if k < 0 {
			l.fail(begin, "missing end of raw directive")
		}
		end := l.at + k
		l.at = end + 2
		sign := l.sign()
		tail := strings.TrimLeftFunc(l.src[l.at:], isSpace)
		if tail, ok = strings.CutPrefix(tail, "endraw"); !ok {
			continue
		}
		tail = strings.TrimLeftFunc(tail, isSpace)
		l.at = len(l.src) - len(tail)
		if l.closes("%}", true) {
			body := l.strip(l.src[from:end], sign, false)
			l.emit(tokText, body, from, from+len(body))
			return true
		}
	}
}

var operators = [...]string{
	"//", "**", "==", "!=", ">=", "<=",
	"+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";",
}

// code reads the tokens of a tag to its end.
func (l *lexer) code(end tokenKind, begin int) {
	closing, trims := "}}", false
	if end == tokBlockEnd {
		closing, trims = "%}", true
	}
	var open []byte
	for l.at < len(l.src) {
		from := l.at
		if len(open) == 0 && l.closes(closing, trims) {
			l.emit(end, "", from, l.at)
			return
		}
		r, n := utf8.DecodeRuneInString(l.src[l.at:])
		switch {
		case isSpace(r):
			l.at += n
		case r >= '0' && r <= '9':
			l.numeral()
		case r == '_' || unicode.IsLetter(r):
			l.at += n
			l.skip(func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) })
			l.emit(tokName, l.src[from:l.at], from, l.at)
		case r == '"' || r == '\'':
			l.str(byte(r))
		default:
			open = l.operator(open)
		}
	}
	what := "end of print statement"
	if end == tokBlockEnd {
		what = "end of statement block"
	}
	l.fail(begin, "unexpected end of template, want %s", what)
}

func (l *lexer) skip(f func(rune) bool) {
	l.at = len(l.src) - len(strings.TrimLeftFunc(l.src[l.at:], f))
}

// operator reads an operator and keeps account of brackets.
func (l *lexer) operator(open []byte) []byte {
	for _, op := range operators {
		if !strings.HasPrefix(l.src[l.at:], op) {
			continue
		}
		switch op {
		case "(":
			open = append(open, ')')
		case "[":
			open = append(open, ']')
		case "{":
			open = append(open, '}')
		case ")", "]", "}":
			if len(open) == 0 {
				l.fail(l.at, "unexpected '%s'", op)
			}
			if want := open[len(open)-1]; want != op[0] {
				l.fail(l.at, "unexpected '%s', want '%c'", op, want)
			}
			open = open[:len(open)-1]
		}
		l.at += len(op)
		l.emit(tokOp, op, l.at-len(op), l.at)
		return open
	}
	r, _ := utf8.DecodeRuneInString(l.src[l.at:])
	l.fail(l.at, "unexpected character %q", r)
	return nil
}

// numeral reads an integer or a float.
func (l *lexer) numeral() {
	from := l.at
	digits := func(set string) {
		l.skip(func(r rune) bool { return strings.ContainsRune(set, r) })
	}
	src := l.src
	if src[from] == '0' && from+1 < len(src) && strings.IndexByte("xXoObB", src[from+1]) >= 0 {
		l.at += 2
		digits("0123456789abcdefABCDEF_")
		l.emit(tokInt, src[from:l.at], from, l.at)
		return
	}
	kind := tokInt
	digits("0123456789_")
	isDigit := func(i int) bool { return i < len(src) && src[i] >= '0' && src[i] <= '9' }
	if from == 0 || src[from-1] != '.' { // a.0 is an attribute
		if l.at < len(src) && src[l.at] == '.' && isDigit(l.at+1) {
			kind = tokFloat
			l.at++
			digits("0123456789_")
		}
		if l.at < len(src) && (src[l.at] == 'e' || src[l.at] == 'E') {
			i := l.at + 1
			if i < len(src) && (src[i] == '+' || src[i] == '-') {
				i++
			}
			if isDigit(i) {
				kind = tokFloat
				l.at = i
				digits("0123456789_")
			}
		}
	}
	l.emit(kind, strings.ReplaceAll(src[from:l.at], "_", ""), from, l.at)
}

// str reads a string.
func (l *lexer) str(quote byte) {
	from := l.at
	for i := from + 1; i < len(l.src); i++ {
		switch l.src[i] {
		case '\\':
			i++
		case quote:
			l.at = i + 1
			l.emit(tokString, unescape(l.src[from+1:i]), from, l.at)
			return
		}
	}
	l.fail(from, "unexpected character %q: the string has no end", quote)
}

// unescape resolves the escapes of Python's strings; an unknown one stays as it is.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if k := strings.IndexByte(`abfnrtv\'"`, s[i]); k >= 0 {
			b.WriteByte("\a\b\f\n\r\t\v\\'\""[k])
			continue
		}
		switch c := s[i]; {
		case c == '\n':
		case c >= '0' && c <= '7':
			n, k := rune(0), i
			for ; k < len(s) && k < i+3 && s[k] >= '0' && s[k] <= '7'; k++ {
				n = n*8 + rune(s[k]-'0')
			}
			b.WriteRune(n)
			i = k - 1
		case c == 'x' || c == 'u' || c == 'U':
			digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
			if r, ok := hexRune(s, i+1, digits); ok {
				b.WriteRune(r)
				i += digits
				continue
			}
			fallthrough
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String()
}

func hexRune(s string, from, digits int) (rune, bool) {
	if from+digits > len(s) {
		return 0, false
	}
	n := rune(0)
	for _, c := range []byte(s[from : from+digits]) {
		k := strings.IndexByte("0123456789abcdef", c|0x20)
		if k < 0 || c < '0' {
			return 0, false
		}
		n = n<<4 | rune(k)
	}
	return n, true
}

// isSpace reports whether Python counts a character as white space.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || r >= 0x1C && r <= 0x1F
}
