package tokenizer

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
)

// TestConformance compares with the ids and texts that llama.cpp gives for real vocabularies.
func TestConformance(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "conformance", "tokenizers")
	files, err := filepath.Glob(filepath.Join(dir, "ggml-vocab-*.gguf"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "ggml-vocab-"), ".gguf")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := readConfig(t, file)
			tok, err := New(c)
			require.NoError(t, err)
			compareInOut(t, tok, file)
			compareCases(t, tok, filepath.Join(dir, name+".cases.json"))
		})
	}
}

const separator = "\n__ggml_vocab_test__\n"

// compareInOut reads llama.cpp's own test of a vocabulary: texts and their ids.
func compareInOut(t *testing.T, tok *Tokenizer, file string) {
	in, err := os.ReadFile(file + ".inp")
	require.NoError(t, err)
	out, err := os.ReadFile(file + ".out")
	require.NoError(t, err)
	texts := strings.Split(strings.TrimSuffix(string(in), separator), separator)
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	require.Equal(t, len(lines), len(texts))
	for i, text := range texts {
		var want []int32
		for _, f := range strings.Fields(lines[i]) {
			id, err := strconv.Atoi(f)
			require.NoError(t, err)
			want = append(want, int32(id))
		}
		require.Equal(t, want, tok.Encode(nil, text, false, false), "%q", text)
	}
}

func compareCases(t *testing.T, tok *Tokenizer, file string) {
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	var cases []struct {
		Text, Detokenized, Detokenized_hex string
		IDs                                []int32
		Parse_special, Add_special         bool
	}
	require.NoError(t, json.Unmarshal(b, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		got := tok.Encode(nil, c.Text, c.Add_special, c.Parse_special)
		if len(got) != 0 || len(c.IDs) != 0 {
			require.Equal(t, c.IDs, got, "%q add %v parse %v", c.Text, c.Add_special, c.Parse_special)
		}
		want := c.Detokenized
		if c.Detokenized_hex != "" {
			raw, err := hex.DecodeString(c.Detokenized_hex)
			require.NoError(t, err)
			want = string(raw)
		}
		require.Equal(t, want, tok.Decode(got, true), "%q add %v parse %v", c.Text, c.Add_special, c.Parse_special)
	}
}
