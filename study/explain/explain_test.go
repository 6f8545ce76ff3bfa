package explain

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/shared"
	"github.com/goinfer/goinfer/study/eval"
)

// builtin is the file of a built-in model.
func builtin(t testing.TB, name string) string {
	return filepath.Join(shared.Root(t), "cmd/goinfer/embedded", name+"-q8_0.gguf")
}

// open opens a built-in model.
func open(t testing.TB, name string) *goinfer.Model {
	m, err := goinfer.Open(builtin(t, name), goinfer.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func ablation(t *testing.T, m *goinfer.Model, prompt, word string) *Ablation {
	c, err := eval.Continue(m.Tokenizer(), prompt, word, true)
	require.NoError(t, err)
	s, err := NewAblation(t.Context(), m, c, 0)
	require.NoError(t, err)
	return s
}

func TestRecord(t *testing.T) {
	m := open(t, "tiny-moe")
	c := m.Info().Config
	ids := m.Tokenizer().Encode(nil, "The capital of France is", true, true)
	trace, err := Record(t.Context(), m, ids, RecordOptions{First: 2})
	require.NoError(t, err)
	require.Len(t, trace.Layers, c.NLayer)
	for _, l := range trace.Layers {
		require.Equal(t, c.NHead, l.Heads)
		require.Len(t, l.Attention, len(ids)-2)
		for i, probs := range l.Attention {
			require.Len(t, probs, c.NHead*(i+3))
			var sum float64
			for _, p := range probs[:i+3] {
				sum += float64(p)
			}
			require.InDelta(t, 1, sum, 1e-5)
		}
		require.Len(t, l.Routes, len(ids))
		require.Len(t, l.Routes[0].Experts, c.NExpertUsed)
	}
	require.Len(t, trace.Norms(), c.NLayer+1)
	require.Len(t, trace.Norms()[0], len(ids)-2)

	// The lens at the last layer is the model.
	views, err := trace.Lens(t.Context(), m, 2, 3, []int32{5})
	require.NoError(t, err)
	require.Len(t, views, c.NLayer+1)
	last := views[c.NLayer]
	require.NoError(t, m.Score(t.Context(), goinfer.Request{Tokens: ids, Logits: func(pos int, row []float32) error {
		view := last[pos-(len(ids)-2)]
		require.Equal(t, pos, view.Pos)
		require.Equal(t, choices(m.Tokenizer(), row, 3), view.Top)
		p, entropy := probabilities(row)
		require.Equal(t, entropy, view.Entropy)
		require.Equal(t, p[5], view.Ranks[0].Prob)
		require.Equal(t, eval.Rank(p, 5), view.Ranks[0].Rank)
		return nil
	}, From: len(ids) - 2}))
}

// TestShownAgain: rows of a pass that was interrupted are shown twice, and kept once.
func TestShownAgain(t *testing.T) {
	r := &recorder{t: &Trace{First: 1, Layers: make([]Layer, 1)}}
	for _, pos := range []int{0, 1, 0, 1, 2} {
		r.Observe(&goinfer.Event{Name: goinfer.NameAttnProbs, Pos: pos, Data: make([]float32, 2*(pos+1))})
		r.Observe(&goinfer.Event{Name: goinfer.NameRouterLogits, Pos: pos, Data: []float32{1, 1}})
		r.Observe(&goinfer.Event{Name: goinfer.NameRouterTopK, Pos: pos, Experts: []int32{int32(pos)}, Data: []float32{1}})
	}
	l := r.t.Layers[0]
	require.Len(t, l.Attention, 2)
	require.Len(t, l.Attention[0], 4)
	require.Len(t, l.Routes, 3)
	for pos, route := range l.Routes {
		require.Equal(t, Route{Experts: []ExpertWeight{{int32(pos), 1}}, Entropy: math.Ln2}, route)
	}
	require.Equal(t, 3, r.evaluated)
}

// TestNotFinite: logits that are no numbers leave no distribution, in the model's own prediction
// and in the lens.
func TestNotFinite(t *testing.T) {
	none := float32(math.NaN())
	p, entropy := probabilities([]float32{none, float32(math.Inf(1)), 3})
	require.Equal(t, []float64{0, 0, 1}, p)
	require.Zero(t, entropy)
	_, entropy = probabilities([]float32{none, float32(math.Inf(-1))})
	require.True(t, math.IsNaN(entropy))
	m := open(t, "tiny-dense")
	_, err := Lens(t.Context(), m, slices.Repeat([]float32{none}, m.Info().Config.NEmbd), 1, nil)
	require.ErrorIs(t, err, errNotFinite)
}

// TestAblateAll: effects in common batches are those of each part alone; ablating nothing, or what
// is not used, changes no bit.
func TestAblateAll(t *testing.T) {
	for _, name := range []string{"tiny-dense", "tiny-moe"} {
		t.Run(name, func(t *testing.T) {
			m := open(t, name)
			s := ablation(t, m, "The capital of France is", " Paris")
			require.Less(t, s.Base.LogProb, 0.0)
			var parts []Part
			for l := range s.Trace.Layers {
				parts = append(parts, s.Blocks(l)...)
				parts = append(parts, s.Heads(l)...)
				parts = append(parts, s.Experts(l)...)
				neurons, all := s.Neurons(l, 5)
				require.Len(t, neurons, 5)
				require.GreaterOrEqual(t, all, 512)
				parts = append(parts, neurons...)
			}
			calls := 0
			effects, err := s.AblateAll(t.Context(), parts, func(done, total int) {
				calls++
				require.Equal(t, len(parts), total)
			})
			require.NoError(t, err)
			require.Equal(t, len(parts), calls)
			for i, e := range effects {
				require.Equal(t, parts[i], e.Part)
				// the last one's work on earlier tokens is for nothing
				if e.Layer < len(s.Trace.Layers)-1 {
					require.NotZero(t, e.Delta, e)
				}
				if i%7 == 0 {
					alone, err := s.watch.Score(t.Context(), m, Without(e.Part, m.Info().Config.NHead))
					require.NoError(t, err)
					require.Equal(t, alone.LogProb-s.Base.LogProb, e.Delta, e.Part)
				}
			}
			none, err := s.AblateAll(t.Context(), []Part{{Neuron, 0, -1, 1 << 30}, {Neuron, 0, 1 << 30, 0}, {Expert, 1, -1, 1 << 30}}, nil)
			require.NoError(t, err)
			for _, e := range none {
				require.Zero(t, e.Delta, e.Part)
			}
		})
	}
}

// TestUnusedExperts: the experts and neurons that are not ablated because they have no effect have
// none.
func TestUnusedExperts(t *testing.T) {
	m := open(t, "tiny-moe")
	s := ablation(t, m, "The sun", " rises")
	var parts []Part
	for l := range s.Trace.Layers {
		used := s.Experts(l)
		for e := range m.Info().Config.NExpert {
			if !slices.Contains(used, Part{Expert, l, -1, e}) {
				parts = append(parts, Part{Expert, l, -1, e}, Part{Neuron, l, e, 3})
			}
		}
	}
	require.NotEmpty(t, parts)
	effects, err := s.AblateAll(t.Context(), parts, nil)
	require.NoError(t, err)
	for _, e := range effects {
		require.Zero(t, e.Delta, e.Part)
	}
}

// TestAblateRandom: the fraction 0 changes no bit, and the same seed ablates the same neurons.
func TestAblateRandom(t *testing.T) {
	s := ablation(t, open(t, "tiny-dense"), "The sun rises in the", " east")
	points, err := s.AblateRandom(t.Context(), []float64{0, 0.5, 1}, 4, nil)
	require.NoError(t, err)
	base := math.Exp(s.Base.LogProb)
	require.Equal(t, []float64{base, base, base, base}, points[0].Draws)
	require.Less(t, points[2].Mean, points[0].Mean/2)
	require.NotEqual(t, points[1].Draws[0], points[1].Draws[1])
	require.Equal(t, points[2].Draws[0], points[2].Draws[1])
	again, err := s.AblateRandom(t.Context(), []float64{0, 0.5, 1}, 4, nil)
	require.NoError(t, err)
	require.Equal(t, points, again)

	h := RandomNeurons(0.3, 7)
	row := slices.Repeat([]float32{1}, 100_000)
	h.Observe(&goinfer.Event{Layer: 2, Name: goinfer.NameFFNAct, Data: row})
	zeros := 0
	for _, v := range row {
		if v == 0 {
			zeros++
		}
	}
	require.InDelta(t, 30_000, zeros, 600)
	_, err = s.AblateRandom(t.Context(), []float64{1}, 0, nil)
	require.ErrorContains(t, err, "at least one draw")
}

// TestAblateRandomWeights: with the fraction 0 the model is what it was, but for the precision of
// activations; with the fraction 1 every token has the same probability.
func TestAblateRandomWeights(t *testing.T) {
	s := ablation(t, open(t, "tiny-dense"), "The sun rises in the", " east")
	f, err := gguf.Open(filepath.Join(shared.Root(t), "cmd/goinfer/embedded/tiny-dense-q8_0.gguf"), gguf.Options{})
	require.NoError(t, err)
	defer f.Close()
	points, err := AblateRandomWeights(t.Context(), f, goinfer.Options{}, s.watch, []float64{0, 0.5, 1}, 1, nil)
	require.NoError(t, err)
	require.InDelta(t, math.Exp(s.Base.LogProb), points[0].Mean, 0.01)
	require.Less(t, points[1].Mean, 0.1)
	require.InDelta(t, 1.0/4096, points[2].Mean, 1e-9)
}

func TestAblateAllEnds(t *testing.T) {
	s := ablation(t, open(t, "tiny-dense"), "The sun rises in the", " east")
	parts, _ := s.Neurons(0, 700)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.AblateAll(ctx, parts, func(done, _ int) {
		if done == 10 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
}

func BenchmarkAblateAll(b *testing.B) {
	m := open(b, "tiny-dense")
	c, err := eval.Continue(m.Tokenizer(), "The sun rises in the", " east", true)
	require.NoError(b, err)
	s, err := NewAblation(b.Context(), m, c, 0)
	require.NoError(b, err)
	parts, _ := s.Neurons(3, math.MaxInt)
	for b.Loop() {
		_, err := s.AblateAll(b.Context(), parts, nil)
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.N*len(parts))/b.Elapsed().Seconds(), "parts/s")
}

// TestAnalyse: the reports of the built-in models and their pages.
func TestAnalyse(t *testing.T) {
	for name, word := range map[string]string{"tiny-dense": "", "tiny-moe": "Paris"} {
		t.Run(name, func(t *testing.T) {
			m := open(t, name)
			c := m.Info().Config
			steps := map[string]bool{}
			r, err := Analyse(t.Context(), m, Options{Prompt: "The capital of France is", Word: word, Parts: 200, Draws: 1, Progress: func(what string, done, total int) {
				steps[what] = true
				require.LessOrEqual(t, done, total)
			}})
			require.NoError(t, err)
			require.True(t, steps["neurons"] && steps["heads"], steps)
			require.Len(t, r.Blocks, 2*c.NLayer)
			require.Len(t, r.Heads, c.NLayer*c.NHead)
			require.Equal(t, c.NExpert > 0, len(r.Experts) > 0)
			require.Less(t, r.Neurons.Tried, r.Neurons.All)
			require.Len(t, r.Cut, 1, "that not all neurons were tried")
			require.Len(t, r.Random, len(Fractions()))
			require.InDelta(t, r.Word.Prob, r.Random[0].Mean, 1e-12)
			require.Equal(t, r.Next.Top[0].Token, r.Lens[c.NLayer][len(r.Prompt)-1].Top[0].Token)
			worst := slices.MinFunc(r.Neurons.Top, func(a, b TopNeuron) int { return cmp.Compare(a.Delta, b.Delta) })
			require.Contains(t, r.Verdict(), worst.Part.String())
			require.Equal(t, worst.Prob < r.Word.Prob/2, r.Neurons.Halving > 0)
			require.Equal(t, r.Neurons.Halving == 0, strings.Contains(r.Verdict(), "No single neuron"))
			require.InDelta(t, worst.Prob, r.Neurons.Together[0].Prob, 1e-12)

			p, err := r.Page(name)
			require.NoError(t, err)
			var b strings.Builder
			require.NoError(t, p.Render(&b))
			html := b.String()
			for _, want := range []string{"Inside " + name, "Which token reads which", "What each layer would predict", "Without one part", "neurons that take part", `data-scope="attention"`} {
				require.Contains(t, html, want)
			}
			require.Equal(t, c.NExpert > 0, strings.Contains(html, `id="routing"`))
			require.NotContains(t, html, "ZgotmplZ")
		})
	}
}

// TestVerdict can come out either way.
func TestVerdict(t *testing.T) {
	neuron := func(p float64) TopNeuron {
		return TopNeuron{Effect: Effect{Part: Part{Neuron, 1, -1, 7}, Prob: p, Delta: math.Log(p / 0.9)}}
	}
	r := &Report{Word: Word{Prob: 0.9}, Neurons: Neurons{Tried: 5, Top: []TopNeuron{neuron(0.8), neuron(0.7)}}}
	require.Contains(t, r.Verdict(), "No single neuron holds the word: of 5 that were taken out one at a time, the one that costs most (layer 1, neuron 7) takes its probability from 0.9000 to 0.7000")
	r.Neurons.Top, r.Neurons.Halving = []TopNeuron{neuron(0.7), neuron(1e-7)}, 1
	require.Contains(t, r.Verdict(), "One single neuron is needed")
	require.Contains(t, r.Verdict(), "from 0.9000 to 1.0e-07")
	r.Neurons.Halving = 2
	require.Contains(t, r.Verdict(), "2 single neurons are each needed")
	r.Neurons.Top = nil
	require.Equal(t, "There is no neuron to take out.", r.Verdict())
}

// TestLongPrompt: what is shown stays small, and what a row reads of the tokens before is summed
// up.
func TestLongPrompt(t *testing.T) {
	m := open(t, "tiny-dense")
	r, err := Analyse(t.Context(), m, Options{Prompt: strings.Repeat("The sun rises in the east. ", 14), Parts: 1, Draws: 1})
	require.NoError(t, err)
	shown := len(r.Prompt) - r.Trace.First
	require.Equal(t, mostPositions, shown)
	require.Len(t, r.Lens[0], lensPositions)
	require.GreaterOrEqual(t, len(r.Cut), 3, r.Cut)
	l := &r.Trace.Layers[2]
	data := packed(l, r.Trace.First, shown)
	require.Len(t, data, l.Heads*(shown*(shown+1)/2+shown))
	var sum float64
	for _, b := range data[:2] { // what is before, and the first shown token itself
		sum += float64(b) * float64(b) / 255 / 255
	}
	require.InDelta(t, 1, sum, 0.01)
	p, err := r.Page("tiny-dense")
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, p.Render(&b))
	require.Less(t, b.Len(), 2<<20)
}

func TestLabel(t *testing.T) {
	for text, want := range map[string]string{" sun": "·sun", "a b": "a b", "\n": "⏎", "\xe2\x80": `\xe2\x80`, "": "∅", "é": "é", "\u202e": `\u202e`, " ": "·"} {
		require.Equal(t, want, label(text), "%q", text)
	}
	require.Equal(t, " x", spaced("a", "x"))
	require.Equal(t, "x", spaced("a ", "x"))
	require.Equal(t, ".", spaced("a", "."))
	require.Equal(t, "x", spaced("", "x"))
}

// TestEveryArchitecture looks into every reference model that makes text.
func TestEveryArchitecture(t *testing.T) {
	if os.Getenv("GOINFER_LONG") == "" {
		t.Skip("takes ten seconds; GOINFER_LONG asks for it")
	}
	files, err := filepath.Glob(filepath.Join(shared.Dir(t), "conformance", "models", "*", "model.gguf"))
	require.NoError(t, err)
	analysed := 0
	for _, file := range files {
		m, err := goinfer.Open(file, goinfer.Options{})
		if errors.Is(err, goinfer.ErrUnsupported) {
			continue
		}
		require.NoError(t, err)
		r, err := Analyse(t.Context(), m, Options{Prompt: "The sun", Parts: 1, Draws: 1})
		if !errors.Is(err, goinfer.ErrUnsupported) { // as encoders are
			require.NoError(t, err, file)
			require.NotEmpty(t, r.Blocks, file)
			p, err := r.Page("model")
			require.NoError(t, err, file)
			require.NoError(t, p.Render(io.Discard), file)
			analysed++
		}
		require.NoError(t, m.Close())
	}
	require.Greater(t, analysed, 60)
}

// TestAllExperts: pictures have a place for every expert, also for those that no token was given
// to, and one scale.
func TestAllExperts(t *testing.T) {
	d := drawing{r: &Report{Trace: &Trace{MoE: MoE{Experts: 8}, Layers: make([]Layer, 2)}}}
	html := string(d.effects("Without one expert", "expert", []Effect{{Part: Part{Expert, 0, -1, 2}, Delta: -1}}, 20))
	require.Contains(t, html, "no token was given to this expert")
	require.Contains(t, html, "expert 7")
	require.Contains(t, html, "−20", "the key shows the common scale")
	p := newPoint(0.5, []float64{5, 1, 2, 3})
	require.EqualValues(t, 2.5, p.Median)
	require.EqualValues(t, 3, most([]Effect{{Delta: 1}}, []Effect{{Delta: -3}}))
}
