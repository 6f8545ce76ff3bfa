package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var exaoneMoeSheet = Sheet{
	Name:  "exaone-moe",
	Build: newEXAONEMoE,
	Folders: []hf.Family{{
		Names: []string{"ExaoneMoeForCausalLM", "ExaoneMoEForCausalLM", "exaone_moe"}, Tensors: hf.Merge(sharedExperts, expertBias),
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.Window()
			m.Routing()
			m.Put("expert_gating_func", uint32(2))
		},
	}},
}

// newEXAONEMoE makes K-EXAONE: experts scored by sigmoids after some dense layers, a shared one,
// normed heads, and three of four layers see a window; the others have no positions. LG AI Research
// 2026, arXiv:2601.01739.
func newEXAONEMoE(w *model.Weights) (model.Model, error) {
	c := w.Config()
	w.IgnoreNext()
	rope, full, local := w.Rope(model.RopeNeoX), w.Attention(), w.AttentionOf(nn.AttentionConfig{Window: c.Window})
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		h := nn.AttnBlock{Attn: full}
		if c.IsSWA(i, 4) {
			h = nn.AttnBlock{Rope: rope, Attn: local}
		}
		l := block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(b.QKNorm(h)),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
		}
		if c.HasExperts(i) {
			l.moe = b.MoE(nn.MoEConfig{Score: b.Scoring(nn.ScoreSigmoid), Renormalise: c.ExpertNorm})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	return m, w.Err()
}
