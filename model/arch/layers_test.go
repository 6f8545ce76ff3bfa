package arch

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/par"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/kv"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/nn"
)

// TestLayerRanges: a model that is run in ranges of layers, each by a pass and a cache of its own
// as on several machines, gives the bits of one pass. The architectures have a loop of their own
// kind each.
func TestLayerRanges(t *testing.T) {
	for _, name := range []string{"llama-dense", "gemma3", "mamba2", "deepseek2-lite-mla", "smallthinker", "gptneox", "bert"} {
		t.Run(name, func(t *testing.T) {
			cfg, src := loadFile(t, filepath.Join(shared.Dir(t), "conformance", "models", name, "model.gguf"))
			m, err := Build(model.NewWeights(cfg, src, model.Options{}))
			require.NoError(t, err)
			want := ranges(t, m, 0, m.NLayer())
			for split := 1; split < m.NLayer(); split++ {
				require.Equal(t, want, ranges(t, m, 0, split, m.NLayer()))
			}
		})
	}
}

// ranges runs the layers between each two bounds and returns the bits of the logits.
func ranges(t *testing.T, m model.Model, bounds ...int) []float32 {
	pool := par.New(2)
	defer pool.Close()
	ids := []int32{1, 17, 99, 200, 3}
	var stream []float32
	for i, first := range bounds[:len(bounds)-1] {
		store, err := kv.New(kv.Config{Layers: m.State()})
		require.NoError(t, err)
		seq := store.Open()
		require.NoError(t, store.Reserve(seq, len(ids)))
		var b nn.Batch
		for pos, id := range ids {
			b.Add(nn.Row{Token: id, Pos: pos, Seq: seq, Out: true})
		}
		p, err := nn.NewPass(pool, store, false)
		require.NoError(t, err)
		p.Begin(&b)
		x := m.Embed(p)
		if i > 0 {
			x = p.Stream(stream)
		}
		model.Layers(m, p, x, first, bounds[i+1])
		stream = slices.Clone(p.Outputs(x).F)
		if bounds[i+1] == m.NLayer() {
			stream = slices.Clone(m.Logits(p, x).F)
		}
		require.NoError(t, p.End())
	}
	return stream
}
