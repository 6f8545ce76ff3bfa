package arch

import (
	"math"

	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var gemma2Sheet = Sheet{
	Name:  "gemma2",
	Build: newGemma2,
	Folders: []hf.Family{{
		Names: []string{"Gemma2ForCausalLM", "gemma2"}, Activation: "gelu", Ops: addOneToNorms, Tensors: hf.Merge(postNorms, map[string]string{"lm_head": ""}),
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.AlternatingWindow(2)
			m.CopyFloat("attn_logit_softcapping", "attn_logit_softcapping")
			m.CopyFloat("final_logit_softcapping", "final_logit_softcapping")
			m.QueryScale(46)
		},
	}},
	Sizes: []Size{
		gemma2Size("gemma-2-2b", "Gemma 2 2B", decoderSize{embd: 2304, layers: 26, ff: 9216, heads: 8, headsKV: 4, dim: 256}),
		gemma2Size("gemma-2-9b", "Gemma 2 9B", decoderSize{embd: 3584, layers: 42, ff: 14336, heads: 16, headsKV: 8, dim: 256}),
		gemma2Size("gemma-2-27b", "Gemma 2 27B", decoderSize{embd: 4608, layers: 46, ff: 36864, heads: 32, headsKV: 16, dim: 128}),
	},
}

// newGemma2 makes Gemma 2: norms before and after each block, scores and logits bounded by tanh,
// and every second layer sees a window only. Gemma Team 2024, arXiv:2408.00118.
func newGemma2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	scale := c.AttnScale
	if c.NLayer == 46 { // the 27B model divides by n_embd/n_head, which is no key of its file
		scale = float32(1 / math.Sqrt(float64(c.NEmbd)/float64(c.NHead)))
	}
	rope := w.Rope(model.RopeNeoX)
	full, local := w.AttentionOf(nn.AttentionConfig{Scale: scale}), w.AttentionOf(nn.AttentionConfig{Scale: scale, Window: c.Window})
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		attn := full
		if c.IsSWA(i, 2) {
			attn = local
		}
		return block{
			attnNorm:     b.Norm("attn_norm", c.NEmbd),
			attn:         b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			attnPostNorm: b.Norm("post_attention_norm", c.NEmbd),
			ffnNorm:      b.Norm("ffn_norm", c.NEmbd),
			ffn:          b.FFN(nn.GELU),
			ffnPostNorm:  b.Norm("post_ffw_norm", c.NEmbd),
		}
	})
	m.embdScale = gemmaScale(c)
	return m, w.Err()
}

// gemma2Size is the second Gemma, every second layer of which has a window.
func gemma2Size(name, about string, d decoderSize) Size {
	d.ctx, d.eps, d.base, d.window = 8192, 1e-6, 1e4, 4096
	return d.size(name, about, spm(256000)).with(Key{"attn_logit_softcapping", float32(50)}, Key{"final_logit_softcapping", float32(30)})
}
