package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var orionSheet = Sheet{
	Name:  "orion",
	Build: newOrion,
	Folders: []hf.Family{{
		Names: []string{"OrionForCausalLM", "orion"},
		Keys: func(m *hf.Meta) { // its norms are LayerNorms, whatever the key is called
			m.Rope(1)
			m.CopyFloat("attention.layer_norm_epsilon", "rms_norm_eps")
			m.Drop("attention.layer_norm_rms_epsilon")
		},
	}},
}

// newOrion makes Orion: Llama with LayerNorms in place of root-mean-square norms, and half-split
// RoPE. Chen et al. 2024, arXiv:2401.12246.
func newOrion(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.LayerNorm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.LayerNorm("ffn_norm", c.NEmbd),
			ffn:      b.FFN(nn.SiLU),
		}
	})
	return m, w.Err()
}
