package hub

import (
	"encoding/json"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// scanLMStudio lists the models of LM Studio: OWNER/REPO with GGUF files, or with a checkpoint.
func scanLMStudio(root string) (all []Entry, err error) {
	owners, err := readDir(root)
	for _, owner := range owners {
		repos, _ := readDir(filepath.Join(root, owner.Name()))
		for _, repo := range repos {
			dir := filepath.Join(root, owner.Name(), repo.Name())
			files, err := readDir(dir)
			if err != nil {
				continue // a file, or not to be read
			}
			for _, e := range scanSnapshotIn(dir, files, Name{Owner: owner.Name(), Repo: repo.Name()}) {
				e.Store = InLMStudio
				e.Name = "lmstudio/" + strings.TrimPrefix(e.Name, "hf.co/")
				all = append(all, e)
			}
		}
	}
	return all, err
}

// scanSnapshotIn is scanSnapshot of a folder whose own files alone count.
func scanSnapshotIn(dir string, files []fs.DirEntry, n Name) []Entry {
	if !slices.ContainsFunc(files, func(f fs.DirEntry) bool { return !f.IsDir() }) {
		return nil
	}
	return scanSnapshot(dir, n)
}

// scanLlamaCpp lists the models that llama.cpp has downloaded into its own cache, where files are
// named OWNER_REPO_FILE.gguf, with the manifests of repositories beside them.
func scanLlamaCpp(root string) (all []Entry, err error) {
	files, err := readDir(root)
	repos := manifests(root, files)
	var names []string
	for _, f := range files {
		if !f.IsDir() {
			names = append(names, f.Name())
		}
	}
	for _, c := range candidates(names) {
		n, file := nameOfCached(c.files[0], repos)
		n.Tag = c.quant
		if n.Tag == "" {
			n.Tag = file
		}
		e := newEntry(n, InLlamaCpp, filepath.Join(root, c.files[0]), c.quant)
		e.Name = "llama.cpp/" + strings.TrimPrefix(e.Name, "hf.co/")
		all = append(all, e)
	}
	return all, err
}

// manifests are the repositories that llama.cpp keeps manifests of: manifest=OWNER=REPO=TAG.json.
func manifests(root string, files []fs.DirEntry) (repos []Name) {
	for _, f := range files {
		parts := strings.Split(strings.TrimSuffix(f.Name(), ".json"), "=")
		if len(parts) != 4 || parts[0] != "manifest" {
			continue
		}
		data, err := readSmall(filepath.Join(root, f.Name()), 1<<20)
		if err != nil || !json.Valid(data) {
			continue
		}
		repos = append(repos, Name{Owner: parts[1], Repo: parts[2]})
	}
	return repos
}

// nameOfCached is the repository that a file of llama.cpp's cache is from, and its name in it: by a
// manifest, and otherwise by underscores, of which owners have none.
func nameOfCached(file string, repos []Name) (Name, string) {
	for _, n := range repos {
		if rest, ok := strings.CutPrefix(file, n.Owner+"_"+n.Repo+"_"); ok {
			return n, rest
		}
	}
	owner, rest, ok := strings.Cut(file, "_")
	if repo, name, ok2 := strings.Cut(rest, "_"); ok && ok2 {
		return Name{Owner: owner, Repo: repo}, name
	}
	return Name{Owner: "unknown", Repo: strings.TrimSuffix(file, ".gguf")}, file
}
