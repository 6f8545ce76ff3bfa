package hf

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/tokenizer"
)

// sentences are texts of many scripts and habits; sampleTexts mixes them with what nobody would
// write.
var sentences = []string{
	"", " ", "  ", "   a", "a   ", "\n", "\n\n\n", "\t", " \t \n ", "Hello, world!", "The quick brown fox jumps over the lazy dog.",
	"I'm sure they'll say we've been HERE; it's Joe's, isn't it? They'D'VE'LL", "naïve café — “quoted” … ‘single’ «guillemets»", "e\u0301 a\u0308 ﬁ ½ Ⅳ ² ™ ㎏",
	"1234567890 12,345.678 3.14e-10 0xDEADBEEF 1/2 2026-11-30T20:15:00Z", "https://example.org/a_b?c=d&e=%20f#g user@example.org", "C:\\dir\\file.txt /usr/local/bin/../lib",
	"func main() {\n\tfmt.Println(\"hi\")\n\tif x := f(a[1:], &b); x != nil { return }\n}\n", "def f(x):\n    return {'a': x**2, \"b\": [i for i in range(10)]}\n\n\n# end",
	"SELECT * FROM t WHERE a<=3 AND b<>'x';--", "<html><body class=\"a\">&nbsp;</body></html> </s> <s> <b>", "{\"key\": [1, 2.5, null, true], \"ключ\": \"значение\"}",
	"Привет, мир! Съешь ещё этих мягких французских булок", "Γειά σου Κόσμε ΑΣ ΣΑΣ", "مرحبا بالعالم، كيف حالك؟ ﷺ السَّلامُ عَلَيْكُم", "שלום עולם שָׁלוֹם", "नमस्ते दुनिया, हिन्दी में लिखना कठिन नहीं है।",
	"வணக்கம் உலகம் தமிழ் மொழி", "বাংলা ভাষায় লেখা কঠিন নয়", "తెలుగు భాష కన్నಡ ಕನ್ನಡ മലയാളം", "สวัสดีชาวโลก ภาษาไทยไม่มีเว้นวรรค", "ພາສາລາວ ភាសាខ្មែរ မြန်မာဘာသာ", "你好，世界！我们今天去北京。", "繁體中文測試：「引號」與『引號』。",
	"こんにちは、世界！カタカナとひらがな ﾊﾝｶｸ", "안녕하세요 세계! 한국어와 학국어", "\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165", "ქართული ენა Հայերեն አማርኛ", "😀😃👩‍👩‍👧‍👦🏳️‍🌈🇩🇪👍🏽 ❤️ ☺", "Zürich İstanbul ISTANBUL ıi ẞß ǅ Ǆ",
	"\u200b\u200c\u200d\ufeff\u00a0\u3000\u2003\u2028\u2029\u0085", "a\u0000b\u0001c\u007fd\u009fe\u00adf\ufffdg", "\u2581\u2581a \u2581b", "```\ncode\n```\n\n* item\n  1. sub\n\n---", "x=1;y=2;z=x+y*3-4/5%6^7&8|9~0", "!!!???...,,,;;;:::''''\"\"\"\"((()))[[[]]]{{{}}}", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	"supercalifragilisticexpialidocious antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis", "HTTPServerError XMLHttpRequest camelCaseWord snake_case_word kebab-case-word SCREAMING_CASE ÉcoleÀParis", "don't DON'T Don’t l'été aujourd'hui 'tis 'Twas rock'n'roll",
	"line one\r\nline two\rline three\n\n\n   indented\n\ttabbed\n \n  \n   \n", "1\u0661\u0967\u0e51\uff11\u2160\u00bd\u4e00", "ＦＵＬＬＷＩＤＴＨ ｆｕｌｌ ㈱ ① ﬀ ĳ Å Å Ω", "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349\u035a\u032f\u031e\u0320\u034dA\u036b\u0357\u0334\u0362",
	"[INST] hi [/INST] <|im_start|>user\nhi<|im_end|> <|endoftext|> <|user|>\nHello<|end|>\n", "<s>a</s> <unk> <pad> [CLS] [SEP] [MASK] [UNK] <mask> <bos>x<eos> <start_of_turn>user\nx<end_of_turn>", "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>", "<extra_id_0> <extra_id_99> <BOS_TOKEN> <EOS_TOKEN> <|END_OF_TURN_TOKEN|>", "<｜User｜>hi<｜Assistant｜> <｜end▁of▁sentence｜> <think>\nx\n</think>",
	"`` quotes '' and ``more''", "a  b   c    d     e      f", "¡Hola! ¿Qué tal? El niño comió piñas.", "Łódź Žluťoučký kůň příliš úpěl ďábelské ódy", "Đây là tiếng Việt có dấu", "\U0001D400\U0001D401 \U00020000\U0002A6D6 \U0001F9D1\u200d\U0001F680",
}

// blocks are the ranges that random texts take their characters from.
var blocks = [][2]rune{{0x20, 0x7e}, {0x20, 0x7e}, {0x20, 0x7e}, {'a', 'z'}, {'a', 'z'}, {'0', '9'}, {0xa0, 0x24f}, {0x300, 0x36f}, {0x370, 0x3ff}, {0x400, 0x4ff}, {0x590, 0x6ff}, {0x900, 0x97f}, {0x980, 0xbff}, {0xe00, 0xeff},
	{0x1100, 0x11ff}, {0x1e00, 0x1eff}, {0x2000, 0x206f}, {0x2070, 0x218f}, {0x2190, 0x27bf}, {0x3000, 0x30ff}, {0x4e00, 0x9fff}, {0xac00, 0xd7a3}, {0xff00, 0xffef}, {0x1f300, 0x1f6ff}, {9, 13}, {' ', ' '}, {' ', ' '}}

// sampleTexts are 450 texts, the same each time.
func sampleTexts() []string {
	rng := rand.New(rand.NewPCG(7, 11))
	texts := append([]string(nil), sentences...)
	for len(texts) < 450 {
		var b strings.Builder
		switch rng.IntN(3) {
		case 0: // words of several sentences
			for range 1 + rng.IntN(12) {
				words := strings.SplitAfter(sentences[rng.IntN(len(sentences))], " ")
				b.WriteString(words[rng.IntN(len(words))])
			}
		case 1: // characters of one block and a few others
			block := blocks[rng.IntN(len(blocks))]
			for range 1 + rng.IntN(60) {
				if rng.IntN(5) == 0 {
					block = blocks[rng.IntN(len(blocks))]
				}
				if r := block[0] + rune(rng.IntN(int(block[1]-block[0]+1))); assigned(r) {
					b.WriteRune(r)
				}
			}
		default: // two sentences and what is between
			b.WriteString(sentences[rng.IntN(len(sentences))])
			b.WriteString([]string{"", " ", "\n", "  ", "\r\n", "'s ", "\u00a0"}[rng.IntN(7)])
			b.WriteString(sentences[rng.IntN(len(sentences))])
		}
		texts = append(texts, b.String())
	}
	return texts
}

// assigned leaves out what younger versions of Unicode added, about which libraries differ.
func assigned(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf)
}

// hashOf is the hash of the ids of all texts, a line each.
func hashOf(ids [][]int32) string {
	h := sha256.New()
	w := bufio.NewWriter(h)
	for _, list := range ids {
		for i, id := range list {
			if i > 0 {
				w.WriteByte(' ')
			}
			fmt.Fprint(w, id)
		}
		w.WriteByte('\n')
	}
	w.Flush()
	return hex.EncodeToString(h.Sum(nil))
}

// publishedIDs are the hashes of the ids that Hugging Face's tokenizers 0.23.2 make of the sample
// texts, by the hash of the tokenizer.json.
func publishedIDs(t testing.TB) map[string]string {
	b, err := os.ReadFile(filepath.Join("testdata", "published.tsv"))
	require.NoError(t, err)
	hashes := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 8 && !strings.HasPrefix(line, "#") {
			hashes[f[6]] = f[7]
		}
	}
	return hashes
}

// TestPublished compares real vocabularies, folders of which GOINFER_VOCABS names, with
// testdata/published.tsv. Only tokenizer.json is read, as the reference does. With GOINFER_TEXTS
// the texts are written to that file first, as JSON. An ids.json beside a tokenizer.json shows what
// differs.
func TestPublished(t *testing.T) {
	hashes := publishedIDs(t)
	require.GreaterOrEqual(t, len(hashes), 40)
	if path := os.Getenv("GOINFER_TEXTS"); path != "" {
		b, err := json.Marshal(sampleTexts())
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, b, 0o600))
	}
	root := os.Getenv("GOINFER_VOCABS")
	if root == "" {
		t.Skip("GOINFER_VOCABS names no folder of vocabularies")
	}
	folders, err := filepath.Glob(filepath.Join(root, "*", "tokenizer.json"))
	require.NoError(t, err)
	for _, path := range folders {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			alone := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(alone, "tokenizer.json"), b, 0o600))
			tok := open(t, alone)
			var got [][]int32
			for _, text := range sampleTexts() {
				got = append(got, tok.Encode([]int32{}, text, false, true))
			}
			file := sha256.Sum256(b)
			want, known := hashes[hex.EncodeToString(file[:])[:16]]
			if ids := filepath.Join(filepath.Dir(path), "ids.json"); hashOf(got)[:32] != want {
				explain(t, tok, ids, got)
				require.False(t, known, "the hash of the ids differs")
			}
		})
	}
}

// explain shows the first texts whose ids differ from those in a file.
func explain(t *testing.T, tok *tokenizer.Tokenizer, path string, got [][]int32) {
	var want struct {
		IDs [][]int32 `json:"ids"`
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return
	}
	require.NoError(t, json.Unmarshal(b, &want))
	wrong := 0
	for i, text := range sampleTexts() {
		if fmt.Sprint(got[i]) == fmt.Sprint(want.IDs[i]) {
			continue
		}
		if wrong++; wrong <= 3 {
			t.Errorf("%q\n got %d %q\nwant %d %q", text, got[i], spelled(tok, got[i]), want.IDs[i], spelled(tok, want.IDs[i]))
		}
	}
}

func spelled(tok *tokenizer.Tokenizer, ids []int32) (out []string) {
	for _, id := range ids {
		out = append(out, tok.Spelling(id))
	}
	return out
}
