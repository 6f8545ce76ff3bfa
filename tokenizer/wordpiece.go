package tokenizer

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// encodeWPM is WordPiece: text is normalised and cut into words, and each word is spelled with the
// longest token that fits, from left to right. A word that cannot be spelled to its end is one
// [UNK]. In GGUF files the tokens at the beginning of a word carry U+2581.
func (t *Tokenizer) encodeWPM(dst []int32, s *scratch, text string) []int32 {
	word := append(s.text[:0], escaped...)
	flush := func() {
		if len(word) > len(escaped) {
			dst = t.spellWord(dst, word)
			word = word[:len(escaped)]
		}
	}
	for _, r := range text { // an invalid byte is U+FFFD, which is dropped
		if t.stripAccents {
			r = baseOf(r)
		}
		c := classOf(r)
		if c&space != 0 {
			flush()
			continue
		}
		if r == 0 || r == utf8.RuneError || c&control != 0 || t.stripAccents && c&mark != 0 {
			continue
		}
		alone := c&punct != 0 || c&symbol != 0 && r < 0x7F || isIdeograph(r)
		if t.lowercase {
			r = unicode.ToLower(r)
		}
		if alone {
			flush()
		}
		word = utf8.AppendRune(word, r)
		if alone {
			flush()
		}
	}
	flush()
	s.text = word
	return dst
}

// appendUnknown appends the unknown token, if there is one.
func (t *Tokenizer) appendUnknown(dst []int32) []int32 {
	if t.unk < 0 {
		return dst
	}
	return append(dst, t.unk)
}

// spellPiece spells a word by a pipeline.
func (t *Tokenizer) spellPiece(dst []int32, word string) []int32 {
	n, p := len(dst), t.pipe
	if len(word) > p.maxWord && utf8.RuneCountInString(word) > p.maxWord {
		return t.appendUnknown(dst)
	}
	for trie := t.trie; word != ""; trie = p.inner {
		id, size := trie.longestIn(word)
		if size == 0 {
			return t.appendUnknown(dst[:n])
		}
		dst = append(dst, id)
		word = word[size:]
	}
	return dst
}

func (t *Tokenizer) spellWord(dst []int32, word []byte) []int32 {
	n := len(dst)
	for i := 0; i < len(word); {
		id, size := t.trie.longest(word[i:])
		if size == 0 {
			return append(dst[:n], t.unk)
		}
		dst = append(dst, id)
		i += size
	}
	return dst
}

// baseOf is the first character of the canonical decomposition of r. What follows it are accents,
// which are dropped, except in Hangul: there the reference keeps the leading consonant alone, and
// so do we.
func baseOf(r rune) rune {
	if r < 0xC0 {
		return r
	}
	if 0xAC00 <= r && r <= 0xD7A3 {
		return 0x1100 + (r-0xAC00)/588
	}
	var b [utf8.UTFMax]byte
	n := utf8.EncodeRune(b[:], r)
	if d := norm.NFD.Properties(b[:n]).Decomposition(); len(d) > 0 {
		r, _ = utf8.DecodeRune(d)
	}
	return r
}

// isIdeograph reports whether r is a word of its own, by the ranges that BERT's tokenizer has. The
// block that begins at U+2B920 should begin at U+2B820; vocabularies are used with the former.
func isIdeograph(r rune) bool {
	return r >= 0x3400 && (r <= 0x4DBF || r >= 0x4E00 && r <= 0x9FFF || r >= 0xF900 && r <= 0xFAFF || r >= 0x20000 && r <= 0x2A6DF ||
		r >= 0x2A700 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF || r >= 0x2F800 && r <= 0x2FA1F)
}
