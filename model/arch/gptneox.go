package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var gptneoxSheet = Sheet{
	Name:  "gptneox",
	Build: newGPTNeoX,
	Folders: []hf.Family{{
		Names: []string{"GPTNeoXForCausalLM", "gpt_neox"}, Activation: "gelu", Tensors: bloomNames,
		Keys: func(m *hf.Meta) {
			m.Rope(0.25)
			m.Put("use_parallel_residual", m.Flag(true, "use_parallel_residual"))
		},
	}},
}

// newGPTNeoX makes GPT-NeoX, Pythia and their kin: both blocks read the stream as it enters the
// layer, each by its own norm, or one after the other. Black et al. 2022, arXiv:2204.06745.
func newGPTNeoX(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.LayerNorm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.LayerNorm("ffn_norm", c.NEmbd),
			ffn:      b.PlainFFN(nn.GELU),
		}
	})
	if c.Parallel {
		return parallel{m}, w.Err()
	}
	return m, w.Err()
}
