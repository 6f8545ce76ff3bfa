package sample

import "math"

type topK int

func (k topK) apply(c *candidates) { c.best(int(k)) }

type topP struct {
	p       float64
	minKeep int
}

func (t topP) apply(c *candidates) {
	if len(c.list) < 2 {
		return
	}
	_, sum := c.softmax()
	g := goal{mass: t.p * sum, count: t.minKeep}
	if !c.sorted {
		c.keepRanked(t.rank(c, sum), g)
		return
	}
	var mass float64
	for i, w := range c.weights {
		if mass += float64(w); g.reached(mass, i+1) {
			c.list = c.list[:i+1]
			return
		}
	}
}

// rank orders the candidates that may be needed. All those of less than (1-p)/n together have less
// than 1-p.
func (t topP) rank(c *candidates, sum float64) []ranked {
	least := float32((1 - t.p) * sum / float64(len(c.list)))
	if t.minKeep > 1 {
		least = 0
	}
	ranks, n := c.rank(len(c.list)), 0
	for i, x := range c.list {
		if w := c.weights[i]; w >= least {
			ranks[n] = ranked{x, -x.Logit, w}
			n++
		}
	}
	return ranks[:n]
}

type minP struct {
	log     float32 // logarithm of the share
	minKeep int
}

func (m minP) apply(c *candidates) {
	if len(c.list) < 2 {
		return
	}
	limit := c.max() + m.log
	if m.minKeep > 1 && c.count(limit) < m.minKeep {
		c.best(m.minKeep)
		return
	}
	c.keep(limit)
}

type topNSigma float32

func (n topNSigma) apply(c *candidates) {
	if len(c.list) < 2 {
		return
	}
	var mean, variance float64
	for _, x := range c.list {
		mean += float64(x.Logit)
	}
	mean /= float64(len(c.list))
	for _, x := range c.list {
		d := float64(x.Logit) - mean
		variance += d * d
	}
	variance /= float64(len(c.list))
	c.keep(float32(float64(c.max()) - float64(n)*math.Sqrt(variance)))
}

type typical struct {
	p       float64
	minKeep int
}

func (t typical) apply(c *candidates) {
	if len(c.list) < 2 {
		return
	}
	maxLogit, sum := c.softmax()
	// The surprise of a token is log(sum) - (logit - top); what is compared is how far it is from
	// the entropy.
	offset := math.Log(sum) - c.entropy(maxLogit, sum)
	ranks := c.rank(len(c.list))
	for i, x := range c.list {
		away := math.Abs(offset - (float64(x.Logit) - float64(maxLogit)))
		ranks[i] = ranked{x, float32(away), c.weights[i]}
	}
	c.keepRanked(ranks, goal{mass: t.p * sum, above: true, count: t.minKeep})
}

type xtc struct {
	probability float64
	threshold   float64
	minKeep     int
}

func (x xtc) apply(c *candidates) {
	if len(c.list) < 2 || uniform(c.seed, c.pos, forXTC) >= x.probability {
		return
	}
	_, sum := c.softmax()
	limit := float32(x.threshold * sum)
	count, last := 0, Candidate{}
	for i, w := range c.weights {
		if w >= limit {
			if count == 0 || better(last, c.list[i]) {
				last = c.list[i]
			}
			count++
		}
	}
	if count < 2 || len(c.list)-(count-1) < x.minKeep {
		return
	}
	n := 0
	for i, w := range c.weights {
		if w < limit || c.list[i] == last {
			c.list[n] = c.list[i]
			n++
		}
	}
	c.list = c.list[:n]
}
