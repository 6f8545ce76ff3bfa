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

// approximated are the names whose scanner follows llama.cpp where that differs from what was published: which letters are capitals outside ASCII, and
// which white space belongs to a range of characters.
var approximated = []string{"tekken", "gpt-4o", "granite-embed-multi-97m", "deepseek-llm", "deepseek-coder"}

// TestPublishedPatterns compares the published patterns with the scanners of the names that stand for them.
func TestPublishedPatterns(t *testing.T) {
	dialect := strings.NewReplacer(`&&[^\p{Han}]]`, `-[\p{Han}]]`, `\b)`, `(?!\d)`+noWord+`)`) // as regexp2 has it
	for _, published := range publishedPatterns {
		var patterns []*regexp2.Regexp
		for _, p := range published.patterns {
			require.Equal(t, p, canonical(p), "the table has canonical patterns")
			patterns = append(patterns, regexp2.MustCompile(dialect.Replace(p), regexp2.None))
		}
		for _, name := range published.names {
			p, err := findPre(name)
			require.NoError(t, err)
			got, err := PreName(published.patterns, p.ignoreMerges, p.clean)
			require.NoError(t, err)
			require.Equal(t, name, got)
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

func TestPreName(t *testing.T) {
	for name, c := range map[string]struct {
		patterns            []string
		ignoreMerges, clean bool
		want                string
	}{
		"Llama 3":                        {[]string{llama3Pattern}, true, true, "llama-bpe"},
		"Llama 3, no cleaning":           {[]string{llama3Pattern}, true, false, "llama-bpe"},
		"GPT-4, possessive":              {[]string{`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`}, false, true, "dbrx"},
		"line breaks as characters":      {[]string{`\p{N}{1,3}`, patternCJKHiraKata, strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(deepseekWord)}, false, false, "deepseek-v3"},
		"GPT-2 without the last":         {[]string{strings.TrimSuffix(gpt2Pattern, `|\s+`)}, false, true, "gpt-2"},
		"GPT-2 with common apostrophe":   {[]string{`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`}, false, false, "trillion"},
		"digits in front, not cleaned":   {[]string{PatternDigit, PatternByteLevel}, false, false, "command-r"},
		"Bloom":                          {[]string{patternNotPunctClass}, false, true, "bloom"},
		"Ling":                           {[]string{`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`}, false, false, "qwen2"},
		"GPT-4o":                         {[]string{gpt4oHead + `|\p{N}{1,3}` + slashPattern + spacePattern}, false, false, "gpt-4o"},
		"GPT-4o, merges ignored":         {[]string{gpt4oHead + `|\p{N}{1,3}` + slashPattern + spacePattern}, true, false, "granite-embed-multi-97m"},
		"Seed, a number of one exactly,": {[]string{foldedContractions + `|[^` + "\r\n" + `\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}` + "\r\n" + `]+|\s*[` + "\r\n" + `]+|\s+(?!\S)|\s+`}, false, false, "seed-coder"},
	} {
		got, err := PreName(c.patterns, c.ignoreMerges, c.clean)
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
	for name, c := range map[string]struct {
		patterns     []string
		ignoreMerges bool
		want         string
	}{
		"unknown":       {[]string{"\\w+\n"}, false, `tokenizer: no pre-tokenizer is known that cuts text by "\\w+\n" (known: `},
		"none":          {nil, false, "tokenizer: no pre-tokenizer is known that cuts text by"},
		"a step more":   {[]string{qwen2Pattern, `\p{N}`}, false, "no pre-tokenizer is known"},
		"many steps":    {slices.Repeat([]string{"x"}, 1000), false, `"x", and 992 more (known`},
		"another habit": {[]string{PatternDigit, PatternByteLevel}, true, "tokenizer: the patterns are those of pre-tokenizer starcoder, but ignore_merges is true"},
	} {
		_, err := PreName(c.patterns, c.ignoreMerges, false)
		require.ErrorIs(t, err, ErrUnsupported, name)
		require.ErrorContains(t, err, c.want, name)
		require.NotContains(t, err.Error(), "\n", name)
		require.Less(t, len(err.Error()), 1500, name)
	}
}
