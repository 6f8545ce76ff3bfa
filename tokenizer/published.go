package tokenizer

import (
	"fmt"
	"slices"
	"strings"
)

// The published patterns: how a tokenizer.json writes what pretok.go has by name. Each constant is one regular expression, in the form that
// [canonical] makes of its variants.
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
	patternNotPunct      = ` ?[^(\s|.,!?…。，、।۔،)]+`   // Bloom
	patternNotPunctClass = ` ?[^(\s|[.,!?…。，、।۔،])]+` // the same, as it was published
	patternLineRuns      = `[^\n]+|[\n]+`             // Laguna
	patternYoutuScripts  = `[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+`
)

// publishedPatterns lists the names for each sequence of patterns, those that most files use first. Names with the same patterns have other habits.
var publishedPatterns = []struct {
	names    []string
	patterns []string
}{
	{[]string{"gpt-2", "trillion"}, []string{gpt2Pattern}},
	{[]string{"starcoder", "command-r"}, []string{PatternDigit, gpt2Pattern}},
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
	{[]string{"deepseek-llm"}, []string{`[\r\n]`, `\s?[` + deepseekLetters + `]+`, `\s?[!-/:-~！-／：-～‘-‟　-。]+`, `\s+$`, patternDeepseekCJK, PatternDigits}},
	{[]string{"deepseek-coder"}, []string{`[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, patternDeepseekCJK, PatternDigit}},
	{[]string{"deepseek-v3"}, []string{`\p{N}{1,3}`, patternCJKHiraKata, deepseekWord}},
	{[]string{"youtu"}, []string{patternYoutuScripts, gpt4oHead + `|\p{N}` + slashPattern + spacePattern}},
	{[]string{"bloom", "poro-chat"}, []string{patternNotPunct}},
	{[]string{"viking"}, []string{patternNotPunct, PatternDigit}},
	{[]string{"tekken"}, []string{camelHead + `|\p{N}` + slashPattern + spacePattern}},
	{[]string{"gpt-4o", "granite-embed-multi-97m"}, []string{gpt4oHead + `|\p{N}{1,3}` + slashPattern + spacePattern}},
	{[]string{"tiny_aya"}, []string{`\d{1,3}(?=(?:\d{3})*\b)`, gpt4oHead + `|\p{N}{1,3}` + slashPattern + spacePattern}},
	{[]string{"kimi-k2"}, []string{`[\p{Han}]+|[^\r\n\p{L}\p{N}]?` + kimiUpper + `*` + kimiLower + `+` + foldedContractions + `?|[^\r\n\p{L}\p{N}]?` + kimiUpper + `+` + kimiLower + `*` +
		foldedContractions + `?|\p{N}{1,3}` + signPattern + spacePattern}},
	{[]string{"superbpe"}, []string{PatternDigits, `(?=(\d{3})+(?!\d))`}},
	{[]string{"chameleon"}, []string{`<sentinel:[0-9]+>`, `(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z`, `([\t\n]|    |  )`, PatternDigit, PatternPunctuation, gpt2Pattern}},
}

// canonical rewrites the variants in which the same expression is published: line breaks as characters, contractions with a common apostrophe,
// possessive quantifiers (which match the same here, as what follows them cannot match what they took), one line break where a run of them
// ends in the same place, and the last white space of GPT-2's, which is a piece of its own either way.
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

// PreName returns the name (tokenizer.ggml.pre) of the pre-tokeniser that cuts text by the patterns of a tokenizer.json, one after the other, each
// isolating what it matches. Of several names with these patterns it is the one with the wanted habits: ignoreMerges, that a word which is a token is that
// token whatever the merges say; clean, that decoding drops spaces before punctuation. An unknown pattern, and known ones with another
// habit of merging, are errors that wrap [ErrUnsupported].
func PreName(patterns []string, ignoreMerges, clean bool) (string, error) {
	rewritten := make([]string, len(patterns))
	for i, p := range patterns {
		rewritten[i] = canonical(p)
	}
	for _, known := range publishedPatterns {
		if !slices.Equal(known.patterns, rewritten) {
			continue
		}
		best := ""
		for _, name := range known.names {
			p, err := findPre(name)
			if err != nil {
				return "", err
			}
			if p.ignoreMerges == ignoreMerges && (best == "" || p.clean == clean) {
				if best = name; p.clean == clean {
					break
				}
			}
		}
		if best == "" {
			return "", unsupported("the patterns are those of pre-tokenizer %s, but ignore_merges is %t", known.names[0], ignoreMerges)
		}
		return best, nil
	}
	var list []string
	for _, p := range patterns {
		list = append(list, quoted(p))
		if len(list) == 8 && len(patterns) > 8 {
			list = append(list, fmt.Sprintf("and %d more", len(patterns)-8))
			break
		}
	}
	return "", unsupported("no pre-tokenizer is known that cuts text by %s (known: %s)", strings.Join(list, ", "), strings.Join(PreNames(), " "))
}
