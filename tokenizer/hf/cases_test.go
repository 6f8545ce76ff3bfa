package hf

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/tokenizer"
)

// open reads the vocabulary of a folder.
func open(t testing.TB, dir string) *tokenizer.Tokenizer {
	v, err := Read(dir, Options{})
	require.NoError(t, err)
	require.NotNil(t, v)
	tok, err := tokenizer.New(v.Config)
	require.NoError(t, err)
	return tok
}

// TestCases: folders that once gave other ids than Hugging Face's tokenizers.
func TestCases(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "cases", "tokenizers")
	const chat = "<|user|>\nHello<|end|>\n<|assistant|>\n"
	for _, c := range []struct {
		folder, text string
		want         []int32
	}{
		{"gpt4o-marks", "नि", []int32{259}},
		{"metaspace-first", "[INST] hi [/INST]", []int32{1, 32000, 12014, 28705, 32001}},
		{"my-finetune", chat, []int32{1, 32010, 22557, 32007, 32001}},
		{"phi-3-mini", chat, []int32{1, 32010, 22557, 32007, 32001}},
		{"nfc", "e\u0301", []int32{130, 105}},
		{"bert", "한국어", []int32{101, 1469, 30006, 30021, 29991, 30014, 30020, 29999, 30008, 102}},
		{"bert", "학국어", []int32{101, 1469, 30006, 30020, 29991, 30014, 30020, 29999, 30008, 102}},
		{"merges-apart", "abc", []int32{2, 3, 106}},
		{"two-behind", "abc", []int32{1, 67, 68, 69}},
		{"config-added", "<|im_start|>user\nhi<|im_end|>\n", []int32{1, 87, 85, 71, 84, 201, 74, 75, 2, 201}},
		{"overlap", "abcdef", []int32{640, 70, 71, 72}},
		{"overlap", "xbcdef", []int32{90, 641}},
	} {
		path := filepath.Join(dir, c.folder)
		if _, err := os.Stat(path); err != nil {
			t.Skip("no cases")
		}
		require.Equal(t, c.want, open(t, path).Encode(nil, c.text, true, true), "%s %q", c.folder, c.text)
	}
	bert := open(t, filepath.Join(dir, "bert"))
	require.NotEqual(t, bert.Encode(nil, "हनद", false, false), bert.Encode(nil, "हिन्दी", false, false))
}

// TestEnds: what ends a generation is what the folder says, any number of tokens, and of the names
// that do so elsewhere those of special tokens alone.
func TestEnds(t *testing.T) {
	write := func(files map[string]string) string {
		dir := t.TempDir()
		for name, text := range files {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
		return dir
	}
	const pieces = `{"added_tokens":[{"id":0,"content":"<eos>","special":true},{"id":1,"content":"</s>","special":false},{"id":6,"content":"<|im_end|>","special":true}],
		"pre_tokenizer":{"type":"Whitespace"},"model":{"type":"BPE","vocab":{"<eos>":0,"</s>":1,"a":2,"b":3,"c":4,"d":5},"merges":[]}}`
	tok := open(t, write(map[string]string{"tokenizer.json": pieces, "tokenizer_config.json": `{"eos_token":"<eos>"}`,
		"generation_config.json": `{"eos_token_id":[0,2,3,4,5]}`}))
	require.Equal(t, []int32{0, 2, 3, 4, 5, 6}, tok.EOG())
	require.False(t, tok.IsControl(1), "</s> is HTML here")
	require.Equal(t, []int32{2, 1, 2}, tok.Encode(nil, "a</s>a", false, false))
	require.Equal(t, "</s>", tok.Decode([]int32{1}, false))
}
