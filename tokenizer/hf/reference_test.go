package hf

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/tokenizer"
)

// TestReference compares made-up vocabularies, which mix all kinds of steps and flags, with the ids
// that Hugging Face's tokenizers 0.23 gave. GOINFER_REFERENCE names another file of the same form.
func TestReference(t *testing.T) {
	path := filepath.Join("testdata", "reference.json")
	if p := os.Getenv("GOINFER_REFERENCE"); p != "" {
		path = p
	}
	var cases []struct {
		Tokenizer json.RawMessage `json:"tokenizer"`
		Texts     []string        `json:"texts"`
		IDs       [][]int32       `json:"ids"`
	}
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &cases))
	require.NotEmpty(t, cases)
	dir := t.TempDir()
	for n, c := range cases {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer.json"), c.Tokenizer, 0o600))
		v, err := Read(dir, Options{})
		require.NoError(t, err, "%d %s", n, c.Tokenizer)
		tok, err := tokenizer.New(v.Config)
		require.NoError(t, err, "%d %s", n, c.Tokenizer)
		for i, text := range c.Texts {
			got := tok.Encode([]int32{}, text, false, true)
			if fmt.Sprint(got) != fmt.Sprint(c.IDs[i]) {
				t.Errorf("case %d %q\n got %d %q\nwant %d %q\n%s", n, text, got, spelled(tok, got), c.IDs[i], spelled(tok, c.IDs[i]), withoutVocab(c.Tokenizer))
				break
			}
		}
	}
}

// withoutVocab is a tokenizer.json for a message.
func withoutVocab(b []byte) string {
	var j map[string]any
	if err := json.Unmarshal(b, &j); err != nil {
		return err.Error()
	}
	if m, ok := j["model"].(map[string]any); ok {
		m["vocab"] = nil
	}
	b, err := json.Marshal(j)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
