package hf

import "math"

// pairs are the ops of families whose RoPE turns neighbours in GGUF, and halves in checkpoints. Where both turn the same, nothing is done.
var pairs = map[string]op{"attn_q": neighbours, "attn_k": neighbours}

// shifted are the ops of families whose norms multiply by one more than what checkpoints hold.
var shifted = map[string]op{
	"attn_norm": plusOne, "ffn_norm": plusOne, "post_attention_norm": plusOne, "post_ffw_norm": plusOne, "attn_q_norm": plusOne, "attn_k_norm": plusOne, "output_norm": plusOne,
}

// behind are the names of norms that stand behind attention and feed-forward block, or before and behind both.
var behind = map[string]string{
	"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
}

// gateUp is the name of gate and up in one matrix, which GGUF keeps in one.
var gateUp = map[string]string{"mlp.gate_up_proj": "ffn_up"}

// llamas are Llama and what differs from it in little.
var llamas = []family{
	{
		arch: "llama", is: []string{"LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM", "InternLM3ForCausalLM", "llama", "mistral", "mixtral"},
		keys: rotated, ops: pairs,
	},
	{
		arch: "mistral3", is: []string{"Mistral3ForConditionalGeneration", "Ministral3ForCausalLM", "ministral3"},
		keys: func(m *meta) {
			m.positions(1)
			if x, ok := m.rope.float("mscale_all_dim"); ok {
				m.put("rope.scaling.yarn_log_multiplier", float32(x))
			}
			if x, ok := m.rope.float("llama_4_scaling_beta"); ok {
				m.put("attention.temperature_scale", float32(x))
			}
		},
		ops: pairs,
	},
	{
		arch: "qwen", is: []string{"QWenLMHeadModel", "qwen"},
		keys: func(m *meta) {
			m.positions(1)
			m.number("attention.layer_norm_rms_epsilon", "layer_norm_epsilon")
			m.drop("attention.layer_norm_epsilon")
		},
		names: with(gpt, map[string]string{"mlp.w1": "ffn_up", "mlp.w2": "ffn_gate", "mlp.c_proj": "ffn_down"}),
	},
	{arch: "qwen2", is: []string{"Qwen2ForCausalLM", "qwen2"}, keys: rotated},
	{
		arch: "qwen2vl", is: []string{"Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration", "qwen2_vl", "qwen2_5_vl"},
		keys: func(m *meta) { m.positions(1); m.sections() },
	},
	{arch: "qwen3", is: []string{"Qwen3ForCausalLM", "qwen3"}, keys: rotated},
	{
		arch: "qwen3vl", is: []string{"Qwen3VLForConditionalGeneration", "qwen3_vl"},
		keys: func(m *meta) { m.positions(1); m.sections() },
	},
	{
		arch: "seed_oss", is: []string{"SeedOssForCausalLM", "seed_oss"},
		keys: rotated, names: map[string]string{"post_attention_layernorm": "post_attention_norm"},
	},
	{arch: "smollm3", is: []string{"SmolLM3ForCausalLM", "smollm3"}, keys: func(m *meta) { m.positions(1); m.everyFourthUnturned() }, ops: pairs},
	{arch: "arcee", is: []string{"ArceeForCausalLM", "arcee"}, act: "relu2", keys: rotated, ops: pairs},
	{
		arch: "internlm2", is: []string{"InternLM2ForCausalLM", "internlm2"}, keys: rotated, ops: with(pairs, map[string]op{"attn_qkv": splitQKV}),
		names: map[string]string{
			"attention_norm": "attn_norm", "ffn_norm": "ffn_norm", "attention.wqkv": "qkv_by_group", "attention.wo": "attn_output",
			"feed_forward.w1": "ffn_gate", "feed_forward.w3": "ffn_up", "feed_forward.w2": "ffn_down",
		},
	},
	{
		arch: "ernie4_5", is: []string{"Ernie4_5_ForCausalLM", "Ernie4_5ForCausalLM", "ernie4_5"}, keys: rotated,
		names: map[string]string{"self_attn.qkv_proj": "qkv", "mlp.up_gate_proj": "gate_up"},
	},
	{
		arch: "exaone", is: []string{"ExaoneForCausalLM", "exaone"},
		keys: func(m *meta) {
			m.positions(1)
			m.number("attention.layer_norm_rms_epsilon", "layer_norm_epsilon")
			m.drop("attention.layer_norm_epsilon")
		},
		names: map[string]string{
			"ln_1": "attn_norm", "ln_2": "ffn_norm",
			"attn.attention.q_proj": "attn_q", "attn.attention.k_proj": "attn_k", "attn.attention.v_proj": "attn_v", "attn.attention.out_proj": "attn_output",
			"mlp.c_fc_0": "ffn_gate", "mlp.c_fc_1": "ffn_up", "mlp.c_proj": "ffn_down",
		},
	},
	{
		arch: "granite", is: []string{"GraniteForCausalLM", "granite"}, keys: func(m *meta) { m.positions(1); m.multipliers() }, ops: pairs,
	},
	{
		arch: "minicpm", is: []string{"MiniCPMForCausalLM", "minicpm"},
		keys: func(m *meta) {
			m.positions(1)
			m.number("embedding_scale", "scale_emb")
			if x, ok := m.float("scale_depth"); ok && m.layers > 0 {
				m.put("residual_scale", float32(x/math.Sqrt(float64(m.layers))))
			}
			if x, ok := m.float("dim_model_base"); ok && x > 0 {
				m.put("logit_scale", float32(float64(m.embd)/x))
			}
		},
		ops: pairs,
	},
	{
		arch: "hunyuan-dense", is: []string{"HunYuanDenseV1ForCausalLM", "hunyuan_v1_dense"}, keys: func(m *meta) { m.alpha(50) }, names: hunyuanNames,
	},
	{
		arch: "phi3", is: []string{"Phi3ForCausalLM", "phi3"}, keys: phi3, names: gateUp,
	},
	{
		arch: "glm4", is: []string{"Glm4ForCausalLM", "glm4"}, keys: func(m *meta) { m.positions(0.5) },
		names: with(gateUp, map[string]string{"post_self_attn_layernorm": "post_attention_norm", "post_mlp_layernorm": "post_ffw_norm"}),
	},
	{
		arch: "chatglm", is: []string{"GlmForCausalLM", "glm"}, keys: func(m *meta) { m.positions(0.5) }, names: gateUp,
	},
	{
		arch: "chatglm", is: []string{"ChatGLMModel", "ChatGLMForConditionalGeneration", "chatglm"},
		keys: func(m *meta) {
			m.positions(0.5)
			ratio, ok := m.float("rope_ratio")
			if !ok {
				ratio = 1
			}
			m.put("rope.freq_base", float32(10000*ratio))
			m.number("attention.layer_norm_rms_epsilon", "layernorm_epsilon")
			m.drop("attention.layer_norm_epsilon")
		},
		names: with(bloomLike, map[string]string{"self_attention.query_key_value": "attn_qkv", "rotary_pos_emb.inv_freq": ""}),
	},
	{
		arch: "orion", is: []string{"OrionForCausalLM", "orion"},
		keys: func(m *meta) { // its norms are LayerNorms, whatever the key is called
			m.positions(1)
			m.number("attention.layer_norm_epsilon", "rms_norm_eps")
			m.drop("attention.layer_norm_rms_epsilon")
		},
	},
}

// hunyuanNames are the norms of heads in Hunyuan.
var hunyuanNames = map[string]string{"self_attn.query_layernorm": "attn_q_norm", "self_attn.key_layernorm": "attn_k_norm"}

// phi3 is the keys of Phi-3 to Phi-4.
func phi3(m *meta) {
	m.positions(1)
	m.window()
	m.count("rope.scaling.original_context_length", "original_max_position_embeddings")
}

// windowed are families of which some layers see a window only, and those with norms behind their blocks.
var windowed = []family{
	{
		arch: "gemma", is: []string{"GemmaForCausalLM", "gemma"}, act: "gelu", keys: rotated, ops: shifted, names: map[string]string{"lm_head": ""},
	},
	{
		arch: "gemma2", is: []string{"Gemma2ForCausalLM", "gemma2"}, act: "gelu", ops: shifted, names: with(behind, map[string]string{"lm_head": ""}),
		keys: func(m *meta) {
			m.positions(1)
			m.alternating(2)
			m.number("attn_logit_softcapping", "attn_logit_softcapping")
			m.number("final_logit_softcapping", "final_logit_softcapping")
			m.queryScale(46)
		},
	},
	{
		arch: "gemma3", is: []string{"Gemma3ForCausalLM", "Gemma3ForConditionalGeneration", "gemma3_text", "gemma3"}, act: "gelu", ops: shifted,
		names: with(behind, map[string]string{"lm_head": ""}),
		defaults: map[string]float64{
			"max_position_embeddings": 131072, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
			"vocab_size": 262208, "rope_local_base_freq": 10000,
		},
		keys: func(m *meta) {
			m.positions(1)
			m.alternating(6)
			m.number("rope.freq_base_swa", "rope_local_base_freq")
			m.number("final_logit_softcapping", "final_logit_softcapping")
			m.queryScale(62)
		},
	},
	{
		arch: "olmo2", is: []string{"Olmo2ForCausalLM", "Olmo3ForCausalLM", "olmo2", "olmo3"}, names: behind,
		keys: func(m *meta) {
			m.positions(1)
			if m.window(); m.has("sliding_window") && !m.has("layer_types") { // of OLMo 3
				m.pattern(func(i int) bool { return i%4 != 3 })
			}
		},
	},
	{
		arch: "exaone4", is: []string{"Exaone4ForCausalLM", "exaone4"}, names: behind,
		keys: func(m *meta) { m.positions(1); m.window() },
	},
	{
		arch: "cohere2", is: []string{"Cohere2ForCausalLM", "cohere2"},
		keys: func(m *meta) {
			m.positions(1)
			m.put("rope.scaling.type", "none")
			m.alternating(4)
			m.number("logit_scale", "logit_scale")
		},
	},
	{
		arch: "command-r", is: []string{"CohereForCausalLM", "cohere"},
		keys: func(m *meta) {
			m.positions(1)
			m.put("rope.scaling.type", "none")
			m.count("context_length", "model_max_length", "max_position_embeddings")
			m.number("logit_scale", "logit_scale")
		},
	},
}

// bystanders are families with LayerNorms, biases, or blocks side by side.
var bystanders = []family{
	{
		arch: "olmo", is: []string{"OlmoForCausalLM", "olmo"}, ops: pairs, // its norms have no weights, and their epsilon is no key
		keys: func(m *meta) {
			m.positions(1)
			m.put("attention.layer_norm_epsilon", float32(1e-5))
			m.number("attention.clamp_kqv", "clip_qkv")
		},
	},
	{
		arch: "stablelm", is: []string{"StableLmForCausalLM", "StableLMEpochForCausalLM", "stablelm", "stablelm_epoch"},
		keys: func(m *meta) {
			m.positions(0.25)
			m.put("use_parallel_residual", m.flag(true, "use_parallel_residual"))
			m.number("attention.layer_norm_epsilon", "layer_norm_eps", "norm_eps")
			m.drop("attention.layer_norm_rms_epsilon")
		},
		names: map[string]string{"self_attn.q_layernorm.norms.#": "attn_q_norm", "self_attn.k_layernorm.norms.#": "attn_k_norm"},
	},
	{
		arch: "starcoder2", is: []string{"Starcoder2ForCausalLM", "starcoder2"}, act: "gelu", keys: rotated,
		names: map[string]string{"mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"},
	},
	{
		arch: "phi2", is: []string{"PhiForCausalLM", "phi"}, act: "gelu", keys: func(m *meta) { m.positions(0.5) },
		names: map[string]string{"self_attn.dense": "attn_output", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down"},
	},
	{
		arch: "nemotron", is: []string{"NemotronForCausalLM", "nemotron"}, act: "relu2", keys: func(m *meta) {
			m.positions(0.5)
			m.number("attention.layer_norm_epsilon", "norm_eps", "layer_norm_eps")
			m.drop("attention.layer_norm_rms_epsilon")
		},
		ops: shifted,
	},
}

// gpt are the names of GPT-2.
var gpt = map[string]string{
	"ln_1": "attn_norm", "ln_2": "ffn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
	"attn.bias": "", "attn.masked_bias": "", "attn.rotary_emb.inv_freq": "", // constants of the computation
}

// bloomLike are names that BLOOM, Falcon and GPT-NeoX have in common.
var bloomLike = map[string]string{
	"self_attention.query_key_value": "qkv_by_group", "attention.query_key_value": "qkv_by_group", "self_attention.dense": "attn_output", "attention.dense": "attn_output",
	"mlp.dense_h_to_4h": "ffn_up", "mlp.dense_4h_to_h": "ffn_down",
	"attention.bias": "", "attention.masked_bias": "", // constants of the computation
}

// elders are the families of before 2023.
var elders = []family{
	{
		arch: "gpt2", is: []string{"GPT2LMHeadModel", "gpt2"}, act: "gelu", names: gpt, keys: fourfold,
		ops: map[string]op{"attn_qkv": turnedOver, "attn_output": turnedOver, "ffn_up": turnedOver, "ffn_down": turnedOver}, // [in][out] there
	},
	{
		arch: "starcoder", is: []string{"GPTBigCodeForCausalLM", "gpt_bigcode"}, act: "gelu", names: gpt,
		keys: func(m *meta) {
			fourfold(m)
			if m.headsKV = 1; !m.flag(true, "multi_query") {
				m.fail("key %q: want true, found false: %w", "multi_query", ErrUnsupported)
			}
			m.put("attention.head_count_kv", uint32(1))
		},
	},
	{
		arch: "codeshell", is: []string{"CodeShellForCausalLM", "codeshell"}, act: "gelu", names: gpt,
		keys: func(m *meta) {
			fourfold(m)
			m.positions(1)
			m.headsKV = m.or(m.heads, "num_query_groups")
			m.put("attention.head_count_kv", uint32(m.headsKV))
		},
	},
	{
		arch: "gptneox", is: []string{"GPTNeoXForCausalLM", "gpt_neox"}, act: "gelu", names: bloomLike,
		keys: func(m *meta) {
			m.positions(0.25)
			m.put("use_parallel_residual", m.flag(true, "use_parallel_residual"))
		},
	},
	{
		arch: "bloom", is: []string{"BloomForCausalLM", "BloomModel", "bloom"}, act: "gelu", keys: fourfold,
		names: with(bloomLike, map[string]string{"word_embeddings_layernorm": "token_embd_norm"}),
	},
	{
		arch: "falcon", is: []string{"FalconForCausalLM", "RWForCausalLM", "falcon"}, act: "gelu", keys: falcon,
		names: with(bloomLike, map[string]string{"ln_mlp": "attn_norm", "ln_attn": "attn_norm_2"}),
	},
}

// fourfold sets the width of feed-forward blocks, which are four times as wide as the stream where config.json does not say.
func fourfold(m *meta) {
	m.put("feed_forward_length", uint32(m.or(4*m.embd, "n_inner", "ffn_hidden_size", "intermediate_size")))
}

func falcon(m *meta) {
	fourfold(m)
	m.positions(1)
	m.put("context_length", uint32(m.or(2048, "max_position_embeddings")))
	if m.flag(false, "alibi") {
		m.fail("key %q: want false, found true: %w", "alibi", ErrUnsupported)
	}
	if m.flag(true, "multi_query") && !m.flag(false, "new_decoder_architecture") {
		m.headsKV = 1
	} else {
		m.headsKV = m.or(m.heads, "num_kv_heads", "n_head_kv")
	}
	m.put("attention.head_count_kv", uint32(m.headsKV))
}
