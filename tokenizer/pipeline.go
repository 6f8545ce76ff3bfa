package tokenizer

import (
	"slices"
	"strings"
)

// ModelWordLevel is a vocabulary of whole words. GGUF has no name for it; it comes with a
// [Pipeline].
const ModelWordLevel = "wordlevel"

// A Pipeline says how a text is treated before and after the model's algorithm, as a tokenizer.json
// does. A [Config] that has one is encoded by the rules of Hugging Face's tokenizers in place of
// llama.cpp's: added tokens → normalizer → added tokens that are normalised → pre-tokenizer →
// model.
type Pipeline struct {
	Added        []Added `json:"added_tokens,omitempty"`
	Normalizer   []Step  `json:"normalizer,omitempty"`
	PreTokenizer []Step  `json:"pre_tokenizer,omitempty"`

	Front []int32 `json:"front,omitempty"` // what is put before a text
	Back  []int32 `json:"back,omitempty"`  // and after it
	Ends  []int32 `json:"ends,omitempty"`  // what ends a generation, besides EOS

	// Size is where ids begin that are no tokens of the model, but were added.
	Size int `json:"size,omitempty"`
	// MaxWord is the most characters in a word of WordPiece; 0 means 100.
	MaxWord int `json:"max_word,omitempty"`
	// Prefix is what tokens inside a word of WordPiece begin with.
	Prefix string `json:"prefix,omitempty"`
	// Inner are the tokens that keep Prefix, as they go on with U+2581.
	Inner []int32 `json:"inner,omitempty"`
	// Characters makes the symbols of BPE characters, not bytes.
	Characters bool `json:"characters,omitempty"`
	// ByteFallback has BPE and Unigram spell unknown characters in bytes.
	ByteFallback bool `json:"byte_fallback,omitempty"`
	// FuseUnknown makes one unknown token of a run of unknown characters, in BPE.
	FuseUnknown bool `json:"fuse_unk,omitempty"`
	// IgnoreMerges makes a word that is a token that token, in BPE.
	IgnoreMerges bool `json:"ignore_merges,omitempty"`
	// Clean has decoding drop spaces before punctuation.
	Clean bool `json:"clean,omitempty"`
}

// Added is a token that is found in text before anything else.
type Added struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	Special    bool   `json:"special,omitempty"`     // a control token
	SingleWord bool   `json:"single_word,omitempty"` // not inside a word
	LStrip     bool   `json:"lstrip,omitempty"`      // takes the white space before it
	RStrip     bool   `json:"rstrip,omitempty"`      // takes the white space after it
	Normalized bool   `json:"normalized,omitempty"`  // found in normalised text, itself normalised
}

// Step is a step of a normalizer or a pre-tokenizer, with the fields of all kinds and their names
// in a tokenizer.json. The charsmap of Precompiled is Config.CharsMap.
type Step struct {
	Type     string  `json:"type"`
	Pattern  Pattern `json:"pattern,omitzero"`   // Replace, Split
	Content  string  `json:"content,omitempty"`  // Replace
	Behavior string  `json:"behavior,omitempty"` // Split, Punctuation
	Invert   bool    `json:"invert,omitempty"`   // Split

	Prepend     string `json:"prepend,omitempty"`     // Prepend
	Replacement string `json:"replacement,omitempty"` // Metaspace
	Scheme      string `json:"prepend_scheme,omitempty"`
	Split       *bool  `json:"split,omitempty"`

	AddPrefixSpace *bool  `json:"add_prefix_space,omitempty"` // ByteLevel, Metaspace
	UseRegex       *bool  `json:"use_regex,omitempty"`        // ByteLevel
	Individual     bool   `json:"individual_digits,omitempty"`
	Delimiter      string `json:"delimiter,omitempty"` // CharDelimiterSplit

	CleanText    *bool `json:"clean_text,omitempty"` // BertNormalizer
	Chinese      *bool `json:"handle_chinese_chars,omitempty"`
	StripAccents *bool `json:"strip_accents,omitempty"`
	Lowercase    *bool `json:"lowercase,omitempty"`
	StripLeft    *bool `json:"strip_left,omitempty"` // Strip
	StripRight   *bool `json:"strip_right,omitempty"`
}

// Pattern is a text, or a regular expression.
type Pattern struct {
	String *string `json:"String,omitempty"`
	Regex  *string `json:"Regex,omitempty"`
}

// IsTrue is the value of an optional flag.
func IsTrue(flag *bool, otherwise bool) bool {
	if flag == nil {
		return otherwise
	}
	return *flag
}

// MaxSteps bounds the steps of a normalizer or a pre-tokenizer, far above what is published.
const MaxSteps = 64

// pipeline is a Pipeline that is ready for use.
type pipeline struct {
	raw, normal finder // added tokens in the text, and in normalised text
	normalize   []func(string) string
	words       sink // cuts a piece in words and encodes them
	front, back []int32

	byteFallback, fuseUnknown bool
	maxWord, size             int
	inner                     *trie // WordPiece: tokens inside a word, without their prefix
}

// inModel reports whether the model's algorithm knows a token.
func (p *Pipeline) inModel(id int32) bool { return p.Size == 0 || int(id) < p.Size }

// pretokenizer are the habits of BPE.
func (p *Pipeline) pretokenizer() *pretokenizer {
	return &pretokenizer{names: []string{""}, raw: p.Characters, ignoreMerges: p.IgnoreMerges}
}

// A sink takes a piece of text; first says that the piece begins the text.
type sink func(s *scratch, piece string, first bool)

// buildPipeline checks p and makes it ready. The lists of t are read.
func (t *Tokenizer) buildPipeline(c *Config) error {
	d := c.Pipeline
	p := &pipeline{front: d.Front, back: d.Back, byteFallback: d.ByteFallback, fuseUnknown: d.FuseUnknown,
		maxWord: d.MaxWord, size: d.Size}
	for _, list := range [...][]int32{d.Front, d.Back, d.Ends} {
		for _, id := range list {
			if !t.valid(id) {
				return malformed("token %d of the pipeline is outside the vocabulary of %d tokens", id, len(t.text))
			}
		}
	}
	if p.maxWord <= 0 {
		p.maxWord = 100
	}
	var err error
	if p.normalize, err = t.normalizers(d.Normalizer); err != nil {
		return err
	}
	if p.words, err = t.preTokenizer(d.PreTokenizer); err != nil {
		return err
	}
	if t.kind == wpm {
		t.buildWordPiece(p, d)
	}
	t.pipe = p
	return t.findAdded(p, d.Added)
}

// buildWordPiece makes the two tries of WordPiece of the spellings that GGUF has: tokens that begin
// a word have U+2581 in front, those inside a word have lost their prefix.
func (t *Tokenizer) buildWordPiece(p *pipeline, d *Pipeline) {
	begin, inner := make([]string, len(t.text)), make([]string, len(t.text))
	for id, text := range t.text {
		switch rest, ok := strings.CutPrefix(text, escaped); {
		case slices.Contains(d.Inner, int32(id)):
			inner[id] = strings.TrimPrefix(text, d.Prefix)
		case t.attr[id]&isUnused != 0 || !d.inModel(int32(id)):
		case ok:
			begin[id] = rest
		case t.attr[id]&isNormal == 0 || bracketed(text):
			begin[id] = text
		default:
			inner[id] = text
		}
	}
	t.trie = newTrie(begin, func(id int) bool { return begin[id] != "" })
	p.inner = newTrie(inner, func(id int) bool { return inner[id] != "" })
}

// bracketed reports whether a token of WordPiece is spelled the same in GGUF: what is in brackets.
func bracketed(text string) bool { return strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") }

// enterAdded enters the spellings of added tokens that GGUF has otherwise: with spaces for U+2581.
func (t *Tokenizer) enterAdded(list []Added) error {
	for _, a := range list {
		if !t.valid(a.ID) {
			return malformed("added token %s has the id %d outside the vocabulary of %d tokens",
				quoted(a.Content), a.ID, len(t.text))
		}
		if _, ok := t.ids[a.Content]; !ok && a.Content != "" {
			t.ids[a.Content] = a.ID
		}
	}
	return nil
}

// findAdded makes what finds the added tokens.
func (t *Tokenizer) findAdded(p *pipeline, list []Added) error {
	var raw, normal []Added
	for _, a := range list {
		if a.Content == "" {
			continue
		}
		if !a.Normalized {
			raw = append(raw, a)
			continue
		}
		for _, f := range p.normalize {
			a.Content = f(a.Content)
		}
		if a.Content != "" {
			normal = append(normal, a)
		}
	}
	for _, list := range [...][]Added{raw, normal} {
		for _, a := range list {
			if len(a.Content) > maxSpecialLen {
				return malformed("added token %s has %d bytes, at most %d", quoted(a.Content), len(a.Content), maxSpecialLen)
			}
		}
	}
	p.raw, p.normal = newFinder(raw), newFinder(normal)
	return nil
}

// encodePipeline is Encode by a Pipeline.
func (t *Tokenizer) encodePipeline(dst []int32, text string, addSpecial, parseSpecial bool) []int32 {
	s := t.scratch.Get().(*scratch)
	defer t.scratch.Put(s)
	p := t.pipe
	if addSpecial {
		dst = append(dst, p.front...)
	}
	s.dst = dst
	p.encode(s, text, func(a *Added, _, _ int) bool { return parseSpecial || !a.Special })
	dst, s.dst = s.dst, nil
	if addSpecial {
		dst = append(dst, p.back...)
	}
	return dst
}

// encode appends the ids of text to s.dst. may says whether text[from:to] may be an added token
// that it spells.
func (p *pipeline) encode(s *scratch, text string, may func(a *Added, from, to int) bool) {
	p.raw.split(s, text, may, func(piece string, from int) {
		for piece != "" {
			n := cutLong(piece)
			normal := piece[:n]
			for _, f := range p.normalize {
				normal = f(normal)
			}
			// Where in the text a token of the normalized text came from is not known.
			within := func(a *Added, _, _ int) bool { return may(a, from, from+n) }
			p.normal.split(s, normal, within, func(piece string, at int) {
				p.words(s, piece, from == 0 && at == 0)
			})
			piece, from = piece[n:], from+n
		}
	})
}

// A finder finds added tokens in a text.
type finder struct {
	list []Added
	trie *trie // spellings to indices in list
}

func newFinder(list []Added) finder {
	spellings := make([]string, len(list))
	for i, a := range list {
		spellings[i] = a.Content
	}
	last := map[string]int{} // of two equal spellings the last counts, control tokens first
	for _, special := range []bool{true, false} {
		for i, a := range list {
			if a.Special == special {
				last[a.Content] = i
			}
		}
	}
	return finder{list, newTrie(spellings, func(i int) bool { return last[spellings[i]] == i })}
}

// split appends the tokens in text to s.dst and hands on what is between them, with its offset. Of
// the tokens that begin leftmost the longest counts. What may refuses is found, and left as text.
func (f *finder) split(s *scratch, text string, may func(a *Added, from, to int) bool, between func(piece string, from int)) {
	done := 0
	if len(f.list) > 0 {
		for at := 0; at < len(text); {
			if f.trie.roots[text[at]] == 0 {
				at++
				continue
			}
			i, size := f.trie.longestIn(text[at:])
			if size == 0 {
				at++
				continue
			}
			a, from, to := &f.list[i], at, at+size
			at = to
			if !may(a, from, to) || a.SingleWord && (endsWord(text[:from]) || beginsWord(text[to:])) {
				continue
			}
			if a.LStrip {
				from = max(done, len(strings.TrimRightFunc(text[:from], isSpace)))
			}
			if a.RStrip {
				to = len(text) - len(strings.TrimLeftFunc(text[to:], isSpace))
			}
			if done < from {
				between(text[done:from], done)
			}
			if from < to {
				s.dst = append(s.dst, a.ID)
			}
			// white space that was taken is looked through once more, as the reference does
			done = to
		}
	}
	if done < len(text) {
		between(text[done:], done)
	}
}

// steps checks how many steps there are.
func checkSteps(what string, steps []Step) error {
	if len(steps) > MaxSteps {
		return malformed("%s has %d steps, at most %d", what, len(steps), MaxSteps)
	}
	return nil
}

// Check reports what of the steps this package does not know.
func (p *Pipeline) Check() error {
	t := &Tokenizer{pre: &pretokenizer{}, joins: newJoins(0)}
	if _, err := t.normalizers(p.Normalizer); err != nil {
		return err
	}
	_, err := t.preTokenizer(p.PreTokenizer)
	return err
}
