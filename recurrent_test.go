package goinfer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/source"
)

// TestHostileRecurrence: numbers that recurrent layers cannot have are refused, or the tensors do
// not fit them.
func TestHostileRecurrence(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "conformance", "models")
	opened := 0
	for arch, keys := range map[string][]string{
		"mamba":         {"ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank"},
		"mamba2":        {"ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank", "ssm.group_count"},
		"jamba":         {"ssm.conv_kernel", "ssm.time_step_rank", "attention.head_count", "attention.head_count_kv", "expert_count"},
		"falcon-h1":     {"ssm.group_count", "ssm.time_step_rank", "attention.head_count", "attention.head_count_kv"},
		"lfm2":          {"shortconv.l_cache", "attention.head_count", "attention.head_count_kv"},
		"granitehybrid": {"ssm.group_count", "attention.head_count_kv"},
		"qwen3next":     {"ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank", "ssm.group_count", "full_attention_interval"},
	} {
		data, err := os.ReadFile(filepath.Join(dir, arch, "model.gguf"))
		require.NoError(t, err)
		runs(t, arch, data, goinfer.Options{})
		for _, key := range keys {
			for _, n := range []uint32{0, 1, 3, 7, 1 << 14, 1 << 24, 1<<31 - 1, 1<<32 - 1} {
				f := takeApart(t, data)
				f.set(arch+"."+key, raw(rawUint32).u32(n))
				name := fmt.Sprintf("%s: %s %d", arch, key, n)
				m, err := goinfer.OpenSource(source.Bytes(arch, f.bytes()), goinfer.Options{})
				if err == nil { // what the file says anyway, or nobody reads
					opened++
					require.NoError(t, twoTokens(m), name)
					require.NoError(t, m.Close())
					continue
				}
				oneLine(t, err, arch)
			}
		}
	}
	require.Equal(t, 4, opened)
}

// TestWindowMemory: what a model needs grows with the context in the layers that see everything,
// and not in others.
func TestWindowMemory(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "conformance", "models")
	need := func(name string, context int) goinfer.Memory {
		return open(t, filepath.Join(dir, name, "model.gguf"), goinfer.Options{Context: context, Batch: 64}).Info().Memory
	}
	for name, c := range map[string]struct {
		// bytes of a position in the layers that see everything: heads, length, keys and values,
		// half floats
		token int64
		state int64
	}{
		"llama-dense":   {token: 3 * 2 * 16 * 2 * 2},
		"gemma3":        {token: 1 * 2 * 16 * 2 * 2},
		"mamba":         {state: 2 * 4 * (3*64 + 64*16)},
		"granitehybrid": {token: 2 * 12 * 2 * 2, state: 2 * 4 * (3*128 + 96*16)},
	} {
		short, long := need(name, 1024), need(name, 4096)
		require.Equal(t, c.token, short.Token, name)
		require.Equal(t, c.state, short.State, name)
		require.Equal(t, 3072*c.token, long.Cache-short.Cache, name)
		require.GreaterOrEqual(t, short.Cache, 1024*c.token+2*c.state, name)
	}
}
