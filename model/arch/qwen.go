package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var qwenSheet = Sheet{
	Name:  "qwen",
	Build: newQwen,
	Folders: []hf.Family{{
		Names: []string{"QWenLMHeadModel", "qwen"},
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.CopyFloat("attention.layer_norm_rms_epsilon", "layer_norm_epsilon")
			m.Drop("attention.layer_norm_epsilon")
		},
		Tensors: hf.Merge(gptNames, map[string]string{"mlp.w1": "ffn_up", "mlp.w2": "ffn_gate", "mlp.c_proj": "ffn_down"}),
	}},
}

// newQwen makes the first Qwen, whose file gives the inner width of the feed-forward block twice
// over. Bai et al. 2023, arXiv:2309.16609.
func newQwen(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			ffn:      b.FFNOf(nn.SiLU, c.NFF/2),
		}
	})
	return m, w.Err()
}
