package hf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/mmap"
	"github.com/goinfer/goinfer/tokenizer"
)

// Bounds on files in bytes, far above what is published.
const (
	maxVocab    = 256 << 20
	maxSettings = 16 << 20
)

// readWhole reads a regular file of at most so many bytes.
func readWhole(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.System(err)
	}
	if info.Size() > most {
		return nil, fault.Bad(path, fmt.Errorf("want at most %d bytes, found %d", most, info.Size()))
	}
	m, err := mmap.Read(path)
	if err != nil {
		return nil, fault.System(err)
	}
	return m.Data(), nil
}

// settings is an object of JSON. The first key with a value of another kind than is asked for
// sticks in err.
type settings struct {
	path   string
	values map[string]json.RawMessage
	err    error
}

// readSettings reads a file that need not be there.
func readSettings(path string) (*settings, error) {
	s := &settings{path: path}
	b, err := readWhole(path, maxSettings)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(FiniteJSON(b), &s.values); err != nil {
		return nil, fault.Bad(path, fmt.Errorf("%s", oneLine(err)))
	}
	return s, nil
}

// oneLine is an error of the JSON decoder, which may quote the file.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// raw is the value of a key, nil if it has none or null.
func (s *settings) raw(key string) json.RawMessage {
	if v := s.values[key]; !bytes.Equal(v, []byte("null")) {
		return v
	}
	return nil
}

// fill takes the values of keys that s lacks from another file.
func (s *settings) fill(other *settings) {
	for key := range other.values {
		if s.raw(key) == nil {
			s.set(key, other.values[key])
		}
	}
}

func (s *settings) set(key string, value json.RawMessage) {
	if s.values == nil {
		s.values = map[string]json.RawMessage{}
	}
	s.values[key] = value
}

func (s *settings) wrong(key, want string) {
	if s.err == nil {
		s.err = fault.Bad(s.path, fmt.Errorf("key %q: want %s, found %s", key, want, shown(s.values[key])))
	}
}

// shown is a value for a message: on one line, and not long.
func shown(raw json.RawMessage) string {
	text := strings.Join(strings.Fields(string(raw)), " ")
	switch {
	case strings.HasPrefix(text, "{"):
		return "an object"
	case strings.HasPrefix(text, "["):
		return "an array"
	case len(text) > 40:
		text = text[:37] + "..."
	}
	return strings.ToValidUTF8(text, "�")
}

// quoted is a text from a file for a message: on one line, and not long.
func quoted(s string) string {
	if len(s) > 80 {
		s = s[:77] + "..."
	}
	return strconv.Quote(s)
}

// decode reads the value of a key, if it has one.
func decode[T any](s *settings, key, want string) (x T, ok bool) {
	raw := s.raw(key)
	if raw == nil {
		return x, false
	}
	if err := json.Unmarshal(raw, &x); err != nil {
		s.wrong(key, want)
		return *new(T), false
	}
	return x, true
}

// flag is true or false, nil where the file does not say.
func (s *settings) flag(key string) *bool {
	if b, ok := decode[bool](s, key, "true or false"); ok {
		return &b
	}
	return nil
}

func (s *settings) text(key string) string {
	x, _ := decode[string](s, key, "a text")
	return x
}

// token is a token by its spelling, or as an object with the flags of an added one.
func (s *settings) token(key string) (a added, ok bool) {
	raw := s.raw(key)
	if raw == nil {
		return a, false
	}
	a.Special = true
	if raw[0] == '"' {
		a.Content = s.text(key)
		return a, a.Content != ""
	}
	if raw[0] != '{' {
		s.wrong(key, "a token")
		return a, false
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		s.wrong(key, "a token")
	}
	a.Special = true
	return a, a.Content != ""
}

// ids are the numbers of tokens: one, or a list of them, each once. What is negative means none.
func (s *settings) ids(key string) (ids []int64) {
	raw := s.raw(key)
	if raw == nil {
		return nil
	}
	const want = "the number of a token"
	var list []int64
	if raw[0] == '[' {
		list, _ = decode[[]int64](s, key, want)
	} else if id, ok := decode[int64](s, key, want); ok {
		list = []int64{id}
	}
	seen := map[int64]bool{}
	for _, id := range list {
		if id >= 0 && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// count is a number of tokens.
func (s *settings) count(key string) int {
	n, ok := decode[int64](s, key, "a whole number from 0 to 2147483647")
	if ok && (n < 0 || n > 1<<31-1) {
		s.wrong(key, "a whole number from 0 to 2147483647")
		return 0
	}
	return int(n)
}

// added is an entry of added_tokens in tokenizer.json, or of added_tokens_decoder in
// tokenizer_config.json.
type added struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	Special    bool   `json:"special"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
}

func (a *added) pipeline(id int32) tokenizer.Added {
	return tokenizer.Added{ID: id, Content: a.Content, Special: a.Special, SingleWord: a.SingleWord,
		LStrip: a.LStrip, RStrip: a.RStrip, Normalized: a.Normalized}
}

// folder are the small files of a folder.
type folder struct {
	dir      string
	settings *settings // tokenizer_config.json, over special_tokens_map.json
	config   *settings // config.json, the part about text over the whole
	generate *settings // generation_config.json
}

func readFolder(dir string) (f folder, err error) {
	f.dir = dir
	var special *settings
	for _, p := range [...]struct {
		name string
		to   **settings
	}{{"tokenizer_config.json", &f.settings}, {"special_tokens_map.json", &special}, {"config.json", &f.config}, {"generation_config.json", &f.generate}} {
		if *p.to, err = readSettings(filepath.Join(dir, p.name)); err != nil {
			return f, err
		}
	}
	f.settings.fill(special)
	for _, key := range []string{"text_config", "llm_config", "language_config"} {
		part := &settings{path: f.config.path}
		if raw := f.config.raw(key); raw != nil && raw[0] == '{' && json.Unmarshal(raw, &part.values) == nil {
			part.fill(f.config)
			f.config = part
			break
		}
	}
	return f, nil
}

// firstError is what was wrong in the small files.
func (f *folder) firstError() error {
	return errors.Join(f.settings.err, f.generate.err, f.config.err)
}
