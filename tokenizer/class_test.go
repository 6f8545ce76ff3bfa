package tokenizer

import (
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// TestClasses checks characters at the edges of the table, and those that are newer than the
// unicode package.
func TestClasses(t *testing.T) {
	for r, want := range map[rune]class{
		'a': letter | lower | asciiLower, 'Z': letter | upper | asciiUpper, 'ǅ': letter | upper, 'ª': letter | caseless, '世': letter | caseless | han,
		'7': number | digit, '½': number, 'Ⅷ': number | joiner, '٣': number | digit, '_': punct | joiner, '$': symbol, 'Ⓐ': symbol | joiner, '\u0301': mark | joiner,
		' ': space, '\n': space | newline | control, '\u0085': space | control, '\u3000': space, '\u200b': control, '\ue000': control, '\u0378': 0, '\ufffd': symbol, unicode.MaxRune: 0,
		// Unicode 15.1
		0x2EBF0: letter | caseless | han, 0x2EE5D: letter | caseless | han, 0x2EE5E: 0, 0x2FFC: symbol, 0x31EF: symbol,
		0x323AF: letter | caseless | han, lastDense - 1: 0, lastDense: 0, 0xE0041: control, 0xE0100: mark | joiner, 0x10FFFD: control, -1: 0,
	} {
		require.Equal(t, want, classOf(r), "%U", r)
	}
}

// TestClassesDense checks that the table says what the ranges say.
func TestClassesDense(t *testing.T) {
	for r := rune(0); r < lastDense; r++ {
		var want class
		for _, p := range properties {
			if unicode.Is(p.table, r) {
				want |= p.bits
			}
		}
		if got := classOf(r); got != want {
			t.Fatalf("%U: %b, want %b", r, got, want)
		}
	}
}
