package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/goinfer/goinfer/engine/scheduler"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/nn"
)

// sequence is the part of a job that owns a sequence of the cache: tokens that are known, and how
// many of them have been evaluated.
type sequence struct {
	task
	e      *Engine
	key    string  // key in the prefix cache: what changes the computation beside the tokens
	tokens []int32 // the prompt, and what was generated; the cache has the first Len(seq)
	prompt int     // how many are the prompt

	seq  kv.Seq
	open bool // seq is valid

	encoder bool // the model reads the prompt in one batch, and nothing of it is kept
	private bool // a hook may have written what it wanted: no sharing, no replay
	each    bool // each position from first on is asked for, and may not come from the cache
	first   int
	hook    nn.Hook // hook of the rows, the watcher among them
	watcher *watcher
	adapter nn.Adapter

	shown     int // positions that hooks and callbacks have seen, and do not see again
	rows      int // in the round
	cached    int // positions found in the cache at first
	preempted int
}

// init takes what a request says of the computation.
func (s *sequence) init(ctx context.Context, e *Engine, q *Request, tokens []int32) {
	s.e, s.ctx, s.encoder = e, ctx, e.c.Encoder
	s.tokens, s.prompt, s.first = slices.Clone(tokens), len(tokens), q.From
	if q.Adapter != nil {
		s.adapter, s.key = &guardedAdapter{e, &s.task, q.Adapter}, q.Adapter.Key()
	}
	if q.Hook != nil {
		s.hook, s.private = e.guarded(&s.task, q.Hook), true
	}
	if q.Watch != nil {
		s.watcher = &watcher{w: q.Watch}
		if s.hook == nil {
			s.hook = s.watcher
		} else {
			s.hook = nn.Join(s.hook, s.watcher)
		}
	}
}

// shared is what other sequences may begin with.
func (s *sequence) shared() *sequence { return s }

// evaluated is the number of tokens in the cache.
func (s *sequence) evaluated() int {
	if !s.open {
		return 0
	}
	return s.e.store.Len(s.seq)
}

// left is how many known tokens are not in the cache.
func (s *sequence) left() int { return len(s.tokens) - s.evaluated() }

// promptRows are the rows that the rest of the known tokens would take.
func (s *sequence) promptRows() scheduler.Rows {
	if s.encoder {
		return scheduler.Rows{Min: s.left(), Max: s.left()}
	}
	return scheduler.Rows{Min: 1, Max: s.left()}
}

// Open gives s a sequence: a fork of what reaches furthest into its tokens, be it of a job that
// runs or of one that has ended, or an empty one. The last token is always computed, for its
// logits.
func (s *sequence) Open() {
	if s.open {
		return
	}
	from, n := kv.Seq(0), 0
	if !s.private && !s.encoder {
		reuse := len(s.tokens) - 1
		if s.each {
			reuse = min(reuse, max(s.first, s.shown))
		}
		from, n = s.e.longest(s.key, s.tokens[:reuse])
	}
	if n > 0 {
		s.seq = s.e.store.Fork(from, n)
	} else {
		s.seq = s.e.store.Open()
	}
	s.open = true
	if s.preempted == 0 {
		s.cached = min(n, s.prompt)
	}
}

// Cost is what the known tokens take of the cache, beside what of them is in it.
func (s *sequence) Cost() int64 {
	left, st := s.left(), s.e.store
	// Windows give up pages as a prompt goes on, in chunks.
	return min(st.Cost(s.seq, left, left), st.Need(len(s.tokens), s.e.c.Batch))
}

// Reserve makes room for n rows, of which all but the first may be tentative.
func (s *sequence) Reserve(n int) bool { return s.reserve(n, n) }

func (s *sequence) reserve(n, certain int) bool {
	err := s.e.store.ReserveTentative(s.seq, n, certain)
	switch {
	case err == nil:
		s.rows = n
		return true
	case errors.Is(err, kv.ErrFull):
		return false
	}
	s.fail(err)
	s.rows = 0
	return true // it is ended before anything is computed
}

// Release gives the sequence up.
func (s *sequence) Release() {
	if !s.open {
		return
	}
	if s.shown > 0 && s.rows > 0 { // and it was not only tried whether there is room for it
		s.preempted++
	}
	s.e.store.Drop(s.seq)
	s.open, s.rows = false, 0
}

// Holds reports whether there is a sequence.
func (s *sequence) Holds() bool { return s.open }

// Preemptible is false where a hook may have changed what would have to be computed again.
func (s *sequence) Preemptible() bool { return !s.private }

// add puts n rows of known tokens into the round, from the first that is not in the cache on. out
// says which positions want an output.
func (s *sequence) add(r *round, n int, out func(pos int) bool) {
	if s.watcher != nil {
		s.watcher.begin()
	}
	at := s.evaluated()
	for pos := at; pos < at+n; pos++ {
		s.row(s.tokens[pos], pos, out(pos))
	}
}

// row adds one row to the batch.
func (s *sequence) row(token int32, pos int, out bool) {
	row := nn.Row{Token: token, Pos: pos, Seq: s.seq, Out: out, Adapter: s.adapter}
	if pos >= s.shown {
		row.Hook = s.hook
	}
	s.e.batch.Add(row)
}

// commit makes the first n rows of the round count.
func (s *sequence) commit(n int) {
	s.e.store.Commit(s.seq, n)
	s.shown = max(s.shown, s.evaluated())
	if s.watcher != nil {
		s.watcher.send(s.shown)
	}
}

// markStep is the grid of lengths that a prompt can be shared at where the model does not remember
// every position.
const markStep = 256

// mark has the cache remember lengths of a prompt, of which n more tokens are reserved, that later
// requests may share it at: those of the grid, and the last one, from which the same prompt is
// answered again.
func (s *sequence) mark(n int) {
	if s.private {
		return
	}
	from := s.evaluated()
	to := min(from+n, s.prompt)
	for at := (from/markStep + 1) * markStep; at <= to; at += markStep {
		s.e.store.Checkpoint(s.seq, at)
	}
	if last := s.prompt - 1; from < last && last <= to {
		s.e.store.Checkpoint(s.seq, last)
	}
}

// drop ends the sequence; keep leaves its positions to later requests that begin alike.
func (s *sequence) drop(keep bool) {
	if s.watcher != nil {
		s.watcher.w.end()
	}
	if !s.open {
		return
	}
	s.open = false
	if n := s.e.store.Len(s.seq); keep && n > 0 && !s.private && !s.encoder {
		s.e.prefix.Insert(s.key, s.tokens[:n], s.seq)
		return
	}
	s.e.store.Drop(s.seq)
}
