package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/gofrs/flock"

	"github.com/goinfer/goinfer/internal/disk"
	"github.com/goinfer/goinfer/internal/fault"
)

const maxState = 16 << 20

// Aliases are names of the user's own, and the names that they stand for.
func (s Stores) Aliases() (map[string]string, error) {
	all := map[string]string{}
	return all, s.readState("aliases.json", &all)
}

var aliasOf = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}._:-]{0,99}$`)

// SetAlias makes alias a further name of target; an empty target removes it.
func (s Stores) SetAlias(alias, target string) error {
	if !aliasOf.MatchString(alias) {
		return fault.Of(fault.ErrInvalid, fmt.Errorf("want an alias of letters, digits, dots, dashes and colons, found %.100q", alias))
	}
	all := map[string]string{}
	return s.updateState("aliases.json", &all, func() error {
		if target != "" {
			all[alias] = target
			return nil
		}
		if _, ok := all[alias]; !ok {
			return fmt.Errorf("there is no alias %q: %w", alias, fs.ErrNotExist)
		}
		delete(all, alias)
		return nil
	})
}

// pulls are the files that this program has put into the cache of Hugging Face's tools, by their
// paths below it.
type pulls struct {
	Blobs map[string]bool `json:"blobs"`
	cache string
}

// pulled reads the list of what this program has downloaded.
func (s Stores) pulled() pulls {
	p := pulls{cache: s.HuggingFace}
	if s.readState("pulled.json", &p) != nil {
		p.Blobs = nil // what it does not know it did not pull
	}
	return p
}

// has reports whether all files of an entry have been pulled by this program.
func (p pulls) has(e *Entry) bool {
	if e.Store != InHuggingFace || len(e.files) == 0 || len(p.Blobs) == 0 {
		return false
	}
	for _, f := range e.files {
		if !p.Blobs[p.key(f)] {
			return false
		}
	}
	return true
}

// key is the name of a file in the list: that of its blob below the cache.
func (p pulls) key(file string) string {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	cache := p.cache
	if real, err := filepath.EvalSymlinks(cache); err == nil {
		cache = real
	}
	rel, err := filepath.Rel(cache, file)
	if err != nil {
		return file
	}
	return filepath.ToSlash(rel)
}

// record adds a file to the list.
func (s Stores) record(files ...string) error {
	p := pulls{cache: s.HuggingFace}
	return s.updateState("pulled.json", &p, func() error {
		if p.Blobs == nil {
			p.Blobs = map[string]bool{}
		}
		for _, f := range files {
			p.Blobs[p.key(f)] = true
		}
		return nil
	})
}

// forget takes files off the list.
func (s Stores) forget(files ...string) error {
	p := pulls{cache: s.HuggingFace}
	return s.updateState("pulled.json", &p, func() error {
		for _, f := range files {
			if _, err := os.Readlink(f); err != nil { // a link is no blob, and its blob may stay
				delete(p.Blobs, p.key(f))
			}
		}
		return nil
	})
}

// readState reads a file of JSON in State; one that is not there changes nothing.
func (s Stores) readState(name string, to any) error {
	if s.State == "" {
		return nil
	}
	file := filepath.Join(s.State, name)
	data, err := readSmall(file, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, to)
	}
	return fault.In(file, err)
}

// updateState reads a file, has it changed, and writes it whole, while others wait.
func (s Stores) updateState(name string, v any, change func() error) error {
	if s.State == "" {
		return errors.New("there is no folder for caches on this system: set GOINFER_CACHE")
	}
	if err := os.MkdirAll(s.State, 0o755); err != nil {
		return fault.System(err)
	}
	lock := flock.New(filepath.Join(s.State, ".lock"))
	if err := lock.Lock(); err != nil {
		return fault.System(err)
	}
	defer lock.Unlock()
	if err := s.readState(name, v); err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	return disk.Write(filepath.Join(s.State, name), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	})
}
