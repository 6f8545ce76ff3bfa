package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var glm4moeSheet = Sheet{
	Name:  "glm4moe",
	Build: newGLM4MoE,
	Folders: []hf.Family{{
		Names:   []string{"Glm4MoeForCausalLM", "glm4_moe"},
		Tensors: hf.Merge(sharedExperts, expertBias, map[string]string{"post_attention_layernorm": "post_attention_norm"}),
		Keys: func(m *hf.Meta) {
			m.Rope(0.5)
			m.Routing()
			m.Put("expert_gating_func", uint32(2))
		},
	}},
}

// newGLM4MoE makes GLM-4.5: experts scored by sigmoids after some dense layers, a shared one, RoPE
// on half of each head. GLM-4.5 Team 2025, arXiv:2508.06471. The layer that predicts a further
// token is left alone.
func newGLM4MoE(w *model.Weights) (model.Model, error) {
	c := w.Config()
	w.IgnoreNext()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		h := nn.AttnBlock{Rope: rope, Attn: attn}
		if b.Has("attn_q_norm") { // the small model of the family has none
			h = b.QKNorm(h)
		}
		l := block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(h),
			ffnNorm:  b.Norm("post_attention_norm", c.NEmbd),
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
