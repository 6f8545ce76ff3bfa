package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/source"
)

// The names of stores.
const (
	InHuggingFace = "Hugging Face"
	InOllama      = "Ollama"
	InLMStudio    = "LM Studio"
	InLlamaCpp    = "llama.cpp"
	InOwn         = "goinfer"
)

// Stores are the folders that models are looked for in. Those that do not exist are empty.
type Stores struct {
	HuggingFace string   // the hub cache of Hugging Face's tools
	Ollama      []string // folders with manifests and blobs
	LMStudio    []string // folders of OWNER/REPO/FILE.gguf
	LlamaCpp    string   // llama.cpp's own cache, before it took to Hugging Face's
	Own         string   // what this program pulled of Ollama's registry, in Ollama's layout
	State       string   // aliases, and the list of what this program has pulled
}

// FromEnv are the stores that the programs themselves use, by their variables: HF_HUB_CACHE,
// HF_HOME, OLLAMA_MODELS, LLAMA_CACHE, and their usual places otherwise.
func FromEnv() Stores { return fromEnv(os.Getenv, runtime.GOOS) }

func fromEnv(env func(string) string, goos string) (s Stores) {
	home := env("HOME")
	if goos == "windows" {
		home = env("USERPROFILE")
	}
	under := func(parts ...string) string {
		if parts[0] == "" {
			return ""
		}
		return filepath.Join(parts...)
	}
	caches := cmp.Or(env("XDG_CACHE_HOME"), under(home, ".cache"))
	own := caches
	switch goos {
	case "darwin":
		own = under(home, "Library", "Caches")
	case "windows":
		own = env("LOCALAPPDATA")
	}
	hfHome := cmp.Or(env("HF_HOME"), under(caches, "huggingface"))
	s.HuggingFace = cmp.Or(env("HF_HUB_CACHE"), env("HUGGINGFACE_HUB_CACHE"), under(hfHome, "hub"))
	if dir := env("OLLAMA_MODELS"); dir != "" {
		s.Ollama = []string{dir}
	} else {
		s.Ollama = []string{under(home, ".ollama", "models")}
		if goos == "linux" { // of the service
			s.Ollama = append(s.Ollama, "/usr/share/ollama/.ollama/models", "/var/lib/ollama/.ollama/models", "/var/lib/ollama/models")
		}
	}
	if pointer, err := os.ReadFile(under(home, ".lmstudio-home-pointer")); err == nil && len(pointer) < 4096 {
		s.LMStudio = append(s.LMStudio, filepath.Join(strings.TrimSpace(string(pointer)), "models"))
	}
	for _, dir := range []string{under(home, ".lmstudio", "models"), under(home, ".cache", "lm-studio", "models")} {
		if dir != "" && !slices.Contains(s.LMStudio, dir) {
			s.LMStudio = append(s.LMStudio, dir)
		}
	}
	s.LlamaCpp = cmp.Or(env("LLAMA_CACHE"), under(own, "llama.cpp"))
	s.State = cmp.Or(env("GOINFER_CACHE"), under(own, "goinfer"))
	s.Own = under(s.State, "ollama")
	return s
}

// Entry is a model in a store.
type Entry struct {
	Name     string    `json:"name"`            // in full
	Short    string    `json:"short,omitempty"` // the same, as one would write it
	Store    string    `json:"store"`
	Path     string    `json:"path"` // of the file or the folder
	Size     int64     `json:"size"` // bytes of all its files
	Type     string    `json:"type,omitempty"`
	Arch     string    `json:"architecture,omitempty"`
	Modified time.Time `json:"modified"`
	Own      bool      `json:"own,omitempty"`     // pulled by this program
	Damaged  string    `json:"damaged,omitempty"` // what is wrong with it
	Notes    []string  `json:"notes,omitempty"`   // what whoever runs it should know

	files  []string
	ollama *OllamaModel // what Ollama keeps beside the weights
}

// Ollama is what an entry of Ollama's store has beside the weights; nil of other stores.
func (e *Entry) Ollama() *OllamaModel { return e.ollama }

// Source is what the entry is to be opened by.
func (e *Entry) Source() (*source.Source, error) {
	if e.Damaged != "" {
		return nil, fault.In(e.Path, fault.Of(fault.ErrFormat, fmt.Errorf("%s, in the store of %s: %s", e.Name, e.Store, e.Damaged)))
	}
	s, err := source.Path(e.Path)
	if err != nil {
		return nil, err
	}
	return s.Named(e.Name, "from "+e.Store).Noted(e.Notes...), nil
}

// List returns the models of all stores, by their names, with what their headers say. A store that
// cannot be read is an error, and the others are listed.
func (s Stores) List(ctx context.Context) ([]Entry, error) {
	entries, err := s.scan()
	for i := range entries {
		if ctx.Err() != nil {
			return nil, fault.Cancelled(ctx)
		}
		entries[i].describe(ctx)
	}
	return entries, err
}

// describe fills in what the header says.
func (e *Entry) describe(ctx context.Context) {
	if e.Damaged != "" {
		return
	}
	s, err := source.Path(e.Path)
	if err == nil {
		var f *gguf.File
		if s.Kind() == source.KindFolder {
			f, _, err = s.Config(ctx)
		} else {
			f, err = s.Header(ctx)
		}
		if err == nil {
			v, _ := f.Value("general.architecture")
			e.Arch, _ = v.Text()
			if t, ok := f.FileType(); ok && e.Type == "" {
				e.Type = t.String()
			}
			err = f.Close()
		}
	}
	switch {
	case err == nil:
	case errors.Is(err, gguf.ErrUnsupported):
		e.Notes = append(e.Notes, err.Error())
	default:
		e.Damaged = err.Error()
	}
}

// scan lists the models of all stores by what their folders say.
func (s Stores) scan() (all []Entry, err error) {
	var errs []error
	add := func(entries []Entry, err error) {
		all = append(all, entries...)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			errs = append(errs, err)
		}
	}
	add(scanHuggingFace(s.HuggingFace))
	for _, dir := range s.Ollama {
		add(scanOllama(dir, InOllama))
	}
	add(scanOllama(s.Own, InOwn))
	for _, dir := range s.LMStudio {
		add(scanLMStudio(dir))
	}
	add(scanLlamaCpp(s.LlamaCpp))
	own := s.pulled()
	for i := range all {
		e := &all[i]
		e.Own = e.Store == InOwn || own.has(e)
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return all, errors.Join(errs...)
}

// AbsentError says that a model of a hub is not on this machine. It is fs.ErrNotExist.
type AbsentError struct{ Name Name }

// Error implements error.
func (e *AbsentError) Error() string {
	return fmt.Sprintf("%s is not on this machine: goinfer pull %s fetches it", e.Name, e.Name)
}

// Unwrap implements errors.Is.
func (e *AbsentError) Unwrap() error { return fs.ErrNotExist }

// Find looks a name up in all stores: an alias, the name of a model on a hub, a full or a short
// name of [Stores.List]. It returns nil if it is none of these, and an [AbsentError] for a model
// of a hub that has not been downloaded. A name that several models have is an error that lists
// them.
func (s Stores) Find(name string) (*Entry, error) {
	aliases, err := s.Aliases()
	if err != nil {
		return nil, err
	}
	if target, ok := aliases[name]; ok {
		if e, err := s.find(target); e != nil || err != nil {
			return s.owned(e), err
		}
		if _, err := os.Stat(target); err != nil {
			return nil, fmt.Errorf("%s is an alias of %s, which is no model here: %w", name, target, fs.ErrNotExist)
		}
		return &Entry{Name: name, Store: "alias of " + target, Path: target}, nil
	}
	e, err := s.find(name)
	return s.owned(e), err
}

// owned fills in whether this program has pulled an entry.
func (s Stores) owned(e *Entry) *Entry {
	if e != nil {
		e.Own = e.Store == InOwn || s.pulled().has(e)
	}
	return e
}

func (s Stores) find(name string) (*Entry, error) {
	n, ok, err := ParseName(name)
	switch {
	case err != nil:
		return nil, err
	case ok && n.Ollama:
		return s.findOllama(n)
	case ok:
		return s.findRepo(n)
	}
	entries, err := s.scan()
	var found []*Entry
	exact := false
	for i := range entries {
		e := &entries[i]
		full := strings.EqualFold(e.Name, name) || strings.EqualFold(e.Short, name)
		if full && !exact {
			found, exact = nil, true
		}
		if full || !exact && shortFor(e, name) {
			found = append(found, e)
		}
	}
	if latest := slices.IndexFunc(found, func(e *Entry) bool { return e.ollama != nil && strings.EqualFold(e.Short, name+":latest") }); latest >= 0 && sameFile(found) {
		return found[latest], nil // what Ollama means by a name without a tag
	}
	switch {
	case len(found) == 0:
		return nil, err
	case len(found) == 1 || sameFile(found) && !ownTags(found):
		return found[0], nil
	}
	names := make([]string, len(found))
	for i, e := range found {
		names[i] = e.Name + " (" + e.Store + ")"
	}
	return nil, fault.Of(fault.ErrInvalid, fmt.Errorf("%q may be one of %d models: %s", name, len(found), listed(names)))
}

// shortFor reports whether name is the short name of an entry without its tag, or the name of its
// file.
func shortFor(e *Entry, name string) bool {
	short, _, _ := strings.Cut(e.Short, ":")
	file := filepath.Base(e.Path)
	return strings.EqualFold(short, name) || strings.EqualFold(file, name) || strings.EqualFold(strings.TrimSuffix(file, ".gguf"), name)
}

// ownTags reports whether several entries are models of this program's own store. They are not the
// same even where their weights are: each has a system text and parameters, and is removed alone.
func ownTags(entries []*Entry) bool {
	return len(slices.DeleteFunc(slices.Clone(entries), func(e *Entry) bool { return e.Store != InOwn })) > 1
}

// sameFile reports whether all entries are one file.
func sameFile(entries []*Entry) bool {
	first, err := os.Stat(entries[0].Path)
	if err != nil {
		return false
	}
	for _, e := range entries[1:] {
		if info, err := os.Stat(e.Path); err != nil || !os.SameFile(first, info) {
			return false
		}
	}
	return true
}

// shortName is a name as one would write it: the repository's without its owner and without -GGUF,
// in small letters, and the tag.
func shortName(repo, tag string) string {
	repo = strings.ToLower(repo)
	repo = strings.TrimSuffix(repo, "-gguf")
	if tag != "" {
		repo += ":" + strings.ToLower(tag)
	}
	return repo
}

// sizeOf is the number of bytes of files, and the time of the last that changed. An error says what
// is missing.
func sizeOf(files []string) (size int64, modified time.Time, damaged string) {
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			what := "is missing"
			if link, _ := os.Lstat(f); link != nil {
				what = "is a link to nothing"
			} else if !errors.Is(err, fs.ErrNotExist) {
				what = "cannot be read"
			}
			if damaged == "" {
				damaged = filepath.Base(f) + " " + what
			}
			continue
		}
		size += info.Size()
		if info.ModTime().After(modified) {
			modified = info.ModTime()
		}
	}
	return size, modified, damaged
}
