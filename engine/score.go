package engine

import (
	"context"

	"github.com/goinfer/goinfer/engine/scheduler"
)

// Score evaluates the prompt of a request for what its Logits, Hidden, Hook, Watch and Progress see
// of it, and generates nothing.
func (e *Engine) Score(ctx context.Context, q Request) error {
	if err := q.Watch.claim(); err != nil {
		return err
	}
	s, err := e.startScoring(ctx, &q)
	if err != nil {
		q.Watch.end()
		return err
	}
	return e.await(s, s.done)
}

// startScoring enters a request.
func (e *Engine) startScoring(ctx context.Context, q *Request) (*scoring, error) {
	tokens, err := e.c.encode(q)
	if err == nil {
		err = e.c.checkScore(q)
	}
	if err != nil {
		return nil, err
	}
	s := &scoring{q: q, done: make(chan error, 1), reported: -1}
	s.init(ctx, e, q, tokens)
	s.each = q.Logits != nil || q.Hidden != nil
	return s, e.submit(s, q.Priority)
}

// scoring is a prompt that is evaluated for what it shows on the way.
type scoring struct {
	sequence
	q        *Request
	done     chan error
	reported int
}

// scoreBytes bounds the logits of a batch of a request that wants all of them.
const scoreBytes = 64 << 20

// scoredRows is the number of rows of logits that a batch may have of such a request.
func (e *Engine) scoredRows() int { return max(1, scoreBytes/(4*e.c.NVocab)) }

// Rows are those of the prompt that are left.
func (s *scoring) Rows() scheduler.Rows {
	if s.cancelled() || s.fault != nil {
		return scheduler.Rows{}
	}
	rows := s.promptRows()
	if s.q.Logits != nil {
		rows.Max = min(rows.Max, s.e.scoredRows())
	}
	return rows
}

func (s *scoring) addRows(r *round, n int) {
	s.mark(n)
	s.add(r, n, s.wants)
	r.wantHidden = r.wantHidden || s.q.Hidden != nil
	r.wantLogits = r.wantLogits || s.q.Logits != nil
}

// wants reports whether the callbacks have yet to see a position.
func (s *scoring) wants(pos int) bool { return s.each && pos >= s.q.From && pos >= s.shown }

func (s *scoring) take(r *round) {
	at := s.evaluated()
	for pos := at; pos < at+s.rows; pos++ {
		if !s.wants(pos) {
			continue
		}
		if err := callBack(r, s.q, pos, r.next()); err != nil {
			s.fail(err)
			return
		}
	}
	s.commit(s.rows)
	s.report()
	if s.evaluated() == s.prompt {
		s.end(StopLength)
	}
}

func (s *scoring) report() {
	if done := s.evaluated(); s.q.Progress != nil && done > s.reported {
		s.reported = done
		s.q.Progress(done, s.prompt)
	}
}

func (s *scoring) finish(why Stop, err error) {
	s.drop(err == nil)
	s.done <- s.task.result(why, err)
}
