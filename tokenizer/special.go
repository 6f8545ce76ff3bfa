package tokenizer

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
)

// Names of tokens with a task, for files that do not give their ids (llama-vocab.cpp). Of several
// that are present the first counts, where llama.cpp takes any.
var (
	eotNames = []string{"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>", "_<EOT>", "[EOT]",
		"<｜end▁of▁sentence｜>", "<end_of_utterance>"}
	eomNames = []string{"<|eom_id|>"}
	fimNames = [6][]string{
		{"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>", "<|prefix|>"},
		{"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>", "<|suffix|>"},
		{"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>", "<|middle|>"},
		{"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"},
		{"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"},
		{"<|file_sep|>"},
	}
	eogNames = []string{"<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>", "<|endoftext|>", "</s>",
		"<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>",
		"<｜end▁of▁sentence｜>", "[e~["}
	// The marks of gpt-oss's channels, which are always shown.
	shownNames = []string{"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"}
)

// findSpecials finds the ids with a task, decides which end generation, and lists what is looked
// for in text. A token whose name says that it is a control token is one, whatever the file says.
func (t *Tokenizer) findSpecials(c *Config) {
	find := func(id *int32, names []string) {
		for _, name := range names {
			if *id >= 0 {
				return
			}
			if found, ok := t.byName(name); ok {
				*id = found
				t.attr[found] |= isControl
			}
		}
	}
	t.eot, t.eom = c.EOT, c.EOM
	find(&t.eot, eotNames)
	find(&t.eom, eomNames)
	t.fim = [6]int32{c.FIMPre, c.FIMSuf, c.FIMMid, c.FIMPad, c.FIMRep, c.FIMSep}
	for i := range t.fim {
		find(&t.fim[i], fimNames[i])
	}

	eog := map[int32]bool{}
	for _, id := range t.fim[3:] {
		eog[id] = true
	}
	for _, name := range eogNames {
		if id, ok := t.byName(name); ok {
			eog[id] = true
			t.attr[id] |= isControl
		}
	}
	if c.Pipeline != nil {
		for _, id := range c.Pipeline.Ends {
			eog[id] = true
		}
	}
	for _, name := range shownNames {
		if id, ok := t.byName(name); ok {
			t.attr[id] = isUser
		}
	}
	for _, id := range [...]int32{t.eos, t.eot, t.eom} {
		eog[id] = true
	}
	delete(eog, -1)

	t.keepOpen(eog)
	for id := range eog {
		t.eog = append(t.eog, id)
	}
	slices.Sort(t.eog)

	for id, a := range t.attr {
		if a&(isControl|isUser|isUnknown) != 0 {
			t.specials = append(t.specials, int32(id))
		}
	}
	slices.SortStableFunc(t.specials, func(a, b int32) int { return cmp.Compare(len(t.text[b]), len(t.text[a])) })
	spellings := make([]string, len(t.specials))
	for i, id := range t.specials {
		spellings[i] = t.text[id]
	}
	t.specialTrie = newTrie(spellings, func(int) bool { return true })
}

// keepOpen removes from the ends of generation the tokens that end less in some vocabularies.
func (t *Tokenizer) keepOpen(eog map[int32]bool) {
	ends := func(name string) (int32, bool) {
		id, ok := t.ids[name]
		return id, ok && eog[id]
	}
	both := func(a, b string) bool {
		_, hasA := ends(a)
		_, hasB := ends(b)
		return hasA && hasB
	}
	// In the formats with calls <|end|> ends a message, after which the model goes on.
	if id, ok := ends("<|end|>"); ok && (both("<|return|>", "<|call|>") || both("<|return|>", "<|calls|>") || both("<|flush|>", "<|call|>") || both("<|flush|>", "<|calls|>")) {
		delete(eog, id)
		t.attr[id] = isUser
	}
	// Gemma 4 has an HTML tag of that spelling.
	if id, ok := ends("</s>"); ok {
		if _, ok := ends("<|tool_response>"); ok {
			delete(eog, id)
			t.attr[id] = isNormal
		}
	}
}

// byName finds a token with a task by its name. Where a pipeline says which tokens are control
// tokens, no other is one, whatever its name.
func (t *Tokenizer) byName(name string) (int32, bool) {
	id, ok := t.ids[name]
	return id, ok && (t.pipe == nil || t.attr[id]&isControl != 0)
}

// setStrips marks the tokens that swallow white space beside them. GGUF files do not record it;
// llama.cpp goes by the model's name.
func (t *Tokenizer) setStrips(c *Config) {
	contains := func(s string, any ...string) bool {
		return slices.ContainsFunc(any, func(x string) bool { return strings.Contains(s, x) })
	}
	mark := func(name string, a attr) {
		if id, ok := t.ids[name]; ok {
			t.attr[id] |= a
		}
	}
	name := strings.ToLower(c.Name)
	switch {
	case contains(c.Pre, "jina-v2-de", "jina-v2-es", "jina-v2-code") || contains(c.Arch, "nomic-bert-moe", "jina-bert-v3"):
		mark("<mask>", stripLeft)
	case contains(name, "phi-3", "phi3"):
		for _, id := range t.specials {
			t.attr[id] |= stripRight
		}
		mark("</s>", stripRight)
		for _, name := range []string{"<unk>", "<s>", "<|endoftext|>"} {
			if id, ok := t.ids[name]; ok {
				t.attr[id] &^= stripRight
			}
		}
	case contains(name, "modern-bert"):
		mark("[MASK]", stripLeft)
	}
}

// A fragment is a part of the text, text[from:to], and the token that it spells, or -1.
type fragment struct {
	id       int32
	from, to int
}

// offsetBits is how many bits of a candidate's key hold its place in the text; above them stands
// the index in specials.
const offsetBits = 36

// partition cuts text at the special tokens in it: user-defined ones always, control and unknown
// ones if parse is set. Of tokens that overlap the longest wins, wherever it stands, then the one
// with the lower id, then the one that begins first.
//
// The candidates wait in a queue, one for each place in the text: the longest that fits. One that
// has lost its room to a better one is replaced by a shorter one.
func (t *Tokenizer) partition(s *scratch, text string, parse bool) []fragment {
	s.queue = s.queue[:0]
	for at := range len(text) {
		if t.specialTrie.roots[text[at]] != 0 {
			t.offer(s, text, at, parse)
		}
	}
	found := s.found[:0]
	if len(s.queue) > 0 {
		s.claimed.reset(len(text))
	}
	for len(s.queue) > 0 {
		c := s.queue.pop()
		from := int(c.key & (1<<offsetBits - 1))
		to := from + int(c.size)
		if end := s.claimed.first(from, to); end < to {
			t.offer(s, text[:end], from, parse)
			continue
		}
		id := t.specials[c.key>>offsetBits]
		if t.attr[id]&stripLeft != 0 {
			for from > 0 && isSpaceByte(text[from-1]) && !s.claimed.has(from-1) {
				from--
			}
		}
		if t.attr[id]&stripRight != 0 {
			for to < len(text) && isSpaceByte(text[to]) && !s.claimed.has(to) {
				to++
			}
		}
		s.claimed.set(from, to)
		found = append(found, fragment{id, from, to})
	}
	slices.SortFunc(found, func(a, b fragment) int { return cmp.Compare(a.from, b.from) })
	s.found = found

	frags, done := s.frags[:0], 0
	for _, f := range found {
		if f.from > done {
			frags = append(frags, fragment{-1, done, f.from})
		}
		frags = append(frags, f)
		done = f.to
	}
	if done < len(text) {
		frags = append(frags, fragment{-1, done, len(text)})
	}
	s.frags = frags
	return frags
}

// offer puts the longest special token in text at the offset into the queue, if there is one.
func (t *Tokenizer) offer(s *scratch, text string, at int, parse bool) {
	node, best, size := int32(0), int32(-1), 0
	for i := at; i < len(text); {
		if node = t.specialTrie.next(node, text[i]); node == 0 {
			break
		}
		i++
		if v := t.specialTrie.nodes[node].value; v >= 0 && t.allowed(s, t.specials[v], parse, at, i) {
			best, size = v, i-at
		}
	}
	if best >= 0 {
		s.queue.push(candidate{key: uint64(best)<<offsetBits | uint64(at), size: int32(size)})
	}
}

// allowed reports whether text[from:to], which spells a special token, may be it.
func (t *Tokenizer) allowed(s *scratch, id int32, parse bool, from, to int) bool {
	if s.trusted != nil {
		return s.trusted(id, from, to)
	}
	return parse || t.attr[id]&(isControl|isUnknown) == 0
}

func isSpaceByte(b byte) bool { return b == ' ' || b-'\t' < 5 }

// bitmap is a set of offsets.
type bitmap []uint64

func (b *bitmap) reset(n int) {
	*b = slices.Grow((*b)[:0], n/64+1)[:n/64+1]
	clear(*b)
}

func (b bitmap) has(i int) bool { return b[i/64]>>(i%64)&1 != 0 }

func (b bitmap) set(from, to int) {
	for i := from; i < to; i++ {
		b[i/64] |= 1 << (i % 64)
	}
}

// first returns the first member in [from, to), or to.
func (b bitmap) first(from, to int) int {
	for i := from; i < to; i = i&^63 + 64 {
		if w := b[i/64] >> (i % 64); w != 0 {
			return min(i+bits.TrailingZeros64(w), to)
		}
	}
	return to
}

// EndsByName reports whether a token with that spelling ends generation in every vocabulary that
// has it, whatever its metadata says.
func EndsByName(spelling string) bool { return slices.Contains(eogNames, spelling) }
