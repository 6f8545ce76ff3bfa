package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var ernie45Sheet = Sheet{
	Name:  "ernie4_5",
	Build: newERNIE,
	Folders: []hf.Family{{
		Names: []string{"Ernie4_5_ForCausalLM", "Ernie4_5ForCausalLM", "ernie4_5"}, Keys: ropeOnly,
		Tensors: map[string]string{"self_attn.qkv_proj": "qkv", "mlp.up_gate_proj": "gate_up"},
	}},
}

var ernie45MoeSheet = Sheet{
	Name:  "ernie4_5-moe",
	Build: newERNIE,
	Folders: []hf.Family{{
		Names: []string{"Ernie4_5_MoeForCausalLM", "Ernie4_5_MoEForCausalLM", "ernie4_5_moe"}, Tensors: hf.Merge(sharedExperts, expertBias),
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.Routing()
			m.Put("expert_shared_feed_forward_length", uint32(m.Or(0, "moe_num_shared_experts")*m.Or(0, "moe_intermediate_size")))
			m.CopyInt("interleave_moe_layer_step", "moe_layer_interval")
			m.CopyInt("leading_dense_block_count", "moe_layer_start_index")
		},
	}},
}

// newERNIE makes ERNIE 4.5, dense or of experts after some dense layers. Baidu 2025,
// https://yiyan.baidu.com/blog/publication/ERNIE_Technical_Report.pdf.
func newERNIE(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeInterleaved), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		l := block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
		}
		if c.HasExperts(i) {
			l.moe = b.MoE(nn.MoEConfig{Renormalise: true})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	return m, w.Err()
}
