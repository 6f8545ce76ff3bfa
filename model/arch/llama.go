package arch

import (
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

var internlm2Sheet = Sheet{
	Name:  "internlm2",
	Build: newLlama,
	Folders: []hf.Family{{
		Names: []string{"InternLM2ForCausalLM", "internlm2"}, Keys: ropeOnly, Ops: hf.Merge(permuteQK, map[string]hf.Op{"attn_qkv": hf.SplitQKV}),
		Tensors: map[string]string{
			"attention_norm": "attn_norm", "ffn_norm": "ffn_norm", "attention.wqkv": "qkv_by_group", "attention.wo": "attn_output",
			"feed_forward.w1": "ffn_gate", "feed_forward.w3": "ffn_up", "feed_forward.w2": "ffn_down",
		},
	}},
}

var llamaSheet = Sheet{
	Name:  "llama",
	Build: newLlama,
	Folders: []hf.Family{{
		Names: []string{"LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM", "InternLM3ForCausalLM", "llama", "mistral", "mixtral"},
		Keys:  ropeOnly, Ops: permuteQK,
	}},
	Sizes: []Size{
		llamaSize("stories260k", "TinyStories 260K of llama2.c", spm(512), decoderSize{ctx: 512, embd: 64, layers: 5, ff: 172, heads: 8, headsKV: 4, base: 1e4}),
		llamaSize("stories15m", "TinyStories 15M of llama2.c", spm(32000), decoderSize{ctx: 256, embd: 288, layers: 6, ff: 768, heads: 6, headsKV: 6, base: 1e4}),
		llamaSize("tiny-dense", "the built-in dense model", spm(4096), decoderSize{ctx: 512, embd: 256, layers: 6, ff: 768, heads: 8, headsKV: 4, base: 1e4}),
		llamaSize("tiny-moe", "the built-in model with experts", spm(4096),
			decoderSize{ctx: 512, embd: 256, layers: 4, ff: 512, heads: 8, headsKV: 4, base: 1e4, experts: 8, used: 2}),
		llamaSize("mixtral-small", "Mixtral's shape at 2.1 B, a size that fits in memory; not a published model", spm(32000),
			decoderSize{ctx: 32768, embd: 1024, layers: 20, ff: 4096, heads: 16, headsKV: 4, base: 1e6, experts: 8, used: 2, untied: true}),
		llamaSize("smollm2-135m", "SmolLM2 135M", bpe("smollm", 49152), decoderSize{ctx: 8192, embd: 576, layers: 30, ff: 1536, heads: 9, headsKV: 3, base: 1e5}),
		llamaSize("smollm2-360m", "SmolLM2 360M", bpe("smollm", 49152), decoderSize{ctx: 8192, embd: 960, layers: 32, ff: 2560, heads: 15, headsKV: 5, base: 1e5}),
		llamaSize("smollm2-1.7b", "SmolLM2 1.7B", bpe("smollm", 49152), decoderSize{ctx: 8192, embd: 2048, layers: 24, ff: 8192, heads: 32, headsKV: 32, base: 1.3e5}),
		llamaSize("tinyllama-1.1b", "TinyLlama 1.1B", spm(32000), decoderSize{ctx: 2048, embd: 2048, layers: 22, ff: 5632, heads: 32, headsKV: 4, base: 1e4, untied: true}),
		llamaSize("llama-2-7b", "Llama 2 7B", spm(32000), decoderSize{ctx: 4096, embd: 4096, layers: 32, ff: 11008, heads: 32, headsKV: 32, base: 1e4, untied: true}),
		llamaSize("llama-2-13b", "Llama 2 13B", spm(32000), decoderSize{ctx: 4096, embd: 5120, layers: 40, ff: 13824, heads: 40, headsKV: 40, base: 1e4, untied: true}),
		llamaSize("llama-2-70b", "Llama 2 70B", spm(32000), decoderSize{ctx: 4096, embd: 8192, layers: 80, ff: 28672, heads: 64, headsKV: 8, base: 1e4, untied: true}),
		llamaSize("codellama-7b", "Code Llama 7B", spm(32016), decoderSize{ctx: 16384, embd: 4096, layers: 32, ff: 11008, heads: 32, headsKV: 32, base: 1e6, untied: true}),
		llamaSize("codellama-13b", "Code Llama 13B", spm(32016), decoderSize{ctx: 16384, embd: 5120, layers: 40, ff: 13824, heads: 40, headsKV: 40, base: 1e6, untied: true}),
		llamaSize("codellama-34b", "Code Llama 34B", spm(32000), decoderSize{ctx: 16384, embd: 8192, layers: 48, ff: 22016, heads: 64, headsKV: 8, base: 1e6, untied: true}),
		llamaSize("llama-3-8b", "Llama 3 8B", bpe("llama-bpe", 128256), decoderSize{ctx: 8192, embd: 4096, layers: 32, ff: 14336, heads: 32, headsKV: 8, base: 5e5, untied: true}),
		llamaSize("llama-3-70b", "Llama 3 70B", bpe("llama-bpe", 128256), decoderSize{ctx: 8192, embd: 8192, layers: 80, ff: 28672, heads: 64, headsKV: 8, base: 5e5, untied: true}),
		llamaSize("llama-3.1-8b", "Llama 3.1 8B", bpe("llama-bpe", 128256), decoderSize{ctx: 131072, embd: 4096, layers: 32, ff: 14336, heads: 32, headsKV: 8, base: 5e5, untied: true}),
		llamaSize("llama-3.1-70b", "Llama 3.1 and 3.3 70B", bpe("llama-bpe", 128256),
			decoderSize{ctx: 131072, embd: 8192, layers: 80, ff: 28672, heads: 64, headsKV: 8, base: 5e5, untied: true}),
		llamaSize("llama-3.1-405b", "Llama 3.1 405B", bpe("llama-bpe", 128256),
			decoderSize{ctx: 131072, embd: 16384, layers: 126, ff: 53248, heads: 128, headsKV: 8, base: 5e5, untied: true}),
		llamaSize("llama-3.2-1b", "Llama 3.2 1B", bpe("llama-bpe", 128256), decoderSize{ctx: 131072, embd: 2048, layers: 16, ff: 8192, heads: 32, headsKV: 8, base: 5e5}),
		llamaSize("llama-3.2-3b", "Llama 3.2 3B", bpe("llama-bpe", 128256), decoderSize{ctx: 131072, embd: 3072, layers: 28, ff: 8192, heads: 24, headsKV: 8, base: 5e5}),
		llamaSize("mistral-7b", "Mistral 7B v0.1", spm(32000), decoderSize{ctx: 32768, embd: 4096, layers: 32, ff: 14336, heads: 32, headsKV: 8, base: 1e4, untied: true}),
		llamaSize("mistral-7b-v0.3", "Mistral 7B v0.3", spm(32768), decoderSize{ctx: 32768, embd: 4096, layers: 32, ff: 14336, heads: 32, headsKV: 8, base: 1e6, untied: true}),
		llamaSize("mistral-nemo-12b", "Mistral NeMo 12B", bpe("tekken", 131072),
			decoderSize{ctx: 131072, embd: 5120, layers: 40, ff: 14336, heads: 32, headsKV: 8, dim: 128, base: 1e6, untied: true}),
		llamaSize("mistral-small-24b", "Mistral Small 3 24B", bpe("tekken", 131072),
			decoderSize{ctx: 32768, embd: 5120, layers: 40, ff: 32768, heads: 32, headsKV: 8, dim: 128, base: 1e8, untied: true}),
		llamaSize("mistral-large-123b", "Mistral Large 2 123B", spm(32768), decoderSize{ctx: 131072, embd: 12288, layers: 88, ff: 28672, heads: 96, headsKV: 8, base: 1e6, untied: true}),
		llamaSize("mixtral-8x7b", "Mixtral 8x7B v0.1", spm(32000),
			decoderSize{ctx: 32768, embd: 4096, layers: 32, ff: 14336, heads: 32, headsKV: 8, base: 1e6, experts: 8, used: 2, untied: true}),
		llamaSize("mixtral-8x22b", "Mixtral 8x22B v0.1", spm(32000),
			decoderSize{ctx: 65536, embd: 6144, layers: 56, ff: 16384, heads: 48, headsKV: 8, base: 1e6, experts: 8, used: 2, untied: true}),
		llamaSize("yi-6b", "Yi 6B", spm(64000), decoderSize{ctx: 4096, embd: 4096, layers: 32, ff: 11008, heads: 32, headsKV: 4, base: 5e6, untied: true}),
		llamaSize("yi-34b", "Yi 34B", spm(64000), decoderSize{ctx: 4096, embd: 7168, layers: 60, ff: 20480, heads: 56, headsKV: 8, base: 5e6, untied: true}),
		llamaSize("deepseek-llm-7b", "DeepSeek LLM 7B", bpe("deepseek-llm", 102400), decoderSize{ctx: 4096, embd: 4096, layers: 30, ff: 11008, heads: 32, headsKV: 32, base: 1e4, untied: true}),
		llamaSize("deepseek-llm-67b", "DeepSeek LLM 67B", bpe("deepseek-llm", 102400), decoderSize{ctx: 4096, embd: 8192, layers: 95, ff: 22016, heads: 64, headsKV: 8, base: 1e4, untied: true}),
	},
}

var mistral3Sheet = Sheet{
	Name:  "mistral3",
	Build: newLlama,
	Folders: []hf.Family{{
		Names: []string{"Mistral3ForConditionalGeneration", "Ministral3ForCausalLM", "ministral3"},
		Keys: func(m *hf.Meta) {
			m.Rope(1)
			if x, ok := m.Scaling.Float("mscale_all_dim"); ok {
				m.Put("rope.scaling.yarn_log_multiplier", float32(x))
			}
			if x, ok := m.Scaling.Float("llama_4_scaling_beta"); ok {
				m.Put("attention.temperature_scale", float32(x))
			}
		},
		Ops: permuteQK,
	}},
}

// newLlama makes the pre-norm decoder of Llama 1-3, Mistral, TinyLlama, SmolLM and their kin, and
// of Mixtral, whose feed-forward blocks are experts. Touvron et al. 2023, arXiv:2302.13971; GQA:
// Ainslie et al. 2023, arXiv:2305.13245; Mixtral: Jiang et al. 2024, arXiv:2401.04088.
func newLlama(w *model.Weights) (model.Model, error) {
	c := w.Config()
	rope, attn := w.Rope(model.RopeInterleaved), w.Attention()
	m := newDecoder(w, (*model.Weights).Norm, func(b *model.Weights, _ int) block {
		l := block{
			attnNorm: b.Norm("attn_norm", c.NEmbd),
			attn:     b.AttnHeads(nn.AttnBlock{Rope: rope, Attn: attn}),
			ffnNorm:  b.Norm("ffn_norm", c.NEmbd),
		}
		if c.NExpert > 0 {
			l.moe = b.MoE(nn.MoEConfig{Renormalise: true})
		} else {
			l.ffn = b.FFN(nn.SiLU)
		}
		return l
	})
	return m, w.Err() // the first missing name or wrong shape, named
}

// llamaSize is Llama, Mistral, Mixtral and their kin. The factors of RoPE that files of Llama 3.1
// and later hold (rope_freqs.weight) are computed from the configuration, not learnt, and no part
// of the published counts: they are left out.
func llamaSize(name, about string, v Vocab, d decoderSize) Size { return d.size(name, about, v) }
