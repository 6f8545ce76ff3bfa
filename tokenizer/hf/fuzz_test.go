package hf

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/tokenizer"
)

// FuzzTokenizerJSON: whatever a tokenizer.json says, there is a tokenizer that takes any text, or
// one error of one line; and the pipeline that goes into a GGUF file comes back as it was.
func FuzzTokenizerJSON(f *testing.F) {
	var cases []struct {
		Tokenizer json.RawMessage `json:"tokenizer"`
		Texts     []string        `json:"texts"`
	}
	b, err := os.ReadFile(filepath.Join("testdata", "reference.json"))
	require.NoError(f, err)
	require.NoError(f, json.Unmarshal(b, &cases))
	for _, c := range cases {
		if len(c.Tokenizer) < 4000 {
			f.Add([]byte(c.Tokenizer), []byte(`{"bos_token":"a"}`), strings.Join(c.Texts, "\n"))
		}
	}
	root := f.TempDir()
	f.Fuzz(func(t *testing.T, file, settings []byte, text string) {
		if len(file) > 1<<16 || len(settings) > 1<<12 || len(text) > 1<<12 {
			return
		}
		dir, err := os.MkdirTemp(root, "")
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer.json"), file, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), settings, 0o600))
		v, err := Read(dir, Options{})
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		tok, err := tokenizer.New(v.Config)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		ids := tok.Encode(nil, text, true, true)
		for _, id := range ids {
			require.Less(t, int(id), tok.Size())
			require.GreaterOrEqual(t, id, int32(0))
		}
		tok.Decode(ids, true)
		line, err := v.PipelineJSON()
		require.NoError(t, err)
		v.Config.Pipeline, err = ParsePipeline(line)
		require.NoError(t, err)
		again, err := tokenizer.New(v.Config)
		require.NoError(t, err)
		require.Equal(t, ids, again.Encode(nil, text, true, true))
	})
}
