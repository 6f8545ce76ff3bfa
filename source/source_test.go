package source_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	_ "github.com/goinfer/goinfer/cmd/goinfer/embedded"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/quant"
	"github.com/goinfer/goinfer/source"
	_ "github.com/goinfer/goinfer/study/size"
)

// file is a GGUF file with some metadata and one tensor.
func file(t *testing.T, kvs ...any) []byte {
	t.Helper()
	w := gguf.NewWriter()
	for i := 0; i < len(kvs); i += 2 {
		require.NoError(t, w.Set(kvs[i].(string), kvs[i+1]))
	}
	require.NoError(t, w.Add("x", quant.F32, []int{4}, make([]byte, 16)))
	var b bytes.Buffer
	_, err := w.WriteTo(&b)
	require.NoError(t, err)
	return b.Bytes()
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, data, 0o644))
}

func TestResolve(t *testing.T) {
	t.Chdir(t.TempDir())
	model := file(t, "general.architecture", "llama")
	write(t, "m.gguf", model)
	write(t, "bare", model)
	write(t, "tiny-moe", model) // a built-in model comes first
	write(t, "a-00001-of-00002.gguf", model)
	write(t, filepath.Join("hf", "config.json"), []byte("{}"))
	write(t, filepath.Join("hf", "model.safetensors"), nil)
	write(t, filepath.Join("hf", "1_Pooling", "config.json"), nil)
	write(t, filepath.Join("words", "tokenizer.json"), []byte("{}"))
	dot := "." + string(filepath.Separator)
	for _, c := range []struct {
		name  string
		kind  source.Kind
		text  string
		path  string
		files []string
		local bool
	}{
		{"m.gguf", source.KindFile, "m.gguf", "m.gguf", []string{"m.gguf"}, true},
		{"bare", source.KindFile, "bare", "bare", []string{"bare"}, true},
		{"a-00001-of-00002.gguf", source.KindFile, "a-00001-of-00002.gguf", "a-00001-of-00002.gguf", []string{"a-00001-of-00002.gguf", "a-00002-of-00002.gguf"}, true},
		{"hf", source.KindFolder, "hf", "hf", []string{filepath.Join("hf", "1_Pooling", "config.json"), filepath.Join("hf", "config.json"), filepath.Join("hf", "model.safetensors")}, true},
		{"words", source.KindVocabulary, "words", "words", []string{filepath.Join("words", "tokenizer.json")}, false},
		{filepath.Join("hf", "config.json"), source.KindConfig, filepath.Join("hf", "config.json"), filepath.Join("hf", "config.json"), []string{filepath.Join("hf", "config.json")}, false},
		{"tiny-moe", source.KindMemory, "tiny-moe (built in)", "", nil, true},
		{dot + "tiny-moe", source.KindFile, dot + "tiny-moe", dot + "tiny-moe", []string{dot + "tiny-moe"}, true},
		{"llama-2-7b", source.KindShape, "llama-2-7b (a known shape)", "", nil, false},
		{"https://u:secret@example.org/m.gguf?token=1", source.KindRemote, "https://example.org/m.gguf", "", nil, false},
		{"https://huggingface.co/o/r/blob/main/config.json", source.KindConfig, "https://huggingface.co/o/r/resolve/main/config.json", "", nil, false},
	} {
		s, err := source.Resolve(c.name)
		require.NoError(t, err, c.name)
		require.Equal(t, c.kind, s.Kind(), c.name)
		require.Equal(t, c.text, s.String(), c.name)
		require.Equal(t, c.path, s.Path(), c.name)
		require.Equal(t, c.files, s.Files(), c.name)
		require.Equal(t, c.local, s.Local(), c.name)
		for _, f := range c.files {
			require.Equal(t, fileExists(f), s.Holds(f), f)
		}
		require.False(t, s.Holds("elsewhere.gguf"), c.name)
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestResolveWrong(t *testing.T) {
	t.Chdir(t.TempDir())
	model := file(t)
	for _, name := range []string{"one/m.gguf", "two/a.gguf", "two/b.gguf", "shards/m-00001-of-00002.gguf", "shards/m-00002-of-00002.gguf", "none/m-00001-of-00000.gguf"} {
		write(t, filepath.FromSlash(name), model)
	}
	for _, name := range []string{"empty/x.txt", "lora/adapter_config.json", "sd/model_index.json", "x.safetensors", "adapter_model.safetensors", "pytorch_model.bin", "m.onnx"} {
		write(t, filepath.FromSlash(name), nil)
	}
	for name, want := range map[string]string{
		"":                          "found an empty name",
		"llama9":                    `there is no model "llama9": looked for a file or a folder of that name, a built-in model (tiny-dense, tiny-moe), a known shape (goinfer synth --list)`,
		"mixtral-8x7":               "; did you mean mixtral-8x7b",
		"one":                       "one: want a GGUF file, or the folder of a checkpoint with a config.json, found a folder without; the GGUF file in it is one/m.gguf",
		"two":                       "; the GGUF files in it are two/a.gguf, two/b.gguf",
		"shards":                    "; the GGUF file in it is shards/m-00001-of-00002.gguf",
		"none":                      "; the GGUF file in it is none/m-00001-of-00000.gguf",
		"empty":                     "found a folder without",
		"lora":                      "lora: a LoRA adapter",
		"sd":                        "sd: a pipeline of diffusers",
		"x.safetensors":             "weights alone are no model",
		"adapter_model.safetensors": "the weights of a LoRA adapter",
		"pytorch_model.bin":         "pytorch_model.bin: weights of PyTorch",
		"m.onnx":                    "a model of ONNX",
		"no.gguf":                   "no.gguf: ",
		"no/such":                   "no/such: ",
		"https://":                  "want an address such as",
	} {
		_, err := source.Resolve(name)
		require.ErrorContains(t, err, filepath.FromSlash(want), name)
	}
	for _, name := range []string{"llama9", "no.gguf", "no/such"} {
		_, err := source.Resolve(name)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.Equal(t, name == "llama9", errors.As(err, new(*source.UnknownError)))
	}
}

// TestOpen opens every kind, whole and by its header.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	model := file(t, "general.architecture", "llama")
	path := filepath.Join(dir, "m.gguf")
	write(t, path, model)
	onDisk, err := source.Path(path)
	require.NoError(t, err)
	for name, s := range map[string]*source.Source{
		"file": onDisk, "memory": source.Bytes("m.gguf", model), "fs": source.FS(fstest.MapFS{"a/m.gguf": {Data: model}}, "a/m.gguf"),
		"os fs": source.FS(os.DirFS(dir), "m.gguf"),
	} {
		for _, open := range []func() (*gguf.File, error){
			func() (*gguf.File, error) { return s.Header(t.Context()) },
			func() (*gguf.File, error) { return s.Open(t.Context(), gguf.Options{}) },
			func() (*gguf.File, error) { return s.Open(t.Context(), gguf.Options{NoMmap: true}) },
		} {
			f, err := open()
			require.NoError(t, err, name)
			require.Len(t, f.Tensors(), 1, name)
			require.NoError(t, f.Close())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = s.Open(ctx, gguf.Options{})
		require.ErrorIs(t, err, context.Canceled)
	}
	_, err = source.FS(fstest.MapFS{}, "m.gguf").Header(t.Context())
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = source.FS(fstest.MapFS{"d/m.gguf": {Data: model}}, "d").Header(t.Context())
	require.ErrorContains(t, err, "d: want a file")
}

// TestOpenSplit reads a split model from a file system of Go.
func TestOpenSplit(t *testing.T) {
	part := func(no uint16, name string) []byte {
		w := gguf.NewWriter()
		require.NoError(t, w.Set("split.no", no))
		require.NoError(t, w.Set("split.count", uint16(2)))
		require.NoError(t, w.Add(name, quant.F32, []int{1}, []byte{0, 0, 128, 63}))
		var b bytes.Buffer
		_, err := w.WriteTo(&b)
		require.NoError(t, err)
		return b.Bytes()
	}
	all := fstest.MapFS{"m-00001-of-00002.gguf": {Data: part(0, "a")}, "m-00002-of-00002.gguf": {Data: part(1, "b")}}
	for name := range all {
		f, err := source.FS(all, name).Open(t.Context(), gguf.Options{})
		require.NoError(t, err)
		require.Len(t, f.Tensors(), 2)
		b, _ := f.Tensor("b")
		require.Equal(t, []byte{0, 0, 128, 63}, f.Data(b))
	}
	delete(all, "m-00002-of-00002.gguf")
	_, err := source.FS(all, "m-00001-of-00002.gguf").Header(t.Context())
	require.ErrorContains(t, err, "file 2 of 2 is missing")
}

// TestNoModels: what is no model says what it is, and its header can still be read.
func TestNoModels(t *testing.T) {
	for want, kvs := range map[string][]any{
		"a LoRA adapter":        {"general.type", "adapter", "general.architecture", "llama"},
		"a projector of images": {"general.architecture", "clip"},
		"(mmproj)":              {"general.type", "mmproj", "general.architecture", "clip"},
		"an importance matrix":  {"general.type", "imatrix"},
		"a control vector":      {"general.architecture", "controlvector"},
	} {
		s := source.Bytes("m.gguf", file(t, kvs...))
		f, err := s.Header(t.Context())
		require.NoError(t, err)
		require.NoError(t, f.Close())
		_, err = s.Open(t.Context(), gguf.Options{})
		require.ErrorIs(t, err, gguf.ErrUnsupported)
		require.ErrorContains(t, err, "m.gguf: ")
		require.ErrorContains(t, err, want)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.json"), []byte(`{"architectures": ["LlamaForCausalLM"], "quantization": {"group_size": 64, "bits": 4}}`))
	mlx, err := source.Path(dir)
	require.NoError(t, err)
	_, err = mlx.Open(t.Context(), gguf.Options{})
	require.ErrorContains(t, err, "a checkpoint of MLX with weights of 4 bits in groups of 64")
	for name, want := range map[string]string{"https://example.org/m.gguf": "fetch the file first", "llama-2-7b": "a known shape, without weights", filepath.Join(dir, "config.json"): "want the folder that it is in"} {
		s, err := source.Resolve(name)
		require.NoError(t, err)
		_, err = s.Open(t.Context(), gguf.Options{})
		require.ErrorIs(t, err, gguf.ErrUnsupported)
		require.ErrorContains(t, err, want)
	}
}

func TestFolder(t *testing.T) {
	models, err := filepath.Glob(filepath.Join(shared.Dir(t), "models", "tiny-*"))
	require.NoError(t, err)
	for _, dir := range models {
		if !fileExists(filepath.Join(dir, "config.json")) {
			continue
		}
		s, err := source.Resolve(dir)
		require.NoError(t, err)
		require.Equal(t, source.KindFolder, s.Kind())
		for _, open := range []func(context.Context) (*gguf.File, error){s.Header, s.Vocabulary, func(ctx context.Context) (*gguf.File, error) { f, _, err := s.Config(ctx); return f, err }} {
			f, err := open(t.Context())
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}
	}
}

// TestRemote reads headers by ranges, and says how much it read.
func TestRemote(t *testing.T) {
	model := file(t, "general.architecture", "llama")
	big := append(model, make([]byte, 3<<20)...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/m.gguf":
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(big))
		case "/config.json":
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(`{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128,
				"num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 100, "max_position_embeddings": 64, "rms_norm_eps": 1e-5}`))
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	s, err := source.Resolve(server.URL + "/m.gguf?secret=1")
	require.NoError(t, err)
	f, err := s.Header(t.Context())
	require.NoError(t, err)
	require.Len(t, f.Tensors(), 1)
	require.Contains(t, f.Notes()[0], "1048576 of ")
	s, err = source.Resolve(server.URL + "/config.json")
	require.NoError(t, err)
	f, err = s.Header(t.Context())
	require.NoError(t, err)
	v, _ := f.Value("llama.embedding_length")
	n, _ := v.Uint()
	require.EqualValues(t, 64, n)
	f, err = s.Noted("chosen").Header(t.Context())
	require.NoError(t, err)
	require.Contains(t, f.Notes(), "chosen")
	s, err = source.Resolve(server.URL + "/none.gguf?secret=1")
	require.NoError(t, err)
	_, err = s.Header(t.Context())
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NotContains(t, err.Error(), "secret")
}

func TestOverride(t *testing.T) {
	for _, c := range []struct {
		text string
		want any // a value, or the text of an error
	}{
		{"a.b=int:-5", int64(-5)}, {"a=float:1e6", 1e6}, {"a=bool:true", true}, {"a=bool:false", false}, {"a=str:x=y:z", "x=y:z"}, {"a=str:", ""},
		{"a", errors.New("want KEY=TYPE:VALUE")}, {"=int:5", errors.New("want KEY=TYPE:VALUE")}, {"a=int", errors.New("want KEY=TYPE:VALUE")}, {"a=int:5.5", errors.New("a whole number")},
		{"a=int:99999999999999999999", errors.New("a whole number")}, {"a=float:inf", errors.New("a finite number")}, {"a=float:nan", errors.New("a finite number")}, {"a=bool:1", errors.New("true or false")},
		{"a=u8:1", errors.New(`want int, float, bool or str for the type, found "u8"`)},
	} {
		o, err := source.ParseOverride(c.text)
		if want, ok := c.want.(error); ok {
			require.ErrorContains(t, err, want.Error(), c.text)
			continue
		}
		require.NoError(t, err, c.text)
		require.Equal(t, c.want, o.Value, c.text)
		again, err := source.ParseOverride(o.String())
		require.NoError(t, err, o.String())
		require.Equal(t, o, again)
	}
	list, err := source.ParseOverrides("a=str:x, y,b.c=int:2,d=bool:true")
	require.NoError(t, err)
	require.Equal(t, []source.Override{{Key: "a", Value: "x, y"}, {Key: "b.c", Value: int64(2)}, {Key: "d", Value: true}}, list)
}

func TestWith(t *testing.T) {
	s := source.Bytes("m.gguf", file(t, "u8", uint8(1), "i64", int64(-1), "f32", float32(1), "f64", 1.5, "b", false, "s", "x", "list", []uint32{1, 2}))
	f, err := s.With(source.Override{Key: "u8", Value: int64(255)}, source.Override{Key: "i64", Value: int64(-1 << 63)}, source.Override{Key: "f32", Value: 0.5},
		source.Override{Key: "f64", Value: -2.0}, source.Override{Key: "b", Value: true}, source.Override{Key: "s", Value: "two"}, source.Override{Key: "s", Value: "three"},
		source.Override{Key: "new", Value: int64(7)}).Header(t.Context())
	require.NoError(t, err)
	for key, want := range map[string]any{"u8": uint8(255), "i64": int64(-1 << 63), "f32": float32(0.5), "f64": -2.0, "b": true, "s": "three", "new": uint32(7)} {
		v, ok := f.Value(key)
		require.True(t, ok, key)
		require.EqualValues(t, want, v.Any(-1), key)
	}
	require.Equal(t, []string{`the override of "new" adds a key: the file has none of that name`}, f.Notes())
	require.Contains(t, f.Keys(), "new")
	f, err = s.Header(t.Context()) // the source itself has changed in nothing
	require.NoError(t, err)
	require.NotContains(t, f.Keys(), "new")
	for _, c := range []struct {
		o    source.Override
		want string
	}{
		{source.Override{Key: "u8", Value: int64(256)}, `m.gguf: key "u8": 256 does not fit the uint8`},
		{source.Override{Key: "u8", Value: int64(-1)}, "-1 does not fit the uint8"},
		{source.Override{Key: "u8", Value: 1.0}, "the file has a uint8 here"},
		{source.Override{Key: "f32", Value: int64(1)}, "the file has a float32 here"},
		{source.Override{Key: "list", Value: int64(1)}, "the file has an array here"},
		{source.Override{Key: "s", Value: true}, "the file has a string here"},
		{source.Override{Key: "s", Value: 3}, "want an int64, a float64, a bool or a string, found int"},
		{source.Override{Key: "", Value: int64(3)}, "a key of 0 bytes"},
	} {
		_, err := s.With(c.o).Header(t.Context())
		require.ErrorContains(t, err, c.want)
		require.ErrorIs(t, err, fault.ErrInvalid)
	}
}
