package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/study/probe"
)

func TestSynth(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "m.gguf")
	require.NoError(t, os.WriteFile(file, []byte("old"), 0o644))
	require.Empty(t, ok(t, command(t, "", "synth", "tiny-moe", "--type", "q4_0", "-o", file, "--seed", "5")))
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Greater(t, info.Size(), int64(8_000_000))
	about := ok(t, command(t, "", "inspect", file))
	require.Contains(t, about, "tiny-moe, random weights")
	require.Contains(t, about, "8 experts, 2 at work")
	ok(t, command(t, "", "run", file, "-n", "4", "--ignore-eos", "the weather"))

	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(data), ok(t, command(t, "", "synth", "-s", "5", "-t", "1", "--type", "Q4_0", "-o", "-", "TINY-MOE")))
	require.NotEqual(t, string(data), ok(t, command(t, "", "synth", "tiny-moe", "--type", "q4_0", "-o", "-")))
	ok(t, command(t, "", "synth", "tiny-moe", "--pure", "--type", "nvfp4", "-o", file))
	require.Contains(t, ok(t, command(t, "", "inspect", file)), "NVFP4")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing else is left")
}

func TestSynthList(t *testing.T) {
	list := ok(t, command(t, "", "synth", "--list", "--type", "f16"))
	require.Contains(t, list, "as F16")
	require.Regexp(t, `(?m)^tinyllama-1.1b +1.10B +1.03B +2.0 GiB +TinyLlama`, list)
	require.Regexp(t, `(?m)^tiny-moe +14.43M +4.99M +27.5 MiB `, list)
	require.Contains(t, command(t, "", "__complete", "synth", "llama-3").out, "llama-3-70b")
}

func TestSynthWrong(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "m.gguf")
	wrong(t, command(t, "", "synth", "-o", file), "want one SHAPE, found 0 arguments")
	wrong(t, command(t, "", "synth", "tiny-moe", "tiny-dense", "-o", file), "want one SHAPE, found 2 arguments")
	wrong(t, command(t, "", "synth", "tiny-moe"), "want -o FILE")
	wrong(t, command(t, "", "synth", "tiny-moe", "-o", file, "-t", "500000"), "-t, --threads: want at most 1024, found 500000")
	wrong(t, command(t, "", "synth", "tiny-moe", "--list"), "--list takes neither")
	wrong(t, command(t, "", "synth", "gpt-5", "-o", file), `there is no shape "gpt-5": did you mean gpt2?`)
	wrong(t, command(t, "", "synth", "tiny-moe", "-o", file, "--seed", "-1"), "--seed: want a whole number")
	fault(t, command(t, "", "synth", "tiny-moe", "-o", file, "--type", "q7"), `"q7": want one of F32, F16,`)
	fault(t, command(t, "", "synth", "tiny-moe", "-o", file, "--type", "i32", "--pure"), "I32")
	fault(t, command(t, "", "synth", "tiny-moe", "-o", filepath.Join(dir, "no", "m.gguf")), filepath.Join(dir, "no", "m.gguf")+": ")
	fault(t, command(t, "", "synth", "tiny-moe", "-o", dir), dir)
	if free, known := probe.DiskFree(dir); known && free < 500<<30 {
		r := command(t, "", "synth", "mixtral-8x22b", "--type", "f32", "-o", file)
		fault(t, r, "mixtral-8x22b as F32 takes 523.9 GiB, and the disk has ")
		require.Contains(t, r.err, file)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// TestSynthChanged: a shape with other numbers of layers and experts.
func TestSynthChanged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.gguf")
	ok(t, command(t, "", "synth", "tiny-moe", "--experts", "16", "--layers", "2", "--type", "q8_0", "-o", file))
	var r struct {
		Hyper struct {
			Layers, Experts int
			Used            int `json:"experts_used"`
		} `json:"hyper_parameters"`
	}
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", "params", file, "--json"))), &r))
	require.Equal(t, [3]int{2, 16, 2}, [3]int{r.Hyper.Layers, r.Hyper.Experts, r.Hyper.Used})
	wrong(t, command(t, "", "synth", "tiny-dense", "--experts", "4", "-o", file), "--experts: tiny-dense has none")
	wrong(t, command(t, "", "synth", "tiny-moe", "--experts", "1", "-o", file), "--experts: want 2 to 65536, found 1")
	wrong(t, command(t, "", "synth", "tini-moe", "-o", file), "did you mean tiny-moe")
}
