package mmap

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/mem"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for _, content := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("goinfer"), 10000)} {
		path := filepath.Join(dir, "file")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		for _, open := range []func(string) (*Map, error){Open, Read} {
			m, err := open(path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(content, m.Data()))
			if err := m.Lock(); err != nil {
				t.Log(err) // a limit of the system
			}
			require.NoError(t, m.Close())
			require.NoError(t, m.Close())
			require.Nil(t, m.Data())
		}
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(dir)
	require.ErrorContains(t, err, "want a regular file, found a directory")
	_, err = Open(filepath.Join(dir, "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Read(filepath.Join(dir, "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
	if _, err := os.Stat("/dev/null"); err == nil {
		_, err = Open("/dev/null")
		require.ErrorContains(t, err, "found a device")
	}
}

// TestSparse: a file that says it is larger than any memory is mapped, and not read.
func TestSparse(t *testing.T) {
	if _, _, ok := mem.Available(); !ok {
		t.Skip("nothing is known of memory")
	}
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	if err := os.Truncate(path, 1<<42); err != nil {
		t.Skip(err)
	}
	_, err := Read(path)
	require.ErrorIs(t, err, fault.ErrMemory)
	require.ErrorContains(t, err, path+": not enough memory to read all of the file: want 4398046511104 bytes")
}
