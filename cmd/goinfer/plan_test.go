package main

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlan(t *testing.T) {
	text := ok(t, command(t, "", "plan", "llama-2-70b", "--no-speed", "--ctx", "32768", "--batch", "1,16", "--type", "f16", "--device-mem", "80GB"))
	require.Regexp(t, `(?m)^F16 +32768 +1 +128\.5 GiB +10\.0 GiB .* no *$`, text)
	require.Regexp(t, `(?m)^F16 +32768 +16 +128\.5 GiB +160\.0 GiB`, text)
	require.Regexp(t, `(?m)^  FP16 +137\.95 GB +2 +3`, text)
	require.NotContains(t, text, "tokens/s")
}

func TestPlanSpeed(t *testing.T) {
	if testing.Short() || os.Getenv("GOINFER_LONG") == "" {
		t.Skip("runs slices of models of hundreds of megabytes: GOINFER_LONG=1")
	}
	var p planned
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", "plan", "tiny-dense", "--json", "--ctx", "128,512", "--measure", "-t", "1"))), &p))
	require.Equal(t, "Q8_0", p.Rows[0].Type)
	require.Positive(t, p.Rows[1].Last.Rate)
	require.Positive(t, p.Compared.TokenRatio)

	list := ok(t, command(t, "", "plan", "--memory", "300MB", "--type", "q8_0", "-t", "1"))
	require.Contains(t, list, "smollm2-135m")
	require.NotContains(t, list, "llama-2-7b")
}

func TestPlanWrong(t *testing.T) {
	wrong(t, command(t, "", "plan", "tiny-moe", "--type", "q9"), `"q9"`)
	wrong(t, command(t, "", "plan", "tiny-moe", "--ctx", "0"), "want at least 1")
	wrong(t, command(t, "", "plan", "tiny-moe", "--measure", "--no-speed"), "--measure compares speed")
	wrong(t, command(t, "", "plan", "tiny-moe", "--memory", "1GB"), "--memory and --rate choose a model")
	wrong(t, command(t, "", "plan", "tiny-moe", "--device-mem", "much"), `want a size with its unit, such as 80GB or 512MiB, found "much"`)
	wrong(t, command(t, "", "plan", "--memory", "1GB", "--no-speed"), "--no-speed is for one model, and none is named")
	wrong(t, command(t, "", "plan", "--rate", "1", "--ctx", "1,2"), "for one type and one context, found 0 and 2")
	fault(t, command(t, "", "plan", "stories260k", "--kv", "q8_0", "--no-speed"), "multiple of 32")
	fault(t, command(t, "", "plan", "llama-2-7b", "--ctx", "1000000000", "--batch", "1000000000", "--no-speed"), "beyond any machine")
	require.Contains(t, ok(t, command(t, "", "plan", "llama-2-7b", "--device-mem", "1B", "--no-speed")), "devices that hold them")
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]byteSize{"80GB": 80e9, "80g": 80e9, "1GiB": 1 << 30, "512MiB": 512 << 20, "1.5k": 1500, "7B": 7} {
		var b byteSize
		require.NoError(t, b.Set(text), text)
		require.Equal(t, want, b, text)
	}
	var b byteSize
	for _, text := range []string{"", "GB", "-1GB", "0", "0B", "80", "7i", "1.5", "99999999999TB"} {
		require.Error(t, b.Set(text), text)
	}
}
