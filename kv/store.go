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

// Store holds the pages and states of many sequences. See the package comment for who may call what when.
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
	// tables are the pages by group. Each has those for size+reserved positions, no more and no fewer; those that no query can see any more are nil.
	tables []table
	state  *page   // after size positions; nil for none
	next   *page   // where that after size+reserved positions is written
	ends   []end   // marks within the reserved positions, in ascending order
	marks  []*mark // lengths that can be gone back to, in ascending order
}

// table is the pages of a group.
type table struct {
	pages []*page
	first int // pages before it are nil
}

// end is a length within the reserved positions at which a state is wanted.
type end struct {
	at    int
	state *page // nil where no layer has one
}

// New makes an empty store. It allocates no pages.
func New(c Config) (*Store, error) {
	p, err := c.plan()
	if err != nil {
		return nil, err
	}
	if c.Marks == 0 {
		c.Marks = DefaultMarks
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

// Reserve makes room for exactly n positions after the committed ones, to be written with KRow and VRow, and NewState at the end, and then committed. It replaces
// what an earlier Reserve has left over: rows written and not committed become undefined, and marks within them are forgotten. A last page that is partly filled and shared
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
	if need, room := s.need(e, n), s.memory.room(); need > room {
		return fmt.Errorf("kv: sequence %d: %d more positions take %d more bytes, %d of %d are left: %w", q, n, need, room, s.memory.max, ErrFull)
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
	if n > 0 && s.states > 0 {
		e.next = s.memory.get(s.statePool())
	}
	e.reserved = n
	return nil
}

// need is the number of bytes that e needs for n positions more, beside those that are in use now; it may be negative.
func (s *Store) need(e *sequence, n int) int64 {
	var need int64
	for i, t := range e.tables {
		pages := pagesFor(e.size+n) - len(t.pages)
		if e.splits(i, n) {
			pages++
		}
		if size := int64(s.groups[i].size); int64(pages) > math.MaxInt64/4/max(size, 1) {
			return math.MaxInt64
		} else if need += int64(pages) * size; need > math.MaxInt64/4 {
			return math.MaxInt64
		}
	}
	if n > 0 {
		need += 4 * int64(s.states)
	}
	if e.next != nil {
		need -= 4 * int64(s.states)
	}
	return need
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
	s.stretches(group, e.size%PageLen, func(a, b int) { copy(to.data[a:b], from.data[a:b]) })
	s.memory.put(group, from)
	e.tables[group].pages[last] = to
}

// unreserve gives up what is reserved.
func (s *Store) unreserve(e *sequence) {
	for i := range e.tables {
		s.cut(e, i, pagesFor(e.size))
	}
	s.putState(&e.next)
	for i := range e.ends {
		s.putState(&e.ends[i].state)
	}
	e.ends = e.ends[:0]
	e.reserved = 0
}

// cut gives up the pages of a group from number n on.
func (s *Store) cut(e *sequence, group, n int) {
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

// pass gives up the pages that no query from position n on can see.
func (s *Store) pass(e *sequence, n int) {
	for i := range e.tables {
		t := &e.tables[i]
		for ; t.first < s.groups[i].since(n)/PageLen; t.first++ {
			s.memory.put(i, t.pages[t.first])
			t.pages[t.first] = nil
		}
	}
}

func (s *Store) putState(g **page) {
	if *g != nil {
		s.memory.put(s.statePool(), *g)
		*g = nil
	}
}

// Commit makes the first n reserved positions count; the others stay reserved. It panics if fewer are reserved, and, where a layer has a state, unless it is all of them
// or none. Marks that they reach are kept, and what no later query sees is given up.
func (s *Store) Commit(q Seq, n int) {
	e := s.seq(q)
	switch {
	case n < 0 || n > e.reserved:
		panic(fmt.Sprintf("kv: commit %d positions of sequence %d, %d are reserved", n, q, e.reserved))
	case n == 0:
		return
	case s.states > 0 && n != e.reserved:
		panic(fmt.Sprintf("kv: commit %d positions of sequence %d, whose state is that after %d", n, q, e.reserved))
	}
	e.size += n
	e.reserved -= n
	if s.states > 0 {
		s.putState(&e.state)
		e.state, e.next = e.next, nil
	}
	s.keepMarks(e)
	s.pass(e, e.size)
}

// Drop closes q and gives up its pages.
func (s *Store) Drop(q Seq) {
	e := s.seq(q)
	s.back(e, 0)
	e.open = false
	s.closed = append(s.closed, q)
}

// K is the keys of one head in page number page of q (positions page*PageLen and on), [PageLen][KDim] in KType. Rows from the last written
// one on are undefined. It does not allocate and is to be read only.
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

// KRow is the key of one head at position pos of q, [KDim] in KType; pos is committed or reserved. It may be written only while it is
// reserved: a committed position may belong to other sequences too.
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

// PageBytes is the size of PageLen positions in all layers, in bytes.
func (s *Store) PageBytes() int64 { return int64(s.rows) }

// TokenBytes is what a position takes in the layers that remember all of them, in bytes.
func (s *Store) TokenBytes() int64 {
	n := 0
	for _, g := range s.groups {
		if g.window == 0 {
			n += g.size
		}
	}
	return int64(n / PageLen)
}

// ReadBytes is what a token reads that n positions precede: what its layers hold of these, windows no more than they see, and states.
func (s *Store) ReadBytes(n int) int64 {
	read := s.StateBytes()
	for _, g := range s.groups {
		seen := n
		if g.window > 0 {
			seen = min(n, g.window)
		}
		read += int64(seen) * int64(g.size/PageLen)
	}
	return read
}

// StateBytes is the size of what a sequence carries from position to position in all layers, in bytes. A sequence has it once while it rests, twice while it grows, and once more
// for each mark.
func (s *Store) StateBytes() int64 { return 4 * int64(s.states) }

// Need is the most bytes that a sequence takes, marks included, which grows to n positions by at most batch at a time.
func (s *Store) Need(n, batch int) int64 {
	marks := 0
	if s.forgets() {
		marks = s.config.Marks
	}
	need := float64(s.StateBytes()) * float64(2+marks)
	for _, g := range s.groups {
		pages := pagesFor(n)
		if g.window > 0 {
			window := min(n, g.window)
			// A window may begin and end within a page.
			pages = min(pages, pagesFor(window)+pagesFor(min(batch, n))+1) + marks*(pagesFor(window)+1)
		}
		need += float64(pages) * float64(g.size)
	}
	if need > math.MaxInt64/2 {
		return math.MaxInt64 / 2
	}
	return int64(need)
}

// Pages is the number of pages, and of states, that sequences hold; a shared one counts once.
func (s *Store) Pages() int {
	n := 0
	for _, p := range s.memory.pools {
		n += p.used
	}
	return n
}

// Spare is the number of unused pages and states that are kept to be given out again, at most 64 MiB of each kind (or one).
func (s *Store) Spare() int {
	n := 0
	for _, p := range s.memory.pools {
		n += len(p.free)
	}
	return n
}

// Bytes is the memory that the store holds, in bytes: pages and states in use, and spare ones.
func (s *Store) Bytes() int64 { return s.memory.used + s.memory.spare }

// Trim gives the spare pages back to the garbage collector.
func (s *Store) Trim() { s.memory.trim() }
