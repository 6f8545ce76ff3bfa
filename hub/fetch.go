package hub

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" // git names files by it
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/gofrs/flock"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/remote"
)

// target is a file to be fetched.
type target struct {
	name Name   // of the model, for errors
	file string // its name in the repository
	url  string
	size int64
	hash string // in hexadecimal digits: 64 of a SHA-256, 40 of the SHA-1 that git gives a file
	dest string // where it goes
	lock string // the lock that others heed too; empty for none

	done func(bytes int64) // called as bytes arrive, and once with those that were there
}

// Files beside a destination, while it is fetched. They do not have the name that huggingface_hub
// gives to a beginning of a file, as theirs have holes.
const (
	partEnd    = ".goinfer-part"
	journalEnd = ".goinfer-journal"
)

// fetch makes the destination, unless it is there. What an interrupted fetch left is used.
func (c *Client) fetch(ctx context.Context, t target) error {
	c.setup()
	if err := os.MkdirAll(filepath.Dir(t.dest), 0o755); err != nil {
		return fault.System(err)
	}
	if t.lock != "" {
		unlock, err := lockFile(ctx, t.lock)
		if err != nil {
			return err
		}
		defer unlock()
	}
	if info, err := os.Stat(t.dest); err == nil {
		if info.Size() != t.size {
			return errDamaged(t.dest, t.file, t.size, info.Size())
		}
		t.done(t.size)
		return nil
	}
	f, err := c.openPart(t)
	if err != nil {
		return err
	}
	err = c.fill(ctx, t, f)
	if err == nil {
		err = f.file.Sync()
	}
	err = errors.Join(err, f.file.Close(), f.journal.Close())
	if err != nil {
		if errors.Is(err, errBroken) || errors.Is(err, errChanged) {
			// What was fetched is of no use.
			err = errors.Join(err, os.Remove(t.dest+partEnd), os.Remove(t.dest+journalEnd))
		}
		return fault.In(t.name.String()+": "+t.file, err)
	}
	if err := os.Rename(t.dest+partEnd, t.dest); err != nil {
		return fault.System(err)
	}
	return fault.System(os.Remove(t.dest + journalEnd))
}

// errDamaged is the error for a file of a store that has another size than it should.
func errDamaged(path, file string, want, found int64) error {
	return fault.In(path, fmt.Errorf("want %d bytes of %s, found %d: the store is damaged, and is not repaired: remove this file", want, file, found))
}

// lockFile waits for a lock, which it looks for ten times a second.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fault.System(err)
	}
	l := flock.New(path)
	ok, err := l.TryLockContext(ctx, 100*time.Millisecond)
	if ctx.Err() != nil {
		return nil, fault.Cancelled(ctx)
	}
	if err != nil || !ok {
		return nil, fault.In(path, fmt.Errorf("the lock of a download: %w", err))
	}
	return func() { _ = l.Close() }, nil // the file stays, as huggingface_hub's does
}

// part is a file that is being fetched, by pieces of one size.
type part struct {
	file    *os.File
	journal *os.File // a line for each piece that is complete
	piece   int64
	have    []bool
}

// plan is the first line of a journal: what its lines are about.
type plan struct {
	Size  int64  `json:"size"`
	Piece int64  `json:"piece"`
	Hash  string `json:"hash"`
}

const maxPieces = 1 << 16

// pieceOf is how many bytes of a file are asked for at once.
func (c *Client) pieceOf(size int64) int64 {
	piece := c.Piece
	if piece <= 0 {
		piece = 8 << 20
	}
	for size/piece >= maxPieces/16 {
		piece *= 2
	}
	return piece
}

// openPart opens what an earlier fetch of the same file has left, or begins a new one.
func (c *Client) openPart(t target) (*part, error) {
	want := plan{t.size, c.pieceOf(t.size), t.hash}
	p := &part{}
	journal, err := os.OpenFile(t.dest+journalEnd, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fault.System(err)
	}
	file, err := os.OpenFile(t.dest+partEnd, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, errors.Join(fault.System(err), journal.Close())
	}
	p.file, p.journal = file, journal
	fail := func(err error) (*part, error) {
		return nil, errors.Join(fault.System(err), file.Close(), journal.Close())
	}
	info, err := file.Stat()
	if err != nil {
		return fail(err)
	}
	data, err := io.ReadAll(io.LimitReader(journal, 16<<20))
	if err != nil {
		return fail(err)
	}
	if old, have, ok := readJournal(data, want); ok && info.Size() == t.size {
		p.piece, p.have = old.Piece, have
		// A line that was cut off ends here.
		_, err = journal.Seek(int64(bytes.LastIndexByte(data, '\n')+1), io.SeekStart)
		if err == nil {
			err = journal.Truncate(int64(bytes.LastIndexByte(data, '\n') + 1))
		}
		if err != nil {
			return fail(err)
		}
		return p, nil
	}
	p.piece, p.have = want.Piece, make([]bool, pieces(t.size, want.Piece))
	line, err := json.Marshal(want)
	if err != nil {
		return fail(err)
	}
	for _, step := range []func() error{
		func() error { return journal.Truncate(0) },
		func() error { return file.Truncate(0) }, // what was there is of another file
		func() error { return file.Truncate(t.size) },
		func() error { _, err := journal.WriteAt(append(line, '\n'), 0); return err },
		func() error { _, err := journal.Seek(0, io.SeekEnd); return err },
	} {
		if err := step(); err != nil {
			return fail(err)
		}
	}
	return p, nil
}

// pieces is the number of pieces of a file.
func pieces(size, piece int64) int {
	n := int(size / piece)
	if size%piece > 0 { // a damaged journal may have a piece so large that a sum would overflow
		n++
	}
	return n
}

// readJournal reads which pieces are complete. ok is false for a journal of something else.
func readJournal(data []byte, want plan) (old plan, have []bool, ok bool) {
	s := bufio.NewScanner(bytes.NewReader(data[:bytes.LastIndexByte(data, '\n')+1]))
	if !s.Scan() || json.Unmarshal(s.Bytes(), &old) != nil || old.Size != want.Size || old.Hash != want.Hash || old.Piece <= 0 || old.Size/old.Piece > maxPieces {
		return old, nil, false
	}
	have = make([]bool, pieces(old.Size, old.Piece))
	for s.Scan() {
		i, err := strconv.Atoi(s.Text())
		if err != nil || i < 0 || i >= len(have) {
			return old, nil, false
		}
		have[i] = true
	}
	return old, have, s.Err() == nil
}

// errBroken marks a file whose hash is not what the server names.
var errBroken = errors.New("the file does not have the hash that the server names")

// fill fetches the pieces that are missing, several at once, and hashes the file as far as it is
// complete from its beginning.
func (c *Client) fill(ctx context.Context, t target, p *part) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	h, err := newHash(t.hash, t.size)
	if err != nil {
		return err
	}
	todo, arrived := make(chan int), make(chan int)
	failed := make(chan error, c.Parallel)
	missing := 0
	for i, have := range p.have {
		if have {
			t.done(p.length(i, t.size))
		} else {
			missing++
		}
	}
	etag := &sameTag{}
	for range min(c.Parallel, max(1, missing)) {
		go func() {
			for i := range todo {
				if err := c.fetchPiece(ctx, t, p, i, etag); err != nil {
					cancel(err)
					failed <- err
					return
				}
				select {
				case arrived <- i:
				case <-ctx.Done():
					failed <- fault.Cancelled(ctx)
					return
				}
			}
			failed <- nil
		}()
	}
	go func() {
		defer close(todo)
		for i := range p.have {
			if p.have[i] {
				continue
			}
			select {
			case todo <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	return c.collect(ctx, t, p, h, arrived, failed, missing, min(c.Parallel, max(1, missing)))
}

// collect enters pieces as they arrive, and checks the hash in the end.
func (c *Client) collect(ctx context.Context, t target, p *part, h hash.Hash, arrived <-chan int, failed <-chan error, missing, workers int) error {
	have := append([]bool{}, p.have...) // p.have is read by whoever hands out pieces
	next := 0
	var first error
	hashed := func() error {
		for ; next < len(have) && have[next]; next++ {
			section := io.NewSectionReader(p.file, int64(next)*p.piece, p.length(next, t.size))
			if _, err := io.Copy(h, section); err != nil {
				return err
			}
		}
		return nil
	}
	first = hashed()
	for workers > 0 {
		select {
		case i := <-arrived:
			missing--
			have[i] = true
			if _, err := fmt.Fprintf(p.journal, "%d\n", i); err != nil && first == nil {
				first = fault.System(err)
			}
			if err := hashed(); err != nil && first == nil {
				first = fault.System(err)
			}
		case err := <-failed:
			workers--
			if err != nil && (first == nil || errors.Is(first, fault.ErrCancelled)) {
				first = err
			}
		}
	}
	switch {
	case first != nil:
		return first
	case ctx.Err() != nil:
		return fault.Cancelled(ctx)
	case next < len(have) || missing > 0:
		return fmt.Errorf("%d pieces are missing", missing)
	}
	if found := hex.EncodeToString(h.Sum(nil)); found != t.hash {
		return fault.Of(errBroken, fmt.Errorf("want the hash %s, found %s: it was fetched wrong, or is another one on the server; nothing of it is kept", t.hash, found))
	}
	return nil
}

// length is the number of bytes of a piece.
func (p *part) length(i int, size int64) int64 { return min(p.piece, size-int64(i)*p.piece) }

// newHash is the hash that a digest of some length is of.
func newHash(want string, size int64) (hash.Hash, error) {
	switch len(want) {
	case 64:
		return sha256.New(), nil
	case 40:
		h := sha1.New()
		fmt.Fprintf(h, "blob %d\x00", size)
		return h, nil
	}
	return nil, fmt.Errorf("want the hash of a file, 40 or 64 hexadecimal digits, found %.100q", want)
}

var contentRange = regexp.MustCompile(`^bytes (\d+)-(\d+)/(\d+)$`)

// fetchPiece fetches one piece into its place, as often as it takes.
func (c *Client) fetchPiece(ctx context.Context, t target, p *part, i int, etag *sameTag) error {
	from, n := int64(i)*p.piece, p.length(i, t.size)
	wait := c.Backoff
	counted := int64(0) // bytes that were reported, and do not count twice
	for try := 1; ; try++ {
		got, again, err := c.tryPiece(ctx, t, p.file, from, n, etag, func(total int64) {
			if total > counted {
				t.done(total - counted)
				counted = total
			}
		})
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fault.Cancelled(ctx)
		}
		from, n, counted = from+got, n-got, counted-got
		if got >= 1<<16 {
			try, wait = 1, c.Backoff // it goes on, if with interruptions
		}
		if !again || try >= c.Tries {
			return err
		}
		if err := c.pause(ctx, err, wait); err != nil {
			return err
		}
		wait = min(2*wait, time.Minute)
	}
}

// tryPiece fetches n bytes from an offset on. It returns how many it has written, and whether
// another try may get further.
func (c *Client) tryPiece(ctx context.Context, t target, file io.WriterAt, from, n int64, etag *sameTag, done func(total int64)) (written int64, again bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	q := request{url: t.url, header: http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", from, from+n-1)}}}
	resp, err := c.get(ctx, t.name, q, http.StatusPartialContent, http.StatusOK)
	if err != nil {
		return 0, false, err
	}
	defer resp.Body.Close()
	if err := checkRange(resp, from, n, t.size); err != nil {
		return 0, false, fault.In(remote.Shown(t.url), err)
	}
	if err := etag.check(resp.Header.Get("ETag")); err != nil {
		return 0, false, fault.In(remote.Shown(t.url), err)
	}
	watch := time.AfterFunc(c.Stall, func() { cancel(errStalled) })
	defer watch.Stop()
	buf := make([]byte, 256<<10)
	for at := int64(0); at < n; {
		k, err := resp.Body.Read(buf[:min(int64(len(buf)), n-at)])
		if k > 0 {
			watch.Reset(c.Stall)
			if _, err := file.WriteAt(buf[:k], from+at); err != nil {
				return at, false, fault.System(err)
			}
			at += int64(k)
			done(at)
		}
		if err != nil && at < n {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			if context.Cause(ctx) == errStalled {
				err = errStalled
			}
			return at, true, fault.In(remote.Shown(t.url), fmt.Errorf("want %d bytes, found %d: %w", n, at, err))
		}
	}
	return n, false, nil
}

var errStalled = errors.New("the server has fallen silent")

// checkRange compares what a server says that it sends with what was asked for.
func checkRange(r *http.Response, from, n, size int64) error {
	if r.StatusCode == http.StatusOK {
		switch {
		case from != 0 || n != size:
			return errors.New("the server does not serve parts of files")
		case r.ContentLength >= 0 && r.ContentLength != size:
			return fmt.Errorf("%w: want %d bytes, found %d", errChanged, size, r.ContentLength)
		}
		return nil
	}
	m := contentRange.FindStringSubmatch(r.Header.Get("Content-Range"))
	if m == nil {
		return fmt.Errorf("want a Content-Range with a size, found %.100q", r.Header.Get("Content-Range"))
	}
	var found [3]int64
	for i := range found {
		var err error
		if found[i], err = strconv.ParseInt(m[i+1], 10, 64); err != nil {
			return err
		}
	}
	switch {
	case found[2] != size:
		return fmt.Errorf("%w: want %d bytes, found %d", errChanged, size, found[2])
	case found[0] != from || found[1] != from+n-1:
		return fmt.Errorf("want the bytes from %d to %d, found %s", from, from+n-1, m[0])
	case r.ContentLength >= 0 && r.ContentLength != n:
		return fmt.Errorf("want %d bytes, found a length of %d", n, r.ContentLength)
	}
	return nil
}
