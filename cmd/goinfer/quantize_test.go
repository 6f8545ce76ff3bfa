package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/convert"
)

func TestQuantize(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "m.gguf")
	r := command(t, "", "quantize", "tiny-dense", file, "Q4_k", "2")
	require.Equal(t, 0, r.code, r.err)
	require.Empty(t, r.out)
	require.Contains(t, r.err, "note: 43 matrices are quantised already")
	require.Regexp(t, `\nweights  3\.5 MiB, were 5\.9 MiB: \d\.\d\d bits per weight, were 8\.5\d\nfile     3\.\d MiB, [\d,]+ bytes\n$`, r.err)
	about := ok(t, command(t, "", "inspect", file))
	require.Contains(t, about, "Q4_K  38 tensors")
	ok(t, command(t, "", "run", file, "-n", "4", "the weather"))

	data, err := os.ReadFile(file)
	require.NoError(t, err)
	r = command(t, "", "quantize", "-t", "1", "-m", "tiny-dense", "-", "q4_k_m")
	require.Equal(t, string(data), r.out)
	plan := command(t, "", "quantize", "--dry-run", "tiny-dense", "q4_k_m")
	require.Contains(t, plan.out, "3,741,920 bytes")
	require.Equal(t, 3_741_920, len(data))
	plan = command(t, "", "quantize", "--dry-run", "tiny-dense", "q4_k_m", "--token-embedding-type", "f16", "--tensor-type", `blk\.0\.=q5_0`)
	require.Regexp(t, `(?m)^F16 +1 +1,048,576 +2,097,152\nQ4_K .*\n(.*\n)*Q5_0 +7 `, plan.out)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing else is left")
}

func TestQuantizeWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.gguf")
	wrong(t, command(t, "", "quantize", "tiny-dense", "q4_0"), "want MODEL OUT T, found 2 arguments")
	wrong(t, command(t, "", "quantize", "tiny-dense", file, "q7"), `"q7": want one of F32, F16,`)
	wrong(t, command(t, "", "quantize", "tiny-dense", file, "q4_0", "9999"), "want at most 1024, found 9999")
	wrong(t, command(t, "", "quantize", "tiny-dense", file, "q4_0", "--tensor-type", "a"), "want PATTERN=TYPE")
	fault(t, command(t, "", "quantize", "tiny-dense", file, "q4_0", "--output-tensor-type", "q8_0"), "no matrix to be converted has a name with")
	fault(t, command(t, "", "quantize", "tiny-dense", file, "q4_0", "--imatrix", file), file+": ")
	fault(t, command(t, "", "quantize", "nosuch", file, "q4_0"), `there is no model "nosuch"`)
	require.NoFileExists(t, file)
}

// TestQuantizeFallback: types that rows have no whole number of blocks of are replaced, which is
// reported with counts.
func TestQuantizeFallback(t *testing.T) {
	dir := t.TempDir()
	small, out := filepath.Join(dir, "small.gguf"), filepath.Join(dir, "out.gguf")
	ok(t, command(t, "", "synth", "stories260k", "--type", "f32", "-o", small))
	r := command(t, "", "quantize", small, out, "q4_k_m")
	require.Equal(t, 0, r.code, r.err)
	require.Regexp(t, `note: 36 of 47 tensors have rows that are no whole number of blocks and get another type: 3 F16 in place of Q4_K, 2 F16 in place of Q6_K, 28 Q5_0 in place of Q4_K, 3 Q8_0 in place of Q6_K`, r.err)
	r = command(t, "", "quantize", "tiny-dense", out, "q4_k_m")
	require.NotContains(t, r.err, "whole number of blocks")
}

// The list of types in quantize's help holds what is accepted, and other commands refer to it.
func TestTypeList(t *testing.T) {
	fileTypes, formats := convert.TypeNames()
	require.Contains(t, fileTypes, "Q4_K_M")
	require.Contains(t, formats, "NVFP4")
	help := ok(t, command(t, "", "quantize", "--help"))
	for _, name := range append(fileTypes, formats...) {
		require.NoError(t, convert.CheckType(name, false), name)
		require.Regexp(t, `[\s]`+strings.ToLower(name)+`[,.]`, help)
	}
	for _, name := range []string{"bench", "convert", "lab", "plan", "synth"} {
		help := strings.Join(strings.Fields(ok(t, command(t, "", name, "--help"))), " ")
		require.Contains(t, help, "'goinfer quantize --help' lists all types", name)
	}
}
