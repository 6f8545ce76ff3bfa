package hf_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/model/arch"
	"github.com/goinfer/goinfer/quant"
)

// array is a tensor of a checkpoint to be written, [rows][width] or of more dimensions, the slowest
// first.
type array struct {
	dtype string
	shape []int
	data  []byte
	size  int // of an element
}

func f32(shape []int, data []byte) array { return array{"F32", shape, data, 4} }

// take is a with only the rows, counted over all dimensions but the last, that f lists, in a shape
// of them.
func (a array) take(rows []int, shape ...int) array {
	n := a.size * a.shape[len(a.shape)-1]
	if len(a.shape) == 1 {
		n = a.size
	}
	var b []byte
	for _, r := range rows {
		b = append(b, a.data[r*n:(r+1)*n]...)
	}
	return array{a.dtype, shape, b, a.size}
}

func span(first, n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = first + i
	}
	return s
}

// transposed is a with the last two of its dimensions exchanged.
func (a array) turned() array {
	n := len(a.shape)
	rows, cols := a.shape[n-2], a.shape[n-1]
	b := make([]byte, 0, len(a.data))
	for m := 0; m < len(a.data)/a.size; m += rows * cols {
		for c := range cols {
			for r := range rows {
				at := (m + r*cols + c) * a.size
				b = append(b, a.data[at:at+a.size]...)
			}
		}
	}
	shape := slices.Clone(a.shape)
	shape[n-2], shape[n-1] = cols, rows
	return array{a.dtype, shape, b, a.size}
}

// halved is rows of queries or keys, whose neighbours are rotated, in the order of checkpoints: of
// each head first the even ones, then the odd ones.
func (a array) halved(dim int) array {
	var rows []int
	for h := 0; h < a.shape[0]; h += dim {
		for odd := range 2 {
			for i := odd; i < dim; i += 2 {
				rows = append(rows, h+i)
			}
		}
	}
	return a.take(rows, a.shape...)
}

// joined is a and others, one after the other.
func (a array) joined(others ...array) array {
	out := array{a.dtype, slices.Clone(a.shape), slices.Clone(a.data), a.size}
	for _, o := range others {
		out.shape[0] += o.shape[0]
		out.data = append(out.data, o.data...)
	}
	return out
}

// minusOne is a less one in every element.
func (a array) minusOne() array {
	x := make([]float32, len(a.data)/4)
	quant.Dequantize(quant.F32, x, a.data)
	b := make([]byte, len(a.data))
	for i, v := range x {
		putFloat(b[4*i:], v-1)
	}
	return array{a.dtype, a.shape, b, a.size}
}

// folder is a checkpoint in the making out of a GGUF file.
type folder struct {
	t       *testing.T
	f       *gguf.File
	c       model.Config
	config  map[string]any
	tensors map[string]array
	pooling string // 1_Pooling/config.json, if not empty
}

// get is a tensor of the file, and ok whether there is one.
func (d *folder) get(name string) (array, bool) {
	x, ok := d.f.Tensor(name)
	if !ok {
		return array{}, false
	}
	shape := slices.Clone(x.Shape)
	slices.Reverse(shape)
	require.Equal(d.t, quant.F32, x.Type, name)
	return f32(shape, d.f.Data(x)), true
}

// blk is a tensor of a layer, which the file must have.
func (d *folder) blk(layer int, name string) array {
	a, ok := d.get(fmt.Sprintf("blk.%d.%s", layer, name))
	require.True(d.t, ok, name)
	return a
}

// write writes the folder.
func (d *folder) write() string {
	dir := d.t.TempDir()
	config, err := json.Marshal(d.config)
	require.NoError(d.t, err)
	require.NoError(d.t, os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600))
	if d.pooling != "" {
		require.NoError(d.t, os.Mkdir(filepath.Join(dir, "1_Pooling"), 0o700))
		require.NoError(d.t, os.WriteFile(filepath.Join(dir, "1_Pooling", "config.json"), []byte(d.pooling), 0o600))
	}
	require.NoError(d.t, os.WriteFile(filepath.Join(dir, "model.safetensors"), safetensorsFile(d.t, d.tensors), 0o600))
	return dir
}

// safetensorsFile is the bytes of a file.
func safetensorsFile(t *testing.T, tensors map[string]array) []byte {
	header, data := map[string]any{}, []byte(nil)
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		a := tensors[name]
		header[name] = map[string]any{"dtype": a.dtype, "shape": a.shape, "data_offsets": []int{len(data), len(data) + len(a.data)}}
		data = append(data, a.data...)
	}
	text, err := json.Marshal(header)
	require.NoError(t, err)
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text, data)
}

// published is how checkpoints of an architecture are published: the class, further keys of
// config.json, the names of tensors by those of GGUF, and what else they differ in.
type published struct {
	model  string // of the conformance set
	class  string
	config map[string]any
	layer  string            // what the names in a layer begin with, "model.layers.%d." where empty
	names  map[string]string // by those of GGUF; experts have %d
	drop   []string          // keys of config.json that it does not have
	build  func(d *folder)   // what is not renaming
	adjust func(c *model.Config)
}

var llamaNames = map[string]string{
	"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
	"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
	"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
	"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
	"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
	"ffn_gate_inp": "mlp.gate", "ffn_gate_exps": "mlp.experts.%d.gate_proj", "ffn_up_exps": "mlp.experts.%d.up_proj", "ffn_down_exps": "mlp.experts.%d.down_proj",
	"ffn_gate_shexp": "mlp.shared_experts.gate_proj", "ffn_up_shexp": "mlp.shared_experts.up_proj", "ffn_down_shexp": "mlp.shared_experts.down_proj",
}

func putFloat(b []byte, v float32) {
	_, _ = binary.Encode(b, binary.LittleEndian, v)
}

// shifted are the tensors that checkpoints of Gemma and Nemotron have less one.
func shifted(d *folder) {
	for name, a := range d.tensors {
		if strings.HasSuffix(name, "norm.weight") {
			d.tensors[name] = a.minusOne()
		}
	}
}

// turnedPairs brings queries and keys into the order of checkpoints.
func turnedPairs(d *folder) {
	for name, a := range d.tensors {
		if strings.Contains(name, ".q_proj.") || strings.Contains(name, ".k_proj.") {
			d.tensors[name] = a.halved(d.c.HeadDim)
		}
	}
}

// fuse joins tensors of every layer, one after the other, under another name.
func fuse(to string, parts ...string) func(*folder) {
	return func(d *folder) {
		for i := range d.c.NLayer {
			for _, suffix := range []string{".weight", ".bias"} {
				prefix := fmt.Sprintf("model.layers.%d.", i)
				first, ok := d.tensors[prefix+parts[0]+suffix]
				if !ok {
					continue
				}
				var rest []array
				for _, p := range parts[1:] {
					rest = append(rest, d.tensors[prefix+p+suffix])
				}
				for _, p := range parts {
					delete(d.tensors, prefix+p+suffix)
				}
				d.tensors[prefix+to+suffix] = first.joined(rest...)
			}
		}
	}
}

// grouped brings all queries, all keys, all values into the order of heads: of each group its
// queries, its key, its value.
func grouped(name string) func(*folder) {
	return func(d *folder) {
		c := d.c
		for key, a := range d.tensors {
			if !strings.Contains(key, name) {
				continue
			}
			var rows []int
			for g := range c.NHeadKV {
				per := c.NHead / c.NHeadKV
				rows = append(rows, span(g*per*c.HeadDim, per*c.HeadDim)...)
				rows = append(rows, span((c.NHead+g)*c.HeadDim, c.HeadDim)...)
				rows = append(rows, span((c.NHead+c.NHeadKV+g)*c.HeadDim, c.HeadDim)...)
			}
			d.tensors[key] = a.take(rows, a.shape...)
		}
	}
}

func both(fs ...func(*folder)) func(*folder) {
	return func(d *folder) {
		for _, f := range fs {
			f(d)
		}
	}
}

// latent joins what makes keys and values of the latent again.
func latent(d *folder) {
	for i := range d.c.NLayer {
		// [heads][nope][lora], [heads][value][lora]
		k, v := d.blk(i, "attn_k_b.weight").turned(), d.blk(i, "attn_v_b.weight")
		nope, value, lora := k.shape[1], v.shape[1], k.shape[2]
		out := f32([]int{d.c.NHead * (nope + value), lora}, nil)
		for h := range d.c.NHead {
			out.data = append(out.data, k.take(span(h*nope, nope), nope, lora).data...)
			out.data = append(out.data, v.take(span(h*value, value), value, lora).data...)
		}
		d.tensors[fmt.Sprintf("model.layers.%d.self_attn.kv_b_proj.weight", i)] = out
	}
}

// fusedExperts puts gate and up of all experts into one tensor. transposed has rows and columns
// exchanged, woven rows of gate and up alternating.
func fusedExperts(prefix string, turned, woven bool) func(*folder) {
	return func(d *folder) {
		for i := range d.c.NLayer {
			if _, ok := d.get(fmt.Sprintf("blk.%d.ffn_gate_exps.weight", i)); !ok {
				continue
			}
			name := fmt.Sprintf("model.layers.%d.%s", i, prefix)
			for _, part := range []string{"weight", "bias"} {
				gate, ok := d.get(fmt.Sprintf("blk.%d.ffn_gate_exps.%s", i, part))
				if !ok {
					continue
				}
				up, down := d.blk(i, "ffn_up_exps."+part), d.blk(i, "ffn_down_exps."+part)
				n, ff := d.c.NExpert, gate.shape[1]
				width := 1
				if part == "weight" {
					width = gate.shape[2]
				}
				size := 4 * width
				fused := f32(slices.Clone(gate.shape), nil)
				fused.shape[1] = 2 * ff
				row := func(a array, r int) { fused.data = append(fused.data, a.data[r*size:(r+1)*size]...) }
				for e := range n {
					for r := range 2 * ff {
						switch {
						case woven && r%2 == 0, !woven && r < ff:
							row(gate, e*ff+map[bool]int{true: r / 2, false: r}[woven])
						case woven:
							row(up, e*ff+r/2)
						default:
							row(up, e*ff+r-ff)
						}
					}
				}
				suffix := map[string]string{"weight": "", "bias": "_bias"}[part]
				if turned && part == "weight" {
					fused, down = fused.turned(), down.turned()
				}
				d.tensors[name+"gate_up_proj"+suffix], d.tensors[name+"down_proj"+suffix] = fused, down
			}
		}
	}
}

// with is llamaNames with others.
func with(tables ...map[string]string) map[string]string {
	all := maps.Clone(llamaNames)
	for _, t := range tables {
		maps.Copy(all, t)
	}
	return all
}

var (
	behind = map[string]string{
		"post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm", "post_ffw_norm": "post_feedforward_layernorm",
	}
	moe        = map[string]string{"exp_probs_b": "mlp.gate.e_score_correction_bias"}
	noExperts  = map[string]string{"ffn_gate_exps": "", "ffn_up_exps": "", "ffn_down_exps": ""}
	mixtralMoE = map[string]string{
		"ffn_gate_inp": "block_sparse_moe.gate", "ffn_gate_exps": "block_sparse_moe.experts.%d.w1", "ffn_up_exps": "block_sparse_moe.experts.%d.w3",
		"ffn_down_exps": "block_sparse_moe.experts.%d.w2",
	}
	gptNames = map[string]string{
		"token_embd": "transformer.wte", "position_embd": "transformer.wpe", "output_norm": "transformer.ln_f", "output": "lm_head",
		"attn_norm": "ln_1", "ffn_norm": "ln_2", "attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj",
	}
	neoxNames = map[string]string{
		"token_embd": "gpt_neox.embed_in", "output_norm": "gpt_neox.final_layer_norm", "output": "embed_out",
		"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_qkv": "attention.query_key_value", "attn_output": "attention.dense",
		"ffn_up": "mlp.dense_h_to_4h", "ffn_down": "mlp.dense_4h_to_h",
	}
	falconNames = map[string]string{
		"token_embd": "transformer.word_embeddings", "output_norm": "transformer.ln_f", "output": "lm_head",
		"attn_norm": "input_layernorm", "attn_qkv": "self_attention.query_key_value", "attn_output": "self_attention.dense",
		"ffn_up": "mlp.dense_h_to_4h", "ffn_down": "mlp.dense_4h_to_h",
	}
)

type object = map[string]any

// llama3 is a RoPE scaling as of Llama 3.1, which the factors in the conformance set are of.
var llama3 = object{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}

// longRope is the configuration of a model with factors of RoPE for short and long contexts, which
// are those of the conformance set.
func longRope(original int) object {
	short, long := []float64{1.0174056, 1.0928726, 1.1623924, 1.2804853, 1.3317021, 1.4048325, 1.4834424, 1.5836636},
		[]float64{1.5263783, 2.8446624, 4.5771995, 6.174227, 7.994127, 9.543801, 11.209549, 12.979613}
	scaling := object{"type": "longrope", "short_factor": short, "long_factor": long, "attention_factor": 1.19}
	return object{"original_max_position_embeddings": original, "rope_scaling": scaling}
}

// checkpoints are the architectures that are tested without a published checkpoint at hand.
var checkpoints = []published{
	{model: "llama-dense", class: "LlamaForCausalLM", build: turnedPairs},
	{model: "llama-bias", class: "LlamaForCausalLM", build: turnedPairs},
	{model: "llama-tied-headdim", class: "LlamaForCausalLM", config: object{"tie_word_embeddings": true}, build: turnedPairs},
	{model: "llama-linear-rope", class: "LlamaForCausalLM", config: object{"rope_scaling": object{"type": "linear", "factor": 4.0}}, build: turnedPairs},
	{model: "llama3-ropefactors", class: "LlamaForCausalLM", config: object{"rope_scaling": llama3}, build: turnedPairs},
	{model: "llama-yarn", class: "LlamaForCausalLM", config: object{"rope_scaling": object{"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}}, build: turnedPairs},
	{model: "mixtral", class: "MixtralForCausalLM", names: mixtralMoE, config: object{"num_local_experts": 8}, drop: []string{"num_experts"}, build: turnedPairs},
	{model: "mistral3", class: "Ministral3ForCausalLM", build: turnedPairs, drop: []string{"rope_theta"}, config: object{
		"rope_parameters": object{"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 16, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1, "beta_fast": 32.0, "beta_slow": 1.0},
	}},
	{model: "qwen2", class: "Qwen2ForCausalLM"},
	{model: "qwen3", class: "Qwen3ForCausalLM"},
	{model: "qwen2moe", class: "Qwen2MoeForCausalLM", config: object{"norm_topk_prob": false}, names: map[string]string{
		"ffn_gate_shexp": "mlp.shared_expert.gate_proj", "ffn_up_shexp": "mlp.shared_expert.up_proj", "ffn_down_shexp": "mlp.shared_expert.down_proj", "ffn_gate_inp_shexp": "mlp.shared_expert_gate",
	}},
	{model: "qwen3moe", class: "Qwen3MoeForCausalLM", config: object{"norm_topk_prob": true}},
	{model: "qwen3moe", class: "Qwen3MoeForCausalLM", names: noExperts, build: fusedExperts("mlp.experts.", false, false)},
	{model: "seed_oss", class: "SeedOssForCausalLM", names: map[string]string{"post_attention_norm": "post_attention_layernorm"}},
	{model: "smollm3", class: "SmolLM3ForCausalLM", config: object{"no_rope_layers": []int{1, 1, 1, 0}}, build: turnedPairs},
	{model: "arcee", class: "ArceeForCausalLM", config: object{"hidden_act": "relu2"}, build: turnedPairs},
	{
		model: "internlm2", class: "InternLM2ForCausalLM",
		names: map[string]string{
			"token_embd": "model.tok_embeddings", "output": "output", "attn_norm": "attention_norm", "ffn_norm": "ffn_norm", "attn_output": "attention.wo",
			"ffn_gate": "feed_forward.w1", "ffn_up": "feed_forward.w3", "ffn_down": "feed_forward.w2",
		},
		build: both(turnedPairs, fuse("attention.wqkv", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), grouped("attention.wqkv")),
	},
	{model: "ernie4_5", class: "Ernie4_5_ForCausalLM", build: fuse("mlp.up_gate_proj", "mlp.gate_proj", "mlp.up_proj")},
	{model: "ernie4_5-moe", class: "Ernie4_5_MoeForCausalLM", names: map[string]string{"exp_probs_b": "mlp.moe_statics.e_score_correction_bias"}, drop: []string{"num_experts", "num_experts_per_tok"},
		config: object{"moe_num_experts": 8, "moe_k": 2, "moe_layer_start_index": 1, "moe_layer_interval": 1, "moe_num_shared_experts": 2},
		// The shared experts of the file have one and a half times the width of the others, which
		// no config.json can say.
		adjust: func(c *model.Config) { c.NFFShared = 32 }},
	{model: "exaone", class: "ExaoneForCausalLM", layer: "transformer.h.%d.", config: object{"layer_norm_epsilon": 1e-5, "activation_function": "silu", "num_layers": 2, "rope_scaling": llama3}, drop: []string{"rms_norm_eps", "num_hidden_layers"},
		names: map[string]string{
			"token_embd": "transformer.wte", "output_norm": "transformer.ln_f", "attn_norm": "ln_1", "ffn_norm": "ln_2",
			"attn_q": "attn.attention.q_proj", "attn_k": "attn.attention.k_proj", "attn_v": "attn.attention.v_proj", "attn_output": "attn.attention.out_proj",
			"ffn_gate": "mlp.c_fc_0", "ffn_up": "mlp.c_fc_1", "ffn_down": "mlp.c_proj",
		}},
	{model: "granite", class: "GraniteForCausalLM", build: turnedPairs,
		config: object{"attention_multiplier": 0.2, "embedding_multiplier": 3.0, "residual_multiplier": 0.6, "logits_scaling": 2.0}},
	{model: "hunyuan-dense", class: "HunYuanDenseV1ForCausalLM", names: map[string]string{"attn_q_norm": "self_attn.query_layernorm", "attn_k_norm": "self_attn.key_layernorm"}},
	{model: "glm4", class: "Glm4ForCausalLM", config: object{"partial_rotary_factor": 0.5}, names: map[string]string{
		"post_attention_norm": "post_self_attn_layernorm", "post_ffw_norm": "post_mlp_layernorm", "ffn_up": "mlp.gate_up_proj",
	}},
	{model: "chatglm", class: "ChatGLMModel", layer: "transformer.encoder.layers.%d.", drop: []string{"rms_norm_eps", "num_key_value_heads", "intermediate_size", "rope_theta", "max_position_embeddings", "num_hidden_layers", "vocab_size", "hidden_act"},
		config: object{"layernorm_epsilon": 1e-5, "multi_query_group_num": 2, "ffn_hidden_size": 56, "seq_length": 512, "num_layers": 2, "padded_vocab_size": 300},
		names: map[string]string{
			"token_embd": "transformer.embedding.word_embeddings", "output_norm": "transformer.encoder.final_layernorm", "output": "transformer.output_layer",
			"attn_qkv": "self_attention.query_key_value", "attn_output": "self_attention.dense", "ffn_up": "mlp.dense_h_to_4h", "ffn_down": "mlp.dense_4h_to_h",
		}},
	{model: "phi3-longrope-long", class: "Phi3ForCausalLM", config: longRope(16), names: map[string]string{"attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"}},
	{model: "phi3-longrope-short", class: "Phi3ForCausalLM", config: longRope(4096), names: map[string]string{"attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"}},
	{model: "qwen2vl", class: "Qwen2VLForConditionalGeneration", config: object{"rope_scaling": object{"type": "mrope", "mrope_section": []int{1, 2, 1}}}},
	{model: "qwen3vl", class: "Qwen3VLForConditionalGeneration", config: object{"rope_scaling": object{"rope_type": "default", "mrope_section": []int{2, 1, 1}}}},
	{model: "qwen3vlmoe", class: "Qwen3VLMoeForConditionalGeneration", names: noExperts, build: fusedExperts("mlp.experts.", true, false),
		config: object{"rope_scaling": object{"rope_type": "default", "mrope_section": []int{2, 1, 1}}}},
	{model: "phimoe", class: "PhiMoEForCausalLM", names: merged(mixtralMoE), drop: []string{"num_experts", "moe_intermediate_size"},
		config: object{"num_local_experts": 8, "original_max_position_embeddings": 4096},
		build: func(d *folder) {
			d.config["rope_scaling"] = object{
				"type": "longrope", "short_factor": d.factors("rope_factors_short.weight"), "long_factor": d.factors("rope_factors_long.weight"), "long_mscale": 1.19, "short_mscale": 1.19,
			}
		}},
	{model: "minicpm", class: "MiniCPMForCausalLM", build: turnedPairs, config: object{"scale_emb": 1.5, "scale_depth": 0.98994949, "dim_model_base": 34.285714, "tie_word_embeddings": true}},
	{model: "qwen", class: "QWenLMHeadModel", layer: "transformer.h.%d.", drop: []string{"rms_norm_eps"}, config: object{"layer_norm_epsilon": 1e-5},
		names: merged(gptNames, map[string]string{"ffn_up": "mlp.w1", "ffn_gate": "mlp.w2", "ffn_down": "mlp.c_proj"})},
	{model: "orion", class: "OrionForCausalLM", config: object{"rms_norm_eps": 1e-5}},
	{model: "gemma", class: "GemmaForCausalLM", config: object{"hidden_act": "gelu_pytorch_tanh"}, build: shifted},
	{model: "gemma2", class: "Gemma2ForCausalLM", names: behind, build: shifted, config: object{
		"hidden_activation": "gelu_pytorch_tanh", "attn_logit_softcapping": 8.0, "final_logit_softcapping": 10.0, "sliding_window": 8, "query_pre_attn_scalar": 32,
	}},
	{model: "gemma3", class: "Gemma3ForCausalLM", names: behind, build: shifted, config: object{
		"hidden_activation": "gelu_pytorch_tanh", "sliding_window": 8, "sliding_window_pattern": 6, "rope_local_base_freq": 10000.0,
	}, adjust: func(c *model.Config) { c.RopeBaseSWA = 10000 }},
	// what the architecture takes where a file does not say
	{model: "olmo", class: "OlmoForCausalLM", drop: []string{"rms_norm_eps"}, config: object{"clip_qkv": 1.5}, build: turnedPairs},
	{model: "olmo2", class: "Olmo2ForCausalLM", names: behind},
	{model: "olmoe", class: "OlmoeForCausalLM", config: object{"norm_topk_prob": false}},
	{model: "exaone4", class: "Exaone4ForCausalLM", names: behind, config: object{"rope_scaling": llama3}},
	{model: "cohere2", class: "Cohere2ForCausalLM", drop: []string{"rms_norm_eps"}, config: object{"layer_norm_eps": 1e-5, "sliding_window": 8, "logit_scale": 0.5, "tie_word_embeddings": true}},
	{model: "command-r", class: "CohereForCausalLM", drop: []string{"rms_norm_eps"}, config: object{"layer_norm_eps": 1e-5, "logit_scale": 0.5, "tie_word_embeddings": true}},
	{model: "stablelm", class: "StableLmForCausalLM", drop: []string{"rms_norm_eps"}, config: object{"layer_norm_eps": 1e-5, "partial_rotary_factor": 0.34, "use_parallel_residual": false}},
	{model: "stablelm-parallel", class: "StableLmForCausalLM", drop: []string{"rms_norm_eps"}, config: object{"layer_norm_eps": 1e-5, "partial_rotary_factor": 0.34, "use_parallel_residual": true},
		names: map[string]string{"attn_q_norm": "self_attn.q_layernorm.norms.%d", "attn_k_norm": "self_attn.k_layernorm.norms.%d"}},
	{model: "starcoder2", class: "Starcoder2ForCausalLM", drop: []string{"rms_norm_eps"}, config: object{"norm_epsilon": 1e-5, "hidden_act": "gelu_pytorch_tanh"},
		names: map[string]string{"ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"}},
	{model: "phi2", class: "PhiForCausalLM", drop: []string{"rms_norm_eps"}, config: object{"layer_norm_eps": 1e-5, "hidden_act": "gelu_new", "partial_rotary_factor": 0.5},
		names: map[string]string{"output_norm": "model.final_layernorm", "attn_output": "self_attn.dense", "ffn_up": "mlp.fc1", "ffn_down": "mlp.fc2"}},
	{model: "nemotron", class: "NemotronForCausalLM", drop: []string{"rms_norm_eps"}, config: object{"norm_eps": 1e-5, "hidden_act": "relu2", "partial_rotary_factor": 0.5}, build: shifted},
	{
		model: "gpt2", class: "GPT2LMHeadModel", layer: "transformer.h.%d.", names: gptNames,
		drop:   []string{"hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "max_position_embeddings", "intermediate_size", "rms_norm_eps", "rope_theta", "hidden_act"},
		config: object{"n_embd": 48, "n_layer": 3, "n_head": 4, "n_positions": 128, "n_inner": 80, "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new"},
		build: func(d *folder) {
			for name, a := range d.tensors {
				if strings.Contains(name, ".c_") && strings.HasSuffix(name, ".weight") {
					d.tensors[name] = a.turned()
				}
			}
			d.tensors["transformer.h.0.attn.bias"] = f32([]int{1, 1, 2, 2}, make([]byte, 16))
		},
	},
	{
		model: "starcoder", class: "GPTBigCodeForCausalLM", layer: "transformer.h.%d.", names: gptNames,
		drop:   []string{"hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "max_position_embeddings", "intermediate_size", "rms_norm_eps", "rope_theta", "hidden_act"},
		config: object{"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "n_inner": 56, "layer_norm_epsilon": 1e-5, "activation_function": "gelu_pytorch_tanh", "multi_query": true},
	},
	{model: "gptneox", class: "GPTNeoXForCausalLM", layer: "gpt_neox.layers.%d.", names: neoxNames, drop: []string{"rms_norm_eps", "num_key_value_heads", "rope_theta", "hidden_act"},
		config: object{"layer_norm_eps": 1e-5, "rotary_pct": 0.5, "rotary_emb_base": 10000, "use_parallel_residual": true, "hidden_act": "gelu"}, build: grouped("attention.query_key_value")},
	{model: "gptneox-seq", class: "GPTNeoXForCausalLM", layer: "gpt_neox.layers.%d.", names: neoxNames, drop: []string{"rms_norm_eps", "num_key_value_heads", "rope_theta"},
		config: object{"layer_norm_eps": 1e-5, "rotary_pct": 0.5, "rotary_emb_base": 10000, "use_parallel_residual": false, "hidden_act": "gelu"}, build: grouped("attention.query_key_value")},
	{model: "falcon", class: "FalconForCausalLM", layer: "transformer.h.%d.", names: falconNames, drop: []string{"rms_norm_eps", "num_key_value_heads", "hidden_act"},
		config: object{"layer_norm_epsilon": 1e-5, "multi_query": true, "num_kv_heads": 71, "ffn_hidden_size": 80}, build: grouped("self_attention.query_key_value")},
	{model: "falcon-40b", class: "FalconForCausalLM", layer: "transformer.h.%d.", drop: []string{"rms_norm_eps", "num_key_value_heads", "hidden_act"},
		names:  merged(falconNames, map[string]string{"attn_norm": "ln_mlp", "attn_norm_2": "ln_attn"}),
		config: object{"layer_norm_epsilon": 1e-5, "multi_query": true, "new_decoder_architecture": true, "num_kv_heads": 2, "ffn_hidden_size": 80}, build: grouped("self_attention.query_key_value")},
	{model: "granitemoe", class: "GraniteMoeSharedForCausalLM", config: object{
		"num_local_experts": 8, "attention_multiplier": 0.2, "embedding_multiplier": 3.0, "residual_multiplier": 0.6, "logits_scaling": 2.0, "shared_intermediate_size": 40,
	}, drop: []string{"num_experts"},
		names: merged(noExperts, map[string]string{"ffn_gate_inp": "block_sparse_moe.router.layer", "ffn_down_shexp": "shared_mlp.output_linear"}),
		build: both(turnedPairs, fusedExperts("block_sparse_moe.", false, false), fuse("shared_mlp.input_linear", "mlp.shared_experts.gate_proj", "mlp.shared_experts.up_proj"), func(d *folder) {
			for i := range d.c.NLayer {
				for from, to := range map[string]string{"gate_up_proj": "input_linear.weight", "down_proj": "output_linear.weight"} {
					name := fmt.Sprintf("model.layers.%d.block_sparse_moe.", i)
					d.tensors[name+to] = d.tensors[name+from]
					delete(d.tensors, name+from)
				}
			}
		})},
	{model: "deepseek", class: "DeepseekForCausalLM", config: object{"n_routed_experts": 8, "n_shared_experts": 2, "first_k_dense_replace": 1, "moe_layer_freq": 1, "routed_scaling_factor": 1.0}, drop: []string{"num_experts"}, build: turnedPairs},
	{model: "dots1", class: "Dots1ForCausalLM", names: moe, drop: []string{"num_experts"}, config: object{
		"n_routed_experts": 8, "n_shared_experts": 1, "first_k_dense_replace": 1, "routed_scaling_factor": 2.5, "norm_topk_prob": true, "scoring_func": "noaux_tc",
	}},
	{model: "glm4moe", class: "Glm4MoeForCausalLM", names: merged(moe, map[string]string{"post_attention_norm": "post_attention_layernorm"}), drop: []string{"num_experts"}, config: object{
		"n_routed_experts": 8, "n_shared_experts": 1, "first_k_dense_replace": 1, "routed_scaling_factor": 1.5, "norm_topk_prob": true, "partial_rotary_factor": 0.5, "head_dim": 16,
	}},
	{model: "bailingmoe", class: "BailingMoeForCausalLM", names: map[string]string{"token_embd": "model.word_embeddings", "attn_output": "attention.dense"},
		config: object{"num_shared_experts": 1, "first_k_dense_replace": 0, "norm_topk_prob": true, "routed_scaling_factor": 1.0},
		build:  both(turnedPairs, fuse("attention.query_key_value", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"))},
	{model: "bailingmoe2", class: "BailingMoeV2ForCausalLM",
		names: map[string]string{"token_embd": "model.word_embeddings", "attn_output": "attention.dense", "attn_qkv": "attention.query_key_value", "attn_q_norm": "attention.query_layernorm", "attn_k_norm": "attention.key_layernorm", "exp_probs_b": "mlp.gate.expert_bias"},
		config: object{
			"num_shared_experts": 1, "first_k_dense_replace": 1, "norm_topk_prob": true, "routed_scaling_factor": 2.5, "score_function": "sigmoid", "n_group": 4, "topk_group": 2,
			"moe_shared_expert_intermediate_size": 24, "partial_rotary_factor": 1.0,
		}},
	{model: "hunyuan-moe", class: "HunYuanMoEV1ForCausalLM",
		names: map[string]string{
			"attn_q_norm": "self_attn.query_layernorm", "attn_k_norm": "self_attn.key_layernorm", "ffn_gate_inp": "mlp.gate.wg",
			"ffn_gate_shexp": "mlp.shared_mlp.gate_proj", "ffn_up_shexp": "mlp.shared_mlp.up_proj", "ffn_down_shexp": "mlp.shared_mlp.down_proj",
		},
		drop:   []string{"num_experts_per_tok"},
		config: object{"moe_topk": []int{2, 2}, "num_shared_expert": []int{1, 1}, "moe_intermediate_size": []int{24, 24}, "intermediate_size": 40},
		adjust: func(c *model.Config) { c.NFF = 40 }}, // of dense layers, which there are none of
	{model: "minimax-m2", class: "MiniMaxM2ForCausalLM", names: merged(mixtralMoE, map[string]string{"exp_probs_b": "block_sparse_moe.e_score_correction_bias"}), drop: []string{"num_experts"},
		config: object{"num_local_experts": 8, "scoring_func": "sigmoid", "rotary_dim": 4}},
	{model: "gpt-oss", class: "GptOssForCausalLM", drop: []string{"num_experts"}, build: fusedExperts("mlp.experts.", true, true),
		names: merged(noExperts, map[string]string{"post_attention_norm": "post_attention_layernorm", "ffn_gate_inp": "mlp.router", "attn_sinks": "self_attn.sinks"}),
		config: object{
			"num_local_experts": 8, "sliding_window": 8, "layer_types": []string{"sliding_attention", "full_attention", "sliding_attention", "full_attention"},
			"rope_scaling": object{"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": false},
		}},
	{model: "llama4", class: "Llama4ForCausalLM", drop: []string{"num_experts", "moe_intermediate_size"}, build: fusedExperts("feed_forward.experts.", true, false),
		names: merged(noExperts, map[string]string{
			"ffn_gate_inp": "feed_forward.router", "ffn_gate": "feed_forward.gate_proj", "ffn_up": "feed_forward.up_proj", "ffn_down": "feed_forward.down_proj",
			"ffn_gate_shexp": "feed_forward.shared_expert.gate_proj", "ffn_up_shexp": "feed_forward.shared_expert.up_proj", "ffn_down_shexp": "feed_forward.shared_expert.down_proj",
		}),
		config: object{"num_local_experts": 8, "intermediate_size": 24, "intermediate_size_mlp": 64, "interleave_moe_layer_step": 2}},
	{model: "deepseek2-v3", class: "DeepseekV3ForCausalLM", build: latent, drop: []string{"num_experts", "head_dim"},
		names: merged(moe, map[string]string{
			"attn_q_a": "self_attn.q_a_proj", "attn_q_a_norm": "self_attn.q_a_layernorm", "attn_q_b": "self_attn.q_b_proj", "attn_k_b": "", "attn_v_b": "",
			"attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa", "attn_kv_a_norm": "self_attn.kv_a_layernorm",
		}),
		config: object{
			"n_routed_experts": 16, "n_shared_experts": 1, "first_k_dense_replace": 1, "routed_scaling_factor": 2.5, "norm_topk_prob": true, "scoring_func": "sigmoid", "n_group": 4, "topk_group": 2,
			"q_lora_rank": 24, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "num_key_value_heads": 4,
			"rope_scaling": object{"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "mscale": 1.0, "mscale_all_dim": 1.0, "beta_fast": 32, "beta_slow": 1},
		}},
	{model: "deepseek2-lite-mla", class: "DeepseekV2ForCausalLM", build: latent, drop: []string{"num_experts", "head_dim"},
		names: map[string]string{"attn_k_b": "", "attn_v_b": "", "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa", "attn_kv_a_norm": "self_attn.kv_a_layernorm"},
		config: object{
			"n_routed_experts": 8, "n_shared_experts": 2, "first_k_dense_replace": 1, "routed_scaling_factor": 1.0, "norm_topk_prob": false, "scoring_func": "softmax",
			"q_lora_rank": nil, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "num_key_value_heads": 4,
		}, adjust: func(c *model.Config) { c.ExpertGating = 1 }}, // which a file need not say
	{model: "modern-bert", class: "ModernBertModel", layer: "layers.%d.", drop: []string{"rms_norm_eps", "rope_theta", "num_key_value_heads", "hidden_act"},
		names: map[string]string{
			"token_embd": "embeddings.tok_embeddings", "token_embd_norm": "embeddings.norm", "output_norm": "final_norm", "attn_norm": "attn_norm", "attn_qkv": "attn.Wqkv", "attn_output": "attn.Wo",
			"ffn_norm": "mlp_norm", "ffn_up": "mlp.Wi", "ffn_down": "mlp.Wo",
		},
		config: object{"norm_eps": 1e-5, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0, "local_attention": 8, "global_attn_every_n_layers": 3, "hidden_activation": "gelu"},
		build:  func(d *folder) { d.pooling = `{"pooling_mode_mean_tokens": true}` }, adjust: func(c *model.Config) { c.NTokenTypes = 0 }},
	{model: "bloom", class: "BloomForCausalLM", layer: "transformer.h.%d.", drop: []string{"rms_norm_eps", "rope_theta", "num_key_value_heads", "hidden_act", "max_position_embeddings"},
		names:  merged(falconNames, map[string]string{"token_embd_norm": "transformer.word_embeddings_layernorm", "ffn_norm": "post_attention_layernorm"}),
		config: object{"layer_norm_epsilon": 1e-5, "n_inner": 56, "seq_length": 512}, build: grouped("self_attention.query_key_value")},
	{model: "exaone-moe", class: "ExaoneMoeForCausalLM", names: map[string]string{"exp_probs_b": "mlp.e_score_correction_bias"}, config: object{
		"num_shared_experts": 1, "first_k_dense_replace": 1, "routed_scaling_factor": 1.5, "norm_topk_prob": true, "sliding_window": 8,
	}},
	{model: "minicpm3", class: "MiniCPM3ForCausalLM", drop: []string{"head_dim"},
		names: map[string]string{
			"attn_q_a": "self_attn.q_a_proj", "attn_q_a_norm": "self_attn.q_a_layernorm", "attn_q_b": "self_attn.q_b_proj", "attn_kv_b": "self_attn.kv_b_proj",
			"attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa", "attn_kv_a_norm": "self_attn.kv_a_layernorm",
		},
		config: object{
			"q_lora_rank": 24, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16, "num_key_value_heads": 4, "scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 256,
		},
		build: func(d *folder) {
			d.config["rope_scaling"] = object{
				"type": "longrope", "short_factor": d.factors("rope_factors_short.weight"), "long_factor": d.factors("rope_factors_long.weight"), "original_max_position_embeddings": 4096,
			}
		}},
	{model: "mamba", class: "MambaForCausalLM", layer: "backbone.layers.%d.", build: recurrent, drop: []string{"num_attention_heads", "num_key_value_heads", "rms_norm_eps", "rope_theta", "max_position_embeddings"},
		names:  merged(mambaNames("mixer."), map[string]string{"token_embd": "backbone.embeddings", "output_norm": "backbone.norm_f", "attn_norm": "norm"}),
		config: object{"layer_norm_epsilon": 1e-5, "conv_kernel": 4, "intermediate_size": 64, "state_size": 16, "time_step_rank": 4}, adjust: func(c *model.Config) { c.NCtx = 1 << 20 }},
	{model: "mamba2", class: "Mamba2ForCausalLM", layer: "backbone.layers.%d.", build: recurrent, drop: []string{"num_key_value_heads", "rms_norm_eps", "rope_theta", "max_position_embeddings", "intermediate_size"},
		names:  merged(mambaNames("mixer."), map[string]string{"token_embd": "backbone.embeddings", "output_norm": "backbone.norm_f", "attn_norm": "norm", "ssm_dt.bias": "mixer.dt_bias"}),
		config: object{"layer_norm_epsilon": 1e-5, "conv_kernel": 4, "expand": 2, "state_size": 16, "head_dim": 16, "num_heads": 8, "n_groups": 2}, adjust: func(c *model.Config) { c.NCtx = 1 << 20 }},
	{model: "granitehybrid", class: "GraniteMoeHybridForCausalLM", build: both(turnedPairs, recurrent, fuse("shared_mlp.input_linear", "mlp.gate_proj", "mlp.up_proj")), drop: []string{"intermediate_size"},
		names: merged(mambaNames("mamba."), map[string]string{"ssm_dt.bias": "mamba.dt_bias", "ffn_down": "shared_mlp.output_linear"}),
		config: object{
			"attention_multiplier": 0.2, "embedding_multiplier": 3.0, "residual_multiplier": 0.6, "logits_scaling": 2.0, "shared_intermediate_size": 80, "num_local_experts": 0,
			"layer_types": []string{"mamba", "attention", "mamba"}, "mamba_n_heads": 8, "mamba_d_head": 12, "mamba_d_conv": 4, "mamba_d_state": 16, "mamba_n_groups": 1, "position_embedding_type": "nope",
		}, adjust: func(c *model.Config) { c.NCtx, c.NCtxOrig = 1<<20, 1<<20 }},
	{model: "lfm2", class: "Lfm2ForCausalLM", build: recurrent, names: merged(lfm2Names, map[string]string{"ffn_gate": "feed_forward.w1", "ffn_up": "feed_forward.w3", "ffn_down": "feed_forward.w2"}),
		config: object{"layer_types": []string{"conv", "full_attention", "conv", "full_attention"}, "conv_L_cache": 3, "block_ff_dim": 120, "block_auto_adjust_ff_dim": true, "block_ffn_dim_multiplier": 1.0, "block_multiple_of": 8}},
	{model: "lfm2moe", class: "Lfm2MoeForCausalLM", build: recurrent, names: merged(lfm2Names, map[string]string{
		"ffn_gate": "feed_forward.w1", "ffn_up": "feed_forward.w3", "ffn_down": "feed_forward.w2", "ffn_gate_inp": "feed_forward.gate", "exp_probs_b": "feed_forward.expert_bias",
		"ffn_gate_exps": "feed_forward.experts.%d.w1", "ffn_up_exps": "feed_forward.experts.%d.w3", "ffn_down_exps": "feed_forward.experts.%d.w2",
	}, nil), config: object{"layer_types": []string{"conv", "full_attention", "conv"}, "conv_L_cache": 3, "num_dense_layers": 1}},
	{model: "qwen3next", class: "Qwen3NextForCausalLM", build: both(shiftedNext, recurrent, delta),
		names: merged(mambaNames("linear_attn."), map[string]string{
			"ssm_dt.bias": "linear_attn.dt_bias", "ssm_ba": "linear_attn.in_proj_ba", "attn_qkv": "", "attn_gate": "", "post_attention_norm": "post_attention_layernorm",
			"ffn_gate_shexp": "mlp.shared_expert.gate_proj", "ffn_up_shexp": "mlp.shared_expert.up_proj", "ffn_down_shexp": "mlp.shared_expert.down_proj", "ffn_gate_inp_shexp": "mlp.shared_expert_gate",
		}),
		config: object{
			"linear_conv_kernel_dim": 4, "linear_key_head_dim": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_value_head_dim": 16, "partial_rotary_factor": 0.5, "norm_topk_prob": true,
		}, adjust: func(c *model.Config) { c.RecurrentLayers = []bool{true, true, true, false} }},
	// which a file need not say
	{model: "qwen35", class: "Qwen3_5ForCausalLM", build: both(shiftedNext, recurrent, byKeyHead), names: qwen35Names, adjust: func(c *model.Config) { c.RecurrentLayers = []bool{true, true, true, false} },
		config: qwen35Config()},
	{model: "qwen35moe", class: "Qwen3_5MoeForCausalLM", build: both(shiftedNext, recurrent, byKeyHead, fusedExperts("mlp.experts.", false, false)), adjust: func(c *model.Config) { c.RecurrentLayers = []bool{true, true, true, false} },
		names: merged(qwen35Names, noExperts, map[string]string{
			"ffn_gate_shexp": "mlp.shared_expert.gate_proj", "ffn_up_shexp": "mlp.shared_expert.up_proj", "ffn_down_shexp": "mlp.shared_expert.down_proj", "ffn_gate_inp_shexp": "mlp.shared_expert_gate",
		}),
		config: qwen35Config()},
	{model: "bert", class: "BertModel", layer: "encoder.layer.%d.", drop: []string{"rms_norm_eps", "rope_theta", "num_key_value_heads"}, config: object{"layer_norm_eps": 1e-12, "hidden_act": "gelu", "type_vocab_size": 2},
		names: map[string]string{
			"token_embd": "embeddings.word_embeddings", "position_embd": "embeddings.position_embeddings", "token_types": "embeddings.token_type_embeddings", "token_embd_norm": "embeddings.LayerNorm",
			"attn_q": "attention.self.query", "attn_k": "attention.self.key", "attn_v": "attention.self.value", "attn_output": "attention.output.dense", "attn_output_norm": "attention.output.LayerNorm",
			"ffn_up": "intermediate.dense", "ffn_down": "output.dense", "layer_output_norm": "output.LayerNorm",
		}, build: func(d *folder) { d.pooling = `{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}` }},
}

var qwen35Names = merged(mambaNames("linear_attn."), map[string]string{
	"ssm_dt.bias": "linear_attn.dt_bias", "ssm_beta": "linear_attn.in_proj_b", "ssm_alpha": "linear_attn.in_proj_a", "attn_qkv": "linear_attn.in_proj_qkv", "attn_gate": "linear_attn.in_proj_z",
	"post_attention_norm": "post_attention_layernorm",
})

func qwen35Config() object {
	return object{
		"linear_conv_kernel_dim": 4, "linear_key_head_dim": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_value_head_dim": 16, "partial_rotary_factor": 0.5,
		"rope_scaling": object{"rope_type": "default", "mrope_section": []int{2, 1, 1}},
	}
}

// byKeyHead brings heads of values into the order of the heads of keys that they share: from v0 of
// every head of keys, v1 of every one, to all of the first, all of the second.
func byKeyHead(d *folder) {
	keys, values, key := d.c.NSSMGroup, d.c.DTRank, d.c.DState
	value := d.c.DInner / values
	order := func(first, n int) (rows []int) {
		rows = span(0, first)
		for k := range keys {
			for v := k; v < values; v += keys {
				rows = append(rows, span(first+v*n, n)...)
			}
		}
		return rows
	}
	for name, a := range d.tensors {
		_, part, ok := strings.Cut(name, "linear_attn.")
		if !ok {
			continue
		}
		switch strings.TrimSuffix(part, ".weight") {
		case "in_proj_qkv", "conv1d":
			flat := f32([]int{a.shape[0], len(a.data) / 4 / a.shape[0]}, a.data)
			d.tensors[name] = flat.take(order(2*keys*key, value), a.shape...)
		case "in_proj_z":
			d.tensors[name] = a.take(order(0, value), a.shape...)
		case "in_proj_a", "in_proj_b", "A_log", "dt_bias":
			d.tensors[name] = a.take(order(0, 1), a.shape...)
		case "out_proj":
			t := a.turned()
			d.tensors[name] = t.take(order(0, value), t.shape...).turned()
		}
	}
}

var lfm2Names = map[string]string{
	"token_embd_norm": "model.embedding_norm", "attn_norm": "operator_norm", "ffn_norm": "ffn_norm", "attn_q_norm": "self_attn.q_layernorm", "attn_k_norm": "self_attn.k_layernorm",
	"attn_output": "self_attn.out_proj", "shortconv.conv": "conv.conv", "shortconv.in_proj": "conv.in_proj", "shortconv.out_proj": "conv.out_proj",
}

// shiftedNext is shifted for all norms but those of delta nets.
func shiftedNext(d *folder) {
	for name, a := range d.tensors {
		if strings.HasSuffix(name, "norm.weight") && !strings.Contains(name, "linear_attn") {
			d.tensors[name] = a.minusOne()
		}
	}
}

// factors are those of RoPE in a file, for its config.json.
func (d *folder) factors(name string) []float32 {
	x, ok := d.f.Tensor(name)
	require.True(d.t, ok)
	out := make([]float32, x.Shape[0])
	quant.Dequantize(x.Type, out, d.f.Data(x))
	return out
}

// mambaNames are those of Mamba's tensors.
func mambaNames(prefix string) map[string]string {
	return map[string]string{
		"ssm_in": prefix + "in_proj", "ssm_conv1d": prefix + "conv1d", "ssm_x": prefix + "x_proj", "ssm_dt": prefix + "dt_proj", "ssm_a": prefix + "A_log", "ssm_d": prefix + "D",
		"ssm_norm": prefix + "norm", "ssm_out": prefix + "out_proj",
	}
}

// recurrent brings what recurrent layers have into the form of checkpoints: decays as logarithms,
// convolutions with a dimension more, what heads have as vectors.
func recurrent(d *folder) {
	for name, a := range d.tensors {
		switch {
		case strings.HasSuffix(name, "A_log"):
			x := make([]float32, len(a.data)/4)
			quant.Dequantize(quant.F32, x, a.data)
			b := make([]byte, len(a.data))
			for i, v := range x {
				putFloat(b[4*i:], float32(math.Log(-float64(v))))
			}
			if a.shape[len(a.shape)-1] == 1 {
				a.shape = a.shape[:1]
			}
			d.tensors[name] = f32(a.shape, b)
		case strings.HasSuffix(name, ".D") && len(a.shape) == 2:
			d.tensors[name] = f32(a.shape[:1], a.data)
		case strings.HasSuffix(name, "conv1d.weight"), strings.HasSuffix(name, "conv.conv.weight"):
			d.tensors[name] = f32([]int{a.shape[0], 1, a.shape[1]}, a.data)
		case strings.HasSuffix(name, "mixer.norm.weight"), strings.HasSuffix(name, "mamba.norm.weight"):
			d.tensors[name] = f32([]int{len(a.data) / 4}, a.data)
		}
	}
}

// delta joins queries, keys, values and gates by heads of keys.
func delta(d *folder) {
	heads, key, value := d.c.NSSMGroup, d.c.DState, d.c.DInner/d.c.NSSMGroup
	for i := range d.c.NLayer {
		prefix := fmt.Sprintf("blk.%d.", i)
		qkv, ok := d.get(prefix + "attn_qkv.weight")
		if !ok {
			continue
		}
		gate := d.blk(i, "attn_gate.weight")
		out := f32([]int{2 * (heads*key + d.c.DInner), qkv.shape[1]}, nil)
		for h := range heads {
			for _, part := range [][]int{span(h*key, key), span((heads+h)*key, key), span(2*heads*key+h*value, value)} {
				out.data = append(out.data, qkv.take(part, len(part), qkv.shape[1]).data...)
			}
			out.data = append(out.data, gate.take(span(h*value, value), value, gate.shape[1]).data...)
		}
		d.tensors[fmt.Sprintf("model.layers.%d.linear_attn.in_proj_qkvz.weight", i)] = out
	}
}

func merged(tables ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, t := range tables {
		maps.Copy(all, t)
	}
	return all
}

// make makes a folder out of a file.
func (p *published) make(t *testing.T, f *gguf.File) *folder {
	c, err := model.ReadConfig(model.GGUF(f))
	require.NoError(t, err)
	d := &folder{t: t, f: f, c: c, tensors: map[string]array{}}
	d.config = object{
		"architectures": []string{p.class}, "hidden_size": c.NEmbd, "num_hidden_layers": c.NLayer, "num_attention_heads": c.NHead, "num_key_value_heads": c.NHeadKV,
		"intermediate_size": c.NFF, "max_position_embeddings": c.NCtx, "rms_norm_eps": c.NormEps, "rope_theta": c.Rope.Base, "vocab_size": c.NVocab, "hidden_act": "silu",
	}
	if c.NHead > 0 && c.HeadDim*c.NHead != c.NEmbd {
		d.config["head_dim"] = c.HeadDim
	}
	if c.NExpert > 0 {
		d.config["num_experts"], d.config["num_experts_per_tok"], d.config["moe_intermediate_size"] = c.NExpert, c.NExpertUsed, c.NFFExpert
		if c.NFFShared > 0 {
			d.config["shared_expert_intermediate_size"], d.config["moe_num_shared_experts"] = c.NFFShared, 1
		}
	}
	for _, key := range p.drop {
		delete(d.config, key)
	}
	maps.Copy(d.config, p.config)
	names, layer := with(p.names), p.layer
	if layer == "" {
		layer = "model.layers.%d."
	}
	for _, x := range f.Tensors() {
		if strings.HasPrefix(x.Name, "rope_f") {
			continue
		}
		a, _ := d.get(x.Name)
		rest, prefix, i := x.Name, "", 0
		if n, _ := fmt.Sscanf(x.Name, "blk.%d.", &i); n == 1 {
			rest, prefix = x.Name[len(fmt.Sprintf("blk.%d.", i)):], fmt.Sprintf(layer, i)
			if i >= c.NLayer {
				continue
			}
		}
		base, suffix := rest, ""
		if dot := strings.LastIndexByte(rest, '.'); dot >= 0 {
			base, suffix = rest[:dot], rest[dot:]
		}
		name, ok := names[rest] // of those whose suffix makes them another tensor
		if !ok {
			name, ok = names[base]
		} else {
			suffix = ""
		}
		require.True(t, ok, "no name for %s", x.Name)
		if strings.HasSuffix(name, "bias") || strings.HasSuffix(name, "sinks") {
			suffix = ""
		}
		switch {
		case name == "":
		case strings.Contains(name, "%d"):
			rows := a.shape[0]
			per := len(a.data) / rows
			for e := range rows {
				d.tensors[prefix+fmt.Sprintf(name, e)+suffix] = f32(a.shape[1:], a.data[e*per:(e+1)*per])
			}
		default:
			d.tensors[prefix+name+suffix] = a
		}
	}
	if p.build != nil {
		p.build(d)
	}
	return d
}

// TestFamilies makes a checkpoint of a model of the conformance set as its architecture's
// checkpoints are published, and opens it: it is the model that it was made of, in every tensor and
// in the configuration, whose logits are compared with the reference elsewhere. What is known here
// of the published form was written down apart from the package's tables.
func TestFamilies(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "conformance", "models")
	for _, p := range checkpoints {
		t.Run(p.model, func(t *testing.T) {
			want, err := gguf.Open(filepath.Join(dir, p.model, "model.gguf"), gguf.Options{})
			require.NoError(t, err)
			defer want.Close()
			d := p.make(t, want)
			got, err := hf.Open(d.write(), arch.Families(), gguf.Options{})
			require.NoError(t, err)
			defer got.Close()
			require.Empty(t, got.Notes())
			a, err := model.ReadConfig(model.GGUF(want))
			require.NoError(t, err)
			b, err := model.ReadConfig(model.GGUF(got))
			require.NoError(t, err)
			b.Name, b.HasVocab = a.Name, a.HasVocab
			a.Rope.Factor, b.Rope.Factor = max(1, a.Rope.Factor), max(1, b.Rope.Factor) // 0 is 1
			if p.adjust != nil {
				p.adjust(&a)
			}
			require.Equal(t, a, b)
			for _, x := range want.Tensors() {
				if i := 0; strings.HasPrefix(x.Name, "blk.") {
					_, _ = fmt.Sscanf(x.Name, "blk.%d.", &i)
					if i >= a.NLayer {
						continue
					}
				}
				y, ok := got.Tensor(x.Name)
				require.True(t, ok, x.Name)
				requireSame(t, want, got, &x, y, p.build != nil)
			}
			require.LessOrEqual(t, len(got.Tensors()), len(want.Tensors()))
		})
	}
}

// requireSame compares tensors, up to rounding where norms were shifted.
func requireSame(t *testing.T, f, g *gguf.File, x, y *gguf.Tensor, shifted bool) {
	require.Equal(t, x.Type, y.Type, x.Name)
	require.Equal(t, trim(x.Shape), trim(y.Shape), x.Name)
	n := int(x.Bytes / 4)
	a, b := make([]float32, n), make([]float32, n)
	quant.Dequantize(quant.F32, a, f.Data(x))
	quant.Dequantize(quant.F32, b, g.Data(y))
	if shifted && strings.HasSuffix(x.Name, "norm.weight") || strings.HasPrefix(x.Name, "rope_f") || strings.HasSuffix(x.Name, "ssm_a") {
		require.InDeltaSlice(t, a, b, 2e-6, x.Name)
		return
	}
	require.Equal(t, a, b, x.Name)
}

func trim(shape []int) []int {
	for len(shape) > 1 && shape[len(shape)-1] == 1 {
		shape = shape[:len(shape)-1]
	}
	return shape
}
