package arch

import (
	"github.com/goinfer/goinfer/hf"
)

// permuteQK are the ops of families whose RoPE rotates neighbours in GGUF, and halves in
// checkpoints. Where both rotate the same, nothing is done.
var permuteQK = map[string]hf.Op{"attn_q": hf.PermuteQK, "attn_k": hf.PermuteQK}

// addOneToNorms are the ops of families whose norms multiply by one more than what checkpoints
// hold.
var addOneToNorms = map[string]hf.Op{
	"attn_norm": hf.AddOne, "ffn_norm": hf.AddOne, "post_attention_norm": hf.AddOne, "post_ffw_norm": hf.AddOne, "attn_q_norm": hf.AddOne, "attn_k_norm": hf.AddOne, "output_norm": hf.AddOne,
}

// postNorms are the names of norms that stand after attention and feed-forward block, or before and
// after both.
var postNorms = map[string]string{
	"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
}

// gateUpNames is the name of gate and up in one matrix, which GGUF keeps in one.
var gateUpNames = map[string]string{"mlp.gate_up_proj": "ffn_up"}

// gptNames are the names of GPT-2.
var gptNames = map[string]string{
	"ln_1": "attn_norm", "ln_2": "ffn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
	// constants of the computation
	"attn.bias": "", "attn.masked_bias": "", "attn.rotary_emb.inv_freq": "",
}

// bloomNames are names that BLOOM, Falcon and GPT-NeoX have in common.
var bloomNames = map[string]string{
	"self_attention.query_key_value": "qkv_by_group", "attention.query_key_value": "qkv_by_group", "self_attention.dense": "attn_output", "attention.dense": "attn_output",
	"mlp.dense_h_to_4h": "ffn_up", "mlp.dense_4h_to_h": "ffn_down",
	"attention.bias": "", "attention.masked_bias": "", // constants of the computation
}

// ffn4x sets the width of feed-forward blocks, which are four times as wide as the stream where
// config.json does not say.
func ffn4x(m *hf.Meta) {
	m.Put("feed_forward_length", uint32(m.Or(4*m.NEmbd, "n_inner", "ffn_hidden_size", "intermediate_size")))
}

// shared are the names of shared experts.
var sharedExperts = map[string]string{
	"mlp.shared_experts.gate_proj": "ffn_gate_shexp", "mlp.shared_experts.up_proj": "ffn_up_shexp", "mlp.shared_experts.down_proj": "ffn_down_shexp",
	"mlp.shared_expert.gate_proj": "ffn_gate_shexp", "mlp.shared_expert.up_proj": "ffn_up_shexp", "mlp.shared_expert.down_proj": "ffn_down_shexp",
	"mlp.shared_mlp.gate_proj": "ffn_gate_shexp", "mlp.shared_mlp.up_proj": "ffn_up_shexp", "mlp.shared_mlp.down_proj": "ffn_down_shexp",
	"mlp.shared_expert_gate": "ffn_gate_inp_shexp",
}

// fusedExperts are the names of all experts in one tensor.
var fusedExperts = map[string]string{"mlp.experts.gate_up_proj": "gate_up_exps", "mlp.experts.down_proj": "ffn_down_exps"}

// expertBias is the name of the bias by which experts are chosen, but not weighted.
var expertBias = map[string]string{
	"mlp.gate.e_score_correction_bias": "exp_probs_b.bias", "mlp.gate.expert_bias": "exp_probs_b.bias", "mlp.moe_statics.e_score_correction_bias": "exp_probs_b.bias",
	"block_sparse_moe.e_score_correction_bias": "exp_probs_b.bias", "mlp.e_score_correction_bias": "exp_probs_b.bias",
}

// latentAttention are the names of latent attention.
var latentAttention = map[string]string{
	"self_attn.q_a_proj": "attn_q_a", "self_attn.q_a_layernorm": "attn_q_a_norm", "self_attn.q_b_proj": "attn_q_b",
	"self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa", "self_attn.kv_a_layernorm": "attn_kv_a_norm", "self_attn.kv_b_proj": "kv_b",
}

// recurrentOps are the ops of recurrent layers.
var recurrentOps = map[string]hf.Op{"ssm_a": hf.NegExp, "ssm_conv1d": hf.ConvKernel}

// mambaNames are the names of Mamba's tensors after "mixer." or "mamba.".
func mambaNames(prefix string) map[string]string {
	return map[string]string{
		prefix + "in_proj": "ssm_in", prefix + "conv1d": "ssm_conv1d", prefix + "x_proj": "ssm_x", prefix + "dt_proj": "ssm_dt", prefix + "dt_bias": "ssm_dt.bias",
		prefix + "A_log": "ssm_a.", prefix + "D": "ssm_d.", prefix + "norm": "ssm_norm", prefix + "out_proj": "ssm_out",
	}
}

// mamba2Ops are the ops of Mamba-2, whose heads have a decay and a share of the input each.
var mamba2Ops = map[string]hf.Op{"ssm_a": hf.PerHead(hf.NegExp), "ssm_d": hf.PerHead(nil), "ssm_conv1d": hf.ConvKernel, "ssm_norm": hf.PerGroup}

// ropeOnly is the keys of families that have nothing of their own but RoPE over whole heads.
func ropeOnly(m *hf.Meta) { m.Rope(1) }
