package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// TestOutputAhead: a place at which nothing can be written is reported before the work begins, and
// what is tried leaves nothing after.
func TestOutputAhead(t *testing.T) {
	dir := t.TempDir()
	nowhere := filepath.Join(dir, "none", "page.html")
	for _, args := range [][]string{
		{"claims", "--html", nowhere}, {"lab", "--html", nowhere}, {"explain", "-o", nowhere, "x"}, {"experts", "heatmap", "--html", nowhere, "x"},
		{"experts", "stats", "--html", nowhere, "x"}, {"experts", "cost", "--html", nowhere, "x"}, {"logits", "--ids", "1", "-o", nowhere}, {"imatrix", "-o", nowhere, "-f", "/no/such/text"},
	} {
		fault(t, command(t, "", args...), nowhere+": ")
	}
	fault(t, command(t, "", "lab", "--html", dir), dir+": is a directory")
	for _, name := range []string{"claims", "lab"} {
		wrong(t, command(t, "", name, "--html", "-", "--json"), "--html - and --json: want one of them")
	}
	require.NoError(t, checkOut(&cobra.Command{}, "-o", filepath.Join(dir, "file"), "", inputs{}))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestPageAlone: a page on standard output is all there is on it.
func TestPageAlone(t *testing.T) {
	out := ok(t, command(t, "", "lab", "--levels", "q2_k", "--chunks", "1", "-c", "16", "-r", "1", "-n", "1", "--html", "-"))
	require.Regexp(t, `(?s)^<!DOCTYPE html>.*</html>\n$`, out)
	require.Contains(t, out, "goinfer lab --levels=q2_k --chunks=1 --ctx-size=16 --repetitions=1 --predict=1 tiny-dense\n")
}

// TestCommandLine: a page reports the command that made it, as a shell takes it.
func TestCommandLine(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.html")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"experts", "heatmap", "--html", page, "-n", "2", "--experts-ban", "0,3", "--layers", "1", "The sun's <b>light</b>"},
			`goinfer experts heatmap --predict=2 --experts-ban=0,3 --layers=1 tiny-moe &#39;The sun&#39;\&#39;&#39;s &lt;b&gt;light&lt;/b&gt;&#39;`},
		{[]string{"experts", "heatmap", "--html", page, "-p", "hi", "-m", "tiny-moe"}, `goinfer experts heatmap --prompt=hi tiny-moe<`},
		{[]string{"explain", "-o", page, "--parts", "1", "--draws", "0", "--type", "q4_0", "tiny-moe", "--", "-x"},
			"goinfer explain --parts=1 --draws=0 --type=q4_0 -- tiny-moe -x\nEvery figure was computed when the page was made."},
	} {
		ok(t, command(t, "", c.args...))
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		_, foot, _ := strings.Cut(string(text), "<footer>")
		require.True(t, strings.HasPrefix(foot, c.want), foot)
	}
}
