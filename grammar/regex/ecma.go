package regex

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseECMA parses a pattern of ECMA-262, as JSON Schema has them: the flag u, but escapes that
// only the syntax without it knows (Annex B) are read too. Back references and lookbehind, which no
// automaton of ours keeps, are errors.
func ParseECMA(pattern string) (*Pattern, error) {
	p := &ecma{src: pattern}
	out, err := p.alternation(0)
	if err == nil && p.pos < len(p.src) {
		err = p.errorf("want the end, found %q", p.src[p.pos:])
	}
	if err != nil {
		return nil, err
	}
	return out.settle(), nil
}

type ecma struct {
	src   string
	pos   int
	nodes int
}

func (p *ecma) errorf(format string, args ...any) error {
	return fmt.Errorf("regular expression %s: byte %d: %s", shorten(p.src), p.pos, fmt.Sprintf(format, args...))
}

// shorten quotes s, or its beginning where it is long.
func shorten(s string) string {
	if len(s) > 60 {
		return strconv.Quote(strings.ToValidUTF8(s[:57], "")) + "..."
	}
	return strconv.Quote(s)
}

func (p *ecma) left() bool { return p.pos < len(p.src) }

func (p *ecma) take(s string) bool {
	if strings.HasPrefix(p.src[p.pos:], s) {
		p.pos += len(s)
		return true
	}
	return false
}

func (p *ecma) next() rune {
	r, n := utf8.DecodeRuneInString(p.src[p.pos:])
	p.pos += n
	return r
}

// maxDepth bounds the nesting of groups.
const maxDepth = 500

func (p *ecma) alternation(depth int) (*Pattern, error) {
	if depth > maxDepth {
		return nil, p.errorf("groups nested deeper than %d", maxDepth)
	}
	var alts []*Pattern
	for {
		s, err := p.sequence(depth)
		if err != nil {
			return nil, err
		}
		alts = append(alts, s)
		if !p.take("|") {
			break
		}
	}
	if len(alts) == 1 {
		return alts[0], nil
	}
	return &Pattern{op: opAlt, subs: alts}, nil
}

func (p *ecma) sequence(depth int) (*Pattern, error) {
	var parts []*Pattern
	for p.left() && p.src[p.pos] != '|' && p.src[p.pos] != ')' {
		if p.nodes++; p.nodes > maxPattern {
			return nil, p.errorf("more than %d parts", maxPattern)
		}
		a, err := p.atom(depth)
		if err != nil {
			return nil, err
		}
		if a, err = p.quantified(a); err != nil {
			return nil, err
		}
		parts = append(parts, a)
	}
	return cat(parts), nil
}

// quantified reads the quantifier of a, if there is one.
func (p *ecma) quantified(a *Pattern) (*Pattern, error) {
	lo, hi, ok := 0, -1, true
	switch {
	case p.take("*"):
	case p.take("+"):
		lo = 1
	case p.take("?"):
		hi = 1
	default:
		if lo, hi, ok = p.counts(); !ok {
			return a, nil
		}
	}
	p.take("?") // a lazy quantifier matches the same texts
	if a.op == opBegin || a.op == opEnd || a.op == opBoundary {
		return nil, p.errorf("an assertion is repeated")
	}
	if hi >= 0 && lo > hi {
		return nil, p.errorf("want rising counts, found {%d,%d}", lo, hi)
	}
	if max(lo, hi) > maxRepeat {
		return nil, p.errorf("want counts up to %d, found %d", maxRepeat, max(lo, hi))
	}
	if a.alwaysNullable() {
		lo = 0
	}
	return &Pattern{op: opRepeat, subs: []*Pattern{a}, min: lo, max: hi}, nil
}

// counts reads {n}, {n,} or {n,m}. Anything else that begins with a brace is text.
func (p *ecma) counts() (lo, hi int, ok bool) {
	rest := p.src[p.pos:]
	end := strings.IndexByte(rest, '}')
	if !strings.HasPrefix(rest, "{") || end < 0 {
		return 0, 0, false
	}
	a, b, comma := strings.Cut(rest[1:end], ",")
	lo, err := strconv.Atoi(a)
	if err != nil || lo < 0 || a[0] == '+' {
		return 0, 0, false
	}
	switch {
	case !comma:
		hi = lo
	case b == "":
		hi = -1
	default:
		if hi, err = strconv.Atoi(b); err != nil || hi < 0 || b[0] == '+' {
			return 0, 0, false
		}
	}
	p.pos += end + 1
	return lo, hi, true
}

func (p *ecma) atom(depth int) (*Pattern, error) {
	switch {
	case p.take("^"):
		return &Pattern{op: opBegin}, nil
	case p.take("$"):
		return &Pattern{op: opEnd}, nil
	case p.take("("):
		return p.group(depth)
	case p.take("."):
		return &Pattern{op: opSet, set: lineEnds.Complement()}, nil
	case p.take("["):
		s, err := p.class()
		return &Pattern{op: opSet, set: s}, err
	case p.take(`\`):
		return p.escape()
	}
	switch r := p.next(); r {
	case '*', '+', '?':
		return nil, p.errorf("nothing to repeat before %q", r)
	default:
		return &Pattern{op: opSet, set: NewSet(Range{r, r})}, nil
	}
}

func (p *ecma) group(depth int) (*Pattern, error) {
	look, neg := false, false
	switch {
	case p.take("?:"):
	case p.take("?="):
		look = true
	case p.take("?!"):
		look, neg = true, true
	case p.take("?<="), p.take("?<!"):
		return nil, p.errorf("lookbehind is not supported")
	case p.take("?<"), p.take("?P<"):
		end := strings.IndexByte(p.src[p.pos:], '>')
		if end <= 0 {
			return nil, p.errorf("want the name of a group")
		}
		p.pos += end + 1
	case p.take("?"):
		return nil, p.errorf("unknown kind of group")
	}
	sub, err := p.alternation(depth + 1)
	if err != nil {
		return nil, err
	}
	if !p.take(")") {
		return nil, p.errorf("want a closing parenthesis")
	}
	if look {
		return &Pattern{op: opLook, neg: neg, subs: []*Pattern{sub}}, nil
	}
	return sub, nil
}

// escape reads what follows a backslash outside of a class.
func (p *ecma) escape() (*Pattern, error) {
	if !p.left() {
		return nil, p.errorf("nothing follows the backslash")
	}
	switch c := p.src[p.pos]; {
	case c == 'b' || c == 'B':
		p.pos++
		return &Pattern{op: opBoundary, neg: c == 'B'}, nil
	case c >= '1' && c <= '9', c == 'k' && strings.HasPrefix(p.src[p.pos:], "k<"):
		return nil, p.errorf("a back reference is not supported")
	}
	s, _, err := p.escaped()
	return &Pattern{op: opSet, set: s}, err
}

// escaped reads an escape that stands for characters, inside or outside of a class; one reports
// whether it stands for a single one.
func (p *ecma) escaped() (s Set, one bool, err error) {
	if !p.left() {
		return nil, false, p.errorf("nothing follows the backslash")
	}
	single := func(r rune) (Set, bool, error) { return NewSet(Range{r, r}), true, nil }
	switch r := p.next(); r {
	case 'd':
		return digitSet, false, nil
	case 'D':
		return digitSet.Complement(), false, nil
	case 'w':
		return wordSet, false, nil
	case 'W':
		return wordSet.Complement(), false, nil
	case 's':
		return spaceSet, false, nil
	case 'S':
		return spaceSet.Complement(), false, nil
	case 'p', 'P':
		s, err := p.property(r == 'P')
		return s, false, err
	case 't':
		return single('\t')
	case 'n':
		return single('\n')
	case 'v':
		return single('\v')
	case 'f':
		return single('\f')
	case 'r':
		return single('\r')
	case '0':
		return single(0)
	case 'c':
		if p.left() && unicode.IsLetter(rune(p.src[p.pos])) && p.src[p.pos] < 0x80 {
			return single(p.next() & 31)
		}
		return nil, false, p.errorf("want a letter after \\c")
	case 'x':
		r, ok := p.hex(2)
		if !ok {
			return single('x')
		}
		return single(r)
	case 'u':
		return p.unicode()
	default:
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			// With the flag u these are errors, and what they mean without differs between the
			// engines that people write patterns for (\A, \Z, \h).
			return nil, false, p.errorf("unknown escape \\%c", r)
		}
		return single(r)
	}
}

func (p *ecma) hex(n int) (rune, bool) {
	if p.pos+n > len(p.src) {
		return 0, false
	}
	v, err := strconv.ParseUint(p.src[p.pos:p.pos+n], 16, 32)
	if err != nil {
		return 0, false
	}
	p.pos += n
	return rune(v), true
}

func (p *ecma) unicode() (Set, bool, error) {
	if p.take("{") {
		end := strings.IndexByte(p.src[p.pos:], '}')
		if end > 0 {
			v, err := strconv.ParseUint(p.src[p.pos:p.pos+end], 16, 32)
			if err == nil && v <= unicode.MaxRune {
				p.pos += end + 1
				return NewSet(Range{rune(v), rune(v)}), true, nil
			}
		}
		return nil, false, p.errorf("want a code point in \\u{}")
	}
	r, ok := p.hex(4)
	if !ok {
		return NewSet(Range{'u', 'u'}), true, nil
	}
	if r >= 0xd800 && r < 0xdc00 {
		at := p.pos
		if p.take(`\u`) {
			if lo, ok := p.hex(4); ok && lo >= 0xdc00 && lo < 0xe000 {
				r = 0x10000 + (r-0xd800)<<10 + (lo - 0xdc00)
				return NewSet(Range{r, r}), true, nil
			}
		}
		p.pos = at
	}
	if r >= 0xd800 && r < 0xe000 {
		return nil, false, p.errorf("half of a surrogate pair is no character")
	}
	return NewSet(Range{r, r}), true, nil
}

func (p *ecma) property(neg bool) (Set, error) {
	end := strings.IndexByte(p.src[p.pos:], '}')
	if !p.take("{") || end < 0 {
		return nil, p.errorf("want a property as \\p{L}")
	}
	full := p.src[p.pos : p.pos+end-1]
	name, value, _ := strings.Cut(full, "=")
	s, ok := property(name, value)
	if !ok {
		return nil, p.errorf("unknown property %q", full)
	}
	p.pos += end
	if neg {
		s = s.Complement()
	}
	return s, nil
}

// class reads a character class after its bracket.
func (p *ecma) class() (Set, error) {
	neg := p.take("^")
	var all Set
	var ranges []Range
	for {
		if !p.left() {
			return nil, p.errorf("want the end of a class")
		}
		if p.take("]") {
			break
		}
		lo, one, err := p.member()
		if err != nil {
			return nil, err
		}
		if one && strings.HasPrefix(p.src[p.pos:], "-") && !strings.HasPrefix(p.src[p.pos:], "-]") {
			at := p.pos
			p.pos++
			if !p.left() {
				return nil, p.errorf("want the end of a class")
			}
			hi, oneHi, err := p.member()
			if err != nil {
				return nil, err
			}
			if oneHi {
				if lo[0].Lo > hi[0].Lo {
					return nil, p.errorf("want a rising range, found %q to %q", lo[0].Lo, hi[0].Lo)
				}
				ranges = append(ranges, Range{lo[0].Lo, hi[0].Lo})
				continue
			}
			p.pos = at // [a-\d]: a, a dash and digits
		}
		if one {
			ranges = append(ranges, lo[0])
		} else {
			all = all.Union(lo)
		}
	}
	s := NewSet(append(ranges, all...)...)
	if neg {
		s = s.Complement()
	}
	return s, nil
}

func (p *ecma) member() (Set, bool, error) {
	if !p.take(`\`) {
		r := p.next()
		return NewSet(Range{r, r}), true, nil
	}
	if p.take("b") {
		return NewSet(Range{'\b', '\b'}), true, nil
	}
	if p.take("-") {
		return NewSet(Range{'-', '-'}), true, nil
	}
	return p.escaped()
}
