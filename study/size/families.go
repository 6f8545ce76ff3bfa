package size

// decoder are the hyper-parameters that decoders with attention share, under the names of the
// field. What is 0 is left out of the metadata, but for eps, of which 0 means 1e-5.
type decoder struct {
	ctx, embd, layers, ff int
	heads, headsKV        int
	dim                   int     // of a head; 0 means embd/heads
	rot                   int     // elements of a head that RoPE rotates; 0 means all
	base                  float32 // of RoPE
	eps                   float32 // of norms
	window                int     // of layers that do not see all positions
	experts, used         int
	ffExpert              int  // inner width of an expert where it is not ff
	shared                int  // experts that every token is given to
	dense                 int  // layers before the first with experts
	untied                bool // the output matrix is not the embedding
}

// shape makes a shape of an architecture. optional are the names of tensors as in Shape.Optional.
func (d decoder) shape(name, about, arch string, v Vocab, optional ...string) Shape {
	if d.untied {
		optional = append([]string{"output.weight"}, optional...)
	}
	return Shape{Name: name, About: about, Arch: arch, Keys: d.keys(v.Size), Vocab: v, Optional: optional}
}

func (d decoder) keys(vocab int) []Key {
	dim, eps := d.dim, d.eps
	if dim == 0 {
		dim = d.embd / d.heads
	}
	if eps == 0 {
		eps = 1e-5
	}
	rot := d.rot
	if rot == 0 {
		rot = dim
	}
	keys := []Key{
		{"vocab_size", uint32(vocab)},
		{"context_length", uint32(d.ctx)},
		{"embedding_length", uint32(d.embd)},
		{"block_count", uint32(d.layers)},
		{"feed_forward_length", uint32(d.ff)},
		{"rope.dimension_count", uint32(rot)},
		{"rope.freq_base", d.base},
		{"attention.head_count", uint32(d.heads)},
		{"attention.head_count_kv", uint32(d.headsKV)},
		{"attention.layer_norm_rms_epsilon", eps},
	}
	if dim*d.heads != d.embd {
		keys = append(keys, Key{"attention.key_length", uint32(dim)}, Key{"attention.value_length", uint32(dim)})
	}
	for _, k := range []struct {
		name string
		n    int
	}{
		{"attention.sliding_window", d.window},
		{"expert_count", d.experts},
		{"expert_used_count", d.used},
		{"expert_feed_forward_length", d.ffExpert},
		{"expert_shared_count", d.shared},
		{"leading_dense_block_count", d.dense},
	} {
		if k.n > 0 {
			keys = append(keys, Key{k.name, uint32(k.n)})
		}
	}
	return keys
}

// with adds further entries of the metadata.
func (s Shape) with(keys ...Key) Shape {
	s.Keys = append(s.Keys, keys...)
	return s
}

// llama is Llama, Mistral, Mixtral and their kin. The factors of RoPE that files of Llama 3.1 and
// later hold (rope_freqs.weight) are computed from the configuration, not learnt, and no part of
// the published counts: they are left out.
func llama(name, about string, v Vocab, d decoder) Shape { return d.shape(name, about, "llama", v) }

// qwen2 is Qwen2.5: Llama with biases of queries, keys and values.
func qwen2(name, about string, v Vocab, d decoder) Shape {
	d.eps, d.base = 1e-6, 1e6
	return d.shape(name, about, "qwen2", v, "blk.*.attn_q.bias", "blk.*.attn_k.bias", "blk.*.attn_v.bias")
}

// qwen3 has heads of 128 whatever the width.
func qwen3(name, about string, d decoder) Shape {
	d.ctx, d.eps, d.base, d.dim = 40960, 1e-6, 1e6, 128
	arch := "qwen3"
	if d.experts > 0 {
		arch = "qwen3moe"
	}
	return d.shape(name, about, arch, bpe("qwen2", 151936))
}

// gemma2 is the second Gemma, every second layer of which has a window.
func gemma2(name, about string, d decoder) Shape {
	d.ctx, d.eps, d.base, d.window = 8192, 1e-6, 1e4, 4096
	return d.shape(name, about, "gemma2", spm(256000)).with(Key{"attn_logit_softcapping", float32(50)}, Key{"final_logit_softcapping", float32(30)})
}

// gemma3 is the third, for text. The configurations of the models that also see count 64 tokens
// more than the vocabulary has.
func gemma3(name, about string, d decoder) Shape {
	d.eps, d.base = 1e-6, 1e6
	return d.shape(name, about, "gemma3", spm(262144))
}

// phi3 has queries, keys and values in one matrix.
func phi3(name, about string, v Vocab, d decoder) Shape {
	d.base = 1e4
	return d.shape(name, about, "phi3", v, "blk.*.attn_qkv.weight")
}

// latent are the hyper-parameters of latent attention that DeepSeek-V2, V3 and Kimi K2 share.
const (
	latentKV   = 512 // width of compressed keys and values
	latentNope = 128 // elements of a head that RoPE leaves alone
	latentRope = 64  // elements that RoPE rotates
)

// deepseek2 is DeepSeek-V2 and V3, without the layer that predicts a further token. loraQ is the
// width of compressed queries, 0 where they are not compressed.
func deepseek2(name, about string, v Vocab, d decoder, loraQ int, keys ...Key) Shape {
	d.eps, d.untied, d.headsKV, d.dim, d.rot = 1e-6, true, 1, latentKV+latentRope, latentRope
	s := d.shape(name, about, "deepseek2", v, "blk.*.attn_k_b.weight")
	for i, k := range s.Keys {
		if k.Name == "attention.value_length" {
			s.Keys[i].Value = uint32(latentKV)
		}
	}
	if loraQ > 0 {
		s = s.with(Key{"attention.q_lora_rank", uint32(loraQ)})
	}
	return s.with(Key{"attention.kv_lora_rank", uint32(latentKV)},
		Key{"attention.key_length_mla", uint32(latentNope + latentRope)}, Key{"attention.value_length_mla", uint32(latentNope)}).with(keys...)
}

// sigmoids has experts scored by sigmoids, chosen with a bias, from groups of which some are chosen
// first.
func (s Shape) sigmoids(groups, used int, scale float32) Shape {
	s.Optional = append(s.Optional, "blk.*.exp_probs_b.bias")
	return s.with(Key{"expert_gating_func", uint32(2)}, Key{"expert_weights_norm", true}, Key{"expert_weights_scale", scale},
		Key{"expert_group_count", uint32(groups)}, Key{"expert_group_used_count", uint32(used)})
}

// gptOSS has biases everywhere, and a sink in each head.
func gptOSS(name, about string, d decoder) Shape {
	d.ctx, d.embd, d.ff, d.ffExpert, d.heads, d.headsKV, d.dim, d.base, d.window, d.untied = 131072, 2880, 2880, 2880, 64, 8, 64, 1.5e5, 128, true
	return d.shape(name, about, "gpt-oss", bpe("gpt-4o", 201088),
		"blk.*.attn_q.bias", "blk.*.attn_k.bias", "blk.*.attn_v.bias", "blk.*.attn_output.bias", "blk.*.attn_sinks.weight",
		"blk.*.ffn_gate_inp.bias", "blk.*.ffn_gate_exps.bias", "blk.*.ffn_up_exps.bias", "blk.*.ffn_down_exps.bias")
}

// gpt2 has learnt positions, norms with biases, and no gate.
func gpt2(name, about string, d decoder) Shape {
	d.ctx, d.ff, d.headsKV, d.base = 1024, 4*d.embd, d.heads, 1e4
	s := d.shape(name, about, "gpt2", bpe("gpt-2", 50257), "output_norm.bias", "blk.*.attn_norm.bias", "blk.*.ffn_norm.bias", "blk.*.attn_qkv.weight", "blk.*.attn_qkv.bias",
		"blk.*.attn_output.bias", "blk.*.ffn_up.bias", "blk.*.ffn_down.bias")
	return s.with(Key{"attention.layer_norm_epsilon", float32(1e-5)})
}

func spm(size int) Vocab             { return Vocab{"llama", "default", size} }
func bpe(pre string, size int) Vocab { return Vocab{"gpt2", pre, size} }
