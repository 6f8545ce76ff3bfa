package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var gptOssSheet = Sheet{
	Name:  "gpt-oss",
	Build: newGPTOSS,
	Folders: []hf.Family{{
		Names: []string{"GptOssForCausalLM", "gpt_oss"},
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.AlternatingWindow(2)
			m.CopyInt("expert_feed_forward_length", "intermediate_size")
		},
		Tensors: map[string]string{
			"post_attention_layernorm": "post_attention_norm", "mlp.router": "ffn_gate_inp", "self_attn.sinks": "attn_sinks",
			"mlp.experts.gate_up_proj": "gate_up_exps_turned_woven", "mlp.experts.gate_up_proj_blocks": "gate_up_exps_woven", "mlp.experts.gate_up_proj_bias": "gate_up_exps_woven.bias",
			"mlp.experts.down_proj": "down_exps_turned", "mlp.experts.down_proj_blocks": "ffn_down_exps", "mlp.experts.down_proj_bias": "ffn_down_exps.bias",
		},
	}},
	Sizes: []Size{
		gptOSSSize("gpt-oss-small", "gpt-oss with fewer layers and experts, a size that fits in memory; not a published model", decoderSize{layers: 8, experts: 8, used: 4}),
		gptOSSSize("gpt-oss-20b", "gpt-oss 20B", decoderSize{layers: 24, experts: 32, used: 4}),
		gptOSSSize("gpt-oss-120b", "gpt-oss 120B", decoderSize{layers: 36, experts: 128, used: 4}),
	},
}

// newGPTOSS makes gpt-oss: every second layer sees a window, each head has a sink that takes up
// attention, and the experts have biases and a bounded activation. OpenAI 2025, arXiv:2508.10925.
func newGPTOSS(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope := w.Rope(model.RopeNeoX)
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		a := nn.AttentionConfig{Sinks: b.Sinks()}
		if c.IsSWA(i, 2) {
			a.Window = c.Window
		}
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: b.AttentionOf(a)}),
			ffnNorm:  b.Norm("post_attention_norm", c.NEmbd),
			moe:      b.MoE(nn.MoEConfig{Act: nn.ClampedSwiGLU, Score: nn.ScoreSoftmaxWeight}),
		}
	})
	return m, w.Err()
}

// gptOSSSize has biases everywhere, and a sink in each head.
func gptOSSSize(name, about string, d decoderSize) Size {
	d.ctx, d.embd, d.ff, d.ffExpert, d.heads, d.headsKV, d.dim, d.base, d.window, d.untied = 131072, 2880, 2880, 2880, 64, 8, 64, 1.5e5, 128, true
	return d.size(name, about, bpe("gpt-4o", 201088),
		"blk.*.attn_q.bias", "blk.*.attn_k.bias", "blk.*.attn_v.bias", "blk.*.attn_output.bias", "blk.*.attn_sinks.weight",
		"blk.*.ffn_gate_inp.bias", "blk.*.ffn_gate_exps.bias", "blk.*.ffn_up_exps.bias", "blk.*.ffn_down_exps.bias")
}
