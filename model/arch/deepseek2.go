package arch

import (
	"math"

	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/tensor"
)

var deepseek2Sheet = Sheet{
	Name:  "deepseek2",
	Build: newDeepSeek2,
	Folders: []hf.Family{{
		Names: []string{"DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", "deepseek_v2", "deepseek_v3"}, Tensors: hf.Merge(sharedExperts, expertBias, latentAttention),
		Keys: func(m *hf.Meta) {
			nope, rope, value, lora := m.Must("qk_nope_head_dim"), m.Must("qk_rope_head_dim"), m.Must("v_head_dim"), m.Must("kv_lora_rank")
			m.HeadDim = rope
			m.Rope(1)
			m.Routing()
			m.CopyInt("attention.q_lora_rank", "q_lora_rank")
			m.Put("attention.kv_lora_rank", uint32(lora))
			// What is cached is one head of the latent and the rotated part; the heads that it
			// stands for come under keys of their own.
			m.Put("attention.head_count_kv", uint32(1))
			m.Put("attention.key_length", uint32(lora+rope))
			m.Put("attention.value_length", uint32(lora))
			m.Put("attention.key_length_mla", uint32(nope+rope))
			m.Put("attention.value_length_mla", uint32(value))
			if x, ok := m.Scaling.Float("mscale_all_dim"); ok {
				m.Put("rope.scaling.yarn_log_multiplier", float32(0.1*x))
			}
		},
	}},
}

// deepseek2 is DeepSeek-V2, V3 and R1: latent attention, and experts after some dense layers. Those
// of V2 are scored by a softmax and a group of them by its best; those of V3 by sigmoids and a
// group by its two best. DeepSeek-AI 2024, arXiv:2405.04434 and arXiv:2412.19437.
type deepseek2 struct {
	*decoder
	attn []*nn.MLA // by layer, in place of block.attn
}

func newDeepSeek2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	w.IgnoreNext()
	m := &deepseek2{}
	ropes := w.MLARopes(model.RopeInterleaved)
	scale := deepseek2Scale(c)
	m.decoder = newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		m.attn = append(m.attn, b.MLA(ropes, scale))
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

// deepseek2Scale is the scale of scores: they grow with the square of what YaRN has queries and
// keys grow by elsewhere.
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
