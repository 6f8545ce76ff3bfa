package source_test

import (
	"context"
	"fmt"
	"log"
	"path/filepath"

	_ "github.com/goinfer/goinfer/cmd/goinfer/embedded" // the names tiny-dense and tiny-moe
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/source"
)

// What a name stands for, and the model that it is.
func ExampleResolve() {
	for _, name := range []string{"tiny-dense", filepath.Join("..", "testdata", "models", "llama-dense", "model.gguf")} {
		s, err := source.Resolve(name)
		if err != nil {
			log.Fatal(err)
		}
		f, err := s.Open(context.Background(), gguf.Options{})
		if err != nil {
			log.Fatal(err)
		}
		defer f.Close()
		arch, _ := f.Value("general.architecture")
		text, _ := arch.Text()
		fmt.Println(s.Kind(), text, len(s.Files()))
	}
	_, err := source.Resolve("no-such-model")
	fmt.Println(err != nil)
	// Output:
	// memory llama 0
	// file llama 1
	// true
}

// A model with another value in its metadata.
func ExampleSource_With() {
	s, err := source.Resolve("tiny-dense")
	if err != nil {
		log.Fatal(err)
	}
	o, err := source.ParseOverride("llama.rope.freq_base=float:500000")
	if err != nil {
		log.Fatal(err)
	}
	f, err := s.With(o).Header(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	v, _ := f.Value(o.Key)
	n, _ := v.Float()
	fmt.Println(n)
	// Output: 500000
}
