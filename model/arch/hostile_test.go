package arch

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
)

// keys are what a configuration is read from, below the architecture's name, with the kinds of
// their values: a number, a fraction, a flag, or one of these for each layer.
var keys = []struct{ name, kind string }{
	{"block_count", "n"}, {"embedding_length", "n"}, {"context_length", "n"}, {"attention.head_count", "n"}, {"attention.head_count_kv", "n"}, {"attention.head_count_kv", "ns"},
	{"feed_forward_length", "n"}, {"attention.layer_norm_rms_epsilon", "x"}, {"attention.layer_norm_epsilon", "x"}, {"vocab_size", "n"}, {"attention.key_length", "n"},
	{"attention.value_length", "n"}, {"attention.key_length_mla", "n"}, {"attention.value_length_mla", "n"}, {"attention.q_lora_rank", "n"}, {"attention.kv_lora_rank", "n"},
	{"expert_count", "n"}, {"expert_used_count", "n"}, {"expert_feed_forward_length", "n"}, {"expert_shared_count", "n"}, {"expert_shared_feed_forward_length", "n"}, {"expert_group_count", "n"},
	{"expert_group_used_count", "n"}, {"expert_gating_func", "n"}, {"expert_weights_scale", "x"}, {"expert_weights_norm", "b"}, {"leading_dense_block_count", "n"}, {"interleave_moe_layer_step", "n"},
	{"moe_every_n_layers", "n"}, {"attention.sliding_window", "n"}, {"attention.sliding_window_pattern", "n"}, {"attention.sliding_window_pattern", "ns"}, {"attention.rope_pattern", "ns"},
	{"rope.dimension_count", "n"}, {"rope.freq_base", "x"}, {"rope.scaling.factor", "x"}, {"rope.freq_base_swa", "x"}, {"nextn_predict_layers", "n"}, {"use_parallel_residual", "b"},
	{"pooling_type", "n"}, {"attention.relative_buckets_count", "n"}, {"ssm.conv_kernel", "n"}, {"ssm.inner_size", "n"}, {"ssm.state_size", "n"}, {"ssm.time_step_rank", "n"}, {"ssm.group_count", "n"},
	{"shortconv.l_cache", "n"}, {"full_attention_interval", "n"}, {"attention.recurrent_layers", "ns"}, {"embedding_scale", "x"}, {"residual_scale", "x"}, {"logit_scale", "x"}, {"attention.scale", "x"},
	{"attn_logit_softcapping", "x"}, {"attention.clamp_kqv", "x"}, {"attention.max_alibi_bias", "x"}, {"attention.temperature_scale", "x"}, {"rope.scaling.finetuned", "b"},
}

// sizes are the numbers that a byte stands for.
var sizes = []uint32{0, 1, 2, 3, 4, 6, 8, 16, 24, 32, 64, 100, 1 << 10, 1 << 16, 1 << 24, 1<<32 - 1}

// hostile is a file of an architecture whose metadata data spells.
func hostile(t testing.TB, name string, data []byte) *gguf.File {
	var b bytes.Buffer
	_, err := hostileKeys(t, name, data).WriteTo(&b)
	require.NoError(t, err)
	f, err := gguf.OpenBytes("x.gguf", b.Bytes())
	require.NoError(t, err)
	return f
}

// hostileKeys is the metadata of a file of an architecture, two bytes of data to a key.
func hostileKeys(t testing.TB, name string, data []byte) *gguf.Writer {
	w := gguf.NewWriter()
	require.NoError(t, w.Set("general.architecture", name))
	seen := map[string]bool{}
	for ; len(data) >= 2; data = data[2:] {
		key, n := keys[int(data[0])%len(keys)], sizes[int(data[1])%len(sizes)]
		if seen[key.name] {
			continue
		}
		seen[key.name] = true
		var value any = n
		switch key.kind {
		case "x":
			value = float32(n) / 64
		case "b":
			value = n%2 == 1
		case "ns":
			value = []uint32{n, n % 7, n % 3, n}
		}
		require.NoError(t, w.Set(name+"."+key.name, value))
	}
	return w
}

// hostileSeeds are configurations that can be built: a plain one, and one of experts, windows and
// states.
func hostileSeeds() [][]byte {
	plain := []byte{0, 4, 1, 10, 2, 11, 3, 4, 6, 11, 7, 1, 9, 11}
	return [][]byte{
		plain,
		append(bytes.Clone(plain), 4, 2, 16, 6, 17, 2, 18, 6, 29, 7, 41, 4, 42, 10, 43, 6, 44, 4, 45, 2, 14, 7, 15, 7, 33, 6, 10, 7, 40, 6, 55, 10),
	}
}

// FuzzBuild: whatever a configuration says, an architecture is built of it, and says what it keeps,
// or there is one error in a line.
func FuzzBuild(f *testing.F) {
	for i := range Names() {
		for _, seed := range hostileSeeds() {
			f.Add(byte(i), seed)
		}
	}
	f.Fuzz(func(t *testing.T, number byte, data []byte) {
		name := Names()[int(number)%len(Names())]
		c, err := model.ReadConfig(model.GGUF(hostile(t, name, data)))
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		if c.NLayer > 8 {
			return
		}
		for _, has := range []bool{false, true} {
			m, err := Build(model.BindShapes(c, func(string) bool { return has }))
			if err != nil {
				require.NotContains(t, err.Error(), "\n")
				continue
			}
			if s, err := kv.New(kv.Config{Layers: m.State()}); err == nil {
				require.Equal(t, c.NLayer, s.Layers())
			}
		}
	})
}

// TestGatedValues: gates are as long as keys, so values are too.
func TestGatedValues(t *testing.T) {
	for _, name := range []string{"qwen3next", "qwen35", "qwen35moe", "afmoe"} {
		for length, fits := range map[uint32]bool{8: false, 16: true, 32: false} {
			w := gguf.NewWriter()
			require.NoError(t, w.Set("general.architecture", name))
			for key, value := range map[string]any{
				"block_count": uint32(4), "embedding_length": uint32(64), "context_length": uint32(64), "attention.head_count": uint32(4), "feed_forward_length": uint32(64), "vocab_size": uint32(64),
				"attention.layer_norm_rms_epsilon": float32(1e-5), "attention.key_length": uint32(16), "attention.value_length": length, "expert_count": uint32(4), "expert_used_count": uint32(2),
				"ssm.conv_kernel": uint32(4), "ssm.inner_size": uint32(64), "ssm.state_size": uint32(16), "ssm.time_step_rank": uint32(4), "ssm.group_count": uint32(4), "attention.sliding_window": uint32(8),
			} {
				require.NoError(t, w.Set(name+"."+key, value))
			}
			var b bytes.Buffer
			_, err := w.WriteTo(&b)
			require.NoError(t, err)
			f, err := gguf.OpenBytes("x.gguf", b.Bytes())
			require.NoError(t, err)
			c, err := model.ReadConfig(model.GGUF(f))
			require.NoError(t, err)
			_, err = Build(model.BindShapes(c, func(string) bool { return false }))
			if fits {
				require.NoError(t, err, name)
				continue
			}
			require.ErrorIs(t, err, model.ErrUnsupported, "%s %d", name, length)
			require.ErrorContains(t, err, name+`.attention.value_length": want 16`)
		}
	}
}
