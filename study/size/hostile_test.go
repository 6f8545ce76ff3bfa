package size

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
)

// TestNoExperts: a configuration of a mixture that has no number of experts, or one of 0 or 1, is
// an error.
func TestNoExperts(t *testing.T) {
	for _, arch := range []string{
		"BailingMoeForCausalLM", "GptOssForCausalLM", "MiniMaxM2ForCausalLM", "OlmoeForCausalLM", "PhiMoEForCausalLM", "Qwen2MoeForCausalLM", "DbrxForCausalLM", "Grok1ForCausalLM",
		"DeepseekForCausalLM", "Ernie4_5_MoeForCausalLM", "SmallThinkerForCausalLM", "Glm4MoeForCausalLM", "Llama4ForCausalLM", "AfmoeForCausalLM", "MixtralForCausalLM", "Qwen3MoeForCausalLM",
	} {
		for _, experts := range []string{"", `,"num_local_experts":0`, `,"num_experts":0`, `,"num_experts":1`} {
			m, err := parseConfig(t, fmt.Appendf(nil, `{"architectures":[%q],"hidden_size":32,"intermediate_size":24,"max_position_embeddings":512,"num_attention_heads":4,
				"num_hidden_layers":2,"num_key_value_heads":2,"rms_norm_eps":1e-05,"rope_theta":10000,"rotary_dim":4,"vocab_size":300%s}`, arch, experts))
			if err == nil {
				_, err = m.Breakdown() // a model without experts
				require.NoError(t, err, arch)
				continue
			}
			require.NotContains(t, err.Error(), "\n")
			require.Contains(t, err.Error(), "config.json: ", arch)
		}
	}
	_, err := parseConfig(t, []byte(`{"architectures":["MiniMaxM2ForCausalLM"],"hidden_size":32,"intermediate_size":24,"max_position_embeddings":512,"num_attention_heads":4,
		"num_hidden_layers":2,"num_key_value_heads":2,"rms_norm_eps":1e-05,"rope_theta":10000,"rotary_dim":4,"vocab_size":300}`))
	require.EqualError(t, err, `config.json: key "minimax-m2.expert_count": want the number of experts, at least 1, found none`)
	require.ErrorIs(t, err, goinfer.ErrFormat)
}
