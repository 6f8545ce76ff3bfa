package hub

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/fault"
)

// repoDir is the folder of a repository in the cache.
func repoDir(cache string, n Name) string {
	return filepath.Join(cache, "models--"+n.Owner+"--"+n.Repo)
}

// revision is the revision that a name means.
func (n Name) revision() string { return cmp.Or(n.Revision, "main") }

// readSmall reads a regular file of at most n bytes.
func readSmall(name string, n int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fault.System(err)
	}
	if !info.Mode().IsRegular() || info.Size() > n {
		return nil, fault.Bad(name, errors.New("want a small file"))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fault.System(err)
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, n))
}

// commit is the commit of a revision that the cache has, empty if it has none.
func commit(dir, revision string) string {
	if commitOf.MatchString(revision) {
		return revision
	}
	data, err := readSmall(filepath.Join(dir, "refs", filepath.FromSlash(revision)), 256)
	if c := strings.TrimSpace(string(data)); err == nil && commitOf.MatchString(c) {
		return c
	}
	return ""
}

// filesIn lists the files of a snapshot by their names in the repository.
func filesIn(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		rel, err := filepath.Rel(dir, p)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	return names, err
}

// scanHuggingFace lists the models in the cache of Hugging Face's tools.
func scanHuggingFace(cache string) (all []Entry, err error) {
	repos, err := readDir(cache)
	for _, r := range repos {
		rest, ok := strings.CutPrefix(r.Name(), "models--")
		owner, repo, ok2 := strings.Cut(rest, "--")
		if !ok || !r.IsDir() {
			continue
		}
		if !ok2 { // a repository of the first days, without an owner
			owner, repo = "", rest
		}
		dir := filepath.Join(cache, r.Name())
		main := commit(dir, "main")
		snapshots, _ := readDir(filepath.Join(dir, "snapshots"))
		for _, snapshot := range snapshots {
			if !snapshot.IsDir() {
				continue
			}
			n := Name{Owner: owner, Repo: repo}
			if c := snapshot.Name(); c != main {
				n.Revision = c
			}
			all = append(all, scanSnapshot(filepath.Join(dir, "snapshots", snapshot.Name()), n)...)
		}
	}
	return all, err
}

// readDir lists a folder, and nothing for an empty path.
func readDir(dir string) ([]fs.DirEntry, error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	return entries, fault.System(err)
}

// scanSnapshot lists the models of one revision.
func scanSnapshot(dir string, n Name) (all []Entry) {
	files, err := filesIn(dir)
	if err != nil {
		return nil
	}
	found := candidates(files)
	for _, c := range found {
		n := n
		n.Tag = c.quant
		if same := slices.IndexFunc(found, func(o candidate) bool { return o.quant == c.quant && o.files[0] != c.files[0] }); same >= 0 || c.quant == "" {
			n.Tag = c.files[0]
		}
		all = append(all, newEntry(n, InHuggingFace, filepath.Join(dir, filepath.FromSlash(c.files[0])), c.quant))
	}
	if c, err := chooseFolder(n, files, readIn(dir)); err == nil && len(found) == 0 {
		e := Entry{Name: n.String(), Short: shortName(n.Repo, ""), Store: InHuggingFace, Path: dir, files: under(dir, c.Files)}
		e.Size, e.Modified, e.Damaged = sizeOf(e.files)
		all = append(all, e)
	} else if err != nil && slices.Contains(files, "config.json") && slices.Contains(files, indexName) {
		all = append(all, Entry{Name: n.String(), Short: shortName(n.Repo, ""), Store: InHuggingFace, Path: dir, Damaged: err.Error()})
	}
	return all
}

// readIn reads files of a folder by their names in the repository.
func readIn(dir string) func(name string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		return readSmall(filepath.Join(dir, filepath.FromSlash(name)), maxIndex)
	}
}

// under are the paths of files below a folder.
func under(dir string, names []string) []string {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = filepath.Join(dir, filepath.FromSlash(name))
	}
	return paths
}

// newEntry is the entry of a GGUF file, or of a split model.
func newEntry(n Name, store, file, quant string) Entry {
	e := Entry{Name: n.String(), Store: store, Path: file, Type: quant, files: gguf.Shards(file)}
	tag := n.Tag
	if strings.HasSuffix(tag, ".gguf") {
		tag = strings.TrimSuffix(path.Base(tag), ".gguf")
	}
	e.Short = shortName(n.Repo, tag)
	e.Size, e.Modified, e.Damaged = sizeOf(e.files)
	return e
}

// findRepo finds a model of Hugging Face in its cache.
func (s Stores) findRepo(n Name) (*Entry, error) {
	dir := repoDir(s.HuggingFace, n)
	c := ""
	if s.HuggingFace != "" {
		c = commit(dir, n.revision())
	}
	if c == "" {
		return nil, &AbsentError{n}
	}
	snapshot := filepath.Join(dir, "snapshots", c)
	files, err := filesIn(snapshot)
	if err != nil || len(files) == 0 {
		return nil, &AbsentError{n}
	}
	choice, err := choose(n, files, readIn(snapshot))
	if err != nil {
		if errors.Is(err, fault.ErrInvalid) {
			return nil, err
		}
		return nil, &AbsentError{n}
	}
	e := Entry{Name: n.String(), Short: shortName(n.Repo, choice.Quant), Store: InHuggingFace, Path: snapshot, Type: choice.Quant, files: under(snapshot, choice.Files)}
	if !choice.Folder {
		e.Path = e.files[0]
	}
	if choice.Note != "" {
		e.Notes = append(e.Notes, choice.Note)
	}
	e.Size, e.Modified, e.Damaged = sizeOf(e.files)
	return &e, nil
}
