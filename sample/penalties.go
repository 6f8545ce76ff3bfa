package sample

// penalties are those for repetition, frequency and presence.
type penalties struct {
	repeat, frequency, presence float64

	past  history
	count tally
}

func (p *penalties) apply(c *candidates) { c.adjust(&p.count, p) }

// adjust multiplies a negative logit where it divides a positive one: Keskar et al. only divide,
// which would favour the repetition of unlikely tokens.
func (p *penalties) adjust(logit float64, n int32) float64 {
	if logit <= 0 {
		logit *= p.repeat
	} else {
		logit /= p.repeat
	}
	return logit - float64(n)*p.frequency - p.presence
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
	c.sorted = false
	banned := false
	for _, x := range b {
		i := c.find(x.ID) // biases come first, so c is still by id
		switch {
		case i < 0:
		case finite(x.Logit):
			c.list[i].Logit = clamp(float64(c.list[i].Logit) + float64(x.Logit))
		default:
			c.list[i].Logit = x.Logit
			banned = true
		}
	}
	if banned {
		c.refill(c.list)
	}
}
