package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var refactSheet = Sheet{
	Name:  "refact",
	Build: newRefact,
}

// newRefact makes Refact: Llama with ALiBi in place of RoPE, and one head of keys and values for
// all. Small Magellanic Cloud AI 2023, https://huggingface.co/smallcloudai/Refact-1_6B-fim.
func newRefact(w *model.Weights) (model.Model, error) {
	c := w.Config()
	attn := w.AttentionOf(nn.AttentionConfig{Slopes: alibi(c, usualALiBi)})
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			ffn:      b.FFN(nn.SiLU),
		}
	})
	return m, w.Err()
}
