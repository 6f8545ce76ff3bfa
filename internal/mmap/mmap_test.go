package mmap

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
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
