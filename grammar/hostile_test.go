package grammar

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/grammar/automaton"
	"github.com/goinfer/goinfer/sample"
)

// TestHostileSchemas holds the work on schemas made to cost much: an error or a constraint, within
// a budget of processor time and memory each.
func TestHostileSchemas(t *testing.T) {
	deep := func(open, inner, close string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(close, n)
	}
	many := func(n int, f string) string {
		var parts []string
		for i := range n {
			parts = append(parts, strings.ReplaceAll(f, "#N", fmt.Sprint(i)))
		}
		return strings.Join(parts, ",")
	}
	doubling := `{"$ref":"#/$defs/d0","$defs":{` + many(60, `"d#N":{"anyOf":[{"properties":{"a#N":{"$ref":"#/$defs/e#N"}}},{"properties":{"b#N":{"$ref":"#/$defs/e#N"}}}]},"e#N":{"type":"string"}`) + `}}`
	tests := map[string]struct {
		src string
		err string // "*": any error or none
	}{
		"nesting of arrays":     {deep("[", "", "]", 100_000), "nested deeper"},
		"nesting of items":      {deep(`{"items":`, "{}", "}", 100_000), "nested deeper"},
		"nesting of not":        {deep(`{"not":`, "{}", "}", 900), "*"},
		"nesting of properties": {deep(`{"properties":{"a":`, "{}", "}}", 400), ""},
		"nothing":               {`{"allOf":[{"type":"string"},{"type":"number"}]}`, "no value satisfies"},
		"false":                 {`false`, "no value satisfies"},
		"not a schema":          {`[]`, "want a schema"},
		"not JSON":              {`{`, "not JSON"},
		"endless":               {`{"$ref":"#"}`, "refers to itself"},
		"endless through two":   {`{"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"anyOf":[{"$ref":"#"}]}}}`, "refers to itself"},
		"must contain itself":   {`{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`, "no value satisfies"},
		"tree":                  {`{"type":"object","properties":{"a":{"$ref":"#"}}}`, ""},
		"dependencies":          {`{"dependentSchemas":{` + many(40, `"k#N":{"required":["l#N"]}`) + `}}`, "*"},
		"any of required":       {`{"allOf":[` + many(30, `{"anyOf":[{"required":["a#N"]},{"required":["b#N"]}]}`) + `]}`, "*"},
		"one of much":           {`{"oneOf":[` + many(150, `{"properties":{"a#N":{"type":"string"},"b":{"minLength":#N}}}`) + `]}`, "*"},
		"not of much":           {`{"not":{"anyOf":[` + many(40, `{"properties":{"a#N":{"type":"string"},"b#N":{"type":"string"}}}`) + `]}}`, "*"},
		"patterns":              {`{"patternProperties":{` + many(60, `"#N":{"type":"string"}`) + `}}`, "*"},
		"doubling":              {doubling, ""},
		"large counts":          {`{"minItems":1000000000,"items":{"type":"string","minLength":1000000000,"maxLength":1000000001}}`, ""},
		"huge numbers":          {`{"minimum":1e99999,"maximum":1e99999,"multipleOf":1e-99999}`, "*"},
		"beyond numbers":        {`{"minimum":1e999999999}`, "exponent"},
		"regular expression":    {`{"pattern":"^((a{1,100}){1,100}){1,100}$"}`, "*"},
		"intersected patterns":  {`{"allOf":[` + many(12, `{"pattern":"(a|b){#N}c.{20}$"}`) + `]}`, "*"},
		"bad pattern":           {`{"properties":{"x":{"pattern":"("}}}`, "/properties/x/pattern"},
		"deep pattern":          {`{"pattern":"` + strings.Repeat("(", 100_000) + `"}`, "nested deeper"},
		"a megabyte of names":   {`{"properties":{` + many(30_000, `"name#N":{"type":"string"}`) + `}}`, ""},
		"a megabyte of enum":    {`{"enum":[` + many(60_000, `"value #N"`) + `]}`, ""},
		"a megabyte of numbers": {`{"enum":[` + many(100_000, `#N`) + `]}`, "*"},
		"unique":                {`{"items":{"enum":[` + many(90, `#N`) + `]},"uniqueItems":true}`, ""},
		"counted items":         {`{"contains":{"const":1},"minContains":5000,"maxContains":9000}`, "*"},
	}
	for name, x := range tests {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := processorTime()
			runtime.LockOSThread()
			c, err := Schema([]byte(x.src), Options{})
			if err == nil {
				c.Check(`{"name1": "x", "a": [1, 2, {"b": "`)
				c.Check(`"aaaaaaaaaaaaaaaaaaaaaaaaaa`)
			}
			took := processorTime() - began
			runtime.UnlockOSThread()
			runtime.ReadMemStats(&after)
			require.Less(t, took, 10*time.Second, name)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(3<<30), name)
			switch x.err {
			case "*":
			case "":
				require.NoError(t, err, name)
			default:
				require.ErrorContains(t, err, x.err, name)
				require.Less(t, len(err.Error()), 500)
			}
			if took > time.Second {
				t.Logf("%s: %v, %d MB, %v", name, took, (after.TotalAlloc-before.TotalAlloc)>>20, err)
			}
		})
	}
}

// TestHostileMasks holds the work on masks, and the memory of all that is kept: of objects with
// many keys, of numbers with many digits, of characters of many kinds.
func TestHostileMasks(t *testing.T) {
	tokens, v := newFewTokens(), NewVocabulary(newFewTokens())
	var properties, letters, all strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&properties, `,"name%d":{"type":"string"}`, i)
	}
	for r := rune(0x3400); r < 0x3400+20_000; r++ {
		fmt.Fprintf(&letters, `,"%c"`, r)
	}
	for r := rune(0x3400); r < 0x3400+2_000; r++ {
		fmt.Fprintf(&all, `,{"pattern":"^[^%c]"}`, r)
	}
	names := properties.String()[1:]
	key := strings.Repeat("k", 10_000)
	for name, x := range map[string]struct {
		src, text string
		opts      Options
	}{
		"properties":        {`{"type":"object","properties":{` + names + `}}`, `{"name17": "x", "name2`, Options{}},
		"in any order":      {`{"type":"object","properties":{` + names + `}}`, `{"name17": "x", "name2`, Options{AnyOrder: true}},
		"none but these":    {`{"type":"object","properties":{` + names + `},"additionalProperties":false,"minProperties":5}`, `{"name29995": "`, Options{}},
		"required":          {`{"type":"object","properties":{` + names + `},"required":["name29999","name5"]}`, `{"name1": "x", "name5": "`, Options{}},
		"alternatives":      {`{"allOf":[{"properties":{` + names + `}},{"anyOf":[` + strings.Repeat(`{"required":["name1"]},{"required":["x"]},`, 400) + `{}]}]}`, `{"name1`, Options{}},
		"many requirements": {`{"allOf":[{"properties":{` + names + `}},{"anyOf":[` + manyRequired(900) + `]}]}`, `{"name1`, Options{}},
		"long keys":         {strings.Repeat(`{"`+key+`":`, 100) + "1" + strings.Repeat("}", 100), "1", Options{}},
		"kinds of letters":  {`{"enum":["x"` + letters.String() + `]}`, `"`, Options{}},
		"kinds of sets":     {`{"allOf":[{}` + all.String() + `]}`, `"`, Options{}},
		"digits":            {`{"multipleOf":` + strings.Repeat("7", 399) + `}`, "7", Options{}},
		"far bounds":        {`{"type":"integer","minimum":1e90000}`, "12345678901234567890", Options{}},
		"near bounds":       {`{"exclusiveMinimum":1e-90000,"maximum":2e-90000}`, "0.000000", Options{}},
		"long lists":        {`{"not":{"const":[` + strings.Repeat("1,", 20_000) + `1]}}`, "[1,1,1", Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			if os.Getenv("GOINFER_LONG") == "" && (name == "kinds of sets" || name == "many requirements" || name == "in any order") {
				t.Skip("set GOINFER_LONG for what takes seconds")
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			began := processorTime()
			c, err := Schema([]byte(x.src), x.opts)
			if err != nil {
				require.Less(t, len(err.Error()), 2000)
			} else {
				g, err := c.Grammar(v)
				require.NoError(t, err)
				m, mask := g.NewMatcher(), sample.NewBitset(tokens.Size())
				for i := range len(x.text) {
					m.Mask(mask)
					require.True(t, mask.Has(int32(x.text[i])), "%s after %s", x.text[i:], x.text[:i])
					require.NoError(t, m.Accept(int32(x.text[i])))
				}
				m.Mask(mask)
			}
			took := processorTime() - began
			runtime.GC()
			runtime.ReadMemStats(&after)
			t.Logf("%v, %d MB made, %d MB kept, %.200v", took, (after.TotalAlloc-before.TotalAlloc)>>20, (int64(after.HeapAlloc)-int64(before.HeapAlloc))>>20, err)
			require.Less(t, took, 5*time.Second)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<30))
			runtime.KeepAlive(c)
		})
	}
}

func manyRequired(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf(`{"required":["name%d"]}`, i))
	}
	return strings.Join(parts, ",")
}

// TestForgetting walks a constraint until its states are forgotten, while a text is being read.
func TestForgetting(t *testing.T) {
	for name, make := range map[string]func() (*Constraint, error){
		"schema":     func() (*Constraint, error) { return Schema([]byte(`{"pattern":"^(?=.*a.{12}$)[ab]*$"}`), Options{}) },
		"expression": func() (*Constraint, error) { return Regex(`"[ab]*a[ab]{12}"`, RE2) },
		"grammar":    func() (*Constraint, error) { return GBNF("root ::= \"\\\"\" [ab]* \"a\" [ab]{12} \"\\\"\"") },
	} {
		c, err := make()
		require.NoError(t, err, name)
		half := c.start()
		const text = `"abbaabababbbabaabbb`
		read := func(at automaton.Config, s string) (automaton.Config, bool) {
			for i := range len(s) {
				var ok bool
				if at, ok = at.Step(s[i]); !ok {
					return at, false
				}
			}
			return at, true
		}
		half, ok := read(half, text[:10])
		require.True(t, ok, name)
		c.forget()
		whole, ok := read(half, text[10:])
		require.True(t, ok, name)
		for _, end := range []string{`aabbabababbab"`, `aabbabababbaba"`, `bbbbbbbbbbbbb"`} {
			at, ok := read(whole, end)
			_, complete := c.Check(text + end)
			require.Equal(t, complete, ok && at.Done(), "%s: %s", name, end)
			c.forget()
		}
	}
}

// TestDeepTexts reads texts nested to 10⁵.
func TestDeepTexts(t *testing.T) {
	const n = 100_000
	require.True(t, JSON(Options{Whitespace: Flexible}).accepts(strings.Repeat("[", n)+strings.Repeat("]", n)))
	c, err := Schema([]byte(`{"properties":{"a":{"$ref":"#"}},"type":"object"}`), Options{Whitespace: None})
	require.NoError(t, err)
	require.True(t, c.accepts(strings.Repeat(`{"a":`, n)+"{}"+strings.Repeat("}", n)))
	c, err = GBNF(`root ::= "(" root ")" | "x"`)
	require.NoError(t, err)
	require.True(t, c.accepts(strings.Repeat("(", n)+"x"+strings.Repeat(")", n)))
}
