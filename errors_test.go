package goinfer_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
)

// TestErrorsOfFiles: what is wrong with a file has its kind and its path, and a text of one line.
func TestErrorsOfFiles(t *testing.T) {
	tiny := filepath.Join(shared.Dir(t), "models", "tiny-dense")
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, data, 0o644))
		return path
	}
	whole, err := os.ReadFile(filepath.Join(tiny, "tiny-dense-f16.gguf"))
	require.NoError(t, err)
	named := func(arch string) []byte {
		w := gguf.NewWriter()
		require.NoError(t, w.Set("general.architecture", arch))
		var b strings.Builder
		_, err := w.WriteTo(&b)
		require.NoError(t, err)
		return []byte(b.String())
	}
	folder := func(name, file, text string) string { // the tiny model with one file otherwise
		for _, f := range []string{"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"} {
			data, err := os.ReadFile(filepath.Join(tiny, "hf", f))
			require.NoError(t, err)
			if f == file {
				data = []byte(text)
			}
			write(name+"/"+f, data)
		}
		return filepath.Join(dir, name)
	}
	for _, c := range []struct {
		open string
		path string // that the error is about, below open
		kind error
	}{
		{write("model", []byte("Once upon a time")), "", goinfer.ErrFormat},
		{write("half.gguf", whole[:len(whole)/2]), "", goinfer.ErrFormat},
		{write("lacking.gguf", named("llama")), "", goinfer.ErrFormat},
		{write("unknown.gguf", named("gpt99")), "", goinfer.ErrUnsupported},
		{filepath.Join(dir, "absent.gguf"), "", fs.ErrNotExist},
		{folder("broken", "config.json", "{"), "config.json", goinfer.ErrFormat},
		{folder("keyless", "config.json", `{"architectures": ["LlamaForCausalLM"]}`), "config.json", goinfer.ErrFormat},
		{folder("foreign", "config.json", `{"architectures": ["Gpt99ForCausalLM"]}`), "config.json", goinfer.ErrUnsupported},
		{folder("weightless", "model.safetensors", "PK"), "model.safetensors", goinfer.ErrFormat},
		{folder("wordless", "tokenizer.json", "[]"), "tokenizer.json", goinfer.ErrFormat},
	} {
		_, err := goinfer.Open(c.open, goinfer.Options{})
		for _, kind := range []error{goinfer.ErrFormat, goinfer.ErrUnsupported, goinfer.ErrMemory, goinfer.ErrInvalid, fs.ErrNotExist} {
			if kind == c.kind {
				require.ErrorIs(t, err, kind)
			} else {
				require.NotErrorIs(t, err, kind)
			}
		}
		var f *goinfer.FileError
		require.ErrorAs(t, err, &f)
		path := filepath.Join(c.open, c.path)
		require.Equal(t, path, f.Path)
		require.Equal(t, 1, strings.Count(err.Error(), path), err.Error())
		require.True(t, strings.HasPrefix(err.Error(), path+": "), err.Error())
		require.NotContains(t, err.Error(), "\n")
	}
}

// TestErrorsOfArguments: each wrong field is found by its name, and no file is blamed for it.
func TestErrorsOfArguments(t *testing.T) {
	path := filepath.Join(shared.Dir(t), "models", "stories260K", "stories260K-f32.gguf")
	_, err := goinfer.Open(path, goinfer.Options{Context: -1, Threads: -2, CacheV: 77})
	require.ErrorIs(t, err, goinfer.ErrInvalid)
	require.NotErrorIs(t, err, goinfer.ErrFormat)
	var fields []string
	for _, a := range goinfer.WrongArguments(err) {
		fields = append(fields, a.Field)
	}
	require.Equal(t, []string{"Context", "Threads", "CacheV"}, fields)

	_, err = goinfer.Open(path, goinfer.Options{CacheK: goinfer.CacheQ8_0}) // heads of 8
	require.ErrorIs(t, err, goinfer.ErrInvalid)
	require.NotErrorIs(t, err, goinfer.ErrFormat)

	m := open(t, path, goinfer.Options{Context: 32})
	err = m.Score(t.Context(), goinfer.Request{Prompt: "a", Sampling: goinfer.Sampling{TopP: 2, MinP: -1}})
	require.ErrorIs(t, err, goinfer.ErrInvalid)
	require.NotErrorIs(t, err, goinfer.ErrFormat)
	require.Len(t, goinfer.WrongArguments(err), 2)
	require.Equal(t, "0 to 1", goinfer.WrongArguments(err)[0].Want)
	require.Equal(t, "Sampling.TopP", goinfer.WrongArguments(err)[0].Field)

	err = m.Score(t.Context(), goinfer.Request{Tokens: []int32{1, 2}, Logits: func(int, []float32) error { panic("boom\nand more") }})
	var p *goinfer.PanicError
	require.ErrorAs(t, err, &p)
	require.Equal(t, "boom\nand more", p.Value)
	require.NotContains(t, err.Error(), "goroutine")
	require.NotContains(t, err.Error(), "\n")
	require.Contains(t, string(p.Stack), "goroutine")
}

// TestErrorsOfTheEnd: who ends the work finds that, and his own reason.
func TestErrorsOfTheEnd(t *testing.T) {
	m := open(t, filepath.Join(shared.Dir(t), "models", "stories260K", "stories260K-f32.gguf"), goinfer.Options{Context: 32})
	why := errors.New("the user left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	err := m.Score(ctx, goinfer.Request{Tokens: []int32{1, 2}})
	require.ErrorIs(t, err, goinfer.ErrCancelled)
	require.ErrorIs(t, err, why)
	require.EqualError(t, err, "the user left")

	err = m.Score(t.Context(), goinfer.Request{Tokens: make([]int32, 40)})
	require.ErrorIs(t, err, goinfer.ErrContextFull)
	require.NoError(t, m.Close())
	require.ErrorIs(t, m.Score(t.Context(), goinfer.Request{Tokens: []int32{1}}), goinfer.ErrClosed)
}
