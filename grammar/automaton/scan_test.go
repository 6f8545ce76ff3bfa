package automaton

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// read follows p through text; the last result and what is in progress.
func read(text string) (Partial, rune, bool) {
	var p Partial
	r := rune(More)
	for i := range len(text) {
		if p, r = p.Step(text[i]); r == Wrong {
			return p, r, false
		}
	}
	return p, r, true
}

// TestSpans checks, for code points of every kind and each of their spellings, that every beginning
// can become the character.
func TestSpans(t *testing.T) {
	within := func(p Partial, r rune) bool {
		for _, s := range p.Spans() {
			if s.Lo <= r && r <= s.Hi {
				return true
			}
		}
		return false
	}
	for r := rune(1); r <= utf8.MaxRune; r += 997 {
		if r >= 0xd800 && r < 0xe000 {
			continue
		}
		spellings := []string{}
		if r >= 0x20 && r != '"' && r != '\\' {
			spellings = append(spellings, string(r))
		}
		if r < 0x10000 {
			spellings = append(spellings, fmt.Sprintf(`\u%04x`, r), fmt.Sprintf(`\u%04X`, r))
		} else {
			a, b := utf16.EncodeRune(r)
			spellings = append(spellings, fmt.Sprintf(`\u%04x\u%04x`, a, b))
		}
		for _, s := range spellings {
			for i := range len(s) {
				p, _, ok := read(s[:i])
				require.True(t, ok, "%s", s[:i])
				require.True(t, within(p, r), "%s of %U", s[:i], r)
			}
			_, got, ok := read(s)
			require.True(t, ok)
			require.Equal(t, r, got)
		}
	}
	for _, bad := range []string{"\x80", "\xc0", "\xc1", "\xe0\x80", "\xed\xa0", "\xf0\x80", "\xf4\x90", "\xf5", "\xc2a", `\x`, `\uD800x`, `\uD800\n`, `\udc`, `\uD800\u0`, `\uDFFF`, `\ug`, "\n", "\x1f"} {
		_, _, ok := read(bad)
		require.False(t, ok, "%q", bad)
	}
}

// TestScan compares with encoding/json: what it reads as a string, this does, but for halves of
// surrogate pairs and bytes that are not UTF-8, which it replaces.
func TestScan(t *testing.T) {
	for _, s := range []string{``, `a`, `\"`, `\\`, `é`, `\u00e9`, `\ud83d\ude00`, `a\tb`, `\q`, "a\tb", `\u12`, `\ud83d`, "\xff", `\/`} {
		var out string
		err := json.Unmarshal([]byte(`"`+s+`"`), &out)
		end, _, ok := scanString([]byte(s + `"`))
		want := err == nil && !strings.ContainsRune(out, utf8.RuneError)
		require.Equal(t, want, ok && end == len(s)+1, s)
	}
}

// TestPlain checks that a beginning and what Plain makes of it go on equally.
func TestPlain(t *testing.T) {
	seen := map[[2]Partial]bool{}
	var same func(p, q Partial)
	same = func(p, q Partial) {
		if seen[[2]Partial{p, q}] {
			return
		}
		seen[[2]Partial{p, q}] = true
		for b := range 256 {
			p1, r := p.Step(byte(b))
			q1, s := q.Step(byte(b))
			if min(r, 0) != min(s, 0) {
				t.Fatalf("%v and %v on %x: %d and %d", p, q, b, r, s)
			}
			if r == More {
				if len(seen) < 1_000 {
					same(p1, q1)
				}
				same(p1, p1.Plain())
			}
		}
	}
	same(Partial{}, Partial{})
	require.Greater(t, len(seen), 500)
}
