package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var llama4Sheet = Sheet{
	Name:  "llama4",
	Build: newLlama4,
	Folders: []hf.Family{{
		Names: []string{"Llama4ForConditionalGeneration", "Llama4ForCausalLM", "llama4_text"},
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.CopyInt("feed_forward_length", "intermediate_size_mlp")
			m.CopyInt("expert_feed_forward_length", "intermediate_size")
			m.CopyInt("interleave_moe_layer_step", "interleave_moe_layer_step")
		},
		Tensors: map[string]string{
			"feed_forward.gate_proj": "ffn_gate", "feed_forward.up_proj": "ffn_up", "feed_forward.down_proj": "ffn_down", "feed_forward.router": "ffn_gate_inp",
			"feed_forward.experts.gate_up_proj": "gate_up_exps_turned", "feed_forward.experts.down_proj": "down_exps_turned",
			"feed_forward.shared_expert.gate_proj": "ffn_gate_shexp", "feed_forward.shared_expert.up_proj": "ffn_up_shexp", "feed_forward.shared_expert.down_proj": "ffn_down_shexp",
		},
	}},
}

// newLlama4 makes Llama 4: every so many layers have experts, of which a token has few, weighted by
// sigmoids at their input, and a shared one. Every fourth layer sees all positions and has none of
// its own; the others see the chunk of 8192 that a position is in, are rotated, and norm their
// heads after that. Meta 2025, https://ai.meta.com/blog/llama-4-multimodal-intelligence/.
func newLlama4(w *model.Weights) (model.Model, error) {
	c := w.Config()
	const chunk, floor, growth = 8192, 8192, 0.1
	rope := w.Rope(model.RopeInterleaved)
	local := w.AttentionOf(nn.AttentionConfig{Chunk: chunk})
	full := w.AttentionOf(nn.AttentionConfig{Temperature: nn.AttnTemperature{Scale: growth, Length: floor, Shift: 1}})
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		h := nn.AttnBlock{Rope: rope, Attn: local, NormLast: true}
		if i%4 == 3 {
			h = nn.AttnBlock{Attn: full}
		} else if c.NLayer != 48 || c.NExpert != 128 { // Maverick norms no heads
			h.QNorm, h.KNorm = b.PlainNorm("attn_q_norm", c.HeadDim, false), b.PlainNorm("attn_k_norm", c.HeadDim, false)
		}
		l := block{attnNorm: b.Norm("attn_norm", c.NEmbd), attn: b.AttnHeads(h), ffnNorm: b.Norm("ffn_norm", c.NEmbd)}
		if c.HasExperts(i) {
			l.moe = b.MoE(nn.MoEConfig{Score: nn.ScoreSigmoid, WeightBeforeFFN: true})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	return m, w.Err()
}
