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

// PartKind is the kind of a part of a model.
type PartKind string

// The kinds of parts.
const (
	// Neuron is the activation of one neuron of a feed-forward block, or of an expert.
	Neuron      PartKind = "neuron"
	Head        PartKind = "head"         // output of one attention head
	Expert      PartKind = "expert"       // result of one expert; the weights of the others stay
	Attention   PartKind = "attention"    // all heads of a layer
	Recurrence  PartKind = "recurrence"   // what a recurrent block reads from its state
	FeedForward PartKind = "feed-forward" // all neurons of a layer, those of experts included
)

// Part is a part of a model.
type Part struct {
	Kind   PartKind `json:"kind"`
	Layer  int      `json:"layer"`
	Expert int      `json:"expert"` // expert of the neuron; -1 for none
	Index  int      `json:"index"`  // number of the neuron, head or expert; -1 for all
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

// without is the hook that ablates a part.
type without struct {
	Part
	heads int // heads of the layer
}

// Without returns a hook that ablates a part; heads is the number of heads of its layer.
func Without(p Part, heads int) goinfer.Hook { return without{p, heads} }

func (w without) Wants(layer int, name string) bool {
	if layer != w.Layer {
		return false
	}
	switch w.Kind {
	case Neuron, FeedForward:
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
		if expertOf(e) == w.Expert && w.Index < len(e.Data) {
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

// randomNeurons is the hook that ablates a random fraction of all neurons, the same at every
// position.
type randomNeurons randomly

// randomly is a random fraction of some numbers.
type randomly struct {
	seed  uint64
	limit uint64 // fraction of 2^32
}

func random(fraction float64, seed uint64) randomly {
	return randomly{seed, uint64(math.Round(max(0, min(fraction, 1)) * (1 << 32)))}
}

// clear sets a random fraction of x to zero, which depends on the seed and the number of the row.
func (r randomly) clear(x []float32, row uint64) {
	begin := mix(r.seed ^ mix(row))
	for i := range x {
		if mix(begin+uint64(i))>>32 < r.limit {
			x[i] = 0
		}
	}
}

// RandomNeurons returns a hook that ablates a random fraction of all neurons of all layers and
// experts. Which ones depends on the seed alone.
func RandomNeurons(fraction float64, seed uint64) goinfer.Hook {
	return randomNeurons(random(fraction, seed))
}

func (randomNeurons) Wants(_ int, name string) bool { return name == goinfer.NameFFNAct }

func (r randomNeurons) Observe(e *goinfer.Event) {
	randomly(r).clear(e.Data, uint64(e.Layer)<<32|uint64(uint32(expertOf(e))))
}

// mix scatters the bits of a number (the finaliser of SplitMix64, Steele et al. 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Ablation is a run that watches the probability of a word after a prompt while parts of the model
// are ablated.
type Ablation struct {
	Base  eval.Score // score of the word with all parts in place
	Trace *Trace     // trace of the prompt, and of the word but for its last token

	m     *goinfer.Model
	watch eval.Continued
}

// NewAblation evaluates the tokens of a prompt and of the word after it; first is
// [RecordOptions.First].
func NewAblation(ctx context.Context, m *goinfer.Model, watch eval.Continued, first int) (*Ablation, error) {
	s := &Ablation{m: m, watch: watch}
	var err error
	if s.Base, err = watch.Score(ctx, m, nil); err != nil {
		return nil, err
	}
	s.Trace, err = Record(ctx, m, watch.Tokens[:len(watch.Tokens)-1], RecordOptions{First: first})
	return s, err
}

// Rows is the number of tokens that are evaluated for each part.
func (s *Ablation) Rows() int { return len(s.watch.Tokens) - 1 }

// Heads are all heads of a layer.
func (s *Ablation) Heads(layer int) (parts []Part) {
	for i := range s.Trace.Layers[layer].Heads {
		parts = append(parts, Part{Head, layer, -1, i})
	}
	return parts
}

// Experts are the experts of a layer that the router chose for some token, by number. The others
// have no effect.
func (s *Ablation) Experts(layer int) (parts []Part) {
	seen := map[int32]bool{}
	for _, r := range s.Trace.Layers[layer].Routes {
		for _, e := range r.Experts {
			if !seen[e.ID] {
				seen[e.ID] = true
				parts = append(parts, Part{Expert, layer, -1, int(e.ID)})
			}
		}
	}
	slices.SortFunc(parts, func(a, b Part) int { return a.Index - b.Index })
	return parts
}

// Blocks are the attention, the recurrence and the feed-forward block of a layer, as far as it has
// them.
func (s *Ablation) Blocks(layer int) (parts []Part) {
	if s.Trace.Layers[layer].Heads > 0 {
		parts = append(parts, Part{Attention, layer, -1, -1})
	}
	if s.Trace.Layers[layer].Recurrence {
		parts = append(parts, Part{Recurrence, layer, -1, -1})
	}
	if len(s.Trace.Layers[layer].active) > 0 {
		parts = append(parts, Part{FeedForward, layer, -1, -1})
	}
	return parts
}

// Neurons are the neurons of a layer whose magnitude was largest on any token, at most so many, and
// the number of all: of experts those that the router chose for some token, as the others have no
// effect.
func (s *Ablation) Neurons(layer, most int) (parts []Part, all int) {
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

// Effect is what the ablation of a part does to the word.
type Effect struct {
	Part
	Prob float64 `json:"p"` // probability of the word without the part
	// Delta is the change of the logarithm of the probability: less than 0 where the part speaks
	// for the word.
	Delta float64 `json:"delta"`
}

// atOnce bounds the number of evaluations that run together: enough to fill batches.
const atOnce = 256

// AblateAll ablates the parts one at a time and returns the effect of each, in their order. They
// are evaluated in common batches. progress, if not nil, is called after each.
func (s *Ablation) AblateAll(ctx context.Context, parts []Part, progress func(done, total int)) ([]Effect, error) {
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
func (s *Ablation) scores(ctx context.Context, hooks []goinfer.Hook, progress func(done, total int)) ([]float64, error) {
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

// Point is the probability of the word with a random fraction of the model ablated, over several
// draws.
type Point struct {
	Fraction float64   `json:"fraction"`
	Mean     float64   `json:"p"` // mean over the draws
	Median   float64   `json:"median"`
	Draws    []float64 `json:"draws"`
}

// newPoint computes what follows from the draws of a fraction.
func newPoint(fraction float64, draws []float64) Point {
	p := Point{Fraction: fraction, Draws: draws}
	for _, v := range draws {
		p.Mean += v / float64(len(draws))
	}
	sorted := slices.Sorted(slices.Values(p.Draws))
	n := len(sorted)
	p.Median = (sorted[(n-1)/2] + sorted[n/2]) / 2
	return p
}

// AblateRandom ablates random fractions of all neurons, each several times with other neurons.
func (s *Ablation) AblateRandom(ctx context.Context, fractions []float64, draws int, progress func(done, total int)) ([]Point, error) {
	if draws < 1 {
		return nil, errors.New("want at least one draw of each fraction")
	}
	var hooks []goinfer.Hook
	for i, f := range fractions {
		for d := range draws {
			hooks = append(hooks, RandomNeurons(f, uint64(i*draws+d)))
		}
	}
	scores, err := s.scores(ctx, hooks, progress)
	if err != nil {
		return nil, err
	}
	points := make([]Point, len(fractions))
	for i, f := range fractions {
		probs := make([]float64, draws)
		for d, v := range scores[i*draws : (i+1)*draws] {
			probs[d] = math.Exp(v)
		}
		points[i] = newPoint(f, probs)
	}
	return points, nil
}
