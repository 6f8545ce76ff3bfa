package hf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/internal/mmap"
	"github.com/goinfer/goinfer/tokenizer/hf"
)

// vocabulary is the tokenizer of the checkpoint in a folder as metadata, tokenizer.*; it has as
// many tokens as config.json says. It is empty where the folder has none. notes say what was left
// out.
func vocabulary(dir string, c *Config) (kvs []gguf.KV, notes []string, err error) {
	rows := c.Or(0, "vocab_size", "padded_vocab_size")
	if *c.err != nil {
		return nil, nil, *c.err
	}
	v, err := hf.Read(dir, hf.Options{Rows: rows})
	if err != nil || v == nil {
		return nil, nil, err
	}
	if kvs, err = metadata(v); err != nil {
		return nil, nil, err
	}
	chat, err := readChat(dir)
	if err != nil {
		return nil, nil, err
	}
	templates, err := chat.templates()
	if err != nil {
		return nil, nil, err
	}
	kvs = append(append(kvs, templates...), chat.sampling()...)
	return kvs, v.Notes, errors.Join(*chat.settings.err, *chat.generate.err)
}

// OpenVocabulary is the vocabulary of a folder as a file that has nothing else: with or without
// weights, and of any architecture. It returns nil if the folder has none.
func OpenVocabulary(dir string) (*gguf.File, error) {
	v, err := hf.Read(dir, hf.Options{})
	if err != nil || v == nil {
		return nil, err
	}
	kvs, err := metadata(v)
	if err != nil {
		return nil, err
	}
	return gguf.Compose(gguf.Composition{Path: dir, Keys: kvs, Notes: v.Notes})
}

// metadata is a vocabulary as keys of GGUF.
func metadata(v *hf.Vocabulary) ([]gguf.KV, error) {
	c := &v.Config
	var kvs []gguf.KV
	set := func(key string, value any) { kvs = append(kvs, gguf.KV{Key: "tokenizer.ggml." + key, Value: value}) }
	set("model", c.Model)
	set("pre", c.Pre)
	set("tokens", c.Tokens)
	if c.Scores != nil {
		set("scores", c.Scores)
	}
	set("token_type", c.Types)
	if c.Merges != nil {
		set("merges", c.Merges)
	}
	for _, p := range [...]struct {
		name string
		id   int32
	}{{"bos", c.BOS}, {"eos", c.EOS}, {"eot", c.EOT}, {"eom", c.EOM}, {"unknown", c.UNK}, {"seperator", c.SEP}, {"padding", c.PAD}, {"cls", c.CLS}, {"mask", c.MASK}} {
		if p.id >= 0 {
			set(p.name+"_token_id", uint32(p.id))
		}
	}
	for _, f := range [...]struct {
		key  string
		flag *bool
	}{{"add_bos_token", c.AddBOS}, {"add_eos_token", c.AddEOS}, {"add_space_prefix", c.AddSpacePrefix}, {"remove_extra_whitespaces", c.RemoveExtraWhitespaces},
		{"normalizer.lowercase", c.Lowercase}, {"normalizer.strip_accents", c.StripAccents}} {
		if f.flag != nil {
			set(f.key, *f.flag)
		}
	}
	if c.CharsMap != nil {
		set("precompiled_charsmap", c.CharsMap)
	}
	pipeline, err := v.PipelineJSON()
	if err == nil && pipeline != "" {
		kvs = append(kvs, gguf.KV{Key: hf.KeyPipeline, Value: pipeline})
	}
	return kvs, err
}

// chatSettings are what a folder says of conversations and of sampling.
type chatSettings struct {
	dir      string
	settings *Config // tokenizer_config.json
	generate *Config // generation_config.json
}

func readChat(dir string) (v chatSettings, err error) {
	v.dir = dir
	if v.settings, err = optionalConfig(filepath.Join(dir, "tokenizer_config.json")); err == nil {
		v.generate, err = optionalConfig(filepath.Join(dir, "generation_config.json"))
	}
	return v, err
}

// optionalConfig is readConfig for a file that need not be there: it is then as if it were empty.
func optionalConfig(path string) (*Config, error) {
	c, err := readConfig(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &Config{path: path, err: new(error)}, nil
	}
	return c, err
}

// readTemplate reads a regular file of a bounded size.
func readTemplate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.System(err)
	}
	if info.Size() > MaxConfig {
		return nil, fault.Bad(path, fmt.Errorf("want at most %d bytes, found %d", MaxConfig, info.Size()))
	}
	m, err := mmap.Read(path)
	if err != nil {
		return nil, fault.System(err)
	}
	return m.Data(), nil
}

// templates are the chat templates: chat_template.jinja, or chat_template in chat_template.json or
// in tokenizer_config.json, which may be a list of named ones.
func (v *chatSettings) templates() ([]gguf.KV, error) {
	const key = "tokenizer.chat_template"
	b, err := readTemplate(filepath.Join(v.dir, "chat_template.jinja"))
	if err == nil {
		return []gguf.KV{{Key: key, Value: string(b)}}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	from := v.settings
	alone, err := readConfig(filepath.Join(v.dir, "chat_template.json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil && alone.values["chat_template"] != nil {
		from = alone
	}
	switch x := from.values["chat_template"].(type) {
	case nil:
		return nil, nil
	case string:
		return []gguf.KV{{Key: key, Value: x}}, nil
	case []any:
		var kvs []gguf.KV
		var names []string
		for _, e := range x {
			entry, ok := e.(map[string]any)
			name, hasName := entry["name"].(string)
			text, hasText := entry["template"].(string)
			if !ok || !hasName || !hasText || slices.Contains(names, name) {
				return nil, fault.Bad(from.path, errors.New("chat_template: want a list of templates, each with its own name"))
			}
			names = append(names, name)
			if name == "default" {
				kvs = append(kvs, gguf.KV{Key: key, Value: text})
			} else {
				kvs = append(kvs, gguf.KV{Key: key + "." + name, Value: text})
			}
		}
		if named := slices.DeleteFunc(names, func(s string) bool { return s == "default" }); len(named) > 0 {
			kvs = append(kvs, gguf.KV{Key: key + "s", Value: named})
		}
		return kvs, nil
	}
	from.wrong("chat_template", "a text", from.values["chat_template"])
	return nil, *from.err
}

// sampling is what generation_config.json says of sampling, as general.sampling.*.
func (v *chatSettings) sampling() (kvs []gguf.KV) {
	c := v.generate
	if !c.Flag(true, "do_sample") {
		return nil
	}
	if n, ok := c.Int("top_k"); ok {
		kvs = append(kvs, gguf.KV{Key: "general.sampling.top_k", Value: int32(n)})
	}
	for _, p := range [...][2]string{{"top_p", "top_p"}, {"min_p", "min_p"}, {"temperature", "temp"}, {"repetition_penalty", "penalty_repeat"}} {
		if x, ok := c.Float(p[0]); ok {
			kvs = append(kvs, gguf.KV{Key: "general.sampling." + p[1], Value: float32(x)})
		}
	}
	return kvs
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
