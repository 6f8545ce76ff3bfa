package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var bailingmoe2Sheet = Sheet{
	Name:  "bailingmoe2",
	Build: newBailing2,
	Folders: []hf.Family{{
		Names: []string{"BailingMoeV2ForCausalLM", "bailing_moe_v2"},
		Tensors: hf.Merge(sharedExperts, expertBias, map[string]string{
			"attention.query_key_value": "attn_qkv", "attention.dense": "attn_output", "attention.query_layernorm": "attn_q_norm", "attention.key_layernorm": "attn_k_norm",
		}),
		Keys: func(m *hf.Meta) {
			m.Rope(0.5)
			m.Routing()
			m.CopyInt("expert_shared_feed_forward_length", "moe_shared_expert_intermediate_size")
		},
	}},
}

var dots1Sheet = Sheet{
	Name:  "dots1",
	Build: newBailing2,
	Folders: []hf.Family{{
		Names: []string{"Dots1ForCausalLM", "dots1"}, Tensors: hf.Merge(sharedExperts, expertBias),
		Keys: func(m *hf.Meta) { m.Rope(1); m.Routing() },
	}},
}

// newBailing2 makes Ling and Ring v2, and dots.llm1, which has no groups: normed heads, and experts
// in groups, scored by sigmoids, after some dense layers. Ling Team 2025, arXiv:2510.22115; Huo et
// al. 2025, arXiv:2506.05767.
func newBailing2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	w.IgnoreNext()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		l := block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(b.QKNorm(nn.AttnBlock{Rope: rope, Attn: attn})),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
		}
		if c.HasExperts(i) {
			l.moe = b.MoE(nn.MoEConfig{Score: b.Scoring(nn.ScoreSigmoid), GroupTopK: 2, Renormalise: c.ExpertNorm})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	return m, w.Err()
}
