package grammar

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// edges are values at the edges of what each keyword says, by draft.
var edges = []struct {
	src     string
	opts    Options
	yes, no []string
}{
	{`{"$schema":"http://json-schema.org/draft-07/schema#","$ref":"#/definitions/a","type":"string","definitions":{"a":{"type":"integer"}}}`, Options{},
		[]string{`1`}, []string{`"a"`}},
	{`{"$schema":"https://json-schema.org/draft/2019-09/schema","$ref":"#/$defs/a","maximum":5,"$defs":{"a":{"type":"integer"}}}`, Options{},
		[]string{`1`}, []string{`9`}},
	{`{"$ref":"#/definitions/a","maximum":5,"definitions":{"a":{"type":"integer"}}}`, Options{},
		[]string{`1`}, []string{`9`}},
	{`{"$schema":"http://json-schema.org/draft-04/schema#","const":1,"minimum":3,"exclusiveMinimum":true,"type":"integer"}`, Options{},
		[]string{`4`}, []string{`3`, `4.0`}},
	{`{"multipleOf":0.01}`, Options{},
		[]string{`0.01`, `1.23`, `-0`, `-0.00`, `19.99`, `4.35`, `0.010000`}, []string{`1.234`, `1e2`, `1e-2`, `0e0`}},
	{`{"multipleOf":1e-2,"minimum":0.005,"maximum":1e2}`, Options{},
		[]string{`0.01`, `100`, `100.000`}, []string{`0`, `100.01`, `0.0`}},
	{`{"const":1e400}`, Options{},
		[]string{`1e400`, `10e399`, `1E+400`, `0.1e401`}, []string{`1e399`}},
	{`{"const":-0.0}`, Options{},
		[]string{`0`, `-0`, `0.0`, `0e5`, `-0E-7`}, []string{`1`}},
	{`{"enum":[1.50]}`, Options{},
		[]string{`1.5`, `1.50`, `15e-1`, `0.15e1`}, []string{`1.51`}},
	{`{"minimum":1e400}`, Options{},
		[]string{`1e400`, `1e401`}, []string{`9e399`}},
	{`{"exclusiveMaximum":1e-400,"exclusiveMinimum":0}`, Options{},
		[]string{`1e-401`}, []string{`1e-400`, `0`}},
	{`{"type":"integer","minimum":-5,"maximum":-5}`, Options{},
		[]string{`-5`, `-5.0`}, []string{`5`}},
	{`{"type":"integer","multipleOf":0.3}`, Options{},
		[]string{`3`, `-6`, `0`, `3.0`}, []string{`1`}},
	{`{"multipleOf":7,"minimum":100}`, Options{},
		[]string{`105`, `112.0`, `10500000000000000000000000000000000000000`}, []string{`100`, `7`}},
	{`{"properties":{"\u00e9":{"type":"integer"},"\ud83d\ude00":{"type":"null"}},"additionalProperties":false}`, Options{Whitespace: Flexible},
		[]string{`{"é":1}`, `{"\u00e9":1}`, `{"\u00E9":1,"\uD83D\uDE00":null}`, `{"😀":null}`}, []string{`{"é":1,"\u00e9":2}`, `{"\ud83d":null}`, `{"😀":1}`}},
	{`{"additionalProperties":{"type":"integer"}}`, Options{Whitespace: Flexible},
		[]string{`{"a":1,"b":2}`}, []string{`{"a":1,"\u0061":2}`, `{"\/":1,"/":1}`, `{"\n":1,"\u000a":1}`, `{"":1,"":2}`, `{"a":{"a":1}}`}},
	{`{"minLength":2,"maxLength":2}`, Options{},
		[]string{`"😀😀"`, `"\ud83d\ude00\ud83d\ude00"`, `"\u00e9x"`, `"e\u0301"`}, []string{`"é"`, `"😀"`, `"😀😀😀"`}},
	{`{"pattern":"^\\ud83d\\ude00$"}`, Options{},
		[]string{`"😀"`, `"\ud83d\ude00"`}, []string{`"x"`}},
	{`{"pattern":"^.$"}`, Options{},
		[]string{`"😀"`, `"x"`}, []string{`"\n"`, `"\u2028"`}},
	{`{"patternProperties":{"^a":{"minimum":1},"z$":{"maximum":5},"^.z":{"multipleOf":2}},"additionalProperties":false}`, Options{Whitespace: Flexible},
		[]string{`{"az":2}`, `{"a":7}`, `{"bz":4}`, `{"xxz":3}`}, []string{`{"az":3}`, `{"az":0}`, `{"bz":3}`, `{"b":1}`}},
	{`{"properties":{"a":{"type":"string"}},"patternProperties":{"a":{"minLength":2}},"additionalProperties":false}`, Options{},
		[]string{`{"a": "xy"}`, `{"ba": 1}`}, []string{`{"a": "x"}`, `{"b": 1}`}},
	{`{"allOf":[{"properties":{"a":{}},"additionalProperties":false},{"properties":{"b":{}},"additionalProperties":false}]}`, Options{},
		[]string{`{}`, `1`}, []string{`{"a": 1}`, `{"b": 1}`}},
	{`{"allOf":[{"properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"string"}}],"properties":{"b":{"minLength":1}},"required":["b"]}`, Options{Whitespace: Flexible, AnyOrder: true},
		[]string{`{"b":"x","a":1}`, `{"b":"x","c":"y"}`}, []string{`{"b":""}`, `{"b":1}`, `{"b":"x","c":1}`}},
	{`{"dependencies":{"a":["b"],"c":{"required":["d"]}}}`, Options{Whitespace: Flexible, AnyOrder: true},
		[]string{`{"b":1,"a":1}`, `{"d":0,"c":1}`}, []string{`{"a":1}`, `{"c":1}`}},
	{`{"items":[{"type":"integer"}],"additionalItems":false}`, Options{},
		[]string{`[]`, `[1]`}, []string{`[1, 2]`}},
	{`{"prefixItems":[{"type":"integer"}],"items":false,"minItems":1}`, Options{},
		[]string{`[1]`}, []string{`[]`, `[1, 2]`, `["a"]`}},
	{`{"contains":{"type":"integer"},"minContains":0}`, Options{},
		[]string{`[]`, `["a"]`}, []string{}},
	{`{"contains":{"type":"integer"},"minContains":2,"maxContains":3}`, Options{Whitespace: Flexible},
		[]string{`[1,"a",2]`, `[1,2,3]`, `[1,2,3,"x"]`}, []string{`[1]`, `[1,2,3,4]`}},
	{`{"propertyNames":{"enum":["a","b"]},"minProperties":2}`, Options{Whitespace: Flexible},
		[]string{`{"a":1,"b":2}`, `{"b":1,"a":2}`}, []string{`{"a":1}`, `{"a":1,"c":1}`}},
	{`{"propertyNames":{"const":"\u0000"}}`, Options{},
		[]string{`{}`, `{"\u0000": 1}`}, []string{}},
	{`{"format":"date"}`, Options{},
		[]string{`"2024-02-29"`, `"2000-02-29"`, `12`}, []string{`"2023-02-29"`, `"1900-02-29"`, `"2024-13-01"`}},
	{`{"format":"time"}`, Options{},
		[]string{`"23:59:60Z"`, `"00:29:60+00:30"`, `"12:00:00.123456789z"`, `"15:59:60-08:00"`}, []string{`"22:59:60Z"`, `"12:00:00"`, `"24:00:00Z"`}},
	{`{"format":"ipv4"}`, Options{},
		[]string{`"1.1.1.1"`}, []string{`"256.1.1.1"`, `"01.1.1.1"`, `"1.1.1"`}},
	{`{"format":"ipv6"}`, Options{},
		[]string{`"::"`, `"::ffff:1.2.3.4"`, `"1:2:3:4:5:6:7:8"`, `"1:2:3:4:5:6:7::"`}, []string{`"1::2::3"`, `"12345::"`, `"fe80::1%eth0"`}},
	{`{"format":"email"}`, Options{},
		[]string{`"a@b"`, `"a.b@c.d"`, `"\"a b\"@c.d"`, `"a@[127.0.0.1]"`}, []string{`".a@b.c"`, `"a..b@c.d"`, `"a@-b.c"`}},
	{`{"format":"hostname"}`, Options{},
		[]string{`"a-b.c"`, `"xn--a"`}, []string{`"-a.b"`, `"a_.b"`, `"a."`, `""`}},
	{`{"format":"uri"}`, Options{},
		[]string{`"http://a.b/c?d#e"`, `"http://[::1]:80"`, `"urn:x:y"`}, []string{`"a"`, `"http://a b"`, `"http://a/%zz"`}},
	{`{"format":"duration"}`, Options{},
		[]string{`"P1D"`, `"P1W"`}, []string{`"P"`, `"PT"`, `"P1YT"`, `"P1Y2W"`, `"PT1H2S"`}},
	{`{"not":{"type":"object","required":["a"]},"type":"object"}`, Options{},
		[]string{`{}`, `{"b": 1}`}, []string{`{"a": 1}`}},
	{`{"uniqueItems":true,"items":{"type":"boolean"}}`, Options{},
		[]string{`[true, false]`}, []string{`[true, true]`}},
	{`{"uniqueItems":true,"items":{"enum":[1,1.0,"1"]}}`, Options{},
		[]string{`[1, "1"]`}, []string{`[1, 1.0]`}},
	{`{"uniqueItems":true,"maxItems":1}`, Options{},
		[]string{`[{}]`}, []string{}},
	{`{"enum":[{"a":1,"b":[1,{"c":null}]}]}`, Options{Whitespace: Flexible, AnyOrder: true},
		[]string{`{"b":[1,{"c":null}],"a":1}`, `{"a":1.0,"b":[1.0,{"c":null}]}`}, []string{`{"a":1}`, `{"a":1,"b":[1,{"c":null}],"d":1}`}},
	{`{"type":"string","enum":["a",1],"minLength":1}`, Options{},
		[]string{`"a"`}, []string{`1`}},
	{`{"if":{"properties":{"k":{"const":"x"}},"required":["k"]},"then":{"required":["v"]},"else":{"not":{"required":["v"]}}}`, Options{Whitespace: Flexible},
		[]string{`{"k":"x","v":1}`, `{"k":"y"}`}, []string{`{"k":"x"}`, `{"k":"y","v":1}`, `{"v":1}`}},
	{`{"$id":"http://x/y","$defs":{"a":{"$id":"z","$defs":{"i":{"type":"integer"}},"$ref":"#/$defs/i"}},"$ref":"z"}`, Options{},
		[]string{`1`}, []string{`"a"`}},
	{`{"$ref":"#/$defs/a%25b~1c","$defs":{"a%b/c":{"type":"null"}}}`, Options{},
		[]string{`null`}, []string{`1`}},
	{`{"$ref":"#here","$defs":{"a":{"$anchor":"here","type":"null"}}}`, Options{},
		[]string{`null`}, []string{`1`}},
	{`{"type":"integer","format":5}`, Options{},
		[]string{`1`}, []string{}},
	{`{"minLength":2.0}`, Options{},
		[]string{`"ab"`}, []string{`"a"`}},
	{`{"required":["a","a"]}`, Options{},
		[]string{`{"a": 1}`}, []string{`{}`}},
	{`{"properties":{"a":false},"required":["a"]}`, Options{},
		[]string{`1`}, []string{`{}`}},
	{`{"maxProperties":0}`, Options{},
		[]string{`{}`}, []string{`{"a": 1}`}},
}

func TestKeywords(t *testing.T) {
	for _, x := range edges {
		c, err := Schema([]byte(x.src), x.opts)
		require.NoError(t, err, x.src)
		for _, s := range x.yes {
			require.True(t, c.accepts(s), "%s: %s", x.src, s)
		}
		for _, s := range x.no {
			require.False(t, c.accepts(s), "%s: %s", x.src, s)
		}
	}
}

// TestRefused has keywords named that cannot be kept, or say what no schema does.
func TestRefused(t *testing.T) {
	const draft2020 = `"$schema":"https://json-schema.org/draft/2020-12/schema"`
	for src, want := range map[string]string{
		`{"$schema":"http://json-schema.org/draft-06/schema#","minimum":3,"exclusiveMinimum":true}`: "/exclusiveMinimum: want number, found boolean",
		`{` + draft2020 + `,"items":[{}]}`:                                     "/items: want object, found array",
		`{"properties":{"a/b":{"oneOf":[{"multipleOf":2},{"multipleOf":3}]}}}`: "numbers that are no multiples of another are not supported",
		`{"items":{"uniqueItems":true,"items":{"type":"string"}}}`:             "/items/uniqueItems: it is supported for items of a finite set only",
		`{"uniqueItems":true,"items":{"type":"number"}}`:                       "/uniqueItems: it is supported for items of a finite set only",
		`{"not":{"uniqueItems":true}}`:                                         "/not/uniqueItems: its negation is not supported",
		`{"properties":{"a~/b":{"$ref":"http://other/x"}}}`:                    "/properties/a~0~1b/$ref: \"http://other/x\" is another document",
		`{"minLength":1.5}`:                                                    "/minLength: want a natural number, found 1.5",
		`{"type":[]}`:                                                          "no value satisfies the schema",
		`{"enum":[]}`:                                                          "no value satisfies the schema",
		`{"multipleOf":0}`:                                                     "/multipleOf: want a number above 0",
		`{"multipleOf":3e500}`:                                                 "/multipleOf: multiples, and bounds of them, of more than 400 digits are not supported",
		`{"allOf":[{"multipleOf":3},{"minimum":1e500}]}`:                       "/multipleOf: multiples, and bounds",
		`{` + draft2020 + `,"unevaluatedItems":false}`:                         "/unevaluatedItems: it is not supported",
		`{` + draft2020 + `,"$dynamicRef":"#a"}`:                               "/$dynamicRef: it is not supported",
		`{"type":"object","properties":{"a":{}},"minProperties":2,"additionalProperties":false}`: "no value satisfies the schema",
		`{"pattern":"(?<=a)b"}`: "/pattern: regular expression \"(?<=a)b\"",
		`{"pattern":"(a)\\1"}`:  "a back reference is not supported",
		`{"format":"regex"}`:    "/format: \"regex\" is not supported",
	} {
		_, err := Schema([]byte(src), Options{})
		require.ErrorContains(t, err, want, src)
	}
}

// TestNotes names what says nothing, in the draft that says so.
func TestNotes(t *testing.T) {
	for src, want := range map[string]map[string]int{
		`{"$schema":"http://json-schema.org/draft-04/schema#","const":1,"if":{},"propertyNames":{}}`: {"const in draft 4": 1, "if in draft 4": 1, "propertyNames in draft 4": 1},
		`{"$schema":"http://json-schema.org/draft-07/schema#","prefixItems":[],"unevaluatedItems":false,"items":{"$ref":"#","minimum":1}}`: {
			"prefixItems in draft 7": 1, "unevaluatedItems in draft 7": 1, "minimum beside $ref": 1},
		`{"format":"paint","colour":1,"items":{"format":1}}`:      {"format paint": 1, "colour": 1, "format that is no string": 1},
		`{"const":1,"if":{},"$ref":"#/$defs/a","$defs":{"a":{}}}`: {},
	} {
		c, err := Schema([]byte(src), Options{})
		require.NoError(t, err, src)
		require.Equal(t, want, c.Notes(), src)
	}
}
