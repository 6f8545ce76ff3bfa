package model

import (
	"fmt"
	"math"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/tokenizer"
	"github.com/goinfer/goinfer/tokenizer/hf"
)

// Vocabulary reads the tokenizer of a GGUF file of any architecture, from the keys
// tokenizer.ggml.*. Nothing in it refers to f afterwards.
func Vocabulary(f *gguf.File) (*tokenizer.Tokenizer, error) {
	r := vocabReader{reader{m: GGUF(f), prefix: vocabPrefix}, f}
	if _, ok := f.Value(vocabPrefix + "model"); !ok {
		return nil, fmt.Errorf("no key %smodel: the file has no vocabulary", vocabPrefix)
	}
	c := tokenizer.NewConfig(r.text(vocabPrefix+"model", ""))
	c.Pre = r.text(vocabPrefix+"pre", "")
	c.Name = r.text("general.name", "")
	c.Arch = r.text("general.architecture", "")
	r.rows()
	c.Tokens = r.strings("tokens")
	c.Merges = r.strings("merges")
	n := len(c.Tokens)
	c.Scores = vocabArray(&r, "scores", n, "numbers", func(v gguf.Value) (float32, bool) {
		x, ok := v.Float()
		return float32(x), ok
	})
	c.Types = vocabArray(&r, "token_type", n, "numbers of types", func(v gguf.Value) (int32, bool) {
		x, ok := v.Int()
		return int32(x), ok && int64(int32(x)) == x
	})
	if c.Model == tokenizer.ModelUnigram {
		c.CharsMap = r.bytes("precompiled_charsmap")
	}
	for _, p := range [...]struct {
		key string
		id  *int32
	}{
		{"bos", &c.BOS}, {"eos", &c.EOS}, {"unknown", &c.UNK}, {"padding", &c.PAD}, {"cls", &c.CLS}, {"mask", &c.MASK}, {"eot", &c.EOT}, {"eom", &c.EOM},
		// the format's spelling, and that of its description
		{"seperator", &c.SEP}, {"separator", &c.SEP},
		{"fim_pre", &c.FIMPre}, {"fim_suf", &c.FIMSuf}, {"fim_mid", &c.FIMMid}, {"fim_pad", &c.FIMPad}, {"fim_rep", &c.FIMRep}, {"fim_sep", &c.FIMSep},
		// the names before 2024-10
		{"prefix", &c.FIMPre}, {"suffix", &c.FIMSuf}, {"middle", &c.FIMMid},
	} {
		r.id(p.key+"_token_id", n, p.id)
	}
	for _, p := range [...]struct {
		key  string
		flag **bool
	}{
		{"add_bos_token", &c.AddBOS}, {"add_eos_token", &c.AddEOS}, {"add_sep_token", &c.AddSEP}, {"add_space_prefix", &c.AddSpacePrefix},
		{"remove_extra_whitespaces", &c.RemoveExtraWhitespaces},
		{"normalizer.lowercase", &c.Lowercase}, {"normalizer.strip_accents", &c.StripAccents},
	} {
		r.flag(p.key, p.flag)
	}
	if v, ok := f.Value(hf.KeyPipeline); ok && r.err == nil {
		text, ok := v.Text()
		if !ok {
			r.keepErr(wrong(hf.KeyPipeline, "a text", v))
			return nil, r.err
		}
		var err error
		c.Pipeline, err = hf.ParsePipeline(text)
		r.keepErr(err)
	}
	if r.err != nil {
		return nil, r.err
	}
	return tokenizer.New(c)
}

const vocabPrefix = "tokenizer.ggml."

// vocabReader reads what is kept of the vocabulary without a copy in between: arrays are the
// largest part of a header.
type vocabReader struct {
	reader
	f *gguf.File
}

// value finds a key. Once there is a fault, it finds nothing more.
func (r *vocabReader) value(key string) (gguf.Value, bool) {
	if r.err != nil {
		return gguf.Value{}, false
	}
	return r.f.Value(r.prefix + key)
}

// rows checks that the embedding has a row for every token, before a vocabulary is built that may
// be far larger than the model.
func (r *vocabReader) rows() {
	n, ok, err := r.m.Len(r.prefix + "tokens")
	r.keepErr(err)
	t, has := r.f.Tensor("token_embd.weight")
	if ok && has && (len(t.Shape) < 2 || t.Shape[1] != n) {
		r.fail("%d tokens, but tensor %q has the shape %v: want a row for each", n, t.Name, t.Shape)
	}
}

func (r *vocabReader) strings(key string) []string {
	v, ok := r.value(key)
	if !ok {
		return nil
	}
	s, ok := v.Strings()
	if !ok {
		r.keepErr(wrong(r.prefix+key, "an array of strings", v))
	}
	return s
}

func (r *vocabReader) bytes(key string) []byte {
	v, ok := r.value(key)
	if !ok {
		return nil
	}
	if v.Len() > maxText {
		r.keepErr(wrong(r.prefix+key, fmt.Sprintf("at most %d bytes", maxText), v))
		return nil
	}
	b, ok := v.Bytes()
	if !ok {
		r.keepErr(wrong(r.prefix+key, "an array of bytes", v))
	}
	return b
}

// vocabArray reads an array of which no more than one element per token is of use.
func vocabArray[T any](r *vocabReader, key string, tokens int, want string, decode func(gguf.Value) (T, bool)) []T {
	v, ok := r.value(key)
	if !ok {
		return nil
	}
	n := min(tokens, v.Len())
	out := make([]T, 0, n)
	v.Each(func(_ int, e gguf.Value) bool {
		if len(out) == n {
			return false
		}
		x, ok := decode(e)
		if ok {
			out = append(out, x)
		}
		return ok
	})
	if v.Kind() != gguf.Array || len(out) < n {
		r.keepErr(wrong(r.prefix+key, "an array of "+want, v))
	}
	return out
}

// id reads the number of a token, unless it is known already. What no vocabulary can hold means
// none, except for the three that a text is made with.
func (r *vocabReader) id(key string, tokens int, id *int32) {
	n, ok, err := r.m.Uint(r.prefix + key)
	r.keepErr(err)
	switch {
	case !ok || err != nil || *id >= 0:
	case n <= math.MaxInt32:
		*id = int32(n)
	case key == "bos_token_id" || key == "eos_token_id" || key == "unknown_token_id":
		r.fail("key %s: %d is outside the vocabulary of %d tokens", r.key(key), n, tokens)
	}
}

func (r *vocabReader) flag(key string, flag **bool) {
	v, ok := r.value(key)
	if !ok {
		return
	}
	b, ok := v.Bool()
	if !ok {
		r.keepErr(wrong(r.prefix+key, "true or false", v))
		return
	}
	*flag = &b
}
