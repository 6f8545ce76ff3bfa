package arch

import (
	"math"

	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newGemma3 makes Gemma 3: of six layers five see a window and turn by a base of their own, without the long context's scaling; heads are normed.
// Gemma Team 2025, arXiv:2503.19786.
func newGemma3(w *model.Weights) (model.Model, error) {
	c := w.Config()
	base := c.RopeBaseSWA
	if base == 0 {
		base = 10000
	}
	scale := c.AttnScale
	if c.NLayer == 62 { // the 27B model divides by n_embd/n_head, which is no key of its file
		scale = float32(1 / math.Sqrt(float64(c.NEmbd)/float64(c.NHead)))
	}
	ropeFull, ropeLocal := w.Rope(model.Halves), w.RopeBase(model.Halves, base, 1)
	full, local := w.AttentionOf(nn.AttentionConfig{Scale: scale}), w.AttentionOf(nn.AttentionConfig{Scale: scale, Window: c.Window})
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		h := nn.Heads{Rope: ropeFull, Attn: full}
		if c.Local(i, 6) {
			h = nn.Heads{Rope: ropeLocal, Attn: local}
		}
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.Heads(b.QKNorm(h)),
			attnPost: b.Norm("post_attention_norm", c.NEmbd),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			ffn:      b.FFN(nn.GELU),
			ffnPost:  b.Norm("post_ffw_norm", c.NEmbd),
		}
	})
	m.scale = gemmaScale(c)
	return m, w.Err()
}
