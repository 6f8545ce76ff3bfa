package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/source"
)

func TestTokens(t *testing.T) {
	require.Equal(t, `      1  <s>
    329  "The"
    703  " sun"
      6  <|end|>
     17  "\n"
    202  "\xc3"
    176  "\xa9"
`, ok(t, command(t, "", "tokens", "The sun<|end|>\né")))
	ids := "[1,329,703,2216,297,304,267]\n"
	require.Equal(t, ids, ok(t, command(t, "", "tokens", "--ids", sun)))
	require.Equal(t, ids, ok(t, command(t, "", "tokens", "tiny-moe", sun, "--ids")))
	require.Equal(t, ids, ok(t, command(t, sun, "tokens", "tiny-dense", "--ids")))
	require.Equal(t, "[329,703,2216,297,304,267]\n", ok(t, command(t, "", "tokens", "--no-bos", "--ids", sun)))
	require.Equal(t, "[1]\n", ok(t, command(t, "", "tokens", "--ids", "")))
	require.Equal(t, "[]\n", ok(t, command(t, "", "tokens", "--ids", "--no-bos")))
	plain := ok(t, command(t, "", "tokens", "--ids", "--no-bos", "--no-special", "tiny-dense", "</s>"))
	require.NotEqual(t, "[2]\n", plain)
	require.Equal(t, plain, ok(t, command(t, "", "tokens", "--ids", "--no-bos", "--no-parse-special", "tiny-dense", "</s>")))
	require.Equal(t, "[2]\n", ok(t, command(t, "", "tokens", "--ids", "--no-bos", "tiny-dense", "</s>")))
	wrong(t, command(t, "", "tokens", "-f", "a", "-p", "b"), "more than one TEXT")
}

// Standard input counts byte for byte.
func TestTokensRoundTrip(t *testing.T) {
	v, err := goinfer.OpenTokenizer(t.Context(), source.Bytes("tiny-dense", embedded.Model("tiny-dense")))
	require.NoError(t, err)
	for _, text := range []string{"One\ntwo\n", "\n", "\r\n\r\n", " a  b ", "\xff\x00\xc3", "naïve – “quoted” 你好 🙂", strings.Repeat("word ", 1000)} {
		var ids []int32
		require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, text, "tokens", "--ids", "--no-bos"))), &ids))
		var back []byte
		for _, id := range ids {
			back = append(back, v.Bytes(id)...)
		}
		require.Equal(t, text, string(back))
	}
}

// Files with a vocabulary and nothing else, of architectures that cannot be run.
func TestTokensOfVocabularies(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "conformance", "tokenizers")
	for name, want := range map[string][2]string{
		"bert-bge":  {"[101,7592,2088,102]\n", "[7592,2088]\n"},
		"gpt-2":     {"[15496,995]\n", "[15496,995]\n"},
		"llama-spm": {"[1,15043,3186]\n", "[15043,3186]\n"},
		"llama-bpe": {"[128000,9906,1917]\n", "[9906,1917]\n"},
	} {
		path := filepath.Join(dir, "ggml-vocab-"+name+".gguf")
		require.Equal(t, want[0], ok(t, command(t, "", "tokens", path, "Hello world", "--ids")), name)
		require.Equal(t, want[1], ok(t, command(t, "", "tokens", path, "Hello world", "--ids", "--no-bos")), name)
		require.NotEmpty(t, ok(t, command(t, "", "inspect", path)))
		fault(t, command(t, "", "run", path, "Hello world"), path+": unsupported ")
	}
}
