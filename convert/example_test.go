package convert_test

import (
	"context"
	"log"

	"github.com/goinfer/goinfer/convert"
)

// This one has no output to compare: it takes the folder of a model.
func Example() {
	f, err := convert.Open("Llama-3.2-1B", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	w, err := convert.Quantize(context.Background(), f, convert.Options{Type: "q4_k_m"})
	if err != nil {
		log.Fatal(err)
	}
	if err := w.WriteFile("llama-3.2-1b-q4_k_m.gguf"); err != nil {
		log.Fatal(err)
	}
}
