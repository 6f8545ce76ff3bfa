package kv

import (
	"errors"
	"fmt"
	"math"

	"github.com/goinfer/goinfer/quant"
)

// ErrFull is in the chain of Reserve's and Load's errors when the store's limit does not allow the
// pages that are needed.
var ErrFull = errors.New("cache full")

// Seq names an open sequence of a Store. Numbers of dropped sequences are given out again.
type Seq int32

// Store holds the pages and states of many sequences. See the package comment for who may call what
// when.
type Store struct {
	config Config
	plan
	memory memory
	seqs   []sequence
	closed []Seq // numbers to give out again
}

// sequence is what one Seq refers to.
type sequence struct {
	open     bool
	size     int // committed positions
	reserved int // positions after them that may be written
	certain  int // reserved positions that Commit takes at least, unless it takes none
	// tables are the pages by group. Each has those for size+reserved positions, no more and no
	// fewer; those that no query at size or after sees are nil.
	tables      []table
	state       *page         // states after size positions; nil for none
	ends        []end         // lengths within the reserved positions, in ascending order
	checkpoints []*checkpoint // lengths that can be gone back to, in ascending order
}

// table is the pages of a group.
type table struct {
	pages []*page
	first int // pages before it are nil
}

// New makes an empty store. It allocates no pages.
func New(c Config) (*Store, error) {
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	if c.Checkpoints == 0 {
		c.Checkpoints = DefaultCheckpoints
	}
	c.Layers = append([]Spec(nil), c.Layers...)
	return &Store{config: c, plan: p, memory: newMemory(p, c.MaxBytes)}, nil
}

// KType and VType are the formats of the rows that K, KRow and V, VRow return.
func (s *Store) KType() quant.Type { return s.config.KType.Quant() }

// VType is the format of values; see KType.
func (s *Store) VType() quant.Type { return s.config.VType.Quant() }

// Layers is the number of layers.
func (s *Store) Layers() int { return len(s.layers) }

// Layer is the spec of layer i.
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
	s.seqs = append(s.seqs, sequence{open: true, tables: make([]table, len(s.groups))})
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

// statePool is the number of the pool of states.
func (s *Store) statePool() int { return len(s.groups) }

// Reserve makes room for exactly n positions after the committed ones, to be written with KRow and
// VRow, and NewState, and then committed. It replaces what an earlier Reserve has left over: rows
// written and not committed become undefined, and marks within them are forgotten. A last page that
// is partly filled and shared with another sequence is copied first, so that nothing another
// sequence can see is ever written.
//
// If the limit does not allow the pages, Reserve returns an error that wraps ErrFull and nothing
// has changed.
func (s *Store) Reserve(q Seq, n int) error { return s.ReserveTentative(q, n, n) }

// ReserveTentative is Reserve for n positions of which the first certain are going to be committed,
// and the others perhaps, as in speculative decoding (Leviathan et al. 2022, arXiv:2211.17192):
// Commit takes any number from certain to n. Each such length has a state of its own, for which
// NewStates and NewState ask as for checkpoints, and no window gives up what a query at any of them
// sees. All that is counted against the limit before anything changes: who gets ErrFull proposes
// less.
func (s *Store) ReserveTentative(q Seq, n, certain int) error {
	e := s.seq(q)
	checkReservation(q, n, certain)
	if n > math.MaxInt-PageLen-e.size {
		return fmt.Errorf("sequence %d: %d positions after %d: %w", q, n, e.size, ErrFull)
	}
	if need, room := s.need(e, n, certain), s.memory.room(); need > room {
		return fmt.Errorf("sequence %d: %d more positions take %d more bytes, %d of %d are left: %w", q, n, need, room, s.memory.max, ErrFull)
	}
	s.unreserve(e)
	for i := range e.tables {
		if e.splits(i, n) {
			s.split(e, i)
		}
		t := &e.tables[i]
		for len(t.pages) < pagesFor(e.size+n) {
			t.pages = append(t.pages, s.memory.get(i))
		}
	}
	e.reserved, e.certain = n, certain
	s.addEnds(e)
	return nil
}

func checkReservation(q Seq, n, certain int) {
	switch {
	case n < 0:
		panic(fmt.Sprintf("kv: reserve %d positions of sequence %d", n, q))
	case certain < 0 || certain > n:
		panic(fmt.Sprintf("kv: reserve %d positions of sequence %d, %d of them certain", n, q, certain))
	}
}

// Cost is the number of bytes that ReserveTentative(q, n, certain) would take beside those that are
// in use now: it succeeds while that is at most [Store.Room]. What q has reserved is counted as
// given up, so that the cost may be negative. It is math.MaxInt64 where it cannot be counted.
func (s *Store) Cost(q Seq, n, certain int) int64 {
	e := s.seq(q)
	checkReservation(q, n, certain)
	if n > math.MaxInt-PageLen-e.size {
		return math.MaxInt64
	}
	return s.need(e, n, certain)
}

// need is the number of bytes that e needs to have n positions reserved, beside those in use now.
func (s *Store) need(e *sequence, n, certain int) int64 {
	var need int64
	for i, t := range e.tables {
		pages := pagesFor(e.size+n) - len(t.pages)
		if e.splits(i, n) {
			pages++
		}
		if need = addProduct(need, pages, int64(s.groups[i].size)); need == math.MaxInt64 {
			return need
		}
	}
	states := tentative(n, certain)
	for _, x := range e.ends {
		if x.state != nil {
			states--
		}
	}
	return addProduct(need, states, s.StateBytes())
}

// addProduct is sum + n·size, and math.MaxInt64 where that is beyond counting.
func addProduct(sum int64, n int, size int64) int64 {
	if n > 0 && size > 0 && int64(n) > (math.MaxInt64/4-max(sum, 0))/size {
		return math.MaxInt64
	}
	return sum + int64(n)*size
}

// splits reports whether n more positions would be written into a page that others have too.
func (e *sequence) splits(group, n int) bool {
	last := e.size / PageLen
	return n > 0 && e.size%PageLen > 0 && e.tables[group].pages[last].refs > 1
}

// split gives e a last page of its own.
func (s *Store) split(e *sequence, group int) {
	last := e.size / PageLen
	from, to := e.tables[group].pages[last], s.memory.get(group)
	s.rowRanges(group, e.size%PageLen, func(a, b int) { copy(to.data[a:b], from.data[a:b]) })
	s.memory.put(group, from)
	e.tables[group].pages[last] = to
}

// unreserve gives up what is reserved.
func (s *Store) unreserve(e *sequence) {
	for i := range e.tables {
		s.freePages(e, i, pagesFor(e.size))
	}
	for i := range e.ends {
		s.putState(&e.ends[i].state)
	}
	e.ends = e.ends[:0]
	e.reserved, e.certain = 0, 0
}

// freePages gives up the pages of a group from number n on.
func (s *Store) freePages(e *sequence, group, n int) {
	t := &e.tables[group]
	for i := n; i < len(t.pages); i++ {
		if t.pages[i] != nil {
			s.memory.put(group, t.pages[i])
			t.pages[i] = nil
		}
	}
	t.pages = t.pages[:min(n, len(t.pages))]
	t.first = min(t.first, len(t.pages))
}

// evict gives up the pages that no query at the end of e or after it sees.
func (s *Store) evict(e *sequence) {
	for i := range e.tables {
		t := &e.tables[i]
		for ; t.first < s.groups[i].since(e.size)/PageLen; t.first++ {
			s.memory.put(i, t.pages[t.first])
			t.pages[t.first] = nil
		}
	}
}

// Commit makes the first n reserved positions count, with the states after them, and gives up the
// rest of the reservation, of which no trace is left, and what no later query sees. Marks within
// the n positions become checkpoints. n is 0, which rejects everything, or a number that the
// reservation allows: n positions as reserved with Reserve, or certain to n of ReserveTentative. It
// panics otherwise.
func (s *Store) Commit(q Seq, n int) {
	e := s.seq(q)
	switch {
	case n < 0 || n > e.reserved:
		panic(fmt.Sprintf("kv: commit %d positions of sequence %d, %d are reserved", n, q, e.reserved))
	case n > 0 && n < e.certain:
		panic(fmt.Sprintf("kv: commit %d positions of sequence %d, %d are certain", n, q, e.certain))
	}
	if n > 0 {
		e.size += n
		s.takeState(e)
		s.keepCheckpoints(e)
	}
	s.unreserve(e)
	s.evict(e)
}

// Drop closes q and gives up its pages.
func (s *Store) Drop(q Seq) {
	e := s.seq(q)
	e.size = 0
	s.unreserve(e)
	s.putState(&e.state)
	for i, c := range e.checkpoints {
		s.putCheckpoint(c)
		e.checkpoints[i] = nil
	}
	e.checkpoints = e.checkpoints[:0]
	e.open = false
	s.closed = append(s.closed, q)
}

// K is the keys of one head in page number page of q (positions page*PageLen and on),
// [PageLen][KDim] in KType. Rows from the last written one on are undefined. It does not allocate
// and is to be read only.
func (s *Store) K(q Seq, layer, head, page int) []byte {
	l := s.layer(layer, head)
	at := l.k + head*l.head
	return s.page(q, l.group, page)[at : at+l.kHead : at+l.kHead]
}

// V is the values of one head in a page, [PageLen][VDim] in VType; see K.
func (s *Store) V(q Seq, layer, head, page int) []byte {
	l := s.layer(layer, head)
	at := l.v + head*l.head
	return s.page(q, l.group, page)[at : at+l.vHead : at+l.vHead]
}

// KRow is the key of one head at position pos of q, [KDim] in KType; pos is committed or reserved.
// It may be written only while it is reserved: a committed position may belong to other sequences
// too.
func (s *Store) KRow(q Seq, layer, head, pos int) []byte {
	l := s.layer(layer, head)
	at := l.k + head*l.head + pos%PageLen*l.kRow
	return s.pageOf(q, l.group, pos)[at : at+l.kRow : at+l.kRow]
}

// VRow is the value of one head at position pos of q, [VDim] in VType; see KRow.
func (s *Store) VRow(q Seq, layer, head, pos int) []byte {
	l := s.layer(layer, head)
	at := l.v + head*l.head + pos%PageLen*l.vRow
	return s.pageOf(q, l.group, pos)[at : at+l.vRow : at+l.vRow]
}

func (s *Store) layer(layer, head int) *layout {
	if uint(layer) >= uint(len(s.layers)) || uint(head) >= uint(s.layers[layer].heads) {
		panic(fmt.Sprintf("kv: no head %d in layer %d", head, layer))
	}
	return &s.layers[layer]
}

func (s *Store) page(q Seq, group, page int) []byte {
	t := &s.seq(q).tables[group]
	if uint(page) >= uint(len(t.pages)) {
		panic(fmt.Sprintf("kv: page %d of sequence %d, which has %d", page, q, len(t.pages)))
	}
	if page < t.first {
		panic(fmt.Sprintf("kv: page %d of sequence %d, of which a window has left those from %d on", page, q, t.first))
	}
	return t.pages[page].data
}

func (s *Store) pageOf(q Seq, group, pos int) []byte {
	e := s.seq(q)
	if uint(pos) >= uint(e.size+e.reserved) {
		panic(fmt.Sprintf("kv: position %d of sequence %d, which has %d and %d reserved", pos, q, e.size, e.reserved))
	}
	return s.page(q, group, pos/PageLen)
}
