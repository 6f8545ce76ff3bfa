package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newSmolLM3 makes SmolLM3: Llama, every fourth layer of which has no positions (Yang et al. 2025, arXiv:2501.18795). Hugging Face 2025.
func newSmolLM3(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeInterleaved), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		h := nn.AttnBlock{Rope: rope, Attn: attn}
		if i%4 == 3 {
			h.Rope = nil
		}
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.Heads(h),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			ffn:      b.FFN(nn.SiLU),
		}
	})
	return m, w.Err()
}
