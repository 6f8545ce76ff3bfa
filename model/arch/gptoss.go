package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newGPTOSS makes gpt-oss: every second layer sees a window, each head has a sink that takes up attention, and the experts have biases and a bounded activation.
// OpenAI 2025, arXiv:2508.10925.
func newGPTOSS(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope := w.Rope(model.RopeNeoX)
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		a := nn.AttentionConfig{Sinks: b.Sinks()}
		if c.Local(i, 2) {
			a.Window = c.Window
		}
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.Heads(nn.AttnBlock{Rope: rope, Attn: b.AttentionOf(a)}),
			ffnNorm:  b.Norm("post_attention_norm", c.NEmbd),
			moe:      b.MoE(nn.MoEConfig{Act: nn.ClampedSwiGLU, Score: nn.ScoreSoftmaxWeight}),
		}
	})
	return m, w.Err()
}
