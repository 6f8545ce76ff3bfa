package arch

import (
	"math"

	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var grokSheet = Sheet{
	Name:  "grok",
	Build: newGrok,
}

// newGrok makes Grok-1 and 2: scaled embeddings, scores bounded by tanh, norms before and after
// each block, and gated GELU experts, in Grok-2 beside a dense block. xAI 2024,
// https://github.com/xai-org/grok-1. The factors of Grok-1 are no keys of its files.
func newGrok(w *model.Weights) (model.Model, error) {
	c := w.Config()
	or := func(v, usual float32) float32 {
		if v == 0 {
			return usual
		}
		return v
	}
	rope := w.Rope(model.RopeNeoX)
	attn := w.AttentionOf(nn.AttentionConfig{Scale: or(c.AttnOutScale, 0.08838834764831845), Cap: or(c.AttnCap, 30)})
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		moe := nn.MoEConfig{Act: nn.GELU, Renormalise: true}
		l := block{
			attnNorm:     b.Norm("attn_norm", c.NEmbd),
			attn:         b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			attnPostNorm: b.Norm("attn_output_norm", c.NEmbd),
			ffnNorm:      b.Norm("ffn_norm", c.NEmbd),
		}
		if b.Has("ffn_up") {
			moe.Shared, l.ffnScale = b.FFN(nn.GELU), math.Sqrt2/2
		}
		l.moe = b.MoE(moe)
		post := "post_ffw_norm"
		if b.Has("layer_output_norm") {
			post = "layer_output_norm"
		}
		l.ffnPostNorm = b.Norm(post, c.NEmbd)
		return l
	})
	m.embdScale, m.logitScale = or(c.EmbdScale, 78.38367176906169), or(c.LogitScale, 0.5773502691896257)
	return m, w.Err()
}
