package explain

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/goinfer/goinfer"
	"github.com/goinfer/goinfer/internal/fault"
)

// Trace is what the engine's hooks showed of one evaluation of some tokens.
type Trace struct {
	Tokens []Token // that were evaluated
	Prompt int     // number of Tokens that were given; the others were generated
	// First is the position from which on attention and the residual stream are recorded.
	First   int
	Layers  []Layer // by number
	MoE     MoE     // where the model has experts
	Scoring goinfer.Scoring

	x     []float32   // residual stream, [n_layer+1][n][n_embd] for n positions from First on
	width int         // n_embd
	norms [][]float64 // root mean squares of x, [n_layer+1][n]
}

// Layer is what one layer did. What it has none of, or what was not asked for, is empty.
type Layer struct {
	Heads      int
	Recurrence bool // it reads from a state that goes from token to token
	// Attention is the attention probabilities at the recorded positions, each [n_head][pos+1].
	Attention [][]float32
	// Routes are the decisions of the router by position.
	Routes []Route
	// active is the activity of neurons: of the block itself under -1, of experts under their
	// number.
	active map[int]activity
}

// activity is the largest magnitude of each of some neurons over all tokens, and its position.
type activity struct {
	most []float32
	pos  []int
}

// Route is the decision of a router for one token.
type Route struct {
	Experts []ExpertWeight `json:"experts"` // that were chosen, best first
	Entropy float64        `json:"entropy"` // entropy in nats of the probabilities of all experts
	Logits  []float32      `json:"logits,omitempty"`
}

// ExpertWeight is an expert, and the factor that its result is multiplied with.
type ExpertWeight struct {
	ID     int32   `json:"id"`
	Weight float32 `json:"weight"`
}

// What is what [Record] keeps.
type What uint8

// What there is to keep. [RouterLogits] are kept on demand alone.
const (
	Residuals      What = 1 << iota // the residual stream
	AttentionProbs                  // attention, and which layers are recurrent
	Activations                     // the largest activation of each neuron
	Routes                          // the decisions of routers
	RouterLogits                    // with Routes: the logits of all experts, too

	Everything = Residuals | AttentionProbs | Activations | Routes
)

// RecordOptions are what [Record] keeps, and of what.
type RecordOptions struct {
	What What // 0 means Everything
	// First is the position from which on attention and the residual stream are kept.
	First    int
	Routers  []int // layers whose routers are recorded; nil means all
	Generate int   // tokens to generate after the text, the most probable each time
	// Hook works on the model before the trace is taken; nil for none.
	Hook     goinfer.Hook
	Progress func(done, total int)
}

// Record evaluates tokens and returns what the hooks showed. Attention and the residual stream are
// those of the given tokens. It is an error if nothing but routers is asked for, and there are
// none.
func Record(ctx context.Context, m *goinfer.Model, tokens []int32, o RecordOptions) (*Trace, error) {
	if o.What == 0 {
		o.What = Everything
	}
	c := m.Info().Config
	r, err := newRecorder(m, len(tokens), o)
	if err != nil {
		return nil, err
	}
	ids := slices.Clone(tokens)
	q := goinfer.Request{Tokens: tokens, Hook: goinfer.JoinHooks(o.Hook, r), Progress: o.Progress}
	if o.Generate <= 0 {
		err = m.Score(ctx, q)
	} else {
		q.MaxTokens = o.Generate
		var generated []int32
		generated, _, err = generate(ctx, m, q)
		ids = append(ids, generated...)
	}
	if err != nil {
		return nil, err
	}
	t := r.t
	if o.What&Everything == Routes && len(t.Routers()) == 0 {
		return nil, errors.New("no router was at work")
	}
	// The token that was generated last is evaluated only if the end of the text followed it.
	t.Tokens = Tokens(m.Tokenizer(), ids[:min(max(r.evaluated, len(tokens)), len(ids))])
	t.measure(c.NLayer + 1)
	return t, nil
}

// generate returns the tokens that a request generates, and what it took.
func generate(ctx context.Context, m *goinfer.Model, q goinfer.Request) (ids []int32, u goinfer.Usage, err error) {
	for p, err := range m.Generate(ctx, q) {
		switch {
		case err != nil:
			return nil, u, err
		case p.Stop == goinfer.StopCancelled:
			return nil, u, fault.Cancelled(ctx)
		case p.Stop == "":
			ids = append(ids, p.ID)
		default:
			u = p.Usage
		}
	}
	return ids, u, nil
}

// recorder is the hook of Record.
type recorder struct {
	t         *Trace
	what      What
	n         int    // positions of the residual stream that are kept
	routers   []bool // by layer
	evaluated int    // positions
}

func newRecorder(m *goinfer.Model, n int, o RecordOptions) (*recorder, error) {
	c := m.Info().Config
	r := &recorder{what: o.What, routers: make([]bool, c.NLayer), t: &Trace{
		Prompt: n, First: max(0, min(o.First, n-1)), Layers: make([]Layer, c.NLayer), width: c.NEmbd}}
	var err error
	if r.t.MoE, err = MoEOf(m); err == nil {
		var layers []int
		if layers, err = r.t.MoE.only(o.Routers); err == nil {
			for _, l := range layers {
				r.routers[l] = true
			}
		}
	}
	if err != nil && o.What&Everything == Routes {
		return nil, err
	}
	if o.What&Residuals != 0 {
		r.n = n - r.t.First
		r.t.x = make([]float32, (c.NLayer+1)*r.n*c.NEmbd)
	}
	return r, nil
}

func (r *recorder) Wants(layer int, name string) bool {
	switch name {
	case goinfer.NameEmbd, goinfer.NameLayerOut:
		return r.what&Residuals != 0
	case goinfer.NameAttnProbs, goinfer.NameScan:
		return r.what&AttentionProbs != 0
	case goinfer.NameFFNAct:
		return r.what&Activations != 0
	case goinfer.NameRouterLogits, goinfer.NameRouterTopK:
		return r.what&Routes != 0 && layer >= 0 && r.routers[layer]
	}
	return false
}

// Observe keeps an event. A row that is shown again, see goinfer.Hook, replaces the earlier one.
func (r *recorder) Observe(e *goinfer.Event) {
	r.evaluated = max(r.evaluated, e.Pos+1)
	i := e.Pos - r.t.First
	if e.Name == goinfer.NameEmbd || e.Name == goinfer.NameLayerOut {
		if i >= 0 && i < r.n {
			copy(r.t.x[((e.Layer+1)*r.n+i)*r.t.width:], e.Data)
		}
		return
	}
	l := &r.t.Layers[e.Layer]
	switch e.Name {
	case goinfer.NameAttnProbs:
		l.Heads = len(e.Data) / (e.Pos + 1)
		if i >= 0 {
			*at(&l.Attention, i) = slices.Clone(e.Data)
		}
	case goinfer.NameScan:
		l.Recurrence = true
	case goinfer.NameRouterLogits: // of all rows of a batch, before the choices of any
		route := at(&l.Routes, e.Pos)
		*route = Route{Entropy: entropyOf(routerProbabilities(e.Data, e.Scoring))}
		if r.what&RouterLogits != 0 {
			route.Logits = slices.Clone(e.Data)
		}
		r.t.Scoring = e.Scoring
	case goinfer.NameRouterTopK:
		at(&l.Routes, e.Pos).Experts = chosen(e)
	case goinfer.NameFFNAct:
		l.keepActive(e)
	}
}

// at is element i of a list, which grows as needed.
func at[T any](list *[]T, i int) *T {
	for len(*list) <= i {
		var zero T
		*list = append(*list, zero)
	}
	return &(*list)[i]
}

func chosen(e *goinfer.Event) []ExpertWeight {
	list := make([]ExpertWeight, len(e.Experts))
	for i, id := range e.Experts {
		list[i] = ExpertWeight{id, e.Data[i]}
	}
	return list
}

// expertOf is the expert whose neurons an event shows, -1 for those of the block itself.
func expertOf(e *goinfer.Event) int {
	if len(e.Experts) > 0 {
		return int(e.Experts[0])
	}
	return -1
}

func (l *Layer) keepActive(e *goinfer.Event) {
	expert := expertOf(e)
	if l.active == nil {
		l.active = map[int]activity{}
	}
	a, ok := l.active[expert]
	if !ok {
		a = activity{make([]float32, len(e.Data)), make([]int, len(e.Data))}
		l.active[expert] = a
	}
	for i, v := range e.Data {
		if v = max(v, -v); v > a.most[i] {
			a.most[i], a.pos[i] = v, e.Pos
		}
	}
}

// Routers are the layers whose routers were recorded.
func (t *Trace) Routers() (layers []int) {
	for i, l := range t.Layers {
		if len(l.Routes) > 0 {
			layers = append(layers, i)
		}
	}
	return layers
}

// measure computes the norms of the residual stream after each of some layers.
func (t *Trace) measure(layers int) {
	if len(t.x) == 0 {
		return
	}
	n := len(t.x) / t.width / layers
	for at := 0; at < len(t.x); at += n * t.width {
		row := make([]float64, n)
		for i := range row {
			var sum float64
			for _, v := range t.x[at+i*t.width:][:t.width] {
				sum += float64(v) * float64(v)
			}
			row[i] = math.Sqrt(sum / float64(t.width))
		}
		t.norms = append(t.norms, row)
	}
}

// Norms are the root mean squares of the residual stream at the recorded positions, before the
// first layer and after each: [n_layer+1][n_tokens-First].
func (t *Trace) Norms() [][]float64 { return t.norms }

// Lens applies the head to the residual stream at the last n recorded positions, before the first
// layer and after each: [n_layer+1][n]. See [Lens].
func (t *Trace) Lens(ctx context.Context, m *goinfer.Model, n, k int, watch []int32) ([][]LayerPrediction, error) {
	recorded := len(t.norms[0])
	n = min(n, recorded)
	x := make([]float32, 0, len(t.norms)*n*t.width)
	for l := range t.norms {
		x = append(x, t.x[((l+1)*recorded-n)*t.width:(l+1)*recorded*t.width]...)
	}
	views, err := Lens(ctx, m, x, k, watch)
	if err != nil {
		return nil, err
	}
	var layers [][]LayerPrediction
	for l := range t.norms {
		row := views[l*n : (l+1)*n]
		for i := range row {
			row[i].Layer, row[i].Pos = l-1, t.First+recorded-n+i
		}
		layers = append(layers, row)
	}
	return layers, nil
}
