package sample

import "fmt"

// constraint is what a sampler makes of a [Grammar]: the state of the sequence, and the mask of its
// next token with the end-of-generation tokens where they belong.
type constraint struct {
	grammar Grammar
	matcher Matcher
	eog     []int32
	allowed Bitset
	current bool // allowed is that of the state
}

// newConstraint begins a sequence. Of v it takes the end-of-generation tokens, if it knows them.
func newConstraint(g Grammar, v Vocab) *constraint {
	c := &constraint{grammar: g, matcher: g.NewMatcher()}
	if v, ok := v.(interface{ IsEOG(id int32) bool }); ok {
		for id := range int32(v.(Vocab).Size()) {
			if v.IsEOG(id) {
				c.eog = append(c.eog, id)
			}
		}
	}
	return c
}

// mask is the set of ids that may come next, of those below n.
func (c *constraint) mask(n int) Bitset {
	if c.current && len(c.allowed) == (n+63)/64 {
		return c.allowed
	}
	if len(c.allowed) != (n+63)/64 {
		c.allowed = NewBitset(n)
	}
	c.matcher.Mask(c.allowed)
	done := c.matcher.Done()
	for _, id := range c.eog {
		switch {
		case int(id) >= n:
		case done:
			c.allowed.Add(id)
		default:
			c.allowed.Remove(id)
		}
	}
	if last := len(c.allowed) - 1; n%64 != 0 { // a matcher of a larger vocabulary
		c.allowed[last] &= 1<<(uint(n)%64) - 1
	}
	c.current = true
	return c.allowed
}

func (c *constraint) isEOG(id int32) bool {
	for _, e := range c.eog {
		if e == id {
			return true
		}
	}
	return false
}

// accept moves on by a generated token. After the end of generation, past which a caller may go on,
// nothing is constrained by what came before it.
func (c *constraint) accept(id int32) error {
	if c.isEOG(id) {
		if !c.matcher.Done() {
			return fmt.Errorf("token %d ends the generation where the grammar wants more", id)
		}
		return nil
	}
	if err := c.matcher.Accept(id); err != nil {
		return err
	}
	c.current = false
	return nil
}

func (c *constraint) reset() { c.matcher, c.current = c.grammar.NewMatcher(), false }

func (c *constraint) clone() *constraint {
	if c == nil {
		return nil
	}
	return &constraint{grammar: c.grammar, matcher: c.matcher.Clone(), eog: c.eog}
}

// only is the single id that the grammar allows, where nothing else has a say: then it needs no
// sampling.
func (s *Sampler) only(logits []float32) (int32, bool) {
	if s.trace != nil || !s.single() {
		return 0, false
	}
	id, ok := s.limit.allowed.Only()
	return id, ok && finite(logits[id])
}

// single reports whether the chain takes a single candidate as it is: without biases and the
// caller's stages, which may ban it, and without mirostat, which learns from its probability.
func (s *Sampler) single() bool {
	if len(s.chain) == 0 {
		return true
	}
	first, last := s.chain[0].name, s.chain[len(s.chain)-1].name
	return first != "logit_bias" && first != "extra" && last != "mirostat"
}

// Forced appends to dst the tokens that are certain to come next, at most n: those of a grammar
// that allows a single one each. The end of generation is not among them. vocab is the number of
// logits.
func (s *Sampler) Forced(dst []int32, n, vocab int) []int32 {
	if s.limit == nil || n < 1 || s.trace != nil || !s.single() {
		return dst
	}
	id, ok := s.limit.mask(vocab).Only()
	if !ok || s.limit.isEOG(id) {
		return dst
	}
	at := s.limit.clone()
	for ; ok && n > 0 && !at.isEOG(id); n-- {
		dst = append(dst, id)
		if at.accept(id) != nil {
			break
		}
		id, ok = at.mask(vocab).Only()
	}
	return dst
}

// Done reports whether what was generated is complete under the grammar and nothing may follow but
// the end of generation. Without a grammar it is false.
func (s *Sampler) Done(vocab int) bool {
	if s.limit == nil || !s.limit.matcher.Done() {
		return false
	}
	mask := s.limit.mask(vocab)
	n := mask.Count()
	for _, id := range s.limit.eog {
		if mask.Has(id) {
			n--
		}
	}
	return n == 0
}

// Complete reports whether generation may end here: there is no grammar, or it is done.
func (s *Sampler) Complete() bool { return s.limit == nil || s.limit.matcher.Done() }
