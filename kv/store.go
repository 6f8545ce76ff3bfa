package kv

import (
	"errors"
	"fmt"
	"math"

	"github.com/goinfer/goinfer/quant"
)

// ErrFull is in the chain of Reserve's and Load's errors when the store's limit does not allow the pages that are needed.
var ErrFull = errors.New("cache full")

// Seq names an open sequence of a Store. Numbers of dropped sequences are given out again.
type Seq int32

// Store holds the pages of many sequences. See the package comment for who may call what when.
type Store struct {
	config Config
	layers []layout
	pages  pool
	seqs   []sequence
	closed []Seq // numbers to give out again
}

// sequence is what one Seq refers to. Its table always has the pages for size+reserved positions, no more and no fewer.
type sequence struct {
	open     bool
	size     int // committed positions
	reserved int // positions after them that may be written
	table    []*page
}

// New makes an empty store. It allocates no pages.
func New(c Config) (*Store, error) {
	layers, size, err := c.plan()
	if err != nil {
		return nil, err
	}
	c.Layers = append([]Spec(nil), c.Layers...)
	return &Store{config: c, layers: layers, pages: newPool(size, c.MaxBytes)}, nil
}

// KType and VType are the formats of the rows that K, KRow and V, VRow return.
func (s *Store) KType() quant.Type { return s.config.KType.Quant() }

// VType is the format of values; see KType.
func (s *Store) VType() quant.Type { return s.config.VType.Quant() }

// Layers is the number of layers.
func (s *Store) Layers() int { return len(s.layers) }

// Layer is what layer i remembers.
func (s *Store) Layer(i int) Spec { return s.config.Layers[i] }

// Open starts an empty sequence. It takes no pages yet.
func (s *Store) Open() Seq {
	if n := len(s.closed); n > 0 {
		q := s.closed[n-1]
		s.closed = s.closed[:n-1]
		s.seqs[q].open = true
		return q
	}
	if len(s.seqs) > math.MaxInt32 {
		panic("kv: more than 2^31 sequences are open")
	}
	s.seqs = append(s.seqs, sequence{open: true})
	return Seq(len(s.seqs) - 1)
}

// seq finds an open sequence.
func (s *Store) seq(q Seq) *sequence {
	if uint(q) >= uint(len(s.seqs)) || !s.seqs[q].open {
		panic(fmt.Sprintf("kv: sequence %d is not open", q))
	}
	return &s.seqs[q]
}

// Len is the number of committed positions of q.
func (s *Store) Len(q Seq) int { return s.seq(q).size }

// pagesFor is the number of pages that n positions take.
func pagesFor(n int) int { return n/PageLen + (n%PageLen+PageLen-1)/PageLen }

// Reserve makes room for exactly n positions after the committed ones, to be written with KRow and VRow and then committed. It replaces
// what an earlier Reserve has left over: rows written and not committed become undefined. A last page that is partly filled and shared
// with another sequence is copied first, so that nothing another sequence can see is ever written.
//
// If the limit does not allow the pages, Reserve returns an error that wraps ErrFull and nothing has changed.
func (s *Store) Reserve(q Seq, n int) error {
	if n < 0 {
		panic(fmt.Sprintf("kv: reserve %d positions of sequence %d", n, q))
	}
	e := s.seq(q)
	if n > math.MaxInt-PageLen-e.size {
		return fmt.Errorf("kv: sequence %d: %d positions after %d: %w", q, n, e.size, ErrFull)
	}
	want := pagesFor(e.size + n)
	last, fill := e.size/PageLen, e.size%PageLen
	split := n > 0 && fill > 0 && e.table[last].refs > 1
	need := want - len(e.table) // negative if an earlier reservation was larger
	if split {
		need++
	}
	if room := s.pages.room(); need > room {
		return fmt.Errorf("kv: sequence %d: %d more positions take %d more pages of %d bytes, %d of %d are left: %w",
			q, n, need, s.pages.size, room, s.pages.max, ErrFull)
	}
	s.cut(e, want)
	if split {
		from := e.table[last]
		to := s.pages.get()
		s.copyRows(to, from, fill)
		s.pages.put(from)
		e.table[last] = to
	}
	for len(e.table) < want {
		e.table = append(e.table, s.pages.get())
	}
	e.reserved = n
	return nil
}

// copyRows copies the first n positions of a page.
func (s *Store) copyRows(to, from *page, n int) {
	for i := range s.layers {
		l := &s.layers[i]
		for h := range l.heads {
			at := l.k + h*l.kHead
			copy(to.data[at:at+n*l.kRow], from.data[at:])
			at = l.v + h*l.vHead
			copy(to.data[at:at+n*l.vRow], from.data[at:])
		}
	}
}

// cut gives up the pages of e from number n on.
func (s *Store) cut(e *sequence, n int) {
	for i := n; i < len(e.table); i++ {
		s.pages.put(e.table[i])
		e.table[i] = nil
	}
	e.table = e.table[:min(n, len(e.table))]
}

// Commit makes the first n reserved positions count; the others stay reserved. It panics if fewer are reserved.
func (s *Store) Commit(q Seq, n int) {
	e := s.seq(q)
	if n < 0 || n > e.reserved {
		panic(fmt.Sprintf("kv: commit %d positions of sequence %d, %d are reserved", n, q, e.reserved))
	}
	e.size += n
	e.reserved -= n
}

// Fork opens a sequence whose positions are the first n of q, without copying them: both share the pages. It panics unless 0 ≤ n ≤ Len(q).
func (s *Store) Fork(q Seq, n int) Seq {
	if size := s.seq(q).size; n < 0 || n > size {
		panic(fmt.Sprintf("kv: fork %d positions of sequence %d, which has %d", n, q, size))
	}
	f := s.Open()
	from, to := &s.seqs[q], &s.seqs[f]
	to.size = n
	to.table = append(to.table, from.table[:pagesFor(n)]...)
	for _, g := range to.table {
		g.refs++
	}
	return f
}

// Truncate forgets the positions of q from n on, and every reservation. It panics unless 0 ≤ n ≤ Len(q).
func (s *Store) Truncate(q Seq, n int) {
	e := s.seq(q)
	if n < 0 || n > e.size {
		panic(fmt.Sprintf("kv: truncate sequence %d to %d positions, it has %d", q, n, e.size))
	}
	s.cut(e, pagesFor(n))
	e.size, e.reserved = n, 0
}

// Drop closes q and gives up its pages.
func (s *Store) Drop(q Seq) {
	e := s.seq(q)
	s.cut(e, 0)
	e.open, e.size, e.reserved = false, 0, 0
	s.closed = append(s.closed, q)
}

// K is the keys of one head in page number page of q (positions page*PageLen and on), [PageLen][KDim] in KType. Rows from the last written
// one on are undefined. It does not allocate and is to be read only.
func (s *Store) K(q Seq, layer, head, page int) []byte {
	l := s.layer(layer, head)
	at := l.k + head*l.kHead
	return s.page(q, page)[at : at+l.kHead : at+l.kHead]
}

// V is the values of one head in a page, [PageLen][VDim] in VType; see K.
func (s *Store) V(q Seq, layer, head, page int) []byte {
	l := s.layer(layer, head)
	at := l.v + head*l.vHead
	return s.page(q, page)[at : at+l.vHead : at+l.vHead]
}

// KRow is the key of one head at position pos of q, [KDim] in KType; pos is committed or reserved. It may be written only while it is
// reserved: a committed position may belong to other sequences too.
func (s *Store) KRow(q Seq, layer, head, pos int) []byte {
	l := s.layer(layer, head)
	at := l.k + head*l.kHead + pos%PageLen*l.kRow
	return s.pageOf(q, pos)[at : at+l.kRow : at+l.kRow]
}

// VRow is the value of one head at position pos of q, [VDim] in VType; see KRow.
func (s *Store) VRow(q Seq, layer, head, pos int) []byte {
	l := s.layer(layer, head)
	at := l.v + head*l.vHead + pos%PageLen*l.vRow
	return s.pageOf(q, pos)[at : at+l.vRow : at+l.vRow]
}

func (s *Store) layer(layer, head int) *layout {
	if uint(layer) >= uint(len(s.layers)) || uint(head) >= uint(s.layers[layer].heads) {
		panic(fmt.Sprintf("kv: no head %d in layer %d", head, layer))
	}
	return &s.layers[layer]
}

func (s *Store) page(q Seq, page int) []byte {
	e := s.seq(q)
	if uint(page) >= uint(len(e.table)) {
		panic(fmt.Sprintf("kv: page %d of sequence %d, which has %d", page, q, len(e.table)))
	}
	return e.table[page].data
}

func (s *Store) pageOf(q Seq, pos int) []byte {
	e := s.seq(q)
	if uint(pos) >= uint(e.size+e.reserved) {
		panic(fmt.Sprintf("kv: position %d of sequence %d, which has %d and %d reserved", pos, q, e.size, e.reserved))
	}
	return e.table[pos/PageLen].data
}

// PageBytes is the size of a page, in bytes: of PageLen positions in all layers.
func (s *Store) PageBytes() int64 { return int64(s.pages.size) }

// Pages is the number of pages that sequences hold; a shared one counts once.
func (s *Store) Pages() int { return s.pages.used }

// Spare is the number of unused pages that are kept to be given out again, at most 64 MiB of them (or one).
func (s *Store) Spare() int { return len(s.pages.free) }

// Bytes is the memory that the store holds, in bytes: pages in use and spare ones.
func (s *Store) Bytes() int64 {
	return int64(s.pages.used+len(s.pages.free)) * int64(s.pages.size)
}

// Trim gives the spare pages back to the garbage collector.
func (s *Store) Trim() { s.pages.trim() }
