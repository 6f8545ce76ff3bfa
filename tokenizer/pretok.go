package tokenizer

import (
	"slices"
	"strings"
)

// A pretokenizer is what a name in tokenizer.ggml.pre stands for: how text is cut into words before
// byte-level BPE merges inside each word, and the habits that files with that name share. Names,
// patterns and habits are those of llama.cpp (llama-vocab.cpp).
type pretokenizer struct {
	names  []string
	stages []stage // each one cuts the pieces of the one before it

	// symbols are characters, unknown ones spelled <0xXX>; otherwise they are the bytes in GPT-2's
	// alphabet
	raw          bool
	escape       bool // spaces become U+2581 first
	ignoreMerges bool // a word that is a token is that token, whatever the merges say
	addBOS       bool
	addSEP       bool
	wholeLines   bool // a run of line breaks that is a token is that token
	forceBOS     bool // add BOS even if the file says not to
	clean        bool // decoding drops spaces before punctuation (clean_up_tokenization_spaces)
	noBOS        bool // there is no BOS unless the file names one
}

// The sets that patterns share.
var (
	notWord     = none(newline | letter | number) // [^\r\n\p{L}\p{N}]
	other       = none(space | letter | number)   // [^\s\p{L}\p{N}]
	letters     = some(letter)
	numbers     = some(number)
	eolSlash    = set{any: newline, ranges: chars("/")}
	punctSymbol = some(punct | symbol)
	lettersMark = some(letter | mark)

	// The case sets as the tokenizers were published, [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and
	// [\p{Ll}\p{Lm}\p{Lo}\p{M}]. llama.cpp writes ((?=[\p{L}])([^a-z])) and ((?=[\p{L}])([^A-Z])),
	// which leave marks out.
	upperish    = some(upper | caseless | mark)
	lowerish    = some(lower | caseless | mark)
	upperishHan = set{any: upper | caseless | mark, but: han}
	lowerishHan = set{any: lower | caseless | mark, but: han}

	// White space outside ASCII never belongs to a literal range: the reference masks it before it
	// matches.
	cjk = set{ranges: chars("一-龥ࠀ-一가-퟿"), but: space}
)

// The stages that patterns share.
var (
	digits1 = first(upTo(1, numbers))
	digits3 = first(upTo(3, numbers))

	gpt2Words = first(contraction, spaced(letters), spaced(numbers), spaced(other), gap)

	llama3Words = first(contractionFold, led(notWord, letters), upTo(3, numbers), spacedTail(other, eol), lines, gap, run(whitespace))
	qwen2Words  = first(contractionFold, led(notWord, letters), upTo(1, numbers), spacedTail(other, eol), lines, gap, run(whitespace))

	gpt4oWords = first(camel(notWord, upperish, lowerish, true), upTo(3, numbers), spacedTail(other, eolSlash), lines, gap, run(whitespace))

	// What DeepSeek-V3 and its kin do after numbers and CJK.
	deepseekWords = first(asciiPunctWord, led(none(newline|letter|punct|symbol), lettersMark), spacedTail(punctSymbol, eol), lines, gap, run(whitespace))
)

// pretokenizers is the table of all names, each with its published pattern.
var pretokenizers = []pretokenizer{
	{
		// [\p{P}\$\+<=>\^~\|]+ ⟶ GPT-2 ⟶ \p{N}+ ⟶ [0-9][0-9][0-9]
		names:  []string{"default", ""},
		clean:  true,
		stages: []stage{first(run(set{any: punct, ranges: chars("$+<=>^~|")})), gpt2Words, first(run(numbers)), first(exactly(3, set{ranges: chars("0-9")}))},
	}, {
		// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)
		names: []string{"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum", "modern-bert",
			"mpt", "olmo", "jais", "exaone4"},
		clean:  true,
		stages: []stage{gpt2Words},
	}, {
		names:  []string{"jina-v1-en", "jina-v2-code", "roberta-bpe"},
		clean:  true,
		addSEP: true,
		stages: []stage{gpt2Words},
	}, {
		names:  []string{"trillion", "granite-docling"},
		stages: []stage{gpt2Words},
	}, {
		// \p{N} ⟶ GPT-2
		names:  []string{"starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"},
		clean:  true,
		stages: []stage{digits1, gpt2Words},
	}, {
		names:  []string{"command-r", "smollm"},
		stages: []stage{digits1, gpt2Words},
	}, {
		// [\p{P}\$\+<=>\^~\|`]+ ⟶ GPT-2 ⟶ [0-9][0-9][0-9]
		names:  []string{"falcon"},
		clean:  true,
		stages: []stage{first(run(set{any: punct, ranges: chars("$+<=>^~|`")})), gpt2Words, first(exactly(3, set{ranges: chars("0-9")}))},
	}, {
		// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
		// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
		names:        []string{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"},
		clean:        true,
		ignoreMerges: true,
		addBOS:       true,
		stages:       []stage{llama3Words},
	}, {
		names:  []string{"dbrx", "smaug-bpe"},
		clean:  true,
		stages: []stage{llama3Words},
	}, {
		names:  []string{"chatglm-bpe", "glm4"},
		clean:  true,
		noBOS:  true,
		stages: []stage{llama3Words},
	}, {
		// Llama 3's with white space in powers of two
		names:  []string{"jais-2"},
		clean:  true,
		stages: []stage{first(contractionFold, led(notWord, letters), upTo(3, numbers), spacedTail(other, eol), linesOnce, gapPowers)},
	}, {
		// \p{N}{1,3} ⟶ Llama 3's with \p{N}+
		names:        []string{"minicpm5"},
		clean:        true,
		ignoreMerges: true,
		stages:       []stage{digits3, first(contractionFold, led(notWord, letters), run(numbers), spacedTail(other, eol), lines, gap, run(whitespace))},
	}, {
		// Llama 3's with \p{N} for \p{N}{1,3}
		names:  []string{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "hunyuan", "solar-open", "grok-2"},
		stages: []stage{qwen2Words},
	}, {
		names:  []string{"stablelm2", "megrez"},
		clean:  true,
		stages: []stage{qwen2Words},
	}, {
		// [^\n]+|[\n]+ ⟶ Qwen 2
		names:  []string{"laguna"},
		stages: []stage{first(lineRuns), qwen2Words},
	}, {
		// Qwen 2's with [\p{L}\p{M}]+ and [^\s\p{L}\p{M}\p{N}]+
		names:  []string{"qwen35"},
		stages: []stage{first(contractionFold, led(notWord, lettersMark), upTo(1, numbers), spacedTail(none(space|letter|mark|number), eol), lines, gap, run(whitespace))},
	}, {
		// '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|
		// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+
		names:  []string{"bailingmoe", "bailingmoe2", "llada-moe"},
		stages: []stage{qwen2Words},
	}, {
		// … |\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+
		names:  []string{"seed-coder"},
		stages: []stage{first(contractionFold, led(notWord, letters), upTo(1, numbers), spaced(other), lines, gap, run(whitespace))},
	}, {
		// … |[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}|
		// ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+
		names:  []string{"exaone-moe"},
		clean:  true,
		stages: []stage{first(contractionFold, phrase(notWord), upTo(1, numbers), spacedTail1(other, eolSlash), lines, gap, run(whitespace))},
	}, {
		// [\r\n] ⟶ \s?[A-Za-zµÀ-…]+ ⟶ \s?[!-/:-~！-／：-～‘-‟　-。]+ ⟶ \s+$ ⟶ [一-龥ࠀ-一가-퟿]+ ⟶ \p{N}+
		names: []string{"deepseek-llm"},
		stages: []stage{first(upTo(1, eol)), first(led(whitespace, set{ranges: chars(deepseekLetters)})),
			first(led(whitespace, set{ranges: chars("!-/:-~！-／：-～‘-‟　-。"), but: space})), endSpace, first(run(cjk)), first(run(numbers))},
	}, {
		// [\r\n] ⟶ \s?\p{L}+ ⟶ \s?\p{P}+ ⟶ [一-龥ࠀ-一가-퟿]+ ⟶ \p{N}
		names:  []string{"deepseek-coder"},
		stages: []stage{first(upTo(1, eol)), first(led(whitespace, letters)), first(led(whitespace, some(punct))), first(run(cjk)), digits1},
	}, {
		// \p{N}{1,3} ⟶ [一-龥぀-ゟ゠-ヿ]+ ⟶ [ASCII
		// punctuation][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|
		// ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
		names:  []string{"deepseek-v3", "hunyuan-dense", "joyai-llm"},
		stages: []stage{digits3, first(run(set{ranges: chars("一-龥぀-ゟ゠-ヿ")})), deepseekWords},
	}, {
		// digits in groups of three from the right ⟶ [CJK and South-East Asian scripts]+ ⟶ as
		// DeepSeek-V3
		names: []string{"afmoe"},
		stages: []stage{thousands{digits: numbers, after: true}.split,
			first(run(set{ranges: chars("一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ")})), deepseekWords},
	}, {
		// [가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+ ⟶ GPT-4o's published pattern with \p{N}
		names:        []string{"youtu"},
		ignoreMerges: true,
		stages: []stage{first(run(set{ranges: chars("가-힣ㄱ-ㆎ")}), run(set{ranges: chars("！…“”‘’—：；，、-〿︰-﹏")}), run(set{ranges: chars("ㄅ-ㄯ")}), run(set{ranges: chars("一-龥぀-ゟ゠-ヿ")})),
			first(camel(notWord, upperish, lowerish, true), upTo(1, numbers), spacedTail(other, eolSlash), lines, gap, run(whitespace))},
	}, {
		//  ?[^(\s|.,!?…。，、।۔،)]+
		names:  []string{"bloom", "gpt3-finnish"},
		clean:  true,
		stages: []stage{first(spaced(notPunct))},
	}, {
		names:  []string{"poro-chat"},
		stages: []stage{first(spaced(notPunct))},
	}, {
		// Bloom's ⟶ \p{N}
		names:  []string{"viking"},
		stages: []stage{first(spaced(notPunct)), digits1},
	}, {
		// [^\r\n\p{L}\p{N}]?U*L+|[^\r\n\p{L}\p{N}]?U+L*|\p{N}|
		// ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+ with U =
		// [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L = [\p{Ll}\p{Lm}\p{Lo}\p{M}]
		names:        []string{"tekken"},
		ignoreMerges: true,
		addBOS:       true,
		stages:       []stage{first(camel(notWord, upperish, lowerish, false), upTo(1, numbers), spacedTail(other, eolSlash), lines, gap, run(whitespace))},
	}, {
		// Tekken's, with (?i:'s|'t|'re|'ve|'m|'ll|'d)? after a word and \p{N}{1,3}
		names:  []string{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"},
		stages: []stage{gpt4oWords},
	}, {
		names:        []string{"granite-embed-multi-97m"},
		ignoreMerges: true,
		stages:       []stage{gpt4oWords},
	}, {
		// \d{1,3}(?=(?:\d{3})*\b) ⟶ GPT-4o's published pattern
		names: []string{"tiny_aya", "cohere2moe"},
		stages: []stage{thousands{digits: some(digit), before: true, after: true, edge: true}.split,
			gpt4oWords},
	}, {
		// [\p{Han}]+|GPT-4o's published pattern without \p{Han} and slashes
		names:  []string{"kimi-k2"},
		stages: []stage{first(run(some(han)), camel(notWord, upperishHan, lowerishHan, true), upTo(3, numbers), spacedTail(other, eol), lines, gap, run(whitespace))},
	}, {
		// \p{N}+ ⟶ (?=(\d{3})+(?!\d))
		names:  []string{"superbpe"},
		stages: []stage{first(run(numbers)), thousands{digits: some(digit), before: true, whole: true}.split},
	}, {
		// <sentinel:[0-9]+> ⟶ (IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z ⟶ ([\t\n]| | ) ⟶ \p{N} ⟶
		// [\p{P}!-/:-@\[-`{-~] ⟶ GPT-2
		names:  []string{"chameleon"},
		addBOS: true,
		stages: []stage{first(sentinel), first(imageToken), first(indent), digits1, first(upTo(1, set{any: punct, ranges: chars("!-/:-@[-`{-~")})), gpt2Words},
	}, {
		// [^\n]+|[\n]+ on text whose spaces are U+2581
		names:      []string{"gemma4", "granite-embed-multi-311m"},
		raw:        true,
		escape:     true,
		clean:      true,
		wholeLines: true,
		forceBOS:   true,
		stages:     []stage{first(lineRuns)},
	}, {
		names:  []string{"sarvam-moe"},
		raw:    true,
		escape: true,
		stages: []stage{first(lineRuns)},
	}, {
		// \S+
		names:  []string{"whitespace"},
		raw:    true,
		clean:  true,
		stages: []stage{first(run(none(space)))},
	},
}

var notPunct = set{any: space, ranges: chars("(|.,!?…。，、।۔،)"), not: true}

// deepseekLetters are the letters of the scripts with case, as DeepSeek-LLM's pattern lists them.
const deepseekLetters = "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼ" +
	"ℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"

// findPre returns the entry of the table with that name.
func findPre(name string) (*pretokenizer, error) {
	for i := range pretokenizers {
		if slices.Contains(pretokenizers[i].names, name) {
			return &pretokenizers[i], nil
		}
	}
	return nil, unsupported("unknown pre-tokenizer %s (known: %s)", quoted(name), strings.Join(PreNames(), " "))
}

// PreNames returns the names of pre-tokenisers that [New] knows, sorted.
func PreNames() []string {
	var names []string
	for _, p := range pretokenizers {
		for _, n := range p.names {
			if n != "" {
				names = append(names, n)
			}
		}
	}
	slices.Sort(names)
	return names
}
