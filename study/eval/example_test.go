package eval_test

import (
	"context"
	"fmt"
	"log"

	"github.com/goinfer/goinfer/source"
	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/eval"
)

// This one has no output to compare: it takes the files of a model and of a text.
func Example() {
	src, err := source.Resolve("model-f16.gguf")
	if err != nil {
		log.Fatal(err)
	}
	s, err := bench.Open(src)
	if err != nil {
		log.Fatal(err)
	}
	r, err := eval.CompareTypes(context.Background(), s, eval.TypesOptions{Text: "a long text", Types: []string{"q8_0", "q4_k_m"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Rows[1].KL.KLMean)
}
