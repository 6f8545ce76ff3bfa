package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var afmoeSheet = Sheet{
	Name:  "afmoe",
	Build: newAFMoE,
}

// newAFMoE makes Arcee's Trinity: what heads read is gated, heads are normed, three of four layers
// see a window, the others have no positions; norms stand before and after each block, and experts
// are scored by sigmoids after some dense layers. Arcee AI 2025,
// https://www.arcee.ai/blog/the-trinity-manifesto.
func newAFMoE(w *model.Weights) (model.Model, error) {
	c := w.Config()
	w.RequireGateLen()
	rope, ropeLocal := w.Rope(model.RopeNeoX), w.RopeLocal(model.RopeNeoX, c.Rope.Base, c.Rope.Factor)
	full, local := w.Attention(), w.AttentionOf(nn.AttentionConfig{Window: c.Window})
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		h := nn.AttnBlock{Attn: full, Rope: rope, Gate: b.Linear("attn_gate", c.NEmbd, c.NHead*c.HeadDim)}
		if c.IsSWA(i, 4) {
			h.Attn, h.Rope = local, ropeLocal
		}
		if i%4 == 3 {
			h.Rope = nil
		}
		l := block{
			attnNorm:     b.Norm("attn_norm", c.NEmbd),
			attn:         b.AttnHeads(b.QKNorm(h)),
			attnPostNorm: b.Norm("post_attention_norm", c.NEmbd),
			ffnNorm:      b.Norm("ffn_norm", c.NEmbd),
			ffnPostNorm:  b.Norm("post_ffw_norm", c.NEmbd),
		}
		if c.HasExperts(i) {
			l.moe = b.MoE(nn.MoEConfig{Score: b.Scoring(nn.ScoreSigmoid), Renormalise: c.ExpertNorm})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	m.embdScale = gemmaScale(c)
	return m, w.Err()
}
