package hf

// shared are the names of shared experts.
var sharedExperts = map[string]string{
	"mlp.shared_experts.gate_proj": "ffn_gate_shexp", "mlp.shared_experts.up_proj": "ffn_up_shexp", "mlp.shared_experts.down_proj": "ffn_down_shexp",
	"mlp.shared_expert.gate_proj": "ffn_gate_shexp", "mlp.shared_expert.up_proj": "ffn_up_shexp", "mlp.shared_expert.down_proj": "ffn_down_shexp",
	"mlp.shared_mlp.gate_proj": "ffn_gate_shexp", "mlp.shared_mlp.up_proj": "ffn_up_shexp", "mlp.shared_mlp.down_proj": "ffn_down_shexp",
	"mlp.shared_expert_gate": "ffn_gate_inp_shexp",
}

// fusedExperts are the names of all experts in one tensor.
var fusedExperts = map[string]string{"mlp.experts.gate_up_proj": "gate_up_exps", "mlp.experts.down_proj": "ffn_down_exps"}

// choice is the name of the bias by which experts are chosen, but not weighed.
var choice = map[string]string{
	"mlp.gate.e_score_correction_bias": "exp_probs_b.bias", "mlp.gate.expert_bias": "exp_probs_b.bias", "mlp.moe_statics.e_score_correction_bias": "exp_probs_b.bias",
	"block_sparse_moe.e_score_correction_bias": "exp_probs_b.bias", "mlp.e_score_correction_bias": "exp_probs_b.bias",
}

// mixtures are families with experts.
var mixtures = []family{
	{
		arch: "qwen2moe", is: []string{"Qwen2MoeForCausalLM", "qwen2_moe"}, names: with(sharedExperts, fusedExperts),
		keys: func(m *meta) {
			m.positions(1)
			m.count("expert_shared_feed_forward_length", "shared_expert_intermediate_size")
			m.renormalised(false)
			m.allExperts()
		},
	},
	{
		arch: "qwen3moe", is: []string{"Qwen3MoeForCausalLM", "qwen3_moe"}, names: fusedExperts,
		keys: func(m *meta) { m.positions(1); m.renormalised(true); m.allExperts() },
	},
	{
		arch: "qwen3vlmoe", is: []string{"Qwen3VLMoeForConditionalGeneration", "qwen3_vl_moe"},
		names: map[string]string{"mlp.experts.gate_up_proj": "gate_up_exps_turned", "mlp.experts.down_proj": "down_exps_turned"},
		keys:  func(m *meta) { m.positions(1); m.sections(); m.renormalised(true); m.allExperts() },
	},
	{
		arch: "olmoe", is: []string{"OlmoeForCausalLM", "olmoe"}, names: fusedExperts,
		keys: func(m *meta) {
			m.positions(1)
			m.put("attention.layer_norm_rms_epsilon", float32(1e-5)) // is no key
			m.number("attention.layer_norm_rms_epsilon", "rms_norm_eps")
			m.renormalised(false)
		},
	},
	{
		arch: "phimoe", is: []string{"PhiMoEForCausalLM", "PhimoeForCausalLM", "phimoe"},
		keys: func(m *meta) {
			phi3(m)
			m.number("attention.layer_norm_rms_epsilon", "rms_norm_eps")
			if x, ok := m.rope.float("long_mscale"); ok {
				m.put("rope.scaling.attn_factor", float32(x))
			}
		},
	},
	{
		arch: "granitemoe", is: []string{"GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM", "granitemoe", "granitemoeshared"}, ops: pairs,
		keys: func(m *meta) {
			m.positions(1)
			m.multipliers()
			m.count("expert_shared_feed_forward_length", "shared_intermediate_size")
		},
		names: map[string]string{
			"block_sparse_moe.router.layer": "ffn_gate_inp", "block_sparse_moe.input_linear": "gate_up_exps", "block_sparse_moe.output_linear": "ffn_down_exps",
			"shared_mlp.input_linear": "gate_up_shexp", "shared_mlp.output_linear": "ffn_down_shexp",
		},
	},
	{
		arch: "deepseek", is: []string{"DeepseekForCausalLM", "deepseek"}, ops: pairs, names: sharedExperts,
		keys: func(m *meta) { m.positions(1); m.put("rope.scaling.type", "none"); m.routing() },
	},
	{
		arch: "dots1", is: []string{"Dots1ForCausalLM", "dots1"}, names: with(sharedExperts, choice),
		keys: func(m *meta) { m.positions(1); m.routing() },
	},
	{
		arch: "glm4moe", is: []string{"Glm4MoeForCausalLM", "glm4_moe"},
		names: with(sharedExperts, choice, map[string]string{"post_attention_layernorm": "post_attention_norm"}),
		keys: func(m *meta) {
			m.positions(0.5)
			m.routing()
			m.put("expert_gating_func", uint32(2))
		},
	},
	{
		arch: "bailingmoe", is: []string{"BailingMoeForCausalLM", "bailing_moe"}, ops: pairs,
		names: with(sharedExperts, map[string]string{"attention.query_key_value": "qkv", "attention.dense": "attn_output"}),
		keys: func(m *meta) {
			m.positions(1)
			m.routing()
			if m.flag(false, "norm_head") {
				m.fail("key %q: want false, found true: %w", "norm_head", ErrUnsupported)
			}
		},
	},
	{
		arch: "bailingmoe2", is: []string{"BailingMoeV2ForCausalLM", "bailing_moe_v2"},
		names: with(sharedExperts, choice, map[string]string{
			"attention.query_key_value": "attn_qkv", "attention.dense": "attn_output", "attention.query_layernorm": "attn_q_norm", "attention.key_layernorm": "attn_k_norm",
		}),
		keys: func(m *meta) {
			m.positions(0.5)
			m.routing()
			m.count("expert_shared_feed_forward_length", "moe_shared_expert_intermediate_size")
		},
	},
	{
		arch: "ernie4_5-moe", is: []string{"Ernie4_5_MoeForCausalLM", "Ernie4_5_MoEForCausalLM", "ernie4_5_moe"}, names: with(sharedExperts, choice),
		keys: func(m *meta) {
			m.positions(1)
			m.routing()
			m.put("expert_shared_feed_forward_length", uint32(m.or(0, "moe_num_shared_experts")*m.or(0, "moe_intermediate_size")))
			m.count("interleave_moe_layer_step", "moe_layer_interval")
			m.count("leading_dense_block_count", "moe_layer_start_index")
		},
	},
	{
		arch: "exaone-moe", is: []string{"ExaoneMoeForCausalLM", "ExaoneMoEForCausalLM", "exaone_moe"}, names: with(sharedExperts, choice),
		keys: func(m *meta) {
			m.positions(1)
			m.window()
			m.routing()
			m.put("expert_gating_func", uint32(2))
		},
	},
	{
		arch: "hunyuan-moe", is: []string{"HunYuanMoEV1ForCausalLM", "hunyuan_v1_moe"}, names: with(sharedExperts, hunyuanNames, map[string]string{"mlp.gate.wg": "ffn_gate_inp"}),
		keys: func(m *meta) {
			m.alpha(1000)
			m.count("expert_shared_feed_forward_length", "intermediate_size")
			if n, ok := m.same("num_shared_expert"); ok {
				m.put("expert_shared_feed_forward_length", uint32(n*m.or(0, "intermediate_size")))
			}
		},
	},
	{
		arch: "minimax-m2", is: []string{"MiniMaxM2ForCausalLM", "minimax_m2"}, names: choice,
		keys: func(m *meta) {
			m.positions(1)
			m.count("rope.dimension_count", "rotary_dim")
			m.count("expert_feed_forward_length", "intermediate_size")
		},
	},
	{
		arch: "gpt-oss", is: []string{"GptOssForCausalLM", "gpt_oss"},
		keys: func(m *meta) {
			m.positions(1)
			m.alternating(2)
			m.count("expert_feed_forward_length", "intermediate_size")
		},
		names: map[string]string{
			"post_attention_layernorm": "post_attention_norm", "mlp.router": "ffn_gate_inp", "self_attn.sinks": "attn_sinks",
			"mlp.experts.gate_up_proj": "gate_up_exps_turned_woven", "mlp.experts.gate_up_proj_blocks": "gate_up_exps_woven", "mlp.experts.gate_up_proj_bias": "gate_up_exps_woven.bias",
			"mlp.experts.down_proj": "down_exps_turned", "mlp.experts.down_proj_blocks": "ffn_down_exps", "mlp.experts.down_proj_bias": "ffn_down_exps.bias",
		},
	},
	{
		arch: "llama4", is: []string{"Llama4ForConditionalGeneration", "Llama4ForCausalLM", "llama4_text"},
		keys: func(m *meta) {
			m.positions(1)
			m.count("feed_forward_length", "intermediate_size_mlp")
			m.count("expert_feed_forward_length", "intermediate_size")
			m.count("interleave_moe_layer_step", "interleave_moe_layer_step")
		},
		names: map[string]string{
			"feed_forward.gate_proj": "ffn_gate", "feed_forward.up_proj": "ffn_up", "feed_forward.down_proj": "ffn_down", "feed_forward.router": "ffn_gate_inp",
			"feed_forward.experts.gate_up_proj": "gate_up_exps_turned", "feed_forward.experts.down_proj": "down_exps_turned",
			"feed_forward.shared_expert.gate_proj": "ffn_gate_shexp", "feed_forward.shared_expert.up_proj": "ffn_up_shexp", "feed_forward.shared_expert.down_proj": "ffn_down_shexp",
		},
	},
}

// latent are the names of latent attention.
var latent = map[string]string{
	"self_attn.q_a_proj": "attn_q_a", "self_attn.q_a_layernorm": "attn_q_a_norm", "self_attn.q_b_proj": "attn_q_b",
	"self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa", "self_attn.kv_a_layernorm": "attn_kv_a_norm", "self_attn.kv_b_proj": "kv_b",
}

// latents are families with latent attention.
var latents = []family{
	{
		arch: "minicpm3", is: []string{"MiniCPM3ForCausalLM", "minicpm3"}, names: with(latent, map[string]string{"self_attn.kv_b_proj": "attn_kv_b"}),
		keys: func(m *meta) {
			nope, rope := m.must("qk_nope_head_dim"), m.must("qk_rope_head_dim")
			m.headDim = rope
			m.positions(1)
			m.count("attention.q_lora_rank", "q_lora_rank")
			m.count("attention.kv_lora_rank", "kv_lora_rank")
			m.put("attention.key_length", uint32(nope+rope))
			m.put("attention.value_length", uint32(m.or(m.embd/max(1, m.heads), "v_head_dim")))
			// These factors are the architecture's.
			for _, f := range [...]struct {
				key  string
				want float64
			}{{"scale_emb", 12}, {"scale_depth", 1.4}, {"dim_model_base", 256}} {
				if x, ok := m.float(f.key); ok && x != f.want {
					m.fail("key %q: want %v, found %v: %w", f.key, f.want, x, ErrUnsupported)
				}
			}
		},
	},
	{
		arch: "deepseek2", is: []string{"DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", "deepseek_v2", "deepseek_v3"}, names: with(sharedExperts, choice, latent),
		keys: func(m *meta) {
			nope, rope, value, lora := m.must("qk_nope_head_dim"), m.must("qk_rope_head_dim"), m.must("v_head_dim"), m.must("kv_lora_rank")
			m.headDim = rope
			m.positions(1)
			m.routing()
			m.count("attention.q_lora_rank", "q_lora_rank")
			m.put("attention.kv_lora_rank", uint32(lora))
			// What is cached is one head of the latent and the part that turns; the heads that it stands for come under keys of their own.
			m.put("attention.head_count_kv", uint32(1))
			m.put("attention.key_length", uint32(lora+rope))
			m.put("attention.value_length", uint32(lora))
			m.put("attention.key_length_mla", uint32(nope+rope))
			m.put("attention.value_length_mla", uint32(value))
			if x, ok := m.rope.float("mscale_all_dim"); ok {
				m.put("rope.scaling.yarn_log_multiplier", float32(0.1*x))
			}
		},
	},
}
