package goinfer

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/hf"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/model/arch"
)

// asFile writes the checkpoint in a folder as a GGUF file.
func asFile(t *testing.T, dir string) string {
	f, err := hf.Open(dir, arch.Families(), gguf.Options{})
	require.NoError(t, err)
	defer f.Close()
	w := gguf.NewWriter()
	for _, key := range f.Keys() {
		v, _ := f.Value(key)
		require.NoError(t, w.Set(key, v))
	}
	for _, x := range f.Tensors() {
		require.NoError(t, w.Add(x.Name, x.Type, x.Shape, bytes.Clone(f.Data(&x))))
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	require.NoError(t, w.WriteFile(path))
	return path
}

// allLogits are the bits of the logits after every token.
func allLogits(t *testing.T, path string, o Options, tokens []int32) []uint32 {
	m, err := Open(path, o)
	require.NoError(t, err)
	defer m.Close()
	require.Empty(t, m.Info().Warnings)
	var all []uint32
	require.NoError(t, m.Score(context.Background(), Request{Tokens: tokens, Logits: func(_ int, row []float32) error {
		for _, x := range row {
			all = append(all, math.Float32bits(x))
		}
		return nil
	}}))
	return all
}

// TestFolder: a checkpoint's folder and the GGUF file of the same types give the same logits bit
// for bit; where another tool made the file, too; and the tokens of the checkpoint's authors' own
// program.
func TestFolder(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "models")
	for _, name := range []string{"stories260K", "tiny-dense", "tiny-moe"} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "stories260K" {
				t.Skip("the smallest serves where time is short")
			}
			folder := filepath.Join(dir, name, "hf")
			o := Options{CacheK: CacheF32, CacheV: CacheF32, Threads: 2}
			var golden struct {
				Cases []struct {
					Prompt      string
					IDs, Greedy []int32
				}
			}
			text, err := os.ReadFile(filepath.Join(dir, name, "golden.json"))
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(text, &golden))
			require.NotEmpty(t, golden.Cases)

			tokens := golden.Cases[0].IDs
			got := allLogits(t, folder, o, tokens)
			require.Equal(t, allLogits(t, asFile(t, folder), o, tokens), got)
			o.NoMmap = true
			require.Equal(t, allLogits(t, folder, o, tokens), got)
			if name == "stories260K" {
				require.Equal(t, allLogits(t, filepath.Join(dir, name, name+"-f32.gguf"), o, tokens), got)
			}

			m, err := Open(folder, o)
			require.NoError(t, err)
			defer m.Close()
			for _, c := range golden.Cases {
				require.Equal(t, c.IDs, m.Tokenizer().Encode(nil, c.Prompt, true, true), c.Prompt)
				var greedy []int32
				for p, err := range m.Generate(context.Background(), Request{Tokens: c.IDs, MaxTokens: len(c.Greedy), IgnoreEOG: true}) {
					require.NoError(t, err)
					greedy = append(greedy, p.ID)
				}
				require.Equal(t, c.Greedy, greedy[:len(c.Greedy)], c.Prompt)
			}
		})
	}
}
