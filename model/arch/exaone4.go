package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var exaone4Sheet = Sheet{
	Name:  "exaone4",
	Build: newEXAONE4,
	Folders: []hf.Family{{
		Names: []string{"Exaone4ForCausalLM", "exaone4"}, Tensors: postNorms,
		Keys: func(m *hf.Meta) { m.Rope(1); m.Window() },
	}},
}

// newEXAONE4 makes EXAONE 4.0: norms stand after the blocks alone, heads are normed, and in the
// model of 64 layers, and in no other, three of four layers see a window and the others have no
// positions. LG AI Research 2025, arXiv:2507.11407.
func newEXAONE4(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, full, local := w.Rope(model.RopeNeoX), w.Attention(), w.AttentionOf(nn.AttentionConfig{Window: c.Window})
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		h := nn.AttnBlock{Rope: rope, Attn: full}
		switch {
		case c.Window == 0 || c.NLayer != 64:
		case c.IsSWA(i, 4):
			h.Attn = local
		default:
			h.Rope = nil
		}
		return block{
			attn:         b.AttnHeads(b.QKNorm(h)),
			attnPostNorm: b.Norm("post_attention_norm", c.NEmbd),
			ffn:          b.FFN(nn.SiLU),
			ffnPostNorm:  b.Norm("post_ffw_norm", c.NEmbd),
		}
	})
	return m, w.Err()
}
