package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var plamoSheet = Sheet{
	Name:  "plamo",
	Build: newPLaMo,
}

// newPLaMo makes PLaMo: attention and the feed-forward block read the same normed stream. Preferred
// Networks 2023, https://huggingface.co/pfnet/plamo-13b.
func newPLaMo(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffn:      b.FFN(nn.SiLU),
		}
	})
	return parallel{m}, w.Err()
}
