package convert

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/source"
)

// open opens a model of the reference data.
func open(t *testing.T, name string) *gguf.File {
	f, err := gguf.Open(filepath.Join(shared.Dir(t), "models", name, name+"-f16.gguf"), gguf.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func quantize(t *testing.T, f *gguf.File, o Options) []byte {
	w, err := Quantize(t.Context(), f, o)
	require.NoError(t, err)
	var b bytes.Buffer
	_, err = w.WriteTo(&b)
	require.NoError(t, err)
	require.EqualValues(t, w.Size(), b.Len())
	return b.Bytes()
}

// TestSizes: files are exactly as large as those of llama-quantize. The sizes are those of
// models/README.md in the reference data.
func TestSizes(t *testing.T) {
	for name, sizes := range map[string]map[string]int64{
		"tiny-dense": {"Q8_0": 6_236_896, "Q6_K": 4_840_160, "Q5_K_M": 4_274_400, "Q4_K_M": 3_741_920, "Q4_0": 3_623_648, "Q3_K_M": 3_240_160, "Q2_K": 2_697_440},
		"tiny-moe":   {"Q8_0": 15_456_416, "Q6_K": 12_028_064, "Q5_K_M": 10_565_792, "Q4_K_M": 9_222_304, "Q4_0": 8_648_864, "Q3_K_M": 7_532_704, "Q2_K": 6_097_056},
	} {
		f := open(t, name)
		for typ, size := range sizes {
			w, err := Quantize(t.Context(), f, Options{Type: typ})
			require.NoError(t, err)
			require.Equal(t, size, w.Size(), "%s as %s", name, typ)
		}
	}
}

// TestWeights: numbers are near to what they were, the metadata is kept, and threads make no
// difference.
func TestWeights(t *testing.T) {
	f := open(t, "tiny-dense")
	for _, c := range []struct {
		typ  string
		near float64 // relative error
	}{{"f32", 0}, {"q8_0", 0.01}, {"nvfp4", 0.12}} {
		var reported int64
		data := quantize(t, f, Options{Type: c.typ, Threads: 1, Done: func(done, total int64) {
			require.Greater(t, done, reported)
			require.EqualValues(t, 5_770_496, total)
			reported = done
		}})
		require.EqualValues(t, 5_770_496, reported)
		require.True(t, bytes.Equal(data, quantize(t, f, Options{Type: c.typ, Threads: 3})))
		g, err := gguf.OpenBytes(c.typ, data)
		require.NoError(t, err)
		for _, key := range f.Keys() {
			v, _ := f.Value(key)
			got, ok := g.Value(key)
			require.Equal(t, key != "general.file_type" || c.typ != "nvfp4", ok, key)
			if key != "general.file_type" {
				require.Equal(t, v.Any(-1), got.Any(-1), key)
			}
		}
		for _, x := range f.Tensors() {
			y, ok := g.Tensor(x.Name)
			require.True(t, ok)
			require.Equal(t, x.Shape, y.Shape)
			want, got := floats(f, &x), floats(g, y)
			var wrong, all float64
			for i := range want {
				wrong += math.Pow(float64(want[i]-got[i]), 2)
				all += math.Pow(float64(want[i]), 2)
			}
			require.LessOrEqual(t, math.Sqrt(wrong/all), c.near, "%s %s", c.typ, x.Name)
		}
		m, err := goinfer.OpenSource(source.Bytes(c.typ, data), goinfer.Options{})
		require.NoError(t, err)
		var text string
		for p, err := range m.Generate(t.Context(), goinfer.Request{Prompt: "The sun rises in the", MaxTokens: 6}) {
			require.NoError(t, err)
			text += p.Text()
		}
		require.Equal(t, " east and sets in the west", text, c.typ)
		require.NoError(t, m.Close())
	}
}

// TestAlter: matrices are changed on their way, of whatever type, and nothing else is.
func TestAlter(t *testing.T) {
	f := open(t, "tiny-dense")
	for _, typ := range []string{"f16", "f32"} {
		g, err := gguf.OpenBytes(typ, quantize(t, f, Options{Type: typ, Alter: func(name string, row int, w []float32) {
			if name == "blk.1.ffn_up.weight" && row%2 == 1 {
				clear(w)
			}
		}}))
		require.NoError(t, err)
		for _, x := range f.Tensors() {
			y, _ := g.Tensor(x.Name)
			want, got := floats(f, &x), floats(g, y)
			if x.Name == "blk.1.ffn_up.weight" {
				for row := 1; row < x.Shape[1]; row += 2 {
					clear(want[row*x.Shape[0] : (row+1)*x.Shape[0]])
				}
			}
			require.Equal(t, want, got, x.Name)
		}
	}
}

func floats(f *gguf.File, t *gguf.Tensor) []float32 {
	v := make([]float32, elements(t))
	quant.Dequantize(t.Type, v, f.Data(t))
	return v
}

func TestFaults(t *testing.T) {
	f := open(t, "tiny-moe")
	_, err := Quantize(t.Context(), f, Options{Type: "q7"})
	require.ErrorContains(t, err, `unknown file type "q7"`)
	require.ErrorContains(t, err, f.Path())

	_, err = Quantize(t.Context(), f, Options{Type: "q8_0", Threads: 1025})
	require.EqualError(t, err, "Threads: want 0 to 1024, found 1025")

	ctx, stop := context.WithCancel(t.Context())
	w, err := Quantize(ctx, f, Options{Type: "q8_0"})
	require.NoError(t, err)
	stop()
	_, err = w.WriteTo(io.Discard)
	require.ErrorIs(t, err, context.Canceled)

	w, err = Quantize(t.Context(), f, Options{Type: "q8_0"})
	require.NoError(t, err)
	full := errors.New("full")
	_, err = w.WriteTo(writer(func(b []byte) (int, error) {
		if len(b) > 1<<16 {
			return 0, full
		}
		return len(b), nil
	}))
	require.ErrorIs(t, err, full)

	// A weight that is no number is reported with the tensor's name.
	g := gguf.NewWriter()
	for _, key := range f.Keys() {
		v, _ := f.Value(key)
		require.NoError(t, g.Set(key, v))
	}
	for _, x := range f.Tensors() {
		data := bytes.Clone(f.Data(&x))
		if x.Name == "blk.1.attn_q.weight" {
			data[0], data[1] = 0xff, 0x7f
		}
		require.NoError(t, g.Add(x.Name, x.Type, x.Shape, data))
	}
	var b bytes.Buffer
	_, err = g.WriteTo(&b)
	require.NoError(t, err)
	bad, err := gguf.OpenBytes("bad", b.Bytes())
	require.NoError(t, err)
	w, err = Quantize(t.Context(), bad, Options{Type: "q4_0"})
	require.NoError(t, err)
	_, err = w.WriteTo(io.Discard)
	require.ErrorContains(t, err, `bad: tensor "blk.1.attn_q.weight": weight 0 is NaN`)
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
