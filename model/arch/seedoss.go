package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var seedOssSheet = Sheet{
	Name:  "seed_oss",
	Build: newSeedOSS,
	Folders: []hf.Family{{
		Names: []string{"SeedOssForCausalLM", "seed_oss"},
		Keys:  ropeOnly, Tensors: map[string]string{"post_attention_layernorm": "post_attention_norm"},
	}},
}

// newSeedOSS makes Seed-OSS: Qwen2 whose second norm has another name. ByteDance Seed 2025,
// https://github.com/ByteDance-Seed/seed-oss.
func newSeedOSS(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("post_attention_norm", c.NEmbd),
			ffn:      b.FFN(nn.SiLU),
		}
	})
	return m, w.Err()
}
