package arch

import (
	"fmt"

	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var apertusSheet = Sheet{
	Name:  "apertus",
	Build: newApertus,
}

// newApertus makes Apertus: normed heads, and the activation xIELU, whose parameters each layer has
// learnt, without a gate. Project Apertus 2025, arXiv:2509.14233.
func newApertus(w *model.Weights) (model.Model, error) {
	c := w.Config()
	if c.XIELU == nil {
		return nil, fmt.Errorf("no key %q", "xielu.alpha_p")
	}
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		l := block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(b.QKNorm(nn.AttnBlock{Rope: rope, Attn: attn})),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			ffn:      b.PlainFFN(nn.ReLU),
		}
		l.ffn.XIELU = &c.XIELU[i]
		return l
	})
	return m, w.Err()
}
