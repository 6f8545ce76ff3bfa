package remote

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 / 5)
	}
	return b
}

// TestRead: what is read is what the file has, in growing ranges, none fetched twice.
func TestRead(t *testing.T) {
	data := content(3 << 20)
	var ranges []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			http.Redirect(w, r, "/new", http.StatusFound)
			return
		}
		ranges = append(ranges, r.Header.Get("Range"))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}))
	defer s.Close()
	f, err := Open(t.Context(), s.URL+"/old")
	require.NoError(t, err)
	require.EqualValues(t, len(data), f.Size())
	for _, end := range []int{1000, 2 << 20, 2<<20 - 5, 3 << 20} {
		p := make([]byte, end)
		_, err := f.ReadAt(p, 0)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data[:end], p))
	}
	p := make([]byte, 100)
	n, err := f.ReadAt(p, int64(len(data)-7))
	require.Equal(t, 7, n)
	require.Equal(t, io.EOF, err)
	require.Equal(t, []string{"bytes=0-1048575", "bytes=1048576-2097151", "bytes=2097152-3145727"}, ranges)
	_, err = f.ReadAt(p, 4<<20)
	require.Error(t, err)
}

// TestSmall: all of a file that is no longer than what is asked for may come at once.
func TestSmall(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"a": 1}`)) }))
	defer s.Close()
	f, err := Open(t.Context(), s.URL)
	require.NoError(t, err)
	p := make([]byte, f.Size())
	_, err = f.ReadAt(p, 0)
	require.NoError(t, err)
	require.Equal(t, `{"a": 1}`, string(p))
}

func TestFaults(t *testing.T) {
	big := content(2 << 20)
	partial := func(header string, n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", header)
			w.WriteHeader(http.StatusPartialContent)
			w.Write(big[:n])
		}
	}
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		want string
		is   error
	}{
		"missing":   {http.NotFound, "the server has no such file (status 404 Not Found)", fs.ErrNotExist},
		"forbidden": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "the server does not give it to everyone", fs.ErrPermission},
		"broken":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "the server answers with status 502 Bad Gateway", nil},
		"empty":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestedRangeNotSatisfiable) }, "the file is empty", nil},
		"no ranges": {func(w http.ResponseWriter, _ *http.Request) { w.Write(big) }, "the server does not serve parts of files (status 200 OK)", nil},
		"no size":   {partial("bytes 0-1048575/*", first), `want a Content-Range with a size, found "bytes 0-1048575/*"`, nil},
		"other":     {partial("bytes 5-1048575/9999999", first), `want the bytes from 0 to 1048575, found "bytes 5-1048575/9999999"`, nil},
		"huge":      {partial("bytes 0-1048575/99999999999999999999", first), "want the bytes from 0 to 1048575", nil},
		"short":     {partial("bytes 0-1048575/9999999", 1000), "want 1048576 bytes, found 1000", io.ErrUnexpectedEOF},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1048576")
			partial("bytes 0-1048575/9999999", 1000)(w, nil)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "unexpected EOF", io.ErrUnexpectedEOF},
	} {
		s := httptest.NewServer(c.h)
		_, err := Open(t.Context(), s.URL+"/m.gguf")
		require.ErrorContains(t, err, c.want, name)
		require.ErrorContains(t, err, s.URL+"/m.gguf", name)
		if c.is != nil {
			require.ErrorIs(t, err, c.is, name)
		}
		s.Close()
	}

	// A file that grows between two requests, and one that would never end.
	calls := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content(1<<20+1000*calls)))
	}))
	defer s.Close()
	f, err := Open(t.Context(), s.URL)
	require.NoError(t, err)
	_, err = f.ReadAt(make([]byte, f.Size()), 0)
	require.ErrorContains(t, err, "the file has changed: it had 1049576 bytes, and has 1050576")
	f.size = MaxRead + 5
	_, err = f.ReadAt(make([]byte, 10), MaxRead)
	require.ErrorContains(t, err, "want to read at most 268435456 bytes")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Open(ctx, s.URL)
	require.ErrorIs(t, err, context.Canceled)
	_, err = Open(t.Context(), "http://127.0.0.1:1/x")
	require.ErrorContains(t, err, "http://127.0.0.1:1/x: ")
}

func TestAddress(t *testing.T) {
	for from, want := range map[string]string{
		"https://huggingface.co/a/b/blob/main/m.gguf":                  "https://huggingface.co/a/b/resolve/main/m.gguf",
		"https://huggingface.co/a/b/resolve/main/m.gguf?download=true": "https://huggingface.co/a/b/resolve/main/m.gguf",
		"https://example.org/a/b/blob/main/m.gguf?x=1":                 "https://example.org/a/b/blob/main/m.gguf?x=1",
	} {
		got, err := Address(from)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := Address("https://")
	require.Error(t, err)
	require.True(t, IsURL("http://x/y"))
	require.False(t, IsURL("C:/x/y"))
}
