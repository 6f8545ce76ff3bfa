package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var phimoeSheet = Sheet{
	Name:  "phimoe",
	Build: newPhiMoE,
	Folders: []hf.Family{{
		Names: []string{"PhiMoEForCausalLM", "PhimoeForCausalLM", "phimoe"},
		Keys: func(m *hf.Meta) {
			phi3(m)
			m.CopyFloat("attention.layer_norm_rms_epsilon", "rms_norm_eps")
			if x, ok := m.Scaling.Float("long_mscale"); ok {
				m.Put("rope.scaling.attn_factor", float32(x))
			}
		},
	}},
	Sizes: []Size{
		decoderSize{ctx: 131072, embd: 4096, layers: 32, ff: 6400, heads: 32, headsKV: 8, base: 1e4, experts: 16, used: 2, untied: true}.size("phi-3.5-moe", "Phi-3.5 MoE", spm(32064),
			"output.bias", "output_norm.bias", "blk.*.attn_norm.bias", "blk.*.ffn_norm.bias", "blk.*.attn_q.bias", "blk.*.attn_k.bias", "blk.*.attn_v.bias", "blk.*.attn_output.bias"),
	},
}

// newPhiMoE makes Phi-3.5-MoE: biases of norms and throughout attention, and experts. Abdin et al.
// 2024, arXiv:2404.14219. The reference takes root-mean-square norms, where the paper's own code
// has LayerNorms.
func newPhiMoE(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			moe:      b.MoE(nn.MoEConfig{Renormalise: true}),
		}
	})
	return m, w.Err()
}
