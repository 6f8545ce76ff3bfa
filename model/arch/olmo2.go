package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var olmo2Sheet = Sheet{
	Name:  "olmo2",
	Build: newOLMo2,
	Folders: []hf.Family{{
		Names: []string{"Olmo2ForCausalLM", "Olmo3ForCausalLM", "olmo2", "olmo3"}, Tensors: postNorms,
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			if m.Window(); m.Has("sliding_window") && !m.Has("layer_types") { // of OLMo 3
				m.WindowPattern(func(i int) bool { return i%4 != 3 })
			}
		},
	}},
	Sizes: []Size{
		decoderSize{ctx: 4096, embd: 4096, layers: 32, ff: 11008, heads: 32, headsKV: 32, base: 5e5, eps: 1e-6, untied: true}.size("olmo-2-7b", "OLMo 2 7B", bpe("dbrx", 100352)),
		decoderSize{ctx: 4096, embd: 5120, layers: 40, ff: 13824, heads: 40, headsKV: 40, base: 5e5, eps: 1e-6, untied: true}.size("olmo-2-13b", "OLMo 2 13B", bpe("dbrx", 100352)),
	},
}

// newOLMo2 makes OLMo 2: norms stand after the blocks alone, and queries and keys are normed as
// whole rows. OLMo Team 2025, arXiv:2501.00656.
func newOLMo2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope := w.Rope(model.RopeNeoX)
	full, local := w.Attention(), w.AttentionOf(nn.AttentionConfig{Window: c.Window})
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		attn := full
		if c.IsSWA(i, 4) { // of OLMo 3
			attn = local
		}
		return block{
			attn:         b.AttnHeads(b.QKRowNorm(nn.AttnBlock{Rope: rope, Attn: attn})),
			attnPostNorm: b.Norm("post_attention_norm", c.NEmbd),
			ffn:          b.FFN(nn.SiLU),
			ffnPostNorm:  b.Norm("post_ffw_norm", c.NEmbd),
		}
	})
	return m, w.Err()
}
