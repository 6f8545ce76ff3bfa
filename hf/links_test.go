package hf

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStrays(t *testing.T) {
	root := t.TempDir()
	write := func(name string) string {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, nil, 0o644))
		return path
	}
	private, blob := write("private"), write("models--a--b/blobs/1")
	write("hf/config.json")
	write("models--a--b/snapshots/2/config.json")
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Skip(err)
		}
	}
	link(private, "hf/chat_template.jinja")
	link("config.json", "hf/vocab.txt")
	link(private, "hf/README.md")
	link(private, "hf/model.safetensors")
	link("nowhere", "hf/tokenizer.json")
	link(blob, "models--a--b/snapshots/2/tokenizer.json")
	link(private, "models--a--b/snapshots/2/vocab.txt")

	real, err := filepath.EvalSymlinks(private)
	require.NoError(t, err)
	require.Equal(t, []string{"chat_template.jinja is a link to a file outside of the folder, " + real}, unreadLinks(filepath.Join(root, "hf")))
	require.Equal(t, []string{"vocab.txt is a link to a file outside of the folder, " + real}, unreadLinks(filepath.Join(root, "models--a--b/snapshots/2")))
}
