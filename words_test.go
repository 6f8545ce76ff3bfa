package goinfer

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// plainDirs are the folders whose Go files this test reads: those that speak the field's words.
var plainDirs = []string{
	".",
	"chat",
	"chat/jinja",
	"cmd/goinfer",
	"convert",
	"engine",
	"engine/prefix",
	"engine/scheduler",
	"gguf",
	"grammar",
	"grammar/automaton",
	"grammar/gbnf",
	"grammar/jsonschema",
	"grammar/regex",
	"hf",
	"hub",
	"internal/browser",
	"internal/cgroup",
	"internal/cpu",
	"internal/disk",
	"internal/fault",
	"internal/mem",
	"internal/mmap",
	"internal/par",
	"internal/remote",
	"internal/shared",
	"kernels",
	"kernels/_asm",
	"kernels/_asm/arm64",
	"kv",
	"model",
	"model/arch",
	"nn",
	"quant",
	"safetensors",
	"sample",
	"source",
	"study/bench",
	"study/eval",
	"study/explain",
	"study/page",
	"study/probe",
	"study/size",
	"tensor",
	"tokenizer",
	"tokenizer/hf",
}

// privateWords are identifiers that a reader who knows llama.cpp, vLLM or PyTorch would have to
// look up, and the word to use instead.
var privateWords = map[string]string{
	"Acts": "Activations", "Act": "ActFormat", "forms": "formats",
	"Mat": "MatMul", "Level": "ISA, or a type of quantisation",
	"Fold": "UpdateSoftmax", "weigh": "a softmax, or weights", "top": "rowMax", "merge": "rescaleMerge",
	"Bend": "ScoreMod", "Span": "PartitionLen", "TakeSpan": "StorePartial", "AddSpan": "MergePartial",
	"EndSpan": "EndPartition", "Ahead": "Prefetch", "ahead": "prefetch", "fetchAhead": "prefetch",
	"Narrow": "QuantizeRow", "Widen": "DequantizeRow", "keepsHalf": "usesF16", "halfRows": "f16Tile",
	"inInts": "quantized", "stretch": "a range", "taken": "partials, or chosen", "unit": "workItem",
	"give": "writeOut", "cut": "a split", "join": "reduce", "unseeing": "queriesBefore",
	"unseen": "masked", "abreast": "interleaved", "book": "codebook", "Recall": "ReadState",
	"Advance": "UpdateState", "Direct": "L2Norm", "Decay": "UpdateSelectiveState", "walk": "scan",
	"carry": "initState", "Neighbours": "RopeInterleaved", "Halves": "RopeNeoX",
	"Temper": "AttnTemperature", "Heads": "AttnBlock, or NHead", "InKeys": "ValuesFromKeys",
	"Both": "Bidirectional", "WeighInput": "WeightBeforeFFN", "ScoreSelected": "ScoreSoftmaxWeight",
	"GroupTop": "GroupTopK", "Gated": "GLU", "stitch": "copyHeads", "perHead": "perHeadMatMul",
	"Dead": "Aborted", "Measure": "DryRun", "show": "notify", "Taps": "DConv",
	"Mixture": "FileType", "Recipe": "FileType", "seventies": "is70B", "more": "useMoreBits",
	"fitting": "fallbackType", "likeV": "isValueLike", "kept": "notQuantized", "Facts": "ModelInfo",
	"Reach": "ReusableLen", "Foretell": "Estimate", "foretell": "estimate", "elders": "pre-2023", "bystanders": "LayerNorm family",
	"Latent": "MLA", "Recurrent": "RecurrentBlock", "truth": "", "foreign": "unmapped",
}

// fieldWords are declarations that use one of the words above as the field does, by folder.
var fieldWords = map[string]bool{
	"chat/jinja Span":        true, // a part of a text
	"cmd/goinfer Level":      true, // a key of lab's JSON
	"cmd/goinfer kept":       true, // of a conversation
	"cmd/goinfer show":       true, // shows something in a terminal
	"cmd/goinfer top":        true, // of the most probable tokens
	"cmd/goinfer unit":       true, // of a measure
	"grammar Measure":        true, // measures schemas
	"grammar top":            true, // of a stack
	"grammar walk":           true, // of a text, as filepath.Walk
	"grammar/automaton Dead": true, // a state from which no text is accepted
	"grammar/automaton top":  true, // of a stack
	"grammar/automaton walk": true, // of a trie
	"grammar/gbnf top":       true, // of a stack
	"grammar/regex walk":     true, // of a formula
	"internal/par join":      true, // fork and join
	"nn Act":                 true, // the activation function
	"study/bench Measure":    true, // measures a case
	"study/eval unit":        true, // MiB
	"study/explain Heads":    true, // attention heads
	"study/page top":         true, // the edge of a picture
	"study/probe Measure":    true, // measures the machine
	"kv Latent":              true, // the latent of DeepSeek-V2 that is cached
	"kv Recurrent":           true, // a layer with a state, as llama.cpp's recurrent memory
	"tokenizer merge":        true, // of byte pair encoding
	"tokenizer unit":         true, // of a double-array trie
}

// privateProse are words that comments use in a sense of their own: what they mean is stored,
// after, estimate, reported, at random, rotate or convert, report or print, range.
var privateProse = regexp.MustCompile(`(?i)\b(foretells?|foretold|said|behind|by lot|lies?|anew|` +
	`unseeing|unseen|elders|bystanders|abreast|turn(s|ed)|tells?|told|stretch(es)?|weighed)\b`)

// commentColumns is where a line with a comment ends at the latest. A tab counts as four.
const commentColumns = 100

// TestWords holds the folders that are done to plain words: identifiers are the field's, comments
// use words in their usual sense, and lines of comments can be read without scrolling.
func TestWords(t *testing.T) {
	for _, dir := range plainDirs {
		files, err := filepath.Glob(filepath.Join(filepath.FromSlash(dir), "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files, dir)
		for _, name := range files {
			src, err := os.ReadFile(name)
			require.NoError(t, err)
			if strings.HasPrefix(string(src), "// Code generated") {
				continue
			}
			checkWords(t, dir, name, src)
		}
	}
}

func checkWords(t *testing.T, dir, name string, src []byte) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, src, parser.ParseComments|parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, id := range declared(file) {
		if instead, ok := privateWords[id.Name]; ok && !fieldWords[dir+" "+id.Name] {
			t.Errorf("%s: %s is a private word: want %s", set.Position(id.Pos()), id.Name, instead)
		}
	}
	lines := strings.Split(string(src), "\n")
	for _, group := range file.Comments {
		for _, c := range group.List {
			at := set.Position(c.Pos())
			line := lines[at.Line-1]
			if n := utf8.RuneCountInString(line) + 3*strings.Count(line, "\t"); n > commentColumns && !strings.HasPrefix(c.Text, "//go:") {
				t.Errorf("%s: a comment ends at column %d: want at most %d", at, n, commentColumns)
			}
			if w := privateProse.FindString(c.Text); w != "" {
				t.Errorf("%s: %q in a comment: want a plain word", at, w)
			}
		}
	}
}

// plainDocs are the documents that this test reads.
var plainDocs = []string{"README.md", "ARCHITECTURE.md", "docs/*.md", "docs/learn/*.md"}

// TestDocs holds the documents to the same plain words as comments. Commands in backquotes and code
// blocks keep their flags, and docs/claims.md quotes what programs and articles say.
func TestDocs(t *testing.T) {
	code := regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
	for _, pattern := range plainDocs {
		files, err := filepath.Glob(filepath.FromSlash(pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, name := range files {
			if filepath.Base(name) == "claims.md" {
				continue
			}
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			for _, w := range privateProse.FindAllString(code.ReplaceAllString(string(text), ""), -1) {
				t.Errorf("%s: %q: want a plain word", name, w)
			}
		}
	}
}

// declared lists the names that a file declares: of types, functions, fields, constants, variables
// and parameters.
func declared(file *ast.File) (ids []*ast.Ident) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			ids = append(ids, n.Name)
		case *ast.TypeSpec:
			ids = append(ids, n.Name)
		case *ast.ValueSpec:
			ids = append(ids, n.Names...)
		case *ast.Field:
			ids = append(ids, n.Names...)
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				ids = append(ids, identifiers(n.Lhs)...)
			}
		case *ast.RangeStmt:
			if n.Tok == token.DEFINE {
				ids = append(ids, identifiers([]ast.Expr{n.Key, n.Value})...)
			}
		}
		return true
	})
	return ids
}

func identifiers(list []ast.Expr) (ids []*ast.Ident) {
	for _, x := range list {
		if id, ok := x.(*ast.Ident); ok {
			ids = append(ids, id)
		}
	}
	return ids
}
