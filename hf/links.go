package hf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// unreadLinks are the files of a checkpoint's folder, weights apart, that are links to what is
// outside of it, a note each: what they lead to becomes part of a file that is made of the folder,
// and whoever made the folder may have meant to get at it. In the cache of Hugging Face's own tools
// a folder is a view of the one two above.
func unreadLinks(dir string) []string {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil
	}
	if root, err = filepath.Abs(root); err != nil {
		return nil
	}
	if above := filepath.Dir(root); filepath.Base(above) == "snapshots" {
		root = filepath.Dir(above)
	}
	entries, _ := os.ReadDir(dir)
	var notes []string
	for _, e := range entries {
		if e.Type()&os.ModeSymlink == 0 || !isPartName(e.Name()) || strings.EqualFold(filepath.Ext(e.Name()), ".safetensors") {
			continue
		}
		to, err := filepath.EvalSymlinks(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // whoever reads it says so
		}
		if to, err = filepath.Abs(to); err != nil {
			continue
		}
		if rel, err := filepath.Rel(root, to); err != nil || !filepath.IsLocal(rel) {
			notes = append(notes, fmt.Sprintf("%s is a link to a file outside of the folder, %s", e.Name(), to))
		}
	}
	return notes
}
