package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// events runs a command and returns its events by the keys of JSON.
func events(t *testing.T, args ...string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(ok(t, command(t, "", append([]string{"run", "--json", "--temp", "0"}, args...)...))) {
		var e map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		all = append(all, e)
	}
	return all
}

func TestRunJSON(t *testing.T) {
	all := events(t, "-n", "4", "--top-logprobs", "2", sun)
	require.Len(t, all, 6)
	var ids []any
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", "tokens", "--ids", sun))), &ids))
	begin, end := all[0], all[5]
	require.Equal(t, []any{"begin", "tiny-dense", ids}, []any{begin["event"], begin["model"], begin["prompt_ids"]})
	text := ""
	for _, e := range all[1:5] {
		require.Equal(t, "token", e["event"])
		require.Negative(t, e["logprob"])
		top := e["top_logprobs"].([]any)
		require.Len(t, top, 2)
		best := top[0].(map[string]any)
		require.Equal(t, []any{e["id"], e["logprob"]}, []any{best["id"], best["logprob"]})
		text += e["text"].(string)
	}
	require.Equal(t, " east and sets in", text)
	require.Equal(t, []any{"end", "length", -1.0}, []any{end["event"], end["stop"], end["id"]})
	times := end["timings"].(map[string]any)
	require.Equal(t, []any{7.0, 4.0}, []any{times["prompt_n"], times["predicted_n"]})
	require.Positive(t, times["prompt_per_second"])
	require.Positive(t, times["predicted_ms"])

	all = events(t, "The capital of France is", "--stop", ".")
	require.Equal(t, []any{"stop", "."}, []any{all[len(all)-1]["stop"], all[len(all)-1]["stop_string"]})
	all = events(t, "<|user|>\nWhat is the capital of France?<|end|>\n<|assistant|>\n")
	require.Equal(t, "eog", all[len(all)-1]["stop"])
	all = events(t, "-n", "0", sun)
	require.Len(t, all, 2)
	require.Equal(t, "length", all[1]["stop"])

	wrong(t, command(t, "", "run", "--top-logprobs", "2", sun), "--top-logprobs wants --json")
	wrong(t, command(t, "", "run", "--json", "--top-logprobs", "65", sun), "--top-logprobs: want 0 to 64, found 65")
}

func TestRawBytes(t *testing.T) {
	require.Nil(t, rawBytes([]byte("é")))
	require.Equal(t, []int{0xc3, 'x'}, rawBytes([]byte{0xc3, 'x'}))
}
