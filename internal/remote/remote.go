// Package remote reads the beginning of files on web servers, as much of it as is asked for: enough
// for what a model file's header contains, without its weights.
//
//	f, err := remote.Open(ctx, "https://example.org/model.gguf")
//	open := func(string) (io.ReaderAt, int64, error) { return f, f.Size(), nil }
//	head, err := gguf.OpenHeader(url, open)
//
// Ranges are those of RFC 9110, section 14. A server that does not serve them is an error: nobody
// wants forty gigabytes for a header.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goinfer/goinfer/internal/fault"
)

const (
	// MaxRead bounds what is read of one file, far above any header.
	MaxRead = 256 << 20
	first   = 1 << 20 // read to begin with
	// bytes a second that a server is given up below, once it had the time to answer
	slowest = 16 << 10
)

// patient is how long a server may take to answer; tests have less.
var patient = 30 * time.Second

// File is the beginning of a file on a server. Its ReadAt fetches what was not fetched before. It
// is not for use from several goroutines.
type File struct {
	ctx  context.Context
	url  string
	name string // the address as errors write it
	size int64
	head []byte // what was fetched so far
}

// IsURL reports whether name is the address of a file on a web server.
func IsURL(name string) bool {
	return strings.HasPrefix(name, "https://") || strings.HasPrefix(name, "http://")
}

// Address is the address of the file that a page of the Hugging Face hub shows, and of a "download"
// link without that; any other is returned as it is.
func Address(name string) (string, error) {
	u, err := url.Parse(name)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("want an address such as https://example.org/model.gguf, found %.200q", Shown(name))
	}
	if u.Host == "huggingface.co" || u.Host == "hf.co" {
		parts := strings.SplitN(u.Path, "/", 5) // "", owner, name, blob, the rest
		if len(parts) == 5 && parts[3] == "blob" {
			parts[3] = "resolve"
			u.Path = strings.Join(parts, "/")
		}
	}
	q := u.Query()
	if q.Has("download") {
		q.Del("download")
		u.RawQuery = q.Encode()
	}
	return u.String(), nil
}

// Shown is an address without what may be secret in it: user, password, query and fragment.
func Shown(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	host, file, ok := strings.Cut(rest, "/")
	host = host[strings.LastIndexByte(host, '@')+1:]
	if ok {
		host += "/" + file
	}
	return scheme + "://" + host
}

// Sibling is the address of another file in the same place.
func Sibling(address, name string) string {
	front, tail := address, ""
	if i := strings.IndexAny(address, "?#"); i >= 0 {
		front, tail = address[:i], address[i:]
	}
	return front[:strings.LastIndexByte(front, '/')+1] + name + tail
}

// Open fetches the beginning of the file at an address. The error is fs.ErrNotExist where the
// server has no such file.
func Open(ctx context.Context, address string) (*File, error) {
	f := &File{ctx: ctx, url: address, name: Shown(address), size: -1}
	if err := f.fetch(first); err != nil {
		return nil, err
	}
	return f, nil
}

// Size is the number of bytes of the whole file.
func (f *File) Size() int64 { return f.size }

// Fetched is the number of bytes that were fetched so far.
func (f *File) Fetched() int64 { return int64(len(f.head)) }

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at > f.size {
		return 0, fault.In(f.name, fmt.Errorf("byte %d of %d", at, f.size))
	}
	end := min(at+int64(len(p)), f.size)
	head, err := f.Front(end)
	if err != nil {
		return 0, err
	}
	n := copy(p, head[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Front is the first n bytes of the file, or all of a shorter one: a view that must not be written.
func (f *File) Front(n int64) ([]byte, error) {
	n = min(n, f.size)
	if n > int64(len(f.head)) {
		if err := f.fetch(n); err != nil {
			return nil, err
		}
	}
	return f.head[:n:n], nil
}

var contentRange = regexp.MustCompile(`^bytes (\d+)-(\d+)/(\d+)$`)

// client gives up on servers that do not answer. It keeps no connection: what a server sends over
// one that waits is written to the log by net/http.
var client = &http.Client{Transport: &http.Transport{
	Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: patient, TLSHandshakeTimeout: patient, ForceAttemptHTTP2: true, DisableKeepAlives: true,
}}

// errSlow is why a body that drips is given up.
var errSlow = fmt.Errorf("the server sends less than %d bytes a second", slowest)

// fetch makes head reach to byte end, or to the end of the file.
func (f *File) fetch(end int64) error {
	if end > MaxRead {
		return fault.In(f.name, fmt.Errorf("want to read at most %d bytes, found a need of %d", MaxRead, end))
	}
	from := int64(len(f.head))
	ctx, cancel := context.WithTimeoutCause(f.ctx, patience(end-from), errSlow)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return fault.In(f.name, errors.New("no address of a file"))
	}
	q.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, end-1))
	// ranges are of the file, not of what it is packed in
	q.Header.Set("Accept-Encoding", "identity")
	r, err := client.Do(q)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the address is named once
		}
		if fault.Cancelled(ctx) == errSlow {
			err = errSlow
		}
		return fault.In(f.name, err)
	}
	defer r.Body.Close()
	if err := f.check(r, from, end); err != nil {
		return err
	}
	want := min(end, f.size)
	head := make([]byte, want)
	n, err := io.ReadFull(r.Body, head[copy(head, f.head):])
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = fmt.Errorf("want %d bytes, found %d: %w", want, from+int64(n), io.ErrUnexpectedEOF)
	}
	f.head = head[:from+int64(n)]
	if err != nil && fault.Cancelled(ctx) == errSlow {
		err = errSlow
	}
	if err != nil {
		return fault.In(f.name, err)
	}
	return nil
}

// patience is how long it may take to fetch n bytes.
func patience(n int64) time.Duration { return patient + time.Duration(n)*time.Second/slowest }

// check looks at what a server says that it sends, and learns the size of the file.
func (f *File) check(r *http.Response, from, end int64) error {
	fault := func(format string, args ...any) error {
		return fault.In(f.name, fmt.Errorf(format, args...))
	}
	status := r.Status[:min(len(r.Status), 80)]
	switch r.StatusCode {
	case http.StatusPartialContent:
	case http.StatusOK:
		if from == 0 && r.ContentLength >= 0 && r.ContentLength <= end { // all of a small file
			f.size = r.ContentLength
			return nil
		}
		return fault("the server does not serve parts of files (status %s)", status)
	case http.StatusNotFound, http.StatusGone:
		return fault("the server has no such file (status %s): %w", status, fs.ErrNotExist)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault("the server does not give it to everyone (status %s): %w", status, fs.ErrPermission)
	case http.StatusRequestedRangeNotSatisfiable:
		return fault("the file is empty (status %s)", status)
	default:
		return fault("the server answers with status %s", status)
	}
	m := contentRange.FindStringSubmatch(r.Header.Get("Content-Range"))
	if m == nil {
		return fault("want a Content-Range with a size, found %.100q", r.Header.Get("Content-Range"))
	}
	a, err1 := strconv.ParseInt(m[1], 10, 64)
	b, err2 := strconv.ParseInt(m[2], 10, 64)
	size, err3 := strconv.ParseInt(m[3], 10, 64)
	switch {
	case errors.Join(err1, err2, err3) != nil || a != from || b != min(end, size)-1:
		return fault("want the bytes from %d to %d, found %q", from, end-1, m[0])
	case f.size >= 0 && size != f.size:
		return fault("the file has changed: it had %d bytes, and has %d", f.size, size)
	}
	f.size = size
	return nil
}
