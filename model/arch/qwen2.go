package arch

import (
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// newQwen2 makes Qwen2 and Qwen2.5: Llama with biases of queries, keys and values, which every matrix takes if the file has them.
// Yang et al. 2024, arXiv:2407.10671. For text, the position sections of Qwen2-VL (Wang et al. 2024, arXiv:2409.12191) all say the same.
func newQwen2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.Heads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			ffn:      b.FFN(nn.SiLU),
		}
	})
	return m, w.Err()
}
