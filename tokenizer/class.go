package tokenizer

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// class is the set of properties of a character that the patterns of pre-tokenisers ask for.
type class uint16

const (
	letter     class = 1 << iota // \p{L}
	mark                         // \p{M}
	number                       // \p{N}
	punct                        // \p{P}
	symbol                       // \p{S}
	space                        // \s: Unicode White_Space
	newline                      // carriage return and line feed only
	upper                        // \p{Lu}, \p{Lt}
	lower                        // \p{Ll}
	caseless                     // \p{Lm}, \p{Lo}
	asciiUpper                   // A-Z
	asciiLower                   // a-z
	han                          // \p{Han}
	digit                        // \p{Nd}
	control                      // \p{Cc}, \p{Cf}, \p{Co}, \p{Cs}: \p{C} without the unassigned
	// what \b counts as part of a word besides letters and digits: \p{M}, \p{Nl}, \p{Pc},
	// Other_Alphabetic
	joiner
)

// lastDense is where the dense table of classes ends: beyond are only tags, variation selectors and
// private planes.
const lastDense = 0x32400

// classes builds the table on first use: some 400 KB, filled from the ranges of the unicode package
// in well under a millisecond.
var classes = sync.OnceValue(func() []class {
	t := make([]class, lastDense)
	for _, p := range properties {
		fill := func(lo, hi, stride uint32) {
			for r := lo; r <= hi && r < lastDense; r += stride {
				t[r] |= p.bits
			}
		}
		for _, r := range p.table.R16 {
			fill(uint32(r.Lo), uint32(r.Hi), uint32(r.Stride))
		}
		for _, r := range p.table.R32 {
			fill(r.Lo, r.Hi, r.Stride)
		}
	}
	return t
})

var properties = []struct {
	table *unicode.RangeTable
	bits  class
}{
	{unicode.Lu, letter | upper},
	{unicode.Lt, letter | upper},
	{unicode.Ll, letter | lower},
	{unicode.Lm, letter | caseless},
	{unicode.Lo, letter | caseless},
	{unicode.M, mark | joiner},
	{unicode.Nl, joiner},
	{unicode.Other_Alphabetic, joiner},
	{unicode.N, number},
	{unicode.Nd, digit},
	{unicode.P, punct},
	{unicode.Pc, joiner},
	{unicode.S, symbol},
	{unicode.Cc, control}, // unicode.C has the unassigned too, since Go 1.25
	{unicode.Cf, control},
	{unicode.Co, control},
	{unicode.Cs, control},
	{unicode.White_Space, space},
	{unicode.Han, han},
	// What Unicode 15.1 added to 15.0, which the unicode package stands at.
	{&unicode.RangeTable{R32: []unicode.Range32{{Lo: 0x2EBF0, Hi: 0x2EE5D, Stride: 1}}}, letter | caseless | han},
	{&unicode.RangeTable{R16: []unicode.Range16{{Lo: 0x2FFC, Hi: 0x2FFF, Stride: 1}, {Lo: 0x31EF, Hi: 0x31EF, Stride: 1}}}, symbol},
	{&unicode.RangeTable{R16: []unicode.Range16{{Lo: '\n', Hi: '\n', Stride: 1}, {Lo: '\r', Hi: '\r', Stride: 1}}}, newline},
	{&unicode.RangeTable{R16: []unicode.Range16{{Lo: 'A', Hi: 'Z', Stride: 1}}}, asciiUpper},
	{&unicode.RangeTable{R16: []unicode.Range16{{Lo: 'a', Hi: 'z', Stride: 1}}}, asciiLower},
}

// classOf returns the properties of r.
func classOf(r rune) class {
	if r >= 0 && r < lastDense {
		return classes()[r]
	}
	var c class
	for _, p := range properties {
		if unicode.Is(p.table, r) {
			c |= p.bits
		}
	}
	return c
}

// at decodes the character at s[i:]; its size is 0 at the end of s.
func at(s string, i int) (r rune, c class, n int) {
	if i >= len(s) {
		return 0, 0, 0
	}
	r, n = rune(s[i]), 1
	if r >= utf8.RuneSelf {
		r, n = utf8.DecodeRuneInString(s[i:])
	}
	return r, classOf(r), n
}

// set is a set of characters, the [...] of a pattern: those with a property of any or inside
// ranges, except those with one of but; the complement if not is set.
type set struct {
	any, but class
	ranges   [][2]rune
	not      bool
}

func some(any class) set { return set{any: any} }
func none(any class) set { return set{any: any, not: true} }

// chars reads the inside of a bracket expression made of plain characters and ranges, such as
// "A-Za-z_".
func chars(spec string) [][2]rune {
	var out [][2]rune
	rs := []rune(spec)
	for i := 0; i < len(rs); i++ {
		lo, hi := rs[i], rs[i]
		if i+2 < len(rs) && rs[i+1] == '-' {
			hi = rs[i+2]
			i += 2
		}
		out = append(out, [2]rune{lo, hi})
	}
	return out
}

func (x *set) has(r rune, c class) bool {
	in := c&x.any != 0
	for i := 0; !in && i < len(x.ranges); i++ {
		in = x.ranges[i][0] <= r && r <= x.ranges[i][1]
	}
	return (in && c&x.but == 0) != x.not
}

// skip returns the end of the longest run of members of x in s from i on.
func (x *set) skip(s string, i int) int {
	for {
		r, c, n := at(s, i)
		if n == 0 || !x.has(r, c) {
			return i
		}
		i += n
	}
}
