package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/tokenizer"
)

// tokenizerJSON is a tokenizer.json, the format of Hugging Face's tokenizers: text → normalizer → pre_tokenizer → model → post_processor, beside tokens that are found first.
type tokenizerJSON struct {
	AddedTokens   []added   `json:"added_tokens"`
	Normalizer    *step     `json:"normalizer"`
	PreTokenizer  *step     `json:"pre_tokenizer"`
	PostProcessor *step     `json:"post_processor"`
	Model         jsonModel `json:"model"`
}

type jsonModel struct {
	Type         string          `json:"type"`
	Vocab        json.RawMessage `json:"vocab"` // ids by spelling; for Unigram a list of spellings and scores
	Merges       []jsonMerge     `json:"merges"`
	UnkToken     *string         `json:"unk_token"`
	UnkID        *int64          `json:"unk_id"`
	Prefix       *string         `json:"continuing_subword_prefix"`
	Suffix       *string         `json:"end_of_word_suffix"`
	ByteFallback bool            `json:"byte_fallback"`
	IgnoreMerges bool            `json:"ignore_merges"`
}

// jsonMerge is "left right", or ["left", "right"].
type jsonMerge [2]string

// UnmarshalJSON implements json.Unmarshaler.
func (m *jsonMerge) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		var pair []string
		if err := json.Unmarshal(b, &pair); err != nil || len(pair) != 2 {
			return errors.New("want two symbols in a merge")
		}
		*m = jsonMerge(pair)
		return nil
	}
	var line string
	if err := json.Unmarshal(b, &line); err != nil {
		return err
	}
	left, right, ok := strings.Cut(line, " ")
	if !ok || strings.Contains(right, " ") {
		return fmt.Errorf("want two symbols in a merge, found %s", quoted(line))
	}
	*m = jsonMerge{left, right}
	return nil
}

// step is one step of the pipeline, with the fields of all kinds of them.
type step struct {
	Type string `json:"type"`

	Normalizers   []step `json:"normalizers"` // of a Sequence
	PreTokenizers []step `json:"pretokenizers"`
	Processors    []step `json:"processors"`

	Pattern  pattern `json:"pattern"` // Split, Replace
	Content  string  `json:"content"`
	Behavior string  `json:"behavior"` // Split, Punctuation
	Invert   bool    `json:"invert"`

	Prepend        string `json:"prepend"`
	AddPrefixSpace *bool  `json:"add_prefix_space"` // ByteLevel, Metaspace
	PrependScheme  string `json:"prepend_scheme"`   // Metaspace
	Replacement    string `json:"replacement"`
	Split          *bool  `json:"split"`
	UseRegex       *bool  `json:"use_regex"` // ByteLevel
	Individual     bool   `json:"individual_digits"`

	CleanText    *bool  `json:"clean_text"` // BertNormalizer
	Chinese      *bool  `json:"handle_chinese_chars"`
	StripAccents *bool  `json:"strip_accents"`
	Lowercase    *bool  `json:"lowercase"`
	Charsmap     []byte `json:"precompiled_charsmap"`

	Single   []templatePiece             `json:"single"` // TemplateProcessing
	Specials map[string]templateSpecials `json:"special_tokens"`
	Sep, CLS *templateToken              // BertProcessing, RobertaProcessing
}

// pattern is a text, or a regular expression.
type pattern struct{ String, Regex *string }

type templatePiece struct {
	Sequence     *struct{}
	SpecialToken *struct{ ID string }
}

type templateSpecials struct {
	IDs []int64 `json:"ids"`
}

// templateToken is ["[SEP]", 102].
type templateToken struct {
	text string
	id   int64
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *templateToken) UnmarshalJSON(b []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil || len(pair) != 2 {
		return errors.New("want a token and its id")
	}
	return errors.Join(json.Unmarshal(pair[0], &t.text), json.Unmarshal(pair[1], &t.id))
}

// flat is s without sequences around its parts.
func (s *step) flat() []step {
	if s == nil {
		return nil
	}
	if s.Type != "Sequence" {
		return []step{*s}
	}
	var all []step
	for _, parts := range [...][]step{s.Normalizers, s.PreTokenizers, s.Processors} {
		for i := range parts {
			all = append(all, parts[i].flat()...)
		}
	}
	return all
}

func isTrue(b *bool, def bool) bool {
	if b == nil {
		return def
	}
	return *b
}

func flag(b bool) *bool { return &b }

// readJSON reads tokenizer.json.
func (v *vocab) readJSON(b []byte) error {
	var j tokenizerJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return v.fail("%s", oneLine(err))
	}
	m := &j.Model
	if m.Prefix != nil && *m.Prefix == "" {
		m.Prefix = nil
	}
	if m.Suffix != nil && *m.Suffix != "" {
		return v.unsupported("end_of_word_suffix %s", quoted(*m.Suffix))
	}
	if m.Type == "" && m.Merges != nil { // before the field existed
		m.Type = "BPE"
	}
	var err error
	switch m.Type {
	case "BPE":
		switch {
		case m.Prefix != nil:
			return v.unsupported("continuing_subword_prefix %s of BPE", quoted(*m.Prefix))
		case slices.ContainsFunc(j.PreTokenizer.flat(), func(s step) bool { return s.Type == "ByteLevel" }):
			err = v.readByteLevel(&j)
		default:
			err = v.readCharBPE(&j)
		}
	case "WordPiece":
		err = v.readWordPiece(&j)
	case "Unigram":
		err = v.readUnigram(&j)
	default:
		return v.unsupported("model %s: want BPE, Unigram or WordPiece", quoted(m.Type))
	}
	if err != nil {
		return err
	}
	return v.readPost(j.PostProcessor.flat())
}

// oneLine is an error of the JSON decoder, which may quote the file.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

// readVocabMap reads the vocabulary of BPE and WordPiece.
func (v *vocab) readVocabMap(raw json.RawMessage) error {
	var ids map[string]int64
	if err := json.Unmarshal(raw, &ids); err != nil {
		return v.fail("vocab: %s", oneLine(err))
	}
	if len(ids) == 0 {
		return v.fail("vocab: no tokens")
	}
	v.pieces = slices.Grow(v.pieces, len(ids))
	byID := make([]string, 0, len(ids))
	for text := range ids {
		byID = append(byID, text)
	}
	slices.SortFunc(byID, func(a, b string) int { return cmp.Or(cmp.Compare(ids[a], ids[b]), strings.Compare(a, b)) })
	for _, text := range byID {
		if err := v.put(ids[text], piece{text: text, kind: tokenizer.TypeNormal}); err != nil {
			return err
		}
	}
	return nil
}

// markBytes gives <0x00> to <0xFF> their type.
func (v *vocab) markBytes() {
	for b := range 256 {
		if id, ok := v.index[fmt.Sprintf("<0x%02X>", b)]; ok {
			v.pieces[id].kind = tokenizer.TypeByte
		}
	}
}

// markUnknown gives the unknown token its type.
func (v *vocab) markUnknown(text *string) error {
	if text == nil {
		return nil
	}
	id, ok := v.index[*text]
	if !ok {
		return v.fail("unk_token %s is not in the vocabulary", quoted(*text))
	}
	v.unk = id
	v.pieces[id].kind = tokenizer.TypeUnknown
	return nil
}

// readByteLevel reads byte-level BPE, GPT-2's kind.
func (v *vocab) readByteLevel(j *tokenizerJSON) error {
	v.model = tokenizer.ModelBPE
	for _, s := range j.Normalizer.flat() {
		if s.Type != "NFC" {
			return v.unsupported("normalizer %s of byte-level BPE", quoted(s.Type))
		}
	}
	patterns, err := v.patterns(j.PreTokenizer.flat())
	if err != nil {
		return err
	}
	if v.pre, err = tokenizer.PreName(patterns, j.Model.IgnoreMerges, v.settings.flag(false, "clean_up_tokenization_spaces")); err != nil {
		return v.fail("pre_tokenizer: %w", err)
	}
	if err := v.readVocabMap(j.Model.Vocab); err != nil {
		return err
	}
	for _, m := range j.Model.Merges {
		if strings.Contains(m[0], " ") || strings.Contains(m[1], " ") {
			return v.fail("merge of %s and %s: want no spaces in byte-level symbols", quoted(m[0]), quoted(m[1]))
		}
		v.merges = append(v.merges, m[0]+" "+m[1])
	}
	return v.add(j.AddedTokens)
}

// patterns are the regular expressions of a byte-level pre-tokeniser.
func (v *vocab) patterns(steps []step) (patterns []string, err error) {
	for _, s := range steps {
		switch {
		case s.Type == "ByteLevel":
			if isTrue(s.AddPrefixSpace, true) {
				return nil, v.unsupported("pre_tokenizer ByteLevel with add_prefix_space")
			}
			if isTrue(s.UseRegex, true) {
				patterns = append(patterns, tokenizer.PatternByteLevel)
			}
		case s.Type == "Digits" && s.Individual:
			patterns = append(patterns, tokenizer.PatternDigit)
		case s.Type == "Digits":
			patterns = append(patterns, tokenizer.PatternDigits)
		case s.Type == "Punctuation" && s.Behavior == "Contiguous":
			patterns = append(patterns, tokenizer.PatternPunctuations)
		case s.Type == "Punctuation" && (s.Behavior == "Isolated" || s.Behavior == ""):
			patterns = append(patterns, tokenizer.PatternPunctuation)
		case s.Type == "Split" && s.isolates():
			patterns = append(patterns, *s.Pattern.Regex)
		default:
			return nil, v.unsupported("pre_tokenizer %s %s", quoted(s.Type), strings.TrimSpace(s.Behavior))
		}
	}
	return patterns, nil
}

// isolates reports whether a Split makes a piece of each match and of what lies between two: it says so, or it removes what does not match where the last
// alternatives leave nothing.
func (s *step) isolates() bool {
	if s.Pattern.Regex == nil {
		return false
	}
	return s.Behavior == "Isolated" && !s.Invert || s.Behavior == "Removed" && s.Invert && strings.HasSuffix(*s.Pattern.Regex, `|\s+`)
}

// readWordPiece reads WordPiece, BERT's kind.
func (v *vocab) readWordPiece(j *tokenizerJSON) error {
	v.model, v.pre = tokenizer.ModelWPM, "default"
	v.lowercase, v.stripAccents = flag(false), flag(false)
	for _, s := range j.Normalizer.flat() {
		switch s.Type {
		case "BertNormalizer":
			if !isTrue(s.CleanText, true) || !isTrue(s.Chinese, true) {
				return v.unsupported("normalizer BertNormalizer without clean_text or handle_chinese_chars")
			}
			v.lowercase = flag(isTrue(s.Lowercase, true))
			v.stripAccents = flag(isTrue(s.StripAccents, *v.lowercase))
		case "Lowercase":
			v.lowercase = flag(true)
		case "StripAccents":
			v.stripAccents = flag(true)
		case "NFD": // what StripAccents needs
		default:
			return v.unsupported("normalizer %s of WordPiece", quoted(s.Type))
		}
	}
	for _, s := range j.PreTokenizer.flat() {
		if s.Type != "BertPreTokenizer" {
			return v.unsupported("pre_tokenizer %s of WordPiece", quoted(s.Type))
		}
	}
	if j.Model.Prefix != nil && *j.Model.Prefix != "##" {
		return v.unsupported("continuing_subword_prefix %s: want ##", quoted(*j.Model.Prefix))
	}
	if err := v.readVocabMap(j.Model.Vocab); err != nil {
		return err
	}
	if err := v.markUnknown(j.Model.UnkToken); err != nil {
		return err
	}
	if err := v.add(j.AddedTokens); err != nil {
		return err
	}
	return v.respell()
}

// respell writes the tokens of WordPiece as GGUF has them: those that begin a word with U+2581 in front, the others without ##. What stands in brackets stays.
func (v *vocab) respell() error {
	for i := range v.pieces {
		p := &v.pieces[i]
		switch text := p.text; {
		case p.kind != tokenizer.TypeNormal || strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]"):
		case strings.HasPrefix(text, "##") && len(text) > 2:
			p.text = text[2:]
		default:
			p.text = spaceMark + text
		}
	}
	return nil
}

// readWords reads vocab.txt of WordPiece: a token per line.
func (v *vocab) readWords(b []byte) error {
	v.model, v.pre = tokenizer.ModelWPM, "default"
	v.lowercase = flag(v.settings.flag(true, "do_lower_case"))
	if v.settings.has("strip_accents") {
		v.stripAccents = flag(v.settings.flag(false, "strip_accents"))
	}
	if !v.settings.flag(true, "tokenize_chinese_chars") {
		return v.unsupported("tokenize_chinese_chars: false")
	}
	if bytes.IndexByte(b, 0) >= 0 {
		return v.fail("want a token per line, found a zero byte")
	}
	for i, line := range strings.Split(strings.TrimRight(string(b), "\r\n"), "\n") {
		p := piece{text: strings.TrimSuffix(line, "\r"), kind: tokenizer.TypeNormal}
		switch p.text {
		case "[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]":
			p.kind = tokenizer.TypeControl
			if name := strings.ToLower(strings.Trim(p.text, "[]")) + "_token"; !v.settings.has(name) {
				v.settings.values[name] = p.text
			}
		}
		if err := v.put(int64(i), p); err != nil {
			return err
		}
	}
	return v.respell()
}

// readUnigram reads Unigram, SentencePiece's other kind.
func (v *vocab) readUnigram(j *tokenizerJSON) error {
	v.model, v.pre = tokenizer.ModelUnigram, "default"
	var list [][2]json.RawMessage
	if err := json.Unmarshal(j.Model.Vocab, &list); err != nil {
		return v.fail("vocab: %s", oneLine(err))
	}
	if len(list) == 0 {
		return v.fail("vocab: no tokens")
	}
	for i, entry := range list {
		p := piece{kind: tokenizer.TypeNormal}
		if err := errors.Join(json.Unmarshal(entry[0], &p.text), json.Unmarshal(entry[1], &p.score)); err != nil {
			return v.fail("vocab: token %d: want a text and a score", i)
		}
		if err := v.put(int64(i), p); err != nil {
			return err
		}
	}
	if j.Model.ByteFallback {
		v.markBytes()
	}
	if id := j.Model.UnkID; id != nil {
		if *id < 0 || *id >= int64(len(v.pieces)) {
			return v.fail("unk_id %d is outside the vocabulary of %d tokens", *id, len(v.pieces))
		}
		if err := v.markUnknown(&v.pieces[*id].text); err != nil {
			return err
		}
	}
	if err := v.unigramSteps(j); err != nil {
		return err
	}
	return v.add(j.AddedTokens)
}

// unigramSteps reads normalizer and pre_tokenizer of Unigram.
func (v *vocab) unigramSteps(j *tokenizerJSON) error {
	v.spacePrefix, v.mergeSpaces = flag(false), flag(false)
	for _, s := range j.Normalizer.flat() {
		switch {
		case s.Type == "Precompiled" && v.charsmap == nil:
			v.charsmap = s.Charsmap
		case s.Type == "Replace" && s.Pattern.Regex != nil && *s.Pattern.Regex == " {2,}" && (s.Content == " " || s.Content == spaceMark):
			v.mergeSpaces = flag(true)
		case s.Type == "Strip": // of white space at the ends, which goes with that in between
		default:
			return v.unsupported("normalizer %s of Unigram", quoted(s.Type))
		}
	}
	for _, s := range j.PreTokenizer.flat() {
		switch s.Type {
		case "WhitespaceSplit":
			v.mergeSpaces = flag(true)
		case "Metaspace":
			if err := v.readMetaspace(&s); err != nil {
				return err
			}
		default:
			return v.unsupported("pre_tokenizer %s of Unigram", quoted(s.Type))
		}
	}
	return nil
}

// readMetaspace reads the step that writes spaces as U+2581 and cuts in front of them.
func (v *vocab) readMetaspace(s *step) error {
	if s.Replacement != spaceMark && s.Replacement != "" {
		return v.unsupported("pre_tokenizer Metaspace with replacement %s", quoted(s.Replacement))
	}
	switch s.PrependScheme {
	case "always", "first":
		v.spacePrefix = flag(true)
	case "never":
		v.spacePrefix = flag(false)
	case "":
		v.spacePrefix = flag(isTrue(s.AddPrefixSpace, true))
	default:
		return v.unsupported("pre_tokenizer Metaspace with prepend_scheme %s", quoted(s.PrependScheme))
	}
	if !isTrue(s.Split, true) {
		return nil
	}
	for _, p := range v.pieces {
		if p.kind == tokenizer.TypeNormal && strings.LastIndex(p.text, spaceMark) > 0 && strings.Trim(p.text, spaceMark) != "" {
			return v.unsupported("pre_tokenizer Metaspace that cuts between words, while token %s spans two", quoted(p.text))
		}
	}
	return nil
}

// readPost finds out what is put around a text: nothing, BOS in front, EOS behind, or for WordPiece [CLS] and [SEP].
func (v *vocab) readPost(steps []step) error {
	var front, back []int32
	for _, s := range steps {
		var err error
		switch s.Type {
		case "ByteLevel": // offsets only
		case "TemplateProcessing":
			front, back, err = v.template(&s)
		case "BertProcessing", "RobertaProcessing":
			if s.CLS == nil || s.Sep == nil {
				return v.fail("post_processor %s: no cls or no sep", s.Type)
			}
			if front, err = v.tokensOf(s.CLS.id); err == nil {
				back, err = v.tokensOf(s.Sep.id)
			}
		default:
			return v.unsupported("post_processor %s", quoted(s.Type))
		}
		if err != nil {
			return err
		}
	}
	if len(front) > 1 || len(back) > 1 {
		return v.unsupported("post_processor with %d tokens in front of a text and %d behind: want one at most", len(front), len(back))
	}
	if v.model == tokenizer.ModelWPM {
		if len(front) != 1 || len(back) != 1 {
			return v.unsupported("post_processor of WordPiece with %d tokens in front of a text and %d behind: want one each", len(front), len(back))
		}
		v.settings.values["cls_token"], v.settings.values["sep_token"] = v.spelled(front[0]), v.spelled(back[0])
		return nil
	}
	v.addBOS, v.addEOS = flag(len(front) == 1), flag(len(back) == 1)
	if len(front) == 1 {
		v.bos = front[0]
	}
	if len(back) == 1 {
		v.eos = back[0]
	}
	return nil
}

// spelled is the spelling of a token in the file.
func (v *vocab) spelled(id int32) string {
	for text, i := range v.index {
		if i == id {
			return text
		}
	}
	return ""
}

// template reads what a template puts before and behind a text.
func (v *vocab) template(s *step) (front, back []int32, err error) {
	seen := false
	for _, p := range s.Single {
		switch {
		case p.Sequence != nil && !seen:
			seen = true
		case p.SpecialToken != nil:
			special, ok := s.Specials[p.SpecialToken.ID]
			if !ok {
				return nil, nil, v.fail("post_processor TemplateProcessing: special_tokens lack %s", quoted(p.SpecialToken.ID))
			}
			ids, err := v.tokensOf(special.IDs...)
			if err != nil {
				return nil, nil, err
			}
			if seen {
				back = append(back, ids...)
			} else {
				front = append(front, ids...)
			}
		default:
			return nil, nil, v.unsupported("post_processor TemplateProcessing: want one Sequence and SpecialTokens around it")
		}
	}
	if !seen {
		return nil, nil, v.unsupported("post_processor TemplateProcessing without the text")
	}
	return front, back, nil
}

// tokensOf checks ids of a post_processor.
func (v *vocab) tokensOf(ids ...int64) (out []int32, err error) {
	for _, id := range ids {
		if id < 0 || id >= int64(len(v.pieces)) || v.pieces[id].kind == 0 {
			return nil, v.fail("post_processor: token %d is not in the vocabulary", id)
		}
		out = append(out, int32(id))
	}
	return out, nil
}
