package explain

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/eval"
	"github.com/goinfer/goinfer/internal/shared"
)

// open opens a built-in model.
func open(t *testing.T, name string) *goinfer.Model {
	m, err := goinfer.Open(filepath.Join(shared.Root(t), "cmd/goinfer/embedded", name+"-q8_0.gguf"), goinfer.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func study(t *testing.T, m *goinfer.Model, prompt, word string) *Study {
	c, err := eval.Continue(m.Tokenizer(), prompt, word, true)
	require.NoError(t, err)
	s, err := NewStudy(t.Context(), m, c, 0)
	require.NoError(t, err)
	return s
}

func TestRecord(t *testing.T) {
	m := open(t, "tiny-moe")
	c := m.Config()
	ids := m.Tokenizer().Encode(nil, "The capital of France is", true, true)
	trace, err := Record(t.Context(), m, ids, 2)
	require.NoError(t, err)
	require.Len(t, trace.Layers, c.NLayer)
	for _, l := range trace.Layers {
		require.Equal(t, c.NHead, l.Heads)
		require.Len(t, l.Attention, len(ids)-2)
		for i, probs := range l.Attention {
			require.Len(t, probs, c.NHead*(i+3))
			var sum float64
			for _, p := range probs[:i+3] {
				sum += float64(p)
			}
			require.InDelta(t, 1, sum, 1e-5)
		}
		require.Len(t, l.Routes, len(ids))
		require.Len(t, l.Routes[0].Experts, c.NExpertUsed)
	}
	require.Len(t, trace.Norms(), c.NLayer+1)
	require.Len(t, trace.Norms()[0], len(ids)-2)

	// The lens at the last layer is the model.
	views, err := trace.Lens(t.Context(), m, 2, 3, []int32{5})
	require.NoError(t, err)
	require.Len(t, views, c.NLayer+1)
	last := views[c.NLayer]
	require.NoError(t, m.LogitsFrom(t.Context(), ids, len(ids)-2, func(pos int, row []float32) error {
		view := last[pos-(len(ids)-2)]
		require.Equal(t, pos, view.Pos)
		require.Equal(t, choices(m.Tokenizer(), row, 3), view.Top)
		p, entropy := probabilities(row)
		require.Equal(t, entropy, view.Entropy)
		require.Equal(t, p[5], view.Standing[0].Prob)
		require.Equal(t, rank(p, 5), view.Standing[0].Rank)
		return nil
	}))
}

// TestSweep: what parts do in common batches they do alone, taking nothing out changes no bit, and taking out what is not used neither.
func TestSweep(t *testing.T) {
	for _, name := range []string{"tiny-dense", "tiny-moe"} {
		t.Run(name, func(t *testing.T) {
			m := open(t, name)
			s := study(t, m, "The capital of France is", " Paris")
			require.Less(t, s.Base.LogProb, 0.0)
			var parts []Part
			for l := range s.Trace.Layers {
				parts = append(parts, s.Blocks(l)...)
				parts = append(parts, s.Heads(l)...)
				parts = append(parts, s.Experts(l)...)
				neurons, all := s.Neurons(l, 5)
				require.Len(t, neurons, 5)
				require.GreaterOrEqual(t, all, 512)
				parts = append(parts, neurons...)
			}
			told := 0
			effects, err := s.Sweep(t.Context(), parts, func(done, total int) {
				told++
				require.Equal(t, len(parts), total)
			})
			require.NoError(t, err)
			require.Equal(t, len(parts), told)
			for i, e := range effects {
				require.Equal(t, parts[i], e.Part)
				if e.Layer < len(s.Trace.Layers)-1 { // the last one's work on earlier tokens is for nothing
					require.NotZero(t, e.Delta, e)
				}
				if i%7 == 0 {
					alone, err := s.watch.Score(t.Context(), m, Without(e.Part, m.Config().NHead))
					require.NoError(t, err)
					require.Equal(t, alone.LogProb-s.Base.LogProb, e.Delta, e.Part)
				}
			}
			none, err := s.Sweep(t.Context(), []Part{{Neuron, 0, -1, 1 << 30}, {Neuron, 0, 1 << 30, 0}, {Expert, 1, -1, 1 << 30}}, nil)
			require.NoError(t, err)
			for _, e := range none {
				require.Zero(t, e.Delta, e.Part)
			}
		})
	}
}

// TestUnusedExperts: the experts and neurons that are left out of a sweep as without effect have none.
func TestUnusedExperts(t *testing.T) {
	m := open(t, "tiny-moe")
	s := study(t, m, "The sun", " rises")
	var parts []Part
	for l := range s.Trace.Layers {
		used := s.Experts(l)
		for e := range m.Config().NExpert {
			if !slices.Contains(used, Part{Expert, l, -1, e}) {
				parts = append(parts, Part{Expert, l, -1, e}, Part{Neuron, l, e, 3})
			}
		}
	}
	require.NotEmpty(t, parts)
	effects, err := s.Sweep(t.Context(), parts, nil)
	require.NoError(t, err)
	for _, e := range effects {
		require.Zero(t, e.Delta, e.Part)
	}
}

// TestThin: nothing taken out changes no bit, all neurons are as many as those of all blocks, and the same seed takes out the same.
func TestThin(t *testing.T) {
	s := study(t, open(t, "tiny-dense"), "The sun rises in the", " east")
	points, err := s.Thin(t.Context(), []float64{0, 0.5, 1}, 4, nil)
	require.NoError(t, err)
	base := math.Exp(s.Base.LogProb)
	require.Equal(t, []float64{base, base, base, base}, points[0].Draws)
	require.Less(t, points[2].Mean, points[0].Mean/2)
	require.NotEqual(t, points[1].Draws[0], points[1].Draws[1])
	require.Equal(t, points[2].Draws[0], points[2].Draws[1])
	again, err := s.Thin(t.Context(), []float64{0, 0.5, 1}, 4, nil)
	require.NoError(t, err)
	require.Equal(t, points, again)

	h := Thinned(0.3, 7)
	row := slices.Repeat([]float32{1}, 100_000)
	h.Observe(&goinfer.Event{Layer: 2, Name: goinfer.NameFFNAct, Data: row})
	zeros := 0
	for _, v := range row {
		if v == 0 {
			zeros++
		}
	}
	require.InDelta(t, 30_000, zeros, 600)
	_, err = s.Thin(t.Context(), []float64{1}, 0, nil)
	require.ErrorContains(t, err, "at least one draw")
}

func TestSweepEnds(t *testing.T) {
	s := study(t, open(t, "tiny-dense"), "The sun rises in the", " east")
	parts, _ := s.Neurons(0, 700)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.Sweep(ctx, parts, func(done, _ int) {
		if done == 10 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
}

func BenchmarkSweep(b *testing.B) {
	m, err := goinfer.Open("../cmd/goinfer/embedded/tiny-dense-q8_0.gguf", goinfer.Options{})
	require.NoError(b, err)
	defer m.Close()
	c, err := eval.Continue(m.Tokenizer(), "The sun rises in the", " east", true)
	require.NoError(b, err)
	s, err := NewStudy(b.Context(), m, c, 0)
	require.NoError(b, err)
	parts, _ := s.Neurons(3, math.MaxInt)
	for b.Loop() {
		_, err := s.Sweep(b.Context(), parts, nil)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.N*len(parts))/b.Elapsed().Seconds(), "parts/s")
}
