package sample

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// peaked returns logits as a language model has them: a normal bulk, and a few hundred tokens that
// stand out.
func peaked(n int) []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	logits := make([]float32, n)
	for i := range logits {
		logits[i] = float32(2 * r.NormFloat64())
	}
	for i := range min(n, 300) {
		logits[r.IntN(n)] = float32(16 - 2*math.Log(float64(i+1)))
	}
	return logits
}

func BenchmarkSample(b *testing.B) {
	with := func(change func(p *Params)) Params {
		p := Defaults()
		change(&p)
		return p
	}
	flat := make([]float32, 1<<17)
	for i := range flat {
		flat[i] = float32(i%1000) / 1000
	}
	for _, x := range []struct {
		name   string
		p      Params
		logits []float32
	}{
		{"greedy", Params{}, nil},
		{"default", Defaults(), nil},
		{"penalties", with(func(p *Params) { p.RepeatPenalty = 1.1 }), nil},
		{"dry", with(func(p *Params) { p.DRYMultiplier, p.DRYLastN = 0.8, -1 }), nil},
		{"temperature", Params{Temperature: 0.8}, nil},
		{"min-p", Params{Temperature: 0.8, MinP: 0.05}, nil},
		{"top-p", Params{Temperature: 0.8, TopP: 0.95}, nil},
		{"top-p-flat", Params{Temperature: 0.8, TopP: 0.95}, flat},
		{"typical", Params{Temperature: 0.8, TypicalP: 0.95}, nil},
		{"top-n-sigma", Params{Temperature: 0.8, TopNSigma: 1}, nil},
		{"mirostat1", Params{Temperature: 0.8, Mirostat: 1}, nil},
		{"mirostat2", Params{Temperature: 0.8, Mirostat: 2}, nil},
	} {
		b.Run(x.name+"/128k", func(b *testing.B) {
			logits := x.logits
			if logits == nil {
				logits = peaked(1 << 17)
			}
			s, err := New(x.p, nil)
			require.NoError(b, err)
			for i := range 1000 {
				s.Accept(int32(i % 100))
			}
			pos := 0
			b.ReportAllocs()
			for b.Loop() {
				s.Accept(s.Sample(logits, pos))
				pos++
			}
		})
	}
}

func BenchmarkLogProb(b *testing.B) {
	logits := peaked(1 << 17)
	b.ReportAllocs()
	for b.Loop() {
		LogProb(logits, 17)
	}
}
