package sample

// penalties are those for repetition, frequency and presence.
type penalties struct {
	repeat, frequency, presence float32

	past  history
	count tally
}

func (p *penalties) apply(c *candidates) { c.adjust(&p.count, p) }

func (p *penalties) adjust(x *Candidate, n int32) {
	if x.Logit <= 0 {
		x.Logit *= p.repeat
	} else {
		x.Logit /= p.repeat
	}
	x.Logit -= float32(n)*p.frequency + p.presence
}

func (p *penalties) accept(id int32) {
	if w := p.past.window(); len(w) == p.past.limit {
		p.count.set(w[0], p.count.get(w[0])-1)
	}
	if p.past.limit > 0 { // without a limit the counts are enough
		p.past.push(id)
	}
	p.count.set(id, p.count.get(id)+1)
}

func (p *penalties) reset() {
	p.past.buf = p.past.buf[:0]
	p.count.clear()
}

func (p *penalties) clone() stage {
	q := *p
	q.past, q.count = p.past.clone(), p.count.clone()
	return &q
}

// logitBias is sorted by id.
type logitBias []Candidate

func (b logitBias) apply(c *candidates) {
	lost := false
	for _, x := range b {
		if i := c.find(x.ID); i >= 0 { // biases come first, so c is still by id
			c.list[i].Logit += x.Logit
			lost = lost || !finite(c.list[i].Logit)
		}
	}
	c.sorted = false
	if lost {
		c.refill(c.list)
	}
}
