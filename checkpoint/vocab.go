package checkpoint

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

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/tokenizer"
)

// vocabulary is the tokenizer of the checkpoint in a folder as metadata, tokenizer.*; it has as many tokens as config.json says. It is empty where the folder has none.
//
// tokenizer.json counts where there is one, then tokenizer.model. What a tokenizer does that metadata cannot say is an error, but for this: text is not brought into
// Unicode's normal form C, and a token does not swallow the white space beside it, as in every GGUF file of such models; tokens that were added behind the last row of
// the embedding, which no model can read, are left out.
func vocabulary(dir string, c *config) ([]gguf.KV, error) {
	v, err := readVocab(dir, c)
	if err != nil || v == nil {
		return nil, err
	}
	if err := v.complete(); err != nil {
		return nil, err
	}
	return v.metadata()
}

// vocab is a vocabulary in the making.
type vocab struct {
	path     string  // of the file that holds it, for errors
	config   *config // config.json
	settings *config // tokenizer_config.json, over special_tokens_map.json
	generate *config // generation_config.json

	model, pre string // as in tokenizer.ggml.model and .pre
	pieces     []piece
	index      map[string]int32 // of pieces by their spelling in the file
	merges     []string
	charsmap   []byte

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

// maxVocab bounds tokenizer.json and tokenizer.model in bytes, maxPadding the ids that no token has. Both are far above what is published.
const (
	maxVocab   = 256 << 20
	maxPadding = 1 << 20
)

func (v *vocab) fail(format string, args ...any) error {
	return fmt.Errorf("checkpoint: %s: "+format, append([]any{v.path}, args...)...)
}

// unsupported is a fault of ours: the file may be fine.
func (v *vocab) unsupported(format string, args ...any) error {
	return v.fail("%w "+format, append([]any{ErrUnsupported}, args...)...)
}

// readVocab reads the files of a vocabulary. It returns nil where there is none.
func readVocab(dir string, c *config) (*vocab, error) {
	v := &vocab{config: c, index: map[string]int32{}, bos: -1, eos: -1, unk: -1}
	var err error
	if v.settings, err = readSettings(dir); err != nil {
		return nil, err
	}
	if v.generate, err = optionalConfig(filepath.Join(dir, "generation_config.json")); err != nil {
		return nil, err
	}
	for _, f := range [...]struct {
		name string
		read func([]byte) error
	}{{"tokenizer.json", v.readJSON}, {"tokenizer.model", v.readSentencePiece}, {"spiece.model", v.readSentencePiece}, {"vocab.txt", v.readWords}} {
		v.path = filepath.Join(dir, f.name)
		b, err := readWhole(v.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := f.read(b); err != nil {
			return nil, err
		}
		return v, nil
	}
	for _, name := range []string{"vocab.json", "tekken.json", "tiktoken.model", "sentencepiece.bpe.model"} {
		if path := filepath.Join(dir, name); exists(path) {
			return nil, fmt.Errorf("checkpoint: %s: %w vocabulary: want tokenizer.json, tokenizer.model, spiece.model or vocab.txt beside it", path, ErrUnsupported)
		}
	}
	return nil, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readWhole reads a file of a vocabulary.
func readWhole(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, ioError(err)
	}
	if info.Size() > maxVocab {
		return nil, fmt.Errorf("checkpoint: %s: %d bytes: want at most %d", path, info.Size(), maxVocab)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, ioError(err)
	}
	return b, nil
}

// optionalConfig is readConfig for a file that need not be there: it is then as if it were empty.
func optionalConfig(path string) (*config, error) {
	c, err := readConfig(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &config{path: path, err: new(error)}, nil
	}
	return c, err
}

// readSettings reads tokenizer_config.json, and special_tokens_map.json for what it does not say.
func readSettings(dir string) (*config, error) {
	c, err := optionalConfig(filepath.Join(dir, "tokenizer_config.json"))
	if err != nil {
		return nil, err
	}
	more, err := optionalConfig(filepath.Join(dir, "special_tokens_map.json"))
	if err != nil {
		return nil, err
	}
	if c.values == nil {
		c.values = map[string]any{}
	}
	for k, x := range more.values {
		if c.values[k] == nil {
			c.values[k] = x
		}
	}
	return c, nil
}

// put gives an id its token, of those with low ids before those with high ones. Holes of more than maxPadding ids together are no vocabulary: each one alone might be small, and
// a short file come to more memory than there is.
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

// added is an entry of added_tokens in tokenizer.json, or of added_tokens_decoder in tokenizer_config.json.
type added struct {
	ID      int64  `json:"id"`
	Content string `json:"content"`
	Special bool   `json:"special"`
}

// add puts the tokens that were added to a vocabulary, over those that it has.
func (v *vocab) add(list []added) error {
	rows := v.rows()
	slices.SortStableFunc(list, func(a, b added) int { return cmp.Compare(a.ID, b.ID) })
	for _, a := range list {
		if rows > 0 && a.ID >= int64(rows) && a.ID >= int64(len(v.pieces)) {
			continue // the model has no row for it
		}
		p := piece{text: a.Content, kind: tokenizer.TypeUserDefined}
		if a.ID >= 0 && a.ID < int64(len(v.pieces)) && v.pieces[a.ID].kind != 0 {
			p.score = v.pieces[a.ID].score
			if k := v.pieces[a.ID].kind; k == tokenizer.TypeUnknown || k == tokenizer.TypeByte {
				continue
			}
		}
		if a.Special {
			p.kind = tokenizer.TypeControl
		}
		if err := v.put(a.ID, p); err != nil {
			return err
		}
	}
	return nil
}

// addDecoder is add with added_tokens_decoder of tokenizer_config.json, for vocabularies that do not list them.
func (v *vocab) addDecoder() error {
	decoder := v.settings.object("added_tokens_decoder")
	var list []added
	for key := range decoder.values {
		id, err := strconv.ParseInt(key, 10, 64)
		if err != nil {
			return fmt.Errorf("checkpoint: %s: added_tokens_decoder: want a number as key, found %s", decoder.path, quoted(key))
		}
		entry := decoder.object(key)
		list = append(list, added{ID: id, Content: entry.string("content"), Special: entry.flag(false, "special")})
	}
	if *decoder.err != nil {
		return *decoder.err
	}
	return v.add(list)
}

// rows is how many tokens config.json says that the model has, 0 if it does not.
func (v *vocab) rows() int { return v.config.or(0, "vocab_size", "padded_vocab_size") }

// complete finds the tokens with a task and fills the vocabulary up to the rows of the embedding.
func (v *vocab) complete() error {
	rows := v.rows()
	if *v.config.err != nil {
		return *v.config.err
	}
	switch n := len(v.pieces); {
	case rows > n+maxPadding:
		return v.fail("%d tokens, but %s has a vocab_size of %d", n, filepath.Base(v.config.path), rows)
	case rows > 0 && rows < n:
		return v.fail("token %d is %s, but %s has a vocab_size of %d", n-1, quoted(v.pieces[n-1].text), filepath.Base(v.config.path), rows)
	case rows > n:
		v.pieces = append(v.pieces, make([]piece, rows-n)...)
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
	for _, p := range [...]struct {
		key  string
		flag **bool
	}{{"add_bos_token", &v.addBOS}, {"add_eos_token", &v.addEOS}} {
		if v.settings.has(p.key) { // what is said last, over the template in tokenizer.json
			b := v.settings.flag(false, p.key)
			*p.flag = &b
		}
	}
	if v.addBOS != nil && *v.addBOS && v.bos < 0 || v.addEOS != nil && *v.addEOS && v.eos < 0 {
		return fmt.Errorf("checkpoint: %s: add_bos_token or add_eos_token is set, but there is no such token", v.settings.path)
	}
	for _, c := range []*config{v.settings, v.generate, v.config} {
		if *c.err != nil {
			return *c.err
		}
	}
	return nil
}

// special is the id of the token for a task, by its spelling in tokenizer_config.json or its number in the configurations; -1 if there is none.
func (v *vocab) special(name string) int32 {
	key := name + "_token"
	var text string
	switch x := v.settings.values[key].(type) {
	case nil:
	case string:
		text = x
	case map[string]any:
		text = v.settings.object(key).string("content")
	default:
		v.settings.wrong(key, "a token", x)
	}
	if text != "" {
		if id, ok := v.index[text]; ok {
			return id
		}
	}
	for _, c := range []*config{v.config, v.generate} {
		if ids := tokenIDs(c, key+"_id"); len(ids) > 0 && ids[0] < int64(len(v.pieces)) {
			return int32(ids[0])
		}
	}
	return -1
}

// tokenIDs is a number, or a list of them. What is negative means none.
func tokenIDs(c *config, key string) (ids []int64) {
	list, ok := c.values[key].([]any)
	if !ok {
		if c.values[key] == nil {
			return nil
		}
		list = []any{c.values[key]}
	}
	for _, x := range list {
		n, ok := x.(json.Number)
		id, err := n.Int64()
		if !ok || err != nil {
			c.wrong(key, "the number of a token", x)
			return nil
		}
		if id >= 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// ends are the tokens that end generation, besides EOS and those whose names say so.
func (v *vocab) ends() (ids []int32, err error) {
	source := v.generate
	all := tokenIDs(v.generate, "eos_token_id")
	if len(all) == 0 {
		source, all = v.config, tokenIDs(v.config, "eos_token_id")
	}
	for _, id := range all {
		if id >= int64(len(v.pieces)) {
			return nil, fmt.Errorf("checkpoint: %s: eos_token_id %d is outside the vocabulary of %d tokens", source.path, id, len(v.pieces))
		}
		if int32(id) != v.eos && !slices.Contains(ids, int32(id)) && !tokenizer.EndsByName(v.pieces[id].text) {
			ids = append(ids, int32(id))
		}
	}
	if len(ids) > 2 {
		return nil, fmt.Errorf("checkpoint: %s: %w eos_token_id: %d tokens besides %d end generation, at most 2 can be said", source.path, ErrUnsupported, len(ids), v.eos)
	}
	return ids, *source.err
}

// metadata is the vocabulary as keys of GGUF.
func (v *vocab) metadata() ([]gguf.KV, error) {
	ends, err := v.ends()
	if err != nil {
		return nil, err
	}
	n := len(v.pieces)
	texts, scores, kinds := make([]string, n), make([]float32, n), make([]int32, n)
	for i, p := range v.pieces {
		texts[i], scores[i], kinds[i] = p.text, p.score, p.kind
		if p.kind == tokenizer.TypeUserDefined && (v.model == tokenizer.ModelSPM || v.model == tokenizer.ModelUnigram) {
			texts[i] = strings.ReplaceAll(p.text, spaceMark, " ") // it is found in text as it comes
		}
	}
	var kvs []gguf.KV
	set := func(key string, value any) { kvs = append(kvs, gguf.KV{Key: "tokenizer." + key, Value: value}) }
	set("ggml.model", v.model)
	set("ggml.pre", v.pre)
	set("ggml.tokens", texts)
	if v.model == tokenizer.ModelSPM || v.model == tokenizer.ModelUnigram {
		set("ggml.scores", scores)
	}
	set("ggml.token_type", kinds)
	if v.merges != nil {
		set("ggml.merges", v.merges)
	}
	ids := map[string]int32{"bos": v.bos, "eos": v.eos, "unknown": v.unk, "seperator": v.special("sep"), "padding": v.special("pad"), "cls": v.special("cls"), "mask": v.special("mask")}
	for i, id := range ends {
		ids[[...]string{"eot", "eom"}[i]] = id
	}
	for _, name := range []string{"bos", "eos", "eot", "eom", "unknown", "seperator", "padding", "cls", "mask"} {
		if id, ok := ids[name]; ok && id >= 0 {
			set("ggml."+name+"_token_id", uint32(id))
		}
	}
	for _, f := range [...]struct {
		key  string
		flag *bool
	}{{"add_bos_token", v.addBOS}, {"add_eos_token", v.addEOS}, {"add_space_prefix", v.spacePrefix}, {"remove_extra_whitespaces", v.mergeSpaces},
		{"normalizer.lowercase", v.lowercase}, {"normalizer.strip_accents", v.stripAccents}} {
		if f.flag != nil {
			set("ggml."+f.key, *f.flag)
		}
	}
	if v.charsmap != nil {
		set("ggml.precompiled_charsmap", v.charsmap)
	}
	templates, err := v.templates()
	if err != nil {
		return nil, err
	}
	return append(append(kvs, templates...), v.sampling()...), firstError(v.settings, v.generate, v.config)
}

func firstError(cs ...*config) error {
	for _, c := range cs {
		if *c.err != nil {
			return *c.err
		}
	}
	return nil
}

// templates are the chat templates: chat_template.jinja, or chat_template in chat_template.json or in
// tokenizer_config.json, which may be a list of named ones.
func (v *vocab) templates() ([]gguf.KV, error) {
	const key = "tokenizer.chat_template"
	b, err := readWhole(filepath.Join(filepath.Dir(v.path), "chat_template.jinja"))
	if err == nil {
		return []gguf.KV{{Key: key, Value: string(b)}}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	from := v.settings
	alone, err := readConfig(filepath.Join(filepath.Dir(v.path), "chat_template.json"))
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
				return nil, fmt.Errorf("checkpoint: %s: chat_template: want a list of templates, each with its own name", from.path)
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
func (v *vocab) sampling() (kvs []gguf.KV) {
	c := v.generate
	if !c.flag(true, "do_sample") {
		return nil
	}
	if n, ok := c.int("top_k"); ok {
		kvs = append(kvs, gguf.KV{Key: "general.sampling.top_k", Value: int32(n)})
	}
	for _, p := range [...][2]string{{"top_p", "top_p"}, {"min_p", "min_p"}, {"temperature", "temp"}, {"repetition_penalty", "penalty_repeat"}} {
		if x, ok := c.float(p[0]); ok {
			kvs = append(kvs, gguf.KV{Key: "general.sampling." + p[1], Value: float32(x)})
		}
	}
	return kvs
}
