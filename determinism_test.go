package goinfer_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/source"
)

// shape is a made-up model of one layer.
type shape struct {
	embd, heads, headsKV, ff, experts int
}

// vocab is 16·n + 5: the last rows of the head fill no tile.
const vocab = 16*20 + 5

// synthetic makes a model file whose matrices are of one type, out of blocks that the reference
// wrote.
func synthetic(t testing.TB, typ quant.Type, s shape) []byte {
	rng := rand.New(rand.NewPCG(uint64(typ), uint64(s.embd)))
	w := gguf.NewWriter()
	set := func(key string, v any) { require.NoError(t, w.Set(key, v)) }
	set("general.architecture", "llama")
	for key, v := range map[string]int{"block_count": 1, "context_length": 2048, "embedding_length": s.embd, "feed_forward_length": s.ff,
		"attention.head_count": s.heads, "attention.head_count_kv": s.headsKV, "vocab_size": vocab, "expert_count": s.experts, "expert_used_count": min(2, s.experts)} {
		set("llama."+key, uint32(v))
	}
	set("llama.attention.layer_norm_rms_epsilon", float32(1e-5))
	matrix := func(name string, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		require.NoError(t, w.Add(name+".weight", typ, shape, blocks(t, rng, typ, n)))
	}
	vector := func(name string, n int) {
		f := make([]float32, n)
		for i := range f {
			f[i] = 1 + rng.Float32()
		}
		b := make([]byte, 4*n)
		require.NoError(t, quant.Quantize(quant.F32, b, f))
		require.NoError(t, w.Add(name+".weight", quant.F32, []int{n}, b))
	}
	head := s.embd / s.heads
	matrix("token_embd", s.embd, vocab)
	matrix("output", s.embd, vocab)
	vector("output_norm", s.embd)
	const b = "blk.0."
	vector(b+"attn_norm", s.embd)
	vector(b+"ffn_norm", s.embd)
	matrix(b+"attn_q", s.embd, s.embd)
	matrix(b+"attn_k", s.embd, head*s.headsKV)
	matrix(b+"attn_v", s.embd, head*s.headsKV)
	matrix(b+"attn_output", s.embd, s.embd)
	if s.experts == 0 {
		matrix(b+"ffn_gate", s.embd, s.ff)
		matrix(b+"ffn_up", s.embd, s.ff)
		matrix(b+"ffn_down", s.ff, s.embd)
	} else {
		matrix(b+"ffn_gate_inp", s.embd, s.experts)
		matrix(b+"ffn_gate_exps", s.embd, s.ff, s.experts)
		matrix(b+"ffn_up_exps", s.embd, s.ff, s.experts)
		matrix(b+"ffn_down_exps", s.ff, s.embd, s.experts)
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	require.NoError(t, w.WriteFile(path))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

// blocks draws n weights' worth of blocks from the reference data.
func blocks(t testing.TB, rng *rand.Rand, typ quant.Type, n int) []byte {
	size := typ.RowBytes(n)
	if typ == quant.F32 {
		f := make([]float32, n)
		for i := range f {
			f[i] = float32(rng.NormFloat64()) / 8
		}
		b := make([]byte, size)
		require.NoError(t, quant.Quantize(typ, b, f))
		return b
	}
	data, err := os.ReadFile(filepath.Join("quant", "testdata", "quant", typ.String()+".bin"))
	require.NoError(t, err)
	out := make([]byte, 0, size)
	one := typ.BlockBytes()
	for len(out) < size {
		at := rng.IntN(len(data)/one) * one
		out = append(out, data[at:at+one]...)
	}
	return out
}

func matrixTypes() []quant.Type {
	var ts []quant.Type
	for t := range quant.Type(quant.NumTypes) {
		if t.IsWeight() {
			ts = append(ts, t)
		}
	}
	return ts
}

func ids(seed uint64, n int) []int32 {
	rng := rand.New(rand.NewPCG(seed, 3))
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(rng.IntN(vocab))
	}
	return out
}

func openBytes(t testing.TB, data []byte, o goinfer.Options) *goinfer.Model {
	m, err := goinfer.OpenSource(source.Bytes("synthetic", data), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// TestDeterminism proves that logits have the same bits for any number of threads, any chunks of
// the prompt, alone or in company, and with a reused cache, for every weight type, dense and with
// experts. It runs at the level in use; GOINFER_CPU chooses another.
func TestDeterminism(t *testing.T) {
	for _, typ := range matrixTypes() {
		rowLen := max(32, typ.BlockSize()) // k of one block
		usual := typ == quant.Q4_0 || typ == quant.Q6_K || typ == quant.F16
		for _, c := range []struct {
			name   string
			shape  shape
			tokens int
			chunks []int // beside the default, 512
		}{
			{"one block", shape{rowLen, 2, 1, rowLen, 0}, 520, []int{7}},
			{"many blocks", shape{512, 8, 2, 512, 0}, 18, []int{1, 2, 3, 4, 5, 7, 17}},
			{"experts", shape{256, 4, 4, 256, 5}, 20, []int{1, 3, 7}},
		} {
			t.Run(typ.String()+"/"+c.name, func(t *testing.T) {
				if testing.Short() && (!usual || c.name == "one block") {
					t.Skip("one of the long ones")
				}
				data := synthetic(t, typ, c.shape)
				prompt := ids(1, c.tokens)
				caches := [][2]goinfer.CacheType{{goinfer.CacheF16, goinfer.CacheF16}}
				if c.name == "many blocks" && (usual || os.Getenv("GOINFER_LONG") != "") {
					caches = append(caches, [][2]goinfer.CacheType{
						{goinfer.CacheF32, goinfer.CacheF32}, {goinfer.CacheQ8_0, goinfer.CacheQ4_0}, {goinfer.CacheQ4_0, goinfer.CacheQ8_0}}...)
				}
				for _, cache := range caches {
					base := goinfer.Options{Threads: 1, CacheK: cache[0], CacheV: cache[1]}
					want := logitsOf(t, openBytes(t, data, base), prompt)
					for _, v := range want {
						require.False(t, math.IsNaN(float64(v)) || math.IsInf(float64(v), 0))
					}
					for i, chunk := range c.chunks {
						o := base
						o.Batch, o.Threads = chunk, 1+i%3
						sameBits(t, want, logitsOf(t, openBytes(t, data, o), prompt), fmt.Sprintf("chunks of %d on %d threads", o.Batch, o.Threads))
					}
					for threads := 2; threads <= 3; threads++ {
						o := base
						o.Threads = threads
						sameBits(t, want, logitsOf(t, openBytes(t, data, o), prompt), fmt.Sprintf("%d threads", threads))
					}
				}
			})
		}
	}
}

// TestLongContext does the same for contexts of several spans of keys, which threads share where
// there are fewer key heads than threads, for every format of the cache.
func TestLongContext(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for _, heads := range []int{1, 3} {
		data := synthetic(t, quant.Q4_0, shape{96, 3, heads, 96, 0})
		prompt := ids(5, 2*kernels.PartitionLen+30)
		for _, cache := range goinfer.CacheTypes() {
			t.Run(fmt.Sprintf("%s/%d", cache, heads), func(t *testing.T) {
				o := goinfer.Options{Threads: 1, CacheK: cache, CacheV: cache}
				want := logitsOf(t, openBytes(t, data, o), prompt)
				for _, c := range []goinfer.Options{{Batch: 1, Threads: 2}, {Batch: 3, Threads: 4}, {Batch: 100, Threads: 4}, {Batch: 1, Threads: 1}} {
					o.Batch, o.Threads = c.Batch, c.Threads
					sameBits(t, want, logitsOf(t, openBytes(t, data, o), prompt), fmt.Sprintf("chunks of %d on %d threads", o.Batch, o.Threads))
				}
			})
		}
	}
}

// TestCompany runs sequences together and apart, on a fresh and on a reused cache.
func TestCompany(t *testing.T) {
	for _, s := range []shape{{512, 8, 2, 768, 0}, {256, 4, 4, 512, 5}} {
		for _, typ := range []quant.Type{quant.Q4_0, quant.Q4_K, quant.Q6_K, quant.F16} {
			t.Run(fmt.Sprintf("%s/%d experts", typ, s.experts), func(t *testing.T) {
				data := synthetic(t, typ, s)
				const n = 4
				// Prompts that share a beginning, and then do not.
				prompts := make([][]int32, n)
				for i := range prompts {
					prompts[i] = append(ids(9, 70), ids(uint64(i), 5+20*i)...)
				}
				type draw struct {
					id      int32
					logprob uint32
				}
				generate := func(m *goinfer.Model, prompt []int32) (out []draw, cached int) {
					for p, err := range m.Generate(context.Background(), goinfer.Request{Tokens: prompt, MaxTokens: 12, LogProb: true}) {
						require.NoError(t, err)
						if p.Stop != "" {
							return out, p.Usage.Cached
						}
						out = append(out, draw{p.ID, math.Float32bits(p.LogProb)})
					}
					return out, 0
				}
				want := make([][]draw, n)
				for i := range want {
					want[i], _ = generate(openBytes(t, data, goinfer.Options{Threads: 1}), prompts[i])
					require.Len(t, want[i], 12)
				}
				m := openBytes(t, data, goinfer.Options{Threads: 2, Batch: 50})
				for round := range 3 {
					var wg sync.WaitGroup
					var mu sync.Mutex
					reused := 0
					for i := range want {
						wg.Go(func() {
							got, cached := generate(m, prompts[i])
							mu.Lock()
							defer mu.Unlock()
							reused += cached
							require.Equal(t, want[i], got, "sequence %d, round %d, %d tokens from the cache", i, round, cached)
						})
					}
					wg.Wait()
					if round > 0 {
						require.Positive(t, reused)
					}
				}
			})
		}
	}
}

// TestRetain finds a prompt in the cache for as long as Options.Retain says.
func TestRetain(t *testing.T) {
	data := synthetic(t, quant.Q4_0, shape{256, 4, 4, 512, 0})
	a, b := ids(1, 40), ids(2, 40)
	for retain, want := range map[int][]int{0: {0, 0, 39, 39}, 1: {0, 0, 0, 0}, 2: {0, 0, 39, 39}, -1: {0, 0, 0, 0}} {
		m := openBytes(t, data, goinfer.Options{Retain: retain, Context: 50})
		for i, prompt := range [][]int32{a, b, a, b} {
			for p, err := range m.Generate(t.Context(), goinfer.Request{Tokens: prompt, MaxTokens: 1}) {
				require.NoError(t, err)
				if p.Kind == goinfer.KindStop {
					require.Equal(t, want[i], p.Usage.Cached, "retain %d, request %d", retain, i)
				}
			}
		}
	}
}

// forgetful are conformance models with layers that do not remember every position, at least one
// for each kind of state.
var forgetful = []string{"gemma3", "gpt-oss", "llama4", "mamba", "mamba2", "jamba", "falcon-h1", "lfm2moe", "qwen3next", "qwen35"}

// TestForgetful does the same for them: any chunks, threads and company give the bits that one
// token at a time gives, across windows and the lengths that the cache marks.
func TestForgetful(t *testing.T) {
	for _, name := range forgetful {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(shared.Dir(t), "conformance", "models", name, "model.gguf")
			prompt := ids(7, 330)
			for i := range prompt {
				prompt[i] %= 300
			}
			o := goinfer.Options{Threads: 1, Batch: 1}
			want := logitsOf(t, open(t, path, o), prompt)
			for _, v := range want {
				require.False(t, math.IsNaN(float64(v)) || math.IsInf(float64(v), 0))
			}
			for _, c := range []goinfer.Options{{Batch: 512, Threads: 1}, {Batch: 7, Threads: 3}, {Batch: 100, Threads: 4}, {Batch: 300, Threads: 2}} {
				sameBits(t, want, logitsOf(t, open(t, path, c), prompt), fmt.Sprintf("chunks of %d on %d threads", c.Batch, c.Threads))
			}
			together := open(t, path, goinfer.Options{Threads: 2, Batch: 50})
			var wg sync.WaitGroup
			got := make([][]float32, 3)
			for i := range got {
				wg.Go(func() { got[i] = logitsOf(t, together, prompt[:len(prompt)-20*i]) })
			}
			wg.Wait()
			for i, g := range got {
				sameBits(t, want[:len(g)], g, fmt.Sprintf("%d fewer tokens, in company", 20*i))
			}
		})
	}
}
