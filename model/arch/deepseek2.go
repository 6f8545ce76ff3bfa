package arch

import (
	"math"

	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/tensor"
)

// deepseek2 is DeepSeek-V2, V3 and R1: latent attention, and experts behind some dense layers. Those of V2 are scored by a softmax and a group of them by its best; those of V3 by
// sigmoids and a group by its two best. DeepSeek-AI 2024, arXiv:2405.04434 and arXiv:2412.19437.
type deepseek2 struct {
	*decoder
	attn []*nn.MLA // by layer, in place of block.attn
}

func newDeepSeek2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	w.IgnoreNext()
	m := &deepseek2{}
	ropes := w.LatentRopes(model.RopeInterleaved)
	scale := deepseek2Scale(c)
	m.decoder = newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		m.attn = append(m.attn, b.Latent(ropes, scale))
		l := block{attnNorm: b.Norm("attn_norm", c.NEmbd), ffnNorm: b.Norm("ffn_norm", c.NEmbd)}
		if !c.HasExperts(i) {
			l.ffn = b.FFN(nn.SiLU)
			return l
		}
		moe := nn.MoEConfig{Score: b.Scoring(nn.ScoreSoftmax), GroupTopK: 2, Renormalise: c.ExpertNorm}
		if moe.Score == nn.ScoreSoftmax {
			moe.GroupTopK = 1
		}
		l.moe = b.MoE(moe)
		return l
	})
	return m, w.Err()
}

// deepseek2Scale is the scale of scores: they grow with the square of what YaRN has queries and keys grow by elsewhere.
func deepseek2Scale(c model.Config) float32 {
	scale := 1 / math.Sqrt(float64(c.HeadDim))
	if c.Rope.Yarn != nil && c.Rope.Factor > 1 {
		grow := 1 + c.YarnLogMul*math.Log(c.Rope.Factor)
		scale *= grow * grow
	}
	return float32(scale)
}

// State is the latent and the key of positions, once for all heads.
func (m *deepseek2) State() []kv.Spec {
	return kv.Repeat(m.cfg.NLayer, kv.Latent(m.cfg.NLoraKV+m.cfg.Rope.Dim))
}

func (m *deepseek2) Layer(f *nn.Pass, i int, x *tensor.Tensor) {
	b := &m.blk[i]
	m.add(f, x, f.MLA(f.Norm(x, b.attnNorm), m.attn[i]))
	m.add(f, x, b.feed(f, f.Norm(x, b.ffnNorm)))
}
