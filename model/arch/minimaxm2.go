package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var minimaxM2Sheet = Sheet{
	Name:  "minimax-m2",
	Build: newMiniMaxM2,
	Folders: []hf.Family{{
		Names: []string{"MiniMaxM2ForCausalLM", "minimax_m2"}, Tensors: expertBias,
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.CopyInt("rope.dimension_count", "rotary_dim")
			m.CopyInt("expert_feed_forward_length", "intermediate_size")
		},
	}},
}

// newMiniMaxM2 makes MiniMax-M2: queries and keys are normed as whole rows, RoPE rotates a part of
// each head, and experts are scored by sigmoids. MiniMax 2025,
// https://huggingface.co/MiniMaxAI/MiniMax-M2.
func newMiniMaxM2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(b.QKRowNorm(nn.AttnBlock{Rope: rope, Attn: attn})),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			moe:      b.MoE(nn.MoEConfig{Score: b.Scoring(nn.ScoreSigmoid), Renormalise: true}),
		}
	})
	return m, w.Err()
}
