package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newPhi2 makes Phi-1, 1.5 and 2: attention and feed-forward block read the same normed stream, and RoPE turns a part of each head.
// Gunasekar et al. 2023, arXiv:2306.11644.
func newPhi2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.LayerNorm("attn_norm", c.NEmbd),
			attn:     b.Heads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffn:      b.PlainFFN(nn.GELU),
		}
	})
	return parallel{m}, w.Err()
}
