package size_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/goinfer/goinfer/source"

	"github.com/goinfer/goinfer/study/size"
)

// A mixture of experts has more parameters than a token uses, and a cache that does not depend on
// the experts.
func Example() {
	m, err := size.Known("mixtral-8x7b")
	if err != nil {
		log.Fatal(err)
	}
	b, err := m.Breakdown()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(size.FormatCount(b.Total), size.FormatCount(b.Active))

	if m, err = m.As("Q4_K_M"); err != nil {
		log.Fatal(err)
	}
	need, err := m.Footprint(size.Workload{Context: 32768, Sequences: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("weights %.1f GB, cache %.1f GB\n", float64(need.Weights)/1e9, float64(need.Cache)/1e9)
	// Output:
	// 46.70B 12.88B
	// weights 28.4 GB, cache 4.3 GB
}

// An estimate compares types and contexts. Its speed follows from figures that bench.Calibrate
// measures on the machine.
func ExampleNewEstimate() {
	m, err := size.Known("llama-3-8b")
	if err != nil {
		log.Fatal(err)
	}
	e, err := size.NewEstimate(m, size.Grid{Types: []string{"Q4_K_M", "F16"}, Contexts: []int{8192}, Sequences: []int{1}})
	if err != nil {
		log.Fatal(err)
	}
	if err := e.AddSpeed(&size.Speed{Type: "Q4_K_M", Byte: 5e-11, CacheByte: 1e-10, Op: 5e-12, Bandwidth: 22}); err != nil {
		log.Fatal(err)
	}
	for _, r := range e.Rows {
		fmt.Printf("%s: weights %.1f GB", r.Type, float64(r.Weights)/1e9)
		if r.First != nil {
			fmt.Printf(", %.1f tokens/s, %.1f at the end of the context", r.First.Rate, r.Last.Rate)
		}
		fmt.Println()
	}
	// Output:
	// Q4_K_M: weights 4.9 GB, 4.3 tokens/s, 3.0 at the end of the context
	// F16: weights 16.1 GB
}

// A file of a known shape with random weights is enough to measure speed and memory.
func ExampleShape_Random() {
	s, err := size.FindShape("tiny-moe")
	if err != nil {
		log.Fatal(err)
	}
	w, err := s.Random(context.Background(), size.RandomOptions{Type: "Q4_K_M"})
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "random.gguf")
	if err := w.WriteFile(path); err != nil {
		log.Fatal(err)
	}
	src, err := source.Resolve(path)
	if err != nil {
		log.Fatal(err)
	}
	m, err := size.Open(context.Background(), src)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.FileType, size.FormatCount(m.Counts().Params))
	// Output: Q4_K_M 14.43M
}
