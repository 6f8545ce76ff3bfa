package hf_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/convert"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/model/arch"
)

// as writes a model in other types and opens what was written.
func as(t testing.TB, f *gguf.File, typ string) *gguf.File {
	w, err := convert.Quantize(context.Background(), f, convert.Options{Type: typ, Threads: 2})
	require.NoError(t, err)
	var b bytes.Buffer
	_, err = w.WriteTo(&b)
	require.NoError(t, err)
	g, err := gguf.OpenBytes(typ, b.Bytes())
	require.NoError(t, err)
	return g
}

// TestSameAsFile: the folders of trained models, in the type of the files that other tools made of
// them, have the same tensors, bit for bit, and the same configuration.
func TestSameAsFile(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "models")
	for name, typ := range map[string]string{"stories260K": "f32", "tiny-dense": "f16", "tiny-moe": "f16"} {
		t.Run(name, func(t *testing.T) {
			want, err := gguf.Open(filepath.Join(dir, name, name+"-"+typ+".gguf"), gguf.Options{})
			require.NoError(t, err)
			defer want.Close()
			folder, err := hf.Open(filepath.Join(dir, name, "hf"), arch.Families(), gguf.Options{})
			require.NoError(t, err)
			defer folder.Close()
			require.Empty(t, folder.Notes())
			got := as(t, folder, typ)
			require.Len(t, got.Tensors(), len(want.Tensors()))
			for _, x := range want.Tensors() {
				y, ok := got.Tensor(x.Name)
				require.True(t, ok, x.Name)
				require.Equal(t, x.Type, y.Type, x.Name)
				require.Equal(t, x.Shape, y.Shape, x.Name)
				require.True(t, bytes.Equal(want.Data(&x), got.Data(y)), x.Name)
			}
			a, err := model.ReadConfig(model.GGUF(want))
			require.NoError(t, err)
			b, err := model.ReadConfig(model.GGUF(got))
			require.NoError(t, err)
			b.Name, b.HasVocab = a.Name, a.HasVocab
			require.Equal(t, a, b)
		})
	}
}

// TestOtherParts: layers of a vision tower, and those that predict further tokens, are not taken
// for layers of the model, and a note says that they are left out.
func TestOtherParts(t *testing.T) {
	f, err := gguf.Open(filepath.Join(shared.Dir(t), "conformance", "models", "gemma3", "model.gguf"), gguf.Options{})
	require.NoError(t, err)
	defer f.Close()
	i := slices.IndexFunc(checkpoints, func(p published) bool { return p.model == "gemma3" })
	d := checkpoints[i].make(t, f)
	whole := map[string]array{}
	for name, a := range d.tensors {
		whole["language_model."+name] = a
	}
	x := f32([]int{1}, make([]byte, 4))
	for _, name := range []string{
		"vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight", "visual.blocks.0.attn.qkv.weight", "multi_modal_projector.mm_input_projection_weight", "mtp.layers.0.mlp.up_proj.weight",
		"language_model.model.layers.7.mlp.up_proj.weight",
	} {
		whole[name] = x
	}
	d.tensors = whole
	d.config["text_config"] = map[string]any{"model_type": "gemma3_text", "hidden_size": d.config["hidden_size"]}
	d.config["hidden_size"], d.config["architectures"] = 7, []string{"Gemma3ForConditionalGeneration"}
	g, err := hf.Open(d.write(), arch.Families(), gguf.Options{})
	require.NoError(t, err)
	defer g.Close()
	require.Len(t, g.Tensors(), len(f.Tensors()))
	require.Equal(t, []string{"5 tensors of the folder take no part in this architecture, the first is language_model.model.layers.7.mlp.up_proj.weight"}, g.Notes())
}

// TestLacking: a checkpoint that lacks a tensor is not converted.
func TestLacking(t *testing.T) {
	f, err := gguf.Open(filepath.Join(shared.Dir(t), "conformance", "models", "llama-dense", "model.gguf"), gguf.Options{})
	require.NoError(t, err)
	defer f.Close()
	d := checkpoints[0].make(t, f)
	delete(d.tensors, "model.layers.1.mlp.up_proj.weight")
	g, err := hf.Open(d.write(), arch.Families(), gguf.Options{})
	require.NoError(t, err)
	defer g.Close()
	_, err = convert.Quantize(context.Background(), g, convert.Options{})
	require.ErrorContains(t, err, `no tensor "blk.1.ffn_up.weight"`)
}

// TestConfigFaults: what a config.json says and cannot mean is an error in a line that names the
// key.
func TestConfigFaults(t *testing.T) {
	const qwen2vl = `{"architectures": ["Qwen2VLForConditionalGeneration"], "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "rope_scaling": {"type": "mrope", "mrope_section": `
	const bert = `{"architectures": ["BertModel"], "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}`
	for name, c := range map[string]struct{ config, pooling, want string }{
		"half a section": {qwen2vl + `[1, 1.5]}}`, "", `key "rope_scaling.mrope_section": want whole numbers from 0 on, found 1.5`},
		"a huge section": {qwen2vl + `[1e30]}}`, "", `key "rope_scaling.mrope_section": want whole numbers from 0 on, found 1e+30`},
		"five sections":  {qwen2vl + `[1, 1, 1, 1, 1]}}`, "", `key "rope_scaling.mrope_section": want at most 4 numbers, found 5`},
		"nobody's":       {`{"model_type": "", "hidden_size": 64}`, "", `no key "architectures" and no "model_type": want the name of an architecture`},
		"heads for ever": {`{"architectures": ["DeepseekV2ForCausalLM"], "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "qk_nope_head_dim": 8, "v_head_dim": 8, "kv_lora_rank": 8,
			"qk_rope_head_dim": 2147483646, "rope_theta": 1e4, "rope_scaling": {"type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 32}}`,
			"", "heads of 2147483646: beyond any model"},
		"pooling cut short": {bert, `{"pooling_mode_cls_token": `, filepath.Join("1_Pooling", "config.json") + ": unexpected EOF"},
		"pooling by text":   {bert, `{"pooling_mode_cls_token": "yes"}`, `key "pooling_mode_cls_token": want true or false, found "yes"`},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "config.json")
		require.NoError(t, os.WriteFile(path, []byte(c.config), 0o600))
		if c.pooling != "" {
			require.NoError(t, os.Mkdir(filepath.Join(dir, "1_Pooling"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "1_Pooling", "config.json"), []byte(c.pooling), 0o600))
		}
		_, _, err := hf.ReadConfig(path, arch.Families())
		require.ErrorContains(t, err, c.want, name)
		require.NotContains(t, err.Error(), "\n", name)
	}
}

// TestInfinity: Python writes Infinity, which is no JSON; text in strings stays.
func TestInfinity(t *testing.T) {
	config := `{"architectures": ["LlamaForCausalLM"], "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
		"max_position_embeddings": 64, "vocab_size": 300, "rms_norm_eps": %s, "limit": [0.0, Infinity], "note": "an \"Infinity\" of -Infinity"}`
	f, _, err := hf.ParseConfig("config.json", fmt.Appendf(nil, config, "1e-5"), arch.Families())
	require.NoError(t, err)
	require.NoError(t, f.Close())
	for _, value := range []string{"Infinity", "-Infinity"} {
		_, _, err = hf.ParseConfig("config.json", fmt.Appendf(nil, config, value), arch.Families())
		require.ErrorContains(t, err, `key "rms_norm_eps": want a number`)
	}
}
