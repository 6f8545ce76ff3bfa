package size

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
	"github.com/goinfer/goinfer/source"
)

func report(t *testing.T, name string) *Breakdown {
	m, err := Known(name)
	require.NoError(t, err)
	r, err := m.Breakdown()
	require.NoError(t, err)
	return r
}

func tensorOf(name string, shape ...int) model.Tensor {
	return model.Tensor{Name: name, Shape: shape, Used: 1, Of: 1}
}

// deepseek is a configuration with 4 heads of 12+8, whose values are 16 long.
func deepseek() model.Config {
	return model.Config{NHead: 4, HeadDim: 20, HeadDimV: 16, Rope: nn.RopeConfig{Dim: 8}}
}

func (r *Breakdown) component(name string) Component {
	for _, c := range r.Components {
		if c.Name == name {
			return c
		}
	}
	return Component{}
}

// TestActive: totals and active parameters are those that the models are published with, in the
// words of their makers.
func TestActive(t *testing.T) {
	for name, want := range map[string]struct {
		total  int64
		active float64 // in 10⁹
	}{
		"llama-2-7b":      {6_738_415_616, 6.738},
		"llama-3.1-405b":  {405_853_388_800, 405.853},
		"mixtral-8x7b":    {46_702_792_704, 12.88},
		"mixtral-8x22b":   {140_620_634_112, 39.15},
		"deepseek-v2":     {235_741_434_880, 21.4},
		"deepseek-v3":     {671_026_419_200, 37.55},
		"qwen3-30b-a3b":   {30_532_122_624, 3.35},
		"qwen3-235b-a22b": {235_093_634_560, 22.2},
		"olmoe-1b-7b":     {6_919_161_856, 1.28},
		"phi-3.5-moe":     {41_873_153_344, 6.64},
	} {
		r := report(t, name)
		require.Equal(t, want.total, r.Total, name)
		require.InEpsilon(t, want.active, float64(r.Active)/1e9, 0.005, name)
	}
	// gpt-oss is reported to have 3.6 B active of 20.9 B and 5.1 B of 117 B, not counting the
	// embedding, of which a token reads one row.
	for name, want := range map[string]float64{"gpt-oss-20b": 3.61, "gpt-oss-120b": 5.13} {
		r := report(t, name)
		require.InEpsilon(t, want, float64(r.Active-r.component(Embedding).Active)/1e9, 0.005, name)
	}
}

// TestSums: in every known model components and layers add up, and hold what their names say.
func TestSums(t *testing.T) {
	for _, name := range ShapeNames() {
		r := report(t, name)
		var total, active, inLayers int64
		var shares float64
		for _, c := range r.Components {
			require.False(t, c.Name == OtherParams && c.Share > 1e-4, "%s: %+v", name, c)
			total += c.Parameters
			active += c.Active
			shares += c.Share
		}
		require.Equal(t, r.Total, total, name)
		require.Equal(t, r.Active, active, name)
		require.InDelta(t, 1, shares, 1e-9, name)
		for _, l := range r.Layers {
			var sum, tensors int64
			for _, n := range l.Components {
				sum += n
			}
			for _, x := range l.Tensors {
				tensors += x.Parameters
			}
			require.Equal(t, l.Parameters, sum, name)
			require.Equal(t, l.Parameters, tensors, name)
			inLayers += l.Parameters
		}
		outside := r.component(Embedding).Parameters + r.component(Output).Parameters
		require.InDelta(t, r.Total, inLayers+outside, 2*float64(r.Hyper.Embd), name, "the last norm is outside too")
		require.Equal(t, r.Tied, r.component(Output).Parameters == 0, name)
		require.Equal(t, r.Hyper.Experts > 0, r.component(Experts).Parameters > 0, name)
		require.Equal(t, r.Hyper.Experts > 0, r.Active < r.Total, name)
		require.Equal(t, r.Hyper.NHead > 0, r.component(AttentionK).Parameters > 0, name)
		require.True(t, r.Hyper.NHead > 0 || r.component(RecurrentBlocks).Parameters > 0, name)
	}
}

// TestComponents: the parts of a model, by hand.
func TestComponents(t *testing.T) {
	r := report(t, "llama-2-7b")
	require.EqualValues(t, 4096*32000, r.component(Embedding).Parameters)
	require.EqualValues(t, 4096*32000, r.component(Output).Parameters)
	require.EqualValues(t, 32*4096*4096, r.component(AttentionV).Parameters)
	require.EqualValues(t, 32*3*4096*11008, r.component(FeedForward).Parameters)
	require.EqualValues(t, 65*4096, r.component(Norms).Parameters)
	require.EqualValues(t, 202_383_360, r.Layers[31].Parameters)
	require.Equal(t, []LayerGroup{{0, 31, r.Layers[0]}}, r.Groups())

	r = report(t, "phi-3-mini") // queries, keys and values in one matrix
	for _, c := range []string{AttentionQ, AttentionK, AttentionV, AttentionO} {
		require.EqualValues(t, 32*3072*3072, r.component(c).Parameters)
	}
	r = report(t, "qwen2.5-7b") // with biases
	require.EqualValues(t, 28*(3584*3584+3584), r.component(AttentionQ).Parameters)
	require.EqualValues(t, 28*(3584*512+512), r.component(AttentionK).Parameters)

	r = report(t, "deepseek-v2-lite")
	require.EqualValues(t, 27*2048*576, r.component(AttentionKV).Parameters)
	require.EqualValues(t, 26*64*2048, r.component(Router).Parameters)
	require.EqualValues(t, 26*3*2048*2816, r.component(SharedExperts).Parameters)
	require.EqualValues(t, 3*2048*10944, r.component(FeedForward).Parameters)
	gs := r.Groups()
	require.Len(t, gs, 2)
	require.Equal(t, [4]int{0, 0, 1, 26}, [4]int{gs[0].First, gs[0].Last, gs[1].First, gs[1].Last})
	// Both layouts of files have the same count by component.
	require.Equal(t, []share{{AttentionK, 100 * 4 * 12, 100 * 4 * 12}, {AttentionV, 100 * 4 * 16, 100 * 4 * 16}}, sharesOf(deepseek(), tensorOf("blk.0.attn_kv_b.weight", 100, 4*28)))
	require.Equal(t, []share{{OtherParams, 100 * 7, 100 * 7}}, sharesOf(deepseek(), tensorOf("blk.0.attn_kv_b.weight", 100, 7)))
}

// TestBytes: the naive reckoning, and files, whose sizes are known from llama-quantize.
func TestBytes(t *testing.T) {
	r := report(t, "llama-2-7b")
	require.EqualValues(t, 13_476_831_232, r.Bytes.FP16)
	require.EqualValues(t, 6_738_415_616, r.Bytes.INT8)
	require.EqualValues(t, 3_369_207_808, r.Bytes.INT4)
	require.Zero(t, r.Bytes.File)
	bits := map[string]float64{}
	for _, b := range r.Bytes.Types {
		bits[b.Type] = b.Bits
		require.InEpsilon(t, float64(r.Total)*b.Bits/8, float64(b.Bytes), 1e-9)
	}
	for typ, want := range map[string]float64{"F16": 16, "Q8_0": 8.5, "Q4_K_M": 4.84, "Q4_0": 4.54, "Q2_K": 3.01} {
		require.InDelta(t, want, bits[typ], 0.01, typ)
	}
}

// TestCache: what a token adds, and what it would with a key head for every query head.
func TestCache(t *testing.T) {
	for name, want := range map[string]struct {
		token  int64
		factor float64
	}{
		"llama-2-7b":  {2 * 2 * 32 * 4096, 1},
		"llama-3-8b":  {2 * 2 * 32 * 1024, 4},
		"llama-2-70b": {2 * 2 * 80 * 1024, 8},
		"deepseek-v3": {2 * 61 * 576, 128 * (192 + 128) / 576.0},
	} {
		r := report(t, name)
		require.Equal(t, CacheSize{"F16", want.token, want.token * int64(r.Hyper.Context), int64(float64(want.token)*want.factor + 0.5)}, r.Cache.Types[0], name)
		require.InDelta(t, want.factor, r.Cache.MultiHead, 1e-9, name)
	}
	// Of a layer with a window no more than that is kept: of Gemma 3's 26 layers every sixth sees
	// all.
	gemma := report(t, "gemma-3-1b").Cache.Types[0]
	layer := gemma.Token / 26
	require.Equal(t, layer*(4*32768+22*512), gemma.Context)

	m, err := Known("stories260k") // heads of 8 are no whole number of blocks of 32
	require.NoError(t, err)
	r, err := m.Breakdown()
	require.NoError(t, err)
	require.Len(t, r.Cache.Types, 1)
	_, err = m.CacheGrowth(kv.Q8_0, kv.F16)
	require.ErrorContains(t, err, "multiple of 32")

	// Latents of 512 can be cached in blocks; heads of 40, which they stand for, could not be.
	m, err = parseConfig(t, []byte(`{"architectures": ["DeepseekV3ForCausalLM"], "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
		"num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 4096, "vocab_size": 512, "rms_norm_eps": 1e-6, "q_lora_rank": 64, "kv_lora_rank": 496,
		"qk_nope_head_dim": 24, "qk_rope_head_dim": 16, "v_head_dim": 24, "n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "n_shared_experts": 1,
		"first_k_dense_replace": 1, "n_group": 1, "topk_group": 1, "routed_scaling_factor": 1.0, "scoring_func": "sigmoid", "norm_topk_prob": true}`))
	require.NoError(t, err)
	r, err = m.Breakdown()
	require.NoError(t, err)
	require.Len(t, r.Cache.Types, 3)
	require.Equal(t, CacheSize{"F16", 2 * 2 * 512, 2 * 2 * 512 * 4096, 2 * 2 * 4 * (40 + 24)}, r.Cache.Types[0])
	require.Positive(t, r.Cache.Types[1].Token)
	require.Zero(t, r.Cache.Types[1].MultiHead)
}

// TestFile: a file is counted by its own types, and as its shape is.
func TestFile(t *testing.T) {
	s, err := FindShape("tiny-moe")
	require.NoError(t, err)
	w, err := s.Random(t.Context(), RandomOptions{Type: "q4_k_m"})
	require.NoError(t, err)
	var b bytes.Buffer
	_, err = w.WriteTo(&b)
	require.NoError(t, err)
	m, err := Open(t.Context(), source.Bytes("m", b.Bytes()))
	require.NoError(t, err)
	require.Equal(t, "Q4_K_M", m.FileType)
	got, err := m.Breakdown()
	require.NoError(t, err)
	want := report(t, "tiny-moe")
	require.Equal(t, want.Components, got.Components)
	require.Equal(t, want.Layers, got.Layers)
	for _, x := range got.Bytes.Types {
		if x.Type == "Q4_K_M" {
			require.Equal(t, x.Bytes, got.Bytes.File)
		}
	}
	as, err := m.As("q4_k_m")
	require.NoError(t, err)
	require.Equal(t, m.Tensors, as.Tensors)
	_, err = m.As("q9")
	require.ErrorContains(t, err, `"q9"`)

	path := filepath.Join(t.TempDir(), "m.gguf")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
	again, err := openPath(t, path)
	require.NoError(t, err)
	require.Equal(t, m.Tensors, again.Tensors)
	require.NoError(t, os.WriteFile(path, b.Bytes()[:5000], 0o644))
	_, err = openPath(t, path)
	require.ErrorIs(t, err, gguf.ErrFormat)
	_, err = openPath(t, filepath.Join(t.TempDir(), "none.gguf"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestConfig: a config.json alone has the same count as the shape.
func TestConfig(t *testing.T) {
	const llama = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
		"num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096, "vocab_size": 32000, "rms_norm_eps": 1e-5, "tie_word_embeddings": false}`
	const qwen = `{"architectures": ["Qwen2ForCausalLM"], "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24, "num_attention_heads": 14,
		"num_key_value_heads": 2, "max_position_embeddings": 32768, "vocab_size": 151936, "rms_norm_eps": 1e-6, "tie_word_embeddings": true}`
	for config, want := range map[string]int64{llama: 6_738_415_616, qwen: 494_032_768} {
		m, err := parseConfig(t, []byte(config))
		require.NoError(t, err)
		r, err := m.Breakdown()
		require.NoError(t, err)
		require.Equal(t, want, r.Total)

		dir := t.TempDir()
		path := filepath.Join(dir, "config.json")
		require.NoError(t, os.WriteFile(path, []byte(config), 0o644))
		for _, name := range []string{path, dir} {
			m, err := openPath(t, name)
			require.NoError(t, err)
			require.EqualValues(t, want, m.Counts().Params)
			require.False(t, m.Stored)
		}
	}
	_, err := parseConfig(t, []byte(`{"model_type": "nonsense"}`))
	require.ErrorContains(t, err, "nonsense")
	_, err = parseConfig(t, []byte(`{`))
	require.ErrorContains(t, err, "config.json")
}

// TestReference: every tiny model of the reference data is counted whole.
func TestReference(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared.Dir(t), "conformance", "models", "*", "*.gguf"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	counted := 0
	for _, path := range files {
		m, err := openPath(t, path)
		if err != nil {
			continue // of an architecture that does not run
		}
		counted++
		r, err := m.Breakdown()
		require.NoError(t, err, path)
		f, err := gguf.Open(path, gguf.Options{HeaderOnly: true})
		require.NoError(t, err)
		var all int64
		for _, x := range f.Tensors() {
			n := int64(1)
			for _, d := range x.Shape {
				n *= int64(d)
			}
			if !isBuffer(x.Name) {
				all += n
			}
		}
		if len(m.Notes) == 0 {
			require.Equal(t, all, r.Total, path)
		} else {
			require.Less(t, r.Total, all, path)
		}
		require.NoError(t, f.Close())
	}
	require.Greater(t, counted, 40)
}

// openPath opens what is at a path.
func openPath(t *testing.T, path string) (*Layout, error) {
	t.Helper()
	s, err := source.Path(path)
	if err != nil {
		return nil, err
	}
	return Open(t.Context(), s)
}

// parseConfig reads a config.json in memory.
func parseConfig(t *testing.T, data []byte) (*Layout, error) {
	t.Helper()
	return Open(t.Context(), source.RemoteConfig("config.json", func(context.Context) ([]byte, error) { return data, nil }))
}
