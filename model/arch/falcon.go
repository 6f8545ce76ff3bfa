package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newFalcon makes Falcon: attention and feed-forward block side by side, behind one norm in the small model and one each in the large one.
// Almazrouei et al. 2023, arXiv:2311.16867.
func newFalcon(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		l := block{
			attnNorm: b.LayerNorm("attn_norm", c.NEmbd),
			attn:     b.Heads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffn:      b.PlainFFN(nn.GELU),
		}
		if b.Has("attn_norm_2") { // the norm of the feed-forward block keeps its old name, that of attention takes the new one
			l.ffnNorm, l.attnNorm = l.attnNorm, b.LayerNorm("attn_norm_2", c.NEmbd)
		}
		return l
	})
	return parallel{m}, w.Err()
}
