package hub

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/quant"
)

const (
	testCommit = "0123456789abcdef0123456789abcdef01234567"
	testToken  = "hf_secret"
)

// fakeHub behaves as the hub does, and its store of large files on another host.
type fakeHub struct {
	t        testing.TB
	files    map[string][]byte
	large    map[string]bool // stored elsewhere, named by SHA-256
	hub, cdn *httptest.Server

	mu     sync.Mutex
	served map[string]int64 // bytes of each file that were sent

	gated, private bool
	sawToken       atomic.Bool // the store of large files was sent the token
	// answer may answer in place of the hub or the store ("hub" or "cdn"); it returns whether it
	// did.
	answer func(where string, w http.ResponseWriter, r *http.Request) bool
	slow   time.Duration // before each 64 KiB
}

func newHub(t testing.TB, files map[string][]byte) *fakeHub {
	h := &fakeHub{t: t, files: files, large: map[string]bool{}, served: map[string]int64{}}
	for name := range files {
		h.large[name] = strings.HasSuffix(name, ".gguf") || strings.HasSuffix(name, ".safetensors")
	}
	h.cdn = httptest.NewServer(http.HandlerFunc(h.serveStore))
	h.hub = httptest.NewServer(http.HandlerFunc(h.serveHub))
	t.Cleanup(h.cdn.Close)
	t.Cleanup(h.hub.Close)
	return h
}

// client is a client of the hub with stores of its own.
func (h *fakeHub) client(dir string) *Client {
	return &Client{
		Endpoint: h.hub.URL, Stores: Stores{HuggingFace: filepath.Join(dir, "hf"), Own: filepath.Join(dir, "own"), State: filepath.Join(dir, "state")},
		Backoff: time.Millisecond, Stall: 300 * time.Millisecond, Tries: 3,
	}
}

func hashOf(data []byte, large bool) string {
	if large {
		sum := sha256.Sum256(data)
		return hex.EncodeToString(sum[:])
	}
	sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...))
	return hex.EncodeToString(sum[:])
}

func (h *fakeHub) serveHub(w http.ResponseWriter, r *http.Request) {
	if h.answer != nil && h.answer("hub", w, r) {
		return
	}
	refuse := func(status int, code string) {
		w.Header().Set("X-Error-Code", code)
		w.WriteHeader(status)
	}
	authorised := r.Header.Get("Authorization") == "Bearer "+testToken
	switch {
	case h.private && !authorised:
		refuse(http.StatusUnauthorized, "RepoNotFound")
		return
	case h.gated && !authorised:
		refuse(http.StatusForbidden, "GatedRepo")
		return
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, "/api/models/owner/repo/revision/"); ok {
		if rest != "main" && rest != testCommit {
			refuse(http.StatusNotFound, "RevisionNotFound")
			return
		}
		h.serveInfo(w)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/owner/repo/resolve/"+testCommit+"/")
	data, has := h.files[name]
	switch {
	case !strings.HasPrefix(r.URL.Path, "/owner/repo/") && !strings.HasPrefix(r.URL.Path, "/api/models/owner/repo/"):
		refuse(http.StatusUnauthorized, "RepoNotFound")
	case !ok || !has:
		refuse(http.StatusNotFound, "EntryNotFound")
	default:
		w.Header().Set("X-Repo-Commit", testCommit)
		if h.large[name] {
			w.Header().Set("X-Linked-Size", fmt.Sprint(len(data)))
			w.Header().Set("X-Linked-ETag", `"`+hashOf(data, true)+`"`)
			http.Redirect(w, r, h.cdn.URL+"/store/"+name+"?signature=secret", http.StatusFound)
			return
		}
		w.Header().Set("ETag", `"`+hashOf(data, false)+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}
}

func (h *fakeHub) serveInfo(w http.ResponseWriter) {
	type lfs struct {
		SHA256 string `json:"sha256"`
		Size   int    `json:"size"`
	}
	type sibling struct {
		Name string `json:"rfilename"`
		Size int    `json:"size"`
		LFS  *lfs   `json:"lfs,omitempty"`
	}
	var info struct {
		ID       string    `json:"id"`
		SHA      string    `json:"sha"`
		Siblings []sibling `json:"siblings"`
	}
	info.ID, info.SHA = "owner/repo", testCommit
	for name, data := range h.files {
		s := sibling{Name: name, Size: len(data)}
		if h.large[name] {
			s.LFS = &lfs{hashOf(data, true), len(data)}
		}
		info.Siblings = append(info.Siblings, s)
	}
	_ = json.NewEncoder(w).Encode(info)
}

func (h *fakeHub) serveStore(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		h.sawToken.Store(true)
	}
	if h.answer != nil && h.answer("cdn", w, r) {
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/store/")
	data, ok := h.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", `"stored"`)
	http.ServeContent(&counting{ResponseWriter: w, h: h, name: name}, r, "", time.Time{}, bytes.NewReader(data))
}

// counting counts what is sent of a file, and takes its time.
type counting struct {
	http.ResponseWriter
	h    *fakeHub
	name string
}

func (c *counting) Write(b []byte) (int, error) {
	if c.h.slow > 0 {
		time.Sleep(c.h.slow)
	}
	n, err := c.ResponseWriter.Write(b)
	c.h.mu.Lock()
	c.h.served[c.name] += int64(n)
	c.h.mu.Unlock()
	return n, err
}

func (h *fakeHub) sent(name string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.served[name]
}

// noise is n bytes that no compression and no luck make equal.
func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

// model is a GGUF file with a tensor of so many floats.
func model(t testing.TB, floats int, kvs ...any) []byte {
	w := gguf.NewWriter()
	require.NoError(t, w.Set("general.architecture", "llama"))
	for i := 0; i < len(kvs); i += 2 {
		require.NoError(t, w.Set(kvs[i].(string), kvs[i+1]))
	}
	require.NoError(t, w.Add("x", quant.F32, []int{floats}, noise(4*floats, uint64(floats))))
	var b bytes.Buffer
	_, err := w.WriteTo(&b)
	require.NoError(t, err)
	return b.Bytes()
}

// pull plans and pulls.
func pull(ctx context.Context, c *Client, name string) (*Entry, error) {
	n, _, err := ParseName(name)
	if err != nil {
		return nil, err
	}
	p, err := c.Plan(ctx, n)
	if err != nil {
		return nil, err
	}
	return c.Pull(ctx, p, nil)
}

// newRegistry serves a folder in Ollama's layout as its registry does: manifests, and blobs that
// are stored on another host.
func newRegistry(t *testing.T, root string) string {
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(root, "blobs", strings.TrimPrefix(r.URL.Path, "/data/")))
	}))
	t.Cleanup(store.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
		switch {
		case len(parts) == 4 && parts[2] == "manifests":
			http.ServeFile(w, r, filepath.Join(root, "manifests", parts[0], parts[1], parts[3]))
		case len(parts) == 4 && parts[2] == "blobs":
			http.Redirect(w, r, store.URL+"/data/"+strings.Replace(parts[3], ":", "-", 1), http.StatusTemporaryRedirect)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestRemoteHeader reads a header by ranges.
func TestRemoteHeader(t *testing.T) {
	h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": model(t, 1<<20), "n-Q8_0.gguf": model(t, 10)})
	c := h.client(t.TempDir())
	n, _, _ := ParseName(repo)
	p, err := c.Plan(t.Context(), n)
	require.NoError(t, err)
	f, err := c.Source(p).Header(t.Context())
	require.NoError(t, err)
	require.Len(t, f.Tensors(), 1)
	require.Contains(t, f.Notes()[0], fmt.Sprintf("of %d bytes were fetched for the header", p.Size))
	require.Less(t, h.sent("m-Q4_K_M.gguf"), p.Size)
	_, err = c.Source(p).Open(t.Context(), gguf.Options{})
	require.ErrorIs(t, err, gguf.ErrUnsupported)
	// A server that begins and falls silent is given up.
	h.answer = func(where string, w http.ResponseWriter, r *http.Request) bool {
		if where == "cdn" {
			w.Header().Set("Content-Range", strings.Replace(r.Header.Get("Range"), "bytes=", "bytes ", 1)+fmt.Sprintf("/%d", p.Size))
			w.WriteHeader(http.StatusPartialContent)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
		return where == "cdn"
	}
	_, err = c.Source(p).Header(t.Context())
	require.ErrorIs(t, err, errStalled)
}
