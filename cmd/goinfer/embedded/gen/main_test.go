package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	"github.com/goinfer/goinfer/internal/shared"
)

// The files in the repository are those that the program makes, byte for byte.
func TestRegenerated(t *testing.T) {
	require.Equal(t, embedded.Names(), names)
	dir := shared.Dir(t)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			made := filepath.Join(t.TempDir(), target(name))
			require.NoError(t, make8(source(dir, name), made))
			data, err := os.ReadFile(made)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, embedded.Model(name)), "%s differs: run go generate ./cmd/goinfer/embedded", target(name))
		})
	}
}

func TestFaults(t *testing.T) {
	dir := t.TempDir()
	require.ErrorContains(t, make8(source(dir, "tiny-dense"), filepath.Join(dir, "out.gguf")), "tiny-dense-f16.gguf")
	bad := filepath.Join(dir, "bad.gguf")
	require.NoError(t, os.WriteFile(bad, []byte("GGUF"), 0o644))
	require.ErrorContains(t, make8(bad, filepath.Join(dir, "out.gguf")), "bad.gguf")
	require.NoFileExists(t, filepath.Join(dir, "out.gguf"))
}
