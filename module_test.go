package goinfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	modmodule "golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"
)

// lightModules are all that a program gains that imports the root package: besides goinfer itself,
// what deps_test.go allows the engine.
var lightModules = []string{
	"github.com/klauspost/cpuid/v2", "github.com/x448/float16", "golang.org/x/sys", "golang.org/x/text",
}

// proxied is the version under which the tests publish the working tree, to a module proxy that is
// a folder.
const proxied = "v0.0.1"

// TestModule publishes the working tree as a module, has the README's program import it as a user's
// would, and lists the modules that the program came to need. With GOINFER_LONG it also compiles
// what the README says to run or to install by its path. Nothing is read from the network.
func TestModule(t *testing.T) {
	proxy := publish(t)
	program := readmeProgram(t)
	user := newUser(t, proxy)
	user.write("go.mod", "module example.com/program\n\ngo 1.26.0\n")
	user.write("main.go", program)
	user.run("go", "get", module+"@latest")

	var got []string
	modules := json.NewDecoder(strings.NewReader(user.run("go", "list", "-deps", "-json=Module", ".")))
	for modules.More() {
		var pkg struct{ Module *struct{ Path string } }
		require.NoError(t, modules.Decode(&pkg))
		if m := pkg.Module; m != nil && m.Path != module && m.Path != "example.com/program" {
			got = append(got, m.Path)
		}
	}
	slices.Sort(got)
	require.Equal(t, lightModules, slices.Compact(got), "modules that a program needs which imports %s", module)

	user.run("go", "mod", "tidy")
	goMod, err := os.ReadFile(filepath.Join(user.dir, "go.mod"))
	require.NoError(t, err)
	required := regexp.MustCompile(`(?m)^(?:require)?\s+(\S+\.\S+) v\S+`).FindAllSubmatch(goMod, -1)
	require.Len(t, required, 1+len(lightModules), "requirements in the go.mod of the program:\n%s", goMod)

	if os.Getenv("GOINFER_LONG") == "" {
		return
	}
	model, err := filepath.Abs("cmd/goinfer/embedded/tiny-dense-q8_0.gguf")
	require.NoError(t, err)
	require.Equal(t, " east and sets in the west.\n", user.run("go", "run", ".", model))

	readme := readFile(t, "README.md")
	install := regexp.MustCompile(`(?m)^CGO_ENABLED=0 go install (\S+)$`).FindStringSubmatch(readme)
	require.NotNil(t, install, "README.md: want a line CGO_ENABLED=0 go install PATH@latest")
	user.run("go", "install", install[1])
	version := user.run(filepath.Join(user.dir, "bin", "goinfer"+exe()), "version")
	require.Contains(t, version, "goinfer "+proxied)
	require.Regexp(t, `(?m)^linked +static`, version)

	remote := regexp.MustCompile(`(?m)^go run (\S+@latest) run --temp 0 -n 8 "The sun rises in the"`).FindStringSubmatch(readme)
	require.NotNil(t, remote, "README.md: want a line go run PATH@latest run --temp 0 -n 8 …")
	require.Equal(t, " east and sets in the west.",
		strings.TrimRight(user.run("go", "run", remote[1], "run", "--temp", "0", "-n", "8", "The sun rises in the"), "\n"))
}

// TestModuleFiles checks that the tree can be published: the names and sizes of its files are those
// that a module may have. LICENSE and all that is embedded are among them.
func TestModuleFiles(t *testing.T) {
	files, err := modzip.CheckDir(".")
	require.NoError(t, err)
	require.NoError(t, files.Err())
	for _, want := range []string{"LICENSE", "go.mod", "cmd/goinfer/embedded/tiny-dense-q8_0.gguf"} {
		require.Contains(t, files.Valid, filepath.FromSlash(want))
	}
	for _, name := range files.Valid {
		require.NotContains(t, filepath.ToSlash(name), "kernels/_asm/", "the generator is a module of its own")
	}
}

// publish writes the working tree into a new folder that is a module proxy.
func publish(t *testing.T) string {
	t.Helper()
	proxy := t.TempDir()
	dir := filepath.Join(proxy, filepath.FromSlash(module), "@v")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	write := func(name string, data []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	write("list", []byte(proxied+"\n"))
	write(proxied+".mod", []byte(readFile(t, "go.mod")))
	info, err := json.Marshal(map[string]any{"Version": proxied, "Time": time.Unix(1700000000, 0).UTC()})
	require.NoError(t, err)
	write(proxied+".info", info)
	var zip bytes.Buffer
	require.NoError(t, modzip.CreateFromDir(&zip, modmodule.Version{Path: module, Version: proxied}, "."))
	write(proxied+".zip", zip.Bytes())
	return proxy
}

// user is somebody who has nothing but a folder and a proxy.
type user struct {
	t   *testing.T
	dir string
	env []string
}

// newUser returns a user whose proxies are the one given and then what this machine's module cache
// has downloaded, but no server.
func newUser(t *testing.T, proxy string) *user {
	t.Helper()
	dir := t.TempDir()
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Skipf("there is no go command: %v", err)
	}
	proxies := fileURL(proxy) + "," + fileURL(filepath.Join(strings.TrimSpace(string(cache)), "cache", "download")) + ",off"
	return &user{t: t, dir: dir, env: append(os.Environ(),
		"GOPROXY="+proxies, "GOSUMDB=off", "GONOSUMDB=", "GONOPROXY=", "GOPRIVATE=", "GOVCS=*:off",
		"GOFLAGS=-mod=mod -modcacherw -trimpath", "GOWORK=off", "GOTOOLCHAIN=local", "GOENV=off",
		"GOMODCACHE="+filepath.Join(dir, "mod"), "GOBIN="+filepath.Join(dir, "bin"), "CGO_ENABLED=0",
	)}
}

func (u *user) write(name, text string) {
	u.t.Helper()
	require.NoError(u.t, os.WriteFile(filepath.Join(u.dir, name), []byte(text), 0o644))
}

// run returns what a command prints. It skips the test if the command wants a module that has not
// been downloaded.
func (u *user) run(name string, args ...string) string {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = u.dir, u.env
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && strings.Contains(string(exit.Stderr), "module lookup disabled by GOPROXY=off") &&
		!strings.Contains(string(exit.Stderr), module+"@") {
		u.t.Skipf("the module cache lacks a module (go mod download fetches all): %s", exit.Stderr)
	}
	if exit != nil {
		require.NoError(u.t, err, "%s %s: %s", name, strings.Join(args, " "), exit.Stderr)
	}
	require.NoError(u.t, err)
	return string(out)
}

// readmeProgram returns the program that README.md shows for the library, which takes its model
// from the command line.
func readmeProgram(t *testing.T) string {
	t.Helper()
	program := regexp.MustCompile("(?s)```go\n(package main\n.*?)```").FindStringSubmatch(readFile(t, "README.md"))
	require.NotNil(t, program, "README.md: want a program that uses the library")
	_, body, _ := strings.Cut(program[1], "func main() {\n")
	require.LessOrEqual(t, strings.Count(body, "\n")-1, 10, "lines of the README's main")
	return program[1]
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(data)
}

func fileURL(dir string) string {
	dir = filepath.ToSlash(dir)
	if !strings.HasPrefix(dir, "/") {
		dir = "/" + dir // a drive's letter
	}
	return (&url.URL{Scheme: "file", Path: dir}).String()
}

func exe() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}
