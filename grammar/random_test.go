package grammar

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/sample"
)

// fewTokens is a vocabulary of all bytes, pieces of JSON, words, and an end.
type fewTokens struct{ texts []string }

func newFewTokens() *fewTokens {
	v := &fewTokens{}
	for b := range 256 {
		v.texts = append(v.texts, string([]byte{byte(b)}))
	}
	v.texts = append(v.texts, "", "<tool>") // the end, a control token
	v.texts = append(v.texts, strings.Fields(`{" "} "} ": "," ", }, }] ]} [{ [" "] {} [] "" :" true false null ue rue al alse 10 100 .5 -1 e1 00 12 123 2020 -0 0.1 name value id a1 b1 ab bc abc foo bar foobar
		"a" "b": "a": "foo": "a":1 ,"b" ","b": "x \n \" \\ \u00 \u0061 u00e9 é 世界 ó́ 日`)...)
	v.texts = append(v.texts, " ", "  ", "\n", "\n  ", ", ", ": ", "\": ", "\", \"", " \"", "\n\n", "\xe4\xb8", "\xf0\x9f", "\x98\x80\"", "\xc3", "\xa9\"")
	return v
}

func (v *fewTokens) Size() int           { return len(v.texts) }
func (v *fewTokens) IsEOG(id int32) bool { return id == 256 }
func (v *fewTokens) Bytes(id int32) []byte {
	if id == 257 {
		return nil
	}
	return []byte(v.texts[id])
}

func (v *fewTokens) Lookup(s string) (int32, bool) {
	for i, t := range v.texts {
		if t == s {
			return int32(i), true
		}
	}
	return 0, false
}

// schemas makes random schemas of the supported keywords.
type schemas struct {
	rng  *rand.Rand
	defs int
}

func (g *schemas) pick(of ...string) string { return of[g.rng.IntN(len(of))] }

func (g *schemas) schema(depth int) any {
	if g.rng.IntN(20) == 0 {
		return g.rng.IntN(6) > 0
	}
	s := map[string]any{}
	if depth <= 0 || g.rng.IntN(3) == 0 {
		g.scalar(s)
		return s
	}
	switch g.rng.IntN(12) {
	case 0, 1, 2, 3:
		g.object(s, depth)
	case 4, 5:
		g.array(s, depth)
	case 6:
		s["anyOf"] = g.list(depth)
	case 7:
		s["oneOf"] = g.list(depth)
	case 8:
		s["allOf"] = g.list(depth)
		g.object(s, depth)
	case 9:
		s["not"] = g.schema(depth - 1)
		s["type"] = g.pick("object", "string", "integer", "array")
	case 10:
		s["if"], s["then"], s["else"] = g.schema(depth-1), g.schema(depth-1), g.schema(depth-1)
		s["type"] = g.pick("object", "string", "number")
	case 11:
		if g.defs > 0 {
			s["$ref"] = fmt.Sprintf("#/$defs/d%d", g.rng.IntN(g.defs))
		}
	}
	return s
}

func (g *schemas) list(depth int) []any {
	var out []any
	for range 1 + g.rng.IntN(3) {
		out = append(out, g.schema(depth-1))
	}
	return out
}

func (g *schemas) scalar(s map[string]any) {
	switch g.rng.IntN(7) {
	case 0:
		s["enum"] = []any{"a", "foo", 1, 2.5, nil, true, []any{1}, map[string]any{"a": 1}}[g.rng.IntN(4) : 4+g.rng.IntN(5)]
	case 1:
		s["const"] = []any{"foo", 10, false, map[string]any{"a": "b", "b": 1}}[g.rng.IntN(4)]
	case 2, 3:
		s["type"] = "string"
		if g.rng.IntN(2) == 0 {
			s["minLength"] = g.rng.IntN(4)
		}
		if g.rng.IntN(2) == 0 {
			s["maxLength"] = 1 + g.rng.IntN(8)
		}
		if g.rng.IntN(3) == 0 {
			s["pattern"] = g.pick("^a", "b$", "^[a-c]+$", "o", "^(foo|bar)$", "^[^a]*$", "^.{2,4}$", "é|世")
		}
		if g.rng.IntN(6) == 0 {
			s["format"] = g.pick("date", "ipv4", "uuid", "time", "email")
		}
	case 4, 5:
		s["type"] = g.pick("number", "integer")
		if g.rng.IntN(2) == 0 {
			s[g.pick("minimum", "exclusiveMinimum")] = float64(g.rng.IntN(40)-20) / 2
		}
		if g.rng.IntN(2) == 0 {
			s[g.pick("maximum", "exclusiveMaximum")] = float64(g.rng.IntN(400)) / 2
		}
		if g.rng.IntN(3) == 0 {
			s["multipleOf"] = []float64{1, 2, 0.5, 0.25, 5, 3}[g.rng.IntN(6)]
		}
	case 6:
		s["type"] = []string{"null", "boolean", g.pick("string", "number", "object", "array")}[g.rng.IntN(3):]
	}
}

func (g *schemas) object(s map[string]any, depth int) {
	if g.rng.IntN(4) > 0 {
		s["type"] = "object"
	}
	props := map[string]any{}
	names := []string{"a", "b", "ab", "foo", "foobar", "é"}
	for _, n := range names {
		if g.rng.IntN(2) == 0 {
			props[n] = g.schema(depth - 1)
		}
	}
	if g.rng.IntN(5) > 0 {
		s["properties"] = props
	}
	var required []string
	for _, n := range names {
		if g.rng.IntN(4) == 0 {
			required = append(required, n)
		}
	}
	if required != nil {
		s["required"] = required
	}
	if g.rng.IntN(2) == 0 {
		s["additionalProperties"] = g.schema(depth - 1)
	}
	if g.rng.IntN(4) == 0 {
		s["patternProperties"] = map[string]any{g.pick("^f", "b", "^[xy]$", "o$"): g.schema(depth - 1)}
	}
	if g.rng.IntN(6) == 0 {
		s["propertyNames"] = map[string]any{"maxLength": 1 + g.rng.IntN(5)}
	}
	if g.rng.IntN(5) == 0 {
		s["minProperties"] = g.rng.IntN(4)
	}
	if g.rng.IntN(5) == 0 {
		s["maxProperties"] = 1 + g.rng.IntN(4)
	}
	if g.rng.IntN(6) == 0 {
		s["dependentRequired"] = map[string]any{g.pick(names...): []string{g.pick(names...)}}
	}
	if g.rng.IntN(8) == 0 {
		s["dependentSchemas"] = map[string]any{g.pick(names...): g.schema(depth - 1)}
	}
}

func (g *schemas) array(s map[string]any, depth int) {
	if g.rng.IntN(4) > 0 {
		s["type"] = "array"
	}
	if g.rng.IntN(3) > 0 {
		s["items"] = g.schema(depth - 1)
	}
	if g.rng.IntN(3) == 0 {
		s["prefixItems"] = g.list(depth)
	}
	if g.rng.IntN(3) == 0 {
		s["minItems"] = g.rng.IntN(3)
	}
	if g.rng.IntN(3) == 0 {
		s["maxItems"] = 1 + g.rng.IntN(3)
	}
	if g.rng.IntN(5) == 0 {
		s["contains"] = g.schema(depth - 1)
		if g.rng.IntN(2) == 0 {
			s["minContains"] = g.rng.IntN(3)
		}
		if g.rng.IntN(3) == 0 {
			s["maxContains"] = 1 + g.rng.IntN(2)
		}
	}
	if g.rng.IntN(6) == 0 {
		s["uniqueItems"] = true
		s["items"] = map[string]any{"enum": []any{"a", "b", 1, nil}}
		delete(s, "prefixItems")
		delete(s, "contains")
	}
}

func (g *schemas) document() []byte {
	g.defs = g.rng.IntN(3)
	s, ok := g.schema(3).(map[string]any)
	if !ok {
		s = map[string]any{}
	}
	if g.defs > 0 {
		defs := map[string]any{}
		for i := range g.defs {
			defs[fmt.Sprintf("d%d", i)] = g.schema(2)
		}
		s["$defs"] = defs
	}
	out, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return out
}

func validate(t *testing.T, schema []byte) *validator.Schema {
	doc, err := validator.UnmarshalJSON(bytes.NewReader(schema))
	require.NoError(t, err)
	c := validator.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource("schema.json", doc))
	s, err := c.Compile("schema.json")
	require.NoError(t, err, "%s", schema)
	return s
}

var hugeExponent = regexp.MustCompile(`[eE][+-]?\d{4,}`)

// TestRandomSchemas walks random tokens through the masks of random schemas: what comes out ends
// and is valid. On the way masks agree with what is accepted, and are never empty.
func TestRandomSchemas(t *testing.T) {
	tokens := newFewTokens()
	v := NewVocabulary(tokens)
	n := 40
	if os.Getenv("GOINFER_LONG") != "" {
		n = 1000
	}
	refused, values := map[string]int{}, 0
	for seed := range n {
		g := &schemas{rng: rand.New(rand.NewPCG(uint64(seed), 7))}
		src := g.document()
		ws := []Options{{}, {Whitespace: None}, {Whitespace: Flexible}, {AnyOrder: true}}[g.rng.IntN(4)]
		c, err := Schema(src, ws)
		if err != nil {
			reason := err.Error()
			refused[reason[strings.LastIndex(reason, ":"):]]++
			continue
		}
		check := validate(t, src)
		gr, err := c.Grammar(v)
		require.NoError(t, err)
		for range 3 {
			text, ended := randomWalk(t, tokens, gr, g.rng, src)
			if !ended || hugeExponent.MatchString(text) {
				continue // the validator does not read numbers like 1e99999
			}
			values++
			doc, err := validator.UnmarshalJSON(strings.NewReader(text))
			require.NoError(t, err, "seed %d: %s: %s", seed, src, text)
			require.NoError(t, check.Validate(doc), "seed %d: %s: %s", seed, src, text)
		}
	}
	t.Logf("%d values; refused: %v", values, refused)
	require.Greater(t, values, 2*n)
}

// randomWalk takes tokens at random: any for a while, then such that lead to an end.
func randomWalk(t *testing.T, tokens *fewTokens, g sample.Grammar, rng *rand.Rand, src []byte) (text string, ended bool) {
	m := g.NewMatcher()
	mask := sample.NewBitset(tokens.Size())
	var b strings.Builder
	for step := range 400 {
		m.Mask(mask)
		if m.Done() && (mask.Count() == 0 || step > 20 || rng.IntN(4) == 0) {
			return b.String(), true
		}
		require.Positive(t, mask.Count(), "%s: nothing may follow %s", src, b.String())
		for range 8 {
			id := int32(rng.IntN(tokens.Size()))
			require.Equal(t, mask.Has(id), m.Clone().Accept(id) == nil, "%s: after %s: %q", src, b.String(), tokens.texts[id])
		}
		id := choose(tokens, mask, rng, step)
		require.NoError(t, m.Accept(id), "%s: after %s: %q", src, b.String(), tokens.texts[id])
		b.WriteString(tokens.texts[id])
	}
	return b.String(), false
}

// choose takes a token that the mask allows: at first any, later one that closes what is open.
func choose(tokens *fewTokens, mask sample.Bitset, rng *rand.Rand, step int) int32 {
	if step > 60 {
		for _, b := range `"}]` {
			if mask.Has(b) {
				return b
			}
		}
	}
	var ids []int32
	for id := range int32(tokens.Size()) {
		// Single odd bytes are most of the vocabulary, but seldom of interest.
		if mask.Has(id) && (id > 257 || id >= ' ' && id < 127 || rng.IntN(20) == 0) {
			ids = append(ids, id)
		}
	}
	if ids == nil {
		for id := range int32(tokens.Size()) {
			if mask.Has(id) {
				ids = append(ids, id)
			}
		}
	}
	return ids[rng.IntN(len(ids))]
}

func newRand(seed int) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 7)) }
