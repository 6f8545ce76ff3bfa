package size

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/source"
)

// complete are the models that must run whatever else does, and what they have beyond the keys of
// their shapes: the stretched RoPE of their files.
var complete = []struct {
	name     string
	keys     []Key
	optional []string
	by       uint32 // what widths are divided by; 0 means 32
}{
	{name: "llama-2-7b"}, {name: "llama-2-13b"}, {name: "llama-2-70b"}, {name: "llama-3-8b"}, {name: "llama-3-70b"}, {name: "mistral-7b"}, {name: "mixtral-8x7b"}, {name: "mixtral-8x22b"},
	{name: "phi-3-mini", by: 16}, // whose heads are 96 long
	{name: "llama-3.1-405b", optional: []string{"rope_freqs.weight"}},
	{name: "phi-3-medium", keys: []Key{{"rope.scaling.type", "longrope"}, {"rope.scaling.original_context_length", uint32(64)}, {"rope.scaling.attn_factor", float32(1.19)}},
		optional: []string{"rope_factors_long.weight", "rope_factors_short.weight"}},
	{name: "deepseek-v2", keys: yarn40(0.0707)},
	{name: "deepseek-v3", keys: yarn40(0.1)},
}

func yarn40(multiplier float32) []Key {
	return []Key{{"rope.scaling.type", "yarn"}, {"rope.scaling.factor", float32(40)}, {"rope.scaling.original_context_length", uint32(4096)}, {"rope.scaling.yarn_log_multiplier", multiplier}}
}

// scale divides the widths of a shape by by and leaves the numbers of heads, experts and groups:
// every ratio stays. Of its layers it has the dense ones in front, and two more.
func (s Shape) scale(by uint32) Shape {
	s.Keys = slices.Clone(s.Keys)
	layers := uint32(2)
	for i, k := range s.Keys {
		n, ok := k.Value.(uint32)
		if !ok {
			continue
		}
		switch k.Name {
		case "embedding_length", "feed_forward_length", "expert_feed_forward_length", "rope.dimension_count", "attention.key_length", "attention.value_length",
			"attention.key_length_mla", "attention.value_length_mla", "attention.q_lora_rank", "attention.kv_lora_rank":
			s.Keys[i].Value = n / by
		case "leading_dense_block_count":
			layers = n + 1
		}
	}
	for i, k := range s.Keys {
		if k.Name == "block_count" {
			s.Keys[i].Value = layers
		}
	}
	s.Vocab.Size = 1024
	return s
}

// TestComplete runs the models that must run, with the ratios and the features of their full
// configurations, whose numbers of parameters TestCounts compares: they open, leave no tensor over,
// keep what they ought to of a position, and give the same bits at once and one token at a time.
func TestComplete(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a file for each model")
	}
	tokens := make([]int32, 40)
	for i := range tokens {
		tokens[i] = int32(260 + 13*i)
	}
	for _, m := range complete {
		t.Run(m.name, func(t *testing.T) {
			by := m.by
			if by == 0 {
				by = 32
			}
			full, err := FindShape(m.name)
			require.NoError(t, err)
			full.Optional = append(slices.Clone(full.Optional), m.optional...)
			small := full.with(m.keys...).scale(by)
			data := write(t, small, RandomOptions{Type: "f32"})
			logits := func(o goinfer.Options) (bits []uint32, need goinfer.Memory) {
				o.Context, o.CacheK, o.CacheV = 256, goinfer.CacheF32, goinfer.CacheF32
				g, err := goinfer.OpenSource(source.Bytes(m.name, data), o)
				require.NoError(t, err)
				defer g.Close()
				require.Empty(t, g.Info().Warnings)
				require.NoError(t, g.Score(t.Context(), goinfer.Request{Tokens: tokens, Logits: func(_ int, row []float32) error {
					for _, v := range row {
						require.Less(t, math.Abs(float64(v)), 1000.0)
						bits = append(bits, math.Float32bits(v))
					}
					return nil
				}}))
				return bits, g.Info().Memory
			}
			at, need := logits(goinfer.Options{})
			one, _ := logits(goinfer.Options{Batch: 1})
			require.Equal(t, at, one)

			c, err := full.Config()
			require.NoError(t, err)
			layers, err := small.Config()
			require.NoError(t, err)
			row := c.NHeadKV * (c.HeadDim + c.HeadDimV) // keys and values
			if c.NLoraKV > 0 {
				row = c.NLoraKV + c.Rope.Dim // the latent, and nothing of any head
			}
			require.EqualValues(t, 4*layers.NLayer*row/int(by), need.Token)
		})
	}
}
