package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newGLM4 makes GLM-4-0414: norms before and after each block, gate and up in one matrix, and RoPE on a part of each head. The older ChatGLM has no norms behind the blocks.
// GLM Team 2024, arXiv:2406.12793.
func newGLM4(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeInterleaved), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		l := block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.Heads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			ffn:      b.FusedFFN(nn.SiLU),
		}
		if c.Arch == "glm4" {
			l.attnPost, l.ffnPost = b.Norm("post_attention_norm", c.NEmbd), b.Norm("post_ffw_norm", c.NEmbd)
		}
		return l
	})
	return m, w.Err()
}
