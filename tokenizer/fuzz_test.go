package tokenizer

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// configReader makes a Config of bytes: any bytes are one, and short ones are interesting.
type configReader struct{ b []byte }

func (r *configReader) byte() byte {
	if len(r.b) == 0 {
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *configReader) text() string {
	n := min(int(r.byte()%12), len(r.b))
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *configReader) flag() *bool {
	switch r.byte() % 3 {
	case 1:
		return flag(true)
	case 2:
		return flag(false)
	}
	return nil
}

func (r *configReader) config() Config {
	models := []string{ModelSPM, ModelBPE, ModelWPM, ModelUnigram, ModelGemma4, ModelWhitespace, "rwkv"}
	c := NewConfig(models[int(r.byte())%len(models)])
	if pre := r.byte(); int(pre) < len(PreNames()) {
		c.Pre = PreNames()[pre]
	} else if pre == 255 {
		c.Pre = r.text()
	}
	c.Name = []string{"", "phi-3", "modern-bert"}[r.byte()%3]
	c.Arch = []string{"", "jina-bert-v3"}[r.byte()%2]
	switch r.byte() % 4 { // alphabets, so that what follows can be short
	case 1:
		c.addBytes()
	case 2:
		for _, s := range byteSpelling {
			c.add(TypeNormal, 0, s)
		}
	}
	names := slices.Concat(eotNames, eomNames, eogNames, shownNames, fimNames[0], fimNames[3], []string{"<mask>", "[MASK]", "<unk>", "<s>", escaped, escaped + escaped})
	for range r.byte() {
		kind := r.byte()
		s := r.text()
		if kind >= 128 {
			s = names[int(r.byte())%len(names)]
		}
		score := float32(int8(r.byte()))
		switch score {
		case 127:
			score = float32(math.Inf(1))
		case 126:
			score = float32(math.NaN())
		case 125:
			score = -math.MaxFloat32
		}
		c.add(int32(kind%9)-1, score, s)
	}
	for range r.byte() {
		m := r.text()
		if i := int(r.byte()); i < len(c.Tokens) {
			m = c.Tokens[i] + " " + m
		}
		c.Merges = append(c.Merges, m)
	}
	for _, id := range []*int32{&c.BOS, &c.EOS, &c.UNK, &c.SEP, &c.PAD, &c.CLS, &c.MASK, &c.EOT, &c.EOM, &c.FIMPre, &c.FIMSuf, &c.FIMMid, &c.FIMPad, &c.FIMRep, &c.FIMSep} {
		if v := int8(r.byte()); v != 0 {
			*id = int32(v)
		}
	}
	for _, f := range []**bool{&c.AddBOS, &c.AddEOS, &c.AddSEP, &c.AddSpacePrefix, &c.RemoveExtraWhitespaces, &c.Lowercase, &c.StripAccents} {
		*f = r.flag()
	}
	switch r.byte() % 8 {
	case 1:
		c.Types = nil
	case 2:
		c.Scores = nil
	case 3:
		c.Types = c.Types[:len(c.Types)/2]
	case 4:
		c.CharsMap = buildCharsmap(map[string]string{"a": "b", "bc": "", "é": "e ", "\xff": "x"}, false)
		for range r.byte() % 8 {
			i := int(r.byte())<<8 | int(r.byte())
			c.CharsMap[i%len(c.CharsMap)] = r.byte()
		}
	case 5:
		n := min(int(r.byte()), len(r.b))
		c.CharsMap, r.b = r.b[:n], r.b[n:]
	}
	return c
}

// FuzzNew builds vocabularies of any bytes. What New takes must encode and decode any text.
func FuzzNew(f *testing.F) {
	f.Add([]byte{})
	for model := range byte(7) {
		f.Add(append([]byte{model, 40, 0, 0, 1, 3, 2, 1, 'a', 1, 2, 2, 'a', 'b', 2, 5, 1, 'b', 3, 0, 1}, "hello a b ab aab"...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &configReader{b}
		c := r.config()
		tok, err := New(c)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		exercise(t, tok, string(r.b))
		exercise(t, tok, strings.Join(c.Tokens, " ")+string(r.b))
		s := tok.NewStream(StreamConfig{Start: true, Special: true})
		for id := range int32(tok.Size()) + 1 {
			require.True(t, utf8.Valid(s.Push(id)))
		}
	})
}

// FuzzEncode encodes any text with a vocabulary that can spell all bytes and checks that decoding
// gives the text back.
func FuzzEncode(f *testing.F) {
	type target struct {
		name string
		tok  *Tokenizer
		want func(text string) (string, bool) // what decoding gives, false if it gives no inverse
	}
	// Byte-level BPE spells U+FFFD for what is not UTF-8; SentencePiece cannot distinguish U+2581
	// from a space.
	valid := func(text string) (string, bool) { return replaceInvalid(text), true }
	spaces := func(text string) (string, bool) { return strings.ReplaceAll(text, escaped, " "), true }
	withSpecials := tinySPM()
	withSpecials.AddSpacePrefix = flag(false)
	withSpecials.add(TypeUserDefined, 0, "<think>", "  ", "\n\n", "\n\n\n", "th", "世h", "\xff")
	targets := []target{{"spm", mustNew(f, tinySPM()), spaces}, {"spm with special tokens", mustNew(f, withSpecials), spaces}}
	for _, p := range pretokenizers {
		if !p.raw {
			c := tinyBPE()
			c.Pre = p.names[0]
			targets = append(targets, target{c.Pre, mustNew(f, c), valid})
		}
	}
	c := NewConfig(ModelGemma4)
	c.addBytes()
	c.add(TypeNormal, 0, "a", "▁", "▁a", "\n", "\n\n", "世")
	c.add(TypeUserDefined, 0, "▁▁", "<b>")
	c.Merges = []string{"▁ a", "\n \n"}
	targets = append(targets, target{ModelGemma4, mustNew(f, c), func(text string) (string, bool) {
		return replaceInvalid(text), !strings.Contains(text, escaped)
	}})
	for i := range targets {
		targets[i].tok.clean = false // it is no inverse
		for _, s := range []string{"", " ", "hello world", "  the <think> 世界\n\n", "é\xff\xe4\xb8", "▁the▁▁", "<|im_end|></s>", "\x00\u2028 's 'LL 123456 \r\n", "🙂👨‍👩‍👧"} {
			f.Add(byte(i), s)
		}
	}
	f.Fuzz(func(t *testing.T, which byte, text string) {
		g := targets[int(which)%len(targets)]
		if want, ok := g.want(text); ok {
			roundTrip(t, g.name, g.tok, text, want)
		} else {
			exercise(t, g.tok, text)
		}
	})
}

// roundTrip checks that text becomes want, decoded at once and in a stream, whatever the flags.
func roundTrip(t *testing.T, name string, tok *Tokenizer, text, want string) {
	ids := tok.Encode(nil, text, false, false)
	if got := tok.Decode(ids, false); got != want {
		t.Fatalf("%s: %q became %q, want %q (%q)", name, text, got, want, spellings(tok, ids))
	}
	s := tok.NewStream(StreamConfig{Start: true})
	var got []byte
	for _, id := range ids {
		piece := s.Push(id)
		if !utf8.Valid(piece) {
			t.Fatalf("%s: %q is shown in part", name, piece)
		}
		got = append(got, piece...)
	}
	got = append(got, s.Flush()...)
	if string(got) != replaceInvalid(want) {
		t.Fatalf("%s: %q was streamed as %q", name, text, got)
	}
	again := tok.Encode(slices.Clone(ids), text, false, false)
	if !slices.Equal(again[len(ids):], ids) {
		t.Fatalf("%s: %q has two encodings", name, text)
	}
	exercise(t, tok, text)
}
