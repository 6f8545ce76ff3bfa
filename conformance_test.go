package goinfer_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/model/arch"
)

// The tolerances, all on single logits, which have a standard deviation of about 3.
const (
	// F32 weights against the reference; the reference against itself differs by 5e-5
	tolF32 = 1e-4
	// the same where the reference takes GELU from a table of half floats, which alone makes 7e-3
	tolGELU    = 3e-2
	tolQwen2VL = 5e-4
	// other weights, float32 activations, against the reference on dequantised weights
	tolExact  = 2e-3
	tolGolden = 0.05 // trained models in F16 against float32 PyTorch
	// greedy tokens may part from where the reference's two best are closer than this
	gapGolden = 0.1
)

// referenceDir is where the conformance models are: all of them where the reference data is at
// hand, otherwise those in testdata.
func referenceDir() (dir string, all bool) {
	shared := os.Getenv("GOINFER_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "shared")
	}
	dir = filepath.Join(shared, "conformance", "models")
	if _, err := os.Stat(dir); err != nil {
		return filepath.Join("testdata", "models"), false
	}
	return dir, true
}

// referenceModels lists the folders of the conformance models of a supported architecture, and a
// table row for each of the others.
func referenceModels(t *testing.T) (dirs, missing []string) {
	root, _ := referenceDir()
	metas, err := filepath.Glob(filepath.Join(root, "*", "meta.json"))
	require.NoError(t, err)
	for _, m := range metas {
		var meta modelMeta
		readJSON(t, m, &meta)
		dir := filepath.Dir(m)
		if arch.Check(meta.Arch) == nil {
			dirs = append(dirs, dir)
		} else {
			missing = append(missing, fmt.Sprintf("| `%s` | %s | %s |", meta.Arch, filepath.Base(dir), meta.Exercises))
		}
	}
	require.NotEmpty(t, dirs)
	return dirs, missing
}

func readJSON(t testing.TB, path string, v any) {
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, v), path)
}

func readFloats(t testing.TB, path string) []float32 {
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	f := make([]float32, len(b)/4)
	for i := range f {
		f[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return f
}

func open(t testing.TB, path string, o goinfer.Options) *goinfer.Model {
	m, err := goinfer.Open(path, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// logitsOf evaluates tokens and returns all logits, [len(tokens)][n_vocab].
func logitsOf(t testing.TB, m *goinfer.Model, tokens []int32) []float32 {
	var all []float32
	err := m.Score(context.Background(), goinfer.Request{Tokens: tokens, Logits: func(pos int, row []float32) error {
		require.Equal(t, len(all), pos*len(row))
		all = append(all, row...)
		return nil
	}})
	require.NoError(t, err)
	return all
}

// hiddenOf evaluates tokens and returns the hidden states of all, [len(tokens)][n_embd].
func hiddenOf(t testing.TB, m *goinfer.Model, tokens []int32) []float32 {
	var all []float32
	err := m.Score(context.Background(), goinfer.Request{Tokens: tokens, Hidden: func(pos int, row []float32) error {
		require.Equal(t, len(all), pos*len(row))
		all = append(all, row...)
		return nil
	}})
	require.NoError(t, err)
	return all
}

func greedy(t testing.TB, m *goinfer.Model, prompt []int32, n int) []int32 {
	var ids []int32
	for p, err := range m.Generate(context.Background(), goinfer.Request{Tokens: prompt, MaxTokens: n, IgnoreEOG: true}) {
		require.NoError(t, err)
		if p.Stop == "" {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

func worst(a, b []float32) float64 {
	w := 0.0
	for i := range a {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if !(d <= w) {
			w = d
		}
	}
	return w
}

func rms(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return math.Sqrt(sum / float64(len(a)))
}

func sameBits(t testing.TB, want, got []float32, what string) {
	t.Helper()
	require.Equal(t, len(want), len(got), what)
	for i := range want {
		if math.Float32bits(want[i]) != math.Float32bits(got[i]) {
			require.Failf(t, "bits differ", "%s: element %d: %v and %v", what, i, want[i], got[i])
		}
	}
}

// interleaved evaluates two sequences at the same time, a few rows of each to a batch.
func interleaved(t *testing.T, path string, tokens []int32, want []float32) {
	m := open(t, path, goinfer.Options{CacheK: goinfer.CacheF32, CacheV: goinfer.CacheF32, Batch: 7})
	other := slices.Clone(tokens)
	slices.Reverse(other)
	done := make(chan error)
	go func() {
		done <- m.Score(context.Background(), goinfer.Request{Tokens: other, Logits: func(int, []float32) error { return nil }})
	}()
	got := logitsOf(t, m, tokens)
	require.NoError(t, <-done)
	sameBits(t, want, got, "beside another sequence")
}

// watcher asks for everything that a pass can show, changes nothing, and keeps what the last layer
// left.
type watcher struct {
	last, width int
	residual    []float32 // [n_tokens][width]
}

func (*watcher) Wants(int, string) bool { return true }

func (w *watcher) Observe(e *goinfer.Event) {
	if e.Name == goinfer.NameLayerOut && e.Layer == w.last {
		copy(w.residual[e.Pos*w.width:], e.Data)
	}
}

// watched: who looks on and changes nothing changes no bit, and the head applied to what the last
// layer left gives the logits.
func watched(t *testing.T, m *goinfer.Model, tokens []int32, want []float32) {
	c := m.Info().Config
	w := &watcher{last: c.NLayer - 1, width: c.NEmbd, residual: make([]float32, len(tokens)*c.NEmbd)}
	var got, unembedded []float32
	require.NoError(t, m.Score(context.Background(), goinfer.Request{Tokens: tokens, Hook: w, Logits: func(_ int, row []float32) error {
		got = append(got, row...)
		return nil
	}}))
	sameBits(t, want, got, "watched")
	require.NoError(t, m.Unembed(context.Background(), w.residual, func(_ int, row []float32) error {
		unembedded = append(unembedded, row...)
		return nil
	}))
	sameBits(t, want, unembedded, "the head applied to what the last layer left")
}

type greedyFile struct {
	Tokens []int32   `json:"tokens"`
	Gap    []float64 `json:"top1_minus_top2"`
}

// spread are models of every conformance weight type and every kind of block, activation, position,
// mask, gate and state: what is run where time is short, as under emulation.
var spread = []string{
	"llama-dense", "llama-quant-mix", "llama-f16", "llama-bf16", "gpt-oss-mxfp4", // weights
	// positions
	"llama-yarn", "llama3-ropefactors", "phi3-longrope-long", "qwen2vl", "chatglm", "bloom", "starcoder", "mistral3",
	// attention
	"gemma2", "gemma3", "cohere2", "deepseek2-v3", "deepseek2-lite-kvb", "minicpm3", "mimo2", "dbrx", "olmo2",
	// activations, gates and experts
	"apertus", "nemotron", "mixtral", "llama4", "qwen2moe", "smallthinker", "grok",
	"mamba", "mamba2", "jamba", "falcon-h1", "lfm2moe", "qwen3next", "qwen35", // states
	"bert", "jina-bert-v2", "modern-bert", "t5encoder", // encoders
}

func TestConformance(t *testing.T) {
	dirs, missing := referenceModels(t)
	_, all := referenceDir()
	if all && testing.Short() {
		dirs = slices.DeleteFunc(dirs, func(dir string) bool { return !slices.Contains(spread, filepath.Base(dir)) })
		require.Len(t, dirs, len(spread))
		all = false
	}
	table := &conformanceTable{rows: map[string]string{}, arch: map[string]bool{}}
	t.Run("models", func(t *testing.T) {
		for _, dir := range dirs {
			t.Run(filepath.Base(dir), func(t *testing.T) {
				t.Parallel()
				conforms(t, dir, table)
			})
		}
	})
	if all && !t.Failed() && len(table.rows) == len(dirs) {
		table.check(t, missing)
	}
}

func conforms(t *testing.T, dir string, table *conformanceTable) {
	if _, err := os.Stat(filepath.Join(dir, "embd_tokens.f32")); err == nil {
		encodes(t, dir, table)
		return
	}
	f32 := goinfer.Options{CacheK: goinfer.CacheF32, CacheV: goinfer.CacheF32}
	path := filepath.Join(dir, "model.gguf")
	var prompt []int32
	var next greedyFile
	var meta modelMeta
	readJSON(t, filepath.Join(dir, "meta.json"), &meta)
	readJSON(t, filepath.Join(dir, "tokens.json"), &prompt)
	readJSON(t, filepath.Join(dir, "greedy.json"), &next)
	tol := tolF32
	switch {
	case meta.Tolerance.GELUTable:
		tol = tolGELU
	case filepath.Base(dir) == "qwen2vl": // the reference leaves the epsilon of its norms out
		tol = tolQwen2VL
	}
	// After the prompt the reference's own greedy tokens are fed.
	fed := append(append([]int32(nil), prompt...), next.Tokens...)
	want := append(readFloats(t, filepath.Join(dir, "logits.f32")), readFloats(t, filepath.Join(dir, "greedy_logits.f32"))...)

	m := open(t, path, f32)
	require.Empty(t, m.Info().Warnings)
	vocab := m.Info().Config.NVocab
	got := logitsOf(t, m, fed)
	require.Equal(t, len(want), len(got))
	one := f32
	one.Batch = 1
	sameBits(t, got, logitsOf(t, open(t, path, one), fed), "token by token")
	interleaved(t, path, fed, got)
	watched(t, m, fed, got)
	exact := f32
	exact.Exact = true
	em := open(t, path, exact)

	if _, err := os.Stat(filepath.Join(dir, "logits_deq.f32")); err != nil {
		d := worst(want, got)
		t.Logf("largest difference from the reference %.2g", d)
		require.Less(t, d, tol)
		require.Less(t, worst(want, logitsOf(t, em, fed)), tol, "exact")
		ids := greedy(t, m, prompt, len(next.Tokens))
		require.Equal(t, next.Tokens, ids)
		table.add(filepath.Base(dir), meta, d, sameBest(want, got, vocab), len(fed))
		return
	}
	// With float32 activations, the reference is its own run on dequantised weights.
	var nextDeq greedyFile
	readJSON(t, filepath.Join(dir, "greedy_deq.json"), &nextDeq)
	fedDeq := append(append([]int32(nil), prompt...), nextDeq.Tokens...)
	wantDeq := append(readFloats(t, filepath.Join(dir, "logits_deq.f32")), readFloats(t, filepath.Join(dir, "greedy_logits_deq.f32"))...)
	gotExact := logitsOf(t, em, fedDeq)
	d := worst(wantDeq, gotExact)
	t.Logf("exact: largest difference from the reference on dequantised weights %.2g", d)
	require.Less(t, d, tolExact)
	require.Equal(t, nextDeq.Tokens, greedy(t, em, prompt, len(nextDeq.Tokens)))
	table.add(filepath.Base(dir), meta, d, sameBest(wantDeq, gotExact, vocab), len(fedDeq))

	// In the normal mode the noise of activations is no larger than the reference's own. Where both
	// round to bfloat16 it is the same but for the order of sums.
	n := len(prompt) * vocab
	ours, theirs := rms(got[:n], wantDeq[:n]), rms(want[:n], wantDeq[:n])
	t.Logf("normal: rms difference from dequantised weights %.4f, the reference's own %.4f", ours, theirs)
	require.LessOrEqual(t, ours, theirs*(1+1e-6))
}

// encodes checks an encoder: the hidden states of every token, and the embedding.
func encodes(t *testing.T, dir string, table *conformanceTable) {
	f32 := goinfer.Options{CacheK: goinfer.CacheF32, CacheV: goinfer.CacheF32}
	path := filepath.Join(dir, "model.gguf")
	var tokens []int32
	var meta modelMeta
	readJSON(t, filepath.Join(dir, "meta.json"), &meta)
	readJSON(t, filepath.Join(dir, "tokens.json"), &tokens)
	tol := tolF32
	if meta.Tolerance.GELUTable {
		tol = tolGELU
	}
	want, pooled := readFloats(t, filepath.Join(dir, "embd_tokens.f32")), readFloats(t, filepath.Join(dir, "embd_pooled.f32"))

	m := open(t, path, f32)
	require.Empty(t, m.Info().Warnings)
	got := hiddenOf(t, m, tokens)
	require.Equal(t, len(want), len(got))
	d := worst(want, got)
	t.Logf("largest difference from the reference %.2g", d)
	require.Less(t, d, tol)
	exact := f32
	exact.Exact = true
	require.Less(t, worst(want, hiddenOf(t, open(t, path, exact), tokens)), tol, "exact")

	// Beside another text, in one batch.
	other := slices.Clone(tokens)
	slices.Reverse(other)
	done := make(chan error)
	go func() {
		done <- m.Score(context.Background(), goinfer.Request{Tokens: other, Hidden: func(int, []float32) error { return nil }})
	}()
	sameBits(t, got, hiddenOf(t, m, tokens), "beside another text")
	require.NoError(t, <-done)

	e, err := m.Embed(context.Background(), goinfer.EmbedRequest{Tokens: tokens, Raw: true})
	require.NoError(t, err)
	require.Less(t, worst(pooled, e), tol, "pooled")

	// What does not fit a batch is refused, since half a text has other states.
	few := f32
	few.Batch = len(tokens) - 1
	err = open(t, path, few).Score(context.Background(), goinfer.Request{Tokens: tokens, Hidden: func(int, []float32) error { return nil }})
	require.ErrorContains(t, err, "the model reads a text as a whole")
	require.ErrorIs(t, m.Score(context.Background(), goinfer.Request{Tokens: tokens, Logits: func(int, []float32) error { return nil }}), goinfer.ErrUnsupported)
	for _, err := range m.Generate(context.Background(), goinfer.Request{Tokens: tokens}) {
		require.ErrorIs(t, err, goinfer.ErrUnsupported)
	}
	table.addEncoder(filepath.Base(dir), meta, d)
}

// sameBest counts the rows whose largest logit is that of the same token.
func sameBest(a, b []float32, vocab int) int {
	n := 0
	for at := 0; at < len(a); at += vocab {
		if best(a[at:at+vocab]) == best(b[at:at+vocab]) {
			n++
		}
	}
	return n
}

func best(row []float32) int { return slices.Index(row, slices.Max(row)) }

// TestGolden checks trained models against float32 PyTorch.
func TestGolden(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "models")
	for name, file := range map[string]string{"stories260K": "stories260K-f32.gguf", "tiny-dense": "tiny-dense-f16.gguf", "tiny-moe": "tiny-moe-f16.gguf"} {
		t.Run(name, func(t *testing.T) {
			var golden struct {
				Cases []struct {
					Prompt string
					IDs    []int32
					Top5   [][2]float64
					Greedy []int32
					Text   string
				}
			}
			readJSON(t, filepath.Join(dir, name, "golden.json"), &golden)
			require.NotEmpty(t, golden.Cases)
			if testing.Short() && name != "stories260K" {
				golden.Cases = golden.Cases[:1]
			}
			m := open(t, filepath.Join(dir, name, file), goinfer.Options{CacheK: goinfer.CacheF32, CacheV: goinfer.CacheF32})
			for _, c := range golden.Cases {
				require.Equal(t, c.IDs, m.Tokenizer().Encode(nil, c.Prompt, true, true), c.Prompt)
				vocab := m.Info().Config.NVocab
				fed := append(append([]int32(nil), c.IDs...), c.Greedy...)
				logits := logitsOf(t, m, fed)
				last := logits[(len(c.IDs)-1)*vocab : len(c.IDs)*vocab]
				for _, best := range c.Top5 {
					require.InDelta(t, best[1], last[int(best[0])], tolGolden, "%q: token %v", c.Prompt, best[0])
				}
				ids := greedy(t, m, c.IDs, len(c.Greedy))
				for i := range c.Greedy {
					if ids[i] == c.Greedy[i] {
						continue
					}
					row := logits[(len(c.IDs)-1+i)*vocab:][:vocab]
					gap := math.Abs(float64(row[ids[i]] - row[c.Greedy[i]]))
					require.Less(t, gap, gapGolden, "%q: greedy token %d", c.Prompt, i)
					break
				}
			}
		})
	}
}

// TestCacheTypes: the smaller formats of the cache cost logits, whose standard deviation is 4.6, a
// little precision, and are refused where heads are no whole number of blocks.
func TestCacheTypes(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "models")
	path := filepath.Join(dir, "tiny-dense", "tiny-dense-f16.gguf")
	text, err := os.ReadFile(filepath.Join(dir, "valid.txt"))
	require.NoError(t, err)
	if testing.Short() {
		text = text[:150]
	}
	f32 := open(t, path, goinfer.Options{CacheK: goinfer.CacheF32, CacheV: goinfer.CacheF32})
	ids := f32.Tokenizer().Encode(nil, string(text[:min(600, len(text))]), true, true)
	want := logitsOf(t, f32, ids)
	for _, c := range []struct {
		k, v goinfer.CacheType
		most float64
	}{
		{goinfer.CacheF16, goinfer.CacheF16, 0.002}, {goinfer.CacheQ8_0, goinfer.CacheQ8_0, 0.03}, {goinfer.CacheQ8_0, goinfer.CacheQ4_0, 0.2},
		{goinfer.CacheQ4_0, goinfer.CacheQ8_0, 0.3}, {goinfer.CacheQ4_0, goinfer.CacheQ4_0, 0.3},
	} {
		for _, exact := range []bool{false, true} {
			if testing.Short() && (exact || c.k == c.v) {
				continue
			}
			d := rms(want, logitsOf(t, open(t, path, goinfer.Options{CacheK: c.k, CacheV: c.v, Exact: exact}), ids))
			t.Logf("keys %s, values %s, exact %v: rms difference from F32 %.4f", c.k, c.v, exact, d)
			require.Less(t, d, c.most)
			require.Positive(t, d)
		}
	}
	_, err = goinfer.Open(filepath.Join("testdata", "models", "llama-dense", "model.gguf"), goinfer.Options{CacheV: goinfer.CacheQ8_0})
	require.ErrorContains(t, err, "model.gguf: layer 0: a cache of type Q8_0 wants heads of a multiple of 32, found heads of 16: F16 or F32 keep them")
}
