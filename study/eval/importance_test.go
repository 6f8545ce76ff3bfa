package eval

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/convert"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
)

// heads adds up squares of what the heads of a layer read.
type heads struct{ sums []float64 }

func (h *heads) Wants(layer int, name string) bool {
	return layer == 1 && name == goinfer.NameAttnHeads
}

func (h *heads) Observe(e *goinfer.Event) {
	if h.sums == nil {
		h.sums = make([]float64, len(e.Data))
	}
	for i, v := range e.Data {
		h.sums[i] += float64(v) * float64(v)
	}
}

// TestCollectImportance: rows are counted, each by the experts that see it, and what is added up is
// what a hook sees on its way into a matrix.
func TestCollectImportance(t *testing.T) {
	m, err := goinfer.Open(filepath.Join(shared.Dir(t), "models", "tiny-moe", "tiny-moe-f16.gguf"), goinfer.Options{Batch: 24})
	require.NoError(t, err)
	defer m.Close()
	ids := m.Tokenizer().Encode(nil, "The sun rises in the east and sets in the west. The opposite of west is east. The opposite of up is down.", true, false)
	require.Greater(t, len(ids), 25, "several batches")
	told := 0
	w, err := CollectImportance(t.Context(), m, [][]int32{ids, ids}, "text.txt", func(done, total int) {
		told++
		require.Equal(t, []int{told, 2}, []int{done, total})
	})
	require.NoError(t, err)
	require.Equal(t, 2, told)
	var b bytes.Buffer
	_, err = w.WriteTo(&b)
	require.NoError(t, err)
	f, err := gguf.OpenBytes("imatrix", b.Bytes())
	require.NoError(t, err)
	require.Len(t, f.Tensors(), 2*4*8, "a sum and a count for q, k, v, output, router, gate, up and down of 4 layers")
	values := func(name string) []float32 {
		x, ok := f.Tensor(name)
		require.True(t, ok, name)
		list := make([]float32, x.Bytes/4)
		_, err := binary.Decode(f.Data(x), binary.LittleEndian, list)
		require.NoError(t, err)
		return list
	}
	require.Equal(t, []float32{2 * float32(len(ids))}, values("blk.1.attn_q.weight.counts"))
	require.Equal(t, values("blk.1.attn_q.weight.in_sum2"), values("blk.1.attn_k.weight.in_sum2"))
	var rows float32
	for _, n := range values("blk.1.ffn_down_exps.weight.counts") {
		rows += n
	}
	require.Equal(t, 2*2*float32(len(ids)), rows, "two experts for each row")
	require.Equal(t, values("blk.1.ffn_up_exps.weight.in_sum2"), values("blk.1.ffn_gate_exps.weight.in_sum2"))
	// The experts' inputs are those of the router, each twice.
	router, experts := values("blk.1.ffn_gate_inp.weight.in_sum2"), values("blk.1.ffn_up_exps.weight.in_sum2")
	for i, v := range router {
		var sum float32
		for e := i; e < len(experts); e += len(router) {
			sum += experts[e]
		}
		require.InEpsilon(t, 2*v, sum, 1e-5)
	}
	h := &heads{}
	require.NoError(t, m.Score(t.Context(), goinfer.Request{Tokens: ids, Hook: h}))
	for i, v := range values("blk.1.attn_output.weight.in_sum2") {
		require.InEpsilon(t, 2*h.sums[i], v, 1e-6)
	}

	path := filepath.Join(t.TempDir(), "imatrix.gguf")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	read, err := convert.ReadImportance(path)
	require.NoError(t, err)
	require.Equal(t, "text.txt", read.Dataset)
	require.Equal(t, 2, read.Chunks)
	src, err := gguf.Open(filepath.Join(shared.Dir(t), "models", "tiny-moe", "tiny-moe-f16.gguf"), gguf.Options{})
	require.NoError(t, err)
	defer src.Close()
	_, err = convert.InMemory(t.Context(), src, convert.Options{Type: "q4_0", Importance: read})
	require.NoError(t, err)

	_, err = CollectImportance(t.Context(), m, nil, "", nil)
	require.ErrorContains(t, err, "no text")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err = CollectImportance(ctx, m, [][]int32{ids}, "", nil)
	require.ErrorIs(t, err, context.Canceled)
}
