package convert_test

import (
	"context"
	"log"

	"github.com/goinfer/goinfer/convert"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/source"
)

// This one has no output to compare: it takes the folder of a model.
func Example() {
	s, err := source.Resolve("Llama-3.2-1B")
	if err != nil {
		log.Fatal(err)
	}
	f, err := s.Open(context.Background(), gguf.Options{})
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
