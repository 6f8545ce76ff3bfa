package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
)

func TestEmbed(t *testing.T) {
	embed := func(in string, args ...string) (es [][]float64) {
		for line := range strings.Lines(ok(t, command(t, in, append([]string{"embed"}, args...)...))) {
			var e []float64
			require.NoError(t, json.Unmarshal([]byte(line), &e))
			es = append(es, e)
		}
		return es
	}
	dot := func(a, b []float64) (s float64) {
		for i := range a {
			s += a[i] * b[i]
		}
		return s
	}
	sun := embed("", "The sun rises")
	require.Len(t, sun, 1)
	require.InDelta(t, 1, dot(sun[0], sun[0]), 1e-5)
	require.Equal(t, append(sun, embed("", "Once upon a time")...), embed("The sun rises\nOnce upon a time\n", "--lines"))
	require.NotEqual(t, sun, embed("", "--pooling", "mean", "The sun rises"))
	require.Greater(t, dot(embed("", "--raw", "The sun rises")[0], sun[0]), 1.1)
	wrong(t, command(t, "", "embed", "--pooling", "max", "a"), `--pooling: want mean, cls or last, found "max"`)
}

// TestEmbedEncoder: a model without logits embeds, refuses to write text, and gives its hidden
// states for logits.
func TestEmbedEncoder(t *testing.T) {
	bert := filepath.Join(shared.Dir(t), "conformance", "models", "bert", "model.gguf")
	var e []float64
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", "embed", bert, "the sun"))), &e))
	require.Len(t, e, 64)
	require.Len(t, ok(t, command(t, "", "logits", bert, "--ids", "2,5,3", "-o", "-")), 3*64*4)
	fault(t, command(t, "", "run", bert, "the sun"), "hidden states of texts, no logits and no text")
	fault(t, command(t, "", "embed", bert, "-b", "3", "the sun the sun"), "want at most the 3 tokens of a batch, since the model reads a text as a whole")
	fault(t, command(t, "the sun the sun", "embed", bert, "-b", "3", "--lines"), "want at most the 3 tokens of a batch, since the model reads a text as a whole")
}
