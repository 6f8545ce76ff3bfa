package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var gpt2Sheet = Sheet{
	Name:  "gpt2",
	Build: newGPT2,
	Folders: []hf.Family{{
		Names: []string{"GPT2LMHeadModel", "gpt2"}, Activation: "gelu", Tensors: gptNames, Keys: ffn4x,
		// [in][out] there
		Ops: map[string]hf.Op{"attn_qkv": hf.Transpose, "attn_output": hf.Transpose, "ffn_up": hf.Transpose, "ffn_down": hf.Transpose},
	}},
	Sizes: []Size{
		gpt2Size("gpt2", "GPT-2", decoderSize{embd: 768, layers: 12, heads: 12}),
		gpt2Size("gpt2-medium", "GPT-2 medium", decoderSize{embd: 1024, layers: 24, heads: 16}),
		gpt2Size("gpt2-large", "GPT-2 large", decoderSize{embd: 1280, layers: 36, heads: 20}),
		gpt2Size("gpt2-xl", "GPT-2 XL", decoderSize{embd: 1600, layers: 48, heads: 25}),
	},
}

var starcoderSheet = Sheet{
	Name:  "starcoder",
	Build: newGPT2,
	Folders: []hf.Family{{
		Names: []string{"GPTBigCodeForCausalLM", "gpt_bigcode"}, Activation: "gelu", Tensors: gptNames,
		Keys: func(m *hf.Meta) {
			ffn4x(m)
			if m.NHeadKV = 1; !m.Flag(true, "multi_query") {
				m.Fail("key %q: want true, found false: %w", "multi_query", model.ErrUnsupported)
			}
			m.Put("attention.head_count_kv", uint32(1))
		},
	}},
}

// newGPT2 makes GPT-2 and StarCoder, which has one head of keys for all: learnt positions instead
// of RoPE, LayerNorms, biases, GELU. Radford et al. 2019; Li et al. 2023, arXiv:2305.06161.
func newGPT2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	attn := w.Attention()
	m := newDecoder(w, (*model.Weights).LayerNorm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.LayerNorm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Attn: attn}),
			ffnNorm:  b.LayerNorm("ffn_norm", c.NEmbd),
			ffn:      b.PlainFFN(nn.GELU),
		}
	})
	m.pos = w.Embedding("position_embd", c.NCtx, c.NEmbd)
	return m, w.Err()
}

// gpt2Size has learnt positions, norms with biases, and no gate.
func gpt2Size(name, about string, d decoderSize) Size {
	d.ctx, d.ff, d.headsKV, d.base = 1024, 4*d.embd, d.heads, 1e4
	s := d.size(name, about, bpe("gpt-2", 50257), "output_norm.bias", "blk.*.attn_norm.bias", "blk.*.ffn_norm.bias", "blk.*.attn_qkv.weight", "blk.*.attn_qkv.bias",
		"blk.*.attn_output.bias", "blk.*.ffn_up.bias", "blk.*.ffn_down.bias")
	return s.with(Key{"attention.layer_norm_epsilon", float32(1e-5)})
}
