package chat

import (
	"encoding/json"
	"strings"

	"github.com/goinfer/goinfer/chat/jinja"
)

// learnJSON: the call is an object with name and arguments, alone or in a list.
func (f *callFormat) learnJSON(a shown, both string) bool {
	for at := 0; at < min(a.name, a.key); at++ {
		if a.text[at] != '{' && a.text[at] != '[' {
			continue
		}
		d := json.NewDecoder(strings.NewReader(a.text[at:]))
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			continue
		}
		v, err := jinja.ParseJSON(raw)
		if err != nil || !f.object.find(v) {
			continue
		}
		f.kind = jsonCalls
		_, f.object.list = v.([]any)
		end := at + int(d.InputOffset())
		f.open = newPattern(a.text[:at], "").trimmed()
		f.close = newPattern(a.text[end:], "").trimmed()
		return true
	}
	return false
}

// find finds the shape in a value: an object, or a list of them.
func (s *jsonShape) find(v any) bool {
	if list, ok := v.([]any); ok {
		return len(list) > 0 && s.find(list[0])
	}
	m, ok := v.(*jinja.Map)
	if !ok {
		return false
	}
	if args, ok := m.Get(probeName); ok {
		if _, isMap := args.(*jinja.Map); isMap && len(m.Keys()) == 1 {
			s.keyed = true
			return true
		}
	}
	s.order = m.Keys()
	for _, k := range m.Keys() {
		e, _ := m.Get(k)
		inner, isMap := e.(*jinja.Map)
		switch {
		case e == probeName:
			s.name = k
		case isMap:
			if value, ok := inner.Get(probeKey); ok && value == probeValue {
				s.args = k
			} else if outer := s.order; s.find(inner) {
				s.inner, s.outer = k, outer
				return true
			}
		case e == probeID || strings.HasSuffix(k, "id"):
			s.id = k
		}
	}
	return s.name != "" && s.args != ""
}

// jsonScanner checks JSON byte by byte. The zero value expects a value.
type jsonScanner struct {
	stack []byte // of { and [
	state byte   // see next
	digit byte   // where in a number, see number
	word  string // what is left of true, false or null
	esc   int    // hex digits that are left of \uXXXX, or -1 after a backslash
}

// The states of a scanner.
const (
	wantValue    = 0
	wantFirst    = 'f' // a value or ]
	wantKey      = 'k'
	wantFirstKey = 'F' // a key or }
	wantColon    = ':'
	inString     = '"'
	inKey        = '\''
	inNumber     = '0'
	inWord       = 'w'
	afterValue   = ','
)

const maxJSONDepth = 200

// next takes a byte. ok is false if it does not fit; done is true if the value ended before it.
func (s *jsonScanner) next(c byte) (ok, done bool) {
	switch s.state {
	case inString, inKey:
		return s.inside(c), false
	case inWord:
		if s.word == "" || s.word[0] != c {
			return false, false
		}
		if s.word = s.word[1:]; s.word == "" {
			s.state = afterValue
		}
		return true, false
	case inNumber:
		if s.number(c) {
			return true, false
		}
		if !s.numberEnds() {
			return false, false
		}
		s.state = afterValue
		return s.next(c)
	}
	if s.state == afterValue && len(s.stack) == 0 {
		return true, true
	}
	if isWhiteByte(c) {
		return true, false
	}
	switch s.state {
	case wantColon:
		s.state = wantValue
		return c == ':', false
	case wantKey, wantFirstKey:
		if c == '}' && s.state == wantFirstKey {
			return s.pop('{'), false
		}
		s.state = inKey
		return c == '"', false
	case afterValue:
		return s.after(c), false
	}
	return s.value(c), false
}

// value takes the first byte of a value.
func (s *jsonScanner) value(c byte) bool {
	first := s.state == wantFirst
	switch {
	case c == '{' || c == '[':
		s.state = wantFirst
		if c == '{' {
			s.state = wantFirstKey
		}
		s.stack = append(s.stack, c)
		return len(s.stack) <= maxJSONDepth
	case c == ']' && first:
		return s.pop('[')
	case c == '"':
		s.state = inString
	case c == '-' || isDigit(c):
		s.state, s.digit = inNumber, 0
		s.number(c)
	case c == 't':
		s.state, s.word = inWord, "rue"
	case c == 'f':
		s.state, s.word = inWord, "alse"
	case c == 'n':
		s.state, s.word = inWord, "ull"
	default:
		return false
	}
	return true
}

// number takes a byte of a number, if it goes on with it. digit is 0 at the beginning, then '-'
// after a sign, 'z' after a leading zero, 'd' in the digits, '.' after the point, 'f' in the
// fraction, 'e' after the e, '+' after the sign of the exponent, 'x' in the exponent.
func (s *jsonScanner) number(c byte) bool {
	next := byte(0)
	switch d := s.digit; {
	case c == '-' && d == 0:
		next = '-'
	case c == '0' && (d == 0 || d == '-'):
		next = 'z'
	case isDigit(c):
		next = map[byte]byte{0: 'd', '-': 'd', 'd': 'd', '.': 'f', 'f': 'f', 'e': 'x', '+': 'x', 'x': 'x'}[d]
	case c == '.' && (d == 'z' || d == 'd'):
		next = '.'
	case c|0x20 == 'e' && (d == 'z' || d == 'd' || d == 'f'):
		next = 'e'
	case (c == '+' || c == '-') && d == 'e':
		next = '+'
	}
	if next != 0 {
		s.digit = next
	}
	return next != 0
}

// numberEnds reports whether the number may end here.
func (s *jsonScanner) numberEnds() bool { return strings.IndexByte("zdfx", s.digit) >= 0 }

func (s *jsonScanner) after(c byte) bool {
	open := s.stack[len(s.stack)-1]
	switch {
	case c == ',' && open == '{':
		s.state = wantKey
	case c == ',':
		s.state = wantValue
	case c == '}':
		return s.pop('{')
	case c == ']':
		return s.pop('[')
	default:
		return false
	}
	return true
}

func (s *jsonScanner) pop(open byte) bool {
	k := len(s.stack) - 1
	if k < 0 || s.stack[k] != open {
		return false
	}
	s.stack = s.stack[:k]
	s.state = afterValue
	return true
}

// inside takes a byte of a string.
func (s *jsonScanner) inside(c byte) bool {
	switch {
	case s.esc > 0:
		s.esc--
		return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f'
	case s.esc < 0:
		if s.esc = 0; c == 'u' {
			s.esc = 4
		}
		return strings.IndexByte(`"\/bfnrtu`, c) >= 0
	case c == '\\':
		s.esc = -1
	case c == '"' && s.state == inKey:
		s.state = wantColon
	case c == '"':
		s.state = afterValue
	}
	return true // a control character is not JSON, but what is meant is clear
}

// complete reports whether the value is whole.
func (s *jsonScanner) complete() bool {
	return len(s.stack) == 0 && (s.state == afterValue || s.state == inNumber && s.numberEnds())
}
