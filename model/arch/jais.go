package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var jaisSheet = Sheet{
	Name:  "jais",
	Build: newJais,
}

// newJais makes Jais: GPT-2 with ALiBi in place of learnt positions, a gated activation, and scores
// divided by the length of a head. Sengupta et al. 2023, arXiv:2308.16149.
func newJais(w *model.Weights) (model.Model, error) {
	c := w.Config()
	attn := w.AttentionOf(nn.AttentionConfig{Scale: 1 / float32(c.HeadDim), Slopes: alibi(c, c.ALiBi)})
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.LayerNorm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Attn: attn}),
			ffnNorm:  b.LayerNorm("ffn_norm", c.NEmbd),
			ffn:      b.FFN(nn.SiLU),
		}
	})
	return m, w.Err()
}
