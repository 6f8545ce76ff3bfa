package bench

import (
	"testing"

	"github.com/goinfer/goinfer/source"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/study/size"
)

func layoutAs(t *testing.T, name, fileType string) *size.Layout {
	m, err := size.Known(name)
	require.NoError(t, err)
	m, err = m.As(fileType)
	require.NoError(t, err)
	return m
}

// TestScratch: activations are about what the engine takes.
func TestScratch(t *testing.T) {
	for _, name := range []string{"stories260k", "tiny-dense", "tiny-moe"} {
		m := layoutAs(t, name, "Q8_0")
		src, err := Open(source.Shape(name))
		require.NoError(t, err)
		b, err := src.Load(t.Context(), "Q8_0", nil)
		require.NoError(t, err)
		s, err := b.Session(t.Context(), Case{Settings: Settings{Threads: 1, Batch: 512, Ubatch: 512}, Test: Test{Prompt: 511, Gen: 1}}, false)
		require.NoError(t, err)
		need, err := m.Footprint(size.Workload{Context: 512, Sequences: 1})
		require.NoError(t, err)
		require.InEpsilon(t, s.Memory().Scratch, need.Scratch, 0.35, name)
		require.NoError(t, s.Close())
	}
}

// TestSlice: slices of every known model fit, and are made of what the model is made of.
func TestSlice(t *testing.T) {
	for _, name := range size.ShapeNames() {
		m := layoutAs(t, name, "Q4_K_M")
		small, large, err := sliceShapes(m, defaultBudget)
		require.NoError(t, err, name)
		a, err := small.Counts(m.FileType, false)
		require.NoError(t, err, name)
		b, err := large.Counts(m.FileType, false)
		require.NoError(t, err, name)
		require.LessOrEqual(t, b.Bytes, int64(defaultBudget), name)
		if m.Bytes() <= defaultBudget {
			require.Equal(t, m.Bytes(), a.Bytes, name)
			require.Equal(t, m.Bytes(), b.Bytes, name)
			continue
		}
		require.Less(t, a.Bytes, b.Bytes, name)
		p, err := large.Layout()
		require.NoError(t, err, name)
		require.Equal(t, m.Config.Arch, p.Config.Arch)
		require.Equal(t, m.Config.NVocab, p.Config.NVocab)
		require.Equal(t, m.Config.NExpertUsed, p.Config.NExpertUsed)
		r, err := p.Breakdown()
		require.NoError(t, err)
		want, err := m.Breakdown()
		require.NoError(t, err)
		require.Len(t, r.Components, len(want.Components), name)
	}
}

// TestFit: times that follow the law are taken apart into what they were made of.
func TestFit(t *testing.T) {
	m := layoutAs(t, "llama-2-7b", "Q8_0")
	small, large, err := sliceShapes(m, 2<<30)
	require.NoError(t, err)
	sliceOf := func(s size.Shape) *slice {
		layout, err := s.Layout()
		require.NoError(t, err)
		layout, err = layout.As("Q8_0")
		require.NoError(t, err)
		return &slice{layout: layout}
	}
	a, b := sliceOf(small), sliceOf(large)
	law := size.Speed{Fixed: 1e-4, Byte: 4e-11, CacheByte: 6e-11, Op: 2e-12, Bandwidth: 30}
	run := func(p *slice, test Test) *timedCase {
		position := test.Depth + test.Prompt + test.Gen/2
		want, err := law.Predict(p.layout, size.Workload{Context: 4096, Sequences: 1}, position)
		require.NoError(t, err)
		slow := 5.0 // a round in which the machine had other things to do
		return &timedCase{test: test, gen: []float64{want.Token * slow, want.Token, want.Token, want.Token}, prompt: []float64{1 / want.Prompt, slow, slow, slow}}
	}
	var got size.Speed
	test := Test{Prompt: 96, Gen: 6}
	require.NoError(t, fit(&got, a, b, run(a, test), run(b, test), run(a, Test{Gen: 6, Depth: 512}), CalibrateOptions{}))
	require.InEpsilon(t, law.Fixed, got.Fixed, 1e-3)
	require.InEpsilon(t, law.Byte, got.Byte, 1e-6)
	require.InEpsilon(t, law.CacheByte, got.CacheByte, 1e-6)
	require.InEpsilon(t, law.Op, got.Op, 1e-6)
}

// TestCalibrate: a small model is its own slice, and what is predicted of it is near what it does.
func TestCalibrate(t *testing.T) {
	if testing.Short() {
		t.Skip("measures")
	}
	m := layoutAs(t, "tiny-moe", "Q8_0")
	src, err := Open(source.Shape("tiny-moe"))
	require.NoError(t, err)
	real, err := src.Load(t.Context(), "Q8_0", nil)
	require.NoError(t, err)
	defer real.Close()
	steps := 0
	s, c, err := CheckPrediction(t.Context(), m, real, CalibrateOptions{Threads: 1, Rounds: 2, Done: func(step, total int) {
		steps++
		require.Equal(t, steps, step)
		require.LessOrEqual(t, step, total)
	}})
	require.NoError(t, err)
	require.Equal(t, 4, steps)
	require.True(t, s.Whole && !s.Narrowed && s.SliceLayers == 4)
	require.Positive(t, s.Byte)
	require.Positive(t, s.Bandwidth)
	require.True(t, c.TokenRatio > 0.05 && c.TokenRatio < 20 && c.PromptRatio > 0.05 && c.PromptRatio < 20, "%+v", c)
	p, err := size.NewEstimate(m, size.Grid{Types: []string{"Q8_0", "F16"}, Contexts: []int{64, 512}, Sequences: []int{1, 2}})
	require.NoError(t, err)
	require.Len(t, p.Rows, 8)
	require.NoError(t, p.AddSpeed(s))
	for _, r := range p.Rows {
		require.Equal(t, r.Type == "Q8_0", r.First != nil)
		require.True(t, r.First == nil || r.Last.Token >= r.First.Token)
	}

	// Another one is made in slices, here of one layer and of three.
	s, err = Calibrate(t.Context(), m, CalibrateOptions{Threads: 1, Rounds: 1, Budget: 13 << 20})
	require.NoError(t, err)
	require.False(t, s.Whole)
	require.Equal(t, 3, s.SliceLayers)
}
