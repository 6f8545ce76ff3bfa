package size

import (
	"runtime"
	"testing"

	"github.com/goinfer/goinfer/source"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/kv"
)

func modelAs(t *testing.T, name, typ string) *Layout {
	m, err := Known(name)
	require.NoError(t, err)
	m, err = m.As(typ)
	require.NoError(t, err)
	return m
}

// TestFootprint: by hand.
func TestFootprint(t *testing.T) {
	m := modelAs(t, "llama-2-70b", "F16")
	n, err := m.Footprint(Workload{Context: 32768, Sequences: 16})
	require.NoError(t, err)
	require.EqualValues(t, 16*32768*2*2*80*1024, n.Cache)
	require.Equal(t, m.Bytes(), n.Weights)
	require.Equal(t, n.Weights+n.Cache+n.Scratch+n.Overhead, n.Total())
	one, err := m.Footprint(Workload{Context: 32768, Sequences: 1, K: kv.Q8_0, V: kv.Q8_0})
	require.NoError(t, err)
	require.EqualValues(t, n.Cache/16*34/64, one.Cache)
	_, err = modelAs(t, "stories260k", "F16").Footprint(Workload{Context: 64, Sequences: 1, K: kv.Q8_0})
	require.ErrorContains(t, err, "multiple of 32")
	_, err = m.Footprint(Workload{Context: 1e9, Sequences: 1e9})
	require.ErrorContains(t, err, "a cache for 1000000000 contexts of 1000000000 is beyond any machine")
	_, err = m.Footprint(Workload{Context: 64})
	require.ErrorContains(t, err, "Sequences: want at least 1, found 0")
}

func TestPredict(t *testing.T) {
	s := &Speed{Byte: 1e-10, CacheByte: 2e-10, Op: 1e-12, Bandwidth: 20}
	m := modelAs(t, "mixtral-8x7b", "F16")
	l := Workload{Context: 4096, Sequences: 1}
	p, err := s.Predict(m, l, 0)
	require.NoError(t, err)
	active := float64(m.Counts().ReadBytes)
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
	require.Less(t, four.Bytes, float64(m.Bytes()))
	require.Greater(t, four.Rate, p.Rate)
	dense := modelAs(t, "llama-2-7b", "F16")
	l.Sequences = 64
	many, err := s.Predict(dense, l, 0)
	require.NoError(t, err)
	embeddingRows := 63 * 4096 * 2.0
	require.InEpsilon(t, float64(dense.Counts().ReadBytes)+embeddingRows, many.Bytes, 1e-6)
}

// TestDevices: the article's figures, by division.
func TestDevices(t *testing.T) {
	for _, c := range []struct {
		parameters       int64
		fp16, int8, int4 int
	}{{6_738_415_616, 1, 1, 1}, {68_976_648_192, 2, 1, 1}, {405_853_388_800, 11, 6, 3}} {
		d := CountDevices(c.parameters, 80e9)
		require.Equal(t, []int{c.fp16, c.int8, c.int4}, []int{d[0].Devices, d[1].Devices, d[2].Devices})
		require.GreaterOrEqual(t, d[0].WithReserve, d[0].Devices)
	}
	require.Equal(t, DeviceCount{"FP16", 20, 20, 20}, CountDevices(10, 1)[0])
}

func TestChoose(t *testing.T) {
	s := &Speed{Type: "Q4_K_M", Byte: 1e-10, Bandwidth: 20}
	cs, err := Choose(s, Workload{Context: 2048, Sequences: 1}, 16e9, 2)
	require.NoError(t, err)
	require.NotEmpty(t, cs)
	for i, c := range cs {
		require.LessOrEqual(t, c.Memory, int64(16e9))
		require.GreaterOrEqual(t, c.Rate, 2.0)
		require.True(t, i == 0 || c.Total <= cs[i-1].Total)
	}
	cs, err = Choose(s, Workload{Context: 2048, Sequences: 1}, 1e6, 2)
	require.NoError(t, err)
	require.Empty(t, cs)
	s.Type = "NVFP4" // of which the rows of some models are no whole blocks
	cs, err = Choose(s, Workload{Context: 2048, Sequences: 1}, 16e9, 2)
	require.NoError(t, err)
	require.NotEmpty(t, cs)
}

// TestOverhead: what an open model holds beside its weights grows with its vocabulary and with its
// tensors by no more than is estimated, and not by much less.
func TestOverhead(t *testing.T) {
	heap := func(s Shape) int64 {
		data := write(t, s, RandomOptions{Type: "q8_0"})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		m, err := goinfer.OpenSource(source.Bytes(s.Name, data), goinfer.Options{Context: 64, Batch: 1, Threads: 1})
		require.NoError(t, err)
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(data)
		require.NoError(t, m.Close())
		return int64(after.HeapAlloc) - int64(before.HeapAlloc)
	}
	s, err := FindShape("stories260k")
	require.NoError(t, err)
	withVocab := func(v Vocab) Shape {
		s := s.Set(map[string]int{"vocab_size": v.Size})
		s.Vocab = v
		return s
	}
	for _, kind := range []func(size int) Vocab{spm, func(size int) Vocab { return bpe("llama-bpe", size) }} {
		each := float64(heap(withVocab(kind(32000)))-heap(withVocab(kind(8000)))) / 24000
		require.LessOrEqual(t, each, 1.1*tokenBytes)
		require.GreaterOrEqual(t, each, 0.5*tokenBytes)
	}
	withLayers := func(n int) Shape { return s.Set(map[string]int{"block_count": n}) }
	each := float64(heap(withLayers(64))-heap(withLayers(4))) / (60 * 9)
	require.LessOrEqual(t, each, 1.1*tensorBytes)
	require.GreaterOrEqual(t, each, 0.5*tensorBytes)
}
