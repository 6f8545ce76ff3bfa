package eval

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/source"
	"github.com/goinfer/goinfer/study/bench"
)

// source is a small model in the repository, and a text.
func subject(t *testing.T) (*bench.Subject, string) {
	dir := filepath.Join(shared.Root(t), "cmd", "goinfer", "embedded")
	data, err := os.ReadFile(filepath.Join(dir, "tiny-dense-q8_0.gguf"))
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(dir, "valid.txt"))
	require.NoError(t, err)
	s, err := bench.Open(source.Bytes("tiny", data))
	require.NoError(t, err)
	return s, string(text[:20_000])
}

// TestCompareTypes measures three types: the fewer the bits the smaller the weights, and the
// further the predictions.
func TestCompareTypes(t *testing.T) {
	if testing.Short() {
		t.Skip("several models in short mode")
	}
	s, text := subject(t)
	var steps []string
	r, err := CompareTypes(context.Background(), s, TypesOptions{
		Types: []string{"Q8_0", "q4_0", "q2_k", "Q4_0"}, Text: text, TextName: "a <text>", Chunk: 64, Chunks: 4, Answer: 8, Repetitions: 1, Threads: 2,
		Step: func(typ, what string, done, total int) { steps = append(steps, typ+" "+what) },
	})
	require.NoError(t, err)
	require.Len(t, r.Rows, 3, "the type that the model has is measured once, and so is one that is named twice")
	require.Equal(t, []string{"q8_0", "q4_0", "q2_k"}, []string{r.Rows[0].Type, r.Rows[1].Type, r.Rows[2].Type})
	require.Equal(t, [...]int{4, 64}, [...]int{r.Chunks, r.Chunk})
	require.Greater(t, r.Of, 50)
	source := r.Rows[0]
	require.True(t, source.Source)
	require.Nil(t, source.KL)
	require.InDelta(t, 8.5, source.BitsPerWeight, 0.05)
	for i, row := range r.Rows {
		require.Positive(t, row.Prefill.Mean)
		require.Positive(t, row.Decode.Mean)
		require.NotEmpty(t, row.Answer)
		require.Equal(t, row.Answer[:row.Same], source.Answer[:row.Same])
		require.Equal(t, 4*32-4, row.Perplexity.Tokens)
		if i > 0 {
			require.Less(t, row.Bytes, r.Rows[i-1].Bytes)
			require.InDelta(t, source.Perplexity.PPL, row.KL.BasePPL, 1e-6)
		}
	}
	require.Less(t, r.Rows[1].KL.KLMean, r.Rows[2].KL.KLMean)
	require.Contains(t, strings.Join(steps, ","), "q2_k predicting")
	b, err := json.Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(b), `"kl_mean"`)
	var doc strings.Builder
	require.NoError(t, r.Page().Render(&doc))
	for _, want := range []string{"a &lt;text&gt;", "q4_0", "99th percentile", "<svg"} {
		require.Contains(t, doc.String(), want)
	}
	require.NotContains(t, doc.String(), "<text>\"")
	head, rows := r.Table()
	for _, row := range rows {
		require.Len(t, row, len(head))
	}
}

func TestCompareTypesFaults(t *testing.T) {
	s, text := subject(t)
	_, err := CompareTypes(context.Background(), s, TypesOptions{Types: []string{"q9_9"}, Text: text})
	require.ErrorContains(t, err, "q9_9")
	_, err = CompareTypes(context.Background(), s, TypesOptions{Text: "short"})
	require.ErrorContains(t, err, "want at least one chunk of 512")
	stop, cancel := context.WithCancelCause(context.Background())
	why := errors.New("no more")
	_, err = CompareTypes(stop, s, TypesOptions{Text: text, Repetitions: 1, Step: func(string, string, int, int) { cancel(why) }})
	require.ErrorIs(t, err, why)
}

func TestCommon(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abd", 2}, {"ab", "abc", 2}, {"aé", "aè", 1}, {"x", "y", 0}} {
		require.Equal(t, c.want, common(c.a, c.b), c.a)
	}
}
