package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var falconH1Sheet = Sheet{
	Name:  "falcon-h1",
	Build: newFalconH1,
}

// newFalconH1 makes Falcon-H1, whose layers have attention and Mamba-2 side by side, on the same
// input. Zuo et al. 2025, arXiv:2507.22448.
func newFalconH1(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm:  b.Norm("attn_norm", c.NEmbd),
			attn:      b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			recurrent: b.Mamba2(),
			ffnNorm:   b.Norm("ffn_norm", c.NEmbd),
			ffn:       b.FFN(nn.SiLU),
		}
	})
	return m, w.Err()
}
