package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizers makes the steps of a normalizer.
func (t *Tokenizer) normalizers(steps []Step) (out []func(string) string, err error) {
	if err := checkSteps("normalizer", steps); err != nil {
		return nil, err
	}
	for i := range steps {
		f, err := t.normalizer(&steps[i])
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	// Text that is not UTF-8 cannot be given to the reference; each odd byte is one unknown
	// character.
	return append([]func(string) string{validUTF8}, out...), nil
}

func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return replaceInvalid(s)
}

func (t *Tokenizer) normalizer(s *Step) (func(string) string, error) {
	switch s.Type {
	case "NFC":
		return canonicalForm(norm.NFC), nil
	case "NFD":
		return canonicalForm(norm.NFD), nil
	case "NFKC":
		return canonicalForm(norm.NFKC), nil
	case "NFKD":
		return canonicalForm(norm.NFKD), nil
	case "Lowercase":
		return lowercase, nil
	case "StripAccents":
		return remove(func(r rune) bool { return classOf(r)&mark != 0 }), nil
	case "Nmt":
		return func(text string) string { return strings.Map(nmt, text) }, nil
	case "Strip":
		left, right := IsTrue(s.StripLeft, true), IsTrue(s.StripRight, true)
		return func(text string) string {
			if left {
				text = strings.TrimLeftFunc(text, isSpace)
			}
			if right {
				text = strings.TrimRightFunc(text, isSpace)
			}
			return text
		}, nil
	case "Prepend":
		return func(text string) string {
			if text == "" {
				return ""
			}
			return s.Prepend + text
		}, nil
	case "Replace":
		return replacer(s)
	case "BertNormalizer":
		return bertNormalizer(s), nil
	case "Precompiled":
		if t.charsmap == nil {
			return validUTF8, nil
		}
		return t.charsmap.apply, nil
	}
	return nil, unsupported("normalizer %s", quoted(s.Type))
}

// canonicalForm is one of Unicode's normal forms. The library puts U+034F into runs of more than 30
// marks, which the forms themselves do not ask for.
func canonicalForm(f norm.Form) func(string) string {
	const joiner = "\u034F"
	return func(text string) string {
		if f.IsNormalString(text) {
			return text
		}
		out := f.String(text)
		if !strings.Contains(text, joiner) {
			out = strings.ReplaceAll(out, joiner, "")
		}
		return out
	}
}

// lowercase maps each character by itself: the one with two in lower case is U+0130.
func lowercase(text string) string {
	if strings.Contains(text, "\u0130") {
		text = strings.ReplaceAll(text, "\u0130", "i\u0307")
	}
	return strings.Map(unicode.ToLower, text)
}

func remove(drop func(rune) bool) func(string) string {
	return func(text string) string {
		return strings.Map(func(r rune) rune {
			if drop(r) {
				return -1
			}
			return r
		}, text)
	}
}

// nmt is the clean-up of machine translation: control characters go, odd spaces become spaces.
func nmt(r rune) rune {
	switch {
	case r >= 1 && r <= 8, r == 0xB, r >= 0xE && r <= 0x1F, r == 0x7F, r == 0x8F, r == 0x9F:
		return -1
	case r == 9, r == 0xA, r == 0xC, r == 0xD, r == 0x1680, r >= 0x200B && r <= 0x200F, r == 0x2028, r == 0x2029,
		r == 0x2581, r == 0xFEFF, r == 0xFFFD:
		return ' '
	}
	return r
}

// replacer is Replace: of a text, or of one of the patterns that files have.
func replacer(s *Step) (func(string) string, error) {
	switch p := s.Pattern; {
	case p.String != nil && *p.String != "":
		if len(s.Content) > maxReplacement {
			return nil, malformed("normalizer Replace: the replacement has %d bytes, at most %d", len(s.Content), maxReplacement)
		}
		old := *p.String
		return func(text string) string { return strings.ReplaceAll(text, old, s.Content) }, nil
	case p.Regex != nil:
		if run, ok := replacedRuns[*p.Regex]; ok && len(s.Content) <= maxReplacement {
			return func(text string) string { return replaceRuns(text, run.of, run.least, s.Content) }, nil
		}
		return nil, unsupported("normalizer Replace of the pattern %s", quoted(*p.Regex))
	}
	return nil, malformed("normalizer Replace without a pattern")
}

// replacedRuns are the patterns of Replace that are known: runs of white space, with their least
// length.
var replacedRuns = map[string]struct {
	of    func(rune) bool
	least int
}{
	` {2,}`:  {func(r rune) bool { return r == ' ' }, 2},
	` +`:     {func(r rune) bool { return r == ' ' }, 1},
	`\s+`:    {isSpace, 1},
	`\s{2,}`: {isSpace, 2},
	`\s`:     {isSpace, 0},
}

// replaceRuns puts content in the place of each run of at least so many characters; 0 means of each
// character.
func replaceRuns(text string, of func(rune) bool, least int, content string) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if !of(r) {
			i += size
			continue
		}
		from, n := i, 0
		for i < len(text) && (least > 0 || n == 0) {
			if r, size = utf8.DecodeRuneInString(text[i:]); !of(r) {
				break
			}
			i, n = i+size, n+1
		}
		if n >= least {
			b.WriteString(text[done:from])
			b.WriteString(content)
			done = i
		}
	}
	if done == 0 {
		return text
	}
	b.WriteString(text[done:])
	return b.String()
}

// bertNormalizer is BERT's clean-up (Devlin et al. 2019), a character at a time.
func bertNormalizer(s *Step) func(string) string {
	clean, chinese, lower := IsTrue(s.CleanText, true), IsTrue(s.Chinese, true), IsTrue(s.Lowercase, true)
	strip := IsTrue(s.StripAccents, lower)
	decompose := canonicalForm(norm.NFD)
	return func(text string) string {
		if clean || chinese {
			var b strings.Builder
			b.Grow(len(text) + len(text)/8)
			for _, r := range text {
				c := classOf(r)
				switch {
				case clean && c&space != 0 && (c&control == 0 || r == '\t' || r == '\n' || r == '\r'):
					b.WriteByte(' ')
				case clean && (r == 0 || r == utf8.RuneError || c&control != 0):
				case chinese && isIdeograph(r):
					b.WriteByte(' ')
					b.WriteRune(r)
					b.WriteByte(' ')
				default:
					b.WriteRune(r)
				}
			}
			text = b.String()
		}
		if strip {
			text = strings.Map(func(r rune) rune {
				if r >= 0x80 && unicode.Is(unicode.Mn, r) {
					return -1
				}
				return r
			}, decompose(text))
		}
		if lower {
			text = lowercase(text)
		}
		return text
	}
}

// apply normalises text as Hugging Face's tokenizers do: a grapheme cluster of less than 6 bytes at
// a time if the map has one of its beginnings, the shortest, else by characters.
func (m *charsmap) apply(text string) string {
	var b strings.Builder
	done := 0 // what has been written
	replace := func(from, to int, with string) {
		b.WriteString(text[done:from])
		b.WriteString(with)
		done = to
	}
	for i := 0; i < len(text); {
		end := clusterEnd(text, i)
		if end-i < 6 {
			if with, ok := m.shortest(text[i:end]); ok {
				replace(i, end, with)
				i = end
				continue
			}
		}
		for i < end {
			_, n := utf8.DecodeRuneInString(text[i:])
			if with, ok := m.shortest(text[i : i+n]); ok {
				replace(i, i+n, with)
			}
			i += n
		}
	}
	if done == 0 {
		return text
	}
	b.WriteString(text[done:])
	return b.String()
}

// clusterEnd returns the end of the grapheme cluster at i, as far as it matters for short ones: a
// character and the marks on it, or a carriage return and a line feed (Unicode Annex 29).
func clusterEnd(text string, i int) int {
	r, n := utf8.DecodeRuneInString(text[i:])
	i += n
	if r == '\r' && i < len(text) && text[i] == '\n' {
		return i + 1
	}
	if classOf(r)&control != 0 && r != 0x200D && r != 0x200C || r == 0x2028 || r == 0x2029 {
		return i
	}
	for i < len(text) && text[i] >= utf8.RuneSelf {
		r, n := utf8.DecodeRuneInString(text[i:])
		if !extends(r) {
			break
		}
		i += n
	}
	return i
}

// extends reports whether a character belongs to the one before it.
func extends(r rune) bool {
	switch {
	case r == 0x200D || r == 0x200C || r >= 0x1F3FB && r <= 0x1F3FF || r == 0xE33 || r == 0xEB3:
		return true
	}
	return classOf(r)&mark != 0 || unicode.Is(unicode.Other_Grapheme_Extend, r)
}
