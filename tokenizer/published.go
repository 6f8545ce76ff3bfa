package tokenizer

import (
	"slices"
	"strings"
	"sync"
)

// The published patterns: how a tokenizer.json writes what pretok.go has by name. Each constant is
// one regular expression, in the form that [canonical] makes of its variants.
const (
	foldedContractions = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
	wordPattern        = `[^\r\n\p{L}\p{N}]?\p{L}+`
	signPattern        = `| ?[^\s\p{L}\p{N}]+[\r\n]*`
	slashPattern       = `| ?[^\s\p{L}\p{N}]+[\r\n/]*`
	spacePattern       = `|\s*[\r\n]+|\s+(?!\S)|\s+`

	gpt2Pattern   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	llama3Pattern = foldedContractions + `|` + wordPattern + `|\p{N}{1,3}` + signPattern + spacePattern
	qwen2Pattern  = foldedContractions + `|` + wordPattern + `|\p{N}` + signPattern + spacePattern

	upperClass   = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`
	lowerClass   = `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`
	camelHead    = `[^\r\n\p{L}\p{N}]?` + upperClass + `*` + lowerClass + `+|[^\r\n\p{L}\p{N}]?` + upperClass + `+` + lowerClass + `*`
	gpt4oHead    = `[^\r\n\p{L}\p{N}]?` + upperClass + `*` + lowerClass + `+` + foldedContractions + `?|[^\r\n\p{L}\p{N}]?` + upperClass + `+` + lowerClass + `*` + foldedContractions + `?`
	kimiUpper    = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]`
	kimiLower    = `[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]`
	deepseekWord = `[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_` + "`" + `{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*` + spacePattern
)

// The steps of a pre-tokeniser that are no regular expressions in a tokenizer.json, as expressions.
const (
	PatternByteLevel     = gpt2Pattern                // ByteLevel with use_regex
	PatternDigit         = `\p{N}`                    // Digits with individual_digits
	PatternDigits        = `\p{N}+`                   // Digits without
	PatternPunctuation   = "[\\p{P}!-/:-@\\[-`{-~]"   // Punctuation, isolated
	PatternPunctuations  = PatternPunctuation + "+"   // Punctuation, contiguous
	patternThreeDigits   = `[0-9][0-9][0-9]`          // Falcon
	patternCJKHiraKata   = `[一-龥぀-ゟ゠-ヿ]+`             // DeepSeek
	patternDeepseekCJK   = `[一-龥ࠀ-一가-퟿]+`             // DeepSeek before 3
	patternDeepseekSigns = `\s?[!-/:-~！-／：-～‘-‟　-。]+` // DeepSeek-LLM
	patternNotPunct      = ` ?[^(\s|.,!?…。，、।۔،)]+`   // Bloom
	patternNotPunctClass = ` ?[^(\s|[.,!?…。，、।۔،])]+` // the same, as it was published
	patternLineRuns      = `[^\n]+|[\n]+`             // Laguna
	patternYoutuScripts  = `[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+`
)

// publishedPatterns lists the names for each sequence of patterns, those that most files use first.
// Names with the same patterns have other habits.
var publishedPatterns = []struct {
	names    []string
	patterns []string
}{
	{[]string{"gpt-2"}, []string{gpt2Pattern}},
	{[]string{"starcoder", "smollm", "command-r"}, []string{PatternDigit, gpt2Pattern}},
	{[]string{"falcon"}, []string{PatternPunctuations, gpt2Pattern, patternThreeDigits}},
	{[]string{"llama-bpe", "dbrx"}, []string{llama3Pattern}},
	{[]string{"jais-2"}, []string{foldedContractions + `|` + wordPattern + `|\p{N}{1,3}` + signPattern + `|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)` +
		`|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}`}},
	{[]string{"minicpm5"}, []string{`\p{N}{1,3}`, foldedContractions + `|` + wordPattern + `|\p{N}+` + signPattern + spacePattern}},
	{[]string{"qwen2", "stablelm2"}, []string{qwen2Pattern}},
	{[]string{"laguna"}, []string{patternLineRuns, qwen2Pattern}},
	{[]string{"qwen35"}, []string{foldedContractions + `|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*` + spacePattern}},
	{[]string{"seed-coder"}, []string{foldedContractions + `|` + wordPattern + `|\p{N}| ?[^\s\p{L}\p{N}\r\n]+` + spacePattern}},
	{[]string{"exaone-moe"}, []string{foldedContractions + `|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?` + spacePattern}},
	{[]string{"deepseek-llm"}, []string{`[\r\n]`, `\s?[` + deepseekLetters + `]+`, patternDeepseekSigns, `\s+$`, patternDeepseekCJK, PatternDigits}},
	{[]string{"deepseek-coder"}, []string{`[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, patternDeepseekCJK, PatternDigit}},
	{[]string{"deepseek-v3"}, []string{`\p{N}{1,3}`, patternCJKHiraKata, deepseekWord}},
	{[]string{"youtu"}, []string{patternYoutuScripts, gpt4oHead + `|\p{N}` + slashPattern + spacePattern}},
	{[]string{"bloom"}, []string{patternNotPunct}},
	{[]string{"viking"}, []string{patternNotPunct, PatternDigit}},
	{[]string{"tekken"}, []string{camelHead + `|\p{N}` + slashPattern + spacePattern}},
	{[]string{"gpt-4o"}, []string{gpt4oHead + `|\p{N}{1,3}` + slashPattern + spacePattern}},
	{[]string{"tiny_aya"}, []string{`\d{1,3}(?=(?:\d{3})*\b)`, gpt4oHead + `|\p{N}{1,3}` + slashPattern + spacePattern}},
	{[]string{"kimi-k2"}, []string{`[\p{Han}]+|[^\r\n\p{L}\p{N}]?` + kimiUpper + `*` + kimiLower + `+` + foldedContractions + `?|[^\r\n\p{L}\p{N}]?` + kimiUpper + `+` + kimiLower + `*` +
		foldedContractions + `?|\p{N}{1,3}` + signPattern + spacePattern}},
	{[]string{"superbpe"}, []string{PatternDigits, `(?=(\d{3})+(?!\d))`}},
	{[]string{"chameleon"}, []string{`<sentinel:[0-9]+>`, `(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z`, `([\t\n]|    |  )`, PatternDigit, PatternPunctuation, gpt2Pattern}},
}

// stages are the patterns that are known, each by itself: those of the table, and a few more. Two
// of llama.cpp's differ from the patterns as they are written.
var stages = sync.OnceValue(func() map[string]stage {
	m := map[string]stage{
		`\s`:      first(upTo(1, whitespace)),
		`\s+`:     first(run(whitespace)),
		` `:       first(upTo(1, blank)),
		`\d`:      first(upTo(1, some(digit))),
		`\d{1,3}`: first(upTo(3, some(digit))),
		`\d+`:     first(run(some(digit))),
		`[0-9]`:   first(upTo(1, set{ranges: chars("0-9")})),

		patternDeepseekCJK:   first(run(set{ranges: chars("一-龥ࠀ-一가-퟿")})),
		patternDeepseekSigns: first(led(whitespace, set{ranges: chars("!-/:-~！-／：-～‘-‟　-。")})),
	}
	for _, published := range publishedPatterns {
		p, err := findPre(published.names[0])
		if err != nil || len(p.stages) != len(published.patterns) {
			continue
		}
		for i, pattern := range published.patterns {
			if m[pattern] == nil {
				m[pattern] = p.stages[i]
			}
		}
	}
	return m
})

// canonical rewrites the variants in which the same expression is published: line breaks as
// characters, contractions with a common apostrophe, possessive quantifiers (which match the same
// here, as what follows them cannot match what they took), one line break where a run of them ends
// in the same place, and the last white space of GPT-2's, which is a piece of its own either way.
func canonical(pattern string) string {
	for _, r := range rewrites {
		pattern = strings.ReplaceAll(pattern, r.from, r.to)
	}
	if pattern+`|\s+` == gpt2Pattern {
		return gpt2Pattern
	}
	if pattern == patternNotPunctClass {
		return patternNotPunct
	}
	return pattern
}

var rewrites = []struct{ from, to string }{
	{"\r", `\r`}, {"\n", `\n`}, {"\t", `\t`},
	{`'(?i:[sdmt]|ll|ve|re)`, foldedContractions},
	{`(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])`, foldedContractions},
	{`'(?:[sdmt]|ll|ve|re)|`, `'s|'t|'re|'ve|'m|'ll|'d|`},
	{`]?+`, `]?`}, {`]++`, `]+`}, {`]*+`, `]*`}, {`\p{L}++`, `\p{L}+`}, {`\p{N}{1,3}+`, `\p{N}{1,3}`}, {`\s++`, `\s+`}, {`\s*+`, `\s*`},
	{`\p{N}{1}`, `\p{N}`},
	{`|\s*[\r\n]|`, `|\s*[\r\n]+|`},
}

// PatternQwen2 is the pattern of Qwen 2 and 3.
const PatternQwen2 = qwen2Pattern

// PatternsOf are the regular expressions of a step of a pre-tokenizer that isolates what they
// match; ok is false for a step that does something else.
func PatternsOf(s *Step) (patterns []string, ok bool) {
	switch {
	case s.Type == "ByteLevel" && !IsTrue(s.AddPrefixSpace, true):
		if IsTrue(s.UseRegex, true) {
			return []string{PatternByteLevel}, true
		}
		return nil, true
	case s.Type == "Digits" && s.Individual:
		return []string{PatternDigit}, true
	case s.Type == "Digits":
		return []string{PatternDigits}, true
	case s.Type == "Punctuation" && s.Behavior == "Contiguous":
		return []string{PatternPunctuations}, true
	case s.Type == "Punctuation" && (s.Behavior == "Isolated" || s.Behavior == ""):
		return []string{PatternPunctuation}, true
	case s.Type == "Split" && s.Pattern.Regex != nil:
		p := *s.Pattern.Regex
		return []string{p}, s.Behavior == "Isolated" && !s.Invert || s.Behavior == "Removed" && s.Invert && strings.HasSuffix(canonical(p), `|\s+`)
	}
	return nil, false
}

// PreNamesFor returns the names (tokenizer.ggml.pre) of pre-tokenizers that cut text by the
// patterns of a tokenizer.json, one after the other, those that most programs know first.
func PreNamesFor(patterns []string) []string {
	rewritten := make([]string, len(patterns))
	for i, p := range patterns {
		rewritten[i] = canonical(p)
	}
	for _, known := range publishedPatterns {
		if slices.Equal(known.patterns, rewritten) {
			return known.names
		}
	}
	return nil
}

// CleansSpaces reports whether vocabularies with that name of a pre-tokenizer drop spaces before
// punctuation when they decode.
func CleansSpaces(pre string) bool {
	p, err := findPre(pre)
	return err == nil && p.clean
}

// SpellBytes spells bytes in the alphabet of byte-level BPE.
func SpellBytes(bytes string) string {
	var b strings.Builder
	for i := range len(bytes) {
		b.WriteString(byteSpelling[bytes[i]])
	}
	return b.String()
}
