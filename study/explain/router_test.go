package explain

import (
	"cmp"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/shared"
)

func tinyMoE(t testing.TB) *goinfer.Model {
	return open(t, "tiny-moe")
}

// record is the hook that records a text of n tokens.
func record(t testing.TB, m *goinfer.Model, n int, o RecordOptions) *recorder {
	t.Helper()
	r, err := newRecorder(m, n, o)
	require.NoError(t, err)
	return r
}

func ids(m *goinfer.Model, text string) []int32 { return m.Tokenizer().Encode(nil, text, true, true) }

func hookOf(t testing.TB, m *goinfer.Model, r RouterOverride) goinfer.Hook {
	t.Helper()
	s, err := MoEOf(m)
	require.NoError(t, err)
	h, err := r.Hook(&s)
	require.NoError(t, err)
	return h
}

// logitsOf are the logits after every token, bit by bit.
func logitsOf(t testing.TB, m *goinfer.Model, tokens []int32, h goinfer.Hook) (rows [][]uint32) {
	t.Helper()
	require.NoError(t, m.Score(t.Context(), goinfer.Request{Tokens: tokens, Hook: h, Logits: func(_ int, row []float32) error {
		bits := make([]uint32, len(row))
		for i, v := range row {
			bits[i] = math.Float32bits(v)
		}
		rows = append(rows, bits)
		return nil
	}}))
	return rows
}

// overrides are for models of at least 8 experts of which some 2 to 4 are used.
var overrides = map[string]RouterOverride{
	"fewer":     {TopK: 1},
	"more":      {TopK: 5},
	"ban":       {Ban: []int{0, 3, 3}},
	"force":     {Force: []int{1}},
	"uniform":   {Uniform: true},
	"random":    {Random: true, Seed: 3},
	"all":       {TopK: 4, Ban: []int{2}, Force: []int{5, 0}, Uniform: true, Random: true},
	"one layer": {TopK: 1, Layers: []int{1}},
}

// TestNothingChanges: recording, and an override that asks for what is done anyway, change no bit.
func TestNothingChanges(t *testing.T) {
	m := tinyMoE(t)
	text := ids(m, "Once upon a time there was a red apple.")
	plain := logitsOf(t, m, text, nil)
	s, err := MoEOf(m)
	require.NoError(t, err)
	for name, h := range map[string]goinfer.Hook{
		"recorded":   record(t, m, len(text), RecordOptions{What: Everything | RouterLogits}),
		"counted":    newExpertBytes(&s, 0),
		"same top-k": hookOf(t, m, RouterOverride{TopK: s.Used}),
	} {
		require.Equal(t, plain, logitsOf(t, m, text, h), name)
	}
	for name, r := range overrides {
		require.NotEqual(t, plain, logitsOf(t, m, text, hookOf(t, m, r)), name)
	}
	require.Nil(t, hookOf(t, m, RouterOverride{}))
}

// TestPrefillIsDecode: with an override too, one token at a time gives the bits of many at once.
func TestPrefillIsDecode(t *testing.T) {
	m := tinyMoE(t)
	one, err := goinfer.Open(builtin(t, "tiny-moe"), goinfer.Options{Batch: 1, Threads: 1})
	require.NoError(t, err)
	defer one.Close()
	text := ids(m, "The dog ran to the park and the sun was warm")
	for name, r := range overrides {
		want := logitsOf(t, m, text, hookOf(t, m, r))
		require.Equal(t, want, logitsOf(t, one, text, hookOf(t, one, r)), name)
	}
}

// watch keeps what the routers of a model were given and made of it.
type watch struct {
	logits, scores, weights map[[2]int][]float64
	experts                 map[[2]int][]int
	scoring                 goinfer.Scoring
}

func (w *watch) Wants(_ int, name string) bool {
	return name == goinfer.NameRouterLogits || name == goinfer.NameRouterScores || name == goinfer.NameRouterTopK
}

func (w *watch) Observe(e *goinfer.Event) {
	values := make([]float64, len(e.Data))
	for i, v := range e.Data {
		values[i] = float64(v)
	}
	at := [2]int{e.Pos, e.Layer}
	switch e.Name {
	case goinfer.NameRouterLogits:
		w.logits[at], w.scoring = values, e.Scoring
	case goinfer.NameRouterScores:
		w.scores[at] = values
	default:
		w.weights[at] = values
		for _, x := range e.Experts {
			w.experts[at] = append(w.experts[at], int(x))
		}
	}
}

func newWatch() *watch {
	return &watch{logits: map[[2]int][]float64{}, scores: map[[2]int][]float64{}, weights: map[[2]int][]float64{}, experts: map[[2]int][]int{}}
}

// family says how the routers of an architecture make weights.
type family struct {
	model        string
	renormalise  bool
	scale        float64
	groups, used int // of DeepSeek-V3, whose groups are scored by their best two
}

// choose is the override in float64, from the formulas of the papers.
func (f *family) choose(r *RouterOverride, k int, logits, scores []float64, scoring goinfer.Scoring) (chosen []int, weights []float64) {
	n := len(logits)
	choice := slices.Clone(scores)
	for _, e := range r.Ban {
		choice[e] = math.Inf(-1)
	}
	for _, e := range r.Force {
		choice[e] = math.Inf(1)
	}
	open := make([]bool, n)
	if f.groups > 0 {
		size := n / f.groups
		sums, order := make([]float64, f.groups), make([]int, f.groups)
		for g := range f.groups {
			best := slices.Clone(choice[g*size : (g+1)*size])
			slices.Sort(best)
			if sums[g], order[g] = best[size-1], g; !math.IsInf(best[size-2], -1) {
				sums[g] += best[size-2]
			}
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sums[b], sums[a]) })
		for _, g := range order[:f.used] {
			for e := g * size; e < (g+1)*size; e++ {
				open[e] = true
			}
		}
	}
	var order []int
	for e := range n {
		if f.groups == 0 || open[e] {
			order = append(order, e)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(choice[b], choice[a]) })
	chosen = order[:k]
	all := make([]float64, n)
	var sum, total float64
	for e, v := range logits {
		if scoring == goinfer.ScoreSigmoid {
			all[e] = 1 / (1 + math.Exp(-v))
		} else {
			all[e] = math.Exp(v)
		}
		total += all[e]
	}
	for _, e := range chosen {
		w := all[e]
		if scoring == goinfer.ScoreSoftmax {
			w /= total
		}
		weights = append(weights, w)
		sum += w
	}
	for i := range weights {
		if f.renormalise || scoring == goinfer.ScoreSoftmaxWeight {
			weights[i] /= sum
		}
		weights[i] *= f.scale
	}
	if r.Uniform {
		if f.renormalise || scoring == goinfer.ScoreSoftmaxWeight {
			sum = 1
		}
		for i := range weights {
			weights[i] = sum * f.scale / float64(k)
		}
	}
	return chosen, weights
}

// TestReference compares choices and weights with the reference, for routers of every kind.
func TestReference(t *testing.T) {
	dir := filepath.Join(shared.Dir(t), "conformance", "models")
	for _, f := range []family{
		{model: "mixtral", renormalise: true, scale: 1},
		{model: "qwen2moe", scale: 1},
		{model: "gpt-oss", scale: 1},
		{model: "deepseek2-v3", renormalise: true, scale: 2.5, groups: 4, used: 2},
		{model: "glm4moe", renormalise: true, scale: 1},
	} {
		path := filepath.Join(dir, f.model, "model.gguf")
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v", f.model, err)
			continue
		}
		m, err := goinfer.Open(path, goinfer.Options{})
		require.NoError(t, err)
		s, err := MoEOf(m)
		require.NoError(t, err, f.model)
		f.scale = float64(max(1, m.Info().Config.ExpertScale))
		text := []int32{1, 5, 9, 2, 33, 17, 4, 8}
		for name, r := range overrides {
			if name == "one layer" {
				r.Layers = s.Layers[len(s.Layers)-1:]
			}
			w := newWatch()
			before := newWatch() // the router itself, before the override
			logitsOf(t, m, text, goinfer.JoinHooks(before, hookOf(t, m, r), w))
			require.Len(t, w.weights, len(text)*len(s.Layers))
			for at, logits := range w.logits {
				here, k := r, cmp.Or(r.TopK, s.Used)
				if len(r.Layers) > 0 && !slices.Contains(r.Layers, at[1]) {
					here, k = RouterOverride{}, s.Used
				}
				scores := before.scores[at]
				if here.Random {
					scores = w.scores[at]
				}
				chosen, weights := f.choose(&here, k, logits, scores, w.scoring)
				require.Equal(t, chosen, w.experts[at], "%s, %s, %v", f.model, name, at)
				for i := range weights {
					require.InDelta(t, weights[i], w.weights[at][i], 2e-5*max(1, weights[i]), "%s, %s, %v", f.model, name, at)
				}
			}
		}
	}
}

// TestRandom: the choice depends on seed, position and layer, and on nothing else.
func TestRandom(t *testing.T) {
	m := tinyMoE(t)
	text := ids(m, "One day a girl named Lily went to the park with her mom")
	trace := func(seed uint64, tokens []int32) *Trace {
		tr, err := Record(t.Context(), m, tokens, RecordOptions{What: Routes, Hook: hookOf(t, m, RouterOverride{Random: true, Seed: seed})})
		require.NoError(t, err)
		return tr
	}
	experts := func(tr *Trace) (list [][]int32) {
		for _, r := range tr.RouterRows() {
			var some []int32
			for _, c := range r.Experts {
				some = append(some, c.ID)
			}
			list = append(list, some)
		}
		return list
	}
	a := experts(trace(1, text))
	require.Equal(t, a, experts(trace(1, text)))
	require.NotEqual(t, a, experts(trace(2, text)))
	short := experts(trace(1, text[:5]))
	require.Equal(t, a[:len(short)], short)
	count := map[int32]int{}
	for _, some := range a {
		for _, e := range some {
			count[e]++
		}
	}
	require.Len(t, count, 8, "every expert is chosen at some time: %v", count)
}

func TestOverrideFaults(t *testing.T) {
	s, err := MoEOf(tinyMoE(t))
	require.NoError(t, err)
	for want, r := range map[string]RouterOverride{
		"a top-k of 9: want 1 to 8 experts":                  {TopK: 9},
		"a top-k of -1: want 1 to 8 experts":                 {TopK: -1},
		"there is no expert 8: want 0 to 7":                  {Ban: []int{8}},
		"there is no expert -1: want 0 to 7":                 {Force: []int{-1}},
		"expert 3 is both banned and forced":                 {Ban: []int{3}, Force: []int{3}},
		"3 experts are forced, and a token uses 2":           {Force: []int{1, 2, 3}},
		"7 of 8 experts are banned, and a token uses 2":      {Ban: []int{0, 1, 2, 3, 4, 5, 6}},
		"layer 4 has no experts: the layers that do are 0-3": {TopK: 1, Layers: []int{4}},
		"layers are named, but nothing is overridden":        {Layers: []int{1}},
	} {
		_, err := r.Hook(&s)
		require.ErrorContains(t, err, want)
	}
	_, err = MoEOf(open(t, "tiny-dense"))
	require.ErrorContains(t, err, "the model has no experts")
	require.Equal(t, "1 expert per token, without 0-2, 5, always with 7, chosen at random (seed 4), equal weights, in layers 1-2",
		RouterOverride{TopK: 1, Ban: []int{2, 1, 0, 5}, Force: []int{7}, Random: true, Seed: 4, Uniform: true, Layers: []int{2, 1}}.String())
	require.Equal(t, "as the router chooses", RouterOverride{}.String())
}

// TestMoE compares bytes with the file's.
func TestMoE(t *testing.T) {
	m := tinyMoE(t)
	s, err := MoEOf(m)
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 2, 3}, s.Layers)
	for _, b := range s.ExpertBytes {
		require.Equal(t, s.ExpertBytes[0], b)
	}
	all := s.BytesPerToken(s.Experts)
	require.Greater(t, all, s.BytesPerToken(1))
	require.InDelta(t, m.Info().Memory.Weights, all, 0.3*float64(all), "the file, but for the rows of the embedding that a token does not read")
	require.Equal(t, "0-2, 4, 6-7", ranges([]int{0, 1, 2, 4, 6, 7}))
}
