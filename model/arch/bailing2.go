package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newBailing2 makes Ling and Ring v2, and dots.llm1, which has no groups: normed heads, and experts in groups, scored by sigmoids, behind some dense layers.
// Ling Team 2025, arXiv:2510.22115; Huo et al. 2025, arXiv:2506.05767.
func newBailing2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	w.IgnoreNext()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		l := block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.Heads(b.QKNorm(nn.AttnBlock{Rope: rope, Attn: attn})),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
		}
		if c.HasExperts(i) {
			l.moe = b.MoE(nn.MoEConfig{Score: b.Scoring(nn.ScoreSigmoid), GroupTopK: 2, Renormalise: c.ExpertNorm})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	return m, w.Err()
}
