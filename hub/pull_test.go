package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
)

const repo = "hf.co/owner/repo"

func TestPull(t *testing.T) {
	file := model(t, 300000) // larger than a piece
	h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": file, "m-Q8_0.gguf": model(t, 10), "mmproj-F16.gguf": []byte("x"), "m.imatrix.gguf": []byte("x"), "README.md": []byte("x")})
	h.private = true
	dir := t.TempDir()
	c := h.client(dir)
	c.Token, c.Piece = testToken, 64<<10
	n, _, err := ParseName(repo)
	require.NoError(t, err)
	p, err := c.Plan(t.Context(), n)
	require.NoError(t, err)
	require.Len(t, p.Files, 1)
	require.EqualValues(t, len(file), p.Need)
	var last Progress
	e, err := c.Pull(t.Context(), p, func(p Progress) { last = p })
	require.NoError(t, err)
	require.Equal(t, Progress{"m-Q4_K_M.gguf", p.Size, p.Size, p.Size, p.Size}, last)
	require.False(t, h.sawToken.Load(), "the token is for the hub alone")

	// The layout is that of Hugging Face's tools.
	root := filepath.Join(dir, "hf", "models--owner--repo")
	at := filepath.Join(root, "snapshots", testCommit, "m-Q4_K_M.gguf")
	link, err := os.Readlink(at)
	require.NoError(t, err)
	require.Equal(t, filepath.Join("..", "..", "blobs", hashOf(file, true)), link)
	ref, err := os.ReadFile(filepath.Join(root, "refs", "main"))
	require.NoError(t, err)
	require.Equal(t, testCommit, string(ref))
	require.FileExists(t, filepath.Join(dir, "hf", ".locks", "models--owner--repo", hashOf(file, true)+".lock"))
	blobs, err := os.ReadDir(filepath.Join(root, "blobs"))
	require.NoError(t, err)
	require.Len(t, blobs, 1, "nothing half-made is left")
	data, err := os.ReadFile(e.Path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(file, data))

	// It is there now, without a network.
	c.Offline = true
	e, err = c.Stores.Find(repo)
	require.NoError(t, err)
	require.Equal(t, at, e.Path)
	src, err := e.Source()
	require.NoError(t, err)
	f, err := src.Open(t.Context(), gguf.Options{})
	require.NoError(t, err)
	require.NoError(t, f.Close())
	list, err := c.Stores.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "hf.co/owner/repo:Q4_K_M", list[0].Name)
	require.Equal(t, "repo:q4_k_m", list[0].Short)
	require.True(t, list[0].Own)
	require.Equal(t, "llama", list[0].Arch)
	_, err = c.Plan(t.Context(), n)
	require.ErrorContains(t, err, "the network is not used")

	// A second pull fetches nothing.
	c.Offline = false
	sent := h.sent("m-Q4_K_M.gguf")
	_, err = pull(t.Context(), c, repo)
	require.NoError(t, err)
	require.Equal(t, sent, h.sent("m-Q4_K_M.gguf"))

	r, err := c.Stores.PlanRemoval(&list[0])
	require.NoError(t, err)
	require.EqualValues(t, len(file), r.Bytes)
	require.NoError(t, c.Stores.Remove(r))
	require.NoFileExists(t, at)
	_, err = c.Stores.Find(repo)
	require.ErrorAs(t, err, new(*AbsentError))
}

func TestPullFolder(t *testing.T) {
	index := `{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}`
	h := newHub(t, map[string][]byte{
		"config.json": []byte("{}"), "tokenizer.json": []byte("{}"), "1_Pooling/config.json": []byte("{}"), indexName: []byte(index), "model-00001-of-00002.safetensors": noise(1000, 1),
		"model-00002-of-00002.safetensors": noise(2000, 2), "consolidated.safetensors": noise(10, 3), "pytorch_model.bin": noise(10, 4), "onnx/model.onnx": nil, "empty.txt": {},
	})
	dir := t.TempDir()
	c := h.client(dir)
	e, err := pull(t.Context(), c, repo)
	require.NoError(t, err)
	names, err := filesIn(e.Path)
	require.NoError(t, err)
	require.Equal(t, []string{"1_Pooling/config.json", "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", indexName, "tokenizer.json"}, names)
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(e.Path, filepath.FromSlash(name)))
		require.NoError(t, err)
		require.Equal(t, h.files[name], data)
	}
	list, err := c.Stores.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, repo, list[0].Name)
	// A file of weights that is lost makes it damaged, and nothing repairs it but a pull.
	require.NoError(t, os.Remove(filepath.Join(e.Path, "model-00002-of-00002.safetensors")))
	_, err = c.Stores.Find(repo)
	require.ErrorAs(t, err, new(*AbsentError))
	_, err = pull(t.Context(), c, repo)
	require.NoError(t, err)
}

// TestPullWithoutLinks uses the layout for systems that have no symbolic links.
func TestPullWithoutLinks(t *testing.T) {
	h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": model(t, 100)})
	dir := t.TempDir()
	c := h.client(dir)
	c.Symlink = func(string, string) error { return errors.New("no links here") }
	e, err := pull(t.Context(), c, repo)
	require.NoError(t, err)
	info, err := os.Lstat(e.Path)
	require.NoError(t, err)
	require.True(t, info.Mode().IsRegular())
	blobs, err := os.ReadDir(filepath.Join(dir, "hf", "models--owner--repo", "blobs"))
	require.NoError(t, err)
	require.Empty(t, blobs)
	_, err = pull(t.Context(), c, repo) // fetches nothing
	require.NoError(t, err)
	// A copy that was cut off is no model.
	whole, err := os.ReadFile(e.Path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(e.Path, whole[:9], 0o644))
	_, err = pull(t.Context(), c, repo)
	require.ErrorContains(t, err, "found 9: the store is damaged")
	require.NoError(t, os.WriteFile(e.Path, whole, 0o644))
	list, err := c.Stores.List(t.Context())
	require.NoError(t, err)
	require.True(t, list[0].Own)
	r, err := c.Stores.PlanRemoval(&list[0])
	require.NoError(t, err)
	require.NoError(t, c.Stores.Remove(r))
	require.NoFileExists(t, e.Path)
}

// TestPullTwins: files of the same bytes are one blob, with and without links.
func TestPullTwins(t *testing.T) {
	h := newHub(t, map[string][]byte{"config.json": []byte("{}"), "tokenizer_config.json": []byte("{}"), "model.safetensors": noise(100, 1)})
	for _, link := range []func(string, string) error{nil, func(string, string) error { return errors.New("no links here") }} {
		c := h.client(t.TempDir())
		c.Symlink = link
		e, err := pull(t.Context(), c, repo)
		require.NoError(t, err)
		for name, want := range h.files {
			data, err := os.ReadFile(filepath.Join(e.Path, name))
			require.NoError(t, err)
			require.Equal(t, want, data)
		}
	}
}

// TestPullOtherCommit: a server that answers with another commit than the one that was asked for.
func TestPullOtherCommit(t *testing.T) {
	h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": model(t, 10)})
	h.answer = func(where string, w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			h.serveInfo(w)
			return true
		}
		return false
	}
	dir := t.TempDir()
	_, err := pull(t.Context(), h.client(dir), repo+"@"+strings.Repeat("f", 40))
	require.ErrorContains(t, err, "want the commit ffff")
	requireEmpty(t, dir)
}

// TestPullResumes interrupts a pull: what is complete is not fetched another time.
func TestPullResumes(t *testing.T) {
	const piece = 64 << 10
	file := model(t, 1<<18)
	h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": file})
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	c := h.client(dir)
	c.Piece = piece
	n, _, _ := ParseName(repo)
	p, err := c.Plan(ctx, n)
	require.NoError(t, err)
	_, err = c.Pull(ctx, p, func(p Progress) {
		if p.Done > int64(len(file))/2 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	dest := filepath.Join(dir, "hf", "models--owner--repo", "blobs", hashOf(file, true))
	require.NoFileExists(t, dest)
	require.FileExists(t, dest+partEnd)
	c = h.client(dir)
	c.Piece = 2 * piece // the pieces of the first attempt count
	_, err = pull(t.Context(), c, repo)
	require.NoError(t, err)
	require.LessOrEqual(t, h.sent("m-Q4_K_M.gguf"), int64(len(file)+8*piece), "only pieces in flight are fetched again")
	data, err := os.ReadFile(dest)
	require.NoError(t, err)
	require.True(t, bytes.Equal(file, data))

	// Journals that are damaged in any way begin again, or are right.
	require.NoError(t, os.Remove(dest))
	for _, journal := range []string{"", "x", "{}\n", `{"size":1}` + "\n", fmt.Sprintf(`{"size":%d,"piece":0,"hash":%q}`+"\n1\n", len(file), hashOf(file, true)),
		fmt.Sprintf(`{"size":%d,"piece":65536,"hash":%q}`+"\n999999\n", len(file), hashOf(file, true))} {
		require.NoError(t, os.WriteFile(dest+partEnd, make([]byte, len(file)), 0o644))
		require.NoError(t, os.WriteFile(dest+journalEnd, []byte(journal), 0o644))
		_, err = pull(t.Context(), c, repo)
		require.NoError(t, err, journal)
		require.NoError(t, os.Remove(dest))
	}
	// One that is wrong about a piece is found by the hash; the next pull is right.
	require.NoError(t, os.WriteFile(dest+partEnd, make([]byte, len(file)), 0o644))
	require.NoError(t, os.WriteFile(dest+journalEnd, fmt.Appendf(nil, `{"size":%d,"piece":65536,"hash":%q}`+"\n3\n", len(file), hashOf(file, true)), 0o644))
	_, err = pull(t.Context(), c, repo)
	require.ErrorIs(t, err, errBroken)
	require.NoFileExists(t, dest)
	_, err = pull(t.Context(), c, repo)
	require.NoError(t, err)
}

// TestPullTogether: two pulls at once share what either fetches.
func TestPullTogether(t *testing.T) {
	file := model(t, 1<<17)
	h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": file})
	h.slow = 2 * time.Millisecond
	dir := t.TempDir()
	var all sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		all.Go(func() { _, errs[i] = pull(t.Context(), h.client(dir), repo) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	require.EqualValues(t, len(file), h.sent("m-Q4_K_M.gguf"))
}

// TestPullWaits for the lock that huggingface_hub takes.
func TestPullWaits(t *testing.T) {
	file := model(t, 100)
	h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": file})
	dir := t.TempDir()
	path := filepath.Join(dir, "hf", ".locks", "models--owner--repo", hashOf(file, true)+".lock")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	other := flock.New(path)
	require.NoError(t, other.Lock())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := pull(ctx, h.client(dir), repo)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Zero(t, h.sent("m-Q4_K_M.gguf"))
	require.NoError(t, other.Unlock())
	_, err = pull(t.Context(), h.client(dir), repo)
	require.NoError(t, err)
}

// TestPullRefused: what the hub refuses says why, and what to do.
func TestPullRefused(t *testing.T) {
	for name, c := range map[string]struct {
		repo string
		set  func(*fakeHub)
		want string
		kind error
	}{
		"gated":    {repo, func(h *fakeHub) { h.gated = true }, "accept its terms at ", ErrGated},
		"private":  {repo, func(h *fakeHub) { h.private = true }, "no such repository, or it is private: then set HF_TOKEN", fs.ErrNotExist},
		"missing":  {"hf.co/owner/other", nil, "there is no such repository", fs.ErrNotExist},
		"revision": {repo + "@old", nil, `no revision "old"`, fs.ErrNotExist},
		"quant":    {repo + ":Q2_K", nil, `the repository has no "Q2_K": want one of Q4_K_M`, nil},
		"file":     {repo + ":nothing.gguf", nil, `no "nothing.gguf"`, nil},
	} {
		h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": model(t, 10)})
		if c.set != nil {
			c.set(h)
		}
		dir := t.TempDir()
		_, err := pull(t.Context(), h.client(dir), c.repo)
		require.ErrorContains(t, err, c.want, name)
		if c.kind != nil {
			require.ErrorIs(t, err, c.kind, name)
		}
		requireEmpty(t, dir)
	}
}

// requireEmpty: no file is left but locks and beginnings that are named as such.
func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(p, ".lock") && !strings.HasSuffix(p, partEnd) && !strings.HasSuffix(p, journalEnd) {
			t.Errorf("%s was written", p)
		}
		return err
	}))
}

// TestHostile: servers that do wrong in every way.
func TestHostile(t *testing.T) {
	const name = "m-Q4_K_M.gguf"
	file := model(t, 1<<16)
	var times atomic.Int64
	part := func(w http.ResponseWriter, r *http.Request, data []byte, size int) {
		var from, to int
		_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, size))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(data[from : to+1])
	}
	redirect := func(to string) func(string, http.ResponseWriter, *http.Request) bool {
		return func(where string, w http.ResponseWriter, r *http.Request) bool {
			if where == "cdn" {
				w.Header().Set("Location", to)
				w.WriteHeader(http.StatusFound)
			}
			return where == "cdn"
		}
	}
	for what, c := range map[string]struct {
		answer func(where string, w http.ResponseWriter, r *http.Request) bool
		want   string
	}{
		"stall": {func(where string, w http.ResponseWriter, r *http.Request) bool {
			if where == "cdn" {
				w.Header().Set("Content-Range", strings.Replace(r.Header.Get("Range"), "bytes=", "bytes ", 1)+fmt.Sprintf("/%d", len(file)))
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write(file[:10])
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}
			return where == "cdn"
		}, "the server has fallen silent"},
		"wrong bytes": {func(where string, w http.ResponseWriter, r *http.Request) bool {
			if where == "cdn" {
				part(w, r, make([]byte, len(file)), len(file))
			}
			return where == "cdn"
		}, "want the hash"},
		"another size": {func(where string, w http.ResponseWriter, r *http.Request) bool {
			if where == "cdn" {
				part(w, r, file, len(file)+1)
			}
			return where == "cdn"
		}, "has changed on the server"},
		"another tag": {func(where string, w http.ResponseWriter, r *http.Request) bool {
			if where == "cdn" {
				w.Header().Set("ETag", fmt.Sprintf(`"%d"`, times.Add(1)))
				part(w, r, file, len(file))
			}
			return where == "cdn"
		}, "has changed on the server between two of its parts"},
		"no ranges": {func(where string, w http.ResponseWriter, r *http.Request) bool {
			if where == "cdn" {
				_, _ = w.Write(file)
			}
			return where == "cdn"
		}, "does not serve parts of files"},
		"another range": {func(where string, w http.ResponseWriter, r *http.Request) bool {
			if where == "cdn" {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 5-10/%d", len(file)))
				w.WriteHeader(http.StatusPartialContent)
			}
			return where == "cdn"
		}, "want the bytes from"},
		"416":        {status("cdn", 416), "has changed on the server"},
		"503":        {status("cdn", 503), "cannot serve it now"},
		"429":        {status("hub", 429), "cannot serve it now"},
		"403":        {status("cdn", 403), "does not give it to everyone"},
		"404":        {status("cdn", 404), "has no such file"},
		"418":        {status("hub", 418), "the server answers with status 418"},
		"to a file":  {redirect("file:///etc/passwd"), "a redirect to"},
		"to nothing": {redirect(""), "a redirect to no address"},
		"to itself":  {redirect("/store/x"), "more than 10 redirects"},
		"to digits":  {redirect("http://１２７.０.０.１/x"), "want letters of ASCII"},
		"gzip": {func(where string, w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Encoding", "gzip")
			return false
		}, "the answer is packed"},
		"no JSON": {func(where string, w http.ResponseWriter, r *http.Request) bool {
			if where == "hub" && strings.HasPrefix(r.URL.Path, "/api/") {
				_, _ = io.WriteString(w, "<html>")
				return true
			}
			return false
		}, "as JSON"},
		"no commit": {func(where string, w http.ResponseWriter, r *http.Request) bool {
			if where == "hub" && strings.HasPrefix(r.URL.Path, "/api/") {
				_, _ = io.WriteString(w, `{"sha": "../../x", "siblings": []}`)
				return true
			}
			return false
		}, "want a commit"},
		"no hash": {func(where string, w http.ResponseWriter, r *http.Request) bool {
			if where == "hub" && r.Method == http.MethodHead {
				w.Header().Set("ETag", `"../../../x"`)
				return true
			}
			return false
		}, "want an ETag"},
		"another hash": {func(where string, w http.ResponseWriter, r *http.Request) bool {
			if where == "hub" && r.Method == http.MethodHead {
				w.Header().Set("ETag", `"`+strings.Repeat("0", 64)+`"`)
				w.Header().Set("X-Linked-Size", fmt.Sprint(len(file)))
				return true
			}
			return false
		}, "the list of files has the hash"},
		"a drip": {func(where string, w http.ResponseWriter, r *http.Request) bool {
			if where == "cdn" {
				w.Header().Set("Content-Range", strings.Replace(r.Header.Get("Range"), "bytes=", "bytes ", 1)+fmt.Sprintf("/%d", len(file)))
				w.WriteHeader(http.StatusPartialContent)
				_, _ = w.Write([]byte{1}) // and no more, again and again
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			return where == "cdn"
		}, "want "},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHub(t, map[string][]byte{name: file})
			h.answer = c.answer
			dir := t.TempDir()
			cl := h.client(dir)
			cl.Piece = 128 << 10
			_, err := pull(t.Context(), cl, repo)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "signature=secret")
			requireEmpty(t, dir)
		})
	}
}

func status(where string, code int) func(string, http.ResponseWriter, *http.Request) bool {
	return func(w2 string, w http.ResponseWriter, r *http.Request) bool {
		if where == w2 {
			w.WriteHeader(code)
		}
		return where == w2
	}
}

// TestRecovers: what passes is tried again, and only what is missing is asked for.
func TestRecovers(t *testing.T) {
	file := model(t, 1<<17)
	h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": file})
	var mu sync.Mutex
	asked := 0
	h.answer = func(where string, w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		asked++
		k := asked
		mu.Unlock()
		switch {
		case k%3 == 0:
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case where == "cdn" && k%3 == 1: // the connection is lost half-way
			var from, to int
			_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(file)))
			w.Header().Set("Content-Length", fmt.Sprint(to+1-from))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(file[from : from+(to-from)/2])
			panic(http.ErrAbortHandler)
		}
		return false
	}
	c := h.client(t.TempDir())
	c.Piece, c.Parallel, c.Tries = 256<<10, 2, 20
	e, err := pull(t.Context(), c, repo)
	require.NoError(t, err)
	data, err := os.ReadFile(e.Path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(file, data))
}

// TestPublicToPrivate: a server elsewhere cannot have this machine ask its own network.
func TestPublicToPrivate(t *testing.T) {
	h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": model(t, 10)})
	inner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Error("the inner server was reached")
		w.WriteHeader(500)
	}))
	defer inner.Close()
	hubAddr, innerAddr := strings.TrimPrefix(h.hub.URL, "http://"), strings.TrimPrefix(inner.URL, "http://")
	for what, c := range map[string]struct {
		to, addr string // where the redirect leads, and the address that its host has
	}{
		"by name": {"http://inner.example/x", "192.168.1.5"}, "this machine": {"http://inner.example/x", "127.0.0.1"}, "by number": {"http://127.0.0.1:" + strings.Split(innerAddr, ":")[1] + "/x", ""},
		"localhost": {"http://localhost/x", "127.0.0.1"}, "link-local": {"http://inner.example/x", "169.254.169.254"}, "mapped": {"http://[::ffff:10.0.0.1]/x", ""}, "shared": {"http://inner.example/x", "100.64.1.1"},
	} {
		h.answer = func(where string, w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/resolve/") {
				http.Redirect(w, r, c.to, http.StatusFound)
				return true
			}
			return false
		}
		cl := h.client(t.TempDir())
		cl.Endpoint = "http://hub.example"
		cl.Resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
			if host == "hub.example" {
				return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
			}
			return []netip.Addr{netip.MustParseAddr(c.addr)}, nil
		}
		cl.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if strings.HasPrefix(addr, "93.184.216.34:") {
				return (&net.Dialer{}).DialContext(ctx, network, hubAddr)
			}
			return (&net.Dialer{}).DialContext(ctx, network, innerAddr)
		}
		_, err := pull(t.Context(), cl, repo)
		require.ErrorIs(t, err, errPrivate, what)
	}
}

// TestBackToPrivate: a private mirror may lead to a public server. That cannot lead back to it over
// the connection that is still open.
func TestBackToPrivate(t *testing.T) {
	h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": model(t, 10)})
	var inner atomic.Int64
	h.answer = func(where string, w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.URL.Path == "/inner":
			inner.Add(1)
		case where == "cdn":
			http.Redirect(w, r, "http://mirror.example/inner", http.StatusFound)
			return true
		case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/resolve/"):
			w.Header().Set("Location", "http://public.example/x")
			w.WriteHeader(http.StatusFound) // without a body the connection stays open
			return true
		}
		return false
	}
	addrs := map[string]string{"mirror.example": "10.0.0.1", "public.example": "93.184.216.34"}
	servers := map[string]string{"10.0.0.1:80": h.hub.URL, "93.184.216.34:80": h.cdn.URL}
	c := h.client(t.TempDir())
	c.Endpoint = "http://mirror.example"
	c.Resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr(addrs[host])}, nil
	}
	c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, strings.TrimPrefix(servers[addr], "http://"))
	}
	_, err := pull(t.Context(), c, repo)
	require.ErrorIs(t, err, errPrivate)
	require.Zero(t, inner.Load())
}

// TestHostileNames: files whose names lead elsewhere are none of a model.
func TestHostileNames(t *testing.T) {
	files := map[string][]byte{"config.json": []byte("{}"), "model.safetensors": noise(10, 1)}
	for _, name := range []string{"../x.gguf", "/etc/x.gguf", "a/../../x.gguf", `a\..\x.gguf`, "CON.gguf", "nul", "com1.safetensors", "a//b.gguf", "x.gguf.", "x.gguf ", "c:x.gguf", "x\x00.gguf", strings.Repeat("a", 300) + ".gguf", ""} {
		require.Error(t, checkFile(name), name)
		files[name] = []byte("x")
	}
	for i := range 10000 {
		files[fmt.Sprintf("other/%d.txt", i)] = nil
	}
	h := newHub(t, files)
	dir := t.TempDir()
	e, err := pull(t.Context(), h.client(dir), repo)
	require.NoError(t, err)
	names, err := filesIn(e.Path)
	require.NoError(t, err)
	require.Equal(t, []string{"config.json", "model.safetensors"}, names)
}

// TestDiskSpace is asked for before anything is fetched.
func TestDiskSpace(t *testing.T) {
	h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": model(t, 10)})
	c := h.client(t.TempDir())
	n, _, _ := ParseName(repo)
	p, err := c.Plan(t.Context(), n)
	require.NoError(t, err)
	p.Need = 1 << 60
	_, err = c.Pull(t.Context(), p, nil)
	require.ErrorContains(t, err, "and the disk has ")
	require.Zero(t, h.sent("m-Q4_K_M.gguf"))
}

// asPuller makes the test binary a program that pulls.
const asPuller = "GOINFER_TEST_PULL"

func TestMain(m *testing.M) {
	if where := os.Getenv(asPuller); where != "" {
		endpoint, dir, _ := strings.Cut(where, " ")
		c := &Client{Endpoint: endpoint, Stores: Stores{HuggingFace: filepath.Join(dir, "hf"), State: filepath.Join(dir, "state")}, Piece: 1 << 20}
		if _, err := pull(context.Background(), c, repo); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestKilled kills a pull again and again: the result is right, and only pieces in flight are
// fetched another time.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	kills, floats := 10, 10<<20>>2
	if os.Getenv("GOINFER_LONG") == "100" { // minutes
		kills, floats = 100, 200<<20>>2
	}
	file := model(t, floats)
	h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": file})
	h.slow = time.Duration(kills) * 60 * time.Millisecond / time.Duration(len(file)/(32<<10)) * 4
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	killed := 0
	for done := false; !done; {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), asPuller+"="+h.hub.URL+" "+dir)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		require.NoError(t, cmd.Start())
		if killed < kills {
			before := h.sent("m-Q4_K_M.gguf")
			for wait := time.Now(); h.sent("m-Q4_K_M.gguf") == before && time.Since(wait) < 5*time.Second; {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(time.Duration(noise(1, uint64(killed))[0]) * time.Millisecond / 4)
			_ = cmd.Process.Kill()
			killed++
			h.requireNoHalf(t, dir, file)
			done = cmd.Wait() == nil
			continue
		}
		require.NoError(t, cmd.Wait(), stderr.String())
		done = true
	}
	e, err := Stores{HuggingFace: filepath.Join(dir, "hf")}.Find(repo)
	require.NoError(t, err)
	data, err := os.ReadFile(e.Path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(file, data))
	again := h.sent("m-Q4_K_M.gguf") - int64(len(file))
	t.Logf("%d bytes, killed %d times: %d bytes were fetched again", len(file), killed, again)
	require.Positive(t, again, "the kills came while it was fetching")
	require.LessOrEqual(t, again, int64(killed)*5<<20, "four pieces and what was on its way")
}

// requireNoHalf: what has its final name is whole.
func (h *fakeHub) requireNoHalf(t *testing.T, dir string, file []byte) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "hf", "models--owner--repo", "blobs", hashOf(file, true)))
	require.True(t, err != nil || bytes.Equal(data, file))
}

// TestCut: an answer that ends at any byte is an error, and nothing is written for it.
func TestCut(t *testing.T) {
	file := model(t, 4)
	h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": file})
	info := httptest.NewRecorder()
	h.serveInfo(info)
	dir := t.TempDir()
	c := h.client(dir)
	c.Tries = 1
	n, _, _ := ParseName(repo)
	p, err := c.Plan(t.Context(), n)
	require.NoError(t, err)
	cutAt := func(part string, all []byte, at int) {
		h.answer = func(where string, w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, part) {
				return false
			}
			if r.Header.Get("Range") != "" {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(all)-1, len(all)))
				w.WriteHeader(http.StatusPartialContent)
			} else {
				w.Header().Set("Content-Length", fmt.Sprint(len(all)))
			}
			_, _ = w.Write(all[:at])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	}
	for at := range file[:len(file)-1] {
		cutAt("/store/", file, at)
		_, err := c.Source(p).Header(t.Context())
		require.Error(t, err, at)
		_, err = c.Pull(t.Context(), p, nil)
		require.Error(t, err, at)
	}
	for at := 0; at < info.Body.Len(); at++ {
		cutAt("/api/", info.Body.Bytes(), at)
		_, err := c.Plan(t.Context(), n)
		require.Error(t, err, at)
	}
	requireEmpty(t, dir)
	h.answer = nil
	_, err = c.Pull(t.Context(), p, nil)
	require.NoError(t, err)
}

// TestProxy: a proxy may be at a private address, and lead elsewhere.
func TestProxy(t *testing.T) {
	h := newHub(t, map[string][]byte{"m-Q4_K_M.gguf": model(t, 10)})
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Host {
		case "hub.example":
			if strings.Contains(r.URL.Path, "/resolve/") && r.Method == http.MethodGet {
				http.Redirect(w, r, "http://store.example/store/m-Q4_K_M.gguf", http.StatusFound)
				return
			}
			h.serveHub(w, r)
		case "store.example":
			h.serveStore(w, r)
		default:
			t.Errorf("the proxy was asked for %s", r.Host)
		}
	}))
	defer proxy.Close()
	c := h.client(t.TempDir())
	c.Endpoint, c.Token = "http://hub.example", testToken
	c.proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }
	_, err := pull(t.Context(), c, repo)
	require.NoError(t, err)
	require.False(t, h.sawToken.Load())
}
