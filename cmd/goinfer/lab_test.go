package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/browser"
)

// TestLab: the command's three forms of output.
func TestLab(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lab.html")
	args := []string{"lab", "--levels", "Q4_0,q2_k", "--chunks", "2", "-c", "64", "-r", "1", "-n", "4", "-t", "2", "--html", path}
	text := ok(t, command(t, "", args...))
	require.Regexp(t, `(?m)^type +size +bits/weight`, text)
	require.Regexp(t, `(?m)^q8_0 +5\.9 MiB +8\.51 +(\d|busy)`, text)
	require.Regexp(t, `(?m)^q2_k +2\.5 MiB +3\.61 .* %$`, text)
	require.Regexp(t, `(?m)^q4_0 +the same`, text)
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(page), "What quantisation costs: tiny-dense")

	var report struct {
		Levels []struct {
			Level string
			KL    *struct {
				Mean float64 `json:"kl_mean"`
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", append(args[:len(args)-2], "--json")...))), &report))
	require.Len(t, report.Levels, 3)
	require.Nil(t, report.Levels[0].KL)
	require.Positive(t, report.Levels[2].KL.Mean)
}

// TestLabBrowser: the page works in a browser.
func TestLabBrowser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lab.html")
	ok(t, command(t, "", "lab", "--levels", "q4_0", "--chunks", "1", "-c", "64", "-r", "1", "-n", "2", "--html", path))
	document := browser.Open(t, path)
	require.Contains(t, document, "What quantisation costs: tiny-dense")
	require.Contains(t, document, "99th percentile")
}

func TestLabFaults(t *testing.T) {
	short := filepath.Join(t.TempDir(), "short.txt")
	require.NoError(t, os.WriteFile(short, []byte("too short"), 0o600))
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"lab", "--levels", "q9"}, exitUsage, `--levels: `},
		{[]string{"lab", "-r", "0"}, exitUsage, "-r, --repetitions: want 1 to 1000, found 0"},
		{[]string{"lab", "a", "b"}, exitUsage, "want one model, found 2"},
		{[]string{"lab", "no-such-model"}, exitFault, `there is no model "no-such-model"`},
		{[]string{"lab", "-f", "/no/such/text"}, exitFault, "/no/such/text: "},
		{[]string{"lab", "-f", short}, exitFault, "want at least one chunk of 512"},
	} {
		r := command(t, "", c.args...)
		require.Equal(t, c.code, r.code, c.args)
		require.Contains(t, r.err, c.want, c.args)
	}
}
