package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var qwen2moeSheet = Sheet{
	Name:  "qwen2moe",
	Build: newQwen2MoE,
	Folders: []hf.Family{{
		Names: []string{"Qwen2MoeForCausalLM", "qwen2_moe"}, Tensors: hf.Merge(sharedExperts, fusedExperts),
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.CopyInt("expert_shared_feed_forward_length", "shared_expert_intermediate_size")
			m.RequireRenormalised(false)
			m.RequireAllExperts()
		},
	}},
}

// newQwen2MoE makes Qwen1.5-MoE and Qwen2-MoE, with experts whose weights are left as the softmax
// gives them and a shared expert that has a gate of its own. Yang et al. 2024, arXiv:2407.10671.
func newQwen2MoE(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			moe:      b.MoE(nn.MoEConfig{}),
		}
	})
	return m, w.Err()
}
