package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	"github.com/goinfer/goinfer/hub"
)

// fakeHub serves owner/tiny-GGUF with one file, as Hugging Face does.
func fakeHub(t *testing.T) {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	data := embedded.Model("tiny-dense")
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/models/owner/tiny-GGUF/revision/main":
			fmt.Fprintf(w, `{"sha": %q, "siblings": [{"rfilename": "tiny-Q8_0.gguf", "size": %d, "lfs": {"sha256": %q, "size": %d}}, {"rfilename": "mmproj-F16.gguf", "size": 5}]}`, commit, len(data), hash, len(data))
		case "/owner/tiny-GGUF/resolve/" + commit + "/tiny-Q8_0.gguf":
			w.Header().Set("X-Linked-ETag", `"`+hash+`"`)
			w.Header().Set("X-Linked-Size", fmt.Sprint(len(data)))
			w.Header().Set("X-Repo-Commit", commit)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		default:
			w.Header().Set("X-Error-Code", "RepoNotFound")
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("HF_ENDPOINT", server.URL)
	t.Setenv("HF_HUB_CACHE", filepath.Join(t.TempDir(), "hub"))
	t.Setenv("GOINFER_CACHE", filepath.Join(t.TempDir(), "state"))
}

// TestHub walks the way of a new user: a name is pulled, listed, shown, run, given another name,
// and removed.
func TestHub(t *testing.T) {
	fakeHub(t)
	const name = "hf.co/owner/tiny-GGUF"
	run := func(args ...string) result {
		return command(t, "", append([]string{"run", "--temp", "0", "-n", "3"}, args...)...)
	}
	require.Equal(t, result{0, "", "goinfer: note: no model has been downloaded; those that are built in need not be\n"}, command(t, "", "list"))
	fault(t, run(name, "The sun rises in the"), name+" is not on this machine: goinfer pull "+name+" fetches it")
	fault(t, run("ollama:none", "x"), "ollama:none is not on this machine")
	wrong(t, run("tiny:q8_0"), `there is no model "tiny:q8_0"`)

	// What needs the header alone reads it there.
	r := command(t, "", "show", name, "--json")
	require.Equal(t, 0, r.code, r.err)
	var c card
	require.NoError(t, json.Unmarshal([]byte(r.out), &c))
	require.Equal(t, "llama", c.Architecture)
	require.Positive(t, c.Parameters)
	require.Equal(t, 512, c.Context)
	require.Contains(t, strings.Join(c.Notes, "\n"), "bytes were fetched for the header")
	require.Contains(t, strings.Join(c.Notes, "\n"), "owner/tiny-GGUF has no Q4_K_M: Q8_0 is taken")
	require.Equal(t, 0, command(t, "", "inspect", name).code)
	require.Equal(t, 0, command(t, "", "params", name).code)
	require.NoFileExists(t, os.Getenv("HF_HUB_CACHE"))

	r = command(t, "", "pull", name, "--dry-run")
	require.Equal(t, 0, r.code, r.err)
	require.Contains(t, r.out, "tiny-Q8_0.gguf")
	require.NotContains(t, r.out, "mmproj")
	r = command(t, "", "pull", name, "--json")
	require.Equal(t, 0, r.code, r.err)
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	var last map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
	require.Equal(t, "success", last["status"])

	r = command(t, "", "ls")
	require.Contains(t, ok(t, r), "tiny:q8_0  Hugging Face  ")
	var list []hub.Entry
	require.NoError(t, json.Unmarshal([]byte(ok(t, command(t, "", "list", "TINY", "--json"))), &list))
	require.Len(t, list, 1)
	require.True(t, list[0].Own)
	require.Equal(t, "[]\n", ok(t, command(t, "", "list", "none", "--json")))

	const prompt, want = "The sun rises in the", " east and sets"
	require.Equal(t, want, ok(t, run("tiny:q8_0", prompt)))
	require.Equal(t, want, ok(t, run("tiny", prompt)))
	require.Equal(t, want, ok(t, command(t, prompt, "run", "--temp", "0", "-n", "3", "tiny:q8_0")))
	require.Equal(t, want, ok(t, run("-hf", "owner/tiny-GGUF:Q8_0", prompt)))
	require.Equal(t, want, ok(t, run(name+":Q8_0", prompt)))
	r = run(name, prompt)
	require.Equal(t, result{0, want, "goinfer: note: owner/tiny-GGUF has no Q4_K_M: Q8_0 is taken\n"}, r)
	wrong(t, command(t, "", "quantize", "tiny", list[0].Path, "q4_0"), "want a file that the command does not read")

	ok(t, command(t, "", "alias", "sun", "tiny:q8_0"))
	require.Equal(t, "sun  tiny:q8_0\n", ok(t, command(t, "", "alias")))
	require.Equal(t, want, ok(t, run("sun", prompt)))
	wrong(t, command(t, "", "alias", "tiny-dense", "sun"), "there is a model tiny-dense already")
	ok(t, command(t, "", "alias", "star", "sun"))
	require.Equal(t, "star  tiny:q8_0\n", ok(t, command(t, "", "alias", "star")))
	wrong(t, command(t, "", "alias", "small", "tiny-dense"), "want a downloaded model or a path, found tiny-dense (built in)")
	t.Chdir(filepath.Dir(list[0].Path))
	ok(t, command(t, "", "alias", "here", filepath.Base(list[0].Path)))
	t.Chdir(t.TempDir())
	require.Equal(t, want, ok(t, run("here", prompt)))
	ok(t, command(t, "", "alias", "--remove", "here"))
	ok(t, command(t, "", "alias", "--remove", "star"))
	ok(t, command(t, "", "alias", "--remove", "sun"))
	fault(t, command(t, "", "alias", "sun"), `there is no alias "sun"`)

	wrong(t, command(t, "", "rm", "tiny"), "--yes removes hf.co/owner/tiny-GGUF:Q8_0")
	require.Contains(t, ok(t, command(t, "", "rm", "tiny", "--yes")), "removed hf.co/owner/tiny-GGUF:Q8_0, ")
	fault(t, command(t, "", "rm", "tiny", "--yes"), `no downloaded model "tiny"`)
	require.NoFileExists(t, list[0].Path)
	require.Equal(t, want, run("--pull", name, prompt).out)
	fault(t, command(t, "", "pull", "hf.co/owner/none"), "there is no such repository, or it is private")
	fault(t, command(t, "", "pull", name, "--offline"), "the network is not used")
	wrong(t, command(t, "", "pull", "tiny"), "want hf.co/OWNER/REPO[:QUANT] or ollama:NAME[:TAG]")
	wrong(t, command(t, "", "pull"), "want one NAME, found 0")
	require.Contains(t, ok(t, command(t, "", "show", "tiny-moe")), "active for a token")
}
