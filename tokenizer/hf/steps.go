package hf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/goinfer/goinfer/tokenizer"
)

// document is a tokenizer.json, the format of Hugging Face's tokenizers: text → normalizer →
// pre_tokenizer → model → post_processor, beside tokens that are found first. Its long lists are
// read an element at a time.
type document struct {
	AddedTokens   json.RawMessage `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Model         struct {
		Type string `json:"type"`
		// Vocab has ids by spelling; for Unigram it is a list of spellings and scores.
		Vocab        json.RawMessage `json:"vocab"`
		Merges       json.RawMessage `json:"merges"`
		UnkToken     *string         `json:"unk_token"`
		UnkID        *int64          `json:"unk_id"`
		Prefix       string          `json:"continuing_subword_prefix"`
		Suffix       string          `json:"end_of_word_suffix"`
		MaxWord      int             `json:"max_input_chars_per_word"`
		ByteFallback bool            `json:"byte_fallback"`
		FuseUnknown  bool            `json:"fuse_unk"`
		IgnoreMerges bool            `json:"ignore_merges"`
	} `json:"model"`
}

// step is one step of the pipeline, with the fields of all kinds of them.
type step struct {
	tokenizer.Step

	Normalizers   json.RawMessage `json:"normalizers"` // parts of a Sequence
	PreTokenizers json.RawMessage `json:"pretokenizers"`
	Processors    json.RawMessage `json:"processors"`

	Charsmap []byte `json:"precompiled_charsmap"`

	Single   []templatePiece             `json:"single"` // TemplateProcessing
	Specials map[string]templateSpecials `json:"special_tokens"`
	Sep      *templateToken              `json:"sep"` // BertProcessing, RobertaProcessing
	CLS      *templateToken              `json:"cls"`
}

type templatePiece struct {
	Sequence     *struct{}
	SpecialToken *struct{ ID string }
}

type templateSpecials struct {
	IDs []int64 `json:"ids"`
}

// templateToken is ["[SEP]", 102].
type templateToken struct{ id int64 }

// UnmarshalJSON implements json.Unmarshaler.
func (t *templateToken) UnmarshalJSON(b []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil || len(pair) != 2 {
		return errors.New("want a token and its id")
	}
	return json.Unmarshal(pair[1], &t.id)
}

// maxDepth bounds sequences in sequences.
const maxDepth = 8

// flat is a normalizer, a pre_tokenizer or a post_processor without sequences around its steps.
func flat(what string, raw json.RawMessage) (steps []step, err error) {
	err = flatten(&steps, what, raw, 0)
	return steps, err
}

func flatten(steps *[]step, what string, raw json.RawMessage, depth int) error {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	if depth > maxDepth {
		return fmt.Errorf("%s: sequences in sequences, over %d deep", what, maxDepth)
	}
	var s step
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("%s: %s", what, oneLine(err))
	}
	if s.Type != "Sequence" {
		if len(*steps) >= tokenizer.MaxSteps {
			return fmt.Errorf("%s: over %d steps", what, tokenizer.MaxSteps)
		}
		*steps = append(*steps, s)
		return nil
	}
	for _, list := range [...]json.RawMessage{s.Normalizers, s.PreTokenizers, s.Processors} {
		if len(list) == 0 || bytes.Equal(list, []byte("null")) {
			continue
		}
		if err := each(list, '[', func(d *json.Decoder) error {
			var part json.RawMessage
			if err := d.Decode(&part); err != nil {
				return err
			}
			return flatten(steps, what, part, depth+1)
		}); err != nil {
			return err
		}
	}
	return nil
}

// each calls f before each element of an array, or before each key of an object: f reads the
// element, or the key and the value.
func each(raw json.RawMessage, open json.Delim, f func(d *json.Decoder) error) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	t, err := d.Token()
	if err != nil {
		return errors.New(oneLine(err))
	}
	if t != open {
		want := "an array"
		if open == '{' {
			want = "an object"
		}
		return fmt.Errorf("want %s, found %s", want, shown(raw))
	}
	for d.More() {
		if err := f(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// KeyPipeline is the key of a GGUF file that holds a pipeline, as JSON. It is ours: other programs
// encode the file by their own rules.
const KeyPipeline = "tokenizer.goinfer.pipeline"

// ParsePipeline reads a pipeline that was written into a GGUF file by [Vocabulary.PipelineJSON].
func ParsePipeline(text string) (*tokenizer.Pipeline, error) {
	if len(text) > maxSettings {
		return nil, fmt.Errorf("a pipeline of %d bytes: want at most %d", len(text), maxSettings)
	}
	var lists struct {
		Normalizer   json.RawMessage `json:"normalizer"`
		PreTokenizer json.RawMessage `json:"pre_tokenizer"`
	}
	p := &tokenizer.Pipeline{}
	err := json.Unmarshal([]byte(text), &lists)
	if err == nil {
		err = errors.Join(countSteps("normalizer", lists.Normalizer), countSteps("pre_tokenizer", lists.PreTokenizer))
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), p)
	}
	if err != nil {
		return nil, fmt.Errorf("the pipeline of the vocabulary: %s", oneLine(err))
	}
	return p, nil
}

// countSteps refuses lists that would become far larger in memory than they are in the file.
func countSteps(what string, raw json.RawMessage) error {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	n := 0
	return each(raw, '[', func(d *json.Decoder) error {
		if n++; n > tokenizer.MaxSteps {
			return fmt.Errorf("%s: over %d steps", what, tokenizer.MaxSteps)
		}
		var part json.RawMessage
		return d.Decode(&part)
	})
}
