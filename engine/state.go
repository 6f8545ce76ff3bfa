package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/goinfer/goinfer/engine/scheduler"
	"github.com/goinfer/goinfer/kv"
)

// A saved state, numbers little-endian:
//
//	magic     8 bytes
//	version   uint32
//	identity  uint32 length, bytes: the model, and the options that its bits depend on
//	key       uint32 length, bytes: what else changed the computation, such as an adapter
//	tokens    uint32 number, int32 each
//	sum       uint32, CRC-32C of everything before it
//	sequence  as package kv writes it, with sums of its own
const (
	stateMagic   = "GOINFST\n"
	stateVersion = 1
	maxKey       = 1 << 16 // bytes of an identity or a key
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SaveState writes what the prefix cache holds of a sequence that begins with tokens, and returns
// how many of them that is; with 0 nothing is written. The tokens of a conversation are its prompt
// and what was generated: once loaded again, they are not computed another time. Adapter is that of
// the requests ("" for none). The state is copied between two batches and then written, so that a
// slow w holds nobody up; that takes as much memory as the state.
func (e *Engine) SaveState(ctx context.Context, w io.Writer, tokens []int32, adapter string) (int, error) {
	if err := e.c.check(tokens); err != nil {
		return 0, err
	}
	identity, err := e.identity()
	if err != nil {
		return 0, err
	}
	var payload bytes.Buffer
	n := 0
	err = e.do(ctx, func() error {
		seq, reach := e.longest(adapter, tokens)
		if n = reach; n == 0 {
			return nil
		}
		fork := e.store.Fork(seq, n)
		defer e.store.Drop(fork)
		return e.store.Save(&payload, fork)
	})
	if err != nil || n == 0 {
		return 0, err
	}
	if _, err := w.Write(stateHeader(identity, adapter, tokens[:n])); err != nil {
		return 0, err
	}
	_, err = payload.WriteTo(w)
	return n, err
}

// identity is that of the model, which must not be given back meanwhile.
func (e *Engine) identity() (string, error) {
	e.enter.RLock()
	defer e.enter.RUnlock()
	if e.closed.Load() {
		return "", ErrClosed
	}
	if e.c.Identity == nil {
		return "", nil
	}
	return e.c.Identity(), nil
}

// stateHeader is everything before the sequence.
func stateHeader(identity, key string, tokens []int32) []byte {
	u32 := binary.LittleEndian.AppendUint32
	b := u32([]byte(stateMagic), stateVersion)
	for _, s := range []string{identity, key} {
		b = append(u32(b, uint32(len(s))), s...)
	}
	b = u32(b, uint32(len(tokens)))
	for _, id := range tokens {
		b = u32(b, uint32(id))
	}
	return u32(b, crc32.Checksum(b, castagnoli))
}

// LoadState reads what SaveState wrote into the prefix cache, and returns the tokens that it is of.
// A later request that begins with them goes on from there; the prefix cache drops it like anything
// else when it runs out of room. Errors are [ErrState], [ErrCacheFull] or r's.
func (e *Engine) LoadState(ctx context.Context, r io.Reader) ([]int32, error) {
	identity, err := e.identity()
	if err != nil {
		return nil, err
	}
	br := bufio.NewReaderSize(r, 1<<16)
	key, tokens, err := e.readStateHeader(br, identity)
	if err != nil {
		return nil, err
	}
	if len(tokens) > max(0, e.c.Retain)*e.c.NCtx {
		return nil, fmt.Errorf("the state has %d positions, the prefix cache keeps at most %d: %w", len(tokens), max(0, e.c.Retain)*e.c.NCtx, ErrCacheFull)
	}
	payload, err := readAtMost(br, e.store.Need(len(tokens), e.c.Batch))
	if err != nil {
		return nil, err
	}
	return tokens, e.do(ctx, func() error { return e.loadSequence(key, tokens, payload) })
}

// readAtMost reads r to its end, growing as bytes come. A state is no longer than its sequence in
// the cache but for sums and lengths.
func readAtMost(r io.Reader, need int64) ([]byte, error) {
	limit := need + need/8 + 1<<20
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("%w: it is longer than its tokens take", ErrState)
	}
	return b.Bytes(), err
}

// loadSequence puts a sequence into the prefix cache.
func (e *Engine) loadSequence(key string, tokens []int32, payload []byte) error {
	from := bytes.NewReader(payload)
	seq, err := e.store.Load(from)
	for errors.Is(err, kv.ErrFull) && e.prefix.Evict() {
		from.Reset(payload)
		seq, err = e.store.Load(from)
	}
	switch {
	case errors.Is(err, kv.ErrFull):
		return fmt.Errorf("the state of %d positions: %w", len(tokens), ErrCacheFull)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrState, err)
	case e.store.Len(seq) != len(tokens) || from.Len() > 0:
		defer e.store.Drop(seq)
		return fmt.Errorf("%w: want %d positions and nothing after them, found %d and %d bytes", ErrState, len(tokens), e.store.Len(seq), from.Len())
	}
	e.prefix.Insert(key, tokens, seq)
	return nil
}

// readStateHeader reads everything before the sequence, which is to be of the model of that
// identity.
func (e *Engine) readStateHeader(r io.Reader, want string) (key string, tokens []int32, err error) {
	h := &summedReader{r: r}
	if magic := h.bytes(len(stateMagic)); h.err == nil && string(magic) != stateMagic {
		return "", nil, fmt.Errorf("%w: want it to begin with %q, found %q", ErrState, stateMagic, magic)
	}
	if v := h.number(); h.err == nil && v != stateVersion {
		return "", nil, fmt.Errorf("%w: want version %d, found %d", ErrState, stateVersion, v)
	}
	identity := h.text()
	key = h.text()
	n := h.number()
	if h.err == nil && (n == 0 || int64(n) > int64(e.c.NCtx)) {
		return "", nil, fmt.Errorf("%w: want 1 to %d tokens, found %d", ErrState, e.c.NCtx, n)
	}
	for range n {
		if h.err != nil {
			break
		}
		tokens = append(tokens, int32(h.number()))
	}
	sum := h.sum
	if found := h.number(); h.err == nil && found != sum {
		h.err = fmt.Errorf("%w: the checksum of its header is wrong", ErrState)
	}
	if h.err == nil && identity != want {
		h.err = fmt.Errorf("%w: want one of %s, found one of %.300q", ErrState, want, identity)
	}
	if h.err == nil {
		h.err = e.c.check(tokens)
	}
	return key, tokens, h.err
}

// summedReader reads numbers and texts and keeps the sum of what has passed. After an error it
// returns zeros.
type summedReader struct {
	r   io.Reader
	sum uint32
	err error
}

func (h *summedReader) bytes(n int) []byte {
	b := make([]byte, n)
	if h.err != nil {
		return b
	}
	if _, err := io.ReadFull(h.r, b); err != nil {
		if h.err = err; errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			h.err = fmt.Errorf("%w: it ends too early", ErrState)
		}
		return make([]byte, n)
	}
	h.sum = crc32.Update(h.sum, castagnoli, b)
	return b
}

func (h *summedReader) number() uint32 { return binary.LittleEndian.Uint32(h.bytes(4)) }

func (h *summedReader) text() string {
	n := h.number()
	if n > maxKey && h.err == nil {
		h.err = fmt.Errorf("%w: want names of at most %d bytes, found %d", ErrState, maxKey, n)
	}
	if h.err != nil {
		return ""
	}
	return string(h.bytes(int(n)))
}

// do runs f on the engine's goroutine, between two batches, in its turn among the requests.
func (e *Engine) do(ctx context.Context, f func() error) error {
	c := &call{alone: alone{task{ctx: ctx}}, f: f, done: make(chan error, 1)}
	if err := e.submit(c, 0); err != nil {
		return err
	}
	return e.await(c, c.done)
}

// call is a job without rows: a function that has the cache to itself.
type call struct {
	alone
	f    func() error
	done chan error
}

// Rows takes a row's place in the batch, and leaves it empty.
func (c *call) Rows() scheduler.Rows { return scheduler.Rows{Min: 1, Max: 1} }

// report runs the function: it comes before the batch is computed.
func (c *call) report() {
	if err := c.f(); err != nil {
		c.fail(err)
		return
	}
	c.end(StopLength)
}

func (c *call) addRows(*round, int) {}
func (c *call) take(*round)         {}

func (c *call) finish(why Stop, err error) { c.done <- c.task.result(why, err) }
