package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var graniteSwaSheet = Sheet{
	Name:  "granite_swa",
	Build: newGraniteSWA,
}

// newGraniteSWA makes the Granite whose layers see a window or everything as its file says, and
// whose heads have sinks (OpenAI 2025, arXiv:2508.10925). IBM 2026.
func newGraniteSWA(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope := w.Rope(model.RopeInterleaved)
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		h, a := nn.AttnBlock{}, nn.AttentionConfig{Sinks: b.Sinks()}
		if c.WindowPattern != nil && c.WindowPattern[i] {
			a.Window = c.Window
		}
		if c.HasRope(i) {
			h.Rope = rope
		}
		h.Attn = b.AttentionOf(a)
		l := block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(h),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
		}
		if c.NExpert > 0 {
			l.moe = b.MoE(nn.MoEConfig{Renormalise: true})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	if c.LogitScale != 0 {
		m.logitScale = 1 / c.LogitScale
	}
	return m, w.Err()
}
