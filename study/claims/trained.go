package claims

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/study/bench"
	"github.com/goinfer/goinfer/study/eval"
	"github.com/goinfer/goinfer/study/explain"
	"github.com/goinfer/goinfer/study/page"
	"github.com/goinfer/goinfer/study/size"
)

// sunrise is the prompt of claims 8 and 11.
const sunrise = "The sun rises in the"

var directions = []string{"east", "west", "north", "south"}

// open opens a source as it is. close gives all of it back.
func (r *run) open(s *bench.Subject) (m *goinfer.Model, close func() error, err error) {
	b, err := s.Load(r.ctx, "", nil)
	if err != nil {
		return nil, nil, err
	}
	if m, err = b.Open(goinfer.Options{Threads: r.Threads}); err != nil {
		b.Close()
		return nil, nil, err
	}
	return m, func() error { defer b.Close(); return m.Close() }, nil
}

// randomTwin opens a model of the shape of the dense one with random weights.
func (r *run) randomTwin() (m *goinfer.Model, close func() error, err error) {
	shape, err := size.FindShape("tiny-dense")
	if err != nil {
		return nil, nil, err
	}
	src, err := bench.Of(shape)
	if err != nil {
		return nil, nil, err
	}
	b, err := src.Load(r.ctx, "Q8_0", nil)
	if err != nil {
		return nil, nil, err
	}
	if m, err = b.Open(goinfer.Options{Threads: r.Threads}); err != nil {
		b.Close()
		return nil, nil, err
	}
	return m, func() error { defer b.Close(); return m.Close() }, nil
}

// spread is how many chunks of the text are predicted, evenly spread over it: the same ones in every claim.
func (r *run) spread() int {
	if r.Quick {
		return 4
	}
	return 16
}

// chunks are those that every claim predicts.
func (r *run) chunks(m *goinfer.Model) ([]eval.Chunk, error) {
	all, err := eval.Chunks(m.Tokenizer(), r.Text, min(eval.DefaultChunk, m.Info().Config.NCtx))
	if err != nil {
		return nil, err
	}
	return eval.Spread(all, r.spread()), nil
}

// predicting is the command that measures perplexity on these chunks.
func (r *run) predicting() string {
	return fmt.Sprintf("goinfer perplexity %s -f builtin:valid.txt --chunks %d --spread", r.DenseName, r.spread())
}

// nextWord: claim 8.
func (r *run) nextWord(c *Claim) error {
	m, end, err := r.open(r.Dense)
	if err != nil {
		return err
	}
	defer end()
	r.step("asking %s", r.DenseName)
	p, err := explain.Predict(r.ctx, m, explain.Question{Prompt: sunrise, Top: 10, Words: directions})
	if err != nil {
		return err
	}
	command := fmt.Sprintf("goinfer next %s %q --words east,west,north,south", r.DenseName, sunrise)
	east := p.Words[0].Prob
	for i, w := range p.Words[1:] {
		c.add("east/"+directions[i+1], fmt.Sprintf("%s: P(east) ÷ P(%s) after %q", r.DenseName, directions[i+1], sunrise),
			found{value: east / w.Prob, format: times, how: fmt.Sprintf("P(east) = %.4f, P(%s) = %.3g.", east, directions[i+1], w.Prob), command: c.again})
	}
	c.add("uncertain", r.DenseName+": entropy of the next word, in nats", found{value: p.Entropy, format: plain, how: "That of the distribution over the whole vocabulary; 0 where one word is certain.", command: command})
	bars := page.Bars{Title: "What follows \"" + sunrise + "\"", Value: page.Axis{Label: "probability", Log: true, Format: func(x float64) string { return fmt.Sprintf("%.1g", x) }}}
	for _, t := range p.Top {
		bars.Rows = append(bars.Rows, page.BarRow{Name: t.Text, Values: []float64{t.Prob}})
	}
	c.pictures = append(c.pictures, bars.HTML())
	const france = "The capital of France is"
	q, err := explain.Predict(r.ctx, m, explain.Question{Prompt: france, Top: 1, Words: []string{"Paris"}})
	if err != nil {
		return err
	}
	c.add("paris-rank", fmt.Sprintf("%s: rank of Paris after %q", r.DenseName, france), found{value: float64(slices.Max(q.Words[0].Ranks)), format: count,
		how:     fmt.Sprintf("The worst rank of its %d tokens, each in its place; P(Paris) = %.4f.", len(q.Words[0].Ranks), q.Words[0].Prob),
		command: fmt.Sprintf("goinfer next %s %q --words Paris", r.DenseName, france)})
	without, err := explain.Predict(r.ctx, m, explain.Question{Prompt: sunrise, Top: 1, Words: directions[:1], Hook: explain.RandomNeurons(1, 0)})
	if err != nil {
		return err
	}
	c.add("without-neurons", r.DenseName+": P(east) without any neuron ÷ with all of them", found{value: without.Words[0].Prob / east, format: percent,
		how: "Every neuron of every feed-forward block gives 0; attention works as before."})
	return nil
}

// training: claim 11.
func (r *run) training(c *Claim) error {
	trained, end, err := r.open(r.Dense)
	if err != nil {
		return err
	}
	defer end()
	random, endRandom, err := r.randomTwin()
	if err != nil {
		return err
	}
	defer endRandom()
	watch, err := eval.Continue(trained.Tokenizer(), sunrise, " east", true)
	if err != nil {
		return err
	}
	if trained.Info().Config.NVocab != random.Info().Config.NVocab {
		// Another model than the built-in one: its twin is not at hand, and an even choice over the vocabulary stands for it.
		c.note("The model's own shape is not among the known ones: random weights are those of tiny-dense.")
	}
	chunks, err := r.chunks(trained)
	if err != nil {
		return err
	}
	var res [2]eval.Result
	var east [2]float64
	for i, m := range []*goinfer.Model{trained, random} {
		r.step("predicting %d chunks, %s weights", len(chunks), []string{"trained", "random"}[i])
		part := chunks
		w := watch
		if i == 1 && trained.Info().Config.NVocab != random.Info().Config.NVocab {
			if part, err = r.chunks(random); err != nil {
				return err
			}
			if w, err = eval.Continue(random.Tokenizer(), sunrise, " east", true); err != nil {
				return err
			}
		}
		if res[i], err = eval.Perplexity(r.ctx, m, part, eval.Options{}); err != nil {
			return err
		}
		score, err := w.Score(r.ctx, m, nil)
		if err != nil {
			return err
		}
		east[i] = math.Exp(score.LogProb)
	}
	trainingRows(c, r.DenseName, res, east, float64(random.Info().Config.NVocab), r.predicting())
	return nil
}

// trainingRows judges perplexities and probabilities of "east" with trained and with random weights.
func trainingRows(c *Claim, name string, res [2]eval.Result, east [2]float64, vocab float64, command string) {
	how := fmt.Sprintf("%d chunks of the built-in text, evenly spread: perplexity %.2f ± %.2f with trained weights, %.0f ± %.0f with random ones.", res[0].Chunks, res[0].PPL, res[0].Error, res[1].PPL, res[1].Error)
	off := math.Hypot(res[0].Error/res[0].PPL, res[1].Error/res[1].PPL)
	value := res[1].PPL / res[0].PPL
	c.add("trained", name+": perplexity with random weights ÷ with trained ones", found{value: value, err: value * off, format: times, how: how})
	c.add("same-size", name+": perplexity of a model of the same shape and size ÷ its own", found{value: value, err: value * off, format: times, how: how + " Both have as many parameters; only training differs."})
	loss := math.Log(res[1].PPL) / math.Log(vocab)
	c.add("random-loss", "Loss with random weights ÷ ln of the vocabulary", found{value: loss, err: res[1].Error / res[1].PPL / math.Log(vocab), format: plain, how: fmt.Sprintf("%.3f nats and %.3f.", math.Log(res[1].PPL), math.Log(vocab))})
	c.add("trained-east", "P(east) with trained weights ÷ with random ones", found{value: east[0] / east[1], format: times, how: fmt.Sprintf("%.4f and %.2g.", east[0], east[1])})
	c.add("steps/tiny-dense", "Steps of training of tiny-dense", computed(6582, count, "Its model card; 27 million tokens in all.", ""))
	c.add("steps/llama-3", "Steps of training of Llama 3, about", computed(15e12/16e6, count, "15·10¹² tokens in batches of up to 16·10⁶ (arXiv:2407.21783).", ""))
	c.note("Perplexity %.2f is printed by %s.", res[0].PPL, command)
	c.pictures = append(c.pictures, page.Bars{Title: "Perplexity of the built-in text", Value: page.Axis{Label: "perplexity", Log: true},
		Rows: []page.BarRow{{Name: "random weights", Values: []float64{res[1].PPL}}, {Name: "trained weights", Values: []float64{res[0].PPL}}}}.HTML())
}

// fact is a prompt with the word that completes it, and another place where a word begins as that one does: if the same neuron is
// needed there, it spells the word and does not know the fact.
type fact struct {
	prompt, word    string
	control, spells string // a prompt without the fact, and a word with the same first token
}

const named = "Once upon a time there was a child named"

var facts = []fact{
	{"The capital of France is", "Paris", named, "Polly"},
	{"The capital of Spain is", "Madrid", named, "Mungo"},
	{"The capital of Italy is", "Rome", named, "Rufus"},
	{"The capital of Germany is", "Berlin", named, "Boris"},
	{"The capital of Greece is", "Athens", named, "Atlas"},
	{"The capital of Egypt is", "Cairo", named, "Cecil"},
	{"The opposite of hot is", "cold", "In winter the wind is", "cold"},
	{"The opposite of black is", "white", "The snow is", "white"},
	{"The sun rises in the", "east", "The wind blew from the", "east"},
	{"A spider has eight", "legs", "The table has four", "legs"},
	{"The day after Monday is", "Tuesday", "They met again on", "Tuesday"},
	{"The color of the sky is", "blue", "The little girl wore a dress that was", "blue"},
}

// tested is a fact of a model with what the removal of neurons does to it.
type tested struct {
	model, prompt, word string
	prob                float64 // with all neurons
	worst               float64 // the share of it that is left without the worst neuron
	neuron              explain.Part
	tried, halving      int
	control             float64 // the share of the control word's probability that is left without that neuron
	spells              string
}

// hangs reports whether the fact hangs on one neuron: less than half of its probability is left without it.
func (t *tested) hangs() bool { return t.worst < 0.5 }

// specific reports whether that neuron leaves the control word alone.
func (t *tested) specific() bool { return t.hangs() && t.control >= 0.5 }

// neurons: claim 13.
func (r *run) neurons(c *Claim) error {
	var all []tested
	for _, m := range []struct {
		s    *bench.Subject
		name string
	}{{r.Dense, r.DenseName}, {r.MoE, r.MoEName}} {
		if m.s == nil {
			continue
		}
		some, err := r.testFacts(m.s, m.name)
		if err != nil {
			return err
		}
		all = append(all, some...)
	}
	neuronRows(c, all)
	m, end, err := r.open(r.Dense)
	if err != nil {
		return err
	}
	defer end()
	watch, err := eval.Continue(m.Tokenizer(), sunrise, " east", true)
	if err != nil {
		return err
	}
	s, err := explain.NewAblation(r.ctx, m, watch, 0)
	if err != nil {
		return err
	}
	points, err := s.AblateRandom(r.ctx, []float64{0.1, 0.3, 0.5, 0.7}, draws, func(done, total int) {
		if done%draws == 1 {
			r.step("random fractions of the neurons")
		}
	})
	if err != nil {
		return err
	}
	spreadRows(c, r.DenseName, math.Exp(s.Base.LogProb), points)
	return nil
}

// draws is how often each random fraction of the neurons is removed.
const draws = 60

// testFacts removes neurons one at a time while a model completes facts.
func (r *run) testFacts(s *bench.Subject, name string) ([]tested, error) {
	m, end, err := r.open(s)
	if err != nil {
		return nil, err
	}
	defer end()
	most := math.MaxInt
	if r.Quick {
		most = 150 // of a layer, those that were most active
	}
	var all []tested
	for _, f := range facts {
		r.step("%s: %s %s", name, f.prompt, f.word)
		t, err := r.testFact(m, f, most)
		if err != nil {
			return nil, err
		}
		t.model = name
		all = append(all, t)
	}
	return all, nil
}

func (r *run) testFact(m *goinfer.Model, f fact, most int) (tested, error) {
	t := tested{prompt: f.prompt, word: f.word, spells: f.spells, worst: 1, control: 1}
	watch, err := eval.Continue(m.Tokenizer(), f.prompt, " "+f.word, true)
	if err != nil {
		return t, err
	}
	s, err := explain.NewAblation(r.ctx, m, watch, len(watch.Tokens))
	if err != nil {
		return t, err
	}
	t.prob = math.Exp(s.Base.LogProb)
	var parts []explain.Part
	for l := range s.Trace.Layers {
		some, _ := s.Neurons(l, most)
		parts = append(parts, some...)
	}
	effects, err := s.AblateAll(r.ctx, parts, nil)
	if err != nil {
		return t, err
	}
	t.tried = len(effects)
	for _, e := range effects {
		left := math.Exp(e.Delta)
		if left < 0.5 {
			t.halving++
		}
		if left < t.worst {
			t.worst, t.neuron = left, e.Part
		}
	}
	control, err := eval.Continue(m.Tokenizer(), f.control, " "+f.spells, true)
	if err != nil {
		return t, err
	}
	if len(watch.Tokens) > watch.First+1 && control.First+1 < len(control.Tokens) && watch.Tokens[watch.First] == control.Tokens[control.First] {
		// How the word goes on after its first token, which is given: what spells it is active there.
		control.First++
		control.Tokens = control.Tokens[:control.First+1]
	}
	base, err := control.Score(r.ctx, m, nil)
	if err != nil {
		return t, err
	}
	without, err := control.Score(r.ctx, m, explain.Without(t.neuron, 0))
	if err != nil {
		return t, err
	}
	t.control = math.Exp(without.LogProb - base.LogProb)
	return t, nil
}

// neuronRows judges how many facts hang on one neuron.
func neuronRows(c *Claim, all []tested) {
	hang, specific, known := 0, 0, 0
	t := page.Table{Caption: "Each fact without its worst single neuron", Head: []string{"model", "fact", "P", "P left", "neuron", "control word", "its P left"}}
	bars := page.Bars{Title: "Share of P(word) left without the worst single neuron", Value: page.Axis{Label: "share left", Format: percent}}
	tried := 0
	for _, x := range all {
		tried += x.tried
		if x.prob >= 0.5 {
			known++
		}
		if x.hangs() {
			hang++
		}
		if x.specific() {
			specific++
		}
		t.Rows = append(t.Rows, []any{x.model, x.prompt + " " + x.word, fmt.Sprintf("%.4f", x.prob), percent(x.worst), x.neuron.String(), x.spells, percent(x.control)})
		bars.Rows = append(bars.Rows, page.BarRow{Name: x.word + ", " + x.model, Values: []float64{x.worst}})
		if x.hangs() {
			c.note("%s: without %s, P(%s) after %q goes from %.4f to %.4f; the control word %q keeps %s of its own.", x.model, x.neuron, x.word, x.prompt, x.prob, x.prob*x.worst, x.spells, percent(x.control))
		}
	}
	how := fmt.Sprintf("%d facts, two models where both are built in; %d neurons were removed one at a time. A fact hangs on a neuron if less than half of the word's probability is left.", len(all), tried)
	c.add("one-neuron", fmt.Sprintf("Facts of %d that hang on one neuron", len(all)), found{value: float64(hang), format: count, how: how})
	c.add("one-neuron-specific", fmt.Sprintf("Facts of %d whose neuron leaves a control word alone", len(all)), found{value: float64(specific), format: count,
		how: how + " The control word begins with the same token in a place without the fact: if the neuron is needed there too, it spells the word and does not know the fact."})
	c.note("%d of the %d facts are known: the word has a probability of ½ or more.", known, len(all))
	c.pictures = append(c.pictures, bars.HTML(), page.Details("The numbers", t.HTML()))
}

// spreadRows judges what is left of a word without random fractions of the neurons.
func spreadRows(c *Claim, name string, base float64, points []explain.Point) {
	curve := page.Series{Name: "median"}
	single := page.Series{Name: "single draws", Style: page.Dots}
	for _, p := range points {
		sorted := slices.Sorted(slices.Values(p.Draws))
		median, low, high := quantile(sorted, 0.5), sorted[0], sorted[len(sorted)-1]
		off := 1.2533 * deviation(sorted) / math.Sqrt(float64(len(sorted))) // standard error of a median, about
		c.add(fmt.Sprintf("spread/%.0f", 100*p.Fraction), fmt.Sprintf("%s: P(east) without a random %.0f %% of the neurons ÷ with all, median of %d draws", name, 100*p.Fraction, len(sorted)),
			found{value: median / base, err: off / base, format: percent, how: fmt.Sprintf("P(east) = %.4f with all neurons; median %.4f, from %.4f to %.4f.", base, median, low, high)})
		c.note("Without %.0f %% of all neurons at random: median P(east) = %.3f, from %.3f to %.3f, %d draws.", 100*p.Fraction, median, low, high, len(sorted))
		curve.Points = append(curve.Points, page.Point{X: 100 * p.Fraction, Y: median})
		for _, d := range sorted {
			single.Points = append(single.Points, page.Point{X: 100 * p.Fraction, Y: d})
		}
	}
	c.pictures = append(c.pictures, page.Plot{Title: "P(east) without a random fraction of the neurons", X: page.Axis{Label: "neurons removed", Unit: "%", Zero: true},
		Y: page.Axis{Label: "probability", Zero: true}, Series: []page.Series{curve, single}}.HTML())
}

// quantile is the number below which the share p of sorted numbers is.
func quantile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// deviation is the standard deviation of a sample.
func deviation(x []float64) float64 {
	if len(x) < 2 {
		return 0
	}
	var mean, sum float64
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		sum += (v - mean) * (v - mean)
	}
	return math.Sqrt(sum / float64(len(x)-1))
}

var errNoExperts = errors.New("a model of experts is needed, and there is none")
