package convert

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/quant"
)

// TestFileTypeSizes compares sizes of files with those that llama-quantize wrote from the same F16
// files.
func TestFileTypeSizes(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "models")
	for model, sizes := range map[string]map[string]int64{
		"tiny-dense": {"F16": 11643552, "Q8_0": 6236896, "Q6_K": 4840160, "Q5_K_M": 4274400, "Q4_K_M": 3741920, "Q4_0": 3623648, "Q3_K_M": 3240160, "Q2_K": 2697440},
		"tiny-moe":   {"F16": 28973152, "Q8_0": 15456416, "Q6_K": 12028064, "Q5_K_M": 10565792, "Q4_K_M": 9222304, "Q4_0": 8648864, "Q3_K_M": 7532704, "Q2_K": 6097056},
	} {
		f, err := gguf.Open(filepath.Join(dir, model, model+"-f16.gguf"), gguf.Options{HeaderOnly: true})
		require.NoError(t, err)
		number := func(key string) int {
			v, ok := f.Value("llama." + key)
			if !ok {
				return 0
			}
			n, ok := v.Uint()
			require.True(t, ok, key)
			return int(n)
		}
		facts := ModelInfo{Arch: "llama", NLayer: number("block_count"), NHead: number("attention.head_count"),
			NHeadKV: number("attention.head_count_kv"), NExpert: number("expert_count")}
		var tensors []gguf.Tensor
		var was int64
		for _, x := range f.Tensors() {
			tensors = append(tensors, gguf.Tensor{Name: x.Name, Type: x.Type, Shape: x.Shape})
			was += pad(x.Bytes)
		}
		for name, want := range sizes {
			m, err := gguf.ParseFileType(name)
			require.NoError(t, err)
			types, err := tensorTypes(m, facts, tensors)
			require.NoError(t, err)
			size := sizes["F16"] - was
			for i, x := range tensors {
				n := 1
				for _, s := range x.Shape[1:] {
					n *= s
				}
				size += pad(int64(n * types[i].RowBytes(x.Shape[0])))
			}
			if name != "F16" {
				size += 64 // the key general.quantization_version, which the F16 files lack
			}
			require.Equal(t, want, size, "%s %s", model, name)
		}
		require.NoError(t, f.Close())
	}
}

func pad(n int64) int64 { return (n + 31) / 32 * 32 }

// dense is a model of n layers with rows of d and feed-forward rows of ff.
func dense(n, d, ff int) (ts []gguf.Tensor) {
	add := func(name string, shape ...int) {
		ts = append(ts, gguf.Tensor{Name: name, Type: quant.F32, Shape: shape})
	}
	add("token_embd.weight", d, 1000)
	add("output.weight", d, 1000)
	add("output_norm.weight", d)
	for i := range n {
		blk := fmt.Sprintf("blk.%d.", i)
		add(blk+"attn_norm.weight", d)
		add(blk+"attn_q.weight", d, d)
		add(blk+"attn_k.weight", d, d/4)
		add(blk+"attn_v.weight", d, d/4)
		add(blk+"attn_output.weight", d, d)
		add(blk+"ffn_gate.weight", d, ff)
		add(blk+"ffn_up.weight", d, ff)
		add(blk+"ffn_down.weight", ff, d)
	}
	return ts
}

// TestFileTypeCounts compares with the numbers of tensors per type that the loader of the reference
// prints for published files.
func TestFileTypeCounts(t *testing.T) {
	llama2 := ModelInfo{Arch: "llama", NLayer: 32, NHead: 32, NHeadKV: 32}
	llama3 := ModelInfo{Arch: "llama", NLayer: 32, NHead: 32, NHeadKV: 8, Importance: true}
	for _, c := range []struct {
		ftype string
		facts ModelInfo
		want  map[quant.Type]int
	}{
		{"Q2_K", llama2, map[quant.Type]int{quant.Q2_K: 129, quant.Q3_K: 96, quant.Q6_K: 1}},
		{"Q3_K_S", llama2, map[quant.Type]int{quant.Q3_K: 225, quant.Q6_K: 1}},
		{"q3_k", llama2, map[quant.Type]int{quant.Q3_K: 129, quant.Q4_K: 92, quant.Q5_K: 4, quant.Q6_K: 1}},
		{"Q3_K_L", llama2, map[quant.Type]int{quant.Q3_K: 129, quant.Q5_K: 96, quant.Q6_K: 1}},
		{"Q4_0", llama2, map[quant.Type]int{quant.Q4_0: 225, quant.Q6_K: 1}},
		{"Q4_K_S", llama2, map[quant.Type]int{quant.Q4_K: 217, quant.Q5_K: 8, quant.Q6_K: 1}},
		{"15", llama2, map[quant.Type]int{quant.Q4_K: 193, quant.Q6_K: 33}},
		{"Q5_K", llama2, map[quant.Type]int{quant.Q5_K: 193, quant.Q6_K: 33}},
		{"Q8_0", llama2, map[quant.Type]int{quant.Q8_0: 226}},
		{"BF16", llama2, map[quant.Type]int{quant.BF16: 226}},
		{"Q4_0", llama3, map[quant.Type]int{quant.Q4_0: 221, quant.Q4_1: 4, quant.Q6_K: 1}},
		{"IQ4_XS", llama3, map[quant.Type]int{quant.IQ4_XS: 193, quant.Q5_K: 32, quant.Q6_K: 1}},
		{"IQ3_M", llama3, map[quant.Type]int{quant.IQ3_S: 157, quant.Q4_K: 68, quant.Q6_K: 1}},
		{"IQ2_XS", llama3, map[quant.Type]int{quant.IQ2_XS: 188, quant.Q2_K: 5, quant.Q4_K: 32, quant.Q5_K: 1}},
		{"IQ1_S", llama3, map[quant.Type]int{quant.IQ1_S: 156, quant.IQ2_XXS: 32, quant.Q2_K: 5, quant.Q4_K: 32, quant.Q5_K: 1}},
		{"TQ1_0", llama3, map[quant.Type]int{quant.TQ1_0: 224, quant.Q4_K: 1, quant.Q6_K: 1}},
	} {
		m, err := gguf.ParseFileType(c.ftype)
		require.NoError(t, err)
		ts := dense(32, 4096, 11008)
		types, err := tensorTypes(m, c.facts, ts)
		require.NoError(t, err)
		c.want[quant.F32] = 33
		got := map[quant.Type]int{}
		for _, typ := range types {
			got[typ]++
		}
		require.Equal(t, c.want, got, c.ftype)
	}
}

// TestFileTypeRules checks single tensors where the rules branch.
func TestFileTypeRules(t *testing.T) {
	moe := ModelInfo{Arch: "llama", NLayer: 32, NHead: 32, NHeadKV: 8, NExpert: 8}
	for _, c := range []struct {
		ftype string
		facts ModelInfo
		name  string
		shape []int
		want  quant.Type
	}{
		{"Q4_K_M", moe, "blk.0.ffn_gate_inp.weight", []int{4096, 8}, quant.F32},
		{"Q4_K_M", moe, "blk.0.ffn_down_exps.weight", []int{14336, 4096, 8}, quant.Q6_K},
		{"Q4_K_M", moe, "blk.5.ffn_down_exps.weight", []int{14336, 4096, 8}, quant.Q4_K},
		{"Q4_K_M", moe, "blk.5.attn_v.weight", []int{4096, 1024}, quant.Q8_0},
		{"Q4_K_M", moe, "blk.5.attn_k.weight", []int{4096, 1024}, quant.Q8_0},
		{"Q4_K_M", moe, "blk.5.attn_output.weight", []int{4096, 4096}, quant.Q5_K},
		{"MXFP4_MOE", moe, "blk.5.ffn_up_exps.weight", []int{4096, 14336, 8}, quant.MXFP4},
		{"MXFP4_MOE", moe, "blk.5.attn_q.weight", []int{4096, 4096}, quant.Q8_0},
		{"Q4_K_M", moe, "blk.5.attn_q.bias", []int{4096}, quant.F32},
		{"Q4_K_M", moe, "blk.5.attn_q.weight", []int{4096, 1}, quant.F32},
		{"Q4_K_M", moe, "blk.5.ssm_conv1d.weight", []int{4, 4096}, quant.F32},
		{"Q4_K_M", moe, "blk.5.attn_q_norm.weight", []int{128, 32}, quant.F32},
		{"Q4_K_M", moe, "position_embd.weight", []int{4096, 512}, quant.F32},
		// Tied: the embedding is treated as the output matrix.
		{"Q4_K_M", moe, "token_embd.weight", []int{4096, 1000}, quant.Q6_K},
		{"IQ2_XS", moe, "token_embd.weight", []int{4096, 1000}, quant.Q5_K},
		{"Q4_K_M", moe, "token_embd.weight", []int{96, 1000}, quant.Q8_0},
		// Rows that are no whole number of blocks.
		{"Q2_K", moe, "blk.5.attn_q.weight", []int{96, 96}, quant.Q4_0},
		{"Q4_K_M", moe, "blk.5.attn_q.weight", []int{96, 96}, quant.Q5_0},
		{"Q5_K_M", moe, "blk.5.attn_q.weight", []int{96, 96}, quant.Q5_1},
		{"Q6_K", moe, "blk.5.attn_q.weight", []int{96, 96}, quant.Q8_0},
		{"IQ4_XS", moe, "blk.5.attn_q.weight", []int{96, 96}, quant.IQ4_NL},
		{"TQ2_0", moe, "blk.5.attn_q.weight", []int{96, 96}, quant.Q4_0},
		{"Q1_0", moe, "blk.5.attn_q.weight", []int{96, 96}, quant.Q4_0},
		{"Q8_0", moe, "blk.5.attn_q.weight", []int{172, 96}, quant.F16},
		{"Q4_K_M", moe, "blk.5.attn_q.weight", []int{172, 96}, quant.F16},
		{"F16", moe, "blk.5.attn_q.weight", []int{172, 96}, quant.F16},
		// Attention values of the models called 70B, and Falcon.
		{"Q4_K_M", ModelInfo{Arch: "llama", NLayer: 80, NHead: 64, NHeadKV: 8}, "blk.0.attn_v.weight", []int{8192, 1024}, quant.Q6_K},
		{"Q4_K_S", ModelInfo{Arch: "qwen2", NLayer: 80, NHead: 64, NHeadKV: 8}, "blk.70.attn_v.weight", []int{8192, 1024}, quant.Q5_K},
		{"Q2_K", ModelInfo{Arch: "llama", NLayer: 80, NHead: 64, NHeadKV: 8}, "blk.70.attn_v.weight", []int{8192, 1024}, quant.Q5_K},
		{"Q4_K_M", ModelInfo{Arch: "falcon", NLayer: 32, NHead: 71, NHeadKV: 1}, "token_embd.weight", []int{4544, 1000}, quant.Q8_0},
		{"Q4_K_M", ModelInfo{Arch: "falcon", NLayer: 32, NHead: 71, NHeadKV: 1}, "blk.0.ffn_down.weight", []int{18432, 1000}, quant.Q6_K},
		{"IQ3_XXS", ModelInfo{NLayer: 32, NHead: 8, NHeadKV: 8}, "blk.3.attn_v.weight", []int{512, 512}, quant.IQ3_S},
		{"IQ3_XXS", ModelInfo{NLayer: 32, NHead: 8, NHeadKV: 8}, "blk.3.attn_q.weight", []int{512, 512}, quant.IQ2_S},
		{"IQ3_XXS", ModelInfo{NLayer: 32, NHead: 8, NHeadKV: 8, Importance: true}, "blk.3.ffn_down.weight", []int{512, 512}, quant.IQ3_XXS},
		{"IQ2_M", ModelInfo{NLayer: 32, NHead: 8, NHeadKV: 8}, "blk.3.attn_qkv.weight", []int{512, 512}, quant.IQ3_S},
	} {
		m, err := gguf.ParseFileType(c.ftype)
		require.NoError(t, err)
		types, err := tensorTypes(m, c.facts, []gguf.Tensor{{Name: c.name, Shape: c.shape}})
		require.NoError(t, err)
		require.Equal(t, c.want, types[0], "%s %s %v: want %s, found %s", c.ftype, c.name, c.shape, c.want, types[0])
	}
	// The order in the file does not matter, the order of layers does.
	m, err := gguf.ParseFileType("Q3_K_M")
	require.NoError(t, err)
	types, err := tensorTypes(m, ModelInfo{NLayer: 12}, []gguf.Tensor{
		{Name: "blk.10.attn_v.weight", Shape: []int{256, 256}}, {Name: "blk.2.attn_v.weight", Shape: []int{256, 256}}, {Name: "blk.1.attn_v.weight", Shape: []int{256, 256}},
	})
	require.NoError(t, err)
	require.Equal(t, []quant.Type{quant.Q4_K, quant.Q5_K, quant.Q5_K}, types)
	_, err = tensorTypes(m, ModelInfo{NLayer: 2, NExpert: 4}, []gguf.Tensor{{Name: "blk.2.ffn_down.weight", Shape: []int{256, 256}}})
	require.ErrorContains(t, err, "want a layer below 2")
	_, err = tensorTypes(gguf.FileType(4), ModelInfo{}, nil)
	require.ErrorContains(t, err, "unknown file type 4")
	require.True(t, needsImportance(m, "blk.0.attn_q.weight", quant.IQ2_S))
	require.False(t, needsImportance(m, "output.weight", quant.IQ2_S))
	require.False(t, needsImportance(m, "blk.0.attn_q.weight", quant.Q2_K))
}

// TestChooseTypes: a name is a file type, or else a format for all matrices.
func TestChooseTypes(t *testing.T) {
	f := ModelInfo{Arch: "llama", NLayer: 1, NHead: 4, NHeadKV: 4}
	ts := []gguf.Tensor{
		{Name: "token_embd.weight", Type: quant.F16, Shape: []int{256, 512}}, {Name: "blk.0.attn_norm.weight", Type: quant.F32, Shape: []int{256}}, {Name: "blk.0.attn_q.weight", Type: quant.F16, Shape: []int{256, 256}},
		{Name: "output.weight", Type: quant.F16, Shape: []int{256, 512}},
	}
	for _, c := range []struct {
		name   string
		pure   bool
		types  []quant.Type
		recipe string
	}{
		{"q4_k_m", false, []quant.Type{quant.Q4_K, quant.F32, quant.Q4_K, quant.Q6_K}, "Q4_K_M"},
		{"q4_k", false, []quant.Type{quant.Q4_K, quant.F32, quant.Q4_K, quant.Q6_K}, "Q4_K_M"},
		{"q4_k", true, []quant.Type{quant.Q4_K, quant.F32, quant.Q4_K, quant.Q4_K}, "Q4_K_M"},
		{"Q8_0", true, []quant.Type{quant.Q8_0, quant.F32, quant.Q8_0, quant.Q8_0}, "Q8_0"},
		{"nvfp4", false, []quant.Type{quant.NVFP4, quant.F32, quant.NVFP4, quant.NVFP4}, ""},
		{"mxfp4", true, []quant.Type{quant.MXFP4, quant.F32, quant.MXFP4, quant.MXFP4}, ""},
	} {
		types, recipe, err := ChooseTypes(c.name, c.pure, f, ts)
		require.NoError(t, err)
		require.Equal(t, c.types, types, c.name)
		require.Equal(t, c.recipe != "", recipe.Valid())
		if recipe.Valid() {
			require.Equal(t, c.recipe, recipe.String())
		}
		require.NoError(t, CheckType(c.name, c.pure))
	}
	for _, c := range []struct {
		name string
		pure bool
		want string
	}{
		{"q7", false, `unknown file type "q7": want one of F32, F16`},
		{"q7", true, `unknown type "q7"`},
		{"q4_k_m", true, `unknown type "q4_k_m"`},
		{"i32", false, "I32 is not a type that can be written"},
	} {
		require.ErrorContains(t, CheckType(c.name, c.pure), c.want)
		_, _, err := ChooseTypes(c.name, c.pure, f, ts)
		require.ErrorContains(t, err, c.want)
	}
	ts[2].Shape[0] = 128
	_, _, err := ChooseTypes("q4_k", true, f, ts)
	require.EqualError(t, err, `tensor "blk.0.attn_q.weight" has rows of 128: no whole number of Q4_K blocks of 256`)
}
