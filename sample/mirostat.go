package sample

import "math"

// mirostat 1 and 2 choose the token themselves and correct mu when it is accepted.
type mirostat struct {
	version  int
	tau, eta float64

	mu       float64
	chosen   int32   // by the last apply, or -1
	surprise float64 // surprise of the chosen token, in bits
}

func newMirostat(version int, tau, eta float64) *mirostat {
	m := &mirostat{version: version, tau: tau, eta: eta}
	m.reset()
	return m
}

func (m *mirostat) apply(c *candidates) {
	m.chosen = -1
	if len(c.list) == 0 {
		return
	}
	if m.version == 1 {
		c.best(m.topK(c))
	} else {
		m.truncate(c)
	}
	i, p := c.pick()
	c.list[0] = c.list[i]
	c.list = c.list[:1]
	m.chosen, m.surprise = c.list[0].ID, -math.Log2(p)
}

// estimate is how many of the best tokens version 1 looks at (m in the paper's algorithm 1).
const estimate = 100

// topK is the k with which top-k has the expected surprise mu if probabilities follow Zipf's law,
// whose exponent s is fitted to the best tokens.
func (m *mirostat) topK(c *candidates) int {
	if len(c.list) < 2 {
		return 1
	}
	c.heads = best(c.heads[:0], c.list, estimate)
	var tb, tt float64
	for i := range len(c.heads) - 1 {
		t := math.Log(float64(i+2) / float64(i+1))
		tb += t * (float64(c.heads[i].Logit) - float64(c.heads[i+1].Logit))
		tt += t * t
	}
	s := tb / tt
	var k float64
	if e := s - 1; math.Abs(e) < 1e-6 {
		k = math.Pow(math.Exp2(m.mu)/math.Log(float64(c.vocab)), 1/s) // the limit as e goes to 0
	} else {
		k = math.Pow(e*math.Exp2(m.mu)/(1-math.Pow(float64(c.vocab), -e)), 1/s)
	}
	if k >= 1 && k < float64(len(c.list)) {
		return int(k)
	}
	if k < 1 {
		return 1
	}
	return len(c.list) // NaN too
}

// truncate removes the tokens with a surprise of more than mu, but not the best.
func (m *mirostat) truncate(c *candidates) {
	maxLogit, sum := c.softmax()
	// -log2(exp(logit-top)/sum) <= mu
	c.keep(min(maxLogit, float32(float64(maxLogit)+math.Log(sum)-m.mu*math.Ln2)))
}

func (m *mirostat) accept(id int32) {
	if id == m.chosen {
		m.mu -= m.eta * (m.surprise - m.tau)
	}
	m.chosen = -1
}

func (m *mirostat) reset() { m.mu, m.chosen = 2*m.tau, -1 }

func (m *mirostat) clone() stage {
	n := *m
	return &n
}
