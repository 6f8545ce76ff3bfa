package jinja_test

import (
	"context"
	"fmt"

	"github.com/goinfer/goinfer/chat/jinja"
)

func Example() {
	t, err := jinja.Compile("chat_template", `{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}`)
	if err != nil {
		panic(err)
	}
	message := new(jinja.Map).Set("role", jinja.Literal("user")).Set("content", "Is <|end|> a token?")
	vars := new(jinja.Map).Set("messages", []any{message})
	out, err := t.Render(context.Background(), vars, jinja.Limits{})
	if err != nil {
		panic(err)
	}
	for _, s := range out.Spans() {
		fmt.Printf("%d %q\n", s.Source, out.String()[s.From:s.To])
	}
	// Output:
	// 0 "<|user|>"
	// 1 "Is <|end|> a token?"
	// 0 "<|end|>"
}
