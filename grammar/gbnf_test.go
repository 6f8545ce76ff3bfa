package grammar

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGBNF(t *testing.T) {
	tests := map[string]struct {
		src      string
		yes, not []string
	}{
		"literals":  {`root ::= "yes" | "no"`, []string{"yes", "no"}, []string{"", "y", "yesno", "maybe"}},
		"classes":   {`root ::= [a-c]+ [^0-9\n]? "\x41é\u4e16"`, []string{"abcAé世", "a-Aé世", "aéAé世"}, []string{"aAé", "Aé世", "a1Aé世"}},
		"counts":    {`root ::= "a"{2} "b"{1,} "c"{0,2} "d"{0,1}`, []string{"aab", "aabbccd", "aabc"}, []string{"ab", "aabccc", "aabcdd"}},
		"groups":    {"root ::= (\"a\" |\n  \"b\" # a comment\n)* \"!\"\n\n# the end\n", []string{"!", "ab!", "bba!"}, []string{"", "c!"}},
		"recursion": {`root ::= "(" root ")" | "x"`, []string{"x", "(x)", "(((x)))"}, []string{"()", "(x", "x)"}},
		"arithmetic": {"root ::= (expr \"=\" ws term \"\\n\")+\nexpr ::= term ([-+*/] term)*\nterm ::= ident | num | \"(\" ws expr \")\" ws\nident ::= [a-z] [a-z0-9_]* ws\nnum ::= [0-9]+ ws\nws ::= [ \\t\\n]*",
			[]string{"1+2=3\n", "(a *b) -c = d\n1=1\n"}, []string{"1+=3\n", "1+2", "(1=2\n"}},
		"ambiguous":  {`root ::= "a" root "b" | "a" root "c" | ""`, []string{"", "ab", "aacb"}, []string{"a", "ba", "abb"}},
		"nullable":   {"root ::= a a a \"x\"\na ::= b?\nb ::= \"y\" | \"\"", []string{"x", "yx", "yyyx"}, []string{"yyyyx", "y"}},
		"any":        {`root ::= . "a" .`, []string{"xay", "日aé", "\na\n"}, []string{"a", "xa", "xayz"}},
		"empty":      {`root ::= ""`, []string{""}, []string{"a"}},
		"unused way": {"root ::= \"a\" | loop\nloop ::= \"b\" loop", []string{"a"}, []string{"b", "bb"}},
		"right":      {"root ::= \"a\" root | \"a\"", []string{"a", strings.Repeat("a", 5000)}, []string{"", "b"}},
	}
	for name, x := range tests {
		c, err := GBNF(x.src)
		require.NoError(t, err, name)
		for _, s := range x.yes {
			require.True(t, c.accepts(s), "%s: %.40q", name, s)
		}
		for _, s := range x.not {
			require.False(t, c.accepts(s), "%s: %.40q", name, s)
		}
	}
}

func TestGBNFFaults(t *testing.T) {
	for src, want := range map[string]string{
		``: "want a rule root", `a ::= "b"`: "want a rule root", `root ::= a`: "rule a is not defined", "root ::= \"a\"\nroot ::= \"b\"": "line 2: rule root is defined twice",
		`root ::= root "a" | "b"`: "left recursion", "root ::= a? root \"x\" | \"y\"\na ::= \"a\"": "left recursion", "root ::= a\na ::= b \"x\"\nb ::= \"\" a": "left recursion",
		`root ::= "a`: "end of a literal", `root ::= [a`: "end of a class", `root ::= ("a"`: "closing parenthesis", `root ::= *`: "nothing to repeat", `root "a"`: "want ::=",
		`root ::= "a"{2,1}`: "want a count", `root ::= "a"{1000000}`: "want counts up to", `root ::= ((("a"{1000}){1000}){1000}){1000}`: "more than", `root ::= "a" root`: "root has no texts",
		`root ::= "\q"`: "unknown escape", `root ::= <`: "want a token", `root ::= !"a"`: "exclamation mark", `root ::= "a" )`: "end of rule root", `root ::= []`: "no texts", "root ::= \"\\uD800\"": "code point",
	} {
		_, err := GBNF(src)
		require.ErrorContains(t, err, want, src)
		require.NotContains(t, err.Error(), "\n")
	}
}

// TestGBNFBounds holds the work on grammars made to cost much.
func TestGBNFBounds(t *testing.T) {
	began := processorTime()
	_, err := GBNF("root ::= " + strings.Repeat("(", 100_000) + `"a"` + strings.Repeat(")", 100_000))
	require.ErrorContains(t, err, "nested deeper")
	// A chain of rules in the worst order, a megabyte of alternatives, and much ambiguity.
	var b strings.Builder
	b.WriteString("root ::= r0\n")
	for i := range 20_000 {
		b.WriteString("r" + itoa(i) + " ::= r" + itoa(i+1) + "\n")
	}
	b.WriteString("r20000 ::= \"a\"\n")
	c, err := GBNF(b.String())
	require.NoError(t, err)
	require.True(t, c.accepts("a"))
	c, err = GBNF("root ::= " + strings.Repeat(`"abcdefgh" | `, 80_000) + `"z"`)
	if err == nil {
		require.True(t, c.accepts("z"))
	}
	c, err = GBNF("root ::= (s s?)*\ns ::= \"a\" s \"b\" | \"a\" s \"c\" | \"a\" s \"a\" | \"a\" | \"b\"")
	require.NoError(t, err)
	c.accepts(strings.Repeat("a", 300))
	require.Less(t, processorTime()-began, 20*time.Second)
}

func TestGBNFTokens(t *testing.T) {
	tok, v := vocabulary(t, "llama-bpe")
	eot, ok := tok.Lookup("<|start_header_id|>")
	require.True(t, ok)
	c, err := GBNF(`root ::= <|start_header_id|> "hi" !<|start_header_id|>* <[128007]>`)
	require.NoError(t, err)
	g, err := c.Grammar(v)
	require.NoError(t, err)
	m := g.NewMatcher()
	mask := newMask(v)
	m.Mask(mask)
	id, one := mask.Only()
	require.True(t, one)
	require.Equal(t, eot, id)
	require.NoError(t, m.Accept(eot))
	require.Error(t, m.Accept(eot))
	for _, id := range tok.Encode(nil, "hi", false, false) {
		m.Mask(mask)
		require.True(t, mask.Has(id))
		require.NoError(t, m.Accept(id))
	}
	m.Mask(mask)
	require.False(t, mask.Has(eot))
	require.True(t, mask.Has(128007))
	require.Greater(t, mask.Count(), 100_000)
	for _, id := range tok.Encode(nil, "anything", false, false) {
		require.NoError(t, m.Accept(id))
	}
	require.False(t, m.Done())
	require.NoError(t, m.Accept(128007))
	require.True(t, m.Done())

	c, err = GBNF(`root ::= <no such token>`)
	require.NoError(t, err)
	_, err = c.Grammar(v)
	require.ErrorContains(t, err, "the vocabulary has no token <no such token>")
	c, err = GBNF(`root ::= <[99999999]>`)
	require.NoError(t, err)
	_, err = c.Grammar(v)
	require.ErrorContains(t, err, "want a token below")
}

func TestRegex(t *testing.T) {
	for _, x := range []struct {
		src      string
		syntax   Syntax
		yes, not []string
	}{
		{`\d{3}-\d{4}`, RE2, []string{"123-4567"}, []string{"123-456", "x123-4567"}},
		{`(?i)yes|no`, RE2, []string{"yes", "NO"}, []string{"maybe"}},
		{`^a+$`, ECMA, []string{"a", "aaa"}, []string{"", "ab"}},
		{`[é世]+`, ECMA, []string{"é", "世é"}, []string{"e"}},
		{`\bfoo\b.*`, RE2, []string{"foo", "foo bar"}, []string{"foobar"}},
	} {
		c, err := Regex(x.src, x.syntax)
		require.NoError(t, err)
		for _, s := range x.yes {
			require.True(t, c.accepts(s), "%s: %q", x.src, s)
		}
		for _, s := range x.not {
			require.False(t, c.accepts(s), "%s: %q", x.src, s)
		}
	}
	_, err := Regex(`a\bb`, RE2)
	require.ErrorContains(t, err, "matches nothing")
	_, err = Regex(`(`, RE2)
	require.Error(t, err)
}
