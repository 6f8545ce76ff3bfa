package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var jambaSheet = Sheet{
	Name:  "jamba",
	Build: newJamba,
}

// newJamba makes Jamba: layers of Mamba with norms within, some of attention without positions
// between them, and experts in some of either. Lieber et al. 2024, arXiv:2403.19887.
func newJamba(w *model.Weights) (model.Model, error) {
	c := w.Config()
	attn := w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		l := block{attnNorm: b.Norm("attn_norm", c.NEmbd), ffnNorm: b.Norm("ffn_norm", c.NEmbd)}
		if c.IsRecurrent(i) {
			l.recurrent = b.Mamba()
		} else {
			l.attn = b.AttnHeads(nn.AttnBlock{Attn: attn})
		}
		if b.Has("ffn_gate_inp") {
			l.moe = b.MoE(nn.MoEConfig{})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	return m, w.Err()
}
