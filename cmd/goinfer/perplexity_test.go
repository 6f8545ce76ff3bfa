package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
)

func TestPerplexity(t *testing.T) {
	text := strings.Repeat("The sun rises in the east and sets in the west. The opposite of west is east.\n", 20)
	r := command(t, text, "perplexity", "-c", "64", "--chunks", "2")
	require.Regexp(t, `^perplexity +\d+\.\d{4} ± \d+\.\d{5}\nscored +62 tokens in 2 chunks of 64\ncompression +\d\.\d{3} bits for each byte, \d+\.\d % of the text\n$`, ok(t, r))
	var got map[string]float64
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, text, "perplexity", "-c", "64", "--chunks", "2", "--json", "--kl", "tiny-dense"))), &got))
	require.EqualValues(t, 62, got["tokens"])
	require.EqualValues(t, 1, got["top1"])
	require.Equal(t, got["ppl"], got["ppl_base"])
	require.InDelta(t, 0, got["kl_mean"]+got["kl_p99"], 1e-12)
	require.Contains(t, r.out, strings.Fields(r.out)[1])
	require.Regexp(t, `(?m)^ratio +\d\.\d{6} ± 0\.\d{6}, its logarithm -?0\.\d{6} ± `, ok(t, command(t, text, "perplexity", "tiny-moe", "-c", "64", "--kl", "tiny-dense", "--chunks", "1")))
	require.Regexp(t, `(?m)^same top token +\d+\.\d+ ± `, ok(t, command(t, text, "perplexity", "tiny-moe", "-c", "64", "--kl", "tiny-dense", "--chunks", "1")))
}

func TestPerplexityFaults(t *testing.T) {
	wrong(t, command(t, "", "perplexity", "tiny-dense", "tiny-moe", "-p", "x"), "want one model")
	fault(t, command(t, "", "perplexity", "-p", "too short"), "want at least one chunk of 512")
	none := filepath.Join(t.TempDir(), "none")
	fault(t, command(t, "", "perplexity", "-f", none), none+": ")
	fault(t, command(t, "", "perplexity", none, "-p", "x"), none+": ")
}

func TestScore(t *testing.T) {
	const lines = `{"context": "The sun rises in the", "continuation": " east"}
{"context": "The sun rises in the", "continuation": " cave"}
`
	got := ok(t, command(t, lines, "perplexity", "--score", "-"))
	require.Regexp(t, `^{"logprob":-\d.*,"tokens":\d,"greedy":true}\n{"logprob":-\d.*,"tokens":\d,"greedy":false}\n$`, got)
	r := command(t, lines+"{}", "perplexity", "--score", "-")
	require.Equal(t, got, r.out, "what came before a fault is there")
	require.Equal(t, exitFault, r.code)
	require.Contains(t, r.err, `-: item 3: want "context" and "continuation"`)
	fault(t, command(t, "text", "perplexity", "--score", "-"), "-: item 1: ")
	fault(t, command(t, `{"contxt": ""}`, "perplexity", "--score", "-"), `unknown field "contxt"`)
	none := filepath.Join(t.TempDir(), "none")
	fault(t, command(t, "", "perplexity", "--score", none), none+": ")
	wrong(t, command(t, "", "perplexity", "--score", none, "-p", "x"), "--score goes neither")
}

// TestPerplexityBuiltin: the built-in text by name, and the chunks that lab and claims predict.
func TestPerplexityBuiltin(t *testing.T) {
	first := ok(t, command(t, "", "perplexity", "tiny-dense", "-f", "builtin:valid.txt", "--chunks", "2", "-c", "64"))
	spread := ok(t, command(t, "", "perplexity", "tiny-dense", "-f", "builtin:valid.txt", "--chunks", "2", "--spread", "-c", "64"))
	require.Contains(t, first, "bits for each byte")
	require.Contains(t, spread, "in 2 chunks of 64")
	require.NotEqual(t, first, spread)
}

// TestPerplexityVocabulary: ids of a base mean the same, or it is refused.
func TestPerplexityVocabulary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.gguf")
	data := bytes.Replace(embedded.Model("tiny-dense"), []byte("\u2581east"), []byte("\u2581eest"), 1)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	text := strings.Repeat(sun+" east. ", 20)
	fault(t, command(t, text, "perplexity", "tiny-dense", "-c", "64", "--kl", path), `the base model has another vocabulary: token `)
	fault(t, command(t, text, "perplexity", "tiny-dense", "-c", "64", "--kl", path), `" eest" there and " east" in the model`)
}
