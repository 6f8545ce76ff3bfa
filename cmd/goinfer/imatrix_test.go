package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestImatrix(t *testing.T) {
	dir := t.TempDir()
	text, file, model := filepath.Join(dir, "text"), filepath.Join(dir, "m.imatrix.gguf"), filepath.Join(dir, "m.gguf")
	require.NoError(t, os.WriteFile(text, []byte(strings.Repeat("The sun rises in the east and sets in the west.\n", 20)), 0o644))
	require.Empty(t, ok(t, command(t, "", "imatrix", "-f", text, "-c", "64", "--chunks", "2", "-o", file)))
	r := command(t, "", "quantize", "tiny-dense", model, "iq3_xxs", "--imatrix", file)
	require.Equal(t, 0, r.code, r.err)
	require.NotContains(t, r.err, "want an importance matrix")
	about := ok(t, command(t, "", "inspect", model))
	require.Regexp(t, `quantize\.imatrix\.dataset +string +`+text, about)
	require.Regexp(t, `quantize\.imatrix\.chunks_count +uint32 +2`, about)

	wrong(t, command(t, "", "imatrix", "-f", text), "want -o OUT")
	fault(t, command(t, "", "imatrix", "-f", text, "-o", file), "want at least one chunk of 512")
	require.Contains(t, command(t, "", "quantize", "tiny-moe", model, "q4_0", "--imatrix", file, "--dry-run").err, "is of another model: there is no tensor for 26 of 42 entries")
}
