package chat

import "strings"

// A pattern is the text between two parts of a call. White space in it stands for any or none, a
// number for any number, and the value of an attribute such as type="string" for any word.
type pattern []element

type element struct {
	kind elementKind
	text string // as the template wrote it; of a word that stands for an id, empty
}

type elementKind uint8

const (
	isText elementKind = iota
	isWhite
	isNumber
	isWord
)

// status is what is known about text that may not be complete.
type status uint8

const (
	fails status = iota
	waits        // more text is needed to decide
	works
)

func isWhiteByte(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
func isDigit(c byte) bool     { return c >= '0' && c <= '9' }

func isWordByte(c byte) bool {
	return c == '_' || c == '-' || c == '.' || isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// newPattern makes a pattern of a text. word, if not empty, stands for any word.
func newPattern(s, word string) pattern {
	var p pattern
	add := func(k elementKind, text string) {
		if n := len(p) - 1; n >= 0 && p[n].kind == k {
			p[n].text += text
			return
		}
		p = append(p, element{k, text})
	}
	for i := 0; i < len(s); {
		switch {
		case word != "" && strings.HasPrefix(s[i:], word):
			add(isWord, "")
			i += len(word)
			continue
		case isWhiteByte(s[i]):
			add(isWhite, s[i:i+1])
		case isDigit(s[i]):
			add(isNumber, s[i:i+1])
		case strings.HasPrefix(s[i:], `="`):
			if k := strings.IndexByte(s[i+2:], '"'); k > 0 && strings.IndexFunc(s[i+2:i+2+k], func(r rune) bool { return r > 0x7F || !isWordByte(byte(r)) }) < 0 {
				add(isText, `="`)
				add(isWord, s[i+2:i+2+k])
				i += 2 + k
				continue
			}
			fallthrough
		default:
			add(isText, s[i:i+1])
		}
		i++
	}
	return p
}

// match matches the beginning of s and returns how many bytes it takes. White space in front is
// skipped. final says that no more text is coming.
func (p pattern) match(s string, final bool) (int, status) {
	n, st, _ := p.capture(s, final)
	return n, st
}

// capture is match, and also returns the last word or number.
func (p pattern) capture(s string, final bool) (n int, st status, word string) {
	i := 0
	white := func() {
		for i < len(s) && isWhiteByte(s[i]) {
			i++
		}
	}
	white()
	for _, e := range p {
		from := i
		switch e.kind {
		case isWhite:
			white()
			continue
		case isText:
			if strings.HasPrefix(s[i:], e.text) {
				i += len(e.text)
				continue
			}
			if !final && strings.HasPrefix(e.text, s[i:]) {
				return 0, waits, ""
			}
			return 0, fails, ""
		case isNumber:
			for i < len(s) && isDigit(s[i]) {
				i++
			}
		case isWord:
			for i < len(s) && isWordByte(s[i]) {
				i++
			}
		}
		if i == len(s) && !final {
			return 0, waits, ""
		}
		if i == from {
			return 0, fails, ""
		}
		word = s[from:i]
	}
	return i, works, word
}

// written is the pattern as a template writes it, with id for the id of a call.
func (p pattern) written(id string) string {
	var b strings.Builder
	for _, e := range p {
		if e.kind == isWord && e.text == "" {
			b.WriteString(id)
		}
		b.WriteString(e.text)
	}
	return b.String()
}

// literal is the first text of the pattern.
func (p pattern) literal() string {
	for _, e := range p {
		if e.kind == isText {
			return e.text
		}
	}
	return ""
}

// lastLiteral is the last text of the pattern.
func (p pattern) lastLiteral() string {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i].kind == isText {
			return p[i].text
		}
	}
	return ""
}

// trimmed drops white space at both ends.
func (p pattern) trimmed() pattern {
	for len(p) > 0 && p[0].kind == isWhite {
		p = p[1:]
	}
	for len(p) > 0 && p[len(p)-1].kind == isWhite {
		p = p[:len(p)-1]
	}
	return p
}
