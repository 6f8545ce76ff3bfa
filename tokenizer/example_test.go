package tokenizer_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/goinfer/goinfer/tokenizer"
)

// vocabulary is a small one for the examples: a real one comes from a file.
func vocabulary() *tokenizer.Tokenizer {
	c := tokenizer.NewConfig(tokenizer.ModelSPM)
	add := func(typ int32, score float32, s string) {
		c.Tokens, c.Types, c.Scores = append(c.Tokens, s), append(c.Types, typ), append(c.Scores, score)
	}
	add(tokenizer.TypeUnknown, 0, "<unk>")
	add(tokenizer.TypeControl, 0, "<s>")
	add(tokenizer.TypeControl, 0, "</s>")
	for b := range 256 {
		add(tokenizer.TypeByte, 0, fmt.Sprintf("<0x%02X>", b))
	}
	for i, s := range strings.Fields("▁t he ▁the ▁c at ▁cat ▁ t h e c a s") {
		add(tokenizer.TypeNormal, -float32(i), s)
	}
	t, err := tokenizer.New(c)
	if err != nil {
		panic(err)
	}
	return t
}

func Example() {
	t := vocabulary()
	ids := t.Encode(nil, "the cats 🙂", true, false)
	for _, id := range ids {
		fmt.Printf("%q ", t.Spelling(id))
	}
	fmt.Printf("→ %q\n", t.Decode(ids, false))
	// Output: "<s>" "▁the" "▁cat" "s" "▁" "<0xF0>" "<0x9F>" "<0x99>" "<0x82>" → "the cats 🙂"
}

func ExampleTokenizer_NewStream() {
	t := vocabulary()
	ids := t.Encode(nil, "cat 🙂", false, false)
	out := t.NewStream(tokenizer.StreamConfig{Start: true})
	for _, id := range ids {
		fmt.Printf("%q ", out.Push(id)) // nothing until the character is whole
	}
	os.Stdout.Write(out.Flush())
	// Output: "cat" " " "" "" "" "🙂"
}
