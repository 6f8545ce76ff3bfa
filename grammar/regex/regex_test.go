package regex

import (
	"regexp"
	"testing"

	"github.com/dlclark/regexp2"
	"github.com/stretchr/testify/require"
)

// accepts walks the automaton of l and checks on the way that a live state is one from which the
// rest leads on.
func accepts(t *testing.T, s *Space, l *Language, text string) bool {
	st := s.DFA(l).Start
	for _, r := range text {
		st = st.Step(st.DFA.Class(r))
	}
	require.Equal(t, s.Match(l, text), st.Accept, text)
	if st.Accept {
		require.True(t, st.Live())
	}
	return st.Accept
}

var texts = []string{"", "a", "b", "ab", "ba", "abc", "aab", "aabb", "foo", "foobar", "bar", "a-b", "a b", "\n", "a\n", "a\nb", "A", "Ab", "1", "12", "123", "1234", "a1", "_", "é", "世界",
	"a.b", "x-1", "2020-01-01", "foo bar", "foo.bar", "aaaa", "aaaaa", "\u2028", "\t", "-", "\\", "/", "ab12", "日", "\U0001F600", "aXb", "abab", "ababab", "K"}

var patterns = []string{``, `a`, `^a`, `a$`, `^a$`, `^a|b$`, `(^a)|(b$)`, `(^a|b)$`, `^(a|b)*$`, `^(?:ab)+$`, `^[a-z]{2,3}$`, `^[^a-z]*$`, `^(a*)*$`, `^(a*b*)*c?$`, `^(?!foo)[a-z]+$`,
	`^(?=.*\d)(?=.*[a-z]).*$`, `^((?!ab).)*$`, `\bfoo\b`, `^\w+$`, `\W`, `^\S+\s\S+$`, `^(a|ab)(c|bcd)*$`, `^.{2}$`, `^.$`, `^\d{3,}$`, `(a?){3}b`, `^(a{1,2}){2}$`, `^[\w.-]+$`, `^\p{L}+$`,
	`^(?=a)a`, `a(?!b)`, `a(?=b)b`, `^$`, `$^`, `^(foo|bar|)$`, `^\d{4}-\d{2}-\d{2}$`, `\Ba`, `^a\b.b$`, `^[\d\-]+$`, `^(?:(?:a|b)c?)*$`, `^\u0061$`, `^[^]$`, `^(?!.*(?:a.*){3}).+$`, `x*`, `^x*$`, `^(|a)+$`}

func TestECMA(t *testing.T) {
	for _, src := range patterns {
		p, err := ParseECMA(src)
		require.NoError(t, err, src)
		s := NewSpace()
		l := s.Pattern(Search(p))
		want := regexp2.MustCompile(src, regexp2.ECMAScript|regexp2.Unicode)
		if src == `^\p{L}+$` || src == `^[^]$` {
			continue
		}
		for _, text := range texts {
			m, err := want.MatchString(text)
			require.NoError(t, err)
			if text == "a\n" || text == "\n" || text == "\u2028" {
				// regexp2 lets $ match before a line break at the end, and its dot U+2028.
				continue
			}
			require.Equal(t, m, accepts(t, s, l, text), "%s on %q", src, text)
			require.Equal(t, !m, accepts(t, s, s.Not(l), text), "not %s on %q", src, text)
		}
	}
}

func TestRE2(t *testing.T) {
	for _, src := range append([]string{`(?i)abc|k`, `(?s)a.b`, `(?m)^b$`, `(?m)a$`, `\Aa\z`, `[[:alpha:]]+`, `\pL`}, patterns...) {
		want, err := regexp.Compile(src)
		p, err2 := ParseRE2(src)
		require.Equal(t, err != nil, err2 != nil, src)
		if err != nil {
			continue
		}
		s := NewSpace()
		l := s.Pattern(Search(p))
		for _, text := range texts {
			require.Equal(t, want.MatchString(text), accepts(t, s, l, text), "%s on %q", src, text)
		}
	}
}

func TestRefused(t *testing.T) {
	for src, want := range map[string]string{`(`: "parenthesis", `(?<=a)b`: "lookbehind", `(a)\1`: "back reference", `a**`: "nothing to repeat", `[b-a]`: "rising range",
		`a{2,1}`: "rising counts", `\`: "backslash", `[a`: "end of a class", `a)`: "want the end", `\p{Nope}`: "unknown property", `\ud800`: "surrogate", `(?x)`: "kind of group", `^*`: "assertion"} {
		_, err := ParseECMA(src)
		require.ErrorContains(t, err, want, src)
	}
}

func TestAlgebra(t *testing.T) {
	s := NewSpace()
	pattern := func(src string) *Language {
		p, err := ParseECMA(src)
		require.NoError(t, err)
		return s.Pattern(Search(p))
	}
	require.True(t, s.Empty(s.And(pattern(`^a+$`), pattern(`^b+$`))))
	require.False(t, s.Empty(s.And(pattern(`^a+`), pattern(`b$`))))
	require.True(t, s.Empty(s.And(pattern(`^a{3}$`), s.Length(4, -1))))
	require.Equal(t, s.Words("aaa"), s.And(s.Words("a", "aaa", "b"), pattern(`^a+$`), s.Length(2, -1)))
	require.Equal(t, s.Fail, s.And(s.Words("a"), s.Not(s.Words("a"))))
	a := pattern(`a`)
	require.Equal(t, s.All, s.Or(a, s.Not(a)))
	require.Equal(t, s.Fail, s.And(a, s.Not(a)))
	require.Equal(t, s.Length(3, 5), s.And(s.Length(3, 9), s.Length(0, 5)))

	words, ok := s.DFA(pattern(`^(foo|ba[rz])$`)).Start.Enumerate(10)
	require.True(t, ok)
	require.ElementsMatch(t, []string{"foo", "bar", "baz"}, words)
	require.Equal(t, Many, s.DFA(pattern(`^a`)).Start.Count())
	require.Equal(t, 100, s.DFA(pattern(`^\d\d$`)).Start.Count())
	require.Equal(t, Many, s.DFA(pattern(`^a*$`)).Start.Count())
}
