package explain

import (
	"context"
	"hash/fnv"
	"math"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/convert"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/source"
	"github.com/goinfer/goinfer/study/eval"
)

// AblateRandomWeights returns the probability of a word with random fractions of the weights of all
// matrices set to zero, the embeddings among them, each several times with other weights. No hook
// sees weights, so that each draw is a model of its own, in memory in float32: four bytes for each
// weight of f.
func AblateRandomWeights(ctx context.Context, f *gguf.File, o goinfer.Options, watch eval.Continued, fractions []float64, draws int, progress func(done, total int)) ([]Point, error) {
	points := make([]Point, len(fractions))
	for i, fraction := range fractions {
		probs := make([]float64, draws)
		for d := range draws {
			var err error
			probs[d], err = withoutWeights(ctx, f, o, watch, fraction, uint64(i*draws+d))
			if err != nil {
				return nil, err
			}
			if progress != nil {
				progress(i*draws+d+1, len(fractions)*draws)
			}
		}
		points[i] = newPoint(fraction, probs)
	}
	return points, nil
}

func withoutWeights(ctx context.Context, f *gguf.File, o goinfer.Options, watch eval.Continued, fraction float64, seed uint64) (float64, error) {
	r := random(fraction, seed)
	data, err := convert.InMemory(ctx, f, convert.Options{Type: "F32", Alter: func(tensor string, row int, weights []float32) {
		h := fnv.New64a()
		h.Write([]byte(tensor))
		r.clear(weights, h.Sum64()+uint64(row))
	}})
	if err != nil {
		return 0, err
	}
	m, err := goinfer.OpenSource(source.Bytes(f.Path()+" with weights at zero", data), o)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	s, err := watch.Score(ctx, m, nil)
	return math.Exp(s.LogProb), err
}
