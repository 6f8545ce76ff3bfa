package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLogits(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, args ...string) string {
		path := filepath.Join(dir, name)
		require.Empty(t, ok(t, command(t, "", append([]string{"logits", "--ids", "1,329,703,2216", "-o", path}, args...)...)))
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Len(t, data, 4*4*4096)
		return string(data)
	}
	all := write("all")
	require.Equal(t, all, write("all"), "an old file is replaced")
	require.Equal(t, all, write("one", "-ub", "1"))
	require.Equal(t, all, write("thread", "tiny-dense", "-t", "1"))
	require.Equal(t, all, write("path", "-m", filepath.Join("embedded", "tiny-dense-q8_0.gguf")))
	f32 := write("f32", "-ctk", "f32", "-ctv", "f32")
	require.NotEqual(t, all, f32)
	require.NotEqual(t, f32, write("exact", "-ctk", "f32", "-ctv", "f32", "--exact"))
	require.NotEqual(t, all, write("moe", "tiny-moe"))
	require.Equal(t, all, ok(t, command(t, "", "logits", "--ids", "1, 329,703,2216", "-o", "-")))
	require.Equal(t, all, ok(t, command(t, "[1,329,703,2216]\n", "logits", "--ids", "-", "-o", "-")))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 7, "nothing is left but the files")
}

func TestLogitsFaults(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	require.NoError(t, os.WriteFile(out, []byte("old"), 0o644))
	wrong(t, command(t, "", "logits", "-o", out), "want --ids")
	wrong(t, command(t, "", "logits", "--ids", "1"), "-o FILE")
	wrong(t, command(t, "", "logits", "--ids", "1,,2", "-o", out), "--ids: want numbers")
	wrong(t, command(t, "", "logits", "--ids", "99999999999", "-o", out), "--ids: want numbers")
	wrong(t, command(t, "", "logits", "--ids", "1", "-o", out, "tiny-dense", "text"), "want one model")
	fault(t, command(t, "", "logits", "--ids", "1,4096", "-o", out), "--ids: number 2 is 4096: the vocabulary has 4096 tokens, 0 to 4095")
	fault(t, command(t, "", "logits", "--ids", "-1", "-o", out), "--ids: number 1 is -1: the vocabulary has 4096 tokens")
	fault(t, command(t, "", "logits", "--ids", "1"+strings.Repeat(",5", 512), "-o", out), "the prompt has 513 tokens, the context 512: context is full; -c makes it larger")
	fault(t, command(t, "", "logits", "--ids", "1", "-o", filepath.Join(dir, "no", "out")), filepath.Join(dir, "no", "out")+": ")
	fault(t, command(t, "", "logits", "--ids", "1", "-o", dir), dir)
	data, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, "old", string(data), "a fault leaves the old file")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

// A link stays a link, and what is no file is written, not replaced.
func TestLogitsTargets(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no links or device files here")
	}
	dir := t.TempDir()
	link, file := filepath.Join(dir, "link"), filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	require.NoError(t, os.Symlink(file, link))
	require.NoError(t, os.Symlink(os.DevNull, filepath.Join(dir, "null")))
	ok(t, command(t, "", "logits", "--ids", "1", "-o", link))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSymlink)
	info, err = os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 4*4096, info.Size())
	ok(t, command(t, "", "logits", "--ids", "1", "-o", filepath.Join(dir, "null")))
	info, err = os.Stat(os.DevNull)
	require.NoError(t, err)
	require.False(t, info.Mode().IsRegular())
}
