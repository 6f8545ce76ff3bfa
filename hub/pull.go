package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/internal/disk"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/remote"
	"github.com/goinfer/goinfer/source"
)

// Plan is what a pull is going to fetch.
type Plan struct {
	Name  Name   `json:"-"`
	Files []File `json:"files"`
	Note  string `json:"note,omitempty"` // on the choice among several
	Size  int64  `json:"size"`           // bytes of all files
	Need  int64  `json:"need"`           // bytes of those that are not there

	choice Choice
	commit string
	ollama *manifest
	raw    []byte // of the manifest
}

// File is one file of a plan.
type File struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	Hash string `json:"hash"`
	Have bool   `json:"have"` // it is there already

	url, dest, lock string
	at              string // its path in the snapshot, of Hugging Face
	mediaType       string
}

// Progress is how far a pull is.
type Progress struct {
	File             string
	Done, Total      int64 // bytes of the file
	AllDone, AllSize int64
}

// repoInfo is what the hub reports of a revision of a repository.
type repoInfo struct {
	SHA      string    `json:"sha"`
	Siblings []sibling `json:"siblings"`
}

// sibling is a file of a repository.
type sibling struct {
	Name string `json:"rfilename"`
	Size *int64 `json:"size"`
	LFS  *struct {
		SHA256 string `json:"sha256"`
	} `json:"lfs"`
}

const (
	maxInfo     = 64 << 20
	maxSiblings = 200000
	maxChosen   = 2000
)

// Plan asks the servers what a pull of a name would fetch. It writes nothing.
func (c *Client) Plan(ctx context.Context, n Name) (*Plan, error) {
	c.setup()
	if n.Ollama {
		return c.planOllama(ctx, n)
	}
	if c.Stores.HuggingFace == "" {
		return nil, errors.New("there is no folder for the cache of models: set HF_HOME")
	}
	info, err := c.info(ctx, n)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range info.Siblings {
		if checkFile(s.Name) == nil { // a name that leads elsewhere is no file of a model
			names = append(names, s.Name)
		}
	}
	p := &Plan{Name: n, commit: info.SHA}
	resolve := func(file string) string {
		return c.Endpoint + "/" + n.id() + "/resolve/" + info.SHA + "/" + escaped(file)
	}
	p.choice, err = choose(n, names, func(file string) ([]byte, error) {
		data, _, err := c.fetchSmall(ctx, n, request{url: resolve(file)}, maxIndex)
		return data, err
	})
	if err != nil {
		return nil, err
	}
	if len(p.choice.Files) > maxChosen {
		return nil, fault.In(n.String(), fmt.Errorf("want at most %d files, found %d", maxChosen, len(p.choice.Files)))
	}
	p.Note = p.choice.Note
	dir := repoDir(c.Stores.HuggingFace, n)
	for _, name := range p.choice.Files {
		f, err := c.head(ctx, n, name, resolve(name), info)
		if err != nil {
			return nil, err
		}
		f.dest = filepath.Join(dir, "blobs", f.Hash)
		f.lock = filepath.Join(c.Stores.HuggingFace, ".locks", filepath.Base(dir), f.Hash+".lock")
		f.at = filepath.Join(dir, "snapshots", info.SHA, filepath.FromSlash(name))
		f.Have = present(f.dest) || present(f.at)
		if err := p.add(f); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// maxSize bounds a file, so that no sum of the files of a plan overflows.
const maxSize = 1 << 50

// add takes a file into the plan.
func (p *Plan) add(f File) error {
	if f.Size > maxSize {
		return fault.Bad(p.Name.String(), fmt.Errorf("%s: want at most %d bytes, found %d", f.Name, int64(maxSize), f.Size))
	}
	p.Files = append(p.Files, f)
	p.Size += f.Size
	if !f.Have {
		p.Need += f.Size
	}
	return nil
}

// info asks for the files of a repository.
func (c *Client) info(ctx context.Context, n Name) (*repoInfo, error) {
	address := c.Endpoint + "/api/models/" + n.id() + "/revision/" + url.PathEscape(n.revision()) + "?blobs=true"
	data, _, err := c.fetchSmall(ctx, n, request{url: address}, maxInfo)
	if err != nil {
		return nil, err
	}
	var info repoInfo
	if err := json.Unmarshal(data, &info); err != nil {
		return nil, fault.Bad(remote.Shown(address), fmt.Errorf("want what the hub knows of a model as JSON: %w", err))
	}
	switch {
	case !commitOf.MatchString(info.SHA):
		return nil, fault.Bad(remote.Shown(address), fmt.Errorf("want a commit of 40 hexadecimal digits, found %.80q", info.SHA))
	case commitOf.MatchString(n.Revision) && info.SHA != n.Revision:
		return nil, fault.Bad(remote.Shown(address), fmt.Errorf("want the commit %s, found %s", n.Revision, info.SHA))
	case len(info.Siblings) > maxSiblings:
		return nil, fault.Bad(remote.Shown(address), fmt.Errorf("want at most %d files, found %d", maxSiblings, len(info.Siblings)))
	}
	return &info, nil
}

// escaped is the name of a file as a part of an address.
func escaped(file string) string {
	parts := strings.Split(file, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

var hexOf = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// head asks for the size and the hash of a file: of a large one in the headers of the redirect to
// where it is stored.
func (c *Client) head(ctx context.Context, n Name, name, address string, info *repoInfo) (f File, err error) {
	resp, err := c.get(ctx, n, request{method: http.MethodHead, url: address, stay: true},
		http.StatusOK, http.StatusFound, http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect, http.StatusSeeOther)
	if err != nil {
		return f, err
	}
	resp.Body.Close()
	bad := func(format string, args ...any) (File, error) {
		return File{}, fault.Bad(remote.Shown(address), fmt.Errorf(format, args...))
	}
	h := resp.Header
	tag := strings.Trim(strings.TrimPrefix(first(h.Get("X-Linked-ETag"), h.Get("ETag")), "W/"), `"`)
	if !hexOf.MatchString(tag) {
		return bad("want an ETag of 40 or 64 hexadecimal digits, found %.100q: this is no server that speaks as Hugging Face's", tag)
	}
	size, err := strconv.ParseInt(first(h.Get("X-Linked-Size"), h.Get("Content-Length")), 10, 64)
	if err != nil || size < 0 {
		return bad("want a size in X-Linked-Size or Content-Length, found %.40q", h.Get("X-Linked-Size"))
	}
	if commit := h.Get("X-Repo-Commit"); commit != "" && commit != info.SHA {
		return bad("want the commit %s, found %.80q", info.SHA, commit)
	}
	if i := slices.IndexFunc(info.Siblings, func(s sibling) bool { return s.Name == name }); i >= 0 {
		s := info.Siblings[i]
		if s.LFS != nil && s.LFS.SHA256 != "" && s.LFS.SHA256 != tag {
			return bad("the list of files has the hash %.80q, the file itself %s", s.LFS.SHA256, tag)
		}
		if s.Size != nil && *s.Size != size {
			return bad("the list of files has a size of %d bytes, the file itself %d", *s.Size, size)
		}
	}
	return File{Name: name, Size: size, Hash: tag, url: address}, nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// checkSpace asks whether the disk has room for what is to be fetched.
func (c *Client) checkSpace(p *Plan, dir string) error {
	if p.Need == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.System(err)
	}
	have, ok := disk.Free(dir)
	if ok && have < p.Need {
		return fault.In(dir, fmt.Errorf("%s wants %d bytes, and the disk has %d free", p.Name, p.Need, have))
	}
	return nil
}

// Pull fetches what a plan is about and returns the entry of the model. Bytes that are there, and
// pieces that an interrupted pull has left, are not fetched another time; another program that
// fetches the same file is waited for. progress may be nil; it is called from many goroutines, one
// at a time.
func (c *Client) Pull(ctx context.Context, p *Plan, progress func(Progress)) (*Entry, error) {
	c.setup()
	if c.Offline {
		return nil, fmt.Errorf("%s: the network is not used (--offline or HF_HUB_OFFLINE)", p.Name)
	}
	dir := c.Stores.HuggingFace
	if p.Name.Ollama {
		dir = c.Stores.Own
	}
	if err := c.checkSpace(p, dir); err != nil {
		return nil, err
	}
	if err := c.fetchAll(ctx, p, progress); err != nil {
		return nil, err
	}
	if p.Name.Ollama {
		if err := c.finishOllama(p); err != nil {
			return nil, err
		}
		return c.Stores.findOllama(p.Name)
	}
	if err := c.link(p); err != nil {
		return nil, err
	}
	return c.Stores.findRepo(p.Name)
}

// fetchAll fetches the files of a plan, one after the other, each by several ranges.
func (c *Client) fetchAll(ctx context.Context, p *Plan, progress func(Progress)) error {
	var mu sync.Mutex
	all := int64(0)
	for _, f := range p.Files {
		if f.Have && !present(f.dest) { // a copy in the snapshot
			if size, _, _ := sizeOf([]string{f.at}); size != f.Size {
				return errDamaged(f.at, f.Name, f.Size, size)
			}
			all += f.Size
			continue
		}
		file := int64(0)
		t := target{name: p.Name, file: f.Name, url: f.url, size: f.Size, hash: f.Hash, dest: f.dest, lock: f.lock, done: func(n int64) {
			mu.Lock()
			defer mu.Unlock()
			file, all = file+n, all+n
			if progress != nil {
				progress(Progress{f.Name, file, f.Size, all, p.Size})
			}
		}}
		if err := c.fetch(ctx, t); err != nil {
			return err
		}
		if !f.Have && !p.Name.Ollama {
			if err := c.Stores.record(f.dest); err != nil {
				return err
			}
		}
	}
	return nil
}

// link makes the snapshot: a link to each blob, or where there are no links the file itself, and
// the reference of the revision.
func (c *Client) link(p *Plan) error {
	dir := repoDir(c.Stores.HuggingFace, p.Name)
	for i, f := range p.Files {
		at := f.at
		if present(at) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return fault.System(err)
		}
		to, err := filepath.Rel(filepath.Dir(at), f.dest)
		if err != nil {
			return err
		}
		if _, err := os.Lstat(at); err == nil { // a link to nothing
			if err := os.Remove(at); err != nil {
				return fault.System(err)
			}
		}
		err = c.Symlink(to, at)
		if err == nil || errors.Is(err, fs.ErrExist) {
			continue
		}
		again := slices.ContainsFunc(p.Files[i+1:], func(o File) bool { return o.Hash == f.Hash })
		if err := c.place(f, at, again); err != nil {
			return err
		}
	}
	if commitOf.MatchString(p.Name.revision()) {
		return nil
	}
	ref := filepath.Join(dir, "refs", filepath.FromSlash(p.Name.revision()))
	if err := os.MkdirAll(filepath.Dir(ref), 0o755); err != nil {
		return fault.System(err)
	}
	return disk.Write(ref, func(w io.Writer) error {
		_, err := io.WriteString(w, p.commit)
		return err
	})
}

// place puts a file into a snapshot on a system without links, as huggingface_hub does: it is moved
// if it is new, and copied if other snapshots may have need of it, or if again another file of this
// one, which has the same bytes.
func (c *Client) place(f File, at string, again bool) error {
	if !f.Have && !again {
		if err := os.Rename(f.dest, at); err != nil {
			return fault.System(err)
		}
		return c.Stores.record(at)
	}
	from, err := os.Open(f.dest)
	if err != nil {
		return fault.System(err)
	}
	defer from.Close()
	return disk.Write(at, func(w io.Writer) error {
		_, err := io.Copy(w, from)
		return err
	})
}

// Remote is the header of a GGUF file of a repository that is not on this machine, of which no more
// is fetched than it takes.
func (c *Client) Remote(ctx context.Context, p *Plan) (*gguf.File, error) {
	i := slices.IndexFunc(p.Files, func(f File) bool { return strings.HasSuffix(f.Name, ".gguf") || f.mediaType == layerModel })
	if i < 0 {
		return nil, fault.In(p.Name.String(), fmt.Errorf("a checkpoint's header is in several files, which are not read from a server: %w", gguf.ErrUnsupported))
	}
	read := new(atomic.Int64)
	head, err := gguf.OpenHeader(p.Files[i].Name, func(part string) (io.ReaderAt, int64, error) {
		at := slices.IndexFunc(p.Files, func(f File) bool { return f.Name == part })
		if at < 0 {
			return nil, 0, fault.In(p.Name.String(), fs.ErrNotExist)
		}
		f := p.Files[at]
		return &ranges{ctx: ctx, c: c, of: target{name: p.Name, url: f.url, size: f.Size}, read: read}, f.Size, nil
	})
	if err != nil {
		return nil, fault.In(p.Name.String(), err)
	}
	head.AddNote(fmt.Sprintf("%d of %d bytes were fetched for the header", read.Load(), p.Size))
	return head, nil
}

// Source is what a plan is about without its being here: the header of a GGUF file, or the
// config.json of a checkpoint, read on the server when it is asked for.
func (c *Client) Source(p *Plan) *source.Source {
	name := p.Name.String()
	if i := slices.IndexFunc(p.Files, func(f File) bool { return f.Name == "config.json" }); p.choice.Folder && i >= 0 {
		return source.RemoteConfig(name, func(ctx context.Context) ([]byte, error) {
			data, _, err := c.fetchSmall(ctx, p.Name, request{url: p.Files[i].url}, hf.MaxConfig)
			return data, err
		})
	}
	return source.Remote(name, func(ctx context.Context) (*gguf.File, error) { return c.Remote(ctx, p) })
}

// ranges reads parts of a file on a server.
type ranges struct {
	ctx  context.Context
	c    *Client
	of   target
	etag sameTag
	read *atomic.Int64 // bytes that were fetched
}

// ReadAt implements io.ReaderAt.
func (r *ranges) ReadAt(b []byte, at int64) (int, error) {
	n := min(int64(len(b)), r.of.size-at)
	switch {
	case n <= 0:
		return 0, io.EOF
	case r.read.Load()+n > remote.MaxRead:
		return 0, fault.In(remote.Shown(r.of.url), fmt.Errorf("want a header of at most %d bytes, found more", remote.MaxRead))
	}
	k, _, err := r.c.tryPiece(r.ctx, r.of, window{b, at}, at, n, &r.etag, func(int64) {})
	r.read.Add(k)
	if err == nil && k < int64(len(b)) {
		err = io.EOF
	}
	return int(k), err
}

// window is the memory for bytes from an offset on.
type window struct {
	b  []byte
	at int64
}

// WriteAt implements io.WriterAt.
func (w window) WriteAt(b []byte, at int64) (int, error) { return copy(w.b[at-w.at:], b), nil }
