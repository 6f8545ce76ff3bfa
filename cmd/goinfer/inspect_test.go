package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/quant"
)

func TestInspect(t *testing.T) {
	text := ok(t, command(t, "", "inspect", "tiny-moe"))
	for _, want := range []string{
		"file          tiny-moe (built in), GGUF version 3, 14.7 MiB\n",
		"parameters    14,428,416\n",
		"shape         4 layers, 256 wide, 8 heads, 4 of keys and values, 8 experts, 2 at work\n",
		"  Q8_0  29 tensors  14,417,920 weights  14.6 MiB\n",
		"\nMetadata (31)\n",
		"  tokenizer.ggml.tokens                   [string]   [<unk>, <s>, </s>, <|user|>, <|assistant|>, <|system|>, … 4090 more]\n",
		"\nTensors (42)\n",
		"  blk.0.ffn_gate_exps.weight  Q8_0  256 × 512 × 8  1.1 MiB\n",
	} {
		require.Contains(t, text, want)
	}
	require.Contains(t, ok(t, command(t, "", "inspect")), "tiny-dense (built in)")
	require.Equal(t, embedded.Card, ok(t, command(t, "", "inspect", "--card")))
	wrong(t, command(t, "", "inspect", "--card", filepath.Join("embedded", "tiny-moe-q8_0.gguf")), "only built-in models")
	wrong(t, command(t, "", "inspect", "--josn"), "did you mean --json?")
}

func TestInspectJSON(t *testing.T) {
	var r struct {
		Path       string
		Version    int
		Size       int64
		Parameters int64
		Types      []typeSum
		Metadata   []struct {
			Key, Type string
			Len       int
			Value     any
		}
		Tensors []struct {
			Name, Type    string
			Shape         []int
			Bytes, Offset int64
		}
	}
	parse := func(args ...string) {
		t.Helper()
		dec := json.NewDecoder(strings.NewReader(ok(t, command(t, "", append([]string{"inspect", "--json"}, args...)...))))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(&r))
	}
	parse()
	require.Equal(t, "tiny-dense", r.Path)
	require.EqualValues(t, len(embedded.Model("tiny-dense")), r.Size)
	require.EqualValues(t, 5770496, r.Parameters)
	require.Len(t, r.Types, 2)
	require.Len(t, r.Tensors, 56)
	require.Equal(t, []int{256, 4096}, r.Tensors[0].Shape)
	require.Equal(t, "tokenizer.ggml.tokens", r.Metadata[17].Key)
	require.Equal(t, 4096, r.Metadata[17].Len)
	require.Len(t, r.Metadata[17].Value, 4096)
	require.Equal(t, "<unk>", r.Metadata[17].Value.([]any)[0])

	parse(writeStrange(t))
	require.NotNil(t, r.Tensors)
	require.Empty(t, r.Tensors)
	require.Equal(t, []any{"NaN", 1.0, "-Inf"}, r.Metadata[2].Value)
}

func TestInspectStrange(t *testing.T) {
	text := ok(t, command(t, "", "inspect", writeStrange(t)))
	for _, r := range text {
		require.True(t, r == '\n' || unicode.IsPrint(r), "%q in %q", r, text)
	}
	for _, want := range []string{`\x1b[2Jnew\u202e`, `a\tb\n`, `line\nbreak <b>`, `\xff\xfe`, "[NaN, 1, -Inf]", "… (500 bytes)", "[0, 0, 0, 0, 0, 0, … 94 more]"} {
		require.Contains(t, text, want)
	}
}

// Any file of a split model stands for all of it.
func TestInspectSplit(t *testing.T) {
	dir := t.TempDir()
	var path string
	for i := range 2 {
		w := gguf.NewWriter()
		for _, kv := range []struct {
			key   string
			value any
		}{{"general.architecture", "new"}, {"split.no", uint16(i)}, {"split.count", uint16(2)}, {"split.tensors.count", int32(2)}} {
			require.NoError(t, w.Set(kv.key, kv.value))
		}
		require.NoError(t, w.Add(fmt.Sprintf("weight.%d", i), quant.F32, []int{4}, make([]byte, 16)))
		path = filepath.Join(dir, fmt.Sprintf("m-%05d-of-00002.gguf", i+1))
		require.NoError(t, w.WriteFile(path))
	}
	text := ok(t, command(t, "", "inspect", path))
	require.Contains(t, text, path+", one of 2 files, GGUF version 3, ")
	require.Contains(t, text, "\nTensors (2)\n  weight.0  F32  4  16 B\n  weight.1  F32  4  16 B\n")
	require.NoError(t, os.Remove(filepath.Join(dir, "m-00001-of-00002.gguf")))
	fault(t, command(t, "", "inspect", path), path+": file 1 of 2 is missing: m-00001-of-00002.gguf: ")
}

func TestInspectEveryArchitecture(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared.Dir(t), "conformance", "models", "*", "*.gguf"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		require.Contains(t, ok(t, command(t, "", "inspect", f)), "\nTensors (", f)
		require.True(t, json.Valid([]byte(ok(t, command(t, "", "inspect", "--json", f)))), f)
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain": "plain", "naïve 你好 🙂 \ufffd": "naïve 你好 🙂 \ufffd", "a\x00b": `a\x00b`, "\x1b[0m": `\x1b[0m`, "\xe4\xb8": `\xe4\xb8`, "\u200b\u202e\u0085": `\u200b\u202e\u0085`,
	} {
		require.Equal(t, want, printable(in))
	}
	require.Equal(t, "5,770,496", grouped(5770496))
	require.Equal(t, "999", grouped(999))
	require.Equal(t, "1,000", grouped(1000))
	require.Equal(t, "ab…", shorten("abcd", 3))
	require.Equal(t, "äöü", shorten("äöü", 3))
}

// writeStrange makes a file whose metadata would move the cursor, or has numbers that JSON lacks.
func writeStrange(t *testing.T) string {
	w := gguf.NewWriter()
	for _, kv := range []struct {
		key   string
		value any
	}{
		{"general.architecture", "\x1b[2Jnew\u202e"}, {"a\tb\n", "line\nbreak <b>"}, {"floats", []float32{float32(math.NaN()), 1, float32(math.Inf(-1))}},
		{"broken", "\xff\xfe"}, {"long", strings.Repeat("x", 500)}, {"many", make([]int32, 100)},
	} {
		require.NoError(t, w.Set(kv.key, kv.value))
	}
	path := filepath.Join(t.TempDir(), "strange.gguf")
	require.NoError(t, w.WriteFile(path))
	return path
}
