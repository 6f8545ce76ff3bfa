package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// A Part is a range of a text that is encoded as a whole.
type Part struct {
	Text    string
	Trusted bool // what spells a special token may be one
}

// EncodeParts appends the ids of a text that is given in parts, as [Tokenizer.Encode] does for
// all of it, but a control token is found only where every byte of its spelling is in trusted
// parts. Neither do untrusted bytes become one by merging. Words and merges go across the borders
// of parts.
//
// User-defined tokens are found anywhere, except that those for which guard returns true are
// treated as control tokens. guard may be nil. No ids are added at the beginning and at the end.
func (t *Tokenizer) EncodeParts(dst []int32, parts []Part, guard func(id int32) bool) []int32 {
	s := t.scratch.Get().(*scratch)
	defer t.scratch.Put(s)
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
	}
	text := b.String()
	var untrusted bitmap
	untrusted.reset(len(text))
	at := 0
	for _, p := range parts {
		if !p.Trusted {
			untrusted.set(at, at+len(p.Text))
		}
		at += len(p.Text)
	}
	guarded := func(id int32) bool { return t.attr[id]&(isControl|isUnknown) != 0 || guard != nil && guard(id) }
	if t.pipe != nil {
		s.dst = dst
		t.pipe.encode(s, text, func(a *Added, from, to int) bool {
			return untrusted.first(from, to) == to || !a.Special && !guarded(a.ID)
		})
		dst, s.dst = s.dst, nil
		return dst
	}
	s.trusted = func(id int32, from, to int) bool { return !guarded(id) || untrusted.first(from, to) == to }
	frags := t.partition(s, text, true)
	s.trusted = nil
	prefix := t.spacePrefix
	for _, f := range frags {
		if f.id >= 0 {
			dst = append(dst, f.id)
			prefix = t.spacePrefix
			continue
		}
		dst = t.encodePlain(dst, s, text[f.from:f.to], prefix, guarded)
		prefix = false
	}
	return dst
}

// encodePlain appends the ids of text that must not become a guarded token. Where the algorithm
// makes one, as SentencePiece's merges can, the text is cut after the first character of its
// spelling.
func (t *Tokenizer) encodePlain(dst []int32, s *scratch, text string, prefix bool, guarded func(id int32) bool) []int32 {
	start := len(dst)
	dst = t.encodeText(dst, s, text, prefix)
	for _, id := range dst[start:] {
		if id == t.unk || !guarded(id) {
			continue
		}
		pieces := t.cutInside(text, id)
		if len(pieces) < 2 {
			continue // a single character: its own token, whatever it is called
		}
		dst = dst[:start]
		for _, p := range pieces {
			dst = t.encodePlain(dst, s, p, prefix, guarded)
			prefix = false
		}
		return dst
	}
	return dst
}

// cutInside cuts text after the first character of every place where it spells a token.
func (t *Tokenizer) cutInside(text string, id int32) []string {
	spelling := strings.ReplaceAll(string(t.Bytes(id)), escaped, " ")
	if spelling == "" {
		spelling = strings.ReplaceAll(t.text[id], escaped, " ")
	}
	if !strings.Contains(text, spelling) {
		spelling = strings.TrimLeft(spelling, " ")
	}
	_, first := utf8.DecodeRuneInString(spelling)
	if first == len(spelling) && strings.Contains(text, spelling) {
		return nil
	}
	var pieces []string
	for spelling != "" {
		k := strings.Index(text, spelling)
		if k < 0 {
			break
		}
		pieces = append(pieces, text[:k+first])
		text = text[k+first:]
	}
	if len(pieces) == 0 { // normalised text does not show the spelling: cut in the middle
		middle := len(text) / 2
		for middle > 0 && !utf8.RuneStart(text[middle]) {
			middle--
		}
		if middle == 0 {
			return nil
		}
		pieces, text = append(pieces, text[:middle]), text[middle:]
	}
	return append(pieces, text)
}
