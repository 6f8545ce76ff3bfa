package hf

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/gguf"
)

// partKinds are the endings of the files that a checkpoint is made of: whether there are any of a
// kind, and which, decides what the folder means.
var partKinds = []string{".safetensors", ".json", ".model", ".txt", ".jinja", ".tiktoken"}

// IsPart reports whether the file at path is one of those that [Open] makes the model at model of,
// or would be if it existed: to write it would destroy the model. Links are followed on both sides.
func IsPart(path, model string) bool {
	var file, folder fs.FileInfo // what is there, and where it would be a part by its name alone
	if info, err := os.Stat(path); err == nil {
		file = info
	}
	if info, err := os.Stat(filepath.Dir(path)); err == nil && isPartName(path) {
		folder = info
	}
	if info, err := os.Stat(model); err == nil && info.IsDir() {
		return holds(model, file, folder, true)
	}
	return slices.ContainsFunc(gguf.Shards(model), func(shard string) bool { return leadsTo(shard, file) })
}

// holds reports whether dir is folder or has file among its parts; so too of the folders in it if
// deep is set, as models of sentence-transformers have them. What cannot be read cannot be lost.
func holds(dir string, file, folder fs.FileInfo, deep bool) bool {
	if leadsTo(dir, folder) {
		return true
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if isPartName(name) && leadsTo(name, file) || deep && e.IsDir() && holds(name, file, folder, false) {
			return true
		}
	}
	return false
}

// Files lists the files in the folder of a checkpoint that it is made of, with those of the folders
// in it.
func Files(dir string) []string { return partsIn(dir, true) }

func partsIn(dir string, deep bool) (paths []string) {
	entries, _ := os.ReadDir(dir) // what cannot be read cannot be lost
	for _, e := range entries {
		switch name := filepath.Join(dir, e.Name()); {
		case deep && e.IsDir():
			paths = append(paths, partsIn(name, false)...)
		case !e.IsDir() && isPartName(name):
			paths = append(paths, name)
		}
	}
	return paths
}

func isPartName(name string) bool {
	return slices.Contains(partKinds, strings.ToLower(filepath.Ext(name)))
}

// leadsTo reports whether a path leads to a file or folder; to nil nothing leads.
func leadsTo(path string, file fs.FileInfo) bool {
	if file == nil {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && os.SameFile(info, file)
}
