package checkpoint_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/checkpoint"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
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

// TestTwisted: tensors of other shapes than a family expects, and missing ones, are errors in one line or files that can be read, and nothing else.
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
			g, err := checkpoint.Open(d.write(), gguf.Options{})
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
		g, _, err := checkpoint.ParseConfig("config.json", data)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.NotEmpty(t, g.Keys())
		require.Empty(t, g.Tensors())
	})
}
