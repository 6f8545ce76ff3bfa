package explain

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/eval"
)

// RouterComparison is a text continued with a model's own routers and with an override.
type RouterComparison struct {
	MoE    MoE          `json:"model"`
	Prompt []Token      `json:"prompt"`
	Own    Continuation `json:"own"`
	Other  Continuation `json:"other"`
	// Steps are the tokens of Own, before each of which both models have read the same text.
	Steps []Step `json:"steps"`
}

// Continuation is what a model generates after a prompt.
type Continuation struct {
	Tokens []Token `json:"tokens"`
	// BytesPerToken are the bytes of weights that a token of the generation reads, by the experts
	// that were chosen; 0 where only the prompt was evaluated.
	BytesPerToken int64 `json:"bytes_per_token"`
}

// Text is what the tokens spell.
func (c *Continuation) Text() string {
	text := ""
	for _, t := range c.Tokens {
		text += t.Text
	}
	return text
}

// Step is one place of a text, before one of its tokens.
type Step struct {
	Token Token   `json:"token"`
	Other Token   `json:"other"` // token that is most probable with the override
	KL    float64 `json:"kl"`    // KL(own‖other) of the distributions of the next token, in nats
	Prob  float64 `json:"p"`     // probability of Token with the model's own routers
	Under float64 `json:"p_other"`
}

// RouterComparisonOptions are how [CompareRouters] continues a text.
type RouterComparisonOptions struct {
	Generate int // at most so many tokens
	Sampling goinfer.Sampling
}

// CompareRouters continues a prompt with the model's own routers and with a hook, and evaluates the
// first text with the hook too.
func CompareRouters(ctx context.Context, m *goinfer.Model, prompt []int32, hook goinfer.Hook, o RouterComparisonOptions) (*RouterComparison, error) {
	moe, err := MoEOf(m)
	if err != nil {
		return nil, err
	}
	if o.Generate < 1 {
		return nil, errors.New("want at least one token to compare")
	}
	v := m.Tokenizer()
	c := &RouterComparison{MoE: moe, Prompt: Tokens(v, prompt)}
	var own []int32
	for _, to := range []struct {
		*Continuation
		hook goinfer.Hook
	}{{&c.Own, nil}, {&c.Other, hook}} {
		read := newExpertBytes(&moe, len(prompt))
		ids, _, err := generate(ctx, m, goinfer.Request{Tokens: prompt, MaxTokens: o.Generate, Sampling: o.Sampling, Hook: goinfer.JoinHooks(to.hook, read)})
		if err != nil {
			return nil, err
		}
		to.Tokens, to.BytesPerToken = Tokens(v, ids), read.perToken()
		if to.Continuation == &c.Own {
			own = ids
		}
	}
	if len(own) == 0 {
		return c, nil
	}
	text := slices.Concat(prompt, own)
	from := len(prompt) - 1
	var rows [][]float32
	if err := logitsAfter(ctx, m, text, from, nil, func(_ int, row []float32) error {
		rows = append(rows, slices.Clone(row))
		return nil
	}); err != nil {
		return nil, err
	}
	return c, logitsAfter(ctx, m, text, from, hook, func(pos int, row []float32) error {
		i := pos - from
		s := Step{Token: c.Own.Tokens[i], KL: max(0, eval.KL(rows[i], row)),
			Prob: math.Exp(eval.LogProb(rows[i], own[i])), Under: math.Exp(eval.LogProb(row, own[i]))}
		if math.IsNaN(s.KL + s.Prob + s.Under) {
			return errNotFinite
		}
		s.Other = tokenOf(v, int32(slices.Index(row, slices.Max(row))))
		c.Steps = append(c.Steps, s)
		return nil
	})
}

// logitsAfter calls f with the logits after each token of a text but the last, from a position on.
func logitsAfter(ctx context.Context, m *goinfer.Model, text []int32, from int, hook goinfer.Hook, f func(pos int, row []float32) error) error {
	return m.Score(ctx, goinfer.Request{Tokens: text[:len(text)-1], From: from, Hook: hook, Logits: f})
}

// expertBytes is a hook that counts the bytes of experts that tokens from a position on read. It
// keeps no trace, so that speed can be measured with it.
type expertBytes struct {
	moe    *MoE
	next   []int // first position not yet counted, by layer: rows may be shown again
	bytes  int64
	tokens int
}

func newExpertBytes(s *MoE, from int) *expertBytes {
	return &expertBytes{moe: s, next: slices.Repeat([]int{from}, len(s.Layers))}
}

func (t *expertBytes) Wants(layer int, name string) bool {
	return name == goinfer.NameRouterTopK && t.moe.index(layer) >= 0
}

func (t *expertBytes) Observe(e *goinfer.Event) {
	i := t.moe.index(e.Layer)
	if e.Pos < t.next[i] {
		return
	}
	t.next[i] = e.Pos + 1
	t.bytes += int64(len(e.Experts)) * t.moe.ExpertBytes[i]
	if i == 0 {
		t.tokens++
	}
}

// perToken is the mean, weights besides experts included; 0 if no token was seen.
func (t *expertBytes) perToken() int64 {
	if t.tokens == 0 {
		return 0
	}
	return t.moe.OtherBytes + t.bytes/int64(t.tokens)
}
