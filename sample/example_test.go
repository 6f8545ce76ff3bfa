package sample_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/goinfer/goinfer/sample"
)

// What the stages of the usual chain leave of six tokens.
func Example() {
	p := sample.Defaults()
	p.Seed = 1
	p.TopK, p.MinP = 5, 0.3
	p.Trace = func(stage string, before, after []sample.Candidate) {
		fmt.Println(stage, len(before), "→", len(after))
	}
	s, err := sample.New(p, nil)
	if err != nil {
		log.Fatal(err)
	}
	s.Prompt(3)
	logits := []float32{5, 4, 3.5, 1.5, 1, 0}
	id := s.Sample(logits, 1)
	fmt.Println("token", id)
	// Output:
	// top_k 6 → 5
	// top_p 5 → 3
	// min_p 3 → 2
	// temperature 2 → 2
	// token 0
}

func ExampleParseChain() {
	chain, err := sample.ParseChain("top-k;nucleus;temp")
	fmt.Println(chain, err)
	_, err = sample.ParseChain("top_k;topp;tail_free")
	fmt.Println(strings.HasSuffix(err.Error(), `separated by ";", found "tail_free"`))
	// Output:
	// [top_k top_p temperature] <nil>
	// true
}
