package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var phi3Sheet = Sheet{
	Name:  "phi3",
	Build: newPhi3,
	Folders: []hf.Family{{
		Names: []string{"Phi3ForCausalLM", "phi3"}, Keys: phi3, Tensors: gateUpNames,
	}},
	Sizes: []Size{
		phi3Size("phi-3-mini", "Phi-3 mini, 4K", spm(32064), decoderSize{ctx: 4096, embd: 3072, layers: 32, ff: 8192, heads: 32, headsKV: 32, window: 2047, untied: true}),
		phi3Size("phi-3-medium", "Phi-3 medium, 4K", spm(32064), decoderSize{ctx: 4096, embd: 5120, layers: 40, ff: 17920, heads: 40, headsKV: 10, window: 2047, untied: true}),
		phi3Size("phi-4", "Phi-4", bpe("dbrx", 100352), decoderSize{ctx: 16384, embd: 5120, layers: 40, ff: 17920, heads: 40, headsKV: 10, untied: true}),
		phi3Size("phi-4-mini", "Phi-4 mini", bpe("gpt-4o", 200064), decoderSize{ctx: 131072, embd: 3072, layers: 32, ff: 8192, heads: 24, headsKV: 8, rot: 96}),
	},
}

// newPhi3 makes Phi-3, Phi-3.5 and Phi-4: queries, keys and values in one matrix, gate and up in
// another, and frequencies of RoPE for short and for long contexts. Abdin et al. 2024,
// arXiv:2404.14219; LongRoPE: Ding et al. 2024, arXiv:2402.13753. Their files may have a sliding
// window, which the models were run without as often as with; it is left out here as in llama.cpp.
func newPhi3(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			ffn:      b.FusedFFN(nn.SiLU),
		}
	})
	return m, w.Err()
}

// phi3 is the keys of Phi-3 to Phi-4.
func phi3(m *hf.Meta) {
	m.Rope(1)
	m.Window()
	m.CopyInt("rope.scaling.original_context_length", "original_max_position_embeddings")
}

// phi3Size has queries, keys and values in one matrix.
func phi3Size(name, about string, v Vocab, d decoderSize) Size {
	d.base = 1e4
	return d.size(name, about, v, "blk.*.attn_qkv.weight")
}
