package grammar

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestHostileSchemas holds the work on schemas made to cost much: an error or a constraint, within a
// budget of processor time and memory each.
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
