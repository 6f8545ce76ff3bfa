package sample

import (
	"bytes"
	"math"
	"slices"
)

// dry penalises tokens that would prolong a repetition.
type dry struct {
	multiplier, base float64
	allowed          int
	breakers         breakers

	past  history
	since int // tokens since the last breaker
	z     []int32
	reach tally // by token: the longest repetition it would prolong
}

func (d *dry) apply(c *candidates) {
	w := d.past.window()
	limit := min(d.since, len(w))
	if len(w) <= d.allowed || limit < d.allowed {
		return
	}
	d.reach.clear()
	d.repeats(w)
	for k := 1; k < len(w); k++ {
		n := min(d.z[k], int32(limit))
		next := w[len(w)-k]
		if int(n) >= d.allowed && n > d.reach.get(next) && !d.breakers.alone(next) {
			d.reach.set(next, n)
		}
	}
	c.adjust(&d.reach, d)
}

// adjust subtracts the penalty for prolonging a repetition of n tokens.
func (d *dry) adjust(logit float64, n int32) float64 {
	return logit - d.multiplier*math.Pow(d.base, float64(int(n)-d.allowed))
}

// repeats fills z: the last z[k] tokens of w are also the z[k] tokens that end k before its end.
// This is the Z-function of w read backwards (Gusfield 1997, "Algorithms on Strings, Trees and
// Sequences"), computed in linear time: [left, right) is the match found so far that reaches
// furthest, and inside it lengths are known from its copy at the beginning.
func (d *dry) repeats(w []int32) {
	n := len(w)
	d.z = slices.Grow(d.z[:0], n)[:n]
	left, right := 0, 0
	for k := 1; k < n; k++ {
		length := 0
		if k < right {
			length = min(right-k, int(d.z[k-left]))
		}
		for k+length < n && w[n-1-length] == w[n-1-k-length] {
			length++
		}
		d.z[k] = int32(length)
		if k+length > right {
			left, right = k, k+length
		}
	}
}

func (d *dry) accept(id int32) {
	d.past.push(id)
	d.since++
	if d.breakers.end(d.past.window(), id) {
		d.since = 0
	}
}

func (d *dry) reset() {
	d.past.buf = d.past.buf[:0]
	d.since = 0
}

func (d *dry) clone() stage {
	e := *d
	e.past, e.z, e.reach = d.past.clone(), nil, tally{}
	return &e
}

// breakers holds the token sequences that break repetitions, by their last token. It does not
// change once made.
type breakers map[int32][][]int32

// alone reports whether id is a breaker by itself.
func (b breakers) alone(id int32) bool {
	return slices.ContainsFunc(b[id], func(seq []int32) bool { return len(seq) == 1 })
}

// end reports whether past, whose last token is id, ends with a breaker.
func (b breakers) end(past []int32, id int32) bool {
	for _, seq := range b[id] {
		if n := len(past) - len(seq); n >= 0 && slices.Equal(past[n:], seq) {
			return true
		}
	}
	return false
}

// Longer breakers and sequences are cut, as llama.cpp does.
const (
	maxBreaker  = 40 // bytes
	maxSequence = 20 // tokens after the first
)

// newBreakers finds all ways in which tokens spell the texts: a token that contains the text, or
// one that ends with its beginning, followed by the rest.
func newBreakers(texts []string, v Vocab) breakers {
	if v == nil || len(texts) == 0 {
		return nil
	}
	b := breakers{}
	for id := range int32(v.Size()) {
		word := v.Bytes(id)
		if len(word) == 0 {
			word = []byte(v.Spelling(id)) // control tokens
		}
		for _, text := range texts {
			text = text[:min(len(text), maxBreaker)]
			if text != "" {
				b.overlaps(id, word, []byte(text), v)
			}
		}
	}
	return b
}

func (b breakers) overlaps(id int32, word, text []byte, v Vocab) {
	if bytes.Contains(word, text) {
		b.add([]int32{id})
		return
	}
	for n := 1; n < min(len(text), len(word)+1); n++ {
		if bytes.HasSuffix(word, text[:n]) {
			rest := v.Encode(nil, string(text[n:]), false, false)
			b.add(append([]int32{id}, rest[:min(len(rest), maxSequence)]...))
		}
	}
}

func (b breakers) add(seq []int32) {
	last := seq[len(seq)-1]
	if !slices.ContainsFunc(b[last], func(s []int32) bool { return slices.Equal(s, seq) }) {
		b[last] = append(b[last], seq)
	}
}
