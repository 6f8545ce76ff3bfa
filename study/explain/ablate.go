package explain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/fault"
	"github.com/goinfer/goinfer/study/eval"
)

// Kind is what sort of part of a model is taken out.
type Kind string

// The kinds. A part that is taken out gives zeros, at every position of the text.
const (
	Neuron     Kind = "neuron"       // what one neuron of a feed-forward block, or of an expert, hands to the down projection
	Head       Kind = "head"         // what one head of attention has read
	Expert     Kind = "expert"       // the result of one expert; the weights of the others stay
	Attention  Kind = "attention"    // all heads of a layer
	Recurrence Kind = "recurrence"   // what a recurrent block reads from its state
	Feed       Kind = "feed-forward" // all neurons of a layer, those of experts included
)

// Part is a part of a model.
type Part struct {
	Kind   Kind `json:"kind"`
	Layer  int  `json:"layer"`
	Expert int  `json:"expert"` // whose neuron it is; -1 for none
	Index  int  `json:"index"`  // of the neuron, head or expert; -1 for all
}

func (p Part) String() string {
	switch {
	case p.Index < 0:
		return fmt.Sprintf("layer %d, %s", p.Layer, p.Kind)
	case p.Expert >= 0:
		return fmt.Sprintf("layer %d, expert %d, %s %d", p.Layer, p.Expert, p.Kind, p.Index)
	}
	return fmt.Sprintf("layer %d, %s %d", p.Layer, p.Kind, p.Index)
}

// without is the hook that takes out a part.
type without struct {
	Part
	heads int // of the layer
}

// Without returns a hook that takes a part out; heads is the number of heads of its layer.
func Without(p Part, heads int) goinfer.Hook { return without{p, heads} }

func (w without) Wants(layer int, name string) bool {
	if layer != w.Layer {
		return false
	}
	switch w.Kind {
	case Neuron, Feed:
		return name == goinfer.NameFFNAct
	case Expert:
		return name == goinfer.NameRouterTopK
	case Recurrence:
		return name == goinfer.NameScan
	}
	return name == goinfer.NameAttnHeads
}

func (w without) Observe(e *goinfer.Event) {
	switch w.Kind {
	case Neuron:
		expert := -1
		if len(e.Experts) > 0 {
			expert = int(e.Experts[0])
		}
		if expert == w.Expert && w.Index < len(e.Data) {
			e.Data[w.Index] = 0
		}
	case Head:
		n := len(e.Data) / w.heads
		clear(e.Data[w.Index*n : (w.Index+1)*n])
	case Expert:
		if i := slices.Index(e.Experts, int32(w.Index)); i >= 0 {
			e.Data[i] = 0
		}
	default:
		clear(e.Data)
	}
}

// thinned is the hook that takes a random fraction of all neurons out, the same ones at every position.
type thinned struct {
	seed  uint64
	limit uint64 // of 2^32
}

// Thinned returns a hook that takes out a random fraction of all neurons of all layers and experts: those that the seed chooses, whatever the text.
func Thinned(fraction float64, seed uint64) goinfer.Hook {
	return thinned{seed, uint64(math.Round(max(0, min(fraction, 1)) * (1 << 32)))}
}

func (t thinned) Wants(_ int, name string) bool { return name == goinfer.NameFFNAct }

func (t thinned) Observe(e *goinfer.Event) {
	expert := -1
	if len(e.Experts) > 0 {
		expert = int(e.Experts[0])
	}
	block := mix(t.seed ^ mix(uint64(e.Layer)<<32|uint64(uint32(expert))))
	for i := range e.Data {
		if mix(block+uint64(i))>>32 < t.limit {
			e.Data[i] = 0
		}
	}
}

// mix scatters the bits of a number (the finaliser of SplitMix64, Steele et al. 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Study is the probability of a word behind a prompt, watched while parts of the model are taken out.
type Study struct {
	Base  eval.Score // with all parts in place
	Trace *Trace     // of the prompt, and of the word but for its last token

	m     *goinfer.Model
	watch eval.Continued
}

// NewStudy evaluates the tokens of a prompt and of the word behind it; first is what [Record] is given.
func NewStudy(ctx context.Context, m *goinfer.Model, watch eval.Continued, first int) (*Study, error) {
	s := &Study{m: m, watch: watch}
	var err error
	if s.Base, err = watch.Score(ctx, m, nil); err != nil {
		return nil, err
	}
	s.Trace, err = Record(ctx, m, watch.Tokens[:len(watch.Tokens)-1], first)
	return s, err
}

// Rows is how many tokens are evaluated to see the effect of one part.
func (s *Study) Rows() int { return len(s.watch.Tokens) - 1 }

// Heads are all heads of a layer.
func (s *Study) Heads(layer int) (parts []Part) {
	for i := range s.Trace.Layers[layer].Heads {
		parts = append(parts, Part{Head, layer, -1, i})
	}
	return parts
}

// Experts are the experts of a layer that the router chose for some token, by number. Those that it did not choose have no effect.
func (s *Study) Experts(layer int) (parts []Part) {
	seen := map[int32]bool{}
	for _, r := range s.Trace.Layers[layer].Routes {
		for _, e := range r.Experts {
			if !seen[e] {
				seen[e] = true
				parts = append(parts, Part{Expert, layer, -1, int(e)})
			}
		}
	}
	slices.SortFunc(parts, func(a, b Part) int { return a.Index - b.Index })
	return parts
}

// Blocks are the attention, the recurrence and the feed-forward block of a layer, as far as it has them.
func (s *Study) Blocks(layer int) (parts []Part) {
	if s.Trace.Layers[layer].Heads > 0 {
		parts = append(parts, Part{Attention, layer, -1, -1})
	}
	if s.Trace.Layers[layer].Recurrence {
		parts = append(parts, Part{Recurrence, layer, -1, -1})
	}
	if len(s.Trace.Layers[layer].active) > 0 {
		parts = append(parts, Part{Feed, layer, -1, -1})
	}
	return parts
}

// Neurons are the neurons of a layer, those whose magnitude was largest on any token first, but at most so many, and how many there are: of the experts those
// that the router chose for some token, as the others have no effect.
func (s *Study) Neurons(layer, most int) (parts []Part, all int) {
	active := s.Trace.Layers[layer].active
	for expert, a := range active {
		for i := range a.most {
			parts = append(parts, Part{Neuron, layer, expert, i})
		}
	}
	slices.SortFunc(parts, func(a, b Part) int {
		return cmp.Or(cmp.Compare(active[b.Expert].most[b.Index], active[a.Expert].most[a.Index]), a.Expert-b.Expert, a.Index-b.Index)
	})
	return parts[:min(most, len(parts))], len(parts)
}

// Effect is what taking a part out does to the word.
type Effect struct {
	Part
	Prob  float64 `json:"p"`     // of the word without the part
	Delta float64 `json:"delta"` // of the logarithm of its probability: less than 0 where the part speaks for the word
}

// atOnce bounds the number of evaluations that are under way together: enough to fill batches.
const atOnce = 256

// Sweep takes out the parts one at a time and returns what each does, in their order. They are evaluated in common batches. progress, if not nil, is told how many are done.
func (s *Study) Sweep(ctx context.Context, parts []Part, progress func(done, total int)) ([]Effect, error) {
	hooks := make([]goinfer.Hook, len(parts))
	for i, p := range parts {
		hooks[i] = Without(p, s.Trace.Layers[p.Layer].Heads)
	}
	scores, err := s.scores(ctx, hooks, progress)
	if err != nil {
		return nil, err
	}
	effects := make([]Effect, len(parts))
	for i, v := range scores {
		effects[i] = Effect{parts[i], math.Exp(v), v - s.Base.LogProb}
	}
	return effects, nil
}

// scores are the log-probabilities of the word under each hook.
func (s *Study) scores(ctx context.Context, hooks []goinfer.Hook, progress func(done, total int)) ([]float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	scores := make([]float64, len(hooks))
	var (
		workers sync.WaitGroup
		mu      sync.Mutex
		done    int
		next    = make(chan int)
	)
	for range min(atOnce, len(hooks)) {
		workers.Go(func() {
			for i := range next {
				score, err := s.watch.Score(ctx, s.m, hooks[i])
				if err != nil {
					cancel(err)
					return
				}
				scores[i] = score.LogProb
				mu.Lock()
				done++
				if progress != nil {
					progress(done, len(hooks))
				}
				mu.Unlock()
			}
		})
	}
feed:
	for i := range hooks {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	workers.Wait()
	return scores, fault.Cancelled(ctx)
}

// Point is the word's probability with a random fraction of the model taken out, over several draws.
type Point struct {
	Fraction float64   `json:"fraction"`
	Mean     float64   `json:"p"` // the mean over the draws
	Median   float64   `json:"median"`
	Draws    []float64 `json:"draws"`
}

// settle works out what follows from the draws.
func (p *Point) settle() {
	sorted := slices.Sorted(slices.Values(p.Draws))
	n := len(sorted)
	p.Median = (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Thin takes random fractions of all neurons out, each several times with other neurons.
func (s *Study) Thin(ctx context.Context, fractions []float64, draws int, progress func(done, total int)) ([]Point, error) {
	if draws < 1 {
		return nil, errors.New("want at least one draw of each fraction")
	}
	var hooks []goinfer.Hook
	for i, f := range fractions {
		for d := range draws {
			hooks = append(hooks, Thinned(f, uint64(i*draws+d)))
		}
	}
	scores, err := s.scores(ctx, hooks, progress)
	if err != nil {
		return nil, err
	}
	points := make([]Point, len(fractions))
	for i, f := range fractions {
		points[i].Fraction = f
		for _, v := range scores[i*draws : (i+1)*draws] {
			points[i].Draws = append(points[i].Draws, math.Exp(v))
			points[i].Mean += math.Exp(v) / float64(draws)
		}
		points[i].settle()
	}
	return points, nil
}
