package disk

import (
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFree(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" && runtime.GOOS != "windows" {
		t.Skip("nothing is known here")
	}
	dir := t.TempDir()
	n, ok := Free(dir)
	require.True(t, ok)
	require.Positive(t, n)
	_, ok = Free(filepath.Join(dir, "none"))
	require.False(t, ok)
}
