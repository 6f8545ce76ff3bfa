package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var bailingmoeSheet = Sheet{
	Name:  "bailingmoe",
	Build: newBailing,
	Folders: []hf.Family{{
		Names: []string{"BailingMoeForCausalLM", "bailing_moe"}, Ops: permuteQK,
		Tensors: hf.Merge(sharedExperts, map[string]string{"attention.query_key_value": "qkv", "attention.dense": "attn_output"}),
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.Routing()
			if m.Flag(false, "norm_head") {
				m.Fail("key %q: want false, found true: %w", "norm_head", model.ErrUnsupported)
			}
		},
	}},
}

// newBailing makes Ling v1: experts with shared ones. Ling Team 2025, arXiv:2503.05139.
func newBailing(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeInterleaved), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			moe:      b.MoE(nn.MoEConfig{Renormalise: c.ExpertNorm}),
		}
	})
	return m, w.Err()
}
