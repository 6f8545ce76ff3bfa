package tokenizer

import "strings"

// buildPieces lays out the bytes of all ids.
func (t *Tokenizer) buildPieces() {
	t.pieceEnd = make([]int, len(t.text))
	for id, s := range t.text {
		switch a := t.attr[id]; {
		case a&(isControl|isUnknown) != 0:
		case a&isUser != 0:
			t.pieces = append(t.pieces, s...)
		case a&isByte != 0:
			b, _ := byteOf(s)
			t.pieces = append(t.pieces, b)
		case a&isNormal == 0:
		case t.escape:
			t.pieces = append(t.pieces, strings.ReplaceAll(s, escaped, " ")...)
		case t.pre.raw:
			t.pieces = append(t.pieces, s...)
		default:
			for _, r := range s {
				if int(r) < len(byteOfRune) && byteOfRune[r] >= 0 {
					t.pieces = append(t.pieces, byte(byteOfRune[r]))
				} else { // not of GPT-2's alphabet: a token that was added as plain text
					t.pieces = append(t.pieces, string(r)...)
				}
			}
		}
		t.pieceEnd[id] = len(t.pieces)
	}
}

// Bytes returns exactly what id adds to a text: half a character, perhaps; nothing for control
// tokens and ids outside the vocabulary. The slice must not be changed.
func (t *Tokenizer) Bytes(id int32) []byte {
	if !t.valid(id) {
		return nil
	}
	start := 0
	if id > 0 {
		start = t.pieceEnd[id-1]
	}
	return t.pieces[start:t.pieceEnd[id]:t.pieceEnd[id]]
}

// hidden reports whether id is shown only on demand.
func (t *Tokenizer) hidden(id int32) bool {
	return t.valid(id) && t.attr[id]&(isControl|isUnknown) != 0
}

// Decode returns the text of ids, as llama.cpp's detokenize does: without the space that the model
// puts in front of a text, and for models with that habit without spaces before punctuation and in
// English contractions. With special, control tokens are shown as they are spelled. The result is
// UTF-8 if the ids are of whole characters.
func (t *Tokenizer) Decode(ids []int32, special bool) string {
	var out []byte
	atStart := t.spacePrefix
	for _, id := range ids {
		n := len(out)
		if special && t.hidden(id) {
			out = append(out, t.text[id]...)
		} else {
			out = append(out, t.Bytes(id)...)
		}
		if atStart && len(out) > 0 {
			atStart = false
			if out[0] == ' ' {
				out = append(out[:n], out[n+1:]...)
			}
		}
	}
	if t.clean {
		out = cleanSpaces(out)
	}
	return string(out)
}

// cleanSpaces undoes, in place, the spaces that word-splitting tokenizers leave
// (clean_up_tokenization_spaces): before ? ! . and comma, around a lone apostrophe, and before 's,
// 'm, 're and 've.
func cleanSpaces(b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	out := b[:1]
	for i := 1; i < len(b); i++ {
		if b[i-1] == ' ' && strings.IndexByte("?!.,", b[i]) >= 0 {
			out = out[:len(out)-1]
		}
		out = append(out, b[i])
	}
	b, out = out, out[:1]
	for i := 1; i < len(b); i++ {
		if b[i] == '\'' && i+1 < len(b) && b[i-1] == ' ' && b[i+1] == ' ' {
			out[len(out)-1] = '\''
			i++
			b[i] = 0
			continue
		}
		out = append(out, b[i])
	}
	b, out = out, out[:1]
	for i := 1; i < len(b); i++ {
		if b[i-1] == ' ' && b[i] == '\'' && i+1 < len(b) {
			next := b[i+1]
			if next == 's' || next == 'm' || i+2 < len(b) && (next == 'r' || next == 'v') && b[i+2] == 'e' {
				out = out[:len(out)-1]
			}
		}
		out = append(out, b[i])
	}
	return out
}
