package regex

import (
	"slices"
	"unicode"
)

// A Range is the code points from Lo to Hi, both included.
type Range struct{ Lo, Hi rune }

// A Set is a set of code points: ranges in rising order that neither overlap nor touch. Surrogates
// are in no set: no text holds them.
type Set []Range

var (
	anySet   = NewSet(Range{0, unicode.MaxRune})
	digitSet = NewSet(Range{'0', '9'})
	wordSet  = NewSet(Range{'0', '9'}, Range{'A', 'Z'}, Range{'_', '_'}, Range{'a', 'z'})
	// spaceSet is WhiteSpace and LineTerminator of ECMA-262.
	spaceSet = NewSet(Range{'\t', '\r'}, Range{' ', ' '}, Range{0xa0, 0xa0}, Range{0x1680, 0x1680}, Range{0x2000, 0x200a},
		Range{0x2028, 0x2029}, Range{0x202f, 0x202f}, Range{0x205f, 0x205f}, Range{0x3000, 0x3000}, Range{0xfeff, 0xfeff})
	lineEnds = NewSet(Range{'\n', '\n'}, Range{'\r', '\r'}, Range{0x2028, 0x2029})
)

// NewSet returns the union of ranges in any order.
func NewSet(ranges ...Range) Set {
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, b Range) int { return int(a.Lo - b.Lo) })
	var s Set
	add := func(lo, hi rune) {
		if lo > hi {
			return
		}
		if n := len(s); n > 0 && s[n-1].Hi >= lo-1 {
			s[n-1].Hi = max(s[n-1].Hi, hi)
			return
		}
		s = append(s, Range{lo, hi})
	}
	for _, r := range ranges {
		lo, hi := max(r.Lo, 0), min(r.Hi, unicode.MaxRune)
		add(lo, min(hi, 0xd7ff))
		add(max(lo, 0xe000), hi)
	}
	// Without the surrogates the two ranges beside them would not touch.
	return s
}

// Has reports whether r is in the set.
func (s Set) Has(r rune) bool {
	lo, hi := 0, len(s)
	for lo < hi {
		m := (lo + hi) / 2
		if s[m].Hi < r {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo < len(s) && s[lo].Lo <= r
}

// Complement returns all other code points.
func (s Set) Complement() Set {
	var out []Range
	next := rune(0)
	for _, r := range s {
		if r.Lo > next {
			out = append(out, Range{next, r.Lo - 1})
		}
		next = r.Hi + 1
	}
	if next <= unicode.MaxRune {
		out = append(out, Range{next, unicode.MaxRune})
	}
	return NewSet(out...)
}

// Union returns the code points of either set.
func (s Set) Union(t Set) Set { return NewSet(append(slices.Clone(s), t...)...) }

// Intersect returns the code points of both sets.
func (s Set) Intersect(t Set) Set { return s.Complement().Union(t.Complement()).Complement() }

// Size returns the number of code points.
func (s Set) Size() int {
	n := 0
	for _, r := range s {
		n += int(r.Hi-r.Lo) + 1
	}
	return n
}

func (s Set) key() string {
	b := make([]byte, 0, 8*len(s))
	for _, r := range s {
		b = append(b, byte(r.Lo>>16), byte(r.Lo>>8), byte(r.Lo), byte(r.Hi>>16), byte(r.Hi>>8), byte(r.Hi))
	}
	return string(b)
}

// fold returns the set with the other cases of its letters.
func (s Set) fold() Set {
	out := slices.Clone(s)
	for _, r := range s {
		if r.Hi-r.Lo > 0x2000 {
			continue // a range as wide as this holds the other cases already, or is a complement
		}
		for c := r.Lo; c <= r.Hi; c++ {
			for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
				out = append(out, Range{f, f})
			}
		}
	}
	return NewSet(out...)
}

func tableSet(t *unicode.RangeTable) Set {
	var out []Range
	for _, r := range t.R16 {
		if r.Stride == 1 {
			out = append(out, Range{rune(r.Lo), rune(r.Hi)})
			continue
		}
		for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
			out = append(out, Range{c, c})
		}
	}
	for _, r := range t.R32 {
		if r.Stride == 1 {
			out = append(out, Range{rune(r.Lo), rune(r.Hi)})
			continue
		}
		for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
			out = append(out, Range{c, c})
		}
	}
	return NewSet(out...)
}

// Meets reports whether some code point from lo to hi is in the set.
func (s Set) Meets(lo, hi rune) bool {
	i, _ := slices.BinarySearchFunc(s, lo, func(r Range, lo rune) int { return int(r.Hi - lo) })
	return i < len(s) && s[i].Lo <= hi
}
