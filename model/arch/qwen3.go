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
	Sizes: []Size{
		qwen3Size("qwen3-0.6b", "Qwen3 0.6B", decoderSize{embd: 1024, layers: 28, ff: 3072, heads: 16, headsKV: 8}),
		qwen3Size("qwen3-1.7b", "Qwen3 1.7B", decoderSize{embd: 2048, layers: 28, ff: 6144, heads: 16, headsKV: 8}),
		qwen3Size("qwen3-4b", "Qwen3 4B", decoderSize{embd: 2560, layers: 36, ff: 9728, heads: 32, headsKV: 8}),
		qwen3Size("qwen3-8b", "Qwen3 8B", decoderSize{embd: 4096, layers: 36, ff: 12288, heads: 32, headsKV: 8, untied: true}),
		qwen3Size("qwen3-14b", "Qwen3 14B", decoderSize{embd: 5120, layers: 40, ff: 17408, heads: 40, headsKV: 8, untied: true}),
		qwen3Size("qwen3-32b", "Qwen3 32B", decoderSize{embd: 5120, layers: 64, ff: 25600, heads: 64, headsKV: 8, untied: true}),
	},
}

var qwen3moeSheet = Sheet{
	Name:  "qwen3moe",
	Build: newQwen3,
	Folders: []hf.Family{{
		Names: []string{"Qwen3MoeForCausalLM", "qwen3_moe"}, Tensors: fusedExperts,
		Keys: func(m *hf.Meta) { m.Rope(1); m.RequireRenormalised(true); m.RequireAllExperts() },
	}},
	Sizes: []Size{
		qwen3Size("qwen3-30b-a3b", "Qwen3 30B of experts", decoderSize{embd: 2048, layers: 48, ff: 6144, heads: 32, headsKV: 4, experts: 128, used: 8, ffExpert: 768, untied: true}),
		qwen3Size("qwen3-235b-a22b", "Qwen3 235B of experts", decoderSize{embd: 4096, layers: 94, ff: 12288, heads: 64, headsKV: 4, experts: 128, used: 8, ffExpert: 1536, untied: true}),
	},
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

// qwen3Size has heads of 128 whatever the width.
func qwen3Size(name, about string, d decoderSize) Size {
	d.ctx, d.eps, d.base, d.dim = 40960, 1e-6, 1e6, 128
	return d.size(name, about, bpe("qwen2", 151936))
}
