package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var qwen35Sheet = Sheet{
	Name:  "qwen35",
	Build: newQwen35,
	Folders: []hf.Family{{
		Names: []string{"Qwen3_5ForCausalLM", "Qwen3_5ForConditionalGeneration", "qwen3_5_text", "qwen3_5"}, Keys: qwen35, Tensors: qwen35Names, Ops: qwen35Ops,
	}},
}

var qwen35moeSheet = Sheet{
	Name:  "qwen35moe",
	Build: newQwen35,
	Folders: []hf.Family{{
		Names:   []string{"Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration", "qwen3_5_moe_text", "qwen3_5_moe"},
		Tensors: hf.Merge(qwen35Names, sharedExperts, fusedExperts), Ops: qwen35Ops,
		Keys: func(m *hf.Meta) {
			qwen35(m)
			m.CopyInt("expert_shared_feed_forward_length", "shared_expert_intermediate_size")
			m.RequireRenormalised(true)
			m.RequireAllExperts()
		},
	}},
}

var qwen3nextSheet = Sheet{
	Name:  "qwen3next",
	Build: newQwen3Next,
	Folders: []hf.Family{{
		Names: []string{"Qwen3NextForCausalLM", "qwen3_next"}, Ops: hf.Merge(addOneToNorms, recurrentOps),
		Tensors: hf.Merge(sharedExperts, fusedExperts, map[string]string{
			"post_attention_layernorm": "post_attention_norm", "linear_attn.in_proj_qkvz": "qkvz", "linear_attn.in_proj_ba": "ssm_ba", "linear_attn.conv1d": "ssm_conv1d",
			"linear_attn.A_log": "ssm_a.", "linear_attn.dt_bias": "ssm_dt.bias", "linear_attn.norm": "ssm_norm", "linear_attn.out_proj": "ssm_out",
		}),
		Keys: func(m *hf.Meta) {
			m.Rope(0.25)
			m.CopyInt("expert_shared_feed_forward_length", "shared_expert_intermediate_size")
			m.RequireRenormalised(true)
			m.RequireAllExperts()
			m.DeltaNet()
		},
	}},
}

// newQwen3Next makes Qwen3-Next and Qwen3.5: of four layers three are gated delta nets, and the
// last is attention whose result is gated and whose heads are normed; dense, or of experts with a
// gated shared one. Qwen Team 2025, https://qwenlm.github.io/blog/qwen3_next. For text, its
// position sections all say the same.
func newQwen3Next(w *model.Weights) (model.Model, error) { return qwen3NextOf(w, false) }

// newQwen35 makes Qwen3.5, in whose files the value heads of delta nets are interleaved by key
// head.
func newQwen35(w *model.Weights) (model.Model, error) { return qwen3NextOf(w, true) }

func qwen3NextOf(w *model.Weights, interleaved bool) (model.Model, error) {
	c := w.Config()
	w.IgnoreNext()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		l := block{attnNorm: b.Norm("attn_norm", c.NEmbd), ffnNorm: b.Norm("post_attention_norm", c.NEmbd)}
		if c.IsRecurrent(i) || c.RecurrentLayers == nil && i%4 != 3 {
			l.recurrent = b.DeltaNet(interleaved)
		} else {
			l.attn = b.AttnHeads(b.QKNorm(nn.AttnBlock{Rope: rope, Attn: attn, GateInQ: true}))
		}
		if c.NExpert > 0 {
			l.moe = b.MoE(nn.MoEConfig{Renormalise: true})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	return m, w.Err()
}

// qwen35 is the keys of Qwen3.5's delta nets and RoPE.
func qwen35(m *hf.Meta) {
	m.Rope(0.25)
	m.Put("rope.dimension_sections", []int32{11, 11, 10, 0})
	m.RopeSections()
	m.DeltaNet()
}

// qwen35Names are those of Qwen3.5's delta nets.
var qwen35Names = map[string]string{
	"post_attention_layernorm": "post_attention_norm", "linear_attn.in_proj_qkv": "attn_qkv", "linear_attn.in_proj_z": "attn_gate", "linear_attn.in_proj_b": "ssm_beta",
	"linear_attn.in_proj_a": "ssm_alpha", "linear_attn.conv1d": "ssm_conv1d", "linear_attn.A_log": "ssm_a.", "linear_attn.dt_bias": "ssm_dt.bias", "linear_attn.norm": "ssm_norm",
	"linear_attn.out_proj": "ssm_out",
}

// qwen35Ops bring the heads of values of Qwen3.5's delta nets from the order of checkpoints, by the
// head of keys that they share, into that of GGUF, in which heads of keys alternate.
var qwen35Ops = hf.Merge(addOneToNorms, map[string]hf.Op{
	"attn_qkv": hf.InterleaveHeads(true, true), "attn_gate": hf.InterleaveHeads(false, true), "ssm_beta": hf.InterleaveHeads(false, false), "ssm_alpha": hf.InterleaveHeads(false, false), "ssm_dt": hf.InterleaveHeads(false, false),
	"ssm_a": hf.Then(hf.NegExp, hf.InterleaveHeads(false, false)), "ssm_conv1d": hf.Then(hf.ConvKernel, hf.InterleaveHeads(true, true)), "ssm_out": hf.InterleaveColumns,
})
