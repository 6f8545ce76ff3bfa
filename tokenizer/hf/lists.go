package hf

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/tokenizer"
)

// readWords reads vocab.txt of WordPiece: a token per line.
func (v *vocab) readWords(b []byte) error {
	v.model, v.pre = tokenizer.ModelWPM, "default"
	lower := tokenizer.IsTrue(v.settings.flag("do_lower_case"), true)
	v.lowercase, v.stripAccents = &lower, v.settings.flag("strip_accents")
	v.pipeline = &tokenizer.Pipeline{
		Prefix: "##", Clean: tokenizer.IsTrue(v.settings.flag("clean_up_tokenization_spaces"), true),
		Normalizer: []tokenizer.Step{{Type: "BertNormalizer", CleanText: flag(true), Lowercase: v.lowercase,
			Chinese: flag(tokenizer.IsTrue(v.settings.flag("tokenize_chinese_chars"), true)), StripAccents: v.stripAccents}},
		PreTokenizer: []tokenizer.Step{{Type: "BertPreTokenizer"}},
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return v.fail("want a token per line, found a zero byte")
	}
	for i, line := range strings.Split(strings.TrimRight(string(b), "\r\n"), "\n") {
		if err := v.put(int64(i), piece{text: strings.TrimSuffix(line, "\r"), kind: tokenizer.TypeNormal}); err != nil {
			return err
		}
	}
	for _, name := range []string{"UNK", "CLS", "SEP", "PAD", "MASK"} {
		if key := strings.ToLower(name) + "_token"; v.settings.raw(key) == nil && v.has("["+name+"]") {
			v.settings.set(key, json.RawMessage(`"[`+name+`]"`))
		}
	}
	if err := v.addMore(map[string]bool{}); err != nil {
		return err
	}
	if id := v.special("cls"); id >= 0 {
		v.pipeline.Front = []int32{id}
	}
	if id := v.special("sep"); id >= 0 {
		v.pipeline.Back = []int32{id}
	}
	return v.respell()
}

func (v *vocab) has(text string) bool {
	_, ok := v.index[text]
	return ok
}

// readVocabJSON reads vocab.json and merges.txt of byte-level BPE, whose pattern the class of the
// tokenizer stands for.
func (v *vocab) readVocabJSON(b []byte) error {
	v.model = tokenizer.ModelBPE
	v.pipeline = &tokenizer.Pipeline{Clean: tokenizer.IsTrue(v.settings.flag("clean_up_tokenization_spaces"), true)}
	prefix := tokenizer.IsTrue(v.settings.flag("add_prefix_space"), false)
	class := v.settings.text("tokenizer_class")
	kind := strings.TrimSuffix(strings.TrimSuffix(class, "Fast"), "Tokenizer")
	if kind == "" {
		kind = v.config.text("model_type")
	}
	switch strings.ToLower(kind) {
	case "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen2_vl", "qwen2_5_vl":
		v.pipeline.Normalizer = []tokenizer.Step{{Type: "NFC"}}
		v.pipeline.PreTokenizer = isolate(tokenizer.PatternQwen2)
	case "", "gpt2", "gptneox", "gpt_neox", "gpt_neo", "gptneo", "gptj", "codegen", "starcoder", "bloom", "opt", "phi", "smollm", "olmo",
		"roberta", "bart", "longformer", "led", "whisper", "gpt_bigcode", "llama", "pretrained":
		v.pipeline.PreTokenizer = []tokenizer.Step{{Type: "ByteLevel", AddPrefixSpace: &prefix, UseRegex: flag(true)}}
	default:
		return v.unsupported("vocab.json of a %s: want tokenizer.json beside it", quoted(cmp.Or(class, kind)))
	}
	if err := v.readVocabMap(b); err != nil {
		return err
	}
	if err := v.readMergesText(); err != nil {
		return err
	}
	v.pre = v.preName()
	if err := v.addMore(map[string]bool{}); err != nil {
		return err
	}
	switch strings.ToLower(kind) {
	case "roberta", "bart", "longformer", "led":
		if cls, sep := v.special("cls"), v.special("sep"); cls >= 0 && sep >= 0 {
			v.pipeline.Front, v.pipeline.Back = []int32{cls}, []int32{sep}
		}
	case "opt":
		if bos := v.special("bos"); bos >= 0 {
			v.pipeline.Front = []int32{bos}
		}
	}
	return nil
}

// isolate is the pre-tokenizer of a pattern, before bytes become characters.
func isolate(pattern string) []tokenizer.Step {
	return []tokenizer.Step{{Type: "Split", Pattern: tokenizer.Pattern{Regex: &pattern}, Behavior: "Isolated"},
		{Type: "ByteLevel", AddPrefixSpace: flag(false), UseRegex: flag(false)}}
}

// readMergesText reads merges.txt: a merge per line, after a line with a version.
func (v *vocab) readMergesText() error {
	path := filepath.Join(v.dir, "merges.txt")
	b, err := readWhole(path, maxVocab)
	if err != nil {
		return err
	}
	for i, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || strings.HasPrefix(line, "#version") {
			continue
		}
		left, right, ok := strings.Cut(line, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return fault.Bad(path, fmt.Errorf("line %d: want two symbols in a merge, found %s", i+1, quoted(line)))
		}
		if strings.HasSuffix(right, "</w>") {
			return fault.Bad(path, fmt.Errorf("line %d: %w end_of_word_suffix </w>", i+1, ErrUnsupported))
		}
		v.merges = append(v.merges, line)
	}
	return nil
}

// tekken is tekken.json, Mistral's format: tokens as bytes by rank, after the special tokens.
type tekken struct {
	Config struct {
		Pattern  string `json:"pattern"`
		Size     int    `json:"default_vocab_size"`
		Specials int    `json:"default_num_special_tokens"`
	} `json:"config"`
	Vocab    json.RawMessage `json:"vocab"`
	Specials json.RawMessage `json:"special_tokens"`
}

type tekkenToken struct {
	Rank  int64  `json:"rank"`
	Bytes string `json:"token_bytes"`
	Text  string `json:"token_str"`
}

// tekkenSpecials are the special tokens of files that do not list them.
var tekkenSpecials = []string{"<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
	"[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]",
	"[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"}

// maxRanked bounds a token of tekken.json in bytes: each place in it is tried as a merge.
const maxRanked = 1 << 9

// readTekken reads tekken.json.
func (v *vocab) readTekken(b []byte) error {
	var j tekken
	if err := json.Unmarshal(b, &j); err != nil {
		return v.fail("%s", oneLine(err))
	}
	n := j.Config.Specials
	if n < 0 || n > maxPadding || j.Config.Size < n {
		return v.fail("config: %d special tokens of %d", n, j.Config.Size)
	}
	v.model = tokenizer.ModelBPE
	v.pipeline = &tokenizer.Pipeline{IgnoreMerges: true, PreTokenizer: isolate(j.Config.Pattern)}
	if v.pre = v.preName(); v.pre == preOwn {
		return v.unsupported("pattern %s", quoted(j.Config.Pattern))
	}
	specials, err := v.tekkenSpecials(&j)
	if err != nil {
		return err
	}
	for id, text := range specials {
		if err := v.put(int64(id), piece{text: text, kind: tokenizer.TypeControl}); err != nil {
			return err
		}
		v.pipeline.Added = append(v.pipeline.Added, tokenizer.Added{ID: int32(id), Content: text, Special: true})
	}
	var tokens []string
	if len(j.Vocab) == 0 {
		return v.fail("vocab: no tokens")
	}
	err = each(j.Vocab, '[', func(d *json.Decoder) error {
		var t tekkenToken
		if err := d.Decode(&t); err != nil {
			return err
		}
		raw, err := base64.StdEncoding.DecodeString(t.Bytes)
		if err != nil || len(raw) == 0 || len(raw) > maxRanked || t.Rank != int64(len(tokens)) {
			return fmt.Errorf("token %d: want its rank and 1 to %d bytes in base 64", len(tokens), maxRanked)
		}
		if len(tokens)+n == j.Config.Size {
			return errEnough
		}
		tokens = append(tokens, string(raw))
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return v.fail("vocab: %s", oneLine(err))
	}
	if err := v.putRanked(tokens, n); err != nil {
		return err
	}
	v.bos, v.eos, v.unk = v.idOf("<s>"), v.idOf("</s>"), v.idOf("<unk>")
	if v.bos >= 0 {
		v.pipeline.Front = []int32{v.bos}
	}
	return v.addMore(map[string]bool{})
}

var errEnough = errors.New("the vocabulary is full")

func (v *vocab) idOf(text string) int32 {
	if id, ok := v.index[text]; ok {
		return id
	}
	return -1
}

// tekkenSpecials are the special tokens by their ids.
func (v *vocab) tekkenSpecials(j *tekken) ([]string, error) {
	n := j.Config.Specials
	texts := make([]string, n)
	if len(j.Specials) == 0 || bytes.Equal(j.Specials, []byte("null")) {
		copy(texts, tekkenSpecials)
	} else {
		err := each(j.Specials, '[', func(d *json.Decoder) error {
			var t tekkenToken
			if err := d.Decode(&t); err != nil {
				return err
			}
			if t.Rank < 0 || t.Rank >= int64(n) || texts[t.Rank] != "" {
				return fmt.Errorf("token %s: the rank %d is taken, or not below %d", quoted(t.Text), t.Rank, n)
			}
			texts[t.Rank] = t.Text
			return nil
		})
		if err != nil {
			return nil, v.fail("special_tokens: %s", oneLine(err))
		}
	}
	for id := range texts {
		if texts[id] == "" {
			texts[id] = fmt.Sprintf("<SPECIAL_%d>", id)
		}
	}
	return texts, nil
}

// putRanked enters tokens in bytes, the ids from first on, and a merge for each way to make one of
// two others: of a token's merges those of better parts first.
func (v *vocab) putRanked(tokens []string, first int) error {
	rank := make(map[string]int32, len(tokens))
	for i, s := range tokens {
		rank[s] = int32(i)
	}
	type split struct{ left, right int32 }
	var splits []split
	spelled := make([]string, len(tokens))
	for i, s := range tokens {
		spelled[i] = tokenizer.SpellBytes(s)
		if err := v.put(int64(first+i), piece{text: spelled[i], kind: tokenizer.TypeNormal}); err != nil {
			return err
		}
		splits = splits[:0]
		for at := 1; at < len(s); at++ {
			left, okL := rank[s[:at]]
			right, okR := rank[s[at:]]
			if okL && okR {
				splits = append(splits, split{left, right})
			}
		}
		slices.SortFunc(splits, func(a, b split) int { return cmp.Or(cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right)) })
		for _, p := range splits {
			v.merges = append(v.merges, spelled[p.left]+" "+spelled[p.right])
		}
	}
	return nil
}
