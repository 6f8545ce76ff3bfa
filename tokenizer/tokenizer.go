package tokenizer

import (
	"slices"
	"sync"
)

type kind uint8

const (
	spm kind = iota
	bpe
	wpm
	unigram
	wordLevel
)

// A Tokenizer converts text to ids and ids to text. It does not change after [New]; any number of
// goroutines may use it at once.
type Tokenizer struct {
	kind  kind
	model string
	pre   *pretokenizer // never nil; empty unless kind is bpe

	text    []string // the spelling of each id
	attr    []attr
	score   []float32 // spm and unigram only
	ids     map[string]int32
	longest int // bytes in the longest spelling

	bos, eos, unk, sep, pad, mask int32
	eot, eom                      int32
	fim                           [6]int32
	eog                           []int32 // sorted

	addBOS, addEOS, addSEP   bool
	spacePrefix, mergeSpaces bool
	escape, clean            bool
	lowercase, stripAccents  bool

	specials    []int32 // what is looked for in text before anything else, the longest first
	specialTrie *trie   // their indices

	pieces   []byte // the bytes of all ids, one after the other
	pieceEnd []int

	bytes    [256]int32 // the id that stands for a byte, or -1
	merges   *merges    // bpe
	alphabet bool       // each byte is a token
	trie     *trie      // wpm, unigram
	userTrie *trie      // unigram: the user-defined tokens
	charsmap *charsmap  // unigram; may be nil
	unkScore float64    // unigram
	joins    joins      // spm, unigram, BPE on characters
	words    sink       // spells a word; appends to scratch.dst
	pipe     *pipeline  // nil for llama.cpp's rules
	levels   int        // buffers for the ends of pieces

	scratch sync.Pool // holds *scratch
}

// New checks c and builds the tokenizer. It keeps the strings of c.Tokens but none of the slices.
func New(c Config) (*Tokenizer, error) {
	t := &Tokenizer{model: c.Model, pre: &pretokenizer{}, joins: newJoins(len(c.Tokens))}
	switch c.Model {
	case ModelSPM:
		if t.kind = spm; c.Pipeline != nil { // which comes with merges
			t.kind = bpe
			t.pre = c.Pipeline.pretokenizer()
		}
	case ModelBPE, ModelGemma4, ModelWhitespace:
		t.kind = bpe
		if c.Model == ModelGemma4 {
			c.Pre = ModelGemma4
		}
		var err error
		if c.Pipeline != nil {
			t.pre = c.Pipeline.pretokenizer()
		} else if t.pre, err = findPre(c.Pre); err != nil {
			return nil, err
		}
	case ModelWPM:
		t.kind = wpm
	case ModelUnigram:
		t.kind = unigram
	case ModelWordLevel:
		if t.kind = wordLevel; c.Pipeline == nil {
			return nil, malformed("a vocabulary of words without a pipeline")
		}
	default:
		return nil, unsupported("unknown model %s (known: llama gpt2 bert t5 gemma4 whitespace)", quoted(c.Model))
	}
	if err := t.readTokens(&c); err != nil {
		return nil, err
	}
	if err := t.readIDs(&c); err != nil {
		return nil, err
	}
	if err := t.readFlags(&c); err != nil {
		return nil, err
	}
	if c.Pipeline != nil {
		if err := t.enterAdded(c.Pipeline.Added); err != nil {
			return nil, err
		}
	}
	if err := t.build(&c); err != nil {
		return nil, err
	}
	if c.Pipeline != nil {
		if err := t.buildPipeline(&c); err != nil {
			return nil, err
		}
	}
	t.findSpecials(&c)
	if c.Pipeline == nil {
		t.setStrips(&c)
	}
	t.buildPieces()
	t.words = t.wordSink(false)
	t.scratch.New = func() any { return new(scratch) }
	return t, nil
}

// build makes what the model needs to encode. It looks at the types of tokens as the file has them.
func (t *Tokenizer) build(c *Config) error {
	for i := range t.bytes {
		t.bytes[i] = t.byteToken(byte(i))
	}
	switch t.kind {
	case spm:
		for _, s := range t.text {
			t.joins.learn(s)
		}
	case bpe:
		return t.buildMerges(c.Merges, c.Pipeline != nil || t.pre.names[0] == "kimi-k2")
	case wpm:
		if c.Pipeline == nil {
			t.trie = newTrie(t.text, func(int) bool { return true })
		}
	case unigram:
		return t.buildUnigram(c)
	}
	return nil
}

// scored reports whether the algorithm needs scores.
func (t *Tokenizer) scored() bool { return t.kind == spm || t.kind == unigram }

const hexDigits = "0123456789ABCDEF"

// byteToken returns the id that stands for b where nothing longer fits, or -1.
func (t *Tokenizer) byteToken(b byte) int32 {
	spelling := string([]byte{'<', '0', 'x', hexDigits[b>>4], hexDigits[b&15], '>'})
	if t.kind == bpe && !t.pre.raw {
		spelling = byteSpelling[b]
	}
	if id, ok := t.ids[spelling]; ok {
		return id
	}
	if t.kind == spm {
		if id, ok := t.ids[string([]byte{b})]; ok {
			return id
		}
	}
	return -1
}

// Size returns the number of ids.
func (t *Tokenizer) Size() int { return len(t.text) }

// Model returns the name of the algorithm, as in tokenizer.ggml.model.
func (t *Tokenizer) Model() string { return t.model }

// Lookup returns the id of the token with exactly that spelling.
func (t *Tokenizer) Lookup(spelling string) (int32, bool) {
	id, ok := t.ids[spelling]
	return id, ok
}

// Spelling returns the token as the vocabulary spells it ("▁the", "Ġthe", "<0x0A>"), or "" for an
// id outside the vocabulary.
func (t *Tokenizer) Spelling(id int32) string {
	if !t.valid(id) {
		return ""
	}
	return t.text[id]
}

// IsControl reports whether id is a control token: one that is not text.
func (t *Tokenizer) IsControl(id int32) bool { return t.valid(id) && t.attr[id]&isControl != 0 }

// IsEOG reports whether id ends generation: the end of the sequence, of a turn, of a message, ….
func (t *Tokenizer) IsEOG(id int32) bool {
	_, found := slices.BinarySearch(t.eog, id)
	return found
}

// EOG returns all ids that end generation, sorted.
func (t *Tokenizer) EOG() []int32 { return slices.Clone(t.eog) }

// BOS returns the id that begins a sequence ([CLS] for WordPiece), or -1.
func (t *Tokenizer) BOS() int32 { return t.bos }

// EOS returns the id that ends a sequence, or -1.
func (t *Tokenizer) EOS() int32 { return t.eos }

// EOT returns the id that ends a turn of a conversation, or -1.
func (t *Tokenizer) EOT() int32 { return t.eot }

// EOM returns the id that ends a message, or -1.
func (t *Tokenizer) EOM() int32 { return t.eom }

// UNK returns the id that stands for what the vocabulary cannot spell, or -1.
func (t *Tokenizer) UNK() int32 { return t.unk }

// SEP returns the id that separates two texts, or -1.
func (t *Tokenizer) SEP() int32 { return t.sep }

// PAD returns the id that fills up a batch, or -1.
func (t *Tokenizer) PAD() int32 { return t.pad }

// MASK returns the id of the mask, or -1.
func (t *Tokenizer) MASK() int32 { return t.mask }

// FIM returns the ids for filling in the middle: before the prefix, the suffix and the middle;
// padding, repository, file separator. An absent one is -1.
func (t *Tokenizer) FIM() (pre, suf, mid, pad, rep, sep int32) {
	return t.fim[0], t.fim[1], t.fim[2], t.fim[3], t.fim[4], t.fim[5]
}

// AddsBOS reports whether Encode with addSpecial begins with BOS.
func (t *Tokenizer) AddsBOS() bool { return t.addBOS }

// AddsEOS reports whether Encode with addSpecial ends with EOS (for WordPiece, which ends with SEP:
// false).
func (t *Tokenizer) AddsEOS() bool { return t.addEOS }

// AddsSEP reports whether two texts in one sequence are to be separated by SEP. Encode, which sees
// one text, does not use it.
func (t *Tokenizer) AddsSEP() bool { return t.addSEP }

func (t *Tokenizer) valid(id int32) bool { return id >= 0 && int(id) < len(t.text) }
