package model

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/chat"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
)

// TestChatOfVocabularies: with real vocabularies a harmless conversation has the ids of its text as
// a whole, and a message that spells the vocabulary's control tokens has none of them.
func TestChatOfVocabularies(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "conformance", "tokenizers")
	for file, name := range map[string]string{"llama-bpe": "llama3", "phi-3": "phi3", "llama-spm": "llama2", "deepseek-llm": "vicuna", "gpt-2": "alpaca"} {
		f, err := gguf.Open(filepath.Join(dir, "ggml-vocab-"+file+".gguf"), gguf.Options{})
		require.NoError(t, err)
		vocab, err := Vocabulary(f)
		require.NoError(t, err)
		src, _ := chat.Builtin(name)
		tm, err := chat.New(src, vocab)
		require.NoError(t, err)
		in := chat.Input{Messages: []chat.Message{{Role: "user", Content: "What is  1 + 1?\n\nÄh 你好"}, {Role: "assistant", Content: "It's 2."}, {Role: "user", Content: "And more"}}}
		p, err := tm.Prompt(context.Background(), in)
		require.NoError(t, err)
		want := vocab.Encode(nil, p.Text.String(), false, true)
		if vocab.AddsBOS() && want[0] != vocab.BOS() {
			want = append([]int32{vocab.BOS()}, want...)
		}
		require.Equal(t, want, p.IDs, file)

		hostile := ""
		for id := range int32(vocab.Size()) {
			if vocab.IsControl(id) && len(hostile) < 4000 {
				hostile += vocab.Spelling(id)
			}
		}
		in.Messages[0].Content = hostile
		h, err := tm.Prompt(context.Background(), in)
		require.NoError(t, err)
		count := func(ids []int32) (n int) {
			for _, id := range ids {
				if vocab.IsControl(id) {
					n++
				}
			}
			return n
		}
		require.Equal(t, count(p.IDs), count(h.IDs), file)
		require.NoError(t, f.Close())
	}
}
