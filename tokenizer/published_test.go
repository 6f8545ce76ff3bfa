package tokenizer

import (
	"slices"
	"strings"
	"testing"

	"github.com/dlclark/regexp2"
	"github.com/stretchr/testify/require"
)

// patternsOf returns the published patterns of a pre-tokeniser.
func patternsOf(name string) []string {
	for _, p := range publishedPatterns {
		if slices.Contains(p.names, name) {
			return p.patterns
		}
	}
	return nil
}

// approximated are the names whose scanner follows llama.cpp where that differs from what was
// published: which white space belongs to a range of characters.
var approximated = []string{"deepseek-llm", "deepseek-coder"}

// TestPublishedPatterns compares the published patterns with the scanners of the names that stand
// for them.
func TestPublishedPatterns(t *testing.T) {
	// as regexp2 has it
	dialect := strings.NewReplacer(`&&[^\p{Han}]]`, `-[\p{Han}]]`, `\b)`, `(?!\d)`+noWord+`)`)
	for _, published := range publishedPatterns {
		var patterns []*regexp2.Regexp
		for _, p := range published.patterns {
			require.Equal(t, p, canonical(p), "the table has canonical patterns")
			patterns = append(patterns, regexp2.MustCompile(dialect.Replace(p), regexp2.None))
		}
		// the same, one pattern after the other, as a tokenizer.json has them
		for _, text := range texts().text[:300] {
			at, ends := 0, []int(nil)
			chain := make([]stage, len(published.patterns))
			for i, p := range published.patterns {
				require.Contains(t, stages(), p)
				chain[i] = stages()[p]
			}
			new(scratch).runStages(chain, 0, text, true, func(_ *scratch, piece string, _ bool) {
				at += len(piece)
				ends = append(ends, at)
			})
			require.Equal(t, cutAll(patterns, []rune(text)), ends, "%s %q", published.names[0], text)
		}
		for _, name := range published.names {
			p, err := findPre(name)
			require.NoError(t, err)
			require.Contains(t, PreNamesFor(published.patterns), name)
			if slices.Contains(approximated, name) {
				continue
			}
			for _, text := range texts().text[:2000] {
				ends := p.split(text)
				require.Equal(t, cutAll(patterns, []rune(text)), ends, "%s %q", name, text)
			}
		}
	}
}

// TestPreNames: files write the same pattern in several ways.
func TestPreNames(t *testing.T) {
	for name, c := range map[string]struct {
		patterns []string
		want     []string
	}{
		"Llama 3":                        {[]string{llama3Pattern}, []string{"llama-bpe", "dbrx"}},
		"GPT-4, possessive":              {[]string{`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`}, []string{"llama-bpe", "dbrx"}},
		"line breaks as characters":      {[]string{`\p{N}{1,3}`, patternCJKHiraKata, strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(deepseekWord)}, []string{"deepseek-v3"}},
		"GPT-2 without the last":         {[]string{strings.TrimSuffix(gpt2Pattern, `|\s+`)}, []string{"gpt-2"}},
		"GPT-2 with common apostrophe":   {[]string{`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`}, []string{"gpt-2"}},
		"digits in front":                {[]string{PatternDigit, PatternByteLevel}, []string{"starcoder", "smollm", "command-r"}},
		"Bloom":                          {[]string{patternNotPunctClass}, []string{"bloom"}},
		"Ling":                           {[]string{`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`}, []string{"qwen2", "stablelm2"}},
		"GPT-4o":                         {[]string{gpt4oHead + `|\p{N}{1,3}` + slashPattern + spacePattern}, []string{"gpt-4o"}},
		"Seed, a number of one exactly,": {[]string{foldedContractions + `|[^` + "\r\n" + `\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}` + "\r\n" + `]+|\s*[` + "\r\n" + `]+|\s+(?!\S)|\s+`}, []string{"seed-coder"}},
		"unknown":                        {[]string{"\\w+\n"}, nil},
		"none":                           {nil, nil},
		"a step more":                    {[]string{qwen2Pattern, `\p{N}`}, nil},
	} {
		require.Equal(t, c.want, PreNamesFor(c.patterns), name)
	}
}
