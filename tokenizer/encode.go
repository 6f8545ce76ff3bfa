package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// scratch is the memory of one call of Encode.
type scratch struct {
	frags, found []fragment
	claimed      bitmap
	text         []byte  // the text of a fragment as the model wants it
	ends         [][]int // ends of pieces, by the stages that cut
	dst          []int32 // the ids so far, while a text is cut
	long         longSyms
	syms         []sym
	queue        queue
	best         []bestPath
	// EncodeParts: whether text[from:to] may be that special token
	trusted func(id int32, from, to int) bool
}

// maxText bounds what is tokenized at one go, so that positions fit 32 bits.
const maxText = 1 << 28

// Encode appends the ids of text to dst. With addSpecial the ids that the model wants at the
// beginning and at the end are added (BOS, EOS, for WordPiece always [CLS] and [SEP]). With
// parseSpecial, text that spells a control token, such as "</s>", becomes that token; user-defined
// tokens are found in either case. Any text is fine: what is not UTF-8 is spelled in bytes where
// the model can, and is U+FFFD elsewhere.
func (t *Tokenizer) Encode(dst []int32, text string, addSpecial, parseSpecial bool) []int32 {
	if t.pipe != nil {
		return t.encodePipeline(dst, text, addSpecial, parseSpecial)
	}
	s := t.scratch.Get().(*scratch)
	defer t.scratch.Put(s)
	if addSpecial && t.addBOS {
		dst = append(dst, t.bos)
	}
	prefix := t.spacePrefix // texts at the beginning and after special tokens begin with a space
	for _, f := range t.partition(s, text, parseSpecial) {
		if f.id >= 0 {
			dst = append(dst, f.id)
			prefix = t.spacePrefix
			continue
		}
		dst = t.encodeText(dst, s, text[f.from:f.to], prefix)
		prefix = false
	}
	switch {
	case addSpecial && t.kind == wpm:
		dst = append(dst, t.sep)
	case addSpecial && t.addEOS:
		dst = append(dst, t.eos)
	}
	return dst
}

// cutLong is how much of text is tokenized at one go.
func cutLong(text string) int {
	n := len(text)
	if n > maxText {
		for n = maxText; n > maxText-utf8.UTFMax && !utf8.RuneStart(text[n]); n-- {
		}
	}
	return n
}

// encodeText appends the ids of text without special tokens.
func (t *Tokenizer) encodeText(dst []int32, s *scratch, text string, prefix bool) []int32 {
	for part := text; part != ""; prefix = false {
		n := cutLong(part)
		switch t.kind {
		case spm:
			dst = t.encodeSPM(dst, s, part[:n], prefix)
		case bpe:
			dst = t.encodeBPE(dst, s, part[:n])
		case wpm:
			dst = t.encodeWPM(dst, s, part[:n])
		case unigram:
			dst = t.encodeUnigram(dst, s, part[:n])
		}
		part = part[n:]
	}
	return dst
}

const escaped = "\u2581" // what a space is spelled as

// escapeSpaces appends text to dst with U+2581 for each space.
func escapeSpaces(dst []byte, text string) []byte {
	for {
		i := strings.IndexByte(text, ' ')
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:i]...)
		dst = append(dst, escaped...)
		text = text[i+1:]
	}
}

// charLen is the number of bytes of the character that s begins with, 1 if that is none.
func charLen(s []byte) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRune(s)
	return n
}
