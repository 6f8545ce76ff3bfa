package explain

import (
	"context"
	"math"
	"slices"

	"github.com/goinfer/goinfer"
)

// Trace is what the engine's hooks showed of one evaluation of some tokens: of all of them what later steps need, and of those from position First on what can be looked at.
type Trace struct {
	Tokens []Token
	First  int // the positions from here on are recorded
	// Experts is how many experts a layer has, 0 for none: more than Routes may have chosen.
	Experts int
	Layers  []Layer     // by number
	x       []float32   // the residual stream, [n_layer+1][n_tokens-First][width]
	width   int         // of the residual stream
	norms   [][]float64 // its root mean square, [n_layer+1][n_tokens-First]
}

// Layer is what one layer did. What it has none of is empty.
type Layer struct {
	Heads      int
	Recurrence bool // it reads from a state that goes from token to token
	// Attention are the attention probabilities of the recorded positions, of each [n_head][pos+1].
	Attention [][]float32
	// Routes are the choices of the router for all tokens.
	Routes []Route
	// active are the neurons: of the block itself under -1, and of the experts that were chosen under their numbers.
	active map[int]activity
}

// activity is the largest magnitude of each of some neurons over all tokens, and the position where it was.
type activity struct {
	most []float32
	pos  []int
}

// Route is the choice of a router for a token, best expert first.
type Route struct {
	Experts []int32   `json:"experts"`
	Weights []float32 `json:"weights"`
}

// Record evaluates tokens and returns what the hooks showed, with the positions from first on to be looked at.
func Record(ctx context.Context, m *goinfer.Model, tokens []int32, first int) (*Trace, error) {
	c := m.Info().Config
	first = max(0, min(first, len(tokens)-1))
	r := newResiduals(c, first, len(tokens)-first)
	h := &recorder{residuals: r, t: &Trace{Tokens: Tokens(m.Tokenizer(), tokens), First: first, Experts: c.NExpert, Layers: make([]Layer, c.NLayer), x: r.x, width: c.NEmbd}}
	if err := m.Score(ctx, goinfer.Request{Tokens: tokens, Hook: h}); err != nil {
		return nil, err
	}
	h.t.measure()
	return h.t, nil
}

// recorder is the hook of Record.
type recorder struct {
	*residuals
	t *Trace
}

func (r *recorder) Wants(layer int, name string) bool {
	switch name {
	case goinfer.NameAttnProbs, goinfer.NameScan, goinfer.NameFFNAct, goinfer.NameRouterTopK:
		return true
	}
	return r.residuals.Wants(layer, name)
}

func (r *recorder) Observe(e *goinfer.Event) {
	if e.Layer < 0 || e.Name == goinfer.NameLayerOut {
		r.residuals.Observe(e)
		return
	}
	l := &r.t.Layers[e.Layer]
	switch e.Name {
	case goinfer.NameAttnProbs:
		l.Heads = len(e.Data) / (e.Pos + 1)
		if e.Pos >= r.t.First {
			put(&l.Attention, e.Pos-r.t.First, slices.Clone(e.Data))
		}
	case goinfer.NameScan:
		l.Recurrence = true
	case goinfer.NameRouterTopK:
		put(&l.Routes, e.Pos, Route{slices.Clone(e.Experts), slices.Clone(e.Data)})
	case goinfer.NameFFNAct:
		l.keepActive(e)
	}
}

// put sets element i of a list that grows by one at a time. A row that is shown again, see goinfer.Hook, takes its own place.
func put[T any](list *[]T, i int, v T) {
	if i < len(*list) {
		(*list)[i] = v
		return
	}
	*list = append(*list, v)
}

func (l *Layer) keepActive(e *goinfer.Event) {
	expert := -1
	if len(e.Experts) > 0 {
		expert = int(e.Experts[0])
	}
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

// measure works out the norms of the residual stream.
func (t *Trace) measure() {
	n := len(t.Tokens) - t.First
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

// Norms are the root mean squares of the residual stream at the recorded positions, before the first layer and after each: [n_layer+1][n_tokens-First].
func (t *Trace) Norms() [][]float64 { return t.norms }

// Lens tells what the head makes of the stream at the last n recorded positions, before the first layer and after each: [n_layer+1][n].
func (t *Trace) Lens(ctx context.Context, m *goinfer.Model, n, k int, watch []int32) ([][]View, error) {
	recorded := len(t.Tokens) - t.First
	n = min(n, recorded)
	x := make([]float32, 0, len(t.norms)*n*t.width)
	for l := range t.norms {
		x = append(x, t.x[((l+1)*recorded-n)*t.width:(l+1)*recorded*t.width]...)
	}
	views, err := Lens(ctx, m, x, k, watch)
	if err != nil {
		return nil, err
	}
	var layers [][]View
	for l := range t.norms {
		row := views[l*n : (l+1)*n]
		for i := range row {
			row[i].Layer, row[i].Pos = l-1, len(t.Tokens)-n+i
		}
		layers = append(layers, row)
	}
	return layers, nil
}
