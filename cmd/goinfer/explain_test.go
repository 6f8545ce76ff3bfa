package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/browser"
	"github.com/goinfer/goinfer/study/explain"
)

func TestExplain(t *testing.T) {
	out := ok(t, command(t, "", "explain", "--parts", "200", "--draws", "1", "The sun rises in the"))
	require.Regexp(t, `^The word is " east", with a probability of 0\.9`, out)
	for _, want := range []string{"\nblocks ", "\nheads ", "\nneurons ", "\n0 %  ", "\n100 %", "\nWith a random fraction of all weights", "Of 4608 neurons that take part"} {
		require.Contains(t, out, want)
	}
	var r explain.Report
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", "explain", "tiny-moe", "--json", "--parts", "100", "--draws", "0", "--word", "Paris", "The capital of France is"))), &r))
	require.Equal(t, "Paris", r.Word.Word)
	require.NotEmpty(t, r.Experts)

	path := filepath.Join(t.TempDir(), "page.html")
	require.Empty(t, ok(t, command(t, "", "explain", "--parts", "1", "--draws", "0", "-o", path, "The <b>sun</b>")))
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(page), "Inside tiny-dense")
	require.NotContains(t, string(page), "The <b>")
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1)

	wrong(t, command(t, "", "explain", "--draws", "-1", "x"), "--draws: want at least 0, found -1")
	wrong(t, command(t, "", "explain", "--json", "-o", path, "x"), "--json and -o: want one of them")
	fault(t, command(t, "", "explain", "-c", "2", "The sun rises"), "context is full; -c makes it larger")
}

// TestExplainBrowser: the page works in a browser, and does what its controls ask for.
func TestExplainBrowser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.html")
	ok(t, command(t, "", "explain", "tiny-moe", "--parts", "300", "--draws", "1", "-o", path, "--word", "Paris", "The capital of France is"))
	document := browser.Open(t, path, `<script>
		for (const s of document.querySelectorAll("input[type=range]")) { s.value = 2; s.dispatchEvent(new Event("input")); }
		document.querySelectorAll(".heads button")[5].click();
		document.querySelectorAll(".reading .token")[3].click();
	</script>`)
	require.Regexp(t, `<p class="tip">Head 5 of layer 2: 3 \S+ reads most from [0-3] \S+: \d+`, document)
	require.Len(t, regexp.MustCompile(`<button[^>]* aria-pressed="true"`).FindAllString(document, -1), 1)
}
