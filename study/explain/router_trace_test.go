package explain

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/source"
)

func TestRecordRoutes(t *testing.T) {
	m := tinyMoE(t)
	text := ids(m, "The sun rises in the")
	tr, err := Record(t.Context(), m, text, RecordOptions{What: Routes | RouterLogits, Generate: 3})
	require.NoError(t, err)
	require.Equal(t, len(text), tr.Prompt)
	require.Len(t, tr.Tokens, len(text)+2, "the token that was generated last went through no router")
	require.Equal(t, " east", tr.Tokens[len(text)].Text)
	rows := tr.RouterRows()
	require.Len(t, rows, 4*len(tr.Tokens))
	for i, r := range rows {
		require.Equal(t, i/4, r.Pos)
		require.Equal(t, i%4, r.Layer)
		require.Equal(t, tr.Tokens[r.Pos].ID, r.Token)
		p := routerProbabilities(r.Logits, tr.Scoring)
		require.InDelta(t, entropyOf(p), r.Entropy, 1e-12)
		require.Less(t, r.Entropy, math.Log(8))
		var sum float64
		for j, c := range r.Experts {
			if sum += float64(c.Weight); j > 0 {
				require.GreaterOrEqual(t, p[r.Experts[j-1].ID], p[c.ID], "best first")
			}
		}
		require.InDelta(t, 1, sum, 1e-6)
	}

	one, err := goinfer.Open(builtin(t, "tiny-moe"), goinfer.Options{Batch: 2, Threads: 1})
	require.NoError(t, err)
	defer one.Close()
	again, err := Record(t.Context(), one, text, RecordOptions{What: Routes | RouterLogits, Generate: 3})
	require.NoError(t, err)
	require.Equal(t, rows, again.RouterRows(), "whatever the batch")
	some, err := Record(t.Context(), m, text, RecordOptions{What: Routes, Routers: []int{3, 1, 3}})
	require.NoError(t, err)
	require.Equal(t, []int{1, 3}, some.Routers())
	require.Len(t, some.RouterRows(), 2*len(text))

	var b bytes.Buffer
	require.NoError(t, some.WriteRoutesJSON(&b))
	var row RouterRow
	require.NoError(t, json.Unmarshal(b.Bytes()[:bytes.IndexByte(b.Bytes(), '\n')], &row))
	require.Equal(t, some.RouterRows()[0], row)
	b.Reset()
	require.NoError(t, some.WriteRoutesCSV(&b))
	lines, err := csv.NewReader(&b).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, 1+2*2*len(text))

	stopped, stop := context.WithCancel(t.Context())
	stop()
	_, err = Record(stopped, m, text, RecordOptions{What: Routes})
	require.ErrorIs(t, err, context.Canceled)
}

// TestEveryMoE records, draws and measures every conformance model that has experts.
func TestEveryMoE(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared.Dir(t), "conformance", "models", "*", "model.gguf"))
	require.NoError(t, err)
	found := 0
	for _, path := range files {
		src, err := source.Path(path)
		require.NoError(t, err)
		info, err := goinfer.Inspect(t.Context(), src, 1)
		if err != nil || !hasExperts(info) {
			continue
		}
		m, err := goinfer.Open(path, goinfer.Options{})
		require.NoError(t, err, path)
		func() {
			defer m.Close()
			text := []int32{1, 5, 9, 2, 3, 17, 4, 8}
			tr, err := Record(t.Context(), m, text, RecordOptions{What: Routes | RouterLogits})
			require.NoError(t, err, path)
			require.Len(t, tr.RouterRows(), len(tr.Routers())*len(text), path)
			p, err := tr.RouterPage("model", "")
			require.NoError(t, err, path)
			require.NoError(t, p.Render(&bytes.Buffer{}), path)
			for _, b := range tr.MoE.ExpertBytes {
				require.Positive(t, b, path)
			}
			s, err := MeasureRouters(t.Context(), m, text, RouterStatsOptions{Chunk: 3})
			require.NoError(t, err, path)
			require.NoError(t, s.Page("model", "").Render(&bytes.Buffer{}), path)
			found++
		}()
	}
	require.Greater(t, found, 30, "models with experts")
}

func hasExperts(info *goinfer.FileInfo) bool {
	for _, kv := range info.Metadata {
		if strings.HasSuffix(kv.Key, ".expert_used_count") {
			return true
		}
	}
	return false
}

func TestPageFaults(t *testing.T) {
	m := tinyMoE(t)
	tr, err := Record(t.Context(), m, ids(m, "The sun"), RecordOptions{What: Routes | RouterLogits})
	require.NoError(t, err)
	tr.Layers[1].Routes[1].Logits[2] = float32(math.Inf(1))
	_, err = tr.RouterPage("m", "")
	require.ErrorContains(t, err, "layer 1, position 1: the logit of expert 2 is no finite number")
	tr.MoE.Experts = MaxScores
	_, err = tr.RouterPage("m", "")
	require.ErrorContains(t, err, "want fewer tokens or layers")
}

func TestKinds(t *testing.T) {
	for text, want := range map[string]TokenKind{
		"": Special, " the": WordStart, "es": WordRest, " Max": Capital, "Once": Capital, "42": Number, ".": Punctuation, " \"": Punctuation, "\n": Space, "  ": Space,
		"\xe2": Other, "日": WordRest, "é": WordRest, "+": Punctuation,
	} {
		require.Equal(t, want, KindOf([]byte(text)), "%q", text)
	}
}

// TestExpertBytes: the tokens after a prompt are counted, each once.
func TestExpertBytes(t *testing.T) {
	count := newExpertBytes(&MoE{Experts: 4, Layers: []int{0, 1}, ExpertBytes: []int64{10, 100}, OtherBytes: 7}, 1)
	require.Zero(t, count.perToken())
	for _, pos := range []int{0, 1, 0, 1, 2} {
		for layer := range 2 {
			count.Observe(&goinfer.Event{Layer: layer, Pos: pos, Experts: []int32{3, 1}})
		}
	}
	require.EqualValues(t, 7+2*(10+100), count.perToken())
}

// TestRouterStats compares with a calculation by hand for a text of four tokens.
func TestRouterStats(t *testing.T) {
	moe := MoE{Experts: 4, Used: 2, Layers: []int{2}, ExpertBytes: []int64{1}}
	c := newCounter(&moe, nil)
	c.kinds = []TokenKind{WordStart, Punctuation}
	for range 2 { // chunks
		route := func(experts ...int32) Route {
			return Route{Experts: []ExpertWeight{{experts[0], 0.75}, {experts[1], 0.25}}, Entropy: math.Log(4)}
		}
		tr := &Trace{Tokens: Tokens(nil, []int32{0, 1}), Layers: make([]Layer, 3)}
		tr.Layers[2].Routes = []Route{route(0, 1), route(2, 0)}
		c.add(tr)
	}
	s, err := c.stats(4)
	require.NoError(t, err)
	l := s.Layers[0]
	require.Equal(t, []float64{0.5, 0.25, 0.25, 0}, l.Load)
	require.Equal(t, []int{3}, l.Idle)
	require.Equal(t, 2.0, l.MaxLoad)
	require.InDelta(t, 1.5*math.Ln2/math.Log(4), l.Balance, 1e-12)
	require.InDelta(t, math.Log(4), l.Entropy, 1e-12, "as recorded")
	require.Equal(t, []float64{0.5, 0.25, 0.75, 0}, l.Weight)
	require.InDelta(t, 1, l.Together[0][1], 1e-12, "expert 0 serves every token")
	require.Zero(t, l.Together[1][2])
	require.Equal(t, []KindCount{{"word", 2, WordStart}, {"punctuation", 2, Punctuation}}, s.Kinds)
	require.Equal(t, [][]float64{{1, 2, 0, 0}, {1, 0, 2, 0}}, l.Kinds)
	require.InDelta(t, 0.5*math.Ln2, l.Specialised, 1e-12)
	require.Equal(t, []Specialist{{2, 1, "word", 2, 1}, {2, 2, "punctuation", 2, 1}}, s.Specialists(9))
	require.Len(t, s.Pairs(9), 2)

	m := tinyMoE(t)
	text := ids(m, strings.Repeat("Once upon a time there was a dog. ", 30))
	whole, err := MeasureRouters(t.Context(), m, text, RouterStatsOptions{})
	require.NoError(t, err)
	require.Equal(t, len(text), whole.Tokens)
	n := 0
	for _, k := range whole.Kinds {
		n += k.Tokens
	}
	require.Equal(t, len(text), n, "every token is counted")
	_, err = MeasureRouters(t.Context(), m, nil, RouterStatsOptions{})
	require.ErrorContains(t, err, "the text has no tokens")
}

func TestCompareRouters(t *testing.T) {
	m := tinyMoE(t)
	prompt := ids(m, "The sun rises in the")
	s, err := MoEOf(m)
	require.NoError(t, err)
	same, err := CompareRouters(t.Context(), m, prompt, hookOf(t, m, RouterOverride{TopK: s.Used}), RouterComparisonOptions{Generate: 5})
	require.NoError(t, err)
	require.Equal(t, same.Own.Text(), same.Other.Text())
	require.Len(t, same.Steps, 5)
	for _, step := range same.Steps {
		require.Zero(t, step.KL)
		require.Equal(t, step.Prob, step.Under)
		require.Equal(t, step.Token, step.Other)
	}
	require.Equal(t, s.BytesPerToken(s.Used), same.Own.BytesPerToken)

	other, err := CompareRouters(t.Context(), m, prompt, hookOf(t, m, RouterOverride{TopK: 1}), RouterComparisonOptions{Generate: 5})
	require.NoError(t, err)
	require.Equal(t, same.Own.Text(), other.Own.Text())
	require.Equal(t, s.BytesPerToken(1), other.Other.BytesPerToken)
	require.Positive(t, other.Steps[0].KL)
	_, err = CompareRouters(t.Context(), m, prompt, nil, RouterComparisonOptions{})
	require.ErrorContains(t, err, "at least one token")
}
