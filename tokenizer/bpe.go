package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// merges is the table of byte-level BPE. Its symbols are the tokens of the vocabulary and, numbered
// after them, whatever else occurs in a merge.
type merges struct {
	rank  map[uint64]int32 // left symbol << 32 | right symbol
	to    []int32          // the symbol that a merge makes
	extra map[string]int32 // symbols that are no tokens
	first [256]int32       // the symbol of each byte
}

// GPT-2's alphabet: a byte is spelled as a printable character, itself if it is one in Latin 1,
// else one from U+0100 on. byteOfRune is the way back, -1 for characters that spell none.
var byteSpelling, byteOfRune = alphabet()

func alphabet() (spelling [256]string, byteOf [0x144]int16) {
	for i := range byteOf {
		byteOf[i] = -1
	}
	next := rune(0x100)
	for b := range rune(256) {
		r := b
		if b < 0x21 || b > 0x7E && b < 0xA1 || b == 0xAD {
			r = next
			next++
		}
		spelling[b] = string(r)
		byteOf[r] = int16(b)
	}
	return spelling, byteOf
}

// buildMerges reads lines of the form "left right".
func (t *Tokenizer) buildMerges(lines []string, mayLack bool) error {
	m := &merges{rank: make(map[uint64]int32, len(lines)), to: make([]int32, 0, len(lines)), extra: map[string]int32{}}
	if len(lines) == 0 && !mayLack {
		return malformed("no merges")
	}
	if len(lines) > maxTokens {
		return malformed("%d merges, at most %d", len(lines), maxTokens)
	}
	intern := func(s string) int32 {
		id, ok := t.ids[s]
		if !ok {
			if id, ok = m.extra[s]; !ok {
				id = int32(len(t.text) + len(m.extra))
				m.extra[strings.Clone(s)] = id
			}
		}
		return id
	}
	var both []byte
	for i, line := range lines {
		space := -1
		if line != "" {
			space = strings.IndexByte(line[1:], ' ') + 1
		}
		if space <= 0 || space == len(line)-1 {
			return malformed("merge %d is %s, want two symbols", i, quoted(line))
		}
		if len(line) > 2*maxTokenLen {
			return malformed("merge %d has %d bytes, at most %d", i, len(line), 2*maxTokenLen)
		}
		left, right := line[:space], line[space+1:]
		both = append(append(both[:0], left...), right...)
		m.to = append(m.to, intern(string(both)))
		if t.pre.raw {
			t.joins.learn(string(both))
		}
		key := uint64(intern(left))<<32 | uint64(intern(right))
		if _, ok := m.rank[key]; !ok {
			m.rank[key] = int32(i)
		}
	}
	for b := range m.first {
		m.first[b] = intern(byteSpelling[b])
	}
	t.merges = m
	t.alphabet = !t.pre.raw && int(slices.Max(m.first[:])) < len(t.text)
	return nil
}

// encodeBPE cuts text into words and merges inside each.
func (t *Tokenizer) encodeBPE(dst []int32, s *scratch, text string) []int32 {
	if t.model == ModelWhitespace {
		for word := range strings.FieldsFuncSeq(text, unicode.IsSpace) {
			if t.lowercase {
				word = strings.Map(unicode.ToLower, word)
			}
			dst = t.encodeWords(dst, s, word)
		}
		return dst
	}
	if t.escape {
		text = strings.ReplaceAll(text, " ", escaped)
	}
	return t.encodeWords(dst, s, text)
}

func (t *Tokenizer) encodeWords(dst []int32, s *scratch, text string) []int32 {
	if !utf8.ValidString(text) {
		text = replaceInvalid(text)
	}
	s.dst = dst
	s.runStages(t.pre.stages, 0, text, true, t.words)
	dst, s.dst = s.dst, nil
	return dst
}

// replaceInvalid puts U+FFFD in the place of each byte that is not UTF-8.
func replaceInvalid(text string) string {
	var b strings.Builder
	for _, r := range text {
		b.WriteRune(r)
	}
	return b.String()
}

// shortWord is up to how many symbols a plain search for the best pair is faster than a heap.
const shortWord = 32

// wordSink appends the spelling of words to scratch.dst.
func (t *Tokenizer) wordSink(pipelined bool) sink {
	switch t.kind {
	case wpm:
		return func(s *scratch, word string, _ bool) { s.dst = t.spellPiece(s.dst, word) }
	case unigram:
		return func(s *scratch, word string, _ bool) {
			s.text = append(s.text[:0], word...)
			s.dst = t.mostLikely(s.dst, s)
		}
	case wordLevel:
		return func(s *scratch, word string, _ bool) {
			if id, ok := t.ids[word]; ok && t.inModel(id) {
				s.dst = append(s.dst, id)
			} else if t.unk >= 0 {
				s.dst = append(s.dst, t.unk)
			}
		}
	}
	if t.pre.raw && !t.pre.ignoreMerges && !t.pre.wholeLines {
		return func(s *scratch, word string, _ bool) {
			word = t.withoutUnknown(word)
			for word != "" {
				n := len(word)
				// which looks over the cut
				if t.pipe == nil || t.pipe.byteFallback || !t.pipe.fuseUnknown {
					n = t.joins.split(word, escaped)
				}
				s.dst = t.encodeWord(s.dst, s, word[:n])
				word = word[n:]
			}
		}
	}
	if !pipelined || t.alphabet {
		return func(s *scratch, word string, _ bool) { s.dst = t.encodeWord(s.dst, s, word) }
	}
	return func(s *scratch, word string, _ bool) {
		if word = t.withoutUnknown(word); word != "" {
			s.dst = t.encodeWord(s.dst, s, word)
		}
	}
}

// withoutUnknown drops what a pipeline has no token for, not even an unknown one, before anything
// merges.
func (t *Tokenizer) withoutUnknown(word string) string {
	if t.pipe == nil || t.unk >= 0 || t.pipe.byteFallback {
		return word
	}
	if t.pre.raw {
		return strings.Map(func(r rune) rune {
			if id := t.symbolOf(string(r)); id < 0 || int(id) >= len(t.text) {
				return -1
			}
			return r
		}, word)
	}
	var known []byte
	for i := range len(word) {
		if id := t.merges.first[word[i]]; int(id) < len(t.text) {
			known = append(known, word[i])
		}
	}
	return string(known)
}

// encodeWord merges the symbols of one word, the pair of lowest rank first.
func (t *Tokenizer) encodeWord(dst []int32, s *scratch, word string) []int32 {
	m := t.merges
	if t.pre.ignoreMerges || t.pre.wholeLines && word[0] == '\n' {
		if id, ok := t.wholeWord(s, word); ok {
			return append(dst, id)
		}
	}
	if len(word) > longWord {
		return t.encodeLongWord(dst, s, word)
	}
	s.syms = s.syms[:0]
	if t.pre.raw {
		for off, r := range word {
			n := utf8.RuneLen(r)
			s.syms = append(s.syms, sym{off: int32(off), n: int32(n), id: t.symbolOf(word[off : off+n])})
		}
	} else {
		for i := range len(word) {
			s.syms = append(s.syms, sym{off: int32(i), n: 1, id: m.first[word[i]]})
		}
	}
	if len(s.syms) <= shortWord {
		s.mergeShort(m)
	} else {
		s.link()
		s.mergeAll(func(l, r *sym) (uint32, int32, bool) { return m.pair(l.id, r.id) })
	}
	unknown := false
	for i := range s.syms {
		y := &s.syms[i]
		if y.n == 0 {
			continue
		}
		if y.id >= 0 && int(y.id) < len(t.text) {
			dst = append(dst, y.id)
			unknown = false
			continue
		}
		dst, unknown = t.spellUnknown(dst, word[y.off:y.off+y.n], unknown)
	}
	return dst
}

// pair is the rank of a pair of symbols, and the symbol that it becomes.
func (m *merges) pair(left, right int32) (uint32, int32, bool) {
	rank, ok := m.rank[uint64(uint32(left))<<32|uint64(uint32(right))]
	if !ok {
		return 0, 0, false
	}
	return uint32(rank), m.to[rank], true
}

// inModel reports whether the algorithm knows a token: one that was added is found otherwise.
func (t *Tokenizer) inModel(id int32) bool {
	return t.pipe == nil || t.pipe.size == 0 || int(id) < t.pipe.size
}

// symbolOf is the symbol of a character, -1 if it has none.
func (t *Tokenizer) symbolOf(c string) int32 {
	if id, ok := t.ids[c]; ok && t.inModel(id) {
		return id
	}
	if id, ok := t.merges.extra[c]; ok {
		return id
	}
	return -1
}

// encodeLongWord is encodeWord for words of any length.
func (t *Tokenizer) encodeLongWord(dst []int32, s *scratch, word string) []int32 {
	m := t.merges
	s.long.reset(len(word))
	for off := 0; off < len(word); {
		n, id := 1, int32(-1)
		if t.pre.raw {
			_, n = utf8.DecodeRuneInString(word[off:])
			id = t.symbolOf(word[off : off+n])
		} else {
			id = m.first[word[off]]
		}
		s.long.add(off, n, id)
		off += n
	}
	s.long.merge(func(_, _ int, left, right int32) (uint32, int32, bool) { return m.pair(left, right) })
	unknown := false
	for at, id := range s.long.all() {
		if id >= 0 && int(id) < len(t.text) {
			dst = append(dst, id)
			unknown = false
			continue
		}
		dst, unknown = t.spellUnknown(dst, word[at[0]:at[1]], unknown)
	}
	return dst
}

// spellsBytes reports whether what is unknown is spelled in bytes, all of which are tokens.
func (p *pipeline) spellsBytes(t *Tokenizer, text string) bool {
	if !p.byteFallback {
		return false
	}
	for i := range len(text) {
		if t.bytes[text[i]] < 0 {
			return false
		}
	}
	return true
}

// spellUnknown appends what stands for a symbol that is no token: the bytes that the vocabulary
// has, or by a pipeline that does without them the unknown token. unknown says that such a one is
// before it.
func (t *Tokenizer) spellUnknown(dst []int32, text string, unknown bool) ([]int32, bool) {
	if t.pipe != nil && !t.pipe.spellsBytes(t, text) {
		if t.unk >= 0 && !(unknown && t.pipe.fuseUnknown) {
			dst = append(dst, t.unk)
		}
		return dst, true
	}
	for _, c := range []byte(text) {
		if id := t.bytes[c]; id >= 0 {
			dst = append(dst, id)
		}
	}
	return dst, false
}

// wholeWord looks word up as a token.
func (t *Tokenizer) wholeWord(s *scratch, word string) (int32, bool) {
	if len(word) > t.longest {
		return 0, false
	}
	if t.pre.raw {
		id, ok := t.ids[word]
		return id, ok && t.inModel(id)
	}
	s.text = s.text[:0]
	for i := range len(word) {
		s.text = append(s.text, byteSpelling[word[i]]...)
	}
	id, ok := t.ids[string(s.text)]
	return id, ok && t.inModel(id)
}

// mergeShort does what mergeAll does, in quadratic time and without a heap.
func (s *scratch) mergeShort(m *merges) {
	const none = 1<<31 - 1
	var ranks [shortWord]int32 // ranks[i] is the rank of symbols i and i+1
	syms := s.syms
	rank := func(i int) int32 {
		if i+1 < len(syms) {
			if r, ok := m.rank[uint64(uint32(syms[i].id))<<32|uint64(uint32(syms[i+1].id))]; ok {
				return r
			}
		}
		return none
	}
	for i := range syms {
		ranks[i] = rank(i)
	}
	for {
		best, at := int32(none), 0
		for i := range syms {
			if ranks[i] < best {
				best, at = ranks[i], i
			}
		}
		if best == none {
			s.syms = syms
			return
		}
		syms[at].n += syms[at+1].n
		syms[at].id = m.to[best]
		copy(syms[at+1:], syms[at+2:])
		copy(ranks[at+1:len(syms)], ranks[at+2:len(syms)])
		syms = syms[:len(syms)-1]
		ranks[at] = rank(at)
		if at > 0 {
			ranks[at-1] = rank(at - 1)
		}
	}
}
