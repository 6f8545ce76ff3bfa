package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRope: flags of the position embedding do what the overrides of the same keys do.
func TestRope(t *testing.T) {
	logits := func(flags string) string {
		return ok(t, command(t, "", append([]string{"logits", "--ids", "1,5,9,30,44", "-o", "-"}, strings.Fields(flags)...)...))
	}
	plain, scaled := logits(""), logits("--rope-scale 2")
	require.NotEqual(t, plain, scaled)
	require.Equal(t, scaled, logits("--rope-freq-scale 0.5"))
	require.Equal(t, scaled, logits("--rope-scaling linear --rope-scale 2"))
	require.Equal(t, plain, logits("--rope-scaling none --rope-scale 2"))
	require.Equal(t, plain, logits("--rope-freq-base 10000"))
	r := command(t, "", "logits", "--ids", "1,5,9,30,44", "-o", "-", "--override-kv", "llama.rope.freq_base=float:50000")
	require.Equal(t, r.out, logits("--rope-freq-base 50000"))
	require.NotEqual(t, plain, r.out)
	yarn := logits("--rope-scaling yarn --rope-scale 4 --yarn-orig-ctx 128")
	for _, further := range []string{"", " --yarn-ext-factor 0.5", " --yarn-attn-factor 2", " --yarn-beta-slow 4", " --yarn-beta-fast 2"} {
		require.NotEqual(t, scaled, logits("--rope-scaling yarn --rope-scale 4 --yarn-orig-ctx 128"+further))
		if further != "" {
			require.NotEqual(t, yarn, logits("--rope-scaling yarn --rope-scale 4 --yarn-orig-ctx 128"+further), further)
		}
	}
	for flags, want := range map[string]string{
		"--rope-scaling ntk":                   `--rope-scaling: want none, linear or yarn, found "ntk"`,
		"--rope-scale 0":                       "--rope-scale: want a finite number, above 0, found 0",
		"--rope-freq-base nan":                 "--rope-freq-base: want a finite number, above 0, found NaN",
		"--yarn-orig-ctx 0":                    "--yarn-orig-ctx: want a finite number, at least 1, found 0",
		"--rope-scale 2 --rope-freq-scale 0.5": "want one of them",
		"--rope-scale two":                     "--rope-scale: want a number",
	} {
		wrong(t, command(t, "", append([]string{"logits", "--ids", "1", "-o", "-"}, strings.Fields(flags)...)...), want)
	}
}
