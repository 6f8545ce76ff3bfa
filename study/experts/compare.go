package experts

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/study/explain"
)

// Comparison is a text continued with a model's own routers and with others.
type Comparison struct {
	Shape  Shape           `json:"model"`
	Prompt []explain.Token `json:"prompt"`
	Own    Continuation    `json:"own"`
	Other  Continuation    `json:"other"`
	// Steps are the tokens of Own, at each of which both models stand before the same text.
	Steps []Step `json:"steps"`
}

// Continuation is what a model says behind a prompt.
type Continuation struct {
	Tokens []explain.Token `json:"tokens"`
	// BytesPerToken are the bytes of weights that a token of the generation reads, by the experts that were chosen; 0 where only the prompt was evaluated.
	BytesPerToken int64 `json:"bytes_per_token"`

	logits [][]float32 // before each token
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
	Token explain.Token `json:"token"`
	Other explain.Token `json:"other"` // what the other router makes most probable
	KL    float64       `json:"kl"`    // KL(own‖other) of the distributions of the next token, in nats
	Prob  float64       `json:"p"`     // of Token, under its own router
	Under float64       `json:"p_other"`
}

// CompareOptions say how a text is continued.
type CompareOptions struct {
	Generate int // at most so many tokens
	Sampling goinfer.Sampling
}

// Compare continues a prompt with the model's own routers and with a hook, and asks the model with the hook about the first text too.
func Compare(ctx context.Context, m *goinfer.Model, prompt []int32, hook goinfer.Hook, o CompareOptions) (*Comparison, error) {
	shape, err := ShapeOf(m)
	if err != nil {
		return nil, err
	}
	if o.Generate < 1 {
		return nil, errors.New("want at least one token to compare")
	}
	v := m.Tokenizer()
	c := &Comparison{Shape: shape, Prompt: explain.Tokens(v, prompt)}
	own, err := c.generate(ctx, m, prompt, nil, o, &c.Own)
	if err != nil {
		return nil, err
	}
	if _, err := c.generate(ctx, m, prompt, hook, o, &c.Other); err != nil {
		return nil, err
	}
	text := slices.Concat(prompt, own)
	n := len(own)
	if n == 0 {
		return c, nil
	}
	return c, m.Score(ctx, goinfer.Request{Tokens: text[:len(text)-1], Hook: hook, From: len(prompt) - 1, Logits: func(pos int, row []float32) error {
		i := pos - len(prompt) + 1
		p, q := distribution(c.Own.logits[i]), distribution(row)
		s := Step{Token: c.Own.Tokens[i], Prob: math.Exp(p[own[i]]), Under: math.Exp(q[own[i]])}
		if s.KL = divergence(p, q); math.IsNaN(s.KL) {
			return errors.New("the model's logits are no finite numbers")
		}
		best := slices.Index(q, slices.Max(q))
		s.Other = explain.Tokens(v, []int32{int32(best)})[0]
		c.Steps = append(c.Steps, s)
		return nil
	}})
}

// generate continues the prompt. The logits before each token are kept for the model's own routers.
func (c *Comparison) generate(ctx context.Context, m *goinfer.Model, prompt []int32, hook goinfer.Hook, o CompareOptions, to *Continuation) ([]int32, error) {
	count := newTouched(&c.Shape, len(prompt))
	q := goinfer.Request{Tokens: prompt, MaxTokens: o.Generate, Sampling: o.Sampling, Hook: goinfer.JoinHooks(hook, count)}
	var ids []int32
	for p, err := range m.Generate(ctx, q) {
		if err != nil {
			return nil, err
		}
		switch p.Stop {
		case "":
			ids = append(ids, p.ID)
		case goinfer.StopCancelled:
			return nil, fault.Cancelled(ctx)
		}
	}
	to.Tokens = explain.Tokens(m.Tokenizer(), ids)
	to.BytesPerToken = count.perToken()
	if hook != nil || len(ids) == 0 {
		return ids, nil
	}
	text := slices.Concat(prompt, ids)
	return ids, m.Score(ctx, goinfer.Request{Tokens: text[:len(text)-1], From: len(prompt) - 1, Logits: func(_ int, row []float32) error {
		to.logits = append(to.logits, slices.Clone(row))
		return nil
	}})
}

// distribution is the logarithm of the softmax.
func distribution(logits []float32) []float64 {
	top := float64(slices.Max(logits))
	var sum float64
	for _, v := range logits {
		sum += math.Exp(float64(v) - top)
	}
	p := make([]float64, len(logits))
	for i, v := range logits {
		p[i] = float64(v) - top - math.Log(sum)
	}
	return p
}

// divergence is the Kullback–Leibler divergence of two distributions, given by logarithms, in nats.
func divergence(p, q []float64) float64 {
	var kl float64
	for i, l := range p {
		if !math.IsInf(l, -1) {
			kl += math.Exp(l) * (l - q[i])
		}
	}
	return max(0, kl)
}

// touched counts the experts that tokens from a position on read.
type touched struct {
	shape  *Shape
	next   []int // by layer, the first position that was not counted: rows may be shown again
	bytes  int64
	tokens int
}

func newTouched(s *Shape, from int) *touched {
	return &touched{shape: s, next: slices.Repeat([]int{from}, len(s.Layers))}
}

func (t *touched) Wants(layer int, name string) bool {
	return name == goinfer.NameRouterTopK && t.shape.index(layer) >= 0
}

func (t *touched) Observe(e *goinfer.Event) {
	i := t.shape.index(e.Layer)
	if e.Pos < t.next[i] {
		return
	}
	t.next[i] = e.Pos + 1
	t.bytes += int64(len(e.Experts)) * t.shape.ExpertBytes[i]
	if i == 0 {
		t.tokens++
	}
}

// perToken is the mean, the weights besides experts included; 0 if no token was seen.
func (t *touched) perToken() int64 {
	if t.tokens == 0 {
		return 0
	}
	return t.shape.OtherBytes + t.bytes/int64(t.tokens)
}
