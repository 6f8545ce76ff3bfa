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

// ErrFormat is in the chain of Load's errors when the bytes are no saved sequence, a damaged one,
// or one of another configuration.
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
//	marks     uint32   number of checkpoints
//	per checkpoint uint64 its length, ascending
//	sum       uint32
//	per PageLen positions:
//	  per group of layers with the same window, in the order of their first layers, where a query
//	  at the length or, in a window, at a checkpoint sees the page:
//	    the rows as in memory, those before the greatest of these lengths
//	  sum     uint32
//	the states of all layers, float32, of each checkpoint before the length, then at the length,
//	  each followed by sum uint32; none where there is no position or no layer that has a state
//
// A sum is the CRC-32C of everything before it, other sums excepted, so that pages cannot change
// places unnoticed.
const (
	magic   = "GOINFKV\n"
	version = 4
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
		u(uint32(l.NHead))
		u(uint32(l.KDim))
		u(uint32(l.VDim))
		u(uint32(min(uint64(l.Window), math.MaxUint32)))
		u(uint32(l.State))
	}
	return b
}

// Save writes the committed positions of q and its checkpoints to w, in some large and some small
// pieces. It does not record which model or which tokens they stem from; the caller keeps that
// beside them.
func (s *Store) Save(w io.Writer, q Seq) error {
	e := s.seq(q)
	c := &summed{w: w}
	c.write(s.header())
	c.write(binary.LittleEndian.AppendUint64(nil, uint64(e.size)))
	c.write(binary.LittleEndian.AppendUint32(nil, uint32(len(e.checkpoints))))
	for _, k := range e.checkpoints {
		c.write(binary.LittleEndian.AppendUint64(nil, uint64(k.at)))
	}
	c.writeSum()
	for k := 0; k < pagesFor(e.size) && c.err == nil; k++ {
		for i := range s.groups {
			if n, t := s.holder(e, e.size, i, k); t != nil {
				s.rowRanges(i, min(PageLen, n-k*PageLen), func(from, to int) { c.write(t.pages[k].data[from:to]) })
			}
		}
		c.writeSum()
	}
	for _, k := range e.checkpoints {
		if k.at < e.size {
			c.writeState(k.state)
		}
	}
	c.writeState(e.state)
	if c.err != nil {
		return fmt.Errorf("save sequence %d: %w", q, c.err)
	}
	return nil
}

// holder is the greatest length, that of e itself or of a checkpoint, at which a query sees page k
// of a group, and the table that has the page; nil if there is none. The rows of a position are
// the same in every page that has it.
func (s *Store) holder(e *sequence, size, group, k int) (length int, t *table) {
	g := s.groups[group]
	if g.sees(size, k) {
		return size, &e.tables[group]
	}
	for i := len(e.checkpoints) - 1; i >= 0; i-- {
		if c := e.checkpoints[i]; g.sees(c.at, k) {
			return c.at, &c.tables[group]
		}
	}
	return 0, nil
}

// sees reports whether a query at position n sees something of page k, before n.
func (g group) sees(n, k int) bool { return k >= g.since(n)/PageLen && k < pagesFor(n) }

// Load reads what Save wrote into a new sequence and reads no further. The store must be of the
// configuration that it was saved from, except for the limit. Memory is taken page by page as the
// bytes arrive, so that false lengths cost no more than a page. Errors wrap ErrFormat, ErrFull or
// what r returned; then the store is as before.
func (s *Store) Load(r io.Reader) (Seq, error) {
	q := s.Open()
	if err := s.load(&summed{r: r}, s.seq(q)); err != nil {
		s.Drop(q)
		return 0, fmt.Errorf("load: %w", err)
	}
	return q, nil
}

func (s *Store) load(c *summed, e *sequence) error {
	if err := s.readHeader(c); err != nil {
		return err
	}
	size, err := s.readLengths(c, e)
	if err != nil {
		return err
	}
	for k := range pagesFor(size) {
		if err := s.loadPages(c, e, size, k); err != nil {
			return fmt.Errorf("positions %d to %d of %d: %w", k*PageLen, min((k+1)*PageLen, size), size, err)
		}
	}
	e.size = size
	if s.states == 0 || size == 0 {
		return nil
	}
	for _, k := range e.checkpoints {
		if k.at < size {
			if k.state, err = s.loadState(c); err != nil {
				return err
			}
		}
	}
	if e.state, err = s.loadState(c); err != nil {
		return err
	}
	if n := len(e.checkpoints); n > 0 && e.checkpoints[n-1].at == size {
		e.checkpoints[n-1].state = e.state
		e.state.refs++
	}
	return nil
}

// readLengths reads the length, which it returns, and those of the checkpoints, which it gives e.
func (s *Store) readLengths(c *summed, e *sequence) (int, error) {
	size, marks := c.uint64(), c.uint32()
	if c.err == nil && int64(marks) > int64(s.config.Checkpoints) {
		return 0, fmt.Errorf("%w: want at most %d marks, found %d", ErrFormat, s.config.Checkpoints, marks)
	}
	var at []uint64
	for c.err == nil && len(at) < int(marks) {
		at = append(at, c.uint64())
	}
	if c.readSum("header"); c.err != nil {
		return 0, c.err
	}
	if size > math.MaxInt-PageLen {
		return 0, fmt.Errorf("%w: %d positions are more than memory can address", ErrFormat, size)
	}
	if marks > 0 && !s.partial() {
		return 0, fmt.Errorf("%w: want no marks, since every position is remembered, found %d", ErrFormat, marks)
	}
	before := uint64(0)
	for _, n := range at {
		if n <= before || n > size {
			return 0, fmt.Errorf("%w: want a mark from %d to %d, found %d", ErrFormat, before+1, size, n)
		}
		before = n
		e.checkpoints = append(e.checkpoints, &checkpoint{at: int(n), refs: 1, tables: make([]table, len(s.groups))})
	}
	return int(size), nil
}

// loadPages reads page k of every group, for all lengths at which a query sees it.
func (s *Store) loadPages(c *summed, e *sequence, size, k int) error {
	for i, g := range s.groups {
		n, t := s.holder(e, size, i, k)
		var p *page
		if t != nil {
			if room := s.memory.room(); room < int64(g.size) {
				return fmt.Errorf("a page takes %d bytes, %d of %d are left: %w", g.size, room, s.memory.max, ErrFull)
			}
			p = s.memory.get(i)
			s.rowRanges(i, min(PageLen, n-k*PageLen), func(from, to int) { c.read(p.data[from:to]) })
		}
		s.share(e, size, i, k, p)
	}
	c.readSum("page")
	return c.err
}

// share gives a page that has just been got, with one reference, to all that need it: e, and its
// checkpoints where the group has a window.
func (s *Store) share(e *sequence, size, group, k int, p *page) {
	g, t := s.groups[group], &e.tables[group]
	if p != nil {
		p.refs = 0
	}
	if g.sees(size, k) {
		p.refs++
		t.pages = append(t.pages, p)
	} else {
		t.pages = append(t.pages, nil)
		t.first = k + 1
	}
	for _, c := range e.checkpoints {
		if g.window == 0 || !g.sees(c.at, k) {
			continue
		}
		t := &c.tables[group]
		if len(t.pages) == 0 {
			t.pages, t.first = make([]*page, k), k
		}
		p.refs++
		t.pages = append(t.pages, p)
	}
}

// loadState reads the states of one length.
func (s *Store) loadState(c *summed) (*page, error) {
	if room := s.memory.room(); room < s.StateBytes() {
		return nil, fmt.Errorf("states take %d bytes, %d of %d are left: %w", s.StateBytes(), room, s.memory.max, ErrFull)
	}
	p := s.memory.get(s.statePool())
	c.read(p.data)
	if c.readSum("states"); c.err != nil {
		s.memory.put(s.statePool(), p)
		return nil, c.err
	}
	return p, nil
}

// readHeader compares what comes with the header of s, number by number, so that the error can name
// the first difference.
func (s *Store) readHeader(c *summed) error {
	want, at := s.header(), len(magic)
	found := make([]byte, len(magic))
	c.read(found)
	if c.err == nil && string(found) != magic {
		return fmt.Errorf("%w: want it to begin with %q, found %q", ErrFormat, magic, found)
	}
	number := func(name string, format func(uint32) string) error {
		b := found[:4]
		c.read(b)
		if c.err != nil {
			return c.err
		}
		w, f := binary.LittleEndian.Uint32(want[at:]), binary.LittleEndian.Uint32(b)
		at += 4
		if w != f {
			return fmt.Errorf("%w: %s: want %s, found %s", ErrFormat, name, format(w), format(f))
		}
		return nil
	}
	plain := func(n uint32) string { return fmt.Sprint(n) }
	typ := func(n uint32) string { return quant.Type(n).String() }
	for _, f := range []struct {
		name   string
		format func(uint32) string
	}{{"version", plain}, {"page length", plain}, {"type of keys", typ}, {"type of values", typ}, {"layers", plain}} {
		if err := number(f.name, f.format); err != nil {
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

// rowRanges calls f for the contiguous bytes of a group's page that hold its first n positions, in
// order. Those of a full page are one range.
func (s *Store) rowRanges(group, n int, f func(from, to int)) {
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

// summed writes or reads and keeps the sum of what has passed. After the first error it does
// nothing.
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

// writeState writes a page of states and the sum, or nothing if there is none.
func (c *summed) writeState(p *page) {
	if p != nil {
		c.write(p.data)
		c.writeSum()
	}
}

func (c *summed) uint64() uint64 {
	var b [8]byte
	c.read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

func (c *summed) uint32() uint32 {
	var b [4]byte
	c.read(b[:])
	return binary.LittleEndian.Uint32(b[:])
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
