package nn

import (
	"slices"

	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/tensor"
)

// The names under which a pass shows what is not the output of a named weight.
const (
	// [n_embd], the token's embedding: the residual stream before the first layer
	NameEmbd = "embd"
	// [n_head*head_dim], what each head read, before the output projection
	NameAttnHeads = "attn_heads"
	// [n_head][pos+1], or [n_head][n_seen] where rows see what comes after them: attention
	// probabilities; writing them has no effect
	NameAttnProbs = "attn_probs"
	NameLayerOut  = "l_out" // [n_embd], the residual stream after a layer
	// [n_ff], the neurons of a feed-forward block, which its down projection reads; of an expert,
	// Event.Experts being its number
	NameFFNAct       = "ffn_act"
	NameRouterLogits = "router_logits" // [n_expert], before the softmax
	// [n_expert], by which experts are chosen: bias included, groups not yet left out. Writing them
	// changes the choice and no weight;
	NameRouterScores = "router_scores"
	// the infinities keep an expert out of it and in it
	// [n_expert_used], the weights of the chosen experts, Event.Experts being their numbers
	NameRouterTopK = "router_topk"
)

// A Hook observes rows of a batch on their way through the model, and may change them. It is called
// on the goroutine that runs the pass, row after row, between the steps of the computation: what it
// writes to Event.Data (and Event.Experts) is what the next step reads. A hook that writes nothing
// changes no bit of any result. What a pass has shown that is then interrupted for another request
// in it is shown again when it is run again: the same rows, of the layers from the first one on.
type Hook interface {
	// Wants reports whether Observe shall be called for a name in a layer; layer is -1 outside the
	// layers. It is asked often and should be cheap.
	Wants(layer int, name string) bool
	// Observe sees one row. The event and its slices are valid during the call only.
	Observe(e *Event)
}

// An InputHook is a Hook that is also shown what weights are multiplied with.
type InputHook interface {
	Hook
	// ObserveInput sees a row that is about to be multiplied with the matrix of that full name, of
	// which expert is the number, or of a head that has a matrix of its own the head's, and 0
	// elsewhere. The row is valid during the call, and not to be changed.
	ObserveInput(weight string, expert int, x []float32)
}

// A RoutingHook is a Hook that also decides how many experts a token uses.
type RoutingHook interface {
	Hook
	// ExpertsUsed returns how many of the experts of a layer each token uses in place of used: 1 to
	// total.
	ExpertsUsed(layer, used, total int) int
}

// Join returns a hook that shows everything to several, in order: each sees what those before it
// have written. It serves an [InputHook] as one, and takes the number of experts from the last
// [RoutingHook].
func Join(hooks ...Hook) Hook {
	j := joined(slices.DeleteFunc(slices.Clone(hooks), func(h Hook) bool { return h == nil }))
	if len(j) == 1 {
		return j[0]
	}
	return j
}

// joined is several hooks as one.
type joined []Hook

func (j joined) Wants(layer int, name string) bool {
	return slices.ContainsFunc(j, func(h Hook) bool { return h.Wants(layer, name) })
}

func (j joined) Observe(e *Event) {
	for _, h := range j {
		if h.Wants(e.Layer, e.Name) {
			h.Observe(e)
		}
	}
}

func (j joined) ObserveInput(weight string, expert int, x []float32) {
	for _, h := range j {
		if in, ok := h.(InputHook); ok {
			in.ObserveInput(weight, expert, x)
		}
	}
}

func (j joined) ExpertsUsed(layer, used, total int) int {
	n := used
	for _, h := range j {
		if r, ok := h.(RoutingHook); ok {
			n = r.ExpertsUsed(layer, used, total)
		}
	}
	return n
}

// Event is one row at one step.
type Event struct {
	Layer int    // -1 outside the layers
	Name  string // base name of the weight whose output this is, or one of the Name constants
	Token int32  // the token of the row
	Pos   int    // its position in its sequence
	Data  []float32
	// Experts are the numbers of the chosen experts, best first, at [NameRouterTopK], and the one
	// whose row this is where rows are an expert's; nil elsewhere.
	Experts []int32
	// Scoring is how a router's logits become scores, at its names.
	Scoring Scoring
}

// notify offers each row of t to the hook of that row.
func (p *Pass) notify(layer int, name string, t *tensor.Tensor) {
	if !p.hooked || p.Aborted() {
		return
	}
	for i := range t.Rows {
		row := i
		if t.Rows != len(p.batch.Rows) {
			row = p.outputs[i] // after Outputs
		}
		if h := p.wants(row, layer, name); h != nil {
			p.observe(h, row, layer, name, t.Row(i), nil)
		}
	}
}

// notifyInputs offers the rows t0 ≤ t < t1 of the input of l to the hooks of their tokens that want
// to see inputs.
func (p *Pass) notifyInputs(l *Linear, expert int, a *kernels.Activations, t0, t1 int) {
	if !p.hooked {
		return
	}
	for t := t0; t < t1; t++ {
		if h, ok := p.batch.Rows[p.rowOf(a, t)].Hook.(InputHook); ok {
			h.ObserveInput(l.w.Name, expert, a.F[t*a.K:(t+1)*a.K])
		}
	}
}

// rowOf is the row of the batch that row t of activations belongs to.
func (p *Pass) rowOf(a *kernels.Activations, t int) int {
	switch {
	case a == &p.slots:
		return p.moe.token[t]
	case a.N != len(p.batch.Rows):
		return p.outputs[t] // after Outputs
	}
	return t
}

// notifyHeadInputs offers the input of the matrix of a head, the rows of t from head·n on, to the
// hooks of their n tokens that want to see inputs.
func (p *Pass) notifyHeadInputs(l *Linear, head int, t *tensor.Tensor, n int) {
	if !p.hooked {
		return
	}
	for i := range n {
		if h, ok := p.batch.Rows[i].Hook.(InputHook); ok {
			h.ObserveInput(l.w.Name, head, t.Row(head*n+i))
		}
	}
}

// notifyRows offers the rows of t, which take the place of a product with the matrix of that full
// name, likewise.
func (p *Pass) notifyRows(weight string, t *tensor.Tensor) {
	if !p.hooked || p.Aborted() {
		return
	}
	for i := range t.Rows {
		if h, ok := p.batch.Rows[i].Hook.(InputHook); ok {
			h.ObserveInput(weight, 0, t.Row(i))
		}
	}
}

// wants returns the hook of a row if it asks for name, and nil otherwise.
func (p *Pass) wants(row, layer int, name string) Hook {
	if !p.hooked {
		return nil
	}
	if h := p.batch.Rows[row].Hook; h != nil && h.Wants(layer, name) {
		return h
	}
	return nil
}

func (p *Pass) observe(h Hook, row, layer int, name string, data []float32, experts []int32) {
	p.event = Event{Layer: layer, Name: name, Token: p.batch.Rows[row].Token, Pos: p.batch.Rows[row].Pos, Data: data, Experts: experts, Scoring: p.moe.scoring}
	h.Observe(&p.event)
}
