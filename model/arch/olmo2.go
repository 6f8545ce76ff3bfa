package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newOLMo2 makes OLMo 2: norms stand behind the blocks alone, and queries and keys are normed as whole rows. OLMo Team 2025, arXiv:2501.00656.
func newOLMo2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope := w.Rope(model.RopeNeoX)
	full, local := w.Attention(), w.AttentionOf(nn.AttentionConfig{Window: c.Window})
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		attn := full
		if c.Local(i, 4) { // of OLMo 3
			attn = local
		}
		return block{
			attn:     b.Heads(b.QKRowNorm(nn.AttnBlock{Rope: rope, Attn: attn})),
			attnPost: b.Norm("post_attention_norm", c.NEmbd),
			ffn:      b.FFN(nn.SiLU),
			ffnPost:  b.Norm("post_ffw_norm", c.NEmbd),
		}
	})
	return m, w.Err()
}
