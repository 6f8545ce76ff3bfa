package eval

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/shared"
)

// open opens a model of the reference data.
func open(t *testing.T, name, file string) *goinfer.Model {
	m, err := goinfer.Open(filepath.Join(shared.Dir(t), "models", name, file), goinfer.Options{Context: DefaultChunk})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func text(t *testing.T) string {
	data, err := os.ReadFile(filepath.Join(shared.Dir(t), "models", "valid.txt"))
	require.NoError(t, err)
	return string(data)
}

// TestPerplexity: the first chunks of the validation text score as in llama-perplexity. The numbers
// are what it prints for them with -c 512.
func TestPerplexity(t *testing.T) {
	if testing.Short() {
		t.Skip("evaluates a thousand tokens")
	}
	m := open(t, "tiny-dense", "tiny-dense-f16.gguf")
	chunks, err := Chunks(m.Tokenizer(), text(t), DefaultChunk)
	require.NoError(t, err)
	require.Len(t, chunks, 165)
	var told int
	r, err := Perplexity(t.Context(), m, chunks, Options{Chunks: 2, Done: func(done, total int) {
		told++
		require.Equal(t, told, done)
		require.Equal(t, 2, total)
	}})
	require.NoError(t, err)
	require.Equal(t, 2, told)
	require.InDelta(t, 33.2453, r.PPL, 0.001*33.2453)
	require.InDelta(t, 4.15908, r.Error, 0.001*4.15908)
	require.InDelta(t, math.Log2(r.PPL)*510/float64(r.Bytes), r.BitsPerByte(), 1e-12)
	require.True(t, math.IsNaN(Result{PPL: 2}.BitsPerByte()))
	require.Greater(t, r.Bytes, 1000)
	require.Equal(t, []Chunk{chunks[0], chunks[len(chunks)/2]}, Spread(chunks, 2))
	require.Len(t, Spread(chunks, 0), len(chunks))
	require.Equal(t, Result{PPL: r.PPL, Error: r.Error, Tokens: 510, Bytes: r.Bytes, Chunks: 2, Size: 512}, r)
}

// TestCompare: a model is nothing apart from itself, and another is; the perplexities are those of
// each alone.
func TestCompare(t *testing.T) {
	if testing.Short() {
		t.Skip("evaluates a thousand tokens")
	}
	base := open(t, "tiny-dense", "tiny-dense-f16.gguf")
	chunks, err := Chunks(base.Tokenizer(), text(t), 128)
	require.NoError(t, err)
	o := Options{Chunks: 2}
	same, err := Compare(t.Context(), base, base, chunks, o)
	require.NoError(t, err)
	require.InDelta(t, 0, same.KLMean, 1e-12)
	require.Equal(t, 1.0, same.Top1)
	require.Zero(t, same.DPRMS)
	require.Equal(t, same.PPL, same.BasePPL)

	other := open(t, "tiny-moe", "tiny-moe-f16.gguf")
	c, err := Compare(t.Context(), other, base, chunks, o)
	require.NoError(t, err)
	alone, err := Perplexity(t.Context(), other, chunks, o)
	require.NoError(t, err)
	require.Equal(t, alone, c.Result)
	require.Equal(t, same.PPL, c.BasePPL)
	require.Greater(t, c.KLMean, 0.01)
	require.Less(t, c.Top1, 1.0)
	require.LessOrEqual(t, c.KLMedian, c.KLP90)
	require.LessOrEqual(t, c.KLP90, c.KLP99)
	require.LessOrEqual(t, c.KLP99, c.KLP999)
	require.LessOrEqual(t, c.KLP999, c.KLMax)

	_, err = Compare(t.Context(), open(t, "stories260K", "stories260K-f32.gguf"), base, chunks, o)
	require.ErrorContains(t, err, "the base model has a vocabulary of 4096 tokens, the model one of 512")
}

// TestNumbers computes by hand what two places with three tokens come to.
func TestNumbers(t *testing.T) {
	ln := func(p ...float64) (row []float32) {
		for _, v := range p {
			row = append(row, float32(math.Log(v))+5)
		}
		return row
	}
	var c comparer
	require.NoError(t, c.base(ln(0.5, 0.25, 0.25), 0))
	require.NoError(t, c.base(ln(0.1, 0.8, 0.1), 1))
	c.rows = append(append([]float32{}, ln(0.5, 0.25, 0.25)...), ln(0.1, 0.8, 0.1)...)
	c.left = c.rows
	require.NoError(t, c.model(ln(0.25, 0.5, 0.25), 0))
	require.NoError(t, c.model(ln(0.1, 0.8, 0.1), 1))
	r := c.comparison([]Chunk{{Input: make([]int32, 4)}})
	kl := 0.5*math.Log(2) - 0.25*math.Log(2)
	require.InDelta(t, kl/2, r.KLMean, 1e-6)
	require.InDelta(t, kl, r.KLMax, 1e-6)
	require.InDelta(t, kl*0.99, r.KLP99, 1e-6)
	require.Equal(t, 0.5, r.Top1)
	require.InDelta(t, -0.125, r.DPMean, 1e-6)
	require.InDelta(t, math.Sqrt(0.25*0.25/2), r.DPRMS, 1e-6)
	require.InDelta(t, math.Exp((math.Log(4)+math.Log(1.25))/2), r.PPL, 1e-5)
	require.InDelta(t, math.Exp((math.Log(2)+math.Log(1.25))/2), r.BasePPL, 1e-5)
	require.InDelta(t, r.PPL*(math.Log(4)-math.Log(1.25))/2, r.Error, 1e-5, "half the distance of two values")

	c.left = c.rows
	require.ErrorContains(t, c.model([]float32{float32(math.NaN()), 0, 0}, 0), "no finite numbers after 3 scored tokens")

	// A token that the base model rules out counts for nothing, one that only the model rules out
	// makes the divergence infinite.
	none := float32(math.Inf(-1))
	c = comparer{left: []float32{none, 0, 0, none, 0, 0}}
	require.NoError(t, c.model([]float32{none, 0, 0}, 1))
	require.Zero(t, c.kl.sum)
	require.ErrorContains(t, c.model([]float32{0, none, 0}, 0), "no finite numbers after 2 scored tokens")
}

func TestContinuation(t *testing.T) {
	m := open(t, "tiny-dense", "tiny-dense-f16.gguf")
	right, err := Continuation(t.Context(), m, "The sun rises in the", " east", nil)
	require.NoError(t, err)
	require.True(t, right.Greedy)
	require.Positive(t, right.Tokens)
	spaced, err := Continuation(t.Context(), m, "The sun rises in the ", "east", nil)
	require.NoError(t, err)
	require.Equal(t, right, spaced, "a space at the end of the one is as good as at the beginning of the other")
	wrong, err := Continuation(t.Context(), m, "The sun rises in the", " cave", nil)
	require.NoError(t, err)
	require.False(t, wrong.Greedy)
	require.Greater(t, right.LogProb, wrong.LogProb+1)

	// The likelihood of two words is that of the first, then of the second.
	both, err := Continuation(t.Context(), m, "The sun rises in the", " east and", nil)
	require.NoError(t, err)
	second, err := Continuation(t.Context(), m, "The sun rises in the east", " and", nil)
	require.NoError(t, err)
	require.InDelta(t, both.LogProb, right.LogProb+second.LogProb, 1e-6)
	_, err = Continuation(t.Context(), m, "The sun", "", nil)
	require.ErrorContains(t, err, "want a continuation of at least one token")
}

func TestChunks(t *testing.T) {
	m := open(t, "tiny-dense", "tiny-dense-f16.gguf")
	chunks, err := Chunks(m.Tokenizer(), "The sun rises in the east and sets in the west.", 4)
	require.NoError(t, err)
	for _, c := range chunks {
		require.Equal(t, m.Tokenizer().BOS(), c.Input[0])
		require.Equal(t, c.Want[1:], c.Input[1:])
		require.Equal(t, 2, c.First)
	}
	require.NotEqual(t, chunks[1].Input[0], chunks[1].Want[0], "the text itself is unchanged")
	_, err = Chunks(m.Tokenizer(), "The sun", 512)
	require.ErrorContains(t, err, "want at least one chunk of 512")
	_, err = Chunks(m.Tokenizer(), "The sun", 3)
	require.ErrorContains(t, err, "want chunks of at least 4 tokens, found 3")
	_, err = Chunks(nil, "", 4)
	require.ErrorIs(t, err, goinfer.ErrUnsupported)
}

// TestLogitsFrom: positions that are left out change nothing in the others.
func TestLogitsFrom(t *testing.T) {
	m := open(t, "tiny-dense", "tiny-dense-f16.gguf")
	ids := m.Tokenizer().Encode(nil, "The sun rises in the east and sets in the west.", true, false)
	all, some := map[int][]float32{}, map[int][]float32{}
	keep := func(rows map[int][]float32) func(int, []float32) error {
		return func(pos int, row []float32) error {
			rows[pos] = append([]float32(nil), row...)
			return nil
		}
	}
	require.NoError(t, m.Score(t.Context(), goinfer.Request{Tokens: ids, Logits: keep(all)}))
	require.Len(t, all, len(ids))
	require.NoError(t, m.Score(t.Context(), goinfer.Request{Tokens: ids, Logits: keep(some), From: 5}))
	require.Len(t, some, len(ids)-5)
	for pos, row := range some {
		require.Equal(t, all[pos], row, pos)
	}
}

// TestKL: a certain prediction against an even one, and logits that are no numbers.
func TestKL(t *testing.T) {
	none := float32(math.NaN())
	require.InDelta(t, math.Ln2, KL([]float32{0, float32(math.Inf(-1))}, []float32{3, 3}), 1e-12)
	require.InDelta(t, -math.Ln2, LogProb([]float32{3, 3}, 1), 1e-12)
	require.Zero(t, KL([]float32{1, 2}, []float32{1, 2}))
	require.True(t, math.IsNaN(KL([]float32{none, 0}, []float32{0, 0})))
	require.True(t, math.IsNaN(KL([]float32{0, 0}, []float32{none, 0})))
}
