package goinfer

import (
	"context"
	"math"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/model"
)

// The poolings of hidden states.
const (
	PoolDefault = model.PoolUnsaid // as the file says; if it does not, PoolMean for encoders and PoolLast for other models
	PoolMean    = model.PoolMean   // the mean over all tokens
	PoolFirst   = model.PoolFirst  // the state of the first token, which BERT calls CLS
	PoolLast    = model.PoolLast   // the state of the last token
)

// EmbedRequest is what to embed. The zero value of every field but one of Text and Tokens works.
type EmbedRequest struct {
	Text    string  // with the special tokens around it that the model wants; their spelling in it is plain text
	Tokens  []int32 // the same as tokens, in place of Text
	Pooling Pooling
	Raw     bool // leave the length as it is; it is 1 otherwise
}

// Embed returns the embedding of a text, [NEmbd]: the hidden states of its tokens behind the final norm, pooled. Any model makes some; those trained for it make good ones.
func (m *Model) Embed(ctx context.Context, q EmbedRequest) ([]float32, error) {
	if q.Pooling == PoolDefault {
		q.Pooling = m.Pooling()
	}
	r := Request{Prompt: q.Text, Tokens: q.Tokens, NoSpecial: true}
	if r.Tokens == nil && m.vocab != nil {
		if r.Tokens = m.vocab.Encode(nil, q.Text, true, false); r.Tokens == nil {
			r.Tokens = []int32{}
		}
	}
	n := len(r.Tokens)
	if q.Pooling == PoolLast {
		r.LogitsFrom = n - 1
	}
	sum := make([]float64, m.cfg.NEmbd)
	r.Hidden = func(pos int, row []float32) error {
		if q.Pooling == PoolFirst && pos > 0 {
			return nil
		}
		for i, v := range row {
			sum[i] += float64(v)
		}
		return nil
	}
	switch q.Pooling {
	case PoolMean, PoolFirst, PoolLast:
	default:
		return nil, fault.Argument("Pooling", "mean, first or last", q.Pooling)
	}
	if err := m.Evaluate(ctx, r); err != nil {
		return nil, err
	}
	if q.Pooling != PoolMean {
		n = 1
	}
	return pooled(sum, float64(n), q.Raw), nil
}

// Pooling is how the model's embeddings are made where a request does not say.
func (m *Model) Pooling() Pooling {
	switch {
	case m.cfg.Pooling != PoolDefault:
		return m.cfg.Pooling
	case m.Encoder():
		return PoolMean
	}
	return PoolLast
}

// pooled divides a sum by n, or, if it is not left raw, by its length. A sum of 0 stays.
func pooled(sum []float64, n float64, raw bool) []float32 {
	if !raw {
		n = 0
		for _, v := range sum {
			n += v * v
		}
		n = math.Sqrt(n)
	}
	if n == 0 {
		n = 1
	}
	e := make([]float32, len(sum))
	for i, v := range sum {
		e[i] = float32(v / n)
	}
	return e
}
