package hub

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestHostileNumbers: numbers that would overflow, and counts of nothing, are errors.
func TestHostileNumbers(t *testing.T) {
	require.Equal(t, 1, pieces(1000, math.MaxInt64))
	require.Equal(t, 1, pieces(math.MaxInt64, math.MaxInt64))
	require.Equal(t, 2, pieces(9, 8))
	require.Equal(t, 0, pieces(0, 8))
	_, have, ok := readJournal(fmt.Appendf(nil, `{"size":1000,"piece":%d,"hash":"x"}`+"\n0\n", int64(math.MaxInt64)), plan{1000, 8, "x"})
	require.True(t, ok)
	require.Equal(t, []bool{true}, have)

	require.Empty(t, Quant("m-00001-of-00000.gguf"))
	require.Len(t, candidates([]string{"m-00001-of-00000.gguf"}), 1)

	// Two sizes whose sum is negative would pass for what fits on the disk.
	layers := fmt.Sprintf(`{"layers": [{"mediaType": %q, "digest": "sha256:%s", "size": %d}, {"digest": "sha256:%s", "size": 2}]}`,
		layerModel, strings.Repeat("0", 64), int64(math.MaxInt64), strings.Repeat("1", 64))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(layers)) }))
	defer server.Close()
	dir := t.TempDir()
	c := &Client{Registry: server.URL, Stores: Stores{Own: filepath.Join(dir, "own"), State: filepath.Join(dir, "state")}, Backoff: time.Millisecond, Tries: 1}
	_, err := pull(t.Context(), c, "ollama:x")
	require.ErrorContains(t, err, "bytes, found 9223372036854775807")
	requireEmpty(t, dir)
}

// TestManifestWithoutDigest: a layer that is equal to the configuration needs a digest too.
func TestManifestWithoutDigest(t *testing.T) {
	data := fmt.Appendf(nil, `{"config": {"mediaType": %[1]q}, "layers": [{"mediaType": %[1]q}]}`, layerModel)
	_, err := parseManifest(data)
	require.ErrorContains(t, err, "want a digest")
	s := Stores{Own: t.TempDir()}
	file := manifestPath(s.Own, Name{Ollama: true, Owner: "library", Repo: "x"})
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, data, 0o644))
	list, err := s.List(t.Context())
	require.NoError(t, err)
	require.Contains(t, list[0].Damaged, "want a digest")
}
