package bench_test

import (
	"context"
	"fmt"
	"log"

	"github.com/goinfer/goinfer/source"

	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/size"
)

// A known shape is measured with random weights, a file with its own: source.Resolve("model.gguf").
func Example() {
	ctx := context.Background()
	src, err := source.Resolve("stories260k")
	if err != nil {
		log.Fatal(err)
	}
	s, err := bench.Open(src)
	if err != nil {
		log.Fatal(err)
	}
	m, err := s.Load(ctx, "Q8_0", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	settings := bench.Settings{Threads: 1, Batch: bench.DefaultBatch, Ubatch: bench.DefaultUbatch}
	r := bench.Runner{Repetitions: 2, Warmup: true} // Probe: true measures the machine as well
	res, err := r.Run(ctx, m, bench.Case{Settings: settings, Test: bench.Test{Prompt: 16, Gen: 8}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Name, res.Test(), len(res.SamplesTs), res.AvgTs > 0)
	// Output: stories260k:q8_0 pp16+tg8 2 true
}

// A calibration takes seconds, and then any model in that type can be predicted.
func ExampleCalibrate() {
	m, err := size.Known("llama-2-7b")
	if err == nil {
		m, err = m.As("Q4_K_M")
	}
	if err != nil {
		log.Fatal(err)
	}
	speed, err := bench.Calibrate(context.Background(), m, bench.CalibrateOptions{Threads: 2})
	if err != nil {
		log.Fatal(err)
	}
	p, err := speed.Predict(m, size.Workload{Context: 4096, Sequences: 1}, 0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.1f tokens/s\n", p.Rate)
}
