package hf

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/tokenizer"
)

// Vocabulary is what the files of a folder say of its tokens.
type Vocabulary struct {
	Path   string // the file that holds the tokens
	Config tokenizer.Config
	Notes  []string // what was left out, one line each
}

// PipelineJSON is the pipeline for a GGUF file, empty if there is none.
func (v *Vocabulary) PipelineJSON() (string, error) {
	if v.Config.Pipeline == nil {
		return "", nil
	}
	b, err := json.Marshal(v.Config.Pipeline)
	return string(b), err
}

// Options are how a vocabulary is read.
type Options struct {
	Rows int // how many tokens the model has; 0 means what config.json says
}

// ErrUnsupported marks vocabularies that are sound, but of a kind that is not read here.
var ErrUnsupported = tokenizer.ErrUnsupported

// maxPadding bounds the ids that no token has, far above what is published.
const maxPadding = 1 << 18

// Read reads the vocabulary of a folder, by the first of these files that it has: tokenizer.json,
// tokenizer.model, spiece.model, sentencepiece.bpe.model, tekken.json, vocab.json with merges.txt,
// vocab.txt. It returns nil if there is none.
func Read(dir string, o Options) (*Vocabulary, error) {
	f, err := readFolder(dir)
	if err != nil {
		return nil, err
	}
	v := &vocab{folder: f, rows: o.Rows, index: map[string]int32{}, bos: -1, eos: -1, unk: -1}
	if v.rows == 0 {
		if v.rows = f.config.count("vocab_size"); v.rows == 0 {
			v.rows = f.config.count("padded_vocab_size")
		}
	}
	for _, file := range [...]struct {
		name string
		read func([]byte) error
	}{{"tokenizer.json", v.readDocument}, {"tokenizer.model", v.readSentencePiece}, {"spiece.model", v.readSentencePiece},
		{"sentencepiece.bpe.model", v.readSentencePiece}, {"tekken.json", v.readTekken}, {"vocab.json", v.readVocabJSON}, {"vocab.txt", v.readWords}} {
		v.path = filepath.Join(dir, file.name)
		b, err := readWhole(v.path, maxVocab)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := file.read(b); err != nil {
			return nil, err
		}
		return v.finish()
	}
	for _, name := range []string{"tiktoken.model"} {
		if path := filepath.Join(dir, name); exists(path) {
			return nil, fault.Bad(path, fmt.Errorf("%w vocabulary: want tokenizer.json beside it", ErrUnsupported))
		}
	}
	return nil, f.firstError()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// vocab is a vocabulary in the making.
type vocab struct {
	folder
	path  string // the file that holds it, for errors
	rows  int    // rows of the embedding, 0 if that is not known
	notes []string

	model, pre string // as in tokenizer.ggml.model and .pre
	pieces     []piece
	index      map[string]int32 // ids of pieces by their spelling in the file
	merges     []string
	charsmap   []byte
	pipeline   *tokenizer.Pipeline // nil for llama.cpp's rules

	bos, eos, unk            int32 // -1 for none
	addBOS, addEOS           *bool
	spacePrefix, mergeSpaces *bool
	lowercase, stripAccents  *bool
}

// piece is a token. kind is 0 where no token has that id.
type piece struct {
	text  string
	score float32
	kind  int32
}

func (v *vocab) fail(format string, args ...any) error {
	return fault.Bad(v.path, fmt.Errorf(format, args...))
}

// unsupported is a fault of ours: the file may be fine.
func (v *vocab) unsupported(format string, args ...any) error {
	return v.fail("%w vocabulary: "+format, append([]any{ErrUnsupported}, args...)...)
}

// put gives an id its token, of those with low ids before those with high ones. Holes of more than
// maxPadding ids together are no vocabulary: a short file would come to more memory than there is.
func (v *vocab) put(id int64, p piece) error {
	if id < 0 || id >= int64(len(v.index))+maxPadding {
		return v.fail("token %s has the id %d among %d tokens", quoted(p.text), id, len(v.index))
	}
	if grow := int(id) + 1 - len(v.pieces); grow > 0 {
		v.pieces = append(v.pieces, make([]piece, grow)...)
	}
	if old := v.pieces[id]; old.kind != 0 && old.text != p.text {
		return v.fail("id %d is both %s and %s", id, quoted(old.text), quoted(p.text))
	}
	if old, ok := v.index[p.text]; ok && int64(old) != id {
		return v.fail("token %s has the ids %d and %d", quoted(p.text), old, id)
	}
	v.pieces[id] = p
	v.index[p.text] = int32(id)
	return nil
}

// add puts the tokens that were added to a vocabulary over those that it has. One that the
// vocabulary has under another id keeps that; one without a row in the embedding, which no model
// can read, is left out.
func (v *vocab) add(list []added) error {
	slices.SortStableFunc(list, func(a, b added) int { return cmp.Compare(a.ID, b.ID) })
	left := 0
	for _, a := range list {
		if id, ok := v.index[a.Content]; ok {
			a.ID = int64(id)
		} else if v.rows > 0 && a.ID >= int64(v.rows) && a.ID >= int64(len(v.pieces)) {
			left++
			continue
		}
		p := piece{text: a.Content, kind: tokenizer.TypeUserDefined}
		if a.Special {
			p.kind = tokenizer.TypeControl
		}
		if a.ID >= 0 && a.ID < int64(len(v.pieces)) && v.pieces[a.ID].kind != 0 {
			p.score = v.pieces[a.ID].score
			if k := v.pieces[a.ID].kind; (k == tokenizer.TypeUnknown || k == tokenizer.TypeByte) && v.pieces[a.ID].text == a.Content {
				p.kind = k
			}
		}
		if err := v.put(a.ID, p); err != nil {
			return err
		}
		if v.pipeline != nil {
			v.pipeline.Added = append(v.pipeline.Added, a.pipeline(int32(a.ID)))
		}
	}
	if left > 0 {
		v.notes = append(v.notes, fmt.Sprintf("%d added tokens have no row in the embedding and are left out", left))
	}
	return nil
}

// addMore adds what tokenizer_config.json and added_tokens.json list and the vocabulary's own file
// does not, as transformers do when they open a folder.
func (v *vocab) addMore(known map[string]bool) error {
	var list []added
	take := func(a added) {
		if a.Content != "" && !known[a.Content] {
			known[a.Content] = true
			list = append(list, a)
		}
	}
	decoder, _ := decode[map[string]json.RawMessage](v.settings, "added_tokens_decoder", "an object")
	for key, raw := range decoder {
		id, err := strconv.ParseInt(key, 10, 64)
		if err != nil {
			return fault.Bad(v.settings.path, fmt.Errorf("added_tokens_decoder: want a number as key, found %s", quoted(key)))
		}
		a := added{ID: id}
		if err := json.Unmarshal(raw, &a); err != nil {
			return fault.Bad(v.settings.path, fmt.Errorf("added_tokens_decoder %d: %s", id, oneLine(err)))
		}
		a.ID = id
		take(a)
	}
	extra, err := readSettings(filepath.Join(v.dir, "added_tokens.json"))
	if err != nil {
		return err
	}
	for text := range extra.values {
		if id, ok := decode[int64](extra, text, "the number of a token"); ok {
			take(added{ID: id, Content: text, Normalized: true})
		}
	}
	if extra.err != nil {
		return extra.err
	}
	for _, name := range taskNames {
		if a, ok := v.settings.token(name + "_token"); ok {
			if id, has := v.index[a.Content]; has && v.pipeline != nil {
				a.ID = int64(id)
				take(a)
			}
		}
	}
	// A token that other files name takes the place of one that was kept free for it.
	for _, a := range list {
		if a.ID >= 0 && a.ID < int64(len(v.pieces)) && !v.has(a.Content) {
			if p := &v.pieces[a.ID]; p.kind == tokenizer.TypeNormal {
				delete(v.index, p.text)
				v.index[a.Content] = int32(a.ID)
				p.text = a.Content
			}
		}
	}
	return v.add(list)
}

// taskNames are the tokens with a task, as in tokenizer_config.json.
var taskNames = []string{"bos", "eos", "unk", "sep", "pad", "cls", "mask"}

// finish finds the tokens with a task and fills the vocabulary up to the rows of the embedding.
func (v *vocab) finish() (*Vocabulary, error) {
	switch n := len(v.pieces); {
	case v.rows > n+maxPadding:
		return nil, v.fail("%d tokens, but config.json has a vocab_size of %d", n, v.rows)
	case v.rows > 0 && v.rows < n:
		return nil, v.fail("token %d is %s, but config.json has a vocab_size of %d", n-1, quoted(v.pieces[n-1].text), v.rows)
	case v.rows > n:
		v.pieces = append(v.pieces, make([]piece, v.rows-n)...)
	}
	for i := range v.pieces {
		if v.pieces[i].kind == 0 {
			v.pieces[i] = piece{text: fmt.Sprintf("[PAD%d]", i), score: -10000, kind: tokenizer.TypeUnused}
		}
	}
	for _, p := range [...]struct {
		name string
		id   *int32
	}{{"bos", &v.bos}, {"eos", &v.eos}, {"unk", &v.unk}} {
		if *p.id < 0 {
			*p.id = v.special(p.name)
		}
	}
	if err := v.applyFlags(); err != nil {
		return nil, err
	}
	c, err := v.tokenizerConfig()
	if err == nil {
		err = v.firstError()
	}
	return &Vocabulary{Path: v.path, Config: c, Notes: v.notes}, err
}

// applyFlags applies add_bos_token and add_eos_token. What tokenizer.json puts around a text
// counts, where that is a token on a side at most; of several the flags say whether there is one.
func (v *vocab) applyFlags() error {
	for _, p := range [...]struct {
		key  string
		flag **bool
		id   int32
		list func() *[]int32
	}{{"add_bos_token", &v.addBOS, v.bos, func() *[]int32 { return &v.pipeline.Front }},
		{"add_eos_token", &v.addEOS, v.eos, func() *[]int32 { return &v.pipeline.Back }}} {
		set := v.settings.flag(p.key)
		if set != nil && *set && p.id < 0 {
			return fault.Bad(v.settings.path, fmt.Errorf("%s is set, but there is no such token", p.key))
		}
		if v.pipeline == nil {
			if set != nil {
				*p.flag = set
			}
			continue
		}
		around := p.list()
		switch {
		case set != nil && *set && len(*around) == 0:
			*around = []int32{p.id}
		case set != nil && len(*around) > 1:
			*around = nil
			if *set {
				*around = []int32{p.id}
			}
		}
		has := slices.Contains(*around, p.id)
		*p.flag = &has
	}
	return nil
}

// special is the id of the token for a task, by its spelling in tokenizer_config.json or its number
// in the configurations; -1 if there is none.
func (v *vocab) special(name string) int32 {
	key := name + "_token"
	if a, ok := v.settings.token(key); ok {
		if id, ok := v.index[a.Content]; ok {
			return id
		}
	}
	for _, s := range []*settings{v.config, v.generate} {
		if ids := s.ids(key + "_id"); len(ids) > 0 && ids[0] < int64(len(v.pieces)) {
			return int32(ids[0])
		}
	}
	return -1
}

// ends are the tokens that end a generation besides EOS.
func (v *vocab) ends() (ids []int32, err error) {
	source := v.generate
	all := source.ids("eos_token_id")
	if len(all) == 0 {
		source = v.config
		all = source.ids("eos_token_id")
	}
	for _, id := range all {
		if id >= int64(len(v.pieces)) {
			return nil, fault.Bad(source.path, fmt.Errorf("eos_token_id %d is outside the vocabulary of %d tokens", id, len(v.pieces)))
		}
		if int32(id) != v.eos {
			ids = append(ids, int32(id))
		}
	}
	return ids, nil
}

// tokenizerConfig is the vocabulary as the metadata of a GGUF file has it.
func (v *vocab) tokenizerConfig() (tokenizer.Config, error) {
	c := tokenizer.NewConfig(v.model)
	ends, err := v.ends()
	if err != nil {
		return c, err
	}
	if v.pipeline != nil {
		v.pipeline.Ends = ends
	}
	c.Pre, c.Merges, c.CharsMap, c.Pipeline = v.pre, v.merges, v.charsmap, v.pipeline
	n := len(v.pieces)
	c.Tokens, c.Types = make([]string, n), make([]int32, n)
	scored := v.model == tokenizer.ModelSPM || v.model == tokenizer.ModelUnigram
	if scored {
		c.Scores = make([]float32, n)
	}
	for i, p := range v.pieces {
		c.Tokens[i], c.Types[i] = p.text, p.kind
		if scored {
			c.Scores[i] = p.score
			if p.kind == tokenizer.TypeUserDefined {
				c.Tokens[i] = v.userText(p.text)
			}
		}
	}
	c.BOS, c.EOS, c.UNK = v.bos, v.eos, v.unk
	c.SEP, c.PAD, c.CLS, c.MASK = v.special("sep"), v.special("pad"), v.special("cls"), v.special("mask")
	for i, id := range v.unnamed(ends) {
		*[]*int32{&c.EOT, &c.EOM}[i] = id
	}
	c.AddBOS, c.AddEOS, c.AddSpacePrefix, c.RemoveExtraWhitespaces = v.addBOS, v.addEOS, v.spacePrefix, v.mergeSpaces
	c.Lowercase, c.StripAccents = v.lowercase, v.stripAccents
	if v.model == tokenizer.ModelWPM && v.pipeline != nil {
		v.around(&c)
	}
	return c, nil
}

// userText is how a token that is found in text is spelled in GGUF: with spaces, as it comes,
// unless another token is spelled like that.
func (v *vocab) userText(text string) string {
	spaced := strings.ReplaceAll(text, spaceMark, " ")
	if _, exists := v.index[spaced]; exists {
		return text
	}
	return spaced
}

// unnamed are the ends of a generation that other programs would not know by their names: two at
// most have a place in GGUF.
func (v *vocab) unnamed(ends []int32) (ids []int32) {
	for _, id := range ends {
		if !tokenizer.EndsByName(v.pieces[id].text) && len(ids) < 2 {
			ids = append(ids, id)
		}
	}
	return ids
}

// around takes the tokens around a text for [CLS] and [SEP].
func (v *vocab) around(c *tokenizer.Config) {
	if len(v.pipeline.Front) > 0 {
		c.CLS = v.pipeline.Front[0]
		c.BOS = c.CLS
	}
	if len(v.pipeline.Back) > 0 {
		c.SEP = v.pipeline.Back[0]
	}
	c.AddBOS, c.AddEOS = nil, nil
}
