package sample

import (
	"math"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// fits fails if counts are not what the probabilities let expect, by Pearson's χ² test. Of right
// samplers, one seed in 10^4 would fail; the seeds are fixed.
func fits(t *testing.T, counts []int, probs []float64, what string) {
	t.Helper()
	n, chi2, free := 0, 0.0, -1.0
	for _, c := range counts {
		n += c
	}
	for i, p := range probs {
		if p == 0 {
			require.Zero(t, counts[i], "%s: token %d", what, i)
			continue
		}
		d := float64(counts[i]) - p*float64(n)
		chi2 += d * d / (p * float64(n))
		free++
	}
	// Wilson and Hilferty: the cube root of χ²/free is nearly normal; 3.72 standard deviations
	// leave 10^-4 above.
	limit := free * math.Pow(1-2/(9*free)+3.72*math.Sqrt(2/(9*free)), 3)
	require.Less(t, chi2, limit, "%s: counts %v", what, counts)
}

// TestDraws compares frequencies, over positions and over seeds, with the distribution that the
// chain leaves.
func TestDraws(t *testing.T) {
	probs := []float64{0.05, 0.3, 0.02, 0.2, 0.25, 0.1, 0.03, 0.05}
	logits := logs(probs...)
	const n = 10000
	for name, x := range map[string]struct {
		p    Params
		want []float64
	}{
		"raw":           {Params{Temperature: 1}, probs},
		"top-k":         {Params{Temperature: 1, TopK: 3}, []float64{0, .3 / .75, 0, .2 / .75, .25 / .75, 0, 0, 0}},
		"top-p":         {Params{Temperature: 1, TopP: 0.7}, []float64{0, .3 / .75, 0, .2 / .75, .25 / .75, 0, 0, 0}},
		"min-p":         {Params{Temperature: 1, MinP: 0.3}, []float64{0, .3 / .85, 0, .2 / .85, .25 / .85, .1 / .85, 0, 0}},
		"typical":       {Params{Temperature: 1, TypicalP: 0.3}, []float64{0, 0, 0, .2 / .45, .25 / .45, 0, 0, 0}},
		"top-n-sigma":   {Params{Temperature: 1, TopNSigma: 0.5}, []float64{0, .3 / .75, 0, .2 / .75, .25 / .75, 0, 0, 0}},
		"mirostat 2":    {Params{Temperature: 1, Mirostat: 2, MirostatTau: 1.2}, []float64{0, .3 / .75, 0, .2 / .75, .25 / .75, 0, 0, 0}},
		"temperature 2": {Params{Temperature: 2}, roots(probs)},
		// In a quarter of the draws 0.3, 0.25 and 0.2 are gone, and what is left, 0.25 of 1, is as
		// likely as it was in its proportions.
		"xtc": {Params{Temperature: 1, XTCProbability: 0.25, XTCThreshold: 0.09}, func() []float64 {
			out := make([]float64, len(probs))
			for i, p := range probs {
				out[i] = 0.75 * p
				if p <= 0.1 {
					out[i] += 0.25 * p / 0.25
				}
			}
			return out
		}()},
	} {
		counts := make([]int, len(probs))
		x.p.Seed = 11
		s := sampler(t, x.p, nil)
		for pos := range n {
			counts[s.Sample(logits, pos)]++
		}
		fits(t, counts, x.want, name+" over positions")
		clear(counts)
		for seed := range n {
			s.seed = uint64(seed)
			counts[s.Sample(logits, 42)]++
		}
		fits(t, counts, x.want, name+" over seeds")
	}
}

func roots(probs []float64) []float64 {
	out, sum := make([]float64, len(probs)), 0.0
	for i, p := range probs {
		out[i] = math.Sqrt(p)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// TestUniform looks at neighbours in seed, position and purpose: their numbers must be as good as
// independent.
func TestUniform(t *testing.T) {
	const n, cells = 50_000, 8
	even := make([]float64, cells*cells)
	for i := range even {
		even[i] = 1. / (cells * cells)
	}
	for name, next := range map[string]func(i int) (a, b float64){
		"positions": func(i int) (a, b float64) { return uniform(1, i, forToken), uniform(1, i+1, forToken) },
		"seeds":     func(i int) (a, b float64) { return uniform(uint64(i), 9, forToken), uniform(uint64(i+1), 9, forToken) },
		"purposes":  func(i int) (a, b float64) { return uniform(5, i, forToken), uniform(5, i, forXTC) },
		"diagonal": func(i int) (a, b float64) {
			return uniform(uint64(i), i, forToken), uniform(uint64(i+1), i+1, forToken)
		},
		"swapped": func(i int) (a, b float64) {
			return uniform(uint64(i), i+1, forToken), uniform(uint64(i+1), i, forToken)
		},
	} {
		counts := make([]int, cells*cells)
		for i := range n {
			a, b := next(i)
			if !(0 <= min(a, b) && max(a, b) < 1) {
				t.Fatalf("%s: %v, %v", name, a, b)
			}
			counts[int(a*cells)*cells+int(b*cells)]++
		}
		fits(t, counts, even, name)
	}
	flips := 0
	for i := range 64 {
		for j := range 64 {
			x := uint64(i) * golden
			flips += bits.OnesCount64(mix(x) ^ mix(x^1<<j))
		}
	}
	require.InDelta(t, 32, float64(flips)/64/64, 0.3, "bits of mix that change with one of its argument")
	require.Equal(t, uint64(0xe220a8397b1dcdaf), mix(golden), "the first number of SplitMix64 with seed 0")
}
