package tokenizer

// encodeSPM is SentencePiece's BPE: starting from characters, the two neighbours whose
// concatenation is the token with the highest score are merged, again and again. What is not a
// token in the end is spelled in bytes.
func (t *Tokenizer) encodeSPM(dst []int32, s *scratch, text string, prefix bool) []int32 {
	for text != "" {
		n := t.joins.split(text, " ")
		b := s.text[:0]
		if prefix {
			b = append(b, escaped...)
		}
		prefix = false
		b = escapeSpaces(b, text[:n])
		s.text = b
		dst = t.spellSPM(dst, s, b)
		text = text[n:]
	}
	return dst
}

// spaceMark is U+2581 as a character.
const spaceMark = '\u2581'

// spellSPM spells a text.
func (t *Tokenizer) spellSPM(dst []int32, s *scratch, b []byte) []int32 {
	if len(b) > longWord {
		return t.spellLongSPM(dst, s, b)
	}
	s.syms = s.syms[:0]
	for off := 0; off < len(b); {
		n := charLen(b[off:])
		s.syms = append(s.syms, sym{off: int32(off), n: int32(n), id: -1})
		off += n
	}
	s.link()
	s.mergeAll(func(l, r *sym) (uint32, int32, bool) { return t.scoredPair(b[l.off : r.off+r.n]) })
	for i := int32(0); i >= 0 && int(i) < len(s.syms); i = s.syms[i].next {
		y := &s.syms[i]
		dst = t.spellSymbol(dst, b[y.off:y.off+y.n], y.id)
	}
	return dst
}

// spellLongSPM is spellSPM for texts of any length.
func (t *Tokenizer) spellLongSPM(dst []int32, s *scratch, b []byte) []int32 {
	s.long.reset(len(b))
	for off := 0; off < len(b); {
		n := charLen(b[off:])
		s.long.add(off, n, -1)
		off += n
	}
	s.long.merge(func(from, to int, _, _ int32) (uint32, int32, bool) { return t.scoredPair(b[from:to]) })
	for at, id := range s.long.all() {
		dst = t.spellSymbol(dst, b[at[0]:at[1]], id)
	}
	return dst
}

// scoredPair is the priority of what two neighbours make together.
func (t *Tokenizer) scoredPair(both []byte) (uint32, int32, bool) {
	if len(both) > t.longest {
		return 0, 0, false
	}
	id, ok := t.ids[string(both)]
	if !ok {
		return 0, 0, false
	}
	return priorityOf(t.score[id]), id, true
}

// spellSymbol appends the token that text is, or its bytes.
func (t *Tokenizer) spellSymbol(dst []int32, text []byte, id int32) []int32 {
	ok := id >= 0
	if !ok {
		id, ok = t.ids[string(text)]
	}
	if ok {
		return append(dst, id)
	}
	for _, c := range text {
		if id = t.bytes[c]; id < 0 {
			id = t.unk
		}
		if id >= 0 {
			dst = append(dst, id)
		}
	}
	return dst
}
