package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var qwen3Sheet = Sheet{
	Name:    "qwen3",
	Build:   newQwen3,
	Folders: []hf.Family{{Names: []string{"Qwen3ForCausalLM", "qwen3"}, Keys: ropeOnly}},
}

var qwen3moeSheet = Sheet{
	Name:  "qwen3moe",
	Build: newQwen3,
	Folders: []hf.Family{{
		Names: []string{"Qwen3MoeForCausalLM", "qwen3_moe"}, Tensors: fusedExperts,
		Keys: func(m *hf.Meta) { m.Rope(1); m.RequireRenormalised(true); m.RequireAllExperts() },
	}},
}

var qwen3vlSheet = Sheet{
	Name:  "qwen3vl",
	Build: newQwen3,
	Folders: []hf.Family{{
		Names: []string{"Qwen3VLForConditionalGeneration", "qwen3_vl"},
		Keys:  func(m *hf.Meta) { m.Rope(1); m.RopeSections() },
	}},
}

var qwen3vlmoeSheet = Sheet{
	Name:  "qwen3vlmoe",
	Build: newQwen3,
	Folders: []hf.Family{{
		Names:   []string{"Qwen3VLMoeForConditionalGeneration", "qwen3_vl_moe"},
		Tensors: map[string]string{"mlp.experts.gate_up_proj": "gate_up_exps_turned", "mlp.experts.down_proj": "down_exps_turned"},
		Keys:    func(m *hf.Meta) { m.Rope(1); m.RopeSections(); m.RequireRenormalised(true); m.RequireAllExperts() },
	}},
}

// newQwen3 makes Qwen3 and its mixture of experts, the heads of whose queries and keys are normed.
// Yang et al. 2025, arXiv:2505.09388. For text, the position sections of Qwen3-VL all say the same.
func newQwen3(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		l := block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(b.QKNorm(nn.AttnBlock{Rope: rope, Attn: attn})),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
		}
		if c.NExpert > 0 {
			l.moe = b.MoE(nn.MoEConfig{Renormalise: true})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	return m, w.Err()
}
