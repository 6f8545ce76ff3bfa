package hf_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/model/arch"
	"github.com/goinfer/goinfer/safetensors"
)

// twisted are shapes for the same bytes.
func twisted(shape []int) [][]int {
	turned := slices.Clone(shape)
	slices.Reverse(turned)
	all := 1
	for _, n := range shape {
		all *= n
	}
	return [][]int{turned, {all}, {1, all}, {all, 1}, append(slices.Clone(shape), 1), append([]int{1}, shape...), {1, 1, 1, all}, append([]int{1, 1, 1}, shape...)}
}

// readAll reads a file as those do who open it, and as those who convert it.
func readAll(f *gguf.File) {
	for _, x := range f.Tensors() {
		size := x.Type.RowBytes(x.Shape[0])
		rows := int(x.Bytes) / size
		buf := make([]byte, size)
		for _, first := range []int{0, rows / 2, rows - 1} {
			f.ReadRows(buf, &x, first, 1)
		}
		f.Data(&x)
	}
}

// TestTwisted: tensors of other shapes than a family expects, and missing ones, are errors in one
// line or files that can be read, and nothing else.
func TestTwisted(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "conformance", "models")
	turn, every := 0, 16
	if os.Getenv("GOINFER_LONG") != "" {
		every = 1
	}
	for _, p := range checkpoints {
		f, err := gguf.Open(filepath.Join(dir, p.model, "model.gguf"), gguf.Options{})
		require.NoError(t, err)
		d := p.make(t, f)
		for _, name := range slices.Sorted(maps.Keys(d.tensors)) {
			a := d.tensors[name]
			shapes := twisted(a.shape)
			if turn++; turn%every != 0 {
				continue
			}
			b := a
			b.shape = shapes[turn/every%len(shapes)]
			d.tensors[name] = b
			g, err := hf.Open(d.write(), arch.Families(), gguf.Options{})
			d.tensors[name] = a
			if err != nil {
				require.NotContains(t, err.Error(), "\n")
				continue
			}
			readAll(g)
			require.NoError(t, g.Close())
		}
		require.NoError(t, f.Close())
	}
}

// FuzzConfig: whatever config.json holds, it is metadata or one error in a line.
func FuzzConfig(f *testing.F) {
	for _, p := range checkpoints {
		f.Add([]byte(`{"architectures":["` + p.class + `"],"hidden_size":64,"num_hidden_layers":2,"num_attention_heads":4,"rope_theta":1e4,"partial_rotary_factor":0.5,` +
			`"num_experts":4,"moe_topk":[2,2],"sliding_window":8,"layer_types":["sliding_attention","full_attention"],"qk_nope_head_dim":8,"qk_rope_head_dim":8,"v_head_dim":8,"kv_lora_rank":8,` +
			`"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":32,"long_factor":[1],"short_factor":[1]}}`))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g, _, err := hf.ParseConfig("config.json", data, arch.Families())
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.NotEmpty(t, g.Keys())
		require.Empty(t, g.Tensors())
	})
}

// layout is a header of safetensors with tensors of these types and shapes, one after the other:
// "name": "F32 2 3".
func layout(tensors map[string]string) []byte {
	header, end := map[string]any{}, 0
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		kind, dims, _ := strings.Cut(tensors[name], " ")
		shape, size := []int{}, safetensors.DType(kind).Size()
		for _, d := range strings.Fields(dims) {
			var n int
			fmt.Sscan(d, &n)
			shape, size = append(shape, n), size*n
		}
		header[name] = map[string]any{"dtype": kind, "shape": shape, "data_offsets": []int{end, end + size}}
		end += size
	}
	b, _ := json.Marshal(header) // maps and numbers have no faults
	return b
}

// FuzzTensors: a config.json and a header of tensors that do not fit each other are one error in a
// line, or a file that can be read.
func FuzzTensors(f *testing.F) {
	base := func(class, extra string) []byte {
		return []byte(`{"architectures":["` + class + `"],"hidden_size":64,"num_hidden_layers":1,"num_attention_heads":4,"num_key_value_heads":2,"intermediate_size":64,"rms_norm_eps":1e-6` + extra + `}`)
	}
	const layer = "model.layers.0."
	f.Add(base("LlamaForCausalLM", ""), layout(map[string]string{
		layer + "self_attn.q_proj.weight": "BF16 64 64", layer + "self_attn.k_proj.bias": "F64 32", layer + "block_sparse_moe.experts.0.w1.weight": "F32 8 64",
		layer + "block_sparse_moe.experts.1.w1.weight": "F32 8 64", layer + "mlp.down_proj.weight": "F8_E4M3 64 64", layer + "mlp.down_proj.weight_scale_inv": "F32 1 1", "model.norm.weight": "F32",
	}))
	for _, method := range []string{"gptq", "awq"} {
		f.Add(base("Qwen2ForCausalLM", `,"quantization_config":{"quant_method":"`+method+`","bits":4,"group_size":32}`), layout(map[string]string{
			layer + "mlp.up_proj.qweight": map[string]string{"gptq": "I32 8 64", "awq": "I32 64 8"}[method], layer + "mlp.up_proj.qzeros": "I32 2 8",
			layer + "mlp.up_proj.scales": "F16 2 64", layer + "mlp.down_proj.g_idx": "I32 64",
		}))
	}
	f.Add(base("GptOssForCausalLM", `,"num_local_experts":2,"num_experts_per_tok":1,"quantization_config":{"quant_method":"mxfp4"}`), layout(map[string]string{
		layer + "mlp.experts.gate_up_proj_blocks": "U8 2 8 2 16", layer + "mlp.experts.gate_up_proj_scales": "U8 2 8 2", layer + "mlp.experts.gate_up_proj_bias": "BF16 2 8",
	}))
	f.Add(base("BloomForCausalLM", ""), layout(map[string]string{"transformer.h.0.self_attention.query_key_value.weight": "F16 128 64", "transformer.h.0.self_attention.query_key_value.bias": "F16 128"}))
	f.Add(base("DeepseekV2ForCausalLM", `,"qk_nope_head_dim":8,"qk_rope_head_dim":8,"v_head_dim":8,"kv_lora_rank":16`), layout(map[string]string{layer + "self_attn.kv_b_proj.weight": "F32 64 16"}))
	delta := `,"linear_num_key_heads":2,"linear_key_head_dim":8,"linear_num_value_heads":4,"linear_value_head_dim":8`
	f.Add(base("Qwen3NextForCausalLM", delta), layout(map[string]string{layer + "linear_attn.in_proj_qkvz.weight": "F32 96 64", layer + "linear_attn.conv1d.weight": "F32 64 1 4", layer + "linear_attn.A_log": "F32 4"}))
	f.Add(base("Qwen3_5ForCausalLM", delta), layout(map[string]string{layer + "linear_attn.out_proj.weight": "BF16 64 32", layer + "linear_attn.A_log": "F32 4", layer + "linear_attn.in_proj_qkv.weight": "F32 64 64"}))
	f.Add(base("Mamba2ForCausalLM", `,"head_dim":16,"n_groups":2,"state_size":8`), layout(map[string]string{
		"backbone.layers.0.mixer.A_log": "F32 8", "backbone.layers.0.mixer.D": "F32 8", "backbone.layers.0.mixer.norm.weight": "F32 128", "backbone.layers.0.mixer.conv1d.weight": "F32 160 1 4",
	}))
	f.Add(base("GPT2LMHeadModel", ""), layout(map[string]string{"h.0.attn.c_attn.weight": "F32 64 192", "h.0.attn.c_attn.bias": "F32 192"}))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, config, header []byte) {
		var ends map[string]struct {
			Offsets []int `json:"data_offsets"`
		}
		if len(config) > 1<<14 || len(header) > 1<<14 || json.Unmarshal(header, &ends) != nil {
			return
		}
		end := 0
		for _, x := range ends {
			end = max(end, append(x.Offsets, 0, 0)[1])
		}
		if end > 1<<18 {
			return
		}
		file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
		for i := range end {
			file = append(file, byte(i*37>>3))
		}
		sub, err := os.MkdirTemp(dir, "")
		require.NoError(t, err)
		defer os.RemoveAll(sub)
		require.NoError(t, os.WriteFile(filepath.Join(sub, "config.json"), config, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(sub, "model.safetensors"), file, 0o600))
		g, err := hf.Open(sub, arch.Families(), gguf.Options{})
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		readAll(g)
		require.NoError(t, g.Close())
	})
}
