package tokenizer

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// unkPenalty is how much less likely than the least likely token an unknown character is taken to
// be.
const unkPenalty = 10

// bestPath is the most likely spelling of the text up to a position: its last token, where that
// begins, the sum of the scores.
type bestPath struct {
	score float64
	from  int32
	id    int32
}

func (t *Tokenizer) buildUnigram(c *Config) error {
	// By llama.cpp's rules control tokens take no part; by a pipeline's all tokens do but those
	// that were added.
	takesPart := func(id int) bool { return t.attr[id]&(isNormal|isUser|isUnused) != 0 }
	counts := func(id int) bool { return t.attr[id] == isNormal }
	if p := c.Pipeline; p != nil {
		takesPart = func(id int) bool { return p.inModel(int32(id)) }
		counts = takesPart
	}
	lowest := float32(math.MaxFloat32)
	for id := range t.attr {
		if counts(id) {
			lowest = min(lowest, t.score[id])
		}
		if takesPart(id) {
			t.joins.learn(t.text[id])
		}
	}
	t.unkScore = float64(lowest) - unkPenalty
	t.trie = newTrie(t.text, takesPart)
	t.userTrie = newTrie(t.text, func(id int) bool { return t.attr[id] == isUser })
	for i, id := range t.bytes {
		if id >= 0 && t.attr[id] != isByte {
			t.bytes[i] = -1
		}
	}
	if c.Pipeline == nil && slices.Min(t.bytes[:]) < 0 {
		t.bytes[0] = -1 // spelling in bytes needs them all
	}
	var err error
	t.charsmap, err = newCharsmap(c.CharsMap)
	return err
}

// encodeUnigram finds the spelling of the normalised text whose tokens have the highest sum of
// scores (Viterbi); user-defined tokens count as 0. Characters that are no tokens become [UNK], one
// for a run of them, or are spelled in bytes if the vocabulary has all 256, as SentencePiece does
// and llama.cpp does not.
func (t *Tokenizer) encodeUnigram(dst []int32, s *scratch, text string) []int32 {
	var st normalizer
	for text != "" {
		s.text, text = t.normalize(s.text[:0], text, &st, maxChunkLen)
		dst = t.mostLikely(dst, s)
	}
	return dst
}

// mostLikely appends the spelling of s.text.
func (t *Tokenizer) mostLikely(dst []int32, s *scratch) []int32 {
	b := s.text
	best := slices.Grow(s.best[:0], len(b)+1)[:len(b)+1]
	s.best = best
	for i := range best {
		best[i] = bestPath{-math.MaxFloat64, 0, t.unk}
	}
	best[0].score = 0
	for i := 0; i < len(b); {
		n := charLen(b[i:])
		whole := false // the character is a token
		here := best[i].score
		node := int32(0)
		for j := i; j < len(b); {
			if node = t.trie.next(node, b[j]); node == 0 {
				break
			}
			j++
			id := t.trie.nodes[node].value
			if id < 0 {
				continue
			}
			whole = whole || j-i == n
			score := here
			if t.attr[id]&isUser == 0 || t.pipe != nil {
				score += float64(t.score[id])
			}
			if score > best[j].score {
				best[j] = bestPath{score, int32(i), id}
			}
		}
		if score := here + t.unkScore; !whole && score > best[i+n].score {
			best[i+n] = bestPath{score, int32(i), t.unk}
		}
		i += n
	}
	start := len(dst)
	fused := -1 // the end of a run of unknown characters
	flush := func(from int) {
		if fused < 0 {
			return
		}
		if text := b[from:fused]; t.spellsBytes(text) {
			for i := len(text) - 1; i >= 0; i-- {
				dst = append(dst, t.bytes[text[i]])
			}
		} else {
			dst = t.appendUnknown(dst)
		}
		fused = -1
	}
	for end := len(b); end > 0; end = int(best[end].from) {
		id := best[end].id
		if id == t.unk {
			fused = max(fused, end)
			continue
		}
		flush(end)
		dst = append(dst, id)
	}
	flush(0)
	slices.Reverse(dst[start:])
	return dst
}

// spellsBytes reports whether Unigram spells unknown text in bytes: with a pipeline if they are
// tokens, otherwise if all bytes are.
func (t *Tokenizer) spellsBytes(text []byte) bool {
	if t.pipe == nil {
		return t.bytes[0] >= 0
	}
	return t.pipe.spellsBytes(t, string(text))
}

// A normalizer is the state between two chunks of a text.
type normalizer struct {
	inWord   bool
	prefixed bool // a space stands in front of the text
}

// The most likely spelling takes 16 bytes of memory for a byte of text. A text is spelled in
// chunks: from so many bytes on, to where no token reaches over the end; but no longer than that.
const (
	chunkLen    = 1 << 14
	maxChunkLen = 1 << 20
)

// normalize appends a chunk of text as the model wants it: mapped by the charsmap, with U+2581 for
// spaces, one in front. It returns what is left of text.
func (t *Tokenizer) normalize(dst []byte, text string, st *normalizer, limit int) (out []byte, rest string) {
	for text != "" && len(dst) < limit {
		if len(dst) >= chunkLen && text[0] == ' ' {
			if r, _ := utf8.DecodeLastRune(dst); !t.joins.has(r, spaceMark) {
				break
			}
		}
		piece, used := t.normalizeAt(text)
		text = text[used:]
		for j := range len(piece) {
			if c := piece[j]; c != ' ' {
				if !st.inWord {
					st.inWord = true
					if t.spacePrefix && !st.prefixed || t.mergeSpaces {
						dst = append(dst, escaped...)
						st.prefixed = true
					}
				}
				dst = append(dst, c)
				continue
			}
			st.inWord = false
			if !t.mergeSpaces {
				dst = append(dst, escaped...)
			}
		}
	}
	return dst, text
}

// normalizeAt returns what the beginning of text becomes, and how long that beginning is: a
// user-defined token stays as it is, then the longest match of the charsmap counts, then a
// character.
func (t *Tokenizer) normalizeAt(text string) (piece string, used int) {
	node := int32(0)
	for j := 0; j < len(text); {
		if node = t.userTrie.next(node, text[j]); node == 0 {
			break
		}
		j++
		if t.userTrie.nodes[node].value >= 0 {
			used = j
		}
	}
	if used > 0 {
		return text[:used], used
	}
	if t.charsmap != nil {
		if piece, used = t.charsmap.longest(text); used > 0 {
			return piece, used
		}
	}
	r, n := utf8.DecodeRuneInString(text)
	if r == utf8.RuneError && n == 1 {
		return "\uFFFD", 1
	}
	return text[:n], n
}

// A charsmap is SentencePiece's precompiled normalisation: an XOR-compressed double array (Kanda
// 2018, Space- and Time-Efficient String Dictionaries) of the strings to be replaced, and the
// replacements, each ended by a zero byte.
//
// A unit has the label in bits 0-7, the mark of a leaf in bit 8, and in bits 10-30 the base, to be
// shifted left by 8 if bit 9 is set. With bit 31 it is a value: the offset of a replacement.
type charsmap struct {
	units []uint32
	texts string
}

// Bounds on a charsmap, an order of magnitude above the largest of Unicode's normal forms.
const (
	maxReplaced    = 256 // bytes in a string that is replaced
	maxReplacement = 256 // bytes in a replacement
	maxGrowth      = 16  // bytes for each that is replaced; NFKC has 11 (U+FDFA)
)

func newCharsmap(b []byte) (*charsmap, error) {
	if len(b) == 0 {
		return nil, nil
	}
	if len(b) < 4 {
		return nil, malformed("precompiled_charsmap has %d bytes, want at least 4", len(b))
	}
	n := binary.LittleEndian.Uint32(b)
	if b = b[4:]; uint64(n) >= uint64(len(b)) {
		return nil, malformed("precompiled_charsmap: the array has %d bytes, %d are left", n, len(b))
	}
	m := &charsmap{units: make([]uint32, n/4), texts: string(b[n:])}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	if m.texts[len(m.texts)-1] != 0 {
		return nil, malformed("precompiled_charsmap: the last replacement has no end")
	}
	size := 0
	for i := range len(m.texts) {
		if size++; m.texts[i] == 0 {
			size = 0
		}
		if size > maxReplacement {
			return nil, malformed("precompiled_charsmap: a replacement has over %d bytes", maxReplacement)
		}
	}
	return m, m.checkGrowth()
}

// shortest returns the replacement of the shortest string in the map that begins text.
func (m *charsmap) shortest(text string) (replacement string, ok bool) {
	node := m.base(m.unit(0))
	for i := 0; i < len(text) && text[i] != 0; i++ {
		node ^= uint32(text[i])
		u := m.unit(node)
		if u&(1<<31|0xFF) != uint32(text[i]) {
			break
		}
		node ^= m.base(u)
		if u>>8&1 != 0 {
			if at := m.unit(node) &^ (1 << 31); int64(at) < int64(len(m.texts)) {
				return m.replacement(at), true
			}
		}
	}
	return "", false
}

// unit is a unit of the array; one outside fits no label.
func (m *charsmap) unit(i uint32) uint32 {
	if int64(i) >= int64(len(m.units)) {
		return 1 << 31
	}
	return m.units[i]
}

func (m *charsmap) base(u uint32) uint32 { return u >> 10 << (u >> 9 & 1 * 8) }

// replacement is the text at an offset.
func (m *charsmap) replacement(at uint32) string {
	return m.texts[at : int(at)+strings.IndexByte(m.texts[at:], 0)]
}

// checkGrowth refuses a map that makes a text far longer: the budget of a text must hold. Units are
// visited once, by the shortest string that leads to them.
func (m *charsmap) checkGrowth() error {
	seen := make([]bool, len(m.units))
	level := []uint32{m.base(m.unit(0))}
	for depth := 1; len(level) > 0 && depth <= maxReplaced; depth++ {
		var next []uint32
		for _, node := range level {
			for c := uint32(1); c < 256; c++ {
				at := node ^ c
				u := m.unit(at)
				if u&(1<<31|0xFF) != c || seen[at] {
					continue
				}
				seen[at] = true
				child := at ^ m.base(u)
				if u>>8&1 != 0 {
					if to := m.unit(child) &^ (1 << 31); int64(to) < int64(len(m.texts)) && len(m.replacement(to)) > maxGrowth*depth {
						return malformed("precompiled_charsmap: %d bytes for %d, at most %d times as many", len(m.replacement(to)), depth, maxGrowth)
					}
				}
				next = append(next, child)
			}
		}
		level = next
	}
	return nil
}

// longest returns the replacement of the longest string in the map that begins text, and that
// string's size, 0 if there is none.
func (m *charsmap) longest(text string) (replacement string, size int) {
	offset := -1
	node := m.base(m.unit(0))
	for i := 0; i < len(text) && i < maxReplaced && text[i] != 0; i++ {
		node ^= uint32(text[i])
		u := m.unit(node)
		if u&(1<<31|0xFF) != uint32(text[i]) {
			break
		}
		node ^= m.base(u)
		if u>>8&1 != 0 {
			if at := m.unit(node) &^ (1 << 31); int64(at) < int64(len(m.texts)) {
				offset, size = int(at), i+1
			}
		}
	}
	if size == 0 {
		return "", 0
	}
	return m.replacement(uint32(offset)), size
}
