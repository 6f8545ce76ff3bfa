package size

import (
	"errors"
	"fmt"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/tokenizer"
)

// Ids of the special tokens of every vocabulary made here.
const (
	unknownID uint32 = iota
	beginID
	endID
	specials = 3
)

// letters are those of English, the more frequent first.
const letters = "etaoinshrdlcumwfgypbvkjxqz"

// pieces makes sequences of letters and yields how each is made of two shorter ones: first all of
// two letters, then those of four, likelier ones first.
func pieces(yield func(left, right string) bool) {
	var pairs []string
	if !diagonal(len(letters), func(i, j int) bool {
		pairs = append(pairs, letters[i:i+1]+letters[j:j+1])
		return yield(letters[i:i+1], letters[j:j+1])
	}) {
		return
	}
	diagonal(len(pairs), func(i, j int) bool { return yield(pairs[i], pairs[j]) })
}

// diagonal yields all pairs of numbers below n, small sums first, and reports whether it came to
// the end.
func diagonal(n int, yield func(i, j int) bool) bool {
	for sum := range 2*n - 1 {
		for i := max(0, sum-n+1); i <= min(sum, n-1); i++ {
			if !yield(i, sum-i) {
				return false
			}
		}
	}
	return true
}

// set writes a vocabulary of this kind: special tokens, every byte, and invented pieces of words,
// so that any text can be tokenized.
func (v Vocab) set(w *gguf.Writer) error {
	var tokens, merges []string
	var scores []float32
	var types []int32
	add := func(piece string, typ int32) {
		tokens = append(tokens, piece)
		types = append(types, typ)
		scores = append(scores, float32(min(0, specials+256-len(tokens)))) // the later, the worse
	}
	var space string
	switch v.Model {
	case tokenizer.ModelSPM:
		space = "▁"
		add("<unk>", tokenizer.TypeUnknown)
		add("<s>", tokenizer.TypeControl)
		add("</s>", tokenizer.TypeControl)
		for b := range 256 {
			add(fmt.Sprintf("<0x%02X>", b), tokenizer.TypeByte)
		}
		add(space, tokenizer.TypeNormal)
		for r := '!'; r <= '~'; r++ {
			add(string(r), tokenizer.TypeNormal)
		}
	case tokenizer.ModelBPE:
		space = byteRune(' ')
		add("<|unknown|>", tokenizer.TypeControl)
		add("<|begin_of_text|>", tokenizer.TypeControl)
		add("<|end_of_text|>", tokenizer.TypeControl)
		for b := range 256 {
			add(byteRune(byte(b)), tokenizer.TypeNormal)
		}
	default:
		return fmt.Errorf("a vocabulary of kind %q: want %q or %q", v.Model, tokenizer.ModelSPM, tokenizer.ModelBPE)
	}
	if len(tokens) > v.Size {
		return fmt.Errorf("a vocabulary of %d tokens: want at least %d", v.Size, len(tokens))
	}
	addMerge := func(left, right string) bool {
		if len(tokens) == v.Size {
			return false
		}
		add(left+right, tokenizer.TypeNormal)
		merges = append(merges, left+" "+right)
		return true
	}
	for _, r := range letters {
		addMerge(space, string(r))
	}
	pieces(func(left, right string) bool { return addMerge(left, right) && addMerge(space+left, right) })
	if len(tokens) < v.Size {
		return fmt.Errorf("a vocabulary of %d tokens: want at most %d", v.Size, len(tokens))
	}

	const prefix = "tokenizer.ggml."
	errs := []error{
		w.Set(prefix+"model", v.Model),
		w.Set(prefix+"pre", v.Pre),
		w.Set(prefix+"tokens", tokens),
		w.Set(prefix+"token_type", types),
	}
	if v.Model == tokenizer.ModelSPM {
		errs = append(errs, w.Set(prefix+"scores", scores), w.Set(prefix+"unknown_token_id", unknownID))
	} else {
		errs = append(errs, w.Set(prefix+"merges", merges))
	}
	return errors.Join(append(errs,
		w.Set(prefix+"bos_token_id", beginID),
		w.Set(prefix+"eos_token_id", endID),
		w.Set(prefix+"add_bos_token", true))...)
}

// byteRune is the character that stands for a byte in byte-level vocabularies: itself where it can
// be seen, otherwise one from U+0100 on (Radford et al. 2019, encoder.py of GPT-2).
func byteRune(b byte) string {
	visible := func(b int) bool { return b > ' ' && b <= '~' || b >= 0xA1 && b != 0xAD }
	if visible(int(b)) {
		return string(rune(b))
	}
	n := 0x100
	for i := range int(b) {
		if !visible(i) {
			n++
		}
	}
	return string(rune(n))
}
