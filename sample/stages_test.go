package sample

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// tenths are the probabilities that llama.cpp's own tests use.
var tenths = []float64{0.1, 0.2, 0.3, 0.4}

// halves have surprises of 1, 2, 3 and 3 bits, and an entropy of 1.75.
var halves = []float64{0.5, 0.25, 0.125, 0.125}

// TestStages compares with distributions worked out by hand, and those of llama.cpp's
// tests/test-sampling.cpp.
func TestStages(t *testing.T) {
	for name, x := range map[string]struct {
		p    Params
		in   []float64
		want []float64
	}{
		"top-k 1":                              {Params{TopK: 1}, tenths, []float64{0, 0, 0, 1}},
		"top-k 3":                              {Params{TopK: 3}, tenths, []float64{0, 2. / 9, 3. / 9, 4. / 9}},
		"top-k all":                            {Params{TopK: 4}, tenths, tenths},
		"top-k beyond":                         {Params{TopK: 5}, tenths, tenths},
		"top-k off":                            {Params{TopK: -1}, tenths, tenths},
		"top-k of equals takes the lowest ids": {Params{TopK: 2}, []float64{.25, .25, .25, .25}, []float64{.5, .5, 0, 0}},

		"top-p small":    {Params{TopP: 1e-6}, tenths, []float64{0, 0, 0, 1}},
		"top-p 0.69":     {Params{TopP: 0.69}, tenths, []float64{0, 0, 3. / 7, 4. / 7}},
		"top-p 0.7":      {Params{TopP: 0.7}, tenths, []float64{0, 0, 3. / 7, 4. / 7}},
		"top-p 0.8":      {Params{TopP: 0.8}, tenths, []float64{0, 2. / 9, 3. / 9, 4. / 9}},
		"top-p 1 is off": {Params{TopP: 1}, tenths, tenths},
		"top-p keeps":    {Params{TopP: 0.1, MinKeep: 3}, tenths, []float64{0, 2. / 9, 3. / 9, 4. / 9}},
		// 0.4/0.9 < 0.5
		"top-p on sorted":       {Params{TopP: 0.5, TopK: 3}, tenths, []float64{0, 0, 3. / 7, 4. / 7}},
		"top-p keeps of sorted": {Params{TopP: 0.1, TopK: 4, MinKeep: 3}, tenths, []float64{0, 2. / 9, 3. / 9, 4. / 9}},

		"min-p 0.24":  {Params{MinP: 0.24}, tenths, tenths},
		"min-p 0.26":  {Params{MinP: 0.26}, tenths, []float64{0, 2. / 9, 3. / 9, 4. / 9}},
		"min-p 0.49":  {Params{MinP: 0.49}, tenths, []float64{0, 2. / 9, 3. / 9, 4. / 9}},
		"min-p 0.51":  {Params{MinP: 0.51}, tenths, []float64{0, 0, 3. / 7, 4. / 7}},
		"min-p 0.74":  {Params{MinP: 0.74}, tenths, []float64{0, 0, 3. / 7, 4. / 7}},
		"min-p 0.76":  {Params{MinP: 0.76}, tenths, []float64{0, 0, 0, 1}},
		"min-p 1":     {Params{MinP: 1}, tenths, []float64{0, 0, 0, 1}},
		"min-p keeps": {Params{MinP: 1, MinKeep: 2}, tenths, []float64{0, 0, 3. / 7, 4. / 7}},

		// Entropy 1.332 nats; 0.4 is 0.416 from it, each 0.2 is 0.277 from it.
		"typical takes the middle": {Params{TypicalP: 0.5}, []float64{.4, .2, .2, .2}, []float64{0, 1. / 3, 1. / 3, 1. / 3}},
		"typical takes the top":    {Params{TypicalP: 0.5}, []float64{.97, .01, .01, .01}, []float64{1, 0, 0, 0}},
		// Entropy 1.75 bits; 0.25 is 0.25 from it, 0.5 is 0.75, 0.125 is 1.25.
		"typical 0.2":            {Params{TypicalP: 0.2}, halves, []float64{0, 1, 0, 0}},
		"typical 0.6":            {Params{TypicalP: 0.6}, halves, []float64{2. / 3, 1. / 3, 0, 0}},
		"typical 0.8":            {Params{TypicalP: 0.8}, halves, []float64{4. / 7, 2. / 7, 1. / 7, 0}},
		"typical 1 is off":       {Params{TypicalP: 1}, halves, halves},
		"typical keeps":          {Params{TypicalP: 0.2, MinKeep: 2}, halves, []float64{2. / 3, 1. / 3, 0, 0}},
		"typical of one":         {Params{TypicalP: 0.2, TopK: 1}, halves, []float64{1, 0, 0, 0}},
		"typical of the certain": {Params{TypicalP: 0.2}, []float64{1e-30, 1}, []float64{0, 1}},

		"top-n-sigma 1":   {Params{TopNSigma: 1}, tenths, []float64{0, 0, 3. / 7, 4. / 7}},
		"top-n-sigma 3":   {Params{TopNSigma: 3}, tenths, tenths},
		"top-n-sigma off": {Params{TopNSigma: -1}, tenths, tenths},

		"xtc 0.09":             {Params{XTCProbability: 1, XTCThreshold: 0.09}, tenths, []float64{1, 0, 0, 0}},
		"xtc 0.1 by default":   {Params{XTCProbability: 1}, []float64{.06, .14, .3, .5}, []float64{.3, .7, 0, 0}},
		"xtc 0.19":             {Params{XTCProbability: 1, XTCThreshold: 0.19}, tenths, []float64{1. / 3, 2. / 3, 0, 0}},
		"xtc 0.29":             {Params{XTCProbability: 1, XTCThreshold: 0.29}, tenths, []float64{1. / 6, 2. / 6, 3. / 6, 0}},
		"xtc 0.39":             {Params{XTCProbability: 1, XTCThreshold: 0.39}, tenths, tenths},
		"xtc above a half":     {Params{XTCProbability: 1, XTCThreshold: 0.51}, []float64{.4, .6}, []float64{.4, .6}},
		"xtc never":            {Params{XTCThreshold: 0.09}, tenths, tenths},
		"xtc keeps":            {Params{XTCProbability: 1, XTCThreshold: 0.19, MinKeep: 3}, tenths, tenths},
		"xtc leaves one equal": {Params{XTCProbability: 1}, []float64{.25, .25, .25, .25}, []float64{0, 0, 0, 1}},

		"temperature 1":   {Params{Temperature: 1}, tenths, tenths},
		"temperature 1/2": {Params{Temperature: 0.5}, tenths, []float64{1. / 30, 4. / 30, 9. / 30, 16. / 30}},
		"temperature 2":   {Params{Temperature: 2}, []float64{.1, .9}, []float64{.25, .75}},
		"cold":            {Params{Temperature: 1e-42}, tenths, []float64{0, 0, 0, 1}},
		"hot":             {Params{Temperature: 1e38}, tenths, []float64{.25, .25, .25, .25}},

		// Entropy 1.75 of at most 2 bits: 0.875.
		"dynamic":          {Params{Temperature: 1, DynaTempRange: 0.5}, halves, powers(1 / 1.375)},
		"dynamic squared":  {Params{Temperature: 1, DynaTempRange: 0.5, DynaTempExponent: 2}, halves, powers(1 / 1.265625)},
		"dynamic from 0":   {Params{Temperature: 0.5, DynaTempRange: 1}, halves, powers(1 / 1.3125)},
		"dynamic of one":   {Params{Temperature: 1, DynaTempRange: 0.5, TopK: 1}, halves, []float64{1, 0, 0, 0}},
		"dynamic of equal": {Params{Temperature: 1, DynaTempRange: 1}, []float64{.5, .5}, []float64{.5, .5}},

		"bias":     {Params{LogitBias: map[int32]float32{0: float32(math.Log(3)), 9: 5}}, tenths, []float64{.3 / 1.2, .2 / 1.2, .3 / 1.2, .4 / 1.2}},
		"banned":   {Params{LogitBias: map[int32]float32{3: float32(math.Inf(-1))}}, tenths, []float64{1. / 6, 2. / 6, 3. / 6, 0}},
		"min-p 0":  {Params{MinP: 0}, tenths, tenths},
		"no stage": {Params{Temperature: 1}, tenths, tenths},
	} {
		t.Run(name, func(t *testing.T) {
			require.InDeltaSlice(t, x.want, left(t, x.p, nil, logs(x.in...)), 1e-6)
		})
	}
}

// powers returns the probabilities that halves have once raised to e.
func powers(e float64) []float64 {
	out, sum := make([]float64, len(halves)), 0.0
	for i, p := range halves {
		out[i] = math.Pow(p, e)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// TestTopNSigma: the logits 1 to 5 have the mean 3 and the standard deviation √2.
func TestTopNSigma(t *testing.T) {
	for n, want := range map[float32]int{0.5: 1, 0.72: 2, 1: 2, 1.42: 3, 2: 3, 2.2: 4, 3: 5} {
		survivors := 0
		for _, p := range left(t, Params{TopNSigma: n}, nil, []float32{1, 2, 3, 4, 5, float32(math.Inf(-1))}) {
			if p > 0 {
				survivors++
			}
		}
		require.Equal(t, want, survivors, "%v", n)
	}
	require.Equal(t, []float64{0.5, 0.5}, left(t, Params{TopNSigma: 1}, nil, []float32{0.1, 0.1}))
}

func TestPenalties(t *testing.T) {
	logits := []float32{2, -2, 0, 1}
	past := []int32{3, 0, 0, 1}
	all := Params{RepeatPenalty: 2, FrequencyPenalty: 0.5, PresencePenalty: 0.25}
	with := func(lastN int, p Params) Params {
		p.RepeatLastN = lastN
		return p
	}
	for name, x := range map[string]struct {
		p    Params
		want []float64
	}{
		"off":                {with(0, all), []float64{2, -2, 0, 1}},
		"all of the past":    {with(-1, all), []float64{2./2 - 1 - 0.25, -2*2 - 0.5 - 0.25, 0, 1./2 - 0.5 - 0.25}},
		"more than the past": {with(math.MaxInt, all), []float64{-0.25, -4.75, 0, -0.25}},
		"the last three":     {with(3, all), []float64{-0.25, -4.75, 0, 1}},
		"the last two":       {with(2, all), []float64{2./2 - 0.5 - 0.25, -4.75, 0, 1}},
		"the last":           {with(1, all), []float64{2, -4.75, 0, 1}},
		"repetition alone":   {with(-1, Params{RepeatPenalty: 4}), []float64{0.5, -8, 0, 0.25}},
		"frequency alone":    {with(-1, Params{FrequencyPenalty: 1}), []float64{0, -3, 0, 0}},
		"presence alone":     {with(-1, Params{PresencePenalty: 1}), []float64{1, -3, 0, 0}},
		"rewards":            {with(-1, Params{FrequencyPenalty: -1, RepeatPenalty: 0.5}), []float64{6, 0, 0, 3}},
		"after others":       {with(-1, Params{PresencePenalty: 1, TopK: 4, Chain: []string{"top_k", "penalties"}}), []float64{1, -3, 0, 0}},
		"after a few":        {with(-1, Params{PresencePenalty: 1, TopK: 2, Chain: []string{"top_k", "penalties"}}), []float64{1, math.Inf(-1), math.Inf(-1), 0}},
	} {
		t.Run(name, func(t *testing.T) {
			sum := 0.0
			for _, l := range x.want {
				sum += math.Exp(l)
			}
			for i, p := range left(t, x.p, nil, logits, past...) {
				require.InDelta(t, math.Exp(x.want[i])/sum, p, 1e-6, "token %d", i)
			}
		})
	}
}

// TestPenaltiesOfHoles: tokens left out for their logits do not put others in the wrong place.
func TestPenaltiesOfHoles(t *testing.T) {
	nan := float32(math.NaN())
	got := left(t, Params{RepeatLastN: -1, PresencePenalty: 1}, nil, []float32{nan, 0, nan, 0, 0}, 0, 3, 9, -5)
	e := math.Exp(-1)
	require.InDeltaSlice(t, []float64{0, 1 / (2 + e), 0, e / (2 + e), 1 / (2 + e)}, got, 1e-6)
}

// TestMirostat2: with mu = 2.5 bits the tokens of 1 and 2 bits stay, as 2/3 and 1/3.
func TestMirostat2(t *testing.T) {
	s := sampler(t, Params{Temperature: 1, Mirostat: 2, MirostatTau: 1.25, MirostatEta: 0.5}, nil)
	m := s.chain[0].stage.(*mirostat)
	seen := map[int32]int{}
	for pos := range 300 {
		s.Reset()
		require.Equal(t, 2.5, m.mu)
		id := s.Sample(logs(halves...), pos)
		seen[id]++
		require.Equal(t, 2.5, m.mu, "only an accepted token counts")
		surprise := math.Log2([]float64{1.5, 3}[id])
		s.Accept(id)
		require.InDelta(t, 2.5-0.5*(surprise-1.25), m.mu, 1e-6)
		mu := m.mu
		s.Accept(id)
		require.Equal(t, mu, m.mu, "a token that was not sampled tells nothing")
	}
	require.InDelta(t, 200, seen[0], 30)
	require.Len(t, seen, 2)
	m.mu = 0.1
	require.EqualValues(t, 0, s.Sample(logs(halves...), 0), "the best always stays")
}

// TestMirostat1 fits Zipf's law to itself: of 1000 tokens with exponent 2, k = √(2^mu / (1 -
// 1/1000)).
func TestMirostat1(t *testing.T) {
	zipf := func(s float64, n int) *candidates {
		c := &candidates{vocab: n}
		logits := make([]float32, n)
		for i := range logits {
			logits[n-1-i] = float32(-s * math.Log(float64(i+1)))
		}
		c.fill(logits)
		return c
	}
	for _, x := range []struct {
		s, mu float64
		want  int
	}{
		{2, 6, 8},    // √64.06
		{2, 7, 11},   // √128.1
		{1, 6, 9},    // 64/ln 1000 = 9.26
		{1.5, 6, 10}, // (0.5·64/(1-1000^-0.5))^(2/3) = 33.04^(2/3) = 10.3
		{2, -9, 1},
		{2, 40, 1000},
		{0, 6, 1},
	} {
		require.Equal(t, x.want, newMirostat(1, x.mu/2, 0.1).topK(zipf(x.s, 1000)), "%v", x)
	}
	// The text's surprise comes close to the target, on average, from both sides.
	for _, tau := range []float32{2, 4} {
		s := sampler(t, Params{Temperature: 1, Mirostat: 1, MirostatTau: tau}, nil)
		logits := make([]float32, 1000)
		for i := range logits {
			logits[i] = float32(-1.1 * math.Log(float64(i+1)))
		}
		total := 0.0
		for pos := range 2000 {
			id := s.Sample(logits, pos)
			if m := s.chain[0].stage.(*mirostat); pos >= 1000 {
				total += m.surprise / 1000
			}
			s.Accept(id)
		}
		require.InDelta(t, tau, total, 0.1)
	}
}
