package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
)

func TestParams(t *testing.T) {
	text := ok(t, command(t, "", "params", "llama-2-7b"))
	require.Contains(t, text, "6,738,415,616 (6.74B)")
	require.Regexp(t, `(?m)^feed forward +4,328,521,728 +64\.2 % +█+`, text)
	require.Contains(t, text, "Layers 0 to 31, each: 202,383,360 parameters, 3.0 %")
	require.Regexp(t, `(?m)^  FP16, 2 bytes each +13\.48 GB`, text)
	require.Regexp(t, `(?m)^  a file in Q4_K_M +4\.08 GB +3\.8 GiB +4\.84 bits each`, text)
	require.Regexp(t, `(?m)^  F16 +512\.0 KiB`, text)
	require.NotContains(t, text, "active")

	text = ok(t, command(t, "", "params", "Mixtral-8x7B", "--layers"))
	require.Contains(t, text, "12,879,925,248 (12.88B), 27.6 %: 2 of 8 experts for each token")
	require.Contains(t, text, "4.0 times as much")
	require.Regexp(t, `ffn_down_exps\.weight +14336 × 4096 × 8 +469,762,048`, text)

	require.Contains(t, ok(t, command(t, "", "params")), "5,770,496")
	require.Contains(t, ok(t, command(t, "", "params", "tiny-moe")), "this one")
	require.Contains(t, command(t, "", "__complete", "params", "deepseek-v").out, "deepseek-v3")
}

// TestParamsOthers: encoders have no output matrix, and models of recurrent layers alone no heads.
func TestParamsOthers(t *testing.T) {
	models := filepath.Join(shared.Dir(t), "conformance", "models")
	require.Contains(t, ok(t, command(t, "", "params", filepath.Join(models, "bert", "model.gguf"))), "320 tokens, no output matrix\n")
	require.Contains(t, ok(t, command(t, "", "params", filepath.Join(models, "mamba", "model.gguf"))), "2 layers, 32 wide\n")
	r := command(t, "", "plan", filepath.Join(models, "jamba", "model.gguf"), "--ctx", "64")
	require.Zero(t, r.code)
	require.Contains(t, r.err, "note: speed is not estimated, for want of a slice of the model: ")
	require.Regexp(t, `(?m)^F32 +64 +1 `, r.out)
	fault(t, command(t, "", "plan", filepath.Join(models, "bert", "model.gguf"), "--ctx", "64"), "; --no-speed estimates memory alone")
}

func TestParamsJSON(t *testing.T) {
	var r struct {
		Total, Active int64
		Components    []struct {
			Name       string
			Parameters int64
		}
		Layers []struct{ Parameters int64 }
		Bytes  struct{ FP16, INT8, INT4 int64 }
	}
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", "params", "llama-3.1-405b", "--json"))), &r))
	require.EqualValues(t, 405_853_388_800, r.Total)
	require.EqualValues(t, 405_853_388_800, r.Active)
	require.Len(t, r.Layers, 126)
	require.Equal(t, "embedding", r.Components[0].Name)
	require.EqualValues(t, 811_706_777_600, r.Bytes.FP16)
	require.EqualValues(t, 202_926_694_400, r.Bytes.INT4)
}

// TestParamsRemote: of a file on a web server only the beginning is fetched.
func TestParamsRemote(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "m.gguf")
	ok(t, command(t, "", "synth", "smollm2-135m", "--type", "q8_0", "-o", file))
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	fetched := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/m.gguf":
			n := &counter{w, &fetched}
			http.ServeContent(n, r, "", time.Time{}, bytes.NewReader(data))
		case "/config.json":
			w.Write([]byte(`{"architectures": ["LlamaForCausalLM"], "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32,
				"num_key_value_heads": 4, "max_position_embeddings": 2048, "vocab_size": 32000, "rms_norm_eps": 1e-5, "tie_word_embeddings": false}`))
		case "/big/config.json":
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(make([]byte, 17<<20)))
		case "/text.gguf":
			w.Write([]byte("hello"))
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	require.Contains(t, ok(t, command(t, "", "params", s.URL+"/m.gguf")), "134,515,008")
	require.Less(t, fetched, len(data)/10)
	require.Contains(t, ok(t, command(t, "", "params", s.URL+"/config.json")), "1,100,048,384")
	fault(t, command(t, "", "params", s.URL+"/none.gguf"), s.URL+"/none.gguf: the server has no such file")
	fault(t, command(t, "", "params", s.URL+"/text.gguf"), "text.gguf")
	fault(t, command(t, "", "params", "https://"), "want an address such as")
	fault(t, command(t, "", "params", s.URL+"/big/config.json"), "17825792 bytes: want at most 16777216")

	secret := strings.Replace(s.URL, "://", "://user:secret@", 1)
	for _, name := range []string{"/m.gguf", "/config.json"} {
		require.NotContains(t, ok(t, command(t, "", "params", "--json", secret+name+"?token=secret")), "secret")
	}
	for _, name := range []string{"/none.gguf", "/text.gguf", "/big/config.json", "/none/config.json"} {
		require.NotContains(t, command(t, "", "params", secret+name+"?token=secret").err, "secret")
	}
	r := command(t, "", "run", secret+"/m.gguf?token=secret", "hello")
	fault(t, r, s.URL+"/m.gguf: want a file")
	require.NotContains(t, r.err, "secret")

	config := filepath.Join(dir, "config.json")
	require.NoError(t, os.WriteFile(config, []byte(`{"architectures": ["MistralForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
		"num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 32768, "vocab_size": 32000, "rms_norm_eps": 1e-5, "tie_word_embeddings": false}`), 0o644))
	for _, name := range []string{config, dir} {
		require.Contains(t, ok(t, command(t, "", "params", name)), "7,241,732,096")
	}
}

// counter counts what a handler writes.
type counter struct {
	http.ResponseWriter
	n *int
}

func (c *counter) Write(b []byte) (int, error) {
	*c.n += len(b)
	return c.ResponseWriter.Write(b)
}

func TestParamsWrong(t *testing.T) {
	fault(t, command(t, "", "params", "gpt-5"), `there is no model "gpt-5"`)
	fault(t, command(t, "", "params", filepath.Join(t.TempDir(), "none.gguf")), "none.gguf")
	fault(t, command(t, "", "params", filepath.Join(t.TempDir(), "config.json")), "config.json")
	wrong(t, command(t, "", "params", "llama-2-7b", "llama-2-13b"), "want one model, found 2")
}
