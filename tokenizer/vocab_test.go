package tokenizer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The vocabularies of the tests: small, but with every kind of token.

func (c *Config) add(typ int32, score float32, tokens ...string) {
	for _, s := range tokens {
		c.Tokens = append(c.Tokens, s)
		c.Types = append(c.Types, typ)
		c.Scores = append(c.Scores, score)
	}
}

func (c *Config) addBytes() {
	for b := range 256 {
		c.add(TypeByte, 0, fmt.Sprintf("<0x%02X>", b))
	}
}

// tinySPM has <unk>, <s>, </s>, the bytes from 3 on, the words from 259 on.
func tinySPM() Config {
	c := NewConfig(ModelSPM)
	c.add(TypeUnknown, 0, "<unk>")
	c.add(TypeControl, 0, "<s>", "</s>")
	c.addBytes()
	for i, s := range strings.Fields("▁t er in ▁a he ▁the the ll ▁w or ▁wor ld ▁world ▁he ▁hell ▁hello ▁▁ ▁▁▁▁ é 世 界 世界") {
		c.add(TypeNormal, -float32(i), s)
	}
	for i, s := range strings.Split("▁etaoinshrdlcumwfgypbvk,.!?'HW", "") {
		c.add(TypeNormal, -100-float32(i), s)
	}
	return c
}

// tinyBPE has the bytes in the order of their values, then what the merges make, then special
// tokens. Its pre-tokeniser leaves spaces alone when decoding.
func tinyBPE() Config {
	c := NewConfig(ModelBPE)
	c.Pre = "qwen2"
	for _, s := range byteSpelling {
		c.add(TypeNormal, 0, s)
	}
	for _, m := range []string{"h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld", "Ġ t", "Ġt he", "Ġ Ġ", "ĠĠ ĠĠ", "Ã ©", "ä ¸", "ä¸ ĸ", "' s", "1 2", "Ċ Ċ", "ĊĊ ĊĊ"} {
		c.Merges = append(c.Merges, m)
		c.add(TypeNormal, 0, strings.Replace(m, " ", "", 1))
	}
	c.add(TypeControl, 0, "<|endoftext|>", "<|im_start|>", "<|im_end|>")
	c.add(TypeUserDefined, 0, "<think>", "</think>")
	return c
}

// tinyWPM has its special tokens where BERT's are not.
func tinyWPM() Config {
	c := NewConfig(ModelWPM)
	c.add(TypeControl, 0, "[PAD]", "[CLS]", "[SEP]", "[MASK]")
	c.add(TypeUnknown, 0, "[UNK]")
	c.add(TypeNormal, 0, strings.Fields("▁hello ▁world ▁un able ▁a b ▁b c ▁! ▁, ▁. ▁' ▁caf e ▁世 ▁界 s ▁s")...)
	c.PAD, c.CLS, c.SEP, c.MASK, c.UNK = 0, 1, 2, 3, 4
	return c
}

// tinyUnigram has no bytes.
func tinyUnigram() Config {
	c := NewConfig(ModelUnigram)
	c.add(TypeControl, 0, "<pad>", "</s>")
	c.add(TypeUnknown, 0, "<unk>")
	for i, s := range strings.Fields("▁ ▁the the ▁he llo ▁hello l o h e t ▁t é 世 ▁world w r d") {
		c.add(TypeNormal, -1-float32(i)/4, s)
	}
	c.add(TypeUserDefined, -1000, "<extra>")
	return c
}

func tinyConfigs() map[string]Config {
	return map[string]Config{"spm": tinySPM(), "bpe": tinyBPE(), "wpm": tinyWPM(), "unigram": tinyUnigram()}
}

func mustNew(t testing.TB, c Config) *Tokenizer {
	t.Helper()
	tok, err := New(c)
	require.NoError(t, err)
	return tok
}

func flag(b bool) *bool { return &b }

// spellings returns ids as the vocabulary spells them.
func spellings(tok *Tokenizer, ids []int32) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = tok.Spelling(id)
	}
	return out
}
