package mem_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/mem"
	"github.com/goinfer/goinfer/internal/mmap"
)

func TestPopulate(t *testing.T) {
	content := bytes.Repeat([]byte("goinfer"), 100000)
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	m, err := mmap.Open(path)
	require.NoError(t, err)
	defer m.Close()
	for _, part := range [][]byte{nil, m.Data()[:1], m.Data()[5000:70001], m.Data(), content} {
		mem.Populate(part)
	}
	require.True(t, bytes.Equal(content, m.Data()))

	// What was populated is held, without having been touched. Emulators of other processors do not
	// pass the advice on.
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" || !mem.ResetPeak() {
		return
	}
	require.NoError(t, os.WriteFile(path, make([]byte, 64<<20), 0o600))
	large, err := mmap.Open(path)
	require.NoError(t, err)
	defer large.Close()
	before := mem.PeakRSS()
	mem.Populate(large.Data())
	require.Greater(t, mem.PeakRSS()-before, int64(48<<20))
}
