package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var cohere2Sheet = Sheet{
	Name:  "cohere2",
	Build: newCohere2,
	Folders: []hf.Family{{
		Names: []string{"Cohere2ForCausalLM", "cohere2"},
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.Put("rope.scaling.type", "none")
			m.AlternatingWindow(4)
			m.CopyFloat("logit_scale", "logit_scale")
		},
	}},
}

// newCohere2 makes Command R7B and Command A: as Command-R, but of four layers three see a window
// and rotate by position, and the fourth sees all and has no positions. Cohere 2025,
// arXiv:2504.00698.
func newCohere2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, full, local := w.Rope(model.RopeInterleaved), w.Attention(), w.AttentionOf(nn.AttentionConfig{Window: c.Window})
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, i int) block {
		h := nn.AttnBlock{Attn: full}
		if c.IsSWA(i, 4) {
			h = nn.AttnBlock{Rope: rope, Attn: local}
		}
		return block{attnNorm: b.LayerNorm("attn_norm", c.NEmbd), attn: b.AttnHeads(h), ffn: b.FFN(nn.SiLU)}
	})
	m.logitScale = c.LogitScale
	return parallel{m}, w.Err()
}
