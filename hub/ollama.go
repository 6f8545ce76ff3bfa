package hub

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
)

// The registry that Ollama's names are of where they name none.
const ollamaHost = "registry.ollama.ai"

// The kinds of layers of an Ollama model.
const (
	layerModel     = "application/vnd.ollama.image.model"
	layerTemplate  = "application/vnd.ollama.image.template"
	layerParams    = "application/vnd.ollama.image.params"
	layerSystem    = "application/vnd.ollama.image.system"
	layerLicense   = "application/vnd.ollama.image.license"
	layerAdapter   = "application/vnd.ollama.image.adapter"
	layerProjector = "application/vnd.ollama.image.projector"
	layerMessages  = "application/vnd.ollama.image.messages"
)

// OllamaModel is what Ollama keeps of a model beside its weights.
type OllamaModel struct {
	Template string         // in the language of text/template; empty if there is none
	System   string         // the first message of conversations
	Params   map[string]any // such as temperature, stop, num_ctx
	Licenses []string
	Messages string // JSON, the beginning of conversations
}

// Stop are the strings that end an answer.
func (m *OllamaModel) Stop() (stop []string) {
	switch x := m.Params["stop"].(type) {
	case string:
		return []string{x}
	case []any:
		for _, s := range x {
			if s, ok := s.(string); ok {
				stop = append(stop, s)
			}
		}
	}
	return stop
}

// manifest is the list of the layers of an Ollama model.
type manifest struct {
	SchemaVersion int     `json:"schemaVersion"`
	MediaType     string  `json:"mediaType"`
	Config        layer   `json:"config"`
	Layers        []layer `json:"layers"`
}

type layer struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
	From      string `json:"from,omitempty"`
}

const (
	maxManifest = 1 << 20
	maxLayers   = 1000
	maxText     = 4 << 20 // of a layer that is text
)

var digestOf = regexp.MustCompile(`^sha256[:-]([0-9a-f]{64})$`)

// parseManifest reads a manifest, and checks what paths and sizes are made of.
func parseManifest(data []byte) (*manifest, error) {
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	if len(m.Layers) == 0 || len(m.Layers) > maxLayers {
		return nil, fmt.Errorf("want 1 to %d layers, found %d", maxLayers, len(m.Layers))
	}
	all := slices.Clone(m.Layers)
	if m.Config.Digest != "" { // a manifest may have none
		all = append(all, m.Config)
	}
	for _, l := range all {
		if !digestOf.MatchString(l.Digest) {
			return nil, fmt.Errorf("want a digest such as sha256:0123…, found %.80q", l.Digest)
		}
		if l.Size < 0 {
			return nil, fmt.Errorf("a layer of %d bytes", l.Size)
		}
	}
	return &m, nil
}

// layer returns the first layer of a kind.
func (m *manifest) layer(kind string) (layer, bool) {
	i := slices.IndexFunc(m.Layers, func(l layer) bool { return l.MediaType == kind })
	if i < 0 {
		return layer{}, false
	}
	return m.Layers[i], true
}

// blob is the file of a layer; stores of the first generation have a colon in its name.
func blob(root string, l layer) string {
	hex := digestOf.FindStringSubmatch(l.Digest)[1]
	file := filepath.Join(root, "blobs", "sha256-"+hex)
	if old := filepath.Join(root, "blobs", "sha256:"+hex); !present(file) && present(old) {
		return old
	}
	return file
}

func present(path string) bool {
	_, _, damaged := sizeOf([]string{path})
	return damaged == ""
}

// manifestPath is the file of a name's manifest.
func manifestPath(root string, n Name) string {
	return filepath.Join(root, "manifests", strings.ReplaceAll(cmp.Or(n.Host, ollamaHost), ":", "+"), n.Owner, n.Repo, cmp.Or(n.Tag, "latest"))
}

// scanOllama lists the models of a store in Ollama's layout: manifests/HOST/NAMESPACE/NAME/TAG.
func scanOllama(root, store string) (all []Entry, err error) {
	if root == "" {
		return nil, nil
	}
	base := filepath.Join(root, "manifests")
	err = filepath.WalkDir(base, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			if p != base {
				return nil // a folder that is not to be read
			}
			return fault.System(err)
		}
		rel, _ := filepath.Rel(base, p)
		parts := strings.Split(filepath.ToSlash(rel), "/")
		if d.IsDir() || len(parts) != 4 || strings.HasPrefix(d.Name(), ".") {
			return nil
		}
		n := Name{Ollama: true, Host: strings.ReplaceAll(parts[0], "+", ":"), Owner: parts[1], Repo: parts[2], Tag: parts[3]}
		if n.Host == ollamaHost {
			n.Host = ""
		}
		all = append(all, ollamaEntry(root, store, n))
		return nil
	})
	return all, err
}

// ollamaEntry reads the manifest of a name.
func ollamaEntry(root, store string, n Name) Entry {
	file := manifestPath(root, n)
	e := Entry{Name: n.String(), Short: n.model() + ":" + n.Tag, Store: store, Path: file, ollama: &OllamaModel{}}
	data, err := readSmall(file, maxManifest)
	if err != nil {
		e.Damaged = err.Error()
		return e
	}
	m, err := parseManifest(data)
	if err != nil {
		e.Damaged = "its manifest: " + err.Error()
		return e
	}
	l, ok := m.layer(layerModel)
	if !ok {
		e.Damaged = "its manifest has no layer with weights"
		return e
	}
	e.Path = blob(root, l)
	e.files = []string{e.Path}
	e.Size, e.Modified, e.Damaged = sizeOf(e.files)
	switch {
	case e.Damaged != "":
	case e.Size != l.Size:
		e.Damaged = fmt.Sprintf("want %d bytes of weights, found %d", l.Size, e.Size)
	default:
		e.readLayers(root, m)
		if line := e.ollama.NotHonoured(); line != "" {
			e.Notes = append(e.Notes, line)
		}
	}
	return e
}

// readLayers reads what is kept beside the weights.
func (e *Entry) readLayers(root string, m *manifest) {
	models := 0
	for _, l := range m.Layers {
		if l.MediaType == layerModel {
			models++
			continue
		}
		if l.MediaType == layerProjector {
			e.Notes = append(e.Notes, "the projector of images beside the model is not used: it reads text alone")
			continue
		}
		if l.MediaType == layerAdapter {
			e.Damaged = "it has an adapter, which is not applied here, and would answer otherwise without"
			continue
		}
		data, err := readSmall(blob(root, l), maxText)
		if err == nil {
			err = e.ollama.take(l.MediaType, data)
		}
		if err != nil {
			e.Notes = append(e.Notes, fmt.Sprintf("%s: %v", l.MediaType, err))
		}
	}
	if models > 1 {
		e.Damaged = fmt.Sprintf("its weights are in %d layers, which is not supported", models)
	}
}

// take keeps a layer that is text. One of another kind is an error that names it.
func (m *OllamaModel) take(kind string, data []byte) error {
	switch kind {
	case layerTemplate:
		m.Template = string(data)
	case layerSystem:
		m.System = string(data)
	case layerLicense:
		m.Licenses = append(m.Licenses, string(data))
	case layerMessages:
		m.Messages = string(data)
	case layerParams:
		if err := json.Unmarshal(data, &m.Params); err != nil {
			return fmt.Errorf("no object of JSON: %w", err)
		}
	default:
		return errors.New("a layer of this kind is not used")
	}
	return nil
}

// NotHonoured says in a line what of a model's settings a plain continuation of a text does not
// use; empty if there is nothing.
func (m *OllamaModel) NotHonoured() string {
	var what []string
	if m.System != "" {
		what = append(what, "its system text")
	}
	if m.Messages != "" {
		what = append(what, "its first messages")
	}
	for _, key := range slices.Sorted(maps.Keys(m.Params)) {
		what = append(what, fmt.Sprintf("%s %v", key, m.Params[key]))
	}
	if len(what) == 0 {
		return ""
	}
	return "set in Ollama and not used: " + strings.Join(what, ", ")
}

// findOllama finds a model in the stores of Ollama's layout.
func (s Stores) findOllama(n Name) (*Entry, error) {
	named := n
	n.Tag = cmp.Or(n.Tag, "latest")
	for i, root := range append([]string{s.Own}, s.Ollama...) {
		if root == "" || !present(manifestPath(root, n)) {
			continue
		}
		store := InOllama
		if i == 0 {
			store = InOwn
		}
		e := ollamaEntry(root, store, n)
		return &e, nil
	}
	return nil, &AbsentError{named}
}
