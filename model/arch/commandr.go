package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var commandRSheet = Sheet{
	Name:  "command-r",
	Build: newCommandR,
	Folders: []hf.Family{{
		Names: []string{"CohereForCausalLM", "cohere"},
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.Put("rope.scaling.type", "none")
			m.CopyInt("context_length", "model_max_length", "max_position_embeddings")
			m.CopyFloat("logit_scale", "logit_scale")
		},
	}},
	Sizes: []Size{
		decoderSize{ctx: 8192, embd: 8192, layers: 40, ff: 22528, heads: 64, headsKV: 64, base: 8e6}.size("command-r", "Command R 35B", bpe("command-r", 256000)).
			with(Key{"attention.layer_norm_epsilon", float32(1e-5)}, Key{"logit_scale", float32(0.0625)}),
	},
}

// newCommandR makes Command-R: both blocks read the same normed stream, and logits are scaled. The
// larger model norms each head by weights of its own. Cohere 2024,
// https://docs.cohere.com/docs/command-r.
func newCommandR(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeInterleaved), w.Attention()
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		h := nn.AttnBlock{Rope: rope, Attn: attn}
		if b.Has("attn_q_norm") {
			h.QNorm, h.KNorm = b.HeadNorm("attn_q_norm", c.NHead, c.HeadDim), b.HeadNorm("attn_k_norm", c.NHeadKV, c.HeadDim)
		}
		return block{attnNorm: b.LayerNorm("attn_norm", c.NEmbd), attn: b.AttnHeads(h), ffn: b.FFN(nn.SiLU)}
	})
	m.logitScale = c.LogitScale
	return parallel{m}, w.Err()
}
