package hf

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIsPart(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"hf", "hf/1_Pooling", "hf/1_Pooling/deep", "blobs"} {
		require.NoError(t, os.Mkdir(filepath.FromSlash(dir), 0o755))
	}
	for _, name := range []string{"m.gguf", "other.gguf", "s-00001-of-00002.gguf", "s-00002-of-00002.gguf", "hf/config.json", "hf/model.safetensors", "hf/tokenizer.model",
		"hf/m.gguf", "hf/1_Pooling/config.json", "blobs/0123", "blobs/4567"} {
		require.NoError(t, os.WriteFile(filepath.FromSlash(name), []byte(name), 0o644))
	}
	links := runtime.GOOS != "windows"
	if links {
		require.NoError(t, os.Symlink("m.gguf", "link.gguf"))
		require.NoError(t, os.Symlink("hf", "folder"))
		require.NoError(t, os.Symlink("../blobs/0123", "hf/tokenizer.json"))
	}
	for _, c := range []struct {
		path, model string
		want, link  bool
	}{
		{"m.gguf", "m.gguf", true, false},
		{"./m.gguf", "m.gguf", true, false},
		{"other.gguf", "m.gguf", false, false},
		{"new.gguf", "m.gguf", false, false},
		{"m.gguf", "new.gguf", false, false},
		{"s-00002-of-00002.gguf", "s-00001-of-00002.gguf", true, false},
		{"s-00001-of-00002.gguf", "s-00001-of-00002.gguf", true, false},
		{"s-00001-of-00003.gguf", "s-00001-of-00002.gguf", false, false},
		{"hf/config.json", "hf", true, false},
		{"hf/model.safetensors", "hf", true, false},
		{"hf/tokenizer.model", "hf/", true, false},
		{"hf/1_Pooling/config.json", "hf", true, false},
		{"hf/new.safetensors", "hf", true, false}, // two files of which no index says what is where
		{"hf/1_Pooling/new.JSON", "hf", true, false},
		{"hf/1_Pooling/deep/new.json", "hf", false, false},
		{"hf/m.gguf", "hf", false, false},
		{"hf/page.html", "hf", false, false},
		{"new.json", "hf", false, false},
		{"hf/config.json", "m.gguf", false, false},
		{"blobs/4567", "hf", false, false},
		{"link.gguf", "m.gguf", true, true},
		{"m.gguf", "link.gguf", true, true},
		{"folder/config.json", "hf", true, true},
		{"hf/config.json", "folder", true, true},
		{"folder/new.json", "hf", true, true},
		// what a link in the folder leads to, as in the cache of Hugging Face's tools
		{"blobs/0123", "hf", true, true},
	} {
		if links || !c.link {
			require.Equal(t, c.want, IsPart(filepath.FromSlash(c.path), filepath.FromSlash(c.model)), "%s, %s", c.path, c.model)
		}
	}
}

// A folder is recognised from inside it.
func TestIsPartHere(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("config.json", []byte("{}"), 0o644))
	here, err := os.Getwd()
	require.NoError(t, err)
	for _, model := range []string{".", "./", here, "../" + filepath.Base(here)} {
		require.True(t, IsPart("config.json", model), model)
		require.True(t, IsPart("vocab.txt", model), model)
		require.False(t, IsPart("m.gguf", model), model)
	}
}
