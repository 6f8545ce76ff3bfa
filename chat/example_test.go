package chat_test

import (
	"context"
	"fmt"

	"github.com/goinfer/goinfer/chat"
	"github.com/goinfer/goinfer/tokenizer"
)

// vocabulary stands for that of a model.
func vocabulary() *tokenizer.Tokenizer {
	c := tokenizer.NewConfig(tokenizer.ModelSPM)
	c.Tokens = []string{"<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"}
	c.Types = []int32{tokenizer.TypeUnknown, tokenizer.TypeControl, tokenizer.TypeControl, tokenizer.TypeControl, tokenizer.TypeControl}
	for b := range 256 {
		c.Tokens, c.Types = append(c.Tokens, fmt.Sprintf("<0x%02X>", b)), append(c.Types, tokenizer.TypeByte)
	}
	c.Scores = make([]float32, len(c.Tokens))
	t, err := tokenizer.New(c)
	if err != nil {
		panic(err)
	}
	return t
}

func Example() {
	vocab := vocabulary()
	// The metadata of a model without a template.
	metadata := func(key string) (string, bool) { return "", false }
	src, err := chat.Find(metadata, vocab, "")
	if err != nil {
		panic(err)
	}
	t, err := chat.New(src, vocab)
	if err != nil {
		panic(err)
	}
	p, err := t.Prompt(context.Background(), chat.Input{Messages: []chat.Message{{Role: "user", Content: "Hello"}}})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s: %q\n", src.Name, p.Text.String())

	parser := t.NewParser(p)
	for _, piece := range []string{"Hel", "lo to ", "you."} { // what a model generates
		for _, e := range parser.Write([]byte(piece)) {
			fmt.Printf("%v %q\n", e.Kind, e.Text)
		}
	}
	for _, e := range parser.Close() {
		fmt.Printf("%v %q\n", e.Kind, e.Text)
	}
	// Output:
	// chatml: "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
	// text "Hel"
	// text "lo to"
	// text " you."
}
