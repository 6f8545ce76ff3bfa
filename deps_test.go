package goinfer

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/goinfer/goinfer"

// house says what each package may import inside the module. "..." after a name allows what is
// below it. ARCHITECTURE.md describes them.
var house = map[string][]string{
	"gguf/names":         {},
	"quant":              {},
	"tokenizer":          {},
	"chat":               {"chat/jinja", "sample", "tokenizer"},
	"chat/jinja":         {},
	"tokenizer/hf":       {"tokenizer", "internal/mmap"},
	"sample":             {},
	"grammar":            {"", "sample", "grammar/..."},
	"grammar/regex":      {},
	"grammar/automaton":  {},
	"grammar/jsonschema": {"grammar/automaton", "grammar/regex"},
	"grammar/gbnf":       {"grammar/automaton", "grammar/regex"},
	"internal/cgroup":    {},
	"internal/cpu":       {"internal/cgroup"},
	"internal/disk":      {},
	"internal/fault":     {},
	"internal/mem":       {"internal/cgroup"},
	"internal/mmap":      {"internal/mem"},
	"internal/par":       {},
	"internal/remote":    {},
	"internal/shared":    {},
	"kernels":            {"quant", "internal/cpu"},
	"tensor":             {"quant"},
	"gguf":               {"quant", "internal/disk", "internal/mmap"},
	"safetensors":        {"internal/mmap"},
	"hf":                 {"gguf/names", "gguf", "quant", "safetensors", "tokenizer/hf", "internal/mmap"},
	"kv":                 {"tensor", "quant"},
	"nn":                 {"kernels", "tensor", "kv", "quant", "internal/par"},
	"model":              {"gguf/names", "nn", "kv", "tensor", "quant", "gguf", "tokenizer", "tokenizer/hf"},
	"model/arch":         {"hf", "model", "nn", "kv", "tensor"},
	"engine/prefix":      {"kv"},
	"engine/scheduler":   {},
	"engine":             {"engine/prefix", "engine/scheduler", "model", "nn", "kv", "tensor", "sample", "tokenizer", "internal/par"},
	"source":             {"gguf", "hf", "model/arch", "internal/remote"},
	"hub":                {"gguf", "hf", "source", "internal/disk", "internal/remote"},
	"": {"chat", "chat/jinja", "engine", "gguf", "kv", "model", "model/arch", "nn", "quant", "sample", "source", "tokenizer",
		"internal/cpu", "internal/mem", "internal/par"},
	"convert":       {"hf", "gguf", "gguf/names", "model", "model/arch", "quant", "internal/cpu", "internal/mem", "internal/par"},
	"study/probe":   {"kernels", "internal/cgroup", "internal/cpu", "internal/disk", "internal/mem", "internal/par"},
	"study/size":    {"source", "convert", "gguf", "gguf/names", "kv", "model", "model/arch", "quant", "study/probe", "tokenizer", "internal/cpu", "internal/mem", "internal/par"},
	"study/eval":    {"", "convert", "gguf", "gguf/names", "study/bench", "study/page", "study/probe"},
	"study/page":    {},
	"study/explain": {"gguf/names", "", "source", "convert", "study/eval", "gguf", "study/page", "sample"},
	"study/bench":   {"", "source", "convert", "gguf", "study/probe", "study/size", "internal/mem"},
	"study/claims": {"gguf/names", "", "source", "study/bench", "convert", "study/eval", "study/explain", "gguf", "study/page", "study/probe", "study/size", "quant",
		"internal/cpu", "internal/mem"},
	"cmd/goinfer": {"", "source", "study/bench", "chat", "chat/jinja", "study/claims", "convert", "study/eval", "study/explain", "gguf", "grammar", "study/page", "study/probe", "study/size", "internal/disk", "hub", "cmd/goinfer/..."},

	"internal/browser":         {},
	"cmd/goinfer/embedded":     {"source"},
	"cmd/goinfer/embedded/gen": {"gguf", "quant"},
}

// everyone may import these.
var everyone = []string{"internal/fault"}

// libraries says who may import what from outside; "" stands for everyone. Test files may import
// testify and regexp2 besides.
var libraries = map[string][]string{
	"github.com/x448/float16":         {"quant"},
	"github.com/klauspost/cpuid/v2":   {"internal/cpu"},
	"golang.org/x/sys":                {"internal/cpu", "internal/disk", "internal/mem", "internal/mmap"},
	"github.com/ulikunitz/xz":         {"study/claims"},
	"golang.org/x/text":               {"tokenizer"},
	"github.com/gofrs/flock":          {"hub"},
	"golang.org/x/term":               {"cmd/..."},
	"github.com/spf13":                {"cmd/..."},
	"github.com/schollz/progressbar":  {"cmd/..."},
	"github.com/stretchr/testify":     {"internal/shared"},
	"github.com/google/jsonschema-go": {"grammar"},
}

var testLibraries = []string{"github.com/stretchr/testify", "github.com/dlclark/regexp2", "github.com/x448/float16", "github.com/santhosh-tekuri/jsonschema/v6", "golang.org/x/mod"}

// undescribed are packages that serve tests or generate files.
var undescribed = []string{"internal/browser", "internal/shared", "cmd/goinfer", "cmd/goinfer/embedded/gen"}

// TestHouse fails on any import that the tables do not allow, and on cgo anywhere. Test files may
// import any package of the module.
func TestHouse(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		if d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		pkg := path.Dir(filepath.ToSlash(name))
		if pkg == "." {
			pkg = ""
		}
		seen[pkg] = true
		allowed, known := house[pkg]
		if !known {
			t.Errorf("%s: the house has no package %q: add it to deps_test.go and ARCHITECTURE.md", name, pkg)
			return nil
		}
		src, err := os.ReadFile(name)
		require.NoError(t, err)
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly)
		require.NoError(t, err)
		test := strings.HasSuffix(name, "_test.go")
		for _, spec := range file.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			inside, isInside := strings.CutPrefix(imp+"/", module+"/")
			inside = strings.TrimSuffix(inside, "/")
			switch {
			case imp == "C":
				t.Errorf("%s imports C: there is no cgo in this house", name)
			case isInside:
				if !test && !matches(allowed, inside) && !slices.Contains(everyone, inside) {
					t.Errorf("%s imports %q: package %q may import %v", name, inside, pkg, allowed)
				}
			case strings.Contains(imp, "."):
				if test && underAny(testLibraries, imp) {
					continue
				}
				if lib := library(imp); lib == "" || !matches(libraries[lib], pkg) {
					t.Errorf("%s imports %s: the library may be used by %v", name, imp, libraries[lib])
				}
			}
		}
		return nil
	})
	require.NoError(t, err)
	described, err := os.ReadFile("ARCHITECTURE.md")
	require.NoError(t, err)
	for pkg := range house {
		if !seen[pkg] {
			t.Errorf("the house lists package %q, which does not exist", pkg)
		}
		// Packages inside internal, cmd and grammar are described by the last part of their path.
		name := pkg
		if first, _, _ := strings.Cut(pkg, "/"); first == "internal" || first == "cmd" || first == "grammar" {
			name = path.Base(pkg)
		}
		if pkg != "" && !strings.Contains(string(described), "`"+name+"`") && !slices.Contains(undescribed, pkg) {
			t.Errorf("ARCHITECTURE.md describes no package %q", pkg)
		}
	}
}

// TestLightEngine holds what a user of the library inherits: the root package, and the packages
// that it may reach, may use the modules of lightModules and no others.
func TestLightEngine(t *testing.T) {
	reached := map[string]bool{}
	var reach func(pkg string)
	reach = func(pkg string) {
		if reached[pkg] {
			return
		}
		reached[pkg] = true
		for other := range house {
			if matches(house[pkg], other) || slices.Contains(everyone, other) {
				reach(other)
			}
		}
	}
	reach("")
	require.True(t, reached["engine"] && reached["kernels"] && reached["internal/mmap"])
	for lib, users := range libraries {
		for pkg := range reached {
			if matches(users, pkg) && !slices.Contains(lightModules, lib) {
				t.Errorf("package %q may import %s: a program that imports the root package would need it", pkg, lib)
			}
		}
	}
}

func matches(allowed []string, pkg string) bool {
	for _, a := range allowed {
		below, tree := strings.CutSuffix(a, "...")
		if a == pkg || tree && strings.HasPrefix(pkg+"/", below) {
			return true
		}
	}
	return false
}

func library(imp string) string {
	for lib := range libraries {
		if under(lib, imp) {
			return lib
		}
	}
	return ""
}

func under(lib, imp string) bool { return imp == lib || strings.HasPrefix(imp, lib+"/") }

func underAny(libs []string, imp string) bool {
	for _, l := range libs {
		if under(l, imp) {
			return true
		}
	}
	return false
}
