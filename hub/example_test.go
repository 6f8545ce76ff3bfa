package hub_test

import (
	"context"
	"fmt"
	"log"

	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/hub"
	"github.com/goinfer/goinfer/source"
)

// A model is pulled and opened by its name. This one has no output to compare: it takes a network.
func Example() {
	n, _, err := hub.ParseName("hf.co/Qwen/Qwen3-0.6B-GGUF:Q8_0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, c := context.Background(), hub.NewClient()
	p, err := c.Plan(ctx, n)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("to be fetched:", p.Need, "bytes")
	if _, err := c.Pull(ctx, p, nil); err != nil {
		log.Fatal(err)
	}
	s, err := source.Resolve("hf.co/Qwen/Qwen3-0.6B-GGUF:Q8_0")
	if err != nil {
		log.Fatal(err)
	}
	f, err := s.Open(ctx, gguf.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
}

func ExampleParseName() {
	n, ok, err := hub.ParseName("hf.co/Qwen/Qwen3-0.6B-GGUF:Q8_0")
	fmt.Println(n.Owner, n.Repo, n.Tag, ok, err)
	fmt.Println(hub.Quant("Qwen3-0.6B-Q8_0.gguf"))
	// Output:
	// Qwen Qwen3-0.6B-GGUF Q8_0 true <nil>
	// Q8_0
}
