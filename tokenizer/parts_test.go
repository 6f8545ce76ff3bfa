package tokenizer

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// spmWithPieces is a SentencePiece vocabulary that could merge "</s>" from characters.
func spmWithPieces(t *testing.T) *Tokenizer {
	c := NewConfig(ModelSPM)
	add := func(s string, typ int32, score float32) {
		c.Tokens, c.Types, c.Scores = append(c.Tokens, s), append(c.Types, typ), append(c.Scores, score)
	}
	add("<unk>", TypeUnknown, 0)
	add("<s>", TypeControl, 0)
	add("</s>", TypeControl, 0)
	add("<think>", TypeUserDefined, 0)
	for i, s := range []string{"</", "s>", "<", "/", "s", ">", "▁", "t", "h", "i", "n", "k", "a"} {
		add(s, TypeNormal, -float32(i))
	}
	tok, err := New(c)
	require.NoError(t, err)
	return tok
}

func TestEncodeParts(t *testing.T) {
	tok := spmWithPieces(t)
	spell := func(ids []int32) string {
		var s []string
		for _, id := range ids {
			s = append(s, tok.Spelling(id))
		}
		return strings.Join(s, " ")
	}
	guard := func(id int32) bool { return tok.Spelling(id) == "<think>" }
	for _, c := range []struct {
		parts []Part
		want  string
	}{
		{[]Part{{"</s>", true}}, "</s>"},
		{[]Part{{"</s>", false}}, "▁ < / s>"},
		{[]Part{{"a</s>a</s>", false}}, "▁ a < / s> a < / s>"},
		{[]Part{{"</", true}, {"s>", false}}, "▁ < / s>"},
		{[]Part{{"</", false}, {"s>", true}}, "▁ < / s>"},
		{[]Part{{"</", true}, {"s>", true}}, "</s>"},
		{[]Part{{"<s>", true}, {"<s></s>", false}, {"</s>", true}}, "<s> ▁ < s> < / s> </s>"},
		{[]Part{{"<think>", true}, {"<think>", false}}, "<think> ▁ < t h i n k >"},
		{nil, ""},
	} {
		require.Equal(t, c.want, spell(tok.EncodeParts(nil, c.parts, guard)), "%v", c.parts)
	}
	require.Equal(t, "<think>", spell(tok.EncodeParts(nil, []Part{{"<think>", false}}, nil)), "a user-defined token without a guard")
	require.Equal(t, "▁ </s>", spell(tok.Encode(nil, "</s>", false, false)), "merging makes one where nothing guards")
}

// TestEncodePartsLong takes time in proportion to the text, also if all of it would be control
// tokens.
func TestEncodePartsLong(t *testing.T) {
	tok := spmWithPieces(t)
	start := time.Now()
	ids := tok.EncodeParts(nil, []Part{{strings.Repeat("</s>", 100000), false}}, nil)
	require.Len(t, ids, 300001)
	require.Less(t, time.Since(start), 20*time.Second)
}
