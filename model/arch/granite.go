package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newGranite makes IBM's Granite, dense or of experts, or with layers of Mamba-2 between those of attention, with factors on embeddings, on what each block adds, on scores, and (dividing) on logits; and MiniCPM, which computes
// the same. Granite Team 2024; Hu et al. 2024, arXiv:2404.06395.
func newGranite(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeInterleaved), w.Attention()
	if c.RopeUntrained {
		rope = nil
	}
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		l := block{attnNorm: b.Norm("attn_norm", c.NEmbd), ffnNorm: b.Norm("ffn_norm", c.NEmbd)}
		if c.Recurrent(i) {
			l.recur = b.Mamba2()
		} else {
			l.attn = b.Heads(nn.AttnBlock{Rope: rope, Attn: attn})
		}
		if c.NExpert > 0 {
			l.moe = b.MoE(nn.MoEConfig{Renormalise: true})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	if c.LogitScale != 0 {
		m.logits = 1 / c.LogitScale
	}
	return m, w.Err()
}
