package hf_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/model/arch"
)

var update = flag.Bool("update", false, "write the table in docs/FORMATS.md")

// TestDocs: the table of architectures in the documentation is that of the package. -update writes
// it.
func TestDocs(t *testing.T) {
	made := map[string]bool{}
	for _, p := range checkpoints {
		made[p.class] = true
	}
	var rows []string
	for _, f := range arch.Families() {
		names := []string{f.Arch}
		for _, name := range f.Names {
			if name[0] < 'a' { // a class, not a model_type
				names = append(names, name)
			}
		}
		how := "untested"
		switch {
		case names[0] == "llama":
			how = "seen"
		case arch.Find(f.Arch).Reference != "",
			slices.ContainsFunc(names[1:], func(c string) bool { return made[c] }):
			how = "made"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | `%s` | %s |\n", names[0], strings.Join(names[1:], "`, `"), how))
	}
	slices.Sort(rows)
	path := filepath.Join(shared.Root(t), "docs", "FORMATS.md")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	const head = "| in GGUF | `architectures` in `config.json` | |\n|---|---|---|\n"
	text, _, found := strings.Cut(string(data), head)
	require.True(t, found)
	want := text + head + strings.Join(rows, "")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(data), "go test ./hf -run TestDocs -update writes it")
}
