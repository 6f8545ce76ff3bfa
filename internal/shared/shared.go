// Package shared finds the reference data that the tests compare with.
//
// The data (reference logits, vocabularies, quantised blocks, small trained models) is not part of
// the module. It is looked for in the folder named by GOINFER_SHARED, by default "../shared" beside
// the module.
package shared

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the folder of the reference data and skips the test, saying why, where there is none.
func Dir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("GOINFER_SHARED")
	if dir == "" {
		dir = filepath.Join(Root(t), "..", "shared")
	}
	if _, err := os.Stat(filepath.Join(dir, "conformance")); err != nil {
		t.Skipf("no reference data at %s (set GOINFER_SHARED): %v", dir, err)
	}
	return dir
}

// Root returns the folder that holds go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = parent
	}
}
