package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
)

// Removal is what a removal takes away, and what it leaves because others have need of it.
type Removal struct {
	Files  []string // to be removed
	Bytes  int64    // that become free
	Shared []string // files that stay, and why
}

// PlanRemoval says what removing an entry means. Only what this program has pulled is removed.
func (s Stores) PlanRemoval(e *Entry) (r Removal, err error) {
	if !e.Own {
		return r, fault.Of(fs.ErrPermission, fmt.Errorf("%s, in the store of %s, was not pulled by goinfer, which removes its own downloads alone: use the program that has stored it", e.Name, e.Store))
	}
	if e.Store == InOwn {
		return s.planOllamaRemoval(e)
	}
	own := s.pulled()
	for _, f := range e.files {
		r.Files = append(r.Files, f)
		blob, err := filepath.EvalSymlinks(f)
		if err != nil {
			continue // a link to nothing
		}
		info, err := os.Stat(blob)
		if err != nil {
			return r, fault.System(err)
		}
		if blob != f {
			if other := s.otherLink(f, blob); other != "" {
				r.Shared = append(r.Shared, fmt.Sprintf("%s: %s has it too", filepath.Base(f), other))
				continue
			}
			if !own.Blobs[own.key(blob)] {
				r.Shared = append(r.Shared, filepath.Base(f)+": it was there before")
				continue
			}
			r.Files = append(r.Files, blob)
		}
		r.Bytes += info.Size()
	}
	return r, nil
}

// otherLink finds another snapshot of the repository that has a blob.
func (s Stores) otherLink(link, blob string) (found string) {
	repo := filepath.Dir(filepath.Dir(blob)) // …/blobs/HASH
	_ = filepath.WalkDir(filepath.Join(repo, "snapshots"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || sameName(p, link) {
			return nil
		}
		if to, err := filepath.EvalSymlinks(p); err == nil && to == blob {
			found = p
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// sameName reports whether two paths are one name, whatever links are above it.
func sameName(a, b string) bool {
	if filepath.Base(a) != filepath.Base(b) {
		return false
	}
	x, err1 := os.Stat(filepath.Dir(a))
	y, err2 := os.Stat(filepath.Dir(b))
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// planOllamaRemoval is PlanRemoval for the store in Ollama's layout: the manifest, and the layers
// that no other manifest has.
func (s Stores) planOllamaRemoval(e *Entry) (r Removal, err error) {
	n, _, err := ParseName(e.Name)
	if err != nil {
		return r, err
	}
	file := manifestPath(s.Own, n)
	layers, err := layersOf(file)
	if err != nil {
		return r, err
	}
	used := map[string]string{}
	err = filepath.WalkDir(filepath.Join(s.Own, "manifests"), func(p string, d fs.DirEntry, err error) error {
		// Hidden files, such as .DS_Store, are no manifests.
		if err != nil || d.IsDir() || p == file || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		others, err := layersOf(p)
		if err != nil {
			return fmt.Errorf("which layers others need is not known: %w", err)
		}
		for hex := range others {
			used[hex] = p
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	r.Files = append(r.Files, file)
	for hex, l := range layers {
		if other := used[hex]; other != "" {
			rel, _ := filepath.Rel(filepath.Join(s.Own, "manifests"), other)
			r.Shared = append(r.Shared, fmt.Sprintf("%s: %s has it too", l.Digest, rel))
			continue
		}
		if b := blob(s.Own, l); present(b) {
			r.Files, r.Bytes = append(r.Files, b), r.Bytes+l.Size
		}
	}
	return r, nil
}

// layersOf are the layers of a manifest by the hexadecimal digits of their digests, which may be
// spelled with a colon or a dash before them.
func layersOf(file string) (map[string]layer, error) {
	data, err := readSmall(file, maxManifest)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(data)
	if err != nil {
		return nil, fault.Bad(file, err)
	}
	all := map[string]layer{}
	for _, l := range append(append([]layer{}, m.Layers...), m.Config) {
		if l.Digest != "" {
			all[digestOf.FindStringSubmatch(l.Digest)[1]] = l
		}
	}
	return all, nil
}

// Remove takes away what PlanRemoval has listed, and folders that are empty then.
func (s Stores) Remove(r Removal) error {
	var errs []error
	if err := s.forget(r.Files...); err != nil {
		errs = append(errs, err)
	}
	for _, f := range r.Files {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fault.System(err))
		}
		for dir := filepath.Dir(f); s.inside(dir); dir = filepath.Dir(dir) {
			if os.Remove(dir) != nil {
				break // it is not empty
			}
		}
	}
	return errors.Join(errs...)
}

// inside reports whether a folder is within a repository of the cache, or in the own store.
func (s Stores) inside(dir string) bool {
	for _, root := range []string{s.HuggingFace, s.Own} {
		rel, err := filepath.Rel(root, dir)
		if err == nil && rel != "." && !strings.HasPrefix(rel, "..") && strings.ContainsRune(rel, filepath.Separator) && !strings.HasPrefix(rel, ".locks") {
			return true
		}
	}
	return false
}
