package chat

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/chat/jinja"
	"github.com/goinfer/goinfer/tokenizer"
)

// A Source is the text of a template and where it is from.
type Source struct {
	Name    string // for errors, such as "tokenizer.chat_template" or the path of a file
	Text    string
	Builtin bool   // one of [Builtins], because the model has none or it was asked for
	Note    string // what the user should know about the choice; may be empty
}

// ErrNoTemplate says that a model has no chat template and its vocabulary is of no known kind.
var ErrNoTemplate = errors.New("the model has no chat template, and its vocabulary is none that a built-in one is made for")

// MetadataKey is the key of a model's template. Named variants have the name added after a dot.
const MetadataKey = "tokenizer.chat_template"

// Find returns the template of a model. metadata returns the text of a metadata key, such as
// tokenizer.chat_template; checkpoint folders have the same keys. choice, if not empty, is a name
// of [Builtins], the name of a variant that the model has (such as "tool_use" or "default"), or
// the path of a file: a template, or a JSON file with the key chat_template. Without one and
// without a template in the model, the vocabulary decides on a built-in one, which Source.Note
// says.
func Find(metadata func(key string) (string, bool), vocab *tokenizer.Tokenizer, choice string) (Source, error) {
	if choice != "" {
		return choose(metadata, choice)
	}
	for _, key := range [...]string{MetadataKey, MetadataKey + ".default"} {
		if text, ok := metadata(key); ok && strings.TrimSpace(text) != "" {
			return Source{Name: key, Text: text}, nil
		}
	}
	name := guess(vocab)
	if name == "" {
		return Source{}, fmt.Errorf("%w: choose one of %s, or a file", ErrNoTemplate, strings.Join(Builtins(), ", "))
	}
	s, _ := Builtin(name)
	s.Note = fmt.Sprintf("the model has no chat template: %s is used, after its vocabulary", name)
	return s, nil
}

// FindFor is Find for conversations with tools: the variant tool_use is taken if the model has one.
func FindFor(metadata func(key string) (string, bool), vocab *tokenizer.Tokenizer, choice string, tools bool) (Source, error) {
	if key := MetadataKey + ".tool_use"; tools && choice == "" {
		if text, ok := metadata(key); ok && strings.TrimSpace(text) != "" {
			return Source{Name: key, Text: text}, nil
		}
	}
	return Find(metadata, vocab, choice)
}

func choose(metadata func(key string) (string, bool), choice string) (Source, error) {
	if s, ok := Builtin(choice); ok {
		return s, nil
	}
	if text, ok := metadata(MetadataKey + "." + choice); ok {
		return Source{Name: MetadataKey + "." + choice, Text: text}, nil
	}
	if text, ok := metadata(MetadataKey); ok && choice == "default" {
		return Source{Name: MetadataKey, Text: text}, nil
	}
	text, err := ReadFile(choice)
	if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(choice, `/\.`) {
		return Source{}, fmt.Errorf("there is no template %q: want one of %s, a variant in the model, or a file", choice, strings.Join(Builtins(), ", "))
	}
	if err != nil {
		return Source{}, err
	}
	return Source{Name: choice, Text: text}, nil
}

// ReadFile reads a template from a file: of Jinja, or of JSON with the key chat_template, which may
// be a list of named templates, of which the one called default is taken.
func ReadFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > 4*jinja.MaxSource {
		return "", fmt.Errorf("%s: %d bytes: want at most %d", path, info.Size(), 4*jinja.MaxSource)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if !strings.HasSuffix(strings.ToLower(path), ".json") {
		return string(data), nil
	}
	v, err := jinja.ParseJSON(data)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	m, _ := v.(*jinja.Map)
	if m != nil {
		v, _ = m.Get("chat_template")
	}
	switch x := v.(type) {
	case string:
		return x, nil
	case []any:
		for _, e := range x {
			if named, ok := e.(*jinja.Map); ok {
				name, _ := named.Get("name")
				text, isText := named.Get("template")
				if s, ok := text.(string); ok && isText && (name == "default" || len(x) == 1) {
					return s, nil
				}
			}
		}
	}
	return "", fmt.Errorf("%s: want the key chat_template with a text, or with a list that has a template called default", path)
}

// guess picks a built-in template by the control tokens of a vocabulary.
func guess(vocab *tokenizer.Tokenizer) string {
	has := func(spellings ...string) bool {
		return !slices.ContainsFunc(spellings, func(s string) bool {
			_, ok := vocab.Lookup(s)
			return !ok
		})
	}
	for _, g := range guesses {
		if has(g.tokens...) {
			return g.name
		}
	}
	return ""
}

// guesses are tokens that only vocabularies of one family have, the most telling ones first.
var guesses = []struct {
	name   string
	tokens []string
}{
	{"harmony", []string{"<|start|>", "<|channel|>", "<|message|>", "<|return|>"}},
	{"llama3", []string{"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}},
	{"llama4", []string{"<|header_start|>", "<|header_end|>", "<|eot|>"}},
	{"command-r", []string{"<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|USER_TOKEN|>"}},
	{"chatml", []string{"<|im_start|>", "<|im_end|>"}},
	{"gemma", []string{"<start_of_turn>", "<end_of_turn>"}},
	{"phi4", []string{"<|im_start|>", "<|im_sep|>"}},
	{"phi3", []string{"<|user|>", "<|assistant|>", "<|end|>"}},
	{"deepseek", []string{"<｜User｜>", "<｜Assistant｜>"}},
	{"granite", []string{"<|start_of_role|>", "<|end_of_role|>"}},
	{"mistral", []string{"[INST]", "[/INST]"}},
	{"zephyr", []string{"<|user|>", "<|assistant|>", "<|system|>"}},
	{"llama2", []string{"<s>", "</s>", "<0x0A>", "▁the"}},
}
