package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var exaoneSheet = Sheet{
	Name:  "exaone",
	Build: newQwen2,
	Folders: []hf.Family{{
		Names: []string{"ExaoneForCausalLM", "exaone"},
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			m.CopyFloat("attention.layer_norm_rms_epsilon", "layer_norm_epsilon")
			m.Drop("attention.layer_norm_epsilon")
		},
		Tensors: map[string]string{
			"ln_1": "attn_norm", "ln_2": "ffn_norm",
			"attn.attention.q_proj": "attn_q", "attn.attention.k_proj": "attn_k", "attn.attention.v_proj": "attn_v", "attn.attention.out_proj": "attn_output",
			"mlp.c_fc_0": "ffn_gate", "mlp.c_fc_1": "ffn_up", "mlp.c_proj": "ffn_down",
		},
	}},
}

var qwen2Sheet = Sheet{
	Name:    "qwen2",
	Build:   newQwen2,
	Folders: []hf.Family{{Names: []string{"Qwen2ForCausalLM", "qwen2"}, Keys: ropeOnly}},
	Sizes: []Size{
		qwen2Size("qwen2.5-0.5b", "Qwen2.5 0.5B", bpe("qwen2", 151936), decoderSize{ctx: 32768, embd: 896, layers: 24, ff: 4864, heads: 14, headsKV: 2}),
		qwen2Size("qwen2.5-1.5b", "Qwen2.5 1.5B", bpe("qwen2", 151936), decoderSize{ctx: 32768, embd: 1536, layers: 28, ff: 8960, heads: 12, headsKV: 2}),
		qwen2Size("qwen2.5-3b", "Qwen2.5 3B", bpe("qwen2", 151936), decoderSize{ctx: 32768, embd: 2048, layers: 36, ff: 11008, heads: 16, headsKV: 2}),
		qwen2Size("qwen2.5-7b", "Qwen2.5 7B", bpe("qwen2", 152064), decoderSize{ctx: 32768, embd: 3584, layers: 28, ff: 18944, heads: 28, headsKV: 4, untied: true}),
		qwen2Size("qwen2.5-14b", "Qwen2.5 14B", bpe("qwen2", 152064), decoderSize{ctx: 32768, embd: 5120, layers: 48, ff: 13824, heads: 40, headsKV: 8, untied: true}),
		qwen2Size("qwen2.5-32b", "Qwen2.5 32B", bpe("qwen2", 152064), decoderSize{ctx: 32768, embd: 5120, layers: 64, ff: 27648, heads: 40, headsKV: 8, untied: true}),
		qwen2Size("qwen2.5-72b", "Qwen2.5 72B", bpe("qwen2", 152064), decoderSize{ctx: 32768, embd: 8192, layers: 80, ff: 29568, heads: 64, headsKV: 8, untied: true}),
	},
}

var qwen2vlSheet = Sheet{
	Name:  "qwen2vl",
	Build: newQwen2,
	Folders: []hf.Family{{
		Names: []string{"Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration", "qwen2_vl", "qwen2_5_vl"},
		Keys:  func(m *hf.Meta) { m.Rope(1); m.RopeSections() },
	}},
}

// newQwen2 makes Qwen2 and Qwen2.5: Llama with biases of queries, keys and values, which every
// matrix takes if the file has them. Yang et al. 2024, arXiv:2407.10671. For text, the position
// sections of Qwen2-VL (Wang et al. 2024, arXiv:2409.12191) all say the same.
func newQwen2(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeNeoX), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		return block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
			ffn:      b.FFN(nn.SiLU),
		}
	})
	return m, w.Err()
}

// qwen2Size is Qwen2.5: Llama with biases of queries, keys and values.
func qwen2Size(name, about string, v Vocab, d decoderSize) Size {
	d.eps, d.base = 1e-6, 1e6
	return d.size(name, about, v, "blk.*.attn_q.bias", "blk.*.attn_k.bias", "blk.*.attn_v.bias")
}
