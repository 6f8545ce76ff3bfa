package explain

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/gguf"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/study/eval"
)

// Options are what [Analyse] looks at. The zero value works, but for Prompt.
type Options struct {
	Prompt string // special tokens that are spelled in it are recognised
	Word   string // the word to watch, as in [Question]; empty means the most probable token
	// Parts bounds the number of ablations, but all blocks and ten neurons of each layer are
	// ablated in any case; 0 means what is bearable for the size of the model: from [LeastParts] to
	// [MostParts].
	Parts int
	// Draws is how often each random fraction of neurons is ablated, and of weights up to 3 times;
	// 0 leaves fractions out.
	Draws int
	// File is the file of the model, from which models with random fractions of the weights set to
	// zero are made, to be opened with Opening; nil leaves that out.
	File    *gguf.File
	Opening goinfer.Options
	// Progress, if not nil, is called with what is being done and how far it is.
	Progress func(what string, done, total int)
}

// Bounds of what a report holds, so that it stays small whatever the model and the prompt.
const (
	LeastParts = 300
	MostParts  = 20_000

	bearable       = 5e12    // tokens times parameters that the parts may take together
	attentionBytes = 3 << 20 // attention probabilities of a page
	mostPositions  = 96      // positions that are shown
	lensPositions  = 32
	lensTop        = 5
	topNeurons     = 24      // neurons that are listed
	weightBytes    = 1 << 30 // a copy of the weights in float32
	weightDraws    = 3       // draws of each fraction of weights
)

// Report is what [Analyse] found.
type Report struct {
	Prompt []Token     `json:"prompt"`
	Word   Word        `json:"word"` // the word that is watched
	Next   *Prediction `json:"next"`
	Trace  *Trace      `json:"-"`
	// Lens is [n_layer+1][positions]; at the last position the word is watched.
	Lens    [][]LayerPrediction `json:"lens"`
	Norms   [][]float64         `json:"norms"` // see [Trace.Norms]
	Blocks  []Effect            `json:"blocks"`
	Heads   []Effect            `json:"heads"`
	Experts []Effect            `json:"experts,omitempty"`
	Neurons Neurons             `json:"neurons"`
	// random fractions of all neurons ablated
	Random []Point `json:"thinned"`
	// random fractions of all weights set to zero
	Weights []Point  `json:"weights,omitempty"`
	Rows    int      `json:"rows"` // tokens evaluated for each part
	Cut     []string `json:"cut"`  // what was left out, and why
}

// Neurons is the ablation of neurons, one at a time and the top ones together.
type Neurons struct {
	All   int `json:"all"`   // neurons that take part in this text
	Tried int `json:"tried"` // neurons that were ablated
	// Halving is how many of those tried, each alone, leave less than half of the word's
	// probability.
	Halving int `json:"halving"`
	// Top are the neurons with the largest effects, among them the one that speaks most for the
	// word.
	Top   []TopNeuron `json:"strongest"`
	Ranks []Ranked    `json:"ranks"` // effects of some of those tried, the largest first
	// Together is the probability without so many of the neurons that speak most for the word, all
	// at once.
	Together []Count `json:"together"`
}

// TopNeuron is a neuron with a large effect on the word.
type TopNeuron struct {
	Effect
	Most  float64 `json:"most"`  // largest magnitude of the neuron
	Pos   int     `json:"pos"`   // position of the largest magnitude
	Token Token   `json:"token"` // token at that position
	// Text is the change of the mean log-probability of the prompt's own tokens without the neuron:
	// if that is large too, the neuron does more than support the word.
	Text float64 `json:"text"`
}

// Ranked is the magnitude of the effect of a neuron by rank.
type Ranked struct {
	Rank  int     `json:"rank"`
	Delta float64 `json:"delta"`
}

// Count is the probability of the word without a number of neurons.
type Count struct {
	Count int     `json:"count"`
	Prob  float64 `json:"p"`
}

// Fractions are the random fractions of neurons, and of weights, that a report ablates.
func Fractions() []float64 { return []float64{0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1} }

// Analyse looks into a model while it reads a prompt.
func Analyse(ctx context.Context, m *goinfer.Model, o Options) (*Report, error) {
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	var a fault.Arguments
	a.AtLeast("Parts", o.Parts, 0)
	a.AtLeast("Draws", o.Draws, 0)
	if err := a.Err(); err != nil {
		return nil, err
	}
	next, err := Predict(ctx, m, Question{Prompt: o.Prompt, Top: 10})
	if err != nil {
		return nil, err
	}
	watch, err := o.watch(m, next)
	if err != nil {
		return nil, err
	}
	r := &Report{Prompt: next.Prompt, Next: next, Rows: len(watch.Tokens) - 1}
	s, err := NewAblation(ctx, m, watch, r.first(m, watch))
	if err != nil {
		return nil, err
	}
	r.Trace, r.Norms = s.Trace, s.Trace.Norms()
	r.Word = Word{Word: o.Word, Tokens: Tokens(m.Tokenizer(), watch.Tokens[watch.First:]), Ranks: s.Base.Ranks, Prob: math.Exp(s.Base.LogProb), LogProb: s.Base.LogProb}
	if o.Word == "" {
		r.Word.Word = next.Top[0].Text
	}
	if err := r.lens(ctx, m, watch); err != nil {
		return nil, err
	}
	if err := r.ablate(ctx, m, s, &o); err != nil {
		return nil, err
	}
	return r, r.randomWeights(ctx, m, watch, &o)
}

// randomWeights sets weights to zero.
func (r *Report) randomWeights(ctx context.Context, m *goinfer.Model, watch eval.Continued, o *Options) error {
	if o.File == nil || o.Draws == 0 {
		return nil
	}
	var bytes int64
	for _, t := range m.Info().Tensors {
		bytes += 4 * t.Elements()
	}
	if bytes > weightBytes {
		r.Cut = append(r.Cut, fmt.Sprintf("No weights were set to zero at random: a copy of them takes %s, and the limit is %s.", goinfer.Bytes(bytes), goinfer.Bytes(weightBytes)))
		return nil
	}
	var err error
	r.Weights, err = AblateRandomWeights(ctx, o.File, o.Opening, watch, Fractions(), min(o.Draws, weightDraws), func(done, total int) { o.Progress("random weights", done, total) })
	return err
}

// watch finds the tokens of the word.
func (o *Options) watch(m *goinfer.Model, next *Prediction) (eval.Continued, error) {
	if o.Word != "" {
		c, err := eval.Continue(m.Tokenizer(), o.Prompt, spaced(o.Prompt, o.Word), true)
		if err != nil {
			return c, fmt.Errorf("the word %q: %w", o.Word, err)
		}
		return c, nil
	}
	ids := make([]int32, 0, len(next.Prompt)+1)
	for _, t := range next.Prompt {
		ids = append(ids, t.ID)
	}
	return eval.Continued{Tokens: append(ids, next.Top[0].ID), First: len(ids)}, nil
}

// first is the first position that is shown.
func (r *Report) first(m *goinfer.Model, watch eval.Continued) int {
	c := m.Info().Config
	n := watch.First
	most := min(n, mostPositions)
	for most > 1 && c.NLayer*max(c.NHead, 1)*most*(most+1)/2 > attentionBytes {
		most--
	}
	if most < n {
		r.Cut = append(r.Cut, fmt.Sprintf("Of %d tokens the last %d are shown; what they read of those before is summed up in one column.", n, most))
	}
	return n - most
}

// lens applies the head to the layers.
func (r *Report) lens(ctx context.Context, m *goinfer.Model, watch eval.Continued) error {
	beyond := len(watch.Tokens) - 1 - watch.First // tokens of the word, which the trace holds too
	shown := watch.First - r.Trace.First
	n := min(shown, lensPositions)
	if n < shown {
		r.Cut = append(r.Cut, fmt.Sprintf("The logit lens shows the last %d tokens.", n))
	}
	views, err := r.Trace.Lens(ctx, m, n+beyond, lensTop, []int32{watch.Tokens[watch.First]})
	if err != nil {
		return err
	}
	for _, row := range views {
		r.Lens = append(r.Lens, row[:n])
	}
	return nil
}

// ablate ablates parts.
func (r *Report) ablate(ctx context.Context, m *goinfer.Model, s *Ablation, o *Options) error {
	budget := o.Parts
	if budget == 0 {
		var params int64
		for _, t := range m.Info().Tensors {
			params += t.Read()
		}
		budget = min(MostParts, max(LeastParts, int(bearable/float64(max(params, 1))/float64(r.Rows))))
	}
	ablate := func(what string, parts []Part) ([]Effect, error) {
		return s.AblateAll(ctx, parts, func(done, total int) { o.Progress(what, done, total) })
	}
	layers := len(s.Trace.Layers)
	var blocks, heads, experts []Part
	for l := range layers {
		blocks = append(blocks, s.Blocks(l)...)
		heads = append(heads, s.Heads(l)...)
		experts = append(experts, s.Experts(l)...)
	}
	heads = r.spread("heads", heads, budget/4)
	experts = r.spread("experts that were chosen", experts, budget/4)
	var err error
	if r.Blocks, err = ablate("blocks", blocks); err != nil {
		return err
	}
	if r.Heads, err = ablate("heads", heads); err != nil {
		return err
	}
	if r.Experts, err = ablate("experts", experts); err != nil {
		return err
	}
	if err := r.neurons(ctx, s, max(budget-len(blocks)-len(heads)-len(experts), 10*layers), ablate); err != nil {
		return err
	}
	if o.Draws == 0 {
		return nil
	}
	r.Random, err = s.AblateRandom(ctx, Fractions(), o.Draws, func(done, total int) { o.Progress("random fractions", done, total) })
	return err
}

// spread takes some of many, at equal distances.
func (r *Report) spread(what string, parts []Part, most int) []Part {
	n := len(parts)
	if n <= most {
		return parts
	}
	some := make([]Part, most)
	for i := range some {
		some[i] = parts[i*n/most]
	}
	r.Cut = append(r.Cut, fmt.Sprintf("Of %d %s, %d at equal distances were taken out.", n, what, most))
	return some
}

// neurons ablates the neurons, one at a time and the top ones together.
func (r *Report) neurons(ctx context.Context, s *Ablation, budget int, ablate func(string, []Part) ([]Effect, error)) error {
	n := &r.Neurons
	var parts []Part
	layers := len(s.Trace.Layers)
	for l := range layers {
		some, all := s.Neurons(l, budget/layers)
		parts = append(parts, some...)
		n.All += all
	}
	n.Tried = len(parts)
	if n.Tried < n.All {
		r.Cut = append(r.Cut, fmt.Sprintf("Of %d neurons that take part the %d were taken out whose magnitude was largest on some token, as many in each layer.", n.All, n.Tried))
	}
	effects, err := ablate("neurons", parts)
	if err != nil || len(effects) == 0 {
		return err
	}
	// Those that speak for the word the most, first.
	slices.SortStableFunc(effects, func(a, b Effect) int { return cmp.Compare(a.Delta, b.Delta) })
	if n.Together, err = s.together(ctx, effects); err != nil {
		return err
	}
	worst := effects[0]
	for _, e := range effects {
		if e.Prob < r.Word.Prob/2 {
			n.Halving++
		}
	}
	slices.SortStableFunc(effects, func(a, b Effect) int { return cmp.Compare(math.Abs(b.Delta), math.Abs(a.Delta)) })
	most := slices.Clone(effects[:min(topNeurons, len(effects))])
	if !slices.Contains(most, worst) {
		most[len(most)-1] = worst
	}
	if n.Top, err = s.topNeurons(ctx, most); err != nil {
		return err
	}
	for rank := 1; rank <= len(effects); rank = max(rank+1, rank*9/8) {
		n.Ranks = append(n.Ranks, Ranked{rank, math.Abs(effects[rank-1].Delta)})
	}
	return nil
}

// together ablates the first 1, 2, 4 … of the parts at once.
func (s *Ablation) together(ctx context.Context, effects []Effect) ([]Count, error) {
	var hooks []goinfer.Hook
	var counts []Count
	for n := 1; n <= len(effects); n *= 2 {
		all := make(several, len(s.Trace.Layers))
		for _, e := range effects[:n] {
			all[e.Layer] = append(all[e.Layer], without{Part: e.Part})
		}
		hooks = append(hooks, all)
		counts = append(counts, Count{Count: n})
	}
	scores, err := s.scores(ctx, hooks, nil)
	for i := range counts {
		counts[i].Prob = math.Exp(scores[i])
	}
	return counts, err
}

// topNeurons finds out more about neurons.
func (s *Ablation) topNeurons(ctx context.Context, effects []Effect) ([]TopNeuron, error) {
	text := &Ablation{Trace: s.Trace, m: s.m, watch: eval.Continued{Tokens: s.watch.Tokens[:s.watch.First], First: 1}}
	hooks := []goinfer.Hook{nil} // with all in place
	list := make([]TopNeuron, len(effects))
	for i, e := range effects {
		a := s.Trace.Layers[e.Layer].active[e.Expert]
		list[i] = TopNeuron{Effect: e, Most: float64(a.most[e.Index]), Pos: a.pos[e.Index], Token: s.Trace.Tokens[a.pos[e.Index]]}
		hooks = append(hooks, Without(e.Part, 0))
	}
	if s.watch.First < 2 {
		return list, nil // a prompt of one token has none to predict
	}
	scores, err := text.scores(ctx, hooks, nil)
	for i := range list {
		list[i].Text = (scores[i+1] - scores[0]) / float64(s.watch.First-1)
	}
	return list, err
}

// several is the hook that ablates many neurons, by layer.
type several [][]without

func (s several) Wants(layer int, name string) bool {
	return name == goinfer.NameFFNAct && layer >= 0 && len(s[layer]) > 0
}

func (s several) Observe(e *goinfer.Event) {
	for _, w := range s[e.Layer] {
		w.Observe(e)
	}
}

// Halved is the smallest random fraction of neurons without which the word has less than half of
// its probability in half of the draws, and false if there is none.
func (r *Report) Halved() (float64, bool) {
	for _, p := range r.Random {
		if p.Median < r.Word.Prob/2 {
			return p.Fraction, true
		}
	}
	return 0, false
}

// Verdict answers whether a single neuron holds the word.
func (r *Report) Verdict() string {
	n := &r.Neurons
	if len(n.Top) == 0 {
		return "There is no neuron to take out."
	}
	worst := slices.MinFunc(n.Top, func(a, b TopNeuron) int { return cmp.Compare(a.Delta, b.Delta) })
	answer := "No single neuron holds the word"
	switch {
	case n.Halving == 1:
		answer = "One single neuron is needed for half of the word's probability or more"
	case n.Halving > 1:
		answer = fmt.Sprintf("%d single neurons are each needed for half of the word's probability or more", n.Halving)
	}
	return fmt.Sprintf("%s: of %d that were taken out one at a time, the one that costs most (%s) takes its probability from %s to %s. It is most active at token %d, %q; "+
		"without it, the log-probability of the prompt's own tokens changes by %+.3f each.", answer, n.Tried, worst.Part, short(r.Word.Prob), short(worst.Prob), worst.Pos, worst.Token.Text, worst.Text)
}

// TopEffects are the n effects of the largest magnitude, the largest first.
func TopEffects(effects []Effect, n int) []Effect {
	sorted := slices.Clone(effects)
	slices.SortStableFunc(sorted, func(a, b Effect) int { return cmp.Compare(math.Abs(b.Delta), math.Abs(a.Delta)) })
	return sorted[:min(n, len(sorted))]
}
