package model

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
)

// TestVocabularies opens the vocabulary of every file of the reference data.
func TestVocabularies(t *testing.T) {
	dir := shared.Dir(t)
	var paths []string
	for _, p := range []string{"conformance/tokenizers/*.gguf", "conformance/models/*/model.gguf", "models/*/*.gguf"} {
		found, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(p)))
		require.NoError(t, err)
		paths = append(paths, found...)
	}
	require.Greater(t, len(paths), 100)
	for _, path := range paths {
		f, err := gguf.Open(path, gguf.Options{HeaderOnly: true})
		require.NoError(t, err)
		v, err := Vocabulary(f)
		require.NoError(t, err, path)
		n, ok := GGUF(f).Len("tokenizer.ggml.tokens")
		require.True(t, ok)
		require.Equal(t, n, v.Size())
		require.NoError(t, f.Close())
	}
}
