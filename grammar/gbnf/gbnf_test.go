package gbnf

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/grammar/automaton"
)

func machine(t *testing.T, src string) *Machine {
	g, err := Parse(src)
	require.NoError(t, err, src)
	m, err := NewMachine(g, func(s string) (int32, bool) { return int32(len(s)), true }, 100)
	require.NoError(t, err, src)
	return m
}

// read reports how far a text is read, and whether it is complete then.
func read(m *Machine, text string) (n int, complete bool) {
	at := m.Start()
	for i := range len(text) {
		next, ok := at.Step(text[i])
		if !ok {
			return i, false
		}
		at = next
	}
	return len(text), at.Done()
}

// examples are grammars with the constructs of those that llama.cpp has in its folder grammars:
// lists of lines, moves of chess, arithmetic, letters of a script, JSON, a language with
// statements.
var examples = map[string]struct {
	src     string
	yes, no []string
}{
	"lines": {`
root ::= line+
# neither kind of line break
line ::= "* " [^\r\n\x0b\x85\u2028]+ "\n"`,
		[]string{"* a\n", "* a\n* b c\n", "* é世\n"}, []string{"", "* \n", "* a\r\n", "* a\u2028\n", "* a\u0085\n", "* a"}},
	"chess": {`
root   ::= "1. " ply " " ply "\n" ([1-9] [0-9]? ". " ply " " ply "\n")*   # numbered
ply    ::= (pawn | piece | castle) [+#]?
piece  ::= [NBRQK] [a-h]? [1-8]? "x"? [a-h] [1-8]
pawn   ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBRQ])?
castle ::= "O-O" "-O"?`,
		[]string{"1. e4 e5\n", "1. Nbd7 exd6\n12. O-O-O Qh5+\n", "1. a8=Q# Raxb1\n"}, []string{"1. e4\n", "1. e9 e5\n", "2. e4 e5\n", "1. e4 e5\n0. d4 d5\n", "1. O-O-O-O e5\n"}},
	"arithmetic": {`
root ::= (sum "=" ws atom "\n")+
sum  ::= atom ([-+*/] atom)*
atom ::= name | num | "(" ws sum ")" ws
name ::= [a-z] [a-z0-9_]* ws
num  ::= [0-9]+ ws
ws   ::= [ \t\n]*`,
		[]string{"1=1\n", "(a_1 +2)*3 = x\n", "((1))=2\n4 -5=6\n"}, []string{"1+=2\n", "(1=2\n", "=1\n", "1=A\n"}},
	"script": {"root ::= letter+ ([ \\t\\n] letter+)*\nletter ::= kana | han | mark\nkana ::= [ぁ-ゖ] | [ァ-ヺ]\nhan ::= [一-鿿]\nmark ::= [、-〾ー]",
		[]string{"こんにちは", "カタカナ 世界、\nは"}, []string{"", "a", "こ  こ", " こ", "é"}},
	"JSON": {`
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4})
  )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [1-9] [0-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}`,
		[]string{`{}`, `{"a": [1, -2.5e+10, "x\né"], "b": {"c":null}}`, "{\n  \"k\": true\n}\n"}, []string{`[]`, `{"a":}`, `{"a":1,}`, `{"a":01}`, `{"a":"\x"}`, "{\"a\":\"\t\"}"}},
	"statements": {`
root ::= (type name "(" (type name)? ")" "{" stmt* "}")*
type ::= "int" ws | "char" ws
name ::= [a-zA-Z_] [a-zA-Z_0-9]*
stmt ::=
    ( type name ws "=" ws expr ";" ) |
    ( "while" "(" cond ")" "{" stmt* "}" ) |
    ( "if" "(" cond ")" "{" stmt* "}" ("else" "{" stmt* "}")? ) |
    ( "//" [^\n]* "\n" ) |
    ( "/*" ( [^*] | ("*" [^/]) )* "*/" )
cond ::= expr ("<=" | "<" | "==") expr
expr ::= term (("+" | "-") term)*
term ::= fact (("*" | "/") fact)*
fact ::= name | [0-9]+ | "-" fact | "(" ws expr ws ")"
ws ::= ([ \t\n]+)`,
		[]string{"", "int f(){}", "int f(char x){int y = 1+2*-3;while(x<y){if(a==b){}else{/* a * b */}}// end\n}char g(){}"}, []string{"int f({}", "int f(){x}", "int f(){int y=1;}"}},
}

func TestExamples(t *testing.T) {
	for name, x := range examples {
		m := machine(t, x.src)
		for _, s := range x.yes {
			n, complete := read(m, s)
			require.True(t, complete, "%s: %q: %d", name, s, n)
		}
		for _, s := range x.no {
			_, complete := read(m, s)
			require.False(t, complete, "%s: %q", name, s)
		}
	}
}

func TestNotation(t *testing.T) {
	for src, x := range map[string]struct{ yes, no []string }{
		`root ::= [\-\]^"]+`:                                 {[]string{`-]^"`}, []string{"a", `\`}},
		`root ::= [^\]]`:                                     {[]string{"a", "^", "é"}, []string{"]", ""}},
		`root ::= [a-]`:                                      {[]string{"a", "-"}, []string{"b"}},
		`root ::= "\t\r\n\\\"\[\]"`:                          {[]string{"\t\r\n\\\"[]"}, nil},
		`root ::= "\U0001F600\u00e9\x41"`:                    {[]string{"\U0001F600éA"}, []string{"😀"}},
		"root ::= a\r\na ::= \"x\" | # none\r\n\"y\"":        {[]string{"x", "y"}, []string{"z"}},
		"root ::=\n\n# first\n  \"a\" |\n  \"b\"\n":          {[]string{"a", "b"}, []string{"ab"}},
		`root ::= ("a"*)* "b"?+`:                             {[]string{"", "aab", "bb"}, []string{"ba"}},
		`root ::= "a"{0} "b"{ 2 , 3 }`:                       {[]string{"bb", "bbb"}, []string{"b", "abb", "bbbb"}},
		`root ::= (("" | a)* "c")+` + "\na ::= \"\" | \"x\"": {[]string{"c", "xxcxc"}, []string{"", "x"}},
		`root ::= . . .`:                                     {[]string{"a\n世"}, []string{"ab", "\xff\xff\xff"}},
		`a-1_B ::= "x"` + "\nroot ::= a-1_B":                 {[]string{"x"}, nil},
	} {
		m := machine(t, src)
		for _, s := range x.yes {
			n, complete := read(m, s)
			require.True(t, complete, "%s: %q: %d", src, s, n)
		}
		for _, s := range x.no {
			_, complete := read(m, s)
			require.False(t, complete, "%s: %q", src, s)
		}
	}
}

// TestDeadEnds has no state from which nothing leads to the end.
func TestDeadEnds(t *testing.T) {
	for src, x := range map[string]struct {
		text string
		n    int
	}{
		"root ::= \"a\" loop | \"ab\"\nloop ::= \"x\" loop":                        {"ax", 1},
		`root ::= "a" [] "b" | "c"`:                                                {"a", 0},
		"root ::= (\"a\" none)? \"b\"\nnone ::= none2 \"x\"\nnone2 ::= \"y\" none": {"ay", 0},
	} {
		n, _ := read(machine(t, src), x.text)
		require.Equal(t, x.n, n, src)
	}
}

// TestStatesMeet has ambiguous and nested grammars go through few states.
func TestStatesMeet(t *testing.T) {
	for _, src := range []string{
		"root ::= s\ns ::= \"a\" s? s? | \"a\"",
		"root ::= (\"a\" | \"aa\" | \"aaa\")*",
		"root ::= \"a\" root \"b\" | \"a\" root | \"\"",
	} {
		m := machine(t, src)
		n, complete := read(m, strings.Repeat("a", 200))
		require.Equal(t, 200, n)
		require.True(t, complete)
		require.Less(t, len(m.states), 1000, src)
		require.Less(t, len(m.frames), 1000, src)
	}
}

// TestForget goes on from a state after all others were forgotten, beside new ones.
func TestForget(t *testing.T) {
	m := machine(t, "root ::= \"(\" (root | \"é\") \")\" | \"[\" root \"]\" | \"x\"")
	at := m.Start()
	for _, b := range []byte("([(\xc3") {
		var ok bool
		at, ok = at.Step(b)
		require.True(t, ok)
	}
	m.Forget()
	_, complete := read(m, "[[(é)]]")
	require.True(t, complete)
	for _, b := range []byte("\xa9)])") {
		var ok bool
		at, ok = at.Step(b)
		require.True(t, ok)
	}
	require.True(t, at.Done())
}

func TestTokens(t *testing.T) {
	// <ab> has id 4, the length of its spelling.
	m := machine(t, "root ::= <ab> \"x\"? !<[7]> | \"xyz\"")
	token := func(c automaton.Config, id int32, text string) automaton.Config {
		next, ok := c.Token(id, []byte(text))
		require.True(t, ok, "%d %q", id, text)
		return next
	}
	start := m.Start()
	require.Equal(t, []automaton.Tokens{{IDs: []int32{4}}}, start.Top.Tokens)
	_, ok := start.Token(5, nil)
	require.False(t, ok)
	require.True(t, token(start, 9, "xyz").Done())
	named := token(start, 4, "")
	require.True(t, token(named, 8, "anything").Done())
	_, ok = named.Token(7, []byte("anything"))
	require.False(t, ok)
	// A token can be text and be named at once.
	both := token(named, 9, "x")
	require.True(t, both.Done())
	require.True(t, token(both, 8, "").Done())
}

func TestBounds(t *testing.T) {
	for name, src := range map[string]string{
		"nested":   "root ::= " + strings.Repeat("(", 100_000) + `"a"` + strings.Repeat(")", 100_000),
		"written":  `root ::= ((("a"{1000}){1000}){1000}){1000}`,
		"literal":  `root ::= "` + strings.Repeat("a", 1_000_000) + `"`,
		"classes":  `root ::= ` + strings.Repeat("[a]", 600_000),
		"deep":     "root ::= " + strings.Repeat(`"a"+`, 1) + strings.Repeat("*", 600_000),
		"recursed": "root ::= a\na ::= b\nb ::= c? a",
	} {
		_, err := Parse(src)
		require.Error(t, err, name)
		require.Less(t, len(err.Error()), 300, name)
	}
}
