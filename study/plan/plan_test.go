package plan

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/source"
	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/catalog"
	"github.com/goinfer/goinfer/study/params"
)

func modelAs(t *testing.T, name, typ string) *params.Model {
	m, err := params.Shape(name)
	require.NoError(t, err)
	m, err = m.As(typ)
	require.NoError(t, err)
	return m
}

// TestNeed: by hand.
func TestNeed(t *testing.T) {
	m := modelAs(t, "llama-2-70b", "F16")
	n, err := Need(m, Load{Context: 32768, Sequences: 16})
	require.NoError(t, err)
	require.EqualValues(t, 16*32768*2*2*80*1024, n.Cache)
	require.Equal(t, m.Size(), n.Weights)
	require.Equal(t, n.Weights+n.Cache+n.Scratch+n.Overhead, n.Total())
	one, err := Need(m, Load{Context: 32768, Sequences: 1, K: kv.Q8_0, V: kv.Q8_0})
	require.NoError(t, err)
	require.EqualValues(t, n.Cache/16*34/64, one.Cache)
	_, err = Need(modelAs(t, "stories260k", "F16"), Load{Context: 64, Sequences: 1, K: kv.Q8_0})
	require.ErrorContains(t, err, "multiple of 32")
	_, err = Need(m, Load{Context: 1e9, Sequences: 1e9})
	require.ErrorContains(t, err, "a cache for 1000000000 contexts of 1000000000 is beyond any machine")
	_, err = Need(m, Load{Context: 64})
	require.ErrorContains(t, err, "Sequences: want at least 1, found 0")
}

// TestScratch: activations are about what the engine takes.
func TestScratch(t *testing.T) {
	for _, name := range []string{"stories260k", "tiny-dense", "tiny-moe"} {
		m := modelAs(t, name, "Q8_0")
		src, err := bench.Open(source.Shape(name))
		require.NoError(t, err)
		b, err := src.Load(t.Context(), "Q8_0", nil)
		require.NoError(t, err)
		s, err := b.Session(t.Context(), bench.Case{Settings: bench.Settings{Threads: 1, Batch: 512, Ubatch: 512}, Test: bench.Test{Prompt: 511, Gen: 1}}, false)
		require.NoError(t, err)
		require.InEpsilon(t, s.Memory().Scratch, scratch(m, Load{Context: 512, Sequences: 1}), 0.35, name)
		require.NoError(t, s.Close())
	}
}

// TestSlice: slices of every known model fit, and are made of what the model is made of.
func TestSlice(t *testing.T) {
	for _, name := range catalog.Names() {
		m := modelAs(t, name, "Q4_K_M")
		small, large, err := slice(m, usualBudget)
		require.NoError(t, err, name)
		a, err := bytesOf(small, m.Recipe)
		require.NoError(t, err, name)
		b, err := bytesOf(large, m.Recipe)
		require.NoError(t, err, name)
		require.LessOrEqual(t, b, int64(usualBudget), name)
		if m.Size() <= usualBudget {
			require.Equal(t, m.Size(), a, name)
			require.Equal(t, m.Size(), b, name)
			continue
		}
		require.Less(t, a, b, name)
		p, err := params.Of(large)
		require.NoError(t, err, name)
		require.Equal(t, m.Config.Arch, p.Config.Arch)
		require.Equal(t, m.Config.NVocab, p.Config.NVocab)
		require.Equal(t, m.Config.NExpertUsed, p.Config.NExpertUsed)
		r, err := p.Report()
		require.NoError(t, err)
		want, err := m.Report()
		require.NoError(t, err)
		require.Len(t, r.Components, len(want.Components), name)
	}
}

// TestFit: times that follow the law are taken apart into what they were made of.
func TestFit(t *testing.T) {
	m := modelAs(t, "llama-2-7b", "Q8_0")
	small, large, err := slice(m, 2<<30)
	require.NoError(t, err)
	piecesOf := func(s catalog.Shape) *piece {
		twin, err := params.Of(s)
		require.NoError(t, err)
		twin, err = twin.As("Q8_0")
		require.NoError(t, err)
		return &piece{twin: twin, counts: catalog.Count(twin.Tensors)}
	}
	a, b := piecesOf(small), piecesOf(large)
	law := Speed{Fixed: 1e-4, Byte: 4e-11, CacheByte: 6e-11, Op: 2e-12, Bandwidth: 30}
	run := func(p *piece, test bench.Test) *running {
		position := test.Depth + test.Prompt + test.Gen/2
		want, err := law.Predict(p.twin, Load{Context: 4096, Sequences: 1}, position)
		require.NoError(t, err)
		slow := 5.0 // a round in which the machine had other things to do
		return &running{test: test, gen: []float64{want.Token * slow, want.Token, want.Token, want.Token}, prompt: []float64{1 / want.Prompt, slow, slow, slow}}
	}
	var got Speed
	test := bench.Test{Prompt: 96, Gen: 6}
	require.NoError(t, got.fit(a, b, run(a, test), run(b, test), run(a, bench.Test{Gen: 6, Depth: 512}), Options{}))
	require.InEpsilon(t, law.Fixed, got.Fixed, 1e-3)
	require.InEpsilon(t, law.Byte, got.Byte, 1e-6)
	require.InEpsilon(t, law.CacheByte, got.CacheByte, 1e-6)
	require.InEpsilon(t, law.Op, got.Op, 1e-6)
}

func TestPredict(t *testing.T) {
	s := &Speed{Byte: 1e-10, CacheByte: 2e-10, Op: 1e-12, Bandwidth: 20}
	m := modelAs(t, "mixtral-8x7b", "F16")
	l := Load{Context: 4096, Sequences: 1}
	p, err := s.Predict(m, l, 0)
	require.NoError(t, err)
	active := float64(catalog.Count(m.Tensors).ActiveBytes)
	require.InEpsilon(t, active*1e-10, p.Token, 1e-9)
	require.InEpsilon(t, 20e9/active, p.Bound, 1e-9)
	end, err := s.Predict(m, l, 4096)
	require.NoError(t, err)
	require.InDelta(t, 4096*128*1024*2e-10, end.Token-p.Token, 1e-9)
	// Side by side, sequences read more experts, but not all of them.
	l.Sequences = 4
	four, err := s.Predict(m, l, 0)
	require.NoError(t, err)
	require.Greater(t, four.Bytes, 2*p.Bytes)
	require.Less(t, four.Bytes, float64(m.Size()))
	require.Greater(t, four.Rate, p.Rate)
	dense := modelAs(t, "llama-2-7b", "F16")
	l.Sequences = 64
	many, err := s.Predict(dense, l, 0)
	require.NoError(t, err)
	require.InEpsilon(t, float64(catalog.Count(dense.Tensors).ActiveBytes)+63*4096*2, many.Bytes, 1e-6) // 63 further rows of the embedding
}

// TestDevices: the article's figures, by division.
func TestDevices(t *testing.T) {
	for _, c := range []struct {
		parameters       int64
		fp16, int8, int4 int
	}{{6_738_415_616, 1, 1, 1}, {68_976_648_192, 2, 1, 1}, {405_853_388_800, 11, 6, 3}} {
		d := Devices(c.parameters, 80e9)
		require.Equal(t, []int{c.fp16, c.int8, c.int4}, []int{d[0].Devices, d[1].Devices, d[2].Devices})
		require.GreaterOrEqual(t, d[0].WithReserve, d[0].Devices)
	}
	require.Equal(t, DeviceNeed{"FP16", 20, 20, 20}, Devices(10, 1)[0])
}

func TestChoose(t *testing.T) {
	s := &Speed{Type: "Q4_K_M", Byte: 1e-10, Bandwidth: 20}
	cs, err := Choose(s, Load{Context: 2048, Sequences: 1}, 16e9, 2)
	require.NoError(t, err)
	require.NotEmpty(t, cs)
	for i, c := range cs {
		require.LessOrEqual(t, c.Memory, int64(16e9))
		require.GreaterOrEqual(t, c.Rate, 2.0)
		require.True(t, i == 0 || c.Total <= cs[i-1].Total)
	}
	cs, err = Choose(s, Load{Context: 2048, Sequences: 1}, 1e6, 2)
	require.NoError(t, err)
	require.Empty(t, cs)
	s.Type = "NVFP4" // of which the rows of some models are no whole blocks
	cs, err = Choose(s, Load{Context: 2048, Sequences: 1}, 16e9, 2)
	require.NoError(t, err)
	require.NotEmpty(t, cs)
}

// TestCalibrate: a small model is its own slice, and what is foretold of it is near what it does.
func TestCalibrate(t *testing.T) {
	if testing.Short() {
		t.Skip("measures")
	}
	m := modelAs(t, "tiny-moe", "Q8_0")
	src, err := bench.Open(source.Shape("tiny-moe"))
	require.NoError(t, err)
	real, err := src.Load(t.Context(), "Q8_0", nil)
	require.NoError(t, err)
	defer real.Close()
	steps := 0
	s, c, err := Compare(t.Context(), m, real, Options{Threads: 1, Rounds: 2, Done: func(step, total int) {
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
	p, err := New(m, Grid{Types: []string{"Q8_0", "F16"}, Contexts: []int{64, 512}, Sequences: []int{1, 2}})
	require.NoError(t, err)
	require.Len(t, p.Rows, 8)
	require.NoError(t, p.With(s))
	for _, r := range p.Rows {
		require.Equal(t, r.Type == "Q8_0", r.First != nil)
		require.True(t, r.First == nil || r.Last.Token >= r.First.Token)
	}

	// Another one is made in slices, here of one layer and of three.
	s, err = Calibrate(t.Context(), m, Options{Threads: 1, Rounds: 1, Budget: 13 << 20})
	require.NoError(t, err)
	require.False(t, s.Whole)
	require.Equal(t, 3, s.SliceLayers)
}
