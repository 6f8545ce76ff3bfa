package sample

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// Candidate is a token that may be chosen.
type Candidate struct {
	ID    int32
	Logit float32 // in results of [TopLogProbs] the log-probability
}

// better orders candidates: the higher logit first, of equals the lower id. It is a total order, so
// what depends on it depends on nothing else.
func better(a, b Candidate) bool { return a.Logit > b.Logit || a.Logit == b.Logit && a.ID < b.ID }

func byLogit(a, b Candidate) int {
	return cmp.Or(cmp.Compare(b.Logit, a.Logit), cmp.Compare(a.ID, b.ID))
}

// candidates is what a chain works on: the tokens still in the running, all with finite logits.
// Stages shorten list from the end, so that it keeps its memory.
type candidates struct {
	list   []Candidate
	byID   bool // list rises by id
	sorted bool // list is in the order of better

	vocab   int    // logits there were
	allowed Bitset // by the grammar; nil for all
	seed    uint64
	pos     int

	weights []float32 // set by softmax
	ranks   []ranked
	heads   []Candidate
}

// fill makes a candidate of every finite logit.
func (c *candidates) fill(logits []float32) {
	if c.allowed != nil {
		c.list = c.list[:0]
		c.allowed.each(func(id int32) {
			if l := logits[id]; finite(l) {
				c.list = append(c.list, Candidate{id, l})
			}
		})
		c.byID, c.sorted = true, false
		return
	}
	if cap(c.list) < len(logits) {
		c.list = make([]Candidate, len(logits))
	}
	list, all := c.list[:len(logits)], true
	for id, l := range logits {
		list[id] = Candidate{int32(id), l}
		all = all && finite(l)
	}
	c.list, c.byID, c.sorted = list, true, false
	if !all {
		c.refill(list)
	}
}

// fillBest is fill and best(k) in one pass.
func (c *candidates) fillBest(logits []float32, k int) {
	if c.allowed != nil {
		c.fill(logits)
		c.best(k)
		return
	}
	c.list = bestLogits(c.list[:0], logits, k)
	c.byID, c.sorted = false, true
}

// refill takes what a caller's stage has left and finds out again what holds for it.
func (c *candidates) refill(left []Candidate) {
	list := c.list[:0]
	c.byID, c.sorted = true, true
	for _, x := range left {
		if !finite(x.Logit) {
			continue
		}
		if n := len(list); n > 0 {
			c.byID = c.byID && list[n-1].ID < x.ID
			c.sorted = c.sorted && better(list[n-1], x)
		}
		list = append(list, x)
	}
	c.list = list
}

// find returns the index of id in a list that is byID, or -1.
func (c *candidates) find(id int32) int {
	if id < 0 {
		return -1
	}
	if int(id) < len(c.list) && c.list[id].ID == id {
		return int(id) // nothing before it was left out
	}
	if i, found := slices.BinarySearchFunc(c.list, id, func(x Candidate, id int32) int { return cmp.Compare(x.ID, id) }); found {
		return i
	}
	return -1
}

// max returns the highest logit of a list that is not empty.
func (c *candidates) max() float32 {
	best := c.list[0].Logit
	if !c.sorted {
		for _, x := range c.list[1:] {
			if x.Logit > best {
				best = x.Logit
			}
		}
	}
	return best
}

// softmax fills weights with the exponentials of the logits, the highest scaled to 1, and returns
// that highest logit and the sum. The probability of a candidate is its weight divided by the sum.
func (c *candidates) softmax() (maxLogit float32, sum float64) {
	if cap(c.weights) < len(c.list) {
		c.weights = make([]float32, cap(c.list))
	}
	c.weights = c.weights[:len(c.list)]
	maxLogit = c.max()
	for i, x := range c.list {
		w := float32(exp(float64(x.Logit) - float64(maxLogit)))
		c.weights[i] = w
		sum += float64(w)
	}
	return maxLogit, sum
}

// entropy returns the expected surprise of the candidates in nats, after softmax.
func (c *candidates) entropy(maxLogit float32, sum float64) float64 {
	var mean float64
	for i, x := range c.list {
		if w := float64(c.weights[i]); w > 0 {
			mean += w * (float64(x.Logit) - float64(maxLogit))
		}
	}
	return math.Log(sum) - mean/sum
}

// heaped is the largest k for which a heap of the k best is the quickest way to find them.
const heaped = 512

// best keeps the k best, and sorts them if they are few.
func (c *candidates) best(k int) {
	switch {
	case c.sorted:
		c.list = c.list[:min(k, len(c.list))]
	case k <= heaped:
		c.list = best(c.list[:0], c.list, k)
		c.byID, c.sorted = false, true
	case k < len(c.list):
		ranks := c.rank(len(c.list))
		for i, x := range c.list {
			ranks[i] = ranked{Candidate: x, key: -x.Logit}
		}
		c.keepRanked(ranks, goal{mass: -1, count: k})
	}
}

// keep keeps the candidates with a logit of at least limit.
func (c *candidates) keep(limit float32) {
	list, n := c.list, 0
	for _, x := range list {
		list[n] = x
		if x.Logit >= limit {
			n++
		}
	}
	c.list = list[:n]
}

// count returns how many candidates keep would.
func (c *candidates) count(limit float32) (n int) {
	for _, x := range c.list {
		if x.Logit >= limit {
			n++
		}
	}
	return n
}

// pick draws a candidate by its probability and returns its index, or -1 if there is none, and the
// probability.
func (c *candidates) pick() (index int, p float64) {
	if len(c.list) < 2 {
		return len(c.list) - 1, 1
	}
	_, sum := c.softmax()
	target := uniform(c.seed, c.pos, forToken) * sum
	last, run := 0, 0.0
	for i, w := range c.weights {
		if w == 0 {
			continue
		}
		last = i
		if run += float64(w); run > target {
			break
		}
	}
	return last, float64(c.weights[last]) / sum
}

// best appends the k best of list to dst, sorted. dst may be list[:0].
func best(dst, list []Candidate, k int) []Candidate {
	base := len(dst)
	dst = append(dst, list[:min(k, len(list))]...)
	heap := dst[base:]
	if k < len(list) {
		heapify(heap)
		worst := heap[0].Logit
		for _, x := range list[k:] {
			if x.Logit >= worst && better(x, heap[0]) {
				heap[0] = x
				sink(heap, 0)
				worst = heap[0].Logit
			}
		}
	}
	slices.SortFunc(heap, byLogit)
	return dst
}

// bestLogits appends the candidates with the k highest finite logits to dst, sorted. k is at least
// 1.
func bestLogits(dst []Candidate, logits []float32, k int) []Candidate {
	base, next := len(dst), 0
	for ; next < len(logits) && len(dst)-base < k; next++ {
		if l := logits[next]; finite(l) {
			dst = append(dst, Candidate{int32(next), l})
		}
	}
	heap := dst[base:]
	if next < len(logits) {
		heapify(heap)
		worst := heap[0].Logit
		for i, l := range logits[next:] {
			if l > worst && finite(l) { // an equal logit has the higher id
				heap[0] = Candidate{int32(next + i), l}
				sink(heap, 0)
				worst = heap[0].Logit
			}
		}
	}
	slices.SortFunc(heap, byLogit)
	return dst
}

// heapify makes a heap with the worst candidate at the root.
func heapify(heap []Candidate) {
	for i := len(heap)/2 - 1; i >= 0; i-- {
		sink(heap, i)
	}
}

// sink moves heap[i] down to where nothing below it is worse.
func sink(heap []Candidate, i int) {
	for {
		child := 2*i + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && better(heap[child], heap[child+1]) {
			child++
		}
		if !better(heap[i], heap[child]) {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}

// ranked is a candidate in an order of its own: the lower key first, of equals the lower id.
type ranked struct {
	Candidate
	key    float32
	weight float32
}

func before(a, b ranked) bool { return a.key < b.key || a.key == b.key && a.ID < b.ID }

func byKey(a, b ranked) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.ID, b.ID)) }

// goal is what the candidates kept must come to.
type goal struct {
	mass  float64 // the sum of weights
	above bool    // mass is to be exceeded
	count int
}

func (g goal) reached(mass float64, count int) bool {
	return count >= g.count && (mass > g.mass || !g.above && mass == g.mass)
}

// rank returns memory for n ranks.
func (c *candidates) rank(n int) []ranked {
	if cap(c.ranks) < n {
		c.ranks = make([]ranked, cap(c.list))
	}
	return c.ranks[:n]
}

// keepRanked keeps the fewest of r, in their order, that reach the goal, or all. It selects as
// quickselect does, by mass in place of an index, so that a large vocabulary is never sorted.
func (c *candidates) keepRanked(r []ranked, g goal) {
	lo, hi, mass := 0, len(r), 0.0
	for tries := 2 * bits.Len(uint(len(r))); hi-lo > 64 && tries > 0; tries-- {
		mid := lo + partition(r[lo:hi])
		m := mass
		for _, x := range r[lo:mid] {
			m += float64(x.weight)
		}
		if g.reached(m, mid) {
			hi = mid
		} else {
			lo, mass = mid, m
		}
	}
	slices.SortFunc(r[lo:hi], byKey)
	for lo < hi {
		mass += float64(r[lo].weight)
		lo++
		if g.reached(mass, lo) {
			break
		}
	}
	c.list = c.list[:0]
	for _, x := range r[:lo] {
		c.list = append(c.list, x.Candidate)
	}
	c.byID, c.sorted = false, false
}

// partition reorders r, of at least three, so that r[:n] comes before r[n:], and returns n; neither
// part is empty.
func partition(r []ranked) int {
	a, b, c := r[0], r[len(r)/2], r[len(r)-1]
	if before(b, a) {
		a, b = b, a
	}
	if before(c, b) {
		b = c
		if before(b, a) {
			b = a
		}
	}
	i, j := -1, len(r)
	for {
		for i++; before(r[i], b); i++ {
		}
		for j--; before(b, r[j]); j-- {
		}
		if i >= j {
			return i
		}
		r[i], r[j] = r[j], r[i]
	}
}
