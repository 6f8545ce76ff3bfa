package hf

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/goinfer/goinfer/tokenizer"
)

// spaceMark is what SentencePiece writes spaces as.
const spaceMark = "▁"

// preOwn is the name of a pre-tokenizer that GGUF has no name for: other programs refuse it.
const preOwn = "tokenizer.json"

func flag(b bool) *bool { return &b }

// readDocument reads tokenizer.json.
func (v *vocab) readDocument(b []byte) error {
	var j document
	if err := json.Unmarshal(b, &j); err != nil {
		return v.fail("%s", oneLine(err))
	}
	v.pipeline = &tokenizer.Pipeline{Clean: tokenizer.IsTrue(v.settings.flag("clean_up_tokenization_spaces"), false)}
	if j.Model.Suffix != "" {
		return v.unsupported("end_of_word_suffix %s", quoted(j.Model.Suffix))
	}
	normalizer, err := v.normalizer(j.Normalizer)
	if err != nil {
		return err
	}
	pre, err := flat("pre_tokenizer", j.PreTokenizer)
	if err != nil {
		return v.fail("%w", err)
	}
	for _, s := range pre {
		v.pipeline.PreTokenizer = append(v.pipeline.PreTokenizer, s.Step)
	}
	if err := v.pipeline.Check(); err != nil {
		return v.fail("%w", err)
	}
	switch kind := v.kindOf(&j); kind {
	case "BPE":
		err = v.readBPE(&j, normalizer, pre)
	case "WordPiece":
		err = v.readWordPiece(&j, normalizer)
	case "Unigram":
		err = v.readUnigram(&j, normalizer, pre)
	case "WordLevel":
		v.model, v.pre = tokenizer.ModelWordLevel, preOwn
		if err = v.readVocabMap(j.Model.Vocab); err == nil {
			err = v.markUnknown(j.Model.UnkToken)
		}
	default:
		return v.unsupported("model %s: want BPE, Unigram, WordPiece or WordLevel", quoted(kind))
	}
	if err != nil {
		return err
	}
	if err := v.addListed(j.AddedTokens); err != nil {
		return err
	}
	post, err := flat("post_processor", j.PostProcessor)
	if err != nil {
		return v.fail("%w", err)
	}
	if err := v.readPost(post); err != nil {
		return err
	}
	if v.model == tokenizer.ModelWPM {
		return v.respell()
	}
	return nil
}

// kindOf is the type of the model, which old files do not name.
func (v *vocab) kindOf(j *document) string {
	m := &j.Model
	switch {
	case m.Type != "":
		return m.Type
	case m.Merges != nil:
		return "BPE"
	case bytes.HasPrefix(m.Vocab, []byte("[")):
		return "Unigram"
	case m.MaxWord > 0 || m.Prefix != "":
		return "WordPiece"
	case len(m.Vocab) > 0:
		return "WordLevel"
	}
	return ""
}

// normalizer reads the steps of the normalizer into the pipeline.
func (v *vocab) normalizer(raw json.RawMessage) ([]step, error) {
	steps, err := flat("normalizer", raw)
	if err != nil {
		return nil, v.fail("%w", err)
	}
	for _, s := range steps {
		if s.Type == "Precompiled" {
			if v.charsmap != nil {
				return nil, v.unsupported("normalizer with two steps Precompiled")
			}
			v.charsmap = s.Charsmap
		}
		v.pipeline.Normalizer = append(v.pipeline.Normalizer, s.Step)
	}
	return steps, nil
}

// readVocabMap reads a vocabulary of ids by spelling.
func (v *vocab) readVocabMap(raw json.RawMessage) error {
	type entry struct {
		text string
		id   int64
	}
	var list []entry
	err := each(raw, '{', func(d *json.Decoder) error {
		key, err := d.Token()
		if err != nil {
			return err
		}
		value, err := d.Token()
		if err != nil {
			return err
		}
		text, _ := key.(string)
		n, ok := value.(json.Number)
		id, err := n.Int64()
		if !ok || err != nil {
			return fmt.Errorf("token %s: want a number, found %v", quoted(text), shown([]byte(fmt.Sprint(value))))
		}
		list = append(list, entry{text, id})
		return nil
	})
	if err != nil {
		return v.fail("vocab: %s", oneLine(err))
	}
	if len(list) == 0 {
		return v.fail("vocab: no tokens")
	}
	slices.SortStableFunc(list, func(a, b entry) int { return cmp.Compare(a.id, b.id) })
	v.pieces = slices.Grow(v.pieces, len(list))
	v.index = make(map[string]int32, len(list))
	for _, e := range list {
		if err := v.put(e.id, piece{text: e.text, kind: tokenizer.TypeNormal}); err != nil {
			return err
		}
	}
	v.pipeline.Size = len(v.pieces)
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

// readMerges reads "left right", or ["left", "right"].
func (v *vocab) readMerges(raw json.RawMessage) error {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	want := func(found any) error {
		return fmt.Errorf("want two symbols in a merge, found %.80q", fmt.Sprint(found))
	}
	err := each(raw, '[', func(d *json.Decoder) error {
		t, err := d.Token()
		if err != nil {
			return err
		}
		if line, ok := t.(string); ok {
			left, right, ok := strings.Cut(line, " ")
			if !ok || left == "" || right == "" || strings.Contains(right, " ") {
				return want(line)
			}
			v.merges = append(v.merges, line)
			return nil
		}
		if t != json.Delim('[') {
			return want(t)
		}
		var pair []string
		for d.More() {
			if t, err = d.Token(); err != nil {
				return err
			}
			symbol, ok := t.(string)
			if !ok || symbol == "" || len(pair) == 2 {
				return want(t)
			}
			pair = append(pair, symbol)
		}
		if len(pair) != 2 {
			return want(pair)
		}
		if strings.Contains(pair[0], " ") || strings.Contains(pair[1], " ") {
			return fmt.Errorf("merge of %s and %s: want no spaces in symbols", quoted(pair[0]), quoted(pair[1]))
		}
		v.merges = append(v.merges, pair[0]+" "+pair[1])
		_, err = d.Token()
		return err
	})
	if err != nil {
		return v.fail("merges: %s", oneLine(err))
	}
	return nil
}

// readBPE reads BPE on bytes, GPT-2's kind, or on characters.
func (v *vocab) readBPE(j *document, normalizer, pre []step) error {
	if j.Model.Prefix != "" {
		return v.unsupported("continuing_subword_prefix %s of BPE", quoted(j.Model.Prefix))
	}
	p := v.pipeline
	p.IgnoreMerges, p.ByteFallback, p.FuseUnknown = j.Model.IgnoreMerges, j.Model.ByteFallback, j.Model.FuseUnknown
	if err := v.readVocabMap(j.Model.Vocab); err != nil {
		return err
	}
	if err := v.readMerges(j.Model.Merges); err != nil {
		return err
	}
	if j.Model.ByteFallback {
		v.markBytes()
	}
	if err := v.markUnknown(j.Model.UnkToken); err != nil {
		return err
	}
	if slices.ContainsFunc(pre, func(s step) bool { return s.Type == "ByteLevel" }) {
		v.model = tokenizer.ModelBPE
		v.pre = v.preName()
		return nil
	}
	p.Characters = true
	return v.readCharacters(normalizer, pre)
}

// preName is the name that GGUF has for the patterns that cut text.
func (v *vocab) preName() string {
	var patterns []string
	for _, s := range v.pipeline.PreTokenizer {
		list, ok := tokenizer.PatternsOf(&s)
		if !ok {
			return preOwn
		}
		patterns = append(patterns, list...)
	}
	names := tokenizer.PreNamesFor(patterns)
	if _, cohere := v.index["<BOS_TOKEN>"]; cohere && slices.Contains(names, "command-r") {
		return "command-r"
	}
	for _, name := range names {
		if tokenizer.CleansSpaces(name) == v.pipeline.Clean {
			return name
		}
	}
	if len(names) > 0 {
		return names[0]
	}
	return preOwn
}

// readCharacters reads BPE on characters. With spaces as U+2581 and bytes for what is unknown it is
// SentencePiece's BPE, which GGUF has a name for.
func (v *vocab) readCharacters(normalizer, pre []step) error {
	v.model, v.pre = tokenizer.ModelBPE, preOwn
	v.spacePrefix = flag(false)
	marked := false
	for _, s := range normalizer {
		switch {
		case s.Type == "Prepend" && s.Prepend == spaceMark:
			v.spacePrefix = flag(true)
		case s.Type == "Replace" && s.Pattern.String != nil && *s.Pattern.String == " " && s.Content == spaceMark:
			marked = true
		}
	}
	for _, s := range pre {
		if s.Type == "Metaspace" && (s.Replacement == spaceMark || s.Replacement == "") {
			marked = true
			v.spacePrefix = flag(s.prepends())
		}
	}
	if !marked || !v.pipeline.ByteFallback {
		return nil
	}
	v.model, v.pre = tokenizer.ModelSPM, "default"
	if known, err := v.pieceScores(); known || err != nil {
		return err
	}
	return v.scoreByMerges()
}

// prepends reports whether a Metaspace puts U+2581 in front of a text.
func (s *step) prepends() bool {
	if s.Scheme == "" {
		return tokenizer.IsTrue(s.AddPrefixSpace, true)
	}
	return s.Scheme != "never"
}

// scoreByMerges gives tokens the scores that other programs need: a token's first place in the list
// of merges. It is what SentencePiece's scores are, if the list was made of them.
func (v *vocab) scoreByMerges() error {
	for i, m := range v.merges {
		left, right, _ := strings.Cut(m, " ")
		to, ok := v.index[left+right]
		_, okL := v.index[left]
		_, okR := v.index[right]
		if !ok || !okL || !okR {
			return v.fail("merge %d, of %s and %s: one of the three is no token", i, quoted(left), quoted(right))
		}
		if v.pieces[to].score == 0 {
			v.pieces[to].score = float32(-i - 1)
		}
	}
	return nil
}

// readWordPiece reads WordPiece, BERT's kind.
func (v *vocab) readWordPiece(j *document, normalizer []step) error {
	v.model, v.pre = tokenizer.ModelWPM, "default"
	v.lowercase, v.stripAccents = flag(false), flag(false)
	for _, s := range normalizer {
		switch s.Type {
		case "BertNormalizer":
			v.lowercase = flag(tokenizer.IsTrue(s.Lowercase, true))
			v.stripAccents = flag(tokenizer.IsTrue(s.StripAccents, *v.lowercase))
		case "Lowercase":
			v.lowercase = flag(true)
		case "StripAccents":
			v.stripAccents = flag(true)
		}
	}
	v.pipeline.MaxWord, v.pipeline.Prefix = j.Model.MaxWord, j.Model.Prefix
	if err := v.readVocabMap(j.Model.Vocab); err != nil {
		return err
	}
	return v.markUnknown(j.Model.UnkToken)
}

// respell writes the tokens of WordPiece as GGUF has them: those that begin a word with U+2581 in
// front, the others without their prefix. What stands in brackets stays.
func (v *vocab) respell() error {
	prefix := v.pipeline.Prefix
	if prefix == "" {
		return v.unsupported("WordPiece without continuing_subword_prefix")
	}
	inner := func(text string) bool { return v.has(prefix + text) }
	for i := range v.pieces {
		p := &v.pieces[i]
		switch text := p.text; {
		case p.kind != tokenizer.TypeNormal && !inner(text) || strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]"):
		case strings.HasPrefix(text, prefix+spaceMark):
			// it would look like the beginning of a word
			v.pipeline.Inner = append(v.pipeline.Inner, int32(i))
		case strings.HasPrefix(text, prefix) && len(text) > len(prefix):
			p.text = text[len(prefix):]
		default:
			p.text = spaceMark + text
		}
	}
	return nil
}

// readUnigram reads Unigram, SentencePiece's other kind.
func (v *vocab) readUnigram(j *document, normalizer, pre []step) error {
	v.model, v.pre = tokenizer.ModelUnigram, "default"
	err := each(j.Model.Vocab, '[', func(d *json.Decoder) error {
		p := piece{kind: tokenizer.TypeNormal}
		id := len(v.pieces)
		var parts [4]json.Token
		for i := range parts {
			var err error
			if parts[i], err = d.Token(); err != nil {
				return err
			}
		}
		text, isText := parts[1].(string)
		n, isNumber := parts[2].(json.Number)
		score, err := n.Float64()
		if parts[0] != json.Delim('[') || parts[3] != json.Delim(']') || !isText || !isNumber || err != nil {
			return fmt.Errorf("token %d: want a text and a score", id)
		}
		p.text, p.score = text, float32(score)
		return v.put(int64(id), p)
	})
	if err != nil {
		return v.fail("vocab: %s", oneLine(err))
	}
	if len(v.pieces) == 0 {
		return v.fail("vocab: no tokens")
	}
	v.pipeline.Size, v.pipeline.ByteFallback = len(v.pieces), j.Model.ByteFallback
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
	v.unigramFlags(normalizer, pre)
	return nil
}

// unigramFlags is what GGUF can say of normalizer and pre_tokenizer of Unigram.
func (v *vocab) unigramFlags(normalizer, pre []step) {
	v.spacePrefix, v.mergeSpaces = flag(false), flag(false)
	for _, s := range normalizer {
		if s.Type == "Replace" && s.Pattern.Regex != nil && *s.Pattern.Regex == " {2,}" {
			v.mergeSpaces = flag(true)
		}
	}
	for _, s := range pre {
		switch s.Type {
		case "WhitespaceSplit":
			v.mergeSpaces = flag(true)
		case "Metaspace":
			v.spacePrefix = flag(s.prepends())
		}
	}
}

// addListed adds the added_tokens, and those that other files of the folder list.
func (v *vocab) addListed(raw json.RawMessage) error {
	var list []added
	known := map[string]bool{}
	if len(raw) > 0 && !bytes.Equal(raw, []byte("null")) {
		err := each(raw, '[', func(d *json.Decoder) error {
			var a added
			if err := d.Decode(&a); err != nil {
				return err
			}
			if a.Content != "" && !known[a.Content] {
				known[a.Content] = true
				list = append(list, a)
			}
			return nil
		})
		if err != nil {
			return v.fail("added_tokens: %s", oneLine(err))
		}
	}
	if err := v.add(list); err != nil {
		return err
	}
	return v.addMore(known)
}

// readPost finds out what is put around a text.
func (v *vocab) readPost(steps []step) error {
	for _, s := range steps {
		var front, back []int32
		var err error
		switch s.Type {
		case "ByteLevel": // offsets only
			continue
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
		v.pipeline.Front = append(front, v.pipeline.Front...)
		v.pipeline.Back = append(v.pipeline.Back, back...)
	}
	if _, ok := v.settings.token("bos_token"); !ok && len(v.pipeline.Front) == 1 {
		v.bos = v.pipeline.Front[0]
	}
	if _, ok := v.settings.token("eos_token"); !ok && len(v.pipeline.Back) == 1 {
		v.eos = v.pipeline.Back[0]
	}
	return nil
}

// template reads what a template puts before and after a text.
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
