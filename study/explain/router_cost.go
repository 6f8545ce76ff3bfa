package explain

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/eval"
)

// ExpertCost is the cost and the quality of a number of experts per token.
type ExpertCost struct {
	Experts       int     `json:"experts"`
	BytesPerToken int64   `json:"bytes_per_token"` // bytes of weights read, by the experts chosen
	Speed         float64 `json:"tokens_per_second"`
	// KL is the divergence from the model with its own number, mean over the text, in nats.
	KL         float64 `json:"kl"`
	Perplexity float64 `json:"perplexity"`
}

// ExpertCostOptions are how [MeasureExpertCost] measures.
type ExpertCostOptions struct {
	Experts  []int // numbers to try; nil for 1, 2, 4 … and all
	Generate int   // tokens of each run; 0 means 64
	Runs     int   // runs of each number, alternating, of which the fastest counts; 0 means 3
	Progress func(done, total int)
}

// MeasureExpertCost measures speed, bytes and predictions by the number of experts that a token
// uses, on the tokens of a text.
func MeasureExpertCost(ctx context.Context, m *goinfer.Model, text []int32, o ExpertCostOptions) ([]ExpertCost, error) {
	moe, err := MoEOf(m)
	if err != nil {
		return nil, err
	}
	if len(text) < 2 {
		return nil, errors.New("want a text of at least two tokens")
	}
	if o.Generate == 0 {
		o.Generate = 64
	}
	if o.Runs == 0 {
		o.Runs = 3
	}
	if o.Experts == nil {
		o.Experts = powers(moe.Experts)
	}
	hooks := make([]goinfer.Hook, len(o.Experts))
	costs := make([]ExpertCost, len(o.Experts))
	for i, k := range o.Experts {
		costs[i].Experts = k
		if hooks[i], err = (RouterOverride{TopK: k}).Hook(&moe); err != nil {
			return nil, err
		}
	}
	total, done := len(o.Experts)*(o.Runs+1), 0
	tick := func() {
		if done++; o.Progress != nil {
			o.Progress(done, total)
		}
	}
	var own [][]float32
	if err := logitsAfter(ctx, m, text, 0, nil, func(_ int, row []float32) error {
		own = append(own, slices.Clone(row))
		return nil
	}); err != nil {
		return nil, err
	}
	for i := range costs {
		if err := costs[i].quality(ctx, m, text, own, hooks[i]); err != nil {
			return nil, err
		}
		tick()
	}
	for range o.Runs {
		for i := range costs {
			if err := costs[i].time(ctx, m, &moe, text, hooks[i], o.Generate); err != nil {
				return nil, err
			}
			tick()
		}
	}
	return costs, nil
}

// powers are 1, 2, 4 … below n, and n.
func powers(n int) (list []int) {
	for k := 1; k < n; k *= 2 {
		list = append(list, k)
	}
	return append(list, n)
}

// quality compares the predictions for a text with those of the model's own number of experts.
func (p *ExpertCost) quality(ctx context.Context, m *goinfer.Model, text []int32, own [][]float32, hook goinfer.Hook) error {
	var nll, kl float64
	err := logitsAfter(ctx, m, text, 0, hook, func(pos int, row []float32) error {
		nll -= eval.LogProb(row, text[pos+1])
		kl += max(0, eval.KL(own[pos], row))
		return nil
	})
	n := float64(len(own))
	p.KL, p.Perplexity = kl/n, math.Exp(nll/n)
	if err == nil && math.IsNaN(p.KL+p.Perplexity) {
		err = errNotFinite
	}
	return err
}

// time generates after the beginning of the text, and keeps the best speed.
func (p *ExpertCost) time(ctx context.Context, m *goinfer.Model, moe *MoE, text []int32, hook goinfer.Hook, n int) error {
	prompt := text[:min(len(text), 8)]
	read := newExpertBytes(moe, len(prompt))
	_, u, err := generate(ctx, m, goinfer.Request{Tokens: prompt, MaxTokens: n, IgnoreEOG: true, Hook: goinfer.JoinHooks(hook, read)})
	if err != nil {
		return err
	}
	if u.Generated > 1 && u.GenerateTime > 0 { // the first token comes of the pass of the prompt
		p.Speed = max(p.Speed, float64(u.Generated-1)/u.GenerateTime.Seconds())
	}
	if p.Speed == 0 {
		return errors.New("too little was generated to measure its speed")
	}
	p.BytesPerToken = read.perToken()
	return nil
}
