package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// TestBytes checks what each kind of token adds to a text.
func TestBytes(t *testing.T) {
	spm := mustNew(t, tinySPM())
	for b := range 256 {
		id, ok := spm.Lookup(fmt.Sprintf("<0x%02X>", b))
		require.True(t, ok)
		require.Equal(t, []byte{byte(b)}, spm.Bytes(id))
	}
	bpe := mustNew(t, tinyBPE())
	for b := range 256 {
		require.Equal(t, []byte{byte(b)}, bpe.Bytes(int32(b)), "byte %d", b)
	}
	bytesOf := func(tok *Tokenizer, spelling string) string {
		id, ok := tok.Lookup(spelling)
		require.True(t, ok, spelling)
		return string(tok.Bytes(id))
	}
	for spelling, want := range map[string]string{"<unk>": "", "<s>": "", "▁the": " the", "▁▁▁▁": "    ", "世界": "世界"} {
		require.Equal(t, want, bytesOf(spm, spelling), spelling)
	}
	for spelling, want := range map[string]string{"<|im_end|>": "", "<think>": "<think>", "Ġthe": " the", "Ã©": "é", "ä¸": "\xe4\xb8", "ĊĊ": "\n\n"} {
		require.Equal(t, want, bytesOf(bpe, spelling), spelling)
	}
	wpm := mustNew(t, tinyWPM())
	for spelling, want := range map[string]string{"[CLS]": "", "[UNK]": "", "▁hello": " hello", "able": "able"} {
		require.Equal(t, want, bytesOf(wpm, spelling), spelling)
	}
	c := tinyBPE()
	// not in GPT-2's alphabet, and its edge: Ń is the last of it
	c.add(TypeNormal, 0, "plain text ½ 世", "ĀŃń")
	c.add(TypeUnused, 0, "<unused0>")
	c.add(TypeUndefined, 0, "<undefined>")
	c.add(99, 0, "<type 99>")
	c.add(TypeByte, 0, "<0x0a>")
	bpe = mustNew(t, c)
	for spelling, want := range map[string]string{"plain text ½ 世": "plain text \xbd 世", "ĀŃń": "\x00\xadń", "<unused0>": "", "<undefined>": "", "<type 99>": "", "<0x0a>": "\n"} {
		require.Equal(t, want, bytesOf(bpe, spelling), spelling)
	}
	c = tinyBPE()
	c.Pre = "sarvam-moe"
	c.add(TypeNormal, 0, "▁a▁b")
	require.Equal(t, " a b", bytesOf(mustNew(t, c), "▁a▁b"))
	for _, id := range []int32{-1, -1 << 31, int32(bpe.Size()), 1<<31 - 1} {
		require.Empty(t, bpe.Bytes(id))
		require.Empty(t, bpe.Spelling(id))
		require.False(t, bpe.IsControl(id))
		require.Empty(t, bpe.Decode([]int32{id}, true))
	}
}

// TestDecode checks the space in front of a text, which the model puts there.
func TestDecode(t *testing.T) {
	tok := mustNew(t, tinySPM())
	ids := tok.Encode(nil, " hello world", true, false)
	require.Equal(t, []string{"<s>", "▁", "▁hello", "▁world"}, spellings(tok, ids))
	require.Equal(t, " hello world", tok.Decode(ids, false))
	// as llama.cpp shows it: the first token is no space
	require.Equal(t, "<s>  hello world", tok.Decode(ids, true))
	require.Equal(t, "hello world", tok.Decode(ids[2:], false))
	require.Equal(t, "", tok.Decode(nil, true))
	// a byte that is no character does not swallow what follows
	ids = tok.Encode(nil, "hello\xe9 the\xe4\xb8\x00", false, false)
	require.Equal(t, []string{"▁hello", "<0xE9>", "▁the", "<0xE4>", "<0xB8>", "<0x00>"}, spellings(tok, ids))
	require.Equal(t, "hello\xe9 the\xe4\xb8\x00", tok.Decode(ids, false))
	ids = tok.Encode(nil, " hello world", true, false)
	c := tinySPM()
	c.AddSpacePrefix = flag(false)
	require.Equal(t, " hello world", mustNew(t, c).Decode(ids[2:], false))
}

func TestCleanSpaces(t *testing.T) {
	for in, want := range map[string]string{
		"": "", " ": " ", "?": "?", " ?": "?", "a ? b ! c . d , e": "a? b! c. d, e", "a  . b": "a . b", "  ..": " ..",
		"a ' b": "a'b", "a '": "a '", "' b": "' b", "a ' ' b": "a'' b",
		"he 's I 'm we 're I 've": "he's I'm we're I've", "I 'll he 'd don 't": "I 'll he 'd don 't", "x 'r": "x 'r", "x 'v": "x 'v", "a 'rx": "a 'rx",
		"世 . 界 's": "世. 界's",
	} {
		require.Equal(t, want, string(cleanSpaces([]byte(in))), "%q", in)
	}
	tok := mustNew(t, tinyWPM())
	require.Equal(t, " hello, world!", tok.Decode(tok.Encode(nil, "Hello, WORLD!", false, false), false))
}

// TestStream pushes random ids and checks that every piece is whole characters and that all of them
// are what Decode says, with U+FFFD for bytes that are not UTF-8.
func TestStream(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	const some = "世é🙂\xff\xc0\xed\xa0\x80 "
	for name, c := range tinyConfigs() {
		tok := mustNew(t, c)
		tok.clean = false // a Stream cannot take back what it has returned
		for range 2000 {
			var ids []int32
			for range rng.IntN(12) {
				id := int32(rng.IntN(tok.Size()+2) - 1)
				if rng.IntN(2) == 0 { // likely parts of a character
					id = tok.bytes[some[rng.IntN(len(some))]]
				}
				ids = append(ids, id)
			}
			special, start := rng.IntN(2) == 0, rng.IntN(4) > 0
			s := tok.NewStream(StreamConfig{Start: start, Special: special})
			var got []byte
			for _, id := range ids {
				piece := s.Push(id)
				require.True(t, utf8.Valid(piece), "%s %v", name, ids)
				got = append(got, piece...)
			}
			got = append(got, s.Flush()...)
			want := tok.Decode(ids, special)
			if !start {
				want = string(joinBytes(tok, ids, special))
			}
			require.Equal(t, replaceInvalid(want), string(got), "%s %v", name, ids)
			require.Empty(t, s.Flush())
		}
	}
}

func joinBytes(tok *Tokenizer, ids []int32, special bool) (out []byte) {
	for _, id := range ids {
		if special && tok.hidden(id) {
			out = append(out, tok.Spelling(id)...)
		} else {
			out = append(out, tok.Bytes(id)...)
		}
	}
	return out
}

// TestStreamHoldsBack shows when a character appears.
func TestStreamHoldsBack(t *testing.T) {
	tok := mustNew(t, tinyBPE())
	s := tok.NewStream(StreamConfig{})
	var got []string
	for _, b := range []byte("a世\xe4b\xf0\x9f\x99\x82\xf0\x9f") {
		got = append(got, string(s.Push(int32(b))))
	}
	require.Equal(t, []string{"a", "", "", "世", "", "\ufffdb", "", "", "", "🙂", "", ""}, got)
	require.Equal(t, "\ufffd\ufffd", string(s.Flush()))
	require.Equal(t, "b", string(s.Push('b')))
}

// TestStreamAllocates checks that a token costs no memory.
func TestStreamAllocates(t *testing.T) {
	tok := mustNew(t, tinySPM())
	ids := tok.Encode(nil, strings.Repeat("hello world 世界 ж ", 4), false, false)
	s := tok.NewStream(StreamConfig{Start: true})
	i := 0
	require.Zero(t, testing.AllocsPerRun(1000, func() { s.Push(ids[i%len(ids)]); i++ }))
}
