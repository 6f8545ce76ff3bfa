package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/goinfer/goinfer/quant"
)

// ErrFormat is in the chain of Load's errors when the bytes are no saved sequence, a damaged one, or one of another configuration.
var ErrFormat = errors.New("not a saved sequence of this configuration")

// A saved sequence, numbers little-endian:
//
//	magic     8 bytes
//	version   uint32
//	page      uint32   PageLen
//	ktype     uint32   type number as in GGUF
//	vtype     uint32
//	layers    uint32
//	per layer uint32 heads, kdim, vdim, window, state
//	length    uint64   positions
//	sum       uint32
//	per PageLen positions:
//	  per group of layers with the same window, in the order of their first layers, unless no later query sees the page:
//	    the rows as they lie in memory, of the last page only those that count
//	  sum     uint32
//	the states of all layers, float32, where there is a position and a layer that has one, then sum uint32
//
// A sum is the CRC-32C of everything before it, other sums excepted, so that pages cannot change places unnoticed.
const (
	magic   = "GOINFKV\n"
	version = 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is everything before the length. It is the same for all sequences of a store.
func (s *Store) header() []byte {
	b := []byte(magic)
	u := func(n uint32) { b = binary.LittleEndian.AppendUint32(b, n) }
	u(version)
	u(PageLen)
	u(uint32(s.KType()))
	u(uint32(s.VType()))
	u(uint32(len(s.layers)))
	for _, l := range s.config.Layers {
		u(uint32(l.Heads))
		u(uint32(l.KDim))
		u(uint32(l.VDim))
		u(uint32(min(l.Window, math.MaxUint32)))
		u(uint32(l.State))
	}
	return b
}

// Save writes the committed positions of q to w, in some large and some small pieces, without its marks. It does not say which model or which tokens they
// stem from; that is for the caller to keep beside them.
func (s *Store) Save(w io.Writer, q Seq) error {
	e := s.seq(q)
	c := &summed{w: w}
	c.write(s.header())
	c.write(binary.LittleEndian.AppendUint64(nil, uint64(e.size)))
	c.writeSum()
	for at := 0; at < e.size && c.err == nil; at += PageLen {
		for i, g := range s.groups {
			if page := at / PageLen; page >= g.since(e.size)/PageLen {
				s.stretches(i, min(PageLen, e.size-at), func(from, to int) { c.write(e.tables[i].pages[page].data[from:to]) })
			}
		}
		c.writeSum()
	}
	if e.state != nil {
		c.write(e.state.data)
		c.writeSum()
	}
	if c.err != nil {
		return fmt.Errorf("kv: save sequence %d: %w", q, c.err)
	}
	return nil
}

// Load reads what Save wrote into a new sequence and reads no further. The store must be of the configuration that it was saved
// from, save for the limit. Memory is taken page by page as the bytes arrive, so that false lengths cost no more than a page.
// Errors wrap ErrFormat, ErrFull or what r returned; then the store is as before.
func (s *Store) Load(r io.Reader) (Seq, error) {
	q := s.Open()
	if err := s.load(r, q); err != nil {
		s.Drop(q)
		return 0, fmt.Errorf("kv: load: %w", err)
	}
	return q, nil
}

func (s *Store) load(r io.Reader, q Seq) error {
	c := &summed{r: r}
	if err := s.readHeader(c); err != nil {
		return err
	}
	length := make([]byte, 8)
	c.read(length)
	c.readSum("header")
	if c.err != nil {
		return c.err
	}
	size := binary.LittleEndian.Uint64(length)
	if size > math.MaxInt-PageLen {
		return fmt.Errorf("%w: %d positions are more than memory can address", ErrFormat, size)
	}
	for s.Len(q) < int(size) {
		at := s.Len(q)
		n := min(PageLen, int(size)-at)
		if err := s.Reserve(q, n); err != nil {
			return err
		}
		for i, g := range s.groups {
			if page := at / PageLen; page >= g.since(int(size))/PageLen {
				data := s.seqs[q].tables[i].pages[page].data
				s.stretches(i, n, func(from, to int) { c.read(data[from:to]) })
			}
		}
		c.readSum("page")
		if c.err != nil {
			return fmt.Errorf("positions %d to %d of %d: %w", at, at+n, size, c.err)
		}
		s.Commit(q, n)
	}
	if e := &s.seqs[q]; e.state != nil {
		c.read(e.state.data)
		c.readSum("states")
	}
	return c.err
}

// readHeader compares what comes with the header of s, number by number, so that the first difference can be told.
func (s *Store) readHeader(c *summed) error {
	want, at := s.header(), len(magic)
	found := make([]byte, len(magic))
	c.read(found)
	if c.err == nil && string(found) != magic {
		return fmt.Errorf("%w: want it to begin with %q, found %q", ErrFormat, magic, found)
	}
	number := func(name string, show func(uint32) string) error {
		b := found[:4]
		c.read(b)
		if c.err != nil {
			return c.err
		}
		w, f := binary.LittleEndian.Uint32(want[at:]), binary.LittleEndian.Uint32(b)
		at += 4
		if w != f {
			return fmt.Errorf("%w: %s: want %s, found %s", ErrFormat, name, show(w), show(f))
		}
		return nil
	}
	plain := func(n uint32) string { return fmt.Sprint(n) }
	typ := func(n uint32) string { return quant.Type(n).String() }
	for _, f := range []struct {
		name string
		show func(uint32) string
	}{{"version", plain}, {"page length", plain}, {"type of keys", typ}, {"type of values", typ}, {"layers", plain}} {
		if err := number(f.name, f.show); err != nil {
			return err
		}
	}
	for i := range s.layers {
		for _, name := range []string{"heads", "length of a key", "length of a value", "window", "length of a state"} {
			if err := number(fmt.Sprintf("layer %d: %s", i, name), plain); err != nil {
				return err
			}
		}
	}
	return nil
}

// stretches calls f for the parts of a group's page that hold its first n positions, in order. A full page is one part.
func (s *Store) stretches(group, n int, f func(from, to int)) {
	if n == PageLen {
		f(0, s.groups[group].size)
		return
	}
	for i := range s.layers {
		l := &s.layers[i]
		if l.group != group {
			continue
		}
		for h := range l.heads {
			k, v := l.k+h*l.head, l.v+h*l.head
			f(k, k+n*l.kRow)
			f(v, v+n*l.vRow)
		}
	}
}

// summed writes or reads and keeps the sum of what has passed. After the first error it does nothing.
type summed struct {
	w   io.Writer
	r   io.Reader
	sum uint32
	err error
}

func (c *summed) write(b []byte) {
	if c.err != nil || len(b) == 0 {
		return
	}
	c.sum = crc32.Update(c.sum, castagnoli, b)
	_, c.err = c.w.Write(b)
}

func (c *summed) writeSum() {
	if c.err == nil {
		_, c.err = c.w.Write(binary.LittleEndian.AppendUint32(nil, c.sum))
	}
}

func (c *summed) read(b []byte) {
	if c.err != nil || len(b) == 0 {
		return
	}
	c.readFull(b)
	c.sum = crc32.Update(c.sum, castagnoli, b)
}

func (c *summed) readFull(b []byte) {
	_, err := io.ReadFull(c.r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it ends too early", ErrFormat)
	}
	c.err = err
}

func (c *summed) readSum(of string) {
	if c.err != nil {
		return
	}
	var b [4]byte
	c.readFull(b[:])
	if c.err == nil && binary.LittleEndian.Uint32(b[:]) != c.sum {
		c.err = fmt.Errorf("%w: the checksum of the %s is wrong", ErrFormat, of)
	}
}
