package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var smollm3Sheet = Sheet{
	Name:    "smollm3",
	Build:   newSmolLM3,
	Folders: []hf.Family{{Names: []string{"SmolLM3ForCausalLM", "smollm3"}, Keys: func(m *hf.Meta) { m.Rope(1); requireEveryFourthWithoutRope(m) }, Ops: permuteQK}},
	Sizes: []Size{
		decoderSize{ctx: 65536, embd: 2048, layers: 36, ff: 11008, heads: 16, headsKV: 4, base: 5e6, eps: 1e-6}.size("smollm3-3b", "SmolLM3 3B", bpe("smaug-bpe", 128256)),
	},
}

// newSmolLM3 makes SmolLM3: Llama, every fourth layer of which has no positions (Yang et al. 2025,
// arXiv:2501.18795). Hugging Face 2025.
func newSmolLM3(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeInterleaved), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, i int) block {
		h := nn.AttnBlock{Rope: rope, Attn: attn}
		if i%4 == 3 {
			h.Rope = nil
		}
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(h),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			ffn:      b.FFN(nn.SiLU),
		}
	})
	return m, w.Err()
}

// requireEveryFourthWithoutRope checks that RoPE leaves out every fourth layer and no other, as the
// graph does.
func requireEveryFourthWithoutRope(m *hf.Meta) {
	xs, ok := m.Floats("no_rope_layers") // 1 where there is RoPE
	if !ok {
		return
	}
	for i, x := range xs {
		if (x != 0) != (i%4 != 3) {
			m.Fail("key %q: want every fourth layer without RoPE, found %v for layer %d: %w",
				"no_rope_layers", x, i, model.ErrUnsupported)
			return
		}
	}
}
