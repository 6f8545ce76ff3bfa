package claims

import (
	"errors"
	"fmt"
	"math"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/bench"
	"github.com/goinfer/goinfer/catalog"
	"github.com/goinfer/goinfer/eval"
	"github.com/goinfer/goinfer/experts"
	"github.com/goinfer/goinfer/explain"
	"github.com/goinfer/goinfer/lab"
	"github.com/goinfer/goinfer/page"
)

// sunrise is the prompt of claims 7, 8 and 11.
const sunrise = "The sun rises in the"

var directions = []string{"east", "west", "north", "south"}

// open opens a source as it is. close gives all of it back.
func (r *run) open(s *bench.Source) (m *goinfer.Model, close func() error, err error) {
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

// chunks are some of the text that the models were not trained on.
func (r *run) chunks() int {
	if r.Quick {
		return 4
	}
	return 16
}

// quantisation: claim 4.
func (r *run) quantisation(c *Claim) error {
	levels := []string{"q6_k", "q5_k_m", "q4_k_m", "q4_0", "q3_k_m", "q2_k"}
	if r.Quick {
		levels = []string{"q4_k_m", "q3_k_m", "q2_k"}
	}
	for _, m := range []struct {
		s    *bench.Source
		name string
	}{{r.Dense, r.DenseName}, {r.MoE, r.MoEName}} {
		if r.Quick && m.s == r.MoE {
			break
		}
		rep, err := lab.Run(r.ctx, m.s, lab.Options{Levels: levels, Text: r.Text, Chunks: r.chunks(), Answer: 8, Repetitions: 1, Threads: r.Threads,
			Step: func(level, what string, _, _ int) { r.step("%s as %s: %s", m.name, level, what) }})
		if err != nil {
			return err
		}
		base := rep.Rows[0]
		var points []page.Point
		for _, row := range rep.Rows[1:] {
			command := fmt.Sprintf("goinfer lab %s --levels %s", m.name, row.Level)
			halves := 2 * float64(rep.Params) // bytes in FP16
			c.find(fmt.Sprintf("%s in %s is smaller than in FP16 by", m.name, row.Level), r.Said.Shrinks, none, halves/float64(row.Bytes), times, command)
			c.find(fmt.Sprintf("its perplexity goes to %.2f, from %.2f: it grows by", row.Perplexity.PPL, base.Perplexity.PPL), r.Said.Loss, none,
				row.Perplexity.PPL/base.Perplexity.PPL-1, percent, command)
			c.note("%s in %s: %.2f bits for a weight, %.0f tokens/s (%.0f as it is), KL divergence %.4f, most probable token the same %.1f %%.", m.name, row.Level, row.BitsPerWeight,
				row.Decode.Mean, base.Decode.Mean, row.KL.KLMean, 100*row.KL.Top1)
			points = append(points, page.Point{X: row.BitsPerWeight, Y: row.KL.KLMean, Name: row.Level})
		}
		c.pictures = append(c.pictures, page.Plot{Title: "Divergence of " + m.name + " by bits", X: page.Axis{Label: "bits for a weight"}, Y: page.Axis{Label: "KL divergence", Unit: "nats", Log: true},
			Series: []page.Series{{Name: "measured", Points: points, Labels: true}}}.HTML())
	}
	c.note("The models are in Q8_0, which is what they are compared with. Small models lose more than large ones.")
	return nil
}

// router: claim 7.
func (r *run) router(c *Claim) error {
	m, end, err := r.open(r.MoE)
	if err != nil {
		return err
	}
	defer end()
	r.step("watching the routers of %s", r.MoEName)
	trace, err := experts.Record(r.ctx, m, m.Tokenizer().Encode(nil, sunrise, true, true), experts.TraceOptions{})
	if err != nil {
		return err
	}
	if len(trace.Rows) == 0 {
		return errors.New("the routers were not seen")
	}
	low, high := math.MaxInt, 0
	for _, row := range trace.Rows {
		low, high = min(low, len(row.Experts)), max(high, len(row.Experts))
	}
	command := fmt.Sprintf("goinfer experts trace %s %q", r.MoEName, sunrise)
	c.find(fmt.Sprintf("of %d experts the router chooses for each token at least", trace.Shape.Experts), pieces(r.Said.Chosen), none, float64(low), count, command)
	c.find("and at most", pieces(r.Said.Chosen), none, float64(high), count, command)
	tokens := m.Tokenizer().Encode(nil, r.Text, true, false)
	if most := 512 * r.chunks() / 2; len(tokens) > most {
		tokens = tokens[:most]
	}
	stats, err := experts.Measure(r.ctx, m, tokens, experts.MeasureOptions{})
	if err != nil {
		return err
	}
	for _, l := range stats.Layers {
		c.find(fmt.Sprintf("the load is balanced in layer %d (entropy over that of an equal load)", l.Layer), r.Said.Balance, 1, l.Balance, plain, "goinfer experts stats "+r.MoEName)
		c.note("Layer %d: the busiest expert has %.2f times its share, %d are idle.", l.Layer, l.MaxLoad, len(l.Idle))
	}
	return nil
}

// east: claim 8.
func (r *run) east(c *Claim) error {
	m, end, err := r.open(r.Dense)
	if err != nil {
		return err
	}
	defer end()
	r.step("asking %s", r.DenseName)
	p, err := explain.Predict(r.ctx, m, explain.Question{Prompt: sunrise, Top: 5, Words: directions})
	if err != nil {
		return err
	}
	command := fmt.Sprintf("goinfer next %s %q --words east,west,north,south", r.DenseName, sunrise)
	east := p.Words[0].Prob
	for i, w := range p.Words[1:] {
		c.find(fmt.Sprintf("%s gives \"east\" more probability than %q, by a factor of", r.DenseName, directions[i+1]), r.Said.East, none, east/w.Prob, times, command)
	}
	c.note("P(east) = %.4f.", east)
	parts := 4000
	if r.Quick {
		parts = 800
	}
	rep, err := explain.Examine(r.ctx, m, explain.Options{Prompt: sunrise, Word: "east", Parts: parts, Draws: 2,
		Progress: func(what string, _, _ int) { r.step("%s", what) }})
	if err != nil {
		return err
	}
	command = fmt.Sprintf("goinfer explain %s %q -o page.html", r.DenseName, sunrise)
	least := none
	for _, n := range rep.Neurons.Strongest {
		if left := n.Prob / east; math.IsNaN(least) || left < least {
			least = left
		}
	}
	c.find(fmt.Sprintf("without any one of %d neurons, \"east\" keeps of its probability", rep.Neurons.Tried), r.Said.OneNeuron, none, least, percent, command)
	c.note("%s", rep.Verdict())
	for _, t := range rep.Thinned {
		c.note("With %.1f %% of all neurons taken out at random: P(east) = %.4f in the mean.", 100*t.Fraction, t.Mean)
	}
	return nil
}

// training: claim 11.
func (r *run) training(c *Claim) error {
	trained, end, err := r.open(r.Dense)
	if err != nil {
		return err
	}
	defer end()
	shape, err := catalog.Find("tiny-dense")
	if err != nil {
		return err
	}
	src, err := bench.Of(shape)
	if err != nil {
		return err
	}
	b, err := src.Load(r.ctx, "Q8_0", nil)
	if err != nil {
		return err
	}
	defer b.Close()
	random, err := b.Open(goinfer.Options{Threads: r.Threads})
	if err != nil {
		return err
	}
	defer random.Close()
	r.step("the same shape with random weights")
	chunks, err := eval.Chunks(trained.Tokenizer(), r.Text, trained.Info().Config.NCtx)
	if err != nil {
		return err
	}
	watch, err := eval.Continue(trained.Tokenizer(), sunrise, " east", true)
	if err != nil {
		return err
	}
	var ppl, east [2]float64
	for i, m := range []*goinfer.Model{trained, random} {
		res, err := eval.Perplexity(r.ctx, m, chunks, eval.Options{Chunks: r.chunks()})
		if err != nil {
			return err
		}
		score, err := watch.Score(r.ctx, m, nil)
		if err != nil {
			return err
		}
		ppl[i], east[i] = res.PPL, math.Exp(score.LogProb)
	}
	command := "goinfer perplexity " + r.DenseName + " -f text.txt"
	c.find(fmt.Sprintf("perplexity with random weights (%.0f) over that with trained ones (%.2f)", ppl[1], ppl[0]), r.Said.Trained, float64(trained.Info().Config.NVocab)/ppl[0], ppl[1]/ppl[0], times, command)
	c.find("\"east\" is more probable with trained weights by a factor of", r.Said.East, east[0]*float64(trained.Info().Config.NVocab), east[0]/east[1], times,
		fmt.Sprintf("goinfer next %s %q --words east", r.DenseName, sunrise))
	c.note("Both have the same number of parameters: %s.", catalog.FormatWeights(catalog.Count(trained.Info().Tensors).Weights))
	return nil
}
