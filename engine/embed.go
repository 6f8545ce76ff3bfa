package engine

import (
	"context"
	"math"

	"github.com/goinfer/goinfer/engine/scheduler"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/model"
)

// EmbedRequest is what to embed. The zero value of every field but one of Text and Tokens works.
type EmbedRequest struct {
	// Text has the special tokens around it that the model wants; their spelling in it is plain
	// text.
	Text string
	// Tokens is the text as token ids, in place of Text; nothing is added to them.
	Tokens []int32
	// Pooling makes one state of those of all tokens; 0 means the model's own.
	Pooling model.Pooling
	// Raw leaves the length as it is; it is 1 otherwise.
	Raw bool
	// Priority is 0 for most requests; higher ones come before lower ones.
	Priority int
}

// Embed returns the embedding of a text, [NEmbd]: the hidden states of its tokens after the final
// norm, pooled.
func (e *Engine) Embed(ctx context.Context, q EmbedRequest) ([]float32, error) {
	tokens, err := e.c.encode(&Request{Prompt: q.Text, Tokens: q.Tokens, NoSpecial: true})
	if err != nil {
		return nil, err
	}
	if q.Pooling == model.PoolNone {
		q.Pooling = e.c.Pooling
	}
	m := &embedding{q: q, done: make(chan error, 1)}
	m.init(ctx, e, &Request{}, tokens)
	switch q.Pooling {
	case model.PoolMean:
		m.each = true
	case model.PoolFirst:
		m.end1 = 1
		m.each = true
	case model.PoolLast:
		m.first = len(tokens) - 1
		m.each = true
	default:
		return nil, fault.Argument("Pooling", "mean, first or last", int(q.Pooling))
	}
	if err := e.submit(m, q.Priority); err != nil {
		return nil, err
	}
	if err := e.await(m, m.done); err != nil {
		return nil, err
	}
	return m.pooled(), nil
}

// embedding is a text whose hidden states are summed up.
type embedding struct {
	sequence
	q    EmbedRequest
	done chan error
	sum  []float64
	end1 int // only positions before it count; 0 for all
}

// Rows are those of the text that are left.
func (m *embedding) Rows() scheduler.Rows {
	if m.cancelled() || m.fault != nil {
		return scheduler.Rows{}
	}
	return m.promptRows()
}

func (m *embedding) addRows(r *round, n int) {
	m.mark(n)
	m.add(r, n, m.wants)
	r.wantHidden = true
}

func (m *embedding) wants(pos int) bool {
	return pos >= m.first && pos >= m.shown && (m.end1 == 0 || pos < m.end1)
}

func (m *embedding) take(r *round) {
	at := m.evaluated()
	for pos := at; pos < at+m.rows; pos++ {
		if m.wants(pos) {
			m.count(r.hidden.Row(r.next()))
		}
	}
	m.commit(m.rows)
	if m.evaluated() == m.prompt {
		m.end(StopLength)
	}
}

func (m *embedding) count(row []float32) {
	if m.sum == nil {
		m.sum = make([]float64, len(row))
	}
	for i, v := range row {
		m.sum[i] += float64(v)
	}
}

// pooled divides the sum by the number of states, or, if it is not left raw, by its length. A sum
// of 0 stays.
func (m *embedding) pooled() []float32 {
	n := 1.0
	if m.q.Pooling == model.PoolMean {
		n = float64(m.prompt)
	}
	if !m.q.Raw {
		n = 0
		for _, v := range m.sum {
			n += v * v
		}
		if n = math.Sqrt(n); n == 0 {
			n = 1
		}
	}
	e := make([]float32, len(m.sum))
	for i, v := range m.sum {
		e[i] = float32(v / n)
	}
	return e
}

func (m *embedding) finish(why Stop, err error) {
	m.drop(err == nil)
	m.done <- m.task.result(why, err)
}
