package gbnf

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goinfer/goinfer/grammar/regex"
)

// A Grammar is a parsed grammar.
type Grammar struct {
	rules  []*rule
	byName map[string]*rule
	tokens []*tokenRef
	nodes  int
}

type rule struct {
	name     string
	body     *expr
	line     int // where it is defined; 0: only used
	used     int
	start    *node
	nullable bool
	live     bool // has texts
	id       int
}

type exprKind uint8

const (
	eSeq exprKind = iota
	eAlt
	eChars
	eRule
	eRepeat
	eToken
)

type expr struct {
	kind     exprKind
	subs     []*expr
	set      regex.Set
	rule     *rule
	min, max int
	token    *tokenRef
}

// A tokenRef is a token that a grammar names.
type tokenRef struct {
	name string // its spelling; "" if the id is given
	id   int32
	not  bool
	line int
}

// Bounds of a grammar.
const (
	maxBytes  = 16 << 20
	maxNodes  = 500_000 // after counted repetitions are written out
	maxRepeat = 100_000
	maxDepth  = 1000
)

type parser struct {
	g    *Grammar
	src  string
	pos  int
	line int
	// Items that were read.
	parts int
}

// Parse reads a grammar.
func Parse(src string) (*Grammar, error) {
	if len(src) > maxBytes {
		return nil, fmt.Errorf("want at most %d bytes, found %d", maxBytes, len(src))
	}
	p := &parser{g: &Grammar{byName: map[string]*rule{}}, src: src, line: 1}
	p.space(true)
	for p.pos < len(p.src) {
		if err := p.rule(); err != nil {
			return nil, err
		}
	}
	if err := p.g.check(); err != nil {
		return nil, err
	}
	return p.g, nil
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: %s", p.line, fmt.Sprintf(format, args...))
}

// rest shows what is found.
func (p *parser) rest() string {
	r := p.src[p.pos:]
	if r == "" {
		return "the end"
	}
	if i := strings.IndexByte(r, '\n'); i > 0 {
		r = r[:i]
	}
	if len(r) > 30 {
		r = strings.ToValidUTF8(r[:30], "")
	}
	return strconv.Quote(r)
}

// space skips blanks and comments, and line breaks if lines.
func (p *parser) space(lines bool) {
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == '#':
			for p.pos < len(p.src) && p.src[p.pos] != '\n' && p.src[p.pos] != '\r' {
				p.pos++
			}
		case c == ' ' || c == '\t':
			p.pos++
		case lines && (c == '\n' || c == '\r'):
			if c == '\n' {
				p.line++
			}
			p.pos++
		default:
			return
		}
	}
}

func (p *parser) take(s string) bool {
	if strings.HasPrefix(p.src[p.pos:], s) {
		p.pos += len(s)
		return true
	}
	return false
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

func (p *parser) name() string {
	from := p.pos
	for p.pos < len(p.src) && isWord(p.src[p.pos]) {
		p.pos++
	}
	return p.src[from:p.pos]
}

func (p *parser) ref(name string) *rule {
	r := p.g.byName[name]
	if r == nil {
		r = &rule{name: name, used: p.line, id: len(p.g.rules)}
		p.g.byName[name] = r
		p.g.rules = append(p.g.rules, r)
	}
	return r
}

func (p *parser) rule() error {
	line := p.line
	name := p.name()
	if name == "" {
		return p.errorf("want the name of a rule, found %s", p.rest())
	}
	p.space(false)
	if !p.take("::=") {
		return p.errorf("want ::= after %s, found %s", name, p.rest())
	}
	p.space(true)
	r := p.ref(name)
	if r.line > 0 {
		return p.errorf("rule %s is defined twice, first in line %d", name, r.line)
	}
	r.line = line
	body, err := p.alternatives(0)
	if err != nil {
		return err
	}
	r.body = body
	if p.pos < len(p.src) && p.src[p.pos] != '\n' && p.src[p.pos] != '\r' {
		return p.errorf("want the end of rule %s, found %s", name, p.rest())
	}
	p.space(true)
	return nil
}

func (p *parser) alternatives(depth int) (*expr, error) {
	if depth > maxDepth {
		return nil, p.errorf("groups nested deeper than %d", maxDepth)
	}
	e := &expr{kind: eAlt}
	for {
		s, err := p.sequence(depth)
		if err != nil {
			return nil, err
		}
		e.subs = append(e.subs, s)
		if !p.take("|") {
			break
		}
		p.space(true)
	}
	if len(e.subs) == 1 {
		return e.subs[0], nil
	}
	return e, nil
}

func (p *parser) sequence(depth int) (*expr, error) {
	e := &expr{kind: eSeq}
	for p.pos < len(p.src) {
		x, err := p.item(depth)
		if err != nil {
			return nil, err
		}
		if x == nil {
			break
		}
		p.space(depth > 0)
		for n := 0; ; n++ {
			if n > maxDepth {
				return nil, p.errorf("more than %d repetitions of one thing", maxDepth)
			}
			y, err := p.repeated(x)
			if err != nil {
				return nil, err
			}
			if y == x {
				break
			}
			x = y
			p.space(depth > 0)
		}
		e.subs = append(e.subs, x)
	}
	return e, nil
}

// item reads one item, nil where a sequence ends.
func (p *parser) item(depth int) (*expr, error) {
	if p.parts++; p.parts > maxNodes {
		return nil, p.errorf("the grammar has more than %d parts", maxNodes)
	}
	switch c := p.src[p.pos]; {
	case c == '"':
		p.pos++
		return p.literal()
	case c == '[':
		p.pos++
		return p.class()
	case c == '.':
		p.pos++
		return &expr{kind: eChars, set: regex.NewSet(regex.Range{Lo: 0, Hi: utf8.MaxRune})}, nil
	case c == '(':
		p.pos++
		p.space(true)
		e, err := p.alternatives(depth + 1)
		if err == nil && !p.take(")") {
			err = p.errorf("want a closing parenthesis, found %s", p.rest())
		}
		return e, err
	case c == '<' || c == '!':
		return p.token()
	case isWord(c):
		return &expr{kind: eRule, rule: p.ref(p.name())}, nil
	case strings.IndexByte("*+?{", c) >= 0:
		return nil, p.errorf("nothing to repeat before %q", c)
	}
	return nil, nil
}

func (p *parser) token() (*expr, error) {
	t := &tokenRef{id: -1, line: p.line, not: p.take("!")}
	if !p.take("<") {
		return nil, p.errorf("want a token after the exclamation mark, found %s", p.rest())
	}
	end := strings.IndexByte(p.src[p.pos:], '>')
	if end <= 0 || strings.ContainsAny(p.src[p.pos:p.pos+end], "\r\n") {
		return nil, p.errorf("want a token as <name> or <[id]>, found %s", p.rest())
	}
	text := p.src[p.pos : p.pos+end]
	p.pos += end + 1
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		id, err := strconv.ParseUint(text[1:len(text)-1], 10, 31)
		if err != nil {
			return nil, p.errorf("want the id of a token, found %q", text)
		}
		t.id = int32(id)
	} else {
		t.name = "<" + text + ">"
	}
	p.g.tokens = append(p.g.tokens, t)
	return &expr{kind: eToken, token: t}, nil
}

func (p *parser) literal() (*expr, error) {
	e := &expr{kind: eSeq}
	for {
		if p.pos == len(p.src) || p.src[p.pos] == '\n' {
			return nil, p.errorf("want the end of a literal")
		}
		if p.take(`"`) {
			return e, nil
		}
		r, err := p.char()
		if err != nil {
			return nil, err
		}
		if p.parts++; p.parts > maxNodes {
			return nil, p.errorf("the grammar has more than %d parts", maxNodes)
		}
		e.subs = append(e.subs, &expr{kind: eChars, set: regex.NewSet(regex.Range{Lo: r, Hi: r})})
	}
}

// char reads a character of a literal or class.
func (p *parser) char() (rune, error) {
	if !p.take(`\`) {
		r, n := utf8.DecodeRuneInString(p.src[p.pos:])
		if r == utf8.RuneError && n <= 1 {
			return 0, p.errorf("the grammar is not UTF-8")
		}
		p.pos += n
		return r, nil
	}
	if p.pos == len(p.src) {
		return 0, p.errorf("nothing follows the backslash")
	}
	c := p.src[p.pos]
	p.pos++
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	if digits > 0 {
		if p.pos+digits <= len(p.src) {
			v, err := strconv.ParseUint(p.src[p.pos:p.pos+digits], 16, 32)
			if err == nil && v <= utf8.MaxRune && (v < 0xd800 || v > 0xdfff) {
				p.pos += digits
				return rune(v), nil
			}
		}
		return 0, p.errorf("want a code point of %d hexadecimal digits after \\%c", digits, c)
	}
	switch c {
	case 't':
		return '\t', nil
	case 'r':
		return '\r', nil
	case 'n':
		return '\n', nil
	case '\\', '"', '[', ']', '-', '^':
		return rune(c), nil
	}
	return 0, p.errorf("unknown escape \\%c", c)
}

func (p *parser) class() (*expr, error) {
	neg := p.take("^")
	var ranges []regex.Range
	for {
		if p.pos == len(p.src) {
			return nil, p.errorf("want the end of a class")
		}
		if p.take("]") {
			break
		}
		lo, err := p.char()
		if err != nil {
			return nil, err
		}
		hi := lo
		if strings.HasPrefix(p.src[p.pos:], "-") && !strings.HasPrefix(p.src[p.pos:], "-]") {
			p.pos++
			if p.pos == len(p.src) {
				return nil, p.errorf("want the end of a class")
			}
			if hi, err = p.char(); err != nil {
				return nil, err
			}
			if hi < lo {
				return nil, p.errorf("want a rising range, found %q to %q", lo, hi)
			}
		}
		ranges = append(ranges, regex.Range{Lo: lo, Hi: hi})
	}
	s := regex.NewSet(ranges...)
	if neg {
		s = s.Complement()
	}
	return &expr{kind: eChars, set: s}, nil
}

// repeated reads what repeats x, or returns x.
func (p *parser) repeated(x *expr) (*expr, error) {
	lo, hi := 0, -1
	switch {
	case p.take("*"):
	case p.take("+"):
		lo = 1
	case p.take("?"):
		hi = 1
	case p.take("{"):
		end := strings.IndexByte(p.src[p.pos:], '}')
		if end < 0 {
			return nil, p.errorf("want the end of a count")
		}
		a, b, comma := strings.Cut(strings.ReplaceAll(p.src[p.pos:p.pos+end], " ", ""), ",")
		var err error
		if lo, err = strconv.Atoi(a); err != nil || lo < 0 {
			return nil, p.errorf("want a count as {m}, {m,} or {m,n}, found {%s", p.rest())
		}
		switch {
		case !comma:
			hi = lo
		case b != "":
			if hi, err = strconv.Atoi(b); err != nil || hi < lo {
				return nil, p.errorf("want a count as {m}, {m,} or {m,n}, found {%s", p.rest())
			}
		}
		if max(lo, hi) > maxRepeat {
			return nil, p.errorf("want counts up to %d, found %d", maxRepeat, max(lo, hi))
		}
		p.pos += end + 1
	default:
		return x, nil
	}
	return &expr{kind: eRepeat, subs: []*expr{x}, min: lo, max: hi}, nil
}
