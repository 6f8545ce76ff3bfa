package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
)

// TestConvert: a folder goes wherever a file goes, and becomes one that says the same.
func TestConvert(t *testing.T) {
	folder := filepath.Join(shared.Dir(t), "models", "stories260K", "hf")
	dir := t.TempDir()
	file := filepath.Join(dir, "m.gguf")
	require.Empty(t, ok(t, command(t, "", "convert", folder, "-o", file)))
	said := ok(t, command(t, "", "run", "--temp", "0", "-n", "12", folder, "Once upon a time"))
	require.Contains(t, said, ", there was a little girl")
	require.Equal(t, said, ok(t, command(t, "", "run", "--temp", "0", "-n", "12", file, "Once upon a time")))
	require.Equal(t, ok(t, command(t, "", "tokens", file, "two words")), ok(t, command(t, "", "tokens", folder, "two words")))
	require.Contains(t, ok(t, command(t, "", "inspect", folder)), "vocabulary    llama, default, 512 tokens")

	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(data), ok(t, command(t, "", "convert", "-m", folder, "-o", "-")))
	r := command(t, "", "convert", folder, "--dry-run", "--type", "q8_0")
	require.Contains(t, r.out, "347,104 bytes")
	require.Equal(t, "goinfer: note: 5 of 47 tensors have rows that are no whole number of blocks and get another type: 5 F16 in place of Q8_0\n", r.err)
	r = command(t, "", "convert", folder, "--outfile", file, "--outtype", "Q8_0")
	require.Equal(t, 0, r.code)
	require.Contains(t, r.err, "\nfile     339.0 KiB, 347,104 bytes\n")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 347_104, info.Size())

	// What is quantised as it is loaded is what the file would be.
	said = ok(t, command(t, "", "run", "--temp", "0", "-n", "12", file, "Once upon a time"))
	require.Equal(t, said, ok(t, command(t, "", "run", "--temp", "0", "-n", "12", "--type", "q8_0", folder, "Once upon a time")))

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing else is left")
}

// TestConvertInterrupted: what is interrupted leaves nothing.
func TestConvertInterrupted(t *testing.T) {
	folder := filepath.Join(shared.Dir(t), "models", "stories260K", "hf")
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, err bytes.Buffer
	require.Equal(t, exitInterrupted, run(ctx, []string{"convert", folder, "-o", filepath.Join(dir, "m.gguf"), "--type", "q8_0"}, &bytes.Buffer{}, &out, &err))
	entries, e := os.ReadDir(dir)
	require.NoError(t, e)
	require.Empty(t, entries)
}

func TestConvertWrong(t *testing.T) {
	dir := t.TempDir()
	wrong(t, command(t, "", "convert"), "want DIR, found 0 arguments")
	wrong(t, command(t, "", "convert", dir), "want -o with the file to write")
	wrong(t, command(t, "", "convert", dir, "-o", "x", "--type", "q7"), `--type: unknown file type "q7": want one of F32`)
	wrong(t, command(t, "", "run", "--type", "q7", "tiny-dense", "x"), `--type: unknown file type "q7": want one of F32`)
	fault(t, command(t, "", "convert", dir, "-o", "x"), "found a folder without")
	for content, want := range map[string]string{
		"":                                "config.json: EOF",
		"[]":                              "config.json: want one JSON object and nothing else",
		"{}":                              `config.json: no key "architectures" and no "model_type"`,
		`{"architectures": ["NoSuch"]}`:   `config.json: unsupported architecture "NoSuch": supported are `,
		`{"model_type": 7}`:               `config.json: key "model_type": want a string, found 7`,
		`{"model_type": "llama"}`:         `config.json: no key "num_hidden_layers"`,
		`{"model_type": "llama"} {}`:      "config.json: want one JSON object and nothing else",
		`{"architectures": {"a": "b"}}`:   `config.json: key "architectures": want an array of strings, found an object`,
		`{"model_type": "llama", "x": `:   "config.json: unexpected EOF",
		`{"model_type": "llama\u0000\n"}`: `config.json: unsupported architecture "llama\x00\n"`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(content), 0o600))
		fault(t, command(t, "", "convert", dir, "-o", filepath.Join(dir, "x")), want)
		fault(t, command(t, "", "run", dir, "Hello"), want)
	}
	require.NoFileExists(t, filepath.Join(dir, "x"))
}
