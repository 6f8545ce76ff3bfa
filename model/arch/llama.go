package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var internlm2Sheet = Sheet{
	Name:  "internlm2",
	Build: newLlama,
	Folders: []hf.Family{{
		Names: []string{"InternLM2ForCausalLM", "internlm2"}, Keys: ropeOnly, Ops: hf.Merge(permuteQK, map[string]hf.Op{"attn_qkv": hf.SplitQKV}),
		Tensors: map[string]string{
			"attention_norm": "attn_norm", "ffn_norm": "ffn_norm", "attention.wqkv": "qkv_by_group", "attention.wo": "attn_output",
			"feed_forward.w1": "ffn_gate", "feed_forward.w3": "ffn_up", "feed_forward.w2": "ffn_down",
		},
	}},
}

var llamaSheet = Sheet{
	Name:  "llama",
	Build: newLlama,
	Folders: []hf.Family{{
		Names: []string{"LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM", "InternLM3ForCausalLM", "llama", "mistral", "mixtral"},
		Keys:  ropeOnly, Ops: permuteQK,
	}},
}

var mistral3Sheet = Sheet{
	Name:  "mistral3",
	Build: newLlama,
	Folders: []hf.Family{{
		Names: []string{"Mistral3ForConditionalGeneration", "Ministral3ForCausalLM", "ministral3"},
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			if x, ok := m.Scaling.Float("mscale_all_dim"); ok {
				m.Put("rope.scaling.yarn_log_multiplier", float32(x))
			}
			if x, ok := m.Scaling.Float("llama_4_scaling_beta"); ok {
				m.Put("attention.temperature_scale", float32(x))
			}
		},
		Ops: permuteQK,
	}},
}

// newLlama makes the pre-norm decoder of Llama 1-3, Mistral, TinyLlama, SmolLM and their kin, and
// of Mixtral, whose feed-forward blocks are experts. Touvron et al. 2023, arXiv:2302.13971; GQA:
// Ainslie et al. 2023, arXiv:2305.13245; Mixtral: Jiang et al. 2024, arXiv:2401.04088.
func newLlama(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeInterleaved), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		l := block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
		}
		if c.NExpert > 0 {
			l.moe = b.MoE(nn.MoEConfig{Renormalise: true})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	return m, w.Err() // the first missing name or wrong shape, named
}
