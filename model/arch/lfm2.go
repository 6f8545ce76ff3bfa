package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newLFM2 makes Liquid's LFM2, dense or of experts behind some dense layers: gated convolutions over three positions, and some layers of attention, whose heads are normed, between them.
// Liquid AI 2025, arXiv:2511.23404. The norm before the output is called token_embd_norm in its files.
func newLFM2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.AttentionOf(nn.AttentionConfig{Window: c.Window})
	output := func(w *model.Weights, _ string, n int) *nn.Norm { return w.Norm("token_embd_norm", n) }
	m := newDecoder(w, output, func(b *model.Weights, i int) block {
		l := block{attnNorm: b.Norm("attn_norm", c.NEmbd), ffnNorm: b.Norm("ffn_norm", c.NEmbd)}
		if c.Recurrent(i) {
			l.recur = b.ShortConv()
		} else {
			l.attn = b.Heads(b.QKNorm(nn.AttnBlock{Rope: rope, Attn: attn}))
		}
		if c.HasExperts(i) {
			l.moe = b.MoE(nn.MoEConfig{Score: b.Scoring(nn.ScoreSigmoid), Renormalise: true})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	return m, w.Err()
}
