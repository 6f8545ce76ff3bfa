package remote

import (
	"bytes"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestShown(t *testing.T) {
	for address, want := range map[string]string{
		"https://example.org/a/m.gguf":                            "https://example.org/a/m.gguf",
		"https://user:secret@example.org/m.gguf?token=secret#sec": "https://example.org/m.gguf",
		"https://a@secret@example.org:80":                         "https://example.org:80",
		"https://example.org?secret/@":                            "https://example.org",
		"https://example.org/a@b/m.gguf":                          "https://example.org/a@b/m.gguf",
		"https://":                                                "https://",
		"m.gguf":                                                  "m.gguf",
	} {
		require.Equal(t, want, Shown(address), address)
	}
	require.Equal(t, "https://u:p@h/a/n.gguf?x=/y", Sibling("https://u:p@h/a/m.gguf?x=/y", "n.gguf"))
	_, err := Address("http://user:secret@ x/m.gguf?secret")
	require.ErrorContains(t, err, "want an address")
	require.NotContains(t, err.Error(), "secret")
}

// TestSecrets: no error has what an address keeps secret.
func TestSecrets(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	address := strings.Replace(s.URL, "://", "://user:secret@", 1) + "/m.gguf?token=secret"
	_, err := Open(t.Context(), address)
	require.EqualError(t, err, s.URL+"/m.gguf: the server has no such file (status 404 Not Found): file does not exist")
	s.Close()
	_, err = Open(t.Context(), address)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}

// TestDrip: a body that comes byte by byte is given up.
func TestDrip(t *testing.T) {
	before := patient
	patient = 200 * time.Millisecond
	defer func() { patient = before }()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-999/1000")
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusPartialContent)
		for r.Context().Err() == nil {
			w.Write([]byte{1})
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	}))
	defer s.Close()
	f := &File{ctx: t.Context(), url: s.URL, name: s.URL, size: -1}
	require.EqualError(t, f.fetch(1000), s.URL+": the server sends less than 16384 bytes a second")
}

// TestTalkative: what a server sends beyond an answer is not written to the log, and a long status
// is cut.
func TestTalkative(t *testing.T) {
	var out bytes.Buffer
	before := log.Writer()
	log.SetOutput(&out)
	defer log.SetOutput(before)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, b, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		if r.URL.Path == "/status" {
			fmt.Fprintf(b, "HTTP/1.1 500 %s\r\nContent-Length: 0\r\n\r\n", strings.Repeat("x", 5000))
		} else {
			fmt.Fprint(b, "HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\nContent-Range: bytes 0-2/3\r\n\r\nabc")
			b.Flush()
			time.Sleep(50 * time.Millisecond)
			fmt.Fprint(b, "and more")
		}
		b.Flush()
	}))
	defer s.Close()
	_, err := Open(t.Context(), s.URL)
	require.NoError(t, err)
	_, err = Open(t.Context(), s.URL+"/status")
	require.Error(t, err)
	require.Less(t, len(err.Error()), 200)
	time.Sleep(100 * time.Millisecond)
	require.Empty(t, out.String())
}

// TestFront: a large front is held once.
func TestFront(t *testing.T) {
	data := content(3 << 20)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}))
	defer s.Close()
	f, err := Open(t.Context(), s.URL)
	require.NoError(t, err)
	a, err := f.Front(2 << 20)
	require.NoError(t, err)
	b, err := f.Front(1 << 40)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data[:2<<20], a))
	require.True(t, bytes.Equal(data, b))
	c, err := f.Front(5)
	require.NoError(t, err)
	require.Same(t, &b[0], &c[0])
}
