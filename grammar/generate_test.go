package grammar

import (
	"fmt"
	"github.com/goinfer/goinfer/source"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	"github.com/goinfer/goinfer/sample"
)

// longRuns is how many of something a test does: few by default, often where GOINFER_LONG is set,
// and as many as GOINFER_LONG says if that is a number above 1.
func longRuns(few, often int) int {
	long := os.Getenv("GOINFER_LONG")
	if n, err := strconv.Atoi(long); err == nil && n > 1 {
		return n
	}
	if long != "" {
		return often
	}
	return few
}

func openBuiltIn(t *testing.T, name string) (*goinfer.Model, *Vocabulary) {
	m, err := goinfer.OpenSource(source.Bytes(name, embedded.Model(name)), goinfer.Options{Context: 256})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m, NewVocabulary(m.Tokenizer())
}

// TestGenerate has the built-in models, which know no JSON, write values of random schemas: each
// ends as a valid value, or says what has ended it.
func TestGenerate(t *testing.T) {
	ended, values, refused := map[goinfer.Stop]int{}, 0, 0
	for _, name := range embedded.Names() {
		m, v := openBuiltIn(t, name)
		for seed := range longRuns(6, 60) {
			g := &schemas{rng: rand.New(rand.NewPCG(uint64(seed), 13))}
			src := g.document()
			c, err := Schema(src, []Options{{}, {Whitespace: None}, {AnyOrder: true}}[seed%3])
			if err != nil {
				refused++
				continue
			}
			gr, err := c.Grammar(v)
			require.NoError(t, err)
			q := goinfer.Request{Prompt: "Once upon a time", MaxTokens: 100, Sampling: goinfer.DefaultSampling()}
			q.Sampling.Seed, q.Sampling.Grammar = uint64(seed), gr
			var text strings.Builder
			var stop goinfer.Stop
			for p, err := range m.Generate(t.Context(), q) {
				require.NoError(t, err, "%s", src)
				text.Write(p.Bytes)
				stop = p.Stop
			}
			ended[stop]++
			n, complete := c.Check(text.String())
			require.True(t, n == text.Len() || stop == goinfer.StopLength, "%s: %q", src, text.String())
			if stop != goinfer.StopEOG {
				require.NotEmpty(t, stop)
				continue
			}
			require.True(t, complete, "%s: %q", src, text.String())
			if hugeExponent.MatchString(text.String()) {
				continue // the validator does not read these
			}
			values++
			doc, err := validator.UnmarshalJSON(strings.NewReader(text.String()))
			require.NoError(t, err, "%s: %q", src, text.String())
			require.NoError(t, validate(t, src).Validate(doc), "%s: %q", src, text.String())
		}
	}
	t.Logf("%d valid values; ended by %v; %d schemas refused", values, ended, refused)
	require.Positive(t, values)
}

// TestGenerateAnything has a constraint that every text satisfies change no token.
func TestGenerateAnything(t *testing.T) {
	m, v := openBuiltIn(t, embedded.Default)
	c, err := Regex(`(?s).*`, RE2)
	require.NoError(t, err)
	anything, err := c.Grammar(v)
	require.NoError(t, err)
	for seed := range uint64(longRuns(2, 10)) {
		var ids [2][]int32
		for i, g := range []goinfer.Grammar{nil, anything} {
			q := goinfer.Request{Prompt: "The cat", MaxTokens: 60, Sampling: goinfer.DefaultSampling()}
			q.Sampling.Seed, q.Sampling.Grammar = seed, g
			for p, err := range m.Generate(t.Context(), q) {
				require.NoError(t, err)
				ids[i] = append(ids[i], p.ID)
			}
		}
		require.Equal(t, ids[0], ids[1], fmt.Sprint("seed ", seed))
		require.Greater(t, len(ids[0]), 5)
	}
}

// TestGenerateMostProbable has greedy sampling take the most probable of the allowed tokens.
func TestGenerateMostProbable(t *testing.T) {
	m, v := openBuiltIn(t, embedded.Default)
	c, err := Schema([]byte(`{"type":"object","properties":{"who":{"type":"string","maxLength":20},"age":{"type":"integer","minimum":10}},"required":["who","age"]}`), Options{})
	require.NoError(t, err)
	thoughtful, err := c.After(".")
	require.NoError(t, err)
	for _, c := range []*Constraint{c, thoughtful} {
		g, err := c.Grammar(v)
		require.NoError(t, err)
		at, mask, seen := g.NewMatcher(), sample.NewBitset(m.Tokenizer().Size()), 0
		q := goinfer.Request{Prompt: "There was a", MaxTokens: 60, Top: 20, Sampling: sample.Params{Grammar: g}}
		for p, err := range m.Generate(t.Context(), q) {
			require.NoError(t, err)
			if p.ID < 0 || m.Tokenizer().IsEOG(p.ID) {
				break
			}
			at.Mask(mask)
			require.True(t, mask.Has(p.ID))
			for _, x := range p.Top {
				if mask.Has(x.ID) {
					require.Equal(t, x.ID, p.ID)
					seen++
					break
				}
			}
			require.NoError(t, at.Accept(p.ID))
		}
		require.Greater(t, seen, 3)
	}
}
