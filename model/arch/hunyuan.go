package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var hunyuanDenseSheet = Sheet{
	Name:  "hunyuan-dense",
	Build: newHunyuan,
	Folders: []hf.Family{{
		Names: []string{"HunYuanDenseV1ForCausalLM", "hunyuan_v1_dense"}, Keys: func(m *hf.Meta) { m.RopeAlpha(50) }, Tensors: hunyuanNames,
	}},
}

var hunyuanMoeSheet = Sheet{
	Name:  "hunyuan-moe",
	Build: newHunyuan,
	Folders: []hf.Family{{
		Names: []string{"HunYuanMoEV1ForCausalLM", "hunyuan_v1_moe"}, Tensors: hf.Merge(sharedExperts, hunyuanNames, map[string]string{"mlp.gate.wg": "ffn_gate_inp"}),
		Keys: func(m *hf.Meta) {
			m.RopeAlpha(1000)
			m.CopyInt("expert_shared_feed_forward_length", "intermediate_size")
			if n, ok := m.SameInt("num_shared_expert"); ok {
				m.Put("expert_shared_feed_forward_length", uint32(n*m.Or(0, "intermediate_size")))
			}
		},
	}},
}

// newHunyuan makes Hunyuan, dense or of experts with a shared one: heads are normed after they were
// rotated. Sun et al. 2024, arXiv:2411.02265.
func newHunyuan(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		l := block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(b.QKNorm(nn.AttnBlock{Rope: rope, Attn: attn, NormLast: true})),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
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

// hunyuanNames are the norms of heads in Hunyuan.
var hunyuanNames = map[string]string{"self_attn.query_layernorm": "attn_q_norm", "self_attn.key_layernorm": "attn_k_norm"}
