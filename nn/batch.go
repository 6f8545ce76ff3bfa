package nn

import (
	"fmt"

	"github.com/goinfer/goinfer/kv"
)

// Batch is the input of a pass: rows of one token each. All slices have the same length, Hooks may
// also be nil. The rows of a sequence stand together, their positions continue the sequence from
// kv.Store.Len on, and the cache has been reserved for them.
type Batch struct {
	Tokens []int32
	Pos    []int
	Seq    []kv.Seq
	Out    []bool // which rows want logits
	Hooks  []Hook // by row; nil where nobody watches
}

// Reset empties the batch and keeps its storage.
func (b *Batch) Reset() {
	b.Tokens, b.Pos, b.Seq, b.Out = b.Tokens[:0], b.Pos[:0], b.Seq[:0], b.Out[:0]
	clear(b.Hooks)
	b.Hooks = b.Hooks[:0]
}

// Add appends a row.
func (b *Batch) Add(token int32, pos int, seq kv.Seq, out bool, h Hook) {
	b.Tokens = append(b.Tokens, token)
	b.Pos = append(b.Pos, pos)
	b.Seq = append(b.Seq, seq)
	b.Out = append(b.Out, out)
	if h != nil || len(b.Hooks) > 0 {
		for len(b.Hooks) < len(b.Tokens)-1 {
			b.Hooks = append(b.Hooks, nil)
		}
		b.Hooks = append(b.Hooks, h)
	}
}

// Len is the number of rows.
func (b *Batch) Len() int { return len(b.Tokens) }

// run is a range of rows of one sequence.
type run struct {
	row, n int
	seq    kv.Seq
}

// runs splits the batch by sequence and checks what the contract of Batch promises.
func (b *Batch) runs(dst []run, s *kv.Store) ([]run, error) {
	n := len(b.Tokens)
	if len(b.Pos) != n || len(b.Seq) != n || len(b.Out) != n || (len(b.Hooks) != n && len(b.Hooks) != 0) {
		return nil, fmt.Errorf("nn: a batch of %d tokens, %d positions, %d sequences, %d outputs, %d hooks", n, len(b.Pos), len(b.Seq), len(b.Out), len(b.Hooks))
	}
	for i := 0; i < n; {
		r := run{row: i, n: 1, seq: b.Seq[i]}
		for i+r.n < n && b.Seq[i+r.n] == r.seq {
			r.n++
		}
		for j := range r.n {
			if want := s.Len(r.seq) + j; b.Pos[i+j] != want {
				return nil, fmt.Errorf("nn: row %d of the batch is at position %d of its sequence, the cache is at %d", i+j, b.Pos[i+j], want)
			}
		}
		for _, o := range dst {
			if o.seq == r.seq {
				return nil, fmt.Errorf("nn: the rows of sequence %d do not stand together in the batch", r.seq)
			}
		}
		dst = append(dst, r)
		i += r.n
	}
	return dst, nil
}
