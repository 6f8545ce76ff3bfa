package tokenizer

// encodeSPM is SentencePiece's BPE: starting from characters, the two neighbours whose concatenation is the token with the highest score
// are merged, again and again. What is not a token in the end is spelled in bytes.
func (t *Tokenizer) encodeSPM(dst []int32, s *scratch, text string, prefix bool) []int32 {
	b := s.text[:0]
	if prefix {
		b = append(b, escaped...)
	}
	b = escapeSpaces(b, text)
	s.text = b
	s.syms = s.syms[:0]
	for off := 0; off < len(b); {
		n := charLen(b[off:])
		s.syms = append(s.syms, sym{off: int32(off), n: int32(n), id: -1})
		off += n
	}
	s.link()
	s.mergeAll(func(l, r *sym) (uint32, int32, bool) {
		if int(l.n+r.n) > t.longest {
			return 0, 0, false
		}
		id, ok := t.ids[string(b[l.off:r.off+r.n])]
		if !ok {
			return 0, 0, false
		}
		return priorityOf(t.score[id]), id, true
	})
	for i := int32(0); i >= 0 && int(i) < len(s.syms); i = s.syms[i].next {
		y := &s.syms[i]
		id, ok := y.id, y.id >= 0
		chunk := b[y.off : y.off+y.n]
		if !ok {
			id, ok = t.ids[string(chunk)]
		}
		if ok {
			dst = append(dst, id)
			continue
		}
		for _, c := range chunk {
			if id = t.bytes[c]; id < 0 {
				id = t.unk
			}
			if id >= 0 {
				dst = append(dst, id)
			}
		}
	}
	return dst
}
