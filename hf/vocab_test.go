package hf

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/model"
	"github.com/goinfer/goinfer/tokenizer"
)

// files are the files of a folder: text, or what is written as JSON.
type files map[string]any

// write makes the folder.
func (f files) write(t testing.TB) string {
	dir := t.TempDir()
	for name, content := range f {
		b, ok := content.([]byte)
		if s, isText := content.(string); isText {
			b, ok = []byte(s), true
		}
		if !ok {
			var err error
			b, err = json.Marshal(content)
			require.NoError(t, err)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	return dir
}

// vocabularyOf reads the vocabulary of a folder, with config.json or without.
func vocabularyOf(dir string) ([]gguf.KV, error) {
	c, err := optionalConfig(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, err
	}
	kvs, _, err := vocabulary(dir, c)
	return kvs, err
}

const (
	spaceMark = "▁"
	pieceBPE  = 2 // of a SentencePiece model
)

// tokenizerOf makes a tokenizer of the vocabulary of a folder, by the way that a model's takes.
func tokenizerOf(t testing.TB, dir, name string) (*tokenizer.Tokenizer, map[string]any) {
	kvs, err := vocabularyOf(dir)
	require.NoError(t, err)
	f, err := gguf.Compose(gguf.Composition{Path: dir, Keys: append([]gguf.KV{{Key: "general.architecture", Value: "llama"}, {Key: "general.name", Value: name}}, kvs...)})
	require.NoError(t, err)
	tok, err := model.Vocabulary(f)
	require.NoError(t, err)
	meta := map[string]any{}
	for _, kv := range kvs {
		meta[kv.Key] = kv.Value
	}
	return tok, meta
}

// TestTrainedVocabularies: the folders of trained models tokenize as their GGUF files do, by
// tokenizer.json, by tokenizer.model, and by both.
func TestTrainedVocabularies(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "models")
	var text []byte
	for _, name := range []string{"valid.txt", "valid-chat.txt"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		text = append(text, b...)
	}
	if os.Getenv("GOINFER_LONG") == "" {
		text = append(text[:30_000], text[len(text)-10_000:]...)
	}
	for name, typ := range map[string]string{"stories260K": "f32", "tiny-dense": "f16", "tiny-moe": "f16"} {
		f, err := gguf.Open(filepath.Join(dir, name, name+"-"+typ+".gguf"), gguf.Options{HeaderOnly: true})
		require.NoError(t, err)
		want, err := model.Vocabulary(f)
		require.NoError(t, err)
		template, _ := f.Value("tokenizer.chat_template")
		ids := want.Encode(nil, string(text), true, true)
		for _, without := range []string{"", "tokenizer.model", "tokenizer.json"} {
			folder := files{}
			for _, file := range []string{"config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json", "tokenizer.model"} {
				if file != without {
					folder[file], err = os.ReadFile(filepath.Join(dir, name, "hf", file))
					require.NoError(t, err)
				}
			}
			got, meta := tokenizerOf(t, folder.write(t), name)
			what := name + " without " + without
			require.Equal(t, ids, got.Encode(nil, string(text), true, true), what)
			require.Equal(t, want.Decode(ids, true), got.Decode(ids, true), what)
			require.Equal(t, [...]int32{want.BOS(), want.EOS(), want.UNK(), want.EOT()}, [...]int32{got.BOS(), got.EOS(), got.UNK(), got.EOT()}, what)
			require.Equal(t, want.EOG(), got.EOG(), what)
			if s, ok := template.Text(); ok {
				require.Equal(t, s, meta["tokenizer.chat_template"], what)
			}
			compareGolden(t, got, filepath.Join(dir, name, "golden.json"))
		}
		require.NoError(t, f.Close())
	}
}

func compareGolden(t *testing.T, tok *tokenizer.Tokenizer, path string) {
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var golden struct {
		Prompts []struct {
			Prompt string
			IDs    []int32
		}
	}
	require.NoError(t, json.Unmarshal(b, &golden))
	for _, p := range golden.Prompts {
		require.Equal(t, p.IDs, tok.Encode(nil, p.Prompt, true, true), p.Prompt)
	}
}

// split is a step of a pre_tokenizer.
func split(pattern string) map[string]any {
	return map[string]any{"type": "Split", "pattern": map[string]any{"Regex": pattern}, "behavior": "Isolated", "invert": false}
}

func sequence(key string, steps ...any) map[string]any {
	return map[string]any{"type": "Sequence", key: steps}
}

func byteLevel(regex bool) map[string]any {
	return map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex}
}

func template(front, back string, ids map[string]int) map[string]any {
	var single []any
	specials := map[string]any{}
	token := func(name string) {
		if name != "" {
			single = append(single, map[string]any{"SpecialToken": map[string]any{"id": name, "type_id": 0}})
			specials[name] = map[string]any{"id": name, "ids": []int{ids[name]}, "tokens": []string{name}}
		}
	}
	token(front)
	single = append(single, map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}})
	token(back)
	return map[string]any{"type": "TemplateProcessing", "single": single, "pair": []any{}, "special_tokens": specials}
}

// TestPublishedVocabularies writes real vocabularies in the formats in which they were published
// and compares with llama.cpp's ids.
func TestPublishedVocabularies(t *testing.T) {
	if testing.Short() {
		t.Skip("large vocabularies in short mode")
	}
	dir := filepath.Join(shared.Dir(t), "conformance", "tokenizers")
	letters := deepseekLetters(t)
	for name, pre := range map[string]any{
		"gpt-2":     byteLevel(true),
		"llama-bpe": sequence("pretokenizers", split(`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`), byteLevel(false)),
		"deepseek-coder": sequence("pretokenizers", split("[\r\n]"), split(`\s?\p{L}+`), split(`\s?\p{P}+`), split(`[一-龥ࠀ-一가-퟿]+`),
			map[string]any{"type": "Digits", "individual_digits": true}, byteLevel(false)),
		"deepseek-llm": sequence("pretokenizers", split("[\r\n]"), split(`\s?[`+letters+`]+`), split(`\s?[!-/:-~！-／：-～‘-‟　-。]+`), split(`\s+$`), split(`[一-龥ࠀ-一가-퟿]+`),
			map[string]any{"type": "Digits", "individual_digits": false}, byteLevel(false)),
		"bert-bge":  map[string]any{"type": "BertPreTokenizer"},
		"llama-spm": nil,
		"phi-3":     nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := gguf.Open(filepath.Join(dir, "ggml-vocab-"+name+".gguf"), gguf.Options{})
			require.NoError(t, err)
			defer f.Close()
			p := published{t: t, name: name, f: f, want: vocabularyIn(t, f)}
			var folders []files
			switch name {
			case "bert-bge":
				folders = []files{p.wordPiece(pre), p.words()}
			case "llama-spm", "phi-3":
				folders = []files{p.sentencePiece(), p.charBPE()}
			default:
				folders = []files{p.byteLevel(pre, name == "llama-bpe")}
			}
			for _, folder := range folders {
				// a name decides what swallows white space
				tok, _ := tokenizerOf(t, folder.write(t), name)
				compareCases(t, tok, filepath.Join(dir, name+".cases.json"), p.want)
			}
		})
	}
}

func vocabularyIn(t *testing.T, f *gguf.File) *tokenizer.Tokenizer {
	tok, err := model.Vocabulary(f)
	require.NoError(t, err)
	return tok
}

// deepseekLetters is the class of characters in the published pattern, which the name of the
// pre-tokeniser stands for.
func deepseekLetters(t *testing.T) string {
	b, err := os.ReadFile(filepath.Join(shared.Root(t), "tokenizer", "pretok.go"))
	require.NoError(t, err)
	_, s, ok := strings.Cut(string(b), `const deepseekLetters = "`)
	require.True(t, ok)
	first, s, _ := strings.Cut(s, "\" +\n\t\"")
	second, _, _ := strings.Cut(s, `"`)
	return first + second
}

func compareCases(t *testing.T, got *tokenizer.Tokenizer, path string, want *tokenizer.Tokenizer) {
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var cases []struct {
		Text          string
		IDs           []int32
		Parse_special bool
	}
	require.NoError(t, json.Unmarshal(b, &cases))
	for _, c := range cases {
		// Where BERT's accents are stripped llama.cpp drops vowels of Korean and signs of Indic
		// scripts, which Hugging Face does not; vertical tabs and form feeds end words for one and
		// are dropped by the other; and words of over 100 characters are unknown to the latter.
		if got.Model() == tokenizer.ModelWPM && (strings.ContainsFunc(c.Text, func(r rune) bool { return r == '\v' || r == '\f' || unicode.In(r, unicode.Hangul, unicode.M) }) || longWord(c.Text)) {
			continue
		}
		require.Equal(t, want.Encode(nil, c.Text, true, c.Parse_special), got.Encode(nil, c.Text, true, c.Parse_special), "%q", c.Text)
	}
}

func longWord(text string) bool {
	return slices.ContainsFunc(strings.Fields(text), func(w string) bool { return len([]rune(w)) > 100 })
}

// published writes a vocabulary in the formats of checkpoints.
type published struct {
	t    *testing.T
	name string
	f    *gguf.File
	want *tokenizer.Tokenizer
}

func (p *published) strings(key string) []string {
	v, _ := p.f.Value("tokenizer.ggml." + key)
	s, _ := v.Strings()
	return s
}

func (p *published) types() (kinds []int32) {
	v, _ := p.f.Value("tokenizer.ggml.token_type")
	v.Each(func(_ int, e gguf.Value) bool {
		n, _ := e.Int()
		kinds = append(kinds, int32(n))
		return true
	})
	return kinds
}

func (p *published) scores() (scores []float32) {
	v, _ := p.f.Value("tokenizer.ggml.scores")
	v.Each(func(_ int, e gguf.Value) bool {
		x, _ := e.Float()
		scores = append(scores, float32(x))
		return true
	})
	return scores
}

// lists are the vocabulary and the added tokens, those of special kinds.
func (p *published) lists(spell func(id int, token string) string) (vocab map[string]int, add []map[string]any, settings map[string]any) {
	vocab = map[string]int{}
	kinds := p.types()
	tokens := p.strings("tokens")
	for id, s := range tokens {
		s = spell(id, s)
		if k := kinds[id]; k == tokenizer.TypeControl || k == tokenizer.TypeUserDefined || k == tokenizer.TypeUnknown {
			add = append(add, map[string]any{"id": id, "content": s, "special": k != tokenizer.TypeUserDefined || p.want.IsControl(int32(id)), "single_word": false, "lstrip": false, "rstrip": p.strips(s), "normalized": false})
		}
		vocab[s] = id
	}
	settings = map[string]any{"add_bos_token": p.want.AddsBOS(), "add_eos_token": p.want.AddsEOS(), "clean_up_tokenization_spaces": true}
	for name, id := range map[string]int32{"bos": p.want.BOS(), "eos": p.want.EOS(), "unk": p.want.UNK(), "pad": p.want.PAD()} {
		if id >= 0 {
			settings[name+"_token"] = spell(int(id), tokens[id])
		}
	}
	return vocab, add, settings
}

// strips reports whether a token swallows the white space after it, as its published files say.
func (p *published) strips(s string) bool {
	return p.name == "phi-3" && s != "<s>" && s != "<unk>" && s != "<|endoftext|>"
}

func same(_ int, s string) string { return s }

func (p *published) byteLevel(pre any, ignoreMerges bool) files {
	vocab, add, settings := p.lists(same)
	return files{"tokenizer_config.json": settings, "tokenizer.json": map[string]any{
		"added_tokens": add, "normalizer": nil, "pre_tokenizer": pre, "post_processor": byteLevel(true),
		"model": map[string]any{"type": "BPE", "vocab": vocab, "merges": p.strings("merges"), "ignore_merges": ignoreMerges},
	}}
}

// unmarked is a token of WordPiece as BERT's files have it.
func unmarked(_ int, s string) string {
	if rest, ok := strings.CutPrefix(s, spaceMark); ok {
		return rest
	}
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		return s
	}
	return "##" + s
}

func (p *published) wordPiece(pre any) files {
	vocab, add, settings := p.lists(unmarked)
	return files{"tokenizer_config.json": settings, "tokenizer.json": map[string]any{
		"added_tokens": add, "normalizer": map[string]any{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": nil, "lowercase": true},
		"pre_tokenizer": pre, "post_processor": template("[CLS]", "[SEP]", vocab),
		"model": map[string]any{"type": "WordPiece", "vocab": vocab, "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100},
	}}
}

func (p *published) words() files {
	var lines []string
	for id, s := range p.strings("tokens") {
		lines = append(lines, unmarked(id, s))
	}
	return files{"tokenizer_config.json": map[string]any{"do_lower_case": true}, "vocab.txt": strings.Join(lines, "\n") + "\n"}
}

// sentencePiece is tokenizer.model, with the tokens that were added later in tokenizer_config.json.
func (p *published) sentencePiece() files {
	_, _, settings := p.lists(same)
	scores, kinds := p.scores(), p.types()
	kinds[p.want.UNK()] = tokenizer.TypeUnknown
	decoder := map[string]any{}
	var m []byte
	for id, s := range p.strings("tokens") {
		if k := kinds[id]; k == tokenizer.TypeControl || k == tokenizer.TypeUserDefined {
			decoder[fmt.Sprint(id)] = map[string]any{"content": s, "special": p.want.IsControl(int32(id)), "rstrip": p.strips(s)}
		}
		if id < 32000 {
			m = appendField(m, 1, pieceOf(s, scores[id], kinds[id]))
		}
	}
	settings["added_tokens_decoder"] = decoder
	m = appendField(m, 2, []byte{3 << 3, pieceBPE})
	m = appendField(m, 3, []byte{3 << 3, 1, 4 << 3, 0})
	return files{"tokenizer_config.json": settings, "tokenizer.model": m}
}

func appendField(b []byte, field int, data []byte) []byte {
	b = binary.AppendUvarint(b, uint64(field<<3|2))
	return append(binary.AppendUvarint(b, uint64(len(data))), data...)
}

func pieceOf(s string, score float32, kind int32) []byte {
	b := appendField(nil, 1, []byte(s))
	b = binary.LittleEndian.AppendUint32(append(b, 2<<3|5), math.Float32bits(score))
	return append(b, 3<<3, byte(kind))
}

// charBPE is tokenizer.json as it is made of a SentencePiece model: a merge for every way to make a
// token of two others, those of better tokens first.
func (p *published) charBPE() files {
	vocab, add, settings := p.lists(same)
	kinds, scores, tokens := p.types(), p.scores(), p.strings("tokens")
	normal := make([]int, 0, len(tokens))
	for id := range tokens {
		if kinds[id] == tokenizer.TypeNormal {
			normal = append(normal, id)
		}
	}
	slices.SortStableFunc(normal, func(a, b int) int { return int(scores[b]) - int(scores[a]) })
	var merges [][]string
	for _, id := range normal {
		for at := range tokens[id] {
			l, okL := vocab[tokens[id][:at]]
			r, okR := vocab[tokens[id][at:]]
			if at > 0 && okL && okR && kinds[l] == tokenizer.TypeNormal && kinds[r] == tokenizer.TypeNormal {
				merges = append(merges, []string{tokens[id][:at], tokens[id][at:]})
			}
		}
	}
	return files{"tokenizer_config.json": settings, "tokenizer.json": map[string]any{
		"added_tokens": add, "pre_tokenizer": nil, "post_processor": template("<s>", "", vocab),
		"normalizer": sequence("normalizers", map[string]any{"type": "Prepend", "prepend": spaceMark},
			map[string]any{"type": "Replace", "pattern": map[string]any{"String": " "}, "content": spaceMark}),
		"model": map[string]any{"type": "BPE", "vocab": vocab, "merges": merges, "byte_fallback": true, "unk_token": "<unk>", "fuse_unk": true},
	}}
}

// set is m with keys changed; a key with dots names a value in objects. nil takes a key away.
func set(m map[string]any, changes map[string]any) map[string]any {
	m = maps.Clone(m)
	for key, value := range changes {
		if head, rest, ok := strings.Cut(key, "."); ok {
			m[head] = set(m[head].(map[string]any), map[string]any{rest: value})
		} else {
			m[key] = value
		}
	}
	return m
}

// small is a tokenizer.json of byte-level BPE, as JSON.
func small() map[string]any {
	return map[string]any{
		"added_tokens": []any{map[string]any{"id": 4, "content": "<|end|>", "special": true}}, "normalizer": nil,
		"pre_tokenizer": byteLevel(true), "post_processor": nil,
		"model": map[string]any{"type": "BPE", "vocab": map[string]any{"a": 0, "b": 1, "ab": 2, "Ġ": 3}, "merges": []any{"a b"}},
	}
}

// smallPieces is a tokenizer.json of BPE on characters.
func smallPieces() map[string]any {
	return map[string]any{
		"added_tokens": []any{}, "normalizer": map[string]any{"type": "Replace", "pattern": map[string]any{"String": " "}, "content": spaceMark},
		"pre_tokenizer": nil, "post_processor": nil,
		"model": map[string]any{"type": "BPE", "byte_fallback": true, "unk_token": "<unk>", "merges": []any{[]any{"a", "b"}, []any{"b", "c"}, []any{"a", "bc"}, []any{"ab", "c"}},
			"vocab": map[string]any{"<unk>": 0, "a": 1, "b": 2, "ab": 3, "c": 4, "bc": 5, "abc": 6, "<0x0A>": 7}},
	}
}

func smallUnigram() map[string]any {
	return map[string]any{
		"normalizer": sequence("normalizers", map[string]any{"type": "Strip", "strip_left": false, "strip_right": true},
			map[string]any{"type": "Replace", "pattern": map[string]any{"Regex": " {2,}"}, "content": spaceMark}),
		"pre_tokenizer":  map[string]any{"type": "Metaspace", "replacement": spaceMark, "prepend_scheme": "always", "split": true},
		"post_processor": template("", "</s>", map[string]int{"</s>": 1}),
		"added_tokens":   []any{map[string]any{"id": 1, "content": "</s>", "special": true}},
		"model":          map[string]any{"type": "Unigram", "unk_id": 2, "vocab": []any{[]any{"<pad>", 0}, []any{"</s>", 0}, []any{"<unk>", 0}, []any{"▁a", -1.5}, []any{"b", -2}}},
	}
}

// TestVocabularyMetadata looks at what becomes of single settings.
func TestVocabularyMetadata(t *testing.T) {
	for name, c := range map[string]struct {
		folder files
		want   map[string]any // keys without tokenizer.; nil means none
	}{
		"nothing":  {files{}, map[string]any{"ggml.model": nil}},
		"byte BPE": {files{"tokenizer.json": small()}, map[string]any{"ggml.model": "gpt2", "ggml.pre": "gpt-2", "ggml.merges": []string{"a b"}, "ggml.token_type": []int32{1, 1, 1, 1, 3}, "ggml.scores": nil}},
		"padding": {files{"tokenizer.json": small(), "config.json": `{"vocab_size": 7}`},
			map[string]any{"ggml.tokens": []string{"a", "b", "ab", "Ġ", "<|end|>", "[PAD5]", "[PAD6]"}, "ggml.token_type": []int32{1, 1, 1, 1, 3, 5, 5}}},
		"behind the last row": {files{"tokenizer.json": small(), "config.json": `{"vocab_size": 4}`}, map[string]any{"ggml.tokens": []string{"a", "b", "ab", "Ġ"}}},
		"names of tokens": {files{"tokenizer.json": small(), "tokenizer_config.json": `{"eos_token": {"content": "<|end|>"}, "add_bos_token": false}`},
			map[string]any{"ggml.eos_token_id": uint32(4), "ggml.bos_token_id": nil, "ggml.add_bos_token": false}},
		"special_tokens_map": {files{"tokenizer.json": small(), "special_tokens_map.json": `{"pad_token": "a"}`}, map[string]any{"ggml.padding_token_id": uint32(0)}},
		"ids in config":      {files{"tokenizer.json": small(), "config.json": `{"bos_token_id": 1, "eos_token_id": [4, 0, 1]}`}, map[string]any{"ggml.bos_token_id": uint32(1), "ggml.eos_token_id": uint32(4), "ggml.eot_token_id": uint32(0), "ggml.eom_token_id": uint32(1)}},
		"generation": {files{"tokenizer.json": small(), "generation_config.json": `{"eos_token_id": [3, 4], "temperature": 0.5, "top_k": 7, "top_p": 0.9, "do_sample": true}`},
			map[string]any{"ggml.eos_token_id": uint32(3), "ggml.eot_token_id": nil, "general.sampling.temp": float32(0.5), "general.sampling.top_k": int32(7), "general.sampling.top_p": float32(0.9)}},
		"greedy":         {files{"tokenizer.json": small(), "generation_config.json": `{"temperature": 0.5, "do_sample": false}`}, map[string]any{"general.sampling.temp": nil}},
		"template":       {files{"tokenizer.json": small(), "tokenizer_config.json": `{"chat_template": "x"}`}, map[string]any{"chat_template": "x"}},
		"template json":  {files{"tokenizer.json": small(), "tokenizer_config.json": `{"chat_template": "x"}`, "chat_template.json": `{"chat_template": "z"}`}, map[string]any{"chat_template": "z"}},
		"template file":  {files{"tokenizer.json": small(), "tokenizer_config.json": `{"chat_template": "x"}`, "chat_template.jinja": "y\n"}, map[string]any{"chat_template": "y\n"}},
		"templates":      {files{"tokenizer.json": small(), "tokenizer_config.json": `{"chat_template": [{"name": "default", "template": "x"}, {"name": "rag", "template": "y"}]}`}, map[string]any{"chat_template": "x", "chat_template.rag": "y", "chat_templates": []string{"rag"}}},
		"pieces":         {files{"tokenizer.json": smallPieces()}, map[string]any{"ggml.model": "llama", "ggml.scores": []float32{0, 0, 0, -1, 0, -2, -3, 0}, "ggml.token_type": []int32{2, 1, 1, 1, 1, 1, 1, 6}, "ggml.add_space_prefix": false}},
		"a space before": {files{"tokenizer.json": set(smallPieces(), map[string]any{"normalizer": nil, "pre_tokenizer": map[string]any{"type": "Metaspace", "replacement": "▁", "split": false, "prepend_scheme": "first"}})}, map[string]any{"ggml.add_space_prefix": true}},
		"Unigram": {files{"tokenizer.json": smallUnigram()}, map[string]any{"ggml.model": "t5", "ggml.scores": []float32{0, 0, 0, -1.5, -2}, "ggml.token_type": []int32{1, 3, 2, 1, 1}, "ggml.add_eos_token": true, "ggml.add_bos_token": false,
			"ggml.eos_token_id": uint32(1), "ggml.unknown_token_id": uint32(2), "ggml.add_space_prefix": true, "ggml.remove_extra_whitespaces": true}},
		"cased WordPiece": {files{"vocab.txt": "[UNK]\n[CLS]\n[SEP]\nA\n##b", "tokenizer_config.json": `{"do_lower_case": false}`},
			map[string]any{"ggml.tokens": []string{"[UNK]", "[CLS]", "[SEP]", "▁A", "b"}, "ggml.normalizer.lowercase": false, "ggml.cls_token_id": uint32(1), "ggml.seperator_token_id": uint32(2)}},
	} {
		kvs, err := vocabularyOf(c.folder.write(t))
		require.NoError(t, err, name)
		got := map[string]any{}
		for _, kv := range kvs {
			got[strings.TrimPrefix(kv.Key, "tokenizer.")] = kv.Value
		}
		for key, want := range c.want {
			require.Equal(t, want, got[key], "%s: %s", name, key)
		}
	}
}

func TestVocabularyFaults(t *testing.T) {
	type m = map[string]any
	deep := strings.Repeat(`{"type":"Sequence","normalizers":[`, 20_000)
	for name, c := range map[string]struct {
		folder files
		want   string
	}{
		"empty file":          {files{"tokenizer.json": ""}, "tokenizer.json: unexpected end of JSON input"},
		"no JSON":             {files{"tokenizer.json": "{\n\"model\": \n}"}, "tokenizer.json: invalid character"},
		"nested":              {files{"tokenizer.json": `{"normalizer":` + deep}, "tokenizer.json: "},
		"model":               {files{"tokenizer.json": set(small(), m{"model.type": "Magic"})}, `unsupported vocabulary: model "Magic"`},
		"no vocabulary":       {files{"tokenizer.json": set(small(), m{"model.vocab": nil})}, "vocab"},
		"vocabulary a list":   {files{"tokenizer.json": set(small(), m{"model.vocab": []any{1}})}, "vocab: want an object, found an array"},
		"a huge id":           {files{"tokenizer.json": set(small(), m{"model.vocab": m{"a": 0, "b\n": 2000000000}})}, `token "b\n" has the id 2000000000 among 1 tokens`},
		"many holes":          {files{"tokenizer.json": set(small(), m{"model.vocab": m{"a": 0, "b": 200000, "c": 400000}})}, `token "c" has the id 400000 among 2 tokens`},
		"a negative id":       {files{"tokenizer.json": set(small(), m{"model.vocab": m{"a": -1}})}, `token "a" has the id -1`},
		"an id twice":         {files{"tokenizer.json": set(small(), m{"model.vocab": m{"a": 0, "b": 0}})}, `id 0 is both "a" and "b"`},
		"added over":          {files{"tokenizer.json": set(small(), m{"added_tokens": []any{m{"id": 1, "content": "x"}}})}, `id 1 is both "b" and "x"`},
		"a merge of one":      {files{"tokenizer.json": set(small(), m{"model.merges": []any{"ab"}})}, "want two symbols in a merge"},
		"a merge of three":    {files{"tokenizer.json": set(small(), m{"model.merges": []any{[]any{"a", "b", "c"}}})}, "want two symbols in a merge"},
		"pre_tokenizer":       {files{"tokenizer.json": set(small(), m{"pre_tokenizer": sequence("pretokenizers", split(`\w+`), byteLevel(false))})}, `no pre-tokenizer is known that cuts text by "\\w+"`},
		"removing":            {files{"tokenizer.json": set(small(), m{"pre_tokenizer": sequence("pretokenizers", set(split(`\d`), m{"behavior": "Removed"}), byteLevel(false))})}, `pre_tokenizer "Split" Removed`},
		"post_processor":      {files{"tokenizer.json": set(small(), m{"post_processor": m{"type": "Magic"}})}, `post_processor "Magic"`},
		"a special of none":   {files{"tokenizer.json": set(small(), m{"post_processor": m{"type": "TemplateProcessing", "single": []any{m{"SpecialToken": m{"id": "x"}}, m{"Sequence": m{}}}, "special_tokens": m{}}})}, `post_processor TemplateProcessing: special_tokens lack "x"`},
		"a token of none":     {files{"tokenizer.json": set(small(), m{"post_processor": template("x", "", map[string]int{"x": 77})})}, "post_processor: token 77 is not in the vocabulary"},
		"vocab_size below":    {files{"tokenizer.json": small(), "config.json": `{"vocab_size": 3}`}, `token 3 is "Ġ", but config.json has a vocab_size of 3`},
		"vocab_size far off":  {files{"tokenizer.json": small(), "config.json": `{"vocab_size": 2000000000}`}, "5 tokens, but config.json has a vocab_size of 2000000000"},
		"vocab_size negative": {files{"tokenizer.json": small(), "config.json": `{"vocab_size": -1}`}, `key "vocab_size"`},
		"ends outside":        {files{"tokenizer.json": small(), "generation_config.json": `{"eos_token_id": 99}`}, "eos_token_id 99 is outside the vocabulary of 5 tokens"},
		"ends as text":        {files{"tokenizer.json": small(), "generation_config.json": `{"eos_token_id": "x"}`}, `key "eos_token_id": want the number of a token, found "x"`},
		"flags without":       {files{"tokenizer.json": small(), "tokenizer_config.json": `{"add_bos_token": true}`}, "there is no such token"},
		"templates alike":     {files{"tokenizer.json": small(), "tokenizer_config.json": `{"chat_template": [{"name": "a", "template": ""}, {"name": "a", "template": ""}]}`}, "each with its own name"},
		"template a number":   {files{"tokenizer.json": small(), "tokenizer_config.json": `{"chat_template": 5}`}, `key "chat_template": want a text, found 5`},
		"unk_token":           {files{"tokenizer.json": set(smallPieces(), m{"model.unk_token": "x"})}, `unk_token "x" is not in the vocabulary`},
		"a merge of none":     {files{"tokenizer.json": set(smallPieces(), m{"model.merges": []any{"a x"}})}, "one of the three is no token"},
		"Unigram scores":      {files{"tokenizer.json": set(smallUnigram(), m{"model.vocab": []any{[]any{"a", "b"}}})}, "token 0: want a text and a score"},
		"unk_id":              {files{"tokenizer.json": set(smallUnigram(), m{"model.unk_id": 99})}, "unk_id 99 is outside the vocabulary"},
		"pieces":              {files{"tokenizer.model": "\x0a\xff\xff"}, "tokenizer.model: damaged SentencePiece model"},
		"pieces none":         {files{"tokenizer.model": ""}, "damaged SentencePiece model"},
		"pieces of a kind":    {files{"tokenizer.model": appendField(appendField(nil, 1, pieceOf("a", 0, 1)), 2, []byte{3 << 3, 4})}, "model_type 4"},
		"pieces normalised":   {files{"tokenizer.model": appendField(appendField(nil, 1, pieceOf("a", 0, 1)), 2, []byte{3 << 3, 2})}, "remove_extra_whitespaces"},
		"bytes in words":      {files{"vocab.txt": "a\x00"}, "zero byte"},
		"other files":         {files{"tekken.json": "{}"}, "tekken.json: unsupported vocabulary: pattern"},
	} {
		_, err := vocabularyOf(c.folder.write(t))
		require.ErrorContains(t, err, c.want, name)
		require.NotContains(t, err.Error(), "\n", name)
		require.False(t, strings.HasPrefix(err.Error(), "checkpoint: ") || strings.HasPrefix(err.Error(), "hf: "), err.Error())
		require.Less(t, len(err.Error()), 1800, name)
	}
}

// FuzzVocabulary: whatever the files say, there is a vocabulary that a model can be asked for, or
// one error of one line.
func FuzzVocabulary(f *testing.F) {
	add := func(name string, v any) {
		b, err := json.Marshal(v)
		require.NoError(f, err)
		f.Add(name, b, []byte(`{"eos_token": "a"}`))
	}
	add("tokenizer.json", small())
	add("tokenizer.json", smallPieces())
	add("tokenizer.json", smallUnigram())
	f.Add("tokenizer.model", appendField(appendField(appendField(nil, 1, pieceOf("a", 0, 2)), 2, []byte{3 << 3, 2}), 3, []byte{3 << 3, 1, 4 << 3, 0}), []byte(`{"added_tokens_decoder": {"1": {"content": "x"}}}`))
	f.Add("vocab.txt", []byte("[UNK]\n[CLS]\n[SEP]\na"), []byte("{}"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, name string, b, settings []byte) {
		if !slices.Contains([]string{"tokenizer.json", "tokenizer.model", "vocab.txt"}, name) || len(b) > 1<<16 {
			return
		}
		sub, err := os.MkdirTemp(dir, "")
		require.NoError(t, err)
		defer os.RemoveAll(sub)
		require.NoError(t, os.WriteFile(filepath.Join(sub, name), b, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(sub, "tokenizer_config.json"), settings, 0o600))
		kvs, err := vocabularyOf(sub)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		file, err := gguf.Compose(gguf.Composition{Path: sub, Keys: append([]gguf.KV{{Key: "general.architecture", Value: "llama"}}, kvs...)})
		if err != nil {
			return
		}
		if tok, err := model.Vocabulary(file); err == nil {
			tok.Decode(tok.Encode(nil, "a b\nab <unk>", true, true), true)
		} else {
			require.NotContains(t, err.Error(), "\n")
		}
	})
}
