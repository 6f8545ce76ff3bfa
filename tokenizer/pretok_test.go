package tokenizer

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dlclark/regexp2"
	"github.com/stretchr/testify/require"
)

// The parts of the published patterns. What the scanners do by hand, regexp2 does here from the
// text of the patterns.
const (
	contractions = foldedContractions
	whitespaces  = spacePattern

	slashes = slashPattern + spacePattern

	// The reference masks white space outside ASCII before it looks for literal ranges: hence
	// -[\s].
	deepseekCJK   = `[一-龥ࠀ-一가-퟿-[\s]]+`
	deepseekPunct = `\s?[!-/:-~！-／：-～‘-‟　-。-[\s]]+`
	bloomPattern  = ` ?[^(\s|.,!?…。，、।۔،)]+`

	// \b as Oniguruma has it, which these tokenizers were published for; regexp2's own is narrower.
	noWord = `(?![\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\p{Other_Alphabetic}])`
)

// published holds the patterns of each entry of the table by its first name: each one cuts the
// pieces of the one before it.
var published = map[string][]string{
	"default":     {`[\p{P}\$\+<=>\^~\|]+`, gpt2Pattern, `\p{N}+`, `[0-9][0-9][0-9]`},
	"gpt-2":       {gpt2Pattern},
	"jina-v1-en":  {gpt2Pattern},
	"trillion":    {gpt2Pattern},
	"starcoder":   {`\p{N}`, gpt2Pattern},
	"command-r":   {`\p{N}`, gpt2Pattern},
	"falcon":      {"[\\p{P}\\$\\+<=>\\^~\\|`]+", gpt2Pattern, `[0-9][0-9][0-9]`},
	"llama-bpe":   {llama3Pattern},
	"dbrx":        {llama3Pattern},
	"chatglm-bpe": {llama3Pattern},
	"jais-2": {contractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)` +
		`|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}`},
	"minicpm5":       {`\p{N}{1,3}`, contractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*` + whitespaces},
	"qwen2":          {qwen2Pattern},
	"stablelm2":      {qwen2Pattern},
	"laguna":         {`[^\n]+|[\n]+`, qwen2Pattern},
	"qwen35":         {contractions + `|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*` + whitespaces},
	"bailingmoe":     {`'(?i:[sdmt]|ll|ve|re)|(?>[^\r\n\p{L}\p{N}]?)\p{L}+|\p{N}| ?(?>[^\s\p{L}\p{N}]+)[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`},
	"seed-coder":     {contractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+` + whitespaces},
	"exaone-moe":     {contractions + `|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+`},
	"deepseek-llm":   {`[\r\n]`, `\s?[` + deepseekLetters + `]+`, deepseekPunct, `\s+$`, deepseekCJK, `\p{N}+`},
	"deepseek-coder": {`[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, deepseekCJK, `\p{N}`},
	"deepseek-v3":    {`\p{N}{1,3}`, `[一-龥぀-ゟ゠-ヿ]+`, deepseekWord},
	// The first pattern is what llama.cpp's function for \p{AFMoE_digits} does: groups of three
	// from the right, the first one with what precedes it.
	"afmoe":                   {`\G(?>[^\p{N}]*)\p{N}{1,3}?(?=(?:\p{N}{3})*(?!\p{N}))`, `[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+`, deepseekWord},
	"youtu":                   {`[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+`, gpt4oHead + `|\p{N}` + slashes},
	"bloom":                   {bloomPattern},
	"poro-chat":               {bloomPattern},
	"viking":                  {bloomPattern, `\p{N}`},
	"tekken":                  {camelHead + `|\p{N}` + slashes},
	"gpt-4o":                  {gpt4oHead + `|\p{N}{1,3}` + slashes},
	"granite-embed-multi-97m": {gpt4oHead + `|\p{N}{1,3}` + slashes},
	"tiny_aya":                {`\d{1,3}(?=(?:\d{3})*(?!\d)` + noWord + `)`, gpt4oHead + `|\p{N}{1,3}` + slashes},
	"kimi-k2":                 {strings.ReplaceAll(patternsOf("kimi-k2")[0], `&&[^\p{Han}]]`, `-[\p{Han}]]`)},
	"superbpe":                {`\p{N}+`, `(?=(\d{3})+(?!\d))`},
	"chameleon":               {`<sentinel:[0-9]+>`, `(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z`, `([\t\n]|    |  )`, `\p{N}`, "[\\p{P}!-/:-@\\[-`{-~]", gpt2Pattern},
	"gemma4":                  {`[^\n]+|[\n]+`},
	"sarvam-moe":              {`[^\n]+|[\n]+`},
	"whitespace":              {`\S+`},
}

// alphabet of the random texts: groups of characters that patterns distinguish or might confuse,
// each group as likely as any other.
var textParts = [][]string{
	{"a", "b", "s", "t", "e", "l", "z"}, {"A", "B", "S", "T", "E", "L", "Z"}, {"word", "Camel", "CASE", "iPhone", "x"},
	{"0", "1", "9"}, {"12", "345", "6789", "1000000"}, {"'"},
	{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}, {"'S", "'T", "'RE", "'Ve", "'vE", "'M", "'lL", "'D", "'ſ", "’s", "'r", "'v", "'le", "'rl", "'se"},
	{" "}, {" ", "  ", "   ", "    ", "         "}, {"\n"}, {"\r", "\r\n", "\n\n", " \n", "!\n", "!\n/", "\n/"}, {"\t", "\v", "\f"},
	{"\u00a0", "\u3000", "\u2003", "\u0085", "\u1680", "\u2028", "\u202f", "\u205f"}, {"\u200b", "\u200d", "\ufeff", "\u00ad", "\x00", "\x1f"},
	{"\u0301", "\u0327", "\u20dd", "\u093e", "\u0e31", "\u0e49", "\ufe0f"}, {"é", "ß", "ñ", "ø", "ς", "ж"}, {"É", "Ñ", "Σ", "Ж", "Ÿ"}, {"ǅ", "ǈ", "ᾈ"}, {"ª", "ʰ", "ˇ", "ー", "々"},
	{"世", "界", "漢", "字"}, {"〇", "⺀", "𠀀", "㐀", "龥", "龦", "鿿", "豈"}, {"あ", "カ", "ﾟ", "ゟ"}, {"한", "국", "ㄱ", "ᄀ", "ㄅ"},
	{"ก", "ไทย", "ກ", "က", "ក"}, {"א", "ع", "हि", "অ"}, {"🙂", "👨‍👩‍👧", "🇩🇪", "☃"},
	{"½", "²", "Ⅷ", "ⅷ", "①", "ↃↄⅠ"}, {"٣", "۹", "०", "๓", "𝟘"}, {"Ⓐ", "🄰"}, {"\ue000", "\uf8ff", "\U0010fffd", "\U000e0041", "\uffff", "\u0378"},
	{".", ",", "!", "?", "(", ")", "|"}, {"-", "_", "/", "//", "\\", "#", "@", "[", "]", "{", "`"}, {"$", "+", "<", "=", ">", "^", "~"},
	{"…", "。", "，", "、", "।", "۔", "،"}, {"！", "：", "～", "‘", "”", "—", "〿", "︰", "﹏"}, {"€", "©", "×", "´", "�", "▁"},
	{"<sentinel:", "12>", "<sentinel:7>", "IMGIMG", "IMGIMGABZ", "IMGIMGAIIIZ", "IMGIMGABCDEZ", "IMGIMGJZ", "IMG", "Z"},
}

func randomText(rng *rand.Rand, most int) string {
	var b strings.Builder
	for range 1 + rng.IntN(most) {
		group := textParts[rng.IntN(len(textParts))]
		b.WriteString(group[rng.IntN(len(group))])
		if rng.IntN(16) == 0 { // runs
			part := group[rng.IntN(len(group))]
			for range rng.IntN(6) {
				b.WriteString(part)
			}
		}
	}
	return b.String()
}

type randomTexts struct {
	text []string
	long []string
}

// texts are 10⁵ with GOINFER_LONG=1, else a sample.
var texts = sync.OnceValue(func() (t randomTexts) {
	n := 20_000
	switch {
	case testing.Short():
		n = 2000
	case os.Getenv("GOINFER_LONG") != "":
		n = 100_000
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		most := 4
		if i%8 == 0 {
			most = 10
		}
		t.text = append(t.text, randomText(rng, most))
	}
	for range n / 2000 {
		t.long = append(t.long, randomText(rng, 500))
	}
	for _, n := range []int{255, 256, 257, 511, 512, 513, 514, 700, 1024, 1025, 1030} { // jais-2
		s := strings.Repeat(" ", n)
		t.long = append(t.long, s, s+"a", "a"+s+"\n"+s+"b", "a"+s+"'s")
	}
	return t
})

// TestPretokenizers compares each entry of the table with its published patterns.
func TestPretokenizers(t *testing.T) {
	// those with the same patterns share the slow side of the comparison
	byPattern := map[string][]*pretokenizer{}
	for i := range pretokenizers {
		p := &pretokenizers[i]
		require.Contains(t, published, p.names[0])
		key := strings.Join(published[p.names[0]], " ⟶ ")
		byPattern[key] = append(byPattern[key], p)
	}
	require.Len(t, published, len(pretokenizers))
	for _, group := range byPattern {
		t.Run(group[0].names[0], func(t *testing.T) {
			t.Parallel()
			var patterns []*regexp2.Regexp
			for _, p := range published[group[0].names[0]] {
				patterns = append(patterns, regexp2.MustCompile(p, regexp2.None))
			}
			var runes []rune
			for _, list := range [][]string{texts().text, texts().long} {
				for _, text := range list {
					runes = append(runes[:0], []rune(text)...)
					want := cutAll(patterns, runes)
					for _, p := range group {
						ends := p.split(text)
						if !slices.Equal(ends, want) {
							t.Fatalf("%s %q:\n got %q\nwant %q", p.names[0], text, pieces(text, ends), pieces(text, want))
						}
					}
				}
			}
		})
	}
}

// cutAll cuts text by one pattern after the other and returns the ends of the pieces in bytes.
func cutAll(patterns []*regexp2.Regexp, text []rune) []int {
	ends := []int{len(text)}
	for _, p := range patterns {
		var next []int
		start := 0
		for _, end := range ends {
			next = isolateMatches(next, p, text[start:end], start)
			start = end
		}
		ends = next
	}
	at, last := 0, 0
	for i, end := range ends {
		at += len(string(text[last:end]))
		ends[i], last = at, end
	}
	return ends
}

// isolateMatches isolates the matches of p: each is a piece, and so is what is between two of them.
func isolateMatches(dst []int, p *regexp2.Regexp, text []rune, offset int) []int {
	done := 0
	add := func(end int) {
		if end > done {
			dst = append(dst, offset+end)
			done = end
		}
	}
	m, err := p.FindRunesMatch(text)
	for ; m != nil && err == nil; m, err = p.FindNextMatch(m) {
		add(m.Index)
		add(m.Index + m.Length)
	}
	if err != nil {
		panic(err)
	}
	add(len(text))
	return dst
}

func pieces(text string, ends []int) (out []string) {
	start := 0
	for _, end := range ends {
		out = append(out, text[start:end])
		start = end
	}
	return out
}

// TestPretokenizerNames checks that names are unique and what an unknown one is answered.
func TestPretokenizerNames(t *testing.T) {
	names := PreNames()
	require.Len(t, slices.Compact(slices.Clone(names)), len(names))
	require.Len(t, names, 87)
	for _, n := range append(names, "") {
		p, err := findPre(n)
		require.NoError(t, err)
		require.Contains(t, p.names, n)
	}
	c := tinyBPE()
	c.Pre = "gpt-5\n"
	_, err := New(c)
	require.ErrorIs(t, err, ErrUnsupported)
	require.ErrorContains(t, err, `unknown pre-tokenizer "gpt-5\n" (known: a.x-4.0 afmoe `)
	require.ErrorContains(t, err, " llama-bpe ")
	require.NotContains(t, err.Error(), "\n")
}

// split cuts text into words and returns their ends.
func (p *pretokenizer) split(text string) (ends []int) {
	at := 0
	new(scratch).runStages(p.stages, 0, text, true, func(_ *scratch, piece string, _ bool) {
		at += len(piece)
		ends = append(ends, at)
	})
	return ends
}
