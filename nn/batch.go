package nn

import (
	"fmt"
	"slices"

	"github.com/goinfer/goinfer/kv"
)

// Batch is the input of a pass. The rows of a sequence stand together, their positions continue the
// sequence from kv.Store.Len on, and the cache has been reserved for them.
type Batch struct {
	Rows []Row
}

// Row is one token of one sequence.
type Row struct {
	Token int32
	Pos   int    // position in the sequence
	Seq   kv.Seq // sequence in the cache
	Out   bool   // whether the row's hidden state is returned by Outputs
	// Adapter changes the products of this row; nil for none.
	Adapter Adapter
	// Hook observes the row, and may change it; nil where nobody watches.
	Hook Hook
}

// An Adapter adds something of its own to the products of weights with the rows that it belongs to,
// as LoRA does (Hu et al. 2021, arXiv:2106.09685): y += scale·B·A·x. It is called on the goroutine
// that runs the pass and must give the same bits for the same row, whatever rows are beside it.
type Adapter interface {
	// Key differs between adapters, their scale included: sequences share a prefix only where keys
	// are equal.
	Key() string
	// Add adds to y, what the matrix of that full name made of x. expert is the number of the
	// expert, or the head, whose matrix it is, and 0 elsewhere. x is not to be changed; both are
	// valid during the call.
	Add(weight string, expert int, x, y []float32)
}

// Reset empties the batch and keeps its storage.
func (b *Batch) Reset() {
	clear(b.Rows)
	b.Rows = b.Rows[:0]
}

// Add appends a row.
func (b *Batch) Add(r Row) { b.Rows = append(b.Rows, r) }

// Len is the number of rows.
func (b *Batch) Len() int { return len(b.Rows) }

// run is consecutive rows of one sequence.
type run struct {
	row, n int
	seq    kv.Seq
}

// runs splits the batch by sequence and checks what the contract of Batch promises.
func (b *Batch) runs(dst []run, s *kv.Store) ([]run, error) {
	for i := 0; i < len(b.Rows); {
		r := run{row: i, n: 1, seq: b.Rows[i].Seq}
		for i+r.n < len(b.Rows) && b.Rows[i+r.n].Seq == r.seq {
			r.n++
		}
		for j, row := range b.Rows[i : i+r.n] {
			if want := s.Len(r.seq) + j; row.Pos != want {
				return nil, fmt.Errorf("row %d of the batch is at position %d of its sequence, want %d", i+j, row.Pos, want)
			}
		}
		if slices.ContainsFunc(dst, func(o run) bool { return o.seq == r.seq }) {
			return nil, fmt.Errorf("the rows of sequence %d do not stand together in the batch", r.seq)
		}
		dst = append(dst, r)
		i += r.n
	}
	return dst, nil
}
