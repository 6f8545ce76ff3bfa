package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var deepseekSheet = Sheet{
	Name:  "deepseek",
	Build: newDeepSeek,
	Folders: []hf.Family{{
		Names: []string{"DeepseekForCausalLM", "deepseek"}, Ops: permuteQK, Tensors: sharedExperts,
		Keys: func(m *hf.Meta) { m.Rope(1); m.Put("rope.scaling.type", "none"); m.Routing() },
	}},
	Sizes: []Size{
		decoderSize{ctx: 4096, embd: 2048, layers: 28, ff: 10944, heads: 16, headsKV: 16, base: 1e4, eps: 1e-6, experts: 64, used: 6, ffExpert: 1408, shared: 2, dense: 1, untied: true}.size("deepseek-moe-16b", "DeepSeekMoE 16B", bpe("deepseek-llm", 102400)),
	},
}

// newDeepSeek makes the first DeepSeek of experts: fine-grained ones, shared ones beside them, and
// dense layers before them. Dai et al. 2024, arXiv:2401.06066.
func newDeepSeek(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeInterleaved), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		l := block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
		}
		if c.HasExperts(i) {
			l.moe = b.MoE(nn.MoEConfig{Renormalise: c.ExpertNorm})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	return m, w.Err()
}
