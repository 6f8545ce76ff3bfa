package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var exaoneSheet = Sheet{
	Name:  "exaone",
	Build: newQwen2,
	Folders: []hf.Family{{
		Names: []string{"ExaoneForCausalLM", "exaone"},
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.CopyFloat("attention.layer_norm_rms_epsilon", "layer_norm_epsilon")
			m.Drop("attention.layer_norm_epsilon")
		},
		Tensors: map[string]string{
			"ln_1": "attn_norm", "ln_2": "ffn_norm",
			"attn.attention.q_proj": "attn_q", "attn.attention.k_proj": "attn_k", "attn.attention.v_proj": "attn_v", "attn.attention.out_proj": "attn_output",
			"mlp.c_fc_0": "ffn_gate", "mlp.c_fc_1": "ffn_up", "mlp.c_proj": "ffn_down",
		},
	}},
}

var qwen2Sheet = Sheet{
	Name:    "qwen2",
	Build:   newQwen2,
	Folders: []hf.Family{{Names: []string{"Qwen2ForCausalLM", "qwen2"}, Keys: ropeOnly}},
}

var qwen2vlSheet = Sheet{
	Name:  "qwen2vl",
	Build: newQwen2,
	Folders: []hf.Family{{
		Names: []string{"Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration", "qwen2_vl", "qwen2_5_vl"},
		Keys:  func(m *hf.Meta) { m.Rope(1); m.RopeSections() },
	}},
}

// newQwen2 makes Qwen2 and Qwen2.5: Llama with biases of queries, keys and values, which every
// matrix takes if the file has them. Yang et al. 2024, arXiv:2407.10671. For text, the position
// sections of Qwen2-VL (Wang et al. 2024, arXiv:2409.12191) all say the same.
func newQwen2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			ffn:      b.FFN(nn.SiLU),
		}
	})
	return m, w.Err()
}
