package grammar

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/sample"
)

// pieces is a vocabulary of given texts and control tokens, and an end.
type pieces struct {
	texts   []string
	control map[int32]string
	end     int32
}

// newPieces makes a vocabulary of single bytes, of texts, and of control tokens; the last is the
// end.
func newPieces(texts, control []string) *pieces {
	v := &pieces{control: map[int32]string{}}
	texts = slices.DeleteFunc(texts, func(s string) bool { return slices.Contains(control, s) })
	for b := range 128 {
		v.texts = append(v.texts, string(rune(b)))
	}
	v.texts = append(v.texts, texts...)
	for _, c := range control {
		v.control[int32(len(v.texts))] = c
		v.texts = append(v.texts, "")
	}
	v.end = int32(len(v.texts))
	v.texts = append(v.texts, "")
	v.control[v.end] = "<|return|>"
	return v
}

func (v *pieces) Size() int             { return len(v.texts) }
func (v *pieces) IsEOG(id int32) bool   { return id == v.end }
func (v *pieces) Bytes(id int32) []byte { return []byte(v.texts[id]) }
func (v *pieces) Lookup(s string) (int32, bool) {
	for id, t := range v.texts {
		if t == s && t != "" || v.control[int32(id)] == s {
			return int32(id), true
		}
	}
	return 0, false
}

// spelled is what a token adds to a text in which control tokens are spelled out.
func (v *pieces) spelled(id int32) string {
	if s, ok := v.control[id]; ok {
		return s
	}
	return v.texts[id]
}

// splits are the parts of a text cut at every byte.
func splits(text string) []string {
	var out []string
	for i := 1; i < len(text); i++ {
		out = append(out, text[:i], text[i:])
		if j := i + 1 + i%3; j < len(text) {
			out = append(out, text[i:j])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

const flatSchema = `{"type":"object","additionalProperties":{"type":"integer"}}`

// afterOracle reports whether a text may begin an output that is free up to the first of tags and
// then a text of c, and whether it is complete.
func afterOracle(c *Constraint, text string, tags ...string) (may, complete bool) {
	at, end := -1, 0
	for _, tag := range tags {
		if i := strings.Index(text, tag); i >= 0 && (at < 0 || i+len(tag) < end) {
			at, end = i, i+len(tag)
		}
	}
	if at < 0 {
		return true, false
	}
	rest := strings.TrimLeft(text[end:], " \t\r\n")
	n, complete := c.Check(rest)
	return n == len(rest) && len(text[end:])-len(rest) <= maxGap, complete
}

// TestAfter walks tokens that split the tags at every byte, and compares each mask with what the
// bytes say.
func TestAfter(t *testing.T) {
	body, err := Schema([]byte(flatSchema), Options{Whitespace: None})
	require.NoError(t, err)
	for name, tags := range map[string][]string{
		"one":      {"</think>"},
		"several":  {"</think>", "</thought>", "[/THINK]"},
		"repeated": {"ababac"},
		"harmony":  {"<|c|>final<|m|>", "<|c|>final <|k|>json<|m|>"},
	} {
		var texts []string
		for _, tag := range tags {
			for _, s := range splits(tag) {
				texts = append(texts, s, "x"+s, s+"{", s+"\n\n{\"a\":", s+`{"a":1,"a`, s+"x")
			}
		}
		texts = append(texts, `{"a":1,"a":2`, `"a":`, `","`, "\n\n", " ", "}")
		v := newPieces(texts, []string{"<|c|>", "<|m|>", "<|k|>", "<|other|>"})
		c, err := body.After(append(tags, tags[0]+"\n")...)
		require.NoError(t, err)
		g, err := c.Grammar(NewVocabulary(v))
		require.NoError(t, err)
		rng := rand.New(rand.NewPCG(1, 2))
		reached, rounds := 0, 12
		if os.Getenv("GOINFER_LONG") != "" {
			rounds = 60
		}
		for range rounds {
			if walkAfter(t, name, v, g, body, tags, rng) {
				reached++
			}
		}
		require.GreaterOrEqual(t, reached, rounds/6, name)
	}
}

// walkAfter takes random tokens, mostly such as go on with a tag.
func walkAfter(t *testing.T, name string, v *pieces, g Grammar, body *Constraint, tags []string, rng *rand.Rand) bool {
	m, mask, text := g.NewMatcher(), sample.NewBitset(v.Size()), ""
	var read []string
	for range 40 {
		m.Mask(mask)
		var tagged, other []int32
		for id := range v.end {
			next := text + v.spelled(id)
			may, _ := afterOracle(body, next, tags...)
			if _, control := v.control[id]; control {
				if started, _ := afterOracle(body, text, tags...); !started || hasAny(text, tags) {
					may = false // no body names a token
				}
			}
			require.Equal(t, may, mask.Has(id), "%s: %q and then %q", name, read, v.spelled(id))
			if id%8 == 0 {
				require.Equal(t, may, m.Clone().Accept(id) == nil, "%s: %q and then %q", name, read, v.spelled(id))
			}
			if !may {
				continue
			}
			other = append(other, id)
			for _, tag := range tags {
				for i := range len(tag) {
					if strings.HasSuffix(next, tag[:i+1]) {
						tagged = append(tagged, id)
					}
				}
			}
		}
		_, complete := afterOracle(body, text, tags...)
		require.Equal(t, complete, m.Done(), "%s: %q", name, text)
		if complete && rng.IntN(3) == 0 {
			return true
		}
		ids := other
		if len(tagged) > 0 && rng.IntN(8) > 0 {
			ids = tagged
		}
		if len(ids) == 0 {
			return complete
		}
		id := ids[rng.IntN(len(ids))]
		require.NoError(t, m.Accept(id))
		text += v.spelled(id)
		read = append(read, v.spelled(id))
	}
	return hasAny(text, tags)
}

func hasAny(text string, tags []string) bool {
	for _, tag := range tags {
		if strings.Contains(text, tag) {
			return true
		}
	}
	return false
}

func TestMaybeAfter(t *testing.T) {
	body, err := Schema([]byte(`{"type":["object","array"]}`), Options{})
	require.NoError(t, err)
	c, err := body.MaybeAfter("<think>", "</think>")
	require.NoError(t, err)
	for text, want := range map[string]bool{
		`{"a": 1}`: true, "\n\n[1]": true, `<think>{"a": </think>{"a": 1}`: true, "\n<think>\n\n</think>\n\n[]": true, `<think>[]`: false,
		`<thin[]`: false, `thought</think>[]`: false, `<think></think>{"a": 1, "a": 2}`: false, `<think>{"a": 1, "a": 2}</think>{}`: true,
	} {
		require.Equal(t, want, c.accepts(text), text)
	}
	// A tag that begins as an array does is one where it is a control token.
	c, err = body.MaybeAfter("[THINK]", "[/THINK]")
	require.NoError(t, err)
	_, err = c.Grammar(NewVocabulary(newPieces(nil, nil)))
	require.ErrorContains(t, err, `tag "[THINK]"`)
	v := newPieces(nil, []string{"[THINK]", "[/THINK]"})
	g, err := c.Grammar(NewVocabulary(v))
	require.NoError(t, err)
	m := g.NewMatcher()
	for _, id := range []int32{'\n', 128, 'a', '[', 129, '\n', '[', ']'} {
		require.NoError(t, m.Accept(id))
	}
	require.True(t, m.Done())
	m = g.NewMatcher()
	require.NoError(t, m.Accept('['))
	require.NoError(t, m.Accept(']'))
	require.True(t, m.Done())

	for _, f := range []func() (*Constraint, error){
		func() (*Constraint, error) { return body.After() },
		func() (*Constraint, error) { return body.After(" \n") },
		func() (*Constraint, error) { return body.MaybeAfter(" ", "</think>") },
		func() (*Constraint, error) { return body.After(strings.Repeat("x", maxTag+1)) },
	} {
		_, err := f()
		require.ErrorContains(t, err, "want ")
	}
}

// TestAfterOther has texts of a grammar and of a regular expression after a thought.
func TestAfterOther(t *testing.T) {
	g, err := GBNF(`root ::= ("yes" | "no" | " maybe") "!"*`)
	require.NoError(t, err)
	r, err := Regex(`\d*`, RE2)
	require.NoError(t, err)
	for _, x := range []struct {
		c       *Constraint
		yes, no []string
	}{
		{g, []string{"yes", "no!!", " maybe", "\nyes"}, []string{"", "maybe", "yes ", "  maybe"}},
		{r, []string{"", "12", " 12", " "}, []string{"x", "1 2"}},
	} {
		c, err := x.c.After("</t>")
		require.NoError(t, err)
		for _, s := range x.yes {
			require.True(t, c.accepts("no </t "+"</t>"+s), s)
			require.False(t, c.accepts(s), s)
		}
		for _, s := range x.no {
			require.False(t, c.accepts("</t>"+s), s)
		}
	}
	named, err := GBNF(`root ::= <|a|> "x" <|b|>`)
	require.NoError(t, err)
	c, err := named.After("<|b|>")
	require.NoError(t, err)
	gr, err := c.Grammar(NewVocabulary(newPieces(nil, []string{"<|a|>", "<|b|>"})))
	require.NoError(t, err)
	m := gr.NewMatcher()
	for _, id := range []int32{'?', 128, 129, '\n', 128, 'x', 129} {
		require.False(t, m.Done())
		require.NoError(t, m.Accept(id), id)
	}
	require.True(t, m.Done())
}

func TestLazy(t *testing.T) {
	weather, err := Schema([]byte(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}`), Options{})
	require.NoError(t, err)
	count, err := Schema([]byte(`{"type":"integer"}`), Options{})
	require.NoError(t, err)
	c, err := Lazy(LazyOptions{}, Trigger{[]string{"<call:weather>", "<tool>weather\n"}, weather, "\n</call>"}, Trigger{[]string{"<call:count>"}, count, "</call>"})
	require.NoError(t, err)
	const call = `<call:weather>{"city": "Oslo"}</call>`
	for text, want := range map[string]bool{
		"":       true,
		"text <": true,
		call:     true,
		"I call: " + call + " and " + call + "<call:count>12 </call> done": true,
		"<call:weather>\n{\"city\": \"Oslo\"}\n</call>":                    true,
		"<tool>weather{\"city\": \"Oslo\"}</call>":                         true,
		"<call:count> 12 \n</call>":                                        true,
		"<call:weather>":                                                   false,
		`<call:weather>{"city": "Oslo"}`:                                   false,
		`<call:weather>{"city": 1}</call>`:                                 false,
		`<call:weather>{"town": "Oslo"}</call>`:                            false,
		`<call:count>{"city": "Oslo"}</call>`:                              false,
		`<call:count>1<call>`:                                              false,
		`{"a":1,"a":2}` + call + `{"city":`:                                true,
	} {
		require.Equal(t, want, c.accepts(text), text)
	}
	must, err := Lazy(LazyOptions{Required: true, Once: true}, Trigger{[]string{"<call:count>"}, count, "</call>"})
	require.NoError(t, err)
	for text, want := range map[string]bool{"": false, "x": false, "x<call:count>1 </call>": true, "<call:count>1 </call>x": false} {
		require.Equal(t, want, must.accepts(text), text)
	}

	// With control tokens: the opening and the closing are single tokens, and one ends generation.
	v := newPieces([]string{"}</", `{"city": "`, `"}`}, []string{"<|tool|>", "<|end|>"})
	for _, x := range []struct {
		close string
		ids   []int32
		done  bool
	}{
		{"<|end|>", []int32{'a', 131, 129, 'x', 130, '\n', 132, 'b'}, true},
		{"<|end|>", []int32{131, 129, 'x', 130}, false},
		{"<|return|>", []int32{131, '\n', 129, 'x', 130}, true},
		{"", []int32{131, 129, 'x', 130, 'c', 131, 129, 130}, true},
	} {
		c, err := Lazy(LazyOptions{}, Trigger{[]string{"<|tool|>"}, weather, x.close})
		require.NoError(t, err)
		g, err := c.Grammar(NewVocabulary(v))
		require.NoError(t, err)
		m, mask := g.NewMatcher(), sample.NewBitset(v.Size())
		for _, id := range x.ids {
			m.Mask(mask)
			require.True(t, mask.Has(id), "%v: %q", x, v.spelled(id))
			require.NoError(t, m.Accept(id), "%v: %q", x, v.spelled(id))
		}
		require.Equal(t, x.done, m.Done(), x)
		m.Mask(mask)
		require.Equal(t, x.close != "<|return|>", mask.Count() > 0, x)
		require.Equal(t, x.close != "<|return|>" && x.done, mask.Has('x'), x)
	}

	for want, triggers := range map[string][]Trigger{
		"at least one trigger":       {},
		"want a body of JSON":        {{Open: []string{"a"}}},
		"want a tag":                 {{Body: weather}},
		"opens another part too":     {{[]string{"a"}, weather, ""}, {[]string{"a "}, count, ""}},
		`"abc" contains "b"`:         {{[]string{"abc"}, weather, ""}, {[]string{"b"}, count, ""}},
		"want tags up to 1000 bytes": {{[]string{"a"}, weather, strings.Repeat("x", 2000)}},
	} {
		_, err := Lazy(LazyOptions{}, triggers...)
		require.ErrorContains(t, err, want)
	}
}

// TestLazyBounds has many tools share an opening, and uses one body in two constraints at once.
func TestLazyBounds(t *testing.T) {
	body := JSON(Options{})
	var ts []Trigger
	for i := range 500 {
		ts = append(ts, Trigger{[]string{"<tool name=" + itoa(1000+i) + ">"}, body, "</tool>"})
	}
	c, err := Lazy(LazyOptions{}, ts...)
	require.NoError(t, err)
	require.True(t, c.accepts(`text <tool name=10<tool name=1499>{"a": [1]}</tool>`))
	d, err := body.After("</think>")
	require.NoError(t, err)
	done := make(chan bool)
	for range 4 {
		go func() {
			ok := true
			for range 20 {
				ok = ok && c.accepts(`<tool name=1001>{"a": [1]}</tool>`) && d.accepts(`</think>{"a": [1]}`) && body.accepts(`{"a": [1]}`)
			}
			done <- ok
		}()
	}
	for range 4 {
		require.True(t, <-done)
	}
}
