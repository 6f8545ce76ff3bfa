package jinja

import (
	"math/big"
	"strconv"
	"strings"
)

// percent is format % args, Python's printf.
func (st *state) percent(format *text, args value) value {
	st.step(len(format.s) >> 4)
	var items []value
	if l, ok := args.(*list); ok && l.kind == isTuple {
		items = l.items
	} else {
		items = []value{args}
	}
	mapping, _ := args.(*dict)
	var b builder
	used, f := 0, format.s
	next := func() value {
		if used == len(items) {
			st.fail(KindType, "not enough arguments for format string")
		}
		used++
		return items[used-1]
	}
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			k := strings.IndexByte(f[i:], '%')
			if k < 0 {
				k = len(f) - i
			}
			b.addRange(format, i, i+k)
			i += k - 1
			continue
		}
		var spec formatSpec
		i++
		var v value = absent{}
		if i < len(f) && f[i] == '(' && mapping != nil {
			k := strings.IndexByte(f[i:], ')')
			if k < 0 {
				st.fail(KindValue, "incomplete format key")
			}
			v, _ = mapping.get(f[i+1 : i+k])
			i += k + 1
			used = len(items)
		}
		i += spec.parsePercent(f[i:])
		if i >= len(f) {
			st.fail(KindValue, "incomplete format")
		}
		if f[i] == '%' {
			b.lit("%")
			continue
		}
		if !given(v) {
			v = next()
		}
		spec.verb = f[i]
		b.add(st.formatValue(v, &spec))
		st.checkLength(b.len())
	}
	if _, isList := args.(*list); used < len(items) && mapping == nil && (!isList || isTupleValue(args)) {
		st.fail(KindType, "not all arguments converted during string formatting")
	}
	return st.made(b.text())
}

func isTupleValue(v value) bool {
	l, ok := v.(*list)
	return ok && l.kind == isTuple
}

// formatSpec is what stands after % or after the colon in {}.
type formatSpec struct {
	fill          string
	align         byte // < > ^ =
	sign          byte // + or space
	alternate     bool
	zero          bool
	comma         bool
	width         int
	precision     int
	hasPrecision  bool
	verb          byte
	widthTooLarge bool
}

const maxWidth = 1 << 20

func (s *formatSpec) number(f string) (n, used int) {
	for used < len(f) && f[used] >= '0' && f[used] <= '9' {
		if n = n*10 + int(f[used]-'0'); n > maxWidth {
			n, s.widthTooLarge = maxWidth, true
		}
		used++
	}
	return n, used
}

func (s *formatSpec) parsePercent(f string) int {
	i := 0
	for ; i < len(f); i++ {
		switch f[i] {
		case '-':
			s.align = '<'
			continue
		case '+', ' ':
			s.sign = f[i]
			continue
		case '#':
			s.alternate = true
			continue
		case '0':
			s.zero = true
			continue
		}
		break
	}
	var n int
	s.width, n = s.number(f[i:])
	i += n
	if i < len(f) && f[i] == '.' {
		s.hasPrecision = true
		s.precision, n = s.number(f[i+1:])
		i += n + 1
	}
	return i
}

// formatValue writes one value.
func (st *state) formatValue(v value, s *formatSpec) *text {
	if s.widthTooLarge || s.precision > 1000 && s.verb != 's' {
		st.fail(KindLimit, "a format with a width over %d", maxWidth)
	}
	var t *text
	switch s.verb {
	case 's', 0:
		t = st.str(v)
		if s.hasPrecision {
			t = st.sliceText(t, nil, int64(s.precision), nil).(*text)
		}
	case 'r', 'a':
		var b builder
		st.repr(&b, v, 0)
		t = b.text()
	case 'd', 'i', 'u', 'x', 'X', 'o', 'b', 'n':
		t = lit(st.formatInt(v, s))
	case 'f', 'F', 'e', 'E', 'g', 'G', '%':
		t = lit(st.formatFloat(v, s))
	case 'c':
		if n, _, ok := integer(v); ok {
			t = lit(string(rune(n)))
		} else {
			t = st.textArg(v)
		}
	default:
		st.fail(KindValue, "unsupported format character %q", s.verb)
	}
	return st.pad(t, s)
}

func (st *state) formatInt(v value, s *formatSpec) string {
	if f, ok := v.(float64); ok {
		v = st.floatToInt(f)
	}
	n, b, ok := integer(v)
	if !ok {
		st.fail(KindType, "%%%c format: a number is required, not %s", s.verb, typeName(v))
	}
	base := 10
	prefix := ""
	switch s.verb {
	case 'x', 'X':
		base, prefix = 16, "0x"
	case 'o':
		base, prefix = 8, "0o"
	case 'b':
		base, prefix = 2, "0b"
	}
	digits := new(big.Int).Abs(wide(n, b)).Text(base)
	if s.comma {
		digits = group(digits)
	}
	if s.alternate {
		digits = prefix + digits
	}
	if s.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	return s.withSign(wide(n, b).Sign() < 0, digits)
}

func group(digits string) string {
	var out []byte
	for i, c := range []byte(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out = append(out, ',')
		}
		out = append(out, c)
	}
	return string(out)
}

func (s *formatSpec) withSign(negative bool, digits string) string {
	sign := ""
	switch {
	case negative:
		sign = "-"
	case s.sign != 0:
		sign = string(s.sign)
	}
	if s.zero && s.align == 0 {
		if n := s.width - len(sign) - len(digits); n > 0 {
			digits = strings.Repeat("0", n) + digits
		}
	}
	return sign + digits
}

func (st *state) formatFloat(v value, s *formatSpec) string {
	f, ok := float(v)
	if !ok {
		st.fail(KindType, "%%%c format: a number is required, not %s", s.verb, typeName(v))
	}
	precision := 6
	if s.hasPrecision {
		precision = s.precision
	}
	verb, suffix := s.verb, ""
	if verb == '%' {
		verb, suffix, f = 'f', "%", f*100
	}
	if verb == 'F' {
		verb = 'f'
	}
	digits := strconv.FormatFloat(f, verb, precision, 64)
	negative := strings.HasPrefix(digits, "-")
	digits = strings.TrimLeft(digits, "+-")
	if s.comma {
		k := strings.IndexByte(digits+".", '.')
		digits = group(digits[:k]) + digits[k:]
	}
	return s.withSign(negative, digits+suffix)
}

func (st *state) pad(t *text, s *formatSpec) *text {
	if s.width == 0 {
		return t
	}
	st.scan(len(t.s))
	n := s.width - t.length()
	if n <= 0 {
		return t
	}
	fill := s.fill
	if fill == "" {
		fill = " "
	}
	before := n
	switch s.align {
	case '<':
		before = 0
	case '^':
		before = n / 2
	}
	var b builder
	b.lit(strings.Repeat(fill, before))
	b.add(t)
	b.lit(strings.Repeat(fill, n-before))
	return st.made(b.text())
}

// format is str.format: {}, {0}, {name}, with conversions and format specifications.
func (st *state) format(t *text, args callArgs) value {
	st.step(len(t.s) >> 2)
	var b builder
	auto, f := 0, t.s
	for i := 0; i < len(f); i++ {
		switch {
		case strings.HasPrefix(f[i:], "{{"), strings.HasPrefix(f[i:], "}}"):
			b.addRange(t, i, i+1)
			i++
			continue
		case f[i] == '}':
			st.fail(KindValue, "single '}' encountered in format string")
		case f[i] != '{':
			b.addRange(t, i, i+1)
			continue
		}
		k := strings.IndexByte(f[i:], '}')
		if k < 0 {
			st.fail(KindValue, "single '{' encountered in format string")
		}
		b.add(st.formatField(f[i+1:i+k], args, &auto))
		st.checkLength(b.len())
		i += k
	}
	return st.made(b.text())
}

func (st *state) formatField(field string, args callArgs, auto *int) *text {
	name, spec, _ := strings.Cut(field, ":")
	name, conversion, _ := strings.Cut(name, "!")
	if strings.ContainsAny(name, ".[") || strings.Contains(spec, "{") {
		st.fail(KindValue, "format field %s: attributes and nested fields are not supported", quote(field))
	}
	var v value = absent{}
	n, err := strconv.Atoi(name)
	if name == "" {
		n, err = *auto, nil
		*auto++
	}
	if err == nil && n >= 0 && n < len(args.pos) {
		v = args.pos[n]
	}
	for _, a := range args.named {
		if a.name == name {
			v = a.v
		}
	}
	if !given(v) {
		st.fail(KindValue, "format field {%s} has no argument", field)
	}
	if conversion == "r" {
		var b builder
		st.repr(&b, v, 0)
		v = b.text()
	}
	s := st.parseSpec(spec)
	if _, isNumber := float(v); isNumber && s.verb == 0 {
		if _, isBool := v.(bool); !isBool && (s.hasPrecision || s.comma || s.sign != 0 || s.zero || s.width > 0) {
			s.verb = 'd'
			if _, isFloat := v.(float64); isFloat {
				s.verb = 'g'
			}
		}
	} else if s.align == 0 && !isNumber {
		s.align = '<'
	}
	return st.formatValue(v, s)
}

// parseSpec reads [[fill]align][sign][#][0][width][,][.precision][type].
func (st *state) parseSpec(f string) *formatSpec {
	s := &formatSpec{}
	r := []rune(f)
	isAlign := func(c rune) bool { return c == '<' || c == '>' || c == '^' || c == '=' }
	switch {
	case len(r) > 1 && isAlign(r[1]):
		s.fill, s.align = string(r[0]), byte(r[1])
		f = string(r[2:])
	case len(r) > 0 && isAlign(r[0]):
		s.align = byte(r[0])
		f = f[1:]
	}
	take := func(set string) byte {
		if f != "" && strings.IndexByte(set, f[0]) >= 0 {
			c := f[0]
			f = f[1:]
			return c
		}
		return 0
	}
	if s.sign = take("+- "); s.sign == '-' {
		s.sign = 0
	}
	s.alternate = take("#") != 0
	s.zero = take("0") != 0
	var n int
	s.width, n = s.number(f)
	f = f[n:]
	s.comma = take(",_") != 0
	if take(".") != 0 {
		s.hasPrecision = true
		s.precision, n = s.number(f)
		f = f[n:]
	}
	if f != "" {
		s.verb = f[0]
		f = f[1:]
	}
	if f != "" {
		st.fail(KindValue, "invalid format specifier")
	}
	return s
}
