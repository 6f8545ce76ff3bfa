package arch

import (
	"math"

	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var gemmaSheet = Sheet{
	Name:  "gemma",
	Build: newGemma,
	Folders: []hf.Family{{
		Names: []string{"GemmaForCausalLM", "gemma"}, Activation: "gelu", Keys: ropeOnly, Ops: addOneToNorms, Tensors: map[string]string{"lm_head": ""},
	}},
	Sizes: []Size{
		decoderSize{ctx: 8192, embd: 2048, layers: 18, ff: 16384, heads: 8, headsKV: 1, dim: 256, base: 1e4, eps: 1e-6}.size("gemma-2b", "Gemma 2B", spm(256000)),
		decoderSize{ctx: 8192, embd: 3072, layers: 28, ff: 24576, heads: 16, headsKV: 16, dim: 256, base: 1e4, eps: 1e-6}.size("gemma-7b", "Gemma 7B", spm(256000)),
	},
}

// newGemma makes Gemma 1: embeddings grow by the root of their length, and gates go through GELU.
// Its norms' weights have one added in the file. Gemma Team 2024, arXiv:2403.08295.
func newGemma(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			ffn:      b.FFN(nn.GELU),
		}
	})
	m.embdScale = gemmaScale(c)
	return m, w.Err()
}

// gemmaScale multiplies embeddings.
func gemmaScale(c model.Config) float32 { return float32(math.Sqrt(float64(c.NEmbd))) }
