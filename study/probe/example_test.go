package probe_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/goinfer/goinfer/study/probe"
)

func Example() {
	m, err := probe.Machine()
	if err != nil { // GOINFER_CPU names a level that is not to be had; the rest of m is filled in
		fmt.Fprintln(os.Stderr, err)
	}
	p, err := probe.Measure(context.Background(), []int{1, m.Threads}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range p.Results {
		fmt.Printf("%d threads: %.1f GB/s\n", r.Threads, r.ReadGBs)
	}
}
