package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTranslate(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", ""},
		{"--version", "--version"},
		{"help run -h", "help -h -- run"},
		{"frob -ub 1", "frob -ub 1"},
		{"run", "run --"},
		{"run a b", "run -- a b"},
		{"run -ub 7 a", "run --ubatch-size 7 -- a"},
		{"run -ub=7 a -ctk f32", "run --ubatch-size=7 --cache-type-k f32 -- a"},
		{"run -n -1 -s -1 a", "run -n -1 -s -1 -- a"},
		{"run -p -ub a", "run -p -ub -- a"},
		{"run --prompt -ub -ub 1", "run --prompt -ub --ubatch-size 1 --"},
		{"run -vp -ub", "run -vp -ub --"},
		{"run -vp-ub a", "run -vp-ub -- a"},
		{"run -p=-ub a", "run -p=-ub -- a"},
		{"run -v -ub 1", "run -v --ubatch-size 1 --"},
		{"run -n5 -ub 1", "run -n5 --ubatch-size 1 --"},
		{"run -ub 1 -- -ub -x", "run --ubatch-size 1 -- -ub -x"},
		{"run -- a -- b", "run -- a -- b"},
		{"run - -5 -- -x", "run -- - -5 -x"},
		{"run --- --5", "run -- --- --5"},
		{"next --samplers a", "next --samplers -- a"},
		{"next --samplers=top_k a", "next --samplers=top_k -- a"},
		{"run --n-predict -1 a", "run --n-predict -1 -- a"},
		{"run -lm mlock -np 1 a", "run --load-mode mlock -- a"},
		{"run -r -ub -r x", "run -r -ub -r x --"},
	} {
		var began bool
		got, err := translate(newRoot(&began), strings.Fields(c.args))
		require.NoError(t, err)
		require.Equal(t, c.want, strings.Join(got.args, " "), c.args)
	}
	var began bool
	got, err := translate(newRoot(&began), []string{"run", "- one\n- two"})
	require.NoError(t, err)
	require.Equal(t, []string{"run", "--", "- one\n- two"}, got.args)
}

// A text that begins with a dash.
func TestDashes(t *testing.T) {
	got := ok(t, command(t, "", "tokens", "--ids", "--no-bos", "- item"))
	require.Equal(t, got, ok(t, command(t, "", "tokens", "--ids", "--no-bos", "--", "- item")))
	require.Equal(t, got, ok(t, command(t, "", "tokens", "--ids", "--no-bos", "-p", "- item")))
	require.Equal(t, ok(t, command(t, "-ub", "tokens", "--ids")), ok(t, command(t, "", "tokens", "--ids", "--", "-ub")))
}
