package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var arceeSheet = Sheet{
	Name:    "arcee",
	Build:   newArcee,
	Folders: []hf.Family{{Names: []string{"ArceeForCausalLM", "arcee"}, Activation: "relu2", Keys: ropeOnly, Ops: permuteQK}},
}

// newArcee makes Arcee's foundation model: Llama with squared ReLU in place of the gated
// activation. Arcee AI 2025; So et al. 2021, arXiv:2109.08668.
func newArcee(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeInterleaved), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			ffn:      b.PlainFFN(nn.SquaredReLU),
		}
	})
	return m, w.Err()
}
