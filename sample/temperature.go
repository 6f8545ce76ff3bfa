package sample

import "math"

type temperature float32

func (t temperature) apply(c *candidates) {
	if len(c.list) > 0 {
		c.scale(float32(t))
	}
}

type dynaTemp struct {
	least, most, exponent float64
}

func (d dynaTemp) apply(c *candidates) {
	if len(c.list) < 2 {
		return
	}
	share := c.entropy(c.softmax()) / math.Log(float64(len(c.list)))
	share = min(max(share, 0), 1)
	c.scale(float32(d.least + (d.most-d.least)*math.Pow(share, d.exponent)))
}

// scale divides the logits by t. Where that is too much for a float32, the distribution has come so
// close to its limit that the best candidate is all of it.
func (c *candidates) scale(t float32) {
	if t <= 0 || !finite(c.max()/t) {
		c.best(1)
		return
	}
	lost := false
	for i := range c.list {
		l := c.list[i].Logit / t
		c.list[i].Logit = l
		lost = lost || !finite(l)
	}
	if lost {
		c.refill(c.list)
	}
}
