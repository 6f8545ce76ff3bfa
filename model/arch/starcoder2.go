package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var codeshellSheet = Sheet{
	Name:  "codeshell",
	Build: newStarCoder2,
	Folders: []hf.Family{{
		Names: []string{"CodeShellForCausalLM", "codeshell"}, Activation: "gelu", Tensors: gptNames,
		Keys: func(m *hf.Meta) {
			ffn4x(m)
			m.Rope(1)
			m.NHeadKV = m.Or(m.NHead, "num_query_groups")
			m.Put("attention.head_count_kv", uint32(m.NHeadKV))
		},
	}},
}

var starcoder2Sheet = Sheet{
	Name:  "starcoder2",
	Build: newStarCoder2,
	Folders: []hf.Family{{
		Names: []string{"Starcoder2ForCausalLM", "starcoder2"}, Activation: "gelu", Keys: ropeOnly,
		Tensors: map[string]string{"mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"},
	}},
}

// newStarCoder2 makes StarCoder 2 and CodeShell: LayerNorms, biases and GELU as in GPT-2, with RoPE
// and grouped keys. Lozhkov et al. 2024, arXiv:2402.19173.
func newStarCoder2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.LayerNorm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.LayerNorm("ffn_norm", c.NEmbd),
			ffn:      b.PlainFFN(nn.GELU),
		}
	})
	return m, w.Err()
}
