package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var nemotronSheet = Sheet{
	Name:  "nemotron",
	Build: newNemotron,
	Folders: []hf.Family{{
		Names: []string{"NemotronForCausalLM", "nemotron"}, Activation: "relu2", Keys: func(m *hf.Meta) {
			m.Rope(0.5)
			m.CopyFloat("attention.layer_norm_epsilon", "norm_eps", "layer_norm_eps")
			m.Drop("attention.layer_norm_rms_epsilon")
		},
		Ops: addOneToNorms,
	}},
}

// newNemotron makes Nemotron-4 and Minitron: LayerNorms, RoPE on a part of each head, squared ReLU
// without a gate. Parmar et al. 2024, arXiv:2402.16819.
func newNemotron(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.LayerNorm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.LayerNorm("ffn_norm", c.NEmbd),
			ffn:      b.PlainFFN(nn.SquaredReLU),
		}
	})
	return m, w.Err()
}
