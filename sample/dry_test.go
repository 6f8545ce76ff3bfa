package sample

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// spent returns what DRY takes from the logit of each of n tokens after past.
func spent(t testing.TB, p Params, v Vocab, n int, past ...int32) []float64 {
	t.Helper()
	d, ok := sampler(t, p, v).chain[0].stage.(*dry)
	require.True(t, ok)
	for _, id := range past {
		d.accept(id)
	}
	var c candidates
	c.fill(make([]float32, n))
	d.apply(&c)
	out := make([]float64, n)
	for _, x := range c.list {
		out[x.ID] = -float64(x.Logit)
	}
	return out
}

func TestDRY(t *testing.T) {
	const a, b, c, x, y = 0, 1, 2, 3, 4
	p := Params{DRYMultiplier: 1, DRYBase: 2, DRYLastN: -1}
	with := func(change func(p *Params)) Params {
		q := p
		change(&q)
		return q
	}
	last := func(n int) Params { return with(func(p *Params) { p.DRYLastN = n }) }
	for name, test := range map[string]struct {
		p    Params
		past []int32
		want []float64 // logits of a, b, c, x, y
	}{
		"nothing":       {p, nil, []float64{0, 0, 0, 0, 0}},
		"no repetition": {p, []int32{a, b, c, x}, []float64{0, 0, 0, 0, 0}},
		"one is free":   {p, []int32{a, b, c, a}, []float64{0, 0, 0, 0, 0}},
		"two are not":   {p, []int32{a, b, c, a, b}, []float64{0, 0, 1, 0, 0}},
		"three":         {p, []int32{a, b, c, x, a, b, c}, []float64{0, 0, 0, 2, 0}},
		// "abc" was followed by c, "bc" by y, "c" by c and b.
		"the longest of each":   {p, []int32{a, b, c, c, b, c, y, a, b, c}, []float64{0, 0, 2, 0, 1}},
		"the same over again":   {p, []int32{a, a, a, a, a}, []float64{4, 0, 0, 0, 0}},
		"overlapping":           {p, []int32{a, b, a, b, a}, []float64{0, 2, 0, 0, 0}},
		"allowed longer":        {with(func(p *Params) { p.DRYAllowedLength = 3 }), []int32{a, b, c, a, b}, []float64{0, 0, 0, 0, 0}},
		"allowed one":           {with(func(p *Params) { p.DRYAllowedLength = 1 }), []int32{a, b, c, a, b}, []float64{0, 0, 2, 0, 0}},
		"the usual base":        {with(func(p *Params) { p.DRYBase = 0 }), []int32{a, b, c, x, a, b, c}, []float64{0, 0, 0, 1.75, 0}},
		"a multiple":            {with(func(p *Params) { p.DRYMultiplier = 3 }), []int32{a, b, c, x, a, b, c}, []float64{0, 0, 0, 6, 0}},
		"in sight":              {last(5), []int32{y, a, b, c, a, b}, []float64{0, 0, 1, 0, 0}},
		"half out of sight":     {last(4), []int32{a, b, c, a, b}, []float64{0, 0, 0, 0, 0}},
		"repetitions cut short": {last(6), []int32{a, b, c, x, a, b, c}, []float64{0, 0, 0, 1, 0}},
		"too little in sight":   {last(2), []int32{a, a, a, a, a}, []float64{0, 0, 0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, spent(t, test.p, nil, 5, test.past...)) })
	}
	// llama.cpp, tests/test-sampling.cpp
	ll := Params{DRYMultiplier: 1, DRYBase: 1.1, DRYLastN: 5}
	got := left(t, ll, nil, logs(.25, .25, .25, .25), 0, 1, 2, 0, 1)
	require.InDeltaSlice(t, []float64{0.296923, 0.296923, 0.109232, 0.296923}, got, 1e-5)
	ll.DRYMultiplier = 2
	got = left(t, ll, nil, logs(.2, .2, .2, .2, .2), 0, 1, 2, 0, 1)
	require.InDeltaSlice(t, []float64{0.241818, 0.241818, 0.032727, 0.241818, 0.241818}, got, 1e-5)
}

func TestDRYBreakers(t *testing.T) {
	v := words{"a", "b", ":", "x:", "<end>", "y**", "**", "*", "z"}
	const a, b, colon, xcolon, end, ystars, stars, star, z = 0, 1, 2, 3, 4, 5, 6, 7, 8
	p := Params{DRYMultiplier: 1, DRYBase: 2, DRYLastN: -1, DRYBreakers: []string{":", "<end>", "***", ""}}
	for name, test := range map[string]struct {
		past []int32
		next int32
		want float64
	}{
		"none":                        {[]int32{a, b, z, a, b}, z, 1},
		"across":                      {[]int32{z, a, b, colon, a, b, z, a, b, colon, a, b}, z, 1},
		"just after":                  {[]int32{a, b, colon, a, b, colon, a}, b, 0},
		"just enough after":           {[]int32{a, b, colon, a, b, a, colon, a, b}, a, 1},
		"the breaker itself":          {[]int32{a, b, colon, a, b}, colon, 0},
		"inside a token":              {[]int32{z, a, b, xcolon, a, z, a, b, xcolon, a}, z, 0},
		"a control token":             {[]int32{z, a, end, a, z, z, a, end, a}, z, 0},
		"begun in one, ended in next": {[]int32{ystars, star, a, z, ystars, star, a}, z, 0},
		"only begun":                  {[]int32{ystars, z, a, ystars, z}, a, 1},
		"in two tokens, two then one": {[]int32{stars, star, a, z, stars, star, a}, z, 0},
		"one then two":                {[]int32{star, stars, a, z, star, stars, a}, z, 0},
		"a part of one may be dear":   {[]int32{a, b, star, a, b}, star, 1},
		"text before the first":       {[]int32{star, a, b, z, star, a, b}, z, 2},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, spent(t, p, v, len(v), test.past...)[test.next])
			require.Equal(t, spent(t, p, nil, len(v), test.past...), spent(t, Params{DRYMultiplier: 1, DRYBase: 2, DRYLastN: -1}, v, len(v), test.past...),
				"breakers without a vocabulary are none")
		})
	}
	long := Params{DRYMultiplier: 1, DRYLastN: -1, DRYBreakers: []string{string(make([]byte, 50)) + "a"}}
	got := newBreakers(long.DRYBreakers, words{"a", "\x00"})
	require.Equal(t, breakers{1: {append([]int32{1}, make20(1)...)}}, got, "cut to 40 bytes and 21 tokens")
}

func make20(id int32) []int32 {
	s := make([]int32, 20)
	for i := range s {
		s[i] = id
	}
	return s
}

// TestDRYAgainstDefinition compares with the definition of the penalty, read literally, on random
// texts with many repetitions.
func TestDRYAgainstDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	v := words{"a", "b", "c", "\n"}
	for range 400 {
		p := Params{DRYMultiplier: 1, DRYBase: 1.5, DRYAllowedLength: 1 + r.IntN(3), DRYLastN: -1, DRYBreakers: []string{"\n", "cc"}}
		if r.IntN(2) == 0 {
			p.DRYLastN = 1 + r.IntN(60)
		}
		past := make([]int32, r.IntN(100))
		for i := range past {
			past[i] = int32(r.IntN(3))
			if r.IntN(20) == 0 {
				past[i] = 3
			}
		}
		want := make([]float64, 4)
		w := past
		if p.DRYLastN > 0 {
			w = past[max(0, len(past)-p.DRYLastN):]
		}
		limit := 0
		for limit < len(w) && w[len(w)-1-limit] != 3 && (limit+2 > len(past) || past[len(past)-1-limit] != 2 || past[len(past)-2-limit] != 2) {
			limit++
		}
		for i := range w { // w[i] follows w[:i]
			n := 0
			for n < min(i, limit) && w[i-1-n] == w[len(w)-1-n] {
				n++
			}
			if i > 0 && w[i] != 3 && n >= p.DRYAllowedLength {
				want[w[i]] = max(want[w[i]], math.Pow(1.5, float64(n-p.DRYAllowedLength)))
			}
		}
		got := spent(t, p, v, 4, past...)
		for id := range want { // as a float32 shows it
			require.InEpsilon(t, 1+want[id], 1+got[id], 1e-6, "%v after %v", p, past)
		}
	}
}

// TestDRYIsLinear: a comparison of all pairs of positions would take 10^10 steps.
func TestDRYIsLinear(t *testing.T) {
	p := Params{DRYMultiplier: 1, DRYLastN: -1}
	for _, period := range []int{1, 2, 999} {
		past := make([]int32, 100_000)
		for i := range past {
			past[i] = int32(i % period)
		}
		began := time.Now()
		require.Positive(t, spent(t, p, nil, 1000, past...)[len(past)%period])
		require.Less(t, time.Since(began), 3*time.Second)
	}
}
