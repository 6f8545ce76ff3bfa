package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var bloomSheet = Sheet{
	Name:  "bloom",
	Build: newBLOOM,
	Folders: []hf.Family{{
		Names: []string{"BloomForCausalLM", "BloomModel", "bloom"}, Activation: "gelu", Keys: ffn4x,
		Tensors: hf.Merge(bloomNames, map[string]string{"word_embeddings_layernorm": "token_embd_norm"}),
	}},
}

var mptSheet = Sheet{
	Name:  "mpt",
	Build: newMPT,
}

// newMPT makes MPT: ALiBi instead of RoPE, LayerNorms, GELU. MosaicML 2023,
// https://www.databricks.com/blog/mpt-7b.
func newMPT(w *model.Weights) (model.Model, error) {
	return mptOf(w, w.Config().ALiBi), w.Err()
}

// newBLOOM makes BLOOM, which also norms its embeddings and whose largest bias is no key of its
// files. Le Scao et al. 2022, arXiv:2211.05100.
func newBLOOM(w *model.Weights) (model.Model, error) {
	m := mptOf(w, usualALiBi)
	m.embdNorm = w.LayerNorm("token_embd_norm", w.Config().NEmbd)
	return m, w.Err()
}

func mptOf(w *model.Weights, maxBias float32) *decoder {
	c := w.Config()
	attn := w.AttentionOf(nn.AttentionConfig{Slopes: alibi(c, maxBias)})
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		h := nn.AttnBlock{Attn: attn}
		if b.Has("attn_q_norm") {
			h.QNorm, h.KNorm = b.LayerNorm("attn_q_norm", c.NHead*c.HeadDim), b.LayerNorm("attn_k_norm", c.NHeadKV*c.HeadDim)
		}
		return block{
			attnNorm: b.LayerNorm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(h),
			ffnNorm:  b.LayerNorm("ffn_norm", c.NEmbd),
			ffn:      b.PlainFFN(nn.GELU),
		}
	})
	if w.Has("position_embd") { // MPT without ALiBi
		m.pos = w.Embedding("position_embd", c.NCtx, c.NEmbd)
	}
	return m
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
