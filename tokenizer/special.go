package tokenizer

import (
	"cmp"
	"slices"
	"strings"
)

// Names of tokens with a task, for files that do not give their ids (llama-vocab.cpp). Of several that are present the first counts,
// where llama.cpp takes any.
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

// findSpecials finds the ids with a task, decides which end generation, and lists what is looked for in text. A token whose name says that
// it is a control token is one, whatever the file says.
func (t *Tokenizer) findSpecials(c *Config) {
	find := func(id *int32, names []string) {
		for _, name := range names {
			if *id >= 0 {
				return
			}
			if found, ok := t.ids[name]; ok {
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
		if id, ok := t.ids[name]; ok {
			eog[id] = true
			t.attr[id] |= isControl
		}
	}
	for _, name := range shownNames {
		if id, ok := t.ids[name]; ok {
			t.attr[id] = isUser
		}
	}
	for _, id := range [...]int32{t.eos, t.eot, t.eom} {
		eog[id] = true
	}
	delete(eog, -1)

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
}

// setStrips marks the tokens that swallow white space beside them. GGUF files do not record it; llama.cpp goes by the model's name.
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

// A fragment is a token, or a stretch of the text: text[from:to] if id is negative.
type fragment struct {
	id       int32
	from, to int
}

// partition cuts text at the special tokens in it: user-defined ones always, control and unknown ones if parse is set. Of tokens that
// overlap the longest wins, wherever it stands.
func (t *Tokenizer) partition(dst []fragment, spare *[]fragment, text string, parse bool) []fragment {
	if text == "" {
		return dst
	}
	dst = append(dst, fragment{-1, 0, len(text)})
	if len(t.specials) == 0 {
		return dst
	}
	// Most specials occur in no text, and the first two bytes tell.
	var pairs [1 << 16 / 64]uint64
	var singles [4]uint64
	for i := 0; i < len(text); i++ {
		singles[text[i]>>6] |= 1 << (text[i] & 63)
		if i+1 < len(text) {
			p := uint(text[i])<<8 | uint(text[i+1])
			pairs[p>>6] |= 1 << (p & 63)
		}
	}
	for _, id := range t.specials {
		a, s := t.attr[id], t.text[id]
		if !parse && a&(isControl|isUnknown) != 0 || len(s) > len(text) {
			continue
		}
		if len(s) == 1 && singles[s[0]>>6]>>(s[0]&63)&1 == 0 {
			continue
		}
		if len(s) > 1 {
			if p := uint(s[0])<<8 | uint(s[1]); pairs[p>>6]>>(p&63)&1 == 0 {
				continue
			}
		}
		if !strings.Contains(text, s) {
			continue
		}
		out := (*spare)[:0]
		for _, f := range dst {
			if f.id >= 0 {
				out = append(out, f)
				continue
			}
			for {
				at := strings.Index(text[f.from:f.to], s)
				if at < 0 {
					break
				}
				left := f.from + at
				right := left + len(s)
				if a&stripLeft != 0 {
					for left > f.from && isSpaceByte(text[left-1]) {
						left--
					}
				}
				if left > f.from {
					out = append(out, fragment{-1, f.from, left})
				}
				out = append(out, fragment{id: id})
				if a&stripRight != 0 {
					for right < f.to && isSpaceByte(text[right]) {
						right++
					}
				}
				f.from = right
			}
			if f.to > f.from {
				out = append(out, f)
			}
		}
		dst, *spare = out, dst
	}
	return dst
}

func isSpaceByte(b byte) bool { return b == ' ' || b-'\t' < 5 }
