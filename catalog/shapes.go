package catalog

// decoder are the hyper-parameters that decoders with attention share, under the names of the field.
type decoder struct {
	ctx, embd, layers, ff, heads, headsKV int
	base                                  float32 // of RoPE
	experts, used                         int
}

// keys are the metadata of a decoder that rotates whole heads and has a norm epsilon of 1e-5.
func (d decoder) keys(vocab int) []Key {
	keys := []Key{
		{"vocab_size", uint32(vocab)},
		{"context_length", uint32(d.ctx)},
		{"embedding_length", uint32(d.embd)},
		{"block_count", uint32(d.layers)},
		{"feed_forward_length", uint32(d.ff)},
		{"rope.dimension_count", uint32(d.embd / d.heads)},
		{"rope.freq_base", d.base},
		{"attention.head_count", uint32(d.heads)},
		{"attention.head_count_kv", uint32(d.headsKV)},
		{"attention.layer_norm_rms_epsilon", float32(1e-5)},
	}
	if d.experts > 0 {
		keys = append(keys, Key{"expert_count", uint32(d.experts)}, Key{"expert_used_count", uint32(d.used)})
	}
	return keys
}

// llama is a shape of the architecture of that name.
func llama(name, about string, v Vocab, tied bool, d decoder) Shape {
	s := Shape{Name: name, About: about, Arch: "llama", Keys: d.keys(v.Size), Vocab: v}
	if !tied {
		s.Optional = []string{"output.weight"}
	}
	return s
}

func spm(size int) Vocab             { return Vocab{"llama", "default", size} }
func bpe(pre string, size int) Vocab { return Vocab{"gpt2", pre, size} }

// shapes is the table. The numbers are those of the models' config.json.
var shapes = []Shape{
	llama("stories260k", "TinyStories 260K of llama2.c", spm(512), true, decoder{ctx: 512, embd: 64, layers: 5, ff: 172, heads: 8, headsKV: 4, base: 1e4}),
	llama("stories15m", "TinyStories 15M of llama2.c", spm(32000), true, decoder{ctx: 256, embd: 288, layers: 6, ff: 768, heads: 6, headsKV: 6, base: 1e4}),
	llama("tiny-dense", "the built-in dense model", spm(4096), true, decoder{ctx: 512, embd: 256, layers: 6, ff: 768, heads: 8, headsKV: 4, base: 1e4}),
	llama("tiny-moe", "the built-in model with experts", spm(4096), true,
		decoder{ctx: 512, embd: 256, layers: 4, ff: 512, heads: 8, headsKV: 4, base: 1e4, experts: 8, used: 2}),

	llama("smollm2-135m", "SmolLM2 135M", bpe("smollm", 49152), true, decoder{ctx: 8192, embd: 576, layers: 30, ff: 1536, heads: 9, headsKV: 3, base: 1e5}),
	llama("smollm2-360m", "SmolLM2 360M", bpe("smollm", 49152), true, decoder{ctx: 8192, embd: 960, layers: 32, ff: 2560, heads: 15, headsKV: 5, base: 1e5}),
	llama("tinyllama-1.1b", "TinyLlama 1.1B", spm(32000), false, decoder{ctx: 2048, embd: 2048, layers: 22, ff: 5632, heads: 32, headsKV: 4, base: 1e4}),
	llama("smollm2-1.7b", "SmolLM2 1.7B", bpe("smollm", 49152), true, decoder{ctx: 8192, embd: 2048, layers: 24, ff: 8192, heads: 32, headsKV: 32, base: 1.3e5}),
	llama("mixtral-small", "Mixtral's shape at 2.1 B, a size that fits in memory; not a published model", spm(32000), false,
		decoder{ctx: 32768, embd: 1024, layers: 20, ff: 4096, heads: 16, headsKV: 4, base: 1e6, experts: 8, used: 2}),
	llama("llama-2-7b", "Llama 2 7B", spm(32000), false, decoder{ctx: 4096, embd: 4096, layers: 32, ff: 11008, heads: 32, headsKV: 32, base: 1e4}),
	llama("mistral-7b", "Mistral 7B v0.3", spm(32768), false, decoder{ctx: 32768, embd: 4096, layers: 32, ff: 14336, heads: 32, headsKV: 8, base: 1e6}),
	llama("llama-3-8b", "Llama 3 8B", bpe("llama-bpe", 128256), false, decoder{ctx: 8192, embd: 4096, layers: 32, ff: 14336, heads: 32, headsKV: 8, base: 5e5}),
	llama("llama-2-13b", "Llama 2 13B", spm(32000), false, decoder{ctx: 4096, embd: 5120, layers: 40, ff: 13824, heads: 40, headsKV: 40, base: 1e4}),
	llama("mixtral-8x7b", "Mixtral 8x7B v0.1", spm(32000), false,
		decoder{ctx: 32768, embd: 4096, layers: 32, ff: 14336, heads: 32, headsKV: 8, base: 1e6, experts: 8, used: 2}),
	llama("llama-2-70b", "Llama 2 70B", spm(32000), false, decoder{ctx: 4096, embd: 8192, layers: 80, ff: 28672, heads: 64, headsKV: 8, base: 1e4}),
	llama("llama-3-70b", "Llama 3 70B", bpe("llama-bpe", 128256), false, decoder{ctx: 8192, embd: 8192, layers: 80, ff: 28672, heads: 64, headsKV: 8, base: 5e5}),
	llama("mixtral-8x22b", "Mixtral 8x22B v0.3", spm(32768), false,
		decoder{ctx: 65536, embd: 6144, layers: 56, ff: 16384, heads: 48, headsKV: 8, base: 1e6, experts: 8, used: 2}),
}
