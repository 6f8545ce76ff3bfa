package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newGPT2 makes GPT-2 and StarCoder, which has one head of keys for all: learnt positions instead of RoPE, LayerNorms, biases, GELU.
// Radford et al. 2019; Li et al. 2023, arXiv:2305.06161.
func newGPT2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	attn := w.Attention()
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.LayerNorm("attn_norm", c.NEmbd),
			attn:     b.Heads(nn.AttnBlock{Attn: attn}),
			ffnNorm:  b.LayerNorm("ffn_norm", c.NEmbd),
			ffn:      b.PlainFFN(nn.GELU),
		}
	})
	m.pos = w.Embedding("position_embd", c.NCtx, c.NEmbd)
	return m, w.Err()
}
