package sample

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// mixed returns n logits, many of them equal.
func mixed(r *rand.Rand, n int) []float32 {
	logits := make([]float32, n)
	for i := range logits {
		logits[i] = float32(r.NormFloat64())
		if r.IntN(2) == 0 {
			logits[i] = float32(r.IntN(3))
		}
	}
	return logits
}

func byID(a, b Candidate) int { return int(a.ID - b.ID) }

func filled(logits []float32) *candidates {
	c := &candidates{vocab: len(logits)}
	c.fill(logits)
	return c
}

// TestBest compares the ways to the k best with a sort.
func TestBest(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, n := range []int{1, 2, 3, 64, 100, 3000} {
		for _, k := range []int{1, 2, 7, 99, 512, 513, 2999, 5000} {
			logits := mixed(r, n)
			want := filled(logits).list
			slices.SortFunc(want, byLogit)
			want = want[:min(k, n)]

			c := filled(logits)
			c.best(k)
			if !c.sorted {
				require.Greater(t, k, heaped)
				slices.SortFunc(c.list, byLogit)
			}
			require.Equal(t, want, c.list)
			require.Equal(t, want, bestLogits(nil, logits, k))
			c.best(k)
			require.Equal(t, want, c.list)
		}
	}
}

// TestKeepRanked compares selection by mass with a sort and a sum.
func TestKeepRanked(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, n := range []int{1, 2, 3, 64, 65, 66, 200, 3000} {
		for range 10 {
			ranks := make([]ranked, n)
			for i, l := range mixed(r, n) {
				// small integers: sums are exact in any order
				ranks[i] = ranked{Candidate{int32(i), l}, l, float32(r.IntN(4))}
			}
			g := goal{mass: float64(r.IntN(2 * n)), above: r.IntN(2) == 0, count: r.IntN(n/10 + 1)}
			var want []Candidate
			var mass float64
			for _, x := range slices.SortedFunc(slices.Values(ranks), byKey) {
				want = append(want, x.Candidate)
				if mass += float64(x.weight); g.reached(mass, len(want)) {
					break
				}
			}
			c := filled(make([]float32, n))
			c.keepRanked(ranks, g)
			slices.SortFunc(c.list, byID)
			slices.SortFunc(want, byID)
			require.Equal(t, want, c.list)
		}
	}
}

// TestTopPOfMany: the tokens that best-p does not even look at are never needed.
func TestTopPOfMany(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 30 {
		logits := mixed(r, 2000)
		p := topP{p: r.Float64()}
		quick, slow := filled(logits), filled(logits)
		slices.SortFunc(slow.list, byLogit)
		slow.sorted = true
		p.apply(quick)
		p.apply(slow)
		slices.SortFunc(quick.list, byLogit)
		require.Equal(t, slow.list, quick.list)
	}
}

func TestTally(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	var got tally
	want := map[int32]int32{}
	require.Zero(t, got.get(3))
	for range 5000 {
		id, n := int32(r.IntN(60)-5)*1000003, int32(r.IntN(3))
		got.set(id, n)
		if want[id] = n; n == 0 {
			delete(want, id)
		}
		require.Equal(t, len(want), got.used)
		for i := range int32(60) {
			if id := (i - 5) * 1000003; want[id] != got.get(id) {
				require.Equal(t, want[id], got.get(id), "%d", id)
			}
		}
	}
	c := got.clone()
	got.clear()
	require.Zero(t, got.get(0))
	for id, n := range want {
		require.Equal(t, n, c.get(id))
	}
}

func TestHistory(t *testing.T) {
	for _, limit := range []int{1, 2, 7, 100, -1, math.MaxInt} {
		h := history{limit: limit}
		var all []int32
		for i := range int32(50) {
			h.push(i)
			all = append(all, i)
			want := all
			if limit > 0 {
				want = all[max(0, len(all)-limit):]
			}
			require.Equal(t, want, h.window())
		}
		require.LessOrEqual(t, cap(h.buf), 64)
	}
}

func TestExp(t *testing.T) {
	worst := 0.0
	for x := 0.0; x > -103.9; x -= 0.0007 {
		worst = max(worst, math.Abs(exp(x)/math.Exp(x)-1))
	}
	require.Less(t, worst, 1e-8)
	require.Equal(t, 1.0, exp(0))
	require.Zero(t, exp(-104))
	require.Zero(t, exp(math.Inf(-1)))
	require.Zero(t, float32(math.Exp(-104)), "what exp calls 0 is 0 as a float32")
}

func TestLogProb(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	logits := logs(tenths...)
	for i := range logits {
		logits[i] += 1000 // no overflow on the way
	}
	for i, p := range tenths {
		require.InDelta(t, math.Log(p), LogProb(logits, int32(i)), 1e-4)
	}
	odd := []float32{nan, 0, inf, 0, -inf}
	for id, want := range map[int32]float64{0: math.Inf(-1), 1: -math.Ln2, 2: math.Inf(-1), 3: -math.Ln2, 4: math.Inf(-1), 5: math.Inf(-1), -1: math.Inf(-1)} {
		require.InDelta(t, math.Exp(want), math.Exp(float64(LogProb(odd, id))), 1e-6, "%d", id)
	}

	best := TopLogProbs(nil, logits, 2)
	require.Len(t, best, 2)
	require.Equal(t, []int32{3, 2}, []int32{best[0].ID, best[1].ID})
	require.Equal(t, LogProb(logits, 3), best[0].Logit)
	require.Equal(t, LogProb(logits, 2), best[1].Logit)
	best = TopLogProbs(best[:1], odd, 9)
	require.Equal(t, []int32{3, 1, 3}, []int32{best[0].ID, best[1].ID, best[2].ID}, "appended; equals by id")
	require.InDelta(t, -math.Ln2, best[2].Logit, 1e-6)
	require.Empty(t, TopLogProbs(nil, odd, 0))
	require.Empty(t, TopLogProbs(nil, odd, -1))
	require.Empty(t, TopLogProbs(nil, nil, 3))
	require.Empty(t, TopLogProbs(nil, []float32{nan, inf}, 3))

	many := peaked(5000)
	require.Zero(t, testing.AllocsPerRun(10, func() { best = TopLogProbs(best[:0], many, 2); LogProb(many, 7) }))
}
