package explain_test

import (
	"context"
	"fmt"
	"log"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/explain"
)

func Example() {
	m, err := goinfer.Open("../../cmd/goinfer/embedded/tiny-moe-q8_0.gguf", goinfer.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	ctx := context.Background()
	p, err := explain.Predict(ctx, m, explain.Question{Prompt: "The sun rises in the", Top: 1})
	if err != nil {
		log.Fatal(err)
	}
	ids := m.Tokenizer().Encode(nil, "The sun rises in the", true, true)
	t, err := explain.Record(ctx, m, ids, explain.RecordOptions{What: explain.Routes})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q; %d layers with routers, %d of %d experts for each token\n",
		p.Top[0].Text, len(t.Routers()), len(t.Layers[0].Routes[0].Experts), t.MoE.Experts)
	// Output: " east"; 4 layers with routers, 2 of 8 experts for each token
}
