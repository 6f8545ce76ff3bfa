package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newMPT makes MPT and BLOOM, which norms its embeddings: distance lowers scores (ALiBi) instead of RoPE, LayerNorms, GELU. MosaicML 2023,
// https://www.databricks.com/blog/mpt-7b; Le Scao et al. 2022, arXiv:2211.05100.
func newMPT(w *model.Weights) (model.Model, error) {
	c := w.Config()
	most := c.ALiBi
	if c.Arch == "bloom" {
		most = usualALiBi // which is no key of its file
	}
	attn := w.AttentionOf(nn.AttentionConfig{Slopes: alibi(c, most)})
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		h := nn.AttnBlock{Attn: attn}
		if b.Has("attn_q_norm") {
			h.QNorm, h.KNorm = b.LayerNorm("attn_q_norm", c.NHead*c.HeadDim), b.LayerNorm("attn_k_norm", c.NHeadKV*c.HeadDim)
		}
		return block{
			attnNorm: b.LayerNorm("attn_norm", c.NEmbd),
			attn:     b.Heads(h),
			ffnNorm:  b.LayerNorm("ffn_norm", c.NEmbd),
			ffn:      b.PlainFFN(nn.GELU),
		}
	})
	if c.Arch == "bloom" {
		m.first = w.LayerNorm("token_embd_norm", c.NEmbd)
	}
	if w.Has("position_embd") { // MPT without ALiBi
		m.pos = w.Embedding("position_embd", c.NCtx, c.NEmbd)
	}
	return m, w.Err()
}

// usualALiBi is the largest bias of the paper.
const usualALiBi = 8

// alibi are the slopes of a model's heads; nil for a largest bias of 0.
func alibi(c model.Config, most float32) []float32 {
	if most == 0 {
		return nil
	}
	return nn.ALiBi(c.NHead, float64(most))
}
