package goinfer

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// functionLines is how long a function of the library may be: what a reader sees at once.
const functionLines = 80

// TestFunctionLength holds the length of functions in library packages: tests, the command, the
// programs that generate code, and what these write are apart.
func TestFunctionLength(t *testing.T) {
	functions := 0
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		base := d.Name()
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "cmd") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(name)
		require.NoError(t, err)
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, src, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(t, err)
		if ast.IsGenerated(file) {
			return nil
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			functions++
			if n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1; n > functionLines {
				t.Errorf("%s: %s has %d lines: want at most %d", set.Position(f.Pos()), f.Name.Name, n, functionLines)
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, functions, 1000, "functions that were looked at")
}
