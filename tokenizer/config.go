package tokenizer

import (
	"fmt"
	"slices"

	"github.com/goinfer/goinfer/internal/fault"
)

// The types of tokens, as in tokenizer.ggml.token_type.
const (
	TypeUndefined   int32 = 0
	TypeNormal      int32 = 1
	TypeUnknown     int32 = 2 // stands for what the vocabulary cannot spell
	TypeControl     int32 = 3 // <s>, <|im_end|>, …: never text unless asked for
	TypeUserDefined int32 = 4 // found in text before anything else and kept whole
	TypeUnused      int32 = 5
	TypeByte        int32 = 6 // <0x00> to <0xFF>
)

// The names of tokenizer.ggml.model that [New] knows.
const (
	ModelSPM     = "llama"  // SentencePiece BPE
	ModelBPE     = "gpt2"   // byte-level BPE
	ModelWPM     = "bert"   // WordPiece
	ModelUnigram = "t5"     // Unigram
	ModelGemma4  = "gemma4" // BPE on characters; Pre is "gemma4" whatever the file says
	// BPE on characters in words between white space, which is dropped
	ModelWhitespace = "whitespace"
)

// Config is a vocabulary as the metadata of a GGUF file has it (keys tokenizer.ggml.*). Nothing in
// it is trusted; [New] checks it. Start from [NewConfig], which marks all ids as absent.
type Config struct {
	Model  string    // tokenizer.ggml.model, one of the Model constants
	Pre    string    // tokenizer.ggml.pre, only for ModelBPE; "" means "default"
	Tokens []string  // tokens: the spelling of each id; an empty one becomes [EMPTY_id]
	Scores []float32 // scores: needed by ModelSPM and ModelUnigram, else ignored
	Types  []int32   // token_type: Type constants; nil means that all are TypeNormal
	Merges []string  // merges: "left right", the best first; needed by the BPE models

	// The ids of tokens with a task. -1 means that the file does not say, and the model's usual id
	// is taken if there is one (ModelSPM: BOS 1, EOS 2, UNK 0; ModelWPM: BOS 101, UNK 100, SEP 102,
	// PAD 0, MASK 103; ModelUnigram: EOS 1, UNK 2, PAD 0). An id outside the vocabulary is an error
	// for BOS, EOS and UNK; the others are then absent, as many files have such.
	BOS, EOS, UNK, SEP, PAD, CLS, MASK int32
	// end of a turn, of a message: both end generation
	EOT, EOM int32
	// fill in the middle; pad, repository and file separator end generation
	FIMPre, FIMSuf, FIMMid, FIMPad, FIMRep, FIMSep int32
	// add_bos_token, …; nil means the model's habit
	AddBOS, AddEOS, AddSEP *bool
	// add_space_prefix, remove_extra_whitespaces; nil means the model's habit
	AddSpacePrefix, RemoveExtraWhitespaces *bool
	// normalizer.lowercase (nil: true), normalizer.strip_accents (nil: as Lowercase)
	Lowercase, StripAccents *bool
	// precompiled_charsmap, only for ModelUnigram
	CharsMap []byte

	Pipeline *Pipeline // what a tokenizer.json says of texts; nil for llama.cpp's rules

	// general.name: the names of a few models decide which special tokens swallow white space
	Name string
	Arch string // general.architecture, for the same reason
}

// NewConfig returns a Config of that model with every id absent.
func NewConfig(model string) Config {
	return Config{Model: model,
		BOS: -1, EOS: -1, UNK: -1, SEP: -1, PAD: -1, CLS: -1, MASK: -1, EOT: -1, EOM: -1,
		FIMPre: -1, FIMSuf: -1, FIMMid: -1, FIMPad: -1, FIMRep: -1, FIMSep: -1}
}

// Limits that no published vocabulary comes near; they bound the work that a hostile one can cause.
const (
	maxTokenLen   = 1 << 14 // bytes in the spelling of a token
	maxSpecialLen = 1 << 10 // … that is looked for at each place of a text: all but those of BPE
	maxTokens     = 1 << 28
	maxSpelling   = 1 << 30 // bytes in all spellings
)

// ErrFormat is wrapped by errors of [New] about a vocabulary that contradicts itself,
// ErrUnsupported by those about a Model or Pre that the package does not know.
var (
	ErrFormat      = fault.ErrFormat
	ErrUnsupported = fault.ErrUnsupported
)

func malformed(format string, args ...any) error {
	return fault.Of(ErrFormat, fmt.Errorf(format, args...))
}

func unsupported(format string, args ...any) error {
	return fault.Of(ErrUnsupported, fmt.Errorf(format, args...))
}

// attr is the set of properties of a token. It starts as the token's type; names that mark a
// control token add to it.
type attr uint8

const (
	isNormal attr = 1 << iota
	isUnknown
	isControl
	isUser
	isUnused
	isByte
	stripLeft  // white space before the token is dropped
	stripRight // white space after it is dropped
)

var attrOfType = map[int32]attr{TypeNormal: isNormal, TypeUnknown: isUnknown, TypeControl: isControl, TypeUserDefined: isUser, TypeUnused: isUnused, TypeByte: isByte}

// readTokens checks the lists of c and fills the vocabulary.
func (t *Tokenizer) readTokens(c *Config) error {
	n := len(c.Tokens)
	switch {
	case n == 0:
		return malformed("no tokens")
	case n > maxTokens:
		return malformed("%d tokens, at most %d", n, maxTokens)
	case t.scored() && len(c.Scores) < n:
		return malformed("%d scores for %d tokens", len(c.Scores), n)
	case c.Types != nil && len(c.Types) < n:
		return malformed("%d token types for %d tokens", len(c.Types), n)
	}
	t.text = make([]string, n)
	t.attr = make([]attr, n)
	t.ids = make(map[string]int32, n)
	total := 0
	for i, s := range c.Tokens {
		if s == "" {
			s = fmt.Sprintf("[EMPTY_%d]", i)
		}
		kind := isNormal
		if c.Types != nil {
			kind = attrOfType[c.Types[i]]
		}
		most := maxTokenLen
		if t.kind == wpm || t.kind == unigram || kind&(isUser|isControl|isUnknown) != 0 {
			most = maxSpecialLen
		}
		if len(s) > most {
			return malformed("token %d %s has %d bytes, at most %d", i, quoted(s), len(s), most)
		}
		if total += len(s); total > maxSpelling {
			return malformed("the tokens have over %d bytes", maxSpelling)
		}
		if first, ok := t.ids[s]; ok {
			return malformed("token %d %s is also token %d", i, quoted(s), first)
		}
		t.ids[s] = int32(i)
		t.text[i] = s
		t.longest = max(t.longest, len(s))
		t.attr[i] = kind
		if kind == isByte {
			if _, ok := byteOf(s); !ok {
				return malformed("token %d has type byte and the spelling %s, want <0x00> to <0xFF>", i, quoted(s))
			}
		}
	}
	if t.scored() {
		t.score = append([]float32(nil), c.Scores[:n]...)
		for i, s := range t.score {
			if s-s != 0 { // infinite or not a number
				return malformed("token %d %s has the score %v", i, quoted(t.text[i]), s)
			}
		}
	}
	return nil
}

// quoted is s for an error message: on one line and not long.
func quoted(s string) string {
	const most = 40
	if len(s) > most {
		return fmt.Sprintf("%.*q…", most, s)
	}
	return fmt.Sprintf("%q", s)
}

// byteOf reads <0xHH>.
func byteOf(s string) (byte, bool) {
	if len(s) != 6 || s[:3] != "<0x" || s[5] != '>' {
		return 0, false
	}
	hi, lo := hexDigit(s[3]), hexDigit(s[4])
	return byte(hi<<4 | lo), hi >= 0 && lo >= 0
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// usual are the ids that a model has where the file names none (llama-vocab.cpp). For BPE llama.cpp
// assumes 11 for BOS and EOS, which is Falcon's <|endoftext|> and GPT-2's comma; here it counts
// only if that token is a control token.
func (t *Tokenizer) usual(c *Config) {
	if c.Pipeline != nil {
		return // which says what there is
	}
	u := NewConfig(c.Model)
	switch t.kind {
	case spm:
		u.BOS, u.EOS, u.UNK = 1, 2, 0
	case wpm:
		u.BOS, u.UNK, u.SEP, u.PAD, u.MASK = 101, 100, 102, 0, 103
		if c.CLS >= 0 {
			u.BOS = c.CLS
		}
	case unigram:
		u.EOS, u.UNK, u.PAD = 1, 2, 0
	case bpe:
		if c.Model == ModelBPE && len(t.attr) > 11 && t.attr[11]&isControl != 0 {
			u.EOS = 11
			if !t.pre.noBOS {
				u.BOS = 11
			}
		}
	}
	for _, p := range [...]struct{ id, usual *int32 }{{&c.BOS, &u.BOS}, {&c.EOS, &u.EOS}, {&c.UNK, &u.UNK}, {&c.SEP, &u.SEP}, {&c.PAD, &u.PAD}, {&c.MASK, &u.MASK}} {
		if *p.id < 0 && int(*p.usual) < len(t.text) {
			*p.id = *p.usual
		}
	}
}

// readIDs checks the special ids of c, which is changed, and takes them over.
func (t *Tokenizer) readIDs(c *Config) error {
	t.usual(c)
	n := int32(len(t.text))
	for _, p := range [...]struct {
		key string
		id  int32
	}{{"bos", c.BOS}, {"eos", c.EOS}, {"unknown", c.UNK}} {
		if p.id >= n {
			return malformed("%s_token_id %d is outside the vocabulary of %d tokens", p.key, p.id, n)
		}
	}
	for _, p := range [...]*int32{&c.BOS, &c.EOS, &c.UNK, &c.SEP, &c.PAD, &c.CLS, &c.MASK, &c.EOT, &c.EOM, &c.FIMPre, &c.FIMSuf, &c.FIMMid, &c.FIMPad, &c.FIMRep, &c.FIMSep} {
		if *p < 0 || *p >= n {
			*p = -1
		}
	}
	t.bos, t.eos, t.unk, t.sep, t.pad, t.mask = c.BOS, c.EOS, c.UNK, c.SEP, c.PAD, c.MASK
	return nil
}

// readPipelineFlags sets what is asked of a tokenizer that has a pipeline, which does the rest.
func (t *Tokenizer) readPipelineFlags(c *Config) {
	has := func(list []int32, id int32) bool { return id >= 0 && slices.Contains(list, id) }
	t.addBOS, t.addEOS = has(c.Pipeline.Front, t.bos), has(c.Pipeline.Back, t.eos)
	t.spacePrefix = IsTrue(c.AddSpacePrefix, false)
	t.escape = c.Model != ModelBPE || c.Pipeline.Characters
	t.clean = c.Pipeline.Clean
}

// readFlags sets the habits: the model's, unless the file says otherwise.
func (t *Tokenizer) readFlags(c *Config) error {
	set := func(to *bool, habit bool, said *bool) {
		if *to = habit; said != nil {
			*to = *said
		}
	}
	p := t.pre
	if c.Pipeline != nil {
		t.readPipelineFlags(c)
		return nil
	}
	set(&t.addBOS, t.kind == spm || t.kind == wpm || p.addBOS, c.AddBOS)
	set(&t.addEOS, t.kind == unigram, c.AddEOS)
	set(&t.addSEP, t.kind == wpm || p.addSEP, c.AddSEP)
	set(&t.spacePrefix, t.kind == spm, c.AddSpacePrefix)
	set(&t.mergeSpaces, false, c.RemoveExtraWhitespaces)
	t.escape = t.kind != bpe || p.escape
	set(&t.lowercase, t.kind == wpm, c.Lowercase)
	set(&t.stripAccents, t.lowercase, c.StripAccents)
	t.addBOS = t.addBOS || p.forceBOS || t.kind == wpm
	t.addEOS = t.addEOS && t.kind != wpm
	t.clean = t.kind == wpm || p.clean
	if t.kind == wpm && (t.bos < 0 || t.sep < 0 || t.unk < 0) {
		return malformed("WordPiece needs the ids of [CLS] (%d), [SEP] (%d) and [UNK] (%d)", t.bos, t.sep, t.unk)
	}
	if t.kind == unigram && t.unk < 0 {
		return malformed("Unigram needs an unknown_token_id")
	}
	if t.addBOS && t.bos < 0 {
		if c.AddBOS != nil && *c.AddBOS {
			return malformed("add_bos_token is set, but there is no bos_token_id")
		}
		t.addBOS = false
	}
	if t.addEOS && t.eos < 0 {
		if c.AddEOS != nil && *c.AddEOS {
			return malformed("add_eos_token is set, but there is no eos_token_id")
		}
		t.addEOS = false
	}
	return nil
}
