package nn

import (
	"fmt"

	"github.com/goinfer/goinfer/kernels"
	"github.com/goinfer/goinfer/tensor"
)

// MoEConfig describes a layer of routed experts (Shazeer et al. 2017, arXiv:1701.06538; Jiang et al. 2024, arXiv:2401.04088).
type MoEConfig struct {
	Used int // experts per token

	// Router scores the experts, [n_expert][n_embd]. Gate and Up are [n_ff][n_embd] and Down [n_embd][n_ff], one per expert.
	Router         *Linear
	Gate, Up, Down []*Linear

	// Renormalise divides the weights of the chosen experts by their sum.
	Renormalise bool
	// Scale multiplies the weights. 0 means 1.
	Scale float32
}

// MoE is a feed-forward block whose router picks some of its experts for each token.
type MoE struct {
	c                  MoEConfig
	quantIn, quantDown bool // whether some expert takes its input as int8, and its inner activations
}

// NewMoE checks that the experts fit each other.
func NewMoE(c MoEConfig) (*MoE, error) {
	n := c.Router.Out()
	if len(c.Gate) != n || len(c.Up) != n || len(c.Down) != n {
		return nil, fmt.Errorf("nn: %s routes to %d experts, found %d gates, %d ups, %d downs", c.Router.w.Name, n, len(c.Gate), len(c.Up), len(c.Down))
	}
	if c.Used < 1 || c.Used > n {
		return nil, fmt.Errorf("nn: %s: want 1 to %d experts per token, found %d", c.Router.w.Name, n, c.Used)
	}
	if c.Scale == 0 {
		c.Scale = 1
	}
	m := &MoE{c: c}
	for e := range n {
		m.quantIn = m.quantIn || c.Gate[e].mat.Act == kernels.ActQ8 || c.Up[e].mat.Act == kernels.ActQ8
		m.quantDown = m.quantDown || c.Down[e].mat.Act == kernels.ActQ8
	}
	return m, nil
}

// moeState is the routing of a batch. A slot is one expert's work for one token; slots are ordered by expert, then by token.
type moeState struct {
	experts []int32   // [n_tokens][used], best first
	weights []float32 // [n_tokens][used]
	first   []int     // [n_expert+1], each expert's first slot
	slot    []int     // [n_tokens][used]
	taken   []bool
	gather  gatherJob
	combine combineJob
}

// MoE returns Σ weight·expert(x) over the experts that the router chose for each row, [n_tokens][n_embd].
func (p *Pass) MoE(x *tensor.Tensor, m *MoE) *tensor.Tensor {
	c, n := &m.c, x.Rows
	ff, slots := c.Gate[0].w.Rows, n*c.Used
	out := p.arena.New(n, c.Down[0].w.Rows)
	logits := p.arena.New(n, c.Router.w.Rows)
	g, u := p.arena.New(slots, ff), p.arena.New(slots, ff)
	y := p.arena.New(slots, out.Cols)
	in := p.arena.New(slots, x.Cols) // the rows of x by slot, for experts in a float format

	p.product(x, logits, c.Router)
	p.show(p.layer, c.Router.name, logits)
	p.show(p.layer, NameRouterLogits, logits)
	if p.Dead() {
		return out
	}
	s := &p.moe
	s.route(p, m, logits)
	if p.Dead() {
		return out
	}

	p.acts.Reset(n, x.Cols, m.quantIn)
	p.acts.F = x.F
	if m.quantIn {
		p.quant.run(p, &p.acts)
	}
	p.slots.Reset(slots, x.Cols, m.quantIn)
	p.slots.F = in.F
	s.gather = gatherJob{p, &p.slots, &p.acts, m.quantIn, c.Used}
	p.pool.Run(&s.gather, n)

	p.prod.begin(p)
	for e := range c.Gate {
		p.showInputs(c.Gate[e], e, &p.slots, s.first[e], s.first[e+1])
		p.showInputs(c.Up[e], e, &p.slots, s.first[e], s.first[e+1])
		p.prod.addRange(g, c.Gate[e], &p.slots, s.first[e], s.first[e+1])
		p.prod.addRange(u, c.Up[e], &p.slots, s.first[e], s.first[e+1])
	}
	p.prod.run()
	p.showSlots(c.Gate[0].name, g, c.Used)
	p.showSlots(c.Up[0].name, u, c.Used)
	p.eachRow(rowJob{kind: rowSwiGLU, dst: g, a: g, b: u})

	p.slots.Reset(slots, ff, m.quantDown)
	p.slots.F = g.F
	if m.quantDown {
		p.quant.run(p, &p.slots)
	}
	p.prod.begin(p)
	for e := range c.Down {
		p.showInputs(c.Down[e], e, &p.slots, s.first[e], s.first[e+1])
		p.prod.addRange(y, c.Down[e], &p.slots, s.first[e], s.first[e+1])
	}
	p.prod.run()
	p.showSlots(c.Down[0].name, y, c.Used)

	s.combine = combineJob{p, out, y, c.Used}
	p.pool.Run(&s.combine, n)
	return out
}

// route turns router logits into experts, weights and slots.
func (s *moeState) route(p *Pass, m *MoE, logits *tensor.Tensor) {
	c, n, total := &m.c, logits.Rows, logits.Cols
	s.experts, s.weights, s.slot = grow(s.experts, n*c.Used), grow(s.weights, n*c.Used), grow(s.slot, n*c.Used)
	s.first, s.taken = grow(s.first, total+1), grow(s.taken, total)
	for i := range n {
		probs := logits.Row(i)
		kernels.Softmax(probs)
		ids, w := s.experts[i*c.Used:(i+1)*c.Used], s.weights[i*c.Used:(i+1)*c.Used]
		s.choose(ids, w, probs, c)
		if h := p.wants(i, p.layer, NameRouterTopK); h != nil {
			p.observe(h, i, p.layer, NameRouterTopK, w, ids)
			for r, e := range ids {
				if e < 0 || int(e) >= total {
					p.Fail(fmt.Errorf("nn: a hook routed a token to expert %d of %d in layer %d", e, total, p.layer))
					return
				}
				for _, other := range ids[:r] {
					if e == other {
						p.Fail(fmt.Errorf("nn: a hook routed a token twice to expert %d in layer %d", e, p.layer))
						return
					}
				}
			}
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
	for i, e := range s.experts {
		s.slot[i] = s.first[e]
		s.first[e]++
	}
	copy(s.first[1:], s.first[:total])
	s.first[0] = 0
}

// choose picks the most probable experts, the lower number among equals, and their weights.
func (s *moeState) choose(ids []int32, w, probs []float32, c *MoEConfig) {
	clear(s.taken)
	var sum float32
	for r := range ids {
		best := -1
		for e, v := range probs {
			if !s.taken[e] && (best < 0 || v > probs[best]) {
				best = e
			}
		}
		s.taken[best] = true
		ids[r], w[r] = int32(best), probs[best]
		sum += probs[best]
	}
	if c.Renormalise {
		// The bound keeps a vanishing sum from dividing by zero; it is the smallest normal f16, as in the reference.
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
}

// gatherJob copies the activations of a token to its slots.
type gatherJob struct {
	p         *Pass
	dst, src  *kernels.Acts
	quantised bool
	used      int
}

// Run does one token.
func (j *gatherJob) Run(row, _ int) {
	for _, slot := range j.p.moe.slot[row*j.used : (row+1)*j.used] {
		copy(j.dst.F[slot*j.dst.K:(slot+1)*j.dst.K], j.src.F[row*j.src.K:])
		if j.quantised {
			j.dst.Copy(slot, j.src, row)
		}
	}
}

// combineJob adds the experts' results of a token, the best expert's first.
type combineJob struct {
	p      *Pass
	out, y *tensor.Tensor
	used   int
}

// Run does one token.
func (j *combineJob) Run(row, _ int) {
	s, dst := &j.p.moe, j.out.Row(row)
	clear(dst)
	for r := row * j.used; r < (row+1)*j.used; r++ {
		j.p.level.AddScaled(dst, j.y.Row(s.slot[r]), s.weights[r])
	}
}

// showSlots offers the rows of experts to the hooks of their tokens, best expert first, with the expert's number.
func (p *Pass) showSlots(name string, t *tensor.Tensor, used int) {
	if p.Dead() {
		return
	}
	for row := range p.batch.Len() {
		h := p.wants(row, p.layer, name)
		if h == nil {
			continue
		}
		for r := row * used; r < (row+1)*used; r++ {
			p.observe(h, row, p.layer, name, t.Row(p.moe.slot[r]), p.moe.experts[r:r+1])
		}
	}
}
