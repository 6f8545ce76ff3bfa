package tokenizer

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// charsmapBuilder lays out a map of strings as SentencePiece's precompiled_charsmap.
type charsmapBuilder struct {
	units []uint32
	used  []bool
	bases map[int]bool // each belongs to one node, because a unit does not name its parent
	texts []byte
	far   bool // bases beyond 2^21, which are written in units of 256
}

func buildCharsmap(m map[string]string, far bool) []byte {
	// offset 0 is the empty string
	b := &charsmapBuilder{far: far, bases: map[int]bool{}, texts: []byte{0}}
	b.grow(0)
	b.used[0] = true
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	b.children(0, keys, m, 0)
	b.units = slices.Concat(b.units, make([]uint32, -len(b.units)&255))
	out := binary.LittleEndian.AppendUint32(nil, uint32(4*len(b.units)))
	for _, u := range b.units {
		out = binary.LittleEndian.AppendUint32(out, u)
	}
	return append(out, b.texts...)
}

func (b *charsmapBuilder) grow(i int) {
	if n := i + 1 - len(b.units); n > 0 {
		b.units = append(b.units, make([]uint32, n)...)
		b.used = append(b.used, make([]bool, n)...)
	}
}

// children gives the node at index a base so that the children's places, base XOR label, are free.
// keys are sorted and share depth bytes.
func (b *charsmapBuilder) children(index int, keys []string, m map[string]string, depth int) {
	var labels []byte
	if len(keys[0]) == depth {
		labels = append(labels, 0) // the value
	}
	for _, k := range keys {
		if len(k) > depth && (len(labels) == 0 || labels[len(labels)-1] != k[depth]) {
			labels = append(labels, k[depth])
		}
	}
	base, step := 1, 1
	if b.far {
		base, step = 1<<21|index&255, 256
	}
	for ; ; base += step {
		free := !b.bases[base]
		for _, c := range labels {
			b.grow(base ^ int(c))
			free = free && !b.used[base^int(c)]
		}
		if free {
			break
		}
	}
	b.bases[base] = true
	offset := uint32(index ^ base)
	if offset < 1<<21 {
		b.units[index] |= offset << 10
	} else {
		b.units[index] |= offset>>8<<10 | 1<<9
	}
	for _, c := range labels {
		b.used[base^int(c)] = true
		b.units[base^int(c)] = uint32(c)
	}
	if labels[0] == 0 && len(keys[0]) == depth {
		b.units[index] |= 1 << 8
		at := len(b.texts)
		b.texts = append(b.texts, m[keys[0]]...)
		b.texts = append(b.texts, 0)
		b.units[base] = 1<<31 | uint32(at)
		keys = keys[1:]
	}
	for len(keys) > 0 {
		c, n := keys[0][depth], 1
		for n < len(keys) && keys[n][depth] == c {
			n++
		}
		b.children(base^int(c), keys[:n], m, depth+1)
		keys = keys[n:]
	}
}

// plainNormalize is what SentencePiece does to a text before it looks for tokens.
func plainNormalize(c *Config, m map[string]string, text string) string {
	var b strings.Builder
	for text != "" {
		best, repl := "", ""
		for k, v := range m {
			if strings.HasPrefix(text, k) && len(k) > len(best) {
				best, repl = k, v
			}
		}
		for id, k := range c.Tokens {
			if c.Types[id] == TypeUserDefined && strings.HasPrefix(text, k) && (len(k) > len(best) || repl != best) {
				best, repl = k, k
			}
		}
		if best == "" {
			r, n := utf8.DecodeRuneInString(text)
			best, repl = text[:n], string(r)
		}
		b.WriteString(repl)
		text = text[len(best):]
	}
	text = b.String()
	if c.RemoveExtraWhitespaces != nil && *c.RemoveExtraWhitespaces {
		b.Reset()
		for word := range strings.SplitSeq(text, " ") {
			if word != "" {
				b.WriteString("▁" + word)
			}
		}
		return b.String()
	}
	if rest := strings.TrimLeft(text, " "); c.AddSpacePrefix != nil && *c.AddSpacePrefix && rest != "" {
		text = text[:len(text)-len(rest)] + " " + rest
	}
	return strings.ReplaceAll(text, " ", "▁")
}

// plainUnigram tries all spellings of a normalised text and returns the best, and its score.
func plainUnigram(c *Config, text string) (ids []int32, score float64) {
	index := map[string]int32{}
	lowest := float32(math.MaxFloat32)
	for id, s := range c.Tokens {
		switch c.Types[id] {
		case TypeNormal:
			lowest = min(lowest, c.Scores[id])
			index[s] = int32(id)
		case TypeUserDefined, TypeUnused:
			index[s] = int32(id)
		}
	}
	type result struct {
		ids   []int32 // -1 stands for an unknown character
		score float64
	}
	symbols := charsOf(text)
	memo := make([]*result, len(symbols)+1)
	var best func(n int) *result // the best spelling of the first n characters
	best = func(n int) *result {
		if memo[n] != nil {
			return memo[n]
		}
		r := &result{score: math.Inf(-1)}
		if n == 0 {
			r.score = 0
		}
		for i := range n {
			s := strings.Join(symbols[i:n], "")
			id, ok := index[s]
			var score float64
			switch {
			case ok && c.Types[id] == TypeUserDefined:
			case ok:
				score = float64(c.Scores[id])
			case n == i+1:
				id, score = -1, float64(lowest-10)
			default:
				continue
			}
			if before := best(i); before.score+score > r.score {
				r = &result{append(slices.Clone(before.ids), id), before.score + score}
			}
		}
		memo[n] = r
		return r
	}
	r := best(len(symbols))
	bytes := slices.Contains(c.Tokens, "<0x00>")
	at := 0
	for i, id := range r.ids {
		switch {
		case id >= 0:
			ids = append(ids, id)
			at += len(c.Tokens[id])
		case bytes:
			_, n := utf8.DecodeRuneInString(text[at:])
			for range n {
				ids = append(ids, int32(slices.Index(c.Tokens, fmt.Sprintf("<0x%02X>", text[at]))))
				at++
			}
		default:
			_, n := utf8.DecodeRuneInString(text[at:])
			at += n
			if i == 0 || r.ids[i-1] >= 0 {
				ids = append(ids, c.UNK)
			}
		}
	}
	return ids, r.score
}

func TestUnigramAgainstPlain(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	letters := []string{"a", "b", "c", "é", "世", "▁"}
	for round := range 200 {
		c := NewConfig(ModelUnigram)
		c.add(TypeControl, 0, "<pad>", "</s>")
		c.add(TypeUnknown, 0, "<unk>")
		c.UNK = 2
		if round%4 == 0 {
			c.addBytes()
		}
		seen := map[string]bool{}
		for range rng.IntN(40) {
			if s := randomWord(rng, letters, 4); !seen[s] {
				seen[s] = true
				c.add([]int32{TypeNormal, TypeNormal, TypeNormal, TypeNormal, TypeNormal, TypeNormal, TypeUnused, TypeUserDefined}[rng.IntN(8)], float32(rng.NormFloat64()*4-5), s)
			}
		}
		m := map[string]string{}
		if round%2 == 0 {
			m = map[string]string{"A": "a", "B": "b", "\u3000": " ", "\n": "  ", "ab": "c", "abc": "", "e\u0301": "é", "é": "e\u0301", "x世": "世 ", "\xff": "b"}
			c.CharsMap = buildCharsmap(m, false)
		}
		c.AddSpacePrefix = []*bool{nil, flag(true), flag(false)}[round%3]
		c.RemoveExtraWhitespaces = []*bool{nil, flag(true), flag(false), nil, flag(true)}[round%5]
		tok := mustNew(t, c)
		for range 30 {
			text := randomWord(rng, append([]string{" ", "  ", "x", "A", "B", "ab", "abc", "\u3000", "\n", "e\u0301", "x世", "\xff", "\xe4\xb8", "</s>", "\x00"}, letters...), []int{3, 10, 60}[rng.IntN(3)])
			parse := rng.IntN(2) == 0
			want := plainEncode(&c, text, parse, func(text string, _ bool) []int32 {
				ids, _ := plainUnigram(&c, plainNormalize(&c, m, text))
				return ids
			})
			require.Equal(t, want, encodeEmpty(tok.Encode(nil, text, false, parse)), "%q", text)
		}
	}
}

// TestUnigramTies checks where several spellings are equally likely that one of them is found.
func TestUnigramTies(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for range 200 {
		c := NewConfig(ModelUnigram)
		c.add(TypeControl, 0, "<pad>", "</s>")
		c.add(TypeUnknown, 0, "<unk>")
		c.add(TypeNormal, -2, "a", "b", "c")
		seen := map[string]bool{"a": true, "b": true, "c": true}
		for range 20 {
			if s := randomWord(rng, []string{"a", "b", "c"}, 4); !seen[s] {
				seen[s] = true
				c.add(TypeNormal, -float32(len(s)*2), s)
			}
		}
		tok := mustNew(t, c)
		text := randomWord(rng, []string{"a", "b", "c"}, 30)
		_, want := plainUnigram(&c, text)
		got := 0.0
		ids := tok.Encode(nil, text, false, false)
		for _, id := range ids {
			got += float64(c.Scores[id])
		}
		require.Equal(t, want, got)
		require.Equal(t, text, strings.Join(spellings(tok, ids), ""))
	}
}

// TestUnigramPieces checks that a text which is normalised in several pieces becomes what it
// becomes in one.
func TestUnigramPieces(t *testing.T) {
	c := tinyUnigram()
	c.AddSpacePrefix, c.RemoveExtraWhitespaces = flag(true), flag(false)
	tok := mustNew(t, c)
	text := "  hello   the\u3000wörld <extra> "
	want, rest := tok.normalize(nil, text, &normalizer{}, 1000)
	require.Empty(t, rest)
	for limit := 1; limit < len(want); limit++ {
		var got []byte
		var st normalizer
		for rest := text; rest != ""; {
			var piece []byte
			piece, rest = tok.normalize(nil, rest, &st, limit)
			got = append(got, piece...)
		}
		require.Equal(t, string(want), string(got))
	}
}

// TestCharsmap checks the double array, also where its bases need the coarse unit.
func TestCharsmap(t *testing.T) {
	m := map[string]string{"a": "1", "ab": "22", "abcd": "", "é": "e", "\U0001F642": ":)", "\xff\xfe": "?", "z": strings.Repeat("z", maxGrowth)}
	for c := range rune(300) {
		if c > 'z' {
			m[string(c)] = fmt.Sprint(c)
		}
	}
	for _, far := range []bool{false, true} {
		b := buildCharsmap(m, far)
		cm, err := newCharsmap(b)
		require.NoError(t, err)
		for k, v := range m {
			got, n := cm.longest(k + "~")
			require.Equal(t, len(k), n, "%q", k)
			require.Equal(t, v, got)
		}
		got, n := cm.longest("abc")
		require.Equal(t, 2, n)
		require.Equal(t, "22", got)
		for _, s := range []string{"", "b", "\x00", "\xff", "\xff\xff", "y"} {
			_, n := cm.longest(s)
			require.Zero(t, n, "%q", s)
		}
	}
}

// TestHostileCharsmaps feeds maps that are cut off, or of nonsense: an error or some replacement,
// never a panic.
func TestHostileCharsmaps(t *testing.T) {
	good := buildCharsmap(map[string]string{"a": "b", "abc": "xyz", "é": "e"}, false)
	for n := 1; n < len(good); n++ {
		_, err := newCharsmap(good[:n])
		if n < len(good)-9 {
			require.ErrorIs(t, err, ErrFormat, "%d", n)
			require.ErrorContains(t, err, "precompiled_charsmap")
		}
	}
	_, err := newCharsmap(buildCharsmap(map[string]string{"a": strings.Repeat("z", maxReplacement+1)}, false))
	require.ErrorContains(t, err, "a replacement has over 256 bytes")
	_, err = newCharsmap(buildCharsmap(map[string]string{"a": "b", "ab": strings.Repeat("z", 2*maxGrowth+1)}, false))
	require.ErrorContains(t, err, "33 bytes for 2, at most 16 times as many")
	_, err = newCharsmap(append(slices.Clone(good), 'x'))
	require.ErrorContains(t, err, "the last replacement has no end")
	rng := rand.New(rand.NewPCG(13, 14))
	for range 2000 {
		b := slices.Clone(good)
		for range 1 + rng.IntN(20) {
			b[4+rng.IntN(len(b)-5)] = byte(rng.Uint32())
		}
		cm, err := newCharsmap(b)
		if err != nil {
			require.ErrorIs(t, err, ErrFormat)
			continue
		}
		for _, s := range []string{"abcabc", "é", "\xff\xfe\xfd", strings.Repeat("a", 1000)} {
			_, n := cm.longest(s)
			require.LessOrEqual(t, n, len(s))
		}
	}
}
