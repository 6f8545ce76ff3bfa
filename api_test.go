package goinfer

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// apiPackages are those that a user of the library imports, the root first. Types of other packages
// are recorded as far as these packages' API leads to them.
var apiPackages = []string{
	"", "chat", "convert", "gguf", "grammar", "hf", "hub", "safetensors", "sample", "source", "tokenizer",
}

// TestAPI fails if the exported API differs from its record. A change that is meant is recorded by
// go test -run TestAPI . -update, and described in CHANGELOG.md.
func TestAPI(t *testing.T) {
	api := exportedAPI(t)
	record := filepath.Join("testdata", "api.txt")
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		require.NoError(t, os.WriteFile(record, []byte(api), 0o644))
	}
	recorded := strings.ReplaceAll(readFile(t, record), "\r\n", "\n")
	was, is := strings.Split(recorded, "\n"), strings.Split(api, "\n")
	var changes []string
	for _, line := range was {
		if !slices.Contains(is, line) {
			changes = append(changes, "- "+line)
		}
	}
	for _, line := range is {
		if !slices.Contains(was, line) {
			changes = append(changes, "+ "+line)
		}
	}
	if len(changes) > 0 || api != recorded {
		t.Errorf("the exported API is not what %s records:\n%s\nIf that is meant, run: go test -run '^TestAPI$' . -update\nand say in CHANGELOG.md what became of the old names",
			record, strings.Join(changes, "\n"))
	}
}

// exportedAPI describes the API line by line.
func exportedAPI(t *testing.T) string {
	t.Helper()
	paths := make([]string, len(apiPackages))
	for i, p := range apiPackages {
		paths[i] = strings.TrimSuffix(module+"/"+p, "/")
	}
	imp := importer.ForCompiler(token.NewFileSet(), "gc", exportData(t, paths))
	w := &apiWriter{lines: map[string]bool{}, seen: map[*types.TypeName]bool{}}
	for _, p := range paths {
		pkg, err := imp.Import(p)
		require.NoError(t, err)
		scope := pkg.Scope()
		for _, name := range scope.Names() {
			if o := scope.Lookup(name); o.Exported() {
				w.object(o)
			}
		}
	}
	for len(w.queue) > 0 {
		o := w.queue[0]
		w.queue = w.queue[1:]
		w.object(o)
	}
	lines := make([]string, 0, len(w.lines))
	for line := range w.lines {
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// exportData finds what the compiler knows of packages and of all that they import.
func exportData(t *testing.T, paths []string) func(string) (io.ReadCloser, error) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-export", "-deps", "-json=ImportPath,Export"}, paths...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if _, missing := exec.LookPath("go"); missing != nil {
		t.Skipf("there is no go command: %v", missing)
	}
	require.NoError(t, err, stderr.String())
	files := map[string]string{}
	for list := json.NewDecoder(bytes.NewReader(out)); list.More(); {
		var pkg struct{ ImportPath, Export string }
		require.NoError(t, list.Decode(&pkg))
		files[pkg.ImportPath] = pkg.Export
	}
	return func(path string) (io.ReadCloser, error) { return os.Open(files[path]) }
}

// apiWriter collects lines of the form "package, declaration".
type apiWriter struct {
	lines map[string]bool
	seen  map[*types.TypeName]bool
	queue []types.Object // types that are led to
}

// object writes an exported object.
func (w *apiWriter) object(o types.Object) {
	w.follow(o.Type())
	switch o := o.(type) {
	case *types.Const:
		w.line(o, "const %s %s", o.Name(), w.typ(o.Type()))
	case *types.Var:
		w.line(o, "var %s %s", o.Name(), w.typ(o.Type()))
	case *types.Func:
		w.line(o, "func %s%s", o.Name(), w.signature(o.Signature()))
	case *types.TypeName:
		w.typeName(o)
	}
}

func (w *apiWriter) typeName(o *types.TypeName) {
	if w.seen[o] {
		return
	}
	w.seen[o] = true
	if a, ok := o.Type().(*types.Alias); ok {
		w.line(o, "type %s = %s", o.Name(), w.typ(a.Rhs()))
		w.follow(a.Rhs())
		return
	}
	named := o.Type().(*types.Named)
	for i := range named.NumMethods() {
		if m := named.Method(i); m.Exported() {
			recv := o.Name()
			if _, ok := m.Signature().Recv().Type().(*types.Pointer); ok {
				recv = "*" + recv
			}
			w.line(o, "method (%s) %s%s", recv, m.Name(), w.signature(m.Signature()))
		}
	}
	switch u := named.Underlying().(type) {
	case *types.Struct:
		w.line(o, "type %s struct", o.Name())
		for i := range u.NumFields() {
			if f := u.Field(i); f.Exported() {
				w.line(o, "type %s struct, %s %s", o.Name(), f.Name(), w.typ(f.Type()))
				w.follow(f.Type())
			}
		}
	case *types.Interface:
		w.line(o, "type %s interface", o.Name())
		for i := range u.NumMethods() {
			m := u.Method(i)
			w.line(o, "type %s interface, %s%s", o.Name(), m.Name(), w.signature(m.Signature()))
		}
	default:
		w.line(o, "type %s %s", o.Name(), w.typ(u))
		w.follow(u)
	}
}

func (w *apiWriter) line(o types.Object, format string, args ...any) {
	w.lines[shortPath(o.Pkg())+", "+fmt.Sprintf(format, args...)] = true
}

func (w *apiWriter) typ(t types.Type) string { return types.TypeString(t, shortPath) }

// signature writes a function's type without the names of its parameters, and follows these.
func (w *apiWriter) signature(s *types.Signature) string {
	unnamed := func(tuple *types.Tuple) *types.Tuple {
		vars := make([]*types.Var, tuple.Len())
		for i := range vars {
			w.follow(tuple.At(i).Type())
			vars[i] = types.NewParam(token.NoPos, nil, "", tuple.At(i).Type())
		}
		return types.NewTuple(vars...)
	}
	bare := types.NewSignatureType(nil, nil, nil, unnamed(s.Params()), unnamed(s.Results()), s.Variadic())
	text := strings.TrimPrefix(w.typ(bare), "func")
	if p := s.TypeParams(); p.Len() > 0 {
		names := make([]string, p.Len())
		for i := range names {
			names[i] = p.At(i).Obj().Name() + " " + w.typ(p.At(i).Constraint())
		}
		text = "[" + strings.Join(names, ", ") + "]" + text
	}
	return text
}

// follow queues the module's named types that a type is made of.
func (w *apiWriter) follow(t types.Type) {
	switch t := t.(type) {
	case *types.Alias:
		w.enqueue(t.Obj())
	case *types.Named:
		w.enqueue(t.Obj())
		for a := range t.TypeArgs().Types() {
			w.follow(a)
		}
	case interface{ Elem() types.Type }:
		w.follow(t.Elem())
		if m, ok := t.(*types.Map); ok {
			w.follow(m.Key())
		}
	}
}

func (w *apiWriter) enqueue(o *types.TypeName) {
	if o.Pkg() != nil && o.Exported() && under(module, o.Pkg().Path()) && !w.seen[o] {
		w.queue = append(w.queue, o)
	}
}

// shortPath is a package's path inside the module, and "goinfer" for its root.
func shortPath(p *types.Package) string {
	if p == nil {
		return ""
	}
	if short, ok := strings.CutPrefix(p.Path(), module+"/"); ok {
		return short
	}
	if p.Path() == module {
		return "goinfer"
	}
	return p.Path()
}
