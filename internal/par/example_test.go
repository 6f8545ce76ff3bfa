package par_test

import (
	"fmt"

	"github.com/goinfer/goinfer/internal/par"
)

// scale multiplies numbers, step of them in a chunk.
type scale struct {
	x    []float32
	by   float32
	step int
}

func (s *scale) Run(chunk, _ int) {
	x := s.x[chunk*s.step:]
	for i := range x[:min(s.step, len(x))] {
		x[i] *= s.by
	}
}

func Example() {
	pool := par.New(4)
	defer pool.Close()
	job := &scale{x: []float32{1, 2, 3, 4, 5}, by: 2, step: 2}
	pool.Run(job, 3)
	fmt.Println(job.x)
	// Output: [2 4 6 8 10]
}
