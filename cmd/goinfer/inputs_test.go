package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// overInputs are commands that write a file: MODEL and TEXT stand for what they read, OUT for what
// they write. Those without MODEL and TEXT read nothing.
var overInputs = map[string][]string{
	"convert":         {"convert MODEL -o OUT", "convert --model MODEL --out OUT"},
	"quantize":        {"quantize MODEL OUT q8_0", "quantize --model MODEL OUT q8_0", "quantize tiny-dense OUT q8_0 --imatrix TEXT"},
	"logits":          {"logits MODEL --ids 1,2 -o OUT", "logits --model MODEL --ids 1 --out OUT"},
	"explain":         {"explain MODEL hi --html OUT", "explain MODEL hi -o OUT", "explain --model MODEL hi -o OUT", "explain --file TEXT -o OUT", "explain --binary-file TEXT -o OUT"},
	"imatrix":         {"imatrix MODEL -p x -o OUT", "imatrix --model MODEL -p x -o OUT", "imatrix --file TEXT -o OUT", "imatrix --binary-file TEXT -o OUT"},
	"lab":             {"lab MODEL --html OUT", "lab --model MODEL --html OUT", "lab --file TEXT --html OUT"},
	"experts heatmap": {"experts heatmap MODEL hi --html OUT", "experts heatmap --model MODEL hi --html OUT", "experts heatmap --file TEXT --html OUT", "experts heatmap --binary-file TEXT --html OUT"},
	"experts stats":   {"experts stats MODEL -p hi --html OUT", "experts stats --model MODEL -p hi --html OUT", "experts stats --file TEXT --html OUT", "experts stats --binary-file TEXT --html OUT"},
	"experts cost":    {"experts cost MODEL hi --html OUT", "experts cost --model MODEL hi --html OUT", "experts cost --file TEXT --html OUT", "experts cost --binary-file TEXT --html OUT"},
	"claims":          {"claims --model MODEL --html OUT", "claims --said TEXT --html OUT", "claims --training TEXT --html OUT"},
	"synth":           {"synth tiny-dense -o OUT"},
}

var (
	writing = regexp.MustCompile(`(?i)\bwrite\b|\bwritten\b`)
	reading = regexp.MustCompile(`^(FILE|MODEL|DIR|BASE|PATH)$`)
)

// isOutput reports whether a flag names a file to write.
func isOutput(f *pflag.Flag) bool {
	return f.Value.Type() == "string" && (f.Name == "out" || f.Name == "html" || writing.MatchString(f.Usage))
}

// isInput reports whether a flag names a file to read.
func isInput(f *pflag.Flag) bool {
	name, _ := pflag.UnquoteUsage(f)
	return f.Name == "model" || f.Name == "binary-file" || !isOutput(f) && reading.MatchString(name)
}

// TestOverInputsAll: the table knows all commands that write files, and all that they read.
func TestOverInputsAll(t *testing.T) {
	var began bool
	for _, c := range commands(newRoot(&began)) {
		name := strings.TrimPrefix(c.CommandPath(), "goinfer ")
		writes := regexp.MustCompile(`\bOUT\b`).MatchString(c.Use)
		c.Flags().VisitAll(func(f *pflag.Flag) { writes = writes || isOutput(f) })
		lines, known := overInputs[name]
		require.Equal(t, writes, known, "%s writes a file: %v", name, writes)
		if !writes {
			continue
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if isInput(f) {
				require.True(t, slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, " --"+f.Name+" ") }), "%s --%s names a file that is read: a line is missing", name, f.Name)
			}
		})
		if strings.Contains(c.Use, "MODEL") || strings.Contains(c.Use, "DIR") {
			require.Contains(t, lines[0], " MODEL ")
		}
	}
}

// modelsOver are pairs of a model and a file of it.
var modelsOver = []struct {
	model, out string
	link       bool
}{
	{"m.gguf", "m.gguf", false},
	{"m.gguf", "sub/../m.gguf", false},
	{"m.gguf", "link.gguf", true},
	{"link.gguf", "m.gguf", true},
	{"s-00001-of-00002.gguf", "s-00002-of-00002.gguf", false},
	{"s-00002-of-00002.gguf", "s-00001-of-00002.gguf", false},
	{"s-00001-of-00002.gguf", "part.gguf", true},
	{"hf", "hf/model.safetensors", false},
	{"hf", "hf/config.json", false},
	{"hf", "hf/tokenizer.json", false},
	{"hf", "hf/model-2.safetensors", false},
	{"hf", "folder/vocab.txt", true},
}

// TestOverInputs: no command writes over what it reads.
func TestOverInputs(t *testing.T) {
	t.Chdir(t.TempDir())
	links := runtime.GOOS != "windows"
	layInputs(t, links)
	before := contents(t)
	refused := func(line, model, text, out string) {
		t.Helper()
		r := strings.NewReplacer("MODEL", model, "TEXT", text, "OUT", out)
		var args []string
		for _, word := range strings.Fields(line) {
			args = append(args, filepath.FromSlash(r.Replace(word)))
		}
		wrong(t, command(t, "", args...), filepath.FromSlash(out)+": want a file that the command does not read, found ")
		require.Equal(t, before, contents(t), args)
	}
	for _, lines := range overInputs {
		for _, line := range lines {
			for _, c := range modelsOver {
				if strings.Contains(line, "MODEL") && (links || !c.link) {
					refused(line, c.model, "", c.out)
				}
			}
			for _, text := range []string{"text.txt", "matrix.gguf"} {
				if strings.Contains(line, "TEXT") {
					refused(line, "", text, text)
					if links {
						refused(line, "", text, "link-"+text)
					}
				}
			}
		}
	}
}

// layInputs makes the files that are not to be written.
func layInputs(t *testing.T, links bool) {
	for _, dir := range []string{"hf", "sub"} {
		require.NoError(t, os.Mkdir(dir, 0o755))
	}
	for _, name := range []string{"m.gguf", "s-00001-of-00002.gguf", "s-00002-of-00002.gguf", "hf/config.json", "hf/model.safetensors", "hf/tokenizer.json", "text.txt", "matrix.gguf"} {
		require.NoError(t, os.WriteFile(filepath.FromSlash(name), []byte(name), 0o644))
	}
	if links {
		for link, to := range map[string]string{"link.gguf": "m.gguf", "part.gguf": "s-00002-of-00002.gguf", "folder": "hf", "link-text.txt": "text.txt", "link-matrix.gguf": "matrix.gguf"} {
			require.NoError(t, os.Symlink(to, link))
		}
	}
}

// contents is what the files of the working folder hold.
func contents(t *testing.T) map[string]string {
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if d.Type()&fs.ModeSymlink != 0 {
			data, err = nil, nil
		}
		all[name] = string(data)
		return err
	}))
	return all
}

// TestOverStandardInput: what a shell hands over is an input like others.
func TestOverStandardInput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "text.txt")
	require.NoError(t, os.WriteFile(path, []byte("Once upon a time"), 0o644))
	in, err := os.Open(path)
	require.NoError(t, err)
	defer in.Close()
	cmd := &cobra.Command{}
	cmd.SetIn(in)
	require.ErrorContains(t, checkOut(cmd, "-o", path, "", inputs{}), path+": want a file that the command does not read, found its standard input")
	require.NoError(t, checkOut(cmd, "-o", path+".new", "", inputs{}))
}
