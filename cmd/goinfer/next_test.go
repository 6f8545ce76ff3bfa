package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/study/explain"
)

func TestNext(t *testing.T) {
	out := ok(t, command(t, "", "next", "-k", "3", "--words", "east,west,north", "--layers", "--samplers", "The sun rises in the"))
	require.Regexp(t, `(?m)^1 +" east" +0\.9\d+ +-0\.0\d+ +1\.0000 +█{35}`, out)
	require.Regexp(t, `(?m)^" east" +1 +0\.9`, out)
	require.Regexp(t, `(?m)^" nor" "th" +\d+, 1 +`, out, "a word of two tokens has two ranks")
	require.Regexp(t, `(?m)^top_k +4096 to 40 `, out)
	require.Regexp(t, `(?m)^the embedding `, out)
	require.Regexp(t, `(?m)^layer 5 +\S+ +1 +0\.9.*" east" 0\.9`, out, "what the last layer says is what the model says")
	require.NotContains(t, ok(t, command(t, "", "next", "The sun rises in the")), "top_k")
	require.Contains(t, ok(t, command(t, "", "next", "--temp", "0", "The sun rises in the")), "temperature", "a flag of the sampler asks for it")
	require.Regexp(t, `(?m)^" Par" +1 |^" P" "ar" "is" +1, 1, 1 `, ok(t, command(t, "", "next", "tiny-moe", "--words", "Paris", "The capital of France is")))

	wrong(t, command(t, "", "next", "-k", "0", "x"), "-k, --top: want 1 to 1000, found 0")
	wrong(t, command(t, "", "next", "--words", ",", "x"), "-w, --words: want words")
	wrong(t, command(t, "", "next", "--samplers=frob", "x"), "--samplers[0]: want one of")
	fault(t, command(t, "", "next", "-c", "3", "The sun rises in the"), "the context 3: context is full; -c makes it larger")
}

func TestNextJSON(t *testing.T) {
	var p explain.Prediction
	out := ok(t, command(t, "", "next", "--json", "--words", "east", "--layers", "--samplers=top_k", "--top-k", "2", "--seed", "1", "The sun rises in the"))
	require.NoError(t, json.Unmarshal([]byte(out), &p))
	require.Equal(t, explain.Token{ID: 1, Text: "<s>"}, p.Prompt[0])
	require.Equal(t, 4096, p.Vocab)
	require.Len(t, p.Top, 10)
	require.Len(t, p.Layers, 7)
	last := p.Layers[6]
	require.Equal(t, 5, last.Layer)
	require.Equal(t, p.Top[:3], undrawn(p.Top[:3], last.Top), "the lens at the last layer")
	require.InDelta(t, p.Words[0].LogProb, p.Top[0].LogProb, 1e-5)
	require.Equal(t, p.Words[0].Tokens[0], p.Top[0].Token)
	require.Len(t, p.Stages, 1)
	require.Equal(t, 2, p.Stages[0].After)
	require.InDelta(t, 1, *p.Top[0].Drawn+*p.Top[1].Drawn, 1e-6)
	require.Zero(t, *p.Top[2].Drawn)
	require.InDelta(t, p.Top[0].Prob+p.Top[1].Prob+p.Stages[0].Removed, 1, 1e-6)
	require.Equal(t, p.Top[2].Token, p.Stages[0].Best[0].Token)
	require.False(t, strings.Contains(out, `\u003c`))
	require.NotRegexp(t, regexp.MustCompile(`NaN|Inf`), out)
}

// undrawn gives choices the probabilities of drawing of others.
func undrawn(from, to []explain.Choice) []explain.Choice {
	for i := range to {
		to[i].Drawn = from[i].Drawn
	}
	return to
}
