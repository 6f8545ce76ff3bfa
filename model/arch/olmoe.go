package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var olmoeSheet = Sheet{
	Name:  "olmoe",
	Build: newOLMoE,
	Folders: []hf.Family{{
		Names: []string{"OlmoeForCausalLM", "olmoe"}, Tensors: fusedExperts,
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.Put("attention.layer_norm_rms_epsilon", float32(1e-5)) // is no key
			m.CopyFloat("attention.layer_norm_rms_epsilon", "rms_norm_eps")
			m.RequireRenormalised(false)
		},
	}},
	Sizes: []Size{
		decoderSize{ctx: 4096, embd: 2048, layers: 16, ff: 1024, heads: 16, headsKV: 16, base: 1e4, experts: 64, used: 8, untied: true}.size("olmoe-1b-7b", "OLMoE 1B-7B", bpe("olmo", 50304)),
	},
}

// newOLMoE makes OLMoE: queries and keys are normed as whole rows, and the weights of experts are
// left as the softmax gives them. Muennighoff et al. 2024, arXiv:2409.02060.
func newOLMoE(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(b.QKRowNorm(nn.AttnBlock{Rope: rope, Attn: attn})),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			moe:      b.MoE(nn.MoEConfig{}),
		}
	})
	return m, w.Err()
}
