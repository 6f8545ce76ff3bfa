package tokenizer

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"
)

// plainMerge merges the best pair of neighbours until there is none: rank says how good a pair is,
// the lower the better, of equals the leftmost.
func plainMerge(symbols []string, rank func(left, right string) (float64, bool)) []string {
	for {
		at, best := -1, 0.0
		for i := 0; i+1 < len(symbols); i++ {
			if r, ok := rank(symbols[i], symbols[i+1]); ok && (at < 0 || r < best) {
				at, best = i, r
			}
		}
		if at < 0 {
			return symbols
		}
		symbols[at] += symbols[at+1]
		symbols = slices.Delete(symbols, at+1, at+2)
	}
}

// plainPartition cuts text at special tokens: all occurrences of the longest token, then in what is
// left all of the next.
func plainPartition(c *Config, text string, parse bool) (parts []string, special []bool) {
	var order []int
	for id, typ := range c.Types {
		if typ == TypeUserDefined || parse && (typ == TypeControl || typ == TypeUnknown) {
			order = append(order, id)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(c.Tokens[b]), len(c.Tokens[a])) })
	parts, special = []string{text}, []bool{false}
	for _, id := range order {
		var nextParts []string
		var nextSpecial []bool
		for i, p := range parts {
			if special[i] {
				nextParts, nextSpecial = append(nextParts, p), append(nextSpecial, true)
				continue
			}
			for j, between := range strings.Split(p, c.Tokens[id]) {
				if j > 0 {
					nextParts, nextSpecial = append(nextParts, c.Tokens[id]), append(nextSpecial, true)
				}
				if between != "" {
					nextParts, nextSpecial = append(nextParts, between), append(nextSpecial, false)
				}
			}
		}
		parts, special = nextParts, nextSpecial
	}
	return parts, special
}

// plainEncode encodes the text between special tokens with encode.
func plainEncode(c *Config, text string, parse bool, encode func(text string, start bool) []int32) (ids []int32) {
	parts, special := plainPartition(c, text, parse)
	for i, p := range parts {
		switch {
		case special[i]:
			ids = append(ids, int32(slices.Index(c.Tokens, p)))
		case p != "":
			ids = append(ids, encode(p, i == 0 || special[i-1])...)
		}
	}
	return ids
}

// charsOf cuts s into characters; a byte that is none is one, too.
func charsOf(s string) (out []string) {
	for s != "" {
		_, n := utf8.DecodeRuneInString(s)
		out = append(out, s[:n])
		s = s[n:]
	}
	return out
}

// randomWord is made of few letters, so that tokens made in the same way occur in it.
func randomWord(rng *rand.Rand, letters []string, most int) string {
	var b strings.Builder
	for range 1 + rng.IntN(most) {
		b.WriteString(letters[rng.IntN(len(letters))])
	}
	return b.String()
}

func encodeEmpty(ids []int32) []int32 {
	if len(ids) == 0 {
		return nil
	}
	return ids
}

// TestSPMAgainstPlain compares with merging by hand on random vocabularies, whose scores are often
// equal.
func TestSPMAgainstPlain(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	letters := []string{"a", "b", "c", "é", "世", "▁"}
	for round := range 200 {
		c := NewConfig(ModelSPM)
		c.add(TypeUnknown, 0, "<unk>")
		c.add(TypeControl, 0, "<s>", "</s>")
		if round%3 != 0 {
			c.addBytes()
		}
		seen := map[string]bool{}
		for range rng.IntN(60) {
			if s := randomWord(rng, letters, 5); !seen[s] {
				seen[s] = true
				typ := TypeNormal
				if rng.IntN(20) == 0 {
					typ = TypeUserDefined
				}
				c.add(typ, float32(rng.IntN(8)-6), s)
			}
		}
		c.AddSpacePrefix = flag(round%2 == 0)
		tok := mustNew(t, c)
		for range 30 {
			text := randomWord(rng, append([]string{" ", "x", "\xe4\xb8", "</s>", "<unk>", "ab"}, letters...), []int{4, 12, 100}[rng.IntN(3)])
			parse := rng.IntN(2) == 0
			want := plainEncode(&c, text, parse, func(text string, start bool) []int32 { return plainSPM(&c, text, start && *c.AddSpacePrefix) })
			got := tok.Encode(nil, text, false, parse)
			require.Equal(t, want, encodeEmpty(got), "%q", text)
		}
	}
}

func plainSPM(c *Config, text string, prefix bool) (ids []int32) {
	if prefix {
		text = " " + text
	}
	text = strings.ReplaceAll(text, " ", "▁")
	index := map[string]int32{}
	for id, s := range c.Tokens {
		index[s] = int32(id)
	}
	symbols := plainMerge(charsOf(text), func(l, r string) (float64, bool) {
		id, ok := index[l+r]
		if !ok {
			return 0, false
		}
		return -float64(c.Scores[id]), true
	})
	for _, s := range symbols {
		if id, ok := index[s]; ok {
			ids = append(ids, id)
			continue
		}
		for _, b := range []byte(s) {
			id, ok := index[fmt.Sprintf("<0x%02X>", b)]
			if !ok {
				id = index[string([]byte{b})] // or 0, which is <unk>
			}
			ids = append(ids, id)
		}
	}
	return ids
}

// TestBPEAgainstPlain compares with merging by hand on random lists of merges, in words on both
// sides of shortWord.
func TestBPEAgainstPlain(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	letters := []string{"a", "b", "c", "é", "世", " "}
	for round := range 200 {
		c := NewConfig(ModelBPE)
		c.Pre = []string{"gpt-2", "llama-bpe", "sarvam-moe", "gemma4"}[round%4]
		raw := round%4 >= 2
		symbols := strings.Split("abc", "")
		if raw {
			symbols = append(symbols, "é", "世", "▁", "\n")
			c.addBytes()
		} else {
			symbols = append(symbols, "Ã", "©", "ä", "¸", "ĸ", "Ġ")
			for _, s := range byteSpelling {
				if rng.IntN(50) > 0 {
					c.add(TypeNormal, 0, s)
				}
			}
		}
		known := map[string]bool{}
		for _, s := range c.Tokens {
			known[s] = true
		}
		if raw {
			for _, s := range symbols {
				known[s] = true
				c.add(TypeNormal, 0, s)
			}
		}
		for range rng.IntN(80) {
			l, r := symbols[rng.IntN(len(symbols))], symbols[rng.IntN(len(symbols))]
			c.Merges = append(c.Merges, l+" "+r)
			symbols = append(symbols, l+r)
			if rng.IntN(15) > 0 && !known[l+r] {
				known[l+r] = true
				c.add([]int32{TypeNormal, TypeNormal, TypeNormal, TypeUserDefined}[rng.IntN(4)], 0, l+r)
			}
		}
		c.Merges = append(c.Merges, "a b")
		tok := mustNew(t, c)
		for range 30 {
			text := randomWord(rng, append([]string{"x", "\n", "\n\n"}, letters...), []int{4, 40, 300}[rng.IntN(3)])
			if rng.IntN(2) == 0 {
				text = strings.ReplaceAll(text, " ", "")
			}
			want := plainEncode(&c, text, false, func(text string, _ bool) []int32 { return plainBPE(tok, &c, text) })
			require.Equal(t, want, encodeEmpty(tok.Encode(nil, text, false, false)), "%s %q", c.Pre, text)
		}
	}
}

func plainBPE(tok *Tokenizer, c *Config, text string) (ids []int32) {
	index, ranks := map[string]int32{}, map[string]int{}
	for id, s := range c.Tokens {
		index[s] = int32(id)
	}
	for i, m := range c.Merges {
		if _, ok := ranks[m]; !ok {
			ranks[m] = i
		}
	}
	raw := c.Pre == "gemma4" || c.Pre == "sarvam-moe"
	if raw {
		text = strings.ReplaceAll(text, " ", "▁")
	}
	ends := tok.pre.split(text)
	for _, word := range pieces(text, ends) {
		symbols := charsOf(word)
		if !raw {
			symbols = symbols[:0]
			for _, b := range []byte(word) {
				symbols = append(symbols, byteSpelling[b])
			}
		}
		whole, ok := index[strings.Join(symbols, "")]
		if ok && (c.Pre == "llama-bpe" || c.Pre == "gemma4" && strings.Trim(word, "\n") == "") {
			ids = append(ids, whole)
			continue
		}
		symbols = plainMerge(symbols, func(l, r string) (float64, bool) { rank, ok := ranks[l+" "+r]; return float64(rank), ok })
		for _, s := range symbols {
			if id, ok := index[s]; ok {
				ids = append(ids, id)
				continue
			}
			var fallback []string // what is no token is spelled in bytes
			for _, r := range s {
				if raw {
					for _, b := range []byte(string(r)) {
						fallback = append(fallback, fmt.Sprintf("<0x%02X>", b))
					}
				} else {
					fallback = append(fallback, string(r))
				}
			}
			for _, b := range fallback {
				if id, ok := index[b]; ok {
					ids = append(ids, id)
				}
			}
		}
	}
	return ids
}

// TestWhitespaceModel is BPE on characters in words between white space, in lower case if the file
// says so.
func TestWhitespaceModel(t *testing.T) {
	c := NewConfig(ModelWhitespace)
	c.Pre = "whitespace"
	c.add(TypeNormal, 0, "<unk>", "a", "b", "ab", "世", "界", "世界", "É", "é")
	c.Merges = []string{"a b", "世 界"}
	tok := mustNew(t, c)
	require.Equal(t, []string{"ab", "ab", "世界", "É"}, spellings(tok, tok.Encode(nil, " ab\u3000ab\n世界\tÉ ", false, false)))
	require.Equal(t, "abab世界É", tok.Decode([]int32{3, 3, 6, 7}, false))
	c.Lowercase = flag(true)
	require.Equal(t, []string{"ab", "é"}, spellings(mustNew(t, c), mustNew(t, c).Encode(nil, "AB É", false, false)))
}

// TestWPMAgainstPlain compares with WordPiece as it is described, on random vocabularies.
func TestWPMAgainstPlain(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for round := range 200 {
		c := NewConfig(ModelWPM)
		c.add(TypeControl, 0, "[CLS]", "[SEP]")
		c.add(TypeUnknown, 0, "[UNK]")
		c.CLS, c.SEP, c.UNK = 0, 1, 2
		seen := map[string]bool{}
		for range 60 {
			s := randomWord(rng, []string{"a", "b", "c", "e", "é", "世", "ᄒ", ",", "ж"}, 4)
			if rng.IntN(2) == 0 {
				s = "▁" + s
			}
			if !seen[s] {
				seen[s] = true
				c.add(TypeNormal, 0, s)
			}
		}
		c.Lowercase = []*bool{nil, flag(true), flag(false)}[round%3]
		c.StripAccents = []*bool{nil, nil, flag(true), flag(false)}[round%4]
		lower := c.Lowercase == nil || *c.Lowercase
		strip := lower
		if c.StripAccents != nil {
			strip = *c.StripAccents
		}
		tok := mustNew(t, c)
		for range 40 {
			text := randomWord(rng, []string{"a", "b", "c", "A", "C", "e", "é", "É", "e\u0301", "Ж", "世", "한", " ", "\u00a0", "\n", ",", "!", "€", "+", "\x00", "\u200b", "\ue000", "\ufffd", "▁"}, 20)
			want := append([]int32{0}, plainWPM(&c, text, lower, strip)...)
			require.Equal(t, append(want, 1), tok.Encode(nil, text, true, false), "%q lower %v strip %v", text, lower, strip)
		}
	}
}

func plainWPM(c *Config, text string, lower, strip bool) (ids []int32) {
	if strip {
		var b strings.Builder
		for _, r := range text {
			if '가' <= r && r <= '힣' {
				r = []rune(norm.NFD.String(string(r)))[0]
			}
			for _, d := range norm.NFD.String(string(r)) {
				if classOf(d)&mark == 0 {
					b.WriteRune(d)
				}
			}
		}
		text = b.String()
	}
	if lower {
		text = strings.ToLower(text)
	}
	text = strings.Map(func(r rune) rune {
		if r == '\x00' || r == '\u200b' || r == '\ue000' || r == '\ufffd' {
			return -1
		}
		return r
	}, text)
	// the others of the test, € and ▁, belong to words
	for _, alone := range []string{",", "!", "+", "世"} {
		text = strings.ReplaceAll(text, alone, " "+alone+" ")
	}
	for _, word := range strings.Fields(text) {
		word = "▁" + word
		var spelled []int32
		for word != "" {
			best, id := "", 0
			for i, s := range c.Tokens {
				if strings.HasPrefix(word, s) && len(s) > len(best) {
					best, id = s, i
				}
			}
			if best == "" {
				spelled = []int32{c.UNK}
				break
			}
			spelled = append(spelled, int32(id))
			word = word[len(best):]
		}
		ids = append(ids, spelled...)
	}
	return ids
}
