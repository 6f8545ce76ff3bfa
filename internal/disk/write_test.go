package disk

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// names lists a folder.
func names(t *testing.T, dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func text(s string) func(io.Writer) error {
	return func(out io.Writer) error {
		_, err := io.WriteString(out, s)
		return err
	}
}

// TestWrite: a file is there whole or as it was before, whatever happens, and there is nothing
// beside it.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	holds := func(want string) {
		t.Helper()
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, want, string(data))
		require.Equal(t, []string{"file"}, names(t, dir))
	}
	require.NoError(t, Write(path, text("one")))
	holds("one")
	require.NoError(t, Write(path, text("two")))
	holds("two")

	full := errors.New("no more")
	err := Write(path, func(out io.Writer) error { return errors.Join(text("half")(out), full) })
	require.ErrorIs(t, err, full)
	holds("two")
	require.Panics(t, func() { Write(path, func(out io.Writer) error { panic(full) }) })
	holds("two")

	err = Write(filepath.Join(dir, "absent", "file"), text("three"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, filepath.Join(dir, "absent", "file")+": ")
	require.NotContains(t, err.Error(), ".tmp")
	require.ErrorContains(t, Write(dir, text("three")), dir+": ")
	holds("two")

	require.NoError(t, Check(path))
	require.NoError(t, Check(filepath.Join(dir, "other")))
	require.ErrorIs(t, Check(filepath.Join(dir, "absent", "file")), os.ErrNotExist)
	require.ErrorContains(t, Check(dir), dir+": ")
	holds("two")
}

// TestWriteElsewhere: a link stays a link, and what is no file is written to.
func TestWriteElsewhere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links want a privilege here")
	}
	dir := t.TempDir()
	path, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	require.NoError(t, os.Symlink("file", link))
	require.NoError(t, Write(link, text("new")))
	to, err := os.Readlink(link)
	require.NoError(t, err)
	require.Equal(t, "file", to)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "new", string(data))

	null := filepath.Join(dir, "null")
	require.NoError(t, os.Symlink(os.DevNull, null)) // so that a fault here does no harm
	require.NoError(t, Write(null, text("gone")))
	info, err := os.Stat(null)
	require.NoError(t, err)
	require.False(t, info.Mode().IsRegular())
	require.Equal(t, []string{"file", "link", "null"}, names(t, dir))
}

// TestWriteMode: a file that takes the place of another has its permissions, from the beginning.
func TestWriteMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is but one permission here")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, mode := range []os.FileMode{0o600, 0o640, 0o400, 0o666, 0o755, 0} {
		require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		require.NoError(t, Check(path))
		require.NoError(t, Write(path, func(out io.Writer) error {
			require.Len(t, names(t, dir), 2)
			for _, name := range names(t, dir) {
				info, err := os.Stat(filepath.Join(dir, name))
				require.NoError(t, err)
				require.Equal(t, mode, info.Mode(), name)
			}
			return text("new")(out)
		}))
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode())
		require.EqualValues(t, 3, info.Size())
		require.NoError(t, os.Remove(path))
	}
}

func TestSame(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("a", nil, 0o600))
	require.NoError(t, os.WriteFile("b", nil, 0o600))
	require.True(t, Same("a", filepath.Join(".", "a")))
	require.False(t, Same("a", "b"))
	require.False(t, Same("a", "none"))
	require.False(t, Same("none", "none"))
	if runtime.GOOS != "windows" {
		require.NoError(t, os.Symlink("a", "link"))
		require.True(t, Same("a", "link"))
	}
}
