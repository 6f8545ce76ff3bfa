package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var olmoSheet = Sheet{
	Name:  "olmo",
	Build: newOLMo,
	Folders: []hf.Family{{
		// its norms have no weights, and their epsilon is no key
		Names: []string{"OlmoForCausalLM", "olmo"}, Ops: permuteQK,
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.Put("attention.layer_norm_epsilon", float32(1e-5))
			m.CopyFloat("attention.clamp_kqv", "clip_qkv")
		},
	}},
}

// newOLMo makes the first OLMo: LayerNorms without weights, and bounded queries, keys and values.
// Groeneveld et al. 2024, arXiv:2402.00838.
func newOLMo(w *model.Weights) (model.Model, error) {
	c := w.Config()
	plain := func(w *model.Weights, name string, n int) *nn.Norm { return w.PlainNorm(name, n, true) }
	rope, attn := w.Rope(model.RopeInterleaved), w.Attention()
	m := newDecoder(w, plain, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: plain(b, "attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  plain(b, "ffn_norm", c.NEmbd),
			ffn:      b.FFN(nn.SiLU),
		}
	})
	return m, w.Err()
}
