package automaton

// The bytes of a JSON string's content, whatever its characters are. RFC 8259, section 7; UTF-8 and
// surrogate pairs must be well formed.

// A Partial is how far a character of a string has been read: a beginning of its UTF-8, or of an
// escape. The zero value stands between characters.
type Partial struct {
	Kind PartialKind
	N    uint8 // digits or bytes still wanted
	Bits rune  // what was read of the code point
	High rune  // the first half of a surrogate pair; of UTF-8 the lowest code point of that length
}

// PartialKind says what is being read.
type PartialKind uint8

const (
	Between PartialKind = iota
	UTF8
	Escape   // after a backslash
	Hex      // the digits after \u
	LowSlash // a backslash must follow: the second half of a pair
	LowU     // a u must follow
	LowHex   // the digits of the second half
)

// Whole is the result of [Partial.Step] where a character is complete; Wrong where the byte cannot
// stand there; Close is the closing quotation mark.
const (
	More = -1 - iota
	Wrong
	Close
)

// Raw is [Partial.Step] for text without escapes and quotation marks.
func (p Partial) Raw(b byte) (Partial, rune) {
	switch {
	case p.Kind == UTF8:
		return p.continued(b)
	case b < 0x80:
		return Partial{}, rune(b)
	case b >= 0xc2 && b < 0xe0:
		return Partial{Kind: UTF8, N: 1, Bits: rune(b & 31), High: 0x80}, More
	case b >= 0xe0 && b < 0xf0:
		return Partial{Kind: UTF8, N: 2, Bits: rune(b & 15), High: 0x800}, More
	case b >= 0xf0 && b < 0xf5:
		return Partial{Kind: UTF8, N: 3, Bits: rune(b & 7), High: 0x10000}, More
	}
	return Partial{}, Wrong
}

func (p Partial) continued(b byte) (Partial, rune) {
	if b&0xc0 != 0x80 {
		return Partial{}, Wrong
	}
	p.Bits, p.N = p.Bits<<6|rune(b&0x3f), p.N-1
	if len(p.Spans()) == 0 {
		return Partial{}, Wrong
	}
	if p.N == 0 {
		return Partial{}, p.Bits
	}
	return p, More
}

// Step reads a byte of a JSON string: it returns a code point, or More, Wrong or Close.
func (p Partial) Step(b byte) (Partial, rune) {
	switch p.Kind {
	case Between:
		switch {
		case b == '"':
			return p, Close
		case b == '\\':
			return Partial{Kind: Escape}, More
		case b < 0x20:
			return p, Wrong
		}
		return p.Raw(b)
	case UTF8:
		return p.continued(b)
	case Escape:
		switch b {
		case '"', '\\', '/':
			return Partial{}, rune(b)
		case 'b':
			return Partial{}, '\b'
		case 'f':
			return Partial{}, '\f'
		case 'n':
			return Partial{}, '\n'
		case 'r':
			return Partial{}, '\r'
		case 't':
			return Partial{}, '\t'
		case 'u':
			return Partial{Kind: Hex, N: 4}, More
		}
	case LowSlash:
		if b == '\\' {
			p.Kind = LowU
			return p, More
		}
	case LowU:
		if b == 'u' {
			p.Kind, p.N, p.Bits = LowHex, 4, 0
			return p, More
		}
	case Hex, LowHex:
		return p.hex(b)
	}
	return Partial{}, Wrong
}

func (p Partial) hex(b byte) (Partial, rune) {
	var d rune
	switch {
	case b >= '0' && b <= '9':
		d = rune(b - '0')
	case b >= 'a' && b <= 'f':
		d = rune(b-'a') + 10
	case b >= 'A' && b <= 'F':
		d = rune(b-'A') + 10
	default:
		return Partial{}, Wrong
	}
	p.Bits, p.N = p.Bits<<4|d, p.N-1
	if len(p.Spans()) == 0 {
		return Partial{}, Wrong
	}
	if p.N > 0 {
		return p, More
	}
	switch {
	case p.Kind == LowHex:
		return Partial{}, pair(p.High, p.Bits)
	case p.Bits >= 0xd800 && p.Bits < 0xdc00:
		return Partial{Kind: LowSlash, High: p.Bits}, More
	}
	return Partial{}, p.Bits
}

// A Range is the code points from Lo to Hi.
type Range struct{ Lo, Hi rune }

// Spans returns the code points that p can become, without surrogates; none where p is the
// beginning of nothing.
func (p Partial) Spans() []Range {
	low := p.Bits
	switch p.Kind {
	case UTF8:
		low <<= 6 * p.N
		return scalars(max(low, p.High), min(low|(1<<(6*p.N)-1), 0x10ffff))
	case Hex:
		low <<= 4 * p.N
		high := low | (1<<(4*p.N) - 1)
		out := scalars(low, high)
		if lo, hi := max(low, 0xd800), min(high, 0xdbff); lo <= hi { // the first half of a pair
			out = append(out, Range{pair(lo, 0xdc00), pair(hi, 0xdfff)})
		}
		return out
	case LowSlash, LowU:
		return []Range{{pair(p.High, 0xdc00), pair(p.High, 0xdfff)}}
	case LowHex:
		low <<= 4 * p.N
		lo, hi := max(low, 0xdc00), min(low|(1<<(4*p.N)-1), 0xdfff)
		if lo > hi {
			return nil
		}
		return []Range{{pair(p.High, lo), pair(p.High, hi)}}
	case Escape:
		return scalars(0, 0x10ffff)
	}
	return scalars(0, 0x10ffff)
}

func pair(high, low rune) rune { return 0x10000 + (high-0xd800)<<10 + (low - 0xdc00) }

// scalars returns the code points from lo to hi that are no surrogates.
func scalars(lo, hi rune) []Range {
	var out []Range
	if a, b := lo, min(hi, 0xd7ff); a <= b {
		out = append(out, Range{a, b})
	}
	if a, b := max(lo, 0xe000), hi; a <= b {
		out = append(out, Range{a, b})
	}
	return out
}

// Plain returns what p has in common with others after which the same bytes may follow: it forgets
// which character is being read. It is for states to which all characters are the same.
func (p Partial) Plain() Partial {
	switch p.Kind {
	case UTF8:
		// What may follow the first byte depends on it after E0, ED, F0 and F4 alone.
		first := p.High == 0x800 && p.N == 2 && (p.Bits == 0 || p.Bits == 0xd) || p.High == 0x10000 && p.N == 3 && (p.Bits == 0 || p.Bits == 4)
		if !first {
			p.Bits, p.High = 0, 0
		}
	case LowSlash, LowU, LowHex:
		p.High = 0xd800
		if p.Kind == LowHex && p.N < 3 {
			p.Bits = 0xdc00 >> (4 * p.N)
		}
	case Hex:
		if p.N <= 2 && p.Bits>>(4*(2-p.N)) >= 0xd8 && p.Bits>>(4*(2-p.N)) < 0xdc {
			p.Bits = 0xd800 >> (4 * p.N)
		} else if p.N <= 2 || p.N == 3 && p.Bits != 0xd {
			p.Bits = 0
		}
	}
	return p
}

// scanString reads the content of a string. It returns the place after its closing quotation mark,
// -1 if there is none; how many characters it has, the last of which may not be complete; and false
// if text is no such content.
func scanString(text []byte) (end, chars int, ok bool) {
	var p Partial
	var r rune
	for i, b := range text {
		switch p, r = p.Step(b); {
		case r == Close:
			return i + 1, chars, true
		case r == Wrong:
			return 0, 0, false
		case r >= 0:
			chars++
		}
	}
	if p.Kind != Between {
		chars++
	}
	return -1, chars, true
}
