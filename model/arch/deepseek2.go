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
	Sizes: []Size{
		deepseek2Size("deepseek-v2-small", "DeepSeek-V2 Lite with fewer layers and experts, a size that fits in memory; not a published model", bpe("deepseek-llm", 32000),
			decoderSize{ctx: 163840, embd: 2048, layers: 10, ff: 10944, heads: 16, base: 1e4, experts: 16, used: 6, ffExpert: 1408, shared: 2, dense: 1}, 0),
		deepseek2Size("deepseek-v2-lite", "DeepSeek-V2 Lite", bpe("deepseek-llm", 102400),
			decoderSize{ctx: 163840, embd: 2048, layers: 27, ff: 10944, heads: 16, base: 1e4, experts: 64, used: 6, ffExpert: 1408, shared: 2, dense: 1}, 0),
		deepseek2Size("deepseek-v2", "DeepSeek-V2", bpe("deepseek-llm", 102400),
			decoderSize{ctx: 163840, embd: 5120, layers: 60, ff: 12288, heads: 128, base: 1e4, experts: 160, used: 6, ffExpert: 1536, shared: 2, dense: 1}, 1536,
			Key{"expert_weights_scale", float32(16)}, Key{"expert_group_count", uint32(8)}, Key{"expert_group_used_count", uint32(3)}),
		deepseek2Size("deepseek-v3", "DeepSeek-V3 and R1, without the layer that predicts a further token", bpe("deepseek-v3", 129280),
			decoderSize{ctx: 163840, embd: 7168, layers: 61, ff: 18432, heads: 128, base: 1e4, experts: 256, used: 8, ffExpert: 2048, shared: 1, dense: 3}, 1536).sigmoids(8, 4, 2.5),
		deepseek2Size("kimi-k2", "Kimi K2", bpe("kimi-k2", 163840),
			decoderSize{ctx: 131072, embd: 7168, layers: 61, ff: 18432, heads: 64, base: 5e4, experts: 384, used: 8, ffExpert: 2048, shared: 1, dense: 1}, 1536).sigmoids(1, 1, 2.827),
	},
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

// latent are the hyper-parameters of latent attention that DeepSeek-V2, V3 and Kimi K2 share.
const (
	latentKV   = 512 // width of compressed keys and values
	latentNope = 128 // elements of a head that RoPE leaves alone
	latentRope = 64  // elements that RoPE rotates
)

// deepseek2Size is DeepSeek-V2 and V3, without the layer that predicts a further token. loraQ is
// the width of compressed queries, 0 where they are not compressed.
func deepseek2Size(name, about string, v Vocab, d decoderSize, loraQ int, keys ...Key) Size {
	d.eps, d.untied, d.headsKV, d.dim, d.rot = 1e-6, true, 1, latentKV+latentRope, latentRope
	s := d.size(name, about, v, "blk.*.attn_k_b.weight")
	for i, k := range s.Keys {
		if k.Name == "attention.value_length" {
			s.Keys[i].Value = uint32(latentKV)
		}
	}
	if loraQ > 0 {
		s = s.with(Key{"attention.q_lora_rank", uint32(loraQ)})
	}
	return s.with(Key{"attention.kv_lora_rank", uint32(latentKV)},
		Key{"attention.key_length_mla", uint32(latentNope + latentRope)}, Key{"attention.value_length_mla", uint32(latentNope)}).with(keys...)
}

// sigmoids has experts scored by sigmoids, chosen with a bias, from groups of which some are chosen
// first.
func (s Size) sigmoids(groups, used int, scale float32) Size {
	s.Optional = append(s.Optional, "blk.*.exp_probs_b.bias")
	return s.with(Key{"expert_gating_func", uint32(2)}, Key{"expert_weights_norm", true}, Key{"expert_weights_scale", scale},
		Key{"expert_group_count", uint32(groups)}, Key{"expert_group_used_count", uint32(used)})
}
