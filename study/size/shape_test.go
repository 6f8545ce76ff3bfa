package size

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/source"
)

// published are the numbers of parameters that the models are published with, as far as their
// configurations are public.
var published = map[string]int64{
	"stories260k": 260_032, "stories15m": 15_191_712, "tiny-dense": 5_770_496, "tiny-moe": 14_428_416,
	"gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200,
	"smollm2-135m": 134_515_008, "smollm2-360m": 361_821_120, "smollm2-1.7b": 1_711_376_384, "smollm3-3b": 3_075_098_624, "tinyllama-1.1b": 1_100_048_384,
	"llama-2-7b": 6_738_415_616, "llama-2-13b": 13_015_864_320, "llama-2-70b": 68_976_648_192,
	"codellama-7b": 6_738_546_688, "codellama-13b": 13_016_028_160, "codellama-34b": 33_743_970_304,
	"llama-3-8b": 8_030_261_248, "llama-3-70b": 70_553_706_496, "llama-3.1-8b": 8_030_261_248, "llama-3.1-70b": 70_553_706_496, "llama-3.1-405b": 405_853_388_800,
	"llama-3.2-1b": 1_235_814_400, "llama-3.2-3b": 3_212_749_824,
	"mistral-7b": 7_241_732_096, "mistral-7b-v0.3": 7_248_023_552, "mistral-nemo-12b": 12_247_782_400, "mistral-small-24b": 23_572_403_200, "mistral-large-123b": 122_610_069_504,
	"mixtral-8x7b": 46_702_792_704, "mixtral-8x22b": 140_620_634_112, "yi-6b": 6_061_035_520, "yi-34b": 34_388_917_248,
	"qwen2.5-0.5b": 494_032_768, "qwen2.5-1.5b": 1_543_714_304, "qwen2.5-3b": 3_085_938_688, "qwen2.5-7b": 7_615_616_512,
	"qwen2.5-14b": 14_770_033_664, "qwen2.5-32b": 32_763_876_352, "qwen2.5-72b": 72_706_203_648,
	"qwen3-0.6b": 596_049_920, "qwen3-1.7b": 1_720_574_976, "qwen3-4b": 4_022_468_096, "qwen3-8b": 8_190_735_360, "qwen3-14b": 14_768_307_200, "qwen3-32b": 32_762_123_264,
	"qwen3-30b-a3b": 30_532_122_624, "qwen3-235b-a22b": 235_093_634_560,
	"gemma-2b": 2_506_172_416, "gemma-7b": 8_537_680_896, "gemma-2-2b": 2_614_341_888, "gemma-2-9b": 9_241_705_984, "gemma-2-27b": 27_227_128_320,
	"gemma-3-1b": 999_885_952, "gemma-3-4b": 3_880_099_328, "gemma-3-12b": 11_765_788_416, "gemma-3-27b": 27_009_002_240,
	"phi-2": 2_779_683_840, "phi-3-mini": 3_821_079_552, "phi-3-medium": 13_960_238_080, "phi-3.5-moe": 41_873_153_344, "phi-4": 14_659_507_200, "phi-4-mini": 3_836_021_760,
	"deepseek-llm-7b": 6_910_365_696, "deepseek-llm-67b": 67_425_001_472, "deepseek-moe-16b": 16_375_728_128,
	"deepseek-v2-lite": 15_706_484_224, "deepseek-v2": 235_741_434_880, "deepseek-v3": 671_026_419_200, "kimi-k2": 1_026_408_232_448,
	"gpt-oss-20b": 20_914_757_184, "gpt-oss-120b": 116_829_156_672, "olmoe-1b-7b": 6_919_161_856, "olmo-2-7b": 7_298_617_344, "olmo-2-13b": 13_716_198_400,
	"command-r":  34_980_831_232,
	"mamba-130m": 129_135_360,
	// No published models.
	"mixtral-small": 2_131_436_544, "deepseek-v2-small": 1_737_702_400, "gpt-oss-small": 2_963_979_136,
}

// TestCounts: the numbers of parameters are those that the models are published with.
func TestCounts(t *testing.T) {
	require.Len(t, ShapeNames(), len(published))
	for _, name := range ShapeNames() {
		s, err := FindShape(strings.ToUpper(name))
		require.NoError(t, err)
		require.Equal(t, name, s.Name)
		m, err := s.Layout()
		require.NoError(t, err)
		ts, n := m.Tensors, m.Counts()
		require.Equal(t, published[name], n.Params, name)
		require.Equal(t, 4*n.Params, n.Bytes)
		c, err := s.Config()
		require.NoError(t, err)
		require.Equal(t, s.Vocab.Size, c.NVocab)
		active := n.Params
		if slices.Contains(s.Optional, "output.weight") {
			active -= embedded(ts, "token_embd.weight") // of the embedding, one row is read
		}
		active -= embedded(ts, "position_embd.weight")
		if c.NExpert > 0 {
			for i := range c.NLayer {
				if c.HasExperts(i) {
					active -= 3 * int64(c.NEmbd*c.NFFExpert*(c.NExpert-c.NExpertUsed))
				}
			}
			if s.Arch == "gpt-oss" { // whose experts have biases
				active -= int64(c.NLayer * (2*c.NFFExpert + c.NEmbd) * (c.NExpert - c.NExpertUsed))
			}
		}
		require.Equal(t, active, n.Read, name)
		require.Equal(t, 4*active, n.ReadBytes)
		require.Len(t, m.State, c.NLayer)
	}
	moe, err := FindShape("tiny-moe")
	require.NoError(t, err)
	m, err := moe.Layout()
	require.NoError(t, err)
	require.EqualValues(t, 4_991_232, m.Counts().Read)

	_, err = FindShape("gpt-5\n")
	require.ErrorContains(t, err, `there is no shape "gpt-5\n": did you mean gpt2?`)
	_, err = FindShape("claude\n")
	require.ErrorContains(t, err, `there is no shape "claude\n": want one of command-r, `)
}

// embedded is the number of weights of a table of which a token reads one row, without that row.
func embedded(ts []model.Tensor, name string) int64 {
	i := slices.IndexFunc(ts, func(t model.Tensor) bool { return t.Name == name })
	if i < 0 || ts[i].Of == 1 {
		return 0
	}
	return ts[i].Elements() - int64(ts[i].Shape[0])
}

// TestFaults: a shape that its architecture does not take is an error.
func TestFaults(t *testing.T) {
	good, err := FindShape("tiny-dense")
	require.NoError(t, err)
	for _, c := range []struct {
		change func(s *Shape)
		want   string
	}{
		{func(s *Shape) { s.Arch = "gpt5" }, `shape tiny-dense: `},
		{func(s *Shape) { s.Keys = s.Keys[:3] }, "no key \"llama.block_count\""},
		{func(s *Shape) { s.Keys[1].Value = 512 }, `key "llama.context_length": want a uint32, found int`},
		{func(s *Shape) { s.Optional = []string{"blk.0.attn_x.weight"} }, `architecture llama has no tensor "blk.0.attn_x.weight"`},
		{func(s *Shape) { s.Vocab.Size = 300 }, "a vocabulary of 300 tokens: want at least"},
		{func(s *Shape) { s.Vocab.Size = 1 << 20 }, "a vocabulary of 1048576 tokens: want at most"},
		{func(s *Shape) { s.Vocab.Model = "bert" }, `a vocabulary of kind "bert": want "llama" or "gpt2"`},
	} {
		s := good
		s.Keys = slices.Clone(s.Keys)
		c.change(&s)
		_, err := s.Random(t.Context(), RandomOptions{Type: "f16"})
		require.ErrorContains(t, err, c.want)
	}
	_, err = good.Random(t.Context(), RandomOptions{Type: "q7"})
	require.ErrorContains(t, err, "q7")
	_, err = good.Random(t.Context(), RandomOptions{Type: "i8", Pure: true})
	require.EqualError(t, err, "shape tiny-dense: I8 is not a type that can be written")
	_, err = good.Random(t.Context(), RandomOptions{Type: "f16", Threads: -1})
	require.EqualError(t, err, "Threads: want 0 to 1024, found -1")
	small, err := FindShape("stories260k")
	require.NoError(t, err)
	_, err = small.Random(t.Context(), RandomOptions{Type: "q4_k", Pure: true})
	require.ErrorContains(t, err, `tensor "token_embd.weight" has rows of 64: no whole number of Q4_K blocks of 256`)
}

// TestSizes: files are as large as those that llama-quantize made of models of the same shape. The
// sizes are those of models/README.md in the reference data; the metadata differs, but not between
// types.
func TestSizes(t *testing.T) {
	for name, sizes := range map[string]map[string]int64{
		"tiny-dense": {"Q8_0": 6_236_896, "Q6_K": 4_840_160, "Q5_K_M": 4_274_400, "Q4_K_M": 3_741_920, "Q4_0": 3_623_648, "Q3_K_M": 3_240_160, "Q2_K": 2_697_440},
		"tiny-moe":   {"Q8_0": 15_456_416, "Q6_K": 12_028_064, "Q5_K_M": 10_565_792, "Q4_K_M": 9_222_304, "Q4_0": 8_648_864, "Q3_K_M": 7_532_704, "Q2_K": 6_097_056},
	} {
		s, err := FindShape(name)
		require.NoError(t, err)
		other := int64(-1)
		for typ, size := range sizes {
			w, err := s.Random(t.Context(), RandomOptions{Type: typ})
			require.NoError(t, err)
			if other < 0 {
				other = size - w.Size()
			}
			require.Equal(t, size, w.Size()+other, "%s as %s", name, typ)
		}
	}
}

// build makes a file in memory.
func build(t *testing.T, shape string, o RandomOptions) []byte {
	s, err := FindShape(shape)
	require.NoError(t, err)
	return write(t, s, o)
}

func write(t *testing.T, s Shape, o RandomOptions) []byte {
	w, err := s.Random(t.Context(), o)
	require.NoError(t, err)
	var b bytes.Buffer
	_, err = w.WriteTo(&b)
	require.NoError(t, err)
	require.EqualValues(t, w.Size(), b.Len())
	return b.Bytes()
}

// TestSameFile: the file depends on shape, type and seed alone.
func TestSameFile(t *testing.T) {
	for _, typ := range []string{"Q8_0", "F16"} {
		var last int64
		one := build(t, "tiny-moe", RandomOptions{Type: typ, Seed: 7, Threads: 1, Done: func(done, total int64) {
			require.Greater(t, done, last)
			require.LessOrEqual(t, done, total)
			last = done
		}})
		f, err := gguf.OpenBytes("x", one)
		require.NoError(t, err)
		var sum int64
		for _, x := range f.Tensors() {
			sum += x.Bytes
		}
		require.Equal(t, sum, last, "all that is written is reported")
		for _, threads := range []int{0, 5} {
			require.True(t, bytes.Equal(one, build(t, "tiny-moe", RandomOptions{Type: typ, Seed: 7, Threads: threads})), "%d threads", threads)
		}
		require.False(t, bytes.Equal(one, build(t, "tiny-moe", RandomOptions{Type: typ, Seed: 8})))
	}
}

// TestWeights looks at the numbers: finite, and of the mean and deviation that they shall have, no
// two rows of several segments alike.
func TestWeights(t *testing.T) {
	types := []string{"BF16", "Q8_0", "Q4_K", "TQ1_0", "NVFP4"}
	if testing.Short() {
		types = []string{"F16", "NVFP4"}
	}
	for _, typ := range types {
		f, err := gguf.OpenBytes(typ, build(t, "tiny-dense", RandomOptions{Type: typ, Pure: true, Seed: 3}))
		require.NoError(t, err)
		for _, x := range f.Tensors() {
			v := make([]float32, x.Bytes/int64(x.Type.BlockBytes())*int64(x.Type.BlockSize()))
			quant.Dequantize(x.Type, v, f.Data(&x))
			var sum, squares float64
			for _, w := range v {
				sum += float64(w)
				squares += float64(w) * float64(w)
			}
			n := float64(len(v))
			mean := sum / n
			dev := math.Sqrt(squares/n - mean*mean)
			require.False(t, math.IsNaN(dev), "%s %s", typ, x.Name)
			if len(x.Shape) == 1 {
				require.Equal(t, quant.F32, x.Type)
				require.InDelta(t, 1, mean, 0.01)
				require.InDelta(t, 0.02, dev, 0.005)
				continue
			}
			require.Equal(t, typ, x.Type.String())
			require.InDelta(t, 0, mean, 0.001, "%s %s", typ, x.Name)
			// Formats of one and two bits keep the direction of weights and less of their size.
			require.InDelta(t, 0.02, dev, 0.006, "%s %s", typ, x.Name)
			rows := map[string]bool{}
			for row := range slices.Chunk(f.Data(&x), x.Type.RowBytes(x.Shape[0])) {
				rows[string(row)] = true
			}
			if x.Shape[0] == maxSegment { // a row is one segment, drawn with replacement
				require.Greater(t, len(rows), x.Shape[1]/2, "%s %s", typ, x.Name)
			} else {
				require.Len(t, rows, x.Shape[1], "%s %s", typ, x.Name)
			}
		}
	}
}

// TestLoads: files of either kind of vocabulary open, tokenize any text, and generate.
func TestLoads(t *testing.T) {
	small, err := FindShape("tiny-dense")
	require.NoError(t, err)
	small.Name, small.Vocab = "byte-level", bpe("smollm", 4096)
	for _, shape := range []string{"stories260k", "tiny-moe", "byte-level"} {
		s := small
		if shape != small.Name {
			s, err = FindShape(shape)
			require.NoError(t, err)
		}
		data := write(t, s, RandomOptions{Type: "q4_0"})
		m, err := goinfer.OpenSource(source.Bytes(shape, data), goinfer.Options{Context: 64})
		require.NoError(t, err)
		require.Empty(t, m.Info().Warnings)
		tok := m.Tokenizer()
		for _, text := range []string{"the weather that Ünder 世界\n\t!", "a", "THE END 🎉 of it"} {
			ids := tok.Encode(nil, text, true, true)
			require.Equal(t, int32(beginID), ids[0])
			require.Equal(t, text, strings.TrimPrefix(string(tok.Decode(ids[1:], false)), " "), shape)
		}
		require.Less(t, len(tok.Encode(nil, "that is there", false, false)), 9, "pieces of several letters are used")
		n := 0
		for p, err := range m.Generate(t.Context(), goinfer.Request{Prompt: "the", MaxTokens: 8, IgnoreEOG: true}) {
			require.NoError(t, err)
			n = p.Usage.Generated
		}
		require.Equal(t, 8, n)
		require.NoError(t, m.Score(t.Context(), goinfer.Request{Tokens: []int32{1, 50, 300}, Logits: func(_ int, row []float32) error {
			for _, v := range row {
				require.Less(t, math.Abs(float64(v)), 100.0)
			}
			return nil
		}}))
		require.NoError(t, m.Close())
	}
}

// shrink keeps what is particular to a shape, and makes it small: few layers, experts, heads and
// tokens.
func shrink(s Shape) Shape {
	keys := slices.Clone(s.Keys)
	for i, k := range keys {
		n, ok := k.Value.(uint32)
		if !ok {
			continue
		}
		switch k.Name {
		case "embedding_length":
			n = 256
		case "block_count":
			n = 4
		case "context_length":
			n = 256
		case "rope.dimension_count":
			n = min(n, 64)
		case "feed_forward_length", "expert_feed_forward_length", "attention.q_lora_rank":
			n = 256
		case "attention.head_count":
			n = 4
		case "attention.head_count_kv":
			n = min(n, 2)
		case "expert_count":
			n = 16
		}
		keys[i].Value = n
	}
	s.Keys, s.Vocab.Size = keys, 4096
	return s
}

// TestArchitectures: of every architecture (of every shape, where tests may take long), made small,
// a file can be written that opens, has nothing that the architecture does not take, and generates.
func TestArchitectures(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a file for each architecture")
	}
	seen := map[string]bool{}
	for _, s := range shapes {
		if os.Getenv("GOINFER_LONG") == "" && seen[s.Arch] {
			continue
		}
		seen[s.Arch] = true
		m, err := goinfer.OpenSource(source.Bytes(s.Name, write(t, shrink(s), RandomOptions{Type: "q4_0"})), goinfer.Options{Context: 32})
		require.NoError(t, err, s.Name)
		require.Empty(t, m.Info().Warnings, s.Name)
		n := 0
		for p, err := range m.Generate(t.Context(), goinfer.Request{Prompt: "the", MaxTokens: 3, IgnoreEOG: true}) {
			require.NoError(t, err, s.Name)
			n = p.Usage.Generated
		}
		require.Equal(t, 3, n, s.Name)
		require.NoError(t, m.Close())
	}
}

// TestVocabularies: every size that a shape asks for can be made, no piece appears twice, and every
// piece of a byte-level one can be merged.
func TestVocabularies(t *testing.T) {
	for _, v := range []Vocab{spm(512), spm(32000), spm(262144), bpe("smollm", 4096), bpe("llama-bpe", 128256), bpe("gpt-4o", 201088)} {
		w := gguf.NewWriter()
		require.NoError(t, v.set(w))
		var b bytes.Buffer
		_, err := w.WriteTo(&b)
		require.NoError(t, err)
		f, err := gguf.OpenBytes("x", b.Bytes())
		require.NoError(t, err)
		value, _ := f.Value("tokenizer.ggml.tokens")
		tokens, ok := value.Strings()
		require.True(t, ok)
		require.Len(t, tokens, v.Size)
		seen := map[string]bool{}
		for _, x := range tokens {
			require.False(t, seen[x], x)
			seen[x] = true
		}
		value, ok = f.Value("tokenizer.ggml.merges")
		require.Equal(t, v.Model == "gpt2", ok)
		if ok {
			merges, _ := value.Strings()
			require.Len(t, merges, v.Size-specials-256)
			for _, m := range merges {
				left, right, _ := strings.Cut(m, " ")
				require.True(t, seen[left] && seen[right] && seen[left+right], m)
			}
		}
		_, err = model.Vocabulary(f)
		require.NoError(t, err)
	}
}

// TestInterrupted: a file stops where its context does, and where the disk is full.
func TestInterrupted(t *testing.T) {
	s, err := FindShape("tinyllama-1.1b")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	w, err := s.Random(ctx, RandomOptions{Type: "q8_0", Done: func(done, _ int64) {
		if done > 20<<20 {
			stop()
		}
	}})
	require.NoError(t, err)
	n, err := w.WriteTo(io.Discard)
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, n, int64(100<<20))

	w, err = s.Random(t.Context(), RandomOptions{Type: "q8_0"})
	require.NoError(t, err)
	full := errors.New("full")
	_, err = w.WriteTo(writer(func(b []byte) (int, error) {
		if len(b) > 1<<16 {
			return 0, fmt.Errorf("disk: %w", full)
		}
		return len(b), nil
	}))
	require.ErrorIs(t, err, full)
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// TestKnownModels: what a shape says is what files of the trained models say.
func TestKnownModels(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "models")
	for shape, file := range map[string]string{
		"stories260k": "stories260K/stories260K-f32.gguf", "tiny-dense": "tiny-dense/tiny-dense-f16.gguf", "tiny-moe": "tiny-moe/tiny-moe-f16.gguf",
	} {
		s, err := FindShape(shape)
		require.NoError(t, err)
		want, err := s.Config()
		require.NoError(t, err)
		f, err := gguf.Open(filepath.Join(dir, filepath.FromSlash(file)), gguf.Options{HeaderOnly: true})
		require.NoError(t, err)
		got, err := model.ReadConfig(model.GGUF(f))
		require.NoError(t, err)
		got.Name = ""
		require.Equal(t, want, got)
		ts, _, err := s.types("F16", false)
		require.NoError(t, err)
		require.Len(t, f.Tensors(), len(ts))
		for _, x := range ts {
			y, ok := f.Tensor(x.Name)
			require.True(t, ok, x.Name)
			require.Equal(t, x.Shape, y.Shape, x.Name)
			if shape != "stories260k" {
				require.Equal(t, x.Type, y.Type, x.Name)
			}
		}
		require.NoError(t, f.Close())
	}
}

func bpe(pre string, size int) Vocab { return Vocab{"gpt2", pre, size} }

// with adds further entries of the metadata.
func (s Shape) with(keys ...Key) Shape {
	s.Keys = append(slices.Clone(s.Keys), keys...)
	return s
}
