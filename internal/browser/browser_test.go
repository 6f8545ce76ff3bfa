package browser

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOutside(t *testing.T) {
	require.Empty(t, Outside(`<a href="#s1">one</a><img src="data:image/png;base64,AA=="><style>a { color: red }</style><a title="src">x</a>`))
	for _, bad := range []string{
		`<img src="https://example.com/a.png">`, `<script src=//example.com/x.js></script>`, `<a href='other.html'>`, `<use xlink:href="https://example.com/#a"/>`,
		`<style>@import "x.css";</style>`, `<style>b { background: url(http://example.com/a) }</style>`,
		"<link\nrel=stylesheet\nhref=style.css>", `<a href="&#104;ttps://example.com">`,
	} {
		require.Len(t, Outside(bad), 1, bad)
	}
}

const frame = `<html><head><script>onerror = m => { document.documentElement.dataset.error = m };</script></head><body>%%<script>document.documentElement.dataset.ran = "yes";</script></body></html>`

// TestOpenBrowser shows that a fault on a page is a fault of the test.
func TestOpenBrowser(t *testing.T) {
	chrome := find(t)
	for name, c := range map[string]struct{ body, want string }{
		"sound":      {`<p>good</p>`, ""},
		"bad script": {`<script>undefined.x</script>`, "a script failed"},
	} {
		document, err := dump(t, chrome, strings.Replace(frame, "%%", c.body, 1), nil)
		require.NoError(t, err)
		if err = healthy(document); c.want == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.want, name)
		}
	}
	require.ErrorContains(t, healthy("<html><body>"), "did not run through")
	_, err := dump(t, chrome, "<p>", nil)
	require.ErrorContains(t, err, "does not say when")

	path := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(frame, "%%", "<p id=a>1</p>", 1)), 0o600))
	require.Contains(t, Open(t, path, `<script>document.getElementById("a").textContent = "2"</script>`), `<p id="a">2</p>`)
}
