package nn

import (
	"fmt"
	"math"
	"slices"

	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/tensor"
)

// Scoring converts router logits into the scores of experts.
type Scoring uint8

// The scorings.
const (
	ScoreSoftmax Scoring = iota // over all experts (Shazeer et al. 2017, arXiv:1701.06538)
	ScoreSigmoid                // each by itself (DeepSeek-V3, arXiv:2412.19437)
	// logits choose, and the softmax is over the chosen (gpt-oss, arXiv:2508.10925)
	ScoreSoftmaxWeight
)

// MoEConfig describes a layer of routed experts (Shazeer et al. 2017, arXiv:1701.06538; Jiang et
// al. 2024, arXiv:2401.04088), with shared ones beside them (Dai et al. 2024, arXiv:2401.06066).
type MoEConfig struct {
	Used int // experts per token

	// Router scores the experts, [n_expert][n_embd]. Gate and Up are [n_ff][n_embd] and Down
	// [n_embd][n_ff], one per expert. Gate is nil for experts without.
	Router         *Linear
	Gate, Up, Down []*Linear
	Act            Activation

	Score Scoring
	// Bias, [n_expert], is added to the scores when experts are chosen, and takes no part in their
	// weights (Wang et al. 2024, arXiv:2408.15664). nil for none.
	Bias []float32
	// Groups are as many equal ranges of experts, of which the GroupsUsed best may be chosen from.
	// A group's score is the sum of its GroupTopK best experts: 1 in DeepSeek-V2
	// (arXiv:2405.04434), 2 in V3. 0 for no groups.
	Groups, GroupsUsed, GroupTopK int

	// Renormalise divides the weights of the chosen experts by their sum.
	Renormalise bool
	// Scale multiplies the weights. 0 means 1.
	Scale float32
	// WeightBeforeFFN multiplies the experts' input by the weights, instead of their output (Llama
	// 4).
	WeightBeforeFFN bool

	// Shared is an expert that every token uses, nil for none; SharedGate, [1][n_embd], is the
	// logit of its weight, nil for 1.
	Shared     *FFN
	SharedGate *Linear
}

// MoE is a feed-forward block whose router picks some of its experts for each token.
type MoE struct {
	c MoEConfig
	// in which the experts take their input, and their inner activations
	formatsIn, formatsDown kernels.ActFormat
}

// NewMoE checks that the experts fit each other.
func NewMoE(c MoEConfig) (*MoE, error) {
	n := c.Router.Out()
	switch {
	case c.Gate != nil && len(c.Gate) != n || len(c.Up) != n || len(c.Down) != n:
		return nil, fmt.Errorf("%s routes to %d experts, found %d gates, %d ups, %d downs", c.Router.w.Name, n, len(c.Gate), len(c.Up), len(c.Down))
	case c.Used < 1 || c.Used > n:
		return nil, fmt.Errorf("%s: want 1 to %d experts per token, found %d", c.Router.w.Name, n, c.Used)
	case c.Bias != nil && len(c.Bias) != n:
		return nil, fmt.Errorf("%s: want a bias for each of %d experts, found %d", c.Router.w.Name, n, len(c.Bias))
	}
	if err := c.checkGroups(n); err != nil {
		return nil, err
	}
	if c.Scale == 0 {
		c.Scale = 1
	}
	m := &MoE{c: c}
	for e := range n {
		if c.Gate != nil {
			m.formatsIn |= c.Gate[e].matMul.ActFormat
		}
		m.formatsIn |= c.Up[e].matMul.ActFormat
		m.formatsDown |= c.Down[e].matMul.ActFormat
	}
	return m, nil
}

func (c *MoEConfig) checkGroups(n int) error {
	if c.Groups == 0 {
		return nil
	}
	if n%c.Groups != 0 || c.GroupsUsed < 1 || c.GroupsUsed > c.Groups || c.GroupTopK < 1 || c.GroupTopK > n/c.Groups || c.Used > c.GroupsUsed*(n/c.Groups) {
		return fmt.Errorf("%s: %d experts in %d groups, %d groups and %d experts used, groups scored by their best %d: want whole groups with enough experts",
			c.Router.w.Name, n, c.Groups, c.GroupsUsed, c.Used, c.GroupTopK)
	}
	return nil
}

// moeState is the routing of a batch. A slot is one expert's work for one token; slots are ordered
// by expert, then by token.
type moeState struct {
	start   []int     // [n_tokens+1], where each token's choices begin in the next three
	experts []int32   // [n_slots], best first
	weights []float32 // [n_slots]
	slot    []int     // [n_slots]
	token   []int     // [n_slots], the token of each slot
	first   []int     // [n_expert+1], each expert's first slot
	scoring Scoring
	scores  []float32 // [n_expert], by which a token's experts are chosen
	chosen  []bool
	groups  []float32 // [groups], the groups' scores
	masked  []bool    // [groups], not chosen
	gather  gatherJob
	combine combineJob
}

// MoE returns Σ weight·expert(x) over the experts that the router chose for each row, and the
// shared one, [n_tokens][n_embd].
func (p *Pass) MoE(x *tensor.Tensor, m *MoE) *tensor.Tensor { return p.Experts(x, p.Route(x, m), m) }

// Route returns the router's logits, [n_tokens][n_expert]: the first half of MoE, for routers that
// read something else than the experts.
func (p *Pass) Route(x *tensor.Tensor, m *MoE) *tensor.Tensor {
	logits := p.Linear(x, m.c.Router)
	p.moe.scoring = m.c.Score
	p.notify(p.layer, NameRouterLogits, logits)
	return logits
}

// Experts is the second half of MoE. It uses the logits up.
func (p *Pass) Experts(x, logits *tensor.Tensor, m *MoE) *tensor.Tensor {
	c, n := &m.c, x.Rows
	ff, slots := c.Up[0].w.Rows, p.moe.count(p, m, n)
	out := p.arena.New(n, c.Down[0].w.Rows)
	var g *tensor.Tensor // of experts with a gate
	if c.Gate != nil {
		g = p.arena.New(slots, ff)
	}
	u := p.arena.New(slots, ff)
	y := p.arena.New(slots, out.Cols)
	in := p.arena.New(slots, x.Cols) // the rows of x by slot, for experts in a float format

	if !p.Aborted() {
		p.moe.route(p, m, logits)
	}
	if !p.Aborted() {
		p.experts(x, in, g, u, y, m)
		p.moe.combine = combineJob{p, out, y, c}
		p.pool.Run(&p.moe.combine, n)
	}
	if c.Shared != nil {
		y := p.FFN(x, c.Shared)
		if c.SharedGate != nil {
			p.Gate(y, p.Linear(x, c.SharedGate))
		}
		p.Add(out, y)
	}
	return out
}

// experts computes what the chosen experts make of x, y, one row per slot.
func (p *Pass) experts(x, in, g, u, y *tensor.Tensor, m *MoE) {
	c, s := &m.c, &p.moe
	early, late := m.formatsIn, kernels.ActF32
	if c.WeightBeforeFFN { // rows are quantised after they were weighted
		early, late = late, early
	}
	p.acts.Reset(x.Rows, x.Cols, early)
	p.acts.F = x.F
	p.prepare(&p.acts, early)
	p.slots.Reset(in.Rows, x.Cols, m.formatsIn)
	p.slots.F = in.F
	s.gather = gatherJob{p, &p.slots, &p.acts, c}
	p.pool.Run(&s.gather, x.Rows)
	p.prepare(&p.slots, late)

	p.matMul.begin(p)
	for e := range c.Up {
		if c.Gate != nil {
			p.notifyInputs(c.Gate[e], e, &p.slots, s.first[e], s.first[e+1])
			p.matMul.addRange(matMul{l: c.Gate[e], expert: e, acts: &p.slots, dst: g, t0: s.first[e], t1: s.first[e+1]})
		}
		p.notifyInputs(c.Up[e], e, &p.slots, s.first[e], s.first[e+1])
		p.matMul.addRange(matMul{l: c.Up[e], expert: e, acts: &p.slots, dst: u, t0: s.first[e], t1: s.first[e+1]})
	}
	p.matMul.run()
	if c.Gate != nil {
		p.notifyExperts(c.Gate[0].name, g)
	}
	p.notifyExperts(c.Up[0].name, u)
	if c.Gate == nil {
		g, u = u, nil // act(u), without a factor
	}
	p.activate(g, u, c.Act)
	p.notifyExperts(NameFFNAct, g)

	p.slots.Reset(g.Rows, g.Cols, m.formatsDown)
	p.slots.F = g.F
	p.prepare(&p.slots, m.formatsDown)
	p.matMul.begin(p)
	for e := range c.Down {
		p.notifyInputs(c.Down[e], e, &p.slots, s.first[e], s.first[e+1])
		p.matMul.addRange(matMul{l: c.Down[e], expert: e, acts: &p.slots, dst: y, t0: s.first[e], t1: s.first[e+1]})
	}
	p.matMul.run()
	p.notifyExperts(c.Down[0].name, y)
}

// count decides how many experts each of n tokens uses, and returns the number of slots.
func (s *moeState) count(p *Pass, m *MoE, n int) int {
	c, total := &m.c, m.c.Router.w.Rows
	s.start = grow(s.start, n+1)
	s.start[0] = 0
	for i := range n {
		used := c.Used
		if p.hooked && !p.Aborted() {
			if h, ok := p.batch.Rows[i].Hook.(RoutingHook); ok {
				used = h.ExpertsUsed(p.layer, c.Used, total)
			}
		}
		if used < 1 || used > total {
			p.Fail(&RowError{i, fmt.Errorf("a hook asked for %d experts for a token in layer %d: want 1 to %d", used, p.layer, total)})
			used = c.Used
		}
		s.start[i+1] = s.start[i] + used
	}
	return s.start[n]
}

// route converts router logits into experts, weights and slots.
func (s *moeState) route(p *Pass, m *MoE, logits *tensor.Tensor) {
	n, total := logits.Rows, logits.Cols
	slots := s.start[n]
	s.experts, s.weights = grow(s.experts, slots), grow(s.weights, slots)
	s.slot, s.token = grow(s.slot, slots), grow(s.token, slots)
	s.first, s.chosen, s.scores = grow(s.first, total+1), grow(s.chosen, total), grow(s.scores, total)
	for i := range n {
		if err := s.routeRow(p, m, i, logits.Row(i)); err != nil {
			p.Fail(&RowError{i, fmt.Errorf("%w in layer %d", err, p.layer)})
			return
		}
	}
	// Counting sort by expert.
	clear(s.first)
	for _, e := range s.experts {
		s.first[e+1]++
	}
	for e := range total {
		s.first[e+1] += s.first[e]
	}
	for i := range n {
		for r := s.start[i]; r < s.start[i+1]; r++ {
			slot := &s.first[s.experts[r]]
			s.slot[r], s.token[*slot] = *slot, i
			*slot++
		}
	}
	copy(s.first[1:], s.first[:total])
	s.first[0] = 0
}

// routeRow chooses the experts of token i and their weights, and lets its hook have a say.
func (s *moeState) routeRow(p *Pass, m *MoE, i int, probs []float32) error {
	c := &m.c
	ids, w := s.experts[s.start[i]:s.start[i+1]], s.weights[s.start[i]:s.start[i+1]]
	s.score(c, probs)
	if h := p.wants(i, p.layer, NameRouterScores); h != nil {
		p.observe(h, i, p.layer, NameRouterScores, s.scores, nil)
	}
	if err := s.choose(ids, w, probs, c); err != nil {
		return err
	}
	if h := p.wants(i, p.layer, NameRouterTopK); h != nil {
		p.observe(h, i, p.layer, NameRouterTopK, w, ids)
		for r, e := range ids {
			switch {
			case e < 0 || int(e) >= len(probs):
				return fmt.Errorf("a hook routed a token to expert %d of %d", e, len(probs))
			case slices.Contains(ids[:r], e):
				return fmt.Errorf("a hook routed a token twice to expert %d", e)
			}
		}
	}
	return nil
}

// score converts logits into probs, from which weights come, in place, and into the scores by which
// experts are chosen.
func (s *moeState) score(c *MoEConfig, logits []float32) {
	c.Score.all(logits)
	copy(s.scores, logits)
	for e, v := range c.Bias {
		s.scores[e] += v
	}
}

// all converts logits into scores in place.
func (k Scoring) all(x []float32) {
	switch k {
	case ScoreSoftmax:
		kernels.Softmax(x)
	case ScoreSigmoid:
		for e, v := range x {
			x[e] = kernels.Sigmoid(v)
		}
	}
}

// choose picks the experts with the highest scores, the lower number among equals, and their
// weights.
func (s *moeState) choose(ids []int32, w, probs []float32, c *MoEConfig) error {
	clear(s.chosen)
	if c.Groups > 0 {
		s.maskGroups(c)
	}
	for r := range ids {
		best := s.best(0, len(s.scores))
		if best < 0 || math.IsInf(float64(s.scores[best]), -1) {
			return fmt.Errorf("the router can choose %d experts of %d for a token, and %d are asked for", r, len(probs), len(ids))
		}
		ids[r], w[r] = int32(best), probs[best]
		s.chosen[best] = true
	}
	if c.Score == ScoreSoftmaxWeight {
		kernels.Softmax(w)
	}
	if c.Renormalise {
		var sum float32
		for _, v := range w {
			sum += v
		}
		// The bound keeps a vanishing sum from dividing by zero; it is the smallest normal f16, as
		// in the reference.
		sum = max(sum, 6.103515625e-5)
		for r := range w {
			w[r] /= sum
		}
	}
	if c.Scale != 1 {
		for r := range w {
			w[r] *= c.Scale
		}
	}
	return nil
}

// best is the expert from e0 to e1 with the highest score that is not taken, -1 if all are.
func (s *moeState) best(e0, e1 int) int {
	best := -1
	for e := e0; e < e1; e++ {
		if !s.chosen[e] && (best < 0 || s.scores[e] > s.scores[best]) {
			best = e
		}
	}
	return best
}

// maskGroups takes the experts of all groups but the best out of the choice.
func (s *moeState) maskGroups(c *MoEConfig) {
	size := len(s.scores) / c.Groups
	s.groups, s.masked = grow(s.groups, c.Groups), grow(s.masked, c.Groups)
	for g := range c.Groups {
		s.groups[g], s.masked[g] = 0, true
		for i := range c.GroupTopK {
			best := s.best(g*size, (g+1)*size)
			// an expert that is kept out takes nothing from its group
			if i == 0 || !math.IsInf(float64(s.scores[best]), -1) {
				s.groups[g] += s.scores[best]
			}
			s.chosen[best] = true
		}
	}
	for range c.GroupsUsed {
		best := -1
		for g, v := range s.groups {
			if s.masked[g] && (best < 0 || v > s.groups[best]) {
				best = g
			}
		}
		s.masked[best] = false
	}
	for e := range s.chosen {
		s.chosen[e] = s.masked[e/size]
	}
}

// gatherJob copies the activations of a token to its slots.
type gatherJob struct {
	p        *Pass
	dst, src *kernels.Activations
	c        *MoEConfig
}

// Run does one token.
func (j *gatherJob) Run(row, _ int) {
	s := &j.p.moe
	for r := s.start[row]; r < s.start[row+1]; r++ {
		slot := s.slot[r]
		dst := j.dst.F[slot*j.dst.K : (slot+1)*j.dst.K]
		copy(dst, j.src.F[row*j.src.K:])
		if j.c.WeightBeforeFFN {
			j.p.isa.Scale(dst, s.weights[r])
		}
		j.dst.Copy(slot, j.src, row)
	}
}

// combineJob adds the experts' results of a token, the best expert's first.
type combineJob struct {
	p      *Pass
	out, y *tensor.Tensor
	c      *MoEConfig
}

// Run does one token.
func (j *combineJob) Run(row, _ int) {
	s, dst := &j.p.moe, j.out.Row(row)
	clear(dst)
	for r := s.start[row]; r < s.start[row+1]; r++ {
		if j.c.WeightBeforeFFN {
			j.p.isa.Add(dst, j.y.Row(s.slot[r]))
		} else {
			j.p.isa.AddScaled(dst, j.y.Row(s.slot[r]), s.weights[r])
		}
	}
}

// notifyExperts offers the rows of experts to the hooks of their tokens, best expert first, with
// the expert's number.
func (p *Pass) notifyExperts(name string, t *tensor.Tensor) {
	if p.Aborted() {
		return
	}
	for row := range p.batch.Len() {
		h := p.wants(row, p.layer, name)
		if h == nil {
			continue
		}
		for r := p.moe.start[row]; r < p.moe.start[row+1]; r++ {
			p.observe(h, row, p.layer, name, t.Row(p.moe.slot[r]), p.moe.experts[r:r+1])
		}
	}
}
