package experts

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/fault"
)

// Price is what a number of experts per token costs and what it is worth.
type Price struct {
	Experts       int     `json:"experts"`
	BytesPerToken int64   `json:"bytes_per_token"` // counted by the experts that were chosen
	Speed         float64 `json:"tokens_per_second"`
	KL            float64 `json:"kl"` // from the model with its own number, mean over the places of the text, in nats
	Perplexity    float64 `json:"perplexity"`
}

// CostOptions say how [Cost] measures.
type CostOptions struct {
	Experts  []int // numbers to try; nil for 1, 2, 4 … and all
	Generate int   // tokens of each run; 0 means 64
	Runs     int   // of which the fastest counts, taken in turns; 0 means 3
	Progress func(done, total int)
}

// Cost measures speed, bytes and predictions by the number of experts that a token uses, on the tokens of a text.
func Cost(ctx context.Context, m *goinfer.Model, text []int32, o CostOptions) ([]Price, error) {
	shape, err := ShapeOf(m)
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
		o.Experts = powers(shape.Experts)
	}
	hooks := make([]goinfer.Hook, len(o.Experts))
	prices := make([]Price, len(o.Experts))
	for i, k := range o.Experts {
		prices[i].Experts = k
		if hooks[i], err = (Routing{TopK: k}).Hook(&shape); err != nil {
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
	if err := each(ctx, m, text, nil, func(_ int, row []float32) { own = append(own, slices.Clone(row)) }); err != nil {
		return nil, err
	}
	for i := range prices {
		if err := prices[i].quality(ctx, m, text, own, hooks[i]); err != nil {
			return nil, err
		}
		tick()
	}
	for range o.Runs {
		for i := range prices {
			if err := prices[i].time(ctx, m, &shape, text, hooks[i], o.Generate); err != nil {
				return nil, err
			}
			tick()
		}
	}
	return prices, nil
}

// powers are 1, 2, 4 … below n, and n.
func powers(n int) (list []int) {
	for k := 1; k < n; k *= 2 {
		list = append(list, k)
	}
	return append(list, n)
}

// each calls f with the logits behind every token of a text but the last.
func each(ctx context.Context, m *goinfer.Model, text []int32, hook goinfer.Hook, f func(pos int, row []float32)) error {
	return m.Score(ctx, goinfer.Request{Tokens: text[:len(text)-1], Hook: hook, Logits: func(pos int, row []float32) error {
		f(pos, row)
		return nil
	}})
}

// quality compares the predictions for a text with those of the model's own number of experts.
func (p *Price) quality(ctx context.Context, m *goinfer.Model, text []int32, own [][]float32, hook goinfer.Hook) error {
	var nll, kl float64
	err := each(ctx, m, text, hook, func(pos int, row []float32) {
		q := distribution(row)
		nll -= q[text[pos+1]]
		kl += divergence(distribution(own[pos]), q)
	})
	n := float64(len(own))
	p.KL, p.Perplexity = kl/n, math.Exp(nll/n)
	if err == nil && math.IsNaN(p.KL+p.Perplexity) {
		err = errors.New("the model's logits are no finite numbers")
	}
	return err
}

// time generates behind the beginning of the text, and keeps the best speed.
func (p *Price) time(ctx context.Context, m *goinfer.Model, shape *Shape, text []int32, hook goinfer.Hook, n int) error {
	prompt := text[:min(len(text), 8)]
	count := newTouched(shape, len(prompt))
	for piece, err := range m.Generate(ctx, goinfer.Request{Tokens: prompt, MaxTokens: n, IgnoreEOG: true, Hook: goinfer.JoinHooks(hook, count)}) {
		if err != nil {
			return err
		}
		if piece.Stop == goinfer.StopCancelled {
			return fault.Cancelled(ctx)
		}
		if piece.Stop != "" {
			p.Speed = max(p.Speed, speed(piece.Usage))
		}
	}
	if p.Speed == 0 {
		return errors.New("too little was generated to measure its speed")
	}
	p.BytesPerToken = count.perToken()
	return nil
}

// speed is that of the passes of a generation behind its prompt, 0 where there was none.
func speed(u goinfer.Usage) float64 {
	if u.Generated < 2 || u.GenerateTime <= 0 {
		return 0
	}
	return float64(u.Generated-1) / u.GenerateTime.Seconds()
}
