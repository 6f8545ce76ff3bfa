package checkpoint_test

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/checkpoint"
	"github.com/goinfer/goinfer/convert"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/model"
)

// as writes a model in other types and opens what was written.
func as(t testing.TB, f *gguf.File, typ string) *gguf.File {
	w, err := convert.Quantize(context.Background(), f, convert.Options{Type: typ, Threads: 2})
	require.NoError(t, err)
	var b bytes.Buffer
	_, err = w.WriteTo(&b)
	require.NoError(t, err)
	g, err := gguf.OpenBytes(typ, b.Bytes())
	require.NoError(t, err)
	return g
}

// TestSameAsFile: the folders of trained models, in the type of the files that other tools made of them, have the same tensors, bit for bit, and the same configuration.
func TestSameAsFile(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "models")
	for name, typ := range map[string]string{"stories260K": "f32", "tiny-dense": "f16", "tiny-moe": "f16"} {
		t.Run(name, func(t *testing.T) {
			want, err := gguf.Open(filepath.Join(dir, name, name+"-"+typ+".gguf"), gguf.Options{})
			require.NoError(t, err)
			defer want.Close()
			folder, err := checkpoint.Open(filepath.Join(dir, name, "hf"), gguf.Options{})
			require.NoError(t, err)
			defer folder.Close()
			require.Empty(t, folder.Notes())
			got := as(t, folder, typ)
			require.Len(t, got.Tensors(), len(want.Tensors()))
			for _, x := range want.Tensors() {
				y, ok := got.Tensor(x.Name)
				require.True(t, ok, x.Name)
				require.Equal(t, x.Type, y.Type, x.Name)
				require.Equal(t, x.Shape, y.Shape, x.Name)
				require.True(t, bytes.Equal(want.Data(&x), got.Data(y)), x.Name)
			}
			a, err := model.ReadConfig(model.GGUF(want))
			require.NoError(t, err)
			b, err := model.ReadConfig(model.GGUF(got))
			require.NoError(t, err)
			b.Name, b.HasVocab = a.Name, a.HasVocab
			require.Equal(t, a, b)
		})
	}
}
