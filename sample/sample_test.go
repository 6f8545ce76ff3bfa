package sample

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer/tokenizer"
)

func sampler(t testing.TB, p Params, v Vocab) *Sampler {
	t.Helper()
	s, err := New(p, v)
	require.NoError(t, err)
	return s
}

// logs returns the logits that have these probabilities.
func logs(probs ...float64) []float32 {
	logits := make([]float32, len(probs))
	for i, p := range probs {
		logits[i] = float32(math.Log(p))
	}
	return logits
}

// left runs the chain of p after the tokens past and returns what it makes of the logits: the final
// probability of each id. A temperature of 0 becomes 1, so that tables can leave it out.
func left(t testing.TB, p Params, v Vocab, logits []float32, past ...int32) []float64 {
	t.Helper()
	if p.Temperature == 0 {
		p.Temperature = 1
	}
	final := make([]Candidate, len(logits))
	for i, l := range logits {
		final[i] = Candidate{int32(i), l}
	}
	p.Trace = func(_ string, _, after []Candidate) { final = slices.Clone(after) }
	s := sampler(t, p, v)
	for _, id := range past {
		s.Accept(id)
	}
	s.Sample(logits, len(past))
	probs, sum := make([]float64, len(logits)), 0.0
	for _, x := range final {
		probs[x.ID] = math.Exp(float64(x.Logit))
		sum += probs[x.ID]
	}
	for i := range probs {
		probs[i] /= sum
	}
	return probs
}

var _ Vocab = (*tokenizer.Tokenizer)(nil)

// words is a vocabulary of whole words; those in angle brackets are control tokens.
type words []string

func (w words) Size() int                { return len(w) }
func (w words) Spelling(id int32) string { return w[id] }
func (w words) Bytes(id int32) []byte {
	if strings.HasPrefix(w[id], "<") {
		return nil
	}
	return []byte(w[id])
}

// Encode takes the longest word that fits.
func (w words) Encode(dst []int32, text string, _, _ bool) []int32 {
	for text != "" {
		best := -1
		for id, word := range w {
			if strings.HasPrefix(text, word) && (best < 0 || len(word) > len(w[best])) {
				best = id
			}
		}
		dst, text = append(dst, int32(best)), text[len(w[best]):]
	}
	return dst
}

// chains are samplers of every kind, for the tests of what all have in common.
func chains() map[string]Params {
	with := func(change func(p *Params)) Params {
		p := Defaults()
		change(&p)
		return p
	}
	return map[string]Params{
		"greedy":      {},
		"default":     Defaults(),
		"penalties":   with(func(p *Params) { p.RepeatPenalty, p.FrequencyPenalty, p.PresencePenalty = 1.3, 0.1, 0.2 }),
		"whole past":  with(func(p *Params) { p.RepeatPenalty, p.RepeatLastN = 1.1, -1 }),
		"dry":         with(func(p *Params) { p.DRYMultiplier, p.DRYLastN = 0.8, 200 }),
		"bias":        with(func(p *Params) { p.LogitBias = map[int32]float32{3: float32(math.Inf(-1)), 5: 2} }),
		"temperature": {Temperature: 1.5},
		"raw":         {Temperature: 1},
		"dynamic":     {Temperature: 1, DynaTempRange: 0.5},
		"top-k":       {Temperature: 1, TopK: 2000},
		"top-p":       {Temperature: 1, TopP: 0.9},
		"top-p keep":  {Temperature: 1, TopP: 0.1, MinKeep: 30},
		"min-p":       {Temperature: 1, MinP: 0.1},
		"min-p keep":  {Temperature: 1, MinP: 0.9, MinKeep: 700},
		"typical":     {Temperature: 1, TypicalP: 0.7},
		"sigma":       {Temperature: 1, TopNSigma: 1},
		"xtc":         {Temperature: 1, XTCProbability: 0.5, XTCThreshold: 0.01},
		"mirostat 1":  {Temperature: 1, Mirostat: 1},
		"mirostat 2":  {Temperature: 1, Mirostat: 2},
		"all": with(func(p *Params) {
			p.RepeatPenalty, p.DRYMultiplier, p.TopNSigma, p.TypicalP, p.XTCProbability, p.DynaTempRange = 1.1, 0.8, 2, 0.9, 0.5, 0.3
		}),
		"reversed": with(func(p *Params) {
			p.RepeatPenalty, p.DRYMultiplier, p.TypicalP = 1.1, 0.8, 0.9
			p.Chain = []string{"temperature", "xtc", "min_p", "top_p", "typ_p", "top_k", "top_n_sigma", "dry", "penalties"}
		}),
	}
}

func TestGreedy(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for name, x := range map[string]struct {
		logits []float32
		want   int32
	}{
		"highest":         {[]float32{1, 3, 2}, 1},
		"lowest of equal": {[]float32{1, 3, 3, 3}, 1},
		"all equal":       {[]float32{7, 7, 7}, 0},
		"one":             {[]float32{-5}, 0},
		"nan first":       {[]float32{nan, 1, 2, nan}, 2},
		"+inf is no hit":  {[]float32{inf, 1, 2}, 2},
		"-inf":            {[]float32{-inf, -3, -inf}, 1},
		"extremes":        {[]float32{-math.MaxFloat32, math.MaxFloat32}, 1},
		"none":            {nil, -1},
		"none finite":     {[]float32{nan, inf, -inf}, -1},
	} {
		for i, p := range []Params{
			{},
			{Temperature: -1, TopK: 3, TopP: 0.5, MinP: 0.1},
			{TopK: 1, Temperature: 1, Trace: func(string, []Candidate, []Candidate) {}},
			{Chain: []string{"top_k"}},
			{DynaTempRange: 0.5},
			{Mirostat: 1},
			{Mirostat: 2},
		} {
			require.Equal(t, x.want, sampler(t, p, nil).Sample(x.logits, 3), "%s, %d", name, i)
		}
	}
}

// TestAnything gives all chains logits with holes and at the edges of float32, and asks for a token
// that is there.
func TestAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	odd := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0, math.MaxFloat32, -math.MaxFloat32, 1e-45}
	all := chains()
	hot, cold := Defaults(), Defaults()
	hot.Temperature, cold.Temperature = math.MaxFloat32, math.SmallestNonzeroFloat32
	all["hot"], all["cold"] = hot, cold
	all["extreme penalties"] = Params{Temperature: 1, RepeatLastN: -1, RepeatPenalty: 1e-40, FrequencyPenalty: math.MaxFloat32, PresencePenalty: -math.MaxFloat32}
	all["extreme dry"] = Params{Temperature: 1, DRYLastN: -1, DRYMultiplier: math.MaxFloat32, DRYBase: math.MaxFloat32}
	all["extreme mirostat"] = Params{Temperature: 1, Mirostat: 2, MirostatTau: math.MaxFloat32, MirostatEta: math.MaxFloat32}
	all["extreme mirostat 1"] = Params{Temperature: 1, Mirostat: 1, MirostatTau: math.MaxFloat32, MirostatEta: math.MaxFloat32}
	for name, p := range all {
		p.LogitBias = nil
		s := sampler(t, p, nil)
		for round := range 60 {
			logits, some := make([]float32, r.IntN(40)), false
			for i := range logits {
				logits[i] = float32(r.NormFloat64() * 4)
				if r.IntN(4) < round%5 {
					logits[i] = odd[r.IntN(len(odd))]
				}
				some = some || finite(logits[i])
			}
			id := s.Sample(logits, round)
			if !some {
				require.EqualValues(t, -1, id)
				continue
			}
			require.True(t, id >= 0 && int(id) < len(logits) && finite(logits[id]), "%s: %d of %v", name, id, logits)
			s.Accept(id)
		}
	}
}

// TestSampleIsPure calls Sample out of order and many times; only Accept may change what comes.
func TestSampleIsPure(t *testing.T) {
	logits := peaked(1500)
	for name, p := range chains() {
		one, two := sampler(t, p, nil), sampler(t, p, nil)
		r := rand.New(rand.NewPCG(5, 6))
		for pos := range 25 {
			want := one.Sample(logits, pos)
			for range 2 {
				two.Sample(logits[:700], r.IntN(1000))
			}
			require.Equal(t, want, two.Sample(logits, pos), name)
			one.Accept(want)
			two.Accept(want)
		}
	}
	require.Equal(t, peaked(1500), logits, "logits were changed")
}

func TestCloneAndReset(t *testing.T) {
	logits := peaked(400)
	generate := func(s *Sampler, from, n int) (ids []int32) {
		for pos := range n {
			id := s.Sample(logits, from+pos)
			ids = append(ids, id)
			s.Accept(id)
		}
		return ids
	}
	for name, p := range chains() {
		fresh := generate(sampler(t, p, nil), 0, 60)
		s := sampler(t, p, nil)
		require.Equal(t, fresh[:30], generate(s, 0, 30), name)
		c := s.Clone()
		for range 100 { // leads s astray
			s.Accept(7)
		}
		generate(s, 1000, 10)
		require.Equal(t, fresh[30:], generate(c, 30, 30), "%s: clone", name)
		s.Reset()
		require.Equal(t, fresh, generate(s, 0, 60), "%s: reset", name)
	}
}

func TestNoAllocation(t *testing.T) {
	logits := peaked(600)
	for name, p := range chains() {
		s := sampler(t, p, nil)
		pos := 0
		step := func() {
			s.Accept(s.Sample(logits, pos))
			pos++
		}
		for range 300 {
			step()
		}
		if p.RepeatLastN >= 0 {
			require.Zero(t, testing.AllocsPerRun(20, step), name)
		} else { // what is remembered grows
			require.Zero(t, testing.AllocsPerRun(20, func() { s.Sample(logits, pos) }), name)
		}
	}
}

func TestTrace(t *testing.T) {
	type call struct {
		stage         string
		before, after int
	}
	var calls []call
	p := Defaults()
	p.TopK, p.TopP, p.MinP = 3, 0.8, 0.5
	p.LogitBias = map[int32]float32{0: 1}
	p.Extra = []Stage{&ban{ids: []int32{4}}}
	plain := sampler(t, p, nil)
	p.Trace = func(stage string, before, after []Candidate) {
		calls = append(calls, call{stage, len(before), len(after)})
		require.LessOrEqual(t, len(after), len(before))
	}
	s := sampler(t, p, nil)
	logits := logs(0.1, 0.2, 0.3, 0.35, 0.05)
	for pos := range 50 {
		calls = nil
		require.Equal(t, plain.Sample(logits, pos), s.Sample(logits, pos))
	}
	// 0.1e = 0.27: of 0.3, 0.35, 0.27 top-p keeps all, for 0.65 < 0.8·0.92.
	require.Equal(t, []call{{"logit_bias", 5, 5}, {"extra", 5, 4}, {"top_k", 4, 3}, {"top_p", 3, 3}, {"min_p", 3, 3}, {"temperature", 3, 3}}, calls)
}

// ban removes tokens, and those accepted.
type ban struct{ ids []int32 }

func (b *ban) Apply(list []Candidate) []Candidate {
	return slices.DeleteFunc(list, func(x Candidate) bool { return slices.Contains(b.ids, x.ID) })
}
func (b *ban) Accept(id int32) { b.ids = append(b.ids, id) }
func (b *ban) Clone() Stage    { return &ban{slices.Clone(b.ids)} }
func (b *ban) Reset()          { b.ids = b.ids[:0] }

// shuffle reverses the candidates, spoils one logit and leaves the rest of a suffix.
type shuffle struct{ ban }

func (*shuffle) Clone() Stage { return &shuffle{} }
func (*shuffle) Apply(list []Candidate) []Candidate {
	slices.Reverse(list)
	list[1].Logit = float32(math.NaN())
	return list[1:]
}

func TestExtra(t *testing.T) {
	b := &ban{}
	p := Params{Extra: []Stage{b}}
	s := sampler(t, p, nil)
	logits := []float32{1, 4, 3, 2}
	for _, want := range []int32{1, 2, 3} {
		require.Equal(t, want, s.Sample(logits, 0))
		s.Accept(want)
	}
	c := s.Clone()
	require.EqualValues(t, 0, s.Sample(logits, 0))
	s.Accept(0)
	require.EqualValues(t, -1, s.Sample(logits, 0), "nothing is left")
	require.EqualValues(t, 0, c.Sample(logits, 0), "the clone does not know")
	s.Reset()
	require.EqualValues(t, 1, s.Sample(logits, 0))
	require.Empty(t, b.ids, "the caller's own is not touched")

	for name, p := range chains() {
		p.Extra = []Stage{&shuffle{}}
		got := sampler(t, p, nil).Sample([]float32{0, 1, 2, 3, 9, 9}, 0)
		require.Contains(t, []int32{0, 1, 2, 3}, got, name)
	}
}
