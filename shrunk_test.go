package goinfer_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/convert"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/fault"
)

// shrinking is a copy of a model that may be made shorter.
func shrinking(t *testing.T, name string) (path string, size int64) {
	if runtime.GOOS == "windows" {
		t.Skip("no file can be made shorter there while it is mapped")
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("emulators of other processors do not pass on the address of a fault")
	}
	data, err := os.ReadFile(filepath.Join("testdata/models", name, "model.gguf"))
	require.NoError(t, err)
	path = filepath.Join(t.TempDir(), "m.gguf")
	require.NoError(t, os.WriteFile(path, data, 0o644))
	return path, int64(len(data))
}

// changed requires the error of a file that became shorter, and no other.
func changed(t *testing.T, path string, err error) {
	t.Helper()
	require.EqualError(t, err, path+": the file changed while it was used")
	require.ErrorIs(t, err, goinfer.ErrFormat)
	var f *goinfer.FileError
	require.ErrorAs(t, err, &f)
	require.Equal(t, path, f.Path)
}

// TestShrunk makes the file of an open model shorter: its requests fail, all else in the process
// goes on.
func TestShrunk(t *testing.T) {
	for _, name := range []string{"llama-dense", "llama-quant-mix", "mixtral"} {
		for _, keep := range []float64{0, 0.3, 0.6} {
			for _, threads := range []int{1, 3} {
				t.Run(fmt.Sprintf("%s %v %d", name, keep, threads), func(t *testing.T) {
					path, size := shrinking(t, name)
					o := goinfer.Options{Threads: threads, Context: 128}
					m, err := goinfer.Open(path, o)
					require.NoError(t, err)
					defer m.Close()
					sound, err := goinfer.Open(filepath.Join("testdata/models", name, "model.gguf"), o)
					require.NoError(t, err)
					defer sound.Close()

					require.NoError(t, os.Truncate(path, int64(keep*float64(size))))
					for range 2 {
						changed(t, path, m.Score(t.Context(), goinfer.Request{Tokens: make([]int32, 50)}))
						_, err = m.Embed(t.Context(), goinfer.EmbedRequest{Tokens: []int32{1, 2, 3}})
						changed(t, path, err)
						require.NoError(t, sound.Score(t.Context(), goinfer.Request{Tokens: make([]int32, 50)}))
					}
					require.NoError(t, m.Close())
				})
			}
		}
	}
}

// TestShrunkReaders does so to what reads files without a model.
func TestShrunkReaders(t *testing.T) {
	for _, typ := range []string{"", "q8_0"} {
		path, size := shrinking(t, "llama-dense")
		f, err := gguf.Open(path, gguf.Options{})
		require.NoError(t, err)
		defer f.Close()
		w, err := convert.Quantize(t.Context(), f, convert.Options{Type: typ, Threads: 2})
		require.NoError(t, err)
		require.NoError(t, os.Truncate(path, size/2))
		_, err = w.WriteTo(&bytes.Buffer{})
		changed(t, path, err)
		out := filepath.Join(t.TempDir(), "out.gguf")
		changed(t, path, w.WriteFile(out))
		left, err := os.ReadDir(filepath.Dir(out))
		require.NoError(t, err)
		require.Empty(t, left)
	}
	path, _ := shrinking(t, "llama-dense")
	f, err := gguf.Open(path, gguf.Options{HeaderOnly: true})
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, os.Truncate(path, 0))
	_, err = convert.Quantize(t.Context(), f, convert.Options{})
	changed(t, path, err)
}

// TestGuard: what is no fault in a mapped file goes on as the panic that it is.
func TestGuard(t *testing.T) {
	guarded := func(f func()) (err error) {
		defer fault.Guard(&err)()
		f()
		return nil
	}
	require.NoError(t, guarded(func() {}))
	require.PanicsWithValue(t, "boom", func() { _ = guarded(func() { panic("boom") }) })
	var none *int
	require.Panics(t, func() { _ = guarded(func() { *none = 1 }) })
}
