package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newQwen3Next makes Qwen3-Next and Qwen3.5: of four layers three are gated delta nets, and the last is attention whose result is gated and whose heads are normed; dense, or of experts with a
// gated shared one. Qwen Team 2025, https://qwenlm.github.io/blog/qwen3_next. In Qwen3.5's files heads of values are spread over those of keys. For text, its position sections all
// say the same.
func newQwen3Next(w *model.Weights) (model.Model, error) {
	c := w.Config()
	w.IgnoreNext()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		l := block{attnNorm: b.Norm("attn_norm", c.NEmbd), ffnNorm: b.Norm("post_attention_norm", c.NEmbd)}
		if c.Recurrent(i) || c.Recurs == nil && i%4 != 3 {
			l.recur = b.DeltaNet(c.Arch != "qwen3next")
		} else {
			l.attn = b.Heads(b.QKNorm(nn.AttnBlock{Rope: rope, Attn: attn, GateInQ: true}))
		}
		if c.NExpert > 0 {
			l.moe = b.MoE(nn.MoEConfig{Renormalise: true})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	return m, w.Err()
}
