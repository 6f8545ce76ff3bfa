package jsonschema

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

type kind uint8

const (
	kNull kind = iota
	kBool
	kNumber
	kString
	kArray
	kObject
)

var kindNames = [...]string{"null", "boolean", "number", "string", "array", "object"}

// A value is a JSON value with the order of its keys and its numbers as they are written.
type value struct {
	kind    kind
	boolean bool
	text    string // of a string
	number  decimal
	items   []*value
	keys    []string // in order
	members map[string]*value
	up      *value // the array or object that it is in
	key     string // and its key or
	index   int    // index there
}

// pointer returns where v stands, as a JSON pointer.
func (v *value) pointer() string {
	var parts []string
	for ; v.up != nil; v = v.up {
		part := strconv.Itoa(v.index)
		if v.up.kind == kObject {
			part = pointerEscaper.Replace(v.key)
		}
		parts = append(parts, "/"+part)
	}
	slices.Reverse(parts)
	out := strings.Join(parts, "")
	if len(out) > maxPointer {
		out = strings.ToValidUTF8(out[:maxPointer], "") + "..."
	}
	return out
}

// maxPointer bounds what errors quote.
const maxPointer = 1000

func (v *value) get(key string) *value {
	if v == nil || v.kind != kObject {
		return nil
	}
	return v.members[key]
}

// maxNesting bounds the depth of a schema.
const maxNesting = 1000

type reader struct {
	src []byte
	pos int
}

// parseValue reads a JSON text: RFC 8259, in UTF-8. Of a key that appears twice the last counts.
func parseValue(src []byte) (*value, error) {
	r := &reader{src: src}
	v, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if r.space(); r.pos < len(src) {
		return nil, r.errorf("want the end, found %s", shorten(string(src[r.pos:])))
	}
	return v, nil
}

func (r *reader) errorf(format string, args ...any) error {
	return fmt.Errorf("not JSON: byte %d: %s", r.pos, fmt.Sprintf(format, args...))
}

func (r *reader) space() {
	for r.pos < len(r.src) && strings.IndexByte(" \t\r\n", r.src[r.pos]) >= 0 {
		r.pos++
	}
}

func (r *reader) take(b byte) bool {
	r.space()
	if r.pos < len(r.src) && r.src[r.pos] == b {
		r.pos++
		return true
	}
	return false
}

func (r *reader) value(depth int) (*value, error) {
	if depth > maxNesting {
		return nil, r.errorf("nested deeper than %d", maxNesting)
	}
	r.space()
	v := &value{}
	if r.pos == len(r.src) {
		return nil, r.errorf("want a value, found the end")
	}
	switch c := r.src[r.pos]; {
	case c == '{':
		return v, r.object(v, depth)
	case c == '[':
		return v, r.array(v, depth)
	case c == '"':
		v.kind = kString
		var err error
		v.text, err = r.str()
		return v, err
	case c == '-' || c >= '0' && c <= '9':
		v.kind = kNumber
		return v, r.num(v)
	}
	rest := r.src[r.pos:]
	for word, k := range literals {
		if bytes.HasPrefix(rest, []byte(word)) {
			r.pos += len(word)
			v.kind, v.boolean = k.kind, k.boolean
			return v, nil
		}
	}
	return nil, r.errorf("want a value, found %s", shorten(string(rest[:min(len(rest), 100)])))
}

var literals = map[string]value{"null": {kind: kNull}, "true": {kind: kBool, boolean: true}, "false": {kind: kBool}}

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

func (r *reader) object(v *value, depth int) error {
	v.kind, v.members = kObject, map[string]*value{}
	r.pos++
	if r.take('}') {
		return nil
	}
	for {
		r.space()
		if r.pos == len(r.src) || r.src[r.pos] != '"' {
			return r.errorf("want a key")
		}
		key, err := r.str()
		if err != nil {
			return err
		}
		if !r.take(':') {
			return r.errorf("want a colon")
		}
		m, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		m.up, m.key = v, key
		if v.members[key] == nil {
			v.keys = append(v.keys, key)
		}
		v.members[key] = m
		if r.take('}') {
			return nil
		}
		if !r.take(',') {
			return r.errorf("want a comma or the end of an object")
		}
	}
}

func (r *reader) array(v *value, depth int) error {
	v.kind = kArray
	r.pos++
	if r.take(']') {
		return nil
	}
	for {
		m, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		m.up, m.index = v, len(v.items)
		v.items = append(v.items, m)
		if r.take(']') {
			return nil
		}
		if !r.take(',') {
			return r.errorf("want a comma or the end of an array")
		}
	}
}

func (r *reader) num(v *value) error {
	start := r.pos
	digits := func() bool {
		from := r.pos
		for r.pos < len(r.src) && r.src[r.pos] >= '0' && r.src[r.pos] <= '9' {
			r.pos++
		}
		return r.pos > from
	}
	next := func(set string) bool {
		if r.pos < len(r.src) && strings.IndexByte(set, r.src[r.pos]) >= 0 {
			r.pos++
			return true
		}
		return false
	}
	next("-")
	ok := next("0") || digits()
	if ok && next(".") {
		ok = digits()
	}
	if ok && next("eE") {
		next("+-")
		ok = digits()
	}
	if !ok {
		return r.errorf("want a number")
	}
	var err error
	if v.number, err = parseDecimal(string(r.src[start:r.pos])); err != nil {
		return r.errorf("%v", err)
	}
	return nil
}

// str reads a string. Half a surrogate pair is U+FFFD, as for Go.
func (r *reader) str() (string, error) {
	r.pos++
	var b []byte
	for r.pos < len(r.src) {
		c := r.src[r.pos]
		r.pos++
		switch {
		case c == '"':
			if !utf8.Valid(b) {
				return "", r.errorf("a string is not UTF-8")
			}
			return string(b), nil
		case c < 0x20:
			return "", r.errorf("a control character in a string")
		case c != '\\':
			b = append(b, c)
		default:
			var err error
			if b, err = r.escape(b); err != nil {
				return "", err
			}
		}
	}
	return "", r.errorf("a string has no end")
}

func (r *reader) escape(b []byte) ([]byte, error) {
	if r.pos == len(r.src) {
		return nil, r.errorf("a string has no end")
	}
	c := r.src[r.pos]
	r.pos++
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
		return append(b, "\"\\/\b\f\n\r\t"[i]), nil
	}
	if c != 'u' {
		return nil, r.errorf("unknown escape")
	}
	u, ok := r.hex()
	if !ok {
		return nil, r.errorf("want four hexadecimal digits")
	}
	if u >= 0xd800 && u < 0xdc00 && r.pos+1 < len(r.src) && r.src[r.pos] == '\\' && r.src[r.pos+1] == 'u' {
		at := r.pos
		r.pos += 2
		if lo, ok := r.hex(); ok && lo >= 0xdc00 && lo < 0xe000 {
			return utf8.AppendRune(b, 0x10000+(u-0xd800)<<10+(lo-0xdc00)), nil
		}
		r.pos = at
	}
	return utf8.AppendRune(b, u), nil
}

func (r *reader) hex() (rune, bool) {
	if r.pos+4 > len(r.src) {
		return 0, false
	}
	var u rune
	for _, c := range r.src[r.pos : r.pos+4] {
		i := strings.IndexByte("0123456789abcdef", c|0x20)
		if i < 0 || c < '0' {
			return 0, false
		}
		u = u<<4 | rune(i)
	}
	r.pos += 4
	return u, true
}
