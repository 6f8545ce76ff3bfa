package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/cmd/goinfer/embedded"
	"github.com/goinfer/goinfer/internal/shared"
)

// result is what a command left after.
type result struct {
	code     int
	out, err string
}

// command runs goinfer in this process. No stream is a terminal.
func command(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return commandContext(t.Context(), stdin, args...)
}

func commandContext(ctx context.Context, stdin string, args ...string) result {
	var out, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader(stdin), &out, &stderr)
	return result{code, out.String(), stderr.String()}
}

// ok requires that a command went well and had nothing to say but its text, and returns that.
func ok(t *testing.T, r result) string {
	t.Helper()
	require.Equal(t, 0, r.code, r.err)
	require.Empty(t, r.err)
	return r.out
}

// wrong requires a usage error: one line, and the hint.
func wrong(t *testing.T, r result, want string) {
	t.Helper()
	require.Equal(t, exitUsage, r.code, "%+v", r)
	require.Empty(t, r.out)
	require.Regexp(t, `^goinfer: .+\nTry 'goinfer.* --help'\.\n$`, r.err)
	require.Contains(t, r.err, want)
}

// fault requires a fault, reported in one line.
func fault(t *testing.T, r result, want string) {
	t.Helper()
	require.Equal(t, exitFault, r.code, "%+v", r)
	require.Empty(t, r.out)
	require.Regexp(t, `^goinfer: .+\n$`, r.err)
	require.Equal(t, 1, strings.Count(r.err, "\n"), r.err)
	require.Contains(t, r.err, want)
}

// asCommand makes the test binary the command itself, which is quicker than to build that.
const asCommand = "GOINFER_TEST_AS_COMMAND"

// process is the command as a process of its own.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes, which emulators cannot")
	}
	path, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	cobra.EnableCommandSorting = false // as main does
	os.Exit(withoutStores(m))
}

// withoutStores runs the tests where no program has stored a model.
func withoutStores(m *testing.M) int {
	dir, err := os.MkdirTemp("", "goinfer-test")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"HF_HUB_CACHE", "OLLAMA_MODELS", "LLAMA_CACHE", "GOINFER_CACHE", "HOME", "USERPROFILE"} {
		os.Setenv(name, filepath.Join(dir, name))
	}
	return m.Run()
}

// The first command of the README, shortened, is the first thing that a newcomer sees.
func TestREADME(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(shared.Root(t), "README.md"))
	require.NoError(t, err)
	require.Contains(t, string(data), "\ngo run ./cmd/goinfer run --temp 0 -n 8 \"The sun rises in the\"\n")
	require.Equal(t, " east and sets in the west.\n", ok(t, command(t, "", "run", "--temp", "0", "The sun rises in the", "-n", "8")))
}

func TestNoCommand(t *testing.T) {
	r := command(t, "")
	require.Equal(t, exitUsage, r.code)
	require.Empty(t, r.out)
	require.Contains(t, r.err, "Commands:\n  run ")

	wrong(t, command(t, "", "rnu", "hello"), "did you mean run?")
	wrong(t, command(t, "", "The sun"), `did you mean: goinfer run "The sun"`)
	wrong(t, command(t, "", "tiny-moe"), `did you mean: goinfer run "tiny-moe"`)
	wrong(t, command(t, "", "xyzzy"), `"xyzzy"`)
	wrong(t, command(t, "", "--frob"), "there is no flag --frob; flags of a command come after its name")
	wrong(t, command(t, "", "-m", "model.gguf", "-p", "Hello"), "there is no flag -m; flags of a command come after its name")
	wrong(t, command(t, "", "dump", "tiny-moe"), "did you mean inspect?")
	wrong(t, command(t, "", "tokenize", "tiny-moe"), "did you mean tokens?")
	wrong(t, command(t, "", "completion", "tcsh"), `"tcsh": want bash, zsh, fish or powershell`)
	wrong(t, command(t, "", "completion"), "want one shell")
	wrong(t, command(t, "", "help", "rnu"), "did you mean run?")
	wrong(t, command(t, "", "help", "run", "tokens"), "want one command")
}

func TestVersion(t *testing.T) {
	require.Regexp(t, `^goinfer \S+( \(\w+(, modified)?\))? go\S+ \w+/\w+\n$`, ok(t, command(t, "", "--version")))
	var stderr bytes.Buffer
	require.Equal(t, exitOK, run(t.Context(), []string{"--version"}, strings.NewReader(""), brokenPipe{}, &stderr))
	require.Empty(t, stderr.String())
	require.Equal(t, exitFault, run(t.Context(), []string{"--version"}, strings.NewReader(""), fullDisk{}, &stderr))
	require.Equal(t, "goinfer: write out: disk full\n", stderr.String())
}

func TestHelp(t *testing.T) {
	top := ok(t, command(t, "", "--help"))
	require.Equal(t, top, ok(t, command(t, "", "help")))
	var began bool
	for _, c := range commands(newRoot(&began)) {
		path := strings.Fields(c.CommandPath())[1:]
		if len(path) == 1 {
			require.Contains(t, top, "\n  "+c.Name()+" ")
		}
		help := ok(t, command(t, "", append(path, "--help")...))
		require.Equal(t, help, ok(t, command(t, "", append(path, "-h")...)))
		require.Contains(t, help, "Usage:\n  "+c.CommandPath())
		require.Contains(t, help, "Examples:\n  ")
		c.Flags().VisitAll(func(f *pflag.Flag) {
			require.Equal(t, f.Hidden, f.Usage == "", "%s --%s: a flag is explained or hidden", c.Name(), f.Name)
			require.Equal(t, !f.Hidden, strings.Contains(help, "--"+f.Name+" "), "%s --%s", c.Name(), f.Name)
		})
		require.NotRegexp(t, `--[a-z-]+ u?(int|float|string)|default \[\]`, help, "types of Go are no words for a user")
		for _, line := range strings.Split(help, "\n") {
			require.LessOrEqual(t, utf8.RuneCountInString(line), helpColumns, line)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		require.Contains(t, ok(t, command(t, "", "completion", shell)), "goinfer", shell)
	}
	r := command(t, "", "__complete", "run", "tiny-m")
	require.Equal(t, "tiny-moe\n:0\n", r.out)
	r = command(t, "", "__complete", "run", "--mirostat-")
	require.Contains(t, r.out, "--mirostat-lr")
}

// TestCompletionBash: the script works in a bash without the package bash-completion.
func TestCompletionBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil || testing.Short() || runtime.GOOS == "windows" {
		t.Skip("wants bash, and starts processes")
	}
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(dir, "goinfer")))
	script := ok(t, command(t, "", "completion", "bash"))
	for line, want := range map[string]string{
		"goinfer run tiny-m":            "tiny-moe",
		"goinfer expe":                  "experts",
		"goinfer run --mirostat-l":      "--mirostat-lr",
		"goinfer experts heatmap tiny-": "tiny-dense tiny-moe",
	} {
		words := strings.Fields(line)
		cmd := exec.Command(bash, "--norc", "--noprofile", "-c", script+`
COMP_LINE="$1"; COMP_POINT=${#1}; COMP_TYPE=9; COMP_KEY=9; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
compopt() { :; }
__start_goinfer
for c in "${COMPREPLY[@]}"; do echo ${c%% *}; done`, "bash", line)
		cmd.Args = append(cmd.Args, words...)
		cmd.Env = append(os.Environ(), asCommand+"=1", "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, want, strings.Join(strings.Fields(string(out)), " "), line)
	}
}

func TestModels(t *testing.T) {
	t.Chdir(t.TempDir())
	names := embedded.Names()
	require.Equal(t, embedded.Default, names[0])
	for _, n := range names {
		require.NotEmpty(t, embedded.Model(n))
		require.Contains(t, embedded.Card, n)
		// A file of that name does not come in the way, but for ./name.
		require.NoError(t, os.WriteFile(n, []byte("GGUF"), 0o644))
		require.Contains(t, ok(t, command(t, "", "inspect", n)), n+" (built in)")
		fault(t, command(t, "", "inspect", "."+string(filepath.Separator)+n), "."+string(filepath.Separator)+n+": ")
	}
	require.Nil(t, embedded.Model("tiny"))
}

// What is a path is no prompt, and the other way round.
func TestModelOrText(t *testing.T) {
	t.Chdir(t.TempDir())
	sep := string(filepath.Separator)
	for _, path := range []string{"no.gguf", "NO.GGUF", "two words.gguf", "no.safetensors", "." + sep + "no", "a" + sep + "b", sep + "no"} {
		require.True(t, isModel(path), path)
		fault(t, command(t, "", "run", path), path+": ")
		fault(t, command(t, "", "run", path, "Hello"), path+": ")
		fault(t, command(t, "", "run", "-m", path, "Hello"), path+": ")
		fault(t, command(t, "", "tokens", path), path+": ")
		fault(t, command(t, "", "inspect", path), path+": ")
		fault(t, command(t, "", "logits", path, "--ids", "1", "-o", "x"), path+": ")
	}
	for _, text := range []string{"Hello", "a" + sep + "b or c", "", "gguf", "tiny", "."} {
		require.False(t, isModel(text), text)
	}
	fault(t, command(t, "", "run", ".", "-p", "Hello"), ".: want a GGUF file, or the folder of a checkpoint with a config.json")
	fault(t, command(t, "", "inspect", t.TempDir()), ": want a GGUF file, or the folder of a checkpoint with a config.json, found a folder without")
	fault(t, command(t, "", "run", "nothing", "Hello"), `no model "nothing": looked for a file or a folder of that name, a built-in model (tiny-dense, tiny-moe)`)
	fault(t, command(t, "", "run", "-p", "Hello", "nothing"), `no model "nothing"`)

	require.NoError(t, os.WriteFile("x.safetensors", []byte("{}"), 0o644))
	fault(t, command(t, "", "run", "x.safetensors", "Hello"), "x.safetensors: weights alone are no model: want the folder that they are in")
	require.NoError(t, os.WriteFile("config.json", []byte("{}"), 0o644))
	fault(t, command(t, "", "run", "."+sep+"config.json", "Hello"), "config.json: a configuration alone is no model: want the folder that it is in")

	// A file without an ending is a model if it begins as one.
	require.NoError(t, os.WriteFile("bare", embedded.Model("tiny-moe"), 0o644))
	want := ok(t, command(t, "", "run", "tiny-moe", "The sun", "--temp", "0", "-n", "3"))
	require.Equal(t, want, ok(t, command(t, "", "run", "bare", "The sun", "--temp", "0", "-n", "3")))
	require.Equal(t, want, ok(t, command(t, "", "run", "bare", "-p", "The sun", "--temp", "0", "-n", "3")))
	require.Equal(t, want, ok(t, command(t, "", "run", "-m", "bare", "The sun", "--temp", "0", "-n", "3")))
	require.Equal(t, want, ok(t, command(t, "The sun", "run", "bare", "--temp", "0", "-n", "3")))

	wrong(t, command(t, "", "run", "tiny-dense", "two", "words"), "1 argument too many")
	wrong(t, command(t, "", "run", "-m", "tiny-dense", "tiny-dense", "word"), "1 argument too many")
	wrong(t, command(t, "", "run", "-p", "a", "-m", "tiny-dense", "word"), "1 argument too many")
	wrong(t, command(t, "", "inspect", "tiny-dense", "tiny-moe"), "want one model, found 2")
	wrong(t, command(t, "", "inspect", "-m", "tiny-dense", "tiny-moe"), "want one model, found 2")
}

// TestOneWord: a word that could be the name of a model is no prompt unless -p says so, and neither
// is the name of something that is there; standard input is never dropped for it.
func TestOneWord(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("story", []byte("Once upon a time"), 0o644))
	require.NoError(t, os.Mkdir("folder", 0o755))
	require.NoError(t, os.Mkdir("checkpoint", 0o755))
	require.NoError(t, os.WriteFile(filepath.Join("checkpoint", "config.json"), []byte("{}"), 0o644))
	for word, want := range map[string]string{
		"llama3.2": `there is no model "llama3.2": looked for `, "qwen3:0.6b": `there is no model "qwen3:0.6b"`, "Hello": "a PROMPT of one word goes after -p",
		"llama3": "llama-3-8b, ", "story": "story is a file, and no model: -f story reads the PROMPT from it", "folder": "folder: want a GGUF file, or the folder of a checkpoint", ".": ".: want a GGUF file",
	} {
		require.False(t, isModel(word), word)
		wrong(t, command(t, "The sun", "run", word), want)
		require.Equal(t, 0, command(t, "", "run", "-p", word, "-n", "1").code, word)
	}
	require.True(t, isModel("checkpoint"))
	fault(t, command(t, "The sun", "run", "checkpoint"), filepath.Join("checkpoint", "config.json")+": ")
	fault(t, command(t, "The sun", "run", "llama-2-7b"), "llama-2-7b: a known shape, without weights")
	for _, text := range []string{"Hello world", "Hello!", "x", "你好。", "-5"} {
		require.Equal(t, 0, command(t, "", "run", "-n", "1", "--", text).code, text)
	}
}

// TestOverrides: --override-kv changes what the file says, and is checked.
func TestOverrides(t *testing.T) {
	run := func(args ...string) result {
		return command(t, "", append([]string{"run", "--temp", "0", "-n", "3", "The sun rises in the"}, args...)...)
	}
	require.Equal(t, " east and sets", ok(t, run()))
	require.NotEqual(t, " east and sets", ok(t, run("--override-kv", "llama.rope.freq_base=float:3")))
	require.Equal(t, " east and sets", ok(t, run("--override-kv", "general.name=str:a,b,llama.block_count=int:6")))
	r := run("--override-kv", "llama.nonsense=bool:true")
	require.Equal(t, result{0, " east and sets", "goinfer: note: the override of \"llama.nonsense\" adds a key: the file has none of that name\n"}, r)
	wrong(t, run("--override-kv", "x"), "--override-kv: want KEY=TYPE:VALUE, such as llama.rope.freq_base=float:1e6, found \"x\"")
	wrong(t, run("--override-kv", "x=int:1.5"), `--override-kv: x: want a whole number of 64 bits, found "1.5"`)
	fault(t, run("--override-kv", "llama.block_count=str:8"), `tiny-dense: key "llama.block_count": the file has a uint32 here, which 8 (string) cannot replace`)
	fault(t, run("--override-kv", "llama.block_count=int:-1"), `-1 does not fit the uint32 that the file has here`)
	fault(t, run("--override-kv", "llama.block_count=int:80"), "want tensors of 80 layers")
	typed := run("--type", "q4_0", "--override-kv", "llama.rope.freq_base=float:3")
	require.Equal(t, 0, typed.code)
	require.NotEqual(t, run("--type", "q4_0").out, typed.out)
}

// Files that are no models are refused in one line.
func TestHostileFiles(t *testing.T) {
	dir := t.TempDir()
	whole := embedded.Model("tiny-dense")
	huge := append([]byte("GGUF\x03\x00\x00\x00"), bytes.Repeat([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 3)...)
	for name, data := range map[string][]byte{
		"empty.gguf": {}, "text.gguf": []byte("Once upon a time"), "head.gguf": whole[:40], "half.gguf": whole[:len(whole)/2], "vocabulary.gguf": whole[:20000],
		"huge.gguf": huge, "line\nbreak.gguf": []byte("GGUF"), "escape\x1b[31m.gguf": []byte("GGUF"), "version.gguf": []byte("GGUF\x01\x00\x00\x00" + strings.Repeat("\x00", 16)),
	} {
		if runtime.GOOS == "windows" && strings.ContainsAny(name, "\n\x1b") {
			continue
		}
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, data, 0o644))
		for _, args := range [][]string{{"run", path, "Hello"}, {"inspect", path}, {"logits", path, "--ids", "1", "-o", filepath.Join(dir, "out")}, {"tokens", path, "Hello"}} {
			fault(t, command(t, "", args...), printable(strings.ReplaceAll(path, "\n", "; ")))
		}
	}
	require.NoFileExists(t, filepath.Join(dir, "out"))
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"models: a":                      "models: a",
		"two\nlines":                     "two; lines",
		"a\x1b[2J.gguf: context is full": `a\x1b[2J.gguf: context is full`,
	} {
		require.Equal(t, want, oneLine(errors.New(in)))
	}
}

// TestNamedLikePackages: what a file is called is reported, whatever else goes by that name.
func TestNamedLikePackages(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"model", "gguf", "nn", "sample", "engine"} {
		require.NoError(t, os.WriteFile(name, []byte("Once upon a time"), 0o644))
		for _, args := range [][]string{{"inspect", name}, {"run", name, "Hello"}, {"tokens", "-m", name, "Hello"}} {
			fault(t, command(t, "", args...), name+": no GGUF file")
		}
		require.NoError(t, os.Mkdir(name+".d", 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(name+".d", "config.json"), []byte("{"), 0o644))
		require.NoError(t, os.Rename(name+".d", name+"-hf"))
		fault(t, command(t, "", "inspect", name+"-hf"), filepath.Join(name+"-hf", "config.json")+": ")
	}
}

// TestFieldFlags: each field of the library that a flag sets is called by that flag, and by what
// the user wrote alone.
func TestFieldFlags(t *testing.T) {
	var began bool
	for _, c := range commands(newRoot(&began)) {
		switch c.CommandPath() {
		case "goinfer run":
			for field, flag := range fieldFlags {
				if flag != "top" && flag != "pooling" {
					require.NotNil(t, c.Flags().Lookup(flag), "%s: %s", field, flag)
				}
			}
			p := reflect.TypeFor[goinfer.Sampling]()
			for i := range p.NumField() {
				switch name := p.Field(i).Name; name {
				case "MinKeep", "Extra", "Trace", "Grammar": // without a flag
				default:
					require.Contains(t, fieldFlags, name)
				}
			}
		case "goinfer bench":
			for field, flag := range benchFields {
				require.NotNil(t, c.Flags().Lookup(flag), "%s: %s", field, flag)
			}
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "--top-p", "2", "--min-p", "-1", "--mirostat", "3", "a"}, "goinfer: --top-p: want 0 to 1, found 2; --min-p: want 0 to 1, found -1; --mirostat: want 0, 1 or 2, found 3\n"},
		{[]string{"run", "-l", "-1+2", "a"}, "goinfer: -l, --logit-bias: want"},
		{[]string{"bench", "-m", "tiny-dense", "-p", "20000000", "-n", "0"}, "goinfer: -p, --n-prompt: want 0 to 16777216, found 20000000\n"},
		{[]string{"bench", "-m", "tiny-dense", "-b", "0", "-p", "4", "-n", "0"}, "goinfer: -b, --batch-size: want 1 to 16777216, found 0\n"},
	} {
		wrong(t, command(t, "", c.args...), c.want)
	}
}
